import av
import numpy as np
import pytest

import swagv.viz
from swagv.geometry import Geometry
from swagv.viz import (
    BAR_HEIGHT,
    Scale,
    draw_box,
    filmstrip,
    heatmap,
    onto_video,
    overlay,
    title_bar,
    write_video,
)

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


@pytest.mark.parametrize("every", [1_000, 25_600])
def test_a_few_extreme_values_do_not_set_the_scale(every):
    values = np.abs(RNG.normal(size=(16, 40, 40)))
    values.flat[::every] = 500
    scale = Scale.of(values)
    assert scale.high < 3.5
    assert heatmap(values).mean() > 0.2


def test_a_map_that_is_zero_nearly_everywhere_runs_to_its_highest_value():
    values = np.zeros((16, 40, 40))
    values[0, 0, 0] = 2
    assert Scale.of(values) == Scale(0, 2)
    assert heatmap(values).sum() == 1


def test_a_signed_scale_is_even_and_clear_at_zero():
    scale = Scale.of(MAP, signed=True)
    assert scale.low == -scale.high < 0
    values = np.array([[[-9.0, -1e-9, 0.0, 9.0]]])
    grey = np.full((1, 1, 4, 3), 128, np.uint8)
    below, small, zero, above = overlay(grey, values, 1, scale, muted=False)[0, 0].astype(int)
    assert zero.tolist() == small.tolist() == [128] * 3
    assert below[2] - below[0] > 100  # blue
    assert above[0] - above[2] > 100  # red


def test_overlay_without_opacity_is_the_frames():
    assert np.array_equal(overlay(FRAMES, MAP, opacity=0, muted=False), FRAMES)


def test_muted_frames_are_nearly_grey_and_darker():
    shown = overlay(FRAMES, MAP, opacity=0).astype(int)
    assert np.ptp(shown, -1).max() <= 0.3 * 0.75 * 255 + 1
    assert shown.max() <= 0.75 * 255 + 1
    assert np.corrcoef(shown.mean(-1).ravel(), FRAMES.mean(-1).ravel())[0, 1] > 0.9


def test_borders_are_those_between_labels_and_of_the_seen():
    grey, labels = np.full((2, 6, 8, 3), 100, np.uint8), np.zeros((2, 6, 8), int)
    labels[:, :, 4:] = 1
    labels[1, :, 7] = -1  # not seen
    drawn = (overlay(grey, np.zeros((2, 6, 8)), labels=labels, muted=False) != 100).any(-1)
    assert np.array_equal(np.flatnonzero(drawn[0].all(0)), [3, 4])
    assert np.array_equal(np.flatnonzero(drawn[1].all(0)), [3, 4, 6])
    assert drawn.sum() == 6 * 5
    with pytest.raises(ValueError, match="labels"):
        overlay(grey, np.zeros((2, 6, 8)), labels=labels[:1])


@pytest.mark.parametrize("geometry", [Geometry(), Geometry(resize=256, crop=224), Geometry(resize=(50, 60), crop=41)])
@pytest.mark.parametrize("video", [(240, 320), (101, 76)])
def test_onto_video_undoes_the_geometry(geometry, video):
    """A smooth picture through the geometry and back is itself where the crop was, and nothing elsewhere."""
    y, x = np.mgrid[: video[0], : video[1]] / np.reshape(video, (2, 1, 1))
    picture = np.stack([y, x, 0 * x], -1) * 255
    seen = geometry.frames(np.rint(picture).astype(np.uint8)).astype(np.float32)
    for channel in (0, 1):
        laid = onto_video(seen[..., channel], geometry, video)
        inside = np.isfinite(laid)
        assert np.abs(laid - picture[..., channel])[inside].max() < 5
        height, width = geometry.resized(*video)
        share = (min(geometry.crop, height) / height) * (min(geometry.crop, width) / width)
        assert abs(inside.mean() - share) < 0.03


def test_onto_video_in_another_size_keeps_labels_whole():
    labels = np.arange(4, dtype=np.uint16).reshape(1, 2, 2)
    laid = onto_video(labels, Geometry(resize=2, crop=2), (20, 40), (10, 20))
    assert laid.shape == (1, 10, 20)
    assert set(np.unique(laid)) == {-1, 0, 1, 2, 3}
    assert (laid[0, :, :5] == -1).all()
    assert (laid[0, :5, 5:10] == 0).all()
    assert (laid[0, 5:, 10:15] == 3).all()


def test_title_bar_has_the_text_and_the_colours_between_their_numbers():
    empty, text, bar = (
        title_bar(*given).astype(int) for given in (("", 320), ("grad_cam", 320), ("", 320, Scale(0, 1)))
    )
    assert empty.shape == (BAR_HEIGHT, 320, 3)
    assert not np.ptp(empty, (0, 1)).any()
    assert np.flatnonzero((text != empty).any((0, 2))).max() < 120
    assert np.flatnonzero((bar != empty).any((0, 2))).min() > 200
    middle = bar[BAR_HEIGHT // 2]
    coloured = np.flatnonzero(np.ptp(middle, -1) > 40)
    assert np.diff(middle[coloured[[0, -1]]].sum(-1)) > 0  # brighter to the right
    other = title_bar("", 320, Scale(0, 0.25)).astype(int)
    assert (other != bar)[:, coloured[-1] + 3 :].any()  # another number
    signed = title_bar("", 320, Scale(-1, 1, True)).astype(int)[BAR_HEIGHT // 2]
    coloured = np.flatnonzero(np.ptp(signed, -1) > 40)
    assert signed[coloured[0], 2] > signed[coloured[0], 0]
    assert signed[coloured[-1], 0] > signed[coloured[-1], 2]


def test_a_long_title_is_cut_before_the_colours():
    bar = title_bar("a very long name of a method indeed", 224, Scale(0, 1)).astype(int)
    alone = title_bar("", 224, Scale(0, 1)).astype(int)
    start = np.flatnonzero((alone != alone[0, 0]).any((0, 2)))[0]
    assert np.array_equal(bar[:, start:], alone[:, start:])
    assert (bar[:, :start] != alone[:, :start]).any()


def test_write_video_takes_frames_as_they_come(tmp_path):
    frames = np.repeat(np.linspace(20, 230, 10).astype(np.uint8), 33 * 64 * 3).reshape(10, 33, 64, 3)
    assert write_video(tmp_path / "any.name", iter(frames), 12.5) == ""
    with av.open(str(tmp_path / "any.name")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, float(stream.average_rate)) == ("h264", 12.5)
        found = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(stream)])
    assert found.shape == (10, 32, 64, 3)
    assert np.abs(found.astype(int) - frames[:, :32]).max() < 6


def test_write_video_of_nothing_or_of_two_sizes(tmp_path):
    with pytest.raises(ValueError, match="at least one frame"):
        write_video(tmp_path / "v.mp4", [], 25)
    with pytest.raises(ValueError, match=r"\(16, 16, 3\); this video has 32x32 pixels"):
        write_video(tmp_path / "v.mp4", [np.zeros((side, side, 3), np.uint8) for side in (32, 16)], 25)


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


def test_what_fails_while_a_film_is_closed_does_not_hide_why_it_had_to_be(monkeypatch):
    """As on a full disk, where FFmpeg fails once more with what it still holds."""

    class Full:
        def close(self):
            raise av.FFmpegError(1, "Error in PyAV callback")

    monkeypatch.setattr(av, "open", lambda *args, **kwargs: Full())
    with pytest.raises(OSError, match="No space left on device"), swagv.viz._mp4(None):
        raise OSError("No space left on device")
    with pytest.raises(av.FFmpegError), swagv.viz._mp4(None):
        pass
