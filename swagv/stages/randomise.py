"""randomise: how much one method's maps change as the network loses what it has learnt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from swagv.errors import NotApplicable
from swagv.explanations import Explanations
from swagv.network_batches import explained, in_groups, load_for_stage, together
from swagv.provenance import provenance
from swagv.randomisation import blocks, randomised, similarity
from swagv.registry import load_object
from swagv.stores import ok_rows, open_store
from swagv.tables import RANDOMISATION, read_rows, write_table


def randomise(
    clips: Path,
    predictions: Path,
    explanations: Path,
    out: Path,
    key: dict[str, str],
    spec: dict[str, Any],
    runtime: dict[str, Any],
) -> None:
    """Write a row a clip and depth: the likeness of the stored map and that of a network randomised so deep.

    Depth 0 is the trained network, explained anew. A clip without a stored map is one row with its status and no depth.

    Parameters
    ----------
    key
        dataset, model, method and shard, written into every row.
    spec
        ``model``, ``method``, ``seed`` of the random weights, and ``clips``, the most to take: the first by clip_id of
        those that have a map, then of the others.
    """
    store, maps, known = open_store(clips), Explanations(explanations), read_rows(predictions)
    method = load_object(spec["method"]["object"])(**spec["method"]["settings"])
    model = load_for_stage(spec["model"], runtime["device"], runtime["threads"])
    status, _ = ok_rows(store, maps.store)
    order = sorted(range(len(known)), key=lambda index: (status[index] != "ok", known[index]["clip_id"]))
    taken = order[: spec["clips"]]
    good = [index for index in taken if status[index] == "ok"]
    names = [key | {"clip_id": row["clip_id"]} for row in known]
    rows = [names[index] | {"status": status[index]} for index in taken if index not in good]
    for depth, layer in enumerate(tqdm(["trained", *blocks(model)], desc="randomise", mininterval=10)):
        network = randomised(model, depth, spec["seed"])
        for group in in_groups(good, together(network.mean.device)):
            frames, stored = store["frames"].oindex[list(group)], maps.rows(group)
            try:
                new = explained(method, network, frames, [known[index] for index in group])
                found = [_compare(*pair) for pair in zip(stored, new, strict=True)]
            except NotApplicable as reason:
                found = [{"status": f"not_applicable: {reason}"}] * len(group)
            for index, result in zip(group, found, strict=True):
                rows.append(names[index] | {"depth": depth, "layer": layer} | result)
    rows.sort(key=lambda row: (row["clip_id"], row.get("depth", 0)))
    write_table(out, rows, RANDOMISATION, provenance("randomise", spec, str(model.mean.device)))


def _compare(stored: np.ndarray, found: np.ndarray) -> dict[str, Any]:
    if not np.isfinite(found).all():
        return {"status": "attribution is not finite"}
    constant = [name for name, values in (("stored", stored), ("new", found)) if np.ptp(values) == 0]
    status = f"the {constant[0]} map is constant" if constant else "ok"
    return {"status": status} | similarity(stored, found)
