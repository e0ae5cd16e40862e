"""decode: the clips of one manifest as uint8 frames and boxes, resized and cropped."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from swagv.decode import Decoder, Frame, Frames
from swagv.errors import DecodeError
from swagv.geometry import Geometry
from swagv.stores import create_store
from swagv.tables import read_rows


def decode(manifest: Path, out: Path, spec: dict[str, Any], time_limit: float) -> None:
    """Write a clip store: ``frames`` (n,T,H,W,3) uint8 and, in pixels of the video, ``boxes`` (n,T,4), NaN for none.

    The attribute ``sizes`` has height and width of each video, to which the boxes belong.

    Each video is decoded once, and no more frames are in memory than 64 clips hold.

    Parameters
    ----------
    spec
        Geometry and clip length.
    """
    rows = read_rows(manifest)
    geometry, clip_len = Geometry(**spec["geometry"]), spec["clip_len"]
    boxes: list[np.ndarray | None] = [None] * len(rows)
    readers, sizes = [""] * len(rows), [[0, 0] for _ in rows]
    attributes = {"readers": readers, "sizes": sizes, "spec": spec}
    with (
        create_store(out, [row["clip_id"] for row in rows], attributes) as store,
        Decoder(time_limit) as decoder,
    ):

        def frames() -> Iterator[np.ndarray | None]:
            found = _clips_of_all(rows, decoder, geometry, clip_len)
            for index, clip in enumerate(tqdm(found, desc="decode", total=len(rows), mininterval=10)):
                if isinstance(clip, str):
                    store.status[index] = clip
                    yield None
                    continue
                readers[index], sizes[index] = clip.reader, list(clip.size)
                boxes[index] = np.array(rows[index]["boxes"] or [(np.nan,) * 4] * clip_len)
                yield clip.frames

        store.write("frames", frames(), "uint8")
        store.write("boxes", boxes, "float32", missing=np.nan)


def _clips_of_all(
    rows: list[dict[str, Any]], decoder: Decoder, geometry: Geometry, clip_len: int
) -> Iterator[Frames | str]:
    """The clip of each row, or the status that says why there is none."""
    for (_, status), group in groupby(rows, key=lambda row: (row["path"], row["status"])):
        if status == "ok":
            yield from _clips_of(list(group), decoder, geometry, clip_len)
        else:
            yield from (status for _ in group)


def _clips_of(
    rows: list[dict[str, Any]], decoder: Decoder, geometry: Geometry, clip_len: int
) -> Iterator[Frames | str]:
    """The same of one video, whose rows the plan has sorted by their first frame: decoded once, cut as it comes."""
    step = rows[0]["frame_step"]
    clips = [range(row["start_frame"], row["start_frame"] + clip_len * step, step) for row in rows]
    wanted = sorted(set().union(*clips))
    coming = zip(wanted, decoder.iter_frames(rows[0]["path"], wanted, geometry), strict=True)
    held: dict[int, Frame] = {}
    problem = ""
    for clip in clips:
        held = {index: frame for index, frame in held.items() if index >= clip[0]}
        while clip[-1] not in held and not problem:
            try:
                index, frame = next(coming)
            except DecodeError as error:
                problem = f"unreadable: {error}"
            else:
                held[index] = frame
        yield problem if clip[-1] not in held else Frames.of([held[index] for index in clip])
