import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import regionprops

from swagv.metrics.localisation import ALPHAS, Localisation, _as_threshold, boxes_above, iou


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
