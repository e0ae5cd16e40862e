"""summarise: all per-clip tables of one metric into one table of means."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from swagv.provenance import provenance
from swagv.summary import summarise_insertion_deletion, summarise_localisation
from swagv.tables import SUMMARY, read_provenance, read_table, write_table

_SUMMARISE = {"insertion_deletion": summarise_insertion_deletion, "localisation": summarise_localisation}


def summarise(tables: Sequence[Path], out: Path, metric: str, spec: dict[str, Any]) -> None:
    """Write rows dataset, model, method, metric, n, n_failed, mean, ci_low, ci_high, alpha, alpha_clips.

    The provenance repeats the settings (method and model cards) of each ``dataset/model/metric/method``.
    """
    clips = pd.concat([read_table(path) for path in tables], ignore_index=True)
    cards = {"/".join(path.parts[-5:-1]): read_provenance(path)["spec"] for path in tables}
    settings = {key: spec[key] for key in ("alpha_from",) if key in spec}
    rows = _SUMMARISE[metric](clips, spec["bootstrap"], **settings)
    write_table(out, rows, SUMMARY, provenance("summarise", spec | {"cells": cards}))
