import csv
import json

import numpy as np
import pytest

from swagv.cli import main
from swagv.compare_results import compare_results
from swagv.comparisons import compare
from swagv.summary import clip_values
from swagv.tables import LOCALISATION, insertion_deletion_schema, read_table, write_table

SAID = {
    "stage": "insertion_deletion",
    "spec": {"metric": {"steps": 28}, "model": {"content": "x"}},
    "versions": {"numpy": "2.4.0"},
    "git_commit": "abc",
    "device": "cpu",
    "precision": "fp32",
}


def rows(method, offset=0.0, clips=range(8), target=1):
    """Two clips of each of four videos."""
    key = {"dataset": "d", "model": "m", "method": method, "shard": "0000", "status": "ok", "target": target}
    generator = np.random.default_rng(0)
    base = {clip: generator.random(2) / 2 for clip in range(8)}
    curve = [0.0] * 29
    return [
        key
        | {"clip_id": f"v{clip // 2}@{clip:06d}", "deletion_auc": base[clip][0] + offset, "deletion_curve": curve}
        | {"insertion_auc": base[clip][1], "insertion_curve": curve}
        for clip in clips
    ]


def run(folder, made, said=SAID):
    """A results folder with a table of each (method, rows)."""
    for method, found in made.items():
        out = folder / "d" / "m" / "insertion_deletion" / method / "0000.parquet"
        write_table(out, found, insertion_deletion_schema(28), said)
    return folder


@pytest.fixture
def two(tmp_path):
    a = run(tmp_path / "a", {"grad_cam": rows("grad_cam"), "centre": rows("centre"), "old": rows("old")})
    changed = SAID | {"precision": "bf16", "spec": {"metric": {"steps": 10}, "model": {"content": "x"}}}
    changed_rows = rows("grad_cam", 0.1, range(2, 8)) + rows("grad_cam", 0.1, [0], target=2)
    b = run(tmp_path / "b", {"grad_cam": changed_rows, "centre": rows("centre")}, changed)
    return a, b


def test_scores_are_paired_by_clip(two):
    found = compare_results(*two)
    assert (found["only_a"], found["only_b"]) == (["d/m/old/insertion_deletion"], [])
    scores = {(row["method"], row["metric"]): row for row in found["scores"]}
    same = scores["centre", "deletion_auc"]
    assert (same["n"], same["identical"], same["difference"], same["win_rate"]) == (8, 8, 0, 0.5)
    row = scores["grad_cam", "deletion_auc"]
    assert (row["n"], row["only_a"], row["only_b"], row["n_videos"], row["identical"]) == (7, 1, 0, 4, 0)
    assert row["other_target"] == 1
    assert row["difference"] == pytest.approx(0.1)
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((0.1, 0.1))
    assert row["win_rate"] == 0  # lower is better
    assert row["p"] == 2 / 2**4
    assert row["p_holm"] == 2 * row["p"]  # two methods
    assert scores["grad_cam", "insertion_auc"]["identical"] == 7


def test_numbers_are_those_of_the_comparison_of_two_methods(two):
    """The same two columns, as two methods of one run."""
    a, b = (read_table(run / "d/m/insertion_deletion/grad_cam/0000.parquet") for run in two)
    both = np.intersect1d(a.clip_id, b.clip_id)
    values = [
        clip_values(one[one.clip_id.isin(both)].assign(method=name), "insertion_deletion")
        for one, name in ((a, "a"), (b, "b"))
    ]
    import pandas as pd

    (expected,) = [row for row in compare(pd.concat(values)) if row["metric"] == "deletion_auc"]
    (row,) = [
        one for one in compare_results(*two)["scores"] if (one["method"], one["metric"]) == ("grad_cam", "deletion_auc")
    ]
    assert row["difference"] == pytest.approx(-expected["difference"])
    assert row["p"] == expected["p"]
    assert row["win_rate"] == 1 - expected["win_rate"]


def test_what_was_done_differently_is_said(two, capsys):
    assert main(["compare", *map(str, two)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "differs in 2: precision: fp32 -> bf16" in lines
    assert "differs in 2: spec.metric.steps: 28 -> 10" in lines
    assert "only in a: d/m/old/insertion_deletion" in lines
    assert "another class was explained: d/m/grad_cam/insertion_deletion: 1 of 7 clips" in lines
    assert sum(line.startswith("d        m      grad_cam") for line in lines) == 3
    assert any("deletion AUC ↓" in line and "+0.100" in line for line in lines)


def test_what_one_run_could_not_score_is_a_row(two, capsys):
    """A method whose clips all failed in b is not left out without a word."""
    table = two[1] / "d" / "m" / "insertion_deletion" / "centre" / "0000.parquet"
    table.unlink()
    failed = [row | {"status": "unreadable", "deletion_auc": None, "insertion_auc": None} for row in rows("centre")]
    write_table(table, failed, insertion_deletion_schema(28), SAID)
    (row,) = [
        one for one in compare_results(*two)["scores"] if (one["method"], one["metric"]) == ("centre", "deletion_auc")
    ]
    assert (row["n"], row["only_a"], row["only_b"]) == (0, 8, 0)
    assert main(["compare", *map(str, two)]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("d        m      centre")]
    assert len(lines) == 3
    assert all("no clip in common" in line and line.endswith("8, 0") for line in lines)


def test_json_and_csv_and_one_metric(two, tmp_path, capsys):
    boxes = [
        {key: row[key] for key in ("dataset", "model", "method", "shard", "clip_id", "status")}
        for row in rows("centre")
    ]
    hits = {"hits_value": [True] * 20, "hits_mean": [True] * 20, "hits_energy": [False] * 20}
    for folder in two:
        out = folder / "d" / "m" / "localisation" / "centre" / "0000.parquet"
        write_table(out, [row | hits for row in boxes], LOCALISATION, {"stage": "localisation", "spec": {}})
    out = tmp_path / "o.csv"
    assert main(["compare", *map(str, two), "--metric", "localisation", "--json", "--out", str(out)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {row["of"] for row in found["scores"]} == {"localisation"}
    errors = {row["metric"]: row["mean_a"] for row in found["scores"]}
    assert (errors["loc_error_value"], errors["loc_error_energy"]) == (0, 100)
    with out.open() as file:
        assert [row["metric"] for row in csv.DictReader(file)] == [row["metric"] for row in found["scores"]]


def test_a_metric_that_a_table_names_is_not_imported(two, tmp_path, capsys):
    said = SAID | {"stage": "score", "spec": {"metric": {"object": "antigravity:Fly"}}}
    write_table(
        two[0] / "d" / "m" / "mine" / "centre" / "0000.parquet", rows("centre"), insertion_deletion_schema(28), said
    )
    assert main(["compare", *map(str, two)]) == 0
    assert "not compared, since it is not registered here: mine" in capsys.readouterr().out
    import sys

    assert "antigravity" not in sys.modules


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        (lambda b: None, ["--metric", "insertion"], "has no scores of 'insertion'. Did you mean 'insertion_deletion'"),
        (lambda b: None, ["--out", "o.txt"], "o.txt: what to write is told by the suffix, one of .csv"),
        (lambda b: (b / "d").rename(b / "e"), [], "have no dataset, model, method and metric in common"),
        (lambda b: b.rename(b.with_name("gone")), [], "is not a folder"),
        (lambda b: next(b.rglob("*.parquet")).write_bytes(b"cut"), [], "cannot be read"),
        (lambda b: [path.unlink() for path in b.rglob("*.parquet")], [], "has no table DATASET/MODEL/METRIC"),
    ],
)
def test_what_cannot_be_compared_is_one_line(change, arguments, message, two, capsys):
    change(two[1])
    assert main(["compare", *map(str, two), *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
