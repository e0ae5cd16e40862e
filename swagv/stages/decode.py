"""decode: the clips of one manifest as uint8 frames and boxes, resized and cropped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from swagv.decode import Decoder
from swagv.errors import DecodeError
from swagv.geometry import Geometry
from swagv.stores import create_store
from swagv.tables import read_rows


def decode(manifest: Path, out: Path, spec: dict[str, Any], time_limit: float) -> None:
    """Write a clip store: ``frames`` (n,T,H,W,3) uint8 and ``boxes`` (n,T,4) float32, NaN for no box.

    Parameters
    ----------
    spec
        Geometry and clip length.
    """
    rows = read_rows(manifest)
    geometry, clip_len = Geometry(**spec["geometry"]), spec["clips"]["clip_len"]
    frames: list[np.ndarray | None] = [None] * len(rows)
    crops: list[np.ndarray | None] = [None] * len(rows)
    readers = [""] * len(rows)
    with (
        create_store(out, [row["clip_id"] for row in rows], {"readers": readers, "spec": spec}) as store,
        Decoder(time_limit) as decoder,
    ):
        for index, row in enumerate(tqdm(rows, desc="decode", mininterval=10)):
            store.status[index] = row["status"]
            if row["status"] != "ok":
                continue
            try:
                found = decoder.read_frames(row["path"], row["start_frame"], clip_len, row["frame_step"])
                frames[index] = geometry.frames(found.frames)
            except DecodeError as error:
                store.status[index] = f"unreadable: {error}"
                continue
            readers[index] = found.reader
            size = found.frames.shape[1:3]
            crops[index] = _boxes_of(row, clip_len, geometry, size)
        store.write("frames", frames, "uint8")
        store.write("boxes", crops, "float32", missing=np.nan)


def _boxes_of(row: dict[str, Any], clip_len: int, geometry: Geometry, size: tuple[int, int]) -> np.ndarray:
    """Boxes (T, 4) of a clip whose decoded frames have `size`: the manifest's is that before a rotation."""
    boxes = row["boxes"] or [(np.nan,) * 4] * clip_len
    return geometry.boxes(np.array(boxes), *size).astype(np.float32)
