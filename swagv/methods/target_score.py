"""What a perturbation method watches while it changes the clip."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from swagv.models.classifier import VideoClassifier

SCORES = ("probability", "logit")


def check_score(score: str) -> None:
    """Raise ValueError for what is not one of `SCORES`."""
    if score not in SCORES:
        raise ValueError(f"score={score!r}: must be one of {', '.join(SCORES)}")


def target_score(model: VideoClassifier, clips: Tensor, target: Tensor, score: str) -> Tensor:
    """Probability or logit (N,), without gradient, of one class `target` (scalar int64) for clips N,C,T,H,W."""
    import torch

    with torch.no_grad():
        logits = model(clips)
        return (logits.softmax(1) if score == "probability" else logits)[:, target]
