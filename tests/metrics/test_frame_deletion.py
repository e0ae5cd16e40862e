import numpy as np
import pytest
import torch
from torch import nn

from swagv.metrics.frame_deletion import FILLS, FrameDeletion

GAMES = ("deletion", "insertion")


@pytest.fixture(scope="module")
def network():
    """Every voxel has a say of its own, so that no two clips have one score."""
    generator = torch.Generator().manual_seed(0)
    linear = nn.Linear(3 * 6 * 4 * 5, 3)
    with torch.no_grad():
        linear.weight.copy_(torch.randn(linear.weight.shape, generator=generator) / 10)
    return nn.Sequential(nn.Flatten(), linear)


def random_clips(count=2, frames=6, seed=1):
    generator = torch.Generator().manual_seed(seed)
    clips = torch.randn(count, 3, frames, 4, 5, generator=generator)
    return clips, torch.randn(count, frames, 4, 5, generator=generator), torch.tensor([2, 0])[:count]


def slow_clip(clip, shown, fill):
    """The frames that are still `shown` as they are, the others filled one at a time."""
    frames = []
    for t in range(clip.shape[1]):
        if t in shown:
            frames.append(clip[:, t])
        elif fill == "zero":
            frames.append(torch.zeros_like(clip[:, t]))
        else:
            nearest = min(shown, key=lambda other: (abs(other - t), other)) if shown else clip.shape[1] // 2
            frames.append(clip[:, nearest])
    return torch.stack(frames, 1)


def slow_curves(model, clip, attribution, target, fill):
    frames = clip.shape[1]
    means = [attribution[t].double().sum().item() / attribution[t].numel() for t in range(frames)]
    order, curves = sorted(range(frames), key=lambda t: (-means[t], t)), {}
    for game in GAMES:
        curves[game] = []
        for step in range(frames + 1):
            shown = set(order[:step] if game == "insertion" else order[step:])
            with torch.no_grad():
                logits = model(slow_clip(clip, shown, fill)[None])
            curves[game].append(float(logits.softmax(1)[0, target]))
    return curves


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("tied", [False, True])
def test_equals_the_slow_definition(fill, tied, network):
    clips, attribution, target = random_clips()
    if tied:  # whole numbers, whose means are exact: two frames of each
        attribution = torch.tensor([3.0, 1, 3, 2, 1, 2]).view(1, 6, 1, 1).expand_as(attribution)
    found = FrameDeletion(fill)(network, clips, attribution, target, batch_size=5)
    for index, label in enumerate(target.tolist()):
        expected = slow_curves(network, clips[index], attribution[index], label, fill)
        for game in GAMES:
            curve, area = found[f"frame_{game}_curve"][index], found[f"frame_{game}_auc"][index]
            assert curve.tolist() == pytest.approx(expected[game], abs=1e-6)
            assert area.item() == pytest.approx(np.trapezoid(expected[game], dx=1 / 6), abs=1e-6)
            assert np.ptp(expected[game]) > 0.01


def test_shapes_and_dtypes(network):
    found = FrameDeletion()(network, *random_clips())
    shapes = {name: tuple(value.shape) for name, value in found.items()}
    assert shapes == {
        "frame_deletion_auc": (2,),
        "frame_insertion_auc": (2,),
        "frame_deletion_curve": (2, 7),
        "frame_insertion_curve": (2, 7),
    }
    assert all(value.dtype == torch.float32 for value in found.values())
    assert set(FrameDeletion.higher_is_better) == {name for name in found if "auc" in name}


def digits(clips):
    """A score that tells which four frames were shown, where every voxel of the frame t is t."""
    code = (clips[:, 0, :, 0, 0] * torch.tensor([64.0, 16, 4, 1])).sum(1)
    return torch.stack([code / 64, torch.zeros_like(code)], 1)


def shown_frames(curve):
    """The digits in base 4 that each point of a curve stands for."""
    return [np.base_repr(round(float(code)), 4).zfill(4) for code in 64 * torch.logit(curve.double())]


def test_what_is_shown_at_every_step():
    clips = torch.arange(4.0).view(1, 1, 4, 1, 1).expand(1, 3, 4, 2, 2)
    attribution = torch.tensor([0.0, 9, 1, 5]).view(1, 4, 1, 1).expand(1, 4, 2, 2)  # frames 1, 3, 2, 0
    freeze = FrameDeletion("freeze")(digits, clips, attribution, torch.tensor([0]))
    # Of frames 0 and 2 the earlier stands in for frame 1, and the middle frame, 2, for all where none is left.
    assert shown_frames(freeze["frame_deletion_curve"][0]) == ["0123", "0023", "0022", "0000", "2222"]
    assert shown_frames(freeze["frame_insertion_curve"][0]) == ["2222", "1111", "1113", "1123", "0123"]
    zero = FrameDeletion("zero")(digits, clips, attribution, torch.tensor([0]))
    assert shown_frames(zero["frame_deletion_curve"][0]) == ["0123", "0023", "0020", "0000", "0000"]
    assert shown_frames(zero["frame_insertion_curve"][0]) == ["0000", "0100", "0103", "0123", "0123"]


@pytest.mark.parametrize("fill", FILLS)
def test_both_curves_end_at_the_whole_clip_and_at_nothing_of_it(fill, network):
    clips, attribution, target = random_clips()
    found = FrameDeletion(fill)(network, clips, attribution, target)
    nothing = torch.zeros_like(clips) if fill == "zero" else clips[:, :, 3:4].expand_as(clips)
    for shown, deletion_end, insertion_end in ((clips, 0, -1), (nothing, -1, 0)):
        with torch.no_grad():
            expected = network(shown).softmax(1)[range(2), target].tolist()
        assert found["frame_deletion_curve"][:, deletion_end].tolist() == pytest.approx(expected, abs=1e-6)
        assert torch.equal(
            found["frame_deletion_curve"][:, deletion_end], found["frame_insertion_curve"][:, insertion_end]
        )


def test_a_frozen_still_clip_loses_nothing_and_a_blanked_one_does(network):
    clips, attribution, target = random_clips()
    still = clips[:, :, :1].expand_as(clips)
    with torch.no_grad():
        intact = network(still).softmax(1)[range(2), target]
    frozen = FrameDeletion("freeze")(network, still, attribution, target)
    blanked = FrameDeletion("zero")(network, still, attribution, target)
    for game in GAMES:
        assert (frozen[f"frame_{game}_curve"] - intact[:, None]).abs().max() < 1e-6
        assert (frozen[f"frame_{game}_auc"] - intact).abs().max() < 1e-6
        assert (blanked[f"frame_{game}_curve"] - intact[:, None]).abs().max() > 0.01


@pytest.mark.parametrize("fill", FILLS)
def test_the_size_of_batches_changes_nothing(fill, network):
    sizes = []

    def counting(clips):
        sizes.append(len(clips))
        return network(clips)

    given = random_clips()
    reference = FrameDeletion(fill)(network, *given, batch_size=64)
    for batch_size in (1, 5, 12):
        sizes.clear()
        found = FrameDeletion(fill)(counting, *given, batch_size=batch_size)
        assert max(sizes) == batch_size
        for name, value in found.items():
            assert torch.allclose(value, reference[name], rtol=0, atol=1e-6)


def test_clips_do_not_know_of_each_other(network):
    clips, attribution, target = random_clips()
    both = FrameDeletion()(network, clips, attribution, target)
    alone = FrameDeletion()(network, clips[1:], attribution[1:], target[1:])
    for name, value in both.items():
        assert torch.allclose(value[1:], alone[name], rtol=0, atol=1e-6)


def test_only_the_means_of_the_frames_count(network):
    """Spread evenly over its frame, a frame's attribution is the same; equal frames go in the order of time."""
    clips, attribution, target = random_clips()
    of_frame = attribution.mean((2, 3), keepdim=True).expand_as(attribution)
    for one, two in (
        (attribution, of_frame),
        (torch.full_like(attribution, 2.0), -torch.arange(6.0).view(1, 6, 1, 1).expand_as(attribution)),
    ):
        found, expected = (FrameDeletion()(network, clips, heat, target) for heat in (one, two))
        assert all(torch.equal(found[name], expected[name]) for name in found)


def test_a_clip_of_one_frame_has_a_curve_of_its_ends():
    clip, heat = torch.ones(1, 3, 1, 2, 2), torch.ones(1, 1, 2, 2)

    def model(clips):
        return torch.stack([clips.flatten(1).mean(1), torch.zeros(len(clips))], 1)

    shown, gone = 1 / (1 + np.exp(-1)), 0.5
    zero = FrameDeletion("zero")(model, clip, heat, torch.tensor([0]))
    assert zero["frame_deletion_curve"][0].tolist() == pytest.approx([shown, gone])
    assert zero["frame_insertion_curve"][0].tolist() == pytest.approx([gone, shown])
    assert zero["frame_deletion_auc"].item() == pytest.approx((shown + gone) / 2)
    freeze = FrameDeletion("freeze")(model, clip, heat, torch.tensor([0]))
    assert freeze["frame_deletion_curve"][0].tolist() == pytest.approx([shown, shown])


def test_bad_settings_and_maps_are_refused(network):
    clips, attribution, target = random_clips()
    with pytest.raises(ValueError, match="fill='blur': must be one of freeze, zero"):
        FrameDeletion(fill="blur")
    with pytest.raises(ValueError, match="does not fit"):
        FrameDeletion()(network, clips, attribution[:, :5], target)
    for value in (float("nan"), float("inf")):
        broken = attribution.clone()
        broken[1, 2, 3, 4] = value
        with pytest.raises(ValueError, match="NaN or infinity"):
            FrameDeletion()(network, clips, broken, target)
    with pytest.raises(ValueError, match="shorter"):
        FrameDeletion()(network, clips, attribution, target[:1])
