"""RISE (Petsiuk et al., BMVC 2018) in space and time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from swagv.forward_passes import Passes, scores_by_batch
from swagv.methods.explainer import Explainer, names_of, random_generator

if TYPE_CHECKING:
    from torch import Tensor

    from swagv.models.classifier import VideoClassifier


@dataclass(frozen=True)
class Rise3D(Explainer):
    """sum_i p_c(x * m_i) m_i / (n_masks * p): the mean probability of the target when a voxel is seen.

    A mask m is a random grid of zeros and ones, upsampled smoothly to one cell more than the clip on each axis, and cut
    out at a random shift of less than one cell. What is not seen is zero after normalisation, the mean colour.

    Parameters
    ----------
    n_masks
        Random masks a clip, and forward passes.
    grid
        Cells in time, height and width.
    p
        Probability that a cell is seen.
    seed
        With the clip's id, of the masks.
    batch_size
        Masked clips that the network sees at once; changes nothing but memory and time.
    """

    n_masks: int = 4000
    grid: tuple[int, int, int] = (4, 7, 7)
    p: float = 0.5
    seed: int = 0
    batch_size: int = 8

    def __post_init__(self) -> None:
        for name in ("n_masks", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)!r}: must be at least 1")
        if min(self.grid) < 1:
            raise ValueError(f"grid={tuple(self.grid)}: must be at least 1 each")
        if not 0 < self.p < 1:
            raise ValueError(f"p={self.p!r}: must be between 0 and 1")

    def passes(self, shape: tuple[int, int, int]) -> Passes:
        """As `Explainer.passes`."""
        return Passes(self.n_masks)

    def __call__(
        self, model: VideoClassifier, clips: Tensor, target: Tensor, clip_ids: Sequence[str] | None = None
    ) -> Tensor:
        """Attribution N,T,H,W; see the class."""
        import torch

        names = names_of(clips, clip_ids)
        return torch.stack([self._explain(model, *one) for one in zip(clips, target, names, strict=True)])

    def _explain(self, model: VideoClassifier, clip: Tensor, label: Tensor, name: str) -> Tensor:
        import torch

        shape = tuple(clip.shape[1:])
        cell = tuple(math.ceil(length / cells) for length, cells in zip(shape, self.grid, strict=True))
        rng = random_generator(name, self.seed)
        seen = rng.random((self.n_masks, *self.grid), dtype=np.float32) < self.p
        shift = rng.integers(0, cell, (self.n_masks, 3))
        total = torch.zeros(shape, dtype=torch.float64, device=clip.device)
        masks = torch.empty(0)

        def masked(batch: slice) -> Tensor:
            nonlocal masks
            masks = smooth_masks(torch.from_numpy(seen[batch]).to(clip), shift[batch], shape, cell)
            return clip * masks[:, None]

        for _, scores in scores_by_batch(model, masked, label.expand(self.n_masks), self.batch_size):
            total += torch.einsum("n,nthw->thw", scores.double(), masks.double())
        return (total / (self.n_masks * self.p)).float()


def smooth_masks(seen: Tensor, shift: np.ndarray, shape: tuple[int, ...], cell: tuple[int, ...]) -> Tensor:
    """Masks M,T,H,W in [0, 1] of grids M,t,h,w of zeros and ones.

    Parameters
    ----------
    shift
        (M, 3) int, where the clip's first voxel lies in the upsampled grid; less than a cell.
    shape, cell
        Of the clip and of a cell of the grid, in frames, rows and columns.
    """
    import torch

    size = [(cells + 1) * side for cells, side in zip(seen.shape[1:], cell, strict=True)]
    upsampled = torch.nn.functional.interpolate(seen[:, None], size=size, mode="trilinear", align_corners=False)[:, 0]
    cuts = [tuple(slice(at, at + length) for at, length in zip(row, shape, strict=True)) for row in shift.tolist()]
    return torch.stack([one[cut] for one, cut in zip(upsampled, cuts, strict=True)])
