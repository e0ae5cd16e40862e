import numpy as np
import pytest
import torch
from scipy import ndimage

from swagv.methods.random_noise import RandomNoise
from swagv.methods.sobel import Sobel

TARGET = torch.tensor([0, 0])


def test_noise_follows_the_clip_id_and_nothing_else(demo_models):
    model, clips = demo_models["c3d_demo"], torch.zeros(2, 3, 16, 112, 112)
    one = RandomNoise()(model, clips, TARGET, ["a", "b"])
    two = RandomNoise()(model, clips[:1], TARGET[:1], ["b"])
    assert torch.equal(one[1], two[0])
    assert not torch.equal(one[0], one[1])
    assert not torch.equal(one, RandomNoise(seed=1)(model, clips, TARGET, ["a", "b"]))
    assert one.min() >= 0
    assert one.max() < 1
    assert one.mean().item() == pytest.approx(0.5, abs=0.01)


def test_sobel_is_the_magnitude_of_two_filtered_frames(demo_models):
    model = demo_models["c3d_demo"]
    frames = np.random.default_rng(0).integers(0, 256, (2, 16, 112, 112, 3), dtype=np.uint8)
    found = Sobel()(model, model.preprocess(frames), TARGET)
    grey = frames[1, 7] / 255 @ np.array([0.2125, 0.7154, 0.0721])
    # scikit-image scales the kernel to sum 1 and the magnitude by the square root of the two axes.
    expected = np.hypot(*(ndimage.sobel(grey, axis, mode="reflect") / 4 for axis in (0, 1))) / np.sqrt(2)
    assert np.allclose(found[1, 7], expected, atol=1e-6)


def test_preprocessing_and_its_inverse(demo_models):
    model = demo_models["c3d_demo"]
    frames = np.random.default_rng(0).integers(0, 256, (1, 16, 112, 112, 3), dtype=np.uint8)
    clips = model.preprocess(frames)
    assert clips.shape == (1, 3, 16, 112, 112)
    assert clips[0, 1, 2, 3, 4].item() == pytest.approx((frames[0, 2, 3, 4, 1] / 255 - 0.394666) / 0.22145, abs=1e-6)
    assert np.array_equal(model.frames(clips), frames)
    with pytest.raises(ValueError, match="takes 16 frames a clip; got 8"):
        model.preprocess(frames[:, :8])
