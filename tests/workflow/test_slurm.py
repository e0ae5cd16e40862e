"""The workflow through a real SLURM of one node: `make test-slurm`."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from swagv.tables import read_table
from tests.workflow.one_node_slurm import OneNodeSlurm, Unavailable
from tests.workflow.project import CONFIG, Project, assert_same

pytestmark = pytest.mark.slurm
# Jobs here take seconds: the profile's wait of 40 s before it asks for them would be all of the time.
ON_SLURM = ("--workflow-profile", "profiles/slurm", "--slurm-init-seconds-before-status-checks", "3")


@pytest.fixture(scope="module")
def cluster():
    cluster = OneNodeSlurm()
    try:
        cluster.up()
    except Unavailable as reason:
        pytest.skip(str(reason))
    yield cluster
    cluster.down()


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """The tiny configuration, run here."""
    project = Project(tmp_path_factory.mktemp("local"))
    project.configure(CONFIG)
    project.run()
    return project


def processes_of(job: str) -> list[int]:
    """Every process of a SLURM job, but for SLURM's own."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes().split(b"\0")
            name = (folder / "comm").read_text().strip()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if f"SLURM_JOB_ID={job}".encode() in environment and not name.startswith("slurm"):
            found.append(int(folder.name))
    return found


class Watched:
    """A run and what SLURM says of its jobs meanwhile."""

    def __init__(self, cluster: OneNodeSlurm, process: subprocess.Popen):
        self.cluster, self.process = cluster, process
        self.before = set(cluster.jobs())

    def jobs(self, rule: str = "") -> dict[str, str]:
        """Id -> state of the jobs of this run, of one rule or of all."""
        found = self.cluster.jobs().items()
        return {i: state for i, (state, what) in found if i not in self.before and what.startswith(f"rule_{rule}")}

    def wait_for(self, rule: str, state: str) -> str:
        """The first job of the rule that is in the state."""
        for _ in range(600):
            for job, found in self.jobs(rule).items():
                if found == state:
                    return job
            assert self.process.poll() is None, f"no {rule} was {state}: {self.process.communicate()[0]}"
            time.sleep(0.2)
        raise AssertionError(f"no {rule} is {state} after two minutes: {self.jobs()}")

    def end(self, within: float = 600) -> None:
        """Wait for it, `within` seconds."""
        output = self.process.communicate(timeout=within)[0]
        assert self.process.returncode == 0, output


def test_the_first_stages_one_of_them_cancelled(cluster, tmp_path):
    """The short one, for every check of the project."""
    other = Project(tmp_path / "slurm")
    other.configure(CONFIG)
    run = Watched(cluster, other.start("--until", "predict", how=ON_SLURM, more=cluster.environment))
    cluster.ask("scancel", run.wait_for("decode", "RUNNING"))
    run.end()
    ends = {rule: sorted(run.jobs(rule).values()) for rule in ("render", "plan", "decode", "predict")}
    done = ["COMPLETED"]
    assert ends == {"render": done, "plan": done, "decode": ["CANCELLED", *done], "predict": done}
    rows = read_table(other.folder / "results/tiny/c3d_demo/predictions/0000.parquet")
    assert rows.status.tolist() == ["ok"] * 3


def test_jobs_that_are_cancelled_starved_stopped_or_kept_waiting_end_in_the_same_tables(cluster, local, tmp_path):
    other = Project(tmp_path / "slurm")
    other.configure(CONFIG)
    little = ("predict:mem_mb=250*attempt**2", "insertion_deletion:runtime=attempt", "decode:mem_mb=1000")
    given = {"how": ON_SLURM, "more": cluster.environment}
    run = Watched(cluster, other.start("--set-resources", *little, **given))
    cluster.ask("scancel", run.wait_for("decode", "RUNNING"))
    run.wait_for("gradients", "RUNNING")
    cluster.set_node("drain")
    run.wait_for("supervoxels_of_gradient", "PENDING")
    time.sleep(5)
    assert "RUNNING" not in run.jobs("supervoxels_of_gradient").values()
    cluster.set_node("resume")
    hung = run.wait_for("insertion_deletion", "RUNNING")
    time.sleep(2)
    for pid in processes_of(hung):
        os.kill(pid, signal.SIGSTOP)
    run.end()
    ends = {rule: sorted(run.jobs(rule).values()) for rule in ("decode", "predict", "insertion_deletion")}
    assert ends == {
        "decode": ["CANCELLED", "COMPLETED"],
        "predict": ["COMPLETED", "FAILED"],  # with cgroups the second is OUT_OF_MEMORY
        "insertion_deletion": [*["COMPLETED"] * 3, "TIMEOUT"],
    }
    starved = next((other.folder / "results/logs/slurm/rule_predict").glob("*/*.log"))
    assert "exceeded memory limit" in starved.read_text()
    assert "Nothing to be done" in other.run("-n")
    assert_same(local, other)


def test_a_run_that_is_killed_leaves_jobs_to_slurm_that_the_next_run_gets_along_with(cluster, local, tmp_path):
    other = Project(tmp_path / "slurm")
    other.configure(CONFIG)
    given = {"how": ON_SLURM, "more": cluster.environment}
    run = Watched(cluster, other.start(**given))
    left = run.wait_for("supervoxels_of_image", "RUNNING")
    os.killpg(run.process.pid, signal.SIGKILL)
    run.process.communicate()
    other.run("--unlock", **given)
    assert run.jobs()[left] == "RUNNING"
    run = Watched(cluster, other.start(**given))
    run.end()
    again = run.jobs("supervoxels_of_image").values()
    assert again  # the restart submits what still runs
    assert set(again) <= {"COMPLETED", "FAILED"}
    assert_same(local, other)
    assert not list((other.folder / "results").rglob("*.partial"))


def test_the_demo_has_the_summaries_of_a_local_run(cluster, tmp_path):
    local, other = Project(tmp_path / "local"), Project(tmp_path / "slurm")
    local.run(within=3000)
    given = {"how": ON_SLURM, "more": cluster.environment}
    refused = other.start(**given)  # no device is said, and the jobs run elsewhere
    assert "set `runtime: {device: cuda}`, or cpu" in refused.communicate(timeout=100)[0]
    assert refused.returncode
    Watched(cluster, other.start("--config", "runtime={device: cpu}", **given)).end(within=3000)
    assert "Nothing to be done" in other.run("-n")
    assert_same(local, other)
