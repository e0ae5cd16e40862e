"""I3D: TensorFlow's padding by brute force, shapes, and DeepMind's weights on real videos."""

import itertools

import numpy as np
import pytest
import torch

from swagv.decode import probe, read_frames
from swagv.models.build import build_model
from swagv.models.cards import load_card
from swagv.models.i3d import I3D, MaxPool, Unit
from swagv.models.weights import cache_folder


def _windows(size, kernel, stride):
    """Positions that each output sees under ``SAME``, as the TensorFlow documentation defines it."""
    out = -(-size // stride)
    before = max((out - 1) * stride + kernel - size, 0) // 2
    return [range(max(i * stride - before, 0), min(i * stride - before + kernel, size)) for i in range(out)]


@pytest.mark.parametrize("size", [(5, 8, 9), (4, 7, 6)])
@pytest.mark.parametrize(("kernel", "stride"), [((3, 3, 3), (2, 2, 2)), ((1, 3, 3), (1, 2, 2)), ((2, 2, 2), (2, 2, 2))])
def test_max_pool_same(size, kernel, stride):
    x = torch.randn(1, 1, *size) - 5  # below zero: a border of zeros would win
    windows = [_windows(*axis) for axis in zip(size, kernel, stride, strict=True)]
    slow = [x[0, 0][np.ix_(*map(list, place))].max() for place in itertools.product(*windows)]
    found = MaxPool(kernel, stride)(x)
    assert found.shape[2:] == tuple(map(len, windows))
    assert torch.equal(found.flatten(), torch.stack(slow))


@pytest.mark.parametrize("size", [9, 8, 16])
def test_convolution_same(size):
    unit = Unit(2, 1, 7, stride=2, plain=True)
    x = torch.randn(1, 2, size, size, size)
    total = max((-(-size // 2) - 1) * 2 + 7 - size, 0)
    windows = [range(i * 2 - total // 2, i * 2 - total // 2 + 7) for i in range(-(-size // 2))]
    found = unit(x)[0, 0]
    for place in itertools.product(range(len(windows)), repeat=3):
        inside = [[p for p in windows[i] if 0 <= p < size] for i in place]
        taps = [[p - windows[i][0] for p in kept] for i, kept in zip(place, inside, strict=True)]
        value = sum((x[0, c][np.ix_(*inside)] * unit.conv3d.weight[0, c][np.ix_(*taps)]).sum() for c in range(2))
        assert found[place].item() == pytest.approx((value + unit.conv3d.bias[0]).item(), abs=1e-5)


@pytest.mark.parametrize(("frames", "times"), [(16, 2), (17, 3), (79, 10)])
def test_any_length(frames, times):
    shapes = {}
    with torch.device("meta"):
        network = I3D().eval()
        network.Mixed_5c.register_forward_hook(lambda m, i, o: shapes.update(cam=tuple(o.shape)))
        assert network(torch.zeros(1, 3, frames, 224, 224)).shape == (1, 400)
    assert shapes["cam"] == (1, 1024, times, 7, 7)


def test_guided_backprop_and_grad_cam_apply():
    from swagv.methods.grad_cam import GradCam
    from swagv.methods.guided_backprop import GuidedBackprop

    torch.manual_seed(0)
    model = build_model("i3d", None, clip_len=9)
    clip = torch.randn(1, 3, 9, 224, 224)
    with torch.no_grad():
        model.network.logits.conv3d.weight.abs_()  # else a CAM may be negative everywhere
    for method in (GuidedBackprop(), GradCam()):
        found = method(model, clip, torch.tensor([3]))
        assert found.shape == (1, 9, 224, 224)
        assert found.isfinite().all()
        assert found.abs().max() > 0


@pytest.mark.parametrize(
    ("video", "name", "score"),
    [
        ("ucf101/v_Basketball_g01_c01.avi", "shooting basketball", 0.881),
        ("ucf101/v_SoccerJuggling_g23_c01.avi", "juggling soccer ball", 0.999),
        ("kinetics/abseiling_k400.mp4", "abseiling", 0.699),
    ],
)
def test_deepminds_weights_know_real_videos(real_data, video, name, score):
    if not (cache_folder() / load_card("i3d").fetched).is_file():
        pytest.skip("no weights of i3d in the cache folder; run: swagv fetch-weights i3d")
    path = real_data / "videos" / video
    counted = probe(path).num_frames
    length = min(counted, 79)
    model = build_model("i3d", clip_len=length)
    start = (counted - length) // 2
    frames = read_frames(path, range(start, start + length)).frames
    with torch.inference_mode():
        scores = model(model.preprocess(frames[None])).softmax(1)[0]
    assert model.categories[int(scores.argmax())] == name
    assert scores.max().item() == pytest.approx(score, abs=0.01)
