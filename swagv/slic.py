"""SLIC supervoxels of colour and gradient (SWAG-V, Eq. 3), through scikit-image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

FEATURES = ("image", "image+gradient", "gradient")
# Labels are uint16, and connectivity makes more supervoxels than are asked for.
MAX_SEGMENTS = 20_000


@dataclass(frozen=True)
class Supervoxels:
    """One clip's supervoxels.

    Parameters
    ----------
    labels
        (T, H, W) uint16 from 0.
    n_seeded
        Clusters that SLIC's regular grid starts from; `n_segments` is only a hint for it.
    n_final
        Supervoxels after connectivity is enforced.
    """

    labels: np.ndarray
    n_seeded: int
    n_final: int


def slic_supervoxels(
    frames: np.ndarray | None,
    gradient: np.ndarray | None,
    features: str,
    n_segments: int,
    w_color: float,
    w_grad: float,
    spacing: float = 1.0,
    per_frame: bool = False,
) -> Supervoxels:
    """Cluster the voxels of one clip.

    Parameters
    ----------
    frames
        (T, H, W, 3) uint8 RGB after resize and crop; unused for ``features="gradient"``.
    gradient
        (T, H, W) pixel attribution; unused for ``features="image"``.
    features
        ``"image"``, ``"image+gradient"`` or ``"gradient"``.
    n_segments
        Requested number; SLIC's seed grid and connectivity make it fewer or more.
    w_color, w_grad
        Eq. 3: D'^2 = (d_c/w_color)^2 + (d_s/S)^2 + (d_g/w_grad)^2, d_c in CIE Lab, d_g with the gradient of the clip
        mapped to [0, 100].
    spacing
        Length of a step in time relative to one in space; above 1 makes supervoxels shorter in time.
    per_frame
        Cluster each frame on its own into `n_segments` superpixels, as SWAG does (the 2-D original); counts are then
        those of the whole clip.

    Raises
    ------
    ValueError
        If the gradient holds NaN or infinity, or there are more supervoxels than uint16 can number.
    """
    stacked = weighted_features(frames, gradient, features, w_color, w_grad)
    parts = np.split(stacked, len(stacked)) if per_frame else [stacked]
    labels, n_seeded, n_final = [], 0, 0
    for part in parts:
        found = _cluster(part, n_segments, spacing)
        labels.append(found + n_final)
        n_seeded += _seeds(found.shape, n_segments)
        n_final += int(found.max()) + 1
    if n_final > np.iinfo(np.uint16).max + 1:
        raise ValueError(f"{n_final} supervoxels from n_segments={n_segments}: at most 65536 can be kept")
    return Supervoxels(np.concatenate(labels).astype(np.uint16), n_seeded, n_final)


def weighted_features(
    frames: np.ndarray | None, gradient: np.ndarray | None, features: str, w_color: float, w_grad: float
) -> np.ndarray:
    """[Lab / w_color, gradient / w_grad], (T, H, W, channels) float64, of the features that take part."""
    from skimage.color import rgb2lab

    channels = []
    if "image" in features:
        channels.append(rgb2lab(frames / 255.0) / w_color)
    if "gradient" in features:
        channels.append(_to_lightness_range(gradient)[..., None] / w_grad)
    return np.concatenate(channels, -1).astype(np.float64)


def _cluster(stacked: np.ndarray, n_segments: int, spacing: float, **options: Any) -> np.ndarray:
    """Labels (T, H, W) of weighted features (T, H, W, channels); one frame alone is clustered in two dimensions."""
    from skimage.segmentation import slic

    spread = stacked.max() - stacked.min()
    # slic rescales the whole array to [0, 1]; this compactness undoes it exactly, so that Eq. 3 holds as written.
    return slic(
        stacked,
        n_segments=n_segments,
        compactness=1 / spread if spread > 0 else 1.0,
        convert2lab=False,
        channel_axis=-1,
        start_label=0,
        spacing=(spacing, 1, 1),
        **options,
    )


def _seeds(shape: tuple[int, ...], n_segments: int) -> int:
    from skimage.util import regular_grid

    return int(np.zeros(shape, bool)[regular_grid(shape, n_segments)].size)


def _to_lightness_range(gradient: np.ndarray) -> np.ndarray:
    gradient = gradient.astype(np.float64)
    if not np.isfinite(gradient).all():
        raise ValueError("the gradient holds NaN or infinity")
    low, high = gradient.min(), gradient.max()
    return np.zeros_like(gradient) if high == low else (gradient - low) / (high - low) * 100
