from math import hypot

import numpy as np
import pytest
import torch

from swagv.metrics.frame_profile import FrameProfile


def scores(heat, boxes):
    """profile, tracking error and gain of one clip."""
    found = FrameProfile()(None, None, np.asarray(heat)[None], None, boxes=np.asarray(boxes)[None])
    assert {name: value.shape for name, value in found.items()} == {
        "tracking_error": (1,),
        "tracking_gain": (1,),
        "profile": (1, len(heat)),
    }
    assert all(value.dtype == np.float64 for value in found.values())
    return found["profile"][0].tolist(), float(found["tracking_error"][0]), float(found["tracking_gain"][0])


def slow_error(heat, boxes):
    """The mean over the boxed frames, one voxel at a time; a voxel below 0 weighs nothing."""
    away = []
    for frame, (left, top, right, bottom) in zip(heat, boxes, strict=True):
        if any(np.isnan([left, top, right, bottom])):
            continue
        mass = across = down = 0.0
        for y, row in enumerate(frame):
            for x, value in enumerate(row):
                mass += max(float(value), 0.0)
                across += max(float(value), 0.0) * x
                down += max(float(value), 0.0) * y
        x, y = (across / mass, down / mass) if mass else ((len(frame[0]) - 1) / 2, (len(frame) - 1) / 2)
        distance = hypot(x - (left + right) / 2, y - (top + bottom) / 2)
        away.append(distance / hypot(right - left + 1, bottom - top + 1))
    return sum(away) / len(away)


def slow_scores(heat, boxes):
    frames, height, width = heat.shape
    mass = [sum(max(float(value), 0.0) for value in frame.flat) for frame in heat]
    profile = [one / sum(mass) if sum(mass) else 1 / frames for one in mass]
    mean = np.zeros((height, width))
    for frame in heat:
        for y in range(height):
            for x in range(width):
                mean[y, x] += max(float(frame[y, x]), 0.0) / frames
    error = slow_error(heat, boxes)
    return profile, error, slow_error([mean] * frames, boxes) - error


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", ["signed", "positive", "blank frames", "not one positive"])
def test_equals_the_slow_definition(kind):
    rng = np.random.default_rng(len(kind))
    heat = rng.normal(size=(5, 4, 6, 7)) * rng.uniform(0.1, 3, (5, 4, 1, 1))
    if kind == "positive":
        heat = np.abs(heat)
    elif kind == "blank frames":
        heat[:, 1:3] = -np.abs(heat[:, 1:3])
    elif kind == "not one positive":
        heat = -np.abs(heat)
    boxes = np.sort(rng.uniform(-1, 8, (5, 4, 2, 2)), axis=2).reshape(5, 4, 4)
    boxes[:2, 1], boxes[1, 3, 2] = np.nan, np.nan
    found = FrameProfile()(None, None, heat, None, boxes=boxes)
    for index, pair in enumerate(zip(heat, boxes, strict=True)):
        profile, error, gain = slow_scores(*pair)
        assert found["profile"][index] == pytest.approx(profile, rel=1e-12, abs=1e-15)
        assert found["tracking_error"][index] == pytest.approx(error, rel=1e-12)
        assert found["tracking_gain"][index] == pytest.approx(gain, rel=1e-9, abs=1e-14)
    assert found["profile"].sum(1) == pytest.approx(np.ones(5))


def moving_square(frames=5):
    """A square of 3x3 pixels that moves two pixels a frame, and its boxes."""
    heat, boxes = np.zeros((frames, 5, 2 * frames + 1)), np.empty((frames, 4))
    for t in range(frames):
        heat[t, 1:4, 2 * t : 2 * t + 3] = 1
        boxes[t] = 2 * t, 1, 2 * t + 2, 3
    return heat, boxes


def test_a_map_that_is_its_moving_box_follows_it():
    heat, boxes = moving_square()
    profile, error, gain = scores(heat, boxes)
    assert profile == [0.2] * 5
    assert error == pytest.approx(0, abs=1e-15)
    # The centres are 4, 2, 0, 2 and 4 pixels from their mean, and the diagonal of a box is that of 3x3 pixels.
    assert gain == pytest.approx(2.4 / hypot(3, 3))
    # Played backwards, the map is 8, 4, 0, 4 and 8 pixels off where its mean over time is as far off as before.
    _, error, gain = scores(heat[::-1], boxes)
    assert error == pytest.approx(4.8 / hypot(3, 3))
    assert gain == pytest.approx(-2.4 / hypot(3, 3))


def test_the_profile_counts_frames_without_a_box_and_the_error_does_not():
    heat, boxes = moving_square()
    heat *= np.array([1, 2, 3, 4, 6])[:, None, None]
    boxes[1:4] = np.nan
    profile, error, gain = scores(heat, boxes)
    assert profile == pytest.approx([1 / 16, 2 / 16, 3 / 16, 4 / 16, 6 / 16])
    assert error == pytest.approx(0, abs=1e-15)
    centre = (1 * 1 + 2 * 3 + 3 * 5 + 4 * 7 + 6 * 9) / 16  # of the mean over all five frames
    assert gain == pytest.approx(((centre - 1) + (9 - centre)) / 2 / hypot(3, 3))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("frames", [2, 3, 7, 10, 16])
def test_a_still_map_gains_exactly_nothing(frames, dtype):
    rng = np.random.default_rng(frames)
    for size in ((5, 7), (20, 33)):
        still = rng.normal(size=size).astype(dtype)
        boxes = np.tile([1.0, 1, 3, 4], (frames, 1)) + np.arange(frames)[:, None]
        boxes[0] = np.nan
        profile, error, gain = scores(np.tile(still, (frames, 1, 1)), boxes)
        assert gain == 0
        assert error > 0
        assert profile == pytest.approx([1 / frames] * frames)


@pytest.mark.parametrize("value", [3.0, 0.0, -1.0])
def test_a_constant_map_has_its_mass_in_the_middle(value):
    boxes = [[0.0, 0, 1, 1], [6.0, 4, 6, 4]]  # centres (0.5, 0.5) and (6, 4), of a map with the middle (3, 2)
    profile, error, gain = scores(np.full((2, 5, 7), value), boxes)
    assert profile == [0.5, 0.5]
    assert error == pytest.approx((hypot(2.5, 1.5) / hypot(2, 2) + hypot(3, 2) / hypot(1, 1)) / 2)
    assert gain == 0


def test_what_is_negative_weighs_nothing_and_the_scale_does_not_matter():
    rng = np.random.default_rng(0)
    heat, boxes = rng.normal(size=(4, 6, 7)), np.tile([1.0, 1, 3, 4], (4, 1))
    assert scores(np.where(heat < 0, 9 * heat, heat), boxes) == scores(heat, boxes)
    assert scores(8 * heat, boxes) == scores(heat, boxes)


def test_clips_do_not_know_of_each_other_and_tensors_are_taken_as_arrays():
    rng = np.random.default_rng(1)
    heat, boxes = rng.normal(size=(3, 4, 6, 7)).astype(np.float32), np.tile([1.0, 1, 3, 4], (3, 4, 1))
    together = FrameProfile()(None, None, torch.from_numpy(heat), None, boxes=torch.from_numpy(boxes))
    for index in range(3):
        profile, error, gain = scores(heat[index], boxes[index])
        assert together["profile"][index].tolist() == profile
        assert (together["tracking_error"][index], together["tracking_gain"][index]) == (error, gain)


def test_bad_inputs_are_refused():
    heat, boxes = np.zeros((1, 2, 4, 4)), np.tile([0.0, 0, 2, 2], (1, 2, 1))
    for bad_heat, bad_boxes, message in (
        (heat, boxes[:, :1], "do not fit"),
        (heat[0], boxes, "do not fit"),
        (np.full_like(heat, np.nan), boxes, "NaN"),
        (heat, boxes * np.nan, "no frame of this clip has a true box"),
    ):
        with pytest.raises(ValueError, match=message):
            FrameProfile()(None, None, bad_heat, None, boxes=bad_boxes)
