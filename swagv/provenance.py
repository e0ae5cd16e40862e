"""What produced a file: versions, commit, settings, device."""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = (
    *("torch", "torchvision", "numpy", "numba", "scikit-image"),
    *("zarr", "decord", "av", "pandas", "pyarrow", "snakemake"),
)


@cache
def _git_commit() -> str:
    root = Path(__file__).parents[1]
    if not (root / ".git").exists():
        return "not a checkout"
    if shutil.which("git") is None:
        return "unknown: no git"
    git = ["git", "--no-optional-locks", "-C", str(root)]
    commit, changes = (
        subprocess.run([*git, *call], capture_output=True, text=True, check=False).stdout.strip()
        for call in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
    )
    return f"{commit} with changes" if commit and changes else commit or "unknown"


@cache
def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return found


def provenance(stage: str, spec: Mapping[str, Any], device: str = "cpu", precision: str = "fp32") -> dict[str, Any]:
    """Provenance of one file.

    Parameters
    ----------
    stage
        Name of the stage.
    spec
        The resolved settings of just this stage: the method and model cards of the file.
    device
        Where the network ran.
    precision
        In what; ``"fp32"`` is without TF32 (`swagv.network_batches.load_for_stage`).
    """
    return {
        "stage": stage,
        "spec": spec,
        "device": device,
        "precision": precision,
        "versions": _versions(),
        "git_commit": _git_commit(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
