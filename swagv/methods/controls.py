"""Maps that know nothing of the network (the paper's baselines): what an explanation must beat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from swagv.forward_passes import Passes
from swagv.methods.explainer import Explainer, names_of, random_generator

if TYPE_CHECKING:
    from torch import Tensor

    from swagv.models.classifier import VideoClassifier


@dataclass(frozen=True)
class Control(Explainer):
    """A map (H, W) for each clip, equal in all its frames."""

    def frame_map(self, height: int, width: int, clip_id: str) -> np.ndarray:
        """The map (height, width) float64 of one clip."""
        raise TypeError(f"{type(self).__name__} does not say what its map is")

    def volume(self, shape: tuple[int, int, int], clip_id: str) -> np.ndarray:
        """The map of a whole clip, (T, H, W) float32."""
        return np.broadcast_to(self.frame_map(*shape[1:], clip_id), shape).astype(np.float32)

    def passes(self, shape: tuple[int, int, int]) -> Passes:
        """As `Explainer.passes`."""
        return Passes(0)

    def __call__(
        self, model: VideoClassifier, clips: Tensor, target: Tensor, clip_ids: Sequence[str] | None = None
    ) -> Tensor:
        """Attribution N,T,H,W; the model and target are not looked at."""
        import torch

        names = names_of(clips, clip_ids)
        maps = np.stack([self.volume(tuple(clips.shape[2:]), name) for name in names])
        return torch.from_numpy(maps).to(clips.device)


def _nearness(height: int, width: int, y: float, x: float) -> np.ndarray:
    """1 - d / d_max, d the distance from the point (y, x) in pixels."""
    distance = np.hypot(np.arange(height)[:, None] - y, np.arange(width)[None] - x)
    return 1 - distance / distance.max()


@dataclass(frozen=True)
class Centre(Control):
    """1 - d/d_max from the centre of the frame."""

    def frame_map(self, height: int, width: int, clip_id: str) -> np.ndarray:
        """As `Control.frame_map`."""
        return _nearness(height, width, (height - 1) / 2, (width - 1) / 2)


@dataclass(frozen=True)
class RandomPoint(Control):
    """1 - d/d_max from one pixel, drawn uniformly for each clip from its id and `seed`.

    Parameters
    ----------
    seed
        With the clip's id, of the pixel.
    """

    seed: int = 0

    def frame_map(self, height: int, width: int, clip_id: str) -> np.ndarray:
        """As `Control.frame_map`."""
        rng = random_generator(clip_id, self.seed)
        return _nearness(height, width, int(rng.integers(height)), int(rng.integers(width)))


@dataclass(frozen=True)
class FullFrame(Control):
    """1 everywhere: the degenerate answer of localisation. Its ranks are raster order."""

    def frame_map(self, height: int, width: int, clip_id: str) -> np.ndarray:
        """As `Control.frame_map`."""
        return np.ones((height, width))
