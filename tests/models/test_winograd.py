import copy
import io
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from swagv.geometry import Geometry
from swagv.models import winograd
from swagv.models.classifier import VideoClassifier
from swagv.models.inference import for_inference
from swagv.models.winograd import WinogradConv3d, winograd_computes


def layer_and_clips(taps, size, channels=(64, 70), clips=2, bias=True, padding=None):
    torch.manual_seed(0)
    layer = nn.Conv3d(*channels, (taps, 3, 3), padding=padding or (taps // 2, 1, 1), bias=bias)
    return layer, torch.randn(clips, channels[0], *size)


def error(layer, clips):
    """Largest difference to the definition, in float64, over the largest output."""
    with torch.inference_mode():
        expected = copy.deepcopy(layer).double()(clips.double())
        ready = WinogradConv3d(layer)
        found = ready(clips)
    assert ready._transformed[1] is not None  # PyTorch did not compute it
    assert found.shape == expected.shape
    assert found.dtype == torch.float32
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize(
    ("taps", "size"),
    [(1, (8, 8, 8)), (1, (2, 13, 18)), (3, (8, 8, 8)), (3, (5, 11, 14)), (3, (1, 28, 28)), (5, (3, 15, 16))],
)
def test_it_is_the_convolution_by_its_definition(taps, size):
    layer, clips = layer_and_clips(taps, size)
    assert winograd_computes(layer)
    assert error(layer, clips) < 2e-5
    assert error(layer, clips.contiguous(memory_format=torch.channels_last_3d)) < 2e-5
    assert error(layer, clips.transpose(3, 4)) < 2e-5
    assert error(layer, clips[:1].expand(3, -1, -1, -1, -1)) < 2e-5


@pytest.mark.parametrize(
    ("taps", "size", "padding"),
    [(3, (5, 18, 14), (0, 0, 0)), (3, (6, 13, 17), (1, 0, 1)), (2, (5, 12, 12), (0, 1, 0)), (4, (7, 16, 9), (1, 1, 1))],
)
def test_any_padding_that_does_not_enlarge(taps, size, padding):
    layer, clips = layer_and_clips(taps, size, padding=padding)
    assert winograd_computes(layer)
    assert error(layer, clips) < 2e-5


@pytest.mark.parametrize("taps", [1, 3])
def test_the_size_of_a_block_changes_nothing(taps, monkeypatch):
    layer, clips = layer_and_clips(taps, (4, 12, 20), clips=5)
    ready, found = WinogradConv3d(layer), []
    for rows in (1, 17, 10_000):
        monkeypatch.setattr(winograd, "_ROWS", rows)
        assert error(layer, clips) < 2e-5
        with torch.inference_mode():
            found.append(ready(clips))
            alone = torch.cat([ready(clip[None]) for clip in clips])
        assert torch.allclose(found[-1], found[0], rtol=0, atol=1e-6)
        assert torch.allclose(alone, found[0], rtol=0, atol=1e-6)


def test_threads_that_convolve_at_once_have_their_own_results_and_number_of_threads():
    layer, clips = layer_and_clips(3, (4, 12, 12), clips=8)
    ready, before = WinogradConv3d(layer), torch.get_num_threads()

    @torch.inference_mode()
    def convolve(clip):
        return ready(clip.relu()[None])[0], torch.get_num_threads()

    winograd._pool(before)
    expected = [convolve(clip)[0] for clip in clips]
    with ThreadPoolExecutor(8) as pool:
        for (found, threads), one in zip(pool.map(convolve, clips), expected, strict=True):
            assert torch.equal(found, one)
            assert threads == before
    assert torch.get_num_threads() == before


def test_new_weights_are_seen_and_a_copy_has_no_kernels_in_it():
    layer, clips = layer_and_clips(1, (8, 8, 8))
    other, ready = layer_and_clips(1, (8, 8, 8))[0], WinogradConv3d(layer)
    with torch.no_grad():
        first = ready(clips)
        other.weight *= -2
        ready.load_state_dict(other.state_dict())
        assert torch.allclose(ready(clips), other(clips), atol=1e-4)
        assert not torch.allclose(ready(clips), first, atol=1e-2)
        saved = io.BytesIO()
        torch.save(ready, saved)
        assert saved.tell() < 1.5 * ready.weight.nbytes
        assert torch.equal(copy.deepcopy(ready)(clips), ready(clips))


def test_the_default_type_is_nothing_to_it():
    layer, clips = layer_and_clips(3, (4, 12, 12))
    torch.set_default_dtype(torch.float64)
    try:
        assert error(layer, clips) < 2e-5
    finally:
        torch.set_default_dtype(torch.float32)


def test_without_a_bias_and_with_any_number_of_threads():
    layer, clips = layer_and_clips(3, (4, 12, 20), bias=False)
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3, 20):
            torch.set_num_threads(threads)
            assert error(layer, clips) < 2e-5
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_beyond_the_border_is_zero():
    layer = nn.Conv3d(64, 64, (1, 3, 3), padding=(0, 1, 1), bias=False)
    with torch.inference_mode():
        layer.weight.fill_(1)
        found = WinogradConv3d(layer)(torch.ones(1, 64, 2, 16, 16))
    inside, corner, edge = 9 * 64, 4 * 64, 6 * 64
    assert found[0, 0, 0, 5, 5] == pytest.approx(inside, rel=1e-6)
    assert found[0, 63, 1, 0, 15] == pytest.approx(corner, rel=1e-6)
    assert found[0, 7, 1, 15, 3] == pytest.approx(edge, rel=1e-6)


def test_what_it_does_not_compute_is_left_to_pytorch():
    layer, clips = layer_and_clips(3, (4, 12, 12))
    ready, small = WinogradConv3d(layer), torch.randn(2, 64, 2, 8, 8)
    assert torch.equal(ready(clips), layer(clips))  # gradients are asked for
    ready(clips).sum().backward()
    assert layer.weight.grad is not None
    with torch.no_grad():
        assert torch.equal(ready(small), layer(small))
        assert torch.equal(ready(clips[0]), layer(clips[0]))  # no batch
        assert torch.equal(ready(clips[:0]), layer(clips[:0]))
        assert not torch.equal(ready(clips), layer(clips))
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(ready(clips), layer(clips))
        layer.bias.requires_grad_(False)
        with pytest.raises(RuntimeError, match=r"groups=1, weight of size \[70, 64"):
            ready(clips[:, :63])
        with pytest.raises(RuntimeError, match=r"size"):
            WinogradConv3d(nn.Conv3d(64, 64, 3))(clips[:, :, :2])
        ready.double()
        assert torch.equal(ready(clips.double()), layer(clips.double()))
        with pytest.raises(RuntimeError, match="should be the same"):
            ready(clips)


@pytest.mark.parametrize(
    "setting",
    [
        {"in_channels": 32},
        {"out_channels": 32},
        {"kernel_size": (2, 3, 3)},
        {"padding": (2, 1, 1)},
        {"kernel_size": (3, 1, 1), "padding": (1, 0, 0)},
        {"kernel_size": 5, "padding": 2},
        {"padding": "same"},
        {"padding_mode": "circular"},
        {"stride": (1, 2, 2)},
        {"dilation": (2, 1, 1)},
        {"groups": 2},
        {"dtype": torch.float64},
    ],
)
def test_layers_that_it_cannot_compute(setting):
    plain = {"in_channels": 64, "out_channels": 64, "kernel_size": 3, "padding": 1}
    assert winograd_computes(nn.Conv3d(**plain))
    assert not winograd_computes(nn.Conv3d(**plain | setting))


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv3d(3, 64, 3, padding=1)
        self.second, self.norm = nn.Conv3d(64, 64, (1, 3, 3), padding=(0, 1, 1)), nn.BatchNorm3d(64)
        self.again = self.second

    def forward(self, clips):
        return self.norm(self.again(self.first(clips).relu())).relu().mean((2, 3, 4))


class Halved(nn.Conv3d):
    def _conv_forward(self, *arguments):
        return super()._conv_forward(*arguments) / 2


def test_a_layer_of_a_kind_of_its_own_stays():
    assert not winograd_computes(Halved(64, 64, 3, padding=1))


def test_a_ready_network_has_it_where_it_can_and_in_float32_only():
    torch.manual_seed(0)
    network = Network()
    plain = {"categories": (), "geometry": Geometry(16, 16), "clip_len": 4, "mean": (0.0,) * 3, "std": (1.0,) * 3}
    model = VideoClassifier(network.eval(), **plain)
    ready, half = for_inference(model), for_inference(model, "bf16")
    assert type(ready.network.first) is nn.Conv3d
    assert type(ready.network.second) is WinogradConv3d
    assert ready.network.second is ready.network.again
    assert not any(isinstance(layer, WinogradConv3d) for one in (model, half) for layer in one.modules())
    assert list(ready.state_dict()) == [key for key in model.state_dict() if not key.startswith("network.norm")]
    clips = torch.randn(2, 3, 4, 16, 16)
    with torch.inference_mode():
        assert torch.allclose(ready(clips), model(clips), rtol=1e-4, atol=1e-5)
        assert torch.equal(copy.deepcopy(ready)(clips), ready(clips))
