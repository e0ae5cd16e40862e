import re

import numpy as np
import pandas as pd
import pytest

from swagv.figures.sweep import METRICS, sweep_svg
from tests.test_figures import HOSTILE, SVG, bars, markers, panels, parts, texts, values

SEEDS = {20: 16, 60: 49, 100: 81, 120: 81, 180: 242, 500: 512}
RUN = ["grad_cam", "swagv_i", "swagv_ig"]


def sweep_rows(model="m", methods=("swagv_i", "swagv_ig"), seed=0):
    rng, rows = np.random.default_rng(seed), []
    for method in methods:
        scores = {seeds: rng.uniform(0.2, 0.8, 2) for seeds in SEEDS.values()}
        final = {seeds: seeds * rng.uniform(0.8, 1.1) for seeds in SEEDS.values()}
        for requested, seeds in SEEDS.items():
            deletion, insertion = scores[seeds]
            for metric, mean in zip(METRICS, (insertion, deletion, deletion + 1 - insertion), strict=True):
                names = {"dataset": "d", "model": model, "method": method, "n_segments": requested}
                counts = {"n_seeded": float(seeds), "n_final": final[seeds], "metric": metric, "n": 9}
                rows.append(names | counts | {"mean": mean, "ci_low": mean - 0.02, "ci_high": mean + 0.03})
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def points():
    return sweep_rows()


@pytest.fixture(scope="module")
def svg(points):
    return sweep_svg(points.sample(frac=1, random_state=0), RUN)


def test_points_and_intervals_stand_at_their_final_counts_and_scores(points, svg):
    for metric, above, below in zip(METRICS, panels(svg)[:3], panels(svg)[3:], strict=True):
        drawn = markers(above)[:2]
        for method, pixels, bar in zip(RUN[1:], drawn, bars(above), strict=True):
            rows = points[(points.method == method) & (points.metric == metric)].sort_values("n_final")
            assert values(below, 0, pixels[:, 0], log=True) == pytest.approx(rows.n_final.to_numpy(), rel=1e-4)
            assert values(above, 1, pixels[:, 1]) == pytest.approx(rows["mean"].to_numpy(), abs=1e-4)
            assert values(above, 1, bar[..., 1]) == pytest.approx(rows[["ci_low", "ci_high"]].to_numpy(), abs=1e-4)


def test_requests_that_seed_the_same_are_one_label_below_their_point(points, svg):
    for below in panels(svg)[3:]:
        labels = [group.find(f"{SVG}text") for group in parts(below, "text_")]
        once = (
            points[points.metric == "joint"].drop_duplicates(["method", "n_seeded"]).sort_values(["method", "n_final"])
        )
        assert [label.text for label in labels] == ["20", "60", "100, 120", "180", "500"] * 2
        marks = np.concatenate(markers(below))
        assert values(below, 0, marks[:, 0], log=True) == pytest.approx(once.n_final.to_numpy(), rel=1e-4)
        at = np.array([re.findall(r"[\d.]+", label.get("transform"))[:2] for label in labels], float)
        # Turned by a right angle, all baselines stand right of their points by less than the height of a letter.
        assert np.ptp(at[:, 0] - marks[:, 0]) < 1e-4
        assert 0 < at[0, 0] - marks[0, 0] < 6.5
        assert (at[:, 1] > marks[:, 1]).all()


def test_the_lowest_of_all_methods_is_starred_on_the_combined_panel_alone(points, svg):
    joint = points[points.metric == "joint"]
    best = joint.loc[joint["mean"].idxmin()]
    star = markers(panels(svg)[2])[2]
    assert values(panels(svg)[2], 1, star[:, 1]) == pytest.approx([best["mean"]], abs=1e-4)
    requested = {81: "100, 120"}.get(best.n_seeded, f"{best.n_segments}")
    starred = [text for text in texts(svg) if "★" in text]
    assert starred == [f"★ lowest: {best.method}, {requested} requested, {best['mean']:.3f}"]
    assert [len(markers(axes)) for axes in panels(svg)[:3]] == [2, 2, 3]


def test_a_best_point_that_two_requests_share_names_both(points):
    shared = points[points.n_seeded == 81].assign(mean=0.1)
    (starred,) = [text for text in texts(sweep_svg(shared, RUN)) if "★" in text]
    assert starred == "★ lowest: swagv_i, 100, 120 requested, 0.100"


def test_labels_say_the_direction_and_a_narrow_range_is_linear(points):
    svg = sweep_svg(points[points.n_seeded.between(49, 81)], RUN)
    for label in ("insertion AUC ↑", "deletion AUC ↓", "deletion + (1 − insertion) ↓"):
        assert label in texts(svg)
    narrow = points[points.n_seeded.between(49, 81) & (points.metric == "joint") & (points.method == "swagv_i")]
    pixels = markers(panels(svg)[2])[0]
    assert values(panels(svg)[5], 0, pixels[:, 0]) == pytest.approx(narrow.n_final.to_numpy(), rel=1e-4)


def test_points_without_a_clip_are_named(points):
    lost = points.copy()
    where = (lost.method == "swagv_i") | (lost.n_segments == 20)
    lost.loc[where, ["mean", "ci_low", "ci_high", "n_final"]] = np.nan
    found = texts(sweep_svg(lost, RUN))
    assert "swagv_i: no value" in found
    assert "swagv_i (no value)" in found
    assert "swagv_ig requested" in found
    assert "no value: 20" in found
    other = pd.concat([points, points.assign(model="n", mean=np.nan, n_final=np.nan, n=0)], ignore_index=True)
    assert "n on d, 0 clips" in texts(sweep_svg(other, RUN))


def test_nothing_scored_says_so(points):
    for empty in (points.assign(mean=np.nan), points[:0]):
        assert texts(sweep_svg(empty, RUN)) == ["No point of the sweep has a scored clip."]


def test_same_bytes_and_names_are_escaped():
    rows = sweep_rows(HOSTILE, [HOSTILE])
    rows = rows[rows.n_segments < 100]
    svg = sweep_svg(rows, [HOSTILE])
    assert {HOSTILE, f"{HOSTILE} requested", f"{HOSTILE} on d, 9 clips"} <= set(texts(svg))
    assert svg == sweep_svg(rows, [HOSTILE])
