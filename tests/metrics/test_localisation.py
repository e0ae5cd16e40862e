import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import regionprops

from swagv.geometry import Geometry
from swagv.metrics.localisation import ALPHAS, Localisation, _as_threshold, boxes_above, iou, largest_boxes_above


def slow_mask(heat, rule, alpha):
    if rule == "value":
        return heat - heat.min() >= alpha * (heat.max() - heat.min())
    if heat.min() < 0:
        heat = heat - heat.min()
    if rule == "mean":
        return heat >= alpha * heat.mean()
    order, mask, total = np.argsort(-heat, axis=None, kind="stable"), np.zeros(heat.size, bool), 0.0
    target = alpha * np.cumsum(heat.ravel()[order])[-1]
    for voxel in order:
        total += heat.ravel()[voxel]
        if total >= target:
            break
        mask[voxel] = True
    return mask.reshape(heat.shape)


def test_boxes_equal_a_slow_mask_and_regionprops():
    rng = np.random.default_rng(1)
    for heat in (rng.random((3, 6, 6)), np.round(rng.random((3, 6, 6)) * 3), rng.normal(size=(3, 6, 6))):
        for rule, alphas in ALPHAS.items():
            found, empty = boxes_above(*_as_threshold(heat, rule, alphas))
            for a, alpha in enumerate(alphas):
                mask = slow_mask(heat, rule, alpha)
                for t in range(3):
                    assert empty[a, t] == (not mask[t].any())
                    y0, x0, y1, x1 = regionprops(mask[t].astype(int))[0].bbox if mask[t].any() else (0, 0, 6, 6)
                    assert found[a, t].tolist() == [x0, y0, x1 - 1, y1 - 1], (rule, alpha, t)


def test_largest_component_equals_a_flood_fill():
    rng = np.random.default_rng(0)
    for heat in (rng.random((2, 7, 7)), np.round(rng.random((2, 7, 7)) * 3)):
        thresholds = np.array([0.2, 0.7, 0.9, 1.5, 9.0])
        found, empty = largest_boxes_above(heat, thresholds)
        for a, threshold in enumerate(thresholds):
            for t in range(2):
                left, parts = {tuple(p) for p in np.argwhere(heat[t] >= threshold)}, []
                while left:
                    part, edge = [], [min(left)]
                    left.remove(edge[0])
                    while edge:
                        y, x = edge.pop()
                        part.append((y, x))
                        near = {(y + i, x + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & left
                        left -= near
                        edge += near
                    parts.append(np.array(part))
                assert empty[a, t] == (not parts)
                if parts:
                    (y0, x0), (y1, x1) = (f(max(parts, key=len), 0) for f in (np.min, np.max))
                    assert found[a, t].tolist() == [x0, y0, x1, y1]


def test_switches_of_empty_frames_widths_and_components():
    boxes = np.tile([0.0, 0, 63, 63], (2, 1))
    heat = np.zeros((2, 64, 64))
    heat[0] = 1  # nothing of the second frame survives an alpha above 0
    whole, none = (Localisation(empty_frame=rule).of_clip(heat, boxes) for rule in ("whole_frame", "no_box"))
    assert whole["hits_value"].all()
    assert none["hits_value"].tolist() == [True] + [False] * 19  # at alpha 0 everything survives; then 1/2 is not more
    assert (none["empty_frames_value"] == whole["empty_frames_value"]).all()
    assert iou(np.array([0.0, 0, 1, 1]), np.array([0.0, 0, 3, 1])) == 4 / 8
    assert iou(np.array([0.0, 0, 1, 1]), np.array([0.0, 0, 3, 1]), inclusive=False) == 1 / 3
    # Half-open true boxes: the whole map is the whole frame, whatever the convention.
    half_open, strict = np.tile([0.0, 0, 64, 64], (2, 1)), Localisation(inclusive=False, iou_threshold=0.99)
    assert strict.of_clip(np.ones_like(heat), half_open)["hits_mean"][0]
    spread = np.zeros((1, 64, 64))
    spread[0, 10:40, 10:40], spread[0, 63, 63] = 1, 1
    truth = np.array([[10.0, 10, 39, 39]])
    assert not Localisation().of_clip(spread, truth)["hits_value"][1:].any()
    assert Localisation(largest_component=True).of_clip(spread, truth)["hits_value"][1:].all()
    for wrong in ({"empty_frame": "x"}, {"iou_threshold": 1.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Localisation(**wrong)


def test_true_boxes_are_truncated_or_not_and_clipped_or_not():
    box = np.array([[0.0, 0.0, 319.0, 239.0], [0.0, 0.0, 40.0, 200.0], [61.0, 20.0, 62.0, 22.0], [np.nan] * 4])
    mapped = Localisation().true_boxes(box, Geometry(), (240, 320))
    assert mapped[0].tolist() == [-30, -8, 140, 119]
    assert mapped[2].tolist() == [2, 2, 3, 3]
    exact = Localisation(truncate_boxes=False).true_boxes(box, Geometry(), (240, 320))
    assert np.array_equal(exact, Geometry().boxes(box, 240, 320), equal_nan=True)
    clipped = Localisation(clip_boxes=True).true_boxes(box, Geometry(), (240, 320))
    assert clipped[0].tolist() == [0, 0, 111, 111]
    assert np.isnan(clipped[[1, 3]]).all()  # the second lies outside the crop


corner = st.integers(0, 8)


@settings(derandomize=True)
@given(*[st.tuples(corner, corner, corner, corner)] * 2)
def test_iou_of_any_two_boxes_counts_pixels(one, two):
    masks, boxes = [], []
    for x0, y0, x1, y1 in (one, two):
        (x0, x1), (y0, y1) = sorted((x0, x1)), sorted((y0, y1))
        mask = np.zeros((9, 9), bool)
        mask[y0 : y1 + 1, x0 : x1 + 1] = True
        masks.append(mask)
        boxes.append(np.array([x0, y0, x1, y1], float))
    assert iou(*boxes) == (masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum()


def test_a_map_of_the_true_box_is_a_hit_and_a_full_frame_is_not():
    boxes = np.tile([10.0, 12, 30, 40], (16, 1))
    heat = np.zeros((16, 64, 64), np.float32)
    heat[:, 12:41, 10:31] = 1
    assert Localisation().of_clip(heat, boxes)["hits_value"][1:].all()
    flat = Localisation().of_clip(np.ones_like(heat), boxes)
    assert not any(flat[f"hits_{rule}"].any() for rule in ALPHAS)
