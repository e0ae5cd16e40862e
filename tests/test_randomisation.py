"""Networks that lose what they have learnt, from the logits down, and how alike the maps of two networks are."""

from itertools import pairwise
from math import isnan, sqrt

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from swagv.geometry import Geometry
from swagv.models.build import build_model
from swagv.models.classifier import VideoClassifier
from swagv.randomisation import BLOCKS, blocks, randomised, rank_correlation, similarity


@pytest.fixture(scope="module")
def model():
    """The residual demo network for clips of 4x32x32 pixels, whose forward passes are not worth a second thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield build_model("r2plus1d_demo", clip_len=4, geometry=Geometry(resize=(32, 32), crop=32))
    torch.set_num_threads(threads)


def as_classifier(network):
    """Takes clips of 2x4x4 pixels."""
    geometry = Geometry(resize=(4, 4), crop=4)
    wrapped = VideoClassifier(network, categories=(), geometry=geometry, clip_len=2, mean=(0, 0, 0), std=(1, 1, 1))
    return wrapped.eval()


def owners(network):
    """Names of the layers that a state dict's keys belong to."""
    return {key.rpartition(".")[0] for key in network.state_dict()}


def test_blocks_of_the_demo_networks(model, demo_models):
    found = blocks(demo_models["c3d_demo"])
    convolutions = {
        name: (f"conv{name}.1", f"conv{name}.0") for name in ("5b", "5a", "4b", "4a", "3b", "3a", "2a", "1a")
    }
    assert list(found.items()) == [
        ("fc8", ("fc8",)),
        ("fc6", ("fc7.0", "fc6.0")),
        ("conv5a", convolutions["5b"] + convolutions["5a"]),
        ("conv4a", convolutions["4b"] + convolutions["4a"]),
        ("conv3a", convolutions["3b"] + convolutions["3a"]),
        ("conv1a", convolutions["2a"] + convolutions["1a"]),
    ]
    found = blocks(model)
    assert list(found) == ["fc", "layer4", "layer3", "layer2", "layer1", "stem"]
    assert all(layer.startswith(name) for name, layers in found.items() for layer in layers)
    assert found["stem"] == ("stem.4", "stem.3", "stem.1", "stem.0")
    # The shortcut is computed before the two convolutions.
    assert found["layer2"][-4:] == (
        "layer2.0.conv1.0.1",
        "layer2.0.conv1.0.0",
        "layer2.0.downsample.1",
        "layer2.0.downsample.0",
    )


class Odd(nn.Module):
    """Defined in another order than used; with its own parameter, layers called twice and one only read."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.linspace(1, 2, 50))
        self.head = nn.Linear(4, 3)
        self.body = nn.Sequential(nn.BatchNorm3d(4), nn.ReLU(), nn.Conv3d(4, 4, 1))
        self.read = nn.Linear(3, 3)
        self.first = nn.Conv3d(3, 4, 1)
        self.unused = nn.Dropout()

    def forward(self, x):
        x = self.body(self.first(x * self.scale.mean()))
        x = self.head(self.body(x).mean((2, 3, 4)))
        return nn.functional.linear(x, self.read.weight, self.read.bias)


def chain(*sizes):
    """Linear layers, one after the other."""
    return [nn.Linear(one, two) for one, two in pairwise(sizes)]


def test_blocks_follow_the_first_calls_and_not_the_definition():
    found = blocks(as_classifier(Odd()))
    # The one that is only read, and the network itself, have the place of the network's own call.
    expected = {name: (name,) for name in ("head", "body.2", "body.0", "first", "read")} | {"Odd": ("",)}
    assert found == expected
    assert list(found) == list(expected)


def test_many_layers_are_dealt_to_runs_of_equal_length_and_few_are_blocks_each():
    pool = nn.Sequential(nn.Flatten(2), nn.AdaptiveAvgPool1d(1), nn.Flatten())
    found = blocks(as_classifier(nn.Sequential(pool, *chain(*[3] * 15))))
    assert [len(layers) for layers in found.values()] == [1, 3, 3, 3, 2, 2]
    assert [layer for layers in found.values() for layer in layers] == [str(index) for index in range(14, 0, -1)]
    assert list(found) == ["14", "11", "8", "5", "3", "1"]
    # One beginning is not enough, and so a second part of the name counts; a third is not needed.
    deep = nn.Sequential(*(nn.Sequential(*chain(3, 3, 3)) for _ in range(6)))
    found = blocks(as_classifier(nn.Sequential(pool, deep)))
    assert list(found) == ["1.5", "1.4", "1.3", "1.2", "1.1", "1.0"]
    assert found["1.4"] == ("1.4.1", "1.4.0")
    assert blocks(as_classifier(nn.Sequential(pool, *chain(3, 3)))) == {"1": ("1",)}


def test_blocks_hold_every_layer_once_and_leave_the_model_without_hooks(model):
    for wrapped in (model, as_classifier(Odd())):
        before = {name: value.clone() for name, value in wrapped.state_dict().items()}
        found = [layer for layers in blocks(wrapped).values() for layer in layers]
        assert len(found) == len(set(found))
        assert set(found) == owners(wrapped.network)
        assert len(blocks(wrapped)) <= BLOCKS == 6
        assert not any(module._forward_pre_hooks for module in wrapped.modules())
        assert all(torch.equal(before[name], value) for name, value in wrapped.state_dict().items())


def changed(one, two):
    """The layers of which any number differs."""
    other = two.network.state_dict()
    return {
        name.rpartition(".")[0]
        for name, value in one.network.state_dict().items()
        if not torch.equal(value, other[name])
    }


def test_depth_0_is_the_model_itself_but_another_object(model):
    copy = randomised(model, 0, seed=0)
    clip = torch.randn(1, 3, 4, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        logits = model(clip)
        assert torch.equal(copy(clip), logits)
        copy.network.fc.weight += 1
        assert torch.equal(model(clip), logits)
    assert copy.categories == model.categories
    assert not copy.training


def test_each_depth_changes_the_layers_of_its_blocks_and_no_others(model):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    seen, prefixes = {}, ["fc", "layer4", "layer3", "layer2", "layer1", "stem"]
    for depth in range(7):
        copy = randomised(model, depth, seed=1)
        expected = {layer for layer in owners(model.network) if layer.split(".")[0] in prefixes[:depth]}
        assert changed(model, copy) == expected
        for name, value in copy.network.state_dict().items():
            if name.rpartition(".")[0] in expected:
                assert torch.equal(seen.setdefault(name, value), value)  # a block has the same weights at every depth
        assert all(one.requires_grad for one in copy.parameters())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_weights_are_drawn_as_those_of_a_new_layer(model):
    copy = randomised(model, 6, seed=0)
    for layer in copy.network.modules():
        if isinstance(layer, nn.BatchNorm3d):
            for tensor, value in ((layer.weight, 1), (layer.bias, 0), (layer.running_mean, 0), (layer.running_var, 1)):
                assert torch.equal(tensor, torch.full_like(tensor, value))
        elif isinstance(layer, nn.Conv3d | nn.Linear):
            bound = 1 / sqrt(layer.weight[0].numel())  # uniform, as PyTorch's layers are at first
            assert layer.weight.abs().max() <= bound
            if layer.weight.numel() > 500:
                assert layer.weight.std().item() == pytest.approx(bound / sqrt(3), rel=0.1)
                assert abs(layer.weight.mean().item()) < bound / 10


def test_a_layer_that_cannot_reset_itself_is_shuffled():
    model = as_classifier(Odd())
    before = model.network.scale.detach().clone()
    scale = randomised(model, 6, seed=0).network.scale
    assert not torch.equal(scale, before)
    assert torch.equal(scale.sort().values, before)
    assert torch.equal(model.network.scale, before)
    assert torch.equal(randomised(model, 5, seed=0).network.scale, before)


def test_the_seed_alone_decides_the_weights(model):
    state = torch.get_rng_state()
    one = randomised(model, 6, seed=5)
    assert torch.equal(torch.get_rng_state(), state)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(123)
        two = randomised(model, 6, seed=5)
    assert changed(one, two) == set()
    other = changed(one, randomised(model, 6, seed=6))
    norms = {name for name, layer in model.network.named_modules() if isinstance(layer, nn.BatchNorm3d)}
    assert other == owners(model.network) - norms


class Drawn(nn.Conv3d):
    """A layer that fills its weight in the order of the memory, which PyTorch's own initialisers may not."""

    @torch.no_grad()
    def reset_parameters(self):
        self.weight.normal_()
        self.bias.zero_()


def test_the_layout_of_the_memory_does_not_change_the_weights(model):
    pool = nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten())
    own = as_classifier(nn.Sequential(Drawn(3, 8, 2), Drawn(8, 4, 1), pool))
    for contiguous, depth in ((model, 6), (own, 2)):
        last = randomised(contiguous, 0, seed=0)
        last.network.to(memory_format=torch.channels_last_3d)
        one, two = randomised(contiguous, depth, seed=2), randomised(last, depth, seed=2)
        assert changed(one, two) == set()
        assert changed(contiguous, two) == owners(contiguous.network)
        weight = next(two.network.parameters())
        assert weight.is_contiguous(memory_format=torch.channels_last_3d)
        assert not weight.is_contiguous()


@pytest.mark.parametrize("depth", [-1, 7])
def test_a_depth_that_the_network_does_not_have_is_refused(model, depth):
    with pytest.raises(ValueError, match=f"depth={depth}: must be from 0 to 6"):
        randomised(model, depth, seed=0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["distinct", "tied", "mostly zero"])
def test_rank_correlation_equals_that_of_scipy(kind, dtype):
    rng = np.random.default_rng(0)
    for mix in (0, 0.5, -2):
        first = rng.normal(size=(4, 9, 11))
        second = mix * first + rng.normal(size=first.shape)
        if kind == "tied":
            first, second = np.round(first), np.round(second)
        elif kind == "mostly zero":
            first, second = np.maximum(first - 1, 0), np.maximum(second - 1, 0)
        first, second = first.astype(dtype), second.astype(dtype)
        expected = spearmanr(first.ravel(), second.ravel()).statistic
        assert rank_correlation(first, second) == pytest.approx(expected, abs=1e-12)
        assert rank_correlation(second, first) == rank_correlation(first, second)


def test_maps_of_one_order_correlate_exactly():
    heat = np.random.default_rng(1).normal(size=(16, 112, 112)).astype(np.float32)  # as large as those of the networks
    tied = np.round(heat, 1)
    assert rank_correlation(heat, 2 * heat.astype(np.float64) ** 3) == 1
    assert rank_correlation(tied, np.exp(tied.astype(np.float64))) == 1
    assert rank_correlation(heat, -heat) == -1


@pytest.mark.filterwarnings("error")
def test_a_constant_map_has_no_correlation():
    heat = np.random.default_rng(2).normal(size=(2, 3, 4))
    assert isnan(rank_correlation(heat, np.ones((2, 3, 4))))
    assert isnan(rank_correlation(np.zeros((2, 3, 4)), heat))


def test_similarity_looks_at_magnitudes_where_any_value_is_negative():
    rng = np.random.default_rng(3)
    signed, other, positive = rng.normal(size=(3, 2, 5, 6))
    positive = np.abs(positive)
    for first, second in ((signed, other), (signed, positive), (positive, signed)):
        found = similarity(first, second)
        assert found["spearman"] == pytest.approx(spearmanr(first.ravel(), second.ravel()).statistic, abs=1e-12)
        expected = spearmanr(np.abs(first).ravel(), np.abs(second).ravel()).statistic
        assert found["spearman_abs"] == pytest.approx(expected, abs=1e-12)
        assert abs(found["spearman"] - found["spearman_abs"]) > 0.01
    assert similarity(signed, -signed) == {"spearman": -1, "spearman_abs": 1}
    plain = similarity(positive, np.abs(other))
    assert plain["spearman"] == plain["spearman_abs"]
    assert list(plain) == ["spearman", "spearman_abs"]
