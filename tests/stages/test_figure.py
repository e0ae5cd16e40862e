"""Figures from files: the SVG that the drawing module makes, and a CSV of exactly what it drew."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.stats import bootstrap

from swagv.figures.ablation import ablation_svg
from swagv.figures.grid import grid_svg
from swagv.figures.profile import profile_svg
from swagv.figures.randomisation import randomisation_svg
from swagv.figures.strips import strips_svg, versus_svg
from swagv.figures.sweep import sweep_svg
from swagv.geometry import Geometry
from swagv.stages import figure
from swagv.stores import create_store
from swagv.tables import INSERTION_DELETION, PREDICTIONS, SUMMARY, write_table
from swagv.viz import filmstrip
from tests.test_figures import texts

GAMES = ("deletion_auc", "insertion_auc", "joint")


def means(method, level, model="m", metrics=GAMES):
    names = {"dataset": "d", "model": model, "method": method, "n": 8, "n_failed": 1}
    return [
        names
        | {"metric": metric, "mean": level + index / 7, "ci_low": level, "ci_high": level + 1 / 3}
        | {"higher_is_better": metric == "insertion_auc"}
        for index, metric in enumerate(metrics)
    ]


def unfit(method, model="m"):
    return [{"dataset": "d", "model": model, "method": method, "metric": "not_applicable", "n": 0, "n_failed": 9}]


def summary(path, rows):
    write_table(path, rows, SUMMARY, {})
    return path


def read(out):
    """The CSV beside a figure, and the figure; nothing else was left in the folder."""
    assert not [path for path in out.parent.iterdir() if path.name.startswith(".")]
    return pd.read_csv(out.with_suffix(".csv")), out.read_text(encoding="utf-8")


def test_grid_draws_a_pair_in_every_grid_that_it_is_in(tmp_path):
    points = {
        "a": {"grid": ["coarse"], "w_color": 5, "w_grad": 10},
        "b": {"grid": ["coarse", "fine"], "w_color": 20, "w_grad": 10},
        "c": {"grid": ["fine"], "w_color": 20, "w_grad": 9},
    }
    rows = [
        *means("other", 0.9),
        *means("a", 0.1),
        *means("b", 0.2),
        *means("a", 0.3, "n"),
        *unfit("c"),
        *unfit("b", "n"),
    ]
    table = summary(tmp_path / "s.parquet", rows)
    figure.grid(tmp_path / "f" / "g.svg", [table], points)
    drawn, svg = read(tmp_path / "f" / "g.svg")
    joint = {("m", "a"): 0.1 + 2 / 7, ("m", "b"): 0.2 + 2 / 7, ("n", "a"): 0.3 + 2 / 7}
    pairs = [("coarse", 5, 10, "a"), ("coarse", 20, 10, "b"), ("fine", 20, 10, "b"), ("fine", 20, 9, "c")]
    expected = [
        (grid, across, up, model, joint.get((model, method), np.nan), 8 * ((model, method) in joint))
        for grid, across, up, method in pairs
        for model in ("m", "n")
    ]
    found = drawn[["grid", "w_color", "w_grad", "model", "mean", "n"]]
    pd.testing.assert_frame_equal(found, pd.DataFrame(expected, columns=found.columns), check_exact=True)
    assert svg == grid_svg(drawn)


def counts(path, features, status, seeded, final):
    path.parent.mkdir(parents=True, exist_ok=True)
    spec = {"recipe": {"features": features}}
    with create_store(
        path, [f"v{i}" for i in range(len(status))], {"n_seeded": seeded, "n_final": final, "spec": spec}
    ) as s:
        s.status = status
    return path


def test_sweep_stands_over_the_mean_counts_of_the_clips_that_have_supervoxels(tmp_path):
    root = tmp_path / "results" / "d"
    ok, bad = ["ok", "ok"], ["ok", "one_supervoxel"]
    stores = {
        "i20": [
            counts(root / "supervoxels/i20/0000.zarr", "image", ok, [16, 16], [10, 13]),
            counts(root / "supervoxels/i20/0001.zarr", "image", bad, [16, 16], [20, 1]),
        ],
        "g20": [
            counts(root / "m/supervoxels/g20/0000.zarr", "gradient", ok, [16, 16], [30, 31]),
            counts(root / "n/supervoxels/g20/0000.zarr", "gradient", ok, [16, 16], [40, 42]),
        ],
    }
    points = {"i20": {"method": "swagv_i", "n_segments": 20}, "g20": {"method": "swagv_g", "n_segments": 20}}
    rows = [row for model in "mn" for method in points for row in means(method, 0.2, model)]
    table, recipes = summary(tmp_path / "t.parquet", rows), {name: name for name in points}
    figure.sweep(
        tmp_path / "s.svg",
        [table],
        [path for paths in stores.values() for path in paths],
        points,
        recipes,
        ["swagv_g", "swagv_i"],
    )
    drawn, svg = read(tmp_path / "s.svg")
    final = drawn.groupby(["model", "method"]).n_final.unique().map(list).to_dict()
    third = pytest.approx((10 + 13 + 20) / 3)
    assert final == {
        ("m", "swagv_i"): [third],
        ("n", "swagv_i"): [third],
        ("m", "swagv_g"): [30.5],
        ("n", "swagv_g"): [41],
    }
    assert (drawn.n_seeded == 16).all()
    assert (drawn.n_segments == 20).all()
    assert drawn.metric.tolist() == ["insertion_auc", "deletion_auc", "joint"] * 4
    assert drawn["mean"].tolist() == [0.2 + 1 / 7, 0.2, 0.2 + 2 / 7] * 4
    assert svg == sweep_svg(drawn, ["swagv_g", "swagv_i"])


@pytest.fixture
def run(tmp_path):
    """Files of two clips of two classes, two networks and two methods, in the folders of a run."""
    root, rng, clips = tmp_path / "results" / "d", np.random.default_rng(0), ["v@000000", "w@000000", "x@000000"]
    frames = rng.integers(0, 256, (3, 16, 8, 8, 3), dtype=np.uint8)
    boxes = np.tile(np.float32([2, 2, 6, 6]), (3, 16, 1))
    spec = {"sizes": [[8, 8]] * 3, "spec": {"geometry": {"resize": 8, "crop": 8}}}
    with create_store(root / "clips" / "0000.zarr", clips, spec) as store:
        store.write("frames", frames, "uint8")
        store.write("boxes", boxes, "float32")
    maps, tables, said = {}, [], []
    for model in "mn":
        key = {"dataset": "d", "model": model, "shard": "0000", "status": "ok"}
        rows = [
            key | {"clip_id": clip, "target": top1, "target_name": f"c{top1}", "p_target": 0.5, "top1": top1}
            | {"top1_name": f"c{top1}", "p_top1": 0.5}
            for clip, top1 in zip(clips, (1, 1, 2), strict=True)
        ]  # fmt: skip
        said.append(root / model / "predictions" / "0000.parquet")
        write_table(said[-1], rows, PREDICTIONS, {})
        for method in ("a", "b"):
            maps[model, method] = rng.normal(size=(3, 16, 8, 8)).astype(np.float32)
            status = ["ok", "ok", "one_supervoxel" if (model, method) == ("n", "b") else "ok"]
            with create_store(root / model / "explanations" / method / "0000.zarr", clips, {}) as store:
                store.status = status
                store.write("attribution", maps[model, method], "float32")
            tables.append(root / model / "insertion_deletion" / method / "0000.parquet")
            scored = [
                key | {"method": method, "clip_id": clip, "deletion_auc": 0.25, "insertion_auc": 0.5} for clip in clips
            ]
            write_table(tables[-1], scored[:2] if status[2] != "ok" else scored, INSERTION_DELETION, {})
    paths = {
        "clips": [root / "clips" / "0000.zarr"],
        "explanations": [root / model / "explanations" / method / "0000.zarr" for model, method in maps],
        "predictions": said,
        "insertion_deletion": tables,
    }
    return paths, frames, Geometry(resize=8, crop=8).boxes(boxes, 8, 8), maps


def test_strips_and_versus_show_one_clip_of_each_class(run, tmp_path):
    paths, frames, boxes, maps = run
    for draw, svg_of, methods in ((figure.strips, strips_svg, ["b", "a"]), (figure.versus, versus_svg, ["a", "b"])):
        draw(tmp_path / "f" / "s.svg", **paths, methods=methods, max_clips=2)
        drawn, svg = read(tmp_path / "f" / "s.svg")
        chosen = [("v@000000", 0), ("x@000000", 2)]
        cells = [(clip, model, method) for clip, _ in chosen for model in "mn" for method in methods]
        assert list(zip(drawn.clip_id, drawn.model, drawn.method, strict=True)) == cells
        failed = (drawn.clip_id == "x@000000") & (drawn.model == "n") & (drawn.method == "b")
        assert drawn.status.tolist() == ["one_supervoxel" if lost else "ok" for lost in failed]
        assert drawn.deletion_auc.isna().tolist() == failed.tolist()
        assert drawn[~failed].insertion_auc.tolist() == [0.5] * 7
        assert (drawn.frames == "1, 6, 11, 16").all()
        assert drawn.target.tolist() == [1] * 4 + [2] * 4
        pictures = {}
        for (clip, index), model in itertools.product(chosen, "mn"):
            for method in (None, "a", "b"):
                if (clip, model, method) != ("x@000000", "n", "b"):
                    shown = None if method is None else maps[model, method][index]
                    pictures["d", model, clip, method] = filmstrip(frames[index], shown, boxes[index], (0, 5, 10, 15))
        assert svg == svg_of(drawn, pictures)


def test_strips_of_a_run_without_one_prediction_say_so(run, tmp_path):
    paths, *_ = run
    bad = tmp_path / "bad.parquet"
    write_table(bad, [{"dataset": "d", "model": "m", "clip_id": "v@000000", "status": "unreadable"}], PREDICTIONS, {})
    figure.strips(tmp_path / "f" / "s.svg", **paths | {"predictions": [bad], "insertion_deletion": []}, methods=["a"])
    drawn, svg = read(tmp_path / "f" / "s.svg")
    assert drawn.empty
    assert texts(svg) == ["No clip has a prediction, so there is nothing to explain."]


def test_ablation_takes_a_summary_for_every_value_that_it_stands_for(tmp_path):
    plain = summary(tmp_path / "in" / "id.parquet", [*means("a", 0.1), *means("b", 0.2)])
    black = summary(tmp_path / "in" / "id-substrate_black.parquet", [*means("a", 0.4), *unfit("b")])
    choices = [
        {"metric": "id", "choice": "substrate", "value": "zero"},
        {"metric": "id-substrate_black", "choice": "substrate", "value": "black"},
        {"metric": "id", "choice": "largest", "value": False},
    ]
    figure.ablation(tmp_path / "f" / "a.svg", [plain, black], choices, ["a", "b", "other"])
    drawn, svg = read(tmp_path / "f" / "a.svg")
    deletion = drawn[drawn.metric == "deletion_auc"][["method", "choice", "value", "mean", "n"]]
    assert deletion.fillna(-1).to_numpy().tolist() == [
        ["a", "substrate", "zero", 0.1, 8], ["b", "substrate", "zero", 0.2, 8],
        ["a", "substrate", "black", 0.4, 8], ["b", "substrate", "black", -1, 0],
        ["a", "largest", "False", 0.1, 8], ["b", "largest", "False", 0.2, 8],
    ]  # fmt: skip
    assert sorted(set(drawn.metric)) == sorted(GAMES)
    assert svg == ablation_svg(drawn, ["a", "b", "other"])


def clip_rows(**more):
    """Of two methods, a's clips all good, b's all bad; a clip that failed has nothing to average."""
    status = {"a": ["ok"] * 12 + ["failed"], "b": ["not_applicable: why"] * 13}
    return [
        {"dataset": "d", "model": "m", "method": method, "clip_id": f"v{index:02d}@000000", "status": found}
        | ({name: values[index] for name, values in more.items()} if found == "ok" else {})
        for method, every in status.items()
        for index, found in enumerate(every)
    ]


def assert_interval(row, values):
    """The interval is near that of SciPy's bootstrap, which draws others."""
    interval = bootstrap((values,), np.mean, method="percentile", rng=0).confidence_interval
    assert [row.ci_low, row.ci_high] == pytest.approx(list(interval), abs=0.1 * np.ptp(interval))
    assert row["mean"] == pytest.approx(np.mean(values), rel=1e-12)


def test_randomisation_averages_the_clips_of_all_shards_at_every_depth(tmp_path):
    values = np.random.default_rng(0).uniform(0, 1, (2, 2, 12))
    rows = []
    for depth, layer in enumerate(("trained", "fc")):
        more = {"spearman": values[depth, 0], "spearman_abs": values[depth, 1]}
        rows += [row | ({"depth": depth, "layer": layer} if row["status"] == "ok" else {}) for row in clip_rows(**more)]
    paths = [tmp_path / name for name in ("0.parquet", "1.parquet")]
    pd.DataFrame(rows[::2]).to_parquet(paths[0])
    pd.DataFrame(rows[1::2]).to_parquet(paths[1])
    figure.randomisation(tmp_path / "f" / "x.svg", paths, ["a", "b"])
    drawn, svg = read(tmp_path / "f" / "x.svg")
    scored = drawn[drawn.method == "a"].set_index(["metric", "depth"])
    for depth, (index, metric) in itertools.product((0, 1), enumerate(("spearman", "spearman_abs"))):
        found = scored.loc[metric, depth]
        assert (found.layer, found.n) == (("trained", "fc")[depth], 12)
        assert_interval(found, values[depth, index])
    failed = drawn[drawn.method == "b"]
    assert len(failed) == len(scored) == 4
    assert failed["mean"].isna().all()
    assert (failed.n == 0).all()
    assert "b (no value)" in texts(svg)
    assert svg == randomisation_svg(drawn, ["a", "b"])


def test_profile_averages_the_share_of_each_frame(tmp_path):
    shares = np.random.default_rng(0).dirichlet(np.ones(4), 12)
    pd.DataFrame(clip_rows(profile=shares.tolist())).to_parquet(tmp_path / "0.parquet")
    figure.profile(tmp_path / "f" / "x.svg", [tmp_path / "0.parquet"], ["a", "b"])
    drawn, svg = read(tmp_path / "f" / "x.svg")
    for frame in range(4):
        found = drawn[(drawn.method == "a") & (drawn.frame == frame + 1)]
        assert len(found) == 1
        assert_interval(found.iloc[0], shares[:, frame])
    assert drawn[drawn.method == "b"].n.tolist() == [0] * 4
    assert svg == profile_svg(drawn, ["a", "b"])


def test_summaries_without_a_row_give_figures_that_say_so(tmp_path):
    table = summary(tmp_path / "in" / "id.parquet", [])
    out = tmp_path / "f" / "e.svg"
    point = {"grid": ["coarse"], "w_color": 5, "w_grad": 5, "method": "a", "n_segments": 20}
    for draw in (
        lambda: figure.grid(out, [table], {"a": point}),
        lambda: figure.sweep(out, [table], [], {"a": point}, {"a": "a"}, ["a"]),
        lambda: figure.ablation(out, [table], [{"metric": "id", "choice": "c", "value": 1}], ["a"]),
        lambda: figure.ablation(out, [], [], ["a"]),
        lambda: figure.randomisation(out, [], ["a"]),
        lambda: figure.profile(out, [], ["a"]),
    ):
        draw()
        drawn, svg = read(out)
        assert drawn.empty
        (message,) = texts(svg)
        assert message.startswith("No ")
