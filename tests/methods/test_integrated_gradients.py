import pytest
import torch

from swagv.methods.integrated_gradients import IntegratedGradients, baseline_clip, integrated_gradient


def test_complete_and_exact_for_a_polynomial():
    """Two nodes integrate a cubic's gradient exactly: (x - b) * mean of 3 x^2 is x^3 - b^3."""
    clips = torch.randn(2, 3, 2, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    baseline = torch.full((1, 3, 1, 1, 1), 0.3, dtype=torch.float64)

    def cubic(x):
        return (x**3).flatten(1).sum(1, keepdim=True)

    found = integrated_gradient(cubic, clips, torch.tensor([0, 0]), baseline, steps=2)
    assert torch.allclose(found, clips**3 - baseline**3, atol=1e-12)


@pytest.mark.parametrize("baseline", ["zero", "black", "white"])
def test_sums_to_the_difference_of_the_scores(baseline, toy_model, toy_clips):
    clips, target = toy_clips
    found = IntegratedGradients(steps=100, baseline=baseline, reduce="signed_sum")(toy_model, clips, target)
    start = baseline_clip(toy_model, clips, baseline).expand_as(clips)
    with torch.no_grad():
        gap = (toy_model(clips) - toy_model(start)).gather(1, target[:, None])[:, 0]
    assert torch.allclose(found.flatten(1).sum(1), gap, atol=1e-2)  # kinks of ReLU between the nodes


def test_baselines_are_frames_of_one_colour(toy_model, toy_clips):
    clips, _ = toy_clips
    for name, value in (("black", 0), ("white", 255)):
        assert (toy_model.frames(baseline_clip(toy_model, clips, name).expand_as(clips)) == value).all()
    assert (baseline_clip(toy_model, clips, "zero") == 0).all()


def test_batches(check_batches):
    check_batches(IntegratedGradients(steps=7))


@pytest.mark.parametrize("given", [{"steps": 0}, {"baseline": "grey"}, {"reduce": "max"}, {"batch_size": 0}])
def test_settings_out_of_range(given):
    with pytest.raises(ValueError, match=next(iter(given))):
        IntegratedGradients(**given)
