"""Which video belongs to which shard, known from the list of names alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import astuple

from swagv.clips import Video


def shard_of(video_id: str, shards: int) -> str:
    """Shard of a video: a stable hash of its id, so that adding videos moves none."""
    digest = hashlib.sha256(video_id.encode()).digest()
    return f"{int.from_bytes(digest[:8], 'big') % shards:04d}"


def assign_shards(videos: Iterable[Video], shards: int) -> dict[str, list[Video]]:
    """Videos by shard, each shard sorted by id; empty shards are left out."""
    assigned: dict[str, list[Video]] = {}
    for video in sorted(videos, key=lambda video: video.video_id):
        assigned.setdefault(shard_of(video.video_id, shards), []).append(video)
    return dict(sorted(assigned.items()))


def digest(videos: Iterable[Video]) -> str:
    """Changes when a video of the list comes, goes, or may have changed."""
    return hashlib.sha256(json.dumps([astuple(video) for video in videos]).encode()).hexdigest()
