"""The clips that the report lets one browse: frames, maps and boxes, small enough to stand inside the page."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from swagv.explanations import Explanations
from swagv.figures.strips import choose_clips
from swagv.geometry import Geometry
from swagv.stores import open_store
from swagv.viz import heatmap

_FRAME_QUALITY, _MAP_QUALITY = 80, 70  # of WebP, from 0 to 100


@dataclass(frozen=True)
class Example:
    """Clip store and explanation store of one shard of a dataset, model and method."""

    dataset: str
    model: str
    method: str
    clips: Path
    explanations: Path


def gallery(
    examples: Sequence[Example],
    predictions: pd.DataFrame,
    scores: pd.DataFrame,
    max_clips: int,
) -> list[dict[str, Any]]:
    """Clips for the report's script, as what JSON can hold.

    Parameters
    ----------
    examples
        Of all shards; a method's place in the list is its place on the page.
    predictions
        Rows dataset, model, shard, clip_id, status, top1, top1_name, p_top1, target_name, p_target.
    scores
        Rows dataset, model, method, clip_id and any scores, which are shown below that explanation.
    max_clips
        Of each dataset, of different predicted classes where there are that many.

    Returns
    -------
    list of dict
        ``dataset``, ``clip_id``, ``size`` [T, H, W], ``frames`` (a `sprite`), ``boxes`` (a frame's, or None), and
        ``models``, each with ``model``, ``said`` and ``methods``: ``method``, ``status``, ``scores``, and ``map``, a
        sprite of the map on `swagv.viz.heatmap`'s scale, None where there is none.
    """
    shown = []
    for chosen in choose_clips(predictions, max_clips).to_dict("records"):
        dataset, clip_id = chosen["dataset"], chosen["clip_id"]
        here = [one for one in examples if one.dataset == dataset and one.explanations.stem == chosen["shard"]]
        said, scored = (rows[(rows.dataset == dataset) & (rows.clip_id == clip_id)] for rows in (predictions, scores))
        shown.append(
            _clip(
                clip_id,
                here,
                said.set_index("model").to_dict("index"),
                scored.set_index(["model", "method"]).drop(columns=["dataset", "clip_id"]).to_dict("index"),
            )
        )
    return shown


def _clip(
    clip_id: str,
    examples: Sequence[Example],
    said: Mapping[str, Mapping[str, Any]],
    scores: Mapping[tuple[str, str], Mapping[str, float]],
) -> dict[str, Any]:
    store = open_store(examples[0].clips)
    index = store.attrs["clip_ids"].index(clip_id)
    frames, geometry = store["frames"][index], Geometry(**store.attrs["spec"]["geometry"])
    boxes = geometry.boxes(store["boxes"][index], *store.attrs["sizes"][index])
    models: dict[str, dict[str, Any]] = {}
    for one in examples:
        maps = Explanations(one.explanations)
        status = maps.store.attrs["status"][index]
        heat = np.rint(255 * heatmap(maps[index])).astype(np.uint8) if status == "ok" else None
        model = models.setdefault(
            one.model, {"model": one.model, "said": _said(said.get(one.model, {})), "methods": []}
        )
        found = scores.get((one.model, one.method), {})
        model["methods"].append(
            {
                "method": one.method,
                "status": status,
                "scores": {name: round(value, 4) for name, value in found.items() if math.isfinite(value)},
                "map": None if heat is None else sprite(heat, _MAP_QUALITY),
            }
        )
    return {
        "dataset": examples[0].dataset,
        "clip_id": clip_id,
        "size": list(frames.shape[:3]),
        "frames": sprite(frames, _FRAME_QUALITY),
        "boxes": [[round(float(v), 2) for v in box] if np.isfinite(box).all() else None for box in boxes],
        "models": list(models.values()),
    }


def _said(row: Mapping[str, Any]) -> str:
    if pd.isna(row.get("p_top1")):
        return "no prediction"
    said = f"{row['top1_name']}, p = {row['p_top1']:.2f}"
    if row["target_name"] != row["top1_name"]:
        said += f"; explained: {row['target_name']}, p = {row['p_target']:.2f}"
    return said


def sprite(frames: np.ndarray, quality: int) -> str:
    """Frames (T, H, W) or (T, H, W, 3) uint8 as one image, row by row in ceil(sqrt(T)) columns: a WebP data URI."""
    columns = math.ceil(math.sqrt(len(frames)))
    rows = math.ceil(len(frames) / columns)
    padded = np.zeros((rows * columns, *frames.shape[1:]), np.uint8)
    padded[: len(frames)] = frames
    height, width = frames.shape[1:3]
    grid = padded.reshape(rows, columns, *frames.shape[1:]).swapaxes(1, 2)
    buffer = io.BytesIO()
    image = Image.fromarray(grid.reshape(rows * height, columns * width, *frames.shape[3:]))
    image.save(buffer, "WEBP", quality=quality, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
