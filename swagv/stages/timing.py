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
_CALLS = 8  # that count, at most, of every batch size
_LARGEST = 64
_BUDGET = 30.0  # seconds that the calls of one batch size may be expected to take


def timing(
    clips: Path, predictions: Path, out: Path, key: dict[str, str], spec: dict[str, Any], runtime: dict[str, Any]
) -> None:
    """Write a row a clip: the seconds from its normalised frames on the device to the attribution in memory.

    Everything that the method needs is in them, gradients and supervoxels too. The device is waited for, and the first
    call of every batch size is not counted; of the others there is one for each clip, of which it is the first in the
    batch, up to 8. Batches grow by factors of two up to 64, as long as that is faster per clip, fits the device's
    memory and takes no longer than half a minute; where there are fewer clips, some are in a batch more than once.

    Parameters
    ----------
    key
        dataset, model, method and shard, written into every row.
    spec
        ``model``, ``method`` and ``clips``, the most to take of the shard. Without one that is ok there is a row for
        each of the others.
    """
    store, known = open_store(clips), read_rows(predictions)
    method = load_object(spec["method"]["object"])(**spec["method"]["settings"])
    model = load_for_stage(spec["model"], runtime["device"], runtime["threads"])
    device = model.mean.device
    taken = [index for index, row in enumerate(known) if row["status"] == "ok"][: spec["clips"]]
    clip_ids = [known[index]["clip_id"] for index in taken]
    rows = [key | {"clip_id": clip_id, "status": "ok"} for clip_id in clip_ids[:_CALLS]]
    rows = rows or [key | {"clip_id": row["clip_id"], "status": row["status"]} for row in known[: spec["clips"]]]
    if taken:
        frames = store["frames"].oindex[taken]
        targets = torch.tensor([known[index]["target"] for index in taken], device=device)
        try:
            found = _times(method, model, frames, targets, clip_ids)
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
) -> list[dict[str, Any]]:
    """seconds, seconds_best_batch and best_batch of each of the first clips."""

    def seconds(size: int) -> np.ndarray:
        """Per clip, of one call for each of the first clips."""
        starts = range(min(len(frames), _CALLS))
        batches = [list(islice(cycle(range(len(frames))), start, start + size)) for start in starts]
        found = []
        for batch in tqdm([batches[0], *batches], desc=f"timing, batch {size}", mininterval=10):
            inputs = model.preprocess(frames[batch])
            _wait_for(inputs.device)
            start = time.perf_counter()
            method(model, inputs, targets[batch], [clip_ids[index] for index in batch]).cpu()
            found.append((time.perf_counter() - start) / size)
        return np.array(found[1:])

    alone = best = seconds(1)
    size = 1
    calls = 1 + min(len(frames), _CALLS)
    while 2 * size <= _LARGEST and calls * 2 * size * best.mean() <= _BUDGET:
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
