"""pyproject.toml, the lock files and the conda environment tell one story."""

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import swagv

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ("requirements.lock", "requirements-test.lock")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


def lock_lines(name: str) -> list[str]:
    lines = (ROOT / "envs" / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def pins(name: str) -> dict[str, Version]:
    pairs = [line.split("==") for line in lock_lines(name) if not line.startswith("-r ")]
    return {canonicalize_name(package): Version(version) for package, version in pairs}


@pytest.mark.parametrize(
    ("lock", "requirement"),
    [("requirements.lock", requirement) for requirement in PROJECT["dependencies"]]
    + [("requirements.lock", requirement) for extra in ("report", "workflow") for requirement in EXTRAS[extra]]
    + [("requirements-test.lock", requirement) for requirement in EXTRAS["test"]],
)
def test_dependency_is_pinned_within_its_range(lock, requirement):
    wanted = Requirement(requirement)
    pinned = pins(lock) if lock == "requirements.lock" else pins("requirements.lock") | pins(lock)
    assert canonicalize_name(wanted.name) in pinned
    assert pinned[canonicalize_name(wanted.name)] in wanted.specifier


def test_test_lock_starts_from_runtime_lock():
    assert lock_lines("requirements-test.lock")[0] == "-r requirements.lock"
    assert not any(line.startswith("-") for line in lock_lines("requirements.lock"))
    assert not pins("requirements.lock").keys() & pins("requirements-test.lock").keys()


@pytest.mark.parametrize("lock", LOCKS)
def test_every_lock_line_is_an_exact_pin(lock):
    """So: no registry, no address, no hash, no build suffix, no package twice."""
    lines = [line for line in lock_lines(lock) if line != "-r requirements.lock"]
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.]*", line)] == []
    assert len(pins(lock)) == len(lines)


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_names_no_host(lock):
    text = (ROOT / "envs" / lock).read_text(encoding="utf-8")
    assert not re.search(r"://|--(extra-)?index-url|--find-links|--trusted-host| @ |file:", text)


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_asks_for_no_cuda_package(lock):
    assert [name for name in pins(lock) if name.startswith(("nvidia-", "cuda-", "triton"))] == []


def test_conda_environment_takes_its_versions_from_the_lock():
    dependencies = yaml.safe_load((ROOT / "envs" / "swagv.yaml").read_text(encoding="utf-8"))["dependencies"]
    (pip,) = [entry["pip"] for entry in dependencies if isinstance(entry, dict)]
    assert pip == lock_lines("requirements.lock")  # not `-r`: Snakemake copies the yaml file away from beside the lock
    (python,) = [entry for entry in dependencies if isinstance(entry, str) and entry.startswith("python=")]
    assert Version(python.removeprefix("python=")) in Requirement(f"python{PROJECT['requires-python']}").specifier


def test_one_version_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert PROJECT["version"] == swagv.__version__ == citation["version"]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A wheel and a source distribution of what git would give away, built without the network."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout: git does not say which files belong to it")
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    copy = ["tar", "--create", "--null", "--files-from=-"]
    kept = "\0".join(name for name in files.split("\0") if name and (ROOT / name).exists())
    archive = subprocess.run(copy, cwd=ROOT, input=kept.encode(), capture_output=True, check=True).stdout
    subprocess.run(["tar", "--extract"], cwd=source, input=archive, check=True)
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)]
    done = subprocess.run(build, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out


def test_the_source_distribution_is_the_whole_project(built):
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {member.name.partition("/")[2] for member in archive}
        assert not any(member.issym() or member.islnk() for member in archive)
    for name in ("Snakefile", "Makefile", "workflow/rules/common.smk", "config/config.yaml", "tests/test_packaging.py"):
        assert name in names


def test_the_wheel_works_outside_of_the_clone_and_without_the_workflow(built, tmp_path):
    """Library, command line, weights and schema; of the dependencies only those that pyproject lists."""
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        assert {name.partition("/")[0] for name in archive.namelist()} == {
            "swagv",
            f"swagv-{swagv.__version__}.dist-info",
        }
    site = tmp_path / "site"
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        f"--target={site}",
        str(path),
    ]
    subprocess.run(install, check=True)
    absent = ["snakemake", "jinja2", "pygments", "pytest"]
    (site / "sitecustomize.py").write_text(f"import sys\nsys.modules.update(dict.fromkeys({absent}))\n")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {
        "PYTHONPATH": str(site)
    }

    def run(*arguments):
        return subprocess.run(
            [str(site / "bin" / "swagv"), *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True
        )

    assert run("--version").stdout == f"swagv {swagv.__version__}\n"
    assert run("render", "v.mp4", "--motion", "spin", "--frames", "16").returncode == 0
    explained = run("explain", "v.mp4", "--model", "c3d_demo", "--method", "grad_cam", "--out", "v.npz")
    assert (explained.returncode, explained.stderr) == (0, "")
    assert explained.stdout.splitlines()[0].endswith("  spin")
    scored = run("evaluate", "v.npz", "--model", "c3d_demo", "--set", "steps=2", "--out", "v.parquet")
    assert (scored.returncode, scored.stderr) == (0, "")
    assert run("check", str(ROOT / "config" / "config.yaml")).returncode == 0
    where = run("explain", "v.mp4", "--model", "c3d_demo", "--method", "nothing", "--traceback").stderr
    assert str(site) in where
    assert str(ROOT) not in where
