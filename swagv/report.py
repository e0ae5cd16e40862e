"""One self-contained HTML page: tables, curves, filmstrips, what went wrong, and how the run was made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
import pandas as pd

from swagv.figures import curves_svg
from swagv.geometry import Geometry
from swagv.metrics.insertion_deletion import InsertionDeletion
from swagv.metrics.localisation import Localisation
from swagv.publish import publish
from swagv.stores import open_store
from swagv.summary import NOT_APPLICABLE
from swagv.tables import read_table
from swagv.viz import filmstrip, png_data_uri

_TITLES = {
    "deletion_auc": "deletion AUC ↓",
    "insertion_auc": "insertion AUC ↑",
    "joint": "deletion + (1 − insertion) ↓",
    "loc_error_value": "error %, value ↓",
    "loc_error_mean": "error %, mean ↓",
    "loc_error_energy": "error %, energy ↓",
    "loc_error_value_oracle": "value, oracle ↓",
    "loc_error_mean_oracle": "mean, oracle ↓",
    "loc_error_energy_oracle": "energy, oracle ↓",
}
_CLIP = ["dataset", "clip_id"]
_MAX_ROWS = 200  # of a list of videos; there may be thousands, and the manifests have them all
_HIGHER_IS_BETTER = InsertionDeletion.higher_is_better | Localisation.higher_is_better


@dataclass(frozen=True)
class Example:
    """Clip store and explanation store of one shard of a dataset, model and method."""

    dataset: str
    model: str
    method: str
    clips: Path
    explanations: Path


def write_report(
    out: Path,
    *,
    insertion_deletion: Path | None,
    localisation: Path | None,
    clip_tables: Mapping[str, Sequence[Path]],
    manifests: Sequence[Path],
    predictions: Sequence[Path],
    examples: Sequence[Example],
    paper_clips: Mapping[str, int],
    alpha_from: Mapping[str, str],
    max_clips: int = 4,
    provenance: Mapping[str, object],
) -> None:
    """Write the report; every table and picture is computed from the given files.

    Parameters
    ----------
    insertion_deletion, localisation
        Summary tables; None for a metric that was not run.
    clip_tables
        Metric -> its per-clip tables, of all shards.
    manifests, predictions
        Of all shards; manifests in ``{dataset}/manifest/{shard}.parquet``.
    examples
        Where frames and explanations of the filmstrips are.
    paper_clips
        Dataset -> clips that the paper evaluated, 0 for none, to stand beside the counts.
    alpha_from
        Dataset -> the one that chooses its localisation threshold and is evaluated for nothing else.
    max_clips
        Clips shown for each dataset, of different labels where there are that many.
    provenance
        Shown at the end, nested values as JSON.
    """
    scored = {metric: _concat(paths) for metric, paths in clip_tables.items()}
    plans = pd.concat([read_table(path).assign(dataset=path.parts[-3]) for path in manifests], ignore_index=True)
    predicted = _concat(predictions)
    evaluated = predicted[~predicted.dataset.isin(list(alpha_from.values()))]
    problems = _problems(plans, predicted)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    html = environment.get_template("report.html.j2").render(
        tables=[
            (title, _table(read_table(path)))
            for title, path in (("Insertion and deletion", insertion_deletion), ("Localisation", localisation))
            if path
        ],
        headlines=_headlines(read_table(insertion_deletion)) if insertion_deletion else [],
        curves=_curves(scored["insertion_deletion"]) if insertion_deletion else [],
        strips=_strips(examples, evaluated, max_clips),
        accuracy=_accuracy(evaluated),
        clip_count=len(evaluated[evaluated.status == "ok"].drop_duplicates(_CLIP)),
        data=_data(plans, predicted, paper_clips, alpha_from),
        problems=problems.to_dict("records")[:_MAX_ROWS],
        problem_count=len(problems),
        problem_counts=problems.status.value_counts().sort_index().to_dict(),
        damaged=plans[(plans.status == "ok") & (plans.detail.fillna("") != "")].to_dict("records")[:_MAX_ROWS],
        failures=[row for metric, clips in scored.items() for row in _failures(metric, clips)],
        provenance={key: _readable(value) for key, value in provenance.items()},
    )
    with publish(out) as partial:
        partial.write_text(html, encoding="utf-8")


def _concat(paths: Sequence[Path]) -> pd.DataFrame:
    return pd.concat([read_table(path) for path in paths], ignore_index=True)


def _data(
    plans: pd.DataFrame, predicted: pd.DataFrame, paper_clips: Mapping[str, int], alpha_from: Mapping[str, str]
) -> list[dict]:
    """For each dataset, its videos and what became of them, beside the paper's number of clips."""
    chooses = {chooser: dataset for dataset, chooser in alpha_from.items()}
    ready = predicted[predicted.status == "ok"].groupby("dataset").clip_id.nunique()
    return [
        {
            "dataset": dataset,
            "videos": rows.video_id.nunique(),
            "missing": int((rows.status == "missing").sum()),
            "clips": int(ready.get(dataset, 0)),
            "paper_clips": paper_clips.get(dataset, 0),
            "alpha_for": chooses.get(dataset, ""),
        }
        for dataset, rows in plans.groupby("dataset", sort=False)
    ]


def _problems(plans: pd.DataFrame, predicted: pd.DataFrame) -> pd.DataFrame:
    """Clips that no model could be given: dataset, video_id, status and, where it is longer than that, detail."""
    planned = plans.loc[plans.status != "ok", [*_CLIP, "video_id", "status", "detail"]]
    late = predicted[(predicted.status != "ok").groupby([predicted[key] for key in _CLIP]).transform("all")]
    late = late.drop_duplicates(_CLIP)
    known = pd.MultiIndex.from_frame(planned[_CLIP])
    late = late[~pd.MultiIndex.from_frame(late[_CLIP]).isin(known)]
    status, detail = late.status.str.split(": ", n=1).str[0], late.status.str.split(": ", n=1).str[1].fillna("")
    late = late[_CLIP].assign(video_id=late.clip_id, status=status, detail=detail)
    return pd.concat([planned, late], ignore_index=True)


def _readable(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False, indent=1)


def _table(summary: pd.DataFrame) -> dict:
    """Header and rows of a summary, one row a method, one cell a metric; the best of each model is marked."""
    metrics = [name for name in _TITLES if name in set(summary.metric)]
    cells = {(row["dataset"], row["model"], row["method"], row["metric"]): row for row in summary.to_dict("records")}
    keys = list(dict.fromkeys(key[:3] for key in cells))
    best = {}
    for (dataset, model, metric), group in summary.groupby(["dataset", "model", "metric"]):
        if group["mean"].notna().any():
            best[dataset, model, metric] = group["mean"].max() if _HIGHER_IS_BETTER.get(metric) else group["mean"].min()
    rows = []
    for key in keys:
        found = [cells.get((*key, metric)) for metric in metrics]
        any_row = next(row for (*other, _), row in cells.items() if tuple(other) == key)
        shown = [
            row
            and {**row, "best": row["mean"] == best.get((*key[:2], row["metric"])), "percent": "error" in row["metric"]}
            for row in found
        ]
        unfit = any_row["metric"] == NOT_APPLICABLE
        failed = 0 if unfit else any_row["n_failed"]
        rows.append({"key": key, "n": any_row["n"], "n_failed": failed, "unfit": unfit, "cells": shown})
    return {"titles": [_TITLES[metric] for metric in metrics], "rows": rows}


def _headlines(summary: pd.DataFrame) -> list[dict]:
    """For each model, the method of the lowest mean deletion + (1 − insertion), with its interval."""
    joint = summary[(summary.metric == "joint") & summary["mean"].notna()]
    return joint.loc[joint.groupby(["dataset", "model"], sort=False)["mean"].idxmin()].to_dict("records")


def _curves(clips: pd.DataFrame) -> list[tuple[str, list[str]]]:
    methods = sorted(set(clips.method))
    return [
        (f"{model} on {dataset}", [curves_svg(rows, game, methods) for game in ("deletion", "insertion")])
        for (dataset, model), rows in clips.groupby(["dataset", "model"], sort=False)
    ]


def _accuracy(predicted: pd.DataFrame) -> list[dict]:
    known = predicted[(predicted.status == "ok") & (predicted.label >= 0)]
    return [
        {"dataset": dataset, "model": model, "n": len(rows), "accuracy": float((rows.top1 == rows.label).mean())}
        for (dataset, model), rows in known.groupby(["dataset", "model"], sort=False)
    ]


def _failures(metric: str, clips: pd.DataFrame) -> list[dict]:
    bad = clips[clips.status != "ok"]
    counted = bad.groupby(["dataset", "model", "method", "status"], sort=False).size()
    return [
        {"metric": metric} | dict(zip(("dataset", "model", "method", "status", "n"), (*key, n), strict=True))
        for key, n in counted.items()
    ]


def _strips(examples: Sequence[Example], predicted: pd.DataFrame, max_clips: int) -> list[dict]:
    """For each chosen clip: the frames, then a strip for each model and method."""
    shown = []
    for dataset, rows in predicted[predicted.status == "ok"].groupby("dataset", sort=False):
        first = rows[rows.model == rows.model.iloc[0]].sort_values("clip_id")
        # One clip of each class first, so that the few that are shown differ.
        order = first.assign(turn=first.groupby("top1").cumcount()).sort_values(["turn", "clip_id"])
        for clip_id, shard in zip(order.clip_id[:max_clips], order.shard[:max_clips], strict=True):
            here = [e for e in examples if e.dataset == dataset and e.explanations.stem == shard]
            shown.append(_strip(clip_id, here, rows[rows.clip_id == clip_id]))
    return shown


def _strip(clip_id: str, examples: Sequence[Example], predicted: pd.DataFrame) -> dict:
    store = open_store(examples[0].clips)
    index = store.attrs["clip_ids"].index(clip_id)
    frames, geometry = store["frames"][index], Geometry(**store.attrs["spec"]["geometry"])
    boxes = geometry.boxes(store["boxes"][index], *store.attrs["sizes"][index])
    which = [round(t * (len(frames) - 1) / 3) for t in range(4)]
    said = {row["model"]: f"{row['top1_name']}, p = {row['p_top1']:.2f}" for row in predicted.to_dict("records")}
    models: dict[str, list[dict]] = {}
    for example in examples:
        maps = open_store(example.explanations)
        status = maps.attrs["status"][index]
        image = png_data_uri(filmstrip(frames, maps["attribution"][index], boxes, which)) if status == "ok" else None
        models.setdefault(example.model, []).append({"method": example.method, "image": image, "status": status})
    return {
        "clip_id": clip_id,
        "frame_numbers": ", ".join(str(t + 1) for t in which),
        "frames": png_data_uri(filmstrip(frames, None, boxes, which)),
        "models": [(model, said.get(model, ""), strips) for model, strips in models.items()],
    }
