"""Every stage on 8, 64 and 512 clips: seconds beyond the start of its process, and the most memory that it had.

`python -m benchmarks.growth [--model r2plus1d_demo] [--clips 8 64 512]`. Each stage runs in a process of its own, as in
the workflow, on one rendered video that many clips stand for; insertion and deletion in 4 steps.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.measure import parser, write
from swagv.datasets.rendering import render_video, write_video
from swagv.runtime import DEFAULTS


def _measured(stage: Callable[[], None]) -> tuple[float, float]:
    start = time.perf_counter()
    stage()
    seconds = time.perf_counter() - start
    # Not getrusage: that of a new process begins with the memory of the one that started it.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return seconds, int(status["VmHWM"].split()[0]) / 1024


def measured(stage: Callable[[], None]) -> tuple[float, float]:
    """Seconds and MiB of a stage in a process of its own; Linux only."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_measured, stage).result()


def stages(folder: Path, clips: int, video: Path, model: str) -> dict[str, Callable[[], None]]:
    """The stages in their order, each a call that a new process can make."""
    from swagv.config import Evaluation
    from swagv.stages.decode import decode
    from swagv.stages.explain import explain
    from swagv.stages.explain_cached import explain_supervoxels
    from swagv.stages.insertion_deletion import insertion_deletion
    from swagv.stages.localisation import localisation
    from swagv.stages.predict import predict
    from swagv.stages.supervoxels import supervoxels
    from swagv.tables import MANIFEST, write_table

    boxes = np.tile([100.0, 60, 200, 160], (16, 1)).tolist()
    rows = []
    for index in range(clips):
        path = folder / f"v{index:05d}.mp4"
        path.symlink_to(video)
        where = {"clip_id": f"v{index:05d}@000000", "video_id": f"v{index:05d}", "path": str(path)}
        size = {"start_frame": 0, "frame_step": 1, "num_frames": 16, "height": 240, "width": 320}
        rows.append(where | size | {"label": "spin", "status": "ok", "detail": "", "boxes": boxes})
    write_table(folder / "manifest.parquet", rows, MANIFEST, {})
    evaluation = Evaluation(
        {
            "datasets": {"d": {"type": "rendered", "videos": 1, "shards": 1}},
            "models": {model: {}},
            "methods": {"swagv_ig": {}},
            "metrics": {"insertion_deletion": {"steps": 4}, "localisation": {}},
        }
    )
    method, spec = evaluation.methods["swagv_ig"], {"model": evaluation.models[model].spec}
    geometry = evaluation.datasets["d"].spec["geometry"]
    key = {"dataset": "d", "model": model, "method": "swagv_ig", "shard": "0000"}
    manifest, store, predictions, gradients, labels, maps = (
        folder / name
        for name in ("manifest.parquet", "clips.zarr", "p.parquet", "gradients.zarr", "labels.zarr", "maps.zarr")
    )
    metrics = {name: metric.spec["settings"] for name, metric in evaluation.metrics.items()}
    return {
        "decode": partial(decode, manifest, store, {"clip_len": 16, "geometry": geometry}, 60),
        "predict": partial(predict, manifest, store, predictions, key, spec | {"target": "top1"}, DEFAULTS),
        "gradients": partial(
            explain, store, predictions, gradients, spec | {"method": evaluation.gradients["guided_backprop"]}, DEFAULTS
        ),
        "supervoxels": partial(supervoxels, store, gradients, labels, {"recipe": method.recipe}, DEFAULTS),
        "explain": partial(explain_supervoxels, gradients, labels, maps, {}),
        "insertion_deletion": partial(
            insertion_deletion, store, predictions, maps, folder / "id.parquet", key,
            spec | {"metric": metrics["insertion_deletion"], "method": {}}, DEFAULTS,
        ),
        "localisation": partial(
            localisation, store, maps, folder / "loc.parquet", key,
            {"metric": metrics["localisation"], "geometry": geometry, "method": {}},
        ),
    }  # fmt: skip


def main() -> None:
    """Print the table and keep it."""
    options = parser(__doc__)
    options.add_argument("--model", default="r2plus1d_demo")
    options.add_argument("--clips", type=int, nargs="+", default=[8, 64, 512])
    given = options.parse_args()
    rows = []
    for clips in given.clips:
        with tempfile.TemporaryDirectory() as name:
            video = Path(name) / "video.mp4"
            write_video(video, render_video(5, 0, 16).frames)
            folder = Path(name) / "shard"
            folder.mkdir()
            for stage, call in stages(folder, clips, video, given.model).items():
                seconds, mebibytes = measured(call)
                rows.append({"stage": stage, "clips": clips, "seconds": seconds, "peak_MiB": mebibytes})
    found = pd.DataFrame(rows).pivot(index="stage", columns="clips", values=["seconds", "peak_MiB"])
    found.columns = [f"{value}_{clips}" for value, clips in found.columns]
    for value in ("seconds", "peak_MiB"):
        few, many = (found[f"{value}_{clips}"] for clips in given.clips[-2:])
        found[f"{value}_growth"] = many / few
    write("growth", found.reset_index(), given.out)


if __name__ == "__main__":
    main()
