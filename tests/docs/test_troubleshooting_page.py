"""docs/troubleshooting.md: what it quotes is what swagv says, provoked here or found in the sources."""

import contextlib
import errno
import importlib.util
import io
import os
import re
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
import torch

import swagv
from swagv.cli import main
from swagv.datasets.rendering import render_video, write_video
from swagv.metrics.insertion_deletion import InsertionDeletion
from swagv.publish import OutputError
from swagv.registry import load_object
from swagv.runtime import ENVIRONMENT
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
QUOTED = [line for block in re.findall(r"^```text\n(.*?)^```", PAGE, re.M | re.S) for line in block.splitlines()]
MODEL = ["--model", "c3d_demo"]
EXPLAIN = [
    ["nowhere.mp4", *MODEL],
    ["empty.mp4", *MODEL],
    ["page.mp4", *MODEL],
    ["short.mp4", *MODEL],
    ["ok.mp4", *MODEL, "--clip-len", "8"],
    ["ok.mp4", *MODEL, "--start", "400"],
    ["ok.mp4", *MODEL, "--time-limit", "0.0001"],
    ["tone.mkv", *MODEL, "--method", "centre", "--whole", "--out", "o.mp4"],
    ["ok.mp4", *MODEL, "--out", "o.gif"],
    ["ok.mp4", "--model", "c3d_dmo"],
    ["ok.mp4", *MODEL, "--method", "swagv_gi"],
    ["ok.mp4", *MODEL, "--target", "verticl"],
    ["ok.mp4", *MODEL, "--set", "n_segment=20"],
    ["ok.mp4", "--model", "no.such:thing"],
    ["ok.mp4", "--model", "c3d"],
    ["ok.mp4", "--model", "i3d"],
    ["ok.mp4", *MODEL, "--weights", "nowhere.pth"],
    ["ok.mp4", *MODEL, "--weights", "page.safetensors"],
    ["ok.mp4", *MODEL, "--weights", "page.pth"],
    ["ok.mp4", *MODEL, "--weights", "other.safetensors"],
    ["ok.mp4", *MODEL, "--device", "cuda"],
    ["ok.mp4", "--model", "gelu_network:Gelu"],
    ["ok.mp4", *MODEL, "--method", "grad_cam", "--set", "layer=conv9"],
    ["ok.mp4", *MODEL, "--method", "grad_cam", "--set", "layer=fc6"],
    ["ok.mp4", "--model", "gelu_network:Flat", "--method", "grad_cam"],
    ["ok.mp4", *MODEL, "--method", "saliency_tubes"],
]
DATASET = "datasets: {d: {type: folder, root: videos, shards: 1}}\n"
REST = "models: {c3d_demo: {}}\nmethods: {centre: {}}\n"
SCORED = REST + "metrics: {insertion_deletion: {}}\n"
CHECK = [
    DATASET + "metrics: {insertion_deletion: {}\n",
    DATASET + REST + "metric: {}\nmetrics: {}\n",
    DATASET.replace(", shards: 1", "") + SCORED,
    DATASET.replace("videos", "nowhere") + SCORED,
    DATASET + SCORED + "targets: [tabel1]\n",
    DATASET.replace("shards: 1", "shards: 1, clips: {clip_len: 8}") + SCORED,
    DATASET + REST + "metrics: {insertion_deletion: {substrate: grey}}\n",
    DATASET + REST + "metrics: {insertion_deletion: {substrate: [zero, blur]}}\n",
    DATASET + REST + "metrics: {localisation: {}}\n",
    DATASET.replace("shards: 1", "shards: 1, boxes: boxes.csv") + REST + "metrics: {localisation: {}}\n",
]
VERIFY = "swagv/commands/verify.py"
# What would take a run, a GPU or a network: where its text is.
ELSEWHERE = {
    "torchvision could not get …": "swagv/models/torchvision_networks.py",
    "runtime.device is auto, which looks for a GPU on this machine, …": "workflow/rules/common.smk",
    "Error: Directory cannot be locked. …": "snakemake.exceptions",
    "Nothing to be done (all requested files are present and up to date).": "snakemake.common",
    "swagv: Snakemake runs here, or was killed: …. End it, or `snakemake --unlock`, before --remove": VERIFY,
    "… holds other numbers than were written": "swagv/verify.py",
    "… is damaged. Delete it and run the workflow again": "swagv/stores.py",
    "… could not be read: …": VERIFY,
    "… was made from other contents of … Run the workflow again": "swagv/explanations.py",
    "… was written by another process meanwhile": "swagv/publish.py",
}
# Without a ReLU, and without a name for its last map.
GELU = """
from torch import nn

class Gelu(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Conv3d(3, 4, 3, stride=4), nn.Linear(4, 5)

    def forward(self, clips):
        return self.head(nn.functional.gelu(self.stem(clips)).mean((2, 3, 4)))


def Flat():
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 112 * 112, 2))
"""


def library():
    """Calls that fail, each by itself."""
    model, clips = swagv.load_model("c3d_demo"), torch.zeros(1, 3, 16, 112, 112)
    gelu = load_object("gelu_network:Gelu")()
    attribution = swagv.explain(model, clips, "centre")
    black = InsertionDeletion(substrate="black")
    return [
        lambda: swagv.explain(gelu, clips),
        lambda: swagv.explain(model, clips[:, :, 0]),
        lambda: model.preprocess(np.zeros((1, 8, 112, 112, 3), np.uint8)),
        lambda: swagv.evaluate(model, clips, attribution[:, :8]),
        lambda: swagv.evaluate(model, clips, attribution * np.nan),
        lambda: swagv.evaluate(model, clips, attribution, metrics="localisation"),
        lambda: swagv.evaluate(model, clips, attribution, precision="tf32"),
        lambda: black(gelu, clips, attribution, torch.tensor([0])),
    ]


def write_inputs(folder):
    frames = render_video(0, 0).frames
    (folder / "videos").mkdir()
    for path in (folder / "ok.mp4", folder / "videos" / "ok.mp4"):
        write_video(path, frames)
    write_video(folder / "short.mp4", frames[:3])
    (folder / "empty.mp4").touch()
    for name in ("page.mp4", "page.pth", "page.safetensors"):
        (folder / name).write_text("<!DOCTYPE html><html><body>404: not found</body></html>")
    shutil.copy(ROOT / "swagv" / "weights" / "r2plus1d_demo.safetensors", folder / "other.safetensors")
    (folder / "boxes.csv").write_text("video_id,frame,x_min,y_min,x_max,y_max\nok.mp4,0,1,1,9,9\n")
    (folder / "gelu_network.py").write_text(GELU)
    write_video(folder / "clip.mp4", frames[:16])
    add_sound("clip.mp4", "tone.mkv")


def add_sound(video, out):
    """A copy of a video with a tenth of a second of silence that MP4 has no place for."""
    with av.open(video) as given, av.open(out, "w") as container:
        pictures = container.add_stream_from_template(given.streams.video[0])
        sound = container.add_stream("pcm_u8", rate=8000, layout="mono")
        silence = av.AudioFrame.from_ndarray(np.full((1, 800), 128, np.uint8), "u8", "mono")
        silence.sample_rate, silence.pts = 8000, 0
        container.mux([*sound.encode(silence), *sound.encode()])
        for packet in given.demux(given.streams.video[0]):
            if packet.dts is not None:
                packet.stream = pictures
                container.mux(packet)


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """Every line that the commands and calls above print or raise."""
    folder, found = tmp_path_factory.mktemp("trouble"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(folder)
        patch.setenv("SWAGV_CACHE", str(folder / "cache"))
        patch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
        patch.setattr(torch.cuda, "is_available", lambda: False)
        write_inputs(folder)
        commands = [["explain", *arguments] for arguments in EXPLAIN]
        for number, text in enumerate(CHECK):
            (folder / f"{number}.yaml").write_text(text)
        commands += [["check", f"{number}.yaml"] for number in range(len(CHECK))]
        (folder / "gpu.yaml").write_text(DATASET + SCORED + "runtime: {device: cuda}\n")
        patch.setattr(torch.cuda, "device_count", lambda: 0)
        commands.append(["check", "--local", "gpu.yaml"])
        for command in [*commands, ["check", "nowhere.yaml"], ["fetch-weights", "i3d"]]:
            with contextlib.redirect_stderr(io.StringIO()) as error, contextlib.redirect_stdout(io.StringIO()):
                main(command)
            found.append(error.getvalue().strip())
        for call in library():
            with pytest.raises(ValueError) as caught:  # noqa: PT011, the message is compared with the page's
                call()
            found.append(f"{type(caught.value).__name__}: {caught.value}")
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return [*found, f"swagv: {OutputError(Path('o.png'), full)}", f"OSError: {full}"]


def matches(line, message):
    """Whether a quoted line is a message, … standing for anything; configurations are called c.yaml."""
    return re.fullmatch(".*".join(map(re.escape, line.split("…"))), re.sub(r"\b\d+\.yaml", "c.yaml", message))


@pytest.mark.parametrize("line", [line for line in QUOTED if line not in ELSEWHERE])
def test_quoted_messages_are_said(line, said):
    assert any(matches(line, message) for message in said)


def test_every_message_that_is_provoked_is_quoted(said):
    assert [message for message in said if not any(matches(line, message) for line in QUOTED)] == []


@pytest.mark.parametrize("line", ELSEWHERE)
def test_the_others_are_in_the_sources(line):
    assert line in QUOTED
    place = ELSEWHERE[line]
    path = ROOT / place if "/" in place else importlib.util.find_spec(place).origin
    source = Path(path).read_text(encoding="utf-8")
    fragments = [part.strip(" .") for part in line.removeprefix("swagv: ").split("…") if part.strip(" .")]
    assert fragments
    assert [fragment for fragment in fragments if fragment not in source] == []


def test_statuses_are_those_of_the_stages():
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "swagv" / "stages").glob("*.py"))
    statuses = re.findall(r"^\| `([^`]+)` \|", PAGE, re.M)
    assert len(statuses) == 12
    for status in statuses:
        assert all(part.strip() in sources for part in status.split("…")), status


def test_what_it_says_of_threads_is_what_a_workflow_sets():
    assert ENVIRONMENT["OMP_WAIT_POLICY"] == "PASSIVE"
    assert "export OMP_WAIT_POLICY=PASSIVE" in PAGE


def test_the_cure_for_a_network_without_relu(said):
    """Which `said` has put on the path."""
    found = swagv.explain(
        load_object("gelu_network:Gelu")(), torch.rand(1, 3, 16, 48, 48), attribution="vanilla_backprop"
    )
    assert found.any()
