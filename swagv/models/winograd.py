"""A 3x3 convolution with a fourth of the multiplications, on a CPU.

Winograd's algorithm F(4x4, 3x3), as in Lavin and Gray, "Fast algorithms for convolutional neural networks" (CVPR 2016).
Frames are cut into tiles of 6x6 inputs that give 4x4 outputs. Tile and kernel are transformed to 36 values each,
B^T d B and G g G^T; multiplied and summed over the channels, which makes 36 matrix products; and A^T m A are the
outputs. Kernels of more than one frame share the transformed tiles.

Exact but for rounding: about 1e-5 of the largest output in float32, where PyTorch's own algorithm has 1e-6. Where an
input is infinite, all outputs of its tiles are undefined. On a GPU PyTorch chooses such algorithms by itself.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from threading import Barrier, Lock
from typing import Any

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
_lock = Lock()  # of the threads and of the transformed kernels: one convolution at a time has all cores


def winograd_computes(layer: nn.Module) -> bool:
    """Whether `layer` is a plain float32 convolution, 3x3 in space, with no more frames and pixels out than in."""
    if type(layer) is not nn.Conv3d or layer.padding_mode != "zeros" or isinstance(layer.padding, str):
        return False
    no_more = all(2 * padding < kernel for padding, kernel in zip(layer.padding, layer.kernel_size, strict=True))
    plain = {*layer.stride, *layer.dilation, layer.groups} == {1} and tuple(layer.kernel_size[1:]) == (3, 3)
    enough = min(layer.in_channels, layer.out_channels) >= _CHANNELS
    return no_more and plain and enough and layer.weight.dtype == torch.float32


class WinogradConv3d(nn.Conv3d):
    """A `layer` for which `winograd_computes`, with its parameters.

    Small maps are left to PyTorch, as is all that is not float32 on a CPU, or is to be differentiated. Input and output
    are (N,C,T,H,W), in any memory format and in channels_last_3d. The transformed kernels take four times the memory of
    the weights, from the first forward pass on.
    """

    def __init__(self, layer: nn.Conv3d) -> None:
        arguments = (layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding)
        super().__init__(*arguments, bias=layer.bias is not None, device="meta")
        self.weight, self.bias = layer.weight, layer.bias
        self.train(layer.training)
        self._transformed: tuple[Any, Tensor | None] = (None, None)  # for what weights, and their kernels

    def forward(self, clips: Tensor) -> Tensor:
        """Convolve."""
        if not self._computes(clips):
            return super().forward(clips)
        weights = (self.weight.data_ptr(), None if self.weight.is_inference() else self.weight._version)
        with _lock:
            if self._transformed[0] != weights:
                self._transformed = (weights, _transformed(self.weight))
            return _convolve(clips, self._transformed[1], self.bias, self.padding)

    def _computes(self, clips: Tensor) -> bool:
        tensors = [clips, *self.parameters()]
        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
            return False
        kinds = {(tensor.dtype, tensor.device.type) for tensor in tensors}
        if kinds != {(torch.float32, "cpu")} or torch.is_autocast_enabled("cpu"):
            return False
        if clips.ndim != 5 or clips.shape[1] != self.in_channels or not len(clips):
            return False
        size = _size(clips, self.kernel_size, self.padding)
        return min(size) > 0 and math.prod(_tiles(size)) >= _TILES

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_transformed": (None, None)}


def _size(clips: Tensor, kernel: Sequence[int], padding: Sequence[int]) -> list[int]:
    """T, H and W of the output."""
    return [side + 2 * pad - k + 1 for side, pad, k in zip(clips.shape[2:], padding, kernel, strict=True)]


def _tiles(size: Sequence[int]) -> tuple[int, int, int]:
    frames, height, width = size
    return frames, math.ceil(height / 4), math.ceil(width / 4)


@torch.no_grad()
def _transformed(weight: Tensor) -> Tensor:
    """Weights K,C,T,3,3 as (T, 36, C, K), computed in float64."""
    g = torch.tensor(_G, dtype=torch.float64, device="cpu")
    both = torch.kron(g, g)
    out_channels, channels, frames = weight.shape[:3]
    kernels = weight.permute(2, 3, 4, 1, 0).reshape(frames, 9, -1)
    transformed = [(both @ kernel.double()).float() for kernel in kernels]
    return torch.stack(transformed).view(frames, 36, channels, out_channels)


@torch.no_grad()
def _convolve(clips: Tensor, weight: Tensor, bias: Tensor | None, padding: Sequence[int]) -> Tensor:
    """Block by block, a thread each: what it has transformed is still in the cache when it is multiplied."""
    from swagv.models import winograd_numba  # which takes half a second

    n, channels, given_frames = clips.shape[:3]
    taps, _, _, out_channels = weight.shape
    size = _size(clips, (taps, 3, 3), padding)
    inputs = clips.permute(0, 2, 3, 4, 1).contiguous().numpy()
    out = clips.new_empty(n, *size, out_channels)
    shift = (clips.new_zeros(out_channels) if bias is None else bias).numpy()
    frames, down, across = _tiles(size)
    lines = n * down  # of tiles side by side, in all frames

    @torch.inference_mode()
    def convolve(blocks: list[tuple[int, int]]) -> None:
        most = 36 * across * max(last - first for first, last in blocks)
        all_tiles = clips.new_empty(most * given_frames * channels)
        all_products = clips.new_empty(most * frames * out_channels)
        for first, last in blocks:
            count = across * (last - first)
            tiles = all_tiles[: 36 * given_frames * count * channels].view(36, given_frames, count, channels)
            products = all_products[: 36 * frames * count * out_channels].view(36, frames, count, out_channels)
            winograd_numba.transform(inputs, padding[1], padding[2], down, across, first, tiles.numpy())
            for tap in (padding[0], *(tap for tap in range(taps) if tap != padding[0])):
                later = tap - padding[0]
                start, end = max(0, -later), min(frames, given_frames - later)
                if start < end:
                    read = tiles[:, start + later : end + later].view(36, -1, channels)
                    written = products[:, start:end].view(36, -1, out_channels)
                    # The first has an input frame for all outputs.
                    torch.baddbmm(written, read, weight[tap], beta=int(tap != padding[0]), out=written)
            winograd_numba.transform_back(products.numpy(), shift, first, out.numpy())

    threads = torch.get_num_threads()
    n_blocks = threads * math.ceil(lines * across * frames / _ROWS / threads)
    blocks = list(pairwise(np.linspace(0, lines, min(n_blocks, lines) + 1).astype(int).tolist()))
    list(_pool(threads).map(convolve, [blocks[thread::threads] for thread in range(min(threads, len(blocks)))]))
    return out.permute(0, 4, 1, 2, 3)


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Threads in each of which PyTorch has one."""
    pool = ThreadPoolExecutor(threads, "winograd", initializer=torch.set_num_threads, initargs=(1,))
    all_started = Barrier(threads)
    list(pool.map(lambda _: all_started.wait(), range(threads)))
    torch.set_num_threads(threads)  # what a thread sets is also what new threads have
    return pool


def _forked() -> None:
    global _lock
    _lock = Lock()
    _pool.cache_clear()


os.register_at_fork(after_in_child=_forked)
