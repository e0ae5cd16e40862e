"""What each named network is and needs, as data: reading a card imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from swagv.catalogue import MODELS
from swagv.datasets.motions import MOTIONS
from swagv.errors import ConfigError
from swagv.geometry import Geometry
from swagv.registry import did_you_mean

_WEIGHTS = Path(__file__).parents[1] / "weights"
_KINETICS_MEAN, _KINETICS_STD = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)
KINETICS400 = tuple(Path(__file__).with_name("kinetics400_classes.txt").read_text(encoding="utf-8").splitlines())


@dataclass(frozen=True)
class ModelCard:
    """A network, its preprocessing and its names.

    Parameters
    ----------
    factory
        ``"package.module:Class"`` of the network; called with `arguments`, and with ``num_classes`` where `categories`
        are given and it is not `self_contained`.
    cam_layer
        Dotted name of the last convolutional stage, after its ReLU.
    head
        Dotted name of the one linear layer (or 1x1x1 convolution) that follows global average pooling; empty where the
        network has another kind of head.
    reshape
        ``"package.module:function"``, or the function itself, that makes a map N,K,t,h,w of what a layer gives, for a
        transformer whose layers give tokens or N,t,h,w,K; `swagv.models.reshape` has those of the networks here.
    categories
        Class names in the order of the logits; numbers where the names are not known. Empty where not even their
        number is: the first logits then number them.
    arguments
        Keyword arguments of `factory`.
    weights
        The default safetensors file, if the package ships one.
    fetched
        Name of the default file in the cache folder, where ``swagv fetch-weights`` puts it.
    torchvision
        ``"Enum.MEMBER"`` of torchvision's default weights; other members are named in their place.
    self_contained
        Whether `factory` is called with `arguments` alone and gives a network that has its weights already.
    geometry
        Resize and crop of the frames, see `swagv.geometry.Geometry`.
    clip_len
        Frames of a clip.
    mean, std
        Of each channel in the network's order, on the scale [0, 1].
    bgr
        Whether the network takes blue first.
    channels_last
        Whether to run it in PyTorch's memory format ``channels_last_3d``, the fastest for 3-D convolutions. Not for a
        network that calls ``view`` on feature maps.

    Raises
    ------
    ValueError
        On a value that no network can have.
    """

    factory: str
    cam_layer: str = ""
    head: str = ""
    reshape: str | Callable[..., Any] = ""
    categories: tuple[str, ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)
    weights: Path | None = None
    fetched: str = ""
    torchvision: str = ""
    self_contained: bool = False
    geometry: Geometry = field(default_factory=Geometry)
    clip_len: int = 16
    mean: tuple[float, float, float] = _KINETICS_MEAN
    std: tuple[float, float, float] = _KINETICS_STD
    bgr: bool = False
    channels_last: bool = False

    def __post_init__(self) -> None:
        for name, (fits, wanted) in _VALUES.items():
            value = getattr(self, name)
            if not fits(value):
                raise ValueError(f"{name} is {value!r}; it must be {wanted}")
            if isinstance(value, list):  # YAML and JSON have no tuples
                object.__setattr__(self, name, tuple(value))

    @property
    def modules(self) -> list[str]:
        """The modules of its code, for `swagv.fingerprint`."""
        return [path.split(":")[0] for path in (self.factory, self.reshape) if isinstance(path, str) and path]


def _texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _three(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 3 and all(map(_number, value))


_HOOK = "package.module:function, or a function"
_VALUES = {
    "cam_layer": (lambda value: isinstance(value, str), "the dotted name of a layer"),
    "head": (lambda value: isinstance(value, str), "the dotted name of a layer"),
    "reshape": (lambda value: value == "" or callable(value) or (isinstance(value, str) and ":" in value), _HOOK),
    "categories": (_texts, "a list of names"),
    "arguments": (lambda value: isinstance(value, Mapping) and _texts(list(value)), "a mapping of names to values"),
    "geometry": (lambda value: isinstance(value, Geometry), "a mapping with resize and crop"),
    "clip_len": (lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 1, "at least 1"),
    "mean": (_three, "three numbers"),
    "std": (lambda value: _three(value) and min(value) > 0, "three positive numbers"),
    "bgr": (lambda value: isinstance(value, bool), "true or false"),
    "channels_last": (lambda value: isinstance(value, bool), "true or false"),
}
SETTINGS = tuple(_VALUES)


def replaced(what: str, card: ModelCard, settings: Mapping[str, Any]) -> ModelCard:
    """A card with some of its fields replaced; `what` is named where that cannot be.

    Raises
    ------
    ConfigError
        On a setting that a card does not have or cannot take.
    """
    settings = dict(settings)
    _check_names(what, settings, SETTINGS)
    if isinstance(settings.get("geometry"), Mapping):
        _check_names(f"geometry of {what}", settings["geometry"], [item.name for item in fields(Geometry)])
    try:
        if isinstance(settings.get("geometry"), Mapping):
            settings["geometry"] = Geometry(**settings["geometry"])
        return replace(card, **settings)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{what}: {error}") from error


def load_card(name: str, settings: Mapping[str, Any] | None = None) -> ModelCard:
    """The card of a model, with some of its fields replaced.

    Parameters
    ----------
    name
        Registered, ``"package.module:CARD"``, or ``"package.module:factory"``: any callable that gives a network of
        clips N,3,T,H,W becomes a `self_contained` card.
    settings
        Card fields from `SETTINGS`; `geometry` may be a mapping, and is replaced whole.

    Raises
    ------
    ConfigError
        On an unknown name, an object that is neither, or a setting that a card does not have or cannot take.
    """
    card = MODELS.load(name)
    if not isinstance(card, ModelCard):
        if not callable(card):
            raise ConfigError(f"{name!r} is a {type(card).__name__}; a ModelCard or a factory of a network is needed")
        card = ModelCard(MODELS.path(name), self_contained=True)
    return replaced(f"model {name!r}", card, settings or {})


def _check_names(what: str, given: Mapping[str, Any], known: list[str] | tuple[str, ...]) -> None:
    for key in given:
        if key not in known:
            raise ConfigError(
                f"{what} has no setting {key!r}.{did_you_mean(str(key), list(known))} Known: {', '.join(sorted(known))}"
            )


def _numbers(count: int) -> tuple[str, ...]:
    return tuple(str(index) for index in range(count))


_RESNET = {"cam_layer": "layer4", "head": "fc"}
_R2PLUS1D = {"factory": "swagv.models.video_resnet:R2Plus1D", "channels_last": True, **_RESNET}
_TORCHVISION = {
    "factory": "swagv.models.torchvision_networks:network",
    "categories": KINETICS400,
    "channels_last": True,
}
_C3D = {"factory": "swagv.models.c3d:C3D", "cam_layer": "conv5b", "channels_last": True}

R2PLUS1D_18 = ModelCard(**_R2PLUS1D, categories=KINETICS400, torchvision="R2Plus1D_18_Weights.KINETICS400_V1")
R2PLUS1D_18_VMZ = ModelCard(**_R2PLUS1D, categories=KINETICS400, arguments={"mid_planes": "vmz", "eps": 1e-3})
R3D_18 = ModelCard(**_TORCHVISION, **_RESNET, arguments={"name": "r3d_18"}, torchvision="R3D_18_Weights.KINETICS400_V1")
MC3_18 = ModelCard(**_TORCHVISION, **_RESNET, arguments={"name": "mc3_18"}, torchvision="MC3_18_Weights.KINETICS400_V1")
# Resize, crop and length are those for which torchvision states this network's accuracy.
S3D = ModelCard(
    **_TORCHVISION,
    cam_layer="features.15",
    head="classifier.1",
    arguments={"name": "s3d"},
    torchvision="S3D_Weights.KINETICS400_V1",
    geometry=Geometry(resize=(256, 256), crop=224),
    clip_len=128,
)
# Pooled or not, the last layer of an MViT that still has a place for every token is the norm before its last attention.
_MVIT = {
    "cam_layer": "blocks.15.norm1",
    "reshape": "swagv.models.reshape:mvit_tokens",
    "geometry": Geometry(resize=256, crop=224),
    "mean": (0.45, 0.45, 0.45),
    "std": (0.225, 0.225, 0.225),
}
_SWIN3D = {
    "cam_layer": "norm",
    "head": "head",
    "reshape": "swagv.models.reshape:channels_last",
    "geometry": Geometry(resize=256, crop=224),
    "clip_len": 32,
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
}


def _transformer(name: str, weights: str, **known: Any) -> ModelCard:
    arguments, torchvision = {"name": name}, f"{weights}.KINETICS400_V1"
    return ModelCard(**_TORCHVISION | {"channels_last": False}, **known, arguments=arguments, torchvision=torchvision)


MVIT_V1_B = _transformer("mvit_v1_b", "MViT_V1_B_Weights", **_MVIT)
MVIT_V2_S = _transformer("mvit_v2_s", "MViT_V2_S_Weights", **_MVIT)
SWIN3D_T = _transformer("swin3d_t", "Swin3D_T_Weights", **_SWIN3D)
SWIN3D_S = _transformer("swin3d_s", "Swin3D_S_Weights", **_SWIN3D)
SWIN3D_B = _transformer("swin3d_b", "Swin3D_B_Weights", **_SWIN3D)
C3D = ModelCard(**_C3D, categories=KINETICS400)
# Caffe: blue first, on the scale [0, 255], less the mean clip; here one rounded number a channel (B, G, R), as PyTorch
# ports of this network subtract it.
C3D_SPORTS1M = ModelCard(
    **_C3D,
    categories=_numbers(487),
    arguments={"batch_norm": False, "pad_last_pool": True},
    mean=(90 / 255, 98 / 255, 102 / 255),
    std=(1 / 255, 1 / 255, 1 / 255),
    bgr=True,
)
I3D = ModelCard(
    "swagv.models.i3d:I3D",
    cam_layer="Mixed_5c",
    head="logits.conv3d",
    channels_last=True,
    categories=KINETICS400,
    fetched="i3d_kinetics400.safetensors",
    geometry=Geometry(resize=256, crop=224),
    clip_len=64,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
)
R2PLUS1D_DEMO = ModelCard(
    **_R2PLUS1D, categories=MOTIONS, arguments={"width": 6}, weights=_WEIGHTS / "r2plus1d_demo.safetensors"
)
C3D_DEMO = ModelCard(**_C3D, categories=MOTIONS, arguments={"width": 6}, weights=_WEIGHTS / "c3d_demo.safetensors")
