"""Input x gradient (Shrikumar et al., 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from swagv.forward_passes import Passes
from swagv.methods.explainer import GradientAttribution, reduce_channels
from swagv.methods.vanilla_backprop import gradient

if TYPE_CHECKING:
    from torch import Tensor

    from swagv.models.classifier import VideoClassifier


@dataclass(frozen=True)
class InputXGradient(GradientAttribution):
    """x * dS_c/dx, x the preprocessed clip."""

    def passes(self, shape: tuple[int, int, int]) -> Passes:
        """As `Explainer.passes`."""
        return Passes(1, 1)

    def __call__(
        self, model: VideoClassifier, clips: Tensor, target: Tensor, clip_ids: Sequence[str] | None = None
    ) -> Tensor:
        """Attribution N,T,H,W; see the class."""
        return reduce_channels(clips * gradient(model, clips, target), self.reduce)
