import re
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest
import zarr

from swagv.figures import curves_svg, method_style
from swagv.report import Example, write_report

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
        | ({"alpha": 0.35, "alpha_clips": 1234} if "loc" in metric else {"alpha": None, "alpha_clips": None})
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
        for clip_id, top1 in zip(CLIPS, (0, 0, 1), strict=True)
    ]
    planned = [{"clip_id": c, "video_id": c[0], "label": "0", "status": "ok", "detail": ""} for c in CLIPS]
    broken = {"clip_id": "x@000000", "video_id": "x", "label": "0", "status": "unreadable", "detail": BROKEN}
    planned[1]["detail"] = "3 damaged frames"
    said.append(said[0] | {"clip_id": "late@000000", "status": "unreadable: decord: 3 of 16 frames"})
    # A clip of the same name in the data that only chooses thresholds, where another network had it.
    said += [said[0] | {"dataset": "t", "top1": 1}, said[0] | {"dataset": "t", "model": "n", "status": "bad"}]
    games = {"deletion_auc": (0.4, 0.2), "insertion_auc": (0.6, 0.8), "joint": (0.8, 0.4)}
    return {
        "insertion_deletion": table("id.parquet", summary_rows(games)),
        "localisation": table("loc.parquet", summary_rows({"loc_error_value": (25.0, 50.0)})),
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
        "provenance": {"note": "<script>alert(1)</script>", "versions": {"torch": "2.x"}},
    }


@pytest.fixture
def page(run, tmp_path):
    write_report(tmp_path / "report.html", **run)
    return (tmp_path / "report.html").read_text(encoding="utf-8")


def test_page_needs_nothing_from_outside(page):
    addresses = re.findall(r"""(?:src|href)=["']([^"']+)""", page) + re.findall(r"url\(([^)]+)\)", page)
    assert addresses
    assert all(address.startswith(("#", "data:image/png;base64,")) for address in addresses)
    assert "<script" not in page
    assert "@import" not in page


def test_text_from_the_data_is_escaped(page):
    assert BROKEN not in page
    assert "&lt;b&gt;cut &amp; short&lt;/b&gt;" in page
    assert "&lt;script&gt;" in page


def test_best_of_each_column_is_bold_in_the_right_direction(page):
    bold = re.findall(r'<td class="number best">([\d.]+)<small>([\d.]+) to ([\d.]+)', page)
    assert bold == [
        ("0.200", "0.190", "0.210"), ("0.800", "0.790", "0.810"), ("0.400", "0.390", "0.410"), ("25.0", "25.0", "25.0")
    ]  # fmt: skip


def test_failures_and_broken_videos_are_counted(page):
    assert page.count("<small>1 failed</small>") == 4
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


def test_the_threshold_stands_below_the_error_it_gives(page):
    assert "<small>25.0 to 25.0</small><small>α 0.35, of 1,234 clips</small>" in page


def test_a_mean_of_one_video_has_no_interval_and_says_so(run, tmp_path):
    for metric in ("insertion_deletion", "localisation"):
        table = pd.read_parquet(run[metric])
        table.assign(ci_low=np.nan, ci_high=np.nan).to_parquet(run[metric])
    write_report(tmp_path / "one.html", **run)
    page = (tmp_path / "one.html").read_text(encoding="utf-8")
    assert page.count("<small>one video</small>") == 8
    assert "nan to" not in page
    assert "(3 clips)" in page


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
    page = (tmp_path / "two.html").read_text(encoding="utf-8")
    assert re.findall(r"<h3>(\S+@\d+)", page) == ["a@000000", "c@000000"]
    # Frames and two methods for each, less the explanation of clip a that failed and says so.
    assert page.count("<img") == 5
    assert "one segment" in page
    assert "frames 1, 6, 11, 16" in page


def test_same_inputs_give_the_same_bytes_and_no_left_overs(run, tmp_path):
    for name in ("one.html", "two.html"):
        write_report(tmp_path / name, **run)
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()
    assert not list(tmp_path.glob(".*.partial"))


def test_a_metric_that_was_not_run_has_no_table(run, tmp_path):
    titles = {"insertion_deletion": "Insertion and deletion</h2>", "localisation": "Localisation</h2>"}
    for left, absent in (("insertion_deletion", "localisation"), ("localisation", "insertion_deletion")):
        write_report(tmp_path / "half.html", **(run | {absent: None, "clip_tables": {left: run["clip_tables"][left]}}))
        page = (tmp_path / "half.html").read_text(encoding="utf-8")
        assert titles[left] in page
        assert titles[absent] not in page
        assert ("<svg" in page) == (left == "insertion_deletion")


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
