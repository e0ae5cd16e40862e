"""Videos on disk: files, and folders of images."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from swagv.clips import ABSENT
from swagv.errors import ConfigError
from swagv.image_folder import IMAGE_SUFFIXES, images_in

VIDEO_SUFFIXES = (
    ".mp4", ".avi", ".mkv", ".webm", ".mov", ".m4v", ".mpg", ".mpeg", ".ts", ".flv", ".wmv", ".3gp",
)  # fmt: skip


def videos_below(root: Path | str) -> Iterator[tuple[Path, str]]:
    """Path and name without suffix of every file with a video's suffix, in no order. Links are followed.

    A folder that directly holds two images or more and no video counts as one.

    Raises
    ------
    ConfigError
        If a name is not UTF-8: no table could hold it.
    """
    seen: set[tuple[int, int]] = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        stat = os.stat(folder)
        if (stat.st_dev, stat.st_ino) in seen:  # a link to a folder above
            folders.clear()
            continue
        seen.add((stat.st_dev, stat.st_ino))
        # macOS leaves a "._name" beside each file that it copies.
        names = [name for name in files if name.lower().endswith(VIDEO_SUFFIXES) and not name.startswith("._")]
        for path in map(Path(folder).joinpath, names):
            if path.is_file():
                yield _named(path), path.stem
        if not names and folder != str(root) and sum(name.lower().endswith(IMAGE_SUFFIXES) for name in files) > 1:
            yield _named(Path(folder)), Path(folder).name


def best_of(candidates: Iterable[Path], root: Path) -> Path:
    """Of several places of one video the one to take, whatever order the disk lists them in.

    Files come before folders of images, a path with ``rgb`` in it before others (optical flow lies beside), then the
    order of paths decides.
    """

    def order(path: Path) -> tuple[bool, bool, Path]:
        below = path.relative_to(root)
        return path.is_dir(), not any("rgb" in part.lower() for part in below.parts), below

    return min(candidates, key=order)


def token(path: Path) -> str:
    """Changes when the file does, or when images of the folder come or go; `ABSENT` where there is neither."""
    if not os.path.exists(path):  # False for a name that is too long, at which Path.exists raises
        return ABSENT
    stat = path.stat()
    size = len(images_in(path)) if path.is_dir() else stat.st_size
    return f"{size}:{stat.st_mtime_ns}"


def _named(path: Path) -> Path:
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise ConfigError(f"the name of {os.fsencode(path)!r} is not UTF-8; rename it") from error
    return path
