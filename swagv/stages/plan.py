"""plan: probe the videos of one shard and choose their clips; render: make the videos of a rendered dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tqdm import tqdm

from swagv.clips import ClipSelection, Video, clip_id
from swagv.decode import Decoder
from swagv.errors import DecodeError
from swagv.manifest import assign_shards
from swagv.provenance import provenance
from swagv.publish import publish
from swagv.registry import load_object
from swagv.tables import MANIFEST, write_table


def render(out: Path, shard: str, spec: dict[str, Any]) -> None:
    """Write the videos of a shard and their ``boxes.csv`` into the folder `out`."""
    dataset = load_object(spec["dataset"]["object"])(**spec["dataset"]["settings"])
    with publish(out) as folder:
        folder.mkdir()
        dataset.render(_videos_of(spec, shard), folder)


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
    selection, rows = ClipSelection(**spec["clips"]), []
    with Decoder(time_limit) as decoder:
        for video in tqdm(_videos_of(spec, shard), desc="plan", mininterval=10):
            path = str(folder / video.path) if folder else video.path
            row = {"video_id": video.video_id, "path": path, "label": video.label, "frame_step": selection.frame_step}
            rows += _clips_of(row, decoder, selection)
    write_table(out, rows, MANIFEST, provenance("plan", spec))


def _videos_of(spec: dict[str, Any], shard: str) -> list[Video]:
    dataset = load_object(spec["dataset"]["object"])(**spec["dataset"]["settings"])
    return assign_shards(dataset.list_videos(), spec["shards"])[shard]


def _clips_of(row: dict[str, Any], decoder: Decoder, selection: ClipSelection) -> list[dict[str, Any]]:
    no_clip = row | {"clip_id": clip_id(row["video_id"], 0), "start_frame": 0}
    try:
        found = decoder.probe(row["path"])
    except DecodeError as error:
        return [no_clip | {"status": "unreadable", "detail": str(error)}]
    row = row | {"num_frames": found.num_frames, "height": found.height, "width": found.width}
    if found.truncated:
        return [no_clip | row | {"status": "truncated", "detail": found.detail}]
    starts = selection.starts(found.num_frames)
    if not starts:
        detail = f"{found.num_frames} frames; a clip spans {selection.span}. {found.detail}".strip()
        return [no_clip | row | {"status": "too_few_frames", "detail": detail}]
    ok = {"status": "ok", "detail": found.detail}
    return [row | ok | {"clip_id": clip_id(row["video_id"], start), "start_frame": start} for start in starts]
