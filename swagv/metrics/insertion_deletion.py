"""Insertion and deletion (RISE, Petsiuk et al., BMVC 2018) over the voxels of a clip."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from swagv.forward_passes import Passes, target_scores

if TYPE_CHECKING:
    from torch import Tensor

PRECISIONS = ("fp32", "tf32", "bf16")
SUBSTRATES = ("zero", "black", "blur")
TIES = ("raster", "reverse", "random")
_MOST_STEPS = 10_000  # more curve than anyone looks at, and less than a memory holds
_BLUR = 20.0  # pixels; the strongest of extremal perturbations, which leaves nothing of an actor


@dataclass(frozen=True)
class InsertionDeletion:
    """All T*H*W voxels ranked jointly by the attribution, then removed from or added to the clip in equal steps.

    Parameters
    ----------
    steps
        Number of equal steps; the curves have ``steps + 1`` points.
    substrate
        What stands for nothing: ``"zero"``, zeros after normalisation; ``"black"``, black pixels, for a model with
        `mean` and `std`; ``"blur"``, the clip's own frames under a Gaussian of 20 pixels.
    ties
        Which of equal voxels comes first: the one first in ``"raster"`` order (time, row, column), the last of them in
        ``"reverse"``, or one ``"random"`` order of the voxels that is the same for all clips of a shape.
    precision
        Of the forward passes made here: ``"fp32"``; ``"bf16"``, up to four times as fast on a CPU with instructions
        for it, areas off by a thousandth or so; ``"tf32"``, on a GPU only. A `VideoClassifier` is given to
        `swagv.models.inference.for_inference` first; ends of the curves that are given are taken as they are.

    Notes
    -----
    Ranking is descending. Curves are the softmax probability of the target; the area
    is the trapezoid over a unit axis. Lower `deletion_auc` and higher `insertion_auc` are better.
    """

    higher_is_better: ClassVar[dict[str, bool]] = {"deletion_auc": False, "insertion_auc": True, "joint": False}
    needs_network: ClassVar[bool] = True
    steps: int = 28
    substrate: str = "zero"
    ties: str = "raster"
    precision: str = "fp32"

    def __post_init__(self) -> None:
        for name, known in (("substrate", SUBSTRATES), ("ties", TIES), ("precision", PRECISIONS)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name}={getattr(self, name)!r}: must be one of {', '.join(known)}")
        if not 1 <= self.steps <= _MOST_STEPS:
            raise ValueError(f"steps={self.steps}: must be at least 1, and at most {_MOST_STEPS}")

    def passes(self, shape: tuple[int, int, int]) -> Passes:
        """Passes of the network that its stage takes for each clip of `shape` (T,H,W).

        The ends of the curves that the predictions have are none.
        """
        return Passes(2 * (self.steps - 1) + (self.substrate != "zero"))

    def __call__(
        self,
        model: Callable[[Tensor], Tensor],
        clips: Tensor,
        attribution: Tensor,
        target: Tensor,
        *,
        batch_size: int = 8,
        p_intact: Tensor | None = None,
        p_blank: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Curves and areas of N clips.

        Parameters
        ----------
        model
            Maps N,C,T,H,W to logits N,K.
        clips
            N,C,T,H,W, preprocessed.
        attribution
            N,T,H,W.
        target
            N, int64.
        batch_size
            Clips a forward pass, of both games and of all clips, and fewer where memory is short; no result depends on
            it beyond rounding.
        p_intact, p_blank
            N, scores of the intact clip and of the substrate, if known already; they are the ends of both curves.

        Returns
        -------
        dict
            float32: ``deletion_auc``, ``insertion_auc`` (N,); ``deletion_curve``, ``insertion_curve`` (N, steps + 1).

        Raises
        ------
        ValueError
            If shapes do not agree, the attribution is not finite, or the model does not say what black is.
        """
        import torch

        if attribution.shape != clips.shape[:1] + clips.shape[2:]:
            raise ValueError(f"attribution {tuple(attribution.shape)} does not fit clips {tuple(clips.shape)}")
        if not torch.isfinite(attribution).all():
            raise ValueError("the attribution holds NaN or infinity")
        model = ready(model, self.precision, clips)
        # One by one: sorting takes many times the memory of a map.
        step = torch.cat([self._step_of_voxel(one) for one in attribution.split(1)])
        nothing = None if self.substrate == "zero" and p_blank is not None else self._nothing(model, clips)
        intact = target_scores(model, lambda batch: clips[batch], target, batch_size) if p_intact is None else p_intact
        blank = target_scores(model, lambda batch: nothing[batch], target, batch_size) if p_blank is None else p_blank
        # The points between the ends: those of deletion, then of insertion, clip after clip.
        at = torch.arange(1, self.steps, device=clips.device).repeat(2)[:, None, None, None]
        deleting = torch.arange(len(at), device=clips.device)[:, None, None, None] < len(at) // 2

        def shown(batch: slice) -> Tensor:
            parts, first = [], batch.start
            while first < batch.stop:
                index, point = divmod(first, len(at))
                points = slice(point, min(len(at), point + batch.stop - first))
                kept = (step[index] < at[points]) ^ deleting[points]
                # A product with one clip keeps its memory format; one with copies of it would not.
                part = clips[index] * kept[:, None]
                parts.append(part if self.substrate == "zero" else part + nothing[index] * ~kept[:, None])
                first += points.stop - points.start
            return torch.cat(parts) if len(parts) > 1 else parts[0]

        between = torch.empty(0)
        if self.steps > 1:
            between = target_scores(model, shown, target.repeat_interleave(len(at)), batch_size).cpu()
        deletion, insertion = between.view(len(clips), 2, self.steps - 1).unbind(1)
        intact, blank = intact.cpu()[:, None], blank.cpu()[:, None]
        deletion, insertion = torch.cat([intact, deletion, blank], 1), torch.cat([blank, insertion, intact], 1)
        return {
            "deletion_auc": area(deletion),
            "insertion_auc": area(insertion),
            "deletion_curve": deletion,
            "insertion_curve": insertion,
        }

    def _step_of_voxel(self, attribution: Tensor) -> Tensor:
        """The step, 0 to steps - 1, in which each voxel N,T,H,W is removed or added; uint8 for up to 256 steps."""
        import torch

        flat = attribution.flatten(1)
        total = flat.shape[1]
        first = self._first(total)
        if first is None:
            order = torch.sort(flat, dim=1, descending=True, stable=True).indices
        else:
            first = first.to(flat.device)
            order = first[torch.sort(flat[:, first], dim=1, descending=True, stable=True).indices]
        edges = torch.arange(1, self.steps, device=flat.device) * total // self.steps
        step_of_rank = torch.bucketize(torch.arange(total, device=flat.device), edges, right=True)
        step = torch.empty_like(order).scatter_(1, order, step_of_rank.expand_as(order))
        return step.to(torch.uint8 if self.steps <= 256 else torch.int32).view_as(attribution)

    def _first(self, total: int) -> Tensor | None:
        """The voxels in the order in which equal ones come; None for raster order."""
        import torch

        if self.ties == "raster":
            return None
        if self.ties == "reverse":
            return torch.arange(total - 1, -1, -1)
        return torch.randperm(total, generator=torch.Generator().manual_seed(0))

    def _nothing(self, model: Callable[[Tensor], Tensor], clips: Tensor) -> Tensor:
        """The substrate of each clip, N,C,T,H,W."""
        import torch

        if self.substrate == "blur":
            from swagv.methods.extremal_mask import blur

            return blur(clips, _BLUR)
        nothing = torch.zeros_like(clips)
        if self.substrate == "black":
            if not (hasattr(model, "mean") and hasattr(model, "std")):
                raise ValueError(
                    "substrate='black' needs a model with `mean` and `std`: give a VideoClassifier, or substrate='zero'"
                )
            nothing -= model.mean / model.std
        return nothing


def ready(model: Callable[[Tensor], Tensor], precision: str, clips: Tensor) -> Callable[[Tensor], Tensor]:
    """A `VideoClassifier` made ready for forward passes of clips N,C,T,H,W; any other callable as it is.

    Raises
    ------
    ValueError
        On a precision that only a `VideoClassifier` can be given.
    """
    from swagv.models.classifier import VideoClassifier
    from swagv.models.inference import for_inference

    if isinstance(model, VideoClassifier):
        return for_inference(model, precision, clips[:1])
    if precision != "fp32":
        raise ValueError(f"precision={precision!r} needs a VideoClassifier; got a {type(model).__name__}")
    return model


def area(curve: Tensor | np.ndarray) -> Tensor | np.ndarray:
    """Trapezoid over a unit axis of curves (..., points): (sum - first/2 - last/2) / (points - 1)."""
    return (curve.sum(-1) - curve[..., 0] / 2 - curve[..., -1] / 2) / (curve.shape[-1] - 1)
