"""Region selection and Eq. 1 against XRAI as its authors published it."""

import numpy as np
import pytest
from saliency.core import XRAI, XRAIParameters
from scipy.sparse import csr_array

from swagv.methods.xrai3d import greedy_gains
from swagv.pooling import mean_per_supervoxel


def published(attribution, masks, min_voxels):
    """Their map for an attribution (T, H, W) and masks (R, T, H, W); they know images, so frames are stacked as one."""
    image = attribution.reshape(-1, attribution.shape[-1])
    parameters = XRAIParameters()
    parameters.experimental_params["min_pixel_diff"] = min_voxels
    found = XRAI().GetMaskWithDetails(
        image,
        call_model_function=None,
        base_attribution=image,
        segments=list(masks.reshape(len(masks), *image.shape)),
        extra_parameters=parameters,
    )
    return found.attribution_mask.reshape(attribution.shape)


@pytest.mark.parametrize("min_voxels", [1, 30])
@pytest.mark.parametrize("seed", range(5))
def test_greedy_selection_equals_xrai(seed, min_voxels):
    rng = np.random.default_rng(seed)
    attribution = rng.normal(size=(4, 12, 13))
    coarse = rng.random((40, 4, 4, 5)) < 0.12
    masks = coarse.repeat(3, 2).repeat(3, 3)[..., :13]  # overlapping, and some voxels in none
    found = greedy_gains(attribution, csr_array(masks.reshape(40, -1).astype(float)), min_voxels)
    assert np.abs(found - published(attribution, masks, min_voxels)).max() <= 1e-6


@pytest.mark.parametrize("seed", range(3))
def test_eq_1_is_xrai_with_disjoint_masks(seed):
    rng = np.random.default_rng(seed)
    attribution = rng.random((4, 10, 11))
    labels = rng.integers(0, 9, (4, 5, 6)).repeat(2, 1).repeat(2, 2)[..., :11]
    masks = labels[None] == np.arange(9)[:, None, None, None]
    assert np.abs(mean_per_supervoxel(attribution, labels) - published(attribution, masks, 1)).max() <= 1e-6
