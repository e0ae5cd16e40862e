"""Resize and centre crop of frames and boxes: the one map from a video's pixels to a network's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_LONGEST_SIDE = 16_384  # pixels; one clip of such frames is more than memory holds


@dataclass(frozen=True)
class Geometry:
    """Resize, then centre crop; true boxes go through the same map.

    Parameters
    ----------
    resize
        ``(height, width)`` in pixels, whatever the aspect ratio; or one number, the length of the short side, which
        keeps the aspect ratio.
    crop
        Side of the square cut from the centre, in pixels.

    Notes
    -----
    The default is that of the 112-pixel networks (torchvision's and VMZ's): 128x171 bilinear without antialiasing,
    then 112x112 at offset (y 8, x 30). Where the centre falls between two offsets the even one is taken, as by
    torchvision: x 30 for (171 - 112) / 2 = 29.5, but x 58 for (341 - 224) / 2 = 58.5.
    """

    resize: tuple[int, int] | int = (128, 171)
    crop: int = 112

    def __post_init__(self) -> None:
        sides = [self.resize] if isinstance(self.resize, int) else list(self.resize)
        if self.crop < 1 or min(sides) < self.crop:
            raise ValueError(f"resize={self.resize}, crop={self.crop}: the crop must be at least 1 and fit the resize")
        if max(sides) > _LONGEST_SIDE:
            raise ValueError(f"resize={self.resize}: a side must be at most {_LONGEST_SIDE} pixels")

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """Size (height, width) of a frame after the resize and before the crop."""
        if isinstance(self.resize, int):
            short = min(height, width)
            return int(self.resize * height / short), int(self.resize * width / short)
        return tuple(self.resize)

    def offset(self, height: int, width: int) -> tuple[int, int]:
        """Top-left corner (y, x) of the crop in a resized frame of a video of this size."""
        resized_height, resized_width = self.resized(height, width)
        return round((resized_height - self.crop) / 2), round((resized_width - self.crop) / 2)

    def frames(self, frames: np.ndarray) -> np.ndarray:
        """Map frames (..., H, W, 3) uint8 to (..., crop, crop, 3) uint8.

        Raises
        ------
        ValueError
            If the array is not uint8 RGB.
        """
        if frames.dtype != np.uint8 or frames.shape[-1] != 3:
            raise ValueError(f"frames must be uint8 (..., H, W, 3); got {frames.dtype} {frames.shape}")
        height, width = frames.shape[-3:-1]
        size = self.resized(height, width)
        y, x = self.offset(height, width)
        rows = _bilinear_taps(height, size[0])
        cols = _bilinear_taps(width, size[1])
        out = _gather(frames, [tap[y : y + self.crop] for tap in rows], axis=-3)
        out = _gather(out, [tap[x : x + self.crop] for tap in cols], axis=-2)
        return np.rint(out).astype(np.uint8)

    def boxes(self, boxes: np.ndarray, height: int, width: int) -> np.ndarray:
        """Map boxes (..., 4) as x_min, y_min, x_max, y_max of a height x width video into the crop.

        Nothing is rounded or clipped to the crop. NaN marks a frame without a box and stays NaN.
        """
        resized_height, resized_width = self.resized(height, width)
        y, x = self.offset(height, width)
        scale = np.array([resized_width / width, resized_height / height] * 2)
        return np.asarray(boxes, np.float64) * scale - np.array([x, y, x, y])


def _bilinear_taps(size_in: int, size_out: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lower neighbour, upper neighbour and upper weight of each output pixel (half-pixel centres)."""
    position = np.clip((np.arange(size_out) + 0.5) * (size_in / size_out) - 0.5, 0, size_in - 1)
    lower = np.floor(position).astype(np.intp)
    return lower, np.minimum(lower + 1, size_in - 1), (position - lower).astype(np.float32)


def _gather(array: np.ndarray, taps: list[np.ndarray], axis: int) -> np.ndarray:
    lower, upper, weight = taps
    weight = weight.reshape((-1,) + (1,) * (-axis - 1))
    low = np.take(array, lower, axis).astype(np.float32)
    return low + (np.take(array, upper, axis).astype(np.float32) - low) * weight
