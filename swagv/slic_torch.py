"""SLIC's k-means for many clips at once, in PyTorch: for a GPU.

The voxels of a clip are cut into tiles. Each tile is compared with the clusters whose windows reach into it, all tiles
of several clips in one operation; sums over clusters are products with one-hot matrices, which come out the same every
time. The host waits for the device once an iteration, to learn how many clusters the busiest tile has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from swagv.forward_passes import in_batches

if TYPE_CHECKING:
    from torch import Tensor

    from swagv.slic import Grid

_TILE = (4, 8, 16)
_CELLS = 1 << 26  # voxels x clusters that are compared at once, over the clips of a group


def cluster_batch(
    features: np.ndarray,
    grid: Grid,
    spacing: float,
    iterations: int,
    device: str = "auto",
    precision: str = "float64",
) -> np.ndarray:
    """SLIC's labels before connectivity.

    Parameters
    ----------
    features
        (N, channels, T, H, W) float64, scaled as for `swagv.slic_numba.cluster`.
    grid, spacing
        As for `swagv.slic_numba.cluster`.
    device
        ``"auto"`` is the first GPU, or the CPU where there is none.
    precision
        In ``"float64"`` the labels are those of scikit-image except where rounding decides. In ``"float32"`` the colour
        term is multiplied out into a matrix product, several times as fast.

    Returns
    -------
    numpy.ndarray
        (N, T, H, W) int32.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    tiles = _Tiles(grid, spacing, torch.device(device), {"float32": torch.float32, "float64": torch.float64}[precision])
    groups = in_batches(
        lambda batch: tiles.cluster(features[batch], iterations), len(features), max(1, _CELLS // tiles.cells)
    )
    return np.concatenate([labels for _, labels in groups])


class _Tiles:
    """Clips of one shape in tiles: places (tiles, size) along each axis; voxels of a tile in raster order."""

    def __init__(self, grid: Grid, spacing: float, device: torch.device, dtype: torch.dtype):
        self.grid, self.device, self.dtype = grid, device, dtype
        self.scale = (spacing, 1.0, 1.0)
        self.counts = [-(-size // tile) for size, tile in zip(grid.shape, _TILE, strict=True)]
        places = [torch.arange(count * tile).view(count, tile) for count, tile in zip(self.counts, _TILE, strict=True)]
        which = torch.cartesian_prod(*map(torch.arange, self.counts)).T
        self.places = [axis[index].to(device, torch.float64) for axis, index in zip(places, which, strict=True)]
        z, y, x = self.places
        # (tiles, voxels, 4): a one, to count with, and the place; zeros beyond the clip's edge.
        where = torch.stack(torch.broadcast_tensors(z[:, :, None, None], y[:, None, :, None], x[:, None, None]), -1)
        inside = (where < torch.tensor(grid.shape, device=device)).all(-1, keepdim=True)
        self.where = torch.cat([inside, where * inside], -1).flatten(1, 3)
        seeds = torch.cartesian_prod(*(torch.from_numpy(axis) for axis in grid.seeds)).to(device, torch.float64)
        self.near_seeds = self.near(seeds.view(1, -1, 3))
        self.cells = where[..., 0].numel() * int(self.near_seeds.sum(-1).max())

    def into(self, volume: Tensor) -> Tensor:
        """(..., T, H, W) as (..., tiles, voxels)."""
        lead, shape = volume.shape[:-3], volume.shape[-3:]
        edge = [count * tile - size for count, tile, size in zip(self.counts, _TILE, shape, strict=True)]
        volume = torch.nn.functional.pad(volume, (0, edge[2], 0, edge[1], 0, edge[0]))
        n, tile = self.counts, _TILE
        volume = volume.view(*lead, n[0], tile[0], n[1], tile[1], n[2], tile[2])
        k = len(lead)
        return volume.permute(*range(k), k, k + 2, k + 4, k + 1, k + 3, k + 5).reshape(*lead, n[0] * n[1] * n[2], -1)

    def out(self, tiled: Tensor) -> Tensor:
        """(N, tiles, voxels) as (N, T, H, W)."""
        volume = tiled.view(-1, *self.counts, *_TILE).permute(0, 1, 4, 2, 5, 3, 6)
        depth, height, width = self.grid.shape
        return volume.reshape(len(tiled), *(n * t for n, t in zip(self.counts, _TILE, strict=True)))[
            :, :depth, :height, :width
        ]

    def window(self, centres: Tensor, axis: int) -> tuple[Tensor, Tensor]:
        """First place along an axis that a cluster looks at, and the one after the last."""
        centre, reach = centres[..., axis], self.grid.reach[axis]
        return (centre - reach).clamp(min=0).trunc(), (centre + reach + 1).clamp(max=self.grid.shape[axis]).trunc()

    def near(self, centres: Tensor) -> Tensor:
        """Whether windows (N, clusters) reach into tiles: (N, tiles, clusters) bool."""
        near = []
        for axis, places in enumerate(self.places):
            first, end = self.window(centres[:, None], axis)
            near.append((first <= places[:, -1:]) & (end > places[:, :1]))
        return near[0] & near[1] & near[2]

    def squares(self, centres: Tensor, axis: int) -> Tensor:
        """Squared distances along an axis of clusters (N, tiles, candidates): one more dimension, of the places."""
        first, end = (limit[..., None] for limit in self.window(centres, axis))
        places = self.places[axis][:, None]
        square = (self.scale[axis] * (centres[..., axis, None] - places)) ** 2
        return torch.where((places >= first) & (places < end), square, torch.inf).to(self.dtype)

    def distances(self, tiled: Tensor, centres: Tensor) -> Tensor:
        """(N, tiles, candidates, voxels), infinite outside of windows; in float32 less what is one for all clusters."""
        z, y, x = (self.squares(centres, axis) for axis in range(3))
        weight = 1.0 / (self.grid.step * self.grid.step)
        colours = centres[..., 3:].to(self.dtype)
        if self.dtype == torch.float64:
            spatial = (z[..., :, None, None] + y[..., None, :, None]) + x[..., None, None, :]
            spatial = spatial.flatten(3).mul_(weight)
            colour = torch.zeros_like(spatial)
            for c in range(tiled.shape[1]):
                difference = tiled[:, c, :, None] - colours[..., c, None]
                colour += difference.square_()
            return spatial.add_(colour)
        z = z * weight + colours.square().sum(-1, keepdim=True)
        spatial = (z[..., :, None] + (y * weight)[..., None, :])[..., None] + (x * weight)[..., None, None, :]
        product = torch.baddbmm(
            spatial.flatten(0, 1).flatten(2), colours.flatten(0, 1), tiled.transpose(1, 2).flatten(0, 1), alpha=-2
        )
        return product.view(*centres.shape[:3], -1)

    def means(self, labels: Tensor, candidates: Tensor, values: Tensor, n: int) -> Tensor:
        """Means (N, clusters, 3 + channels) float64 over the voxels of each cluster; of one without voxels, NaN, 0."""
        mine = (labels[:, :, None] == candidates[..., None]).to(self.dtype)
        of_tiles = torch.matmul(mine, values).double()
        clip = torch.arange(len(labels), device=self.device)[:, None, None]
        sums = torch.zeros(len(labels), n, values.shape[-1], dtype=torch.float64, device=self.device)
        sums.index_put_((clip, candidates), of_tiles, accumulate=True)  # in order, unlike index_add_ on a GPU
        count = sums[..., :1]
        means = sums[..., 1:] / count.clamp(min=1)
        means[..., :3] = torch.where(count > 0, means[..., :3], torch.nan)
        return means

    def cluster(self, features: np.ndarray, iterations: int) -> np.ndarray:
        """Labels (N, T, H, W) int32 of features (N, channels, T, H, W)."""
        n = self.grid.n_seeds
        given = torch.from_numpy(features).to(self.dtype).to(self.device)
        if self.dtype == torch.float32:  # the smaller the numbers, the less their product loses
            given = given - given.mean((2, 3, 4), keepdim=True)
        tiled = self.into(given)
        where = self.where.to(self.dtype).expand(len(features), -1, -1, -1)
        values = torch.cat([where, tiled.permute(0, 2, 3, 1)], -1)
        labels = self.into(torch.from_numpy(self.grid.nearest_seed()).to(self.device)).repeat(len(features), 1, 1)
        # Every voxel's cluster stays a candidate in its tile, even where its window has moved away.
        near = self.near_seeds.repeat(len(features), 1, 1)
        candidates = _listed(near, int(near.sum(-1).max()))
        centres = None
        for _ in range(iterations - 1):
            previous, centres = centres, self.means(labels, candidates, values, n)
            near |= self.near(centres)
            moved = previous is None or ~centres.isclose(previous, rtol=0, atol=0, equal_nan=True).all()
            size, moved = torch.stack([near.sum(-1).max(), torch.as_tensor(moved, device=self.device).long()]).tolist()
            if not moved:
                break
            candidates = _listed(near, size)
            index = candidates.flatten(1)[..., None].expand(-1, -1, centres.shape[-1])
            distances = self.distances(tiled, centres.gather(1, index).view(*candidates.shape, -1))
            slot = distances.argmin(2, keepdim=True)
            reached = distances.gather(2, slot)[:, :, 0] < torch.inf
            labels = torch.where(reached, candidates.gather(2, slot[:, :, 0]), labels)
        return self.out(labels.int()).cpu().numpy()


def _listed(near: Tensor, size: int) -> Tensor:
    """The first `size` clusters of each tile, those that are near before the others, in ascending order."""
    return torch.sort(near.byte(), dim=-1, descending=True, stable=True).indices[..., :size]
