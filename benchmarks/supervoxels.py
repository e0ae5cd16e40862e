"""Supervoxels of a clip: scikit-image's `slic` against the engines of `swagv.slic`, on one core and on a GPU.

`python -m benchmarks.supervoxels [--device cuda]`, on rendered clips of 16x112x112 and the guided gradients of a demo
network. ``labels`` is what `slic` does, clustering and connectivity; ``whole`` begins with the frames, for scikit-image
with its own `rgb2lab`. Seconds are of one clip. With a GPU its engine gets all clips at once, and as many more.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from skimage.color import rgb2lab
from tqdm import tqdm

from benchmarks.clips import rendered_frames
from benchmarks.measure import interleaved, parser, ratios, write
from swagv.methods.guided_backprop import GuidedBackprop
from swagv.models.build import build_model
from swagv.slic import (
    ITERATIONS,
    Grid,
    cluster,
    enforce_connectivity,
    rescaled,
    scikit_image,
    slic_supervoxels_of,
    weighted_features,
)
from swagv.slic_torch import cluster_batch

N_SEGMENTS = 120
RECIPES = {"image": (10.0, 1.0), "image+gradient": (20.0, 9.0)}  # w_color, w_grad
CLIPS, CLIPS_GPU, CLIPS_TORCH_CPU = 8, 64, 1


def gradients_of(frames: np.ndarray) -> np.ndarray:
    """Guided gradients (N, T, H, W) of the top class."""
    model = build_model("r2plus1d_demo")
    found = []
    for clip in tqdm(frames, desc="gradients"):
        batch = model.preprocess(clip[None])
        with torch.no_grad():
            target = model(batch).argmax(1)
        found.append(GuidedBackprop()(model, batch, target)[0].numpy())
    return np.stack(found)


def reference(frames: np.ndarray, gradient: np.ndarray, features: str) -> np.ndarray:
    """A clip by scikit-image alone."""
    w_color, w_grad = RECIPES[features]
    stacked = np.moveaxis(rgb2lab(frames / 255.0) / w_color, -1, 0)
    if "gradient" in features:
        stacked = np.concatenate([stacked, weighted_features(None, gradient, "gradient", w_color, w_grad)])
    return scikit_image(stacked, N_SEGMENTS, 1.0)


def contenders(frames: np.ndarray, gradients: np.ndarray, features: str, device: str) -> dict[str, dict[str, tuple]]:
    """Part -> contender -> (its call, which returns labels a clip; the number of clips)."""
    w_color, w_grad = RECIPES[features]
    recipe = {"features": features, "n_segments": N_SEGMENTS, "w_color": w_color, "w_grad": w_grad}
    pairs = list(zip(frames, gradients, strict=True))
    stacked = [weighted_features(*pair, features, w_color, w_grad) for pair in pairs]
    grid = Grid.of(stacked[0].shape[1:], N_SEGMENTS)
    few = CLIPS_TORCH_CPU if device == "cpu" else len(frames)

    def connected(labels: np.ndarray) -> list[np.ndarray]:
        return [enforce_connectivity(one, grid.n_seeds) for one in labels]

    def by_torch(precision: str) -> Callable[[], list[np.ndarray]]:
        return lambda: connected(
            cluster_batch(np.stack(list(map(rescaled, stacked[:few]))), grid, 1.0, ITERATIONS, device, precision)
        )

    def whole(engine: str, clips: int) -> Callable[[], list[np.ndarray]]:
        given = frames[:clips], gradients[:clips]
        return lambda: [found.labels for found in slic_supervoxels_of(*given, **recipe, engine=engine, device=device)]

    return {
        "labels": {
            "scikit-image": (lambda: [scikit_image(one, N_SEGMENTS, 1.0) for one in stacked[:CLIPS]], CLIPS),
            "numba": (lambda: connected([cluster(one, N_SEGMENTS, 1.0) for one in stacked[:CLIPS]]), CLIPS),
            "torch float64": (by_torch("float64"), few),
            "torch float32": (by_torch("float32"), few),
        },
        "whole": {
            "scikit-image": (lambda: [reference(*pair, features) for pair in pairs[:CLIPS]], CLIPS),
            "numba": (whole("numba", CLIPS), CLIPS),
            "torch float64": (whole("torch", few), few),
            "torch float32": (whole("torch_float32", few), few),
        },
    }


def main() -> None:
    """Measure, print, keep."""
    arguments = parser(__doc__, "rounds", "device").parse_args()
    torch.set_num_threads(1)
    if arguments.device == "cpu" and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    frames = rendered_frames(CLIPS if arguments.device == "cpu" else CLIPS_GPU)
    gradients, tables = gradients_of(frames), []
    for features in RECIPES:
        for part, calls in contenders(frames, gradients, features, arguments.device).items():
            seconds = interleaved({name: call for name, (call, _) in calls.items()}, arguments.rounds)
            table = ratios({name: seconds[name] / clips for name, (_, clips) in calls.items()}, "scikit-image")
            expected = calls["scikit-image"][0]()
            differing = []
            for call, clips in calls.values():
                pairs = list(zip(call(), expected[:clips], strict=False))
                differing.append(np.mean([(ours != theirs).mean() for ours, theirs in pairs]))
            table.insert(1, "labels_that_differ", differing)
            table.insert(2, "clips", [clips for _, clips in calls.values()])
            table.insert(0, "part", part)
            table.insert(0, "features", features)
            tables.append(table)
    write("supervoxels", pd.concat(tables, ignore_index=True), arguments.out)


if __name__ == "__main__":
    main()
