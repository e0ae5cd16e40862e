"""table: summaries to what goes into a paper, the paper's own numbers beside ours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from swagv.methods.controls import Control
from swagv.paper import beside
from swagv.provenance import provenance
from swagv.publish import publish
from swagv.tables import TABLE, read_table, write_table
from swagv.typeset import build_table, to_csv, to_latex, to_markdown

TITLES = {
    "table1": "Which pixel attribution to average: SWAG-V with five",
    "table2": "Insertion and deletion",
    "table3": "Localisation error",
    "table4": "Seconds per explanation",
    "ablations": "What the paper leaves open",
    "space_time": "Beyond the paper: pointing, importance over time, deletion of whole frames",
}


def table(summaries: Sequence[Path], comparisons: Sequence[Path], out: Path, name: str, spec: dict[str, Any]) -> None:
    """Write `out` (parquet: the summaries' rows with paper, best and tied) and, beside it, CSV, Markdown and LaTeX.

    Parameters
    ----------
    summaries, comparisons
        Of one or several metrics; the file's name is that of the metric.
    name
        Of the table, which says where in the paper its numbers stand.
    spec
        ``methods`` (name -> spec), ``networks`` (model -> card) and ``choices`` (metric, choice, value) of an
        experiment that varies a metric: each choice is a block of rows.
    """
    rows = beside(_concat(summaries, spec["choices"]), name, spec["methods"], spec["networks"])
    built = build_table(rows, TITLES.get(name, name), _concat(comparisons, spec["choices"]), _controls(spec["methods"]))
    for suffix, typeset in {".csv": to_csv, ".md": to_markdown, ".tex": to_latex}.items():
        with publish(out.with_suffix(suffix)) as partial:
            partial.write_text(typeset(built), encoding="utf-8")
    records = rows.astype(object).where(rows.notna(), None).to_dict("records")
    write_table(out, records, TABLE, provenance("table", spec))


def _concat(paths: Sequence[Path], choices: Sequence[dict[str, Any]]) -> pd.DataFrame:
    varied: dict[str, list[str]] = {}
    for row in choices:
        varied.setdefault(row["metric"], []).append(f"{row['choice']} = {row['value']}")
    parts = []
    for path in paths:
        rows, choice = read_table(path), ", ".join(varied.get(path.stem, ()))
        parts.append(rows.assign(dataset=rows.dataset + f" ({choice})") if choice else rows)
    return pd.concat(parts, ignore_index=True)


def _controls(methods: dict[str, dict[str, Any]]) -> set[str]:
    return {name for name, spec in methods.items() if spec["object"].startswith(Control.__module__)}
