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


def test_boxes_go_through_the_same_map():
    box = Geometry().boxes(np.array([[0.0, 0.0, 319.0, 239.0], [np.nan] * 4]), 240, 320)
    assert box[0].tolist() == pytest.approx([-30, -8, 319 * 171 / 320 - 30, 239 * 128 / 240 - 8])
    assert np.isnan(box[1]).all()


def test_a_resize_smaller_than_the_crop_is_refused():
    for resize in (100, (128, 100)):
        with pytest.raises(ValueError, match="fit the resize"):
            Geometry(resize=resize, crop=112)
