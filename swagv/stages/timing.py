"""timing: seconds per explanation, of one method and network on a few clips."""

from __future__ import annotations

import time
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from swagv.errors import NotApplicable
from swagv.methods.explainer import Explainer
from swagv.models.classifier import VideoClassifier
from swagv.network_batches import load_for_stage
from swagv.provenance import provenance
from swagv.registry import load_object
from swagv.stores import open_store
from swagv.tables import TIMING, read_rows, write_table

# A batch twice as large must be so much faster per clip, or the search for the best one ends.
_GAIN = 0.97


def timing(
    clips: Path, predictions: Path, out: Path, key: dict[str, str], spec: dict[str, Any], runtime: dict[str, Any]
) -> None:
    """Write a row a clip: the seconds from its normalised frames on the device to the attribution in memory.

    Everything that the method needs is in them, gradients and supervoxels too. The device is waited for, and the first
    call of every batch size is not counted. Batches grow by factors of two up to ``clips``, as long as that is faster
    per clip and fits the device's memory; where a shard has fewer clips, some are in a batch more than once.

    Parameters
    ----------
    key
        dataset, model, method and shard, written into every row.
    spec
        ``model``, ``method`` and ``clips``, the most to take of the shard and to put into one batch.
    """
    store, known = open_store(clips), read_rows(predictions)
    method = load_object(spec["method"]["object"])(**spec["method"]["settings"])
    model = load_for_stage(spec["model"], runtime["device"], runtime["threads"])
    device = model.mean.device
    taken = [index for index, row in enumerate(known) if row["status"] == "ok"][: spec["clips"]]
    rows = [key | {"clip_id": known[index]["clip_id"], "status": "ok"} for index in taken]
    if taken:
        frames = store["frames"].oindex[taken]
        targets = torch.tensor([known[index]["target"] for index in taken], device=device)
        try:
            found = _times(method, model, frames, targets, [row["clip_id"] for row in rows], spec["clips"])
        except NotApplicable as reason:
            rows = [row | {"status": f"not_applicable: {reason}"} for row in rows]
        else:
            name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
            machine = {"device": name, "threads": torch.get_num_threads()}
            rows = [row | times | machine for row, times in zip(rows, found, strict=True)]
    write_table(out, rows, TIMING, provenance("timing", spec, str(device)))


def _times(
    method: Explainer,
    model: VideoClassifier,
    frames: np.ndarray,
    targets: torch.Tensor,
    clip_ids: list[str],
    largest: int,
) -> list[dict[str, Any]]:
    """seconds, seconds_best_batch and best_batch of each clip."""

    def seconds(size: int) -> np.ndarray:
        """(n,) per clip, alone for a size of 1, else the mean over the batches that it is in."""
        starts = range(0, len(frames), size)
        batches = [list(islice(cycle(range(len(frames))), start, start + size)) for start in starts]
        found: list[list[float]] = [[] for _ in frames]
        for number, batch in enumerate(tqdm([batches[0], *batches], desc=f"timing, batch {size}", mininterval=10)):
            inputs = model.preprocess(frames[batch])
            _wait_for(inputs.device)
            start = time.perf_counter()
            method(model, inputs, targets[batch], [clip_ids[index] for index in batch]).cpu()
            taken = (time.perf_counter() - start) / size
            for index in batch if number else ():
                found[index].append(taken)
        return np.array([np.mean(of_clip) for of_clip in found])

    alone = best = seconds(1)
    size = 1
    while 2 * size <= largest:
        try:
            larger = seconds(2 * size)
        except torch.cuda.OutOfMemoryError:
            break
        if larger.mean() > _GAIN * best.mean():
            break
        best, size = larger, 2 * size
    return [
        {"seconds": one, "seconds_best_batch": batched, "best_batch": size}
        for one, batched in zip(alone.tolist(), best.tolist(), strict=True)
    ]


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
