import copy
import subprocess
import sys
from dataclasses import asdict
from datetime import date

import pytest

from swagv.catalogue import METHODS
from swagv.config import Evaluation, load_config
from swagv.errors import ConfigError
from swagv.registry import load_object
from tests.conftest import ROOT

DEMO = load_config(ROOT / "config" / "config.yaml")
NESTED: list = []
NESTED.append(NESTED)  # as YAML's `&a [*a]`
MANY_SETTINGS = {
    name: [2**52 + 1] for name in ("n_samples", "n_segments", "w_color", "spacing", "kernel_width", "ridge")
}
MANY_SETTINGS |= {"seed": [2**53], "n_segments": [20]}


def test_demo_is_valid_and_names_what_it_will_build():
    evaluation = Evaluation(DEMO)
    attributions = {"guided_backprop", "random_noise", "sobel", "vanilla_backprop", "input_x_gradient"}
    assert evaluation.gradients.keys() == attributions
    # SWAG-V on the image (whatever it averages), the gradient and both, and SWAG frame by frame.
    assert len(evaluation.recipes) == 4
    assert {method.kind for method in evaluation.methods.values()} == {"pixels", "supervoxels", "network", "control"}


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["metods"], {}, "unknown key 'metods' at the top level. Did you mean 'methods'"),
        (["methods", "grad_cm"], {}, "unknown method 'grad_cm'. Did you mean 'grad_cam'"),
        (["models", "c3d_demoo"], {}, "unknown model 'c3d_demoo'. Did you mean 'c3d_demo'"),
        (["models", "c3d"], {}, "weights of model 'c3d' not found"),
        (["methods", "swagv_ig"], {"w_gradd": 5}, "no setting 'w_gradd'. Did you mean 'w_grad'"),
        (["methods", "swagv_ig"], {"w_grad": 0}, "w_grad=0.0: must be greater than 0"),
        (["methods", "swagv_ig"], {"attribution": "centre"}, "'centre' is not a pixel attribution"),
        (["datasets", "demo", "clips"], {"clip_len": 32}, "takes 16 frames of 112 pixels"),
        (["datasets", "mine"], {"type": "folder", "root": "nowhere", "shards": 1}, "dataset folder not found"),
        (["metrics", "insertion_deletion"], {"steps": 0}, "steps=0: must be at least 1"),
        (["metrics", "insertion_deletion"], {"steps": 2.5}, "steps is 2.5, a float; it must be int"),
        (["methods", "swagv_ig"], {"n_segments": True}, "n_segments is True, a bool; it must be int"),
        (["methods", "swagv_ig"], {"n_segments": 30000}, "must be at most 20000"),
        (["methods", "occlusion3d"], {"window": [4, 16]}, "window is [4, 16], a list; it must be tuple[int, int, int]"),
        (
            ["methods", "xrai3d"],
            {"n_segments": [20, "x"]},
            "[20, 'x'], a list; it must be tuple[int, ...]",
        ),
        (["methods", "xrai3d"], {"n_segments": 20}, "n_segments is 20, a int; it must be tuple[int, ...]"),
        (["methods", "swagv_ig"], {"reduce": "median"}, "reduce='median': must be one of"),
        (["methods", "swagv_ig"], {"attribution": 3}, "attribution is 3, a int; it must be str"),
        (["methods", "mine"], {"type": "os.path:join"}, "'os.path:join' is not a swagv Explainer"),
        (["methods", "mine"], {"type": ":join"}, "cannot load ':join'"),
        (["methods", "mine"], {"type": "..os:join"}, "cannot load '..os:join'"),
        (["datasets"], {"mine": {"type": "folder", "root": "x" * 300, "shards": 1}}, "dataset folder not found"),
        (["datasets"], {"k": {"type": "kinetics", "root": ".", "labels": "x" * 300, "shards": 1}}, "videos not found"),
        (["datasets"], {"u": {"type": "ucf101_24", "root": ".", "annotations": "x" * 300, "shards": 1}}, "not found"),
        (["models", "c3d"], {"weights": "x" * 300}, "weights of model 'c3d' not found"),
        (["methods", "mine"], {"type": 3}, "at methods.mine.type: 3 is not of type 'string'"),
        (["methods", "mine"], {"type": "swagv.metrics.localisation:Localisation"}, "is not a swagv Explainer"),
        (["models", "mine"], {"type": "os:sep"}, "a ModelCard or a factory of a network is needed"),
        (
            ["models", "c3d_demo"],
            {"cam_layr": "conv5a"},
            "unknown key 'cam_layr' at models.c3d_demo. Did you mean",
        ),
        (["models", "c3d_demo"], {"geometry": {"crp": 112}}, "has no setting 'crp'. Did you mean 'crop'"),
        (["models", "c3d_demo"], {"geometry": {"crop": 200}}, "crop must be at least 1 and fit the resize"),
        (["models", "c3d_demo"], {"std": [0, 1, 1]}, "it must be three positive numbers"),
        (["models", "c3d_demo"], {"clip_len": 8}, "takes 8 frames of 112 pixels"),
        (["models", "r3d_18"], {"weights": "kinetics.pth"}, "weights of model 'r3d_18' not found: kinetics.pth"),
        (["models", "clips"], {"type": "c3d_demo"}, "would share its folder"),
        (["datasets", "demo", "seed"], -1, "need a seed from 0"),
        (["datasets", "demo", "videos"], 0, "at least 1 video"),
        (["datasets", "demo", "clips"], {"select": "center"}, "select='center': must be 'centre' or 'every'"),
        (["datasets", "demo", "clips"], {"clip_step": 0}, "clip_step=0: must be at least 1"),
        (["datasets", "demo", "geometry"], {"resize": "big"}, "resize is 'big'"),
        (["datasets", "demo", "geometry"], {"resize": [64, 64]}, "fit the resize"),
        (["datasets"], {"mine": {"type": "folder", "shards": 1}}, "dataset folder not found: ''"),
        (["datasets"], {"mine": {"type": "os.path:join", "shards": 1}}, "is not a swagv Dataset"),
        (["datasets"], {"mine": {"type": "folder", "root": str(ROOT / "config"), "shards": 1}}, "no video in"),
        (
            ["datasets"],
            {"demo": DEMO["datasets"]["demo"] | {"alpha_for": "x"}},
            "alpha_for is 'x'; it must name another",
        ),
        (["datasets", "demo", "alpha_for"], "demo", "alpha_for is 'demo'; it must name another"),
        (["runtime"], {"device": "gpu"}, "'gpu' does not match"),
        (["models", 3], {}, "key 3 at models is a int; put it in quotes"),
        (["models", "x\n"], {"type": "c3d_demo"}, "does not match"),  # `$` alone also stands before a last line break
        (["methods", "x" * 101], {"type": "grad_cam"}, "is too long"),
        (["methods", "x" * 201], {"type": "grad_cam"}, "has 201 characters; at most 200"),
        (["runtime"], {"device": "cpu\n"}, "does not match"),
        (["runtime"], {"time_limit": 1e7}, "greater than the maximum"),
        (["runtime"], {"time_limit": float("inf")}, "runtime.time_limit must be a finite number"),
        (["methods", "swagv_ig"], {"w_color": float("nan")}, "methods.swagv_ig.w_color must be a finite number"),
        (["methods", "swagv_ig"], {"w_color": 10**400}, "methods.swagv_ig.w_color must be a finite number"),
        (["methods", "swagv_ig"], {"w_color": {"a", "b"}}, "a set; put it in quotes"),
        (["methods", "swagv_ig"], {"w_color": date(2024, 2, 29)}, "a date; put it in quotes"),
        (["methods", "swagv_ig"], {"w_color": NESTED}, "values nested 33 deep"),
        (["methods", "swagv_ig"], {"w_color": [[0] * 400] * 400}, "more than 100,000 values"),
        (["methods", "swagv_ig"], {"attribution": "a\0b"}, r"is 'a\x00b': it holds a character that no file name"),
        (["methods", "swagv_ig"], {"attribution": "\ud800"}, r"is '\ud800': it holds a character that no file name"),
        (["datasets", "demo", "videos"], 10**9, "at most 100,000"),
        (["datasets", "demo", "geometry"], {"resize": 10**6}, "at most 16384 pixels"),
        (["experiments", "figure3"], {"grids": [{"n_segments": [*range(1, 10_002)]}]}, "more than 10,000 points"),
        (
            ["experiments", "figure3"],
            {"methods": ["lime3d"], "grids": [MANY_SETTINGS]},
            "too long for the name of a file",
        ),
    ],
)
def test_mistakes_are_one_clear_error(path, value, message):
    config = copy.deepcopy(DEMO)
    place = config
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(ConfigError) as error:
        Evaluation(config)
    assert message in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "a: 2024-99-99",
        "a: 0x_",
        "a: !!bool x",
        "a: !!timestamp x",
        "a: " + "[" * 3000,
        "a: " + "9" * 5000,
        "a: {[b]: c}",
    ],
)
def test_what_makes_the_yaml_reader_raise_all_kinds_of_errors_is_no_yaml(tmp_path, text):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"c\.yaml is not YAML: ."):
        load_config(tmp_path / "c.yaml")


def test_no_tag_of_yaml_makes_an_object(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text("a: !!python/object/apply:os.system [touch ran]")
    with pytest.raises(ConfigError, match="is not YAML: could not determine a constructor"):
        load_config(tmp_path / "c.yaml")
    assert not (tmp_path / "ran").exists()


def test_every_method_of_the_catalogue_is_rebuilt_from_its_settings():
    """Settings travel as JSON, where tuples are lists."""
    given = {"occlusion3d": {"window": [2, 8, 8], "stride": [2, 4, 4]}, "xrai3d": {"n_segments": [20, 60, 90]}}
    evaluation = Evaluation(DEMO | {"methods": {name: {} for name in METHODS} | given})
    for name, method in evaluation.methods.items():
        spec = method.spec["settings"]
        assert asdict(load_object(method.spec["object"])(**spec)) == spec
        assert spec.items() >= given.get(name, {}).items()


def test_the_extra_demo_is_every_method_beyond_the_paper():
    extra = Evaluation(load_config(ROOT / "config" / "demo_extra.yaml"))
    shown = {method.spec["object"] for config in (Evaluation(DEMO), extra) for method in config.methods.values()}
    pixels = {config.methods[name].gradients["object"] for config in (Evaluation(DEMO), extra)
              for name in config.methods if config.methods[name].gradients}  # fmt: skip
    for name in METHODS:
        known = METHODS.load(name)
        cls = getattr(known, "func", known)
        assert f"{cls.__module__}:{cls.__qualname__}" in shown | pixels, name


def test_checking_imports_no_torch():
    code = (
        "import sys; from swagv.catalogue import METHODS; from swagv.config import Evaluation, load_config; "
        "config = load_config('config/config.yaml'); own = {'weights': 'KINETICS400_V1', 'clip_len': 16}; "
        "config['methods'] = {name: {} for name in METHODS}; "
        "models = config['models'] | {'r2plus1d_18': own, 'r3d_18': None}; "
        "Evaluation(config | {'models': models}); print('torch' in sys.modules)"
    )
    call = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert call.stdout.strip() == "False"


def test_localisation_without_any_box_is_refused(tmp_path):
    (tmp_path / "v.mp4").write_bytes(b"")
    config = DEMO | {"datasets": {"mine": {"type": "folder", "root": str(tmp_path), "shards": 1}}}
    with pytest.raises(ConfigError, match="no dataset has any"):
        Evaluation(config)


@pytest.mark.parametrize(("text", "message"), [("a: [1", "is not YAML"), ("- a", "holds a list"), (None, "not found")])
def test_files_that_hold_no_configuration(tmp_path, text, message):
    if text:
        (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_config(tmp_path / "c.yaml")


def test_recipes_that_differ_have_folders_that_differ():
    swagv = {"type": "swagv_ig"}
    close = {"a": swagv | {"w_grad": 9.0000001}, "b": swagv | {"w_grad": 9}, "c": {"type": "swagv_i", "w_grad": 3}}
    evaluation = Evaluation(DEMO | {"methods": close | {"swagv_i": {}}})
    assert len(evaluation.recipes) == 3
    # The image alone does not look at w_grad: one recipe, built once.
    assert evaluation.methods["c"].recipe == evaluation.methods["swagv_i"].recipe


def test_a_dataset_that_only_chooses_thresholds():
    demo = DEMO["datasets"]["demo"]
    config = copy.deepcopy(DEMO) | {"datasets": {"demo": demo, "train": demo | {"seed": 1, "alpha_for": "demo"}}}
    evaluation = Evaluation(config)
    assert [dataset.name for dataset in evaluation.evaluated] == ["demo"]
    assert evaluation.alpha_from == {"demo": "train"}
    for change, message in (
        (
            {"datasets": {"demo": demo, "train": demo | {"alpha_for": "demo"}}},
            "6 videos are in both, circle",
        ),
        (
            {"datasets": {"demo": demo, "train": demo | {"seed": 1, "alpha_for": "demo", "geometry": {"resize": 120}}}},
            "'train' needs the geometry of 'demo'",
        ),
        ({"metrics": {"insertion_deletion": {}}}, "but metrics has no localisation"),
    ):
        with pytest.raises(ConfigError, match=message):
            Evaluation(config | change)
    config["datasets"]["third"] = config["datasets"]["train"]
    with pytest.raises(ConfigError, match="two datasets are alpha_for 'demo'"):
        Evaluation(config)


def test_a_job_reads_the_configuration_without_listing_videos(tmp_path):
    config = copy.deepcopy(DEMO)
    config["datasets"]["mine"] = {"type": "folder", "root": str(tmp_path / "gone"), "shards": 1}
    evaluation = Evaluation(config, list_videos=False)
    with pytest.raises(ConfigError, match="dataset folder not found"):
        _ = evaluation.datasets["mine"].shards


def test_a_precision_that_the_device_does_not_have_is_refused_before_any_job():
    config = DEMO | {"metrics": {"insertion_deletion": {"precision": "tf32"}}}
    with pytest.raises(ConfigError, match=r"metrics\.insertion_deletion: precision tf32 needs a GPU"):
        Evaluation(config | {"runtime": {"device": "cpu"}})
    Evaluation(config | {"runtime": {"device": "cuda"}})
    with pytest.raises(ConfigError, match="precision='fp8': must be one of fp32, tf32, bf16"):
        Evaluation(DEMO | {"metrics": {"insertion_deletion": {"precision": "fp8"}}})


def test_what_a_metric_needs_and_a_workflow_does_not_have_is_said_at_once(tmp_path, monkeypatch):
    (tmp_path / "asking_metric.py").write_text(
        "from dataclasses import dataclass\n"
        "@dataclass(frozen=True)\n"
        "class Asking:\n"
        "    def __call__(self, model, clips, attribution, target, *, boxes, depth, scale=1): ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    config = copy.deepcopy(DEMO)
    config["metrics"] = {"asking": {"type": "asking_metric:Asking"}}
    with pytest.raises(ConfigError, match="metric 'asking' needs depth, which a workflow does not have"):
        Evaluation(config)
