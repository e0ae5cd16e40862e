"""score: every clip of one method by any metric that has no stage of its own."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from swagv.explanations import Explanations
from swagv.geometry import Geometry
from swagv.metrics import needs_network
from swagv.metrics.localisation import Localisation, as_array, visible_boxes
from swagv.provenance import provenance
from swagv.registry import load_object
from swagv.stores import ok_rows, open_store
from swagv.tables import SCORES, read_rows, write_table


def score(
    clips: Path,
    predictions: Path,
    explanations: Path,
    out: Path,
    key: dict[str, str],
    spec: dict[str, Any],
    runtime: dict[str, Any],
) -> None:
    """Write a row a clip, in the order of the manifest: the metric's scores, and lists of what it gives per clip.

    Parameters
    ----------
    key
        dataset, model, method and shard, written into every row.
    spec
        ``metric`` (object path and settings), the provenance of the ``method``, and what the metric looks at: the
        ``model``'s spec, the ``geometry`` of the true boxes.
    """
    store, maps, known = open_store(clips), Explanations(explanations), read_rows(predictions)
    metric = load_object(spec["metric"]["object"])(**spec["metric"]["settings"])
    parameters = inspect.signature(metric).parameters
    model, device, precision, always = None, "cpu", getattr(metric, "precision", "fp32"), {}
    if needs_network(metric):
        from swagv.network_batches import batch_size_of, load_for_stage

        # A metric that says nothing of precision may look at layers: it is given the network as it is.
        chosen = getattr(metric, "precision", None)
        model = load_for_stage(spec["model"], runtime["device"], runtime["threads"], chosen)
        device = str(model.mean.device)
        if "batch_size" in parameters:
            always["batch_size"] = batch_size_of(runtime, model.mean.device)
    status, good = ok_rows(store, maps.store)
    rows = [
        key | {"clip_id": row["clip_id"], "status": value, "target": row["target"]}
        for row, value in zip(known, status, strict=True)
    ]
    for index in tqdm(good, desc=type(metric).__name__, mininterval=10):
        given: dict[str, Any] = dict(always)
        heat = maps[index][None]
        if "boxes" in parameters:
            geometry, size = Geometry(**spec["geometry"]), store.attrs["sizes"][index]
            boxes = Localisation().true_boxes(store["boxes"][index], geometry, size)
            boxes = visible_boxes(boxes, heat.shape[2:])
            if np.isfinite(boxes).all(-1).any():
                given["boxes"] = boxes[None]
            elif parameters["boxes"].default is inspect.Parameter.empty:
                rows[index]["status"] = "no_true_box"
                continue
        if model is None:
            result = metric(None, None, heat, np.array([rows[index]["target"]]), **given)
        else:
            import torch

            inputs = model.preprocess(store["frames"].oindex[[index]])
            target = torch.tensor([rows[index]["target"]], device=inputs.device)
            result = metric(model, inputs, torch.from_numpy(heat).to(inputs.device), target, **given)
        found = {name: as_array(value)[0] for name, value in result.items()}
        if needs_network(metric) and not all(np.isfinite(value).all() for value in found.values()):
            rows[index]["status"] = "the network's scores are not finite"
            continue
        rows[index] |= {name: value.tolist() for name, value in found.items()}
    write_table(
        out,
        rows,
        _schema(metric, rows),
        provenance("score", spec, device, precision),
    )


def _schema(metric: Any, rows: list[dict[str, Any]]) -> pa.Schema:
    """Numbers for the scores that the metric names; whatever else it gives is a number or a list for each clip."""
    more = {name: value for row in rows for name, value in row.items() if name not in SCORES.names}
    kinds = {name: pa.list_(pa.float32()) if isinstance(value, list) else pa.float64() for name, value in more.items()}
    kinds = dict.fromkeys(metric.higher_is_better, pa.float64()) | kinds
    return pa.schema([*SCORES, *(pa.field(name, kind) for name, kind in kinds.items())])
