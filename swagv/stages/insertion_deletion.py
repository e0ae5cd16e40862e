"""insertion_deletion: curves and areas of every clip of one method."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from swagv.explanations import Explanations
from swagv.metrics.insertion_deletion import InsertionDeletion
from swagv.network_batches import batch_size_of, in_groups, load_for_stage, read_ahead
from swagv.provenance import provenance
from swagv.stores import ok_rows, open_store
from swagv.tables import insertion_deletion_schema, read_rows, write_table

# Clips in memory: 432 points of curves, which fill the batches of a CPU (8) exactly and nearly those of a GPU (64).
_TOGETHER = 8


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
    store, maps, known = open_store(clips), Explanations(explanations), read_rows(predictions)
    metric = InsertionDeletion(**spec["metric"])
    model = load_for_stage(spec["model"], runtime["device"], runtime["threads"], metric.precision)
    device = model.mean.device
    batch_size = batch_size_of(runtime, device)
    status, good = ok_rows(store, maps.store)
    rows = [
        key | {"clip_id": row["clip_id"], "status": value, "target": row["target"]}
        for row, value in zip(known, status, strict=True)
    ]

    def read(group: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        return store["frames"].oindex[list(group)], maps.rows(group)

    with tqdm(total=len(good), desc="insertion_deletion", mininterval=10) as progress:
        for group, (frames, attribution) in read_ahead(read, in_groups(good, _TOGETHER)):
            result = metric(
                model,
                model.preprocess(frames),
                torch.from_numpy(attribution).to(device),
                torch.tensor([known[index]["target"] for index in group], device=device),
                batch_size=batch_size,
                p_intact=torch.tensor([known[index]["p_target"] for index in group]),
                # The stage before asked for the score of zeros; of another substrate it is not known.
                p_blank=torch.tensor([known[index]["p_blank"] for index in group])
                if metric.substrate == "zero"
                else None,
            )
            for place, index in enumerate(group):
                found = {name: value[place] for name, value in result.items()}
                if all(torch.isfinite(value).all() for value in found.values()):
                    rows[index] |= {name: value.tolist() for name, value in found.items()}
                else:
                    rows[index]["status"] = "the network's scores are not finite"
            progress.update(len(group))
    write_table(
        out,
        rows,
        insertion_deletion_schema(metric.steps),
        provenance("insertion_deletion", spec, str(device), metric.precision),
    )
