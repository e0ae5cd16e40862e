"""Does the explanation move with the action? Importance of each frame, and where it lies in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from swagv.metrics.localisation import maps_and_boxes


@dataclass(frozen=True)
class FrameProfile:
    """Positive attribution over time, and how far its centre is from the actor's (the definitions are ours).

    Notes
    -----
    Of a map h, with h+ = max(h, 0):

    - ``profile``: sum of h+ over each frame, divided by that over the clip; 1/T where nothing is positive.
    - ``tracking_error``: distance between the centre of mass of h+ and the centre of the true box, in diagonals of the
      box, averaged over the boxed frames; a frame without positive attribution has its mass in the middle.
    - ``tracking_gain``: the tracking error of the map's own mean over time, less that of the map. Above 0 where the
      map follows the actor; exactly 0 for a map that is the same in every frame.
    """

    higher_is_better: ClassVar[dict[str, bool]] = {"tracking_error": False, "tracking_gain": True}
    needs_network: ClassVar[bool] = False

    def __call__(
        self, model: object, clips: object, attribution: ArrayLike, target: object, *, boxes: ArrayLike | None = None
    ) -> dict[str, np.ndarray]:
        """Scores (N,) and ``profile`` (N, T), float64; arguments are those of `swagv.metrics.pointing.Pointing`.

        Without boxes there is a profile, and both scores are NaN.
        """
        known = boxes is not None
        if not known:
            boxes = np.zeros((*np.shape(attribution)[:2], 4))
        found = [_of_clip(*pair) for pair in zip(*maps_and_boxes(attribution, boxes), strict=True)]
        if not known:
            found = [row | dict.fromkeys(self.higher_is_better, np.float64(np.nan)) for row in found]
        return {name: np.stack([row[name] for row in found]) for name in found[0]}


def _of_clip(heat: np.ndarray, boxes: np.ndarray) -> dict[str, np.ndarray]:
    energy, boxed = np.maximum(heat, 0), np.isfinite(boxes).all(-1)
    of_frame = energy.sum((1, 2))
    total, frames = of_frame.sum(), len(heat)
    # Of frames that are all alike this is the frame itself; the mean of their values may round.
    still = np.broadcast_to(energy[0] + (energy - energy[0]).mean(0), energy.shape)
    moving, held = (_distances(one[boxed], boxes[boxed]).mean() for one in (energy, still))
    return {
        "tracking_error": moving,
        "tracking_gain": held - moving,
        "profile": of_frame / total if total else np.full(frames, 1 / frames),
    }


def _distances(energy: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """(T,) from the centre of mass of each frame (T, H, W) to the centre of its box (T, 4), in the box's diagonals."""
    height, width = energy.shape[1:]
    total = energy.sum((1, 2))
    safe = np.where(total > 0, total, 1)
    x = np.where(total > 0, (energy.sum(1) * np.arange(width)).sum(1) / safe, (width - 1) / 2)
    y = np.where(total > 0, (energy.sum(2) * np.arange(height)).sum(1) / safe, (height - 1) / 2)
    left, top, right, bottom = boxes.T
    away = np.hypot(x - (left + right) / 2, y - (top + bottom) / 2)
    return away / np.hypot(right - left + 1, bottom - top + 1)
