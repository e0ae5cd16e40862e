"""True boxes, one table for a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from swagv.datasets.csv_table import read_csv
from swagv.errors import ConfigError

_PIXELS = 1_000_000  # far beyond any frame, and well within the stores' float32
BOX_COLUMNS = ["video_id", "frame", "x_min", "y_min", "x_max", "y_max"]


def read_boxes(path: Path | str) -> Mapping[str, Mapping[int, tuple[float, ...]]]:
    """Boxes of a ``video_id,frame,x_min,y_min,x_max,y_max`` table, by video and frame (0-based); inclusive pixels.

    Raises
    ------
    ConfigError
        If it is no such table, a row is not a box, or a frame has two; the message names the line.
    """
    boxes: dict[str, dict[int, tuple[float, ...]]] = {}
    for line, row in read_csv(path, BOX_COLUMNS):
        try:
            frame = int(row["frame"])
            x_min, y_min, x_max, y_max = corners = tuple(float(row[name]) for name in BOX_COLUMNS[2:])
            if not (-_PIXELS < x_min <= x_max < _PIXELS and -_PIXELS < y_min <= y_max < _PIXELS):
                raise ValueError(f"corners {corners} are no box")
            if frame < 0:
                raise ValueError(f"frame is {frame}")
        except ValueError as error:
            need = "need a frame from 0, x_min <= x_max, y_min <= y_max, within a million pixels"
            raise ConfigError(f"{path}, line {line}: {error}; {need}") from error
        if boxes.setdefault(row["video_id"], {}).setdefault(frame, corners) != corners:
            raise ConfigError(f"{path}, line {line}: {row['video_id']!r} has another box in frame {frame}")
    return boxes
