import numpy as np
import pandas as pd
import pytest

from swagv.figures.profile import profile_svg
from tests.test_figures import HOSTILE, panels, parts, path_of, texts, ticks, values

METHODS = ["centre", "swagv_g"]


def profile_rows(models=("m", "n", "o"), methods=METHODS, frames=16):
    rows = [
        {"dataset": "d", "model": model, "method": method, "frame": frame, "n": 3}
        for model in models
        for method in methods
        for frame in range(1, frames + 1)
    ]
    mean = np.random.default_rng(0).uniform(0.02, 0.1, len(rows))
    return pd.DataFrame(rows).assign(mean=mean, ci_low=mean - 0.004, ci_high=mean + 0.006)


def test_lines_bands_and_the_share_of_an_even_spread():
    points = profile_rows()
    svg = profile_svg(points.sample(frac=1, random_state=0).sort_values("model"), METHODS)
    drawn = [axes for axes in panels(svg) if ticks(axes, 0)]
    assert len(drawn) == 3
    for axes, (_, rows) in zip(drawn, points.groupby("model"), strict=True):
        even, *lines = (path_of(line) for line in parts(axes, "line2d_"))
        assert values(axes, 1, even[:, 1]) == pytest.approx([1 / 16] * 2, abs=1e-5)
        bands = [values(axes, 1, path_of(band)[:, 1]) for band in parts(axes, "FillBetween")]
        for line, band, (_, mine) in zip(lines, bands, rows.groupby("method"), strict=True):
            assert values(axes, 0, line[:, 0]) == pytest.approx(np.arange(1, 17), abs=1e-3)
            assert values(axes, 1, line[:, 1]) == pytest.approx(mine["mean"].to_numpy(), abs=1e-5)
            edges = np.concatenate([mine.ci_low, mine.ci_high])
            assert np.abs(band[:, None] - edges).min(0) == pytest.approx(np.zeros(32), abs=1e-5)
    assert {"m on d, 3 clips", "frame →", "share of the importance, more ↑", *METHODS} <= set(texts(svg))


def test_a_mean_of_one_video_has_a_line_and_no_band():
    svg = profile_svg(profile_rows(["m"]).assign(ci_low=np.nan, ci_high=np.nan), METHODS)
    assert len(parts(panels(svg)[0], "line2d_")) == 3
    assert "nan" not in svg.lower()


def test_nothing_explained_says_so():
    points = profile_rows()
    for empty in (points.assign(mean=np.nan), points[:0]):
        assert texts(profile_svg(empty, METHODS)) == ["No method has a clip with an explanation."]


def test_same_bytes_and_names_are_escaped():
    points = profile_rows([HOSTILE], [HOSTILE])
    svg = profile_svg(points, [HOSTILE])
    assert {HOSTILE, f"{HOSTILE} on d, 3 clips"} <= set(texts(svg))
    assert svg == profile_svg(points, [HOSTILE])
