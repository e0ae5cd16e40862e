"""Whether everything in a folder of results can still be read as it was written."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import zarr
from tqdm import tqdm

from swagv.errors import SwagvError
from swagv.explanations import Explanations
from swagv.stores import open_store
from swagv.tables import check_table

# What a damaged file makes its reader raise: zarr's codecs, JSON, Parquet, the disk.
_BROKEN = (SwagvError, OSError, ValueError, RuntimeError, KeyError, pa.ArrowException)


def published(results: Path) -> list[Path]:
    """Every store and table below a folder, without those under construction."""
    found = (path for path in results.rglob("*") if path.suffix in (".zarr", ".parquet"))
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(results).parts))


def damaged(results: Path) -> Iterator[tuple[Path, str]]:
    """Stores and tables that cannot be read, or hold other numbers than were written, and what is wrong.

    A store of explanations is damaged, too, where the one that it refers to is.
    """
    for path in tqdm(published(results), desc="verify", unit="file", mininterval=10):
        try:
            if path.suffix == ".parquet":
                check_table(path)
            else:
                _check(open_store(path))
                if "layout" in open_store(path).attrs:
                    Explanations(path)
        except _BROKEN as error:
            yield path, " ".join(str(error).split()) or type(error).__name__


def remove(path: Path) -> None:
    """Remove a store or a table; of a link, what it stands for stays."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _check(group: zarr.Group) -> None:
    for name, digest in group.attrs["digests"].items():
        array, found = group[name], hashlib.sha256()
        for start in range(0, array.shape[0], array.shards[0]):
            found.update(np.ascontiguousarray(array[start : start + array.shards[0]]))
        if found.hexdigest() != digest:
            raise SwagvError(f"{name} holds other numbers than were written")
