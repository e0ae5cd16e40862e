"""Zarr stores: one group a shard and stage, one chunk a clip, row i of every store the i-th clip of the manifest."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import BloscCodec

from swagv.errors import SwagvError
from swagv.publish import publish

_CLIPS_PER_ZARR_SHARD = 64
_SHUFFLE = {"uint8": "bitshuffle", "uint16": "shuffle", "float32": "shuffle"}


class StoreWriter:
    """Rows of a store under construction, written in aligned blocks."""

    def __init__(self, group: zarr.Group, clip_ids: Sequence[str]):
        self._group = group
        self._clip_ids = list(clip_ids)
        self._digests: dict[str, str] = {}
        self.status = ["ok"] * len(self._clip_ids)

    def write(self, name: str, rows: Iterable[np.ndarray | None], dtype: str, missing: float = 0) -> None:
        """Write an array (n, ...) from its n rows; a None row (a clip that is not ok) is filled with `missing`.

        One block of rows is in memory at a time, where `rows` makes them as they are asked for.

        Raises
        ------
        ValueError
            If there are not as many rows as clips, or their shapes differ.
        """
        rows, head, shape, clips = iter(rows), [], (1,), len(self._clip_ids)
        for row in rows:  # to the first that has a shape
            head.append(row)
            if row is not None:
                shape = row.shape
                break
        array = self._group.create_array(
            name,
            shape=(clips, *shape),
            chunks=(1, *shape),
            shards=(_CLIPS_PER_ZARR_SHARD, *shape),
            dtype=dtype,
            compressors=BloscCodec(cname="zstd", clevel=3, shuffle=_SHUFFLE[dtype]),
            config={"write_empty_chunks": True},
        )
        digest = hashlib.sha256()
        block, start, filled = np.empty((min(_CLIPS_PER_ZARR_SHARD, clips), *shape), dtype), 0, 0
        for row in chain(head, rows):
            if start + filled == clips:
                raise ValueError(f"{name}: more rows than {clips} clips")
            if row is not None and row.shape != shape:
                raise ValueError(f"{name}: a row has shape {row.shape}, the first one {shape}")
            block[filled] = missing if row is None else row
            filled += 1
            if filled == len(block) or start + filled == clips:
                array[start : start + filled] = block[:filled]
                digest.update(block[:filled])
                start, filled = start + filled, 0
        if start < clips:
            raise ValueError(f"{name}: {start + filled} rows for {clips} clips")
        self._digests[name] = digest.hexdigest()

    def finish(self, attributes: dict[str, Any]) -> None:
        """Write the attributes, SHA-256 of every array and of themselves among them; `complete` stands last.

        Raises
        ------
        SwagvError
            If another writer of the same store, which takes this one for dead, has swept it.
        """
        lost = [name for name in self._digests if name not in self._group]
        if lost:
            raise SwagvError(f"{self._group.store}: another process removed {', '.join(lost)} while it was written")
        own = {"clip_ids": self._clip_ids, "status": self.status, "digests": self._digests}
        self._group.attrs.update(own | attributes)
        self._group.attrs["digest"] = _digest(self._group)
        self._group.attrs["complete"] = True


@contextmanager
def create_store(path: Path | str, clip_ids: Sequence[str], attributes: dict[str, Any]) -> Iterator[StoreWriter]:
    """A new store, visible at `path` only when the block ends well."""
    with publish(path) as partial:
        writer = StoreWriter(zarr.create_group(store=str(partial), zarr_format=3), clip_ids)
        yield writer
        writer.finish(attributes)


def open_store(path: Path | str) -> zarr.Group:
    """A finished store, read-only.

    Raises
    ------
    SwagvError
        If there is none, it is not marked complete, or something of it is missing or was changed. The elements of its
        arrays are not read; `swagv.verify` does.
    """
    try:
        group = zarr.open_group(str(path), mode="r")
    except (FileNotFoundError, ValueError) as error:
        raise SwagvError(f"no zarr store at {path}: {error}") from error
    if group.attrs.get("complete") is not True:
        raise SwagvError(f"{path} is not complete. Delete it and run the workflow again")
    if "digest" in group.attrs:  # a store of an earlier version has none
        arrays = _arrays(group).values()
        # What is missing of an array would read as zeros.
        gone = any(array is None or array.nchunks_initialized < array.nchunks for array in arrays)
        if gone or group.attrs["digest"] != _digest(group):
            raise SwagvError(f"{path} is damaged. Delete it and run the workflow again")
    return group


# Codecs that make numbers or text of bytes. Others may run what a file holds, as that of Python's pickles does.
_CODECS = {
    *(
        "bytes",
        "transpose",
        "sharding_indexed",
        "crc32c",
        "blosc",
        "zstd",
        "gzip",
        "zlib",
        "bz2",
        "lzma",
        "lz4",
        "lz4hc",
    ),
    *("shuffle", "bitround", "delta", "fixedscaleoffset", "packbits", "quantize", "vlen-utf8", "string"),
}


def check_codecs(name: str, array: zarr.Array) -> None:
    """Raise SwagvError, before anything of an array is read, where it has a codec that is not known to be harmless."""
    said = array.metadata.to_dict()
    todo = [said.get("codecs"), said.get("filters"), said.get("compressor"), said.get("compressors")]
    while todo:
        codec = todo.pop()
        if isinstance(codec, list | tuple):
            todo += codec
        elif isinstance(codec, Mapping):
            found = str(codec.get("id") or codec.get("name", "")).removeprefix("numcodecs.")
            if found and found not in _CODECS:
                raise SwagvError(
                    f"{name} is packed by {found!r}, which may run what is in it. Save it as plain numbers"
                )
            inner = codec.get("configuration") or {}
            todo += [inner.get("codecs"), inner.get("index_codecs")]
        elif codec is not None:
            todo.append(codec.to_dict() if hasattr(codec, "to_dict") else codec.get_config())


def _arrays(group: zarr.Group) -> dict[str, zarr.Array | None]:
    """Every array that was written; None where it is gone."""
    return {name: group.get(name) for name in group.attrs["digests"]}


def _digest(group: zarr.Group) -> str:
    """Of everything that a store says of itself but its arrays' elements."""
    said = {name: value for name, value in group.attrs.items() if name not in ("digest", "complete")}
    shapes = {name: [array.shape, str(array.dtype)] for name, array in _arrays(group).items()}
    return hashlib.sha256(json.dumps([said, shapes], sort_keys=True).encode()).hexdigest()


def refer_to(path: Path | str, group: zarr.Group, out: Path | str) -> dict[str, Any]:
    """Attributes by which the store at `out` finds the one at `path` again, wherever both are moved."""
    return {"of": {"path": os.path.relpath(path, Path(out).parent), "digests": group.attrs["digests"]}}


def ok_rows(*groups: zarr.Group) -> tuple[list[str], list[int]]:
    """Status of every clip, the first reason that any of the stores gives, and the indices that are ok in all."""
    status = list(groups[0].attrs["status"])
    for group in groups[1:]:
        if group.attrs["clip_ids"] != groups[0].attrs["clip_ids"]:
            raise SwagvError("these stores hold different clips; run the workflow again to bring them in step")
        status = [old if old != "ok" else new for old, new in zip(status, group.attrs["status"], strict=True)]
    return status, [index for index, value in enumerate(status) if value == "ok"]
