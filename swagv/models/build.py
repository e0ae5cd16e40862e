"""From a model's card to a network with weights."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from swagv.catalogue import MODELS
from swagv.errors import ConfigError
from swagv.models.cards import ModelCard
from swagv.models.classifier import VideoClassifier
from swagv.registry import load_object


def build_model(name: str, weights: str | Path | None = "default") -> VideoClassifier:
    """A registered network in eval mode.

    Parameters
    ----------
    name
        Registered, or ``"package.module:CARD"``.
    weights
        ``"default"`` for the file on the model's card, a safetensors or state-dict file, or None for fresh weights.

    Raises
    ------
    ConfigError
        On an unknown name, absent default weights, or keys that are missing, unexpected or of another shape.
    """
    card = MODELS.load(name)
    if not isinstance(card, ModelCard):
        raise ConfigError(f"model {name!r} is a {type(card).__name__}; it must be a swagv.models.cards.ModelCard")
    network = load_object(card.factory)(num_classes=len(card.categories), **card.arguments)
    path = weights_path(name, card, weights)
    if path is not None:
        _load_weights(network, path)
    known = {
        name: getattr(card, name)
        for name in ("categories", "geometry", "clip_len", "mean", "std", "bgr", "cam_layer", "head", "channels_last")
    }
    return VideoClassifier(network, **known).eval()


def weights_path(name: str, card: ModelCard, weights: str | Path | None) -> Path | None:
    """The file that `weights` stands for."""
    if weights is None:
        return None
    path = card.weights if weights == "default" else Path(weights)
    if path is None:
        raise ConfigError(f"model {name!r} has no default weights here; give weights: a safetensors or .pth file")
    if not path.is_file():
        raise ConfigError(f"weights of model {name!r} not found: {path}")
    return path


def _load_pickle(path: Path) -> object:
    """A checkpoint's state dict; the unpickler accepts tensors and plain containers alone."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    return state.get("state_dict", state) if isinstance(state, dict) else state


def _load_weights(network: torch.nn.Module, path: Path) -> None:
    try:
        state = load_file(path) if path.suffix == ".safetensors" else _load_pickle(path)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(
            f"{path} is not a file of weights ({reason}). Give a safetensors or state-dict file"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ConfigError(f"{path} holds no state dict: a mapping of parameter names to tensors is needed")
    expected = network.state_dict()
    problems = {
        "missing": sorted(expected.keys() - state.keys()),
        "unexpected": sorted(state.keys() - expected.keys()),
        "of another shape": sorted(
            f"{key} {tuple(state[key].shape)} for {tuple(expected[key].shape)}"
            for key in expected.keys() & state.keys()
            if state[key].shape != expected[key].shape
        ),
    }
    found = [f"{len(keys)} {what} ({', '.join(keys[:3])} …)" for what, keys in problems.items() if keys]
    if found:
        raise ConfigError(f"{path} does not fit {type(network).__name__}: keys {'; '.join(found)}")
    network.load_state_dict(state)
