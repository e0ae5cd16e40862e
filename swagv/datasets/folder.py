"""Any folder of videos, files or folders of images, with optional tables of labels and boxes."""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from swagv.clips import Video
from swagv.datasets.boxes import BOX_COLUMNS, check_columns
from swagv.errors import ConfigError
from swagv.image_folder import IMAGE_SUFFIXES, images_in

VIDEO_SUFFIXES = (".mp4", ".avi", ".mkv", ".webm", ".mov", ".m4v", ".mpg", ".mpeg")


@dataclass(frozen=True)
class FolderDataset:
    """Videos below `root`.

    Parameters
    ----------
    root
        A folder. Without `labels`, every file with a video's suffix counts, and every folder below that directly holds
        two images or more and no video, as the frames of one video in the order of their numbers. The label is the
        name of the sub-folder that the video is in.
    labels
        A CSV table ``path,label`` (paths of files or of folders of images, relative to `root`); only these count.
    boxes
        A CSV table ``video_id,frame,x_min,y_min,x_max,y_max`` in pixels, inclusive, frames from 0. A video's id is its
        path below `root`, that of a file without its suffix.
    """

    renders: ClassVar[bool] = False
    root: str = ""
    labels: str = ""
    boxes: str = ""

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
            path = root / relative
            video_id = (relative if path.is_dir() else relative.with_suffix("")).as_posix()
            if video_id in videos:
                raise ConfigError(f"two videos have the id {video_id!r}: {videos[video_id].path} and {root / relative}")
            videos[video_id] = Video(video_id, str(path), label, _token(path))
        if not videos:
            looked_for = f"{', '.join(VIDEO_SUFFIXES)}, and folders of {', '.join(IMAGE_SUFFIXES)}"
            raise ConfigError(f"no video in {self.root!r}: looked for {looked_for}")
        return [videos[video_id] for video_id in sorted(videos)]

    def _entries(self, root: Path) -> list[tuple[Path, str]]:
        if not self.labels:
            found = sorted(path.relative_to(root) for path in _videos_below(root))
            return [(path, path.parent.name) for path in found]
        check_columns(self.labels, ["path", "label"])
        entries = []
        with Path(self.labels).open(newline="", encoding="utf-8-sig") as file:
            for row in csv.DictReader(file):
                if root.resolve() not in (root / row["path"]).resolve().parents:
                    raise ConfigError(f"{self.labels}: {row['path']!r} leads out of {self.root!r}")
                entries.append((Path(row["path"]), row["label"]))
        return entries


def _videos_below(root: Path) -> Iterator[Path]:
    """Links to folders are not followed."""
    for name, _, files in os.walk(root):
        folder = Path(name)
        # macOS leaves a "._name" beside each file that it copies.
        videos = [folder / file for file in files if _is_video(file) and not file.startswith("._")]
        yield from (path for path in videos if path.is_file())
        if not videos and folder != root and len(images_in(folder)) > 1:
            yield folder


def _is_video(name: str) -> bool:
    return name.lower().endswith(VIDEO_SUFFIXES)


def _token(path: Path) -> str:
    """Changes when the file, or one of the folder's images, does."""
    if path.is_dir():
        stats = [(image.name, image.stat()) for image in images_in(path)]
        listed = [f"{name}:{stat.st_size}:{stat.st_mtime_ns}" for name, stat in stats]
        return hashlib.sha256("\n".join(listed).encode()).hexdigest()[:16]
    stat = path.stat() if path.is_file() else None
    return f"{stat.st_size}:{stat.st_mtime_ns}" if stat else "absent"
