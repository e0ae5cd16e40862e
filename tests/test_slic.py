import numpy as np
import pytest
from scipy import ndimage
from skimage.color import rgb2lab
from skimage.segmentation import slic
from skimage.util import regular_grid

from swagv.datasets.rendering import render_video
from swagv.pooling import mean_per_supervoxel
from swagv.slic import (
    ENGINES,
    FEATURES,
    Grid,
    cluster,
    enforce_connectivity,
    lab,
    scikit_image,
    slic_supervoxels,
    slic_supervoxels_of,
    weighted_features,
)

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
    scaled = (gradient - gradient.min()) / np.ptp(gradient) * 100
    expected = slow_slic(rgb2lab(clip), scaled, w_color, w_grad, 40, spacing, iterations)
    assert len(np.unique(expected)) > 20
    for engine in ENGINES:
        assert np.array_equal(cluster(stacked, 40, spacing, engine, iterations), expected), engine


SHAPES = [(12, 36, 40), (3, 20, 90), (24, 17, 33), (1, 48, 40), (2, 2, 2)]


def features_of(shape, features, kind, w_color=20.0, w_grad=9.0):
    """Weighted features of a moving clip with a smooth gradient, of one in few grey levels (many ties), or of none."""
    depth, height, width = shape
    frames = render_video(2, 5, num_frames=depth).frames[:, 70 : 70 + height, 110 : 110 + width].copy()
    gradient = np.abs(ndimage.gaussian_filter(np.random.default_rng(1).standard_normal(shape), 1))
    if kind == "levels":
        frames, gradient = frames // 64 * 64, np.round(3 * gradient / gradient.max())
    if kind == "constant":
        frames[:], gradient[:] = 90, 1
    return weighted_features(frames, gradient, features, w_color, w_grad)


@pytest.mark.parametrize("kind", ["moving", "levels", "constant"])
@pytest.mark.parametrize("features", FEATURES)
@pytest.mark.parametrize("shape", SHAPES)
def test_labels_before_and_after_connectivity_are_those_of_scikit_image(shape, features, kind):
    """Every voxel's, those at equal distances from two clusters too."""
    stacked = features_of(shape, features, kind)
    for n_segments in (20, 120, 600):
        for spacing in (1.0, 2.5, 0.3):
            expected = scikit_image(stacked, n_segments, spacing, enforce_connectivity=False)
            found = cluster(stacked, n_segments, spacing, "numba")
            assert np.array_equal(found, expected)
            connected = enforce_connectivity(found, Grid.of(shape, n_segments).n_seeds)
            assert np.array_equal(connected, scikit_image(stacked, n_segments, spacing))


def test_voxels_between_two_clusters_go_to_the_first_as_in_scikit_image():
    shape = (16, 64, 64)
    grid = Grid.of(shape, 120)
    apart = [np.sort((np.arange(size)[:, None] - seeds) ** 2, 1) for size, seeds in zip(shape, grid.seeds, strict=True)]
    ties = [distances[:, 0] == distances[:, 1] for distances in apart]
    assert min(axis.mean() for axis in ties) > 0.05
    stacked = features_of(shape, "image", "constant")
    assert np.array_equal(cluster(stacked, 120, 1.0, "numba"), cluster(stacked, 120, 1.0, "scikit-image"))


def test_clusters_that_lose_all_voxels_are_lost_as_in_scikit_image():
    stacked = features_of((4, 40, 40), "image", "moving", w_color=0.01)
    found = cluster(stacked, 600, 1.0, "numba")
    assert len(np.unique(found)) < Grid.of(found.shape, 600).n_seeds
    assert np.array_equal(found, cluster(stacked, 600, 1.0, "scikit-image"))


def test_connectivity_of_scattered_labels_is_that_of_scikit_image():
    from skimage.segmentation._slic import _enforce_label_connectivity_cython

    for n_labels in (2, 3, 10):
        labels = ndimage.zoom(RNG.integers(0, n_labels, (4, 9, 11)), (2, 3, 3), order=0)
        for n_seeds in (4, 50, labels.size // 2):
            mean_size = labels.size / n_seeds
            sizes = int(0.5 * mean_size), int(3 * mean_size)
            expected = _enforce_label_connectivity_cython(labels.astype(np.intp), *sizes, start_label=0)
            assert np.array_equal(enforce_connectivity(labels, n_seeds), expected)


@pytest.mark.parametrize("shape", [(16, 112, 112), (16, 224, 224), (1, 112, 112), (5, 31, 77), (40, 9, 8)])
def test_the_nearest_seed_wins_the_first_iteration(shape):
    where = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1).reshape(-1, 1, 3)[::37]
    for n_segments in (1, 20, 120, 600):
        grid = Grid.of(shape, n_segments)
        seeds = np.stack(np.meshgrid(*grid.seeds, indexing="ij"), -1).reshape(-1, 3)
        expected = ((where - seeds) ** 2).sum(-1).argmin(1)
        assert np.array_equal(grid.nearest_seed().ravel()[::37], expected)
        assert (np.abs(where[:, 0] - seeds[expected]) <= grid.reach).all()  # no window ends before
        assert grid.n_seeds == np.zeros(shape, bool)[regular_grid(shape, n_segments)].size


def test_lab_is_that_of_scikit_image_to_the_last_digit():
    colours = np.stack(np.meshgrid(*[np.arange(0, 256, 5)] * 3), -1).astype(np.uint8)
    assert np.array_equal(np.moveaxis(lab(colours), 0, -1), rgb2lab(colours / 255.0))
    assert np.array_equal(np.moveaxis(lab(FRAMES), 0, -1), rgb2lab(FRAMES / 255.0))


@pytest.mark.parametrize("settings", [{}, {"per_frame": True}, {"connected": False}, {"spacing": 2.0}])
@pytest.mark.parametrize("features", FEATURES)
def test_many_clips_are_each_clustered_alone_by_every_engine(features, settings):
    frames = [render_video(motion, 1, num_frames=4).frames[:, 90:120, 120:154] for motion in range(3)]
    gradients = [np.abs(ndimage.gaussian_filter(RNG.standard_normal(clip.shape[:3]), 1)) for clip in frames]
    recipe = {"features": features, "n_segments": 30, "w_color": 10.0, "w_grad": 9.0} | settings
    expected = [
        slic_supervoxels(*pair, **recipe, engine="scikit-image") for pair in zip(frames, gradients, strict=True)
    ]
    for engine in ENGINES:
        found = slic_supervoxels_of(frames, gradients, **recipe, engine=engine, threads=2, device="cpu")
        for ours, theirs in zip(found, expected, strict=True):
            assert np.array_equal(ours.labels, theirs.labels)
            assert (ours.n_seeded, ours.n_final) == (theirs.n_seeded, theirs.n_final)
            assert np.array_equal(np.unique(ours.labels), np.arange(ours.n_final))


def test_an_unknown_engine_is_refused():
    with pytest.raises(ValueError, match="engine='gpu': must be one of auto, scikit-image, numba, torch"):
        slic_supervoxels(FRAMES, None, "image", 20, 10.0, 1.0, engine="gpu")


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
