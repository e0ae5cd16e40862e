"""Edges in place of an attribution: what the picture alone explains (SWAG-V, Table 1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from swagv.forward_passes import Passes
from swagv.methods.explainer import PixelAttribution

if TYPE_CHECKING:
    from torch import Tensor

    from swagv.models.classifier import VideoClassifier


@dataclass(frozen=True)
class Sobel(PixelAttribution):
    """Magnitude of the Sobel filter on each frame in grey, by scikit-image."""

    def passes(self, shape: tuple[int, int, int]) -> Passes:
        """As `Explainer.passes`."""
        return Passes(0)

    def __call__(
        self, model: VideoClassifier, clips: Tensor, target: Tensor, clip_ids: Sequence[str] | None = None
    ) -> Tensor:
        """Attribution N,T,H,W; the network and target are not looked at."""
        import torch
        from skimage.color import rgb2gray
        from skimage.filters import sobel

        grey = rgb2gray(model.frames(clips))
        edges = np.stack([[sobel(frame) for frame in clip] for clip in grey])
        return torch.from_numpy(edges.astype(np.float32)).to(clips.device)
