"""Data of one's own: videos that a JSON list describes, with boxes as x, y, width, height."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from swagv.clips import Video
from swagv.datasets.dataset import Dataset, folder_at
from swagv.datasets.files import token
from swagv.decode import Probe
from swagv.errors import AnnotationError, ConfigError


@dataclass(frozen=True)
class JsonList(Dataset):
    """Videos of `root` that a list ``[{"file": ..., "label": ..., "boxes": {"0": [x, y, width, height]}}]`` names.

    Parameters
    ----------
    root
        The folder of the videos.
    annotations
        The list, a JSON file.
    """

    root: str = ""
    annotations: str = ""

    @property
    def has_boxes(self) -> bool:
        return True

    @cached_property
    def _entries(self) -> dict[str, tuple[str, str, dict[str, Any]]]:
        """File, label and boxes by video_id."""
        try:
            found = json.loads(Path(self.annotations).read_text(encoding="utf-8"))
            entries = [(entry["file"], entry["label"], entry.get("boxes", {})) for entry in found]
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise ConfigError(f"annotations {self.annotations!r}: {error!r}; need a list of file and label") from error
        by_id = {Path(file).with_suffix("").as_posix(): (file, label, boxes) for file, label, boxes in entries}
        if len(by_id) < len(entries):
            raise ConfigError(f"annotations {self.annotations!r}: two videos share an id")
        return by_id

    def list_videos(self) -> list[Video]:
        root, videos = folder_at(self.root), []
        for video_id, (file, label, boxes) in sorted(self._entries.items()):
            # The token stands for all that is known of the video: a corrected box is a reason to plan it again.
            digest = hashlib.sha256(json.dumps(boxes, sort_keys=True).encode()).hexdigest()[:16]
            videos.append(Video(video_id, str(root / file), label, f"{token(root / file)}:{digest}"))
        return videos

    def boxes_of(
        self, video: Video, folder: Path | None = None, found: Probe | None = None
    ) -> Mapping[int, tuple[float, ...]]:
        corners = {}
        for frame, (x, y, width, height) in self._entries[video.video_id][2].items():
            if width < 1 or height < 1:
                raise AnnotationError(f"the box of frame {frame} has {width}x{height} pixels")
            corners[int(frame)] = (x, y, x + width - 1, y + height - 1)  # inclusive
        return corners


if __name__ == "__main__":
    from swagv.datasets.motions import MOTIONS
    from swagv.datasets.rendering import render_video, write_video

    root, entries = Path("my_videos"), []
    root.mkdir(exist_ok=True)
    for label in (1, 3):
        video = render_video(label, seed=3, num_frames=24)
        name = f"{MOTIONS[label]}.mp4"
        write_video(root / name, video.frames)
        boxes = {str(t): [x, y, x1 - x + 1, y1 - y + 1] for t, (x, y, x1, y1) in enumerate(video.boxes.tolist())}
        entries.append({"file": name, "label": MOTIONS[label], "boxes": boxes})
    (root / "list.json").write_text(json.dumps(entries))
    data = JsonList(root=str(root), annotations=str(root / "list.json"))
    for video in data.list_videos():
        boxes = data.boxes_of(video)
        print(f"{video.video_id}: {video.path}, {video.label}, {len(boxes)} boxes, the first {boxes[0]}")
