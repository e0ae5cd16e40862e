"""Explanations in a file: of ``swagv explain``, of a workflow, or made elsewhere and saved as npz or zarr.

Arrays of a file, of N clips, or of one without the axis N:

``attribution``, or ``attribution/METHOD`` for several methods
    (N,T,H,W) float, as large as the network's input.
``frames``
    (N,T,H,W,3) uint8 RGB; may stand in another file.
``target``
    (N,) integer, the class that is explained. Optional.
``boxes``
    (N,T,4) true boxes as x_min, y_min, x_max, y_max in pixels of the map, NaN for none. Optional.
``clip_ids``
    (N,) text, ``video@start``: the clips of one video are drawn together by the bootstrap. Optional.

In a file of a whole video, as ``swagv explain --whole`` writes it, one axis T stands for N and T.
"""

from __future__ import annotations

import json
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from swagv.clips import clip_id
from swagv.errors import ConfigError
from swagv.geometry import Geometry
from swagv.metrics.localisation import Localisation, visible_boxes

_MAPS = "attribution"
# What a file that is cut, or no such file at all, makes numpy and zarr raise.
_DAMAGE = (OSError, EOFError, KeyError, RuntimeError, TypeError, ValueError, zipfile.BadZipFile)


@dataclass(frozen=True, eq=False)
class GivenClip:
    """A clip with its explanations.

    Parameters
    ----------
    clip_id
        What the file calls it, or the file's name and the clip's first frame or number.
    status
        ``"ok"``, or why there is nothing to score.
    frames
        (T, H, W, 3) uint8 RGB; None where the status is not ok, and so with the rest.
    maps
        Method -> attribution (T, H, W) float32.
    target
        The class that is explained; None where the file does not say.
    boxes
        (T, 4) float64, true boxes in pixels of the map; None where the file has none.
    """

    clip_id: str
    status: str = "ok"
    frames: np.ndarray | None = None
    maps: Mapping[str, np.ndarray] | None = None
    target: int | None = None
    boxes: np.ndarray | None = None


class GivenClips:
    """The clips of a file. Those of zarr are read one by one, an npz is read whole.

    Parameters
    ----------
    path
        ``.npz``, ``.npy`` of one method, or the folder of a zarr group; that of a workflow's explanations too.
    clip_len
        T of the network; a whole video is cut into clips of so many frames.
    frames
        The frames of the only clip, or another such file that has them, and maybe boxes; where both have `clip_ids`,
        clips are found by these. For a workflow's explanations its own store of clips if None.

    Attributes
    ----------
    methods
        Names of the methods.
    clip_ids
        Names of the clips.
    left_out
        How many frames at the end of a whole video make no clip.

    Raises
    ------
    ConfigError
        If a file is not there or cannot be read, or its arrays do not fit each other.
    """

    def __init__(self, path: Path, clip_len: int, frames: Path | np.ndarray | None = None):
        self._path, self.left_out = path, 0
        arrays, attributes = _arrays_of(path)
        if attributes.get("complete") is True and "clip_ids" in attributes:
            self._take_store(path, attributes)
            frames = frames if frames is not None else _clips_of_the_run(path)
        else:
            self._maps = {_method_of(name, path): arrays[name] for name in sorted(arrays) if _is_map(name)}
            self._status = None
        if not self._maps:
            raise ConfigError(f"{path} has no array {_MAPS} or {_MAPS}/METHOD; it has {_listed(arrays)}")
        self.methods = tuple(self._maps)
        beside, ids_beside, self._geometry = arrays, None, None
        if isinstance(frames, np.ndarray):
            beside = arrays | {"frames": frames}
        elif frames is not None:
            beside, attributes_beside = _arrays_of(frames)
            ids_beside = _ids(beside, attributes_beside)
            if {"sizes", "spec"} <= attributes_beside.keys():  # a workflow's clips
                self._geometry, self._sizes = (
                    Geometry(**attributes_beside["spec"]["geometry"]),
                    attributes_beside["sizes"],
                )
            beside = beside | {name: one for name, one in arrays.items() if name == "target"}
        if "frames" not in beside:
            raise ConfigError(
                f"{frames or path} has no array frames; it has {_listed(beside)}. Give --clips or --video"
            )
        self._beside, ids = beside, _ids(arrays, attributes)
        self._places = self._layout(clip_len, found_by_id=ids is not None and ids_beside is not None)
        self._check_ids(ids, ids_beside)

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[GivenClip]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> GivenClip:
        """A clip.

        Raises
        ------
        ConfigError
            If the file is damaged there.
        """
        name, place = self.clip_ids[index], self._places[index]
        if self._status is not None and self._status[index] != "ok":
            return GivenClip(name, self._status[index])
        there = place if self._order is None else self._order[index]
        try:
            maps = {method: np.asarray(one[place], np.float32) for method, one in self._maps.items()}
            frames = np.asarray(self._beside["frames"][there])
            target = np.ravel(self._beside["target"][place])[0] if "target" in self._beside else None
            boxes = np.asarray(self._beside["boxes"][there], np.float64) if "boxes" in self._beside else None
            if boxes is not None and self._geometry is not None:  # there they are in pixels of the video
                boxes = Localisation().true_boxes(boxes, self._geometry, self._sizes[there])
                boxes = visible_boxes(boxes, frames.shape[1:3])
        except _DAMAGE as error:
            raise ConfigError(f"{self._path}: clip {name} cannot be read: {error}") from error
        return GivenClip(name, "ok", frames, maps, None if target is None else int(target), boxes)

    def _take_store(self, path: Path, attributes: Mapping[str, Any]) -> None:
        from swagv.explanations import Explanations

        found = Explanations(path)
        self._maps, self._status = {path.parent.name: found}, list(found.store.attrs["status"])
        self.clip_ids = list(attributes["clip_ids"])

    def _layout(self, clip_len: int, found_by_id: bool) -> list[Any]:
        """What to index an array with for each clip."""
        frames = self._beside["frames"]
        if frames.dtype != np.uint8 or frames.ndim not in (4, 5) or frames.shape[-1] != 3:
            raise ConfigError(f"{self._path}: frames are {frames.dtype} {frames.shape}; (N,T,H,W,3) uint8 is needed")
        if self._status is not None:
            return list(range(len(self._status)))
        shapes = {one.shape for one in self._maps.values()}
        kinds = {one.dtype.kind for one in self._maps.values()}
        (shape,) = shapes if len(shapes) == 1 else [()]
        if len(shape) not in (3, 4) or kinds - set("fiu"):
            said = ", ".join(f"{name} {one.dtype} {one.shape}" for name, one in self._maps.items())
            raise ConfigError(f"{self._path}: attributions are {said}; one (N,T,H,W) float for all is needed")
        known = slice(1 if found_by_id else 0, None)  # of clips that are found by their ids there may be more
        if frames.shape[:-3][known] != shape[:-2][known]:
            raise ConfigError(f"{self._path}: attributions {shape} and frames {frames.shape} are not of the same clips")
        if len(shape) == 4:
            return list(range(shape[0]))
        if shape[0] > clip_len:
            self.left_out = shape[0] % clip_len
            return [slice(start, start + clip_len) for start in range(0, shape[0] - clip_len + 1, clip_len)]
        return [...]

    def _check_ids(self, ids: Sequence[str] | None, beside: Sequence[str] | None) -> None:
        """Names of the clips, and where each is in the file of the frames."""
        self._order = None
        if ids is None:
            starts = np.ravel(self._beside.get("frame_indices", np.zeros(0, int)))
            ids = beside if beside is not None else [self._name(place, starts) for place in self._places]
        elif beside is not None:
            rows = {name: row for row, name in enumerate(beside)}
            absent = [name for name in ids if name not in rows]
            if absent:
                raise ConfigError(f"{self._path}: the file of the frames has no clip {absent[0]}")
            self._order = [rows[name] for name in ids]
        self.clip_ids = list(ids)
        if len(self.clip_ids) != len(self):
            raise ConfigError(f"{self._path}: {len(self)} explanations and {len(self.clip_ids)} clip_ids")

    def _name(self, place: Any, frame_indices: np.ndarray) -> str:
        """A clip of a video by its first frame; one of several by its number, as a video of its own."""
        if isinstance(place, int):
            return f"{self._path.stem}-{place}"
        start = (place.start if isinstance(place, slice) else 0) or 0
        return clip_id(self._path.stem, int(frame_indices[start]) if start < len(frame_indices) else start)


def _arrays_of(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arrays of a file by their names, and the attributes of a zarr group; nothing in it is run."""
    try:
        if path.is_dir():
            return _zarr_arrays(path)
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            return {_MAPS: found}, {}
        with found:
            return {name: found[name] for name in found.files}, {}
    except ConfigError:
        raise
    except _DAMAGE as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else str(error).partition("\n")[0]
        raise ConfigError(f"{path} cannot be read as an npz file or a zarr group: {reason}") from error


def _zarr_arrays(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    import zarr

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what else lies in the folder
        group = zarr.open_group(str(path), mode="r")
        arrays = {name: one for name, one in group.members(max_depth=None) if isinstance(one, zarr.Array)}
    for name, array in arrays.items():
        # A codec of that name would run what the file holds.
        if array.dtype.kind == "O" or "pickle" in json.dumps(array.metadata.to_dict(), default=str):
            raise ConfigError(f"{path}: array {name} holds Python objects; save it as numbers")
    return arrays, dict(group.attrs)


def _ids(arrays: Mapping[str, Any], attributes: Mapping[str, Any]) -> list[str] | None:
    found = arrays["clip_ids"][...] if "clip_ids" in arrays else attributes.get("clip_ids")
    return None if found is None else [str(name) for name in np.ravel(found)]


def _is_map(name: str) -> bool:
    return name == _MAPS or name.startswith(f"{_MAPS}/")


def _method_of(name: str, path: Path) -> str:
    return name.partition("/")[2] or path.stem


def _listed(arrays: Mapping[str, Any]) -> str:
    return ", ".join(sorted(arrays)) or "none"


def _clips_of_the_run(path: Path) -> Path | None:
    """results/DATASET/clips/SHARD.zarr of results/DATASET/MODEL/explanations/METHOD/SHARD.zarr."""
    parts = path.resolve().parts
    found = Path(*parts[:-4], "clips", parts[-1]) if len(parts) > 4 and parts[-3] == "explanations" else None
    return found if found is not None and found.is_dir() else None
