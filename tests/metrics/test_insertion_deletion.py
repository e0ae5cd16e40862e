import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from swagv.metrics.insertion_deletion import TIES, InsertionDeletion


def sum_model(clips):
    """p of class 0 is a known function of the sum of the voxels."""
    total = clips.flatten(1).sum(1)
    return torch.stack([total, torch.zeros_like(total)], 1)


def slow_curves(model, clip, attribution, target, steps):
    """The definition, one voxel set at a time."""
    order = np.argsort(-attribution.numpy().ravel(), kind="stable")
    curves = []
    for game in ("deletion", "insertion"):
        curve = []
        for step in range(steps + 1):
            chosen = np.zeros(order.size, bool)
            chosen[order[: step * order.size // steps]] = True
            keep = torch.from_numpy(chosen if game == "insertion" else ~chosen).view(attribution.shape)
            curve.append(float(model((clip * keep)[None]).softmax(1)[0, target]))
        curves.append(curve)
    return curves


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_equals_the_slow_definition(tied, batch_size):
    generator = torch.Generator().manual_seed(0)
    clips = 0.1 * torch.randn(2, 3, 4, 7, 8, generator=generator)
    attribution = torch.rand(2, 4, 7, 8, generator=generator)
    attribution = (attribution * 3).round() if tied else attribution
    metric = InsertionDeletion(steps=28)
    result = metric(sum_model, clips, attribution, torch.tensor([0, 1]), batch_size=batch_size)
    for index, target in enumerate((0, 1)):
        deletion, insertion = slow_curves(sum_model, clips[index], attribution[index], target, 28)
        assert np.allclose(result["deletion_curve"][index], deletion, atol=1e-6)
        assert np.allclose(result["insertion_curve"][index], insertion, atol=1e-6)
        assert np.isclose(result["deletion_auc"][index], np.trapezoid(deletion, dx=1 / 28), atol=1e-6)


def test_ends_meet_and_a_monotone_change_changes_nothing():
    clips, attribution = torch.randn(1, 3, 4, 7, 8), torch.randn(1, 4, 7, 8)
    metric, target = InsertionDeletion(), torch.tensor([0])
    one = metric(sum_model, clips, attribution, target)
    two = metric(sum_model, clips, attribution.exp() * 5, target)
    assert one["insertion_curve"][0, 0] == one["deletion_curve"][0, -1]
    assert one["insertion_curve"][0, -1] == one["deletion_curve"][0, 0]
    assert torch.equal(one["deletion_curve"], two["deletion_curve"])


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(1, 12), st.permutations(range(24)))
def test_deleting_from_the_top_is_inserting_from_the_bottom(steps, order):
    """Where the steps are equal: what deletion leaves is what insertion of the reversed ranks has restored."""
    steps = max(step for step in range(1, steps + 1) if 24 % step == 0)
    attribution = torch.tensor(order, dtype=torch.float32).view(1, 2, 3, 4)
    clips, target = torch.randn(1, 3, 2, 3, 4, generator=torch.Generator().manual_seed(1)), torch.tensor([0])
    one = InsertionDeletion(steps)(sum_model, clips, attribution, target)
    two = InsertionDeletion(steps)(sum_model, clips, -attribution, target)
    assert torch.allclose(one["deletion_curve"], two["insertion_curve"].flip(1), atol=1e-6)


def test_constant_network_gives_its_own_score():
    result = InsertionDeletion()(
        lambda clips: torch.zeros(len(clips), 4), torch.randn(1, 3, 2, 7, 8), torch.randn(1, 2, 7, 8), torch.tensor([2])
    )
    assert result["deletion_auc"].item() == pytest.approx(0.25)
    assert result["insertion_auc"].item() == pytest.approx(0.25)


def test_bad_maps_are_refused():
    clips, target = torch.randn(1, 3, 2, 4, 4), torch.tensor([0])
    with pytest.raises(ValueError, match="does not fit"):
        InsertionDeletion()(sum_model, clips, torch.zeros(1, 2, 4, 5), target)
    with pytest.raises(ValueError, match="NaN"):
        InsertionDeletion()(sum_model, clips, torch.full((1, 2, 4, 4), float("nan")), target)


class Scaled:
    """`sum_model` with a network's normalisation: a black pixel is -mean / std."""

    mean, std = torch.tensor([0.5, 0.25, 0.4]).view(1, 3, 1, 1, 1), torch.tensor([0.5, 0.2, 0.3]).view(1, 3, 1, 1, 1)

    def __call__(self, clips):
        return sum_model(clips / 50)


@pytest.mark.parametrize("substrate", ["zero", "black", "blur"])
@pytest.mark.parametrize("ties", ["raster", "reverse", "random"])
def test_substrates_and_orders_of_ties_equal_the_slow_definition(substrate, ties):
    generator = torch.Generator().manual_seed(1)
    clip = torch.randn(3, 4, 7, 8, generator=generator)
    attribution = (torch.rand(4, 7, 8, generator=generator) * 3).round()
    nothing = {
        "zero": torch.zeros_like(clip),
        "black": ((torch.zeros_like(clip)[None] - Scaled.mean) / Scaled.std)[0],
        "blur": torch.from_numpy(
            gaussian_filter(clip.numpy(), (0, 0, 20, 20), mode="constant", truncate=4.0).astype(np.float32)
        ),
    }[substrate]
    place = {
        "raster": np.arange(224),
        "reverse": -np.arange(224),
        "random": np.argsort(torch.randperm(224, generator=torch.Generator().manual_seed(0)).numpy()),
    }[ties]
    order = sorted(range(224), key=lambda voxel: (-float(attribution.flatten()[voxel]), place[voxel]))
    metric = InsertionDeletion(steps=8, substrate=substrate, ties=ties)
    result = metric(Scaled(), clip[None], attribution[None], torch.tensor([0]), batch_size=5)
    for game in ("deletion", "insertion"):
        for step in range(9):
            taken = torch.zeros(224, dtype=torch.bool)
            taken[order[: step * 28]] = True
            shown = torch.where(taken.view(4, 7, 8) == (game == "insertion"), clip, nothing)
            expected = float(Scaled()(shown[None]).softmax(1)[0, 0])
            assert float(result[f"{game}_curve"][0, step]) == pytest.approx(expected, abs=1e-5)


def test_black_needs_to_be_known():
    with pytest.raises(ValueError, match="needs a model with `mean` and `std`"):
        InsertionDeletion(substrate="black")(
            sum_model, torch.ones(1, 3, 2, 4, 4), torch.ones(1, 2, 4, 4), torch.tensor([0])
        )


def test_other_orders_of_ties_change_nothing_without_ties():
    clips, attribution = torch.randn(1, 3, 4, 7, 8), torch.randperm(224).view(1, 4, 7, 8).float()
    found = [InsertionDeletion(ties=ties)(sum_model, clips, attribution, torch.tensor([0])) for ties in TIES]
    assert torch.equal(found[0]["deletion_curve"], found[1]["deletion_curve"])
    assert torch.equal(found[0]["deletion_curve"], found[2]["deletion_curve"])


def test_batches_go_across_games_and_clips_and_only_the_last_may_be_short():
    sizes = []

    def counted(clips):
        sizes.append(len(clips))
        return sum_model(clips)

    clips, attribution = torch.randn(3, 3, 2, 7, 8), torch.randn(3, 2, 7, 8)
    ends = torch.tensor([0.25, 0.5, 0.75])
    result = InsertionDeletion()(
        counted, clips, attribution, torch.tensor([0, 1, 0]), batch_size=16, p_intact=ends, p_blank=1 - ends
    )
    assert sizes == [16] * 10 + [2]  # of 3 clips x 2 games x 27 points
    for index in range(3):
        alone = InsertionDeletion()(
            sum_model, clips[index, None], attribution[index, None], torch.tensor([index % 2]), batch_size=27
        )
        assert torch.allclose(result["deletion_curve"][index, 1:-1], alone["deletion_curve"][0, 1:-1], atol=1e-6)
        assert torch.allclose(result["insertion_curve"][index, 1:-1], alone["insertion_curve"][0, 1:-1], atol=1e-6)
    assert torch.equal(result["deletion_curve"][:, 0], ends)
    assert torch.equal(result["insertion_curve"][:, 0], 1 - ends)


def test_half_precision_moves_areas_little_and_leaves_the_model_alone(demo_models):
    model, target = demo_models["c3d_demo"], torch.tensor([2])
    generator = torch.Generator().manual_seed(3)
    clips, attribution = (torch.randn(1, *shape, generator=generator) for shape in ((3, 16, 112, 112), (16, 112, 112)))
    full, half = (InsertionDeletion(2, precision=name)(model, clips, attribution, target) for name in ("fp32", "bf16"))
    assert 0 < (full["deletion_auc"] - half["deletion_auc"]).abs().max() < 0.01
    assert model.precision is None
    with pytest.raises(ValueError, match="needs a VideoClassifier"):
        InsertionDeletion(precision="bf16")(sum_model, clips, attribution, target)
