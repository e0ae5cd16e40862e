"""Pictures of explanations. Only here is an attribution normalised."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import matplotlib
import numpy as np
from PIL import Image, ImageDraw

COLOUR_MAP = "inferno"


def heatmap(attribution: np.ndarray) -> np.ndarray:
    """Min-max over the whole clip, (T, H, W) to [0, 1]; a constant map gives zeros. Never frame by frame."""
    attribution = np.asarray(attribution, np.float64)
    low, high = attribution.min(), attribution.max()
    return np.zeros_like(attribution) if high == low else (attribution - low) / (high - low)


def overlay(frames: np.ndarray, attribution: np.ndarray, opacity: float = 0.55) -> np.ndarray:
    """Frames (T, H, W, 3) uint8 under the colour-mapped heatmap of attribution (T, H, W); uint8.

    Raises
    ------
    ValueError
        If frames and attribution differ in T, H or W.
    """
    if frames.shape[:3] != attribution.shape:
        raise ValueError(f"attribution {attribution.shape} does not fit frames {frames.shape}")
    colour = matplotlib.colormaps[COLOUR_MAP](heatmap(attribution))[..., :3] * 255
    return np.rint((1 - opacity) * frames + opacity * colour).astype(np.uint8)


def draw_box(image: np.ndarray, box: Sequence[float]) -> np.ndarray:
    """A copy of an image (H, W, 3) uint8 with the box x_min, y_min, x_max, y_max drawn; NaN draws nothing."""
    if not np.isfinite(box).all():
        return image
    canvas = Image.fromarray(image)
    pen = ImageDraw.Draw(canvas)
    x_min, y_min, x_max, y_max = map(float, box)
    pen.rectangle([x_min - 1, y_min - 1, x_max + 1, y_max + 1], outline=(0, 0, 0))
    pen.rectangle([x_min, y_min, x_max, y_max], outline=(80, 255, 120))
    return np.asarray(canvas)


def filmstrip(
    frames: np.ndarray,
    attribution: np.ndarray | None = None,
    boxes: np.ndarray | None = None,
    which: Sequence[int] = (0, 5, 10, 15),
) -> np.ndarray:
    """Frames `which` side by side, (H, len(which) * W, 3) uint8, with overlay and true boxes (T, 4) where given."""
    shown = frames if attribution is None else overlay(frames, attribution)
    tiles = [shown[t] if boxes is None else draw_box(shown[t], boxes[t]) for t in which]
    return np.concatenate(tiles, axis=1)


def png_data_uri(image: np.ndarray) -> str:
    """An image (H, W, 3) uint8 as a ``data:`` address."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
