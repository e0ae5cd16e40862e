"""figure: an SVG, and beside it a CSV of exactly the data that it draws."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from swagv.explanations import Explanations
from swagv.figures.ablation import ablation_svg
from swagv.figures.grid import grid_svg
from swagv.figures.profile import profile_svg
from swagv.figures.randomisation import randomisation_svg
from swagv.figures.strips import Key, TooLarge, choose_clips, strips_svg, versus_svg
from swagv.figures.sweep import METRICS, sweep_svg
from swagv.geometry import Geometry
from swagv.publish import publish
from swagv.stores import open_store
from swagv.summary import NOT_APPLICABLE, bootstrap_intervals, video_of
from swagv.tables import read_table
from swagv.viz import filmstrip

_CELL = ["dataset", "model", "method"]
_VALUES = ["metric", "mean", "ci_low", "ci_high", "n"]
_SIMILARITIES = ["spearman", "spearman_abs"]
_SAID = ["target", "target_name", "p_target", "top1", "top1_name", "p_top1"]


def grid(out: Path, summaries: Sequence[Path], points: Mapping[str, Mapping[str, Any]]) -> None:
    """Figure 2.

    Parameters
    ----------
    out
        The SVG; the CSV has its name. So in all of these.
    summaries
        The one table of means of insertion and deletion. So in `sweep`.
    points
        Method -> ``grid``, a list of ``"coarse"``, ``"fine"`` or both; ``w_color``; ``w_grad``.
    """
    rows = [
        {"grid": name, "w_color": point["w_color"], "w_grad": point["w_grad"], "method": method}
        for method, point in points.items()
        for name in point["grid"]
    ]
    drawn = pd.DataFrame(rows, columns=["grid", "w_color", "w_grad", "method"]).sort_values("grid", kind="stable")
    drawn = drawn.merge(_cells(read_table(*summaries), points, ["joint"]), on="method")
    _write(out, grid_svg(drawn), drawn)


def sweep(
    out: Path,
    summaries: Sequence[Path],
    supervoxels: Sequence[Path],
    points: Mapping[str, Mapping[str, Any]],
    recipes: Mapping[str, str],
    methods: Sequence[str],
) -> None:
    """Figure 3.

    Parameters
    ----------
    supervoxels
        Stores of all methods, in ``{dataset}/{model}/supervoxels/{recipe}/{shard}.zarr``; without ``{model}`` where
        they are of the image alone.
    points
        Method -> ``method``, the one that it varies; ``n_segments``.
    recipes
        Method -> the folder of its supervoxels.
    methods
        All methods of the run, which fixes the colours. So in all of these.
    """
    scores = _cells(read_table(*summaries), points, METRICS)
    stores = {name: [path for path in supervoxels if path.parts[-2] == recipes[name]] for name in points}
    counts = _counts(stores, scores[_CELL[:2]].drop_duplicates())
    drawn = scores.merge(counts, on=_CELL, how="left").rename(columns={"method": "run"})
    base = {name: point["method"] for name, point in points.items()}
    requested = {name: point["n_segments"] for name, point in points.items()}
    drawn = drawn.assign(method=drawn.run.map(base), n_segments=drawn.run.map(requested))
    drawn = drawn[[*_CELL, "n_segments", "n_seeded", "n_final", *_VALUES]]
    _write(out, sweep_svg(drawn, methods), drawn)


def strips(
    out: Path,
    clips: Sequence[Path],
    explanations: Sequence[Path],
    predictions: Sequence[Path],
    insertion_deletion: Sequence[Path],
    methods: Sequence[str],
    max_clips: int = 4,
) -> None:
    """Figure 4.

    Parameters
    ----------
    clips
        Stores in ``{dataset}/clips/{shard}.zarr``.
    explanations
        Stores in ``{dataset}/{model}/explanations/{method}/{shard}.zarr``.
    predictions, insertion_deletion
        Tables of all shards; a clip without scores has none in the CSV.
    methods
        Those shown, in this order.
    max_clips
        Of each dataset, of different predicted classes where there are that many; fewer where not all fit.
    """
    _sheet(out, strips_svg, max_clips, clips, explanations, predictions, insertion_deletion, methods)


def versus(
    out: Path,
    clips: Sequence[Path],
    explanations: Sequence[Path],
    predictions: Sequence[Path],
    insertion_deletion: Sequence[Path],
    methods: Sequence[str],
    max_clips: int = 4,
) -> None:
    """Figure 1, of two methods; parameters as of `strips`."""
    _sheet(out, versus_svg, max_clips, clips, explanations, predictions, insertion_deletion, methods)


def ablation(
    out: Path,
    summaries: Sequence[Path],
    choices: Sequence[Mapping[str, Any]],
    methods: Sequence[str],
) -> None:
    """Whether a choice changes the order of the methods.

    Parameters
    ----------
    summaries
        A table of means for each variant of a metric, ``{metric}.parquet``.
    choices
        ``metric``, the name of a summary; ``choice`` and ``value``, what it was computed with. A summary may stand for
        a value of several choices.
    """
    tables = {path.stem: read_table(path) for path in summaries}
    rows = []
    for choice in choices:
        table = tables[choice["metric"]]
        # An error at the alpha that flatters would only double the panels.
        left_out = table.metric.isin([NOT_APPLICABLE, "none"]) | table.metric.str.endswith("_oracle")
        metrics = table.metric[~left_out].unique()
        named = {"choice": choice["choice"], "value": str(choice["value"])}
        rows.append(_cells(table, table.method.unique(), metrics, ["higher_is_better"]).assign(**named))
    columns = [*_CELL, "choice", "value", *_VALUES, "higher_is_better"]
    points = pd.concat(rows, ignore_index=True)[columns] if rows else pd.DataFrame(columns=columns)
    _write(out, ablation_svg(points, methods), points)


def randomisation(out: Path, tables: Sequence[Path], methods: Sequence[str], resamples: int = 2000) -> None:
    """What is left of explanations once weights are random.

    Parameters
    ----------
    tables
        Rows dataset, model, method, clip_id, status, depth, layer, spearman, spearman_abs of all methods and shards.
    resamples
        Of the bootstrap interval. So in `profile`.
    """
    clips = _concat(tables, [*_CELL, "clip_id", "status", "depth", "layer", *_SIMILARITIES])
    good = clips[clips.status == "ok"].astype({"depth": int})
    signed = not good.spearman.equals(good.spearman_abs)  # else the two are one
    long = good.melt([*_CELL, "clip_id", "depth", "layer"], _SIMILARITIES[: 1 + signed], "metric")
    drawn = _means(clips, long, ["metric", "depth", "layer"], resamples)
    _write(out, randomisation_svg(drawn, methods), drawn)


def profile(out: Path, tables: Sequence[Path], methods: Sequence[str], resamples: int = 2000) -> None:
    """How explanations are spread over time.

    Parameters
    ----------
    tables
        Rows dataset, model, method, clip_id, status, profile (shares of the frames, a list) of all methods and shards.
    """
    clips = _concat(tables, [*_CELL, "clip_id", "status", "profile"])
    long = clips[clips.status == "ok"].explode("profile").rename(columns={"profile": "value"})
    long = long.assign(frame=long.groupby([*_CELL, "clip_id"]).cumcount() + 1)
    drawn = _means(clips, long, ["frame"], resamples)
    _write(out, profile_svg(drawn, methods), drawn)


def _sheet(out: Path, draw: Callable[..., str], count: int, *sources: Sequence[Any]) -> None:
    """Of each dataset `count` clips, or as many as fit into the file."""
    while True:
        drawn, pictures = _examples(*sources, count)
        try:
            return _write(out, draw(drawn, pictures), drawn)
        except TooLarge:
            if count == 1:
                raise
            count -= 1


def _write(out: Path, svg: str, drawn: pd.DataFrame) -> None:
    with publish(out.with_suffix(".csv")) as partial:
        drawn.to_csv(partial, index=False, lineterminator="\n")
    with publish(out) as partial:
        partial.write_text(svg, encoding="utf-8", newline="\n")


def _concat(paths: Sequence[Path], columns: Sequence[str]) -> pd.DataFrame:
    # A table without one scored clip lacks the columns that its metric would have added.
    tables = [read_table(path).reindex(columns=list(columns)) for path in paths]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(columns))


def _cells(
    summary: pd.DataFrame, methods: Iterable[str], metrics: Sequence[str], more: Sequence[str] = ()
) -> pd.DataFrame:
    """Means for every dataset and network of a summary and each of these methods; n = 0 where no clip was scored."""
    wanted = summary[_CELL[:2]].drop_duplicates()
    for name, values in (("method", methods), ("metric", metrics)):
        wanted = wanted.merge(pd.DataFrame({name: list(values)}, dtype=object), how="cross")
    found = wanted.merge(summary[[*_CELL, *_VALUES, *more]], on=[*_CELL, "metric"], how="left")
    return found.assign(n=found.n.fillna(0).astype(int))


def _means(clips: pd.DataFrame, values: pd.DataFrame, steps: Sequence[str], resamples: int) -> pd.DataFrame:
    """Means over the clips with their intervals, at every step for every method of `clips`; n = 0 where none is ok.

    Parameters
    ----------
    clips
        Rows dataset, model, method, whatever became of them.
    values
        Rows dataset, model, method, clip_id, `steps`, value.
    """
    rows = []
    for key, cell in values.dropna(subset="value").groupby([*_CELL, *steps], sort=False):
        # Sorted, so that neither shards nor their order change a digit.
        cell = cell.sort_values("clip_id")
        found = cell.value.to_numpy(float)
        seed = int.from_bytes(hashlib.sha256("/".join(map(str, key)).encode()).digest()[:8], "big")
        low, high = bootstrap_intervals(found[:, None], video_of(cell), resamples, seed)
        rows.append((*key, found.mean(), low[0], high[0], len(found)))
    means = pd.DataFrame(rows, columns=[*_CELL, *steps, *_VALUES[1:]])
    every = clips[_CELL].drop_duplicates()
    every = every.merge(means[[*_CELL[:2], *steps]].drop_duplicates(), on=_CELL[:2])
    drawn = every.merge(means, on=[*_CELL, *steps], how="left")
    return drawn.assign(n=drawn.n.fillna(0).astype(int))


def _counts(supervoxels: Mapping[str, Sequence[Path]], places: pd.DataFrame) -> pd.DataFrame:
    """Rows dataset, model, method, n_seeded, n_final: means over the clips that have supervoxels."""
    rows = []
    for method, paths in supervoxels.items():
        for path in paths:
            store = open_store(path).attrs
            if store["spec"]["recipe"]["features"] == "image":  # one store for all networks
                here = places[places.dataset == path.parts[-4]]
            else:
                here = places[(places.dataset == path.parts[-5]) & (places.model == path.parts[-4])]
            counts = pd.DataFrame({name: store[name] for name in ("status", "n_seeded", "n_final")})
            counts = counts[counts.status == "ok"].drop(columns="status")
            rows.append(here.merge(counts.assign(method=method), how="cross"))
    columns = [*_CELL, "n_seeded", "n_final"]
    every = pd.concat(rows, ignore_index=True)[columns] if rows else pd.DataFrame(columns=columns)
    return every.groupby(_CELL, as_index=False)[["n_seeded", "n_final"]].mean()


def _examples(
    clips: Sequence[Path],
    explanations: Sequence[Path],
    predictions: Sequence[Path],
    insertion_deletion: Sequence[Path],
    methods: Sequence[str],
    max_clips: int,
) -> tuple[pd.DataFrame, dict[Key, np.ndarray]]:
    """Rows and pictures of `swagv.figures.strips`, only of the chosen clips."""
    said = pd.concat([read_table(path) for path in predictions], ignore_index=True)
    keys = [*_CELL, "clip_id"]
    scores = _concat(insertion_deletion, [*keys, "deletion_auc", "insertion_auc"])
    stores = {(path.parts[-3], path.stem): path for path in clips}
    models = dict.fromkeys((path.parts[-5], path.parts[-4]) for path in explanations)
    maps = {(path.parts[-5], path.parts[-4], path.parts[-2], path.stem): path for path in explanations}
    rows, pictures = [], {}
    for chosen in choose_clips(said, max_clips).to_dict("records"):
        dataset, shard, clip_id = chosen["dataset"], chosen["shard"], chosen["clip_id"]
        store = open_store(stores[dataset, shard])
        index = store.attrs["clip_ids"].index(clip_id)
        frames, geometry = store["frames"][index], Geometry(**store.attrs["spec"]["geometry"])
        boxes = geometry.boxes(store["boxes"][index], *store.attrs["sizes"][index])
        which = [round(t * (len(frames) - 1) / 3) for t in range(4)]
        shown = ", ".join(str(t + 1) for t in which)
        for model in [model for of, model in models if of == dataset]:
            here = said[(said.dataset == dataset) & (said.model == model) & (said.clip_id == clip_id)].iloc[0]
            pictures[dataset, model, clip_id, None] = filmstrip(frames, None, boxes, which)
            for method in methods:
                explained = Explanations(maps[dataset, model, method, shard])
                status = explained.store.attrs["status"][index]
                if status == "ok":
                    attribution = explained[index]
                    pictures[dataset, model, clip_id, method] = filmstrip(frames, attribution, boxes, which)
                names = {"dataset": dataset, "model": model, "clip_id": clip_id, "method": method}
                rows.append(names | {"frames": shown, "status": status} | here[_SAID].to_dict())
    drawn = pd.DataFrame(rows, columns=[*keys, "frames", "status", *_SAID])
    return drawn.merge(scores, on=keys, how="left"), pictures


# Kind of figure -> what draws it.
DRAW = {
    "grid": grid,
    "sweep": sweep,
    "strips": strips,
    "versus": versus,
    "ablation": ablation,
    "randomisation": randomisation,
    "profile": profile,
}
