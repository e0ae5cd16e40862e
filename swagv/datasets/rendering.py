"""Videos with a known answer: a textured actor whose *motion* is the class, and its exact box in every frame.

Background, colours, texture, shape, size, position and speed are drawn at random and tell nothing about the class, so
that a network must use time. A look-alike (the same shape and texture) drifts in a straight line, so that an
explanation must choose between the two; the background drifts as well, so that motion alone does not find the actor.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from swagv.datasets.motions import MOTIONS

HEIGHT, WIDTH, FPS = 240, 320, 25
# Half the centre square that swagv.geometry.Geometry's default crop sees of a 320x240 video, in pixels of the video.
_VISIBLE_HALF = 104
_FASTEST = 1.4  # pixels a frame, of the background
_CENTRE = np.array([WIDTH / 2, HEIGHT / 2])


@dataclass(frozen=True)
class RenderedVideo:
    """frames (T, H, W, 3) uint8; boxes (T, 4) as x_min, y_min, x_max, y_max in pixels, inclusive; label: the motion."""

    frames: np.ndarray
    boxes: np.ndarray
    label: int


@dataclass(frozen=True)
class _Sprite:
    """A textured shape: colour (S, S, 3) float in [0, 255] and opacity (S, S) in [0, 1]."""

    colour: np.ndarray
    alpha: np.ndarray


def render_video(label: int, seed: int, num_frames: int | None = None) -> RenderedVideo:
    """Render one video.

    Parameters
    ----------
    label
        Index into `MOTIONS`.
    seed
        Everything random is drawn from it; the same seed gives the same bytes.
    num_frames
        Length in frames; drawn from 24 to 40 where None.
    """
    if not 0 <= label < len(MOTIONS):
        raise ValueError(f"label {label}: there are {len(MOTIONS)} motions ({', '.join(MOTIONS)})")
    rng = np.random.default_rng([seed, label])
    length = int(rng.integers(24, 41)) if num_frames is None else num_frames
    radius = rng.uniform(24, 34)
    sprite = _draw_sprite(rng, radius)
    amplitude = rng.uniform(0.5, 0.7) * radius
    start = _draw_start(rng, _VISIBLE_HALF - radius - amplitude)
    offset, angle, scale = _draw_motion(rng, MOTIONS[label], length, amplitude)
    path = start + offset
    other_path = _draw_look_alike_path(rng, path, length, radius + amplitude)
    other_angle = rng.uniform(0, 2 * np.pi)
    background = _draw_background(rng, length)
    boxes = np.zeros((length, 4))
    frames = np.empty((length, HEIGHT, WIDTH, 3), np.uint8)
    for t in range(length):
        frame = background[t]
        _paste(frame, sprite, other_path[t], other_angle, 1.0)
        boxes[t] = _paste(frame, sprite, path[t], angle[t], scale[t])
        frames[t] = np.rint(np.clip(frame, 0, 255))
    return RenderedVideo(frames, boxes, label)


def _noise(rng: np.random.Generator, shape: tuple[int, int], scales: tuple[float, ...]) -> np.ndarray:
    """Smooth random texture in about [-1, 1], the sum of one layer for each length scale in pixels."""
    total = np.zeros(shape)
    for scale in scales:
        coarse = rng.standard_normal([int(np.ceil(side / scale)) + 3 for side in shape])
        layer = ndimage.zoom(coarse, scale, order=1)[: shape[0], : shape[1]]
        total += layer / layer.std()
    return total / (2 * np.sqrt(len(scales)))


def _draw_background(rng: np.random.Generator, length: int) -> np.ndarray:
    margin = max(64, int(np.ceil(_FASTEST * length / 2)) + 1)  # how far it drifts to either side
    shape = (HEIGHT + 2 * margin, WIDTH + 2 * margin)
    base = rng.uniform(60, 195, 3)
    texture = np.stack([_noise(rng, shape, (48.0, 16.0, 6.0)) for _ in range(3)], -1) * 40 + base
    direction = rng.uniform(0, 2 * np.pi)
    velocity = rng.uniform(0.3, _FASTEST) * np.array([np.cos(direction), np.sin(direction)])
    frames = np.empty((length, HEIGHT, WIDTH, 3), np.float32)
    for t in range(length):
        x, y = margin + velocity * (t - length / 2)
        left, top = int(np.floor(x)), int(np.floor(y))
        fx, fy = x - left, y - top
        window = texture[top : top + HEIGHT + 1, left : left + WIDTH + 1]
        window = window[:-1] * (1 - fy) + window[1:] * fy
        frames[t] = window[:, :-1] * (1 - fx) + window[:, 1:] * fx
    return frames


def _draw_sprite(rng: np.random.Generator, radius: float) -> _Sprite:
    side = int(2 * np.ceil(1.3 * radius) + 1)
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    theta = np.arctan2(y, x)
    outline = np.ones_like(x)
    for order in (2, 3):  # a lopsided outline, so that a spin is visible
        outline += rng.uniform(0.08, 0.14) * np.cos(order * theta + rng.uniform(0, 2 * np.pi))
    alpha = np.clip(radius * outline / outline.max() - np.hypot(x, y) + 0.5, 0, 1)
    base = rng.uniform(40, 215, 3)
    texture = np.stack([_noise(rng, (side, side), (14.0, 6.0)) for _ in range(3)], -1)
    return _Sprite(np.clip(base + 70 * texture, 0, 255), alpha)


def _draw_start(rng: np.random.Generator, reach: float) -> np.ndarray:
    """A point in the visible square, off centre in five of six videos."""
    while True:
        offset = rng.uniform(-reach, reach, 2)
        if np.abs(offset).max() > 0.55 * reach or rng.uniform() < 0.08:
            return _CENTRE + offset


def _draw_motion(
    rng: np.random.Generator, motion: str, length: int, amplitude: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Offset (T, 2) as x, y in pixels, angle (T,) in radians and scale (T,) of the actor."""
    turn = rng.choice([-1, 1])
    phase = 2 * np.pi * np.arange(length) / rng.uniform(7, 12) + rng.uniform(0, 2 * np.pi)
    wave, still = amplitude * np.sin(phase), np.zeros(length)
    angle, scale = np.full(length, rng.uniform(0, 2 * np.pi)), np.ones(length)
    offset = {
        "horizontal": (wave, still),
        "vertical": (still, wave),
        "diagonal": (wave / np.sqrt(2), turn * wave / np.sqrt(2)),
        "circle": (wave, turn * amplitude * np.cos(phase)),
    }.get(motion, (still, still))
    if motion == "spin":
        angle = turn * phase
    if motion == "pulse":
        scale = 1 + 0.3 * np.sin(phase)
    return np.stack(offset, -1), angle, scale


def _draw_look_alike_path(rng: np.random.Generator, path: np.ndarray, length: int, clearance: float) -> np.ndarray:
    """A straight line, mostly inside the visible square, that stays away from the actor where that is possible."""
    best, best_gap = None, -np.inf
    for _ in range(60):
        direction = rng.uniform(0, 2 * np.pi)
        velocity = rng.uniform(0.6, 2.0) * np.array([np.cos(direction), np.sin(direction)])
        middle = _CENTRE + rng.uniform(-80, 80, 2)
        candidate = middle + velocity * (np.arange(length)[:, None] - length / 2)
        gap = np.hypot(*(candidate - path).T).min()
        if gap > best_gap:
            best, best_gap = candidate, gap
        if gap > 2 * clearance:
            break
    return best


def _paste(frame: np.ndarray, sprite: _Sprite, centre: np.ndarray, angle: float, scale: float) -> np.ndarray:
    """Draw the sprite into `frame` in place; return the box of the pixels it covers by more than half."""
    half = int(np.ceil(scale * sprite.alpha.shape[0] / 2)) + 1
    x0, y0 = np.floor(centre).astype(int) - half
    x1, y1 = min(x0 + 2 * half + 1, frame.shape[1]), min(y0 + 2 * half + 1, frame.shape[0])
    x0, y0 = max(x0, 0), max(y0, 0)
    if x1 <= x0 or y1 <= y0:
        return np.full(4, np.nan)
    y, x = np.mgrid[y0:y1, x0:x1]
    dx, dy = (x - centre[0]) / scale, (y - centre[1]) / scale
    middle = (sprite.alpha.shape[0] - 1) / 2
    where = np.stack(
        [np.sin(angle) * dx + np.cos(angle) * dy + middle, np.cos(angle) * dx - np.sin(angle) * dy + middle]
    )
    alpha = ndimage.map_coordinates(sprite.alpha, where, order=1)
    for channel in range(3):
        colour = ndimage.map_coordinates(sprite.colour[..., channel], where, order=1, mode="nearest")
        patch = frame[y0:y1, x0:x1, channel]
        patch += alpha * (colour - patch)
    rows, cols = np.flatnonzero((alpha > 0.5).any(1)), np.flatnonzero((alpha > 0.5).any(0))
    if not rows.size:
        return np.full(4, np.nan)
    return np.array([x0 + cols[0], y0 + rows[0], x0 + cols[-1], y0 + rows[-1]], float)


def write_video(path: Path | str, frames: np.ndarray, fps: int = FPS) -> None:
    """Encode frames (T, H, W, 3) uint8 as H.264 in MP4, near-lossless (crf 12), the same bytes every time."""
    import av

    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        # x264's assembly makes bytes that depend on what the process did before; its plain C code does not.
        stream.options = {"crf": "12", "preset": "veryfast", "threads": "1", "x264-params": "threads=1:no-asm=1"}
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
