"""Integrated gradients (Sundararajan et al., ICML 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from swagv.forward_passes import Passes
from swagv.methods.explainer import GradientAttribution, reduce_channels
from swagv.methods.vanilla_backprop import gradient

if TYPE_CHECKING:
    from torch import Tensor

    from swagv.models.classifier import VideoClassifier

BASELINES = ("zero", "black", "white")


@dataclass(frozen=True)
class IntegratedGradients(GradientAttribution):
    """(x - b) * the mean of dS_c/dx on the straight way from the baseline b to the clip x.

    Parameters
    ----------
    steps
        Points on the way, at the Gauss-Legendre nodes.
    baseline
        ``zero``, which is zero after normalisation, the mean colour; ``black`` or ``white`` frames.
    batch_size
        Points that the network sees at once; changes nothing but memory and time.
    """

    steps: int = 50
    baseline: str = "zero"
    batch_size: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.baseline not in BASELINES:
            raise ValueError(f"baseline={self.baseline!r}: must be one of {', '.join(BASELINES)}")
        for name in ("steps", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)!r}: must be at least 1")

    def passes(self, shape: tuple[int, int, int]) -> Passes:
        """As `Explainer.passes`."""
        return Passes(self.steps, self.steps)

    def __call__(
        self, model: VideoClassifier, clips: Tensor, target: Tensor, clip_ids: Sequence[str] | None = None
    ) -> Tensor:
        """Attribution N,T,H,W; see the class."""
        baseline = baseline_clip(model, clips, self.baseline)
        found = integrated_gradient(model, clips, target, baseline, self.steps, self.batch_size)
        return reduce_channels(found, self.reduce)


def baseline_clip(model: VideoClassifier, clips: Tensor, name: str) -> Tensor:
    """A preprocessed clip (1, C, 1, 1, 1) of one colour that stands for "nothing": one of `BASELINES`."""
    if name == "zero":
        return clips.new_zeros(1, clips.shape[1], 1, 1, 1)
    return (float(name == "white") - model.mean) / model.std


def integrated_gradient(
    model: VideoClassifier, clips: Tensor, target: Tensor, baseline: Tensor, steps: int, batch_size: int = 8
) -> Tensor:
    """Integrated gradient N,C,T,H,W of the logits `target` (N,) int64.

    (x - b) * sum_i w_i dS_c/dx at b + a_i (x - b), with the nodes a_i and weights w_i of the Gauss-Legendre rule on
    [0, 1]: exact along the way for polynomials up to degree 2 `steps` - 1, and it leaves out both ends.

    Parameters
    ----------
    clips, baseline
        N,C,T,H,W, preprocessed; the baseline may be broadcast.
    batch_size
        Points that the network sees at once, each clip on its own.
    """
    import torch

    nodes, weights = np.polynomial.legendre.leggauss(steps)
    nodes, weights = (torch.from_numpy(values).to(clips) for values in ((nodes + 1) / 2, weights / 2))
    baseline = baseline.expand_as(clips)
    total = torch.zeros_like(clips)
    for index in range(len(clips)):
        start, way = baseline[index], clips[index] - baseline[index]
        for node, weight in zip(nodes.split(batch_size), weights.split(batch_size), strict=True):
            points = start + node.view(-1, 1, 1, 1, 1) * way
            slope = gradient(model, points, target[index].expand(len(points)))
            total[index] += (weight.view(-1, 1, 1, 1, 1) * slope).sum(0)
        total[index] *= way
    return total
