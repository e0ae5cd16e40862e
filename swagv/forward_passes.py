"""Many forward passes of one network: clips made batch by batch, smaller batches where memory runs out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from torch import Tensor

Result = TypeVar("Result")
SCORES = ("probability", "logit")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Passes:
    """How often a network sees one clip: in forward passes, and in how many of them it also passes gradients back."""

    forward: int
    backward: int = 0


def check_score(score: str) -> None:
    """Raise ValueError for what is not one of `SCORES`."""
    if score not in SCORES:
        raise ValueError(f"score={score!r}: must be one of {', '.join(SCORES)}")


def target_scores(
    model: Callable[[Tensor], Tensor],
    make: Callable[[slice], Tensor],
    target: Tensor,
    batch_size: int,
    score: str = "probability",
) -> Tensor:
    """The score (n,) float32 of the classes `target` (n,) int64, without gradient, on clips that `make` gives.

    Parameters
    ----------
    model
        Maps clips N,C,T,H,W to logits N,K.
    make
        Clips b,C,T,H,W of a slice of ``range(n)``.
    batch_size
        Clips a forward pass; fewer where they do not fit the device's memory.
    score
        ``"probability"`` (softmax) or ``"logit"``.
    """
    import torch

    return torch.cat([found for _, found in scores_by_batch(model, make, target, batch_size, score)])


def scores_by_batch(
    model: Callable[[Tensor], Tensor],
    make: Callable[[slice], Tensor],
    target: Tensor,
    batch_size: int,
    score: str = "probability",
) -> Iterator[tuple[slice, Tensor]]:
    """As `target_scores`, each batch's slice and scores when they are known, right after `make` gave its clips."""
    import torch

    @torch.inference_mode()
    def scores(batch: slice) -> Tensor:
        logits = model(make(batch)).float()
        return (logits.softmax(1) if score == "probability" else logits).gather(1, target[batch, None])[:, 0]

    return in_batches(scores, len(target), batch_size)


def in_batches(call: Callable[[slice], Result], count: int, batch_size: int) -> Iterator[tuple[slice, Result]]:
    """Slices of ``range(count)`` and what `call` gives for them, `batch_size` long, or half as long as did not fit.

    Raises
    ------
    torch.OutOfMemoryError, RuntimeError
        If not even one fits the device's memory; whatever else `call` raises.
    """
    start = 0
    while start < count:
        batch = slice(start, min(start + batch_size, count))
        try:
            result = call(batch)
        except RuntimeError as error:
            size = batch.stop - batch.start
            if size == 1 or not _out_of_memory(error):
                raise
            batch_size = size // 2
            _log.warning("a batch of %d does not fit the memory of the device; going on with %d", size, batch_size)
            continue
        yield batch, result
        start = batch.stop


def _out_of_memory(error: RuntimeError) -> bool:
    import torch

    # Libraries below PyTorch have errors of their own for it, and so has a CPU whose memory is limited.
    said = ("can't allocate memory", "ALLOC_FAILED", "CUDA error: out of memory", "unable to find an engine to execute")
    return isinstance(error, torch.OutOfMemoryError) or any(text in str(error) for text in said)
