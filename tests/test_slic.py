import numpy as np
import pytest
from scipy import ndimage
from skimage.color import rgb2lab
from skimage.segmentation import slic
from skimage.util import regular_grid

from swagv.datasets.rendering import render_video
from swagv.pooling import mean_per_supervoxel
from swagv.slic import _cluster, slic_supervoxels, weighted_features

RNG = np.random.default_rng(0)
FRAMES = render_video(3, 7, num_frames=16).frames[:, 92:148, 132:188]


def test_image_recipe_equals_scikit_image_voxel_for_voxel():
    frames = FRAMES.copy()
    frames[0, 0, :2] = [[0], [255]]  # slic stretches what it is given to [0, 1]; a full range keeps that from acting
    ours = slic_supervoxels(frames, None, "image", 60, 10, 9)
    theirs = slic(frames / 255.0, n_segments=60, compactness=10, start_label=0, channel_axis=-1)
    assert (ours.labels == theirs).all()
    assert ours.n_final == theirs.max() + 1


def test_scale_of_the_gradient_does_not_matter_and_its_weight_does():
    gradient = RNG.random((16, 56, 56)).cumsum(2)
    one = slic_supervoxels(FRAMES, gradient, "image+gradient", 60, 20, 9).labels
    assert (one == slic_supervoxels(FRAMES, 1e-6 * gradient, "image+gradient", 60, 20, 9).labels).all()
    assert (one != slic_supervoxels(FRAMES, gradient, "image+gradient", 60, 20, 2).labels).any()


def test_constant_gradient_gives_the_bare_grid():
    assert slic_supervoxels(None, np.ones((16, 56, 56)), "gradient", 60, 20, 9).n_final > 10


def test_every_voxel_gets_the_mean_of_its_supervoxel():
    labels = RNG.integers(0, 5, (4, 6, 6))
    attribution = RNG.standard_normal((4, 6, 6)).astype(np.float32)
    pooled = mean_per_supervoxel(attribution, labels)
    for label in range(5):
        assert np.allclose(pooled[labels == label], attribution[labels == label].mean(), atol=1e-6)
    permuted = mean_per_supervoxel(attribution, np.array([3, 1, 4, 0, 2])[labels])
    assert (permuted == pooled).all()


def slow_slic(lab, gradient, w_color, w_grad, n_segments, spacing, iterations):
    """SLIC by Eq. 3, cluster by cluster, as scikit-image walks: colours start at zero, windows are two steps wide."""
    shape = gradient.shape
    grid = regular_grid(shape, n_segments)
    where = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1).astype(float)
    centres = where[grid].reshape(-1, 3)
    step = max(axis.step or 1 for axis in grid)
    window = [2 * (axis.step or 1) for axis in regular_grid(shape, len(centres))]
    colours, greys = np.zeros((len(centres), 3)), np.zeros(len(centres))
    labels = np.zeros(shape, int)
    for _ in range(iterations):
        nearest = np.full(shape, np.inf)
        for k, centre in enumerate(centres):
            box = tuple(
                slice(int(max(c - w, 0)), int(min(c + w + 1, n))) for c, w, n in zip(centre, window, shape, strict=True)
            )
            d_s = (((where[box] - centre) * np.array([spacing, 1, 1])) ** 2).sum(-1)
            d_c = ((lab[box] - colours[k]) ** 2).sum(-1)
            d_g = (gradient[box] - greys[k]) ** 2
            distance = d_c / w_color**2 + d_s / step**2 + d_g / w_grad**2
            closer = distance < nearest[box]
            nearest[box][closer], labels[box][closer] = distance[closer], k
        for k in range(len(centres)):
            mine = labels == k
            if mine.any():
                centres[k], colours[k], greys[k] = where[mine].mean(0), lab[mine].mean(0), gradient[mine].mean()
    return labels


@pytest.mark.parametrize("iterations", [1, 2, 3])
@pytest.mark.parametrize(("w_color", "w_grad", "spacing"), [(20.0, 9.0, 1.0), (5.0, 20.0, 1.0), (20.0, 9.0, 2.5)])
def test_image_and_gradient_equal_a_slow_restatement_of_eq_3(iterations, w_color, w_grad, spacing):
    clip = render_video(3, 3, num_frames=6).frames[:, 60:180:4, 80:240:4]
    gradient = ndimage.gaussian_filter(np.random.default_rng(0).random(clip.shape[:3]), 1.5)
    stacked = weighted_features(clip, gradient, "image+gradient", w_color, w_grad)
    ours = _cluster(stacked, 40, spacing, max_num_iter=iterations, enforce_connectivity=False)
    scaled = (gradient - gradient.min()) / np.ptp(gradient) * 100
    expected = slow_slic(rgb2lab(clip), scaled, w_color, w_grad, 40, spacing, iterations)
    assert len(np.unique(ours)) > 20
    assert np.array_equal(ours, expected)


def test_each_frame_alone_is_what_scikit_image_makes_of_it():
    clip = render_video(1, 4, num_frames=3).frames[:, 60:172, 80:192].copy()
    clip[:, 0, :2] = [[0], [255]]  # as above
    found = slic_supervoxels(clip, None, "image", 300, 10.0, 1.0, per_frame=True)
    first = 0
    for labels, frame in zip(found.labels.astype(int), clip, strict=True):
        alone = slic(frame, n_segments=300, compactness=10, start_label=0)
        assert np.array_equal(labels - first, alone)
        first += alone.max() + 1
    assert found.n_final == first
    assert found.n_seeded == 3 * np.zeros((1, 112, 112))[regular_grid((1, 112, 112), 300)].size
