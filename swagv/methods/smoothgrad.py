"""SmoothGrad (Smilkov et al., 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from swagv.forward_passes import Passes
from swagv.methods.explainer import GradientAttribution, names_of, random_generator, reduce_channels
from swagv.methods.vanilla_backprop import gradient

if TYPE_CHECKING:
    from torch import Tensor

    from swagv.models.classifier import VideoClassifier


@dataclass(frozen=True)
class SmoothGrad(GradientAttribution):
    """The mean of dS_c/dx over noisy copies of the clip; reduced over RGB after the mean.

    Parameters
    ----------
    n_samples
        Noisy copies.
    noise
        Standard deviation of the Gaussian noise, as a fraction of the preprocessed clip's max - min.
    seed
        With the clip's id, of the noise.
    batch_size
        Copies that the network sees at once; changes nothing but memory and time.
    """

    n_samples: int = 50
    noise: float = 0.15
    seed: int = 0
    batch_size: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("n_samples", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)!r}: must be at least 1")
        if self.noise < 0:
            raise ValueError(f"noise={self.noise!r}: must not be negative")

    def passes(self, shape: tuple[int, int, int]) -> Passes:
        """As `Explainer.passes`."""
        return Passes(self.n_samples, self.n_samples)

    def __call__(
        self, model: VideoClassifier, clips: Tensor, target: Tensor, clip_ids: Sequence[str] | None = None
    ) -> Tensor:
        """Attribution N,T,H,W; see the class."""
        import torch

        total = torch.zeros_like(clips)
        for index, name in enumerate(names_of(clips, clip_ids)):
            rng = random_generator(name, self.seed)
            scale = self.noise * (clips[index].max() - clips[index].min())
            for start in range(0, self.n_samples, self.batch_size):
                count = min(self.batch_size, self.n_samples - start)
                noise = rng.standard_normal((count, *clips.shape[1:]), dtype=np.float32)
                copies = clips[index] + scale * torch.from_numpy(noise).to(clips)
                total[index] += gradient(model, copies, target[index].expand(count)).sum(0)
        return reduce_channels(total / self.n_samples, self.reduce)
