"""Grad-CAM against captum, Grad-CAM++ against pytorch-grad-cam, and the identities that pooled linear heads imply."""

import captum.attr
import pytest
import torch
from torch import nn

from swagv.methods.grad_cam import GradCam, GradCamPP
from swagv.methods.layer_maps import layer_gradient
from swagv.methods.saliency_tubes import SaliencyTubes

TARGET = torch.tensor([0, 3])


@pytest.fixture(scope="module")
def clips():
    return torch.randn(2, 3, 16, 112, 112, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", ["r2plus1d_demo", "c3d_demo"])
def test_grad_cam_equals_captum(name, demo_models, clips):
    model = demo_models[name]
    ours = GradCam()(model, clips, TARGET)
    oracle = captum.attr.LayerGradCam(model, model.layer(model.cam_layer))
    low = oracle.attribute(clips, target=TARGET, relu_attributions=True)
    theirs = nn.functional.interpolate(low, size=(16, 112, 112), mode="trilinear", align_corners=False)[:, 0].detach()
    assert theirs.max() > 0
    assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()


@pytest.mark.parametrize("name", ["r2plus1d_demo", "c3d_demo"])
def test_grad_cam_pp_weights_equal_pytorch_grad_cam(name, demo_models, clips):
    """Their epsilon of 1e-6 stands beside squares and cubes of gradients: scaled up, these leave it behind."""
    from swagv.models.torchvision_import import import_torchvision

    import_torchvision()
    from pytorch_grad_cam import GradCAMPlusPlus

    model = demo_models[name]
    activation, gradient = layer_gradient(model, clips, TARGET, "")
    gradient = gradient * 1e3
    # Their weights are made for one call at a time and look at nothing of the object.
    theirs = GradCAMPlusPlus.get_cam_weights(None, None, None, None, activation.numpy(), gradient.numpy())
    ours = GradCamPP().weights(activation, gradient).numpy()
    assert ours.max() > 0
    assert abs(ours - theirs).max() <= 1e-4 * abs(theirs).max()


def test_grad_cam_pp_equals_the_closed_form_of_a_pooled_linear_head(demo_models, clips):
    """There g_k = w_k / P at every one of P positions, so w_k = P relu(g) / (2 + (sum A) g)."""
    model = demo_models["r2plus1d_demo"]
    activation, gradient = layer_gradient(model, clips, TARGET, "")
    positions = activation[0, 0].numel()
    g = model.network.fc.weight.detach()[TARGET].double() / positions
    expected = positions * g.relu() / (2 + activation.double().flatten(2).sum(-1) * g)
    assert torch.allclose(GradCamPP().weights(activation, gradient), expected, rtol=1e-4, atol=0)


def slow_grad_cam_pp(activation, gradient, normalise):
    """The definition, one channel at a time."""
    weights = torch.zeros(activation.shape[:2], dtype=torch.float64)
    for n in range(activation.shape[0]):
        for k in range(activation.shape[1]):
            a, g = activation[n, k].double(), gradient[n, k].double()
            alpha = torch.zeros_like(g)
            for at in torch.nonzero(g).tolist():
                at = tuple(at)
                alpha[at] = g[at] ** 2 / (2 * g[at] ** 2 + a.sum() * g[at] ** 3)
            if normalise and alpha[g > 0].sum() != 0:
                alpha = alpha / alpha[g > 0].sum()
            weights[n, k] = (alpha * g.clamp(min=0)).sum()
    return weights


@pytest.mark.parametrize("normalise", [False, True])
def test_grad_cam_pp_equals_its_slow_definition(normalise):
    generator = torch.Generator().manual_seed(0)
    activation = torch.rand(2, 4, 2, 3, 3, generator=generator)
    gradient = 0.01 * torch.randn(2, 4, 2, 3, 3, generator=generator)
    gradient[0, 0], gradient[0, 1, 0] = 0, 0
    ours = GradCamPP(normalise_alpha=normalise).weights(activation, gradient)
    assert torch.allclose(ours, slow_grad_cam_pp(activation, gradient, normalise), rtol=1e-12)


def test_saliency_tubes_are_grad_cam_before_its_relu_times_the_positions(demo_models, clips):
    model = demo_models["r2plus1d_demo"]
    tube = SaliencyTubes().layer_map(model, clips, TARGET)
    assert tube.min() < 0 < tube.max()
    cam = GradCam().layer_map(model, clips, TARGET)
    assert torch.allclose(tube.relu() / tube[0].numel(), cam, rtol=1e-5, atol=1e-6 * float(cam.max()))


def test_saliency_tubes_add_up_to_the_logit(demo_models, clips):
    model = demo_models["r2plus1d_demo"]
    tube = SaliencyTubes().layer_map(model, clips, TARGET)
    logit = model(clips).gather(1, TARGET[:, None])[:, 0] - model.network.fc.bias[TARGET]
    assert torch.allclose(tube.flatten(1).mean(1), logit, rtol=1e-4)
