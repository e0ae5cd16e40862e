"""localisation: hits over the whole alpha grid for every clip of one method."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from swagv.explanations import Explanations
from swagv.geometry import Geometry
from swagv.metrics.localisation import Localisation
from swagv.provenance import provenance
from swagv.stores import ok_rows, open_store
from swagv.tables import LOCALISATION, write_table


def localisation(clips: Path, explanations: Path, out: Path, key: dict[str, str], spec: dict[str, Any]) -> None:
    """Write a row a clip, in the order of the manifest.

    Parameters
    ----------
    key
        dataset, model, method and shard, written into every row.
    spec
        The metric's settings and the dataset's geometry.
    """
    store, maps = open_store(clips), Explanations(explanations)
    metric, geometry = Localisation(**spec["metric"]), Geometry(**spec["geometry"])
    status, good = ok_rows(store, maps.store)
    rows = [
        key | {"clip_id": clip_id, "status": value}
        for clip_id, value in zip(store.attrs["clip_ids"], status, strict=True)
    ]
    for index in good:
        boxes = metric.true_boxes(store["boxes"][index], geometry, store.attrs["sizes"][index])
        if not np.isfinite(boxes).all(-1).any():
            rows[index]["status"] = "no_true_box"
            continue
        result = metric.of_clip(maps[index], boxes)
        rows[index] |= {name: value.tolist() for name, value in result.items()}
    write_table(out, rows, LOCALISATION, provenance("localisation", spec))
