"""R(2+1)D, R3D and MC3 with 18 layers (Tran et al., CVPR 2018), at any width."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def _factorised_planes(in_planes: int, out_planes: int) -> int:
    """Channels between the two halves of a (2+1)D convolution, so that it has as many weights as the 3x3x3 one."""
    return (in_planes * out_planes * 27) // (in_planes * 9 + 3 * out_planes)


class Conv2Plus1D(nn.Sequential):
    """A 1x3x3 convolution, batch norm, ReLU, then a 3x1x1 convolution."""

    def __init__(self, in_planes: int, out_planes: int, mid_planes: int, stride: int, eps: float):
        super().__init__(
            nn.Conv3d(in_planes, mid_planes, (1, 3, 3), (1, stride, stride), (0, 1, 1), bias=False),
            nn.BatchNorm3d(mid_planes, eps=eps),
            nn.ReLU(inplace=True),
            nn.Conv3d(mid_planes, out_planes, (3, 1, 1), (stride, 1, 1), (1, 0, 0), bias=False),
        )


class BasicBlock(nn.Module):
    """Two convolutions and a shortcut; ``mid_planes`` holds the inner width of each of the two."""

    def __init__(self, in_planes: int, planes: int, mid_planes: tuple[int, int], stride: int, eps: float):
        super().__init__()
        self.conv1 = nn.Sequential(
            Conv2Plus1D(in_planes, planes, mid_planes[0], stride, eps),
            nn.BatchNorm3d(planes, eps=eps),
            nn.ReLU(inplace=True),
        )
        self.conv2 = nn.Sequential(Conv2Plus1D(planes, planes, mid_planes[1], 1, eps), nn.BatchNorm3d(planes, eps=eps))
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or in_planes != planes:
            self.downsample = nn.Sequential(
                nn.Conv3d(in_planes, planes, 1, stride, bias=False), nn.BatchNorm3d(planes, eps=eps)
            )

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.relu(self.conv2(self.conv1(x)) + shortcut)


class R2Plus1D(nn.Module):
    """R(2+1)D-18. Parameter names are torchvision's, so its checkpoints load as they are.

    Parameters
    ----------
    num_classes
        Size of the logit vector.
    width
        Channels of the first stage; 64 is the published network (31,505,325 parameters with 400 classes).
    mid_planes
        ``"torchvision"`` computes the inner width of a block once, from its input; ``"vmz"`` computes it for each of
        the two convolutions, as the authors' Caffe2 code did.
    eps
        Of every batch norm: 1e-5 in torchvision, 1e-3 in VMZ.

    Notes
    -----
    Input N,3,T,H,W; output logits N,num_classes. ``layer4`` is the last convolutional stage, after its ReLU.
    """

    def __init__(self, num_classes: int = 400, width: int = 64, mid_planes: str = "torchvision", eps: float = 1e-5):
        super().__init__()
        if mid_planes not in ("torchvision", "vmz"):
            raise ValueError(f"mid_planes={mid_planes!r}: must be 'torchvision' or 'vmz'")
        stem_mid = max(1, round(45 * width / 64))
        self.stem = nn.Sequential(
            nn.Conv3d(3, stem_mid, (1, 7, 7), (1, 2, 2), (0, 3, 3), bias=False),
            nn.BatchNorm3d(stem_mid, eps=eps),
            nn.ReLU(inplace=True),
            nn.Conv3d(stem_mid, width, (3, 1, 1), 1, (1, 0, 0), bias=False),
            nn.BatchNorm3d(width, eps=eps),
            nn.ReLU(inplace=True),
        )
        in_planes = width
        for stage in range(4):
            planes, blocks = width * 2**stage, []
            for block in range(2):
                first = _factorised_planes(in_planes, planes)
                second = first if mid_planes == "torchvision" else _factorised_planes(planes, planes)
                stride = 2 if stage > 0 and block == 0 else 1
                blocks.append(BasicBlock(in_planes, planes, (first, second), stride, eps))
                in_planes = planes
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.avgpool = nn.AdaptiveAvgPool3d(1)
        self.fc = nn.Linear(in_planes, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.stem(x)))))
        return self.fc(torch.flatten(self.avgpool(x), 1))
