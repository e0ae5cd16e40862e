"""Actors annotated with tubes, a box in each of consecutive frames: UCF101-24's .mat and .pkl files, both untrusted."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from swagv.datasets.matlab import load_matlab
from swagv.errors import ConfigError
from swagv.models.numpy_pickle import load_numpy_pickle

# annot_bmvc.mat has the first, finalAnnots.mat the second.
_MAT_VARIABLES = ("videos", "annot")
VIDEO_NAME = re.compile(r"\w+/v_\w+_g\d\d_c\d\d", re.ASCII)
_FRAMES = range(1, 1_000_000)
_PIXELS = 10_000  # boxes of annot_bmvc.mat reach 200 pixels beyond the frame, as the paper took them


@dataclass(frozen=True)
class Tube:
    """first: the 0-based frame of the first box; boxes (n, 4) float64 x, y, width, height in pixels, a row a frame."""

    first: int
    boxes: np.ndarray


@dataclass(frozen=True)
class AnnotatedVideo:
    """num_frames as annotated, the tubes, and what is wrong with the annotation, if anything; then no tube is given."""

    num_frames: int
    tubes: tuple[Tube, ...]
    problem: str = ""


def read_tubes(path: Path | str) -> dict[str, AnnotatedVideo]:
    """Videos by name (``"Basketball/v_Basketball_g01_c01"``) of an annotation file of UCF101-24.

    Parameters
    ----------
    path
        ``annot_bmvc.mat`` or ``finalAnnots.mat`` (first and last frame 1-based, inclusive), or ``pyannot.pkl``
        (0-based, half-open). A pickle is read without running anything in it.

    Returns
    -------
    dict
        A tube with fewer boxes than frames, or one that runs past the video, ends where both go on. A video whose
        annotation makes no sense has a `problem` and no tubes.

    Raises
    ------
    ConfigError
        If the file is no such annotation file.
    """
    path = Path(path)
    if not os.path.isfile(path):
        raise ConfigError(f"annotations not found: {str(path)!r}; annot_bmvc.mat, finalAnnots.mat or pyannot.pkl")
    if path.suffix == ".mat":
        entries, offset = _mat_entries(path), 1
    elif path.suffix == ".pkl":
        entries, offset = _pickle_entries(path), 0
    else:
        raise ConfigError(f"{path}: annotations are read from .mat and .pkl files; this one ends in {path.suffix!r}")
    videos: dict[str, AnnotatedVideo] = {}
    for name, frames, tubes in entries:
        if not isinstance(name, str) or not VIDEO_NAME.fullmatch(name):
            raise ConfigError(f"{path}: {name!r} is no video of UCF101; names look like Biking/v_Biking_g01_c01")
        if name in videos:
            raise ConfigError(f"{path} annotates {name!r} twice")
        videos[name] = _checked(frames, tubes, offset)
    if not videos:
        raise ConfigError(f"{path} annotates no video")
    return videos


def _mat_entries(path: Path) -> Iterable[tuple[Any, Any, Any]]:
    """(name, number of frames, tubes as mappings) of each video."""
    found = load_matlab(path, _MAT_VARIABLES)
    videos = next((found[name] for name in _MAT_VARIABLES if name in found), None)
    if videos is None:
        raise ConfigError(f"{path} has no variable {' or '.join(_MAT_VARIABLES)}; it is no annotation of UCF101-24")
    for video in _listed(videos):
        if not isinstance(video, Mapping) or not {"name", "num_imgs", "tubes"} <= video.keys():
            raise ConfigError(f"{path}: every video needs name, num_imgs and tubes")
        yield video["name"], video["num_imgs"], _listed(video["tubes"])


def _pickle_entries(path: Path) -> Iterable[tuple[Any, Any, Any]]:
    with path.open("rb") as file:
        found = load_numpy_pickle(file, str(path))
    for name, video in found.items():
        if not isinstance(video, Mapping) or not {"annotations", "numf"} <= video.keys():
            raise ConfigError(f"{path}: {name!r} needs numf and annotations")
        tubes = video["annotations"]
        yield name, video["numf"], _listed(tubes)


def _listed(value: Any) -> list[Any]:
    """MATLAB's reader makes no difference between one thing and a list of one."""
    return value if isinstance(value, list) else [value]


def _checked(frames: Any, tubes: list[Any], offset: int) -> AnnotatedVideo:
    try:
        num_frames = _whole_number(frames, "the number of frames")
        if num_frames not in _FRAMES:
            raise ValueError(f"{num_frames} frames")
        return AnnotatedVideo(num_frames, tuple(_tube(tube, num_frames, offset) for tube in tubes))
    except ValueError as error:
        return AnnotatedVideo(0, (), str(error))


def _tube(tube: Any, num_frames: int, offset: int) -> Tube:
    if not isinstance(tube, Mapping) or not {"sf", "ef", "boxes"} <= tube.keys():
        raise ValueError("a tube without sf, ef or boxes")
    first, end = _whole_number(tube["sf"], "sf") - offset, _whole_number(tube["ef"], "ef")
    if not 0 <= first < end:
        raise ValueError(f"a tube from frame {first} to before frame {end} (0-based)")
    boxes = tube["boxes"]
    # A few bytes of a pickle can be a billion numbers: lists in which one list stands many times.
    if _is_list(boxes) and any(len(row) > 4 or any(map(_is_list, row)) for row in boxes if _is_list(row)):
        raise ValueError("boxes are lists in lists; (n, 4) numbers are needed")
    boxes = np.asarray(boxes)
    boxes = boxes[None] if boxes.shape == (4,) else boxes
    if boxes.dtype.kind not in "iuf" or boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"boxes are {boxes.dtype} {boxes.shape}; (n, 4) numbers are needed")
    # They are stored in 8 bits, which x + width leaves.
    boxes = boxes.astype(np.float64)
    if not ((boxes >= 0) & (boxes < _PIXELS)).all() or (boxes[:, 2:] == 0).any():
        raise ValueError(f"a box with a negative corner, without area, not finite or beyond {_PIXELS} pixels")
    return Tube(first, boxes[: max(0, min(end, num_frames) - first)])


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _whole_number(value: Any, what: str) -> int:
    if _is_list(value) and (len(value) != 1 or _is_list(value[0])):
        raise ValueError(f"{what} is a list; one whole number is needed")
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "iuf" or array.item() % 1:
        given = repr(array.item()) if array.size == 1 and array.dtype.kind != "O" else f"{array.dtype} {array.shape}"
        raise ValueError(f"{what} is {given}; one whole number is needed")
    return int(array.item())
