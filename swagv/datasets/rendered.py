"""The demo dataset: videos that the project renders itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

from swagv.clips import Video
from swagv.datasets.boxes import BOX_COLUMNS, read_boxes
from swagv.datasets.dataset import Dataset
from swagv.datasets.motions import MOTIONS
from swagv.decode import Probe

_MOST_VIDEOS = 100_000  # of which one seed does not reach into the next


@dataclass(frozen=True)
class RenderedDataset(Dataset):
    """`videos` rendered videos, the motions in turn, drawn from `seed`.

    Video ``i`` does not depend on how many there are, so adding videos changes nothing that exists.

    Parameters
    ----------
    seed
        Of actors, backgrounds and paths.
    videos
        How many; six motions take turns.
    """

    renders: ClassVar[bool] = True
    seed: int = 2022
    videos: int = 24

    def __post_init__(self) -> None:
        if self.seed < 0 or not 1 <= self.videos <= _MOST_VIDEOS:
            need = f"need a seed from 0 and at least 1 video, at most {_MOST_VIDEOS:,}"
            raise ValueError(f"seed={self.seed}, videos={self.videos}: {need}")

    @property
    def has_boxes(self) -> bool:
        """As `Dataset.has_boxes`."""
        return True

    def boxes_of(
        self, video: Video, folder: Path | None = None, found: Probe | None = None
    ) -> Mapping[int, tuple[float, ...]]:
        """As `Dataset.boxes_of`."""
        return _boxes_in(folder)[video.video_id]

    def list_videos(self) -> list[Video]:
        """All videos; paths are relative to the shard's render folder."""
        return [
            Video(
                f"{MOTIONS[index % len(MOTIONS)]}_{index:04d}",
                f"{index:04d}.mp4",
                MOTIONS[index % len(MOTIONS)],
                f"{self.seed}:{index}",
            )
            for index in range(self.videos)
        ]

    def render(self, videos: Sequence[Video], folder: Path) -> None:
        """Write these videos as H.264 files and their boxes as ``boxes.csv`` into an empty folder."""
        import pandas as pd

        from swagv.datasets.rendering import render_video, write_video

        rows = []
        for video in videos:
            seed, index = map(int, video.token.split(":"))
            rendered = render_video(index % len(MOTIONS), seed * 100_000 + index)
            write_video(folder / video.path, rendered.frames)
            for frame, box in enumerate(rendered.boxes):
                rows.append((video.video_id, frame, *box))
        pd.DataFrame(rows, columns=BOX_COLUMNS).to_csv(folder / "boxes.csv", index=False)


@lru_cache(maxsize=1)
def _boxes_in(folder: Path) -> Mapping[str, Mapping[int, tuple[float, ...]]]:
    return read_boxes(folder / "boxes.csv")
