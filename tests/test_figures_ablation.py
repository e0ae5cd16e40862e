import numpy as np
import pandas as pd
import pytest

from swagv.figures.ablation import ablation_svg
from swagv.figures.drawing import style_of
from tests.test_figures import HOSTILE, bars, markers, panels, parts, texts, ticks, values

METHODS = ["centre", "grad_cam", "swagv_ig"]
CHOICES = {
    "substrate": (["zero", "black", "blur"], ["deletion_auc", "insertion_auc", "joint"]),
    "ties": (["raster", "random"], ["deletion_auc", "insertion_auc", "joint", "loc_error_value_oracle"]),
}


def ablation_rows(model="m", methods=METHODS):
    rows = [
        {"dataset": "d", "model": model, "method": method, "choice": choice, "value": value, "metric": metric, "n": 5}
        for choice, (options, metrics) in CHOICES.items()
        for value in options
        for metric in metrics
        for method in methods
    ]
    mean = np.random.default_rng(0).uniform(0.2, 0.8, len(rows))
    found = pd.DataFrame(rows).assign(mean=mean, ci_low=mean - 0.02, ci_high=mean + 0.05)
    return found.assign(higher_is_better=found.metric == "insertion_auc")


@pytest.fixture(scope="module")
def points():
    return ablation_rows()


@pytest.fixture(scope="module")
def svg(points):
    return ablation_svg(points, [*METHODS, "random"])


def test_every_method_has_a_point_with_its_interval_at_each_value(points, svg):
    drawn = [axes for axes in panels(svg) if markers(axes)]
    groups = [rows for _, rows in points.groupby(["choice", "metric"], sort=False)]
    assert len(drawn) == len(groups) == 7
    for axes, rows in zip(drawn, groups, strict=True):
        options = list(rows.value.unique())
        assert [label for _, label in ticks(axes, 0)] == options
        places = np.array([pixel for pixel, _ in ticks(axes, 0)])
        for method, pixels, bar in zip(METHODS, markers(axes), bars(axes), strict=True):
            mine = rows[rows.method == method]
            nearest = np.abs(pixels[:, :1] - places).argmin(1)
            assert [options[index] for index in nearest] == mine.value.tolist()
            assert values(axes, 1, pixels[:, 1]) == pytest.approx(mine["mean"].to_numpy(), abs=1e-4)
            assert values(axes, 1, bar[..., 1]) == pytest.approx(mine[["ci_low", "ci_high"]].to_numpy(), abs=1e-4)


def test_methods_of_one_value_stand_apart_in_one_order(svg):
    for axes in panels(svg):
        x = np.array([pixels[:, 0] for pixels in markers(axes)])
        assert (np.diff(x, axis=0) > 1).all()


def test_panels_say_the_choice_the_metric_and_the_direction(svg):
    found = texts(svg)
    assert [text for text in found if " on " in text] == ["substrate: m on d, 5 clips", "ties: m on d, 5 clips"]
    assert {"substrate →", "insertion AUC ↑", "value, oracle ↓"} <= set(found)
    # The two panels that three columns leave over are hidden.
    assert sum(len(ticks(axes, 0)) == 0 for axes in panels(svg)) == 2


def test_colours_are_those_of_the_whole_run(svg):
    from matplotlib.colors import to_hex

    style = style_of(METHODS, [*METHODS, "random"])
    lines = parts(panels(svg)[0], "line2d_")
    for method, line in zip(METHODS, lines, strict=True):
        assert f"stroke: {to_hex(style[method]['color'])}" in line[0].get("style")


def test_a_method_without_a_value_says_so(points):
    lost = points.copy()
    lost.loc[lost.method == "grad_cam", ["mean", "ci_low", "ci_high"]] = np.nan
    assert "grad_cam (no value)" in texts(ablation_svg(lost[lost.choice == "substrate"], METHODS))


def test_nothing_scored_says_so(points):
    for empty in (points.assign(mean=np.nan), points[:0]):
        assert texts(ablation_svg(empty, METHODS)) == ["No method has a scored clip."]


def test_same_bytes_and_names_are_escaped():
    rows = ablation_rows(HOSTILE, [HOSTILE]).replace({"value": {"raster": HOSTILE}, "choice": {"ties": HOSTILE}})
    rows = rows[rows.choice == HOSTILE]
    svg = ablation_svg(rows, [HOSTILE])
    assert texts(svg).count(HOSTILE) == 4 + 1  # a tick of each of four panels, and the legend
    assert f"{HOSTILE}: {HOSTILE} on d, 5 clips" in texts(svg)
    assert svg == ablation_svg(rows, [HOSTILE])
