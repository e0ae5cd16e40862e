"""A folder of images as a video: one file a frame, in the order of the numbers in the files' names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from swagv.errors import DecodeError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
# What stands before the number of a frame; optical flow has `flow_x_` and the like, in the same folder in some layouts.
_FRAME_PREFIXES = ("", "img", "image", "frame")


def images_in(folder: Path | str) -> list[Path]:
    """Images directly in a folder, ``2.png`` before ``10.png``; hidden files are none of them."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if _is_image(entry)]
    return [Path(folder, name) for name in sorted(names, key=_by_numbers)]


def _is_image(entry: os.DirEntry[str]) -> bool:
    name = entry.name
    return name.lower().endswith(IMAGE_SUFFIXES) and name[0] != "." and entry.is_file()


def _by_numbers(name: str) -> tuple[list[str | int], str]:
    parts = re.split("([0-9]+)", name)  # every second one is a number
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], name


def frames_in(folder: Path | str) -> tuple[list[Path], str]:
    """The images that are the frames of one video, in order, and what is missing among them, empty for nothing.

    Names differ in their last number alone. Of several such series the one is taken that is called ``img_``,
    ``image_``, ``frame`` or nothing but numbers. Numbers may run by any step, as long as it is always the same.

    Raises
    ------
    DecodeError
        If it cannot be told which series the frames are.
    """
    series: dict[tuple[str, str], list[tuple[int, Path]]] = {}
    for path in images_in(folder):
        before, number, after = re.fullmatch("(.*?)([0-9]*)([^0-9]*)", path.name).groups()
        series.setdefault((before, after.lower()), []).append((int(number or 0), path))
    if len(series) > 1:
        named = {
            (before, after): found
            for (before, after), found in series.items()
            if before.lower().rstrip("_- ") in _FRAME_PREFIXES and after in IMAGE_SUFFIXES
        }
        if len(named) != 1:
            names = ", ".join(f"{before}#{after}" for before, after in list(series)[:4])
            raise DecodeError(f"images of {len(series)} series ({names}); which are the frames cannot be told")
        series = named
    for found in series.values():
        numbers, paths = zip(*found, strict=True)
        steps = [later - earlier for earlier, later in pairwise(numbers)]
        gap = next((index for index, step in enumerate(steps) if step != min(steps)), None)
        missing = "" if gap is None else f"no image between {paths[gap].name} and {paths[gap + 1].name}"
        return list(paths), missing
    return [], ""


def read_images(images: Iterable[Path]) -> Iterator[np.ndarray]:
    """Images (H, W, 3) uint8 RGB, one after the other.

    Raises
    ------
    DecodeError
        If one is broken or differs in size from the first.
    """
    first, size = None, None
    for path in images:
        image = _read_image(path)
        first, size = first or path, size or image.shape
        if image.shape != size:
            sizes = "{1}x{0} and {3}x{2}".format(*size[:2], *image.shape[:2])
            raise DecodeError(f"images of one folder differ in size: {first.name} and {path.name} have {sizes} pixels")
        yield image


def _read_image(path: Path) -> np.ndarray:
    from PIL import Image, ImageOps

    try:
        with Image.open(path, formats=("PNG", "JPEG")) as image:
            image = ImageOps.exif_transpose(image)  # as a video's rotation is applied
            if image.mode.startswith("I;16"):  # Pillow would clip 16-bit grey to white
                image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
            return np.asarray(image.convert("RGB"))
    # What Pillow raises on broken files, SyntaxError for a broken PNG among them.
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise DecodeError(f"{path.name} is no readable image: {error}") from error
