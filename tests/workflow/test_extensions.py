"""A user's own explainer, network and metric, each in an installed package of its own, need no edit of swagv."""

import os
import subprocess
import sys

import numpy as np
import pytest

from swagv.datasets.rendering import render_video, write_video
from swagv.tables import read_table
from tests.conftest import ROOT
from tests.workflow.project import CONFIG
from tests.workflow.warm import WarmProject

pytestmark = pytest.mark.workflow

PYPROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "{name}"
version = "1.0"
[project.entry-points."swagv.{kind}s"]
{entry} = "{name}:{attribute}"
[tool.setuptools]
py-modules = ["{name}"]
"""
EXPLAINER = '''
from dataclasses import dataclass
from swagv.methods.explainer import PixelAttribution

@dataclass(frozen=True)
class Brightness(PixelAttribution):
    """The sum of the channels, times a setting."""
    gain: float = 1.0

    def __call__(self, model, clips, target, clip_ids=None):
        return self.gain * clips.sum(1)
'''
METRIC = '''
from dataclasses import dataclass
from typing import ClassVar

@dataclass(frozen=True)
class Sharpness:
    """The spread of the map; more is better."""
    higher_is_better: ClassVar[dict[str, bool]] = {"sharpness": True}
    needs_network: ClassVar[bool] = False

    def __call__(self, model, clips, attribution, target):
        return {"sharpness": attribution.std((1, 2, 3)), "peak": attribution.max((1, 2, 3))}
'''
NETWORK = '''
from torch import nn

class Small(nn.Module):
    """A network with a view of its feature maps and weights of its own."""
    def __init__(self, width):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv3d(3, width, 3, 4, 1), nn.ReLU())
        self.fc = nn.Linear(width, 5)

    def forward(self, clips):
        return self.fc(self.conv(clips).view(len(clips), self.fc.in_features, -1).mean(-1))

def small_network(width=4):
    import torch
    torch.manual_seed(0)
    return Small(width)
'''


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder of installed packages."""
    folder = tmp_path_factory.mktemp("site")
    packages = {
        "lab_explainer": (EXPLAINER, "method", "brightness", "Brightness"),
        "lab_metric": (METRIC, "metric", "sharpness", "Sharpness"),
        "lab_network": (NETWORK, "model", "small", "small_network"),
    }
    sources = []
    for name, (source, kind, entry, attribute) in packages.items():
        sources.append(tmp_path_factory.mktemp(name))
        (sources[-1] / f"{name}.py").write_text(source)
        text = PYPROJECT.format(name=name, kind=kind, entry=entry, attribute=attribute)
        (sources[-1] / "pyproject.toml").write_text(text)
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target"]
    subprocess.run([*pip, str(folder), *map(str, sources)], check=True)
    return folder


@pytest.fixture(scope="module")
def said(site, tmp_path_factory):
    """What the commands below print, one after the other, where the packages are installed; and a file of one."""
    folder = tmp_path_factory.mktemp("said")
    write_video(folder / "v.mp4", render_video(0, 0, num_frames=16).frames)
    own = ["--model", "c3d_demo", "--method", "brightness", "--set", "gain=2", "--out", "x.npz"]
    commands = [["list", what] for what in ("methods", "models", "metrics")] + [["explain", "v.mp4", *own]]
    script = f"from swagv.cli import main\nfor one in {commands}: assert main(one) == 0; print('-' * 9)"
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{site}"}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment, cwd=folder
    )
    return done.stdout.split("-" * 9), folder / "x.npz"


def test_they_are_listed(said):
    for lines, name in zip(said[0], ("brightness", "small", "sharpness"), strict=False):
        assert any(line.split()[0] == name for line in lines.strip().splitlines())


def test_an_explainer_with_a_setting_explains_one_video(said, demo_models):
    found = np.load(said[1])
    clips = demo_models["c3d_demo"].preprocess(found["frames"][None])
    assert np.allclose(found["attribution/brightness"], 2 * clips[0].sum(0), atol=1e-5)


def test_they_are_in_the_tables(site, tmp_path):
    project = WarmProject(tmp_path / "project")
    own = {"small": {"arguments": {"width": 6}, "cam_layer": "conv", "categories": list("abcde")}}
    methods = {"swagv_brightness": {"type": "swagv_g", "attribution": "brightness"}, "saliency_tubes": {}}
    tiny = {"tiny": {"type": "rendered", "videos": 1, "shards": 1}}
    metrics = {"games": {"type": "insertion_deletion", "steps": 4}, "sharpness": {}}  # one under another name
    models = own | {"r2plus1d_demo": {}}
    project.configure({**CONFIG, "datasets": tiny, "models": models, "methods": methods, "metrics": metrics})
    project.run(path=site)
    results = project.folder / "results"
    table = read_table(results / "summary/games.parquet").set_index(["model", "method"])
    fit = table[table.metric == "joint"]
    assert set(fit.index) == {(m, x) for m in models for x in methods} - {("small", "saliency_tubes")}
    assert (fit.n == 1).all()
    assert fit["mean"].notna().all()
    assert table.metric["small", "saliency_tubes"] == "not_applicable"
    html = (results / "report.html").read_text()
    assert "not_applicable: Saliency Tubes" in html
    assert "lowest deletion + (1 − insertion) is" in html
    typeset = (results / "tables/sharpness.md").read_text()
    assert "small: sharpness ↑" in typeset
    clips = read_table(results / "tiny/r2plus1d_demo/sharpness/swagv_brightness/0000.parquet")
    assert f"{clips.sharpness[0]:.3f}" in typeset
    assert clips.peak[0] > clips.sharpness[0]
    assert "Nothing to be done" in project.run("-n", path=site)
