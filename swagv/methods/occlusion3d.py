"""Occlusion (Zeiler and Fergus, ECCV 2014) with a cuboid that slides through space and time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from swagv.errors import NotApplicable
from swagv.forward_passes import Passes, check_score, target_scores
from swagv.methods.explainer import Explainer
from swagv.methods.integrated_gradients import BASELINES, baseline_clip

if TYPE_CHECKING:
    from torch import Tensor

    from swagv.models.classifier import VideoClassifier


@dataclass(frozen=True)
class Occlusion3D(Explainer):
    """How much the score drops while a cuboid is hidden; a voxel has the mean over the cuboids that hid it.

    Parameters
    ----------
    window, stride
        Of the cuboid, in frames, rows and columns; the last cuboid of each axis is cut off at the clip's end.
    baseline
        What hides: ``zero``, which is zero after normalisation, the mean colour; ``black`` or ``white``.
    score
        ``probability`` or ``logit`` of the target.
    batch_size
        Occluded clips that the network sees at once; changes nothing but memory and time.

    Notes
    -----
    At 16x112x112 the defaults take 4 * 13 * 13 = 676 forward passes a clip.
    """

    window: tuple[int, int, int] = (4, 16, 16)
    stride: tuple[int, int, int] = (4, 8, 8)
    baseline: str = "zero"
    score: str = "probability"
    batch_size: int = 8

    def __post_init__(self) -> None:
        check_score(self.score)
        if self.baseline not in BASELINES:
            raise ValueError(f"baseline={self.baseline!r}: must be one of {', '.join(BASELINES)}")
        if self.batch_size < 1:
            raise ValueError(f"batch_size={self.batch_size}: must be at least 1")
        if any(not 1 <= step <= side for step, side in zip(self.stride, self.window, strict=True)):
            raise ValueError(
                f"stride={tuple(self.stride)}, window={tuple(self.window)}: each stride must be at least 1 and at most "
                "the window's side, or some voxels are never hidden"
            )

    def check(self, model: VideoClassifier) -> None:
        """As `Explainer.check`: the window must fit the clip."""
        self._check_fits((model.clip_len, model.crop, model.crop))

    def _check_fits(self, shape: tuple[int, ...]) -> None:
        if any(side > length for side, length in zip(self.window, shape, strict=True)):
            raise NotApplicable(f"window {tuple(self.window)} is larger than the clip, {shape} frames, rows, columns")

    def _starts(self, shape: tuple[int, ...]) -> list[list[int]]:
        """Where the cuboids begin on each axis."""
        axes = zip(shape, self.window, self.stride, strict=True)
        return [[step * i for i in range(math.ceil((length - side) / step) + 1)] for length, side, step in axes]

    def passes(self, shape: tuple[int, int, int]) -> Passes:
        """As `Explainer.passes`: one of the intact clip, and one a cuboid."""
        return Passes(1 + math.prod(len(starts) for starts in self._starts(shape)))

    def __call__(
        self, model: VideoClassifier, clips: Tensor, target: Tensor, clip_ids: Sequence[str] | None = None
    ) -> Tensor:
        """Attribution N,T,H,W; see the class."""
        import torch

        shape = tuple(clips.shape[2:])
        self._check_fits(shape)
        cuboids = [
            tuple(slice(start, start + side) for start, side in zip(corner, self.window, strict=True))
            for corner in itertools.product(*self._starts(shape))
        ]
        baseline = baseline_clip(model, clips, self.baseline)[0]
        return torch.stack(
            [self._explain(model, clip, label, cuboids, baseline) for clip, label in zip(clips, target, strict=True)]
        )

    def _explain(
        self, model: VideoClassifier, clip: Tensor, label: Tensor, cuboids: list[tuple[slice, ...]], baseline: Tensor
    ) -> Tensor:
        import torch

        def occluded(batch: slice) -> Tensor:
            copies = clip.repeat(batch.stop - batch.start, 1, 1, 1, 1)
            for copy, cuboid in zip(copies, cuboids[batch], strict=True):
                copy[(slice(None), *cuboid)] = baseline
            return copies

        intact = target_scores(model, lambda _: clip[None], label[None], 1, self.score)
        scores = target_scores(model, occluded, label.expand(len(cuboids)), self.batch_size, self.score)
        total, hidden = torch.zeros(2, *clip.shape[1:], dtype=torch.float64, device=clip.device)
        for drop, cuboid in zip(intact - scores, cuboids, strict=True):
            total[cuboid] += drop
            hidden[cuboid] += 1
        return (total / hidden).float()
