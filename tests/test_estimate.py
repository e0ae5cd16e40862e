import json
import math
import re
from collections import Counter
from dataclasses import dataclass

import pandas as pd
import pytest
import torch
import yaml
from torch import nn

from benchmarks.measure import RESULTS
from swagv.catalogue import METRICS
from swagv.cli import main
from swagv.config import Evaluation
from swagv.datasets.rendering import render_video, write_video
from swagv.estimate import BYTES_A_VOXEL, Assumed, count_clips, estimate, gflop, stored_as, table
from swagv.forward_passes import Passes
from swagv.methods.explainer import Explainer
from swagv.metrics import needs_network
from swagv.models.build import build_model
from swagv.stages.plan import plan
from tests.conftest import ROOT
from tests.workflow.project import CONFIG
from tests.workflow.warm import WarmProject

VOXELS = 16 * 112 * 112


@dataclass(frozen=True)
class Silent(Explainer):
    """A method from elsewhere that does not say how many passes it takes."""


class Rates:
    """A forward pass takes 1 second in bfloat16, 2 in float32 and 3 as it is; a backward pass 10 more."""

    def seconds(self, model, passes, precision=None):
        return passes.forward * {"bf16": 1, "fp32": 2, None: 3}[precision] + passes.backward * 10

    def applies(self, model, method):
        return not (model == "c3d_demo" and type(method).__name__ == "SaliencyTubes")

    def video(self, dataset):
        return {"render": 7, "plan": 11, "decode": 13}

    def supervoxels(self, recipe, dataset):
        return 17

    def score(self, metric, dataset):
        return 19


def configured(**parts):
    base = {
        "datasets": {"d": {"type": "rendered", "videos": 6, "shards": 1}},
        "models": {"c3d_demo": {}, "r2plus1d_demo": {}},
        "methods": {"swagv_i": {}, "swagv_ig": {}, "grad_cam": {}, "saliency_tubes": {}, "centre": {}},
        "metrics": {"insertion_deletion": {"precision": "bf16"}, "localisation": {}},
    }
    return Evaluation(base | parts)


def estimated(evaluation, clips=100):
    return table(evaluation, {"d": clips}, Rates()).set_index(["stage", "name"])


def test_hours_are_clips_times_passes_times_seconds():
    rows = estimated(configured())
    hours = rows.device_hours * 3600
    assert hours["predict", ""] == pytest.approx(2 * (100 + 1) * 2)  # two networks, a blank clip in each job
    # Both methods of supervoxels read one cache.
    assert hours["gradients", "guided_backprop"] == pytest.approx(2 * 100 * (3 + 10))
    assert hours["explain", "grad_cam"] == pytest.approx(2 * 100 * (3 + 10))
    assert hours["explain", "saliency_tubes"] == pytest.approx(100 * 3)  # not applicable to the other network
    assert hours["metric", "insertion_deletion"] == pytest.approx((5 + 4) * 100 * 54 * 1)
    assert rows.passes_a_clip["metric", "insertion_deletion"] == "54"
    assert rows.passes_a_clip["explain", "grad_cam"] == "1+1"
    assert hours["explain", "swagv_i"] == hours["explain", "centre"] == hours["supervoxels"].sum() == 0
    cores = rows.core_hours * 3600
    assert [cores[stage, ""] for stage in ("render", "plan", "decode")] == pytest.approx([6 * 7, 6 * 11, 100 * 13])
    # Of the image once, of both once a network.
    assert cores["supervoxels"].tolist() == pytest.approx([2 * 100 * 17, 100 * 17])
    assert cores["metric", "localisation"] == pytest.approx((5 + 4) * 100 * 19)
    assert cores["explain", "swagv_i"] == cores["explain", "centre"] > 0


def test_disk_is_clips_times_voxels_times_their_bytes():
    rows = estimated(configured())
    expected = {
        ("decode", ""): ("frames", 1),
        ("gradients", "guided_backprop"): ("attribution", 2),
        ("supervoxels", "image-n120-wc10"): ("labels", 1),
        ("explain", "swagv_i"): ("supervoxels", 2),
        ("explain", "centre"): ("control", 2),
        ("explain", "grad_cam"): ("layer map", 2),
        ("explain", "saliency_tubes"): ("layer map", 1),
    }
    for key, (kind, models) in expected.items():
        assert rows.gigabytes[key] == pytest.approx(models * 100 * VOXELS * BYTES_A_VOXEL[kind] / 1e9), key
    twice = configured(
        datasets={"d": {"type": "rendered", "videos": 6, "shards": 1, "clips": {"clip_len": 32}}},
        models={"c3d_demo": {"clip_len": 32}},
    )
    assert estimated(twice).gigabytes["decode", ""] == 2 * rows.gigabytes["decode", ""]


def test_bytes_are_those_that_were_measured():
    found = pd.read_csv(RESULTS / "disk.csv")
    real = found[found.videos == "real"].set_index("store").bytes_a_voxel
    assert real.to_dict() == pytest.approx(BYTES_A_VOXEL, rel=0.01)
    kinds = {
        method.name: stored_as(method) for method in configured(methods={"ep3d": {}, "sobel": {}}).methods.values()
    }
    assert kinds == {"ep3d": "attribution", "sobel": "pixels"}


def test_what_does_not_say_is_not_known():
    mine = f"{__name__}:Silent"
    rows = estimated(configured(methods={"mine": {"type": mine}, "centre": {}}))
    assert rows.passes_a_clip["explain", "mine"] == "not known"
    assert math.isnan(rows.device_hours["explain", "mine"])
    assert rows.gigabytes["explain", "mine"] == pytest.approx(2 * 100 * VOXELS * BYTES_A_VOXEL["attribution"] / 1e9)
    assert rows.device_hours.drop(("explain", "mine")).notna().all()


@pytest.mark.parametrize("name", sorted(METRICS))
def test_every_metric_that_runs_the_network_declares_its_passes(name):
    cls = METRICS.load(name)
    if not needs_network(cls):
        assert not hasattr(cls, "passes")
        return
    seen, clips = [], torch.randn(2, 3, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 6 * 6, 2))
    network.register_forward_hook(lambda layer, inputs, logits: seen.append(len(logits)))
    for choice in ({}, {"substrate": "blur"}, {"steps": 5}) if name == "insertion_deletion" else ({},):
        metric = cls(**choice)
        known = {}
        if name == "insertion_deletion":  # as its stage knows them
            known = {"p_intact": torch.rand(2), "p_blank": None if metric.substrate == "blur" else torch.rand(2)}
        seen.clear()
        metric(network, clips, clips[:, 0], torch.tensor([0, 1]), **known)
        assert sum(seen) == 2 * metric.passes((4, 6, 6)).forward, choice


def stats(output):
    """Rule -> jobs of a dry run."""
    found = dict(re.findall(r"^(\w+) +(\d+)$", output.split("Job stats:")[1].split("total")[0], re.M))
    return Counter({rule: int(count) for rule, count in found.items()})


@pytest.mark.workflow
@pytest.mark.parametrize("which", ["tiny", "demo"])
def test_jobs_are_those_that_snakemake_plans(which, tmp_path):
    config = CONFIG if which == "tiny" else yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    project = WarmProject(tmp_path / "project")
    project.configure(config)
    planned = stats(project.run("-n"))
    name = next(iter(config["datasets"]))
    rows = table(Evaluation(config), {name: 3}, Rates())
    found = rows.groupby("stage").jobs.sum()
    assert rows.jobs.sum() == planned.total()
    assert which == "tiny" or planned.total() == 130
    for stage in ("render", "plan", "decode", "predict", "gradients", "explain"):
        assert found[stage] == planned[stage], stage
    assert found["supervoxels"] == planned["supervoxels_of_image"] + planned["supervoxels_of_gradient"]
    assert found["metric"] == planned["insertion_deletion"] + planned["localisation"]


def folder_of_videos(folder, count, **clips):
    video = folder / "videos" / "a" / "0.mp4"
    video.parent.mkdir(parents=True)
    write_video(video, render_video(0, 0, 40).frames)
    for index in range(1, count):
        (video.parent / f"{index}.mp4").symlink_to(video)
    given = {"type": "folder", "root": str(folder / "videos"), "shards": 2, "clips": clips}
    return configured(datasets={"d": given}, metrics={"insertion_deletion": {}}).datasets["d"]


def test_clips_are_counted_where_they_are_known(tmp_path):
    every = folder_of_videos(tmp_path, 12, select="every", clip_step=8)
    results = tmp_path / "results"
    assumed = count_clips(every, results)
    assert assumed.clips == 12
    assert "one clip a video assumed" in assumed.known_from
    shards = sorted(every.shards)
    (results / "d" / "manifest").mkdir(parents=True)
    for done, shard in enumerate(shards, start=1):
        plan(results / "d" / "manifest" / f"{shard}.parquet", None, shard, every.spec, 60)
        found = count_clips(every, results)
        assert found.clips == 12 * 4, found  # starts 0, 8, 16 and 24 of 40 frames
        assert (f"in {done} planned shards" in found.known_from) == (done < len(shards))
    assert "counted in" in found.known_from
    # Manifests of another selection of clips say nothing.
    (tmp_path / "other").mkdir()
    centre = folder_of_videos(tmp_path / "other", 5)
    assert count_clips(centre, results).clips == 5
    assert "listed video" in count_clips(centre, results).known_from


def test_an_assumed_device_is_its_arithmetic():
    # 40.6 billion multiplications and additions are published for R(2+1)D-18 at 16x112x112.
    assert gflop(build_model("r2plus1d_18", None)) / 2 == pytest.approx(40.6, rel=0.01)
    rates, forward = Assumed(configured(), 50, 0.4), gflop(build_model("c3d_demo")) / 20e3
    assert rates.seconds("c3d_demo", Passes(7), "bf16") == pytest.approx(7 * forward)
    assert rates.seconds("c3d_demo", Passes(2, 2)) == pytest.approx(2 * 3 * forward)


def test_the_command_measures_here(tmp_path, capsys):
    config = CONFIG | {"methods": {"grad_cam": {}, "mine": {"type": f"{__name__}:Silent"}}}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    assert main(["estimate", str(tmp_path / "c.yaml"), "--clips", "tiny=1000", "--devices", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["clips"]["tiny"] == {"clips": 1000, "known_from": "as given"}
    rows = {(row["stage"], row["name"]): row for row in found["rows"]}
    assert rows["explain", "mine"]["device_hours"] is None
    assert not found["complete"]
    known = [row["device_hours"] for row in found["rows"] if row["device_hours"] is not None]
    assert found["totals"]["device_hours"] == pytest.approx(sum(known))
    assert found["days"] == pytest.approx(sum(known) / 48)
    assert rows["explain", "grad_cam"]["device_hours"] > rows["predict", ""]["device_hours"] > 0
    assert rows["decode", ""]["core_hours"] > 0
    assert any("explain mine" in note for note in found["notes"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--clips", "tiny"], "give DATASET=N"),
        (["--devices", "0"], "--devices must be at least 1"),
        (["--tflops", "60", "--utilisation", "50"], "--utilisation from 0 to 1"),
    ],
)
def test_what_cannot_be_estimated_is_one_line(tmp_path, capsys, arguments, message):
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(CONFIG))
    assert main(["estimate", str(tmp_path / "c.yaml"), *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_dataset_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="the datasets of the configuration are tiny"):
        estimate(CONFIG, clips={"other": 3}, tflops=1.0)
