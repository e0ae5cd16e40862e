"""The mean over supervoxels."""

from __future__ import annotations

import numpy as np


def mean_per_supervoxel(attribution: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """SWAG-V, Eq. 1: every voxel receives the mean attribution of its supervoxel.

    Parameters
    ----------
    attribution
        (T, H, W) float.
    labels
        (T, H, W) integer, from 0.

    Returns
    -------
    numpy.ndarray
        (T, H, W) float32; the mean is taken in float64.
    """
    return supervoxel_means(attribution, labels)[labels]


def supervoxel_means(attribution: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mean attribution of each supervoxel, (S,) float32 of labels 0 to S - 1; 0 of a label that no voxel has."""
    flat = labels.ravel()
    count = np.bincount(flat)
    total = np.bincount(flat, attribution.ravel().astype(np.float64))
    return (total / np.maximum(count, 1)).astype(np.float32)
