"""supervoxels: SLIC labels of every clip, from its frames, its gradient, or both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from swagv.slic import slic_supervoxels_of
from swagv.stores import create_store, ok_rows, open_store

_VOXELS = 1 << 24  # in memory at a time: 83 clips of 16x112x112, 5 of 64x224x224


def supervoxels(clips: Path, gradients: Path | None, out: Path, spec: dict[str, Any], runtime: dict[str, Any]) -> None:
    """Write ``labels`` (n,T,H,W) uint16; attributes `n_seeded` and `n_final` count supervoxels of each clip.

    Parameters
    ----------
    gradients
        Needed where the recipe's features include the gradient.
    spec
        The recipe.
    runtime
        The engine under ``supervoxels``, which becomes the attribute `engine`, its device, and threads.
    """
    stores = [open_store(path) for path in (clips, gradients) if path]
    status, good = ok_rows(*stores)
    n_seeded, n_final = [0] * len(status), [0] * len(status)
    engine = "numba" if runtime["supervoxels"] == "auto" else runtime["supervoxels"]
    how = {"engine": engine, "threads": runtime["threads"], "device": runtime["device"]}

    def labels() -> Iterator[np.ndarray | None]:
        progress = tqdm(total=len(good), desc="supervoxels", mininterval=10)
        group = max(1, _VOXELS // int(np.prod(stores[0]["frames"].shape[1:4])))
        for start in range(0, len(status), group):
            rows = range(start, min(start + group, len(status)))
            ok = [row for row in rows if row in keep]
            frames = [stores[0]["frames"][row] for row in ok]
            attribution = [stores[1]["attribution"][row] if gradients else None for row in ok]
            found = dict(zip(ok, slic_supervoxels_of(frames, attribution, **spec["recipe"], **how), strict=True))
            for row, one in found.items():
                n_seeded[row], n_final[row] = one.n_seeded, one.n_final
                if one.n_final < 2:
                    status[row] = "one_supervoxel"
            progress.update(len(ok))
            yield from (found[row].labels if row in found else None for row in rows)

    keep = set(good)
    attributes = {"n_seeded": n_seeded, "n_final": n_final, "engine": engine, "spec": spec}
    with create_store(out, stores[0].attrs["clip_ids"], attributes) as writer:
        writer.status = status
        writer.write("labels", labels(), "uint16")
