"""A network made ready for many forward passes and nothing else: batch norm folded away, faster convolutions."""

from __future__ import annotations

import copy
import logging
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.nn.utils.parametrize import is_parametrized
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from swagv.errors import ConfigError
from swagv.models.classifier import VideoClassifier
from swagv.models.winograd import WinogradConv3d, winograd_computes

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_FORWARDS = {layer.forward for layer in (*_CONVOLUTIONS, *_BATCH_NORMS)}
_ROUNDING = 1e-3  # of the largest logit; deep networks stay below 1e-5
_log = logging.getLogger(__name__)


def for_inference(model: VideoClassifier, precision: str = "fp32", example: Tensor | None = None) -> VideoClassifier:
    """The same classifier, made ready for many forward passes; the one that is given stays as it is.

    In eval mode a batch norm that follows a convolution is a scale and a shift of its output: they go into the
    convolution's weights. That is exact but for rounding, and saves a pass over every feature map. In float32 on a CPU
    large 3x3 convolutions are computed as `swagv.models.winograd` has them, which takes four times their weights of
    memory. Layers keep their names, but a folded convolution gives something else than before: explain with the model
    itself.

    Parameters
    ----------
    precision
        ``"fp32"``; ``"tf32"``, products of numbers rounded to 10 bits, which needs a GPU; ``"bf16"``, convolutions and
        matrix products in bfloat16 (autocast). Both sum in float32.
    example
        Clips 1,3,T,H,W of the size that the network is to take; of the model's own if left out.

    Raises
    ------
    ConfigError
        If the device has no such precision, or the model is already made ready for another.
    """
    device = model.mean.device
    if precision == "tf32" and device.type != "cuda":
        raise ConfigError(f"precision='tf32' needs a GPU and this is a {device.type}; choose fp32 or bf16")
    if model.precision == precision:
        return model
    if model.precision is not None:
        raise ConfigError(f"this model is ready for {model.precision}; give the one that it was made from")
    if example is None:
        example = torch.zeros(1, 3, model.clip_len, model.crop, model.crop, device=device)
    ready = _folded(model, example)
    if precision == "fp32" and device.type == "cpu":
        use_winograd(ready.network)
    ready.precision = precision
    return ready


@torch.no_grad()
def _folded(model: VideoClassifier, example: Tensor) -> VideoClassifier:
    """A copy with folded batch norms; with none where that is not the same network."""
    probe = torch.randn(example.shape, generator=torch.Generator().manual_seed(0)).to(example)
    folded = copy.deepcopy(model)
    expected = fold_batch_norms(folded, probe)
    try:
        found = folded(probe)
    except Exception as error:  # its own code ran on layers that are not what it made them
        _log.info("batch norm is not folded: %s", error)
    else:
        if (found - expected).abs().max() <= _ROUNDING * expected.abs().max():
            return folded
        _log.info("batch norm is not folded: the network uses it, or its convolutions, in other ways too")
    return copy.deepcopy(model)


def fold_batch_norms(network: nn.Module, example: Tensor) -> Any:
    """Fold, in place, each batch norm in eval mode that is all that reads a convolution's output.

    Who reads what is seen in one forward pass of `example`, whose result is given back; what the network does with the
    parameters of these layers beside calling them is not seen.
    """
    names = _names(network)
    reads, calls, pairs = _Reads(), Counter(), {}

    def mark(layer: nn.Module, inputs: tuple, output: Any) -> None:
        calls[layer] += 1
        if isinstance(output, Tensor):
            output.made_by = layer

    def pair(layer: nn.Module, inputs: tuple) -> None:
        calls[layer] += 1
        pairs[getattr(inputs[0], "made_by", None)] = layer

    hooks = [layer.register_forward_hook(mark) for layer in names if _plain(layer, _CONVOLUTIONS)]
    hooks += [layer.register_forward_pre_hook(pair) for layer in names if _plain(layer, _BATCH_NORMS)]
    try:
        with reads:
            before = network(example)
    finally:
        for hook in hooks:
            hook.remove()
    for convolution, norm in pairs.items():
        if convolution is None or not reads.count[convolution] == calls[convolution] == calls[norm] == 1:
            continue
        if norm.training or not norm.track_running_stats:
            continue
        _put(network, names[convolution], fuse_conv_bn_eval(convolution, norm))
        _put(network, names[norm], nn.Identity())
    return before


def use_winograd(network: nn.Module) -> None:
    """Put a `WinogradConv3d` in the place of each convolution that it can compute."""
    for layer, names in _names(network).items():
        if _plain(layer, (nn.Conv3d,)) and winograd_computes(layer):
            _put(network, names, WinogradConv3d(layer))


class _Reads(TorchFunctionMode):
    """Counts the operations that make a tensor of what each marked layer gave."""

    def __init__(self) -> None:
        super().__init__()
        self.count: Counter[nn.Module] = Counter()

    def __torch_function__(self, function: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if any(isinstance(value, Tensor) for value in tree_leaves(result)):  # asking for a shape reads no values
            self.count.update({getattr(value, "made_by", None) for value in tree_leaves((args, kwargs))})
        return result


def _plain(layer: nn.Module, kinds: tuple[type, ...]) -> bool:
    """A user's layer may do more than the one that it inherits from; so may hooks and parametrisations."""
    hooked = layer._forward_hooks or layer._forward_pre_hooks or is_parametrized(layer)
    return isinstance(layer, kinds) and type(layer).forward in _FORWARDS and not hooked


def _names(network: nn.Module) -> dict[nn.Module, list[str]]:
    """All names of each layer."""
    names: dict[nn.Module, list[str]] = {}
    for name, layer in network.named_modules(remove_duplicate=False):
        names.setdefault(layer, []).append(name)
    return names


def _put(network: nn.Module, names: list[str], layer: nn.Module) -> None:
    for parent, _, child in (name.rpartition(".") for name in names):
        setattr(network.get_submodule(parent), child, layer)
