import numpy as np
import pytest
import torch

from swagv.geometry import Geometry


def test_resize_equals_torch_bilinear_without_antialiasing():
    frames = np.random.default_rng(0).integers(0, 256, (2, 240, 320, 3), dtype=np.uint8)
    resized = torch.nn.functional.interpolate(
        torch.from_numpy(frames).permute(0, 3, 1, 2).double(), size=(128, 171), mode="bilinear", align_corners=False
    )
    expected = resized.permute(0, 2, 3, 1).numpy()[:, 8:120, 30:142]
    assert np.abs(Geometry().frames(frames) - expected).max() <= 0.5001


def test_paper_offset_and_short_side():
    assert Geometry().offset(240, 320) == (8, 30)
    assert Geometry(resize=256, crop=224).resized(240, 320) == (256, 341)


def test_boxes_go_through_the_same_map_truncated_and_not_clipped():
    box = Geometry().boxes(np.array([[0.0, 0.0, 319.0, 239.0], [np.nan] * 4]), 240, 320)
    assert box[0].tolist() == [-30, -8, 140, 119]
    assert np.isnan(box[1]).all()


def test_boxes_clipped_or_with_their_fractions():
    box = np.array([[0.0, 0.0, 319.0, 239.0], [0.0, 0.0, 40.0, 200.0], [61.0, 20.0, 62.0, 22.0]])  # the second: outside
    exact = Geometry(truncate_boxes=False).boxes(box, 240, 320)
    assert exact[2].tolist() == pytest.approx(
        [61 * 171 / 320 - 30, 20 * 128 / 240 - 8, 62 * 171 / 320 - 30, 22 * 128 / 240 - 8]
    )
    clipped = Geometry(clip_boxes=True).boxes(box, 240, 320)
    assert clipped[0].tolist() == [0, 0, 111, 111]
    assert np.isnan(clipped[1]).all()


def test_a_resize_smaller_than_the_crop_is_refused():
    for resize in (100, (128, 100)):
        with pytest.raises(ValueError, match="fit the resize"):
            Geometry(resize=resize, crop=112)
