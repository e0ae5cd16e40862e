import numpy as np
import pytest
import torch

from swagv import training
from swagv.errors import ConfigError
from swagv.models.build import build_model, make_network
from swagv.models.c3d import C3D
from swagv.models.cards import SETTINGS, load_card
from swagv.models.classifier import VideoClassifier
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


def _shapes(name, clip, *layers):
    """Shapes of clip, of what goes into each layer, and of the logits; no number is computed."""
    card = load_card(name)
    with torch.device("meta"):
        network = make_network(card).eval()
        shapes = {}
        for layer in layers:
            network.get_submodule(layer).register_forward_pre_hook(
                lambda module, args, layer=layer: shapes.update({layer: tuple(args[0].shape[1:])})
            )
        logits = network(torch.zeros(1, 3, card.clip_len, *clip))
    assert logits.shape == (1, len(card.categories))
    return shapes, sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("r2plus1d_18", 31_505_325),
        ("r3d_18", 33_371_472),
        ("mc3_18", 11_695_440),
        ("s3d", 8_320_048),
        ("i3d", 12_697_264),
    ],
)
def test_parameters_and_head_of_the_published_networks(name, parameters):
    card = load_card(name)
    shapes, counted = _shapes(name, (card.geometry.crop,) * 2, card.head)
    assert counted == parameters
    assert shapes[card.head][0] in (512, 1024)  # what the head sees is the CAM layer's channels


@pytest.mark.parametrize(("name", "side", "classes"), [("c3d", 3, 400), ("c3d_sports1m", 4, 487)])
def test_c3d_at_full_size(name, side, classes):
    """The last pool gives 512 x 1 x 3 x 3 as published by VMZ, 512 x 1 x 4 x 4 = 8192 in the Caffe network."""
    shapes, _ = _shapes(name, (112, 112), "conv5b", "fc6", "fc7", "fc8")
    assert shapes == {"conv5b": (512, 2, 7, 7), "fc6": (512 * side**2,), "fc7": (4096,), "fc8": (4096,)}
    assert len(load_card(name).categories) == classes


def test_sports1m_takes_blue_first_less_a_mean():
    card = load_card("c3d_sports1m")
    frames = np.full((1, 16, 112, 112, 3), (110, 101, 95), np.uint8)  # R, G, B
    model = VideoClassifier(torch.nn.Identity(), **{key: getattr(card, key) for key in SETTINGS if key != "arguments"})
    assert model.preprocess(frames)[0, :, 0, 0, 0].tolist() == pytest.approx([5, 3, 8], abs=1e-4)
    assert (model.frames(model.preprocess(frames)) == frames).all()


@pytest.fixture(scope="module")
def held_out():
    """Most of the time of `held_out_accuracy`, for both networks at once."""
    return list(training.held_out_clips(18, 30_000_000))


@pytest.mark.parametrize("name", ["r2plus1d_demo", "c3d_demo"])
def test_demo_networks_know_the_motions(name, demo_models, held_out, monkeypatch):
    monkeypatch.setattr(training, "held_out_clips", lambda videos, seed: held_out)
    assert training.held_out_accuracy(demo_models[name], 18, seed=30_000_000) >= 0.9
