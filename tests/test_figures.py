"""What the figures share, and how the tests read a figure back: pixels to values, by its own tick labels."""

import re
import xml.etree.ElementTree as ET

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import ImageFont

from swagv.figures import curves_svg, method_style
from swagv.figures.drawing import STYLE, message_svg, style_of, svg_of, text_width, xml_text
from swagv.fingerprint import imported_modules

SVG = "{http://www.w3.org/2000/svg}"
LINK = "{http://www.w3.org/1999/xlink}href"
HOSTILE = '_a<b>&"$x$ {z}'


def texts(svg):
    """Every text of a figure, those of several lines as one."""
    return ["".join(element.itertext()) for element in ET.fromstring(svg).iter(f"{SVG}text")]


def panels(svg):
    return [group for group in ET.fromstring(svg).iter(f"{SVG}g") if re.fullmatch(r"axes_\d+", group.get("id", ""))]


def ticks(axes, which):
    """Pixel and label of every labelled tick of the x (0) or y (1) axis."""
    found = []
    for tick in axes.iter(f"{SVG}g"):
        label = tick.find(f".//{SVG}text") if tick.get("id", "").startswith("xy"[which] + "tick_") else None
        if label is not None:
            mark = tick.find(f".//{SVG}use")
            found.append((float((label if mark is None else mark).get("xy"[which])), "".join(label.itertext())))
    return found


def values(axes, which, pixels, log=False):
    """Pixels as values of an axis."""
    known = [(pixel, float(label.replace("−", "-"))) for pixel, label in ticks(axes, which)]
    at, value = np.array(known).T
    slope, offset = np.polyfit(at, np.log(value) if log else value, 1)
    found = slope * np.asarray(pixels) + offset
    return np.exp(found) if log else found


def parts(axes, kind):
    """The artists of a panel itself, not of its axes, in the order in which they were drawn."""
    return [group for group in axes.findall(f"{SVG}g") if group.get("id").startswith(kind)]


def markers(axes):
    """Pixels (n, 2) of the markers of each line."""
    lines = [[(use.get("x"), use.get("y")) for use in line.iter(f"{SVG}use")] for line in parts(axes, "line2d_")]
    return [np.array(line, float) for line in lines if line]


def path_of(element):
    """Pixels (n, 2) of a path of straight lines, which stands where it is used."""
    pixels = np.array(re.findall(r"[ML] (\S+) (\S+)", element.find(f".//{SVG}path").get("d")), float)
    used = element.find(f".//{SVG}use")
    return pixels if used is None else pixels + np.array([used.get("x"), used.get("y")], float)


def bars(axes):
    """Pixels (n, 2, 2) of the vertical bars of each line."""
    groups = [
        re.findall(r"[ML] (\S+) (\S+)", ET.tostring(group, "unicode")) for group in parts(axes, "LineCollection_")
    ]
    return [np.array(group, float).reshape(-1, 2, 2) for group in groups]


def test_the_reader_inverts_an_axis_that_is_known():
    axes = ET.fromstring(
        f'<g xmlns="{SVG[1:-1]}"><g id="ytick_1"><use x="0" y="90"/><text>−1</text></g>'
        '<g id="ytick_2"><use x="0" y="10"/><text>3</text></g></g>'
    )
    assert values(axes, 1, [90, 50, 10]) == pytest.approx([-1, 1, 3])


@pytest.mark.parametrize("drawn", [["b"], ["a", "b", "c"]])
def test_a_method_looks_the_same_whichever_others_are_drawn(drawn):
    assert style_of(drawn, ["c", "b", "a"])["b"] == method_style("abc")["b"]


def test_no_two_methods_share_colour_and_marker():
    methods = [f"m{index:03d}" for index in range(110)]
    assert len({(look["color"], look["marker"]) for look in style_of(methods, methods, markers=True).values()}) == 110


def test_a_method_that_is_not_of_the_run_has_no_colour():
    with pytest.raises(ValueError, match="no colour for b, c"):
        style_of(["c", "a", "b"], ["a", "d"])


@pytest.mark.parametrize("text", ["swagv_ig", "r2plus1d_18 on kinetics400, 512 clips", "WWW iii"])
def test_width_of_a_text_is_pillows(text):
    font = ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf", 1100)
    assert text_width(text, 11) == pytest.approx(font.getlength(text) / 100, rel=0.01)


def test_what_xml_cannot_hold_is_replaced_and_the_rest_is_kept():
    text = "".join(map(chr, range(32))) + "aé★\U0001f600\ufffe\ud800"
    assert (
        xml_text(text) == "\ufffd" * 9 + "\t\n" + "\ufffd" * 2 + "\r" + "\ufffd" * 18 + "aé★\U0001f600" + "\ufffd" * 2
    )
    ET.fromstring(f"<a>{xml_text(text)}</a>")


def test_a_message_is_text_without_a_version():
    svg = message_svg(HOSTILE)
    assert texts(svg) == [HOSTILE]
    assert "matplotlib v" not in svg.lower()


@matplotlib.rc_context(STYLE)
def test_names_inside_the_svg_do_not_change_with_the_last_digit_of_a_layout():
    drawn = set()
    for noise in (0, 1e-13):
        figure = Figure()
        axes = figure.add_axes((0.1 + noise, 0.1, 0.8, 0.8))
        axes.plot([0, 1], [0, 1])
        drawn.add(svg_of(figure))
    (svg,) = drawn
    (clip,) = (clip.get("id") for clip in ET.fromstring(svg).iter(f"{SVG}clipPath"))
    assert svg.count(f"url(#{clip})") >= 1


def curve_rows(method, level, status="ok"):
    return [
        {
            "method": method,
            "clip_id": f"v{i}@000000",
            "status": status,
            "deletion_curve": [level + 0.01 * i, level, 0.1],
            "insertion_curve": [0] * 3,
        }
        for i in range(3)
    ]


def test_curves_are_the_means_and_their_bands_the_bootstrap_over_videos():
    clips = pd.DataFrame(curve_rows("a", 0.4) + curve_rows("b", 0.7) + curve_rows("b", 0.0, "failed"))
    svg = curves_svg(clips, "deletion", ["a", "b", HOSTILE])
    (axes,) = panels(svg)
    for line, mean in zip(parts(axes, "line2d_"), (0.41, 0.71), strict=True):
        pixels = path_of(line)
        assert values(axes, 0, pixels[:, 0]) == pytest.approx([0, 0.5, 1], abs=1e-4)
        assert values(axes, 1, pixels[:, 1]) == pytest.approx([mean, mean - 0.01, 0.1], abs=1e-4)
    # Of three videos in 27 equally likely draws: 0.4 three times is 1 of them, more than 2.5 %.
    edge = values(axes, 1, path_of(parts(axes, "FillBetween")[0])[:, 1])
    assert (edge.min(), edge.max()) == pytest.approx((0.1, 0.42), abs=1e-4)
    # Three clips of one video say nothing of the spread.
    alone = curves_svg(clips.assign(clip_id="v0@000000"), "deletion", ["a", "b"])
    assert parts(panels(alone)[0], "FillBetween")[0].find(f".//{SVG}path") is None
    assert svg == curves_svg(clips, "deletion", ["a", "b", HOSTILE])


def test_curves_of_a_method_without_a_scored_clip_are_left_out():
    clips = pd.DataFrame(curve_rows(HOSTILE, 0.4) + curve_rows("b", 0.7, "failed"))
    svg = curves_svg(clips, "insertion", ["b", HOSTILE])
    assert HOSTILE in texts(svg)
    assert "b" not in texts(svg)
    empty = curves_svg(clips[clips.method == "b"], "insertion", ["b"])
    assert "Insertion" in texts(empty)


def test_who_draws_with_a_figure_depends_on_its_code():
    assert {"swagv.figures.curves", "swagv.figures.drawing"} <= imported_modules(["swagv.report"]).keys()
