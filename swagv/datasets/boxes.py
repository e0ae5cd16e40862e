"""True boxes, one table for a dataset."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from swagv.errors import ConfigError

BOX_COLUMNS = ["video_id", "frame", "x_min", "y_min", "x_max", "y_max"]


def check_columns(path: Path | str, needed: Sequence[str]) -> None:
    """Raise ConfigError unless the file is a CSV table that has the needed columns."""
    if not Path(path).is_file():
        raise ConfigError(f"table not found: {str(path)!r}; it must be a CSV file with columns {','.join(needed)}")
    with Path(path).open(newline="", encoding="utf-8-sig") as file:
        found = next(csv.reader(file), [])
    if not set(needed) <= set(found):
        raise ConfigError(f"{path}: columns are {','.join(found) or 'absent'}; need {','.join(needed)}")


def read_boxes(path: Path | str) -> Mapping[str, Mapping[int, tuple[float, ...]]]:
    """Boxes of a ``video_id,frame,x_min,y_min,x_max,y_max`` table, by video and frame (0-based); inclusive pixels.

    Raises
    ------
    ConfigError
        If columns are missing or a row is not a box; the message names the line.
    """
    check_columns(path, BOX_COLUMNS)
    boxes: dict[str, dict[int, tuple[float, ...]]] = {}
    with Path(path).open(newline="", encoding="utf-8-sig") as file:
        for line, row in enumerate(csv.DictReader(file), start=2):
            try:
                x_min, y_min, x_max, y_max = corners = tuple(float(row[name]) for name in BOX_COLUMNS[2:])
                if not (-math.inf < x_min <= x_max < math.inf and -math.inf < y_min <= y_max < math.inf):
                    raise ValueError(f"corners {corners} are no box")
                boxes.setdefault(row["video_id"], {})[int(row["frame"])] = corners
            except (TypeError, ValueError) as error:
                raise ConfigError(
                    f"{path}, line {line}: {error}; need frame, x_min <= x_max, y_min <= y_max"
                ) from error
    return boxes
