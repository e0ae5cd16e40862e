import numpy as np
import pandas as pd
import pytest

from swagv.figures.randomisation import randomisation_svg
from tests.test_figures import HOSTILE, bars, markers, panels, texts, ticks, values

METHODS = ["grad_cam", "guided_backprop"]
LAYERS = {"c3d": ["trained", "fc8", "fc7", "conv5b"], "r2plus1d": ["trained", "fc", "layer4"]}


def randomisation_rows(layers=LAYERS, methods=METHODS):
    rows = [
        {"dataset": "d", "model": model, "method": method, "depth": depth, "layer": layer, "metric": "spearman", "n": 4}
        for model, names in layers.items()
        for method in methods
        for depth, layer in enumerate(names)
    ]
    mean = np.random.default_rng(0).uniform(-0.2, 0.9, len(rows))
    found = pd.DataFrame(rows).assign(mean=np.where([row["depth"] == 0 for row in rows], 1.0, mean))
    return found.assign(ci_low=found["mean"] - 0.1, ci_high=found["mean"] + 0.05)


def test_lines_go_from_the_trained_network_down_layer_by_layer():
    points = randomisation_rows()
    svg = randomisation_svg(points.sample(frac=1, random_state=0).sort_values("model"), METHODS)
    for axes, (model, layers) in zip(panels(svg), LAYERS.items(), strict=True):
        assert [label for _, label in ticks(axes, 0)] == layers
        places = [pixel for pixel, _ in ticks(axes, 0)]
        assert places == sorted(places)
        for method, pixels, bar in zip(METHODS, markers(axes), bars(axes), strict=True):
            rows = points[(points.model == model) & (points.method == method)]
            assert pixels[:, 0] == pytest.approx(places)
            assert values(axes, 1, pixels[:, 1]) == pytest.approx(rows["mean"].to_numpy(), abs=1e-4)
            assert values(axes, 1, bar[..., 1]) == pytest.approx(rows[["ci_low", "ci_high"]].to_numpy(), abs=1e-4)
    assert [text for text in texts(svg) if " on " in text] == ["c3d on d, 4 clips", "r2plus1d on d, 4 clips"]
    assert "random from the head down to →" in texts(svg)
    assert {"Spearman's ρ with the explanation", "of the trained network, lower is better ↓"} <= set(texts(svg))


def test_nothing_compared_says_so():
    points = randomisation_rows()
    for empty in (points.assign(mean=np.nan), points[:0]):
        assert texts(randomisation_svg(empty, METHODS)) == [
            "No explanation of a network with random weights was compared."
        ]


def test_same_bytes_and_names_are_escaped():
    points = randomisation_rows({HOSTILE: ["trained", HOSTILE]}, [HOSTILE])
    svg = randomisation_svg(points, [HOSTILE])
    assert {HOSTILE, f"{HOSTILE} on d, 4 clips"} <= set(texts(svg))
    assert ticks(panels(svg)[0], 0)[1][1] == HOSTILE
    assert svg == randomisation_svg(points, [HOSTILE])
