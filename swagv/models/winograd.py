"""A 3x3 convolution with a fourth of the multiplications, on a CPU.

Winograd's algorithm F(4x4, 3x3), as in Lavin and Gray, "Fast algorithms for convolutional neural networks" (CVPR 2016).
Frames are cut into tiles of 6x6 inputs that give 4x4 outputs. Tile and kernel are transformed to 36 values each,
B^T d B and G g G^T; multiplied and summed over the channels, which makes 36 matrix products; and A^T m A are the
outputs. Kernels of more than one frame share the transformed tiles.

Exact but for rounding: about 1e-5 of the largest output in float32, where PyTorch's own algorithm has 1e-6. On a GPU
PyTorch chooses such algorithms by itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from threading import Lock

import numpy as np
import torch
from torch import Tensor, nn

# Fewer channels: transforms cost what the products save.
_CHANNELS = 64
# Rows of a matrix product that keep a core busy while they stay in its share of the cache.
_ROWS = 400
# Tiles of a clip. Fewer do not pay for reading the transformed kernels, which are four times as large.
_TILES = 32
_G = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
_one_at_a_time = Lock()  # PyTorch has one number of threads


def winograd_computes(layer: nn.Conv3d) -> bool:
    """Whether `layer` is a plain float32 convolution, 3x3 in space, with no more frames and pixels out than in."""
    if layer.padding_mode != "zeros" or isinstance(layer.padding, str) or layer.weight.dtype != torch.float32:
        return False
    no_more = all(2 * padding < kernel for padding, kernel in zip(layer.padding, layer.kernel_size, strict=True))
    plain = {*layer.stride, *layer.dilation, layer.groups} == {1} and tuple(layer.kernel_size[1:]) == (3, 3)
    return no_more and plain and min(layer.in_channels, layer.out_channels) >= _CHANNELS


class WinogradConv3d(nn.Conv3d):
    """A `layer` for which `winograd_computes`, with its parameters, which must not change any more.

    Small maps are left to PyTorch, as is all that is not float32 on a CPU, or is to be differentiated. Input and output
    are (N,C,T,H,W), in any memory format and in channels_last_3d.
    """

    def __init__(self, layer: nn.Conv3d) -> None:
        arguments = (layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding)
        super().__init__(*arguments, bias=layer.bias is not None, device="meta")
        self.weight, self.bias = layer.weight, layer.bias
        self.train(layer.training)
        self._transformed: Tensor | None = None  # of the weights; made when it is first of use

    def forward(self, clips: Tensor) -> Tensor:
        """Convolve."""
        differentiated = torch.is_grad_enabled() and (clips.requires_grad or self.weight.requires_grad)
        plain = clips.dtype == torch.float32 and clips.device.type == "cpu" and not torch.is_autocast_enabled("cpu")
        if clips.ndim < 5 or differentiated or not plain or math.prod(_tiles(clips.shape[2:])) < _TILES:
            return super().forward(clips)
        with _one_at_a_time:
            if self._transformed is None:
                self._transformed = _transformed(self.weight)
            return _convolve(clips, self._transformed, self.bias, self.padding)


def _tiles(size: Sequence[int]) -> tuple[int, int, int]:
    frames, height, width = size
    return frames, math.ceil(height / 4), math.ceil(width / 4)


@torch.no_grad()
def _transformed(weight: Tensor) -> Tensor:
    """Weights K,C,T,3,3 as (T, 36, C, K), computed in float64."""
    g = torch.tensor(_G, dtype=torch.float64)
    both = torch.kron(g, g)
    out_channels, channels, frames = weight.shape[:3]
    kernels = weight.permute(2, 3, 4, 1, 0).reshape(frames, 9, -1)
    transformed = [(both @ kernel.double()).float() for kernel in kernels]
    return torch.stack(transformed).view(frames, 36, channels, out_channels)


def _convolve(clips: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, int, int]) -> Tensor:
    """Block by block, a thread each: what it has transformed is still in the cache when it is multiplied."""
    from swagv.models import winograd_numba  # which takes half a second

    n, channels, given_frames = clips.shape[:3]
    taps, _, _, out_channels = weight.shape
    kernel = (taps, 3, 3)
    size = [side + 2 * pad - k + 1 for side, pad, k in zip(clips.shape[2:], padding, kernel, strict=True)]
    inputs = clips.permute(0, 2, 3, 4, 1).contiguous().numpy()
    out = torch.empty(n, *size, out_channels)
    shift = (torch.zeros(out_channels) if bias is None else bias).numpy()
    frames, down, across = _tiles(size)
    lines = n * down  # of tiles side by side, in all frames

    def convolve(blocks: list[tuple[int, int]]) -> None:
        most = 36 * across * max(last - first for first, last in blocks)
        all_tiles = torch.empty(most * given_frames * channels)
        all_products = torch.empty(most * frames * out_channels)
        for first, last in blocks:
            count = across * (last - first)
            tiles = all_tiles[: 36 * given_frames * count * channels].view(36, given_frames, count, channels)
            products = all_products[: 36 * frames * count * out_channels].view(36, frames, count, out_channels)
            winograd_numba.transform(inputs, padding[1], padding[2], down, across, first, tiles.numpy())
            # This tap has an input frame for all that are asked for.
            torch.bmm(tiles[:, :frames].flatten(1, 2), weight[padding[0]], out=products.flatten(1, 2))
            for tap in range(taps):
                later = tap - padding[0]
                start, end = max(0, -later), min(frames, given_frames - later)
                if later and start < end:
                    inside = products[:, start:end].flatten(1, 2)
                    inside.baddbmm_(tiles[:, start + later : end + later].flatten(1, 2), weight[tap])
            winograd_numba.transform_back(products.numpy(), shift, first, out.numpy())

    threads = torch.get_num_threads()
    n_blocks = threads * math.ceil(lines * across * frames / _ROWS / threads)
    blocks = list(pairwise(np.linspace(0, lines, min(n_blocks, lines) + 1).astype(int).tolist()))
    shares = [blocks[thread::threads] for thread in range(min(threads, len(blocks)))]
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            list(pool.map(torch.inference_mode()(convolve), shares))
    finally:
        torch.set_num_threads(threads)
    return out.permute(0, 4, 1, 2, 3)
