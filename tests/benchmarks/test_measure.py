import re

import numpy as np
import pandas as pd
import pytest

from benchmarks import device_hours, draw
from benchmarks.measure import RESULTS, interleaved, ratios


def test_contenders_take_turns_and_are_compared_within_a_round():
    called = []
    seconds = interleaved({"a": lambda: called.append("a"), "b": lambda: called.append("b")}, rounds=2)
    assert "".join(called) == "ababab"  # the first two are not counted
    assert [len(values) for values in seconds.values()] == [2, 2]
    found = ratios({"a": np.array([2.0, 4.0, 3.0]), "b": np.array([1.0, 1.0, 1.0])}, "a").set_index("contender")
    assert found.loc["b", ["seconds", "speedup", "lowest", "highest"]].tolist() == [1, 3, 2, 4]
    assert found.loc["a", "speedup"] == 1


def test_device_hours_are_clips_times_passes_times_the_rate():
    found = device_hours.table({("c3d", "fp32"): 2.0, ("c3d", "bf16"): 1.0})
    assert found["device_hours"][0] == pytest.approx(18_362 * 594 * 0.002 / 3600)
    assert found["passes_a_clip"].tolist() == [594, 11, 6000, 594]


def test_the_readme_shows_the_committed_tables():
    """Every name and number; coordinates may differ in their last digits between machines."""
    tables = (pd.read_csv(RESULTS / f"{name}.csv") for name in draw.TABLES)
    committed, drawn = (re.findall(r"<text[^>]*>([^<]+)", svg) for svg in (draw.OUT.read_text(), draw.figure(*tables)))
    assert "RISE-style loop" in drawn
    assert committed == drawn
