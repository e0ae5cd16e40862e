"""Guided backprop (Springenberg et al., ICLR workshop 2015) for every spelling of ReLU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from swagv.forward_passes import Passes
from swagv.methods.explainer import GradientAttribution, reduce_channels

if TYPE_CHECKING:
    from torch import Tensor

    from swagv.models.classifier import VideoClassifier

NO_RELU = (
    "guided backprop needs a network with ReLU; this one calls none. SWAG-V can average another attribution: "
    "attribution=vanilla_backprop"
)


@dataclass(frozen=True)
class GuidedBackprop(GradientAttribution):
    """Gradient of the target's logit, where each ReLU passes back only positive gradients of positive inputs.

    At every ReLU: grad_in = relu(grad_out) * [x > 0].
    """

    def check(self, model: VideoClassifier) -> None:
        """As `Explainer.check`: the network must call a ReLU."""
        import torch

        from swagv.errors import NotApplicable
        from swagv.methods.guided_relu import GuidedReLU

        with torch.inference_mode(), GuidedReLU() as guided:
            model(torch.zeros(1, 3, model.clip_len, model.crop, model.crop, device=model.mean.device))
        if guided.calls == 0:
            raise NotApplicable(NO_RELU)

    def passes(self, shape: tuple[int, int, int]) -> Passes:
        """As `Explainer.passes`."""
        return Passes(1, 1)

    def __call__(
        self, model: VideoClassifier, clips: Tensor, target: Tensor, clip_ids: Sequence[str] | None = None
    ) -> Tensor:
        """Attribution N,T,H,W; see the class."""
        return reduce_channels(guided_gradient(model, clips, target), self.reduce)


def guided_gradient(model: VideoClassifier, clips: Tensor, target: Tensor) -> Tensor:
    """Guided gradient N,C,T,H,W of the logits `target` (N,) with respect to the clips.

    The forward pass runs under a function mode that swaps ``nn.ReLU``, ``F.relu``, ``torch.relu``, ``Tensor.relu`` and
    their in-place forms; the model itself is never touched.

    Raises
    ------
    NotApplicable
        If the network calls no ReLU, where the answer would silently be the plain gradient.
    """
    import torch

    from swagv.errors import NotApplicable
    from swagv.methods.guided_relu import GuidedReLU

    clips = clips.detach().requires_grad_(True)
    with torch.enable_grad(), GuidedReLU() as guided:
        logits = model(clips)
        if guided.calls == 0:
            raise NotApplicable(NO_RELU)
        score = logits.gather(1, target[:, None]).sum()
        return torch.autograd.grad(score, clips)[0]
