"""predict: what the network says of each clip, and of a blank one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from swagv.forward_passes import in_batches
from swagv.network_batches import batch_size_of, load_for_stage
from swagv.provenance import provenance
from swagv.stores import open_store
from swagv.tables import PREDICTIONS, read_rows, write_table


def predict(
    manifest: Path, clips: Path, out: Path, key: dict[str, str], spec: dict[str, Any], runtime: dict[str, Any]
) -> None:
    """Write a row a clip: target, its score, the label's, the top-1 class, and the target's score on a blank clip.

    Parameters
    ----------
    key
        dataset, model and shard, written into every row.
    spec
        Model and `target`: ``"top1"`` or ``"label"``.
    runtime
        device, threads, batch_size: no result depends on them beyond rounding.
    """
    store = open_store(clips)
    model = load_for_stage(spec["model"], runtime["device"], runtime["threads"], "fp32")
    device = model.mean.device
    labels = [row["label"] for row in read_rows(manifest)]
    rows = [
        key | {"clip_id": clip_id, "status": status}
        for clip_id, status in zip(store.attrs["clip_ids"], store.attrs["status"], strict=True)
    ]
    good = [index for index, row in enumerate(rows) if row["status"] == "ok"]

    def scores_of(batch: slice) -> torch.Tensor:
        return model(model.preprocess(store["frames"].oindex[good[batch]])).softmax(1).cpu()

    with tqdm(total=len(good), desc="predict", mininterval=10) as progress, torch.inference_mode():
        blank = model(torch.zeros(1, 3, model.clip_len, model.crop, model.crop, device=device)).softmax(1)[0].cpu()
        for batch, found in in_batches(scores_of, len(good), batch_size_of(runtime, device)):
            for index, scores in zip(good[batch], found, strict=True):
                rows[index] |= _row(model.categories, scores, blank, labels[index], spec["target"])
            progress.update(len(found))
    write_table(out, rows, PREDICTIONS, provenance("predict", spec, str(device)))


def _row(
    categories: tuple[str, ...], scores: torch.Tensor, blank: torch.Tensor, label: str, rule: str
) -> dict[str, Any]:
    top1 = int(scores.argmax())
    known = categories.index(label) if label in categories else None
    target = top1 if rule == "top1" else known
    if not (torch.isfinite(scores).all() and torch.isfinite(blank).all()):
        return {"status": "the network's scores are not finite"}
    if target is None:
        return {"status": f"label {label!r} is not a category of the network"}
    return {
        "target": target,
        "target_name": categories[target],
        "p_target": float(scores[target]),
        "label": -1 if known is None else known,
        "p_label": None if known is None else float(scores[known]),
        "top1": top1,
        "top1_name": categories[top1],
        "p_top1": float(scores[top1]),
        "p_blank": float(blank[target]),
    }
