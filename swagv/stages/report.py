"""report: the one page to open first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from swagv.gallery import Example
from swagv.report import write_report
from swagv.tables import read_provenance


def report(
    out: Path,
    summaries: Sequence[Path],
    clip_tables: Sequence[Path],
    manifests: Sequence[Path],
    predictions: Sequence[Path],
    clips: Sequence[Path],
    explanations: Sequence[Path],
    tables: Sequence[Path],
    figures: Sequence[Path],
    comparisons: Sequence[Path],
    paper_clips: Mapping[str, int],
    alpha_from: Mapping[str, str],
    methods: Sequence[str],
    insertion_deletion: str,
    captions: Mapping[str, str],
    bootstrap: int,
    configuration: Mapping[str, object],
) -> None:
    """Write the report.

    Parameters
    ----------
    clip_tables
        Paths that end in ``{model}/{metric}/{method}/{shard}.parquet``.
    explanations
        Paths that end in ``{dataset}/{model}/explanations/{method}/{shard}.zarr``; `clips` in
        ``{dataset}/clips/{shard}.zarr``.
    tables, figures, comparisons
        As of `swagv.report.write_report`.
    paper_clips
        Dataset -> clips that the paper evaluated, 0 for none.
    alpha_from
        Dataset -> the one that chooses its localisation threshold.
    methods, captions
        As of `swagv.report.write_report`.
    insertion_deletion
        Name of the metric of that kind, empty for none.
    bootstrap
        Resamples.
    configuration
        What repeats the run.
    """
    frames = {(path.parts[-3], path.name): path for path in clips}
    examples = [
        Example(path.parts[-5], path.parts[-4], path.parts[-2], frames[path.parts[-5], path.name], path)
        for path in sorted(explanations, key=lambda path: methods.index(path.parts[-2]))
    ]
    by_metric: dict[str, list[Path]] = {}
    for path in clip_tables:
        by_metric.setdefault(path.parts[-3], []).append(path)
    write_report(
        out,
        tables=tables,
        figures=figures,
        comparisons=comparisons,
        insertion_deletion=next((path for path in summaries if path.stem == insertion_deletion), None),
        games=insertion_deletion,
        captions=captions,
        resamples=bootstrap,
        clip_tables=by_metric,
        manifests=manifests,
        predictions=predictions,
        examples=examples,
        paper_clips=paper_clips,
        alpha_from=alpha_from,
        methods=methods,
        provenance={"configuration": configuration} | _provenance([*manifests, *predictions, *clip_tables, *summaries]),
    )


def _provenance(tables: Sequence[Path]) -> dict[str, object]:
    """What repeats the run: versions and commits of all tables, and the settings of every stage among them."""
    found = [(path, read_provenance(path)) for path in tables]
    versions: dict[str, set[str]] = {}
    settings: dict[str, object] = {}
    for path, record in found:
        for package, version in record["versions"].items():
            versions.setdefault(package, set()).add(version)
        spec = record["spec"]
        if record["stage"] == "plan":  # {dataset}/manifest/{shard}.parquet
            settings[f"dataset {path.parts[-3]}"] = spec
        elif record["stage"] == "predict":  # {dataset}/{model}/predictions/{shard}.parquet
            settings[f"model {path.parts[-3]}"] = spec
        elif record["stage"] == "summarise":
            settings["bootstrap"] = spec["bootstrap"]
        else:  # {dataset}/{model}/{metric}/{method}/{shard}.parquet
            settings[f"method {path.parts[-2]}"] = spec["method"]
            settings[path.parts[-3]] = spec["metric"]
    return {
        # More than one where the environment changed between two runs: an upgrade alone makes nothing run again.
        "versions": {package: ", ".join(sorted(found)) for package, found in versions.items()},
        "git commits": sorted({record["git_commit"] for _, record in found}),
        "devices": sorted({record["device"] for _, record in found}),
        "precision": sorted({record["precision"] for _, record in found}),
        "created": f"{min(r['created'] for _, r in found)} to {max(r['created'] for _, r in found)}",
    } | dict(sorted(settings.items()))
