"""I3D (Carreira and Zisserman, CVPR 2017): Inception-v1 inflated in time, RGB stream."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

# Outputs of each Inception module: 1x1x1 | 1x1x1, 3x3x3 | 1x1x1, 3x3x3 | pool, 1x1x1. Of a pool: kernel and stride.
_MIXED = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "MaxPool3d_4a_3x3": (3, 2),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "MaxPool3d_5a_2x2": (2, 2),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}


def pad_same(x: Tensor, kernel: tuple[int, int, int], stride: tuple[int, int, int], value: float = 0.0) -> Tensor:
    """Pad N,C,T,H,W as TensorFlow's ``SAME``: output size ceil(size / stride), the odd pixel at the end."""
    pads: list[int] = []
    for size, k, s in zip(reversed(x.shape[2:]), reversed(kernel), reversed(stride), strict=True):
        total = max((-(-size // s) - 1) * s + k - size, 0)
        pads += [total // 2, total - total // 2]
    return functional.pad(x, pads, value=value) if any(pads) else x


class Unit(nn.Module):
    """Convolution with ``SAME`` padding, then batch norm and ReLU; or a convolution with bias alone."""

    def __init__(self, in_planes: int, planes: int, kernel: int, stride: int = 1, plain: bool = False):
        super().__init__()
        self.conv3d = nn.Conv3d(in_planes, planes, kernel, stride, bias=plain)
        self.bn = None if plain else nn.BatchNorm3d(planes, eps=1e-3)
        self.relu = None if plain else nn.ReLU(inplace=True)
        nn.init.kaiming_normal_(self.conv3d.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv3d(pad_same(x, self.conv3d.kernel_size, self.conv3d.stride))
        return x if self.bn is None else self.relu(self.bn(x))


class MaxPool(nn.Module):
    """Max pool with ``SAME`` padding."""

    def __init__(self, kernel: tuple[int, int, int], stride: tuple[int, int, int]):
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        # Minus infinity, not zero: a border that ties with a zero would swallow its gradient.
        padded = pad_same(x, self.kernel, self.stride, value=float("-inf"))
        return functional.max_pool3d(padded, self.kernel, self.stride)


class Mixed(nn.Module):
    """An Inception module: four branches side by side, joined along the channels."""

    def __init__(self, in_planes: int, planes: tuple[int, ...]):
        super().__init__()
        self.b0 = Unit(in_planes, planes[0], 1)
        self.b1a = Unit(in_planes, planes[1], 1)
        self.b1b = Unit(planes[1], planes[2], 3)
        self.b2a = Unit(in_planes, planes[3], 1)
        self.b2b = Unit(planes[3], planes[4], 3)
        self.b3a = MaxPool((3, 3, 3), (1, 1, 1))
        self.b3b = Unit(in_planes, planes[5], 1)

    def forward(self, x: Tensor) -> Tensor:
        branches = [self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(self.b3a(x))]
        return torch.cat(branches, 1)


class I3D(nn.Module):
    """I3D with the parameter names of the common PyTorch ports.

    Parameters
    ----------
    num_classes
        Size of the logit vector; 12,697,264 trainable parameters with 400 classes. 7,280 of them are the scales of the
        batch norms, which DeepMind's network does not have: they are 1 with its weights.
    dropout
        Probability of dropping a pooled feature in training.

    Notes
    -----
    Input N,3,T,224,224 in [-1, 1], T of 9 at least. ``Mixed_5c`` gives N,1024,ceil(T/8),7,7; windows of 2x7x7 are
    averaged, a 1x1x1 convolution gives logits at each of the ceil(T/8) - 1 times, and their mean is the output
    N,num_classes.
    """

    def __init__(self, num_classes: int = 400, dropout: float = 0.5):
        super().__init__()
        self.Conv3d_1a_7x7 = Unit(3, 64, 7, stride=2)
        self.MaxPool3d_2a_3x3 = MaxPool((1, 3, 3), (1, 2, 2))
        self.Conv3d_2b_1x1 = Unit(64, 64, 1)
        self.Conv3d_2c_3x3 = Unit(64, 192, 3)
        self.MaxPool3d_3a_3x3 = MaxPool((1, 3, 3), (1, 2, 2))
        in_planes = 192
        for name, numbers in _MIXED.items():
            if name.startswith("MaxPool"):
                kernel, stride = numbers
                self.add_module(name, MaxPool((kernel,) * 3, (stride,) * 3))
            else:
                self.add_module(name, Mixed(in_planes, numbers))
                in_planes = numbers[0] + numbers[2] + numbers[4] + numbers[5]
        self.dropout = nn.Dropout(dropout)
        self.logits = Unit(in_planes, num_classes, 1, plain=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.MaxPool3d_2a_3x3(self.Conv3d_1a_7x7(x))
        x = self.MaxPool3d_3a_3x3(self.Conv3d_2c_3x3(self.Conv3d_2b_1x1(x)))
        for name in _MIXED:
            x = getattr(self, name)(x)
        x = functional.avg_pool3d(x, (2, 7, 7), stride=1)
        return self.logits(self.dropout(x)).mean((2, 3, 4))
