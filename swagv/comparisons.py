"""Methods against each other on the same clips: paired differences, each with an interval and a corrected p."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator

import numpy as np
import pandas as pd

from swagv.summary import bootstrap_intervals

# Sign flips at a time: a block of them for 18,000 videos is 40 MB.
_BLOCK = 250
# Two totals that differ by rounding alone are a tie.
_ROUNDING = 1e-9


def compare(values: pd.DataFrame, resamples: int = 2000, flips: int = 10_000) -> list[dict]:
    """Every pair of methods of each dataset, model and score, over the clips that both have.

    Parameters
    ----------
    values
        Of `swagv.summary.clip_values`.
    resamples
        Of the bootstrap.
    flips
        Of the permutation test, at least: 200 for each pair, so that the correction leaves room; all of them where the
        videos allow no more.

    Returns
    -------
    list of dict
        dataset, model, metric, method_a, method_b (in the order of their names), and

        - n, n_videos: clips and videos that both methods scored
        - difference: mean of a minus b over the clips, with its 95 % percentile bootstrap interval ci_low, ci_high;
          whole videos are drawn, since the clips of one are alike
        - p: two-sided sign-flip permutation test of that mean; the differences of a video change sign together
        - p_holm: the same, corrected for all pairs of this dataset, model and score (Holm, 1979)
        - p_least: the lowest p_holm that any pair of this score could have, by its number of videos, flips and pairs
        - win_rate: share of clips on which a is the better one; a tie is half
        - higher_is_better: whether that holds for the score

        The interval and every p are NaN for a single video, which says nothing of the spread.
    """
    rows = []
    for (dataset, model, metric), scored in values.groupby(["dataset", "model", "metric"], sort=False):
        table = scored.pivot(index=["video_id", "clip_id"], columns="method", values="value").sort_index()
        pairs = list(itertools.combinations(sorted(table.columns), 2))
        seed = int.from_bytes(hashlib.sha256("/".join([dataset, model, metric]).encode()).digest()[:8], "big")
        found, higher, flips_here = [], bool(scored.higher_is_better.iloc[0]), max(flips, 200 * len(pairs))
        for clips, together in _of_same_clips(table, pairs):
            difference = np.stack([(clips[a] - clips[b]).to_numpy() for a, b in together], 1)
            videos = clips.index.get_level_values("video_id")
            found += _rows(difference, videos, together, higher, seed, resamples, flips_here)
        corrected = holm(np.array([row["p"] for row in found]))
        names = {"dataset": dataset, "model": model, "metric": metric, "higher_is_better": higher}
        tested = [row["p_least"] for row in found if not np.isnan(row["p_least"])]
        names["p_least"] = min(1.0, min(tested) * len(tested)) if tested else np.nan
        rows += [row | names | {"p_holm": p} for row, p in zip(found, corrected, strict=True)]
    return rows


def holm(p: np.ndarray) -> np.ndarray:
    """p (m,) corrected for m tests by Holm's step-down method; NaN is no test and stays."""
    corrected, tested = np.full(len(p), np.nan), np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    stepped = p[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(stepped), 1) if len(order) else stepped
    return corrected


def sign_flip_p(totals: np.ndarray, flips: int, seed: int) -> np.ndarray:
    """Two-sided p of the hypothesis that the sign of each video's total is a coin's, for each of several pairs.

    Parameters
    ----------
    totals
        (videos, pairs).
    flips
        Random flips; where ``2 ** videos`` is no more than that, all of them are taken and p is exact.

    Returns
    -------
    numpy.ndarray
        (pairs,). Of random flips, those that exceed the observed total and the observed one itself, of all of them and
        one (Phipson and Smyth, 2010): never 0.
    """
    videos, observed = len(totals), np.abs(totals.sum(0))
    # What a flip must reach to count: the observed total, but for the rounding of a sum in another order.
    reach = observed - _ROUNDING * np.abs(totals).sum(0)
    exact = 2**videos <= flips
    count = np.zeros(totals.shape[1], int)
    for signs in _all_signs(videos) if exact else _random_signs(videos, flips, seed):
        count += (np.abs(signs @ totals) >= reach).sum(0)
    return count / 2**videos if exact else (count + 1) / (flips + 1)


def _all_signs(videos: int) -> Iterator[np.ndarray]:
    numbers = np.arange(2**videos)
    for start in range(0, len(numbers), _BLOCK):
        yield 1.0 - 2.0 * (numbers[start : start + _BLOCK, None] >> np.arange(videos) & 1)


def _random_signs(videos: int, flips: int, seed: int) -> Iterator[np.ndarray]:
    generator = np.random.default_rng(seed)
    for start in range(0, flips, _BLOCK):
        yield 1.0 - 2.0 * generator.integers(0, 2, (min(_BLOCK, flips - start), videos), dtype=np.int8)


def _of_same_clips(
    table: pd.DataFrame, pairs: list[tuple[str, str]]
) -> Iterator[tuple[pd.DataFrame, list[tuple[str, str]]]]:
    """Pairs that have the same clips in common, with those clips: mostly one group of all pairs."""
    scored = {method: table[method].notna().to_numpy() for method in table.columns}
    groups: dict[bytes, list[tuple[str, str]]] = {}
    for a, b in pairs:
        groups.setdefault(np.packbits(scored[a] & scored[b]).tobytes(), []).append((a, b))
    for together in groups.values():
        a, b = together[0]
        if (scored[a] & scored[b]).any():
            yield table[scored[a] & scored[b]], together


def _rows(
    difference: np.ndarray,
    video_ids: pd.Index,
    pairs: list[tuple[str, str]],
    higher_is_better: bool,
    seed: int,
    resamples: int,
    flips: int,
) -> list[dict]:
    """`difference` is (clips, pairs)."""
    names, index = np.unique(video_ids, return_inverse=True)
    totals = np.zeros((len(names), len(pairs)))
    np.add.at(totals, index, difference)
    low, high = bootstrap_intervals(difference, index, resamples, seed)
    alone = len(names) == 1
    p = np.full(len(pairs), np.nan) if alone else sign_flip_p(totals, flips, seed)
    # Both signs of the one flip that changes nothing.
    least = np.nan if alone else 2 / 2 ** len(names) if 2 ** len(names) <= flips else 1 / (flips + 1)
    better = difference > 0 if higher_is_better else difference < 0
    wins = (better + 0.5 * (difference == 0)).mean(0)
    columns = {"difference": difference.mean(0), "ci_low": low, "ci_high": high, "p": p, "win_rate": wins}
    return [
        {"method_a": a, "method_b": b, "n": len(difference), "n_videos": len(names), "p_least": least}
        | {name: float(column[at]) for name, column in columns.items()}
        for at, (a, b) in enumerate(pairs)
    ]
