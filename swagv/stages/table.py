"""table: summaries to what goes into a paper, the paper's own numbers beside ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from swagv.paper import beside, is_papers, other_settings, paper_data, paper_method, paper_network
from swagv.provenance import provenance
from swagv.summary import NOT_APPLICABLE
from swagv.tables import TABLE, read_table, write_table
from swagv.typeset import TABLES, build_table, typeset

_TITLES = {
    "insertion_deletion": TABLES["table2"][0],
    "localisation": TABLES["table3"][0],
    "pointing": "Pointing game in space and time",
    "frame_profile": "Does the explanation move with the action?",
    "frame_deletion": "Insertion and deletion of whole frames",
}


def table(
    summaries: Sequence[Path], comparisons: Sequence[Path], timings: Sequence[Path], out: Path, spec: dict[str, Any]
) -> None:
    """Write `out` (parquet: the summaries' rows with the paper's numbers); beside it CSV, Markdown, LaTeX and HTML.

    Parameters
    ----------
    summaries, comparisons
        Of one or several metrics; the file's name is that of the metric. Each kind of metric is a table of its own.
    timings
        What a summary of seconds was made of: it says on which machine.
    spec
        ``methods``, a list of name and spec in the order of the rows; ``models``, name -> ``card``, ``settings``,
        ``target``; ``datasets``, name -> spec; ``metrics``, name -> ``registered`` and ``settings``; ``choices``
        (metric, choice, value) of an experiment that varies a metric, where each choice is a block of rows, and no
        number of the paper stands beside them.
    """
    methods, models = dict(spec["methods"]), spec["models"]
    number = int(out.stem.removeprefix("table")) if out.stem in TABLES else None
    networks = {model: paper_network(found["card"]) for model, found in models.items()}
    named = {name: paper_method(method) for name, method in methods.items()}
    kinds: dict[str, list[str]] = {}
    for name, metric in spec["metrics"].items():
        kinds.setdefault(metric["registered"], []).append(name)
    read = {
        kind: _concat([path for path in summaries if path.stem in names], spec["choices"])
        for kind, names in kinds.items()
    }
    # One whose every clip failed has a table only where none other has.
    read = {kind: found for kind, found in read.items() if _scores(found)} or read
    tables, rows = [], []
    for kind, found in read.items():
        names = kinds[kind]
        if not spec["choices"]:
            found = beside(found, named, networks, number)
        found = found.sort_values("method", key=lambda column: column.map(list(methods).index), kind="stable")
        title, metrics = TABLES.get(out.stem, ("", ()))
        if not set(metrics) & set(found.metric) and (_scores(found) or not metrics):
            title, metrics = _TITLES.get(kind, kind), _scores(found) or ["score"]
        built = build_table(
            found,
            title,
            metrics,
            comparisons=_concat([path for path in comparisons if path.stem in names], spec["choices"]),
            differences={
                "other networks": [name for name, model in models.items() if not is_papers(model)],
                "other data": _other_data(found, spec["datasets"]),
                "other settings": [text for name in names for text in other_settings(spec["metrics"][name])],
            },
        )
        tables.append(replace(built, notes=(*_machines(timings), *built.notes)))
        rows += found.astype(object).where(found.notna(), None).to_dict("records")
    typeset(tables, out.parent, out.stem)
    write_table(out, rows, TABLE, provenance("table", spec))


def _other_data(found: pd.DataFrame, datasets: dict[str, Any]) -> list[str]:
    """The datasets that are not those of the paper's numbers beside them."""
    if "paper_data" not in found:
        return []
    pairs = dict.fromkeys(zip(found.dataset, found.paper_data, strict=True))
    other = [
        name for name, theirs in pairs if isinstance(theirs, str) and theirs and theirs != paper_data(datasets[name])
    ]
    return list(dict.fromkeys(other))


def _scores(summary: pd.DataFrame) -> list[str]:
    """In the order in which the metric names them, those of an oracle last."""
    names = summary.metric[~summary.metric.isin([NOT_APPLICABLE, "none"])].unique()
    return sorted(names, key=lambda name: name.endswith("_oracle"))


def _machines(timings: Sequence[Path]) -> list[str]:
    """What the seconds were measured on, and the batches that were best."""
    if not timings:
        return []
    rows = pd.concat([read_table(path) for path in timings], ignore_index=True)
    rows = rows[rows.status == "ok"]
    if rows.empty:
        return []
    machines = {f"{row.device}, {row.threads:g} threads" for row in rows.itertuples()}
    sizes = ", ".join(f"{size:g}" for size in sorted(rows.best_batch.unique()))
    return [
        f"Measured on {' and '.join(sorted(machines))}; the first call of each is not counted. Best batches: {sizes}."
    ]


def _concat(paths: Sequence[Path], choices: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Tables of one kind of metric; where it is varied, the dataset says how."""
    varied: dict[str, list[str]] = {}
    for row in choices:
        varied.setdefault(row["metric"], []).append(f"{row['choice']} = {row['value']}")
    parts = []
    for path in paths:
        rows, choice = read_table(path), ", ".join(varied.get(path.stem, ()))
        parts.append(rows.assign(dataset=rows.dataset + f" ({choice})") if choice else rows)
    return pd.concat(parts, ignore_index=True)
