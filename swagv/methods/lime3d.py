"""LIME (Ribeiro et al., KDD 2016) with supervoxels as the features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from swagv.forward_passes import Passes, check_score, target_scores
from swagv.methods.explainer import Explainer, names_of, random_generator
from swagv.slic import slic_supervoxels

if TYPE_CHECKING:
    from torch import Tensor

    from swagv.models.classifier import VideoClassifier


@dataclass(frozen=True)
class Lime3D(Explainer):
    """Coefficients of a linear model of the score on which supervoxels are seen, fitted near the intact clip.

    Each sample z hides every supervoxel with probability 1/2 (zero after normalisation, the mean colour); the first
    hides none. Its weight is exp(-D^2 / (2 kernel_width^2)), D the cosine distance of z from the intact clip, which is
    1 - sqrt(seen / all).

    Parameters
    ----------
    n_samples
        Perturbed clips, and forward passes.
    n_segments, w_color, spacing
        Of the supervoxels, found in the image alone: how many are asked for, how far apart colours may be, and the
        length of a step in time relative to one in space; as of `swagv.methods.swagv.SwagV`.
    kernel_width
        Above, where the 2 is the square root that the authors' code takes of the paper's kernel; their default.
    ridge
        Penalty on the squared coefficients; the intercept is free.
    score
        ``probability`` or ``logit`` of the target.
    seed
        With the clip's id, of the samples.
    batch_size
        Perturbed clips that the network sees at once; changes nothing but memory and time.
    """

    n_samples: int = 1000
    n_segments: int = 120
    w_color: float = 10.0
    spacing: float = 1.0
    kernel_width: float = 0.25
    ridge: float = 1.0
    score: str = "probability"
    seed: int = 0
    batch_size: int = 8

    def __post_init__(self) -> None:
        check_score(self.score)
        for name in ("n_samples", "n_segments", "w_color", "spacing", "kernel_width", "ridge", "batch_size"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}={getattr(self, name)!r}: must be greater than 0")

    def passes(self, shape: tuple[int, int, int]) -> Passes:
        """As `Explainer.passes`."""
        return Passes(self.n_samples)

    def __call__(
        self, model: VideoClassifier, clips: Tensor, target: Tensor, clip_ids: Sequence[str] | None = None
    ) -> Tensor:
        """Attribution N,T,H,W; see the class."""
        import torch

        names, frames = names_of(clips, clip_ids), model.frames(clips)
        maps = [self._explain(model, *one) for one in zip(clips, frames, target, names, strict=True)]
        return torch.from_numpy(np.stack(maps)).to(clips.device)

    def _explain(
        self, model: VideoClassifier, clip: Tensor, frames: np.ndarray, label: Tensor, name: str
    ) -> np.ndarray:
        import torch

        labels = slic_supervoxels(
            frames, None, "image", self.n_segments, self.w_color, w_grad=1.0, spacing=self.spacing
        ).labels.astype(np.int64)
        seen = random_generator(name, self.seed).random((self.n_samples, int(labels.max()) + 1)) < 0.5
        seen[0] = True

        def perturbed(batch: slice) -> Tensor:
            return clip * torch.from_numpy(seen[batch][:, labels]).to(clip)[:, None]

        scores = target_scores(model, perturbed, label.expand(self.n_samples), self.batch_size, self.score)
        distance = 1 - np.sqrt(seen.mean(1))
        weight = np.exp(-0.5 * (distance / self.kernel_width) ** 2)
        coefficients = ridge_regression(seen.astype(np.float64), scores.double().cpu().numpy(), weight, self.ridge)
        return coefficients[labels].astype(np.float32)


def ridge_regression(x: np.ndarray, y: np.ndarray, weight: np.ndarray, ridge: float) -> np.ndarray:
    """Coefficients (d,) that minimise sum_i weight_i (y_i - x_i b - b_0)^2 + ridge |b|^2, all in float64.

    Parameters
    ----------
    x, y, weight
        (n, d), (n,) and (n,).
    """
    share = weight / weight.sum()
    # The free intercept is gone once both sides are centred at their weighted means.
    x, y = x - share @ x, y - share @ y
    weighted = x * weight[:, None]
    return np.linalg.solve(weighted.T @ x + ridge * np.eye(x.shape[1]), weighted.T @ y)
