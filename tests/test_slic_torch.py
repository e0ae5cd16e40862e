import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage.metrics import adapted_rand_error

from swagv import slic_torch
from swagv.datasets.folder import FolderDataset
from swagv.datasets.rendering import render_video
from swagv.decode import probe, read_frames
from swagv.geometry import Geometry
from swagv.methods.swagv import swagv_ig
from swagv.metrics.insertion_deletion import InsertionDeletion
from swagv.pooling import mean_per_supervoxel
from swagv.slic import ENGINES, FEATURES, Grid, cluster, rescaled, slic_supervoxels_of, weighted_features
from swagv.slic_torch import cluster_batch


@pytest.mark.parametrize("kind", ["moving", "levels", "constant"])
@pytest.mark.parametrize("features", FEATURES)
@pytest.mark.parametrize("shape", [(9, 20, 28), (3, 17, 50), (1, 30, 21)])
def test_labels_in_float64_are_those_of_scikit_image_up_to_ties(shape, features, kind):
    depth, height, width = shape
    frames = render_video(2, 5, num_frames=depth).frames[:, 70 : 70 + height, 110 : 110 + width].copy()
    gradient = np.abs(ndimage.gaussian_filter(np.random.default_rng(1).standard_normal(shape), 1))
    if kind == "levels":
        frames, gradient = frames // 64 * 64, np.round(3 * gradient / gradient.max())
    if kind == "constant":
        frames[:], gradient[:] = 90, 1
    stacked = weighted_features(frames, gradient, features, 20.0, 9.0)
    for n_segments, spacing in ((20, 1.0), (120, 2.5)):
        ends = [cluster(stacked, n_segments, spacing, engine) for engine in ("scikit-image", "torch")]
        if np.array_equal(*ends):
            continue
        labels = [cluster(stacked, n_segments, spacing, "scikit-image", iterations) for iterations in range(1, 11)]
        found = [cluster(stacked, n_segments, spacing, "torch", iterations) for iterations in range(1, 11)]
        first = next(i for i in range(10) if (labels[i] != found[i]).any())
        assert kind == "levels"  # a clip like any other has no ties that rounding could decide
        differ = labels[first] != found[first]
        assert differ.mean() < 2e-3
        distances = [
            distance(stacked, labels[first - 1], which[differ], differ, n_segments, spacing)
            for which in (labels[first], found[first])
        ]
        assert np.allclose(*distances, rtol=0, atol=1e-12)


def distance(stacked, before, clusters, voxels, n_segments, spacing):
    """D'^2 of `voxels` to `clusters`, whose members are those `before`."""
    step = Grid.of(before.shape, n_segments).step
    z, y, x = np.meshgrid(*map(np.arange, before.shape), indexing="ij")
    points = np.concatenate([np.stack([spacing * z, y, x]) / step, stacked])
    centres = np.stack([points[:, before == k].mean(1) for k in clusters], 1)
    return ((points[:, voxels] - centres) ** 2).sum(0)


def test_how_clips_are_grouped_changes_nothing(monkeypatch):
    clips = [render_video(motion, 0, num_frames=4).frames[:, 90:120, 120:150] for motion in range(3)]
    stacked = np.stack([rescaled(weighted_features(clip, None, "image", 10.0, 1.0)) for clip in clips])
    grid = Grid.of(stacked.shape[2:], 30)
    for precision in ("float32", "float64"):
        together = cluster_batch(stacked, grid, 1.0, 10, "cpu", precision)
        monkeypatch.setattr(slic_torch, "_CELLS", 1)
        assert np.array_equal(cluster_batch(stacked, grid, 1.0, 10, "cpu", precision), together)
        monkeypatch.undo()


def real_clips(real_data):
    """The middle 16 frames of four real videos, as the networks of 112 pixels see them."""
    for video in sorted(FolderDataset(root=str(real_data / "videos")).list_videos(), key=lambda video: video.path)[::4]:
        start = (probe(video.path).num_frames - 16) // 2
        yield Geometry().frames(read_frames(video.path, range(start, start + 16)).frames)


def test_float32_differs_little_on_real_clips(real_data):
    errors = []
    for frames in real_clips(real_data):
        stacked = weighted_features(frames, None, "image", 10.0, 1.0)
        grid = Grid.of(stacked.shape[1:], 120)
        found = cluster_batch(rescaled(stacked)[None], grid, 1.0, 10, "cpu", "float32")[0]
        errors.append(adapted_rand_error(cluster(stacked, 120, 1.0) + 1, found + 1)[0])
    assert len(errors) == 4
    assert max(errors) <= 1e-2


def test_float32_moves_no_auc_by_a_thousandth(demo_models):
    model = demo_models["r2plus1d_demo"]
    frames = Geometry().frames(render_video(1, 3, num_frames=16).frames)[None]
    clips = model.preprocess(frames)
    with torch.no_grad():
        target = model(clips).argmax(1)
    method = swagv_ig()
    attribution = method.pixels(model, clips, target).numpy()
    settings = {"features": "image+gradient", "n_segments": 120, "w_color": 20.0, "w_grad": 9.0}
    scores = []
    for engine in ("torch", "torch_float32"):
        (found,) = slic_supervoxels_of(frames, attribution, **settings, engine=engine, device="cpu")
        maps = torch.from_numpy(mean_per_supervoxel(attribution[0], found.labels))[None]
        scores.append(InsertionDeletion(steps=7)(model, clips, maps, target))
    for name in ("deletion_auc", "insertion_auc"):
        assert abs(float(scores[0][name]) - float(scores[1][name])) <= 1e-3


@pytest.mark.parametrize("engine", ENGINES)
def test_no_clips_are_no_supervoxels(engine):
    assert slic_supervoxels_of([], [], "image", 30, 10.0, 1.0, engine=engine) == []
