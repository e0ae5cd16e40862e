"""The pointing game in space and time: is the top of the map on the actor?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from swagv.metrics.localisation import maps_and_boxes


@dataclass(frozen=True)
class Pointing:
    """Whether the highest voxels lie in the true box of their frame.

    Parameters
    ----------
    tolerance
        Pixels by which a box is widened on every side. The original (Zhang et al., ECCV 2016) has 15, in images several
        times as large as a network's crop.

    Notes
    -----
    - ``pointing``: of the voxels that share the highest value of all boxed frames, the share that is inside: 1 or 0
      where there is one such voxel. The original, with a clip in place of an image.
    - ``pointing_frames``: the same game in each boxed frame on its own, averaged over them (ours).
    - ``energy_inside``: share of the positive attribution of the boxed frames that is inside, in [0, 1]
      (the energy-based pointing game of Score-CAM, Wang et al., CVPR Workshops 2020); NaN where none is positive.

    Supervoxels make many equal maxima; counting them all is what a random choice among them gives on average.
    """

    higher_is_better: ClassVar[dict[str, bool]] = {"pointing": True, "pointing_frames": True, "energy_inside": True}
    needs_network: ClassVar[bool] = False
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        if not self.tolerance >= 0:
            raise ValueError(f"tolerance={self.tolerance}: must be at least 0")

    def __call__(
        self, model: object, clips: object, attribution: ArrayLike, target: object, *, boxes: ArrayLike
    ) -> dict[str, np.ndarray]:
        """Scores of N clips, (N,) float64 each; the model, the clips and the target are not looked at.

        Parameters
        ----------
        attribution
            N,T,H,W.
        boxes
            N,T,4 true boxes as x_min, y_min, x_max, y_max in pixels of the map, inclusive; NaN for no box.

        Raises
        ------
        ValueError
            If shapes do not agree, a map is not finite or a clip has no box.
        """
        found = [self._of_clip(*pair) for pair in zip(*maps_and_boxes(attribution, boxes), strict=True)]
        return {name: np.array([row[name] for row in found]) for name in self.higher_is_better}

    def _of_clip(self, heat: np.ndarray, boxes: np.ndarray) -> dict[str, float]:
        boxed = np.isfinite(boxes).all(-1)
        heat, inside = heat[boxed], self._inside(boxes[boxed], heat.shape[1:])
        top = heat == heat.max()
        top_of_frame = heat == heat.max((1, 2), keepdims=True)
        energy = np.maximum(heat, 0)
        total = energy.sum()
        return {
            "pointing": inside[top].mean(),
            "pointing_frames": ((inside & top_of_frame).sum((1, 2)) / top_of_frame.sum((1, 2))).mean(),
            "energy_inside": energy[inside].sum() / total if total else np.nan,
        }

    def _inside(self, boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """(T, H, W) bool: pixels whose centres are in the box (T, 4) of their frame."""
        y, x = np.arange(size[0])[:, None], np.arange(size[1])
        left, top, right, bottom = (edge[:, None, None] for edge in boxes.T)
        across = (x >= left - self.tolerance) & (x <= right + self.tolerance)
        return across & (y >= top - self.tolerance) & (y <= bottom + self.tolerance)
