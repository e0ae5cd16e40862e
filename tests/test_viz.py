import base64
import io

import numpy as np
import pytest
from PIL import Image

from swagv.viz import draw_box, filmstrip, heatmap, overlay, png_data_uri

RNG = np.random.default_rng(0)
FRAMES = RNG.integers(0, 256, (16, 8, 10, 3), dtype=np.uint8)
MAP = RNG.normal(size=(16, 8, 10)).astype(np.float32)
BOX = (2, 2, 6, 5)


def test_heatmap_runs_over_the_whole_clip_not_each_frame():
    heat = heatmap(np.stack([np.full((2, 2), value) for value in (-1.0, 0.0, 3.0)]))
    assert np.array_equal(heat[:, 0, 0], [0, 0.25, 1])


def test_heatmap_of_a_constant_map_is_zero():
    assert not heatmap(np.full((4, 3, 3), 7.0)).any()


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_heatmap_of_extreme_values_stays_finite(dtype):
    heat = heatmap(np.array([[[np.finfo(dtype).min, np.finfo(dtype).max]]], dtype))
    assert np.array_equal(heat, [[[0, 1]]])


def test_overlay_without_opacity_is_the_frames():
    assert np.array_equal(overlay(FRAMES, MAP, opacity=0), FRAMES)


def test_overlay_does_not_depend_on_scale_or_offset():
    assert overlay(FRAMES, MAP).dtype == np.uint8
    assert np.array_equal(overlay(FRAMES, MAP), overlay(FRAMES, 8 * MAP.astype(float) + 4))


def test_overlay_is_brighter_where_the_attribution_is_higher():
    ramp = np.linspace(0, 1, 20).reshape(1, 1, 20)
    grey = overlay(np.zeros((1, 1, 20, 3), np.uint8), ramp, opacity=1).astype(float) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(grey.ravel()) > 0).all()


def test_overlay_names_both_shapes_when_they_do_not_fit():
    with pytest.raises(ValueError, match=r"\(15, 8, 10\).*\(16, 8, 10, 3\)"):
        overlay(FRAMES, MAP[1:])


def test_box_changes_its_border_only_and_leaves_the_input_alone():
    image = np.zeros((8, 10, 3), np.uint8)
    drawn = draw_box(image, BOX)
    assert not image.any()
    x_min, y_min, x_max, y_max = BOX
    assert drawn[[y_min, y_max], x_min : x_max + 1].any(-1).all()
    assert drawn[y_min : y_max + 1, [x_min, x_max]].any(-1).all()
    assert not drawn[y_min + 1 : y_max, x_min + 1 : x_max].any()


def test_box_outside_the_image_is_clipped():
    assert draw_box(FRAMES[0], (-5, -5, 50, 50)).shape == FRAMES[0].shape


def test_absent_box_draws_nothing():
    assert np.array_equal(draw_box(FRAMES[0], (np.nan,) * 4), FRAMES[0])


def test_filmstrip_sets_the_chosen_frames_side_by_side():
    strip = filmstrip(FRAMES)
    assert strip.shape == (8, 40, 3)
    assert np.array_equal(strip[:, 10:20], FRAMES[5])


def test_filmstrip_normalises_over_all_frames_not_the_shown_ones():
    boxes = np.full((16, 4), np.nan, np.float32)
    assert np.array_equal(filmstrip(FRAMES, MAP, boxes, (3,)), overlay(FRAMES, MAP)[3])


def test_filmstrip_draws_the_box_of_each_frame():
    boxes = np.full((16, 4), np.nan, np.float32)
    boxes[5] = BOX
    strip = filmstrip(FRAMES, None, boxes, (0, 5))
    assert np.array_equal(strip, np.hstack([FRAMES[0], draw_box(FRAMES[5], BOX)]))


def test_data_uri_holds_the_image_without_loss():
    head, data = png_data_uri(FRAMES[0]).split(",")
    assert head == "data:image/png;base64"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))), FRAMES[0])
