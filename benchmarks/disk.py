"""Bytes on disk of a voxel (T*H*W a clip) in each kind of store, as `swagv.estimate` counts on.

`python -m benchmarks.disk [VIDEO ...]`: centre clips of 16x112x112 of these videos, or of rendered ones, with the
explanations of a demo network.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmarks.clips import rendered_frames
from benchmarks.measure import parser, write
from swagv.clips import ClipSelection
from swagv.config import explainer_of
from swagv.decode import probe, read_frames
from swagv.errors import DecodeError
from swagv.geometry import Geometry
from swagv.methods.swagv import SwagV
from swagv.models.build import build_model
from swagv.stores import create_store

METHODS = {
    "attribution": "guided_backprop",
    "supervoxels": "swagv_ig",
    "layer map": "grad_cam",
    "control": "random",
}


def real_frames(videos: list[Path]) -> np.ndarray:
    """Frames (n, 16, 112, 112, 3) of the videos that are long enough."""
    found = []
    for video in videos:
        try:
            starts = ClipSelection().starts(probe(video).num_frames)
            found += [read_frames(video, range(start, start + 16), Geometry()).frames for start in starts]
        except DecodeError:
            continue
    return np.stack(found)


def stored(rows: np.ndarray) -> float:
    """Bytes of an array (n, T, H, W, ...) in a store, a voxel."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.zarr"
        with create_store(path, [f"{index}" for index in range(len(rows))], {}) as store:
            store.write("rows", rows, str(rows.dtype))
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return size / np.prod(rows.shape[:4])


def table(frames: np.ndarray, model_name: str) -> pd.DataFrame:
    """A row a kind of store."""
    model = build_model(model_name)
    rows: dict[str, list[np.ndarray]] = {kind: [] for kind in ["frames", "labels", *METHODS]}
    for place, some in enumerate(frames):
        clip, name = model.preprocess(some[None]), [f"clip {place}"]
        with torch.no_grad():
            target = model(clip).argmax(1)
        for kind, method in METHODS.items():
            rows[kind].append(explainer_of(method, method, {})(model, clip, target, name)[0].numpy())
        rows["frames"].append(some)
        rows["labels"].append(SwagV().with_labels(model, clip, target, name)[1][0])
    sizes = {kind: stored(np.stack(found)) for kind, found in rows.items()}
    return pd.DataFrame({"store": sizes.keys(), "bytes_a_voxel": sizes.values(), "clips": len(frames)})


def main() -> None:
    """Print the table and keep it."""
    options = parser(__doc__)
    options.add_argument("videos", nargs="*", type=Path, metavar="VIDEO")
    options.add_argument("--model", default="r2plus1d_demo")
    given = options.parse_args()
    tables = [table(rendered_frames(24), given.model).assign(videos="rendered")]
    if given.videos:
        tables.append(table(real_frames(given.videos), given.model).assign(videos="real"))
    write("disk", pd.concat(tables), given.out)


if __name__ == "__main__":
    main()
