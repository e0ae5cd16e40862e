"""Means over clips, in this one place, each with n and a 95 % bootstrap interval."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from swagv.metrics.localisation import ALPHAS

CELL = ["dataset", "model", "method"]
# Of one cell: metric -> its values, one a clip, and further columns of the summary.
_Metrics = dict[str, tuple[np.ndarray, dict[str, float]]]
# How the status of a clip begins, and the one metric of a cell, whose method and network do not go together.
NOT_APPLICABLE = "not_applicable"


def summarise_insertion_deletion(clips: pd.DataFrame, resamples: int = 2000) -> list[dict]:
    """Rows dataset, model, method, metric, n, n_failed, mean, ci_low, ci_high, … of the per-clip table.

    A cell without one scored clip is one row, n = 0, of the metric ``not_applicable`` where method and network do not
    go together, else ``none``.
    """

    def metrics(cell: pd.DataFrame) -> _Metrics:
        deletion, insertion = cell.deletion_auc.to_numpy(float), cell.insertion_auc.to_numpy(float)
        values = {"deletion_auc": deletion, "insertion_auc": insertion, "joint": deletion + 1 - insertion}
        return {name: (value, {}) for name, value in values.items()}

    return _summarise(clips, metrics, resamples)


def summarise_localisation(
    clips: pd.DataFrame, resamples: int = 2000, alpha_from: Mapping[str, str] | None = None
) -> list[dict]:
    """As `summarise_insertion_deletion`, errors in percent, with the alpha that each rests on.

    `alpha_clips` counts the clips of another dataset that chose it.

    ``loc_error_{rule}`` takes an alpha that was chosen on other videos: on those of another dataset where `alpha_from`
    names one; else each half of the videos takes that of the other half, and `alpha` stays empty. It is left out where
    there are no such videos. ``loc_error_{rule}_oracle`` takes the one that is best on the evaluated clips themselves,
    which flatters.

    Parameters
    ----------
    alpha_from
        Evaluated dataset -> the dataset that chooses its alpha and has no rows of its own.
    """
    alpha_from = alpha_from or {}
    choosing = {key: cell[cell.status == "ok"] for key, cell in clips.groupby(CELL) if key[0] in alpha_from.values()}

    def metrics(cell: pd.DataFrame) -> _Metrics:
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
            result[f"loc_error_{rule}_oracle"] = 100.0 * ~hits[:, best], {"alpha": float(alphas[best])}
        return result

    return _summarise(clips[~clips.dataset.isin(list(alpha_from.values()))], metrics, resamples)


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


def bootstrap_interval(values: np.ndarray, groups: np.ndarray, resamples: int, seed: int) -> tuple[float, float]:
    """95 % percentile interval of the mean, resampling whole groups (videos), since clips of a video are alike.

    Parameters
    ----------
    values, groups
        (n,).

    Returns
    -------
    tuple
        Both NaN for a single group, which says nothing of the spread.
    """
    names, index = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        return float("nan"), float("nan")
    total, count = np.bincount(index, values), np.bincount(index)
    drawn = np.random.default_rng(seed).integers(len(total), size=(resamples, len(total)))
    means = total[drawn].sum(1) / count[drawn].sum(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def _summarise(
    clips: pd.DataFrame,
    metrics: Callable[[pd.DataFrame], _Metrics],
    resamples: int,
) -> list[dict]:
    rows = []
    for key, cell in clips.groupby(CELL, sort=False):
        # Sorted, so that neither shards nor their order change a digit.
        good = cell[cell.status == "ok"].sort_values("clip_id")
        names = dict(zip(CELL, key, strict=True))
        counts = {"n": len(good), "n_failed": len(cell) - len(good)}
        if good.empty:
            unfit = cell.status.str.startswith(NOT_APPLICABLE).any()
            rows.append(names | {"metric": NOT_APPLICABLE if unfit else "none"} | counts)
            continue
        for metric, (values, more) in metrics(good).items():
            seed = int.from_bytes(hashlib.sha256("/".join([*key, metric]).encode()).digest()[:8], "big")
            low, high = bootstrap_interval(values, video_of(good), resamples, seed)
            found = {"mean": values.mean(), "ci_low": low, "ci_high": high} | more
            rows.append(names | {"metric": metric} | counts | found)
    return rows
