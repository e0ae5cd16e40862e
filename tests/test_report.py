import base64
import hashlib
import io
import json
import re
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest
import zarr
from PIL import Image

from swagv.figures import curves_svg, method_style
from swagv.gallery import Example, sprite
from swagv.report import write_report
from swagv.typeset import build_table, to_html

METHODS = ("centre", "swagv_i")
CLIPS = ("a@000000", "b@000000", "c@000000")
BROKEN = "<b>cut & short</b>"


def clip_rows(method: str, level: float) -> list[dict]:
    names = {"dataset": "d", "model": "m", "method": method, "shard": "s0", "target": 0}
    rows = [
        names
        | {"clip_id": clip_id, "status": "ok", "deletion_auc": level, "insertion_auc": 1 - level}
        | {"deletion_curve": [level + 0.01 * i] * 29, "insertion_curve": [1 - level] * 29}
        for i, clip_id in enumerate(CLIPS)
    ]
    return [*rows, names | {"clip_id": "bad@000000", "status": "NaN attribution"}]


def summary_rows(metrics: dict[str, tuple[float, float]]) -> list[dict]:
    return [
        {"dataset": "d", "model": "m", "method": method, "metric": metric, "n": 3, "n_failed": 1}
        | {"mean": value, "ci_low": value - 0.01, "ci_high": value + 0.01}
        | {"higher_is_better": metric == "insertion_auc"}
        for metric, values in metrics.items()
        for method, value in zip(METHODS, values, strict=True)
    ]


def save_store(path, attributes, **arrays):
    group = zarr.create_group(store=str(path))
    for name, values in arrays.items():
        group.create_array(name, data=values)
    group.attrs.update({"clip_ids": list(CLIPS), "status": ["ok"] * 3} | attributes | {"complete": True})
    return path


@pytest.fixture
def run(tmp_path):
    """Arguments of write_report for three ok clips, two of them of one class, and a broken video."""

    def table(name, rows):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(rows).to_parquet(tmp_path / name)
        return tmp_path / name

    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (3, 16, 8, 10, 3), dtype=np.uint8)
    stored = {"sizes": [[8, 10]] * 3, "spec": {"geometry": {"resize": [8, 10], "crop": 8}}}
    clips = save_store(tmp_path / "clips" / "s0.zarr", stored, frames=frames, boxes=np.full((3, 16, 4), 2, np.float32))
    status = {"centre": ["ok"] * 3, "swagv_i": ["one segment", "ok", "ok"]}
    examples = [
        Example("d", "m", method, clips, save_store(tmp_path / method / "s0.zarr", {"status": status[method]},
                attribution=rng.normal(size=(3, 16, 8, 10)).astype(np.float32)))
        for method in METHODS
    ]  # fmt: skip
    said = [
        {"dataset": "d", "model": "m", "shard": "s0", "clip_id": clip_id, "target": top1, "p_target": 0.9}
        | {"label": 0, "p_label": 0.9, "top1": top1, "top1_name": f"class{top1}", "p_top1": 0.9, "status": "ok"}
        | {"target_name": f"class{top1}"}
        for clip_id, top1 in zip(CLIPS, (0, 0, 1), strict=True)
    ]
    planned = [{"clip_id": c, "video_id": c[0], "label": "0", "status": "ok", "detail": ""} for c in CLIPS]
    broken = {"clip_id": "x@000000", "video_id": "x", "label": "0", "status": "unreadable", "detail": BROKEN}
    planned[1]["detail"] = "3 damaged frames"
    said.append(said[0] | {"clip_id": "late@000000", "status": "unreadable: decord: 3 of 16 frames"})
    # A clip of the same name in the data that only chooses thresholds, where another network had it.
    said += [said[0] | {"dataset": "t", "top1": 1}, said[0] | {"dataset": "t", "model": "n", "status": "bad"}]
    games = {"deletion_auc": (0.4, 0.2), "insertion_auc": (0.6, 0.8), "joint": (0.8, 0.4)}
    summary = summary_rows(games)
    html, svg = tmp_path / "table2.html", tmp_path / "figure3.svg"
    html.write_text(to_html(build_table(pd.DataFrame(summary), "Insertion and deletion", games), "table2"))
    svg.write_text('<svg xmlns="http://www.w3.org/2000/svg" width="20" height="10"/>')
    pair = {"dataset": "d", "model": "m", "metric": "joint", "method_a": "centre", "method_b": "swagv_i", "n": 3}
    pair |= {"n_videos": 3, "difference": 0.4, "ci_low": 0.3, "ci_high": 0.5, "p": 0.25, "p_holm": 0.5, "win_rate": 0.0}
    pair |= {"p_least": 0.25, "higher_is_better": False}
    return {
        "tables": [html],
        "figures": [svg],
        "comparisons": [table("comparisons/insertion_deletion.parquet", [pair])],
        "captions": {"figure3": "Over the final number of supervoxels."},
        "insertion_deletion": table("id.parquet", summary),
        "games": "insertion_deletion",
        "clip_tables": {
            "insertion_deletion": [
                table(f"{m}.parquet", clip_rows(m, v)) for m, v in zip(METHODS, (0.4, 0.2), strict=True)
            ],
            "localisation": [table("no_box.parquet", [clip_rows("centre", 0)[0] | {"status": "no_true_box"}])],
        },
        "manifests": [
            table("d/manifest/s0.parquet", [*planned, broken]),
            table("t/manifest/s0.parquet", [planned[0], broken | {"status": "missing", "detail": ""}]),
        ],
        "predictions": [table("predictions.parquet", said)],
        "examples": examples,
        "paper_clips": {"d": 18_362},
        "alpha_from": {"d": "t"},
        "methods": METHODS,
        "provenance": {"note": "<script>alert(1)</script>", "versions": {"torch": "2.x"}},
    }


@pytest.fixture
def page(run, tmp_path):
    write_report(tmp_path / "report.html", **run)
    return (tmp_path / "report.html").read_text(encoding="utf-8")


def data_of(page):
    """What the page's script reads."""
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1])


def test_page_needs_nothing_from_outside(page):
    addresses = re.findall(r"""(?:src|href)=["']([^"']+)""", page) + re.findall(r"url\(([^)]+)\)", page)
    assert addresses
    assert all(address.startswith(("#", "data:")) for address in addresses)
    assert "@import" not in page


def test_only_the_pages_own_script_may_run(page):
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.S)
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{allowed}'" in page


def test_text_from_the_data_is_escaped(page):
    assert BROKEN not in page
    assert "&lt;b&gt;cut &amp; short&lt;/b&gt;" in page
    assert "&lt;script&gt;" in page


def test_a_name_cannot_leave_the_data(run, tmp_path):
    name = "</script><script>alert(1)</script><!--"
    predictions = pd.read_parquet(run["predictions"][0])
    predictions.assign(top1_name=name, target_name=name).to_parquet(run["predictions"][0])
    write_report(tmp_path / "hostile.html", **run)
    page = (tmp_path / "hostile.html").read_text(encoding="utf-8")
    assert page.count("<script") == 2
    assert data_of(page)["clips"][0]["models"][0]["said"] == f"{name}, p = 0.90"


def test_tables_stand_as_they_were_typeset_and_figures_as_drawn(run, page):
    assert run["tables"][0].read_text() in page
    svg = base64.b64encode(run["figures"][0].read_bytes()).decode()
    assert f'<img src="data:image/svg+xml;base64,{svg}" alt="figure3">' in page
    assert "final number of supervoxels" in page


def test_the_headline_sets_the_best_method_against_the_best_control(page):
    (line,) = re.findall(r"<li>(<b>m</b> on d:.*?)</li>", page)
    assert re.sub("<[^>]+>", "", line) == (
        "m on d: lowest deletion + (1 − insertion) is swagv_i, 0.400 (0.390 to 0.410, 3 clips); −0.400 against the "
        "best control, centre (−0.500 to −0.300, p = 0.5 after correction for all pairs)."
    )


def test_comparisons_of_two_metrics_of_one_kind_are_told_apart(run, tmp_path):
    path = run["comparisons"][0]
    other = path.with_name("of_blur.parquet")
    other.write_bytes(path.read_bytes())
    write_report(tmp_path / "two.html", **run | {"comparisons": [path, other]})
    found = data_of((tmp_path / "two.html").read_text(encoding="utf-8"))["comparisons"]
    assert [one["title"].rpartition(" ")[2] for one in found] == ["(insertion_deletion)", "(of_blur)"]
    assert [len(one["pairs"]) for one in found] == [1, 1]


def test_comparisons_are_there_for_the_script(page):
    (one,) = data_of(page)["comparisons"]
    assert one["title"] == "deletion + (1 − insertion) ↓: m on d"
    assert (one["videos"], one["least"]) == (3, 0.25)
    assert (one["methods"], one["pairs"]) == (["centre", "swagv_i"], [[0, 1, 3, 0.4, 0.3, 0.5, 0.5, 0.0]])


def test_failures_and_broken_videos_are_counted(page):
    assert page.count("<small>n = 3</small>") == 6
    assert "2 × unreadable" in page
    assert "decord: 3 of 16 frames" in page
    assert "3 damaged frames" in page
    assert "NaN attribution" in page
    assert "no_true_box" in page
    assert "3 clips evaluated, 3 set aside" in page


def test_the_clips_stand_beside_the_papers(page):
    numbers = "".join(f'<td class="number">{number}</td>' for number in ("4", "0", "3", "18,362"))
    assert f"<tr><td>d</td>{numbers}</tr>" in page
    numbers = "".join(f'<td class="number">{number}</td>' for number in ("2", "1", "1", "–"))
    assert f"<tr><td>t<small>only chooses the threshold α for d</small></td>{numbers}</tr>" in page


def test_a_mean_of_one_video_has_no_interval(run, tmp_path):
    for path in (run["insertion_deletion"], *run["comparisons"]):
        table = pd.read_parquet(path).assign(ci_low=np.nan, ci_high=np.nan)
        (table.assign(p=np.nan, p_holm=np.nan) if "p" in table else table).to_parquet(path)
    write_report(tmp_path / "one.html", **run)
    page = (tmp_path / "one.html").read_text(encoding="utf-8")
    assert "nan to" not in page
    assert "0.400 (3 clips); −0.400 against the best control, centre.</li>" in page
    assert data_of(page)["comparisons"][0]["pairs"] == [[0, 1, 3, 0.4, None, None, None, 0.0]]


def test_a_long_list_of_problems_is_cut_and_says_so(run, tmp_path):
    path = run["manifests"][0]
    row = {"label": "0", "status": "missing", "detail": "there is no such file"}
    more = pd.DataFrame([row | {"clip_id": f"v{i}@000000", "video_id": f"v{i}"} for i in range(300)])
    pd.concat([pd.read_parquet(path), more]).to_parquet(path)
    write_report(tmp_path / "long.html", **run)
    page = (tmp_path / "long.html").read_text(encoding="utf-8")
    assert page.count("<td>missing</td>") == 199
    assert "301 × missing" in page
    assert "The first 200 of 303; the manifests list them all." in page


def test_accuracy_is_that_of_the_top_class(page):
    assert "66.7 %" in page


def test_clips_of_different_classes_come_first(run, tmp_path):
    write_report(tmp_path / "two.html", **run, max_clips=2)
    first, second = data_of((tmp_path / "two.html").read_text(encoding="utf-8"))["clips"]
    assert [first["clip_id"], second["clip_id"]] == ["a@000000", "c@000000"]
    (model,) = first["models"]
    assert model["said"] == "class0, p = 0.90"
    centre, failed = model["methods"]
    assert (failed["status"], failed["map"], failed["method"]) == ("one segment", None, "swagv_i")
    assert centre["scores"] == {"deletion": 0.4, "insertion": 0.6}
    assert first["size"] == [16, 8, 10]
    # The store's box 2, 2, 2, 2 of a clip that neither scaling nor cropping moved in y; x lost a pixel at each side.
    assert first["boxes"] == [[1, 2, 1, 2]] * 16


def test_a_sprite_holds_every_frame_in_its_place():
    frames = np.random.default_rng(0).integers(0, 256, (5, 16, 24), np.uint8)
    frames[:] = frames[:, :1, :1]  # of one value each, which no compression blurs
    grid = np.asarray(Image.open(io.BytesIO(base64.b64decode(sprite(frames, 80).split(",")[1]))).convert("L"))
    assert grid.shape == (32, 72)
    for t, (row, column) in enumerate([(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]):
        tile = grid[16 * row : 16 * row + 16, 24 * column : 24 * column + 24].astype(int)
        assert np.abs(tile - frames[t]).max() <= 12, t
        assert abs(tile.mean() - frames[t, 0, 0]) <= 2, t


def test_same_inputs_give_the_same_bytes_and_no_left_overs(run, tmp_path):
    for name in ("one.html", "two.html"):
        write_report(tmp_path / name, **run)
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()
    assert not list(tmp_path.glob(".*.partial"))


def test_without_insertion_and_deletion_there_are_no_curves_and_no_headline(run, tmp_path):
    clip_tables = {"localisation": run["clip_tables"]["localisation"]}
    write_report(tmp_path / "half.html", **run | {"insertion_deletion": None, "clip_tables": clip_tables})
    page = (tmp_path / "half.html").read_text(encoding="utf-8")
    assert "against the best control" not in page
    assert '<h2 id="curves">' not in page
    assert data_of(page)["clips"][0]["models"][0]["methods"][0]["scores"] == {}


def test_curves_are_well_formed_and_show_the_direction():
    clips = pd.DataFrame([row for method in METHODS for row in clip_rows(method, 0.3)])
    for game, arrow in (("deletion", "lower is better ↓"), ("insertion", "higher is better ↑")):
        svg = curves_svg(clips, game, METHODS)
        assert ET.fromstring(svg).tag.endswith("svg")
        assert arrow in svg
        assert svg == curves_svg(clips, game, METHODS)


def test_style_of_a_method_does_not_depend_on_the_order_of_the_list():
    style = method_style(METHODS)
    assert style == method_style(METHODS[::-1])
    assert len({str(one) for one in method_style([f"m{i}" for i in range(20)]).values()}) == 20
