"""Means over clips, in this one place, each with n and a 95 % interval."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from functools import partial

import numpy as np
import pandas as pd

from swagv.catalogue import METRICS
from swagv.metrics.localisation import ALPHAS

CELL = ["dataset", "model", "method"]
# Of one cell: metric -> its values, one a clip, and further columns of the summary.
_Metrics = dict[str, tuple[np.ndarray, dict[str, float]]]
# How the status of a clip begins, and the one metric of a cell, whose method and network do not go together.
NOT_APPLICABLE = "not_applicable"
_ORACLE = "_oracle"
# What `swagv.stages.timing` measures, as a metric.
_TIMES = {"seconds": False, "seconds_best_batch": False}
_BLOCK = 250  # resamples at a time: of 18,000 videos, 36 MB


def clip_values(clips: pd.DataFrame, metric: str, alpha_from: Mapping[str, str] | None = None) -> pd.DataFrame:
    """What is averaged: one row a clip and score, of the clips that could be scored.

    Parameters
    ----------
    clips
        Per-clip tables of one metric, of any number of datasets, models, methods and shards.
    metric
        Its name in the catalogue, or its object path. ``insertion_deletion`` has the scores deletion_auc, insertion_auc
        and ``joint`` = deletion + (1 - insertion). ``localisation`` has errors in percent, 0 or 100 for a clip:
        ``loc_error_{rule}`` at an alpha that was chosen on other videos (on those of another dataset where `alpha_from`
        names one; else each half of the videos takes that of the other half), left out where there are no such videos,
        and ``loc_error_{rule}_oracle`` at the one that is best on these clips themselves, which flatters. ``timing``
        has seconds and seconds_best_batch. Any other metric has the columns that its ``higher_is_better`` names; a NaN
        there is a clip without that score.
    alpha_from
        Evaluated dataset -> the dataset that chooses its alpha and has no rows of its own.

    Returns
    -------
    pandas.DataFrame
        dataset, model, method, metric, clip_id, video_id, value, higher_is_better, alpha, alpha_clips; sorted by clip
        within a cell, so that neither shards nor their order change a digit. `alpha` is that of all clips of the cell,
        where there is one, and `alpha_clips` counts the clips of the other dataset that chose it.
    """
    alpha_from = alpha_from or {}
    scores: Callable[[pd.DataFrame], _Metrics] = _insertion_deletion
    if metric == "localisation":
        choose = clips.dataset.isin(list(alpha_from.values()))
        choosing = dict(list(clips[choose & (clips.status == "ok")].groupby(CELL)))
        clips, scores = clips[~choose], partial(_localisation, choosing=choosing, alpha_from=alpha_from)
    elif metric != "insertion_deletion":
        scores = partial(_columns, names=directions(metric))
    better, found = directions(metric), []
    for _, cell in clips[clips.status == "ok"].groupby(CELL, sort=False):
        cell = cell.sort_values("clip_id")
        for name, (values, more) in scores(cell).items():
            one = cell[[*CELL, "clip_id"]].assign(metric=name, video_id=video_of(cell), value=values.astype(float))
            one = one.assign(higher_is_better=better[name.removesuffix(_ORACLE) if metric == "localisation" else name])
            found.append(one.assign(**{"alpha": np.nan, "alpha_clips": np.nan} | more).dropna(subset="value"))
    columns = [*CELL, "metric", "clip_id", "video_id", "value", "higher_is_better", "alpha", "alpha_clips"]
    return pd.concat(found, ignore_index=True)[columns] if found else pd.DataFrame(columns=columns)


def summarise(
    clips: pd.DataFrame, metric: str, resamples: int = 2000, alpha_from: Mapping[str, str] | None = None
) -> list[dict]:
    """Rows dataset, model, method, metric, n, n_failed, mean, ci_low, ci_high, higher_is_better, alpha, alpha_clips.

    Arguments are those of `clip_values`. A cell without one scored clip is one row, n = 0, of the metric
    ``not_applicable`` where method and network do not go together, else ``none``. The interval is the bootstrap's over
    videos; for localisation errors and `pointing` that are all or nothing for every clip, where it would have no width,
    the exact one of Clopper and Pearson.
    """
    values = dict(list(clip_values(clips, metric, alpha_from).groupby(CELL, sort=False)))
    rows = []
    for key, cell in clips[~clips.dataset.isin(list((alpha_from or {}).values()))].groupby(CELL, sort=False):
        names = dict(zip(CELL, key, strict=True))
        if key not in values:
            unfit = cell.status.str.startswith(NOT_APPLICABLE).any()
            rows.append(names | {"metric": NOT_APPLICABLE if unfit else "none", "n": 0, "n_failed": len(cell)})
            continue
        for name, scored in values[key].groupby("metric", sort=False):
            seed = int.from_bytes(hashlib.sha256("/".join([*key, name]).encode()).digest()[:8], "big")
            value, videos = scored.value.to_numpy(), scored.video_id.to_numpy(str)
            low, high = _interval(name, value, videos, resamples, seed)
            chosen = {key: scored[key].iloc[0] for key in ("alpha", "alpha_clips") if scored[key].notna().all()}
            counts = {"metric": name, "n": len(scored), "n_failed": len(cell) - len(scored)}
            counts["higher_is_better"] = bool(scored.higher_is_better.iloc[0])
            rows.append(names | counts | {"mean": value.mean(), "ci_low": low, "ci_high": high} | chosen)
    return rows


def directions(metric: str) -> Mapping[str, bool]:
    """Score -> whether more of it is better, of a metric by its name in the catalogue or its object path."""
    return _TIMES if metric == "timing" else METRICS.load(metric).higher_is_better


def _interval(metric: str, values: np.ndarray, videos: np.ndarray, resamples: int, seed: int) -> tuple[float, float]:
    most = 100.0 if metric.startswith("loc_error") else 1.0 if metric == "pointing" else 0.0
    if most and len(set(videos)) > 1 and set(values) in ({0.0}, {most}):
        return exact_interval(values[0] > 0, len(set(videos)), most)
    low, high = bootstrap_intervals(values[:, None], videos, resamples, seed)
    return float(low[0]), float(high[0])


def _columns(cell: pd.DataFrame, names: Iterable[str]) -> _Metrics:
    return {name: (cell[name].to_numpy(float), {}) for name in names}


def _insertion_deletion(cell: pd.DataFrame) -> _Metrics:
    deletion, insertion = cell.deletion_auc.to_numpy(float), cell.insertion_auc.to_numpy(float)
    values = {"deletion_auc": deletion, "insertion_auc": insertion, "joint": deletion + 1 - insertion}
    return {name: (value, {}) for name, value in values.items()}


def _localisation(
    cell: pd.DataFrame, choosing: Mapping[tuple[str, str, str], pd.DataFrame], alpha_from: Mapping[str, str]
) -> _Metrics:
    dataset, model, method = cell[CELL].iloc[0]
    other = choosing.get((alpha_from.get(dataset), model, method))
    videos, result = video_of(cell), {}
    for rule, alphas in ALPHAS.items():
        hits = hits_of(cell, rule)
        if dataset in alpha_from:
            if other is not None and len(other):
                best = hits_of(other, rule).mean(0).argmax()
                chosen = {"alpha": float(alphas[best]), "alpha_clips": len(other)}
                result[f"loc_error_{rule}"] = 100.0 * ~hits[:, best], chosen
        elif len(set(videos)) > 1:
            result[f"loc_error_{rule}"] = 100.0 * ~held_out_hits(hits, videos), {}
        best = hits.mean(0).argmax()
        result[f"loc_error_{rule}{_ORACLE}"] = 100.0 * ~hits[:, best], {"alpha": float(alphas[best])}
    return result


def hits_of(clips: pd.DataFrame, rule: str) -> np.ndarray:
    """(n, A) bool, the hits of each clip at each alpha of a rule."""
    return np.stack(clips[f"hits_{rule}"].to_list())


def held_out_hits(hits: np.ndarray, videos: np.ndarray) -> np.ndarray:
    """Hits of clips whose alpha is chosen on other videos.

    The videos are cut into two halves by the hash of their id; each half takes the alpha that has most hits on the
    other. Leaving out one video at a time would be biased: a hit that is left out makes its own alpha look worse.

    Parameters
    ----------
    hits
        (n, A) bool, for each clip and alpha.
    videos
        (n,), of at least two videos.

    Returns
    -------
    numpy.ndarray
        (n,) bool. Ties of alphas go to the lowest.
    """
    order = sorted(set(videos), key=lambda video: hashlib.sha256(str(video).encode()).digest())
    first = np.isin(videos, order[::2])
    chosen = np.zeros(len(hits), bool)
    for half in (first, ~first):
        chosen[half] = hits[half, hits[~half].mean(0).argmax()]
    return chosen


def video_of(clips: pd.DataFrame) -> np.ndarray:
    """video_id of each clip, from its clip_id."""
    return clips.clip_id.str.rsplit("@", n=1).str[0].to_numpy(str)


def bootstrap_intervals(
    values: np.ndarray, groups: np.ndarray, resamples: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """95 % percentile intervals of means, resampling whole groups (videos), since clips of a video are alike.

    Parameters
    ----------
    values
        (n, k): k columns, of which the same groups are drawn.
    groups
        (n,).

    Returns
    -------
    tuple
        Low and high, (k,) each; NaN for a single group, which says nothing of the spread.
    """
    names, index = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        return (np.full(values.shape[1], np.nan),) * 2
    totals, counts = np.zeros((len(names), values.shape[1])), np.bincount(index)
    np.add.at(totals, index, values)
    generator, means = np.random.default_rng(seed), []
    for start in range(0, resamples, _BLOCK):
        # How often each group is drawn, times its total.
        size = min(_BLOCK, resamples - start)
        drawn = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size=size).astype(float)
        means.append(drawn @ totals / (drawn @ counts)[:, None])
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975], axis=0)
    return low, high


def exact_interval(all_of_them: bool, videos: int, most: float) -> tuple[float, float]:
    """95 % interval of a score that is 0 for all, or `most` for all of so many videos (Clopper and Pearson, 1934).

    The clips of a video count once, since they are alike.
    """
    low = 0.025 ** (1 / videos)  # the share at which all of them come out alike in one case of forty
    return (most * low, most) if all_of_them else (0.0, most * (1 - low))
