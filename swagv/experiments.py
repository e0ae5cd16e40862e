"""What the paper's tables and figures vary, as data: methods, grids of their settings, choices of the metrics."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from swagv.errors import ConfigError

# Setting -> the values that it takes.
Grid = Mapping[str, list[Any]]
# Kinds of figure whose means stand in no table.
_FIGURE_ALONE = ("grid", "sweep", "versus", "strips", "randomisation")
# Kinds that draw every point at the settings that vary, and at nothing else.
_VARIED = {"grid": ("w_color", "w_grad"), "sweep": ("n_segments",)}


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
    figure
        Kind of its figure, empty for none: ``grid`` (Figure 2), ``sweep`` (Figure 3), ``versus`` (Figure 1), ``strips``
        (Figure 4), ``ablation``, ``profile`` or ``randomisation``.
    caption
        What stands below the figure in the report.
    clips
        How many take part where not all do: those that are shown of each dataset, randomised of each shard, or timed.
    """

    methods: tuple[str, ...] = ()
    grids: tuple[Grid, ...] = ()
    metrics: Mapping[str, Grid] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    figure: str = ""
    caption: str = ""
    clips: int = 4

    @property
    def has_table(self) -> bool:
        """Whether its means stand in a table."""
        return bool(self.metrics) and self.figure not in _FIGURE_ALONE

    def check(self, what: str, methods: Collection[str], metrics: Sequence[str]) -> None:
        """Raise `swagv.errors.ConfigError` if its table or figure cannot show what it varies.

        Parameters
        ----------
        what
            Begins the message.
        methods
            Names, without the grids.
        metrics
            What each of `metrics` is registered as, but for those that no dataset suits.
        """
        count, varied = len(methods), any(self.metrics.values())
        plain = not varied and list(metrics) == ["insertion_deletion"]
        wanted = _VARIED.get(self.figure)
        if len(set(metrics)) < len(metrics):
            raise ConfigError(f"{what}: two of its metrics are of one kind; name one, and vary its settings")
        if wanted and (not self.grids or any(set(grid) != set(wanted) for grid in self.grids)):
            raise ConfigError(f"{what}: its figure draws {' and '.join(wanted)}; each grid must vary just that")
        if self.figure and not wanted and self.grids:
            raise ConfigError(f"{what}: a figure of the kind {self.figure!r} has no place for grids; take them out")
        if (wanted and not plain) or (self.figure in ("versus", "strips") and metrics and not plain):
            raise ConfigError(f"{what}: its figure draws `metrics: {{insertion_deletion: {{}}}}` and nothing else")
        if self.figure == "grid" and count != 1:
            raise ConfigError(f"{what}: its figure shows one method, not {count}; name it in `methods`")
        if self.figure == "versus" and count != 2:
            raise ConfigError(f"{what}: its figure sets one method against another, not {count}; name two in `methods`")
        if self.figure == "ablation" and not varied:
            raise ConfigError(f"{what}: its figure shows settings of metrics; vary one in `metrics`")
        if self.figure == "profile" and "frame_profile" not in metrics:
            raise ConfigError(f"{what}: its figure draws frame_profile; add it to `metrics`")
        if self.figure == "randomisation" and metrics:
            raise ConfigError(f"{what}: its figure compares explanations and scores none; take `metrics` out")


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
    "figure1": Experiment(
        ("swagv_ig", "grad_cam"),
        (),
        _SCORED,
        figure="versus",
        caption="One method against another on the same clips; of each pair, the better score is bold.",
    ),
    "figure2": Experiment(
        ("swagv_ig",),
        (
            {"w_color": [5, 10, 20], "w_grad": [5, 10, 20]},
            {"w_color": [18, 20], "w_grad": [8, 9, 10, 11, 12]},
        ),
        _SCORED,
        figure="grid",
        caption="deletion + (1 − insertion) over the weights of colour and gradient; lower is better.",
    ),
    "figure3": Experiment(
        ("swagv_i", "swagv_ig", "swagv_g"),
        ({"n_segments": [20, 40, 60, 80, 120, 140, 180, 300, 500]},),
        _SCORED,
        figure="sweep",
        caption="The three scores over the final number of supervoxels; the numbers asked for stand below.",
    ),
    "figure4": Experiment(
        figure="strips",
        caption="What each method says of a few clips. Colours run over the whole clip; the true box is green.",
    ),
    "ablations": Experiment(
        ("centre", "random", "guided_backprop", "grad_cam", "swagv_ig"),
        (),
        _CHOICES,
        figure="ablation",
        caption="Choices that the paper leaves open. Where lines cross, the choice changes the order of the means.",
    ),
    "space_time": Experiment(
        (),
        (),
        _SPACE_TIME,
        figure="profile",
        caption="Share of the importance in each frame: a method that looks at one moment has a peak; the grey line "
        "looks at all of them alike.",
    ),
    "randomisation": Experiment(
        ("random", "guided_backprop", "grad_cam", "swagv_ig"),
        figure="randomisation",
        caption="Likeness to the explanation of the trained network as its layers become random, from the head down. A "
        "method that stays up explains the clip and not the network.",
    ),
}


def grid_points(grid: Grid) -> Iterator[dict[str, Any]]:
    """Every combination of a grid's settings."""
    for values in itertools.product(*grid.values()):
        yield dict(zip(grid, values, strict=True))


def named(base: str, settings: Mapping[str, Any]) -> str:
    """A name for `base` with these settings, usable as a folder: ``swagv_ig-w_color_20-w_grad_9``."""
    name = "-".join([base, *(f"{key}_{value}" for key, value in settings.items())])
    return re.sub(r"[^A-Za-z0-9_.-]+", ".", name)
