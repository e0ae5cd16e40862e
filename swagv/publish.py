"""Finished means whole: write under a hidden temporary name, sync, then rename."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def publish(out: Path | str) -> Iterator[Path]:
    """A temporary sibling of `out`, renamed to it when the block ends well and removed when it does not.

    Left-overs of killed writers of the same output are swept first. Works for files and folders.

    Raises
    ------
    FileExistsError
        If a folder appeared at `out` meanwhile: a second writer fails instead of mixing.
    """
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    for stale in out.parent.glob(f".{out.name}.*.partial"):
        _remove(stale)
    partial = out.parent / f".{out.name}.{uuid.uuid4().hex[:8]}.partial"
    try:
        yield partial
        if out.is_dir() and not any(out.iterdir()):
            out.rmdir()
        if out.is_dir():
            raise FileExistsError(f"{out} was written by another process meanwhile")
        _sync(partial)
        os.replace(partial, out)
    finally:
        _remove(partial)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Bring files and the folders that name them to the disk."""
    for entry in [path, *path.rglob("*")] if path.is_dir() else [path]:
        descriptor = os.open(entry, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
