"""Kill a run at random moments, and fill its disk during each stage: does it end in what an undisturbed run gives?

`python -m benchmarks.chaos [--kills 60] [--seed 0]`. A tiny configuration runs undisturbed first. Then the same, under
SIGKILL to all of a run, to Snakemake alone (its jobs go on as orphans beside those of the next start) or to one job, at
random moments, each second one while a file is being written. Last, on a file system of its own that is filled to a few
kilobytes before each stage begins; that part needs root. After each disturbance every visible store and table must be
whole; at the end everything must be equal to the last bit. Linux only.
"""

from __future__ import annotations

import compileall
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from benchmarks.measure import parser, write
from swagv.verify import published, verify
from tests.workflow.project import CONFIG, Project, assert_same

STAGES = (
    *("render", "plan", "decode", "supervoxels_of_image", "predict", "gradients", "supervoxels_of_gradient", "explain"),
    *("localisation", "insertion_deletion", "summarise", "compare", "table", "report"),
)
_TARGETS = ("everything", "snakemake", "a job")


def assert_whole(project: Project) -> int:
    """Every visible store and table is what was written; how many there are."""
    results = project.folder / "results"
    bad = [one for one in verify(results) if one.damaged]
    if bad:  # unless an orphan replaced it while it was looked at
        bad = [one for one in verify(results) if one in bad]
    assert not bad, bad
    return len(published(results))


def assert_equal(expected: Project, found: Project) -> int:
    """Tables and stores are the same to the last bit, and nothing is left unfinished; how many there are."""
    assert_same(expected, found)
    assert not list((found.folder / "results").rglob("*.partial")), "an unfinished file is left"
    return len(published(found.folder / "results"))


def unlock(project: Project) -> None:
    """What `snakemake --unlock` does, without starting Snakemake."""
    shutil.rmtree(project.folder / ".snakemake" / "locks", ignore_errors=True)


def group_of(process: subprocess.Popen) -> dict[int, str]:
    """Living processes of a run and their command lines; a job may have become an orphan of it."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.getsid(int(folder.name)) == process.pid:
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return found


def is_writing(project: Project) -> bool:
    """Whether something is under construction."""
    return any((project.folder / "results").rglob("*.partial"))


def disturb(
    project: Project, process: subprocess.Popen, chance: random.Random, target: str, in_a_write: bool
) -> tuple[str, str]:
    """Kill `target` of a run; what was killed, and whether while a file was under construction."""
    end = time.monotonic() + chance.uniform(1.5, 12)
    while time.monotonic() < end and process.poll() is None:
        if in_a_write and is_writing(project):
            time.sleep(chance.uniform(0, 0.02))
            break
        time.sleep(0.002)
    if process.poll() is not None:
        process.communicate()
        return "nothing: it had ended", ""
    jobs = [pid for pid, command in group_of(process).items() if "/.snakemake/scripts/" in command]
    writing = "in a write" if is_writing(project) else ""
    if target == "a job" and jobs:
        with suppress(ProcessLookupError):
            os.kill(chance.choice(jobs), signal.SIGKILL)
        # Snakemake sees it and goes on with what does not need that job; in the end it fails.
        process.communicate(timeout=300)
        return target, writing
    if target == "snakemake":
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        return target, writing
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return "everything", writing


def kills(reference: Project, folder: Path, number: int, seed: int) -> list[dict]:
    """A run that is killed `number` times."""
    chance, done, started = random.Random(seed), [], []
    project = Project(folder)
    project.configure(CONFIG)
    with tqdm(total=number, desc="kills", mininterval=10) as progress:
        while len(done) < number:
            target, in_a_write = chance.choice(_TARGETS), len(done) % 2 == 0
            started.append(project.start())
            killed, writing = disturb(project, started[-1], chance, target, in_a_write)
            unlock(project)
            if killed.startswith("nothing"):
                # All is done: a stage, and with it what follows, is to be made again.
                again = project.folder / "results" / "tiny" / chance.choice(("clips", "c3d_demo", "supervoxels"))
                shutil.rmtree(again, ignore_errors=True)
                continue
            done.append({"disturbance": f"SIGKILL of {killed}", "where": writing or "elsewhere"})
            done[-1]["whole_files_seen"] = assert_whole(project)
            progress.update()
    # Beside an orphan the last run could be the slower writer of a file, fail, and be left for one more start.
    while any(group_of(process) for process in started):
        time.sleep(0.1)
    project.run()
    assert "Nothing to be done" in project.run("-n")
    print(f"{assert_equal(reference, project)} stores and tables as without a kill, after {number} kills")
    return done


@contextmanager
def small_disk(folder: Path, mebibytes: int) -> Iterator[Path]:
    """A file system of its own."""
    folder.mkdir()
    size = f"size={mebibytes}m"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path, kilobytes: int) -> Path:
    """A file that leaves so much of the disk."""
    filler = disk / "filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, shutil.disk_usage(disk).free - kilobytes * 1024))
    return filler


def full_disks(reference: Project, folder: Path, seed: int) -> list[dict]:
    """A run whose disk is full during each stage in turn."""
    chance, done = random.Random(seed), []
    with small_disk(folder, 300) as disk:
        project = Project(disk / "project")
        project.configure(CONFIG)
        # Python before 3.14 takes a compiled file that it could not write to its end for a whole one.
        compileall.compile_dir(project.folder / "swagv", quiet=1)
        for stage in tqdm(STAGES, desc="full disks", mininterval=10):
            kilobytes = chance.choice((4, 8, 16))
            filler = fill(disk, kilobytes)
            process = project.start("--until", stage, how=("--cores", "2"))
            said = process.communicate(timeout=300)[0]
            whole = assert_whole(project)
            logs = "".join(path.read_text(errors="replace") for path in project.folder.glob("results/logs/**/*.log"))
            told = "No space left" in said or "No space left" in logs
            filler.unlink()
            assert process.returncode, f"{stage}: the run says that it is done, on a full disk:\n{said}"
            assert told, f"{stage}: nothing says why it failed:\n{said}\n{logs}"
            unlock(project)
            project.run("--until", stage)
            done.append({"disturbance": "disk full", "where": f"{stage}, {kilobytes} kB", "whole_files_seen": whole})
        project.run()
        assert "Nothing to be done" in project.run("-n")
        print(f"{assert_equal(reference, project)} stores and tables as on a disk with room")
    return done


def main() -> None:
    """Print what was done, and keep it; ends with an error at the first difference."""
    options = parser(__doc__)
    options.add_argument("--kills", type=int, default=60)
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        reference = Project(Path(name) / "undisturbed")
        reference.configure(CONFIG)
        reference.run()
        done = kills(reference, Path(name) / "killed", given.kills, given.seed)
        if os.getuid() == 0:
            done += full_disks(reference, Path(name) / "disk", given.seed)
        else:
            print("a full disk needs root to mount it: left out")
    found = pd.DataFrame(done).groupby(["disturbance", "where"], sort=False, as_index=False)
    write(
        "chaos", found.agg(times=("whole_files_seen", "size"), whole_files_seen=("whole_files_seen", "sum")), given.out
    )


if __name__ == "__main__":
    main()
