"""pyproject.toml, the lock files and the conda environment tell one story."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ("requirements.lock", "requirements-test.lock")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def lock_lines(name: str) -> list[str]:
    lines = (ROOT / "envs" / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def pins(name: str) -> dict[str, Version]:
    pairs = [line.split("==") for line in lock_lines(name) if not line.startswith("-r ")]
    return {canonicalize_name(package): Version(version) for package, version in pairs}


@pytest.mark.parametrize(
    ("lock", "requirement"),
    [("requirements.lock", requirement) for requirement in PROJECT["dependencies"]]
    + [("requirements-test.lock", requirement) for requirement in PROJECT["optional-dependencies"]["test"]],
)
def test_dependency_is_pinned_within_its_range(lock, requirement):
    wanted = Requirement(requirement)
    pinned = pins(lock)
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
