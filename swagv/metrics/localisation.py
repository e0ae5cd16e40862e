"""Weakly supervised localisation: does a thresholded explanation put a box where the actor is? (SWAG-V, Table 3)"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from swagv.geometry import Geometry

ALPHAS = {
    "value": np.arange(20) * 0.05,
    "mean": np.arange(21) * 0.5,
    "energy": np.arange(20) * 0.05,
}


@dataclass(frozen=True)
class Localisation:
    """Threshold a map three ways over a grid of alpha, box what survives in each frame, compare with the true boxes.

    The threshold of a dataset is chosen by the one that is `alpha_for` it; where there is none, each half of the videos
    takes the alpha that is best on the other half. Scores that end in ``_oracle`` take the best on the evaluated clips
    themselves. A workflow runs it on the datasets with boxes, of which there must be one.

    Parameters
    ----------
    iou_threshold
        A clip is a hit where the mean IoU over its boxed frames exceeds this.
    largest_component
        Box the largest 8-connected part of what survives in a frame, not all of it.
    empty_frame
        What a frame in which nothing survives counts as: ``"whole_frame"``, a box of everything, or ``"no_box"``, an
        IoU of 0.
    inclusive
        Whether the far edges of true boxes are their last pixels, so that widths are ``x_max - x_min + 1``.
    truncate_boxes
        Drop the fractions of true boxes, towards zero, once they have gone through the dataset's geometry.
    clip_boxes
        Cut true boxes there to what the crop shows; one of which nothing is left is no box.

    Notes
    -----
    - value: h - min >= alpha * (max - min), alpha 0:0.05:0.95
    - mean: h >= alpha * mean(h), alpha 0:0.5:10
    - energy: the highest values before the first whose cumulative sum reaches alpha * total, alpha 0:0.05:0.95

    The mean and the energy of a signed map are taken after its minimum is moved to 0; a map without negative values is
    thresholded as it is. The defaults give the errors of the paper's centre control. Error in percent; lower is better.
    """

    higher_is_better: ClassVar[dict[str, bool]] = {f"loc_error_{rule}": False for rule in ALPHAS}
    needs_network: ClassVar[bool] = False
    iou_threshold: float = 0.5
    largest_component: bool = False
    empty_frame: str = "whole_frame"
    inclusive: bool = True
    truncate_boxes: bool = True
    clip_boxes: bool = False

    def __post_init__(self) -> None:
        if self.empty_frame not in ("whole_frame", "no_box"):
            raise ValueError(f"empty_frame={self.empty_frame!r}: must be 'whole_frame' or 'no_box'")
        if not 0 < self.iou_threshold < 1:
            raise ValueError(f"iou_threshold={self.iou_threshold}: must be between 0 and 1")

    def __call__(
        self, model: object, clips: object, attribution: ArrayLike, target: object, *, boxes: ArrayLike
    ) -> dict[str, np.ndarray]:
        """Hits of N clips; the model, the clips and the target are not looked at.

        Parameters
        ----------
        attribution
            N,T,H,W.
        boxes
            N,T,4 true boxes as x_min, y_min, x_max, y_max in pixels of the map, inclusive; NaN for no box.

        Returns
        -------
        dict
            As `of_clip`, one row a clip.
        """
        found = [self.of_clip(*pair) for pair in zip(*maps_and_boxes(attribution, boxes), strict=True)]
        return {name: np.stack([row[name] for row in found]) for name in found[0]}

    def true_boxes(self, boxes: np.ndarray, geometry: Geometry, size: tuple[int, int]) -> np.ndarray:
        """Boxes (T, 4) in pixels of a video of `size` (height, width) as (T, 4) in pixels of the map; NaN for none."""
        mapped = geometry.boxes(boxes, *size)
        if self.truncate_boxes:
            mapped = np.trunc(mapped)
        if self.clip_boxes:
            outside = (mapped[..., 2:] < 0).any(-1) | (mapped[..., :2] > geometry.crop - 1).any(-1)
            mapped = np.where(outside[..., None], np.nan, np.clip(mapped, 0, geometry.crop - 1))
        return mapped

    def of_clip(self, attribution: np.ndarray, boxes: np.ndarray) -> dict[str, np.ndarray]:
        """Hits of one clip.

        Parameters
        ----------
        attribution
            (T, H, W) float, the whole clip's map; thresholds are taken over all of it.
        boxes
            (T, 4) true boxes, as in `__call__`.

        Returns
        -------
        dict
            For each rule, ``hits_{rule}`` (one bool an alpha) and ``empty_frames_{rule}`` (int, frames in which nothing
            survived).

        Raises
        ------
        ValueError
            If no frame has a box or the map is not finite.
        """
        return self.hits(self.predict(attribution), boxes)

    def predict(self, attribution: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """What each rule finds in the map (T, H, W) of one clip, whatever the truth.

        Returns
        -------
        dict
            For each rule, boxes (A, T, 4) and, as bool (A, T), the frames in which nothing survived; see `boxes_above`.

        Raises
        ------
        ValueError
            If the map is not finite.
        """
        if not np.isfinite(attribution).all():
            raise ValueError("the attribution holds NaN or infinity")
        find = largest_boxes_above if self.largest_component else boxes_above
        heat = attribution.astype(np.float64)
        return {rule: find(*_as_threshold(heat, rule, alphas)) for rule, alphas in ALPHAS.items()}

    def hits(self, predicted: dict[str, tuple[np.ndarray, np.ndarray]], boxes: np.ndarray) -> dict[str, np.ndarray]:
        """Compare what `predict` found with the true boxes (T, 4); as `of_clip`."""
        boxed = np.isfinite(boxes).all(-1)
        if not boxed.any():
            raise ValueError("no frame of this clip has a true box")
        result = {}
        for rule, (found, empty) in predicted.items():
            found = found[:, boxed] if self.inclusive else found[:, boxed] + np.array([0, 0, 1, 1])
            overlap = iou(found, boxes[boxed][None], self.inclusive)
            if self.empty_frame == "no_box":
                overlap = np.where(empty[:, boxed], 0.0, overlap)
            result[f"hits_{rule}"] = overlap.mean(-1) > self.iou_threshold
            result[f"empty_frames_{rule}"] = empty.sum(-1).astype(np.int32)
        return result


def maps_and_boxes(attribution: ArrayLike, boxes: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Maps N,T,H,W and true boxes N,T,4 as float64 arrays, also of tensors on a GPU.

    Raises
    ------
    ValueError
        If shapes do not agree, a map is not finite, or a clip has no box.
    """
    attribution, boxes = as_array(attribution).astype(np.float64), as_array(boxes).astype(np.float64)
    if boxes.shape != (*attribution.shape[:2], 4):
        raise ValueError(f"boxes {boxes.shape} do not fit the attribution {attribution.shape}; need N,T,4")
    if not np.isfinite(attribution).all():
        raise ValueError("the attribution holds NaN or infinity")
    if not np.isfinite(boxes).all(-1).any(-1).all():
        raise ValueError("no frame of this clip has a true box")
    return attribution, boxes


def visible_boxes(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Boxes (T, 4) on a map of this height and width; one that is wholly beside it is none, NaN."""
    left, top, right, bottom = boxes.T
    beside = (right < 0) | (bottom < 0) | (left > size[1] - 1) | (top > size[0] - 1)
    return np.where(beside[:, None], np.nan, boxes)


def as_array(values: ArrayLike) -> np.ndarray:
    """An array, also of a tensor on a GPU."""
    return np.asarray(values.cpu() if hasattr(values, "cpu") else values)


def _as_threshold(heat: np.ndarray, rule: str, alphas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A map and one threshold an alpha, such that ``map >= threshold`` is what the rule keeps."""
    if rule == "value":
        return heat - heat.min(), alphas * (heat.max() - heat.min())
    heat = heat - min(heat.min(), 0)
    if rule == "mean":
        return heat, alphas * heat.mean()
    order = np.argsort(-heat, axis=None, kind="stable")
    energy = np.cumsum(heat.ravel()[order])
    reached = energy[None] >= (alphas * energy[-1])[:, None]
    kept = np.where(reached.any(1), reached.argmax(1), heat.size)
    rank = np.empty(heat.size, np.int64)
    rank[order] = np.arange(heat.size)
    return -rank.reshape(heat.shape), 1 - kept


def boxes_above(heat: np.ndarray, thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tightest box around ``heat >= threshold`` in each frame.

    Parameters
    ----------
    heat
        (T, H, W).
    thresholds
        (A,).

    Returns
    -------
    boxes, empty
        (A, T, 4) float64 as x_min, y_min, x_max, y_max inclusive, the whole frame where nothing survives; and (A, T)
        bool, where that happened.
    """
    height, width = heat.shape[1:]
    # Every rule keeps the highest values, so the extremes of each row and column decide the boxes.
    cols = heat.max(1)[None] >= thresholds[:, None, None]
    rows = heat.max(2)[None] >= thresholds[:, None, None]
    empty = ~rows.any(-1)
    x_min, y_min = cols.argmax(-1), rows.argmax(-1)
    x_max, y_max = width - 1 - cols[..., ::-1].argmax(-1), height - 1 - rows[..., ::-1].argmax(-1)
    return np.stack([x_min, y_min, x_max, y_max], -1).astype(np.float64), empty


def largest_boxes_above(heat: np.ndarray, thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As `boxes_above`, of the largest 8-connected part in each frame; of equal ones the first in raster order."""
    from skimage.measure import label, regionprops  # a third of a second that most jobs save

    boxes, empty = boxes_above(heat, thresholds)
    for a, t in zip(*np.nonzero(~empty), strict=True):
        parts = regionprops(label(heat[t] >= thresholds[a], connectivity=2))
        y_min, x_min, y_end, x_end = max(parts, key=lambda part: part.area).bbox
        boxes[a, t] = x_min, y_min, x_end - 1, y_end - 1
    return boxes, empty


def iou(first: np.ndarray, second: np.ndarray, inclusive: bool = True) -> np.ndarray:
    """Intersection over union of boxes (..., 4), x_min, y_min, x_max, y_max; `inclusive`: with +1 widths."""
    low, high = np.maximum(first[..., :2], second[..., :2]), np.minimum(first[..., 2:], second[..., 2:])
    overlap = _area(np.maximum(high - low + inclusive, 0))
    areas = [_area(boxes[..., 2:] - boxes[..., :2] + inclusive) for boxes in (first, second)]
    return overlap / (areas[0] + areas[1] - overlap)


def _area(sides: np.ndarray) -> np.ndarray:
    """Of boxes by their sides (..., 2); `prod` over so few takes twice the time."""
    return sides[..., 0] * sides[..., 1]
