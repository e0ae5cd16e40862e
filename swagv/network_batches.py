"""What every stage that runs a network shares: device, threads, model, batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import torch

from swagv.models.build import build_from_spec
from swagv.models.classifier import VideoClassifier

Item = TypeVar("Item")


def pick_device(name: str) -> torch.device:
    """``"auto"`` is the first GPU, or the CPU where there is none."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


def load_for_stage(model_spec: dict[str, Any], device: str, threads: int) -> VideoClassifier:
    """The model of a stage on its device, in the memory layout that is fastest for 3-D convolutions."""
    # With a single thread PyTorch leaves oneDNN for a 3-D convolution that is four times slower.
    torch.set_num_threads(max(threads, 2))
    # float32 means float32: on a GPU PyTorch would round convolutions to 10 bits, and time its way to another kernel.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = False, True
    model = build_from_spec(model_spec)
    model = model.to(pick_device(device))
    model.network.to(memory_format=model.memory_format)
    return model


def batches(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """`items` in runs of `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
