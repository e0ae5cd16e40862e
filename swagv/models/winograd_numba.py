"""The loops of `swagv.models.winograd`, compiled; channels are innermost, so that they are vectors."""

from __future__ import annotations

import numpy as np

from swagv.compiled import compiled

# Else a product with an integer would be computed in float64.
_ZERO, _TWO, _FOUR, _FIVE, _EIGHT = (np.float32(number) for number in (0, 2, 4, 5, 8))


@compiled(fastmath={"contract"})
def _forth(given, at, step, out, to):
    """B^T of six rows of `given`, `step` apart from row `at` on, into rows `to` to `to + 5` of `out`."""
    for k in range(given.shape[1]):
        a, b, c = given[at, k], given[at + step, k], given[at + 2 * step, k]
        d, e, f = given[at + 3 * step, k], given[at + 4 * step, k], given[at + 5 * step, k]
        out[to, k] = _FOUR * a - _FIVE * c + e
        even, odd = e - _FOUR * c, d - _FOUR * b
        out[to + 1, k], out[to + 2, k] = even + odd, even - odd
        even, odd = e - c, _TWO * (d - b)
        out[to + 3, k], out[to + 4, k] = even + odd, even - odd
        out[to + 5, k] = _FOUR * b - _FIVE * d + f


@compiled(fastmath={"contract"})
def _back(given, at, step, out, to):
    """A^T of six rows of `given`, `step` apart from row `at` on, into rows `to` to `to + 3` of `out`."""
    for k in range(given.shape[1]):
        a, b, c = given[at, k], given[at + step, k], given[at + 2 * step, k]
        d, e, f = given[at + 3 * step, k], given[at + 4 * step, k], given[at + 5 * step, k]
        near, near_odd, far, far_odd = b + c, b - c, d + e, d - e
        out[to, k], out[to + 1, k] = a + near + far, near_odd + _TWO * far_odd
        out[to + 2, k], out[to + 3, k] = near + _FOUR * far, near_odd + _EIGHT * far_odd + f


@compiled()
def transform(clips, above, before, down, across, first, tiles):
    """Tiles of clips (N,T,H,W,C), from line `first` on, into `tiles` (36, T, tiles, C).

    Zeros are put `above` and `before` each frame, which is cut into `across` tiles in each of `down` lines.
    """
    _, frames, height, width, channels = clips.shape
    pixels, part = np.zeros((36, channels), np.float32), np.empty((36, channels), np.float32)
    for frame in range(frames):
        for tile in range(tiles.shape[2]):
            line, x = first + tile // across, 4 * (tile % across) - before
            clip, y = line // down, 4 * (line % down) - above
            for i in range(6):
                for j in range(6):
                    inside = 0 <= y + i < height and 0 <= x + j < width
                    for k in range(channels):
                        pixels[6 * i + j, k] = clips[clip, frame, y + i, x + j, k] if inside else _ZERO
            for j in range(6):
                _forth(pixels, j, 6, part, 6 * j)
            for i in range(6):
                _forth(part, i, 6, pixels, 6 * i)
            for i in range(36):
                for k in range(channels):
                    tiles[i, frame, tile, k] = pixels[i, k]


@compiled()
def transform_back(products, shift, first, out):
    """Products (36, T, tiles, K), and `shift` (K,), into the lines of `out` (N,T,H,W,K) from `first` on."""
    _, frames, height, width, channels = out.shape
    down, across = -(-height // 4), -(-width // 4)
    values, part = np.empty((36, channels), np.float32), np.empty((24, channels), np.float32)
    for frame in range(frames):
        for tile in range(products.shape[2]):
            line, x = first + tile // across, 4 * (tile % across)
            clip, y = line // down, 4 * (line % down)
            for i in range(36):
                for k in range(channels):
                    values[i, k] = products[i, frame, tile, k]
            for j in range(6):
                _back(values, j, 6, part, 4 * j)
            for i in range(4):
                _back(part, i, 4, values, 4 * i)
            for i in range(min(4, height - y)):
                for j in range(min(4, width - x)):
                    for k in range(channels):
                        out[clip, frame, y + i, x + j, k] = values[4 * i + j, k] + shift[k]
