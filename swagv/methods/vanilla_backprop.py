"""The plain gradient (Simonyan et al., ICLR workshop 2014)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from swagv.forward_passes import Passes
from swagv.methods.explainer import GradientAttribution, reduce_channels

if TYPE_CHECKING:
    from torch import Tensor

    from swagv.models.classifier import VideoClassifier


@dataclass(frozen=True)
class VanillaBackprop(GradientAttribution):
    """Gradient of the target's logit, dS_c/dx; its magnitude unless `reduce` keeps the sign."""

    def passes(self, shape: tuple[int, int, int]) -> Passes:
        """As `Explainer.passes`."""
        return Passes(1, 1)

    def __call__(
        self, model: VideoClassifier, clips: Tensor, target: Tensor, clip_ids: Sequence[str] | None = None
    ) -> Tensor:
        """Attribution N,T,H,W; see the class."""
        return reduce_channels(gradient(model, clips, target), self.reduce)


def gradient(model: VideoClassifier, clips: Tensor, target: Tensor) -> Tensor:
    """Gradient N,C,T,H,W of the logits `target` (N,) int64 with respect to clips N,C,T,H,W."""
    import torch

    clips = clips.detach().requires_grad_(True)
    with torch.enable_grad():
        score = model(clips).gather(1, target[:, None]).sum()
        return torch.autograd.grad(score, clips)[0]
