"""Finished means whole: write under a hidden temporary name, sync, then rename."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from swagv.errors import ConfigError

# What a file system without hard links answers.
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}


def check_out(out: Path, suffixes: Sequence[str], *inputs: Path | None) -> None:
    """Find out, before the work, whether a file can be written.

    Raises
    ------
    ConfigError
        If it has none of the suffixes, is a folder or one of the inputs, or its folder cannot be written to.
    """
    if out.suffix.lower() not in suffixes:
        raise ConfigError(f"{out}: what to write is told by the suffix, one of {', '.join(suffixes)}")
    if out.is_dir():
        raise ConfigError(f"{out} is a folder; give a file to write")
    for one in inputs:
        if one is not None and one.exists() and out.exists() and out.samefile(one):
            raise ConfigError(f"{out} is the input itself; give another file to write")
    folder = next(parent for parent in out.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(f"{out} cannot be written: no file can be made in {folder}")


class OutputError(OSError):
    """A file could not be written; the message says which, and why."""

    def __init__(self, out: Path, error: OSError):
        super().__init__(f"{out} cannot be written: {error.strerror or error}")


@contextmanager
def publish(out: Path | str, replace: bool = True) -> Iterator[Path]:
    """A temporary sibling of `out`, renamed to it when the block ends well and removed when it does not.

    Left-overs of killed writers of the same output are swept first. Works for files and folders.

    Parameters
    ----------
    replace
        Whether a file may take the place of another one; a folder never does, unless that is empty.

    Raises
    ------
    FileExistsError
        If something is at `out` that may not be replaced: of two writers the slower one fails.
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
        if replace or partial.is_dir():
            os.replace(partial, out)
        else:
            _name_once(partial, out)
    finally:
        _remove(partial)


def _name_once(partial: Path, out: Path) -> None:
    taken = FileExistsError(f"{out} was written by another process meanwhile")
    try:
        os.link(partial, out)  # which, unlike renaming, replaces nothing
    except FileExistsError as error:
        raise taken from error
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if out.exists():
            raise taken from error
        os.replace(partial, out)


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
