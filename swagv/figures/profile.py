"""How an explanation is spread over time."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from swagv.figures.drawing import STYLE, clips_text, legend, legend_height, message_svg, place, style_of, svg_of

_COLUMNS = 2


@matplotlib.rc_context(STYLE)
def profile_svg(points: pd.DataFrame, methods: Sequence[str]) -> str:
    """Mean share of the importance in each frame of the clip with its 95 % interval, a panel a network.

    A grey line says what each frame would have if all had the same.

    Parameters
    ----------
    points
        Rows dataset, model, method, frame (from 1), mean, ci_low, ci_high, n; shares from 0 to 1.
    methods
        All methods of the run, which fixes the colours.

    Raises
    ------
    ValueError
        If a point's method is not one of `methods`.
    """
    scored = points[points["mean"].notna()]
    if scored.empty:
        return message_svg("No method has a clip with an explanation.")
    style, panels = style_of(points.method, methods), list(points.groupby(["dataset", "model"], sort=False))
    columns = min(_COLUMNS, len(panels))
    rows_of_panels = -(-len(panels) // columns)
    size = 4.6 * columns, 3.3 * rows_of_panels + legend_height(len(style))
    figure = Figure(figsize=size, layout="constrained")
    every = figure.subplots(rows_of_panels, columns, squeeze=False).flat
    for ((dataset, model), rows), axes in zip(panels, every, strict=False):
        axes.axhline(1 / rows.frame.nunique(), color="0.6", linewidth=0.8)
        for method, found in rows.sort_values("frame").groupby("method"):
            axes.plot(found.frame, found["mean"], linewidth=1.5, **style[method])
            axes.fill_between(
                found.frame, found.ci_low, found.ci_high, color=style[method]["color"], alpha=0.12, linewidth=0
            )
        axes.set_title(f"{place(dataset, model)}, {clips_text(rows.n)}", fontsize=9, weight="bold")
        axes.set(xlabel="frame →", ylabel="share of the importance, more ↑", xlim=(0.5, rows.frame.max() + 0.5))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.2)
    for axes in every:
        axes.set_axis_off()
    legend(figure, style, scored.method)
    return svg_of(figure)
