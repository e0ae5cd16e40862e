"""insertion_deletion: curves and areas of every clip of one method."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from swagv.metrics.insertion_deletion import InsertionDeletion
from swagv.network_batches import load_for_stage
from swagv.provenance import provenance
from swagv.stores import ok_rows, open_store
from swagv.tables import insertion_deletion_schema, read_rows, write_table


def insertion_deletion(
    clips: Path,
    predictions: Path,
    explanations: Path,
    out: Path,
    key: dict[str, str],
    spec: dict[str, Any],
    runtime: dict[str, Any],
) -> None:
    """Write a row a clip, in the order of the manifest.

    Parameters
    ----------
    key
        dataset, model, method and shard, written into every row.
    spec
        ``model``, the ``metric``'s settings and the provenance of the ``method``.
    """
    store, maps, known = open_store(clips), open_store(explanations), read_rows(predictions)
    model = load_for_stage(spec["model"], runtime["device"], runtime["threads"])
    metric = InsertionDeletion(**spec["metric"])
    status, good = ok_rows(store, maps)
    rows = [
        key | {"clip_id": row["clip_id"], "status": value, "target": row["target"]}
        for row, value in zip(known, status, strict=True)
    ]
    for index in tqdm(good, desc="insertion_deletion", mininterval=10):
        inputs = model.preprocess(store["frames"].oindex[[index]])
        device, row = inputs.device, known[index]
        result = metric(
            model,
            inputs,
            torch.from_numpy(maps["attribution"].oindex[[index]]).to(device),
            torch.tensor([row["target"]], device=device),
            batch_size=runtime["batch_size"],
            p_intact=torch.tensor([row["p_target"]]),
            # The stage before asked for the score of zeros; of another substrate it is not known.
            p_blank=torch.tensor([row["p_blank"]]) if metric.substrate == "zero" else None,
        )
        if not all(torch.isfinite(value).all() for value in result.values()):
            rows[index]["status"] = "the network's scores are not finite"
            continue
        rows[index] |= {name: value[0].tolist() for name, value in result.items()}
    write_table(
        out,
        rows,
        insertion_deletion_schema(metric.steps),
        provenance("insertion_deletion", spec, str(model.mean.device)),
    )
