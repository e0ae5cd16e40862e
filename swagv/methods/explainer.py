"""What a method is: settings in, attribution out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from swagv.errors import ConfigError
from swagv.forward_passes import Passes

if TYPE_CHECKING:
    from torch import Tensor

    from swagv.models.classifier import VideoClassifier


@dataclass(frozen=True)
class Explainer:
    """Base of all methods; the fields of a subclass are its keys in the configuration.

    Calling it gives the attribution N,T,H,W float32 of clips N,C,T,H,W: signed, not normalised. `clip_ids` seeds what
    is random. Raises `swagv.errors.NotApplicable` where method and network do not go together.

    Modules of methods import torch only inside functions: the workflow reads settings without it.
    """

    def __call__(
        self, model: VideoClassifier, clips: Tensor, target: Tensor, clip_ids: Sequence[str] | None = None
    ) -> Tensor:
        """Attribution N,T,H,W of the classes `target` (N,) int64."""
        raise TypeError(f"{type(self).__name__} does not say how to explain")

    def passes(self, shape: tuple[int, int, int]) -> Passes | None:
        """Passes of the network that calling it takes for each clip of `shape` (T,H,W); None where it does not say."""
        return None

    def layout(self) -> dict[str, str]:
        """How its maps are stored, as the attributes of `swagv.explanations`; nothing for the maps themselves."""
        return {}

    def check(self, model: VideoClassifier) -> None:
        """Raise `swagv.errors.NotApplicable` where no clip of this model can be explained, whatever it shows."""


@dataclass(frozen=True)
class PixelAttribution(Explainer):
    """A method with a value of its own for every voxel, which SWAG-V can average over supervoxels."""


@dataclass(frozen=True)
class GradientAttribution(PixelAttribution):
    """A pixel attribution made from a gradient N,C,T,H,W.

    Parameters
    ----------
    reduce
        How R, G and B become one value: ``max_abs``, ``sum_abs`` or ``mean_abs``, of their magnitudes, or
        ``signed_sum``, which alone tells for from against.
    """

    reduce: str = "max_abs"

    def __post_init__(self) -> None:
        if self.reduce not in REDUCTIONS:
            raise ValueError(f"reduce={self.reduce!r}: must be one of {', '.join(REDUCTIONS)}")


REDUCTIONS = ("max_abs", "sum_abs", "mean_abs", "signed_sum")


def reduce_channels(gradient: Tensor, how: str) -> Tensor:
    """One value a voxel: N,C,T,H,W to N,T,H,W."""
    if how == "signed_sum":
        return gradient.sum(1)
    magnitude = gradient.abs()
    return {"max_abs": magnitude.amax, "sum_abs": magnitude.sum, "mean_abs": magnitude.mean}[how](1)


def random_generator(clip_id: str, seed: int) -> np.random.Generator:
    """What is random about one clip is drawn from its id: neither batches, shards nor order change it."""
    digest = hashlib.sha256(f"{seed}/{clip_id}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


def names_of(clips: Tensor, clip_ids: Sequence[str] | None) -> Sequence[str]:
    """The ids that seed what is random; the clips' places in the batch where none are given.

    Raises
    ------
    ConfigError
        If there are not as many ids as clips.
    """
    if clip_ids is None:
        return [str(index) for index in range(len(clips))]
    if len(clip_ids) != len(clips):
        raise ConfigError(f"{len(clip_ids)} clip_ids for {len(clips)} clips; give one for each")
    return list(clip_ids)
