"""Sanity check of Adebayo et al. (NeurIPS 2018): what is left of an explanation once weights are random."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import pandas as pd
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

_NAMES = {"spearman": "Spearman's ρ", "spearman_abs": "Spearman's ρ of magnitudes"}


@matplotlib.rc_context(STYLE)
def randomisation_svg(points: pd.DataFrame, methods: Sequence[str]) -> str:
    """Similarity to the explanation of the trained network over the depth of randomisation, from the head down.

    A method that explains the network falls; one that stays up draws the clip, whatever the network has learnt.

    Parameters
    ----------
    points
        Rows dataset, model, method, depth (0 = trained), layer (the last one made random), metric, mean, ci_low,
        ci_high, n.
    methods
        All methods of the run, which fixes the colours.

    Raises
    ------
    ValueError
        If a point's method is not one of `methods`.
    """
    scored = points[points["mean"].notna()]
    if scored.empty:
        return message_svg("No explanation of a network with random weights was compared.")
    style, panels = (
        style_of(points.method, methods, markers=True),
        list(points.groupby(["dataset", "model", "metric"], sort=False)),
    )
    longest = max(rows.depth.nunique() for _, rows in panels)
    size = max(4.6, 0.45 * longest + 1.5), 4 * len(panels) + legend_height(len(style))
    figure = Figure(figsize=size, layout="constrained")
    every = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
    for axes, ((dataset, model, metric), rows) in zip(every, panels, strict=True):
        for method, found in rows.sort_values("depth").groupby("method"):
            axes.plot(found.depth, found["mean"], linewidth=1.2, **style[method])
            intervals(axes, found.depth, found, style[method]["color"])
        layers = rows.drop_duplicates("depth").set_index("depth").layer.sort_index()
        axes.set_xticks(layers.index, layers, rotation=60, ha="right", rotation_mode="anchor", fontsize=7)
        axes.set_title(f"{place(dataset, model)}, {clips_text(rows.n)}", fontsize=9, weight="bold")
        axes.set_xlabel("random from the head down to →")
        axes.set_ylabel(f"{_NAMES.get(metric, metric)} with the explanation\nof the trained network, lower is better ↓")
        axes.axhline(0, color="0.6", linewidth=0.6)
        axes.grid(alpha=0.2)
    legend(figure, style, scored.method)
    return svg_of(figure)
