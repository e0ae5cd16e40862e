"""Any folder of videos, with optional tables of labels and boxes."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from swagv.clips import ABSENT, Video
from swagv.datasets.boxes import BOX_COLUMNS, check_columns, read_boxes
from swagv.datasets.dataset import Dataset
from swagv.errors import ConfigError

VIDEO_SUFFIXES = (".mp4", ".avi", ".mkv", ".webm", ".mov", ".m4v", ".mpg", ".mpeg")


@dataclass(frozen=True)
class FolderDataset(Dataset):
    """Videos below `root`.

    Parameters
    ----------
    root
        A folder. Without `labels`, every file with a video's suffix counts; in a sub-folder, its name is the label.
    labels
        A CSV table ``path,label`` (paths relative to `root`); only these videos count.
    boxes
        A CSV table ``video_id,frame,x_min,y_min,x_max,y_max`` in pixels, inclusive, frames from 0. A video's id is its
        path below `root` without the suffix.
    """

    root: str = ""
    labels: str = ""
    boxes: str = ""

    @property
    def box_tables(self) -> list[str]:
        """As `Dataset.box_tables`."""
        return [self.boxes] if self.boxes else []

    @cached_property
    def _boxes(self) -> Mapping[str, Mapping[int, tuple[float, ...]]]:
        return read_boxes(self.boxes) if self.boxes else {}

    def boxes_of(self, video: Video, folder: Path | None) -> Mapping[int, tuple[float, ...]]:
        """As `Dataset.boxes_of`."""
        return self._boxes.get(video.video_id, {})

    def list_videos(self) -> list[Video]:
        """All videos, by id. Nothing is opened.

        Raises
        ------
        ConfigError
            If a file or folder of the settings is absent, a listed path leaves the root, or two videos share an id.
        """
        root = Path(self.root)
        if not self.root or not root.is_dir():
            raise ConfigError(
                f"dataset folder not found: {self.root!r}. Set `root` to the folder that holds the videos"
            )
        if self.boxes:
            check_columns(self.boxes, BOX_COLUMNS)
        videos: dict[str, Video] = {}
        for relative, label in self._entries(root):
            video_id = str(relative.with_suffix("")).replace("\\", "/")
            if video_id in videos:
                raise ConfigError(f"two videos have the id {video_id!r}: {videos[video_id].path} and {root / relative}")
            path = root / relative
            stat = path.stat() if path.is_file() else None
            token = f"{stat.st_size}:{stat.st_mtime_ns}" if stat else ABSENT
            videos[video_id] = Video(video_id, str(path), label, token)
        if not videos:
            raise ConfigError(f"no video in {self.root!r}: looked for {', '.join(VIDEO_SUFFIXES)}")
        return [videos[video_id] for video_id in sorted(videos)]

    def _entries(self, root: Path) -> list[tuple[Path, str]]:
        if not self.labels:
            found = (path for path in root.rglob("*") if path.suffix.lower() in VIDEO_SUFFIXES)
            # macOS leaves a "._name" beside each file that it copies.
            found = (path.relative_to(root) for path in found if path.is_file() and not path.name.startswith("._"))
            return [(path, path.parent.name) for path in sorted(found)]
        check_columns(self.labels, ["path", "label"])
        entries = []
        with Path(self.labels).open(newline="", encoding="utf-8-sig") as file:
            for row in csv.DictReader(file):
                if not (root / row["path"]).resolve().is_relative_to(root.resolve()):
                    raise ConfigError(f"{self.labels}: {row['path']!r} leads out of {self.root!r}")
                entries.append((Path(row["path"]), row["label"]))
        return entries
