import hashlib
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from swagv.summary import (
    bootstrap_intervals,
    directions,
    exact_interval,
    held_out_hits,
    summarise,
)


def test_alpha_of_each_half_comes_from_the_other():
    videos = np.array(["a", "b", "c", "d"])
    halves = held_out_hits(np.eye(4, dtype=bool)[:, :1], videos)  # some clip alone hits, at the only alpha
    assert halves.tolist() == [True, False, False, False]
    order = sorted(videos, key=lambda name: hashlib.sha256(name.encode()).digest())
    first = np.isin(videos, order[::2])
    hits = np.stack([first, ~first], 1)  # alpha 0 suits the first half, alpha 1 the second
    assert not held_out_hits(hits, videos).any()
    assert held_out_hits(np.stack([np.zeros(4, bool), np.ones(4, bool)], 1), videos).all()


def test_held_out_choice_is_fair_where_no_alpha_is_better():
    """Leaving one video out at a time would give far less than the true rate here."""
    rng = np.random.default_rng(0)
    rates = [held_out_hits(rng.random((18, 20)) < 0.5, np.arange(18)).mean() for _ in range(300)]
    assert abs(np.mean(rates) - 0.5) < 0.03


def test_localisation_summary_by_hand():
    hits = {"hits_value": [[True, False]] * 4, "hits_mean": [[False]] * 4, "hits_energy": [[False, True]] * 4}
    names = {"dataset": "d", "model": "m", "method": "x", "status": "ok"}
    clips = pd.DataFrame(names | {"clip_id": [f"v{i}@000000" for i in range(4)]} | hits)
    means = {row["metric"]: row["mean"] for row in summarise(clips, "localisation", 100)}
    assert means == {
        "loc_error_value": 0, "loc_error_value_oracle": 0, "loc_error_mean": 100, "loc_error_mean_oracle": 100,
        "loc_error_energy": 0, "loc_error_energy_oracle": 0,
    }  # fmt: skip
    (one,) = {len(summarise(clips.iloc[:1], "localisation", 100))}
    assert one == 3  # no held-out figure from a single video
    assert np.isnan(bootstrap_intervals(np.ones((3, 2)), np.zeros(3), 100, 0)).all()


def test_alpha_from_another_dataset_by_hand():
    """Alpha 1 is best where it is chosen, alpha 0 where it is judged."""

    def cell(dataset, method, *hits, status="ok"):
        row = {f"hits_{rule}": list(hits) for rule in ("value", "mean", "energy")}
        return {"dataset": dataset, "model": "m", "method": method, "status": status, "clip_id": "", **row}

    clips = pd.DataFrame(
        [
            cell("test", "x", True, False), cell("test", "x", True, False), cell("test", "x", False, True),
            cell("train", "x", False, True), cell("train", "x", True, True), cell("train", "x", False, True),
            cell("train", "x", True, False, status="bad"),
            cell("test", "y", True, False), cell("train", "y", False, True, status="bad"),
        ]
    )  # fmt: skip
    clips["clip_id"] = [f"v{index}@000000" for index in range(len(clips))]
    rows = summarise(clips, "localisation", 100, {"test": "train"})
    assert {row["dataset"] for row in rows} == {"test"}
    found = {(row["method"], row["metric"]): (row["mean"], row["alpha"], row["n"]) for row in rows}
    assert {row.get("alpha_clips") for row in rows} == {3, None}
    assert found["x", "loc_error_value"] == (pytest.approx(200 / 3), 0.05, 3)
    assert found["x", "loc_error_mean"] == (pytest.approx(200 / 3), 0.5, 3)
    assert found["x", "loc_error_value_oracle"] == (pytest.approx(100 / 3), 0, 3)
    assert found["y", "loc_error_value_oracle"] == (0, 0, 1)
    assert ("y", "loc_error_value") not in found  # no clip was left to choose on
    alone = {
        row["metric"]: row.get("alpha") for row in summarise(clips, "localisation", 100) if row["dataset"] == "test"
    }
    assert alone["loc_error_value"] is None


def test_interval_covers_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(200):
        (low,), (high,) = bootstrap_intervals(rng.normal(3, 1, (40, 1)), np.arange(40), 500, trial)
        covered += low <= 3 <= high
    assert 180 <= covered <= 200


def test_failed_clips_are_counted_and_order_changes_nothing():
    clips = pd.DataFrame(
        {
            "dataset": "d", "model": "m", "method": "x", "clip_id": [f"v{i}@000000" for i in range(5)],
            "status": ["ok"] * 4 + ["unreadable"], "deletion_auc": [0.1, 0.2, 0.3, 0.4, None],
            "insertion_auc": [0.5, 0.6, 0.7, 0.8, None],
        }
    )  # fmt: skip
    rows = summarise(clips, "insertion_deletion", 200)
    assert rows == summarise(clips.iloc[::-1], "insertion_deletion", 200)
    by_metric = {row["metric"]: row for row in rows}
    assert (by_metric["deletion_auc"]["n"], by_metric["deletion_auc"]["n_failed"]) == (4, 1)
    assert np.isclose(by_metric["joint"]["mean"], 0.25 + 1 - 0.65)


def test_a_pair_that_cannot_be_is_not_called_failed():
    cell = {"dataset": "d", "model": "m", "clip_id": [f"v{i}@000000" for i in range(2)]}
    numbers = {"deletion_auc": np.nan, "insertion_auc": np.nan}
    unfit = pd.DataFrame(cell | {"method": "x", "status": ["unreadable", "not_applicable: no head"]} | numbers)
    failed = pd.DataFrame(cell | {"method": "y", "status": ["unreadable", "attribution is not finite"]} | numbers)
    rows = summarise(pd.concat([unfit, failed]), "insertion_deletion", 100)
    assert [(row["method"], row["metric"], row["n"], row["n_failed"]) for row in rows] == [
        ("x", "not_applicable", 0, 2), ("y", "none", 0, 2)
    ]  # fmt: skip


def test_errors_that_are_all_alike_have_the_exact_interval_over_videos():
    hits = {f"hits_{rule}": [[False]] * 6 for rule in ("value", "mean", "energy")}
    names = {"dataset": "d", "model": "m", "method": "x", "status": "ok"}
    clips = pd.DataFrame(names | {"clip_id": [f"v{i // 2}@{i:06}" for i in range(6)]} | hits)
    row = summarise(clips, "localisation", 100)[0]
    assert (row["mean"], row["ci_high"]) == (100, 100)
    assert row["ci_low"] == pytest.approx(100 * 0.025 ** (1 / 3))  # three videos of two clips each
    for videos in (1, 7, 300, 18_000):
        for all_of_them in (False, True):
            oracle = binomtest(videos if all_of_them else 0, videos).proportion_ci(0.95, "exact")
            expected = (100 * oracle.low, 100 * oracle.high)
            assert exact_interval(all_of_them, videos, 100.0) == pytest.approx(expected, abs=1e-9)
    won = clips.assign(pointing=1.0, pointing_frames=1.0, energy_inside=1.0)
    by_metric = {row["metric"]: (row["ci_low"], row["ci_high"]) for row in summarise(won, "pointing", 100)}
    assert by_metric["pointing"] == (pytest.approx(0.025 ** (1 / 3)), 1)
    assert by_metric["energy_inside"] == (1, 1)  # of shares that are all alike the bootstrap says so


def test_any_other_metric_has_the_scores_that_it_names_and_a_nan_is_none():
    values = {"clip_id": ["a@0", "b@0", "c@0"], "status": "ok", "deletion_auc": [0.1, np.nan, 0.3]}
    clips = pd.DataFrame({"dataset": "d", "model": "m", "method": "x", "insertion_auc": 0.5, "joint": 0.2} | values)
    rows = summarise(clips, "swagv.metrics.insertion_deletion:InsertionDeletion", 100)
    found = {row["metric"]: (row["n"], row["n_failed"], row["mean"]) for row in rows}
    assert found["deletion_auc"] == (2, 1, pytest.approx(0.2))
    assert found["insertion_auc"] == (3, 0, 0.5)


@dataclass(frozen=True)
class Sharpness:
    """A metric of a user's own."""

    higher_is_better: ClassVar[dict[str, bool]] = {"sharpness": True, "blur": False}


def test_the_direction_of_a_score_is_its_metrics_own_and_stands_in_the_summary():
    clips = pd.DataFrame({"clip_id": ["a@0", "b@0"], "sharpness": [0.1, 0.2], "blur": 0.5, "status": "ok"})
    rows = summarise(clips.assign(dataset="d", model="m", method="x"), "tests.test_summary:Sharpness", 100)
    assert {row["metric"]: row["higher_is_better"] for row in rows} == {"sharpness": True, "blur": False}
    assert directions("insertion_deletion") == {"deletion_auc": False, "insertion_auc": True, "joint": False}
    assert set(directions("timing").values()) == {False}
