"""plan: probe the videos of one shard and choose their clips; render: make the videos of a rendered dataset."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from swagv.clips import ABSENT, ClipSelection, Video, clip_id
from swagv.decode import Decoder, Probe
from swagv.errors import AnnotationError, DecodeError
from swagv.manifest import assign_shards
from swagv.provenance import provenance
from swagv.publish import publish
from swagv.registry import load_object
from swagv.tables import MANIFEST, write_table


def render(out: Path, shard: str, spec: dict[str, Any]) -> None:
    """Write the videos of a shard and their ``boxes.csv`` into the folder `out`."""
    dataset = _dataset(spec)
    with publish(out) as folder:
        folder.mkdir()
        dataset.render(_videos_of(dataset, spec, shard), folder)


def plan(out: Path, folder: Path | None, shard: str, spec: dict[str, Any], time_limit: float) -> None:
    """Write the manifest of a shard: a row a clip, and a row for each video that gives none, with the reason.

    Parameters
    ----------
    folder
        Where relative paths start, for rendered videos.
    spec
        Dataset, number of shards and clip selection.
    time_limit
        Seconds for one video.
    """
    selection, dataset, rows = ClipSelection(**spec["clips"]), _dataset(spec), []
    with Decoder(time_limit) as decoder:
        for video in tqdm(_videos_of(dataset, spec, shard), desc="plan", mininterval=10):
            path = str(folder / video.path) if folder else video.path
            row = {"video_id": video.video_id, "path": path, "label": video.label, "frame_step": selection.frame_step}
            if video.token == ABSENT or not Path(path).exists():
                rows += _no_clip(row, "missing", "there is no such file")
            else:
                rows += _clips_of(row, decoder, selection, partial(dataset.boxes_of, video, folder))
    write_table(out, rows, MANIFEST, provenance("plan", spec))


def _dataset(spec: dict[str, Any]) -> Any:
    return load_object(spec["dataset"]["object"])(**spec["dataset"]["settings"])


def _videos_of(dataset: Any, spec: dict[str, Any], shard: str) -> list[Video]:
    return assign_shards(dataset.list_videos(), spec["shards"])[shard]


def _clips_of(
    row: dict[str, Any],
    decoder: Decoder,
    selection: ClipSelection,
    true_boxes: Callable[[Probe], Mapping[int, tuple[float, ...]]],
) -> list[dict[str, Any]]:
    try:
        found = decoder.probe(row["path"])
        boxes = true_boxes(found)
    except DecodeError as error:
        return _no_clip(row, "unreadable", str(error))
    except AnnotationError as error:
        return _no_clip(row, "bad_annotation", str(error))
    row = row | {"num_frames": found.num_frames, "height": found.height, "width": found.width}
    if found.truncated:
        return _no_clip(row, "truncated", found.detail)
    starts = selection.starts(found.num_frames, boxes)
    if not starts and found.num_frames < selection.span:
        detail = f"{found.num_frames} frames; a clip spans {selection.span}. {found.detail}".strip()
        return _no_clip(row, "too_few_frames", detail)
    if not starts:
        detail = f"no clip of {selection.span} frames has a true box in each; {len(boxes)} frames have one"
        return _no_clip(row, "too_few_boxes", detail)
    ok = {"status": "ok", "detail": found.detail}
    return [
        row | ok | {"clip_id": clip_id(row["video_id"], start), "start_frame": start} | _boxes(selection, start, boxes)
        for start in starts
    ]


def _no_clip(row: dict[str, Any], status: str, detail: str) -> list[dict[str, Any]]:
    """The one row of a video that gives no clip."""
    nowhere = {"clip_id": clip_id(row["video_id"], 0), "start_frame": 0}
    return [row | nowhere | {"status": status, "detail": detail}]


def _boxes(selection: ClipSelection, start: int, boxes: Mapping[int, tuple[float, ...]]) -> dict[str, Any]:
    return {"boxes": [boxes.get(index, (math.nan,) * 4) for index in selection.frames_of(start)]} if boxes else {}
