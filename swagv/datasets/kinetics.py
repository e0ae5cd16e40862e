"""Kinetics-400: the videos of the paper's insertion and deletion (SWAG-V, Table 2)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from swagv.clips import ABSENT, Video
from swagv.datasets.csv_table import read_csv
from swagv.datasets.dataset import Dataset, folder_at
from swagv.datasets.files import VIDEO_SUFFIXES, best_of, token, videos_below
from swagv.errors import ConfigError
from swagv.models.cards import KINETICS400
from swagv.registry import did_you_mean

_COLUMNS = ["label", "youtube_id", "time_start", "time_end", "split"]
_SPLITS = {"val": "val", "validate": "val", "validation": "val", "test": "test", "train": "train"}
_VIDEO_ID = re.compile(r"[\w-]{11}_\d{6}_\d{6}", re.ASCII)
_REPLACEMENTS = "replacement_for_corrupted_k400"


def _letters(name: str) -> str:
    """What the spellings of a class have in common: folders lose spaces, brackets and apostrophes."""
    return re.sub("[^a-z0-9]", "", name.lower())


_CLASSES = {_letters(name): name for name in KINETICS400}


@dataclass(frozen=True)
class KineticsDataset(Dataset):
    """The videos of an official list.

    Parameters
    ----------
    root
        Folder of the videos, in any sub-folders: files ``ID_000417_000427.mp4`` (YouTube's id, start and end in
        seconds) or ``ID.mp4``, with any video suffix, or folders of frames with such a name. Of several for one video
        the first counts: one in ``replacement_for_corrupted_k400`` before others, the whole name before the id alone,
        then as `swagv.datasets.files.best_of` says. ``ID.mp4`` is taken for the cut, not for the whole film.
    labels
        The official CSV table ``label,youtube_id,time_start,time_end,split``, or a list of lines
        ``ID_000417_000427 first last class`` with the class's number in alphabetical order. `first` and `last` are
        the frames of somebody's extraction of the whole video, which says nothing about these files.
    split
        Of the CSV table, the rows to take: ``"val"`` (or ``"validate"``), ``"test"`` or ``"train"``. A list has one.

    Attributes
    ----------
    paper_clips
        Validation clips that the paper evaluated, one a video (SWAG-V, section 4).
    """

    paper_clips: ClassVar[int] = 18_362
    root: str = ""
    labels: str = ""
    split: str = "val"

    def __post_init__(self) -> None:
        if self.split not in _SPLITS:
            raise ValueError(f"split={self.split!r}: must be one of {', '.join(_SPLITS)}")

    def list_videos(self) -> list[Video]:
        """The listed videos by id, ``ID_000417_000427``; those that are not below `root` are marked absent.

        Raises
        ------
        ConfigError
            If the folder or the list is absent, a line of the list makes no sense or contradicts another, or not one
            of its videos is there.
        """
        root, labels = folder_at(self.root), self._read_labels()
        found = _find(root, labels)
        if not found:
            first, there = next(iter(labels)), _example(self.root)
            raise ConfigError(
                f"no video of {self.labels} in {self.root!r}: looked for {first} and {first[:11]} with "
                f"{', '.join(VIDEO_SUFFIXES)} or as a folder of frames. "
                + (f"What is there is like {there!r}" if there else "It holds no files")
            )
        return [
            Video(video_id, str(found[video_id]), labels[video_id], token(found[video_id]))
            if video_id in found
            else Video(video_id, str(root / f"{video_id}.mp4"), labels[video_id], ABSENT)
            for video_id in sorted(labels)
        ]

    def _read_labels(self) -> dict[str, str]:
        """Class by video id."""
        if not os.path.isfile(self.labels):
            raise ConfigError(
                f"list of videos not found: {self.labels!r}. Set `labels` to a CSV table {','.join(_COLUMNS)}"
            )
        try:
            text = Path(self.labels).read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise ConfigError(f"{self.labels} is not text: {error}") from error
        if "," in text.partition("\n")[0]:
            rows, entry_of = read_csv(self.labels, _COLUMNS), partial(_entry_of_table, split=_SPLITS[self.split])
        else:
            rows, entry_of = _lines(text), _entry_of_list
        labels: dict[str, tuple[str, int]] = {}
        line = 1
        try:
            for line, row in rows:
                if entry := entry_of(row):
                    label, where = labels.setdefault(entry[0], (entry[1], line))
                    if label != entry[1]:
                        raise ValueError(f"{entry[0]} is {entry[1]!r} here and {label!r} on line {where}")
        except ConfigError:
            raise
        except ValueError as error:
            raise ConfigError(f"{self.labels}, line {line}: {error}") from error
        if not labels:
            raise ConfigError(f"{self.labels} lists no video of the split {self.split!r}")
        return {video_id: label for video_id, (label, _) in labels.items()}


def _lines(text: str) -> Iterator[tuple[int, str]]:
    yield from ((line, row) for line, row in enumerate(text.split("\n"), start=1) if row.strip())


def _entry_of_table(row: Mapping[str, str], split: str) -> tuple[str, str] | None:
    """Id and class; None where the row is of another split."""
    if _SPLITS.get(row["split"].strip().lower()) != split:
        return None
    times = [row[name].strip().zfill(6) for name in ("time_start", "time_end")]
    label = _CLASSES.get(_letters(row["label"]))
    if label is None:
        meant = did_you_mean(row["label"].replace("_", " "), list(KINETICS400))
        raise ValueError(f"Kinetics-400 has no class {row['label']!r}.{meant}")
    return _checked("_".join([row["youtube_id"].strip(), *times])), label


def _entry_of_list(row: str) -> tuple[str, str]:
    fields = row.split()
    if len(fields) != 4 or not all(map(str.isdecimal, fields[1:])) or int(fields[3]) >= len(KINETICS400):
        raise ValueError(f"{row.strip()!r} is not 'ID_000417_000427 first last class' with a class from 0 to 399")
    return _checked(fields[0]), KINETICS400[int(fields[3])]


def _checked(video_id: str) -> str:
    if not _VIDEO_ID.fullmatch(video_id):
        raise ValueError(f"{video_id!r} is not an id of 11 characters, start and end, like 0wR5jVB-WPk_000417_000427")
    return video_id


def _find(root: Path, video_ids: Iterable[str]) -> dict[str, Path]:
    """Path of each video that is there."""
    names: dict[str, str] = {}
    for video_id in video_ids:
        names[video_id] = video_id
        # A file with the id alone cannot be told from another cut of the same video.
        names[video_id[:11]] = "" if video_id[:11] in names else video_id
    candidates: dict[str, list[Path]] = {}
    for path, name in videos_below(root):
        if video_id := names.get(name):
            candidates.setdefault(video_id, []).append(path)
    found = {}
    for video_id, paths in candidates.items():
        replaced = [path for path in paths if _REPLACEMENTS in path.parts]
        exact = [path for path in replaced or paths if path.name.startswith(video_id)]
        found[video_id] = best_of(exact or replaced or paths, root)
    return found


def _example(root: str) -> str:
    """Path below `root` of a video, else of any file; empty where there is none."""
    paths = [Path(folder, name) for folder, _, files in os.walk(root) for name in files]
    first = min(paths, key=lambda path: (not path.name.lower().endswith(VIDEO_SUFFIXES), path), default=None)
    return first.relative_to(root).as_posix() if first else ""
