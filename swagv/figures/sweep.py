"""Figure 3: insertion and deletion over the number of supervoxels."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from swagv.figures.drawing import (
    NO_VALUE,
    STYLE,
    clips_text,
    intervals,
    legend,
    legend_height,
    message_svg,
    place,
    style_of,
    svg_of,
    text_width,
)
from swagv.headings import heading

METRICS = ("insertion_auc", "deletion_auc", "joint")
_WIDE = 5  # highest over lowest count from which the axis is logarithmic
_SMALL = 6.5


@matplotlib.rc_context(STYLE)
def sweep_svg(points: pd.DataFrame, methods: Sequence[str]) -> str:
    """Scores over the mean final number of supervoxels, the number that was asked for written below each point.

    Different requests may seed the same supervoxels (100 and 120 both seed 81 in 16 x 112 x 112 voxels). They are one
    point, with both requests below it. A star marks the lowest deletion + (1 − insertion) of each network.

    Parameters
    ----------
    points
        Rows dataset, model, method, n_segments (asked for), n_seeded, n_final (means over clips), metric, mean,
        ci_low, ci_high, n, of the metrics insertion_auc, deletion_auc and joint.
    methods
        All methods of the run, which fixes the colours.

    Raises
    ------
    ValueError
        If a point's method is not one of `methods`.
    """
    scored = points[points["mean"].notna() & points.n_final.notna()]
    if scored.empty:
        return message_svg("No point of the sweep has a scored clip.")
    style, places = (
        style_of(points.method, methods, markers=True),
        list(points.groupby(["dataset", "model"], sort=False)),
    )
    requests = {key: _requests(rows) for key, rows in scored.groupby(["dataset", "model"])}
    longest = max(text_width(text, _SMALL) for rows in requests.values() for text in rows.requested)
    rug = len(style) * (longest + 18) / 72  # inches
    size = 10, len(places) * (3.3 + rug) + 0.2 + legend_height(len(style))
    figure = Figure(figsize=size, layout="constrained")
    for part, (key, rows) in zip(figure.subfigures(len(places), 1, squeeze=False)[:, 0], places, strict=True):
        part.suptitle(f"{place(*key)}, {clips_text(rows.n)}", fontsize=9, weight="bold")
        panels = part.subplots(2, len(METRICS), sharex=True, height_ratios=(2.3, rug))
        for metric, (above, below) in zip(METRICS, panels.T, strict=True):
            _lines(above, rows[rows.index.isin(scored.index) & (rows.metric == metric)], metric, style)
            _rug(below, requests.get(key, _requests(rows[:0])), style)
        labels = [_rug_label(name, rows[rows.method == name], scored) for name in style]
        panels[1, 0].set_yticks(range(len(style)), labels, fontsize=_SMALL)
        part.supxlabel("supervoxels after connectivity, mean over the clips →", fontsize=9)
    legend(figure, style, scored.method)
    return svg_of(figure)


def _requests(points: pd.DataFrame) -> pd.DataFrame:
    """Rows method, n_final, requested: the numbers that gave the same supervoxels, as one text."""
    once = points.drop_duplicates(["method", "n_segments"]).sort_values("n_segments")
    same = once.groupby(["method", "n_seeded", "n_final"]).n_segments
    return same.agg(lambda asked: ", ".join(f"{value:g}" for value in asked)).rename("requested").reset_index()


def _lines(axes: Axes, points: pd.DataFrame, metric: str, style: dict[str, dict[str, object]]) -> None:
    for method, rows in points.groupby("method"):
        rows = rows.sort_values(["n_final", "n_segments"])
        axes.plot(rows.n_final, rows["mean"], linewidth=1.3, **style[method])
        intervals(axes, rows.n_final, rows, style[method]["color"])
    axes.set_ylabel(heading(metric, metric == "insertion_auc"))
    axes.grid(alpha=0.2)
    if metric == "joint" and len(points):
        best = points.loc[points["mean"].idxmin()]
        same = points[(points.method == best.method) & (points.n_final == best.n_final)].n_segments
        axes.plot(best.n_final, best["mean"], "*", markersize=13, markerfacecolor="none", color="black")
        requested = ", ".join(f"{value:g}" for value in sorted(same))
        axes.set_title(f"★ lowest: {best.method}, {requested} requested, {best['mean']:.3f}", fontsize=8)


def _rug_label(method: str, points: pd.DataFrame, scored: pd.DataFrame) -> str:
    lost = sorted(set(points.n_segments) - set(points[points.index.isin(scored.index)].n_segments))
    if len(lost) == points.n_segments.nunique():
        return f"{method}: {NO_VALUE}"
    named = f"{method} requested"
    return "\n".join([named, *wrap(f"{NO_VALUE}: {', '.join(f'{value:g}' for value in lost)}", 24)]) if lost else named


def _rug(axes: Axes, requests: pd.DataFrame, style: dict[str, dict[str, object]]) -> None:
    """A line a method, with what was asked for below the final counts that it gave."""
    for level, (method, look) in enumerate(style.items()):
        rows = requests[requests.method == method]
        axes.plot(rows.n_final, np.full(len(rows), level), look["marker"], markersize=3, color=look["color"])
        for x, text in zip(rows.n_final, rows.requested, strict=True):
            axes.annotate(
                text,
                (x, level),
                (0, -4),
                textcoords="offset points",
                rotation=90,
                fontsize=_SMALL,
                ha="center",
                va="top",
            )
    axes.set(ylim=(len(style) - 0.05, -0.15), yticks=[])
    axes.spines[["left", "right", "top"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    counts = requests.n_final
    if counts.empty:
        axes.set_xticks([])
    if counts.max() > _WIDE * counts.min():
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter("{x:g}")
