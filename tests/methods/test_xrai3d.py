import numpy as np
import pytest
import torch
from scipy.ndimage import binary_dilation
from scipy.sparse import csr_array
from torch import nn

from swagv.methods.xrai3d import Xrai3D, dilated_regions, greedy_gains


def slow_gains(attribution, masks, min_voxels):
    """The definition: every gain anew in every round."""
    covered, gains = np.zeros(attribution.shape, bool), np.full(attribution.shape, np.nan)
    left = list(masks)
    while True:
        left = [mask for mask in left if (mask & ~covered).sum() >= min_voxels]
        if not left:
            break
        means = [attribution[mask & ~covered].mean() for mask in left]
        best = left.pop(int(np.argmax(means)))
        gains[best & ~covered] = max(means)
        covered |= best
    if not covered.all():
        gains[~covered] = attribution[~covered].mean()
    return gains


@pytest.mark.parametrize("min_voxels", [1, 5])
@pytest.mark.parametrize("seed", range(8))
def test_greedy_selection_equals_the_slow_definition(seed, min_voxels):
    rng = np.random.default_rng(seed)
    attribution = rng.normal(size=(3, 6, 7))
    masks = rng.random((12, 3, 6, 7)) < rng.uniform(0.02, 0.4, (12, 1, 1, 1))
    found = greedy_gains(attribution, csr_array(masks.reshape(12, -1).astype(float)), min_voxels)
    assert np.allclose(found, slow_gains(attribution, masks, min_voxels), atol=1e-6)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("radius", [0, 1, 2])
def test_regions_are_dilated_by_a_disk_in_each_frame(radius):
    labels = np.random.default_rng(0).integers(0, 5, (3, 4, 5)).repeat(3, 1).repeat(3, 2)
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disk = (y**2 + x**2 <= radius**2)[None]
    found = dilated_regions(labels, radius).toarray().reshape(5, *labels.shape)
    for label in range(5):
        assert (found[label] == binary_dilation(labels == label, disk)).all()


class Region(nn.Module):
    """Logit 0 is highest where one region has the mean colour; black and white baselines cancel in a linear score."""

    where = (slice(None), slice(None), slice(0, 8), slice(0, 8), slice(8, 16))

    def forward(self, clips):
        score = -(clips[self.where] ** 2).flatten(1).sum(1)
        return torch.stack([score, torch.zeros_like(score), torch.zeros_like(score)], 1)


def test_the_region_that_the_score_depends_on_is_on_top(as_classifier):
    frames = np.full((1, 8, 24, 24, 3), 20, np.uint8)
    frames[0, :, 0:8, 8:16] = (128, 110, 80)
    model = as_classifier(Region())
    method = Xrai3D(steps=4, n_segments=(9, 40), dilation=0, min_voxels=10)
    found = method(model, model.preprocess(frames), torch.tensor([0]))[0].numpy()
    assert found.shape == (8, 24, 24)
    inside = np.zeros(found.shape, bool)
    inside[Region.where[2:]] = True
    assert found[inside].min() > found[~inside].max()
    assert np.allclose(found[~inside], 0)


def test_batches(check_batches):
    check_batches(Xrai3D(steps=5, n_segments=(10, 30), min_voxels=20))


@pytest.mark.parametrize(
    "given", [{"steps": 0}, {"n_segments": ()}, {"n_segments": (0, 5)}, {"dilation": -1}, {"min_voxels": 0}]
)
def test_settings_out_of_range(given):
    with pytest.raises(ValueError, match=next(iter(given))):
        Xrai3D(**given)
