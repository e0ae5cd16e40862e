"""compare: per-clip tables to paired differences between all methods."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from swagv import comparisons
from swagv.provenance import provenance
from swagv.summary import clip_values
from swagv.tables import COMPARISONS, read_table, write_table


def compare(tables: Sequence[Path], out: Path, metric: str, spec: dict[str, Any]) -> None:
    """Write the rows of `swagv.comparisons.compare`, one for each pair of methods of a dataset, model and score.

    Arguments are those of `swagv.stages.summarise.summarise`.
    """
    clips = pd.concat([read_table(path) for path in tables], ignore_index=True)
    values = clip_values(clips, metric, spec.get("alpha_from"))
    write_table(out, comparisons.compare(values, spec["bootstrap"]), COMPARISONS, provenance("compare", spec))
