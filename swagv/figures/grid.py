"""Figure 2: the joint score over the weights of colour and gradient."""

from __future__ import annotations

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from swagv.figures.drawing import STYLE, clips_text, message_svg, place, svg_of, text_width
from swagv.headings import heading

_COLOURS = "viridis"
_EMPTY = "0.9"
# Inches: a cell, what stands left of each grid, right of the last, above and below each row of grids, and the legend.
_CELL, _LEFT, _BAR, _ABOVE, _BELOW, _LEGEND = (0.7, 0.5), 0.6, 0.9, 0.6, 0.5, (3.2, 0.45)
_PAPER = (20, 9)  # w_color, w_grad
_JOINT = heading("joint", False)


@matplotlib.rc_context(STYLE)
def grid_svg(points: pd.DataFrame, marked: tuple[float, float] = _PAPER) -> str:
    """Mean deletion + (1 − insertion) at every pair of weights, lower is better; the best of each grid is framed.

    Parameters
    ----------
    points
        Rows grid, w_color, w_grad, dataset, model, mean, ci_low, ci_high, n, once for each grid that a pair is in;
        mean is NaN where no clip was scored. A cell says the mean and half the width of its interval.
    marked
        w_color and w_grad that get a dashed frame: the paper's choice.
    """
    if points["mean"].notna().sum() == 0:
        return message_svg("No point of the grid has a scored clip.")
    places = [
        (f"{place(*key)}, {clips_text(found.n)}", found)
        for key, found in points.groupby(["dataset", "model"], sort=False)
    ]
    grids = {grid: (rows.w_color.nunique(), rows.w_grad.nunique()) for grid, rows in points.groupby("grid", sort=False)}
    # Never less than the label of the colour bar.
    tall = max(text_width(_JOINT, 9) / 72 + 0.1, *(rows * _CELL[1] for _, rows in grids.values()))
    wide = sum(columns * _CELL[0] + _LEFT for columns, _ in grids.values())
    wide = max(wide + _BAR, _LEGEND[0], *(_LEFT + text_width(title, 9, bold=True) / 72 + 0.1 for title, _ in places))
    size = wide, len(places) * (_ABOVE + tall + _BELOW) + _LEGEND[1]
    figure = Figure(figsize=size)

    def axes_at(left: float, top: float, width: float, height: float) -> Axes:
        """Inches from the left and the top, so that all cells are of one size."""
        return figure.add_axes((left / size[0], 1 - (top + height) / size[1], width / size[0], height / size[1]))

    for number, (title, found) in enumerate(places):
        top = number * (_ABOVE + tall + _BELOW) + _ABOVE
        figure.text(_LEFT / size[0], 1 - (top - 0.36) / size[1], title, weight="bold")
        colours = matplotlib.colormaps[_COLOURS], Normalize(found["mean"].min(), found["mean"].max())
        left = _LEFT
        for grid, (columns, rows) in grids.items():
            axes = axes_at(left, top, columns * _CELL[0], rows * _CELL[1])
            _heatmap(axes, found[found.grid == grid], colours, marked)
            axes.set_title(f"{grid} grid", fontsize=9)
            left += columns * _CELL[0] + _LEFT
        if found["mean"].notna().any():
            scale = matplotlib.cm.ScalarMappable(colours[1], colours[0])
            bar = figure.colorbar(scale, cax=axes_at(left - 0.35, top, 0.12, tall), label=_JOINT)
            bar.ax.tick_params(labelsize=7)
    frames = [Patch(facecolor="none", edgecolor="black", linewidth=2)]
    labels = ["best of its grid"]
    if ((points.w_color == marked[0]) & (points.w_grad == marked[1])).any():
        frames.append(Patch(facecolor="none", edgecolor="black", linestyle="--"))
        labels.append(f"the paper's choice: w_color {marked[0]:g}, w_grad {marked[1]:g}")
    figure.legend(frames, labels, loc="lower left", bbox_to_anchor=(0.3 / size[0], 0), fontsize=7, frameon=False)
    return svg_of(figure)


def _heatmap(
    axes: Axes, points: pd.DataFrame, colours: tuple[Colormap, Normalize], marked: tuple[float, float]
) -> None:
    across, up = sorted(points.w_color.unique()), sorted(points.w_grad.unique())
    colour_map, scale = colours
    best = points["mean"].min()
    for row in points.to_dict("records"):
        x, y, mean = across.index(row["w_color"]), up.index(row["w_grad"]), row["mean"]
        fill = matplotlib.colors.to_rgb(_EMPTY if np.isnan(mean) else colour_map(scale(mean)))
        ink = ink_on(fill)
        axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=fill, edgecolor="white", linewidth=0.5))
        if mean == best:
            axes.add_patch(Rectangle((x - 0.46, y - 0.45), 0.92, 0.9, fill=False, edgecolor=ink, linewidth=2))
        if (row["w_color"], row["w_grad"]) == tuple(marked):
            dashed = {"linestyle": "--", "linewidth": 1}
            axes.add_patch(Rectangle((x - 0.4, y - 0.36), 0.8, 0.72, fill=False, edgecolor=ink, **dashed))
        weight = "bold" if mean == best else "normal"
        half = (row["ci_high"] - row["ci_low"]) / 2
        known = [(0.13 if np.isfinite(half) else 0, "–" if np.isnan(mean) else f"{mean:.3f}", 8)]
        known += [(-0.17, f"± {half:.3f}", 6)] if np.isfinite(half) else []
        for offset, text, size in known:
            axes.text(x, y + offset, text, color=ink, fontsize=size, weight=weight, ha="center", va="center")
    axes.set(xlim=(-0.5, len(across) - 0.5), ylim=(-0.5, len(up) - 0.5), xlabel="w_color", ylabel="w_grad")
    axes.set_xticks(range(len(across)), [f"{value:g}" for value in across])
    axes.set_yticks(range(len(up)), [f"{value:g}" for value in up])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def ink_on(colour: tuple[float, float, float]) -> str:
    """Black or white, whichever has more contrast (WCAG 2) with an sRGB colour in [0, 1].

    Examples
    --------
    >>> ink_on((1, 1, 0)), ink_on((0, 0, 0.5))
    ('black', 'white')
    """
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in colour]
    luminance = float(np.dot([0.2126, 0.7152, 0.0722], linear))
    return "black" if luminance + 0.05 > (1.05 * 0.05) ** 0.5 else "white"
