"""What the paper's tables and figures vary, as data: methods, grids of their settings, choices of the metrics."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

# Setting -> the values that it takes.
Grid = Mapping[str, list[Any]]


@dataclass(frozen=True)
class Experiment:
    """Methods beside those of the configuration, over the same clips, gradients and supervoxels.

    Parameters
    ----------
    methods
        Names in the configuration or the catalogue; none for every method of the configuration.
    grids
        Each method is run at every combination of the settings of each grid; without a grid, as it is.
    metrics
        Metric -> the settings to vary, one at a time around those of the configuration; empty for none.
    models
        Names in the configuration; none for all.
    clips
        Clips of a shard that take part, where an experiment has stages of its own.
    """

    methods: tuple[str, ...] = ()
    grids: tuple[Grid, ...] = ()
    metrics: Mapping[str, Grid] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    clips: int = 4


_SCORED: Mapping[str, Grid] = {"insertion_deletion": {}}
_SPACE_TIME: Mapping[str, Grid] = {"pointing": {}, "frame_profile": {}, "frame_deletion": {}}
_CHOICES: Mapping[str, Grid] = {
    "insertion_deletion": {"substrate": ["zero", "black", "blur"], "ties": ["raster", "reverse", "random"]},
    "localisation": {"largest_component": [False, True], "empty_frame": ["whole_frame", "no_box"]},
}
_PIXELS = ["random_noise", "sobel", "vanilla_backprop", "guided_backprop", "input_x_gradient"]

# The paper's own, and what it leaves open. A configuration replaces what it names.
EXPERIMENTS: dict[str, Experiment] = {
    "table1": Experiment(("swagv_i",), ({"attribution": _PIXELS},), _SCORED),
    "table4": Experiment(),
    "figure1": Experiment(("swagv_ig", "grad_cam"), (), _SCORED),
    "figure2": Experiment(
        ("swagv_ig",),
        (
            {"w_color": [5, 10, 20], "w_grad": [5, 10, 20]},
            {"w_color": [18, 20], "w_grad": [8, 9, 10, 11, 12]},
        ),
        _SCORED,
    ),
    "figure3": Experiment(
        ("swagv_i", "swagv_ig", "swagv_g"), ({"n_segments": [20, 40, 60, 80, 120, 140, 180, 300, 500]},), _SCORED
    ),
    "ablations": Experiment(("centre", "random", "guided_backprop", "grad_cam", "swagv_ig"), (), _CHOICES),
    "space_time": Experiment((), (), _SPACE_TIME),
    "randomisation": Experiment(("random", "guided_backprop", "grad_cam", "swagv_ig")),
}

# What stands below a figure in the report.
CAPTIONS = {
    "figure1": "One method against another on the same clips; of each pair, the better score is bold.",
    "figure2": "deletion + (1 − insertion) over the weights of colour and gradient; lower is better.",
    "figure3": "The three scores over the final number of supervoxels; the numbers asked for stand below.",
    "figure4": "What each method says of a few clips. Colours run over the whole clip; the true box is green.",
    "ablations": "Choices that the paper leaves open: where lines cross, the choice changes the order of the methods.",
    "space_time": "Share of the importance in each frame: a method that looks at one moment has a peak; the grey line "
    "looks at all of them alike.",
    "randomisation": "Likeness to the explanation of the trained network as its layers become random, from the head "
    "down. A method that stays up explains the clip and not the network.",
}


def grid_points(grid: Grid) -> Iterator[dict[str, Any]]:
    """Every combination of a grid's settings."""
    for values in itertools.product(*grid.values()):
        yield dict(zip(grid, values, strict=True))


def named(base: str, settings: Mapping[str, Any]) -> str:
    """A name for `base` with these settings, usable as a folder: ``swagv_ig-w_color_20-w_grad_9``."""
    parts = [f"{key}_{value}" for key, value in settings.items()]
    return "-".join([base, *(part.replace(":", ".") for part in parts)])
