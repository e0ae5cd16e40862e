import base64
import io
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from swagv.figures.strips import choose_clips, strips_svg, versus_svg
from tests.test_figures import HOSTILE, LINK, SVG, texts

METHODS = ("grad_cam", "swagv_ig")
SCORES = {("c3d", "grad_cam"): (0.3, 0.6), ("c3d", "swagv_ig"): (0.2, 0.5)}
SCORES |= {("r3d", "grad_cam"): (0.1, np.nan), ("r3d", "swagv_ig"): (0.1, 0.7)}


def strip_rows(clips=("v@000000", "w@000008"), dataset="d"):
    said = {"target_name": "run", "p_target": 0.25, "top1_name": "run", "p_top1": 0.25, "frames": "1, 6, 11, 16"}
    return pd.DataFrame(
        [
            {"dataset": dataset, "model": model, "clip_id": clip, "method": method, "status": "ok"}
            | said
            | {"deletion_auc": deletion, "insertion_auc": insertion}
            for clip in clips
            for (model, method), (deletion, insertion) in SCORES.items()
        ]
    )


def pictures_of(rows, side=16):
    """Each of one colour, by which it is known again."""
    keys = list(rows[["dataset", "model", "clip_id", "method"]].itertuples(index=False, name=None))
    keys += dict.fromkeys((*key[:3], None) for key in keys)
    colours = np.random.default_rng(0).integers(30, 220, (len(keys), 3))
    return {
        key: np.broadcast_to(colour, (side, 4 * side, 3)).astype(np.uint8)
        for key, colour in zip(keys, colours, strict=True)
    }


def images(svg):
    """Of each picture its place and its pixels."""
    found = []
    for image in ET.fromstring(svg).iter(f"{SVG}image"):
        head, data = image.get(LINK).split(",")
        assert head == "data:image/jpeg;base64"
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
        found.append((float(image.get("x")), float(image.get("y")), pixels))
    return found


def at(svg, text):
    """Places of a text."""
    elements = [element for element in ET.fromstring(svg).iter(f"{SVG}text") if "".join(element.itertext()) == text]
    return [(float(element.get("x")), float(element.get("y"))) for element in elements]


def test_each_strip_stands_in_the_column_of_its_network_and_the_line_of_its_method():
    rows = strip_rows()
    pictures = pictures_of(rows)
    svg = strips_svg(rows, pictures)
    found = images(svg)
    assert len(found) == len(pictures)
    columns, lines = sorted({x for x, _, _ in found}), sorted({y for _, y, _ in found})
    labels = sorted(y for text in ("frames 1, 6, 11, 16", *METHODS) for _, y in at(svg, text))
    assert all(line < label < line + 76 for line, label in zip(lines, labels, strict=True))
    for column, model in enumerate(("c3d", "r3d")):
        for line, (clip, method) in enumerate((c, m) for c in ("v@000000", "w@000008") for m in (None, *METHODS)):
            (pixels,) = [pixels for x, y, pixels in found if (x, y) == (columns[column], lines[line])]
            assert np.abs(pixels.astype(int) - pictures["d", model, clip, method]).max() <= 3
    assert texts(svg).count("v@000000, d") == 2
    assert texts(svg).count("c3d: predicted run, p = 0.25") == 2


def test_another_class_that_is_explained_is_named():
    rows = strip_rows().assign(target_name="jump", p_target=0.05)
    assert "c3d: predicted run, p = 0.25; explained jump, p = 0.05" in texts(strips_svg(rows, pictures_of(rows)))
    lost = strip_rows().assign(p_top1=np.nan, top1_name=None, target_name=None)
    assert "c3d: no prediction" in texts(strips_svg(lost, pictures_of(lost)))


def test_a_failed_explanation_is_its_status_and_names_are_escaped():
    rows = strip_rows(["\x0b" + HOSTILE], HOSTILE)
    rows.loc[0, "status"] = f"NaN {HOSTILE}"
    pictures = pictures_of(rows)
    del pictures[tuple(rows.loc[0, ["dataset", "model", "clip_id", "method"]])]
    svg = strips_svg(rows, pictures)
    assert len(images(svg)) == 5
    assert f"NaN {HOSTILE}" in texts(svg)
    assert f"\ufffd{HOSTILE}, {HOSTILE}" in texts(svg)
    assert svg == strips_svg(rows, pictures)


def test_a_long_text_is_cut_and_shows_whole_on_hovering():
    rows = strip_rows(["x" * 300])
    svg = strips_svg(rows, pictures_of(rows))
    title = next(element for element in ET.fromstring(svg).iter(f"{SVG}title"))
    assert title.text == "x" * 300 + ", d"
    shown = [element.text for element in ET.fromstring(svg).iter(f"{SVG}text") if len(element)]
    assert all(text.endswith("x…") and 20 < len(text) < 60 for text in shown)


def test_versus_has_the_better_score_of_the_two_in_bold():
    rows = strip_rows(["v@000000"])
    svg = versus_svg(rows, pictures_of(rows))
    spans = [(span.text, span.get("font-weight") == "bold") for span in ET.fromstring(svg).iter(f"{SVG}tspan")]
    assert spans == [
        ("deletion AUC ↓ 0.300", False), ("insertion AUC ↑ 0.600", True),
        ("deletion AUC ↓ 0.200", True), ("insertion AUC ↑ 0.500", False),
        ("deletion AUC ↓ 0.100", True), ("insertion AUC ↑ –", False),
        ("deletion AUC ↓ 0.100", True), ("insertion AUC ↑ 0.700", True),
    ]  # fmt: skip
    with pytest.raises(ValueError, match="not grad_cam: name two"):
        versus_svg(rows[rows.method == "grad_cam"], {})


@pytest.mark.parametrize(("count", "side"), [(1, 224), (5, 160)])
def test_noise_is_made_smaller_until_it_fits(count, side):
    rows = strip_rows([f"v@{index:06d}" for index in range(count)])
    noise = np.random.default_rng(0).integers(0, 256, (224, 896, 3), dtype=np.uint8)
    svg = strips_svg(rows, dict.fromkeys(pictures_of(rows), noise))
    assert len(svg) < 1_500_000
    sizes = {pixels.shape for _, _, pixels in images(svg)}
    assert len(sizes) == 1
    assert max(sizes)[0] <= side


def test_what_cannot_fit_says_what_to_do():
    rows = strip_rows([f"v@{index:06d}" for index in range(40)])
    noise = np.random.default_rng(0).integers(0, 256, (56, 224, 3), dtype=np.uint8)
    with pytest.raises(ValueError, match=r"240 filmstrips do not fit into 1\.5 MB: show fewer"):
        strips_svg(rows, dict.fromkeys(pictures_of(rows), noise))


def test_nothing_to_show_says_so():
    for draw in (strips_svg, versus_svg):
        assert texts(draw(strip_rows()[:0], {})) == ["No clip has a prediction, so there is nothing to explain."]


def test_clips_of_different_classes_come_first():
    said = [
        {"dataset": "d", "model": model, "shard": "s", "clip_id": clip, "status": status, "top1": top1}
        for model, shift in (("m", 0), ("n", 7))
        for clip, status, top1 in (
            ("d", "ok", 1),
            ("c", "ok", 1 + shift),
            ("b", "ok", 1),
            ("a", "bad", 2),
            ("e", "ok", 3),
        )
    ]
    found = choose_clips(pd.DataFrame([*said, said[0] | {"dataset": "t"}]), 3)
    assert found[["dataset", "clip_id"]].to_numpy().tolist() == [["d", "b"], ["d", "e"], ["d", "c"], ["t", "d"]]
    assert set(found.model) == {"m"}
