"""A small real network, and what every method that takes forward passes in batches must keep."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from swagv.geometry import Geometry
from swagv.models.classifier import VideoClassifier


@pytest.fixture(scope="session")
def as_classifier():
    """A network of clips of 8x24x24 voxels and two or more classes, wrapped as the library's models are."""

    def wrap(network):
        return VideoClassifier(
            network,
            categories=(),
            geometry=Geometry(resize=(24, 24), crop=24),
            clip_len=8,
            mean=(0.5, 0.4, 0.3),
            std=(0.25, 0.2, 0.3),
        ).eval()

    return wrap


@pytest.fixture(scope="session")
def toy_model(as_classifier):
    generator = torch.Generator().manual_seed(0)
    network = nn.Sequential(
        nn.Conv3d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv3d(6, 5, 3, stride=2), nn.ReLU(), nn.Flatten(2)
    )
    network.append(_Head())
    for parameter in network.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator)
    return as_classifier(network)


class _Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(5, 3)

    def forward(self, x):
        return self.linear(x.mean(2))


@pytest.fixture(scope="session")
def toy_clips(toy_model):
    """Two preprocessed clips of coloured squares under a little noise, and their targets."""
    rng = np.random.default_rng(1)
    clips = []
    for side in (3, 6):
        squares = rng.integers(20, 236, (1, 24 // side, 24 // side, 3)).repeat(side, 1).repeat(side, 2)
        frames = squares + rng.integers(-5, 6, (8, 24, 24, 3))
        clips.append(toy_model.preprocess(frames[None].astype(np.uint8)))
    return torch.cat(clips), torch.tensor([0, 2])


@pytest.fixture
def check_batches(toy_model, toy_clips):
    """Neither the batch size nor the other clips may change a number, nor may the model be left changed."""

    def check(method):
        clips, target = toy_clips
        before = {name: value.clone() for name, value in toy_model.state_dict().items()}
        both = replace(method, batch_size=3)(toy_model, clips, target, ["a", "b"])
        assert both.shape == (2, 8, 24, 24)
        assert both.dtype == torch.float32
        assert not both.requires_grad
        for batch_size in (1, 64):
            alone = replace(method, batch_size=batch_size)(toy_model, clips[1:], target[1:], ["b"])
            assert (alone[0] - both[1]).abs().max() <= 2e-5 * both[1].abs().max()
        assert all(torch.equal(before[name], value) for name, value in toy_model.state_dict().items())
        assert all(one.requires_grad and one.grad is None for one in toy_model.parameters())

    return check
