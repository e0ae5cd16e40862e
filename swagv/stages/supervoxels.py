"""supervoxels: SLIC labels of every clip, from its frames, its gradient, or both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from swagv.slic import slic_supervoxels
from swagv.stores import create_store, ok_rows, open_store


def supervoxels(clips: Path, gradients: Path | None, out: Path, spec: dict[str, Any]) -> None:
    """Write ``labels`` (n,T,H,W) uint16; attributes `n_seeded` and `n_final` count supervoxels of each clip.

    Parameters
    ----------
    gradients
        Needed where the recipe's features include the gradient.
    spec
        The recipe.
    """
    stores = [open_store(path) for path in (clips, gradients) if path]
    status, good = ok_rows(*stores)
    labels: list[np.ndarray | None] = [None] * len(status)
    n_seeded, n_final = [0] * len(status), [0] * len(status)
    counts = {"n_seeded": n_seeded, "n_final": n_final}
    with create_store(out, stores[0].attrs["clip_ids"], counts | {"spec": spec}) as writer:
        for index in tqdm(good, desc="supervoxels", mininterval=10):
            gradient = stores[1]["attribution"][index] if gradients else None
            found = slic_supervoxels(stores[0]["frames"][index], gradient, **spec["recipe"])
            labels[index], n_seeded[index], n_final[index] = found.labels, found.n_seeded, found.n_final
            if found.n_final < 2:
                status[index] = "one_supervoxel"
        writer.status = status
        writer.write("labels", labels, "uint16")
