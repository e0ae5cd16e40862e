import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.stats import permutation_test

from swagv.comparisons import compare, holm, sign_flip_p
from swagv.summary import bootstrap_intervals

METHODS = ("a", "b", "c")


def values(videos=6, clips=2, metric="deletion_auc", seed=0) -> pd.DataFrame:
    """Three methods on the same clips; b is better than a, c is a with noise."""
    rng = np.random.default_rng(seed)
    base = rng.random((videos, clips))
    shift = {"a": 0 * base, "b": -0.2 + 0.05 * rng.normal(size=base.shape), "c": 0.1 * rng.normal(size=base.shape)}
    return pd.DataFrame(
        [
            {"dataset": "d", "model": "m", "method": method, "metric": metric, "higher_is_better": "ins" in metric}
            | {"clip_id": f"v{v}@{c:06}", "video_id": f"v{v}", "value": base[v, c] + shift[method][v, c]}
            for method in METHODS
            for v in range(videos)
            for c in range(clips)
        ]
    )


def pair(rows, a, b):
    (row,) = [row for row in rows if (row["method_a"], row["method_b"]) == (a, b)]
    return row


def differences(table, a, b):
    wide = table.pivot(index="clip_id", columns="method", values="value")
    return (wide[a] - wide[b]).to_numpy(), wide.index.str.split("@").str[0].to_numpy()


@pytest.mark.parametrize(("a", "b"), list(itertools.combinations(METHODS, 2)))
def test_a_pair_against_scipy_and_a_slow_definition(a, b):
    table = values()
    row, (difference, videos) = pair(compare(table), a, b), differences(table, a, b)
    assert (row["n"], row["n_videos"]) == (12, 6)
    assert row["difference"] == pytest.approx(difference.mean(), abs=1e-12)
    totals = pd.Series(difference).groupby(videos).sum().to_numpy()
    oracle = permutation_test((totals,), np.sum, permutation_type="samples", n_resamples=np.inf)
    assert row["p"] == pytest.approx(oracle.pvalue, abs=1e-12)  # 64 flips, each of them
    wins = [1.0 if one < 0 else 0.5 if one == 0 else 0.0 for one in difference]  # deletion: lower is better
    assert row["win_rate"] == pytest.approx(sum(wins) / 12)
    # Another route to the same interval: videos drawn by index, with other random numbers.
    (low,), (high,) = bootstrap_intervals(difference[:, None], videos, 20_000, 1)
    spread = high - low
    assert row["ci_low"] == pytest.approx(low, abs=0.05 * spread)
    assert row["ci_high"] == pytest.approx(high, abs=0.05 * spread)


def test_random_flips_agree_with_scipys_where_there_are_too_many_to_take_all():
    totals = np.random.default_rng(2).normal(0.25, 1, (40, 3))
    found = sign_flip_p(totals, 10_000, 3)
    for at in range(3):
        oracle = permutation_test((totals[:, at],), np.sum, permutation_type="samples", n_resamples=20_000, rng=4)
        assert found[at] == pytest.approx(oracle.pvalue, abs=4 * np.sqrt(0.25 / 10_000))


def test_a_flip_that_equals_the_observed_total_but_for_rounding_counts():
    totals = np.array([0.1, 0.2, 0.3])[:, None]  # 0.1 + 0.2 + 0.3 != 0.3 + 0.2 + 0.1
    assert sign_flip_p(totals, 100, 0)[0] == 2 / 8
    assert sign_flip_p(np.zeros((5, 1)), 100, 0)[0] == 1


def test_p_is_uniform_where_there_is_nothing_to_find():
    p = sign_flip_p(np.random.default_rng(5).normal(size=(10, 2000)), 2000, 0)
    for level in (0.05, 0.25, 0.5):
        assert abs((p <= level).mean() - level) < 4 * np.sqrt(level * (1 - level) / 2000)


def test_holm_by_hand_and_by_its_definition():
    # Four tests at 0.05: 0.01 * 4, 0.02 * 3, 0.03 * 2 (raised to 0.06), 0.04.
    assert holm(np.array([0.04, 0.01, 0.03, 0.02])) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    p = np.random.default_rng(6).random(30)
    slow = [min(1, max((30 - rank) * one for rank, one in enumerate(sorted(p)) if one <= given)) for given in p]
    assert holm(p) == pytest.approx(slow)
    missing = holm(np.array([np.nan, 0.02, np.nan, 0.5]))
    assert np.isnan(missing[[0, 2]]).all()
    assert missing[[1, 3]] == pytest.approx([0.04, 0.5])
    assert np.isnan(holm(np.array([np.nan]))).all()


def test_every_pair_is_corrected_for_all_pairs_of_its_score():
    rows = compare(pd.concat([values(), values(metric="insertion_auc", seed=1)]))
    assert len(rows) == 6
    for metric in ("deletion_auc", "insertion_auc"):
        of_metric = [row for row in rows if row["metric"] == metric]
        assert [row["p_holm"] for row in of_metric] == pytest.approx(holm(np.array([row["p"] for row in of_metric])))


def test_neither_order_nor_shards_change_a_digit():
    table = values()
    assert compare(table) == compare(table.sample(frac=1, random_state=0))


def test_the_better_direction_is_the_metrics_own():
    for metric, wins in (("deletion_auc", 0), ("insertion_auc", 1), ("my_own", 0)):
        row = pair(compare(values(metric=metric)), "a", "b")  # a is above b on every clip
        assert row["win_rate"] == wins
        assert row["higher_is_better"] == (metric == "insertion_auc")


def test_the_lowest_p_that_the_videos_and_the_pairs_allow():
    """Differences of one sign have it before the correction."""
    for videos, flips, least in ((6, 10_000, 2 / 64), (20, 10_000, 1 / 10_001), (20, 100, 1 / 601)):
        rows = compare(values(videos=videos), flips=flips)
        assert pair(rows, "a", "b")["p"] == pytest.approx(least)
        assert {row["p_least"] for row in rows} == {min(1, 3 * least)}
    assert compare(values(videos=2))[0]["p_least"] == 1
    # A pair of a single video has no p, and is none of those that are corrected for.
    table = values(videos=8)
    rows = compare(table[(table.method != "c") | (table.video_id == "v0")])
    assert {row["p_least"] for row in rows} == {2 / 256}
    assert pair(rows, "a", "b")["p_holm"] == 2 / 256
    assert np.isnan(pair(rows, "a", "c")["p_holm"])


def test_many_methods_leave_room_for_the_correction():
    one = values(videos=20, clips=1).query("method == 'a'")
    table = pd.concat([one.assign(method=f"m{i:02}", value=one.value + i) for i in range(40)])
    rows = compare(table, resamples=100)
    assert len(rows) == 780
    assert max(row["p_holm"] for row in rows) <= 1 / 200


def test_only_clips_that_both_have_are_compared():
    table = values()
    table = table[~((table.method == "c") & table.video_id.isin(["v0", "v1"]))]
    rows = compare(table)
    assert [pair(rows, *which)["n_videos"] for which in (("a", "b"), ("a", "c"), ("b", "c"))] == [6, 4, 4]
    difference, _ = differences(table[table.video_id > "v1"], "a", "c")
    assert pair(rows, "a", "c")["difference"] == pytest.approx(difference.mean(), abs=1e-12)
    none = compare(table[(table.method != "a") | (table.video_id == "none")])
    assert [(row["method_a"], row["method_b"]) for row in none] == [("b", "c")]


def test_one_video_has_a_difference_and_no_interval():
    row = pair(compare(values(videos=1)), "a", "b")
    assert row["difference"] > 0.1
    assert np.isnan([row[name] for name in ("ci_low", "ci_high", "p", "p_holm", "p_least")]).all()


def test_a_failed_method_alone_leaves_no_pair():
    assert compare(values().query("method == 'a'")) == []


def test_a_whole_validation_set_fits_in_memory():
    """Blocks of flips, not all of them: 10,000 flips of 3,000 videos at once would be 240 MB."""
    import tracemalloc

    totals = np.random.default_rng(7).normal(size=(3000, 6))
    tracemalloc.start()
    sign_flip_p(totals, 1000, 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6
