"""UCF101-24: the videos of 24 sports of UCF101 with the actor's box in every frame (SWAG-V, Table 3)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np

from swagv.clips import ABSENT, Video
from swagv.datasets.dataset import Dataset, folder_at
from swagv.datasets.files import best_of, token, videos_below
from swagv.datasets.tubes import VIDEO_NAME, AnnotatedVideo, Tube, read_tubes
from swagv.decode import Probe
from swagv.errors import AnnotationError, ConfigError

_INDEXING = ("correct", "off_by_one")
_SIZE = (240, 320)  # height and width of every video of UCF101, in whose pixels the boxes are
_LAST_PIXEL = {"x+w": 0, "x+w-1": 1}


@dataclass(frozen=True)
class Ucf101_24Dataset(Dataset):
    """The annotated videos of an official split list.

    Parameters
    ----------
    root
        Folder of the videos, in folders of their classes, as they are given out, or without.
    annotations
        ``annot_bmvc.mat``, which gives the paper's counts (914 test videos, 697 of one tube), or the corrected
        ``finalAnnots.mat`` or ``pyannot.pkl`` (910 and 705).
    split
        ``testlist01.txt`` or ``trainlist01.txt``; empty for every annotated video. The latter list has the groups g08
        to g25, which choose a threshold.
    one_tube
        Only videos with exactly one tube, as in the paper; otherwise the longest tube of each video is the truth.
    min_boxes
        Only videos whose tube has as many boxes.
    indexing
        ``"correct"``: tubes of the .mat files count frames from 1. ``"off_by_one"`` takes them as counting from 0, the
        end excluded, which gives about the paper's 10,704 clips.
    last_pixel
        The last pixel of a box x, y, w, h, inclusive: ``"x+w"``, which gives the paper's errors, or ``"x+w-1"``.
    videos_per_class
        At most so many of each class, chosen by a hash of their names; 0 takes all.
    only_present
        Leave out videos that are not below `root`; otherwise each is a row with the status ``missing``.
    """

    paper_clips: ClassVar[int] = 10_704
    root: str = ""
    annotations: str = ""
    split: str = ""
    one_tube: bool = True
    min_boxes: int = 16
    indexing: str = "correct"
    last_pixel: str = "x+w"
    videos_per_class: int = 0
    only_present: bool = False

    def __post_init__(self) -> None:
        if self.indexing not in _INDEXING:
            raise ValueError(f"indexing={self.indexing!r}: must be {' or '.join(map(repr, _INDEXING))}")
        if self.last_pixel not in _LAST_PIXEL:
            raise ValueError(f"last_pixel={self.last_pixel!r}: must be {' or '.join(map(repr, _LAST_PIXEL))}")
        if self.min_boxes < 1 or self.videos_per_class < 0:
            raise ValueError(
                f"min_boxes={self.min_boxes}, videos_per_class={self.videos_per_class}: at least 1, and at least 0"
            )

    @property
    def has_boxes(self) -> bool:
        """As `Dataset.has_boxes`."""
        return True

    @cached_property
    def _annotated(self) -> dict[str, AnnotatedVideo]:
        path = Path(self.annotations)
        return _tubes_in(path, path.stat().st_mtime_ns if os.path.isfile(path) else 0)

    def list_videos(self) -> list[Video]:
        """The videos of the split that are annotated and pass the filters, by name. No video is opened.

        Raises
        ------
        ConfigError
            If a file or folder of the settings is absent or no list of UCF101, or nothing is left.
        """
        root, candidates, videos = folder_at(self.root), {}, []
        for path, name in videos_below(root):
            candidates.setdefault(name, []).append(path)
        for name in self.names():
            found = candidates.get(name.split("/")[1])
            path = best_of(found, root) if found else None
            if path is None and self.only_present:
                continue
            path = path or root / f"{name}.avi"
            mark = f"{token(path)}:{self._mark(name)}" if found else ABSENT
            videos.append(Video(name, str(path), name.split("/")[0], mark))
        if all(video.token == ABSENT for video in videos):
            raise ConfigError(f"no video of the list in {self.root!r}; looked for names like v_Biking_g01_c01.avi")
        return videos

    def names(self) -> list[str]:
        """Names of the chosen videos, in order, from the lists alone.

        Raises
        ------
        ConfigError
            As `list_videos`, but for the videos.
        """
        chosen = sorted(name for name in self._split_names() if self._passes(name))
        if self.videos_per_class:
            of_class: dict[str, list[str]] = {}
            for name in sorted(chosen, key=lambda name: hashlib.sha256(name.encode()).digest()):
                of_class.setdefault(name.split("/")[0], []).append(name)
            chosen = sorted(name for names in of_class.values() for name in names[: self.videos_per_class])
        if not chosen:
            raise ConfigError(f"no video of {self.split or 'any split'} passes the filters with {self.annotations}")
        return chosen

    def num_frames(self, name: str) -> int:
        """Length of a video, as annotated."""
        return self._annotated[name].num_frames

    def boxes_of(
        self, video: Video, folder: Path | None = None, found: Probe | None = None
    ) -> Mapping[int, tuple[float, ...]]:
        """As `Dataset.boxes_of`. Where the videos were resized, so are the boxes, which are those of 320x240 pixels."""
        annotated = self._annotated[video.video_id]
        if annotated.problem:
            raise AnnotationError(annotated.problem)
        scale = np.ones(4)
        if found is not None:
            if abs(found.num_frames - annotated.num_frames) > max(2, 0.05 * annotated.num_frames):
                raise AnnotationError(
                    f"{annotated.num_frames} frames are annotated and {found.num_frames} are there: not the frame rate "
                    "that the boxes were made for"
                )
            scale = np.array([found.width / _SIZE[1], found.height / _SIZE[0]] * 2)
        tube = _longest(annotated)
        first, boxes = tube.first, tube.boxes.copy()
        boxes[:, 2:] += boxes[:, :2] - _LAST_PIXEL[self.last_pixel]
        if self.indexing == "off_by_one":
            # [sf, ef) of a tube whose frames are sf - 1 to ef - 1: everything one frame late, and one box less.
            first, boxes = first + 1, boxes[:-1]
        return {first + index: tuple(box) for index, box in enumerate((boxes * scale).tolist())}

    def _mark(self, name: str) -> str:
        """Changes with the boxes of one video."""
        try:
            boxes = self.boxes_of(Video(name, ""))
        except AnnotationError as error:
            return str(error)
        return hashlib.sha256(repr(boxes).encode()).hexdigest()[:16]

    def _passes(self, name: str) -> bool:
        annotated = self._annotated.get(name)
        if annotated is None or annotated.problem:
            return annotated is not None  # what is wrong becomes the status of its row
        if self.one_tube and len(annotated.tubes) != 1:
            return False
        return bool(annotated.tubes) and len(_longest(annotated).boxes) >= self.min_boxes

    def _split_names(self) -> list[str]:
        if not self.split:
            return list(self._annotated)
        if not os.path.isfile(self.split):
            raise ConfigError(f"split list not found: {self.split!r}; set `split` to testlist01.txt or trainlist01.txt")
        # trainlist01.txt gives the number of the class after the name.
        lines = Path(self.split).read_text(encoding="utf-8", errors="replace").split("\n")
        names = [line.split()[0].removesuffix(".avi") for line in lines if line.strip()]
        wrong = next((name for name in names if not VIDEO_NAME.fullmatch(name)), None)
        if wrong is not None or not names:
            raise ConfigError(f"{self.split}: {wrong!r} is no line of a split list, like Biking/v_Biking_g01_c01.avi")
        return names


@lru_cache(maxsize=2)
def _tubes_in(path: Path, modified: int) -> dict[str, AnnotatedVideo]:
    """Once for all datasets of a configuration that share the file."""
    return read_tubes(path)


def _longest(annotated: AnnotatedVideo) -> Tube:
    return max(annotated.tubes, key=lambda tube: len(tube.boxes))
