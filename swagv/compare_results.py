"""Two runs against each other, clip by clip: `swagv compare`."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from swagv.catalogue import METRICS
from swagv.comparisons import holm, sign_flip_p
from swagv.errors import ConfigError, SwagvError
from swagv.headings import heading
from swagv.plain import in_columns
from swagv.registry import did_you_mean
from swagv.summary import CELL, bootstrap_intervals, clip_values
from swagv.tables import read_provenance, read_table

if TYPE_CHECKING:
    import pandas as pd

_TABLES = "*/*/*/*/*.parquet"  # DATASET/MODEL/METRIC/METHOD/SHARD
_RESAMPLES, _FLIPS = 2000, 10_000
_SCORE = [*CELL, "of", "metric"]
# Of the provenance, what may make numbers differ, and what is said of it.
_SAID = ("spec", "versions", "git_commit", "device", "precision")


@dataclass(frozen=True, eq=False)
class Run:
    """The scores in a results folder.

    Parameters
    ----------
    values
        As `swagv.summary.clip_values` gives them, with `of`, the folder of the metric.
    targets
        (dataset, model, method, of, clip_id) -> the class that was explained.
    provenance
        (dataset, model, method, of) -> that of its first table.
    left_out
        Folders of metrics that are not registered here, whose scores are therefore not known.
    """

    values: pd.DataFrame
    targets: pd.Series
    provenance: Mapping[tuple[str, ...], Mapping[str, Any]]
    left_out: tuple[str, ...]


def read_run(folder: Path, metrics: Sequence[str] = ()) -> Run:
    """The scores in a results folder, of its per-clip tables ``DATASET/MODEL/METRIC/METHOD/SHARD.parquet``.

    Parameters
    ----------
    metrics
        Folders of metrics; all of them if empty.

    Raises
    ------
    ConfigError
        If there is no such folder, or no score in it.
    SwagvError
        If a table cannot be read.
    """
    import pandas as pd

    if not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder; give that of a run's results")
    tables: dict[tuple[str, str], list[pd.DataFrame]] = {}
    provenance: dict[tuple[str, ...], Mapping[str, Any]] = {}
    left_out = set()
    for path in sorted(folder.glob(_TABLES)):
        dataset, model, of, method, _ = path.relative_to(folder).parts
        if metrics and of not in metrics:
            continue
        try:
            said = read_provenance(path)
            registered = _registered(said)
            if registered:
                tables.setdefault((of, registered), []).append(read_table(path))
        except (OSError, ValueError) as error:
            raise SwagvError(f"{path} cannot be read: {error}. `swagv verify` finds all that is damaged") from error
        if registered:
            provenance.setdefault((dataset, model, method, of), said)
        elif registered == "":
            left_out.add(of)
    _check_metrics(folder, metrics, {of for of, _ in tables})
    values, targets = [], []
    for (of, registered), found in tables.items():
        clips = pd.concat(found, ignore_index=True)
        values.append(clip_values(clips, registered, _alpha_from(folder, of)).assign(of=of))
        if "target" in clips:
            targets.append(clips.assign(of=of).set_index([*CELL, "of", "clip_id"]).target)
    explained = pd.concat(targets) if targets else pd.Series(dtype=float)
    return Run(pd.concat(values, ignore_index=True), explained, provenance, tuple(sorted(left_out)))


def _registered(said: Mapping[str, Any]) -> str | None:
    """The metric of a table by its name in the catalogue; empty for one that is not there, None for no scores.

    A table names an object, and is not taken at its word: only what is registered is imported.
    """
    stage, spec = said.get("stage"), said.get("spec", {})
    if stage in ("insertion_deletion", "localisation"):
        return stage
    if stage != "score":
        return None
    return next((name for name, path in METRICS.items() if path == spec["metric"]["object"]), "")


def _alpha_from(folder: Path, of: str) -> Mapping[str, str]:
    """The datasets that choose the threshold of others, as the run's summary says."""
    summary = folder / "summary" / f"{of}.parquet"
    return (read_provenance(summary)["spec"].get("alpha_from") or {}) if summary.is_file() else {}


def _check_metrics(folder: Path, wanted: Sequence[str], found: set[str]) -> None:
    there = sorted({path.parts[-3] for path in folder.glob(_TABLES)})
    for name in wanted:
        if name not in found:
            near = did_you_mean(name, there)
            raise ConfigError(f"{folder} has no scores of {name!r}.{near} It has {', '.join(there) or 'none'}")
    if not found:
        raise ConfigError(f"{folder} has no table DATASET/MODEL/METRIC/METHOD/SHARD.parquet; give a run's results")


def compare_results(folder_a: Path, folder_b: Path, metrics: Sequence[str] = ()) -> dict[str, Any]:
    """Compare the scores of two runs on the clips that both have scored.

    Parameters
    ----------
    folder_a, folder_b
        Folders of results.
    metrics
        Folders of metrics, such as ``insertion_deletion``; all that both have if empty.

    Returns
    -------
    dict
        What ``swagv compare --json`` prints.

        - ``scores``, a list: dataset, model, method, of (the folder of the metric), metric, higher_is_better;
          n, n_videos, only_a, only_b: clips; identical: those with the same number to the last bit; other_target: those
          of which another class was explained; mean_a, mean_b; difference: mean of b minus a, with its 95 % bootstrap
          interval over videos, ci_low and ci_high; p: two-sided sign flips of videos; p_holm: corrected for the methods
          of the same dataset, model and score; win_rate: share of clips on which b is better, a tie is half
        - ``differs``, a list: what the provenance of both says differently: key, a, b and the number of cells (dataset,
          model, method and metric) where it does
        - ``only_a``, ``only_b``: cells that just one run has; ``left_out``: metrics that are not registered here

    Raises
    ------
    ConfigError
        If a folder has no scores, or the two have none in common.
    """
    runs = [read_run(Path(folder), metrics) for folder in (folder_a, folder_b)]
    a, b = (set(run.provenance) for run in runs)
    if not a & b:
        raise ConfigError(f"{folder_a} and {folder_b} have no dataset, model, method and metric in common")
    rows = list(_scores(runs[0], runs[1], a & b))
    for family in {(row["dataset"], row["model"], row["of"], row["metric"]) for row in rows}:
        same = [row for row in rows if (row["dataset"], row["model"], row["of"], row["metric"]) == family]
        for row, p in zip(same, holm(np.array([row["p"] for row in same])), strict=True):
            row["p_holm"] = float(p)
    return {
        "a": str(folder_a),
        "b": str(folder_b),
        "scores": rows,
        "differs": _differences(runs[0], runs[1], sorted(a & b)),
        "only_a": ["/".join(key) for key in sorted(a - b)],
        "only_b": ["/".join(key) for key in sorted(b - a)],
        "left_out": sorted({*runs[0].left_out, *runs[1].left_out}),
    }


def _scores(a: Run, b: Run, cells: set[tuple[str, ...]]) -> Iterator[dict[str, Any]]:
    parts = [dict(list(run.values.groupby(_SCORE, sort=True))) for run in (a, b)]
    for key in sorted(parts[0].keys() | parts[1].keys()):
        if key[:4] not in cells:
            continue
        one, other = (part[key].set_index("clip_id") if key in part else None for part in parts)
        known = one if one is not None else other
        row = dict(zip(_SCORE, key, strict=True)) | {"higher_is_better": bool(known.higher_is_better.iloc[0])}
        if one is None or other is None:  # not one clip could be scored in the other run
            counts = {f"only_{run}": len(part) if part is not None else 0 for run, part in (("a", one), ("b", other))}
            yield row | {"n": 0, "p": np.nan} | counts
            continue
        both = one.index.intersection(other.index).sort_values()
        row |= {"n": len(both), "only_a": len(one) - len(both), "only_b": len(other) - len(both)}
        if len(both):
            row |= _paired(one.loc[both], other.loc[both], "/".join(key))
            row["other_target"] = _other_targets(a, b, key[:4], list(both))
        yield row | ({} if len(both) else {"p": np.nan})


def _paired(one: pd.DataFrame, other: pd.DataFrame, seed_of: str) -> dict[str, Any]:
    videos = one.video_id.to_numpy(str)
    a, b = one.value.to_numpy(float), other.value.to_numpy(float)
    difference, names = b - a, np.unique(videos)
    seed = int.from_bytes(hashlib.sha256(seed_of.encode()).digest()[:8], "big")
    low, high = bootstrap_intervals(difference[:, None], videos, _RESAMPLES, seed)
    totals = np.array([difference[videos == name].sum() for name in names])
    alone = len(names) == 1
    better = difference > 0 if one.higher_is_better.iloc[0] else difference < 0
    return {
        "n_videos": len(names),
        "identical": int((a == b).sum()),
        "mean_a": float(a.mean()),
        "mean_b": float(b.mean()),
        "difference": float(difference.mean()),
        "ci_low": float(low[0]),
        "ci_high": float(high[0]),
        "p": float("nan") if alone else float(sign_flip_p(totals[:, None], _FLIPS, seed)[0]),
        "win_rate": float((better + 0.5 * (difference == 0)).mean()),
    }


def _other_targets(a: Run, b: Run, cell: tuple[str, ...], clip_ids: list[str]) -> int:
    places = [(*cell, clip_id) for clip_id in clip_ids]
    one, other = (run.targets.reindex(places).to_numpy(float) for run in (a, b))
    return int((~np.isnan(one) & ~np.isnan(other) & (one != other)).sum())


def _differences(a: Run, b: Run, cells: Sequence[tuple[str, ...]]) -> list[dict[str, Any]]:
    counted: Counter[tuple[str, str, str]] = Counter()
    for key in cells:
        one, other = ({name: run.provenance[key].get(name) for name in _SAID} for run in (a, b))
        one, other = dict(_flat(one)), dict(_flat(other))
        for name in sorted(one.keys() | other.keys()):
            if one.get(name) != other.get(name):
                counted[name, str(one.get(name, "–")), str(other.get(name, "–"))] += 1
    return [{"key": key, "a": first, "b": second, "cells": cells} for (key, first, second), cells in counted.items()]


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, one in value.items():
            yield from _flat(one, f"{name}.{key}" if name else str(key))
    else:
        yield name, json.dumps(value) if isinstance(value, list) else value


def as_text(found: Mapping[str, Any]) -> str:
    """What differs between the runs, then a line a score."""
    lines = [
        ("dataset", "model", "method", "score", "a", "b", "b - a", "p (Holm)", "clips", "identical", "a or b only")
    ]
    for row in found["scores"]:
        where = (row["dataset"], row["model"], row["method"], heading(row["metric"], row["higher_is_better"]))
        alone = f"{row['only_a']}, {row['only_b']}" if row["only_a"] or row["only_b"] else ""
        if row["n"] == 0:
            lines.append((*where, "", "", "no clip in common", "", "0", "", alone))
            continue
        interval = "" if np.isnan(row["ci_low"]) else f" [{row['ci_low']:+.3f}, {row['ci_high']:+.3f}]"
        p = "" if np.isnan(row["p_holm"]) else f"{row['p_holm']:.3g}"
        numbers = (f"{row['mean_a']:.3f}", f"{row['mean_b']:.3f}", f"{row['difference']:+.3f}{interval}")
        lines.append((*where, *numbers, p, str(row["n"]), str(row["identical"]), alone))
    said = [f"a: {found['a']}", f"b: {found['b']}"]
    said += [f"differs in {one['cells']}: {one['key']}: {one['a']} -> {one['b']}" for one in found["differs"]]
    said += [f"only in {run}: {cell}" for run in "ab" for cell in found[f"only_{run}"]]
    said += [f"not compared, since it is not registered here: {name}" for name in found["left_out"]]
    others = {tuple(row[key] for key in ("dataset", "model", "method", "of")): row for row in found["scores"]}
    said += [
        f"another class was explained: {'/'.join(cell)}: {row['other_target']} of {row['n']} clips"
        for cell, row in others.items()
        if row.get("other_target")
    ]
    return "\n".join([*said, "", in_columns(lines)])
