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
    """Whether `layer` is a float32 convolution of 3x3 in space that gives as many frames and pixels as it is given."""
    if layer.padding_mode != "zeros" or isinstance(layer.padding, str) or layer.weight.dtype != torch.float32:
        return False
    frames, *space = layer.kernel_size
    same_size = frames % 2 == 1 and space == [3, 3] and tuple(layer.padding) == (frames // 2, 1, 1)
    plain = {*layer.stride, *layer.dilation, layer.groups} == {1}
    return same_size and plain and min(layer.in_channels, layer.out_channels) >= _CHANNELS


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
        if clips.ndim < 5 or differentiated or not plain or _tiles(*clips.shape[2:]) < _TILES:
            return super().forward(clips)
        with _one_at_a_time:
            if self._transformed is None:
                self._transformed = _transformed(self.weight)
            return _convolve(clips, self._transformed, self.bias)


def _tiles(frames: int, height: int, width: int) -> int:
    return frames * math.ceil(height / 4) * math.ceil(width / 4)


@torch.no_grad()
def _transformed(weight: Tensor) -> Tensor:
    """Weights K,C,T,3,3 as (T, 36, C, K), computed in float64."""
    g = torch.tensor(_G, dtype=torch.float64)
    both = torch.kron(g, g)
    out_channels, channels, frames = weight.shape[:3]
    kernels = weight.permute(2, 3, 4, 1, 0).reshape(frames, 9, -1)
    transformed = [(both @ kernel.double()).float() for kernel in kernels]
    return torch.stack(transformed).view(frames, 36, channels, out_channels)


def _convolve(clips: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Block by block, a thread each: what it has transformed is still in the cache when it is multiplied."""
    from swagv.models import winograd_numba  # which takes half a second

    n, channels, frames, height, width = clips.shape
    taps, _, _, out_channels = weight.shape
    inputs = clips.permute(0, 2, 3, 4, 1).contiguous().numpy()
    out = torch.empty(n, frames, height, width, out_channels)
    shift = (torch.zeros(out_channels) if bias is None else bias).numpy()
    across, lines = math.ceil(width / 4), n * math.ceil(height / 4)  # a line: tiles side by side, in all frames

    def convolve(blocks: list[tuple[int, int]]) -> None:
        most = 36 * frames * across * max(last - first for first, last in blocks)
        all_tiles, all_products = torch.empty(most * channels), torch.empty(most * out_channels)
        for first, last in blocks:
            count = across * (last - first)
            tiles = all_tiles[: 36 * frames * count * channels].view(36, frames, count, channels)
            products = all_products[: 36 * frames * count * out_channels].view(36, frames, count, out_channels)
            winograd_numba.transform(inputs, first, tiles.numpy())
            torch.bmm(tiles.flatten(1, 2), weight[taps // 2], out=products.flatten(1, 2))
            for tap in range(taps):
                later = tap - taps // 2
                start, end = max(0, -later), min(frames, frames - later)
                if later and start < end:
                    inside = products[:, start:end].flatten(1, 2)
                    inside.baddbmm_(tiles[:, start + later : end + later].flatten(1, 2), weight[tap])
            winograd_numba.transform_back(products.numpy(), shift, first, out.numpy())

    threads = torch.get_num_threads()
    n_blocks = threads * math.ceil(n * _tiles(frames, height, width) / _ROWS / threads)
    blocks = list(pairwise(np.linspace(0, lines, min(n_blocks, lines) + 1).astype(int).tolist()))
    shares = [blocks[thread::threads] for thread in range(min(threads, len(blocks)))]
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            list(pool.map(torch.inference_mode()(convolve), shares))
    finally:
        torch.set_num_threads(threads)
    return out.permute(0, 4, 1, 2, 3)
