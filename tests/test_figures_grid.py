import numpy as np
import pandas as pd
import pytest

from swagv.figures.grid import grid_svg, ink_on
from tests.test_figures import HOSTILE, SVG, panels, parts, texts, ticks

GRIDS = {"coarse": ([5, 10, 20], [5, 10, 20]), "fine": ([18, 20], [8, 9, 10, 11, 12])}


def grid_rows(model="m", dataset="d", seed=0):
    rng = np.random.default_rng(seed)
    rows = [
        {"grid": grid, "w_color": across, "w_grad": up, "dataset": dataset, "model": model, "n": 7}
        for grid, (columns, lines) in GRIDS.items()
        for across in columns
        for up in lines
    ]
    mean = rng.uniform(0.2, 0.9, len(rows))
    return pd.DataFrame(rows).assign(mean=mean, ci_low=mean - 0.013, ci_high=mean + 0.035)


@pytest.fixture(scope="module")
def points():
    return pd.concat([grid_rows("m"), grid_rows("n", seed=1)], ignore_index=True)


def cells(axes):
    """(w_color, w_grad) -> texts of the cell there, by the tick labels that it stands at, and how bold they are."""
    across, up = ([(pixel, float(label)) for pixel, label in ticks(axes, which)] for which in (0, 1))
    found = {}
    for group in parts(axes, "text_"):
        (text,) = group.iter(f"{SVG}text")
        x, y = float(text.get("x")), float(text.get("y"))
        if text.text[0] in "0123456789±–":
            column = min(across, key=lambda tick: abs(tick[0] - x))[1]
            row = min(up, key=lambda tick: abs(tick[0] - y))[1]
            found.setdefault((column, row), []).append((text.text, "font-weight: 700" in text.get("style")))
    return found


def test_every_cell_says_its_value_and_half_its_interval_and_the_lowest_is_bold(points):
    drawn = [axes for axes in panels(grid_svg(points)) if cells(axes)]
    groups = [rows for _, rows in points.groupby(["model", "grid"])]
    assert len(drawn) == len(groups) == 4
    for axes, rows in zip(drawn, groups, strict=True):
        found = cells(axes)
        assert len(found) == len(rows)
        best = rows["mean"].idxmin()
        for index, row in rows.iterrows():
            value, half = found[row.w_color, row.w_grad]
            assert value == (f"{row['mean']:.3f}", index == best)
            assert half == ("± 0.024", index == best)


def test_the_two_grids_stand_side_by_side_and_the_networks_below_one_another(points):
    svg = grid_svg(points)
    assert [text for text in texts(svg) if text.endswith(" grid") and "best" not in text] == [
        "coarse grid",
        "fine grid",
    ] * 2
    assert [text for text in texts(svg) if " on " in text] == ["m on d, 7 clips", "n on d, 7 clips"]
    assert texts(svg).count("deletion + (1 − insertion) ↓") == 2


def dashed(svg):
    return sum(
        "stroke-dasharray" in (path.get("style") or "") for axes in panels(svg) for path in axes.iter(f"{SVG}path")
    )


def test_the_papers_choice_is_framed_where_it_is_drawn(points):
    svg = grid_svg(points)
    assert dashed(svg) == 2
    assert "the paper's choice: w_color 20, w_grad 9" in texts(svg)
    coarse = grid_svg(points[points.grid == "coarse"])
    assert dashed(coarse) == 0
    assert not any("paper" in text for text in texts(coarse))


def contrast(one, other):
    """Ratio of WCAG 2.1, as it is defined."""

    def luminance(colour):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_text_has_the_higher_of_the_two_contrasts():
    for colour in np.random.default_rng(0).uniform(size=(500, 3)):
        ratio = {"black": contrast(colour, (0, 0, 0)), "white": contrast(colour, (1, 1, 1))}
        assert ink_on(colour) == max(ratio, key=ratio.get)
        assert ratio[ink_on(colour)] > 4.5


def test_a_failed_cell_is_a_dash_and_a_single_video_has_no_interval():
    rows = grid_rows()
    rows.loc[0, ["mean", "ci_low", "ci_high", "n"]] = np.nan, np.nan, np.nan, 0
    rows.loc[1, ["ci_low", "ci_high"]] = np.nan
    svg = grid_svg(rows)
    found = cells(panels(svg)[0])
    assert found[5, 5] == [("–", False)]
    assert [text for text, _ in found[5, 10]] == [f"{rows['mean'][1]:.3f}"]
    assert "m on d, 0 to 7 clips" in texts(svg)


def test_nothing_scored_says_so():
    rows = grid_rows().assign(mean=np.nan)
    for points in (rows, rows[:0]):
        assert texts(grid_svg(points)) == ["No point of the grid has a scored clip."]
    half = pd.concat([grid_rows(), rows.assign(model="n", n=0)])
    assert "n on d, 0 clips" in texts(grid_svg(half))


def test_same_bytes_and_names_are_escaped():
    rows = grid_rows(HOSTILE, HOSTILE)
    assert f"{HOSTILE} on {HOSTILE}, 7 clips" in texts(grid_svg(rows))
    assert grid_svg(rows) == grid_svg(rows)
