"""What every dataset answers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from swagv.clips import Video
from swagv.decode import Probe
from swagv.errors import ConfigError


@dataclass(frozen=True)
class Dataset:
    """Base of datasets, whose fields are their keys in a configuration.

    Attributes
    ----------
    renders
        Whether the videos are made by ``render(videos, folder)``, together with their boxes, before they are planned.
    paper_clips
        Clips of this dataset that the paper evaluated, to stand beside the count of a run; 0 where it did not.
    """

    renders: ClassVar[bool] = False
    paper_clips: ClassVar[int] = 0

    @property
    def has_boxes(self) -> bool:
        """Whether localisation can be scored."""
        return False

    def list_videos(self) -> list[Video]:
        """All videos, by id. Nothing is opened."""
        raise TypeError(f"{type(self).__name__} does not list its videos")

    def boxes_of(
        self, video: Video, folder: Path | None = None, found: Probe | None = None
    ) -> Mapping[int, tuple[float, ...]]:
        """True boxes of a video by 0-based frame: x_min, y_min, x_max, y_max in its pixels, inclusive.

        Parameters
        ----------
        folder
            Where it was rendered; None for a dataset that does not render.
        found
            What is really there, to which the annotation must fit.

        Raises
        ------
        AnnotationError
            If what is given as its boxes makes no sense.
        """
        return {}


def folder_at(root: str) -> Path:
    """The folder of a dataset's videos; ConfigError if there is none."""
    if not root or not os.path.isdir(root):  # Path.is_dir raises on a name that is too long
        raise ConfigError(f"dataset folder not found: {root!r}. Set `root` to the folder that holds the videos")
    return Path(root)
