"""True boxes, one table for a dataset."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

BOX_COLUMNS = ["video_id", "frame", "x_min", "y_min", "x_max", "y_max"]


def read_boxes(path: Path | str) -> Mapping[str, Mapping[int, tuple[float, ...]]]:
    """Boxes of a ``video_id,frame,x_min,y_min,x_max,y_max`` table, by video and frame (0-based); inclusive pixels."""
    boxes: dict[str, dict[int, tuple[float, ...]]] = {}
    with Path(path).open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            corners = tuple(float(row[name]) for name in BOX_COLUMNS[2:])
            boxes.setdefault(row["video_id"], {})[int(row["frame"])] = corners
    return boxes
