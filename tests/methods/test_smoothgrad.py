import numpy as np
import pytest
import torch

from swagv.methods.explainer import random_generator
from swagv.methods.smoothgrad import SmoothGrad
from swagv.methods.vanilla_backprop import VanillaBackprop, gradient


def test_equals_the_mean_over_the_same_noise(toy_model, toy_clips):
    clips, target = toy_clips
    found = SmoothGrad(n_samples=10, noise=0.2, seed=4)(toy_model, clips, target, ["a", "b"])
    for index, name in enumerate("ab"):
        clip, rng = clips[index : index + 1], random_generator(name, 4)
        noise = rng.standard_normal((10, *clip.shape), dtype=np.float32) * 0.2 * float(clip.max() - clip.min())
        each = [gradient(toy_model, clip + torch.from_numpy(one), target[index : index + 1]) for one in noise]
        slow = torch.cat(each).double().mean(0).abs().amax(0)
        assert (found[index] - slow).abs().max() <= 1e-6 * slow.max()


def test_without_noise_is_the_gradient(toy_model, toy_clips):
    clips, target = toy_clips
    plain = VanillaBackprop()(toy_model, clips, target)
    assert torch.allclose(SmoothGrad(n_samples=3, noise=0.0)(toy_model, clips, target), plain, rtol=1e-5, atol=1e-9)


def test_batches(check_batches):
    check_batches(SmoothGrad(n_samples=7))


@pytest.mark.parametrize("given", [{"n_samples": 0}, {"noise": -0.1}, {"reduce": "max"}, {"batch_size": 0}])
def test_settings_out_of_range(given):
    with pytest.raises(ValueError, match=next(iter(given))):
        SmoothGrad(**given)
