"""SWAG-V (Hartley et al., WACV 2022): pixel attribution, supervoxels, mean per supervoxel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from swagv.errors import ConfigError, NotApplicable
from swagv.forward_passes import Passes
from swagv.methods.explainer import REDUCTIONS, Explainer, GradientAttribution, PixelAttribution
from swagv.pooling import mean_per_supervoxel
from swagv.slic import FEATURES, MAX_SEGMENTS, slic_supervoxels_of

if TYPE_CHECKING:
    from torch import Tensor

    from swagv.models.classifier import VideoClassifier


@dataclass(frozen=True)
class Recipe:
    """How supervoxels are made. Recipes on the image alone know no network and are shared by all.

    A weight that the features do not use is 0.
    """

    features: str
    n_segments: int
    w_color: float
    w_grad: float
    spacing: float
    per_frame: bool
    connected: bool

    def __str__(self) -> str:
        numbers = {"wc": self.w_color, "wg": self.w_grad, "s": self.spacing if self.spacing != 1 else 0}
        named = [f"{name}{number!r}".removesuffix(".0") for name, number in numbers.items() if number]
        flags = [*["per_frame"] * self.per_frame, *["unconnected"] * (not self.connected)]
        return "-".join([self.features, f"n{self.n_segments}", *named, *flags])


@dataclass(frozen=True)
class SwagV(Explainer):
    """Supervoxels scored by the mean of a pixel attribution.

    Parameters
    ----------
    attribution
        What is averaged: the name of a pixel attribution, with its own defaults, or its object path.
    reduce
        How its three channels become one value a voxel, where it is a gradient: ``max_abs``, ``sum_abs``, ``mean_abs``
        or ``signed_sum``.
    features
        What SLIC clusters: ``"image"``, ``"image+gradient"`` or ``"gradient"``.
    n_segments
        Supervoxels that are asked for; SLIC's seed grid and connectivity make it fewer or more.
    w_color, w_grad
        How far apart colours and gradients may be: D'^2 = (d_c/w_color)^2 + (d_s/S)^2 + (d_g/w_grad)^2, d_c in CIE Lab,
        d_g with the gradient of the clip mapped to [0, 100]. The larger, the less it counts.
    spacing
        Length of a step in time relative to one in space; above 1 makes supervoxels shorter in time.
    per_frame
        Cluster each frame on its own into `n_segments` superpixels, as SWAG does.
    connected
        Enforce connectivity, by scikit-image's rule; otherwise the clusters of k-means as they are.
    """

    attribution: str = "guided_backprop"
    reduce: str = "max_abs"
    features: str = "image+gradient"
    n_segments: int = 120
    w_color: float = 20.0
    w_grad: float = 9.0
    spacing: float = 1.0
    per_frame: bool = False
    connected: bool = True

    def __post_init__(self) -> None:
        if self.features not in FEATURES:
            raise ValueError(f"features={self.features!r}: must be one of {', '.join(FEATURES)}")
        for name in ("n_segments", "w_color", "w_grad", "spacing"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}={getattr(self, name)!r}: must be greater than 0")
        if self.n_segments > MAX_SEGMENTS:
            raise ValueError(f"n_segments={self.n_segments}: must be at most {MAX_SEGMENTS}")
        if self.reduce not in REDUCTIONS:
            raise ValueError(f"reduce={self.reduce!r}: must be one of {', '.join(REDUCTIONS)}")

    @property
    def recipe(self) -> Recipe:
        """The part of the settings that decides the supervoxels."""
        w_color = float(self.w_color) if "image" in self.features else 0.0
        w_grad = float(self.w_grad) if "gradient" in self.features else 0.0
        spacing = float(self.spacing)
        return Recipe(self.features, self.n_segments, w_color, w_grad, spacing, self.per_frame, self.connected)

    @property
    def pixels(self) -> PixelAttribution:
        """The pixel attribution that is averaged.

        Raises
        ------
        ConfigError
            If `attribution` names another kind of method, or one that `reduce` means nothing to.
        """
        from swagv.catalogue import METHODS

        cls = METHODS.load(self.attribution)
        if not (isinstance(cls, type) and issubclass(cls, PixelAttribution)):
            raise ConfigError(f"{self.attribution!r} is not a pixel attribution")
        if issubclass(cls, GradientAttribution):
            return cls(reduce=self.reduce)
        if self.reduce != "max_abs":
            raise ConfigError(f"reduce={self.reduce!r}: {self.attribution!r} has one channel; leave reduce out")
        return cls()

    def check(self, model: VideoClassifier) -> None:
        """As `Explainer.check`: that of its pixel attribution; superpixels of all frames must have labels enough."""
        if self.per_frame and self.n_segments * model.clip_len > MAX_SEGMENTS:
            raise NotApplicable(
                f"n_segments={self.n_segments} in each of {model.clip_len} frames: at most {MAX_SEGMENTS} in all"
            )
        self.pixels.check(model)

    def passes(self, shape: tuple[int, int, int]) -> Passes | None:
        """As `Explainer.passes`: those of its pixel attribution, which a workflow takes from its cache."""
        return self.pixels.passes(shape)

    def __call__(
        self, model: VideoClassifier, clips: Tensor, target: Tensor, clip_ids: Sequence[str] | None = None
    ) -> Tensor:
        """Attribution N,T,H,W; see the class."""
        return self.with_labels(model, clips, target, clip_ids)[0]

    def with_labels(
        self, model: VideoClassifier, clips: Tensor, target: Tensor, clip_ids: Sequence[str] | None = None
    ) -> tuple[Tensor, np.ndarray]:
        """Attribution N,T,H,W and the supervoxels that it is the same in, uint16 of that shape, from 0."""
        import torch

        attribution = self.pixels(model, clips, target, clip_ids).cpu().numpy()
        frames, threads = model.frames(clips), torch.get_num_threads()
        found = slic_supervoxels_of(frames, attribution, **asdict(self.recipe), threads=threads)
        labels = [one.labels for one in found]
        maps = [mean_per_supervoxel(*pair) for pair in zip(attribution, labels, strict=True)]
        return torch.from_numpy(np.stack(maps)).to(clips.device), np.stack(labels)


swag_i = partial(SwagV, features="image", n_segments=300, w_color=10.0, per_frame=True)
swagv_i = partial(SwagV, features="image", w_color=10.0)
swagv_ig = partial(SwagV, features="image+gradient")
swagv_g = partial(SwagV, features="gradient", w_grad=10.0)
