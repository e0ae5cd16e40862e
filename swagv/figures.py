"""Figures as SVG text, the same bytes for the same data."""

from __future__ import annotations

import io
from collections.abc import Sequence

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

_ARROW = {"deletion": "lower is better ↓", "insertion": "higher is better ↑"}
_LEGEND_COLUMNS = 3
# Beside ten colours: no two of forty methods share both, and no two neighbours in the legend look alike in grey.
_DASHES = ((), (5, 2), (1, 1.5), (5, 2, 1, 2), (9, 3), (3, 1, 1, 1, 1, 1), (2, 3), (9, 2, 3, 2))
_LINES = tuple((0, dash) if dash else "-" for dash in _DASHES)


def method_style(methods: Sequence[str]) -> dict[str, dict[str, object]]:
    """One colour and line style a method, by its place in the sorted list of all methods; readable in grey."""
    colours = matplotlib.colormaps["tab10"].colors
    return {
        name: {"color": colours[index % len(colours)], "linestyle": _LINES[index % len(_LINES)]}
        for index, name in enumerate(sorted(methods))
    }


def curves_svg(clips: pd.DataFrame, game: str, methods: Sequence[str]) -> str:
    """Mean curve of each method over its clips with a 95 % band (1.96 standard errors), as inline SVG.

    Parameters
    ----------
    clips
        Per-clip rows of one dataset and model: method, status, ``{game}_curve``.
    game
        ``"deletion"`` or ``"insertion"``.
    methods
        All methods of the run, which fixes the colours.
    """
    style = method_style(methods)
    rows = -(-len(methods) // _LEGEND_COLUMNS)
    with matplotlib.rc_context({"svg.hashsalt": "swagv", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(5.2, 3.4 + 0.14 * rows), layout="constrained")
        axes = figure.add_subplot()
        for method, found in clips[clips.status == "ok"].groupby("method"):
            curves = np.stack(found[f"{game}_curve"].to_list())
            x, mean = np.linspace(0, 1, curves.shape[1]), curves.mean(0)
            half = 1.96 * curves.std(0, ddof=1) / np.sqrt(len(curves)) if len(curves) > 1 else np.zeros_like(mean)
            axes.plot(x, mean, label=method, linewidth=1.5, **style[method])
            axes.fill_between(x, mean - half, mean + half, color=style[method]["color"], alpha=0.06, linewidth=0)
        axes.set(xlim=(0, 1), ylim=(0, 1), ylabel=f"p(target), {_ARROW[game]}")
        axes.set_xlabel(f"share of voxels {'removed' if game == 'deletion' else 'restored'} →")
        axes.set_title(game.capitalize())
        axes.grid(alpha=0.2)
        if axes.lines:  # none where every clip failed
            figure.legend(
                loc="outside lower center", fontsize=7, ncols=_LEGEND_COLUMNS, frameon=False, handlelength=3.5
            )
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
