"""Would Winograd's convolution pay? The 1x3x3 layers of R(2+1)D-18, by PyTorch and in tiles of 4x4 outputs.

`python -m benchmarks.winograd [--clips 4] [--rounds 5]`. F(4x4, 3x3) of Lavin and Gray, "Fast algorithms for
convolutional neural networks" (CVPR 2016): 36 products for 16 outputs, where the definition takes 144. Numba transforms
tiles of some frames, PyTorch multiplies, Numba transforms back. `error` is the largest difference over the largest
output. swagv's networks do not use it: this is the measurement that says whether they should.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from numba import njit, prange
from torch import Tensor, nn

from benchmarks.measure import interleaved, parser, ratios, write

# Channels in and out, frames and side of the feature maps.
LAYERS = ((64, 144, 16, 56), (64, 230, 8, 56), (128, 288, 8, 28), (256, 576, 4, 14), (512, 1152, 2, 7))
# Of the transformed input of a block of frames: it is to stay in the processor's cache.
_BLOCK_BYTES = 12 << 20
_G = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)


@njit(fastmath=True, inline="always")
def _line(a, b, c, d, e, f, to, at):
    """B^T of six vectors of channels, into `to[at]` … `to[at + 5]`."""
    for k in range(len(a)):
        to[at, k] = 4 * a[k] - 5 * c[k] + e[k]
        even, odd = e[k] - 4 * c[k], d[k] - 4 * b[k]
        to[at + 1, k], to[at + 2, k] = even + odd, even - odd
        even, odd = e[k] - c[k], 2 * (d[k] - b[k])
        to[at + 3, k], to[at + 4, k] = even + odd, even - odd
        to[at + 5, k] = 4 * b[k] - 5 * d[k] + f[k]


@njit(fastmath=True, inline="always")
def _line_back(a, b, c, d, e, f, to):
    """A^T of six vectors of channels, into the four of `to`."""
    for k in range(len(a)):
        near, near_odd, far, far_odd = b[k] + c[k], b[k] - c[k], d[k] + e[k], d[k] - e[k]
        to[0, k], to[1, k] = a[k] + near + far, near_odd + 2 * far_odd
        to[2, k], to[3, k] = near + 4 * far, near_odd + 8 * far_odd + f[k]


@njit(parallel=True, fastmath=True)
def _transform(padded, tiles, down, across):
    """Frames F,H,W,C, with a border of one, to (36, F * down * across, C)."""
    channels = padded.shape[3]
    for row in prange(len(padded) * down):
        frame, y = padded[row // down], 4 * (row % down)
        part, whole = np.empty((36, channels), np.float32), np.empty((36, channels), np.float32)
        for column in range(across):
            for i in range(6):
                x = 4 * column + i
                _line(
                    frame[y, x],
                    frame[y + 1, x],
                    frame[y + 2, x],
                    frame[y + 3, x],
                    frame[y + 4, x],
                    frame[y + 5, x],
                    part,
                    6 * i,
                )
            for j in range(6):
                _line(part[j], part[6 + j], part[12 + j], part[18 + j], part[24 + j], part[30 + j], whole, 6 * j)
            tiles[:, row * across + column] = whole


@njit(parallel=True, fastmath=True)
def _transform_back(products, out, down, across):
    """(36, F * down * across, K) to frames F,H,W,K."""
    channels = out.shape[3]
    for row in prange(len(out) * down):
        frame, y = out[row // down], 4 * (row % down)
        part = np.empty((6, 4, channels), np.float32)
        for column in range(across):
            tile = products[:, row * across + column]
            for i in range(6):
                _line_back(tile[i], tile[6 + i], tile[12 + i], tile[18 + i], tile[24 + i], tile[30 + i], part[i])
            for j in range(4):
                _line_back(
                    part[0, j],
                    part[1, j],
                    part[2, j],
                    part[3, j],
                    part[4, j],
                    part[5, j],
                    frame[y + j, 4 * column : 4 * column + 4],
                )


def transformed(weight: Tensor) -> Tensor:
    """Weights K,C,1,3,3 as (36, C, K), computed in float64."""
    g = torch.tensor(_G, dtype=torch.float64)
    return torch.einsum("ab,kcbd,ed->aeck", g, weight[:, :, 0].double(), g).flatten(0, 1).float().contiguous()


def winograd(clips: Tensor, weight: Tensor) -> Tensor:
    """Convolution of N,C,T,H,W float32 in channels_last_3d, padding 1, with `transformed` weights: N,K,T,H,W."""
    n, c, t, h, w = clips.shape
    k = weight.shape[2]
    down, across = -(-h // 4), -(-w // 4)
    frames = clips.permute(0, 2, 3, 4, 1).reshape(n * t, h, w, c)
    out = torch.empty(n * t, 4 * down, 4 * across, k)
    block = max(1, min(n * t, _BLOCK_BYTES // (36 * down * across * c * 4)))
    padded = torch.zeros(block, 4 * down + 2, 4 * across + 2, c)
    tiles, products = (torch.empty(36, block * down * across, channels) for channels in (c, k))
    for start in range(0, n * t, block):
        some = frames[start : start + block]
        size = len(some) * down * across
        padded[: len(some), 1 : h + 1, 1 : w + 1] = some
        _transform(padded[: len(some)].numpy(), tiles[:, :size].numpy(), down, across)
        torch.bmm(tiles[:, :size], weight, out=products[:, :size])
        _transform_back(products[:, :size].numpy(), out[start : start + block].numpy(), down, across)
    return out[:, :h, :w].reshape(n, t, h, w, k).permute(0, 4, 1, 2, 3)


@torch.inference_mode()
def main() -> None:
    """Print the table and keep it."""
    options = parser(__doc__, "rounds")
    options.add_argument("--clips", type=int, default=4)
    given = options.parse_args()
    torch.manual_seed(0)
    parts = []
    for c, k, t, side in LAYERS:
        clips = torch.randn(given.clips, c, t, side, side).to(memory_format=torch.channels_last_3d)
        layer = nn.Conv3d(c, k, (1, 3, 3), padding=(0, 1, 1), bias=False).to(memory_format=torch.channels_last_3d)
        weight, expected = transformed(layer.weight), layer(clips)
        error = (winograd(clips, weight) - expected).abs().max() / expected.abs().max()
        contenders = {
            "convolution": lambda layer=layer, clips=clips: layer(clips),
            "winograd": lambda weight=weight, clips=clips: winograd(clips, weight),
        }
        found = ratios(interleaved(contenders, given.rounds), "convolution").assign(clips=given.clips)
        found.loc[1, "error"] = float(error)
        found.insert(0, "layer", f"{c} to {k} channels, {t}x{side}x{side}")
        parts.append(found)
    write("winograd", pd.concat(parts), given.out)


if __name__ == "__main__":
    main()
