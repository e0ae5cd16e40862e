"""SLIC supervoxels of colour and gradient (SWAG-V, Eq. 3): scikit-image's, by a faster engine."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

FEATURES = ("image", "image+gradient", "gradient")
# Labels are uint16, and connectivity makes more supervoxels than are asked for.
MAX_SEGMENTS = 20_000
ITERATIONS = 10
ENGINES = ("auto", "scikit-image", "numba", "torch", "torch_float32")
_PRECISION = {"torch": "float64", "torch_float32": "float32"}


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
        Supervoxels in the end, after connectivity is enforced.
    """

    labels: np.ndarray
    n_seeded: int
    n_final: int


@dataclass(frozen=True)
class Grid:
    """SLIC's seeds, as scikit-image places them.

    Parameters
    ----------
    shape
        T, H, W.
    seeds
        Their places along each axis; cluster k is the k-th combination in raster order.
    step
        S of Eq. 3, the largest distance between seeds along an axis.
    reach
        Along each axis, how far a cluster looks for voxels: twice the step.
    """

    shape: tuple[int, ...]
    seeds: tuple[np.ndarray, ...]
    step: float
    reach: tuple[int, ...]

    @classmethod
    def of(cls, shape: tuple[int, ...], n_segments: int) -> Grid:
        """Of about `n_segments` seeds."""
        from skimage.util import regular_grid

        slices = regular_grid(shape, n_segments)
        seeds = tuple(np.arange(size)[axis] for size, axis in zip(shape, slices, strict=True))
        windows = regular_grid(shape, int(np.prod([len(axis) for axis in seeds])))
        step = float(max(axis.step or 1 for axis in slices))
        return cls(shape, seeds, step, tuple(2 * (axis.step or 1) for axis in windows))

    @property
    def n_seeds(self) -> int:
        """Clusters that k-means starts from."""
        return int(np.prod([len(axis) for axis in self.seeds]))

    def nearest_seed(self) -> np.ndarray:
        """Labels (T, H, W) int64 of the first iteration, in which all clusters have the same colour: the nearest seed.

        Squared distances add up over the axes, so the nearest seed is the nearest along each; ties go to the first.
        """
        places = zip(self.shape, self.seeds, strict=True)
        z, y, x = (np.abs(np.arange(size)[:, None] - seeds).argmin(1) for size, seeds in places)
        return (z[:, None, None] * len(self.seeds[1]) + y[:, None]) * len(self.seeds[2]) + x


def slic_supervoxels(
    frames: np.ndarray | None,
    gradient: np.ndarray | None,
    features: str,
    n_segments: int,
    w_color: float,
    w_grad: float,
    spacing: float = 1.0,
    per_frame: bool = False,
    connected: bool = True,
    engine: str = "auto",
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
    connected
        Enforce connectivity, by scikit-image's rule; otherwise the clusters of k-means as they are.
    engine
        Of `ENGINES`. ``"scikit-image"`` is the reference; ``"numba"``, which ``"auto"`` takes, finds its very labels;
        ``"torch"`` finds them up to ties, for many clips at a time on a GPU; ``"torch_float32"`` is faster there and
        changes a few labels.

    Raises
    ------
    ValueError
        If the gradient holds NaN or infinity, or there are more supervoxels than uint16 can number.
    """
    recipe = {"features": features, "n_segments": n_segments, "w_color": w_color, "w_grad": w_grad}
    recipe |= {"spacing": spacing, "per_frame": per_frame, "connected": connected}
    return slic_supervoxels_of([frames], [gradient], **recipe, engine=engine)[0]


def slic_supervoxels_of(
    frames: Sequence[np.ndarray | None],
    gradients: Sequence[np.ndarray | None],
    features: str,
    n_segments: int,
    w_color: float,
    w_grad: float,
    spacing: float = 1.0,
    per_frame: bool = False,
    connected: bool = True,
    engine: str = "auto",
    threads: int = 1,
    device: str = "auto",
) -> list[Supervoxels]:
    """As `slic_supervoxels`, for many clips of one shape, of which each sees only itself.

    Parameters
    ----------
    frames, gradients
        One a clip; None where the features do not use them.
    threads
        Clips that the CPU works on at a time.
    device
        Where the torch engines run: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
    """
    if engine not in ENGINES:
        raise ValueError(f"engine={engine!r}: must be one of {', '.join(ENGINES)}")

    def prepared(frames: np.ndarray | None, gradient: np.ndarray | None) -> list[np.ndarray]:
        stacked = weighted_features(frames, gradient, features, w_color, w_grad)
        return np.split(stacked, stacked.shape[1], 1) if per_frame else [stacked]

    def finished(clusters: Sequence[np.ndarray]) -> Supervoxels:
        n_seeds = Grid.of(clusters[0].shape, n_segments).n_seeds
        return _numbered(
            [enforce_connectivity(one, n_seeds) if connected else _gapless(one) for one in clusters], n_seeds
        )

    def whole(frames: np.ndarray | None, gradient: np.ndarray | None) -> Supervoxels:
        return finished([cluster(part, n_segments, spacing, engine) for part in prepared(frames, gradient)])

    with ThreadPoolExecutor(threads) as pool:
        if not engine.startswith("torch") or not len(frames):
            return list(pool.map(whole, frames, gradients))
        from swagv.slic_torch import cluster_batch

        parts = list(pool.map(prepared, frames, gradients))
        stacked = np.stack([rescaled(part) for clip in parts for part in clip])
        grid = Grid.of(stacked.shape[2:], n_segments)
        clusters = cluster_batch(stacked, grid, spacing, ITERATIONS, device, _PRECISION[engine])
        return list(pool.map(finished, clusters.reshape(len(parts), -1, *clusters.shape[1:])))


def cluster(
    features: np.ndarray, n_segments: int, spacing: float, engine: str = "auto", iterations: int = ITERATIONS
) -> np.ndarray:
    """Labels (T, H, W) of k-means, before connectivity, of weighted features (channels, T, H, W); see Eq. 3."""
    if engine == "scikit-image":
        return scikit_image(features, n_segments, spacing, max_num_iter=iterations, enforce_connectivity=False)
    grid = Grid.of(features.shape[1:], n_segments)
    if engine.startswith("torch"):
        from swagv.slic_torch import cluster_batch

        return cluster_batch(rescaled(features)[None], grid, spacing, iterations, precision=_PRECISION[engine])[0]
    from swagv.slic_numba import cluster as compiled

    return compiled(rescaled(features), grid, spacing, iterations)


def scikit_image(features: np.ndarray, n_segments: int, spacing: float, **options: Any) -> np.ndarray:
    """The reference: labels (T, H, W) of weighted features (channels, T, H, W) by `skimage.segmentation.slic`."""
    from skimage.segmentation import slic

    spread = features.max() - features.min()
    # slic rescales the whole array to [0, 1]; this compactness undoes it exactly, so that Eq. 3 holds as written.
    return slic(
        np.ascontiguousarray(np.moveaxis(features, 0, -1)),
        n_segments=n_segments,
        compactness=1 / spread if spread > 0 else 1.0,
        convert2lab=False,
        channel_axis=-1,
        start_label=0,
        spacing=(spacing, 1, 1),
        **options,
    )


def rescaled(features: np.ndarray) -> np.ndarray:
    """Features as `scikit_image` clusters them: stretched to [0, 1] and back, with the same roundings."""
    low = features.min()
    spread = features.max() - low
    scaled = features - low
    if spread > 0:
        scaled /= spread
        scaled *= 1 / (1 / spread)
    return scaled


def enforce_connectivity(labels: np.ndarray, n_seeds: int) -> np.ndarray:
    """Labels (T, H, W) of connected supervoxels, of half to three times the mean size of a seed's, as scikit-image."""
    from swagv.slic_numba import connect

    mean_size = labels.size / n_seeds
    return connect(labels.astype(np.int32), int(0.5 * mean_size), int(3 * mean_size))


def weighted_features(
    frames: np.ndarray | None, gradient: np.ndarray | None, features: str, w_color: float, w_grad: float
) -> np.ndarray:
    """[Lab / w_color, gradient / w_grad], (channels, T, H, W) float64, of the features that take part."""
    channels = []
    if "image" in features:
        channels.append(lab(frames) / w_color)
    if "gradient" in features:
        channels.append(_to_lightness_range(gradient)[None] / w_grad)
    return np.concatenate(channels)


def lab(frames: np.ndarray) -> np.ndarray:
    """CIE Lab (3, ...) float64 of uint8 RGB (..., 3): `skimage.color.rgb2lab`, digit for digit, in a third of the time.

    Of 256 values the power is looked up, and channels stand apart.
    """
    from skimage.color import xyz_tristimulus_values
    from skimage.color.colorconv import xyz_from_rgb

    value = np.arange(256) / 255
    linear = np.where(value > 0.04045, ((value + 0.055) / 1.055) ** 2.4, value / 12.92)
    # Line by line: of all voxels at once BLAS would make a product for all cores, which wait for each other.
    xyz = np.take(linear, frames) @ xyz_from_rgb.T
    xyz = np.ascontiguousarray(xyz.reshape(-1, 3).T)
    xyz /= xyz_tristimulus_values(illuminant="D65", observer="2", dtype=float)[:, None]
    dark = np.nonzero(xyz <= 0.008856)
    of_dark = 7.787 * xyz[dark] + 16 / 116
    x, y, z = np.cbrt(xyz, out=xyz)
    xyz[dark] = of_dark
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)]).reshape(3, *frames.shape[:-1])


def _numbered(parts: Sequence[np.ndarray], n_seeds: int) -> Supervoxels:
    """The supervoxels of the parts of a clip, clustered one by one, numbered through."""
    counts = [int(part.max()) + 1 for part in parts]
    if sum(counts) > np.iinfo(np.uint16).max + 1:
        raise ValueError(f"{sum(counts)} supervoxels: at most 65536 can be kept; ask for fewer segments")
    firsts = np.cumsum([0, *counts[:-1]])
    labels = np.concatenate([part + first for part, first in zip(parts, firsts, strict=True)])
    return Supervoxels(labels.astype(np.uint16), n_seeds * len(parts), sum(counts))


def _gapless(labels: np.ndarray) -> np.ndarray:
    """Labels from 0, without those of clusters that have lost all voxels."""
    return np.unique(labels, return_inverse=True)[1].reshape(labels.shape)


def _to_lightness_range(gradient: np.ndarray) -> np.ndarray:
    gradient = gradient.astype(np.float64)
    if not np.isfinite(gradient).all():
        raise ValueError("the gradient holds NaN or infinity")
    low, high = gradient.min(), gradient.max()
    return np.zeros_like(gradient) if high == low else (gradient - low) / (high - low) * 100
