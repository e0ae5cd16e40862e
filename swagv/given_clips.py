"""Explanations in a file: of ``swagv explain``, of a workflow, or made elsewhere and saved as npz or zarr.

Arrays of a file, of N clips, or of one without the axis N:

``attribution``, or ``attribution/METHOD`` for several methods
    (N,T,H,W) numbers, as large as the network's input.
``frames``
    (N,T,H,W,3) uint8 RGB; may stand in another file.
``target``
    (N,), the class that is explained: its number or its name. Optional.
``boxes``
    (N,T,4) true boxes as x_min, y_min, x_max, y_max in pixels of the map, NaN for none. Optional.
``clip_ids``
    (N,) text, ``video@start``: the clips of one video are drawn together by the bootstrap. Optional.

In a file of a whole video, as ``swagv explain --whole`` writes it, one axis T stands for N and T.
"""

from __future__ import annotations

import warnings
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from swagv.catalogue import METHODS
from swagv.clips import clip_id
from swagv.errors import ConfigError
from swagv.geometry import Geometry
from swagv.metrics.localisation import Localisation, visible_boxes

_MAPS = "attribution"
# What a file that is cut makes numpy and zarr raise.
_DAMAGE = (OSError, EOFError, LookupError, RuntimeError, TypeError, ValueError, zipfile.BadZipFile)


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
        The class that is explained, a number or a name; None where the file does not say.
    boxes
        (T, 4) float64, true boxes in pixels of the map; None where the file has none.
    """

    clip_id: str
    status: str = "ok"
    frames: np.ndarray | None = None
    maps: Mapping[str, np.ndarray] | None = None
    target: int | str | None = None
    boxes: np.ndarray | None = None

    @property
    def has_boxes(self) -> bool:
        """Whether a frame of it has a true box."""
        return self.boxes is not None and bool(np.isfinite(self.boxes).all(-1).any())


@dataclass(frozen=True, eq=False)
class _Part:
    """Arrays of one file, what it calls its clips, and where boxes in pixels of the video lie on the map."""

    path: Path
    arrays: Mapping[str, Any]
    clip_ids: Sequence[str] | None = None
    geometry: Geometry | None = None
    sizes: Sequence[Any] = ()


class GivenClips:
    """The clips of a file. Those of zarr are read one by one, an npz is read whole.

    Parameters
    ----------
    path
        ``.npz``, ``.npy`` of one method, or the folder of a zarr group; that of a workflow's explanations too.
    shape
        T, H and W of what the network sees; a whole video is cut into clips of T frames.
    frames
        The frames of the only clip, or another such file that has them, and maybe targets and boxes; where both have
        `clip_ids`, clips are found by these. For a workflow's explanations its own store of clips if None.

    Attributes
    ----------
    methods
        Names of the methods.
    clip_ids
        Names of the clips.
    boxed
        Whether there is an array of true boxes.
    left_out
        How many frames at the end of a whole video make no clip.

    Raises
    ------
    ConfigError
        If a file is not there or cannot be read, its arrays do not fit each other or the network, or two of its clips
        have one name.
    """

    def __init__(self, path: Path, shape: tuple[int, int, int], frames: Path | np.ndarray | None = None):
        self._path, self.left_out = path, 0
        arrays, attributes = _arrays_of(path)
        self._own = _Part(path, arrays, _ids(path, arrays, attributes))
        self._status: list[str] | None = None
        if attributes.get("complete") is True and ("layout" in attributes or _MAPS in arrays):
            self._take_store(path, attributes)
            frames = frames if frames is not None else _clips_of_the_run(path)
        else:
            self._take_arrays(path, arrays)
        self.methods = tuple(self._maps)
        self._frames = self._part_with_frames(frames)
        known = [(name, part) for name in ("target", "boxes") for part in (self._own, self._frames)]
        # What the file of the explanations says of them comes first.
        self._more = {name: part for name, part in reversed(known) if name in part.arrays}
        self.boxed = "boxes" in self._more
        self._places = self._layout(shape)
        self._rows = self._rows_of_frames()
        self._check_more()

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> GivenClip:
        """A clip.

        Raises
        ------
        ConfigError
            If the file is damaged there.
        """
        name = self.clip_ids[index]
        if self._status is not None and self._status[index] != "ok":
            return GivenClip(name, self._status[index])
        try:
            with np.errstate(over="ignore"):  # too large for float32 is not finite
                maps = {method: np.asarray(one[self._places[index]], np.float32) for method, one in self._maps.items()}
            frames = np.asarray(self._of(self._frames, "frames", index))
            return GivenClip(name, "ok", frames, maps, self._target(index), self._boxes(index, frames.shape[1:3]))
        except _DAMAGE as error:
            raise ConfigError(f"{self._path}: clip {name} cannot be read: {error}") from error

    def _of(self, part: _Part, name: str, index: int) -> Any:
        """What an array of a file has of a clip."""
        return part.arrays[name][self._places[index] if part is self._own else self._rows[index]]

    def _target(self, index: int) -> int | str | None:
        if "target" not in self._more:
            return None
        part = self._more["target"]
        array = part.arrays["target"]
        found = array[...] if not array.shape else self._of(part, "target", index)
        found = np.ravel(found)[0]
        return str(found) if isinstance(found, str) else int(found)

    def _boxes(self, index: int, size: tuple[int, int]) -> np.ndarray | None:
        if not self.boxed:
            return None
        part = self._more["boxes"]
        boxes = np.asarray(self._of(part, "boxes", index), np.float64)
        if part.geometry is None:
            return boxes
        # In a workflow's store they are in pixels of the video.
        row = self._places[index] if part is self._own else self._rows[index]
        return visible_boxes(Localisation().true_boxes(boxes, part.geometry, part.sizes[row]), size)

    def _take_store(self, path: Path, attributes: Mapping[str, Any]) -> None:
        """Explanations of a workflow, of whatever layout."""
        from swagv.explanations import Explanations

        method = attributes.get("spec", {}).get("method", {})
        # A file that names an object is not taken at its word: only what is registered is imported.
        if attributes.get("layout") == "control" and method.get("object") not in METHODS.values():
            raise ConfigError(f"{path} is of the control {method.get('object')!r}, which is not registered here")
        found = Explanations(path)
        self._maps, self._status = {path.resolve().parent.name: found}, list(found.store.attrs["status"])

    def _take_arrays(self, path: Path, arrays: Mapping[str, Any]) -> None:
        self._maps = {}
        for name in sorted(arrays):
            if name == _MAPS or name.startswith(f"{_MAPS}/"):
                method = name.partition("/")[2] or path.stem
                if method in self._maps:
                    raise ConfigError(f"{path}: {_MAPS} and {name} are both of the method {method!r}; rename one")
                self._maps[method] = arrays[name]
        if not self._maps:
            raise ConfigError(f"{path} has no array {_MAPS} or {_MAPS}/METHOD; it has {_listed(arrays)}")

    def _part_with_frames(self, frames: Path | np.ndarray | None) -> _Part:
        if frames is None:
            part = self._own
        elif isinstance(frames, np.ndarray):
            alone = all(one.ndim == 4 and len(one) == 1 for one in self._maps.values())
            part = _Part(self._path, {"frames": frames[None] if alone else frames})
        else:
            arrays, attributes = _arrays_of(frames)
            part = _Part(frames, arrays, _ids(frames, arrays, attributes), *_sizes(frames, attributes))
        if "frames" not in part.arrays:
            cure = "Give --clips, a file that has, or --video"
            raise ConfigError(f"{part.path} has no array frames; it has {_listed(part.arrays)}. {cure}")
        found = part.arrays["frames"]
        if found.dtype != np.uint8 or found.ndim not in (4, 5) or found.shape[-1] != 3:
            raise ConfigError(f"{part.path}: frames are {found.dtype} {found.shape}; (N,T,H,W,3) uint8 is needed")
        return part

    def _layout(self, shape: tuple[int, int, int]) -> list[Any]:
        """What to index an array with for each clip."""
        if self._status is not None:
            return list(range(len(self._status)))
        said = ", ".join(f"{name} {one.shape} {one.dtype}" for name, one in self._maps.items())
        if len({one.shape for one in self._maps.values()}) > 1:
            raise ConfigError(f"{self._path}: attributions differ in shape: {said}")
        found = next(iter(self._maps.values())).shape
        kinds = {one.dtype.kind for one in self._maps.values()}
        if len(found) not in (3, 4) or kinds - set("bfiu") or not all(found):
            raise ConfigError(f"{self._path}: attributions are {said}; (N,T,H,W) numbers are needed")
        whole = len(found) == 3 and found[0] > shape[0]
        if found[-3 + whole :] != shape[whole:]:
            raise ConfigError(
                f"{self._path}: attributions are {said}; the network sees {shape}. Upsample them to that, as "
                "swagv.upsampling.upsample does, or set --clip-len"
            )
        if len(found) == 4:
            return list(range(found[0]))
        if whole:
            self.left_out = found[0] % shape[0]
            return [slice(start, start + shape[0]) for start in range(0, found[0] - shape[0] + 1, shape[0])]
        return [...]

    def _rows_of_frames(self) -> list[Any]:
        """Where each clip is in the file of the frames; the names of the clips are those of the first file with any."""
        own, beside = self._own.clip_ids, self._frames.clip_ids
        if own is not None and beside is not None and self._frames is not self._own:
            places = {name: row for row, name in enumerate(beside)}
            absent = [name for name in own if name not in places]
            if absent:
                raise ConfigError(
                    f"{self._frames.path} has no clip {absent[0]}, of which {self._path} has explanations"
                )
            self.clip_ids, rows = list(own), [places[name] for name in own]
            self._check_frames(len(beside))
        else:
            self._check_frames(None)
            names = own if own is not None else beside
            self.clip_ids, rows = list(names) if names is not None else self._made_up_ids(), self._places
        if len(self.clip_ids) != len(self):
            raise ConfigError(f"{self._path}: {len(self)} explanations and {len(self.clip_ids)} clip_ids")
        return rows

    def _check_frames(self, count: int | None) -> None:
        """Frames are of the clips of the explanations, or of so many that are found by name."""
        frames = self._frames.arrays["frames"].shape
        maps = next(iter(self._maps.values()))
        if self._status is not None:
            expected = (len(self._status) if count is None else count, *frames[1:2])
        else:
            expected = (count, *maps.shape[1:-2]) if count is not None else maps.shape[:-2]
        if frames[:-3] != expected:
            raise ConfigError(
                f"{self._path}: attributions are of {expected} clips and frames, {self._frames.path} has {frames[:-3]}"
            )

    def _check_more(self) -> None:
        for name, part in self._more.items():
            array = part.arrays[name]
            clips = part.arrays["frames"].shape[:-3] if part is self._frames else self._shape_of_clips()
            if name == "boxes" and (array.shape != (*clips, 4) or array.dtype.kind not in "fiu"):
                raise ConfigError(
                    f"{part.path}: boxes are {array.dtype} {array.shape}; {(*clips, 4)} numbers are needed"
                )
            text = array.dtype.kind in "UTO"
            if name == "target" and (array.shape not in ((), clips[:1]) or not (text or array.dtype.kind in "iu")):
                wanted = f"{clips[:1]} whole numbers or names"
                raise ConfigError(f"{part.path}: target is {array.dtype} {array.shape}; {wanted} are needed")
            if name == "target" and not array.shape and len(self) > 1 and isinstance(self._places[0], int):
                raise ConfigError(f"{part.path}: one target for {len(self)} clips; give one each, or --target")

    def _shape_of_clips(self) -> tuple[int, ...]:
        if self._status is not None:
            return (len(self._status), *self._frames.arrays["frames"].shape[1:2])
        return next(iter(self._maps.values())).shape[:-2]

    def _made_up_ids(self) -> list[str]:
        """A clip of a video by its first frame; one of several by its number, as a video of its own."""
        starts = np.ravel(self._own.arrays.get("frame_indices", np.zeros(0, int)))

        def name(place: Any) -> str:
            if isinstance(place, int):
                return f"{self._path.stem}-{place}"
            start = place.start if isinstance(place, slice) else 0
            return clip_id(self._path.stem, int(starts[start]) if start < len(starts) else start)

        return [name(place) for place in self._places]


def _arrays_of(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arrays of a file by their names, and the attributes of a zarr group; nothing in it is run."""
    if not path.exists():
        raise ConfigError(f"{path}: there is no such file")
    try:
        if path.is_dir():
            return _zarr_arrays(path)
        with path.open("rb") as file:
            beginning = file.read(6)
        if not (beginning.startswith(b"PK") or beginning == b"\x93NUMPY"):
            raise ConfigError(f"{path} is neither an npz or npy file nor the folder of a zarr group")
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            return {_MAPS: found}, {}
        with found:
            return {name: found[name] for name in found.files}, {}
    except ConfigError:
        raise
    except _DAMAGE as error:
        if "allow_pickle" in str(error):
            raise ConfigError(f"{path} holds Python objects; save its arrays as numbers, or as text") from error
        raise ConfigError(f"{path} cannot be read: {str(error).partition(chr(10))[0]}") from error


def _zarr_arrays(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    import zarr
    from zarr.errors import GroupNotFoundError

    from swagv.stores import check_codecs

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what else lies in the folder
        try:
            group = zarr.open_group(str(path), mode="r")
        except (FileNotFoundError, GroupNotFoundError) as error:
            raise ConfigError(
                f"{path} is a folder, and no zarr group; give a group that has the array {_MAPS}"
            ) from error
        arrays = {name: one for name, one in group.members(max_depth=None) if isinstance(one, zarr.Array)}
    for name, array in arrays.items():
        check_codecs(f"{path}/{name}", array)
    return arrays, dict(group.attrs)


def _ids(path: Path, arrays: Mapping[str, Any], attributes: Mapping[str, Any]) -> list[str] | None:
    found = arrays["clip_ids"][...] if "clip_ids" in arrays else attributes.get("clip_ids")
    if found is None:
        return None
    names = [str(name) for name in np.ravel(found)]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ConfigError(f"{path}: two clips are called {twice[0]}; give each a clip_id of its own, video@start")
    return names


def _sizes(path: Path, attributes: Mapping[str, Any]) -> tuple[Geometry | None, Sequence[Any]]:
    """Of a workflow's clips: how frames became the network's input, and how large each video is."""
    if attributes.get("complete") is not True or "sizes" not in attributes:
        return None, ()
    try:
        return Geometry(**attributes["spec"]["geometry"]), attributes["sizes"]
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{path} does not say how its clips were cut: {error}. It is of another version") from error


def _listed(arrays: Mapping[str, Any]) -> str:
    return ", ".join(sorted(arrays)) or "none"


def _clips_of_the_run(path: Path) -> Path | None:
    """results/DATASET/clips/SHARD.zarr of results/DATASET/MODEL/explanations/METHOD/SHARD.zarr."""
    parts = path.resolve().parts
    found = Path(*parts[:-4], "clips", parts[-1]) if len(parts) > 4 and parts[-3] == "explanations" else None
    return found if found is not None and found.is_dir() else None
