"""The sanity check of Adebayo et al. (NeurIPS 2018): does an explanation change when the network's weights are random?

Cascading: from the logits down, more and more blocks of the trained network are re-initialised, and the same class of
the same clip is explained again. A map that stays as it was says nothing of what the network has learnt.
"""

from __future__ import annotations

from copy import deepcopy
from itertools import chain

import numpy as np
import torch
from scipy.stats import rankdata
from torch import nn

from swagv.models.classifier import VideoClassifier

BLOCKS = 6


def blocks(model: VideoClassifier) -> dict[str, tuple[str, ...]]:
    """The network in at most `BLOCKS` blocks, from the logits down: name of the block to its layers.

    A layer is a module with parameters or buffers of its own, and its place that of its first call on a blank clip (of
    one that is never called, as a weight that its parent reads: the parent's). Layers whose dotted names begin alike
    belong together; as many parts of the names count as give at least `BLOCKS` beginnings. The one nearest the logits
    is the first block and the others are dealt to the rest in runs of equal length. A block has the name of its deepest
    member: ``conv4a`` means randomised from the logits down to conv4a.
    """
    layers = _layers_from_head(model)
    for parts in range(1, max(name.count(".") for name in layers) + 2):
        members: dict[str, list[str]] = {}
        for name in layers:
            members.setdefault(".".join(name.split(".")[:parts]), []).append(name)
        if len(members) >= BLOCKS:
            break
    first, *rest = members
    runs = [[first], *(rest[run[0] : run[-1] + 1] for run in np.array_split(range(len(rest)), BLOCKS - 1) if len(run))]
    return {
        run[-1] or type(model.network).__name__: tuple(chain.from_iterable(members[name] for name in run))
        for run in runs
    }


def _layers_from_head(model: VideoClassifier) -> list[str]:
    """Names of the modules with parameters or buffers of their own, the last used first."""
    calls: dict[str, int] = {}

    def record(name: str) -> None:
        calls.setdefault(name, len(calls))

    modules = dict(model.network.named_modules())
    hooks = [
        module.register_forward_pre_hook(lambda module, args, name=name: record(name))
        for name, module in modules.items()
    ]
    try:
        with torch.inference_mode():
            model(torch.zeros(1, 3, model.clip_len, model.crop, model.crop, device=model.mean.device))
    finally:
        for hook in hooks:
            hook.remove()

    def first_call(name: str) -> int:
        while name not in calls:
            name = name.rpartition(".")[0]
        return calls[name]

    order = {name: (first_call(name), index) for index, (name, module) in enumerate(modules.items()) if _owns(module)}
    return sorted(order, key=order.__getitem__, reverse=True)


def _owns(module: nn.Module) -> bool:
    return any(True for _ in chain(module.parameters(recurse=False), module.buffers(recurse=False)))


def randomised(model: VideoClassifier, depth: int, seed: int) -> VideoClassifier:
    """A copy of the model whose first `depth` `blocks` from the logits down are re-initialised.

    Each layer's own ``reset_parameters`` draws its weights, and gives a batch norm its first statistics; where a layer
    has none, the values of each parameter are shuffled. Equal seeds give a block the same weights at every depth, on
    every device and in every memory layout. Neither the model nor PyTorch's random state is touched.

    Raises
    ------
    ValueError
        If `depth` is less than 0 or more than there are blocks.
    """
    found = list(blocks(model).values())
    if not 0 <= depth <= len(found):
        raise ValueError(f"depth={depth}: must be from 0 to {len(found)}, the blocks of this network")
    # PyTorch fills a tensor in the order of its memory, and each device draws in its own way.
    drawn = deepcopy(model).cpu().to(memory_format=torch.contiguous_format)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the GPUs too
        for layer in chain.from_iterable(found[:depth]):
            _reset(drawn.network.get_submodule(layer))
    copy = deepcopy(model)
    copy.load_state_dict(drawn.state_dict())
    return copy


def _reset(module: nn.Module) -> None:
    if hasattr(module, "reset_parameters"):
        module.reset_parameters()
        return
    for parameter in module.parameters(recurse=False):
        parameter.copy_(parameter.flatten()[torch.randperm(parameter.numel())].view_as(parameter))


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's correlation of two maps of one shape, equal values at their mean rank; NaN where either is constant.

    Exactly 1 for maps of equal order: sums of centred ranks are exact up to about 400,000 voxels.
    """
    a, b = (rankdata(values) - (values.size + 1) / 2 for values in (first.ravel(), second.ravel()))
    scale = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale else float("nan")


def similarity(first: np.ndarray, second: np.ndarray) -> dict[str, float]:
    """How alike two maps (T, H, W) are.

    Returns
    -------
    dict
        ``spearman``, the rank correlation of the maps as they are, and ``spearman_abs``, that of their magnitudes. The
        two are one number where neither map has a negative value.
    """
    spearman = rank_correlation(first, second)
    signed = min(first.min(), second.min()) < 0
    return {
        "spearman": spearman,
        "spearman_abs": rank_correlation(np.abs(first), np.abs(second)) if signed else spearman,
    }
