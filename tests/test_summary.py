import numpy as np
import pandas as pd

from swagv.summary import bootstrap_interval, held_out_hits, summarise_insertion_deletion


def test_alpha_comes_from_the_other_videos():
    hits = np.array([[1, 0], [1, 0], [0, 1]], bool)
    # Without video a, both alphas tie at one hit each and the lowest wins; b's and c's choices follow likewise.
    assert held_out_hits(hits, np.array(["a", "b", "c"])).tolist() == [True, True, False]


def test_interval_covers_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(200):
        low, high = bootstrap_interval(rng.normal(3, 1, 40), np.arange(40), 500, trial)
        covered += low <= 3 <= high
    assert 180 <= covered <= 200


def test_failed_clips_are_counted_and_order_changes_nothing():
    clips = pd.DataFrame(
        {
            "dataset": "d", "model": "m", "method": "x", "clip_id": [f"v{i}@000000" for i in range(5)],
            "status": ["ok"] * 4 + ["unreadable"], "deletion_auc": [0.1, 0.2, 0.3, 0.4, None],
            "insertion_auc": [0.5, 0.6, 0.7, 0.8, None],
        }
    )  # fmt: skip
    rows = summarise_insertion_deletion(clips, 200)
    assert rows == summarise_insertion_deletion(clips.iloc[::-1], 200)
    by_metric = {row["metric"]: row for row in rows}
    assert (by_metric["deletion_auc"]["n"], by_metric["deletion_auc"]["n_failed"]) == (4, 1)
    assert np.isclose(by_metric["joint"]["mean"], 0.25 + 1 - 0.65)
