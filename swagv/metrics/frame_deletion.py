"""Insertion and deletion of whole frames: which moments does the score need?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from swagv.forward_passes import Passes, target_scores
from swagv.metrics.insertion_deletion import PRECISIONS, area, ready

if TYPE_CHECKING:
    from torch import Tensor

FILLS = ("freeze", "zero")


@dataclass(frozen=True)
class FrameDeletion:
    """Frames ranked by their mean attribution, then taken from, or given back to, the clip one by one (ours).

    Parameters
    ----------
    fill
        What stands in for a frame that is gone: ``"freeze"``, the nearest frame that is left (of two, the earlier), so
        that motion is lost and nothing strange is shown; the middle frame where none is left. ``"zero"``, zeros after
        normalisation.
    precision
        Of the forward passes, those of the ends as well: ``"fp32"``, ``"bf16"`` or ``"tf32"``, as of
        `InsertionDeletion`.

    Notes
    -----
    Ranking is stable and descending. Curves of T + 1 points are the softmax probability of the target; the area is the
    trapezoid over a unit axis, as in `swagv.metrics.insertion_deletion.InsertionDeletion`. Lower `frame_deletion_auc`
    and higher `frame_insertion_auc` are better.
    """

    higher_is_better: ClassVar[dict[str, bool]] = {"frame_deletion_auc": False, "frame_insertion_auc": True}
    needs_network: ClassVar[bool] = True
    fill: str = "freeze"
    precision: str = "fp32"

    def __post_init__(self) -> None:
        for name, known in (("fill", FILLS), ("precision", PRECISIONS)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name}={getattr(self, name)!r}: must be one of {', '.join(known)}")

    def passes(self, shape: tuple[int, int, int]) -> Passes:
        """Passes of the network that its stage takes for each clip of `shape` (T,H,W)."""
        return Passes(2 * shape[0])

    def __call__(
        self,
        model: Callable[[Tensor], Tensor],
        clips: Tensor,
        attribution: Tensor,
        target: Tensor,
        *,
        batch_size: int = 8,
    ) -> dict[str, Tensor]:
        """Curves and areas of N clips; arguments are those of `InsertionDeletion`.

        Returns
        -------
        dict
            float32: ``frame_deletion_auc``, ``frame_insertion_auc`` (N,); ``frame_deletion_curve``,
            ``frame_insertion_curve`` (N, T + 1).
        """
        import torch

        if attribution.shape != clips.shape[:1] + clips.shape[2:]:
            raise ValueError(f"attribution {tuple(attribution.shape)} does not fit clips {tuple(clips.shape)}")
        if not torch.isfinite(attribution).all():
            raise ValueError("the attribution holds NaN or infinity")
        model, frames, curves = ready(model, self.precision, clips), clips.shape[2], []
        for clip, heat, label in zip(clips, attribution, target, strict=True):
            order = np.argsort(-heat.double().mean((1, 2)).cpu().numpy(), kind="stable")
            rank = np.argsort(order)
            gone = [rank < step for step in range(frames + 1)]
            left = [rank < step for step in range(1, frames)]
            # Both games have the whole clip and nothing of it at their ends.
            shown = torch.cat([self._without(clip, one)[None] for one in [*gone, *(~one for one in left)]])
            scores = target_scores(model, shown.__getitem__, label.expand(len(shown)), batch_size).cpu()
            deletion = scores[: frames + 1]
            curves.append((deletion, torch.cat([deletion[-1:], scores[frames + 1 :], deletion[:1]])))
        found = dict(zip(("deletion", "insertion"), map(torch.stack, zip(*curves, strict=True)), strict=True))
        areas = {f"frame_{game}_auc": area(curve) for game, curve in found.items()}
        return areas | {f"frame_{game}_curve": curve for game, curve in found.items()}

    def _without(self, clip: Tensor, gone: np.ndarray) -> Tensor:
        """A clip C,T,H,W in which the frames `gone` (T,) bool are filled."""
        import torch

        if self.fill == "zero":
            return clip * torch.from_numpy(~gone).to(clip.device)[:, None, None]
        left = np.flatnonzero(~gone) if not gone.all() else np.array([len(gone) // 2])
        nearest = left[np.abs(np.arange(len(gone))[:, None] - left).argmin(1)]
        return clip[:, torch.from_numpy(nearest).to(clip.device)]
