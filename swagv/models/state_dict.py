"""Weights on disk: read without running anything in the file, and held against what a network needs."""

from __future__ import annotations

import pickle
import re
import zipfile
import zlib
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
    # AssertionError is what PyTorch raises on a damaged checkpoint of its old format.
    except (SafetensorError, OSError, RuntimeError, AssertionError, zipfile.BadZipFile, zlib.error, *DAMAGE) as error:
        # Of the advice that PyTorch puts around the reason, to read the file in a way that runs it, nothing is shown.
        said = re.search(r"WeightsUnpickler error: *(.+)", str(error))
        reason = said[1] if said else str(error).partition("\n")[0]
        reason = _other_content(path) or reason.strip() or type(error).__name__
        raise ConfigError(
            f"{path} is not a file of weights ({reason}). Give a safetensors or state-dict file"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ConfigError(f"{path} holds no state dict: a mapping of parameter names to tensors is needed")
    return state


def _load_checkpoint(path: Path) -> object:
    """A checkpoint's state dict; the unpickler accepts tensors and plain containers alone."""
    if zipfile.is_zipfile(path):  # whose checksums PyTorch does not look at
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged:
            raise pickle.UnpicklingError(f"{damaged} in it is damaged: its checksum does not hold")
    state = torch.load(path, map_location="cpu", weights_only=True)
    return state.get("state_dict", state) if isinstance(state, dict) else state


def check_fit(what: str, found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Raise `ConfigError`, naming each key that is missing, unexpected, of another shape or type, or not finite.

    Floats of any width go for floats. What a file calls whole numbers may be the bytes of floats.

    Parameters
    ----------
    what
        Start of the message: which file does not fit which network.
    """
    same = [key for key in sorted(expected.keys() & found.keys()) if found[key].shape == expected[key].shape]
    problems = {
        "missing": sorted(expected.keys() - found.keys()),
        "unexpected": sorted(found.keys() - expected.keys()),
        "of another shape": sorted(
            f"{key} {tuple(found[key].shape)} for {tuple(expected[key].shape)}"
            for key in expected.keys() & found.keys()
            if found[key].shape != expected[key].shape
        ),
        "of another type": [
            f"{key} {found[key].dtype} for {expected[key].dtype}"
            for key in same
            if found[key].is_floating_point() != expected[key].is_floating_point()
        ],
        "not finite": [key for key in same if not found[key].isfinite().all()],
    }
    told = [f"{len(keys)} {problem} ({_listed(keys)})" for problem, keys in problems.items() if keys]
    if told:
        raise ConfigError(f"{what}: keys {'; '.join(told)}")


def _other_content(path: Path) -> str:
    """What stands in the place of weights most often; empty where it is something else."""
    try:
        with path.open("rb") as file:
            beginning = file.read(64).lstrip()
    except OSError:
        return ""
    if beginning.startswith(b"<"):
        return "it is a web page, such as a server sends in place of a file that it does not have"
    if beginning.startswith(b"PK") and path.suffix != ".safetensors" and not _is_checkpoint(path):
        return "it is a zip archive of something else, such as an .npz"
    if beginning.startswith(b"version https://git-lfs"):
        return "it is a pointer of Git LFS; `git lfs pull` gets the file itself"
    return ""


def _is_checkpoint(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("data.pkl") for name in archive.namelist())
    except zipfile.BadZipFile:
        return True  # one that is cut may have been


def _listed(keys: list[str]) -> str:
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return ", ".join(keys[:_SHOWN]) + more
