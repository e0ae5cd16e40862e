"""What each named network is and needs, as data: reading a card imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from swagv.datasets.motions import MOTIONS
from swagv.geometry import Geometry

_WEIGHTS = Path(__file__).parents[1] / "weights"
_KINETICS_MEAN, _KINETICS_STD = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)


@dataclass(frozen=True)
class ModelCard:
    """A network, its preprocessing and its names.

    Parameters
    ----------
    factory
        ``"package.module:Class"`` of the network; called with ``num_classes`` and `arguments`.
    cam_layer
        Dotted name of the last convolutional stage, after its ReLU.
    head
        Dotted name of the one linear layer (or 1x1x1 convolution) that follows global average pooling; empty where the
        network has another kind of head.
    categories
        Class names in the order of the logits; a tuple of numbers where the names are not known.
    weights
        The default safetensors file, if there is one.
    mean, std
        Of each channel in the network's order, on the scale [0, 1].
    bgr
        Whether the network takes blue first.
    channels_last
        Whether to run it in PyTorch's memory format ``channels_last_3d``, the fastest for 3-D convolutions. Not for a
        network that calls ``view`` on feature maps.
    """

    factory: str
    cam_layer: str = ""
    head: str = ""
    categories: tuple[str, ...] = tuple(str(index) for index in range(400))
    arguments: Mapping[str, Any] = field(default_factory=dict)
    weights: Path | None = None
    geometry: Geometry = field(default_factory=Geometry)
    clip_len: int = 16
    mean: tuple[float, float, float] = _KINETICS_MEAN
    std: tuple[float, float, float] = _KINETICS_STD
    bgr: bool = False
    channels_last: bool = False


_R2PLUS1D = {
    "factory": "swagv.models.video_resnet:R2Plus1D",
    "cam_layer": "layer4",
    "head": "fc",
    "channels_last": True,
}
_C3D = {"factory": "swagv.models.c3d:C3D", "cam_layer": "conv5b", "channels_last": True}

R2PLUS1D_18 = ModelCard(**_R2PLUS1D)
R2PLUS1D_18_VMZ = ModelCard(**_R2PLUS1D, arguments={"mid_planes": "vmz", "eps": 1e-3})
C3D = ModelCard(**_C3D)
R2PLUS1D_DEMO = ModelCard(
    **_R2PLUS1D, categories=MOTIONS, arguments={"width": 6}, weights=_WEIGHTS / "r2plus1d_demo.safetensors"
)
C3D_DEMO = ModelCard(**_C3D, categories=MOTIONS, arguments={"width": 6}, weights=_WEIGHTS / "c3d_demo.safetensors")
