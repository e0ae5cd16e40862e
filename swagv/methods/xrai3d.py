"""XRAI (Kapishnikov et al., ICCV 2019) in space and time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from swagv.forward_passes import Passes
from swagv.methods.explainer import Explainer
from swagv.methods.integrated_gradients import baseline_clip, integrated_gradient
from swagv.slic import MAX_SEGMENTS, slic_supervoxels

if TYPE_CHECKING:
    from scipy.sparse import csr_array
    from torch import Tensor

    from swagv.models.classifier import VideoClassifier


@dataclass(frozen=True)
class Xrai3D(Explainer):
    """Regions in the order of their gain: again and again, the one whose yet uncovered voxels have the largest mean.

    The pixel attribution is the mean of integrated gradients from black and from white frames, its maximum over RGB
    (signed, as in the authors' code). The regions are supervoxels of several sizes, dilated in each frame. A voxel has
    the gain of the region that covered it first.

    Parameters
    ----------
    steps
        Of the integrated gradients, for each baseline.
    n_segments
        Of each over-segmentation by SLIC on the image alone (the authors: six by Felzenszwalb's method, which has no
        counterpart in three dimensions).
    w_color
        How far apart colours may be, as of `swagv.methods.swagv.SwagV`.
    dilation
        Radius in pixels; the authors take 5 for images twice as large.
    min_voxels
        Regions with fewer uncovered voxels are dropped; what no region covers in the end has its own mean. The authors
        take 50 pixels of 224x224; this is the same thousandth of a clip of 16x112x112.
    batch_size
        Points of the integrated gradients that the network sees at once; changes nothing but memory and time.
    """

    steps: int = 50
    n_segments: tuple[int, ...] = (20, 60, 180, 500)
    w_color: float = 10.0
    dilation: int = 2
    min_voxels: int = 200
    batch_size: int = 8

    def __post_init__(self) -> None:
        for name in ("steps", "w_color", "min_voxels", "batch_size"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}={getattr(self, name)!r}: must be greater than 0")
        if not self.n_segments or min(self.n_segments) < 1 or max(self.n_segments) > MAX_SEGMENTS:
            raise ValueError(f"n_segments={tuple(self.n_segments)}: must be numbers from 1 to {MAX_SEGMENTS}")
        if self.dilation < 0:
            raise ValueError(f"dilation={self.dilation}: must not be negative")

    def passes(self, shape: tuple[int, int, int]) -> Passes:
        """As `Explainer.passes`: the integrated gradients from both baselines."""
        return Passes(2 * self.steps, 2 * self.steps)

    def __call__(
        self, model: VideoClassifier, clips: Tensor, target: Tensor, clip_ids: Sequence[str] | None = None
    ) -> Tensor:
        """Attribution N,T,H,W; see the class."""
        import torch
        from scipy.sparse import vstack

        found = [
            integrated_gradient(model, clips, target, baseline_clip(model, clips, colour), self.steps, self.batch_size)
            for colour in ("black", "white")
        ]
        pixels = ((found[0] + found[1]) / 2).amax(1).cpu().numpy()
        maps = []
        for frames, one in zip(model.frames(clips), pixels, strict=True):
            levels = [slic_supervoxels(frames, None, "image", n, self.w_color, w_grad=1.0) for n in self.n_segments]
            regions = vstack([dilated_regions(level.labels, self.dilation) for level in levels], "csr")
            maps.append(greedy_gains(one, regions, self.min_voxels))
        return torch.from_numpy(np.stack(maps)).to(clips.device)


def dilated_regions(labels: np.ndarray, radius: int) -> csr_array:
    """One row of ones and zeros over the clip's voxels for each supervoxel, dilated by a disk in each frame.

    Parameters
    ----------
    labels
        (T, H, W) integer, from 0.
    radius
        Of the disk, in pixels; 0 leaves the supervoxels as they are.
    """
    from scipy.sparse import csr_array

    voxel = np.arange(labels.size).reshape(labels.shape)
    height, width = labels.shape[1:]
    rows, columns = [], []
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            if dy**2 + dx**2 <= radius**2:
                to_y, to_x = slice(max(dy, 0), height + min(dy, 0)), slice(max(dx, 0), width + min(dx, 0))
                from_y, from_x = slice(max(-dy, 0), height + min(-dy, 0)), slice(max(-dx, 0), width + min(-dx, 0))
                rows.append(labels[:, from_y, from_x].ravel())
                columns.append(voxel[:, to_y, to_x].ravel())
    rows, columns = np.concatenate(rows).astype(np.int64), np.concatenate(columns)
    regions = csr_array((np.ones(rows.size), (rows, columns)), shape=(int(labels.max()) + 1, labels.size))
    regions.data[:] = 1  # a voxel reached along several ways was counted as often
    return regions


def greedy_gains(attribution: np.ndarray, regions: csr_array, min_voxels: int) -> np.ndarray:
    """XRAI's full algorithm, for regions that may overlap.

    Parameters
    ----------
    attribution
        (T, H, W) float.
    regions
        (R, T*H*W), one where a voxel belongs to a region; of regions with equal gains the first is taken.
    min_voxels
        See `Xrai3D`.

    Returns
    -------
    numpy.ndarray
        (T, H, W) float32.
    """
    flat = attribution.ravel().astype(np.float64)
    members = regions.tocsc()
    # Of each region's voxels that nothing covers yet. They change only where a voxel is covered, which happens once to
    # each: the whole selection costs as much as one pass over all regions.
    total, count = regions @ flat, np.diff(regions.indptr).astype(np.float64)
    covered, gains = np.zeros(flat.size, bool), np.empty(flat.size)
    candidate = np.ones(len(count), bool)
    while True:
        candidate &= count >= min_voxels
        if not candidate.any():
            break
        best = np.argmax(np.divide(total, count, out=np.full(len(count), -np.inf), where=candidate))
        voxels = regions.indices[regions.indptr[best] : regions.indptr[best + 1]]
        new = voxels[~covered[voxels]]
        gains[new] = flat[new].mean()
        covered[new] = True
        candidate[best] = False
        taken = members[:, new]
        total -= taken @ flat[new]
        count -= taken @ np.ones(new.size)
    if not covered.all():
        gains[~covered] = flat[~covered].mean()
    return gains.reshape(attribution.shape).astype(np.float32)
