import numpy as np
import pytest
import torch

from swagv.methods.controls import Centre, FullFrame, RandomPoint


def test_centre_is_one_minus_distance():
    heat = Centre().frame_map(5, 7, "x")
    assert heat[2, 3] == 1
    assert heat[0, 0] == heat[4, 6] == 0
    assert heat[2, 0] == pytest.approx(1 - 3 / np.hypot(2, 3))


def test_random_is_one_pixel_drawn_from_the_clips_name_equal_in_all_frames():
    one, again, other = (RandomPoint().volume((4, 20, 30), name) for name in ("a", "a", "b"))
    assert (one == again).all()
    assert (one != other).any()
    assert (one == one[0]).all()
    assert (one[0] == 1).sum() == 1
    assert (RandomPoint(seed=1).volume((4, 20, 30), "a") != one).any()
    peaks = [np.argmax(RandomPoint().frame_map(8, 8, str(i))) for i in range(2000)]
    assert np.bincount(peaks, minlength=64).min() > 10  # uniform over the pixels: 31 expected


def test_calling_a_control_gives_the_same_maps():
    clips = torch.zeros(2, 3, 4, 6, 8)
    assert torch.equal(FullFrame()(None, clips, None), torch.ones(2, 4, 6, 8))
    maps = RandomPoint()(None, clips, None, ["a", "b"])
    assert (maps[1].numpy() == RandomPoint().volume((4, 6, 8), "b")).all()
