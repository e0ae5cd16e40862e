"""What every stage that runs a network shares: device, threads, model, batches."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import torch

from swagv.errors import ConfigError
from swagv.forward_passes import in_batches
from swagv.models.build import build_from_spec
from swagv.models.classifier import VideoClassifier
from swagv.models.inference import for_inference

Item = TypeVar("Item")
Result = TypeVar("Result")
_BATCH_SIZES = {"cpu": 8, "cuda": 64}


def pick_device(name: str) -> torch.device:
    """``"auto"`` is the first GPU, or the CPU where there is none."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


def check_device(name: str) -> None:
    """Raise ConfigError where a command is asked for a GPU and there is none."""
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device cuda: PyTorch finds no GPU here; leave --device out, or give cpu")


def load_for_stage(
    model_spec: dict[str, Any], device: str, threads: int, precision: str | None = None
) -> VideoClassifier:
    """The model of a stage on its device, in the memory layout that is fastest for 3-D convolutions.

    Parameters
    ----------
    precision
        Of forward passes, for a stage that runs nothing else: see `swagv.models.inference.for_inference`.
    """
    # With a single thread PyTorch leaves oneDNN for a 3-D convolution that is four times slower.
    torch.set_num_threads(max(threads, 2))
    # float32 means float32: on a GPU PyTorch would round convolutions to 10 bits, and time its way to another kernel.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = False, True
    model = build_from_spec(model_spec)
    model = model.to(pick_device(device))
    model.network.to(memory_format=model.memory_format)
    return for_inference(model, precision) if precision else model


def batch_size_of(runtime: dict[str, Any], device: torch.device) -> int:
    """Clips a forward pass: the setting, or what keeps this device busy and mostly fits it."""
    asked = runtime["batch_size"]
    return _BATCH_SIZES.get(device.type, 8) if asked == "auto" else asked


def together(device: torch.device) -> int:
    """Clips that are explained together on a device.

    Not a setting: rounding depends on the shape of a batch, and ranks and SLIC magnify rounding. Two are enough for a
    CPU; alone, a clip takes PyTorch up to five times as long.
    """
    return {"cpu": 2}.get(device.type, 16)


def explained(
    method: Callable[[VideoClassifier, torch.Tensor, torch.Tensor, list[str]], torch.Tensor],
    model: VideoClassifier,
    frames: np.ndarray,
    rows: Sequence[Mapping[str, Any]],
) -> list[np.ndarray]:
    """Maps of frames n,T,H,W,3, at most `together` clips, in a batch that is filled up with the last: (T,H,W) each.

    A clip has the same map, to the last bit, in whatever company, unless memory did not suffice for the whole batch.

    Parameters
    ----------
    method
        An explainer, or what gives other maps for model, clips N,C,T,H,W, targets and clip ids.
    rows
        Of the predictions: ``target`` and ``clip_id`` of each clip.
    """
    device = model.mean.device
    size = together(device)
    places = [min(place, len(frames) - 1) for place in range(size)]
    target = torch.tensor([rows[place]["target"] for place in places], device=device)
    names = [rows[place]["clip_id"] for place in places]

    def explain_some(batch: slice) -> np.ndarray:
        return method(model, model.preprocess(frames[places[batch]]), target[batch], names[batch]).cpu().numpy()

    parts = [part for _, part in in_batches(explain_some, size, size)]
    return list(np.concatenate(parts)[: len(frames)])


def read_ahead(read: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[tuple[Item, Result]]:
    """Each item and what `read` gives for it, which is read while the one before it is worked on."""
    with ThreadPoolExecutor(1) as reader:
        waiting: deque[tuple[Item, Future[Result]]] = deque()
        for item in items:
            waiting.append((item, reader.submit(read, item)))
            if len(waiting) == 2:
                item, result = waiting.popleft()
                yield item, result.result()
        for item, result in waiting:
            yield item, result.result()


def in_groups(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    """`items` in runs of `size`."""
    return [items[start : start + size] for start in range(0, len(items), size)]
