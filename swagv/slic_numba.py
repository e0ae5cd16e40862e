"""SLIC's k-means and its connectivity rule as scikit-image has them, label for label, in compiled loops.

What scikit-image computes is kept to the last bit: float64, the same order of additions, no fused operations, ties to
the first cluster. What is left out is work that cannot change a label:

- In the first iteration all colours are zero, so the nearest seed wins: along each axis on its own.
- A row of voxels has a bound: the largest distance of its voxels to the clusters that they belong to. A cluster whose
  spatial distance to the whole row exceeds it is nearest to none of them. Rounding is monotonic, so this is exact.
- Once no centre moves, no label will.

Voxels stand in rows of `_ROW` along x, each channel of a row together, so that the innermost loops are vectorised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from swagv.compiled import compiled

if TYPE_CHECKING:
    from swagv.slic import Grid

_ROW = 16  # voxels: two vectors of AVX-512
_CHANNELS = 4  # Lab and gradient; those that a clip does not have are zero, which adds exactly nothing
_BLOCK = (4, 8)  # frames and lines of rows that share a list of clusters


def cluster(features: np.ndarray, grid: Grid, spacing: float, iterations: int) -> np.ndarray:
    """SLIC's labels before connectivity.

    Parameters
    ----------
    features
        (channels, T, H, W) float64, at most four channels, scaled so that Eq. 3 is their squared distance plus the
        spatial one over the squared step.
    grid
        The seeds.
    spacing
        Length of a step in time.

    Returns
    -------
    numpy.ndarray
        (T, H, W) int64.
    """
    depth, height, width = features.shape[1:]
    columns = -(-width // _ROW)
    image = np.zeros((depth, height, columns, _CHANNELS * _ROW))
    _into_rows(features, image)
    labels = np.zeros((depth, height, columns * _ROW), np.int64)
    labels[:, :, :width] = grid.nearest_seed()
    scale = np.array([spacing, 1.0, 1.0])
    _move(image, labels, width, grid.n_seeds, np.array(grid.reach, np.float64), scale, grid.step, iterations - 1)
    return labels[:, :, :width]


@compiled()
def _into_rows(features, image):
    channels, depth, height, width = features.shape
    for z in range(depth):
        for y in range(height):
            for c in range(channels):
                for x in range(width):
                    image[z, y, x // _ROW, c * _ROW + x % _ROW] = features[c, z, y, x]


@compiled()
def _move(image, labels, width, n, reach, scale, step, iterations):
    """Iterations of k-means from the labels of the first one; changes `labels`."""
    depth, height, columns, _ = image.shape
    frames, lines = _BLOCK
    weight = 1.0 / (step * step)
    centres, sums, count = np.full((n, 7), np.nan), np.empty((n, 7)), np.empty(n, np.int64)
    # Squared distances of every centre to every place along each axis, and their minima over the places of a block.
    along_z, least_z = np.empty((n, depth)), np.empty((n, -(-depth // frames)))
    along_y, least_y = np.empty((n, height)), np.empty((n, -(-height // lines)))
    along_x, least_x = np.empty((n, columns * _ROW)), np.empty((n, columns))
    nearby, rivals = np.empty(n, np.int64), np.empty(n, np.int64)  # clusters near a block, near a row
    bounds, best = np.empty(_BLOCK), np.empty(_ROW)
    for _ in range(iterations):
        _sum_up(image, labels, width, sums, count)
        moved = False
        for k in range(n):
            for c in range(7):
                centre = sums[k, c] / count[k] if count[k] else np.nan  # scikit-image's 0 / 0: lost for good
                moved |= centre != centres[k, c] and count[k] > 0
                centres[k, c] = centre
        if not moved:
            break
        _squares(centres[:, 0], depth, reach[0], scale[0], frames, along_z, least_z)
        _squares(centres[:, 1], height, reach[1], scale[1], lines, along_y, least_y)
        _squares(centres[:, 2], width, reach[2], scale[2], _ROW, along_x, least_x)
        for z0 in range(0, depth, frames):
            for y0 in range(0, height, lines):
                z1, y1 = min(z0 + frames, depth), min(y0 + lines, height)
                for column in range(columns):
                    x0 = column * _ROW
                    x1 = min(x0 + _ROW, width)
                    bound = 0.0
                    for z in range(z0, z1):
                        for y in range(y0, y1):
                            row = image[z, y, column]
                            furthest = 0.0
                            for i in range(x1 - x0):
                                k = labels[z, y, x0 + i]
                                spatial = ((along_z[k, z] + along_y[k, y]) + along_x[k, x0 + i]) * weight
                                distance = spatial + _colour_distance(
                                    row, i, centres[k, 3], centres[k, 4], centres[k, 5], centres[k, 6]
                                )
                                furthest = max(furthest, distance)
                            bounds[z - z0, y - y0] = furthest
                            bound = max(bound, furthest)
                    n_nearby = 0
                    for k in range(n):
                        least = ((least_z[k, z0 // frames] + least_y[k, y0 // lines]) + least_x[k, column]) * weight
                        if least <= bound and least < np.inf:
                            nearby[n_nearby] = k
                            n_nearby += 1
                    for z in range(z0, z1):
                        for y in range(y0, y1):
                            n_rivals = 0
                            for j in range(n_nearby):
                                k = nearby[j]
                                least = ((along_z[k, z] + along_y[k, y]) + least_x[k, column]) * weight
                                rivals[n_rivals] = k
                                n_rivals += least <= bounds[z - z0, y - y0]  # a branch would be guessed wrong too often
                            best[:] = np.inf
                            for j in range(n_rivals):
                                k = rivals[j]
                                _compete(
                                    image[z, y, column],
                                    along_z[k, z] + along_y[k, y],
                                    along_x[k, x0 : x0 + _ROW],
                                    weight,
                                    centres[k],
                                    k,
                                    best,
                                    labels[z, y, x0 : x0 + _ROW],
                                )


@compiled()
def _colour_distance(row, i, c0, c1, c2, c3):
    t0, t1, t2, t3 = row[i] - c0, row[i + _ROW] - c1, row[i + 2 * _ROW] - c2, row[i + 3 * _ROW] - c3
    return ((t0 * t0 + t1 * t1) + t2 * t2) + t3 * t3


@compiled()
def _compete(row, across, along, weight, centre, k, best, labels):
    """Give those voxels of a row to cluster `k` that it is nearer to than the ones before it."""
    c0, c1, c2, c3 = centre[3], centre[4], centre[5], centre[6]
    for i in range(_ROW):
        distance = (across + along[i]) * weight + _colour_distance(row, i, c0, c1, c2, c3)
        closer = distance < best[i]
        labels[i] = k if closer else labels[i]
        best[i] = distance if closer else best[i]


@compiled()
def _squares(centres, size, reach, scale, block, squares, least):
    """Squared distances (n, size) along an axis, infinite outside a cluster's window, and their minima (n, blocks)."""
    for k in range(len(centres)):
        squares[k, :] = np.inf
        least[k, :] = np.inf
        centre = centres[k]
        if not np.isnan(centre):
            for i in range(int(max(centre - reach, 0.0)), int(min(centre + reach + 1, float(size)))):
                d = scale * (centre - i)
                squares[k, i] = d * d
                least[k, i // block] = min(least[k, i // block], d * d)


@compiled()
def _sum_up(image, labels, width, sums, count):
    """Voxels of each cluster, and the sums of their z, y, x and channels, added in raster order."""
    sums[:] = 0
    count[:] = 0
    for z in range(image.shape[0]):
        for y in range(image.shape[1]):
            start, k = 0, labels[z, y, 0]
            s0, s1, s2, s3 = sums[k, 3], sums[k, 4], sums[k, 5], sums[k, 6]
            for x in range(width + 1):
                if x == width or labels[z, y, x] != k:  # a run of equal labels ends
                    run = x - start
                    count[k] += run
                    sums[k, 0] += z * run
                    sums[k, 1] += y * run
                    sums[k, 2] += (start + x - 1) * run / 2
                    sums[k, 3], sums[k, 4], sums[k, 5], sums[k, 6] = s0, s1, s2, s3
                    if x == width:
                        break
                    start, k = x, labels[z, y, x]
                    s0, s1, s2, s3 = sums[k, 3], sums[k, 4], sums[k, 5], sums[k, 6]
                row, i = image[z, y, x // _ROW], x % _ROW
                s0 += row[i]
                s1 += row[i + _ROW]
                s2 += row[i + 2 * _ROW]
                s3 += row[i + 3 * _ROW]


@compiled()
def connect(labels, min_size, max_size):
    """Labels (T, H, W) int32 of connected supervoxels, from 0, by scikit-image's rule.

    Components are found breadth first in raster order and end at `max_size` voxels; one below `min_size` joins the last
    neighbour that its search met, or the first supervoxel if it met none.
    """
    depth, height, width = labels.shape
    # A border that belongs to no cluster, so that every voxel has six neighbours.
    given = np.full((depth + 2, height + 2, width + 2), -1, np.int32)
    given[1:-1, 1:-1, 1:-1] = labels
    found = np.full(given.shape, -1, np.int32)
    old, new = given.ravel(), found.ravel()
    line, frame = width + 2, (width + 2) * (height + 2)
    neighbours = np.array([1, -1, line, -line, frame, -frame])
    queue = np.empty(max_size, np.int64)
    n_found = 0
    for start in range(len(old)):
        if old[start] < 0 or new[start] >= 0:
            continue
        label, adjacent, size, visited = old[start], 0, 1, 0
        new[start] = n_found
        queue[0] = start
        while visited < size < max_size:
            for offset in neighbours:
                other = queue[visited] + offset
                if old[other] == label and new[other] < 0:
                    new[other] = n_found
                    queue[size] = other
                    size += 1
                    if size >= max_size:
                        break
                elif new[other] >= 0 and new[other] != n_found:
                    adjacent = new[other]
            visited += 1
        if size < min_size:
            for i in range(size):
                new[queue[i]] = adjacent
        else:
            n_found += 1
    return found[1:-1, 1:-1, 1:-1].copy()
