import pytest
import torch

from swagv.errors import NotApplicable
from swagv.methods.occlusion3d import Occlusion3D


def test_of_a_sum_is_the_mean_sum_of_the_cuboids_that_hid_a_voxel():
    clips = torch.randn(1, 2, 5, 6, 7, generator=torch.Generator().manual_seed(0))
    window, stride = (2, 3, 4), (2, 2, 3)
    found = Occlusion3D(window=window, stride=stride, score="logit")(
        lambda x: x.flatten(1).sum(1, keepdim=True), clips, torch.tensor([0])
    )
    total, count = torch.zeros(5, 6, 7), torch.zeros(5, 6, 7)
    for t in (0, 2, 4):  # the last are cut off at the end
        for y in (0, 2, 4):
            for x in (0, 3):
                cuboid = (slice(t, t + 2), slice(y, y + 3), slice(x, x + 4))
                total[cuboid] += clips[0].sum(0)[cuboid].sum()
                count[cuboid] += 1
    assert torch.allclose(found[0], total / count, atol=1e-5)


def test_what_the_network_does_not_see_has_none(toy_model, toy_clips):
    clips, target = toy_clips
    half = Occlusion3D(window=(4, 8, 8), stride=(4, 8, 8))
    found = half(lambda x: toy_model(torch.cat([x[:, :, :4], 0 * x[:, :, 4:]], 2)), clips, target)
    assert found[:, 4:].abs().max() <= 1e-6
    assert found[:, :4].abs().min() > 1e-5


@pytest.mark.parametrize("baseline", ["zero", "black", "white"])
def test_one_cuboid_over_all_is_the_drop_to_the_baseline(baseline, toy_model, toy_clips):
    clips, target = toy_clips
    found = Occlusion3D(window=(8, 24, 24), stride=(1, 1, 1), baseline=baseline)(toy_model, clips, target)
    colour = {"zero": toy_model.mean, "black": 0 * toy_model.mean, "white": torch.ones_like(toy_model.mean)}[baseline]
    blank = ((colour - toy_model.mean) / toy_model.std).expand_as(clips)
    with torch.no_grad():
        drop = (toy_model(clips).softmax(1) - toy_model(blank).softmax(1)).gather(1, target[:, None])[:, 0]
    assert torch.allclose(found, drop.view(2, 1, 1, 1).expand_as(found), atol=1e-6)


def test_batches(check_batches):
    check_batches(Occlusion3D(window=(4, 8, 8), stride=(2, 5, 8)))


def test_window_larger_than_the_clip_is_not_applicable(toy_model, toy_clips):
    method = Occlusion3D(window=(9, 8, 8))
    with pytest.raises(NotApplicable, match="larger than the clip"):
        method(toy_model, *toy_clips)
    with pytest.raises(NotApplicable, match="larger than the clip"):
        method.check(toy_model)
    Occlusion3D(window=(8, 24, 24)).check(toy_model)


@pytest.mark.parametrize(
    "given", [{"stride": (5, 8, 8)}, {"stride": (0, 8, 8)}, {"baseline": "grey"}, {"score": "x"}, {"batch_size": 0}]
)
def test_settings_out_of_range(given):
    with pytest.raises(ValueError, match=next(iter(given))):
        Occlusion3D(**given)
