"""Mean insertion and deletion curves."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from swagv.figures.drawing import STYLE, legend, legend_height, method_style, svg_of
from swagv.summary import bootstrap_intervals, video_of

_ARROW = {"deletion": "lower is better ↓", "insertion": "higher is better ↑"}


@matplotlib.rc_context(STYLE)
def curves_svg(clips: pd.DataFrame, game: str, methods: Sequence[str], resamples: int = 2000) -> str:
    """Mean curve of each method over its clips with a 95 % band (bootstrap over videos, point by point), as inline SVG.

    Parameters
    ----------
    clips
        Per-clip rows of one dataset and model: method, clip_id, status, ``{game}_curve``.
    game
        ``"deletion"`` or ``"insertion"``.
    methods
        All methods of the run, which fixes the colours.
    resamples
        Of the bootstrap; of a single video there is no band.
    """
    return _drawn(clips, [game], methods, resamples)


@matplotlib.rc_context(STYLE)
def both_curves_svg(clips: pd.DataFrame, methods: Sequence[str], resamples: int = 2000) -> str:
    """The curves of deletion and of insertion side by side; arguments are those of `curves_svg`."""
    return _drawn(clips, list(_ARROW), methods, resamples)


def _drawn(clips: pd.DataFrame, games: Sequence[str], methods: Sequence[str], resamples: int) -> str:
    style = method_style(methods)
    figure = Figure(figsize=(5.2 * len(games), 3.4 + legend_height(len(methods))), layout="constrained")
    scored = clips[clips.status == "ok"].groupby("method")
    for axes, game in zip(figure.subplots(1, len(games), squeeze=False)[0], games, strict=True):
        for method, found in scored:
            curves = np.stack(found[f"{game}_curve"].to_list())
            x, mean = np.linspace(0, 1, curves.shape[1]), curves.mean(0)
            low, high = bootstrap_intervals(curves, video_of(found), resamples, 0)
            axes.plot(x, mean, linewidth=1.5, **style[method])
            axes.fill_between(x, low, high, color=style[method]["color"], alpha=0.06, linewidth=0)
        axes.set(xlim=(0, 1), ylim=(0, 1), ylabel=f"p(target), {_ARROW[game]}")
        axes.set_xlabel(f"share of voxels {'removed' if game == 'deletion' else 'restored'} →")
        axes.set_title(game.capitalize())
        axes.grid(alpha=0.2)
    legend(figure, {name: style[name] for name in scored.groups}, scored.groups)
    return svg_of(figure)
