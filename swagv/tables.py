"""Parquet tables: one explicit schema each, provenance in the file's metadata."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from swagv.errors import SwagvError
from swagv.publish import publish

if TYPE_CHECKING:
    import pandas as pd  # half a second at the start of a job; the jobs that read no data frame do without


def _schema(*groups: Mapping[str, pa.DataType]) -> pa.Schema:
    return pa.schema([pa.field(name, kind) for group in groups for name, kind in group.items()])


_TEXT, _NUMBER, _FLAGS = pa.string(), pa.float64(), pa.list_(pa.bool_())
_CELL = {"dataset": _TEXT, "model": _TEXT, "method": _TEXT}
_CLIP = {"shard": _TEXT, "clip_id": _TEXT, "status": _TEXT}

MANIFEST = _schema(
    {"clip_id": _TEXT, "video_id": _TEXT, "path": _TEXT, "start_frame": pa.int64(), "frame_step": pa.int64()},
    {"num_frames": pa.int64(), "height": pa.int64(), "width": pa.int64()},
    {"label": _TEXT, "status": _TEXT, "detail": _TEXT},
    # x_min, y_min, x_max, y_max in pixels of the video, a row a frame of the clip, NaN for none; null without any.
    {"boxes": pa.list_(pa.list_(pa.float64(), 4))},
)
PREDICTIONS = _schema(
    {"dataset": _TEXT, "model": _TEXT} | _CLIP,
    {"target": pa.int64(), "target_name": _TEXT, "p_target": _NUMBER, "label": pa.int64(), "p_label": _NUMBER},
    {"top1": pa.int64(), "top1_name": _TEXT, "p_top1": _NUMBER, "p_blank": _NUMBER},
)
INSERTION_DELETION = _schema(
    _CELL | _CLIP,
    {"target": pa.int64(), "deletion_auc": _NUMBER, "insertion_auc": _NUMBER},
    {"deletion_curve": pa.list_(pa.float32()), "insertion_curve": pa.list_(pa.float32())},
)
LOCALISATION = _schema(
    _CELL | _CLIP,
    {"hits_value": _FLAGS, "hits_mean": _FLAGS, "hits_energy": _FLAGS},
    {f"empty_frames_{rule}": pa.list_(pa.int32()) for rule in ("value", "mean", "energy")},
)
RANDOMISATION = _schema(
    _CELL | _CLIP,
    {"depth": pa.int64(), "layer": _TEXT, "spearman": _NUMBER, "spearman_abs": _NUMBER},
)
# Seconds per clip: alone in a batch, and in batches of the size that is best.
TIMING = _schema(
    _CELL | _CLIP,
    {"seconds": _NUMBER, "seconds_best_batch": _NUMBER, "best_batch": pa.int64()},
    {"device": _TEXT, "threads": pa.int64()},
)
# Of any other metric; its own columns follow.
SCORES = _schema(_CELL | _CLIP, {"target": pa.int64()})
SUMMARY = _schema(
    _CELL,
    {"metric": _TEXT, "n": pa.int64(), "n_failed": pa.int64(), "mean": _NUMBER, "ci_low": _NUMBER, "ci_high": _NUMBER},
    {"higher_is_better": pa.bool_()},
    {"alpha": _NUMBER, "alpha_clips": pa.int64()},  # of localisation: one alpha for all clips, and how many chose it
)

TABLE = pa.schema(
    [*SUMMARY, *_schema({"paper_mean": _NUMBER, "paper_network": _TEXT, "paper_data": _TEXT, "paper_n": pa.int64()})]
)
COMPARISONS = _schema(
    {"dataset": _TEXT, "model": _TEXT, "metric": _TEXT, "method_a": _TEXT, "method_b": _TEXT},
    {"n": pa.int64(), "n_videos": pa.int64(), "difference": _NUMBER, "ci_low": _NUMBER, "ci_high": _NUMBER},
    # p_least: the lowest p_holm that so many videos and pairs allow.
    {"p": _NUMBER, "p_holm": _NUMBER, "p_least": _NUMBER, "win_rate": _NUMBER, "higher_is_better": pa.bool_()},
)


def insertion_deletion_schema(steps: int) -> pa.Schema:
    """`INSERTION_DELETION` with curves of fixed length ``steps + 1``."""
    curve = pa.list_(pa.float32(), steps + 1)
    return pa.schema([field.with_type(curve) if "curve" in field.name else field for field in INSERTION_DELETION])


def write_table(path: Path | str, rows: list[dict[str, Any]], schema: pa.Schema, provenance: Mapping[str, Any]) -> None:
    """Write rows (missing keys become nulls) atomically, with `provenance` as JSON under the metadata key `swagv`.

    Raises
    ------
    FileExistsError
        If the table is there: Snakemake removes that of an earlier run, so that it is another process's.
    """
    table = pa.Table.from_pylist(rows, schema=schema)
    said = json.dumps(provenance, sort_keys=True)
    table = table.replace_schema_metadata({"swagv": said, "digest": _digest(table, said)})
    with publish(path, replace=False) as partial:
        pq.write_table(table, partial, compression="zstd")


def _digest(table: pa.Table, provenance: str) -> str:
    return hashlib.sha256(f"{table.to_pydict()} {provenance}".encode()).hexdigest()


def check_table(path: Path | str) -> None:
    """Raise SwagvError where a table or its provenance is not what was written."""
    table = _read(path)
    for found in (table.schema.metadata or {}, pq.read_schema(path).metadata or {}):  # a file has it twice
        if found.get(b"digest", b"").decode() != _digest(table, found.get(b"swagv", b"").decode()):
            raise SwagvError("holds something else than was written")


def read_table(path: Path | str) -> pd.DataFrame:
    """A table as a data frame."""
    return _read(path).to_pandas()


def read_rows(path: Path | str) -> list[dict[str, Any]]:
    """A table as plain dictionaries."""
    return _read(path).to_pylist()


def _read(path: Path | str) -> pa.Table:
    # pq.read_table would import pandas for what it can do beyond a single file.
    with pq.ParquetFile(path) as file:
        return file.read()


def read_provenance(path: Path | str) -> dict[str, Any]:
    """What `write_table` was given as provenance."""
    return json.loads((pq.read_schema(path).metadata or {}).get(b"swagv", b"{}"))
