"""Noise in place of an attribution: what supervoxels are worth by themselves (SWAG-V, Table 1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from swagv.forward_passes import Passes
from swagv.methods.explainer import PixelAttribution, names_of, random_generator

if TYPE_CHECKING:
    from torch import Tensor

    from swagv.models.classifier import VideoClassifier


@dataclass(frozen=True)
class RandomNoise(PixelAttribution):
    """Uniform noise in [0, 1) for every voxel, drawn from the clip's id and `seed`.

    Parameters
    ----------
    seed
        With the clip's id, of the noise.
    """

    seed: int = 0

    def passes(self, shape: tuple[int, int, int]) -> Passes:
        """As `Explainer.passes`."""
        return Passes(0)

    def __call__(
        self, model: VideoClassifier, clips: Tensor, target: Tensor, clip_ids: Sequence[str] | None = None
    ) -> Tensor:
        """Attribution N,T,H,W; the model and target are not looked at."""
        import torch

        drawn = [
            random_generator(name, self.seed).random(clips.shape[2:], np.float32) for name in names_of(clips, clip_ids)
        ]
        return torch.from_numpy(np.stack(drawn)).to(clips.device)
