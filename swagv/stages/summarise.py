"""summarise: per-clip tables to one row a dataset, model, method and score."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from swagv import summary
from swagv.provenance import provenance
from swagv.tables import SUMMARY, read_provenance, read_table, write_table


def summarise(tables: Sequence[Path], out: Path, metric: str, spec: dict[str, Any]) -> None:
    """Write rows dataset, model, method, metric, n, n_failed, mean, ci_low, ci_high, higher_is_better, alpha,
    alpha_clips.

    The provenance repeats the settings (method and model cards) of each ``dataset/model/metric/method``.

    Parameters
    ----------
    metric
        Name in the catalogue, or object path, of the metric that all of the tables are of.
    spec
        ``bootstrap``, the number of resamples, and ``alpha_from`` for localisation.
    """
    clips = pd.concat([read_table(path) for path in tables], ignore_index=True)
    cards = {"/".join(path.parts[-5:-1]): read_provenance(path)["spec"] for path in tables}
    rows = summary.summarise(clips, metric, spec["bootstrap"], spec.get("alpha_from"))
    write_table(out, rows, SUMMARY, provenance("summarise", spec | {"cells": cards}))
