"""Whole workflows for real: a copy of the project runs on a tiny configuration in a temporary folder."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml

from swagv.datasets.rendering import render_video, write_video
from swagv.tables import read_provenance, read_table
from tests.conftest import ROOT

pytestmark = pytest.mark.workflow
CONFIG = {
    "datasets": {"tiny": {"type": "rendered", "videos": 5, "shards": 2}},
    "models": {"c3d_demo": {}},
    "methods": {"guided_backprop": {}, "swagv_i": {}, "swagv_ig": {}, "centre": {}},
    "metrics": {"insertion_deletion": {"steps": 4}, "localisation": {}},
    "bootstrap": 100,
    "runtime": {"batch_size": 8, "device": "cpu"},
}


class Project:
    """A copy of the workflow and library with a configuration of its own."""

    def __init__(self, folder: Path):
        self.folder = folder
        for name in ("workflow", "swagv", "profiles", "envs", "config"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "Snakefile", folder)

    def configure(self, config: dict) -> None:
        (self.folder / "config" / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))

    def start(self, *arguments: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self, *arguments: str) -> str:
        process = self.start(*arguments)
        output = process.communicate(timeout=500)[0]
        assert process.returncode == 0, output
        return output

    def pending(self) -> dict[str, int]:
        """Number of jobs that Snakemake would run now, by rule."""
        output = self.run("-n")
        counts = re.search(r"^job +count\n[- ]+\n(.*?)^total", output, re.M | re.S)
        jobs = dict(line.split() for line in counts[1].splitlines())
        return {job: int(n) for job, n in jobs.items() if job not in ("all", "report", "summarise")}

    def scores(self) -> dict[str, pd.DataFrame]:
        found = sorted((self.folder / "results").rglob("*.parquet"))
        return {
            str(path.relative_to(self.folder)): read_table(path) for path in found if "benchmarks" not in path.parts
        }


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The tiny configuration, run once."""
    project = Project(tmp_path_factory.mktemp("project"))
    project.configure(CONFIG)
    project.run()
    return project


@pytest.fixture
def project(finished):
    """The finished project, put back as it was after the test."""
    before = {path: path.read_text() for path in finished.folder.glob("swagv/**/*.py")}
    yield finished
    for path, text in before.items():
        if path.read_text() != text:
            path.write_text(text)
    finished.configure(CONFIG)


def changed(**parts):
    return {**CONFIG, **{key: {**CONFIG[key], **value} for key, value in parts.items()}}


def test_tables_and_report(finished):
    results = finished.folder / "results"
    for metric, expected in (("insertion_deletion", 3), ("localisation", 6)):
        table = read_table(results / "summary" / f"{metric}.parquet")
        assert set(table.method) == set(CONFIG["methods"])
        assert (table.groupby("method").metric.nunique() == expected).all()
        assert (table.n == 5).all()
        assert table[["mean", "ci_low", "ci_high"]].notna().all().all()
        assert ((table.ci_low <= table["mean"]) & (table["mean"] <= table.ci_high)).all()
    record = read_provenance(next(results.glob("tiny/c3d_demo/insertion_deletion/swagv_ig/*.parquet")))
    assert record["spec"]["method"]["settings"]["w_grad"] == 9
    assert {"git_commit", "versions", "device", "precision"} <= record.keys()
    html = (results / "report.html").read_text()
    assert html.count("data:image/png") >= 4
    assert "http" not in re.sub(r"http://www.w3.org/\S+|https?://(?:purl|creativecommons|matplotlib)\S+", "", html)


def test_nothing_to_do_after_a_finished_run(project):
    assert "Nothing to be done" in project.run("-n")


def test_a_setting_reruns_its_stage_and_what_follows(project):
    project.configure(changed(methods={"swagv_ig": {"w_grad": 5}}))
    pending = project.pending()
    assert pending == {"supervoxels_of_gradient": 2, "explain": 2, "insertion_deletion": 2, "localisation": 2}


def test_slic_code_reruns_supervoxels_and_a_comment_nothing(project):
    slic = project.folder / "swagv" / "slic.py"
    text = slic.read_text()
    slic.write_text(text.replace("    channels = []", "    # a comment\n    channels = []"))
    assert "Nothing to be done" in project.run("-n")
    slic.write_text(text.replace("start_label=0", "start_label=0 + 0"))
    pending = project.pending()
    assert pending["supervoxels_of_image"] == pending["supervoxels_of_gradient"] == 2
    assert pending["explain"] == 4
    assert not pending.keys() & {"render", "plan", "decode", "predict", "gradients"}


def test_a_new_method_runs_only_itself(project):
    project.configure(changed(methods={"random": {}}))
    assert project.pending() == {"explain": 2, "insertion_deletion": 2, "localisation": 2}


def test_a_new_clip_reruns_only_its_shard(project):
    from swagv.config import Evaluation

    more = changed(datasets={"tiny": {**CONFIG["datasets"]["tiny"], "videos": 6}})
    before, after = (Evaluation(c).datasets["tiny"].shards for c in (CONFIG, more))
    moved = [shard for shard in after if after[shard] != before.get(shard)]
    assert len(moved) == 1
    project.configure(more)
    assert project.pending() == {
        "render": 1, "plan": 1, "decode": 1, "predict": 1, "gradients": 1, "supervoxels_of_image": 1,
        "supervoxels_of_gradient": 1, "explain": 4, "insertion_deletion": 4, "localisation": 4,
    }  # fmt: skip


def test_batch_and_shard_size_change_no_score(finished, tmp_path):
    other = Project(tmp_path)
    config = changed(datasets={"tiny": {**CONFIG["datasets"]["tiny"], "shards": 1}}, runtime={"batch_size": 1})
    other.configure(config)
    other.run("--cores", "1")
    for metric, columns in (
        ("insertion_deletion", ["deletion_auc", "insertion_auc"]),
        ("localisation", ["hits_value", "hits_mean", "hits_energy"]),
    ):
        one, two = (
            pd.concat([read_table(p) for p in sorted(x.folder.glob(f"results/tiny/*/{metric}/*/*.parquet"))])
            .sort_values(["method", "clip_id"])
            .reset_index(drop=True)
            for x in (finished, other)
        )
        assert one.clip_id.tolist() == two.clip_id.tolist()
        for column in columns:
            if metric == "insertion_deletion":
                assert (one[column] - two[column]).abs().max() <= 1e-5
            else:
                assert [list(a) for a in one[column]] == [list(b) for b in two[column]]


@pytest.mark.parametrize(
    "stage", ["plan", "decode", "predict", "gradients", "supervoxels", "explain", "insertion_deletion", "localisation"]
)
def test_killed_in_a_stage_and_run_again_gives_the_same_tables(finished, stage, tmp_path):
    other = Project(tmp_path)
    other.configure(CONFIG)
    # Resume from a finished tree without this stage's outputs and all that follows.
    shutil.copytree(finished.folder / "results", tmp_path / "results", symlinks=True)
    shutil.copytree(finished.folder / ".snakemake", tmp_path / ".snakemake")
    process = other.start("--forcerun", *{"supervoxels": ["supervoxels_of_gradient"]}.get(stage, [stage]))
    deadline = time.monotonic() + 120
    log = tmp_path / "results" / "logs" / stage
    began = time.time()
    while time.monotonic() < deadline and process.poll() is None:
        if any(path.stat().st_mtime > began for path in log.rglob("*.log")):
            break
        time.sleep(0.02)
    assert process.poll() is None, f"the run ended before {stage} began"
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    other.run("--unlock")
    other.run()
    expected, found = finished.scores(), other.scores()
    assert expected.keys() == found.keys()
    for name, table in expected.items():
        if not name.startswith("results/tiny/manifest"):
            pd.testing.assert_frame_equal(table, found[name], check_exact=True, obj=name)
    assert not list((tmp_path / "results").rglob("*.partial"))


def test_broken_videos_are_rows(tmp_path):
    videos = tmp_path / "videos"
    videos.mkdir()
    for index in range(2):
        write_video(videos / f"good{index}.mp4", render_video(index, index).frames)
    whole = (videos / "good0.mp4").read_bytes()
    (videos / "truncated.mp4").write_bytes(whole[: len(whole) // 2])
    (videos / "empty.mp4").write_bytes(b"")
    (videos / "text.mp4").write_text("not a video\n" * 100)
    write_video(videos / "short.mp4", render_video(2, 2, num_frames=5).frames)
    other = Project(tmp_path / "project")
    config = {key: CONFIG[key] for key in ("models", "bootstrap", "runtime")}
    config["datasets"] = {"mine": {"type": "folder", "root": str(videos), "shards": 1}}
    config["methods"] = {"centre": {}}
    config["metrics"] = {"insertion_deletion": {"steps": 4}}
    other.configure(config)
    other.run()
    manifest = read_table(tmp_path / "project/results/mine/manifest/0000.parquet").set_index("video_id")
    assert manifest.status.to_dict() == {
        "good0": "ok", "good1": "ok", "truncated": "unreadable", "empty": "unreadable", "text": "unreadable",
        "short": "too_few_frames",
    }  # fmt: skip
    assert "0 bytes" in manifest.detail["empty"]
    assert "5 frames; a clip spans 16" in manifest.detail["short"]
    summary = read_table(tmp_path / "project/results/summary/insertion_deletion.parquet")
    assert set(zip(summary.n, summary.n_failed, strict=True)) == {(2, 4)}
    html = (tmp_path / "project/results/report.html").read_text()
    assert "3 × unreadable" in html
    assert "1 × too_few_frames" in html


def test_a_mistake_is_one_error_before_any_job(finished, tmp_path):
    (tmp_path / "bad.yaml").write_text("methods: {grad_cm: {}}\n")
    process = finished.start("-n", "--configfile", "config/config.yaml", str(tmp_path / "bad.yaml"))
    output = process.communicate(timeout=60)[0]
    assert process.returncode != 0
    assert "unknown method 'grad_cm'. Did you mean 'grad_cam'" in output
    assert "Traceback" not in output
