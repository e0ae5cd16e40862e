"""Published layouts of weights, and what they are in ours."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from swagv.errors import ConfigError
from swagv.models.build import make_network
from swagv.models.cards import load_card
from swagv.models.numpy_pickle import flatten, load_numpy_pickle
from swagv.models.state_dict import check_fit, read_state_dict
from swagv.publish import publish
from swagv.registry import did_you_mean

_MOST_CLASSES = 100_000
LEFT_OVER = "_momentum"  # what an optimiser leaves beside the weights


@dataclass(frozen=True)
class Layout:
    """How somebody else's file names the parameters of one of our networks.

    Parameters
    ----------
    about
        Where such files come from, in a few words.
    model
        Registered name of the network.
    read
        Names and tensors of a file, in the file's words and PyTorch's shapes.
    name_of
        From a key of our state dict to the file's name of it, or None for what the file leaves out (a scale of 1);
        ``{classes}`` in it stands for the number of classes.
    last_bias
        Pattern of the name of the last layer's bias. Its group, where it has one, is the number of classes; elsewhere
        the bias' length is.
    """

    about: str
    model: str
    read: Callable[[Path], dict[str, Tensor]]
    name_of: Callable[[str], str | None]
    last_bias: str


@dataclass(frozen=True)
class Conversion:
    """tensors written, and training left-overs of the source that were not."""

    tensors: int
    left_overs: int


def convert_weights(layout: str, source: Path, out: Path, arguments: Mapping[str, Any] | None = None) -> Conversion:
    """Write a published file of weights as a safetensors file that `swagv.models.build.build_model` takes.

    Parameters
    ----------
    layout
        A key of `LAYOUTS`.
    arguments
        Of the network, on top of its card's, for weights of another width.

    Raises
    ------
    ConfigError
        On an unknown layout, a file that is not of its kind or holds code, or keys that are missing, unexpected or of
        another shape; each is named as in the file.
    """
    if layout not in LAYOUTS:
        known = sorted(LAYOUTS)
        raise ConfigError(f"unknown layout {layout!r}.{did_you_mean(layout, known)} Known: {', '.join(known)}")
    if not source.is_file():
        raise ConfigError(f"weights not found: {source}")
    if out.suffix != ".safetensors":
        raise ConfigError(f"{out}: the name of the file to write must end in .safetensors")
    chosen = LAYOUTS[layout]
    found = chosen.read(source)
    state, left_overs = _convert(chosen, found, f"{source} is not {chosen.about}", arguments or {})
    with source.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    with publish(out) as partial:
        # One key: safetensors writes several in any order, and the same weights are to be the same bytes.
        source = {"layout": layout, "model": chosen.model, "sha256": digest}
        # Not save_file, whose files only their owner can read: a cache folder may be shared.
        partial.write_bytes(save(state, {"source": json.dumps(source, sort_keys=True)}))
    return Conversion(len(state), left_overs)


def _convert(
    layout: Layout, found: dict[str, Tensor], what: str, arguments: Mapping[str, Any]
) -> tuple[dict[str, Tensor], int]:
    """Our state dict, and the number of left-overs."""
    card = load_card(layout.model)
    classes = _number_of_classes(layout, found) or len(card.categories)
    if classes > _MOST_CLASSES:  # a name, or a tensor of one number that says to be long
        raise ConfigError(f"{what}: it has {classes} classes; at most {_MOST_CLASSES:,} can be")
    categories = tuple(str(index) for index in range(classes))
    with torch.device("meta"):  # shapes are all that is needed
        network = make_network(replace(card, categories=categories, arguments={**card.arguments, **arguments}))
    ours = network.state_dict()
    counters = {key for key in ours if key.endswith("num_batches_tracked")}
    names = {key: layout.name_of(key) for key in ours if key not in counters}
    names = {key: name and name.format(classes=classes) for key, name in names.items()}
    expected = {name: ours[key] for key, name in names.items() if name}
    given = {name: value for name, value in found.items() if not name.endswith((LEFT_OVER, "num_batches_tracked"))}
    check_fit(what, given, expected)
    state = {
        key: torch.ones(ours[key].shape) if name is None else found[name].to(torch.float32, copy=True).contiguous()
        for key, name in names.items()
    }
    state |= {key: torch.zeros((), dtype=torch.int64) for key in counters}
    return state, sum(name.endswith(LEFT_OVER) for name in found)


def _number_of_classes(layout: Layout, found: Mapping[str, Tensor]) -> int | None:
    for name, value in found.items():
        match = re.fullmatch(layout.last_bias, name)
        if match:
            return int(match[1]) if match.lastindex else value.numel()
    return None


def _tensors(arrays: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(np.array(value, np.float32)) for name, value in arrays.items()}


def _read_caffe2(path: Path) -> dict[str, Tensor]:
    with path.open("rb") as file:
        found = load_numpy_pickle(file, str(path))
    if not isinstance(found.get("blobs"), dict):
        raise ConfigError(f"{path} has no 'blobs'; it is not a Caffe2 pickle of VMZ")
    return _tensors(flatten(found["blobs"], str(path)))


def _read_flax(path: Path) -> dict[str, Tensor]:
    """Kernels (D,H,W,in,out) become (out,in,D,H,W), statistics (1,1,1,1,C) become (C,)."""
    with path.open("rb") as file:
        tensors = _tensors(flatten(load_numpy_pickle(file, str(path)), str(path)))
    return {
        name: value.permute(4, 3, 0, 1, 2).contiguous()
        if name.endswith("/kernel") and value.ndim == 5
        else value.flatten()
        for name, value in tensors.items()
    }


def _renamed(key: str, table: Mapping[str, str]) -> tuple[str, str]:
    """Module and parameter of a key, the module renamed by the first pattern that matches all of it."""
    module, _, parameter = key.rpartition(".")
    for pattern, name in table.items():
        match = re.fullmatch(pattern, module)
        if match:
            return match.expand(name), parameter
    return module, parameter


def _vmz_name(key: str, table: Mapping[str, str]) -> str:
    module, parameter = _renamed(key, table)
    norm = re.search("spatbn|_bn$", module)
    # `riv` holds the running variance, whatever its name says.
    suffixes = {"weight": "s" if norm else "w", "bias": "b", "running_mean": "rm", "running_var": "riv"}
    return f"{module}_{suffixes[parameter]}"


_VMZ_R2PLUS1D = {
    r"stem\.0": "conv1_middle",
    r"stem\.1": "conv1_middle_spatbn_relu",
    r"stem\.3": "conv1",
    r"stem\.4": "conv1_spatbn_relu",
    "fc": "last_out_L{classes}",
}
_VMZ_BLOCK = {
    r"conv(\d)\.0\.0": r"comp_{block}_conv_\1_middle",
    r"conv(\d)\.0\.1": r"comp_{block}_spatbn_\1_middle",
    r"conv(\d)\.0\.3": r"comp_{block}_conv_\1",
    r"conv(\d)\.1": r"comp_{block}_spatbn_\1",
    r"downsample\.0": "shortcut_projection_{block}",
    r"downsample\.1": "shortcut_projection_{block}_spatbn",
}
_VMZ_C3D = {r"(conv..)\.0": r"\1", r"(conv..)\.1": r"\1_bn", r"(fc[67])\.0": r"\1", "fc8": "last_out_L{classes}"}


def _vmz_r2plus1d_name(key: str) -> str:
    block = re.match(r"layer(\d)\.(\d)\.", key)
    if not block:
        return _vmz_name(key, _VMZ_R2PLUS1D)
    # Blocks are counted through the four stages, two a stage.
    number = 2 * (int(block[1]) - 1) + int(block[2])
    return _vmz_name(key[block.end() :], _VMZ_BLOCK).replace("{block}", str(number))


def _vmz_c3d_name(key: str) -> str:
    return _vmz_name(key, _VMZ_C3D)


def _sports1m_name(key: str) -> str:
    module, parameter = _renamed(key, {r"(conv[12])a\.0": r"\1", r"(conv..|fc.)\.0": r"\1"})
    return f"{module}.{parameter}"


_FLAX_UNITS = {
    "b0": "Branch_0/Conv3d_0a_1x1",
    "b1a": "Branch_1/Conv3d_0a_1x1",
    "b1b": "Branch_1/Conv3d_0b_3x3",
    "b2a": "Branch_2/Conv3d_0a_1x1",
    "b2b": "Branch_2/Conv3d_0b_3x3",
    "b3b": "Branch_3/Conv3d_0b_1x1",
    "logits": "Logits/Conv3d_0c_1x1",
}


def _flax_i3d_name(key: str) -> str | None:
    *path, layer, parameter = key.split(".")
    unit = "/".join(_FLAX_UNITS.get(part, part) for part in path)
    if layer == "conv3d":
        return f"params/{unit}/Conv_0/{'kernel' if parameter == 'weight' else 'bias'}"
    statistics = {"running_mean": "mean", "running_var": "var"}
    if parameter in statistics:
        return f"batch_stats/{unit}/BatchNorm_0/{statistics[parameter]}"
    return f"params/{unit}/BatchNorm_0/bias" if parameter == "bias" else None


def _same_name(key: str) -> str:
    return key


LAYOUTS = {
    "vmz-r2plus1d": Layout(
        "a Caffe2 pickle of VMZ's R(2+1)D-18",
        "r2plus1d_18_vmz",
        _read_caffe2,
        _vmz_r2plus1d_name,
        r"last_out_L(\d+)_b",
    ),
    "vmz-c3d": Layout("a Caffe2 pickle of VMZ's C3D", "c3d", _read_caffe2, _vmz_c3d_name, r"last_out_L(\d+)_b"),
    "pytorch-i3d": Layout(
        "an I3D state dict in the layout of the common PyTorch port",
        "i3d",
        read_state_dict,
        _same_name,
        r"logits\.conv3d\.bias",
    ),
    "pytorch-c3d": Layout(
        "a C3D state dict (Sports-1M) in the layout of the common PyTorch port",
        "c3d_sports1m",
        read_state_dict,
        _sports1m_name,
        r"fc8\.bias",
    ),
    "flax-i3d": Layout(
        "a pickle of DeepMind's I3D as a Flax port names it",
        "i3d",
        _read_flax,
        _flax_i3d_name,
        "params/Logits/Conv3d_0c_1x1/Conv_0/bias",
    ),
}
