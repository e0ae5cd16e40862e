"""explain, for methods whose parts are already on disk or that look at no network: no torch here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from swagv.pooling import supervoxel_means
from swagv.stores import create_store, ok_rows, open_store, refer_to
from swagv.tables import read_rows


def explain_control(clips: Path, predictions: Path, out: Path, spec: dict[str, Any]) -> None:
    """Write which clips have a target, as for any method, and the control that draws their maps."""
    store, rows = open_store(clips), read_rows(predictions)
    layout = {"layout": "control", "shape": store["frames"].shape[1:4]}
    with create_store(out, store.attrs["clip_ids"], {"spec": spec} | layout) as writer:
        writer.status = [row["status"] for row in rows]


def explain_pixels(gradients: Path, out: Path, spec: dict[str, Any]) -> None:
    """Write where the cached pixel attribution is, which is the explanation."""
    store = open_store(gradients)
    layout = {"layout": "pixels"} | refer_to(gradients, store, out)
    with create_store(out, store.attrs["clip_ids"], {"spec": spec} | layout) as writer:
        writer.status = list(store.attrs["status"])


def explain_supervoxels(gradients: Path, supervoxels: Path, out: Path, spec: dict[str, Any]) -> None:
    """Write SWAG-V: the mean of the cached attribution over each cached supervoxel, ``scores`` (n,S) float32."""
    store, segments = open_store(gradients), open_store(supervoxels)
    status, good = ok_rows(store, segments)
    layout = {"layout": "supervoxels"} | refer_to(supervoxels, segments, out)
    most, keep = max(segments.attrs["n_final"]), set(good)

    def scores() -> Iterator[np.ndarray | None]:
        for index in range(len(status)):
            if index not in keep:
                yield None
                continue
            found = supervoxel_means(store["attribution"][index], segments["labels"][index])
            yield np.pad(found, (0, most - len(found)))

    with create_store(out, store.attrs["clip_ids"], {"spec": spec} | layout) as writer:
        writer.status = status
        writer.write("scores", scores(), "float32")
