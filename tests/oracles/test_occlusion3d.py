"""Occlusion against captum."""

import captum.attr
import pytest
import torch
from torch import nn

import swagv
from swagv.methods.occlusion3d import Occlusion3D


@pytest.fixture(scope="module")
def model():
    """Of clips of 16x112x112 voxels, each with weights of its own; the windows do not depend on the network."""
    torch.manual_seed(0)
    layers = nn.Conv3d(3, 8, 5, stride=(3, 5, 5)), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 4 * 22 * 22, 6)
    return swagv.load_model(nn.Sequential(*layers), clip_len=16, geometry={"resize": 112, "crop": 112})


@pytest.mark.parametrize("score", ["probability", "logit"])
@pytest.mark.parametrize(
    ("window", "stride"), [((8, 48, 64), (8, 40, 48)), ((10, 60, 60), (7, 60, 31)), ((16, 112, 112), (1, 1, 1))]
)
def test_equals_captum(window, stride, score, model):
    target = torch.tensor([2])
    clips = torch.randn(1, 3, 16, 112, 112, generator=torch.Generator().manual_seed(3))
    oracle = captum.attr.Occlusion(lambda x: model(x).softmax(1) if score == "probability" else model(x))
    with torch.no_grad():
        theirs = oracle.attribute(clips, (3, *window), (3, *stride), target=target, perturbations_per_eval=4)[:, 0]
    ours = Occlusion3D(window=window, stride=stride, score=score, batch_size=4)(model, clips, target)
    assert theirs.abs().max() > 0
    assert (ours - theirs).abs().max() <= 1e-6 * theirs.abs().max()
