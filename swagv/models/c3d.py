"""C3D (Tran et al., ICCV 2015), at any width: with batch norm as in VMZ (the paper's), or the Caffe original."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_LAYERS = ("1a", "2a", "3a", "3b", "4a", "4b", "5a", "5b")
_CHANNELS = (1, 2, 4, 4, 8, 8, 8, 8)
_POOL_AFTER = {"1a": (1, 2, 2), "2a": (2, 2, 2), "3b": (2, 2, 2), "4b": (2, 2, 2), "5b": (2, 2, 2)}


class C3D(nn.Module):
    """Eight 3x3x3 convolutions, each with ReLU, five max pools, three linear layers.

    Parameters
    ----------
    num_classes
        Size of the logit vector.
    width
        Channels of the first convolution; 64 is the published network. The linear layers have ``64 * width`` units.
    eps
        Of every batch norm.
    batch_norm
        Whether one stands between each convolution and its ReLU.
    pad_last_pool
        Whether the last pool sees a border of one pixel, as in the Caffe network.

    Notes
    -----
    Input N,3,16,112,112: the linear layers fix the size. ``conv5b`` (after its ReLU) gives N,8*width,2,7,7 and the last
    pool 8*width x 1 x 3 x 3, or x 4 x 4 where it is padded. Output logits N,num_classes.
    """

    def __init__(
        self,
        num_classes: int = 400,
        width: int = 64,
        eps: float = 1e-3,
        batch_norm: bool = True,
        pad_last_pool: bool = False,
    ):
        super().__init__()
        self.last_padding = (0, 1, 1) if pad_last_pool else (0, 0, 0)
        in_planes = 3
        for name, factor in zip(_LAYERS, _CHANNELS, strict=True):
            planes = factor * width
            norm = [nn.BatchNorm3d(planes, eps=eps)] if batch_norm else []
            layers = [nn.Conv3d(in_planes, planes, 3, 1, 1), *norm, nn.ReLU(inplace=True)]
            self.add_module(f"conv{name}", nn.Sequential(*layers))
            in_planes = planes
        places = 16 if pad_last_pool else 9
        self.fc6 = nn.Sequential(nn.Linear(in_planes * places, 64 * width), nn.ReLU(inplace=True), nn.Dropout(0.5))
        self.fc7 = nn.Sequential(nn.Linear(64 * width, 64 * width), nn.ReLU(inplace=True), nn.Dropout(0.5))
        self.fc8 = nn.Linear(64 * width, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        for name in _LAYERS:
            x = getattr(self, f"conv{name}")(x)
            if name in _POOL_AFTER:
                padding = self.last_padding if name == _LAYERS[-1] else 0
                x = nn.functional.max_pool3d(x, _POOL_AFTER[name], _POOL_AFTER[name], padding)
        return self.fc8(self.fc7(self.fc6(torch.flatten(x, 1))))
