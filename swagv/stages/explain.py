"""gradients and explain: the attribution of every clip by a method that runs the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from swagv.errors import NotApplicable
from swagv.network_batches import load_for_stage
from swagv.registry import load_object
from swagv.stores import create_store, open_store
from swagv.tables import read_rows


def explain(clips: Path, predictions: Path, out: Path, spec: dict[str, Any], runtime: dict[str, Any]) -> None:
    """Write ``attribution`` (n,T,H,W) float32.

    Parameters
    ----------
    spec
        ``method`` (object path and settings) and ``model``.
    """
    store, rows = open_store(clips), read_rows(predictions)
    method = load_object(spec["method"]["object"])(**spec["method"]["settings"])
    model = load_for_stage(spec["model"], runtime["device"], runtime["threads"])
    maps: list[np.ndarray | None] = [None] * len(rows)
    with create_store(out, [row["clip_id"] for row in rows], {"spec": spec}) as writer:
        writer.status = [row["status"] for row in rows]
        good = [index for index, row in enumerate(rows) if row["status"] == "ok"]
        # One clip at a time: another batch shape rounds gradients otherwise, and ranks and SLIC magnify that.
        for index in tqdm(good, desc="explain", mininterval=10):
            inputs = model.preprocess(store["frames"].oindex[[index]])
            target = torch.tensor([rows[index]["target"]], device=inputs.device)
            try:
                found = method(model, inputs, target, [rows[index]["clip_id"]])[0].cpu().numpy()
            except NotApplicable as reason:
                writer.status[index] = f"not_applicable: {reason}"
                continue
            if np.isfinite(found).all():
                maps[index] = found
            else:
                writer.status[index] = "attribution is not finite"
        writer.write("attribution", maps, "float32")
