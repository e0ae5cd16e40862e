"""Whole workflows for real: a copy of the project runs on a tiny configuration in a temporary folder."""

import hashlib
import itertools
import os
import re
import shutil
import signal
import stat
import time
from pathlib import Path

import av
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml

from swagv.config import Evaluation
from swagv.datasets.rendering import render_video, write_video
from swagv.stores import open_store
from swagv.tables import read_provenance, read_table
from swagv.typeset import TABLES
from tests.workflow.project import CONFIG, Project, assert_same
from tests.workflow.warm import WarmProject

pytestmark = pytest.mark.workflow
# A cached gradient and a control.
ADDED = {"guided_backprop": {}, "centre": {}}
# In the environment of a run.
SECRET = "s3cr3t-of-the-user"
# What follows from any score.
AFTER = {f"{folder}/{metric}.parquet" for folder in ("summary", "comparisons") for metric in CONFIG["metrics"]}
AFTER |= {f"tables/{table}.{suffix}" for table in ("table2", "table3") for suffix in ("parquet", "html")}
AFTER |= {"report.html"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The tiny configuration, run once, each of its processes started as usual."""
    project = Project(tmp_path_factory.mktemp("project"))
    project.configure(CONFIG)
    project.run(more={"SOME_TOKEN": SECRET})
    return WarmProject(project.folder)


@pytest.fixture
def project(finished, tmp_path):
    """A copy of the finished project."""
    copy = WarmProject(tmp_path / "copy")
    copy.configure(CONFIG)
    for name in ("results", ".snakemake"):
        shutil.copytree(finished.folder / name, copy.folder / name)
    return copy


def changed(**parts):
    return {**CONFIG, **{key: {**CONFIG[key], **value} for key, value in parts.items()}}


def of_methods(*methods: str) -> set[str]:
    """The outputs of their own that methods have."""
    kinds = (("explanations", "zarr"), ("insertion_deletion", "parquet"), ("localisation", "parquet"))
    return {f"tiny/c3d_demo/{stage}/{name}/0000.{suffix}" for stage, suffix in kinds for name in methods}


def supervoxels_of(config: dict) -> dict[str, str]:
    """Method -> its supervoxels."""
    recipes = Evaluation(config).recipes
    folders = {"image": "tiny", "image+gradient": "tiny/c3d_demo"}
    return {m.name: f"{folders[m.explainer.features]}/supervoxels/{name}/0000.zarr" for name, m in recipes.items()}


def test_tables_and_report(finished):
    results = finished.folder / "results"
    for metric, expected in (("insertion_deletion", 3), ("localisation", 6)):
        table = read_table(results / "summary" / f"{metric}.parquet")
        assert set(table.method) == set(CONFIG["methods"])
        assert (table.groupby("method").metric.nunique() == expected).all()
        assert (table.n == 3).all()
        assert table[["mean", "ci_low", "ci_high"]].notna().all().all()
        assert ((table.ci_low <= table["mean"]) & (table["mean"] <= table.ci_high)).all()
    record = read_provenance(next(results.glob("tiny/c3d_demo/insertion_deletion/swagv_ig/*.parquet")))
    assert record["spec"]["method"]["settings"]["w_grad"] == 9
    assert {"git_commit", "versions", "device", "precision"} <= record.keys()
    html = (results / "report.html").read_text()
    # Of each clip the frames and three maps; of nothing that the run has not made.
    assert html.count("data:image/webp") == 3 * 4
    assert re.findall(r'<section id="table-(\w+)">', html) == ["table2", "table3"]
    assert "://" not in re.sub(r"http://www.w3.org/\S+|https?://(?:purl|creativecommons|matplotlib)\S+", "", html)


def test_nothing_is_open_to_all_or_tells_the_environment(finished):
    files = [path for path in finished.folder.rglob("*") if not path.is_symlink()]
    assert len(files) > 300
    assert not [path for path in files if path.stat().st_mode & stat.S_IWOTH]
    assert not [path for path in files if path.is_file() and SECRET.encode() in path.read_bytes()]


def test_snakemakes_own_report_has_tables_and_the_report_with_their_captions(finished):
    finished.run("--report", "snakemake.html")
    html = (finished.folder / "snakemake.html").read_text()
    for said in ("means over clips with 95 % intervals", "Everything on one page that opens offline"):
        assert said in html
    assert {"Tables", "Report"} <= set(re.findall(r'"(Tables|Report)"', html))


def test_cells_of_the_tables_follow_from_the_stored_curves_and_hits(finished):
    """By another route: plain Python on the Parquet files."""
    results = finished.folder / "results"

    def rows(metric, method):
        return pq.read_table(results / f"tiny/c3d_demo/{metric}/{method}/0000.parquet").to_pylist()

    def area(curve):
        return sum((a + b) / 2 for a, b in itertools.pairwise(curve)) / (len(curve) - 1)

    def auc(game, method):
        return sum(area(row[f"{game}_curve"]) for row in rows("insertion_deletion", method)) / 3

    def errors_at(alpha, rule, some):
        return [100.0 * (not row[f"hits_{rule}"][alpha]) for row in some]

    def best(rule, some):
        """The first of the alphas that hit most."""
        alphas = range(len(some[0][f"hits_{rule}"]))
        return min(alphas, key=lambda alpha: (sum(errors_at(alpha, rule, some)), alpha))

    def oracle(rule, method):
        found = rows("localisation", method)
        return sum(errors_at(best(rule, found), rule, found)) / 3

    def held_out(rule, method):
        found = rows("localisation", method)
        found.sort(key=lambda row: hashlib.sha256(row["clip_id"].split("@")[0].encode()).digest())
        halves = found[::2], found[1::2]
        return sum(sum(errors_at(best(rule, there), rule, here)) for here, there in (halves, halves[::-1])) / 3

    expected = {
        "table2": {
            ("swagv_ig", "deletion_auc"): auc("deletion", "swagv_ig"),
            ("swagv_i", "insertion_auc"): auc("insertion", "swagv_i"),
            ("grad_cam", "joint"): auc("deletion", "grad_cam") + 1 - auc("insertion", "grad_cam"),
        },
        "table3": {
            ("grad_cam", "loc_error_value_oracle"): oracle("value", "grad_cam"),
            ("swagv_ig", "loc_error_mean"): held_out("mean", "swagv_ig"),
            ("swagv_i", "loc_error_energy"): held_out("energy", "swagv_i"),
        },
    }
    for table, cells in expected.items():
        found = {
            (row["method"], row["metric"]): row
            for row in pq.read_table(results / f"tables/{table}.parquet").to_pylist()
        }
        typeset = (results / f"tables/{table}.md").read_text()
        for (method, metric), value in cells.items():
            assert found[method, metric]["mean"] == pytest.approx(value, abs=1e-6), (method, metric)
            assert found[method, metric]["n"] == 3
            (line,) = re.findall(rf"^\| {method.replace('_', '._')} \|(.*)\|$", typeset, re.M)
            shown = re.search(r"[\d.]+", line.split("|")[TABLES[table][1].index(metric)])[0]
            assert shown == (f"{value:.1f}" if table == "table3" else f"{value:.3f}")


def test_targets_share_what_the_run_has_and_are_made_once(project):
    """One network or method each, so that it ends in a minute; the sweeps are the real ones, smaller."""
    only = {"methods": ["grad_cam"]}
    experiments = {
        "table1": {"grids": [{"attribution": ["sobel"]}]},
        "table4": only | {"clips": 1},
        "figure2": {"grids": [{"w_color": [20], "w_grad": [5, 9]}]},
        "figure3": {"methods": ["swagv_i"], "grids": [{"n_segments": [40, 120]}]},
        "ablations": only | {"metrics": {"insertion_deletion": {"ties": ["reverse"]}}},
        "space_time": only,
        "randomisation": only | {"clips": 1},
    }
    config = CONFIG | {"experiments": experiments}
    project.configure(config)
    before = project.outputs()
    project.run("figure3")
    one, written = "swagv_i-n_segments_40", {path for path in project.outputs() if path not in before}
    recipe = supervoxels_of(changed(methods={"swagv_i": {"n_segments": 40}}))["swagv_i"]
    assert written == {recipe, *(path for path in of_methods(one) if "localisation" not in path)} | {
        "summary/figure3/insertion_deletion.parquet"
    }
    targets = [f"table{number}" for number in (1, 2, 3, 4)] + [f"figure{number}" for number in (1, 2, 3, 4)]
    targets += ["ablations", "space_time", "randomisation", "report"]
    project.run(*targets)
    assert "Nothing to be done" in project.run("-n", *targets)
    after = project.outputs()
    assert {path: after[path] for path in before if path != "report.html"} | {
        "report.html": before["report.html"]
    } == before
    results = project.folder / "results"
    tables = ["ablations", "space_time", "table1", "table2", "table3", "table4"]
    assert sorted(path.stem for path in (results / "tables").glob("*.tex")) == tables
    figures = ["ablations", "figure1", "figure2", "figure3", "figure4", "randomisation", "space_time"]
    assert sorted(path.stem for path in (results / "figures").glob("*.svg")) == figures
    html = (results / "report.html").read_text()
    assert sorted(re.findall(r'<section id="table-([a-z0-9_]+)">', html)) == tables
    assert sorted(re.findall(r'<figure class="drawn" id="figure-(\w+)">', html)) == figures
    (timed,) = read_table(results / "tiny/c3d_demo/timing/grad_cam/0000.parquet").to_dict("records")
    assert timed["status"] == "ok"
    assert 0 < timed["seconds_best_batch"] <= timed["seconds"]
    # The same share of a sweep's points in the figure's data as in the run's own table.
    swept = pd.read_csv(results / "figures/figure3.csv").set_index(["n_segments", "metric"])["mean"]
    own = read_table(results / "summary/insertion_deletion.parquet").set_index(["method", "metric"])["mean"]
    assert swept[120, "joint"] == own["swagv_i", "joint"] != swept[40, "joint"]


def test_nothing_to_do_after_a_finished_run_and_a_comment(project):
    slic = project.folder / "swagv" / "slic.py"
    text = slic.read_text()
    slic.write_text(text.replace("    channels = []", "    # a comment\n    channels = []"))
    assert slic.read_text() != text
    assert "Nothing to be done" in project.run("-n")


def test_a_setting_a_method_and_a_template_make_anew_what_is_theirs(project):
    """Each planned alone, then all in one run."""
    before, text = project.scores(), "<h1>Other: "
    template = project.folder / "swagv" / "templates" / "report.html.j2"
    template.write_text(template.read_text().replace("<h1>", text))
    assert project.planned() == {"report.html"}
    # Nothing but the report follows from the template, so the others are told apart in spite of it.
    added = of_methods(*ADDED) | AFTER
    project.configure(changed(methods=ADDED))
    assert project.planned() == added
    setting = changed(methods={"swagv_ig": {"w_grad": 5}})
    reset = {supervoxels_of(setting)["swagv_ig"]} | of_methods("swagv_ig") | AFTER
    project.configure(setting)
    assert project.planned() == reset
    project.configure(changed(methods={"swagv_ig": {"w_grad": 5}} | ADDED))
    assert project.rerun() == added | reset
    after = project.scores()
    for name, table in before.items():
        if "insertion_deletion/" in name:
            same = table.deletion_auc.equals(after[name].deletion_auc)
            assert same == ("swagv_ig" not in name), name
    assert set(after["results/summary/localisation.parquet"].method) == {*CONFIG["methods"], *ADDED}
    assert text in (project.folder / "results" / "report.html").read_text()


def test_slic_code_makes_supervoxels_and_what_follows_anew_after_a_kill(finished, project):
    """Snakemake deletes the old output first: what follows from it must not look finished."""
    before, supervoxels = project.outputs(), supervoxels_of(CONFIG)
    kill_in(project, "supervoxels", 0.1, "--forcerun", "supervoxels_of_gradient")
    project.run("--unlock")
    assert project.planned() == {supervoxels["swagv_ig"]} | of_methods("swagv_ig") | AFTER
    slic = project.folder / "swagv" / "slic.py"
    slic.write_text(slic.read_text().replace("start_label=0", "start_label=0 + 0"))
    # Two recipes and the two methods that use them; no decoding, no gradients.
    assert project.rerun(before) == {*supervoxels.values()} | of_methods(*supervoxels) | AFTER
    assert_same(finished, project)


# Of five shards the first videos fill two.
SHARDED = changed(datasets={"tiny": {**CONFIG["datasets"]["tiny"], "shards": 5}}, runtime={"batch_size": 1})
SHARDED["methods"] = {"swagv_ig": CONFIG["methods"]["swagv_ig"]}


@pytest.fixture(scope="module")
def sharded(tmp_path_factory):
    """The tiny configuration in two shards, clip by clip."""
    project = WarmProject(tmp_path_factory.mktemp("sharded"))
    project.configure(SHARDED)
    project.run()
    return project


def test_batch_and_shard_size_change_no_score(finished, sharded):
    for metric, columns in (
        ("insertion_deletion", ["deletion_auc", "insertion_auc"]),
        ("localisation", ["hits_value", "hits_mean", "hits_energy"]),
    ):
        one, two = (
            pd.concat([read_table(p) for p in sorted(x.folder.glob(f"results/tiny/*/{metric}/*/*.parquet"))])
            .sort_values(["method", "clip_id"])
            .reset_index(drop=True)
            for x in (finished, sharded)
        )
        one = one[one.method.isin(SHARDED["methods"])].reset_index(drop=True)
        assert one.clip_id.tolist() == two.clip_id.tolist()
        assert (set(one.shard), set(two.shard)) == ({"0000"}, {"0002", "0003"})
        for column in columns:
            if metric == "insertion_deletion":
                assert (one[column] - two[column]).abs().max() <= 1e-5
            else:
                assert [list(a) for a in one[column]] == [list(b) for b in two[column]]


def test_a_new_clip_reruns_only_its_shard(sharded):
    more = SHARDED | {"datasets": {"tiny": {**SHARDED["datasets"]["tiny"], "videos": 4}}}
    before, after = (Evaluation(c).datasets["tiny"].shards for c in (SHARDED, more))
    moved = [shard for shard in after if after[shard] != before.get(shard)]
    assert len(moved) == 1
    sharded.configure(more)
    written = sharded.rerun()
    assert written == {path for path in sharded.outputs() if moved[0] in path or path in AFTER}
    assert len(written) == 2 + 1 + 1 + 1 + 1 + 1 + 3 + len(AFTER)  # videos, a file of each stage, three of the method
    assert set(read_table(sharded.folder / "results/summary/insertion_deletion.parquet").n) == {4}


def kill_in(project: Project, stage: str, delay: float, *arguments: str) -> None:
    """Start a run and kill everything of it with SIGKILL in the middle of a job of the stage.

    `delay` seconds after the job has imported what it needs, which is when its log begins, and before it has ended,
    which is when Snakemake writes its benchmark.
    """
    logs, benchmarks = (project.folder / "results" / name for name in ("logs", "benchmarks"))
    for folder in (logs, benchmarks):
        shutil.rmtree(folder / stage, ignore_errors=True)

    def written(folder: Path, suffix: str) -> set[Path]:
        found = (*folder.glob(f"{stage}/**/*{suffix}"), *folder.glob(f"{stage}{suffix}"))
        return {path.relative_to(folder).with_suffix("") for path in found}

    began, process = time.time(), project.start(*arguments)
    while not written(logs, ".log"):
        assert process.poll() is None, f"the run ended before {stage} began: {process.communicate()[0]}"
        assert time.time() - began < 200, f"{stage} never began"
        time.sleep(0.01)
    time.sleep(delay)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert written(logs, ".log") > written(benchmarks, ".tsv"), f"{stage} had ended before it was killed"
    if stage == "decode":  # which has no benchmark
        assert not list(project.folder.glob("results/*/clips/*.zarr"))


# Stage -> seconds of its work before it is killed.
STAGES = {
    "render": 0.3, "plan": 0.05, "decode": 0.1, "supervoxels": 0.1, "predict": 0.2, "gradients": 0.3, "explain": 0.0,
    "localisation": 0.0, "insertion_deletion": 0.3, "summarise": 0.0, "compare": 0.0, "table": 0.0, "report": 0.1,
}  # fmt: skip


def test_killed_in_every_stage_and_run_again_gives_the_same_tables(finished, tmp_path):
    """At one job at a time, so that the number of cores changes nothing either."""
    other = WarmProject(tmp_path / "killed")
    other.configure(CONFIG)
    for stage, delay in STAGES.items():
        # Nothing but what the stage needs runs before it, so that every later one is still to come.
        rule = {"supervoxels": "supervoxels_of_image"}.get(stage, stage)
        kill_in(other, stage, delay, "--until", rule, "--cores", "1")
        # What --unlock does, without starting Snakemake.
        shutil.rmtree(other.folder / ".snakemake" / "locks", ignore_errors=True)
    other.run("--cores", "1")
    assert "Nothing to be done" in other.run("-n")
    assert_same(finished, other)
    assert not list((other.folder / "results").rglob("*.partial"))
    # The reports differ in when and from what they were made, not in what they say.
    ours, theirs = (re.sub(r"(?s)<h2 id=.provenance.*", "", x.folder.joinpath("results/report.html").read_text())
                    for x in (finished, other))  # fmt: skip
    assert ours == theirs


def test_two_networks_in_two_folders_decode_once(tmp_path):
    """Between workflows, by Snakemake's own cache."""
    videos, cache = tmp_path / "videos", tmp_path / "cache"
    videos.mkdir()
    cache.mkdir()
    write_video(videos / "one.mp4", render_video(0, 0).frames)
    for model in ("c3d_demo", "r2plus1d_demo"):
        other = WarmProject(tmp_path / model)
        mine = {"datasets": {"mine": {"type": "folder", "root": str(videos), "shards": 1}}, "models": {model: {}}}
        other.configure(CONFIG | mine | {"methods": {"centre": {}}, "metrics": {"insertion_deletion": {"steps": 2}}})
        given = {"more": {"SNAKEMAKE_OUTPUT_CACHE": str(cache)}}
        said = other.run("--cache", "decode", "--until", "predict", **given)
        assert ("Moving output file" in said) == (model == "c3d_demo")
        assert "Symlinking output file" in said
        assert read_table(other.folder / f"results/mine/{model}/predictions/0000.parquet").status.tolist() == ["ok"]
        again = other.run("-n", "--cache", "decode", "--until", "predict", **given)
        assert re.search(r"^total +0$", again, re.M)
    assert len(list(cache.iterdir())) == 1


def test_a_second_snakemake_says_so_and_harms_nothing(finished, tmp_path):
    other = WarmProject(tmp_path / "two")
    other.configure(CONFIG)
    first = other.start("--until", "decode")
    while not list((other.folder / ".snakemake" / "locks").glob("*")):
        assert first.poll() is None
        time.sleep(0.05)
    second = other.start()
    said = second.communicate(timeout=100)[0]
    assert second.returncode
    assert "LockException" in said
    assert "Traceback" not in said
    assert first.communicate(timeout=500)[0]
    assert first.returncode == 0
    clips = "results/tiny/clips/0000.zarr"
    assert open_store(other.folder / clips).attrs["digest"] == open_store(finished.folder / clips).attrs["digest"]


SCRIPT = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """The results of good videos, one of them called like a script, and of broken ones."""
    folder = tmp_path_factory.mktemp("odd")
    videos = folder / "videos"
    videos.mkdir()
    for index in range(2):
        write_video(videos / f"good{index}.mp4", render_video(index, index).frames)
    named = videos / f"{SCRIPT}.mp4"  # in a folder, as the name has a slash
    named.parent.mkdir()
    shutil.copy(videos / "good0.mp4", named)
    whole = (videos / "good0.mp4").read_bytes()
    with av.open(str(videos / "good0.mp4")) as given, av.open(str(folder / "w.mkv"), "w") as made:
        stream = made.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                made.mux(packet)
    remuxed = (folder / "w.mkv").read_bytes()
    (videos / "half.mkv").write_bytes(remuxed[: len(remuxed) // 2])
    (videos / "truncated.mp4").write_bytes(whole[: len(whole) // 2])
    (videos / "empty.mp4").write_bytes(b"")
    (videos / "text.mp4").write_text("not a video\n" * 100)
    write_video(videos / "short.mp4", render_video(2, 2, num_frames=5).frames)
    other = WarmProject(folder / "project")
    config = {key: CONFIG[key] for key in ("models", "bootstrap")} | {"runtime": {"device": "cpu"}}
    config["datasets"] = {"mine": {"type": "folder", "root": str(videos), "shards": 1}}
    config["methods"] = {"centre": {}}
    config["metrics"] = {"insertion_deletion": {"steps": 4}}
    other.configure(config)
    other.run()
    return other.folder / "results"


def test_broken_videos_are_rows(odd):
    manifest = read_table(odd / "mine/manifest/0000.parquet").set_index("video_id")
    assert manifest.status.to_dict() == {
        "good0": "ok", "good1": "ok", SCRIPT: "ok", "truncated": "unreadable", "empty": "unreadable",
        "text": "unreadable", "short": "too_few_frames", "half": "truncated",
    }  # fmt: skip
    assert "0 bytes" in manifest.detail["empty"]
    assert "5 frames; a clip spans 16" in manifest.detail["short"]
    summary = read_table(odd / "summary/insertion_deletion.parquet")
    assert set(zip(summary.n, summary.n_failed, strict=True)) == {(3, 5)}
    html = (odd / "report.html").read_text()
    assert "3 × unreadable" in html
    assert "1 × too_few_frames" in html
    assert "1 × truncated" in html


def test_a_video_called_like_a_script_is_text_in_the_report(odd):
    """And in every table: as a name of a file, a label and an id."""
    html = (odd / "report.html").read_text()
    assert "<script>alert" not in html
    assert "\\u003cscript>alert(1)\\u003c/script>" in html
    assert SCRIPT in read_table(odd / "mine/manifest/0000.parquet").video_id.tolist()


def test_a_mistake_is_one_error_before_any_job(finished, tmp_path):
    (tmp_path / "bad.yaml").write_text("methods: {grad_cm: {}}\n")
    process = finished.start("-n", "--configfile", "config/config.yaml", str(tmp_path / "bad.yaml"))
    output = process.communicate(timeout=60)[0]
    assert process.returncode != 0
    assert "unknown method 'grad_cm'. Did you mean 'grad_cam'" in output
    assert "Traceback" not in output


def test_weights_that_do_not_fit_stop_the_run_before_its_first_job(finished, tmp_path):
    (tmp_path / "w.safetensors").write_text("# README")
    config = CONFIG | {"models": {"c3d_demo": {"weights": "w.safetensors"}}}  # relative to where the user is
    (tmp_path / "bad.yaml").write_text(yaml.safe_dump(config))
    process = finished.start(
        "-s", str(finished.folder / "Snakefile"), "--configfile", str(tmp_path / "bad.yaml"), cwd=tmp_path
    )
    output = process.communicate(timeout=120)[0]
    assert process.returncode != 0
    assert "w.safetensors is not a file of weights" in output
    assert "Traceback" not in output
    assert not (tmp_path / "results").exists()


def test_localisation_alone_with_a_dataset_for_its_threshold_from_another_folder(finished, tmp_path):
    """Settings come from the command line as well."""
    config = {key: CONFIG[key] for key in ("models", "runtime")} | {"methods": {"centre": {}}}
    two = {"type": "rendered", "videos": 2, "shards": 1}
    config |= {
        "datasets": {"two": two, "train": two | {"seed": 1, "alpha_for": "two"}},
        "metrics": {"localisation": {}},
    }
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    finished.run(
        "-s", str(finished.folder / "Snakefile"), "--configfile", "c.yaml", "--config", "bootstrap=150", cwd=tmp_path
    )
    summary = tmp_path / "results/summary/localisation.parquet"
    table = read_table(summary)
    assert set(table.n) == {2}
    assert set(table.dataset) == {"two"}
    assert table.alpha.notna().all()
    assert (tmp_path / "results/train/c3d_demo/localisation/centre/0000.parquet").exists()
    assert read_provenance(summary)["spec"]["bootstrap"] == 150
    assert read_provenance(summary)["spec"]["cells"]["two/c3d_demo/localisation/centre"]["method"]["object"]
    html = (tmp_path / "results/report.html").read_text()
    assert re.findall(r'<section id="table-(\w+)">', html) == ["table3"]


def test_a_dataset_for_a_threshold_is_scored_for_nothing_else(finished, tmp_path):
    tiny = CONFIG["datasets"]["tiny"]
    config = CONFIG | {"datasets": {"tiny": tiny, "train": tiny | {"seed": 1, "alpha_for": "tiny"}}}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    planned = finished.run(
        "-n", "--quiet", "rules", "-s", str(finished.folder / "Snakefile"), "--configfile", "c.yaml", cwd=tmp_path
    )
    jobs = dict(re.findall(r"^(\w+) +(\d+)$", planned, re.M))
    assert {name: jobs[name] for name in ("decode", "explain", "localisation", "insertion_deletion")} == {
        "decode": "2", "explain": "6", "localisation": "6", "insertion_deletion": "3",
    }  # fmt: skip
