"""gradients and explain: the attribution of every clip by a method that runs the network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor
from tqdm import tqdm

from swagv.errors import NotApplicable
from swagv.models.classifier import VideoClassifier
from swagv.network_batches import explained, in_groups, load_for_stage, read_ahead, together
from swagv.registry import load_object
from swagv.stores import create_store, open_store
from swagv.tables import read_rows


def explain(clips: Path, predictions: Path, out: Path, spec: dict[str, Any], runtime: dict[str, Any]) -> None:
    """Write ``attribution`` (n,T,H,W) float32; of a method that upsamples, ``layer_map`` (n,t,h,w) before it does.

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
    groups = in_groups(good, together(device))
    name, layout, run = "attribution", method.layout(), method
    if layout:
        name, layout = "layer_map", layout | {"shape": (store["frames"].shape[1], model.crop, model.crop)}

        def run(model: VideoClassifier, clips: Tensor, target: Tensor, clip_ids: Sequence[str]) -> Tensor:
            return method.layer_map(model, clips, target).float()

    def read(group: Sequence[int]) -> np.ndarray:
        return store["frames"].oindex[list(group)]

    def maps() -> Iterator[np.ndarray | None]:
        """A map a row, or None, as the writer asks for them."""
        done = 0
        for group, frames in tqdm(read_ahead(read, groups), total=len(groups), desc="explain", mininterval=10):
            try:
                found = explained(run, model, frames, [rows[index] for index in group])
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

    with create_store(out, [row["clip_id"] for row in rows], {"spec": spec} | layout) as writer:
        writer.status = [row["status"] for row in rows]
        writer.write(name, maps(), "float32")
