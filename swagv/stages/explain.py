"""gradients and explain: the attribution of every clip by a method that runs the network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from swagv.errors import NotApplicable
from swagv.forward_passes import in_batches
from swagv.network_batches import in_groups, load_for_stage, read_ahead
from swagv.registry import load_object
from swagv.stores import create_store, open_store
from swagv.tables import read_rows

# Clips that are explained together. It is not a setting: rounding depends on the shape of a batch, and ranks and SLIC
# magnify rounding. Two are enough for a CPU; alone, a clip takes PyTorch up to five times as long.
_TOGETHER = {"cpu": 2, "cuda": 16}


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
    device = model.mean.device
    good = [index for index, row in enumerate(rows) if row["status"] == "ok"]
    groups = in_groups(good, _TOGETHER.get(device.type, 2))

    def read(group: Sequence[int]) -> np.ndarray:
        # The last group is filled up: every batch has the same shape, and so every clip the same rounding.
        filled = [*group, *[group[-1]] * (len(groups[0]) - len(group))]
        return store["frames"].oindex[filled]

    def explained(group: Sequence[int], frames: np.ndarray) -> list[np.ndarray]:
        places = [min(place, len(group) - 1) for place in range(len(frames))]
        target = torch.tensor([rows[group[place]]["target"] for place in places], device=device)
        names = [rows[group[place]]["clip_id"] for place in places]

        def explain_some(batch: slice) -> np.ndarray:
            return method(model, model.preprocess(frames[batch]), target[batch], names[batch]).cpu().numpy()

        parts = [part for _, part in in_batches(explain_some, len(frames), len(frames))]
        return list(np.concatenate(parts)[: len(group)])

    def maps() -> Iterator[np.ndarray | None]:
        """A map a row, or None, as the writer asks for them."""
        done = 0
        for group, frames in tqdm(read_ahead(read, groups), total=len(groups), desc="explain", mininterval=10):
            try:
                found = explained(group, frames)
            except NotApplicable as reason:
                found = [None] * len(group)
                for index in group:
                    writer.status[index] = f"not_applicable: {reason}"
            for index, one in zip(group, found, strict=True):
                yield from [None] * (index - done)
                done = index + 1
                if one is not None and not np.isfinite(one).all():
                    writer.status[index], one = "attribution is not finite", None
                yield one
        yield from [None] * (len(rows) - done)

    with create_store(out, [row["clip_id"] for row in rows], {"spec": spec}) as writer:
        writer.status = [row["status"] for row in rows]
        writer.write("attribution", maps(), "float32")
