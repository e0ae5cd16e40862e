"""explain, for methods whose parts are already on disk or that look at no network: no torch here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from swagv.pooling import mean_per_supervoxel
from swagv.registry import load_object
from swagv.stores import create_store, ok_rows, open_store
from swagv.tables import read_rows


def explain_control(clips: Path, predictions: Path, out: Path, spec: dict[str, Any]) -> None:
    """Write ``attribution`` (n,T,H,W) float32 of a control, for the clips that have a target, as for any method."""
    store, rows = open_store(clips), read_rows(predictions)
    method = load_object(spec["method"]["object"])(**spec["method"]["settings"])
    shape, clip_ids = store["frames"].shape[1:4], store.attrs["clip_ids"]
    status = [row["status"] for row in rows]
    with create_store(out, clip_ids, {"spec": spec}) as writer:
        writer.status = status
        maps = (
            method.volume(shape, clip_id) if value == "ok" else None
            for clip_id, value in zip(clip_ids, status, strict=True)
        )
        writer.write("attribution", maps, "float32")


def explain_pixels(gradients: Path, out: Path, spec: dict[str, Any]) -> None:
    """Write the cached pixel attribution as an explanation."""
    store = open_store(gradients)
    status, good = ok_rows(store)
    with create_store(out, store.attrs["clip_ids"], {"spec": spec}) as writer:
        writer.status = status
        rows = (store["attribution"][index] if index in good else None for index in range(len(status)))
        writer.write("attribution", rows, "float32")


def explain_supervoxels(gradients: Path, supervoxels: Path, out: Path, spec: dict[str, Any]) -> None:
    """Write SWAG-V: the mean of the cached attribution over each cached supervoxel."""
    store, segments = open_store(gradients), open_store(supervoxels)
    status, good = ok_rows(store, segments)
    with create_store(out, store.attrs["clip_ids"], {"spec": spec}) as writer:
        writer.status = status
        rows = (
            mean_per_supervoxel(store["attribution"][index], segments["labels"][index]) if index in good else None
            for index in range(len(status))
        )
        writer.write("attribution", rows, "float32")
