"""Whether a choice that the paper leaves open changes the order of the methods."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from swagv.figures.drawing import (
    STYLE,
    clips_text,
    intervals,
    legend,
    legend_height,
    message_svg,
    place,
    style_of,
    svg_of,
)
from swagv.headings import heading

_COLUMNS = 3
_SPREAD = 0.3  # of the methods around a value, so that their intervals stand side by side


@matplotlib.rc_context(STYLE)
def ablation_svg(points: pd.DataFrame, methods: Sequence[str]) -> str:
    """Mean of each method at each value of a choice, a panel a metric; where two lines cross, their order changes.

    Parameters
    ----------
    points
        Rows dataset, model, method, choice (as "substrate"), value (as "black"), metric, mean, ci_low, ci_high, n,
        higher_is_better.
        Values and metrics are drawn in the order in which they come.
    methods
        All methods of the run, which fixes the colours.

    Raises
    ------
    ValueError
        If a point's method is not one of `methods`.
    """
    scored = points[points["mean"].notna()]
    if scored.empty:
        return message_svg("No method has a scored clip.")
    style, groups = (
        style_of(points.method, methods, markers=True),
        list(points.groupby(["dataset", "model", "choice"], sort=False)),
    )
    depth = [-(-rows.metric.nunique() // _COLUMNS) for _, rows in groups]
    figure = Figure(
        figsize=(9, sum(2.7 * rows + 0.3 for rows in depth) + legend_height(len(style))), layout="constrained"
    )
    parts = figure.subfigures(len(groups), 1, squeeze=False, height_ratios=[9 * rows + 1 for rows in depth])[:, 0]
    for part, rows_of_panels, ((dataset, model, choice), rows) in zip(parts, depth, groups, strict=True):
        part.suptitle(f"{choice}: {place(dataset, model)}, {clips_text(rows.n)}", fontsize=9, weight="bold")
        panels = part.subplots(rows_of_panels, _COLUMNS, squeeze=False).flat
        for (metric, found), axes in zip(rows.groupby("metric", sort=False), panels, strict=False):
            _lines(axes, found, style)
            axes.set(xlabel=f"{choice} →", ylabel=heading(metric, _direction(found)))
        for axes in panels:
            axes.set_axis_off()
    legend(figure, style, scored.method)
    return svg_of(figure)


def _direction(rows: pd.DataFrame) -> bool | None:
    known = rows.higher_is_better.dropna()
    return None if known.empty else bool(known.iloc[0])


def _lines(axes: Axes, points: pd.DataFrame, style: dict[str, dict[str, object]]) -> None:
    values = list(points.value.unique())
    shift = dict(zip(style, np.linspace(-_SPREAD, _SPREAD, len(style)) if len(style) > 1 else [0], strict=True))
    for method, rows in points.groupby("method"):
        x = [values.index(value) + shift[method] for value in rows.value]
        axes.plot(x, rows["mean"], linewidth=0.8, **style[method])
        intervals(axes, x, rows, style[method]["color"])
    axes.set_xticks(range(len(values)), values)
    axes.set_xlim(-0.5, len(values) - 0.5)
    axes.grid(axis="y", alpha=0.2)
