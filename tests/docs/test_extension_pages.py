"""The pages on networks, methods, metrics and data of one's own: files, commands and configurations, as printed."""

import csv
import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tomllib

import numpy as np
import pytest
import torch
import yaml
from torch import nn

import swagv
from swagv.cli import main
from swagv.config import Evaluation
from swagv.datasets.rendering import render_video
from swagv.errors import AnnotationError, ConfigError, NotApplicable
from swagv.manifest import digest
from swagv.methods.explainer import random_generator
from swagv.registry import Registry
from swagv.tables import read_table
from tests.conftest import ROOT
from tests.workflow.project import Project

PAGES = ("network", "method", "metric", "data")
EXAMPLES = ROOT / "docs" / "examples"


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / "docs" / f"your_{page}.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


def config(page: str) -> dict:
    """What `mine.yaml` of a page is."""
    first, *others = map(yaml.safe_load, blocks(page, "yaml"))
    return first | (others[0] if others else {})


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The working directory: a folder with the library and the pages, and the tables of the page on data."""
    for name in ("docs", "swagv"):
        (tmp_path / name).symlink_to(ROOT / name)
    for name, block in zip(("labels.csv", "boxes.csv"), blocks("data", "csv"), strict=True):
        (tmp_path / name).write_text(block)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return tmp_path


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """What `my_data.py` writes, and what it prints."""
    folder = tmp_path_factory.mktemp("rendered")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    call = [sys.executable, str(EXAMPLES / "my_data.py")]
    done = subprocess.run(call, cwd=folder, check=True, env=environment, capture_output=True, text=True)
    return folder / "my_videos", done.stdout


@pytest.fixture
def my_videos(place, rendered):
    return shutil.copytree(rendered[0], place / "my_videos")


@pytest.mark.parametrize("page", PAGES)
def test_the_page_has_the_file_as_it_is(page):
    assert blocks(page, "python") == [(EXAMPLES / f"my_{page}.py").read_text(encoding="utf-8")]


def said_by(page: str, place, capsys) -> str:
    """What the commands of a page print, but for Snakemake's, and those that render the videos once more."""
    (place / "mine.yaml").write_text(yaml.safe_dump(config(page)))
    (commands,) = blocks(page, "sh")
    assert len(re.findall(r"^snakemake --cores 2 --configfile mine.yaml", commands, re.M)) == 1
    first, *lines = (shlex.split(line, comments=True) for line in commands.splitlines())
    assert first == ["export", "PYTHONPATH=$PWD:$PWD/docs/examples"]  # as `place` has it
    capsys.readouterr()
    for program, *arguments in lines:
        if program == "swagv":
            assert main(arguments) == 0, capsys.readouterr().err
        elif program == "python":
            if arguments != ["docs/examples/my_data.py"]:
                runpy.run_path(*arguments, run_name="__main__")
        else:
            assert program == "snakemake"
    return capsys.readouterr().out


def percents(said: str) -> dict[str, int]:
    return {name: int(value) for name, value in re.findall(r"^(.+): (\d+) % of the attribution", said, re.M)}


def test_the_commands_of_the_network(my_videos, place, capsys):
    said = said_by("network", place, capsys)
    assert "the video: moves with p = 1.00\nits first frame, 16 times: moves with p = 0.02\n" in said
    share = percents(said)
    assert share["full_frame"] == 5
    assert share["grad_cam"] == share["saliency_tubes"] > 25  # one layer, one head: the same map
    assert share["swagv_ig"] > share["full_frame"]
    assert said.count("(1, 16, 112, 112)") == 2
    assert "guided backprop needs a network with ReLU; this one calls none." in said
    assert (place / "change.png").stat().st_size > 10_000
    assert "1 shards x 2 models x 4 methods" in said


def test_the_commands_of_the_method(my_videos, place, capsys):
    said = said_by("method", place, capsys)
    whole, shuffled = map(float, re.search(r"clip (\S+); of its frames in other orders (\S+),", said).groups())
    total = float(re.search(r"sum of the attribution (\S+)", said)[1])
    assert (whole, shuffled) == (4.2, -0.5)
    assert abs(total - (whole - shuffled)) < 1.5  # 32 samples of the place between them
    assert percents(said)["this method"] > 3 * percents(said)["full_frame"]
    assert (place / "shuffled.png").stat().st_size > 10_000
    assert "1 shards x 1 models x 3 methods" in said


def test_the_commands_of_the_metric(place, capsys):
    said = said_by("metric", place, capsys)
    rows = {line.split()[0]: [float(value) for value in line.split()[1:]] for line in said.splitlines()[:5]}
    assert rows["full_frame"] == [1, 1]
    assert min(rows["guided_backprop"]) > max(rows["centre"]) >= min(rows["centre"]) > 1
    assert "1 shards x 1 models x 3 methods" in said


def test_the_commands_of_the_data(my_videos, place, rendered, capsys):
    assert "vertical: my_videos/vertical.mp4, vertical, 24 boxes, the first (182.0, 51.0, 230.0, 92.0)" in rendered[1]
    assert "mine: 2 videos\n" in said_by("data", place, capsys)


def test_data_without_code(my_videos, place):
    source = Evaluation(yaml.safe_load(blocks("data", "yaml")[0])).datasets["mine"].source
    assert [(video.video_id, video.label) for video in source.list_videos()] == [
        ("circle", "circle"), ("vertical", "vertical")
    ]  # fmt: skip
    true_boxes = render_video(1, seed=3, num_frames=24).boxes
    found = source.boxes_of(source.list_videos()[1])
    assert {frame: tuple(true_boxes[frame]) for frame in (4, 5)} == found


def test_reading_the_configurations_imports_no_torch(my_videos, place):
    """Snakemake and every job read them."""
    (place / "all.json").write_text(json.dumps([config(page) for page in PAGES]))
    script = (
        "import json, sys; from swagv.config import Evaluation; "
        "[Evaluation(one) for one in json.load(open('all.json'))]; print('torch' in sys.modules)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(EXAMPLES)])}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert done.stdout == "False\n", done.stderr


@pytest.mark.parametrize("page", PAGES)
def test_the_name_that_an_installed_package_registers(page, place, monkeypatch):
    (declared,) = (tomllib.loads(block)["project"]["entry-points"] for block in blocks(page, "toml"))
    info = place / "site" / "mine-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    lines = [f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in names.items()) for group, names in declared.items()]
    (info / "entry_points.txt").write_text("".join(lines))
    monkeypatch.syspath_prepend(str(info.parent))
    ((group, names),) = declared.items()
    ((name, path),) = names.items()
    registry = Registry(group.removeprefix("swagv.").removesuffix("s"), {})
    assert registry[name] == path
    assert registry.load(name).__module__ != "builtins"


class Sum(nn.Module):
    """Logits that are linear in the clip."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(3 * 4 * 8 * 8, 2)
        nn.init.normal_(self.head.weight, generator=torch.Generator().manual_seed(0))

    def forward(self, clips):
        return self.head(clips.flatten(1))


@pytest.fixture
def clips():
    return torch.randn(2, 3, 4, 8, 8, generator=torch.Generator().manual_seed(1))


def test_the_methods_voxels_add_up_where_the_network_is_linear(place, clips):
    from my_method import ShuffledFrames

    method = ShuffledFrames(n_samples=5, batch_size=2, reduce="signed_sum")
    network = swagv.load_model(Sum(), clip_len=4, geometry={"resize": 8, "crop": 8})
    found = swagv.explain(network, clips, method, target=1, clip_ids=["a", "b"])
    rng = random_generator("b", 0)
    shuffled = torch.stack([clips[1][:, rng.permutation(4)] for _ in range(5)])
    expected = network(clips[1:])[0, 1] - network(shuffled)[:, 1].mean()
    assert torch.allclose(found[1].sum(), expected, rtol=1e-4)
    alone = swagv.explain(network, clips[1:], method, target=1, clip_ids=["b"])
    assert torch.allclose(alone[0], found[1], rtol=1e-4, atol=1e-6)


def test_what_the_method_refuses(place):
    from my_method import ShuffledFrames

    with pytest.raises(ValueError, match="n_samples=0"):
        ShuffledFrames(n_samples=0)
    with pytest.raises(NotApplicable, match="one frame has no order"):
        ShuffledFrames().check(swagv.load_model(Sum(), clip_len=1))


def test_the_metric_on_maps_with_a_known_answer(place):
    from my_metric import Density

    boxes = np.array([[[1, 1, 2, 2], [np.nan] * 4]], float)  # 4 of 16 pixels of the one boxed frame
    on_box, beside = np.zeros((1, 2, 4, 4)), np.zeros((1, 2, 4, 4))
    on_box[0, :, 1:3, 1:3], beside[0, 0, 0, 0] = 5, -1

    def density(heat, **settings):
        return Density(**settings)(None, None, heat, None, boxes=boxes)["density"][0]

    assert density(np.ones((1, 2, 4, 4))) == 1
    assert density(on_box) == 4
    assert density(on_box + 20 * beside) == 4
    assert density(on_box + 20 * beside, signed=False) == 2
    assert np.isnan(density(beside))
    frames = Density()(None, None, on_box, None, boxes=boxes)["density_of_frames"]
    assert frames[0, 0] == 4
    assert np.isnan(frames[0, 1])


def test_the_data_knows_when_a_box_is_corrected(my_videos):
    from my_data import JsonList

    file = my_videos / "list.json"
    before = JsonList(str(my_videos), str(file)).list_videos()
    entries = json.loads(file.read_text())
    entries[0]["boxes"]["0"][2] = 0
    file.write_text(json.dumps(entries))
    data = JsonList(str(my_videos), str(file))
    after = data.list_videos()
    assert [video.video_id for video in after] == [video.video_id for video in before]
    assert digest(after[:1]) == digest(before[:1])
    assert digest(after[1:]) != digest(before[1:])
    with pytest.raises(AnnotationError, match="the box of frame 0 has 0x"):
        data.boxes_of(after[1])
    file.write_text(json.dumps(entries + entries))
    with pytest.raises(ConfigError, match="two videos share an id"):
        JsonList(str(my_videos), str(file)).list_videos()
    file.write_text('[{"file": "x.mp4"}]')
    with pytest.raises(ConfigError, match=r"KeyError\('label'\); need a list of file and label"):
        JsonList(str(my_videos), str(file)).list_videos()


@pytest.mark.workflow
def test_all_four_in_one_run(tmp_path, rendered):
    """The files stand beside the Snakefile; nothing is installed and PYTHONPATH is not set."""
    project = Project(tmp_path / "project")
    for page in PAGES:
        shutil.copy(EXAMPLES / f"my_{page}.py", project.folder)
    shutil.copytree(rendered[0], project.folder / "my_videos")
    given = {
        kind: config(page)[f"{kind}s"] for page, kind in zip(PAGES[:3], ("model", "method", "metric"), strict=True)
    }
    del given["model"]["change_detector"], given["method"]["centre"]
    given["method"]["shuffled_frames"]["n_samples"] = 2
    project.configure(
        {
            "datasets": config("data")["datasets"],
            "models": given["model"],
            "methods": given["method"],
            "metrics": {"density": given["metric"]["density"]},
            "bootstrap": 100,
            "runtime": {"device": "cpu", "threads": 1},
        }
    )
    project.run("density")
    results = project.folder / "results"
    table = read_table(results / "summary/density.parquet").set_index(["model", "method"])
    assert set(table.index) == {(model, method) for model in given["model"] for method in given["method"]}
    assert (table.n == 2).all()
    assert table["mean"].notna().all()
    with (results / "tables/density.csv").open(encoding="utf-8") as file:
        assert {row["method"] for row in csv.DictReader(file)} == set(given["method"])
