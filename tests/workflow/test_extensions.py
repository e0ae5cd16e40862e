"""A user's own explainer and network, each in an installed package of its own, need no edit of swagv."""

import os
import subprocess
import sys

import pytest

from swagv.tables import read_table
from tests.conftest import ROOT
from tests.workflow.test_workflow import CONFIG, Project

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
        "lab_network": (NETWORK, "model", "small", "small_network"),
    }
    for name, (source, kind, entry, attribute) in packages.items():
        package = tmp_path_factory.mktemp(name)
        (package / f"{name}.py").write_text(source)
        text = PYPROJECT.format(name=name, kind=kind, entry=entry, attribute=attribute)
        (package / "pyproject.toml").write_text(text)
        pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target"]
        subprocess.run([*pip, str(folder), str(package)], check=True)
    return folder


def test_they_are_listed(site):
    for what, name in (("methods", "brightness"), ("models", "small")):
        call = [sys.executable, "-m", "swagv.cli", "list", what]
        environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{site}"}
        found = subprocess.run(call, capture_output=True, text=True, check=True, env=environment)
        assert any(line.split()[0] == name for line in found.stdout.splitlines())


def test_they_are_in_the_tables(site, tmp_path):
    project = Project(tmp_path / "project")
    own = {"small": {"arguments": {"width": 6}, "cam_layer": "conv", "categories": list("abcde")}}
    methods = {
        "twice": {"type": "brightness", "gain": 2},
        "swagv_brightness": {"type": "swagv_g", "attribution": "brightness"},
        "saliency_tubes": {},
    }
    tiny = {"tiny": {"type": "rendered", "videos": 1, "shards": 1}}
    project.configure({**CONFIG, "datasets": tiny, "models": own | {"r2plus1d_demo": {}}, "methods": methods})
    project.run(path=site)
    table = read_table(project.folder / "results/summary/insertion_deletion.parquet").set_index(["model", "method"])
    fit = table[table.metric == "joint"]
    assert set(fit.index) == {(m, x) for m in ("small", "r2plus1d_demo") for x in methods} - {
        ("small", "saliency_tubes")
    }
    assert (fit.n == 1).all()
    assert fit["mean"].notna().all()
    assert table.metric["small", "saliency_tubes"] == "not_applicable"
    assert "not applicable" in (project.folder / "results/report.html").read_text()
    assert "Nothing to be done" in project.run("-n", path=site)
