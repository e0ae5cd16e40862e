"""Grad-CAM (Selvaraju et al., ICCV 2017), in any number of dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from swagv.methods.explainer import Explainer

if TYPE_CHECKING:
    from torch import Tensor

    from swagv.models.classifier import VideoClassifier


@dataclass(frozen=True)
class GradCam(Explainer):
    """relu(sum_k w_k A_k) with w_k the mean of dS_c/dA_k over positions; trilinear upsampling.

    Parameters
    ----------
    layer
        Dotted name; the model's own `cam_layer` where empty.
    """

    layer: str = ""

    def check(self, model: VideoClassifier) -> None:
        """As `Explainer.check`: the layer must exist."""
        model.layer(self.layer or model.cam_layer)

    def __call__(
        self, model: VideoClassifier, clips: Tensor, target: Tensor, clip_ids: Sequence[str] | None = None
    ) -> Tensor:
        """Attribution N,T,H,W; see the class."""
        activation, gradient = layer_gradient(model, clips, target, self.layer or model.cam_layer)
        weight = gradient.flatten(2).mean(-1)
        cam = (weight[(...,) + (None,) * (activation.ndim - 2)] * activation).sum(1).relu()
        return upsample(cam, tuple(clips.shape[2:]))


def layer_gradient(model: VideoClassifier, clips: Tensor, target: Tensor, layer: str) -> tuple[Tensor, Tensor]:
    """Output A of a layer, N,K,t,h,w, and the gradient of the target's logit with respect to it.

    Raises
    ------
    NotApplicable
        If there is no such layer, the network does not use it, or it does not give a map in time and space.
    """
    import torch

    from swagv.errors import NotApplicable

    captured: list[Tensor] = []

    def capture(module: torch.nn.Module, args: tuple, output: Tensor) -> Tensor:
        captured.append(output.detach().requires_grad_(True))
        return captured[-1]

    handle = model.layer(layer).register_forward_hook(capture)
    try:
        with torch.enable_grad():
            score = model(clips).gather(1, target[:, None]).sum()
            if not captured or captured[-1].ndim != 5:
                given = f"gives {tuple(captured[-1].shape)}" if captured else "is not used"
                raise NotApplicable(f"layer {layer!r} {given}; a map in time and space, N,K,t,h,w, is needed")
            gradient = torch.autograd.grad(score, captured[-1])[0]
    finally:
        handle.remove()
    return captured[-1].detach(), gradient


def upsample(maps: Tensor, size: tuple[int, ...]) -> Tensor:
    """Maps N,t,h,w to N,T,H,W, trilinear, half-pixel centres (``align_corners=False``)."""
    import torch

    return torch.nn.functional.interpolate(maps[:, None], size=size, mode="trilinear", align_corners=False)[:, 0]
