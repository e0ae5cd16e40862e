import pytest
import torch

from swagv.catalogue import METHODS
from swagv.datasets.rendering import render_video
from swagv.errors import NotApplicable
from swagv.methods.ep3d import EP3D, ep3d_area
from swagv.methods.extremal_mask import BlurPyramid

# A clip of 8x28x28 voxels; a grid point reaches (19 + 1) * 28 / 112 - 1 = 4 pixels.
SMALL = {"step": 4, "sigma": 19.0, "core_size": (3, 5, 5)}
REGION = (slice(2, 6), slice(6, 16), slice(12, 22))


@pytest.fixture
def one_thread():
    """Two threads on tensors this small mostly wait for each other, all the more so on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def textures():
    return torch.randn(2, 3, 8, 28, 28, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def texture_model(textures):
    """Class 0 is likely where either clip's fine texture, which blur takes away, is seen in one region."""

    def model(clips):
        alike = (clips[:, None] * textures)[(..., *REGION)].flatten(2).mean(-1).amax(1)
        return torch.stack([6 * alike - 3, torch.zeros_like(alike)], 1)

    return model


def test_the_mask_covers_the_region_that_the_score_needs(textures, texture_model, one_thread):
    method = EP3D(iterations=200, **SMALL)
    target = torch.zeros(2, dtype=torch.int64)
    generator, padded = method.padded_mask(texture_model, textures, target, ["a", "b"])
    assert (padded.mean((1, 2, 3)) - 0.1).abs().max() <= 0.01
    mask = generator.crop(padded)
    inside = torch.zeros(8, 28, 28, dtype=torch.bool)
    inside[REGION] = True
    assert mask[:, inside].mean() > 0.85
    assert mask[:, ~inside].mean() < 0.1
    assert 0 <= mask.min() < 0.01
    assert 0.95 < mask.max() <= 1


@pytest.mark.parametrize("name", ["ep3d", "ep3d_area"])
def test_a_clips_mask_does_not_depend_on_its_batch(name, textures, texture_model, one_thread):
    method = METHODS.load(name)(iterations=130, **SMALL)
    target = torch.tensor([0, 1])
    both = method(texture_model, textures, target, ["a", "b"])
    assert both.shape == (2, 8, 28, 28)
    assert both.dtype == torch.float32
    assert not both.requires_grad
    for index, clip_id in enumerate("ab"):
        one = slice(index, index + 1)
        alone = method(texture_model, textures[one], target[one], [clip_id])
        assert (alone[0] - both[index]).abs().max() <= 1e-4


def test_the_same_on_a_network(toy_model, toy_clips, one_thread):
    method, (clips, target) = EP3D(iterations=130, **SMALL), toy_clips
    both = method(toy_model, clips, target, ["a", "b"])
    alone = method(toy_model, clips[1:], target[1:], ["b"])
    assert (alone[0] - both[1]).abs().max() <= 1e-4
    assert both.std() > 0.1


def test_the_core_loss_starts_when_it_is_told_to(textures, texture_model, one_thread):
    clip, target = textures[:1], torch.tensor([0])

    def mask(**given):
        return EP3D(**{"iterations": 40, **SMALL, **given})(texture_model, clip, target)

    without = mask(core_weight=0.0)
    assert torch.equal(mask(core_start=40), without)
    assert not torch.equal(mask(core_start=39), without)
    assert torch.equal(ep3d_area(iterations=40, **SMALL, reward_weight=1.0)(texture_model, clip, target), without)


def test_on_a_network_the_mask_has_its_area_and_keeps_the_score_unlike_others_of_that_area(demo_models, one_thread):
    """At ten times the paper's learning rate, which makes 60 steps enough for the area; its own takes hundreds."""
    model = demo_models["c3d_demo"]
    clips = model.preprocess(render_video(2, 5, 16).frames[None])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    flags = [one.requires_grad for one in model.parameters()]
    with torch.no_grad():
        intact = model(clips).softmax(1)
    target = intact.argmax(1)
    method = EP3D(iterations=60, learning_rate=0.5, core_start=20)
    generator, padded = method.padded_mask(model, clips, target, ["a"])
    assert float(padded.mean()) == pytest.approx(0.1, abs=0.01)
    mask, pyramid = generator.crop(padded), BlurPyramid(clips, 8, 20.0)
    shifts = [(5, 40, 60), (8, 20, 70), (3, 60, 30), (11, 80, 80), (0, 56, 56)]
    with torch.no_grad():
        kept = model(pyramid(mask)).softmax(1)[0, target]
        others = [model(pyramid(mask.roll(shift, (1, 2, 3)))).softmax(1)[0, target] for shift in shifts]
    assert kept > 0.9 * intact[0, target]
    assert max(others) < 0.5 * kept
    # Nothing is left on the model.
    assert not model.training
    assert [one.requires_grad for one in model.parameters()] == flags
    assert all(one.grad is None for one in model.parameters())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks or module._backward_hooks for module in model.modules())


def test_clip_shorter_than_the_ellipsoid_is_not_applicable(toy_model):
    clips = torch.zeros(1, 3, 6, 24, 24)
    with pytest.raises(NotApplicable, match="spans 7 frames; the clip has 6"):
        EP3D()(toy_model, clips, torch.tensor([0]))
    EP3D().check(toy_model)  # 8 frames
    with pytest.raises(NotApplicable, match="spans 9 frames"):
        EP3D(core_size=(9, 11, 11)).check(toy_model)
    ep3d_area(core_size=(9, 11, 11)).check(toy_model)


@pytest.mark.parametrize(
    "given",
    [
        {"area": 0.0},
        {"area": 1.0},
        {"iterations": 0},
        {"step": 0},
        {"sigma": -1.0},
        {"levels": 1},
        {"core_size": (0, 11, 11)},
        {"max_blur": 0.0},
    ],
)
def test_settings_out_of_range(given):
    with pytest.raises(ValueError, match=next(iter(given))):
        EP3D(**given)
