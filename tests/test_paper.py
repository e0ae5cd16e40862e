import subprocess
import sys
import tomllib
from pathlib import Path

import pandas as pd
import pytest

from swagv.catalogue import METHODS, MODELS
from swagv.config import Evaluation, load_config
from swagv.paper import (
    PAPER_CARDS,
    beside,
    is_papers,
    other_settings,
    paper_cells,
    paper_data,
    paper_method,
    paper_network,
)

ROOT = Path(__file__).resolve().parents[1]
KINETICS, UCF = ("Kinetics-400 validation", 18_362), ("UCF101-24 test", 10_704)


@pytest.mark.parametrize(
    ("table", "method", "attribution", "network", "metric", "value", "source"),
    [
        (1, "swagv_i", "random_noise", "R(2+1)D", "deletion_auc", 0.194, KINETICS),
        (1, "swagv_i", "guided_backprop", "R(2+1)D", "insertion_auc", 0.371, KINETICS),
        (1, "swagv_i", "input_x_gradient", "R(2+1)D", "insertion_auc", 0.185, KINETICS),
        (2, "centre", "", "C3D", "insertion_auc", 0.264, KINETICS),
        (2, "guided_backprop", "", "C3D", "deletion_auc", 0.031, KINETICS),
        (2, "saliency_tubes", "", "R(2+1)D", "insertion_auc", 0.447, KINETICS),
        (2, "swagv_i", "", "R(2+1)D", "insertion_auc", 0.372, KINETICS),
        (2, "swagv_ig", "", "C3D", "joint", 0.773, KINETICS),  # .087 + 1 - .314
        (3, "centre", "", "R(2+1)D", "loc_error_energy_oracle", 87.66, UCF),
        (3, "random", "", "R(2+1)D", "loc_error_energy_oracle", 90.40, UCF),
        (3, "guided_backprop", "", "C3D", "loc_error_energy_oracle", 100.00, UCF),
        (3, "swag_i", "", "C3D", "loc_error_mean_oracle", 89.84, UCF),
        (3, "swagv_g", "", "R(2+1)D", "loc_error_value_oracle", 69.88, UCF),
        (4, "ep3d", "", "R(2+1)D", "seconds", 123.89, ("", None)),
        (4, "swagv_g", "", "C3D", "seconds", 0.26, ("", None)),
    ],
)
def test_a_number_is_the_printed_one(table, method, attribution, network, metric, value, source):
    cells = paper_cells()
    keys = {"table": table, "method": method, "attribution": attribution, "network": network, "metric": metric}
    (row,) = cells[(cells[list(keys)] == pd.Series(keys)).all(axis=1)].to_dict("records")
    assert row["value"] == value
    assert (row["data"], None if pd.isna(row["n"]) else row["n"]) == source


def test_every_printed_cell_is_there_once():
    cells = paper_cells()
    assert not cells.duplicated(["table", "method", "attribution", "network", "metric"]).any()
    # 11 methods, of which Saliency Tubes have no number on C3D.
    expected = {1: 3 * 5, 2: 3 * 21, 3: 3 * 21, 4: 13}
    assert cells.groupby("table").size().to_dict() == expected
    tubes = cells[cells.method == "saliency_tubes"]
    assert set(tubes.network) == {"R(2+1)D"}
    assert set(cells.method) <= set(METHODS)
    assert set(cells.attribution) - {""} <= set(METHODS)
    assert set(cells[cells.attribution != ""].method) == {"swagv_i"}


def test_what_the_package_is_built_of_has_the_numbers():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "paper.csv" in project["tool"]["setuptools"]["package-data"]["swagv"]


def summary(*rows: tuple[str, str, str], index: list[int]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["model", "method", "metric"], index=index)
    return frame.assign(dataset="d", n=3, mean=0.5)


def test_beside_finds_the_same_cell_and_no_other():
    found = beside(
        summary(
            ("net", "mine", "insertion_auc"),
            ("net", "noise", "deletion_auc"),
            ("net", "short_ep3d", "deletion_auc"),
            ("i3d", "mine", "insertion_auc"),
            ("net", "mine", "loc_error_mean"),
            ("net", "mine", "loc_error_mean_oracle"),
            ("net", "mine", "seconds"),
            ("small", "noise", "deletion_auc"),
            ("unheard_of", "unheard_of", "joint"),
            index=[3, 3, 1, 0, 2, 9, 9, 4, 5],
        ),
        {"mine": ("swagv_i", ""), "noise": ("swagv_i", "random_noise"), "short_ep3d": None},
        {"net": "R(2+1)D", "i3d": "", "small": "C3D"},
    )
    assert list(found.index) == [3, 3, 1, 0, 2, 9, 9, 4, 5]
    nothing = (None, None, None, None)
    kinetics = ("R(2+1)D", "Kinetics-400 validation", 18_362)
    assert [
        tuple(None if pd.isna(value) else value for value in row)
        for row in found[["paper_mean", "paper_network", "paper_data", "paper_n"]].itertuples(index=False)
    ] == [
        (0.372, *kinetics),
        (0.194, *kinetics),
        nothing,
        nothing,
        nothing,  # the paper chose alpha on the evaluated clips
        (72.61, "R(2+1)D", "UCF101-24 test", 10_704),
        (0.68, "R(2+1)D", "", None),
        nothing,  # its Table 1 has one network
        nothing,
    ]


def test_tables_1_and_2_print_one_method_differently():
    rows = summary(("net", "x", "insertion_auc"), ("net", "x", "joint"), index=[0, 1])
    methods, networks = {"x": ("swagv_i", "")}, {"net": "R(2+1)D"}
    assert beside(rows, methods, networks, table=1).paper_mean.tolist() == [0.371, 0.742]
    assert beside(rows, methods, networks, table=2).paper_mean.tolist() == [0.372, 0.741]
    assert beside(rows, methods, networks, table=3).paper_mean.isna().all()


@pytest.fixture(scope="module")
def demo() -> dict:
    return load_config(ROOT / "config" / "config.yaml")


def resolved(config: dict, methods: dict) -> dict:
    return {name: m.spec for name, m in Evaluation(config | {"methods": methods}, list_videos=False).methods.items()}


def test_a_method_is_the_papers_where_all_its_settings_are(demo):
    names = sorted(set(paper_cells().method))
    specs = resolved(demo, {name: {} for name in names} | {"full_frame": {}, "rise3d": {}})
    expected = {name: (name, "") for name in names} | {"full_frame": None, "rise3d": None}
    assert {name: paper_method(spec) for name, spec in specs.items()} == expected


def test_other_settings_are_not_the_papers(demo):
    methods = {
        "ep3d_10_iterations": {"type": "ep3d", "iterations": 10},
        "written_out": {"type": "swagv_i", "w_color": 10, "attribution": "guided_backprop"},
        "by_path": {"type": "swagv.methods.ep3d:EP3D"},
        "sobel": {"type": "swagv_i", "attribution": "sobel"},
        "finer": {"type": "swagv_i", "attribution": "sobel", "n_segments": 200},
        "integrated": {"type": "swagv_i", "attribution": "integrated_gradients"},
        "other_features": {"type": "swagv_ig", "attribution": "sobel"},
        "signed": {"type": "guided_backprop", "reduce": "signed_sum"},
        "seeded": {"type": "random", "seed": 1},
        "built": {"type": "swagv_ig", "features": "image", "n_segments": 300, "w_color": 10, "per_frame": True},
    }
    assert {name: paper_method(spec) for name, spec in resolved(demo, methods).items()} == {
        "ep3d_10_iterations": None,
        "written_out": ("swagv_i", ""),
        "by_path": ("ep3d", ""),
        "sobel": ("swagv_i", "sobel"),
        "finer": None,
        "integrated": None,
        "other_features": None,
        "signed": None,
        "seeded": None,
        "built": ("swag_i", ""),
    }


def test_networks_by_their_cards():
    found = {name: paper_network(name) for name in MODELS}
    assert {name for name, network in found.items() if network == "C3D"} == {"c3d", "c3d_sports1m", "c3d_demo"}
    assert {name for name, network in found.items() if network == "R(2+1)D"} == {
        "r2plus1d_18", "r2plus1d_18_vmz", "r2plus1d_demo"
    }  # fmt: skip
    assert paper_network("i3d") == paper_network("package.module:CARD") == ""
    assert {paper_network(name) for name in PAPER_CARDS} == set(paper_cells().network)


def test_data_by_their_settings(demo):
    def named(kind: str, clips: dict | None = None, **settings: object) -> str:
        datasets = {"x": {"type": kind, "shards": 1, "clips": clips or {}} | settings}
        metrics = {"insertion_deletion": {}}
        evaluation = Evaluation(demo | {"datasets": datasets, "metrics": metrics}, list_videos=False)
        return paper_data(evaluation.datasets["x"].spec)

    known = set(paper_cells().data) - {""}
    every = {"select": "every", "clip_step": 8}
    assert {named("kinetics"), named("ucf101_24", every, split="lists/testlist01.txt")} == known
    assert named("kinetics", {"select": "every"}) == named("kinetics", {"frame_step": 2}) == ""
    assert named("ucf101_24", split="testlist01.txt") == ""  # one clip a video
    assert named("ucf101_24", every, split="testlist01.txt", videos_per_class=1) == ""
    assert named("kinetics", split="train") == named("rendered") == ""
    assert named("ucf101_24") == named("ucf101_24", every, split="trainlist01.txt") == ""
    assert named("ucf101_24", every, split="testlist01.txt", one_tube=False) == ""


def test_a_network_is_the_papers_where_only_its_weights_were_given():
    model = {"card": "r2plus1d_18_vmz", "settings": {}, "target": "top1"}
    assert is_papers(model)
    for change in ({"card": "r2plus1d_18"}, {"settings": {"clip_len": 8}}, {"target": "label"}):
        assert not is_papers(model | change)


def test_settings_of_a_metric_that_are_not_the_papers():
    settings = {"steps": 4, "substrate": "zero", "ties": "random"}
    assert other_settings({"registered": "insertion_deletion", "settings": settings}) == ["steps = 4", "ties = random"]
    assert other_settings({"registered": "package.module:Own", "settings": {"a": 1}}) == []


def test_a_workflow_can_ask_without_torch_or_pandas():
    code = (
        "import sys; from swagv.paper import paper_method; print(paper_method({'object': 'a:B', 'settings': {}}), "
        "{'torch', 'pandas'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert ran.stdout.strip() == "None set()"
