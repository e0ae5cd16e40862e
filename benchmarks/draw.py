"""The tables of `results/` as one figure, docs/benchmarks.svg: `python -m benchmarks.draw`."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.measure import RESULTS
from swagv.figures.drawing import STYLE, svg_of

OUT = Path(__file__).parents[1] / "docs" / "benchmarks.svg"
TABLES = ("insertion_deletion_cpu_avx2", "supervoxels")  # the passes, the supervoxels
OURS, OTHERS, LIMIT = "tab:blue", "tab:gray", "lightgray"


def bars(axes: Axes, names: list[str], values: list[float], title: str, unit: str) -> None:
    """Horizontal bars, the first on top, each with its number; ours, others' and the bare passes tell apart in grey."""
    names, values = names[::-1], values[::-1]  # bars are drawn upwards
    colours = [OURS if name.startswith(("swagv", "numba")) else LIMIT if "bare" in name else OTHERS for name in names]
    drawn = axes.barh(names, values, color=colours, height=0.7)
    axes.bar_label(drawn, [f" {value:.3g}" for value in values], fontsize=8)
    axes.set_title(title, fontsize=9, loc="left")
    axes.set_xlabel(unit)
    axes.margins(x=0.12)
    axes.spines[["top", "right"]].set_visible(False)


@matplotlib.rc_context(STYLE)
def figure(passes: pd.DataFrame, supervoxels: pd.DataFrame) -> str:
    """SVG of what insertion and deletion and the supervoxels take."""
    models = [model for model in ("r2plus1d_18", "c3d") if model in set(passes["model"])]
    recipes = list(dict.fromkeys(supervoxels["features"]))
    made = Figure(figsize=(8.6, 4.6), layout="constrained")
    above, below = made.subfigures(2, 1, height_ratios=(6, 3))
    for axes, model in zip(above.subplots(1, len(models), sharey=True, squeeze=False)[0], models, strict=True):
        # Of a process of its own, two clips are in part its start.
        rows = passes[passes["model"].eq(model) & ~passes["contender"].str.contains("job|script")]
        title = f"insertion and deletion, {model}"
        bars(axes, list(rows["contender"]), list(rows["seconds_a_clip"]), title, "seconds a clip ↓")
    for axes, features in zip(below.subplots(1, len(recipes), sharey=True, squeeze=False)[0], recipes, strict=True):
        rows = supervoxels[supervoxels["features"].eq(features) & supervoxels["part"].eq("labels")]
        rows = rows[~rows["contender"].str.startswith("torch")]  # for GPUs
        title = f"supervoxels of {features}, one core"
        bars(axes, list(rows["contender"]), list(rows["seconds"] * 1e3), title, "milliseconds a clip ↓")
    first, second = (f"{table['machine'].iloc[0]}, {table['date'].iloc[0]}" for table in (passes, supervoxels))
    made.supxlabel(first if first == second else f"above: {first}; below: {second}", fontsize=7)
    return svg_of(made)


def main() -> None:
    """Draw the figure that the README shows."""
    tables = (pd.read_csv(RESULTS / f"{name}.csv") for name in TABLES)
    OUT.write_text(figure(*tables), encoding="utf-8")
    print(OUT)


if __name__ == "__main__":
    main()
