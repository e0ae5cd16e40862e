"""Grad-CAM (Selvaraju et al., ICCV 2017) and Grad-CAM++ (Chattopadhay et al., WACV 2018), for any rank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from swagv.forward_passes import Passes
from swagv.methods.layer_maps import LayerMap, layer_gradient, weighted_sum

if TYPE_CHECKING:
    from torch import Tensor

    from swagv.models.classifier import VideoClassifier


@dataclass(frozen=True)
class GradCam(LayerMap):
    """relu(sum_k w_k A_k) with w_k the mean of dS_c/dA_k over positions."""

    def weights(self, activation: Tensor, gradient: Tensor) -> Tensor:
        """w_k, N,K."""
        return gradient.flatten(2).mean(-1)

    def passes(self, shape: tuple[int, int, int]) -> Passes:
        """As `Explainer.passes`; the backward pass ends at the layer."""
        return Passes(1, 1)

    def layer_map(self, model: VideoClassifier, clips: Tensor, target: Tensor) -> Tensor:
        """As `LayerMap.layer_map`."""
        activation, gradient = layer_gradient(model, clips, target, self.layer)
        weights = self.weights(activation, gradient)
        return weighted_sum(weights, activation.to(weights.dtype)).relu()


@dataclass(frozen=True)
class GradCamPP(GradCam):
    """Grad-CAM with w_k = sum alpha relu(g), alpha = g^2 / (2 g^2 + (sum A) g^3), g = dS_c/dA_k, sums over positions.

    In float64 and without the epsilon of the public codes, which swamps gradients below a thousandth; alpha is 0 where
    its denominator is.

    Parameters
    ----------
    normalise_alpha
        Divide alpha by its sum over the positions of positive gradient, as the authors' own code does.
    """

    normalise_alpha: bool = False

    def weights(self, activation: Tensor, gradient: Tensor) -> Tensor:
        """w_k, N,K float64."""
        import torch

        a, g = activation.double().flatten(2), gradient.double().flatten(2)
        denominator = 2 * g**2 + a.sum(-1, keepdim=True) * g**3
        alpha = torch.where(denominator == 0, 0.0, g**2 / torch.where(denominator == 0, 1.0, denominator))
        if self.normalise_alpha:
            total = (alpha * (g > 0)).sum(-1, keepdim=True)
            alpha = alpha / torch.where(total == 0, 1.0, total)
        return (alpha * g.relu()).sum(-1)
