import numpy as np
import pytest
import torch

from swagv.metrics.pointing import Pointing

NAMES = ["pointing", "pointing_frames", "energy_inside"]


def scores(heat, boxes, **settings):
    """The three scores of one clip."""
    found = Pointing(**settings)(None, None, np.asarray(heat)[None], None, boxes=np.asarray(boxes)[None])
    assert list(found) == NAMES
    assert all(value.shape == (1,) and value.dtype == np.float64 for value in found.values())
    return [float(found[name][0]) for name in NAMES]


def slow_scores(heat, boxes, tolerance):
    """The definitions, one voxel at a time."""
    voxels, by_frame = [], []
    for frame, (left, top, right, bottom) in zip(heat, boxes, strict=True):
        if any(np.isnan([left, top, right, bottom])):
            continue
        found = []
        for y, row in enumerate(frame):
            for x, value in enumerate(row):
                across = left - tolerance <= x <= right + tolerance
                found.append((float(value), across and top - tolerance <= y <= bottom + tolerance))
        best = max(value for value, _ in found)
        hits = [inside for value, inside in found if value == best]
        by_frame.append(sum(hits) / len(hits))
        voxels += found
    best = max(value for value, _ in voxels)
    hits = [inside for value, inside in voxels if value == best]
    total = sum(value for value, _ in voxels if value > 0)
    caught = sum(value for value, inside in voxels if value > 0 and inside)
    share = caught / total if total else float("nan")
    return [sum(hits) / len(hits), sum(by_frame) / len(by_frame), share]


def random_boxes(rng, frames, height, width):
    """Whole and broken numbers, now and then beyond the map; some frames have none, the first always has one."""
    corners = np.sort(rng.uniform(-2, [width + 2, height + 2], (frames, 2, 2)), axis=1).reshape(frames, 4)
    corners[::2] = np.round(corners[::2])
    corners[1:][rng.random(frames - 1) < 0.4] = np.nan
    return corners


@pytest.mark.parametrize("tolerance", [0, 1, 1.5])
@pytest.mark.parametrize("kind", ["distinct", "tied", "not one positive"])
def test_equals_the_slow_definition(kind, tolerance):
    rng = np.random.default_rng(len(kind))
    heat = rng.normal(size=(8, 4, 6, 7))
    heat = {"distinct": heat, "tied": np.clip(np.round(heat), -1, 1), "not one positive": -np.abs(heat)}[kind]
    boxes = np.stack([random_boxes(rng, 4, 6, 7) for _ in heat])
    found = Pointing(tolerance)(None, None, heat, None, boxes=boxes)
    for index, expected in enumerate(slow_scores(*pair, tolerance) for pair in zip(heat, boxes, strict=True)):
        assert [found[name][index] for name in NAMES] == pytest.approx(expected, rel=1e-12, nan_ok=True)
    assert np.isnan(found["energy_inside"]).all() == (kind == "not one positive")
    assert len(set(found["pointing_frames"])) > 2  # the data tells good clips from bad ones


def test_a_map_that_is_its_box_scores_1_and_one_of_the_rest_0():
    boxes = np.array([[1.0, 2, 3, 4], [2.0, 1, 5, 2], [np.nan] * 4])
    heat = np.zeros((3, 6, 7))
    heat[0, 2:5, 1:4], heat[1, 1:3, 2:6] = 1, 1
    assert scores(heat, boxes) == [1, 1, 1]
    assert scores(1 - heat, boxes) == [0, 0, 0]


def test_a_constant_map_scores_the_area_of_the_boxes():
    boxes = [[1.0, 2, 3, 4], [2.0, 1, 5, 2]]  # 9 and 8 of 42 pixels
    assert scores(np.full((2, 6, 7), 3.0), boxes) == pytest.approx([17 / 84] * 3)
    assert scores(np.full((2, 6, 7), -3.0), boxes)[:2] == pytest.approx([17 / 84] * 2)


def test_of_equal_maxima_every_one_counts():
    heat, boxes = np.zeros((2, 5, 5)), np.tile([1.0, 1, 2, 2], (2, 1))
    heat[0, 1, 1] = heat[0, 4, 4] = heat[0, 0, 0] = 7  # one of three inside
    heat[1, 2, 2] = 5
    assert scores(heat, boxes) == pytest.approx([1 / 3, (1 / 3 + 1) / 2, (7 + 5) / (3 * 7 + 5)])


def test_frames_without_a_box_are_not_looked_at():
    rng = np.random.default_rng(3)
    heat, boxes = rng.random((3, 5, 5)), np.array([[0.0, 0, 2, 2], [np.nan, 0, 4, 4], [1.0, 1, 4, 4]])
    raised = heat.copy()
    raised[1] += 100
    assert scores(raised, boxes) == scores(heat, boxes) == scores(heat[[0, 2]], boxes[[0, 2]])


def test_the_tolerance_widens_a_box_on_every_side():
    for y, x in ((3, 1), (3, 7), (1, 4), (6, 4)):  # two pixels from the left, right, top and bottom
        heat = np.zeros((1, 8, 9))
        heat[0, y, x] = 1
        assert scores(heat, [[3.0, 3, 5, 4]], tolerance=1.9) == [0, 0, 0]
        assert scores(heat, [[3.0, 3, 5, 4]], tolerance=2) == [1, 1, 1]


def test_only_the_order_of_the_values_matters_to_the_pointing_game():
    rng = np.random.default_rng(4)
    heat, boxes = rng.normal(size=(4, 6, 7)), random_boxes(rng, 4, 6, 7)
    assert scores(np.exp(3 * heat), boxes)[:2] == scores(heat, boxes)[:2]
    assert scores(8 * heat, boxes) == scores(heat, boxes)


def test_tensors_are_taken_as_arrays():
    rng = np.random.default_rng(5)
    heat, boxes = rng.random((2, 3, 5, 5)).astype(np.float32), np.tile([0.0, 1, 3, 3], (2, 3, 1))
    arrays = Pointing()(None, None, heat, None, boxes=boxes)
    tensors = Pointing()(None, None, torch.from_numpy(heat), None, boxes=torch.from_numpy(boxes))
    for name in NAMES:
        assert arrays[name].tolist() == tensors[name].tolist()


def test_bad_settings_and_inputs_are_refused():
    heat, boxes = np.zeros((1, 2, 4, 4)), np.tile([0.0, 0, 2, 2], (1, 2, 1))
    for tolerance in (-1, np.nan):
        with pytest.raises(ValueError, match=f"tolerance={tolerance}: must be at least 0"):
            Pointing(tolerance=tolerance)
    for bad_heat, bad_boxes, message in (
        (heat, boxes[:, :1], "do not fit"),
        (heat, boxes[..., :3], "do not fit"),
        (np.full_like(heat, np.nan), boxes, "NaN"),
        (np.full_like(heat, np.inf), boxes, "infinity"),
        (heat, boxes * np.nan, "no frame of this clip has a true box"),
    ):
        with pytest.raises(ValueError, match=message):
            Pointing()(None, None, bad_heat, None, boxes=bad_boxes)
