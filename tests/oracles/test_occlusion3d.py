"""Occlusion against captum."""

import captum.attr
import pytest
import torch

from swagv.methods.occlusion3d import Occlusion3D


@pytest.mark.parametrize("score", ["probability", "logit"])
@pytest.mark.parametrize(
    ("window", "stride"), [((8, 48, 64), (8, 40, 48)), ((10, 60, 60), (7, 60, 31)), ((16, 112, 112), (1, 1, 1))]
)
def test_equals_captum(window, stride, score, demo_models):
    model, target = demo_models["c3d_demo"], torch.tensor([2])
    clips = torch.randn(1, 3, 16, 112, 112, generator=torch.Generator().manual_seed(3))
    oracle = captum.attr.Occlusion(lambda x: model(x).softmax(1) if score == "probability" else model(x))
    with torch.no_grad():
        theirs = oracle.attribute(clips, (3, *window), (3, *stride), target=target, perturbations_per_eval=4)[:, 0]
    ours = Occlusion3D(window=window, stride=stride, score=score, batch_size=4)(model, clips, target)
    assert theirs.abs().max() > 0
    assert (ours - theirs).abs().max() <= 1e-6 * theirs.abs().max()
