import pytest

from swagv.cli import main
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
