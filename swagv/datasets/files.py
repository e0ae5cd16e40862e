"""Videos on disk: files, and folders of images."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from swagv.clips import ABSENT
from swagv.image_folder import images_in

VIDEO_SUFFIXES = (".mp4", ".avi", ".mkv", ".webm", ".mov", ".m4v", ".mpg", ".mpeg")


def videos_below(root: Path | str) -> Iterator[tuple[Path, str]]:
    """Path and name without suffix of every file with a video's suffix, in no order.

    A folder that directly holds two images or more and no video counts as one. Links to folders are not followed.
    """
    for folder, _, files in os.walk(root):
        # macOS leaves a "._name" beside each file that it copies.
        names = [name for name in files if name.lower().endswith(VIDEO_SUFFIXES) and not name.startswith("._")]
        for name in names:
            path = Path(folder, name)
            if path.is_file():
                yield path, path.stem
        if not names and folder != str(root) and len(images_in(folder)) > 1:
            yield Path(folder), Path(folder).name


def token(path: Path) -> str:
    """Changes when the file, or one of the folder's images, does; `ABSENT` where there is neither."""
    if path.is_dir():
        stats = [(image.name, image.stat()) for image in images_in(path)]
        listed = [f"{name}:{stat.st_size}:{stat.st_mtime_ns}" for name, stat in stats]
        return hashlib.sha256("\n".join(listed).encode()).hexdigest()[:16]
    if not path.is_file():
        return ABSENT
    stat = path.stat()
    return f"{stat.st_size}:{stat.st_mtime_ns}"
