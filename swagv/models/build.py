"""From a model's card to a network with weights."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from swagv.errors import ConfigError
from swagv.models.cards import SETTINGS, ModelCard, load_card, replaced
from swagv.models.classifier import VideoClassifier
from swagv.models.state_dict import check_fit, read_state_dict
from swagv.models.weights import find_weights
from swagv.registry import load_object


def build_model(name: str, weights: str | Path | None = "default", **settings: Any) -> VideoClassifier:
    """A network in eval mode, with its preprocessing and names.

    Parameters
    ----------
    name
        Registered, ``"package.module:CARD"``, or ``"package.module:factory"``. A factory is any callable that gives a
        network of clips N,3,T,H,W; it is called with the setting `arguments` alone.
    weights
        ``"default"`` for those of the model's card, or those which a factory's network has already; the name of
        torchvision's weights (``"KINETICS400_V1"``); a safetensors or state-dict file; None for fresh weights.
    **settings
        Card fields that replace those of the card, as `swagv.models.cards.load_card` takes them: ``clip_len=32``.

    Raises
    ------
    ConfigError
        On an unknown name or setting, absent weights, arguments that the network does not take, or keys that are
        missing, unexpected or of another shape.

    Examples
    --------
    >>> build_model("c3d_demo").categories[0]
    'horizontal'
    """
    card = load_card(name, settings)
    found = find_weights(name, card, weights)
    network = make_network(card)
    if isinstance(found, str):
        from swagv.models.torchvision_networks import fetch_state_dict

        load_weights(network, fetch_state_dict(found), found)
    elif found is not None:
        load_weights(network, read_state_dict(found), str(found))
    return _classifier(network, card)


def as_classifier(network: nn.Module, **settings: Any) -> VideoClassifier:
    """A network of one's own, with what must be known to explain it, in eval mode and on the device where it is.

    Parameters
    ----------
    network
        Maps clips N,3,T,H,W float32 to logits N,K.
    **settings
        Card fields, as `swagv.models.cards.ModelCard` has them; its defaults for those that are not given.

    Raises
    ------
    ConfigError
        On a setting that a card does not have or cannot take.

    Examples
    --------
    >>> network = nn.Sequential(nn.Conv3d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 2))
    >>> model = as_classifier(network, cam_layer="1", categories=("run", "jump"), clip_len=8)
    >>> model.clip_len, model.crop
    (8, 112)
    """
    card = replaced(type(network).__name__, ModelCard("", self_contained=True), settings)
    if not isinstance(network, nn.Module):
        raise ConfigError(f"{network!r} is a {type(network).__name__}; give a name or a torch.nn.Module")
    tensor = next(network.parameters(), torch.zeros(0))
    if tensor.is_floating_point() and tensor.dtype != torch.float32:
        raise ConfigError(f"{type(network).__name__} is in {tensor.dtype}, clips are float32: give network.float()")
    return _classifier(network, card).to(tensor.device)


@contextmanager
def taking_clips(name: str, card: ModelCard) -> Iterator[None]:
    """A network that fails on clips of another length or size than its own does not take them.

    Parameters
    ----------
    name
        As `load_card` takes it.
    card
        The network's, as it is used.

    Raises
    ------
    ConfigError
        In place of the network's own RuntimeError.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        own, reason = load_card(name), str(error).partition("\n")[0]
        if card.clip_len != own.clip_len:
            raise ConfigError(f"model {name!r} does not take clips of {card.clip_len} frames: {reason}") from error
        if card.geometry != own.geometry:
            raise ConfigError(f"model {name!r} does not take {card.geometry.crop} pixels: {reason}") from error
        raise


def _classifier(network: nn.Module, card: ModelCard) -> VideoClassifier:
    known = {field: getattr(card, field) for field in SETTINGS if field != "arguments"}
    reshape = card.reshape
    if isinstance(reshape, str):
        reshape = load_object(reshape) if reshape else None
        if reshape is not None and not callable(reshape):
            raise ConfigError(f"reshape {card.reshape!r} is a {type(reshape).__name__}; a function is needed")
    return VideoClassifier(network, **known | {"reshape": reshape}).eval()


def build_from_spec(spec: Mapping[str, Any]) -> VideoClassifier:
    """The network of a checked configuration: ``card``, ``weights`` and ``settings`` as `build_model` takes them."""
    return build_model(spec["card"], spec["weights"], **spec["settings"])


def make_network(card: ModelCard) -> nn.Module:
    """The network of a card, as its factory gives it.

    Raises
    ------
    ConfigError
        If the factory does not take the card's arguments or gives no network.
    """
    factory, arguments = load_object(card.factory), dict(card.arguments)
    if card.categories and not card.self_contained:
        arguments["num_classes"] = len(card.categories)
    try:
        inspect.signature(factory).bind(**arguments)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{card.factory} cannot be called with {arguments}: {error}") from error
    try:
        network = factory(**arguments)
    except ValueError as error:
        raise ConfigError(f"{card.factory}: {error}") from error
    if not isinstance(network, nn.Module):
        raise ConfigError(f"{card.factory} gives a {type(network).__name__}; a torch.nn.Module is needed")
    return network


def load_weights(network: nn.Module, state: dict[str, Any], source: str) -> None:
    """Put a state dict into a network that it fits exactly; `source` is named where it does not."""
    check_fit(f"{source} does not fit {type(network).__name__}", state, network.state_dict())
    network.load_state_dict(state)
