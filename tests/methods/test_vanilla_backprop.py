import copy

import torch

from swagv.methods.vanilla_backprop import VanillaBackprop, gradient


def test_gradient_is_the_finite_difference(toy_model, toy_clips):
    model, clips, target = copy.deepcopy(toy_model).double(), toy_clips[0].double(), toy_clips[1]
    found = gradient(model, clips, target)
    way = torch.randn(clips.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        score = [model(clips + step * way).gather(1, target[:, None])[:, 0] for step in (1e-6, -1e-6)]
    assert torch.allclose((found * way).flatten(1).sum(1), (score[0] - score[1]) / 2e-6, rtol=1e-4)


def test_attribution_is_the_reduced_gradient(toy_model, toy_clips):
    clips, target = toy_clips
    found = gradient(toy_model, clips, target)
    assert torch.equal(VanillaBackprop()(toy_model, clips, target), found.abs().amax(1))
    assert torch.equal(VanillaBackprop(reduce="signed_sum")(toy_model, clips, target), found.sum(1))
    assert not clips.requires_grad
