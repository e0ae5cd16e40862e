import numpy as np
import pytest
import torch
from torch import nn

from swagv.methods.lime3d import Lime3D, ridge_regression
from swagv.slic import slic_supervoxels


class RegionMeans(nn.Module):
    """Logit 0 is a known linear function of the supervoxels' means."""

    def __init__(self, labels, coefficients):
        super().__init__()
        self.shares = nn.functional.one_hot(labels).flatten(0, -2).double()
        self.shares = self.shares / self.shares.sum(0)
        self.coefficients = coefficients

    def forward(self, clips):
        score = clips.double().mean(1).flatten(1) @ self.shares @ self.coefficients + 3
        return torch.stack([score, torch.zeros_like(score)], 1)


@pytest.mark.parametrize("kernel_width", [0.25, 10.0])
def test_coefficients_of_a_linear_score_are_found(kernel_width, as_classifier, toy_clips):
    clips = toy_clips[0][1:]
    frames = as_classifier(nn.Identity()).frames(clips)[0]
    labels = torch.from_numpy(slic_supervoxels(frames, None, "image", 20, 10.0, 1.0).labels.astype(np.int64))
    known = torch.randn(int(labels.max()) + 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    network = RegionMeans(labels, known)
    method = Lime3D(n_samples=200, n_segments=20, ridge=1e-9, kernel_width=kernel_width, score="logit")
    found = method(as_classifier(network), clips, torch.tensor([0]), ["a"])[0]
    # Hiding a supervoxel takes away its coefficient times its mean.
    expected = (known * (clips.double().mean(1).flatten(1) @ network.shares)[0])[labels]
    assert len(known) > 10
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_ridge_regression_is_least_squares_with_the_penalty_as_rows():
    rng = np.random.default_rng(0)
    x, y, weight = rng.normal(size=(30, 4)), rng.normal(size=30), rng.uniform(0.1, 1, 30)
    rows = np.hstack([x, np.ones((30, 1))]) * np.sqrt(weight)[:, None]
    penalty = np.sqrt(0.7) * np.eye(4, 5)
    slow = np.linalg.lstsq(np.vstack([rows, penalty]), np.concatenate([y * np.sqrt(weight), np.zeros(4)]))[0]
    assert np.allclose(ridge_regression(x, y, weight, 0.7), slow[:4], atol=1e-12)


def test_one_supervoxel_has_one_value(toy_model, toy_clips):
    clips, target = toy_clips
    found = Lime3D(n_samples=30, n_segments=20)(toy_model, clips, target)
    for one, frames in zip(found, toy_model.frames(clips), strict=True):
        labels = slic_supervoxels(frames, None, "image", 20, 10.0, 1.0).labels
        assert all(len(np.unique(one.numpy()[labels == label])) == 1 for label in np.unique(labels))


def test_batches(check_batches):
    check_batches(Lime3D(n_samples=30, n_segments=20))


@pytest.mark.parametrize("given", [{"n_samples": 0}, {"ridge": 0.0}, {"score": "x"}, {"kernel_width": -1.0}])
def test_settings_out_of_range(given):
    with pytest.raises(ValueError, match=next(iter(given))):
        Lime3D(**given)
