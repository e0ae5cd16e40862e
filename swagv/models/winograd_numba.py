"""The loops of `swagv.models.winograd`, compiled; channels are innermost, so that they are vectors."""

from __future__ import annotations

import numpy as np

from swagv.compiled import compiled

# Else a product with an integer would be computed in float64.
_TWO, _FOUR, _FIVE, _EIGHT = np.float32(2), np.float32(4), np.float32(5), np.float32(8)


@compiled(inline="always", fastmath={"contract"})
def _forth(a, b, c, d, e, f, out, at):
    """B^T of six vectors of channels, into rows `at` to `at + 5` of `out`."""
    for k in range(len(a)):
        out[at, k] = _FOUR * a[k] - _FIVE * c[k] + e[k]
        even, odd = e[k] - _FOUR * c[k], d[k] - _FOUR * b[k]
        out[at + 1, k], out[at + 2, k] = even + odd, even - odd
        even, odd = e[k] - c[k], _TWO * (d[k] - b[k])
        out[at + 3, k], out[at + 4, k] = even + odd, even - odd
        out[at + 5, k] = _FOUR * b[k] - _FIVE * d[k] + f[k]


@compiled(inline="always", fastmath={"contract"})
def _back(a, b, c, d, e, f, out):
    """A^T of six vectors of channels, into the four rows of `out`."""
    for k in range(len(a)):
        near, near_odd, far, far_odd = b[k] + c[k], b[k] - c[k], d[k] + e[k], d[k] - e[k]
        out[0, k], out[1, k] = a[k] + near + far, near_odd + _TWO * far_odd
        out[2, k], out[3, k] = near + _FOUR * far, near_odd + _EIGHT * far_odd + f[k]


@compiled(inline="always")
def _pixel(image, y, x, outside):
    return image[y, x] if 0 <= y < image.shape[0] and 0 <= x < image.shape[1] else outside


@compiled(fastmath={"contract"})
def transform(clips, above, before, down, across, first, tiles):
    """Tiles of clips (N,T,H,W,C), from line `first` on, into `tiles` (36, T, tiles, C).

    Zeros are put `above` and `before` each frame, which is cut into `across` tiles in each of `down` lines.
    """
    frames, channels = clips.shape[1], clips.shape[4]
    outside = np.zeros(channels, np.float32)
    part, whole = np.empty((36, channels), np.float32), np.empty((36, channels), np.float32)
    for frame in range(frames):
        for tile in range(tiles.shape[2]):
            line, x = first + tile // across, 4 * (tile % across) - before
            image, y = clips[line // down, frame], 4 * (line % down) - above
            for i in range(6):
                _forth(
                    _pixel(image, y, x + i, outside),
                    _pixel(image, y + 1, x + i, outside),
                    _pixel(image, y + 2, x + i, outside),
                    _pixel(image, y + 3, x + i, outside),
                    _pixel(image, y + 4, x + i, outside),
                    _pixel(image, y + 5, x + i, outside),
                    part,
                    6 * i,
                )
            for i in range(6):
                _forth(part[i], part[6 + i], part[12 + i], part[18 + i], part[24 + i], part[30 + i], whole, 6 * i)
            for i in range(36):
                tiles[i, frame, tile] = whole[i]


@compiled(fastmath={"contract"})
def transform_back(products, shift, first, out):
    """Products (36, T, tiles, K), and `shift` (K,), into the lines of `out` (N,T,H,W,K) from `first` on."""
    _, frames, height, width, channels = out.shape
    down, across = -(-height // 4), -(-width // 4)
    part, whole = np.empty((6, 4, channels), np.float32), np.empty((4, channels), np.float32)
    for frame in range(frames):
        for tile in range(products.shape[2]):
            line, x = first + tile // across, 4 * (tile % across)
            image, y = out[line // down, frame], 4 * (line % down)
            values = products[:, frame, tile]
            for i in range(6):
                _back(values[i], values[6 + i], values[12 + i], values[18 + i], values[24 + i], values[30 + i], part[i])
            for i in range(min(4, height - y)):
                _back(part[0, i], part[1, i], part[2, i], part[3, i], part[4, i], part[5, i], whole)
                for j in range(min(4, width - x)):
                    for k in range(channels):
                        image[y + i, x + j, k] = whole[j, k] + shift[k]
