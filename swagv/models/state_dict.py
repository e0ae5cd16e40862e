"""Weights on disk: read without running anything in the file, and held against what a network needs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from swagv.errors import ConfigError
from swagv.models.numpy_pickle import DAMAGE

_SHOWN = 8


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Parameter names and tensors of a safetensors file or a checkpoint.

    Raises
    ------
    ConfigError
        If the file is neither, is damaged, or holds anything but tensors and plain containers.
    """
    try:
        state = load_file(path) if path.suffix == ".safetensors" else _load_checkpoint(path)
    except (SafetensorError, OSError, RuntimeError, *DAMAGE) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(
            f"{path} is not a file of weights ({reason}). Give a safetensors or state-dict file"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ConfigError(f"{path} holds no state dict: a mapping of parameter names to tensors is needed")
    return state


def _load_checkpoint(path: Path) -> object:
    """A checkpoint's state dict; the unpickler accepts tensors and plain containers alone."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    return state.get("state_dict", state) if isinstance(state, dict) else state


def check_fit(what: str, found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Raise `ConfigError`, naming each key that is missing, unexpected or of another shape.

    Parameters
    ----------
    what
        Start of the message: which file does not fit which network.
    """
    problems = {
        "missing": sorted(expected.keys() - found.keys()),
        "unexpected": sorted(found.keys() - expected.keys()),
        "of another shape": sorted(
            f"{key} {tuple(found[key].shape)} for {tuple(expected[key].shape)}"
            for key in expected.keys() & found.keys()
            if found[key].shape != expected[key].shape
        ),
    }
    told = [f"{len(keys)} {problem} ({_listed(keys)})" for problem, keys in problems.items() if keys]
    if told:
        raise ConfigError(f"{what}: keys {'; '.join(told)}")


def _listed(keys: list[str]) -> str:
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return ", ".join(keys[:_SHOWN]) + more
