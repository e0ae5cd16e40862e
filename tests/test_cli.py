import json
import subprocess
import sys

import pytest

from swagv.catalogue import DATASETS, METHODS, METRICS, MODELS
from swagv.cli import main
from swagv.errors import ConfigError
from tests.conftest import ROOT


def test_list_and_check(capsys):
    assert main(["list", "methods"]) == 0
    assert "swagv_ig" in capsys.readouterr().out
    assert main(["check", str(ROOT / "config" / "config.yaml"), "--build"]) == 0
    said = capsys.readouterr()
    assert "1 shards x 2 models x 16 methods" in said.out
    # What fits one of two networks is no mistake: the other's cell says so.
    assert said.err.count("not applicable: method 'saliency_tubes' on model 'c3d_demo'") == 1


CONFIG = """
datasets: {{demo: {{type: rendered, videos: 1, shards: 1}}}}
models: {{c3d_demo: {{weights: {weights}}}}}
methods: {{grad_cam: {{layer: "{layer}"}}}}
metrics: {{localisation: {{}}}}
"""


@pytest.mark.parametrize(
    ("name", "content", "layer", "message"),
    [
        ("w.safetensors", b"# README", "", "is not a file of weights"),
        ("w.pth", b"# README", "", "is not a file of weights"),
        (None, b"", "conv9z", "the network has no layer 'conv9z'"),
    ],
)
def test_what_cannot_be_built_is_one_line(tmp_path, capsys, name, content, layer, message):
    weights = "default"
    if name:
        weights = tmp_path / name
        weights.write_bytes(content)
    (tmp_path / "c.yaml").write_text(CONFIG.format(weights=weights, layer=layer))
    assert main(["check", str(tmp_path / "c.yaml"), "--build"]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_only_demo_networks_are_trained(tmp_path, capsys):
    assert main(["train", "r2plus1d_18", "--out", str(tmp_path / "w.safetensors")]) == 2
    assert "only demo networks are trained here" in capsys.readouterr().err


def test_lists_for_people_and_programs(capsys):
    for what, registry in (("models", MODELS), ("methods", METHODS), ("metrics", METRICS), ("datasets", DATASETS)):
        assert main(["list", what, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert {one["name"]: one["object"] for one in found} == dict(registry)
        assert all(len(one["summary"]) > 15 for one in found)
        assert main(["list", what]) == 0
        assert capsys.readouterr().out.count("\n") == len(registry)


def test_check_as_json(capsys):
    assert main(["check", str(ROOT / "config" / "config.yaml"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["models"] == ["r2plus1d_demo", "c3d_demo"]
    assert found["videos"] == {"demo": 6}
    assert found["not_applicable"] == []


@pytest.mark.parametrize("module", ["swagv", "swagv.cli"])
def test_importing_is_quick_because_it_imports_little(module):
    """The command line and the library begin without what takes seconds; how long it takes is in benchmarks/."""
    heavy = {
        "torch",
        "torchvision",
        "zarr",
        "pandas",
        "pyarrow",
        "matplotlib",
        "numba",
        "skimage",
        "scipy",
        "av",
        "decord",
    }
    code = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"
    call = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert call.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (OSError(28, "No space left on device"), 1, "[Errno 28] No space left on device"),
        (RuntimeError("the first line\nand more"), 1, "the first line"),
        (MemoryError(), 1, "MemoryError"),
        (ConfigError("it cannot be"), 2, "it cannot be"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_what_goes_wrong_is_one_line_and_a_traceback_where_it_is_asked_for(raised, code, said, monkeypatch, capsys):
    def fails(given):
        raise raised

    monkeypatch.setattr("swagv.commands.list.run", fails)
    assert main(["list", "models"]) == code
    assert capsys.readouterr().err == f"swagv: {said}\n"
    if code != 130:
        assert main(["list", "models", "--traceback"]) == code
        error = capsys.readouterr().err
        assert error.startswith("Traceback")
        assert error.endswith(f"swagv: {said}\n")


def test_a_reader_that_stops_reading_is_no_error():
    """As of `swagv list methods | head -1`."""
    call = f"{sys.executable} -m swagv.cli list methods | head -1"
    done = subprocess.run(["bash", "-c", call], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


def test_every_command_has_an_example_and_every_option_its_help(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    names = [path.stem.replace("_", "-") for path in (ROOT / "swagv" / "commands").glob("*.py")]
    names = sorted(set(names) - {"--init--", "options", "progress"})
    assert len(names) == 11
    for name in names:
        assert name in said
        with pytest.raises(SystemExit):
            main([name, "--help"])
        assert f"swagv {name} " in capsys.readouterr().out.partition("\n\n")[2], name


def test_a_rendered_video_has_a_known_answer(tmp_path, capsys):
    out = tmp_path / "new" / "v.mp4"
    assert main(["render", str(out), "--motion", "vertical", "--seed", "7", "--frames", "20"]) == 0
    assert capsys.readouterr().out == f"{out}: 20 frames of vertical\n"
    assert main(["explain", str(out), "--model", "c3d_demo", "--method", "centre", f"--out={tmp_path / 'o.npz'}"]) == 0
    assert capsys.readouterr().out.splitlines()[0].endswith("  vertical")
    assert main(["render", str(out), "--seed", "-1"]) == 2
    assert main(["render", str(tmp_path), "--motion", "spin"]) == 1
    assert capsys.readouterr().err.count("\n") == 2


@pytest.mark.parametrize(
    ("device", "there", "code"), [("cuda", 0, 2), ("cuda:1", 1, 2), ("cuda", 1, 0), ("auto", 0, 0)]
)
def test_a_gpu_that_the_jobs_of_this_machine_will_not_find(device, there, code, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("torch.cuda.device_count", lambda: there)
    config = CONFIG.format(weights="default", layer="") + f"runtime: {{device: '{device}'}}\n"
    (tmp_path / "c.yaml").write_text(config)
    assert main(["check", "--local", str(tmp_path / "c.yaml")]) == code
    error = f"swagv: runtime.device is {device} and PyTorch finds {there} GPUs here; set it to auto, or cpu\n"
    assert capsys.readouterr().err == (error if code else "")
    assert main(["check", str(tmp_path / "c.yaml")]) == 0  # jobs of a cluster run elsewhere
