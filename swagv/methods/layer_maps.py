"""What the CAM family shares: a layer's output and gradient, and the way from its resolution to the clip's."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from swagv.errors import NotApplicable
from swagv.methods.explainer import Explainer
from swagv.upsampling import UPSAMPLINGS, upsample

if TYPE_CHECKING:
    from torch import Tensor

    from swagv.models.classifier import VideoClassifier

_NEEDED = (
    "a map in time and space, N,K,t,h,w, is needed. Choose another layer, or give the network a `reshape` that makes "
    "one of what this layer gives"
)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LayerMap(Explainer):
    """A map at the resolution of a layer, upsampled to the clip's.

    Parameters
    ----------
    layer
        Dotted name; the model's own `cam_layer` where empty, and where it names none `last_map`. What a layer of a
        transformer gives goes through the model's `reshape`.
    upsampling
        ``"trilinear"`` with half-pixel centres (``align_corners=False``), or ``"scipy_cubic"``, SciPy's zoom with cubic
        splines, as the Saliency Tubes authors and pytorch-grad-cam do.
    """

    layer: str = ""
    upsampling: str = "trilinear"

    def __post_init__(self) -> None:
        if self.upsampling not in UPSAMPLINGS:
            raise ValueError(f"upsampling={self.upsampling!r}: must be one of {', '.join(UPSAMPLINGS)}")

    def check(self, model: VideoClassifier) -> None:
        """As `Explainer.check`: explains one blank clip at the layer's resolution."""
        import torch

        blank = torch.zeros(1, 3, model.clip_len, model.crop, model.crop, device=model.mean.device)
        self.layer_map(model, blank, torch.zeros(1, dtype=torch.long, device=blank.device))

    def layout(self) -> dict[str, str]:
        """As `Explainer.layout`: the layer's maps, unless a subclass does more with them than to upsample."""
        only_upsampled = type(self).__call__ is LayerMap.__call__
        return {"layout": "layer", "upsampling": self.upsampling} if only_upsampled else {}

    def layer_map(self, model: VideoClassifier, clips: Tensor, target: Tensor) -> Tensor:
        """The map N,t,h,w before upsampling."""
        raise TypeError(f"{type(self).__name__} does not say what its map is")

    def __call__(
        self, model: VideoClassifier, clips: Tensor, target: Tensor, clip_ids: Sequence[str] | None = None
    ) -> Tensor:
        """Attribution N,T,H,W; see the class."""
        return upsample(self.layer_map(model, clips, target), tuple(clips.shape[2:]), self.upsampling)


def layer_gradient(model: VideoClassifier, clips: Tensor, target: Tensor, layer: str) -> tuple[Tensor, Tensor]:
    """Output A of a layer, N,K,t,h,w, and the target logit's gradient there.

    Raises
    ------
    NotApplicable
        As `layer_output`.
    """
    import torch

    layer = layer or model.cam_layer or last_map(model, clips)
    with torch.enable_grad():
        output, logits = _captured(model, clips, layer)
        score = logits.gather(1, target[:, None]).sum()
        gradient = torch.autograd.grad(score, output, allow_unused=True)[0] if score.requires_grad else None
    if gradient is None:
        raise NotApplicable(f"layer {layer!r} does not lead to the logits; choose one that does")
    return _in_time_and_space(model, output.detach(), layer), _in_time_and_space(model, gradient, layer)


def layer_output(model: VideoClassifier, clips: Tensor, layer: str) -> Tensor:
    """Output A of a layer (the model's `cam_layer` where empty, or `last_map`), N,K,t,h,w.

    Raises
    ------
    NotApplicable
        If there is no such layer, the network does not use it, or it does not give a map in time and space.
    """
    import torch

    layer = layer or model.cam_layer or last_map(model, clips)
    with torch.no_grad():
        return _in_time_and_space(model, _captured(model, clips, layer)[0], layer)


def last_map(model: VideoClassifier, clips: Tensor) -> str:
    """The layer of a network that names none: the last that is no pooling and gives a map with places in its frames.

    Of modules that end at once the outermost, as a stage and its last ReLU.

    Raises
    ------
    NotApplicable
        If no module of the network gives a map, or some give N,t,h,w,K, so that it is not known which others do.
    """
    import torch
    from torch import nn

    pooling = tuple(getattr(nn, f"{kind}Pool3d") for kind in ("Max", "Avg", "AdaptiveMax", "AdaptiveAvg"))
    found: list[str] = []
    channels_last: list[str] = []

    def note(name: str, module: nn.Module, output: Any) -> None:
        if not isinstance(output, torch.Tensor) or output.ndim != 5:
            return
        if isinstance(module, nn.LayerNorm | nn.Linear):  # they work on the last axis: N,t,h,w,K
            channels_last.append(name)
        elif output[0, 0, 0].numel() > 1 and not isinstance(module, pooling):
            found.append(name)

    handles = [
        module.register_forward_hook(lambda module, args, output, name=name: note(name, module, output))
        for name, module in model.network.named_modules()
        if name
    ]
    try:
        with torch.no_grad():
            model(clips[:1])
    finally:
        for handle in handles:
            handle.remove()
    if channels_last:
        raise NotApplicable(
            f"layer {channels_last[-1]!r} gives N,t,h,w,K: set `layer` or the network's `cam_layer`, and its `reshape`"
        )
    if not found:
        names = ", ".join(name for name, _ in model.network.named_children())
        raise NotApplicable(
            f"the method needs a layer with a map, N,K,t,h,w, and this network has none. Set `layer`, of {names}"
        )
    _log.info("the method looks at layer %r, the last that gives a map", found[-1])
    return found[-1]


def _captured(model: VideoClassifier, clips: Tensor, layer: str) -> tuple[Tensor, Tensor]:
    """What a layer gives, as it is, and the logits N,K that follow from it; a leaf of their graph with autograd on."""
    import torch

    captured: list[Any] = []

    def capture(module: torch.nn.Module, args: tuple, output: Any) -> Any:
        if not isinstance(output, torch.Tensor):
            captured.append(output)
            return output
        captured.append(output.detach().requires_grad_(torch.is_grad_enabled()))
        return captured[-1].clone()  # what follows may work in place, which a leaf forbids

    handle = model.layer(layer).register_forward_hook(capture)
    try:
        logits = model(clips)
    finally:
        handle.remove()
    if not captured:
        raise NotApplicable(f"layer {layer!r} is not used; {_NEEDED}")
    if not isinstance(captured[-1], torch.Tensor):
        raise NotApplicable(f"layer {layer!r} gives a {type(captured[-1]).__name__}, not a tensor; {_NEEDED}")
    return captured[-1], logits


def _in_time_and_space(model: VideoClassifier, output: Tensor, layer: str) -> Tensor:
    """N,K,t,h,w of what a layer gives, through the model's `reshape` where it has one."""
    import torch

    found, how = output, "gives"
    if model.reshape is not None:
        how = "is reshaped to"
        try:
            found = model.reshape(output)
        except (AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
            reason = f"gives {tuple(output.shape)}, which the network's `reshape` does not take: {error}"
            raise NotApplicable(f"layer {layer!r} {reason}; {_NEEDED}") from error
        if not isinstance(found, torch.Tensor) or found.shape[:1] != output.shape[:1] or found.numel() > output.numel():
            given = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
            reason = f"gives {tuple(output.shape)}, of which the network's `reshape` makes {given}: not one map a clip"
            raise NotApplicable(f"layer {layer!r} {reason}; {_NEEDED}")
    if found.ndim != 5:
        raise NotApplicable(f"layer {layer!r} {how} {tuple(found.shape)}; {_NEEDED}")
    return found


def weighted_sum(weight: Tensor, activation: Tensor) -> Tensor:
    """sum_k w_k A_k of weights N,K and activations N,K,t,h,w (or any other rank)."""
    return (weight[(...,) + (None,) * (activation.ndim - 2)] * activation).sum(1)
