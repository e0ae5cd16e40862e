"""Plain and integrated gradients against captum."""

import captum.attr
import pytest
import torch

from swagv.methods.input_x_gradient import InputXGradient
from swagv.methods.integrated_gradients import integrated_gradient
from swagv.methods.vanilla_backprop import gradient


@pytest.fixture
def clips():
    return torch.randn(2, 3, 16, 112, 112, generator=torch.Generator().manual_seed(0))


def close(ours, theirs):
    assert theirs.abs().max() > 0
    return (ours - theirs).abs().max() <= 1e-6 * theirs.abs().max()


@pytest.mark.parametrize("name", ["r2plus1d_demo", "c3d_demo"])
def test_gradient_and_input_x_gradient_equal_captum(name, demo_models, clips):
    model, target = demo_models[name], torch.tensor([1, 4])
    theirs = captum.attr.Saliency(model).attribute(clips.clone().requires_grad_(), target=target, abs=False)
    assert close(gradient(model, clips, target), theirs)
    theirs = captum.attr.InputXGradient(model).attribute(clips.clone().requires_grad_(), target=target).detach()
    assert close(InputXGradient(reduce="signed_sum")(model, clips, target), theirs.sum(1))


@pytest.mark.parametrize("name", ["r2plus1d_demo", "c3d_demo"])
def test_integrated_gradient_equals_captum(name, demo_models, clips):
    """The same Gauss-Legendre nodes."""
    model, target = demo_models[name], torch.tensor([3])
    oracle = captum.attr.IntegratedGradients(model, multiply_by_inputs=True)
    theirs = oracle.attribute(clips[:1], torch.full_like(clips[:1], 0.5), target, n_steps=5, method="gausslegendre")
    ours = integrated_gradient(model, clips[:1], target, torch.tensor(0.5), steps=5, batch_size=5)
    assert close(ours, theirs)
