import numpy as np
import pytest
import torch

from swagv.methods.rise3d import Rise3D, smooth_masks


def test_masks_are_cut_out_of_the_linearly_interpolated_grid():
    seen = torch.randint(0, 2, (3, 2, 3, 2), generator=torch.Generator().manual_seed(0)).float()
    shift, shape, cell = np.array([[0, 0, 0], [3, 1, 4], [1, 2, 2]]), (7, 8, 9), (4, 3, 5)
    found = smooth_masks(seen, shift, shape, cell)
    for index in range(3):
        slow = seen[index].numpy().astype(float)
        for axis in range(3):
            cells, size = seen.shape[1 + axis], (seen.shape[1 + axis] + 1) * cell[axis]
            where = (np.arange(shape[axis]) + shift[index, axis] + 0.5) * cells / size - 0.5
            slow = np.apply_along_axis(lambda line, at=where: np.interp(at, np.arange(len(line)), line), axis, slow)
        assert np.allclose(found[index], slow, atol=1e-6)


REGION = (slice(2, 6), slice(4, 12), slice(10, 20))


def region_model(clips):
    """The probability of class 0 is linear in the mean of one region."""
    score = 0.1 + 0.8 * clips[(slice(None), slice(None), *REGION)].flatten(1).mean(1)
    return torch.stack([score, 1 - score], 1).log()


def test_the_region_that_the_score_depends_on_is_on_top():
    method, clips = Rise3D(n_masks=3000, grid=(3, 5, 5), batch_size=100), torch.ones(1, 3, 8, 24, 24)
    found = method(region_model, clips, torch.tensor([0]), ["a"])[0]
    inside = torch.zeros(8, 24, 24, dtype=torch.bool)
    inside[REGION] = True
    top = found.flatten().argsort(descending=True)[: int(inside.sum())]
    assert inside.flatten()[top].float().mean() > 0.75
    assert inside.flatten()[top[0]]
    # Far from the region, seeing a voxel says nothing: the mean score, 0.1 + 0.8 * 0.5.
    assert found[:, 20:, :4].mean() == pytest.approx(0.5, abs=0.02)


def test_seeded_by_the_clips_name(toy_model, toy_clips):
    method, (clips, target) = Rise3D(n_masks=20, grid=(2, 3, 3)), toy_clips
    one = method(toy_model, clips, target, ["a", "b"])
    assert torch.equal(one, method(toy_model, clips, target, ["a", "b"]))
    assert not torch.equal(one, method(toy_model, clips, target, ["a", "c"]))
    assert not torch.equal(one, Rise3D(n_masks=20, grid=(2, 3, 3), seed=1)(toy_model, clips, target, ["a", "b"]))


def test_batches(check_batches):
    check_batches(Rise3D(n_masks=20, grid=(2, 3, 3)))


@pytest.mark.parametrize("given", [{"n_masks": 0}, {"grid": (0, 7, 7)}, {"p": 1.0}, {"batch_size": 0}])
def test_settings_out_of_range(given):
    with pytest.raises(ValueError, match=next(iter(given))):
        Rise3D(**given)
