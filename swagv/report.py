"""One self-contained HTML page: tables, figures, clips to browse, what went wrong, and how the run was made."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2
import pandas as pd

from swagv.figures import curves_svg
from swagv.gallery import Example, gallery
from swagv.headings import heading
from swagv.publish import publish
from swagv.tables import COMPARISONS, read_table
from swagv.typeset import CONTROLS
from swagv.viz import overlay_look

_CLIP = ["dataset", "clip_id"]
_EXPLANATION = ["dataset", "model", "method", "clip_id"]
_MAX_ROWS = 200  # of a list of videos; there may be thousands, and the manifests have them all
_TEMPLATES = Path(__file__).parent / "templates"


def write_report(
    out: Path,
    *,
    tables: Sequence[Path],
    figures: Sequence[Path],
    comparisons: Sequence[Path],
    captions: Mapping[str, str],
    insertion_deletion: Path | None,
    games: str,
    clip_tables: Mapping[str, Sequence[Path]],
    manifests: Sequence[Path],
    predictions: Sequence[Path],
    examples: Sequence[Example],
    paper_clips: Mapping[str, int],
    alpha_from: Mapping[str, str],
    methods: Sequence[str],
    max_clips: int = 6,
    resamples: int = 2000,
    provenance: Mapping[str, object],
) -> None:
    """Write the report; every table and picture is computed from the given files.

    Parameters
    ----------
    tables
        HTML of `swagv.typeset.to_html`, taken as it is.
    figures
        SVG files.
    captions
        Name of a figure -> what stands below it.
    comparisons
        Of `swagv.comparisons.compare`.
    insertion_deletion
        Its summary, for the headlines; None where it was not run.
    games
        The name of that metric in `clip_tables`, for the curves and the scores of each clip.
    clip_tables
        Metric -> its per-clip tables, of all shards.
    manifests, predictions
        Of all shards; manifests in ``{dataset}/manifest/{shard}.parquet``.
    examples
        Where frames and explanations of the gallery are.
    paper_clips
        Dataset -> clips that the paper evaluated, 0 for none, to stand beside the counts.
    alpha_from
        Dataset -> the one that chooses its localisation threshold and is evaluated for nothing else.
    methods
        All that a figure may show, which fixes the colours, in the order in which they stand against each other.
    resamples
        Of the bands of the curves.
    max_clips
        Clips in the gallery for each dataset, of different predicted classes where there are that many.
    provenance
        Shown at the end, nested values as JSON.
    """
    scored = {metric: _concat(paths) for metric, paths in clip_tables.items()}
    plans = pd.concat([read_table(path).assign(dataset=path.parts[-3]) for path in manifests], ignore_index=True)
    predicted = _concat(predictions)
    evaluated = predicted[~predicted.dataset.isin(list(alpha_from.values()))]
    problems = _problems(plans, predicted)
    compared = [read_table(path).assign(of=path.stem) for path in comparisons]
    compared = pd.concat(compared, ignore_index=True) if compared else pd.DataFrame(columns=[*COMPARISONS.names, "of"])
    curves = scored.get(games)
    names = {"deletion_auc": "deletion", "insertion_auc": "insertion"}
    scores = pd.DataFrame(columns=_EXPLANATION)
    if curves is not None:
        scores = curves.rename(columns=names)[[*_EXPLANATION, *names.values()]]
    data = {
        "comparisons": _wins(compared, methods),
        "clips": gallery(examples, evaluated, scores, max_clips),
        "look": overlay_look(),
    }
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
    )
    script = (_TEMPLATES / "report.js").read_text(encoding="utf-8")
    html = environment.get_template("report.html.j2").render(
        style=(_TEMPLATES / "report.css").read_text(encoding="utf-8"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        # Nothing in it can end the element that it stands in.
        data=json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"),
        tables=[path.read_text(encoding="utf-8") for path in tables],
        figures=[(path.stem, captions.get(path.stem, ""), _data_uri(path)) for path in figures],
        headlines=_headlines(read_table(insertion_deletion), compared[compared.of == games])
        if insertion_deletion
        else [],
        curves=[] if curves is None else _curves(curves, methods, resamples),
        compares=bool(data["comparisons"]),
        has_clips=bool(data["clips"]),
        accuracy=_accuracy(evaluated),
        clip_count=len(evaluated[evaluated.status == "ok"].drop_duplicates(_CLIP)),
        data_rows=_data(plans, predicted, paper_clips, alpha_from),
        problems=problems.to_dict("records")[:_MAX_ROWS],
        problem_count=len(problems),
        problem_counts=problems.status.value_counts().sort_index().to_dict(),
        damaged=plans[(plans.status == "ok") & (plans.detail.fillna("") != "")].to_dict("records")[:_MAX_ROWS],
        failures=[row for metric, clips in scored.items() for row in _failures(metric, clips)],
        provenance={key: _readable(value) for key, value in provenance.items()},
    )
    with publish(out) as partial:
        partial.write_text(html, encoding="utf-8", newline="\n")


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


def _data_uri(path: Path) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(path.read_bytes()).decode()


def _headlines(summary: pd.DataFrame, compared: pd.DataFrame) -> list[dict]:
    """For each model, the method of the lowest mean deletion + (1 − insertion), beside the best control."""
    joint = summary[(summary.metric == "joint") & summary["mean"].notna()]
    best = joint.loc[joint.groupby(["dataset", "model"], sort=False)["mean"].idxmin()]
    controls = joint[joint.method.isin(CONTROLS)]
    rows = []
    for row in best.to_dict("records"):
        rivals = controls[(controls.dataset == row["dataset"]) & (controls.model == row["model"])]
        rival = None if rivals.empty or row["method"] in CONTROLS else rivals.loc[rivals["mean"].idxmin(), "method"]
        rows.append(row | {"rival": _difference(compared, row, rival) if rival else None})
    return rows


def _difference(compared: pd.DataFrame, row: Mapping[str, object], rival: str) -> dict | None:
    """Of the row's method from its rival on the same clips; negative is better."""
    if compared.empty:
        return None
    here = compared[(compared.dataset == row["dataset"]) & (compared.model == row["model"])]
    here = here[here.metric == "joint"]
    for sign, (a, b) in {1: (row["method"], rival), -1: (rival, row["method"])}.items():
        for pair in here[(here.method_a == a) & (here.method_b == b)].to_dict("records"):
            low, high = sorted((sign * pair["ci_low"], sign * pair["ci_high"]))
            return {
                "method": rival,
                "difference": sign * pair["difference"],
                "ci_low": low,
                "ci_high": high,
                "p": pair["p_holm"],
            }
    return None


def _wins(compared: pd.DataFrame, order: Sequence[str]) -> list[dict]:
    """For the script: of each dataset, model and score, every pair of methods by their places in ``methods``."""
    found = []
    groups = compared.groupby(["of", "dataset", "model", "metric"], sort=False) if len(compared) else []
    several = set(compared.metric[compared.groupby("metric").of.transform("nunique") > 1]) if len(compared) else set()
    for (of, dataset, model, metric), rows in groups:
        methods = sorted({*rows.method_a, *rows.method_b}, key=lambda name: (name not in CONTROLS, order.index(name)))
        pairs = []
        for row in rows.itertuples():
            numbers = (row.difference, row.ci_low, row.ci_high, row.p_holm, row.win_rate)
            pairs.append([methods.index(row.method_a), methods.index(row.method_b), row.n, *map(_short, numbers)])
        found.append(
            {
                "metric": metric,
                "title": f"{heading(metric, bool(rows.higher_is_better.iloc[0]))}: {model} on {dataset}"
                + (f" ({of})" if metric in several else ""),
                "digits": 1 if metric.startswith("loc_error") else 3,
                "videos": int(rows.n_videos.max()),
                "tested": int(rows.p_holm.notna().sum()),
                "least": _short(rows.p_least.iloc[0]),
                "methods": methods,
                "pairs": pairs,
            }
        )
    # The joint score first: it is what most people look for.
    return sorted(found, key=lambda one: one["metric"] != "joint")


def _short(value: float) -> float | None:
    return None if math.isnan(value) else float(f"{value:.4g}")


def _curves(clips: pd.DataFrame, methods: Sequence[str], resamples: int) -> list[tuple[str, list[str]]]:
    return [
        (f"{model} on {dataset}", [curves_svg(rows, game, methods, resamples) for game in ("deletion", "insertion")])
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
