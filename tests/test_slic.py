import numpy as np
from skimage.segmentation import slic

from swagv.datasets.rendering import render_video
from swagv.pooling import mean_per_supervoxel
from swagv.slic import slic_supervoxels

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
