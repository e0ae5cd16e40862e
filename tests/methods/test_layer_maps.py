import numpy as np
import pytest
import torch
from scipy import ndimage

from swagv.errors import NotApplicable
from swagv.methods.grad_cam import GradCam, GradCamPP
from swagv.methods.saliency_tubes import SaliencyTubes
from swagv.upsampling import upsample

BLANK, TARGET = torch.randn(1, 3, 16, 112, 112, generator=torch.Generator().manual_seed(0)), torch.tensor([0])


@pytest.mark.parametrize("layer", ["nonsense", "avgpool.nothing", "fc"])
@pytest.mark.parametrize("method", [GradCam, GradCamPP, SaliencyTubes])
def test_a_layer_without_a_map_is_not_applicable_and_known_before_the_first_clip(method, layer, demo_models):
    for call in (lambda m: method(layer=layer).check(m), lambda m: method(layer=layer)(m, BLANK, TARGET)):
        with pytest.raises(NotApplicable, match="layer"):
            call(demo_models["r2plus1d_demo"])


def test_saliency_tubes_refuse_a_network_without_one_linear_head(demo_models):
    with pytest.raises(NotApplicable, match="this network has none"):
        SaliencyTubes().check(demo_models["c3d_demo"])
    with pytest.raises(NotApplicable, match="weighs 48 channels; layer 'layer3' has 24"):
        SaliencyTubes(layer="layer3").check(demo_models["r2plus1d_demo"])


@pytest.mark.parametrize("layer", ["layer4.1.conv1.1", "stem.1"])
def test_a_layer_before_a_relu_in_place(layer, demo_models):
    """A batch norm whose output the next module overwrites."""
    model = demo_models["r2plus1d_demo"]
    found = GradCam(layer=layer)(model, BLANK, TARGET)
    assert found.shape == (1, 16, 112, 112)
    assert torch.isfinite(found).all()
    assert not any(module._forward_hooks for module in model.modules())


def test_upsampling_keeps_zeros_and_has_a_cubic_switch():
    assert not upsample(torch.zeros(1, 2, 7, 7), (16, 112, 112)).any()
    low = torch.rand(1, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    cubic = upsample(low, (4, 6, 9), "scipy_cubic")
    assert np.array_equal(cubic[0], ndimage.zoom(low[0].numpy(), (2, 2, 3), order=3))
    with pytest.raises(ValueError, match="upsampling='nearest': must be one of trilinear, scipy_cubic"):
        GradCam(upsampling="nearest")
