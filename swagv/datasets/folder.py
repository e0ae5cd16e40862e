"""Any folder of videos, files or folders of images, with optional tables of labels and boxes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath

from swagv.clips import Video
from swagv.datasets.boxes import read_boxes
from swagv.datasets.csv_table import read_csv
from swagv.datasets.dataset import Dataset, folder_at
from swagv.datasets.files import VIDEO_SUFFIXES, token, videos_below
from swagv.decode import Probe
from swagv.errors import ConfigError
from swagv.image_folder import IMAGE_SUFFIXES
from swagv.registry import did_you_mean


@dataclass(frozen=True)
class FolderDataset(Dataset):
    """Videos below `root`.

    Parameters
    ----------
    root
        A folder. Without `labels`, every file with a video's suffix counts, and every folder below that directly holds
        two images or more and no video, as the frames of one video in the order of their numbers. The label is the
        name of the sub-folder that the video is in. Links are followed.
    labels
        A CSV table ``path,label`` (paths of files or of folders of images, relative to `root`); only these count.
    boxes
        A CSV table ``video_id,frame,x_min,y_min,x_max,y_max`` in pixels, inclusive, frames from 0. A video's id is its
        path below `root`, that of a file without its suffix.
    """

    root: str = ""
    labels: str = ""
    boxes: str = ""

    @property
    def has_boxes(self) -> bool:
        """As `Dataset.has_boxes`."""
        return bool(self.boxes)

    @cached_property
    def _boxes(self) -> Mapping[str, Mapping[int, tuple[float, ...]]]:
        return read_boxes(self.boxes) if self.boxes else {}

    def boxes_of(
        self, video: Video, folder: Path | None = None, found: Probe | None = None
    ) -> Mapping[int, tuple[float, ...]]:
        """As `Dataset.boxes_of`."""
        return self._boxes.get(video.video_id, {})

    def list_videos(self) -> list[Video]:
        """All videos, by id. Nothing is opened.

        Raises
        ------
        ConfigError
            If a file or folder of the settings is absent, a listed path leaves the root, or two videos share an id.
        """
        root = folder_at(self.root)
        videos: dict[str, Video] = {}
        for relative, label in self._entries(root):
            path = root / relative
            video_id = (relative if os.path.isdir(path) else relative.with_suffix("")).as_posix()
            if video_id in videos:
                raise ConfigError(
                    f"two videos have the id {video_id!r}: {videos[video_id].path} and {path}; rename one, or name "
                    "those that count in a table of `labels`"
                )
            videos[video_id] = Video(video_id, str(path), label, f"{token(path)}{self._mark(video_id)}")
        if not videos:
            looked_for = f"{', '.join(VIDEO_SUFFIXES)}, and folders of {', '.join(IMAGE_SUFFIXES)}"
            raise ConfigError(f"no video in {self.root!r}: looked for {looked_for}")
        if self.boxes and not videos.keys() & self._boxes.keys():
            near = did_you_mean(next(iter(self._boxes), ""), list(videos))
            raise ConfigError(
                f"{self.boxes} has no box of any video in {self.root!r}: its first video_id is "
                f"{next(iter(self._boxes), '')!r}.{near} An id is the path below `root` without suffix"
            )
        return [videos[video_id] for video_id in sorted(videos)]

    def _mark(self, video_id: str) -> str:
        """Changes with the boxes of one video."""
        boxes = self._boxes.get(video_id)
        return f":{hashlib.sha256(repr(sorted(boxes.items())).encode()).hexdigest()[:16]}" if boxes else ""

    def _entries(self, root: Path) -> list[tuple[Path, str]]:
        if not self.labels:
            found = sorted(path.relative_to(root) for path, _ in videos_below(root))
            return [(path, path.parent.name) for path in found]
        entries = []
        for line, row in read_csv(self.labels, ["path", "label"]):
            relative = PurePath(row["path"])
            if "\0" in row["path"] or not relative.parts or relative.is_absolute() or ".." in relative.parts:
                raise ConfigError(f"{self.labels}, line {line}: {row['path']!r} leads out of {self.root!r}")
            entries.append((Path(relative), row["label"]))
        return entries
