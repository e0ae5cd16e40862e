"""Bytes on disk of a voxel (T*H*W a clip) in each kind of store, as `swagv.estimate` counts on, and if it were dense.

`python -m benchmarks.disk [VIDEO ...]`: centre clips of 16x112x112 of these videos, or of rendered ones, with the
explanations of a demo network.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numcodecs import Blosc

from benchmarks.clips import rendered_frames
from benchmarks.measure import parser, write
from swagv.clips import ClipSelection
from swagv.config import explainer_of
from swagv.decode import probe, read_frames
from swagv.errors import DecodeError
from swagv.geometry import Geometry
from swagv.methods.swagv import SwagV
from swagv.models.build import build_model
from swagv.pooling import supervoxel_means
from swagv.stores import create_store

SHUFFLES = {"noshuffle": Blosc.NOSHUFFLE, "shuffle": Blosc.SHUFFLE, "bitshuffle": Blosc.BITSHUFFLE}
CODECS = [
    (name, level, shuffle)
    for name, level in (("zstd", 3), ("zstd", 1), ("zstd", 7), ("lz4", 5))
    for shuffle in SHUFFLES
]


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
    """Bytes of an array (n, ...) in a store, a clip."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.zarr"
        with create_store(path, [f"{index}" for index in range(len(rows))], {}) as store:
            store.write("rows", rows, str(rows.dtype))
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / len(rows)


def table(frames: np.ndarray, model_name: str) -> pd.DataFrame:
    """A row a kind of store: bytes of a voxel as it is kept, and as the maps (T,H,W) of an explanation would be."""
    model = build_model(model_name)
    arrays = "frames", "labels", "attribution", "scores", "layer_map", "swagv_ig", "grad_cam", "random"
    rows: dict[str, list[np.ndarray]] = {name: [] for name in arrays}
    grad_cam = explainer_of("grad_cam", "grad_cam", {})
    for place, some in enumerate(frames):
        clip, name = model.preprocess(some[None]), [f"clip {place}"]
        with torch.no_grad():
            target = model(clip).argmax(1)
        for array, method in {"attribution": "guided_backprop", "grad_cam": "grad_cam", "random": "random"}.items():
            rows[array].append(explainer_of(method, method, {})(model, clip, target, name)[0].numpy())
        rows["layer_map"].append(grad_cam.layer_map(model, clip, target)[0].numpy())
        rows["frames"].append(some)
        averaged, labels = SwagV().with_labels(model, clip, target, name)
        rows["swagv_ig"].append(averaged[0].numpy())
        rows["labels"].append(labels[0])
        means = supervoxel_means(rows["attribution"][-1], labels[0])
        rows["scores"].append(np.pad(means, (0, SwagV().n_segments * 2 - len(means))))
    size = {name: stored(np.stack(found)) / np.prod(frames.shape[1:4]) for name, found in rows.items()}
    # Kind of store -> as it is kept, and dense.
    kinds = {
        "frames": (size["frames"], None), "labels": (size["labels"], None),
        "attribution": (size["attribution"], size["attribution"]), "pixels": (0.0, size["attribution"]),
        "supervoxels": (size["scores"], size["swagv_ig"]), "layer map": (size["layer_map"], size["grad_cam"]),
        "control": (0.0, size["random"]),
    }  # fmt: skip
    columns = ["store", "bytes_a_voxel", "dense_bytes_a_voxel"]
    return pd.DataFrame([(kind, *both) for kind, both in kinds.items()], columns=columns).assign(clips=len(frames))


def codecs(frames: np.ndarray, model_name: str) -> pd.DataFrame:
    """Bytes of a voxel and MB/s of each codec, in chunks of one clip as the stores have them."""
    model = build_model(model_name)
    clips = model.preprocess(frames)
    target = torch.zeros(len(frames), dtype=torch.int64)
    names = [f"clip {place}" for place in range(len(frames))]
    _, labels = SwagV().with_labels(model, clips, target, names)
    gradients = explainer_of("guided_backprop", "guided_backprop", {})(model, clips, target, names).numpy()
    rows = []
    for kind, array in {
        "frames": frames,
        "labels": np.stack(labels).astype(np.uint16),
        "attribution": gradients,
    }.items():
        for cname, level, shuffle in CODECS:
            codec = Blosc(cname=cname, clevel=level, shuffle=SHUFFLES[shuffle])
            start = time.perf_counter()
            packed = [codec.encode(np.ascontiguousarray(one)) for one in array]
            between = time.perf_counter()
            for one in packed:
                codec.decode(one)
            end, megabytes = time.perf_counter(), array.nbytes / 1e6
            size = sum(map(len, packed)) / np.prod(frames.shape[:4])
            speed = {"write_MB_s": megabytes / (between - start), "read_MB_s": megabytes / (end - between)}
            rows.append({"store": kind, "codec": f"{cname} {level} {shuffle}", "bytes_a_voxel": size} | speed)
    return pd.DataFrame(rows)


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
    frames = real_frames(given.videos) if given.videos else rendered_frames(24)
    write("codecs", codecs(frames, given.model), given.out and given.out.with_name("codecs.csv"))


if __name__ == "__main__":
    main()
