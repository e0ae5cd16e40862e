"""Saliency Tubes (Stergiou et al., ICIP 2019): class activation mapping in space and time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from swagv.errors import NotApplicable
from swagv.forward_passes import Passes
from swagv.methods.layer_maps import LayerMap, layer_output, weighted_sum

if TYPE_CHECKING:
    from torch import Tensor

    from swagv.models.classifier import VideoClassifier


@dataclass(frozen=True)
class SaliencyTubes(LayerMap):
    """sum_k w_k A_k with w the target's row of the one linear layer that follows global pooling; no bias, no ReLU.

    The map is signed. A network with another kind of head (C3D) raises `swagv.errors.NotApplicable`.
    """

    def passes(self, shape: tuple[int, int, int]) -> Passes:
        """As `Explainer.passes`."""
        return Passes(1)

    def layer_map(self, model: VideoClassifier, clips: Tensor, target: Tensor) -> Tensor:
        """As `LayerMap.layer_map`."""
        if not model.head:
            raise NotApplicable("Saliency Tubes need one linear layer after global pooling; this network has none")
        weight = model.layer(model.head).weight.detach().flatten(1)
        activation = layer_output(model, clips, self.layer)
        if activation.shape[1] != weight.shape[1]:
            raise NotApplicable(
                f"head {model.head!r} weighs {weight.shape[1]} channels; layer {self.layer or model.cam_layer!r} has "
                f"{activation.shape[1]}"
            )
        return weighted_sum(weight[target], activation)
