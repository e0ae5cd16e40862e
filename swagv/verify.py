"""Whether everything in a folder of results can still be read as it was written."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import zarr
from tqdm import tqdm

from swagv.errors import SwagvError
from swagv.explanations import Explanations
from swagv.stores import open_store
from swagv.tables import check_table

# What damage makes the readers raise: ours, zarr's of metadata and codecs, Parquet's. An error of the disk or the
# network drive (OSError) says nothing about the file.
_DAMAGE = (SwagvError, ValueError, RuntimeError, KeyError, TypeError, AttributeError, pa.ArrowException)


@dataclass(frozen=True)
class Finding:
    """A store or table, what is wrong with it, and whether that is damage, or it could not be read at the moment."""

    path: Path
    reason: str
    damaged: bool = True


def published(results: Path) -> list[Path]:
    """Every store and table below a folder, links to folders followed, without those under construction."""
    found: list[Path] = []
    for folder, folders, files in os.walk(results, followlinks=True):
        found += [Path(folder, name) for name in (*folders, *files) if name.endswith((".zarr", ".parquet"))]
        folders[:] = [name for name in folders if not name.startswith(".") and not name.endswith(".zarr")]
    return sorted(path for path in found if not path.name.startswith("."))


def verify(results: Path) -> Iterator[Finding]:
    """Stores and tables that cannot be read, or hold something else than was written.

    A store of explanations is damaged, too, where the one that it refers to is.
    """
    for path in tqdm(published(results), desc="verify", unit="file", mininterval=10):
        try:
            if path.suffix == ".parquet":
                check_table(path)
            else:
                _check(open_store(path))
                Explanations(path)
        except OSError as error:
            # pyarrow's own errors of a file that makes no sense have no number; those of the disk have.
            yield Finding(path, str(error), damaged=error.errno is None)
        except _DAMAGE as error:
            yield Finding(path, " ".join(str(error).split()) or type(error).__name__)


def remove(path: Path) -> list[Path]:
    """Remove a store or a table; what it was linked to, as in a cache between workflows, stays, and is named."""
    inside = list(path.iterdir()) if path.is_dir() else []
    linked = sorted({one.resolve() for one in (path, *inside) if one.is_symlink()})
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
    return linked


def _check(group: zarr.Group) -> None:
    for name, digest in group.attrs.get("digests", {}).items():
        array, found = group[name], hashlib.sha256()
        for start in range(0, array.shape[0], array.shards[0]):
            found.update(np.ascontiguousarray(array[start : start + array.shards[0]]))
        if found.hexdigest() != digest:
            raise SwagvError(f"{name} holds other numbers than were written")
