"""Experiments: what a configuration's tables and figures run, resolved against what it runs anyway."""

import pytest

from swagv.config import Evaluation
from swagv.errors import ConfigError
from swagv.experiments import EXPERIMENTS, grid_points, named

BASE = {
    "datasets": {"d": {"type": "rendered", "videos": 2, "shards": 1}},
    "models": {"c3d_demo": {}, "r2plus1d_demo": {}},
    "methods": {"centre": {}, "swagv_ig": {}, "edges": {"type": "swagv_i", "attribution": "sobel"}},
    "metrics": {"insertion_deletion": {"steps": 4}},
}


def evaluation(**changed):
    return Evaluation(BASE | changed, list_videos=False)


def test_a_grid_is_every_combination_and_its_names_are_folders():
    points = list(grid_points({"w_color": [5, 10], "w_grad": [1, 2, 3]}))
    assert len(points) == 6
    assert points[0] == {"w_color": 5, "w_grad": 1}
    assert points[-1] == {"w_color": 10, "w_grad": 3}
    assert named("swagv_ig", points[0]) == "swagv_ig-w_color_5-w_grad_1"
    assert named("swagv_i", {"attribution": "my.package:Pixels"}) == "swagv_i-attribution_my.package.Pixels"
    assert list(grid_points({})) == [{}]


def test_figure_2_is_the_papers_search_and_shares_what_the_configuration_runs():
    found = evaluation().experiment("figure2")
    settings = [method.spec["settings"] for method in found.methods.values()]
    assert {(one["w_color"], one["w_grad"]) for one in settings} == {
        *((c, g) for c in (5.0, 10.0, 20.0) for g in (5.0, 10.0, 20.0)),
        *((c, g) for c in (18.0, 20.0) for g in (8.0, 9.0, 10.0, 11.0, 12.0)),
    }
    assert len(found.points) == 9 + 10  # 20/10 is in both grids, and one method
    assert len(found.methods) == 18
    assert found.methods["swagv_ig"] is evaluation_method(found, 20, 9)
    assert {method.recipe_name for method in found.methods.values()} >= {"image+gradient-n120-wc20-wg9-guided_backprop"}
    assert {method.gradients_name for method in found.methods.values()} == {"guided_backprop"}


def evaluation_method(found, w_color, w_grad):
    points = [p for p in found.points if (p["w_color"], p["w_grad"]) == (w_color, w_grad)]
    assert len(points) == 1
    return found.methods[points[0]["method"]]


def test_a_point_that_the_configuration_has_under_another_name_keeps_that_name():
    found = evaluation().experiment("table1")
    assert "edges" in found.methods
    assert [p["method"] for p in found.points if p["attribution"] == "sobel"] == ["edges"]
    assert "swagv_i" in found.methods  # guided backprop is its default
    assert found.models == ("c3d_demo", "r2plus1d_demo")


def test_a_configured_base_lends_its_own_settings():
    given = {"weights": {"methods": ["edges"], "grids": [{"n_segments": [40]}]}}
    (method,) = evaluation(experiments=given).experiment("weights").methods.values()
    assert method.name == "edges-n_segments_40"
    assert (method.spec["settings"]["attribution"], method.spec["settings"]["n_segments"]) == ("sobel", 40)


def test_a_configuration_replaces_only_what_it_names():
    found = evaluation(experiments={"figure2": {"models": ["c3d_demo"]}}).experiment("figure2")
    assert found.models == ("c3d_demo",)
    assert len(found.methods) == 18
    assert list(evaluation(experiments={"mine": {}}).experiment("mine").metrics) == ["insertion_deletion"]


def test_choices_vary_one_setting_at_a_time_around_the_configurations_own():
    found = evaluation().experiment("ablations")
    varied = {name: metric.spec["settings"] for name, metric in found.metrics.items()}
    # The configuration's own settings are its own metric, with its steps; each other differs from it in one setting.
    own = varied.pop("insertion_deletion")
    assert own["steps"] == 4
    for name, settings in varied.items():
        if name.startswith("insertion_deletion"):
            assert sum(settings[key] != own[key] for key in own) == 1
    assert {(c["choice"], c["value"]) for c in found.choices} >= {("substrate", "blur"), ("ties", "reverse")}


def test_known_methods_hold_those_of_every_experiment():
    known = evaluation().known_methods
    assert {"centre", "edges", "swagv_ig-w_color_18-w_grad_12", "swagv_g-n_segments_300"} <= known.keys()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"figure2": {"grids": [{"w_colour": [1]}]}}, "has no setting 'w_colour'. Did you mean 'w_color'"),
        ({"figure2": {"models": ["c3d_dem"]}}, "no model 'c3d_dem'. Did you mean 'c3d_demo'"),
        ({"figure1": {"methods": ["swagv_x"]}}, "unknown method 'swagv_x'. Did you mean"),
        ({"ablations": {"metrics": {"insertion_deletion": {"substrate": ["nothing"]}}}}, "substrate='nothing'"),
        ({"figure3": {"grids": [{"n_segments": []}]}}, "experiments.figure3.grids.0.n_segments"),
        ({"figure3": {"grid": []}}, "unknown key 'grid' at experiments.figure3. Did you mean 'grids'"),
    ],
)
def test_a_mistake_in_an_experiment_is_found_before_any_job(given, message):
    with pytest.raises(ConfigError) as error:
        Evaluation(BASE | {"experiments": given})
    assert message in str(error.value)


def test_an_experiment_that_cannot_be_run_says_so_only_when_it_is_asked_for():
    methods = BASE["methods"] | {"guided_backprop": {"reduce": "sum_abs"}}
    methods.pop("swagv_ig")
    found = Evaluation(BASE | {"methods": methods})
    with pytest.raises(ConfigError, match="would share the gradient cache 'guided_backprop'"):
        found.experiment("figure2")
    assert "swagv_ig-w_color_5-w_grad_5" not in found.known_methods


def test_the_papers_tables_and_figures_are_there_without_a_word_in_the_configuration():
    assert set(EXPERIMENTS) <= set(evaluation().experiments)


@pytest.mark.parametrize("name", ["table2", "table3", "pointing"])
def test_an_experiment_may_not_take_the_name_of_a_table_of_the_run(name):
    with pytest.raises(ConfigError, match=f"experiment '{name}' would share its table"):
        evaluation(metrics={"insertion_deletion": {}, "pointing": {}}, experiments={name: {}})


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("figure1", {"methods": ["centre", "random", "swagv_i"]}, "sets one method against another, not 3"),
        ("figure2", {"methods": ["swagv_i", "swagv_ig"]}, "shows one method, not 2"),
        ("figure2", {"grids": [{"w_color": [5], "w_grad": [5], "spacing": [1, 2]}]}, "must vary just that"),
        ("figure2", {"metrics": {"insertion_deletion": {"substrate": ["zero", "black"]}}}, "and nothing else"),
        ("figure3", {"metrics": {"pointing": {}}}, "and nothing else"),
        ("figure3", {"grids": []}, "each grid must vary just that"),
        ("space_time", {"methods": ["swagv_ig"], "grids": [{"n_segments": [60]}]}, "no place for grids"),
        ("space_time", {"metrics": {"pointing": {}}}, "draws frame_profile"),
        ("randomisation", {"methods": ["swagv_ig"], "grids": [{"n_segments": [60]}]}, "no place for grids"),
        ("randomisation", {"metrics": {"pointing": {}}}, "take `metrics` out"),
        ("ablations", {"metrics": {"insertion_deletion": {}}}, "vary one in `metrics`"),
        ("table4", {"metrics": {"pointing": {}}}, "it measures seconds"),
        ("mine", {"figure": "sweep", "methods": ["swagv_i"]}, "each grid must vary just that"),
        ("mine", {"figure": "sweep", "methods": ["lime3d"], "grids": [{"n_segments": [20]}]}, "about supervoxels"),
        ("mine", {"figure": "randomisation", "methods": ["grad_cam"], "clips": 9}, "set `clips` of the experiment"),
        ("mine", {"metrics": {"a.b:C": {}}}, "no metric 'a.b:C'; name it under `metrics` first"),
        ("figure1", {"methods": ["centre", "centre"]}, "not 1"),
        ("figure1", {"metrics": {"insertion_deletion": {"steps": [4, 8]}}}, "and nothing else"),
        ("figure4", {"metrics": {"insertion_deletion": {}, "pointing": {}}}, "and nothing else"),
    ],
)
def test_what_a_figure_cannot_show_is_said_before_anything_runs(name, given, message):
    with pytest.raises(ConfigError, match=message) as found:
        evaluation(experiments={name: given}).experiment(name)
    assert str(found.value).startswith(f"experiment {name!r}")


def test_an_experiment_of_ones_own_may_have_a_figure():
    given = {"figure": "sweep", "methods": ["swagv_i"], "grids": [{"n_segments": [20, 60]}], "caption": "Few or many?"}
    found = evaluation(experiments={"mine": given}).experiment("mine")
    assert (found.given.figure, found.given.caption, found.given.has_table) == ("sweep", "Few or many?", False)
    assert list(found.metrics) == ["insertion_deletion"]
    assert evaluation(experiments={"plain": {"methods": ["swagv_i"]}}).experiment("plain").given.has_table


def test_unknown_experiments_and_targets_are_named():
    with pytest.raises(ConfigError, match=r"no experiment 'figure22'\. Did you mean 'figure2'"):
        evaluation().experiment("figure22")
    with pytest.raises(ConfigError, match=r"no target 'tabel1'\. Did you mean 'table1'"):
        evaluation(targets=["tabel1"])
    assert evaluation(targets=["table1", "table2"]).targets == ("table1", "table2")


def test_a_metric_is_known_by_its_path_as_by_its_name():
    path = "swagv.metrics.insertion_deletion:InsertionDeletion"
    found = evaluation(metrics={"games": {"type": path, "steps": 4}})
    assert found.metric_of("insertion_deletion").name == "games"
    assert found.metric_of("localisation") is None


def test_an_experiment_that_no_dataset_suits_says_so(tmp_path):
    folder = {"d": {"type": "folder", "root": str(tmp_path), "shards": 1}}
    one = evaluation(datasets=folder, experiments={"boxes": {"metrics": {"pointing": {}}}})
    with pytest.raises(ConfigError, match="'boxes': pointing needs true boxes, and no evaluated dataset has any"):
        one.experiment("boxes")
    assert list(one.experiment("space_time").metrics) == ["frame_profile", "frame_deletion"]


def test_a_metric_under_another_name_is_the_one_that_experiments_score():
    found = evaluation(metrics={"games": {"type": "insertion_deletion", "steps": 4}}).experiment("figure2")
    assert list(found.metrics) == ["games"]
    both = {"insertion_deletion": {}, "games": {"type": "insertion_deletion", "steps": 4}}
    two = evaluation(metrics=both, experiments={"x": {"metrics": {name: {} for name in both}}})
    with pytest.raises(ConfigError, match="two of its metrics are of one kind"):
        two.experiment("x")


def test_a_metric_may_not_take_the_name_of_a_table():
    with pytest.raises(ConfigError, match="metric 'table2' would share the table of that name"):
        evaluation(metrics={"table2": {"type": "frame_deletion"}})


def test_importance_over_time_needs_no_boxes_and_the_pointing_game_does():
    metrics = evaluation(metrics={"frame_profile": {}, "pointing": {}, "frame_deletion": {}}).metrics
    assert {name: (one.takes_boxes, one.needs_boxes) for name, one in metrics.items()} == {
        "frame_profile": (True, False), "pointing": (True, True), "frame_deletion": (False, False)
    }  # fmt: skip


def test_names_of_variants_are_folders():
    assert named("my.package:Method", {"size": [1, 2], "scale": 0.5}) == "my.package.Method-size_.1.2.-scale_0.5"
