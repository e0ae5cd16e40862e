import pytest
import torch

from swagv.errors import ConfigError
from swagv.models.build import build_model
from swagv.models.c3d import C3D
from swagv.models.video_resnet import R2Plus1D


def test_parameter_count_of_the_published_network():
    assert sum(p.numel() for p in R2Plus1D().parameters()) == 31_505_325


def test_vmz_mid_planes():
    network = R2Plus1D(mid_planes="vmz")
    found = [getattr(network, f"layer{stage}")[0].conv2[0][0].out_channels for stage in (2, 3, 4)]
    assert found == [288, 576, 1152]


def test_c3d_shapes_of_the_paper():
    network = C3D(width=8).eval()
    shapes = {}
    network.conv5b.register_forward_hook(lambda m, i, o: shapes.update(conv5b=tuple(o.shape)))
    network.fc6.register_forward_pre_hook(lambda m, i: shapes.update(fc6=tuple(i[0].shape)))
    assert network(torch.randn(1, 3, 16, 112, 112)).shape == (1, 400)
    assert shapes == {"conv5b": (1, 64, 2, 7, 7), "fc6": (1, 64 * 9)}


def test_weights_that_do_not_fit_are_named(tmp_path):
    state = C3D(num_classes=6, width=6).state_dict()
    state["fc8.bias"] = torch.zeros(7)
    state["extra"] = state.pop("fc8.weight")
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(ConfigError, match=r"missing \(fc8.weight.*unexpected \(extra.*another shape \(fc8.bias \(7,\)"):
        build_model("c3d_demo", tmp_path / "w.pth")


@pytest.mark.parametrize("name", ["r2plus1d_demo", "c3d_demo"])
def test_demo_networks_know_the_motions(name, demo_models):
    from swagv.training import held_out_accuracy

    assert held_out_accuracy(demo_models[name], 36, seed=30_000_000) >= 0.9
