"""How every benchmark measures: contenders take turns in one process, and what counts is the ratio within a round."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from swagv.estimate import machine
from swagv.runtime import ENVIRONMENT

RESULTS = Path(__file__).parent / "results"
_PACKAGES = ("torch", "numpy", "scikit-image", "numba", "torchcam")


def interleaved(
    contenders: Mapping[str, Callable[[], object]], rounds: int, warm_up: bool = True
) -> dict[str, np.ndarray]:
    """Seconds (rounds,) of each contender; each is called once before, which is not counted, if it is to `warm_up`.

    Contenders take turns, so that what slows the machine for a while slows all of them.
    """
    for call in contenders.values() if warm_up else ():
        call()
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in tqdm(range(rounds), desc="rounds", mininterval=1):
        for name, call in contenders.items():
            wait_for_gpu()
            start = time.perf_counter()
            call()
            wait_for_gpu()
            seconds[name].append(time.perf_counter() - start)
    return {name: np.array(values) for name, values in seconds.items()}


def ratios(seconds: Mapping[str, np.ndarray], reference: str) -> pd.DataFrame:
    """A row a contender: median seconds, and how many times the reference's time is its own.

    ``speedup`` is the median over rounds of reference / contender; ``lowest`` and ``highest`` are its range.
    """
    rows = []
    for name, own in seconds.items():
        speedup = seconds[reference] / own
        rows.append(
            {
                "contender": name,
                "seconds": np.median(own),
                "speedup": np.median(speedup),
                "lowest": speedup.min(),
                "highest": speedup.max(),
                "rounds": len(own),
            }
        )
    return pd.DataFrame(rows)


def write(name: str, table: pd.DataFrame, out: Path | None = None) -> None:
    """Print a table and keep it as ``results/NAME.csv``, with the day, the machine and the versions in every row."""
    print(table.to_string(index=False, float_format="%.4g"))
    path = out or RESULTS / f"{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    table.assign(date=datetime.now(UTC).date().isoformat(), machine=machine(), versions=_versions()).to_csv(
        path, index=False, float_format="%.5g"
    )
    print(path)


def wait_for_gpu() -> None:
    """What was asked of the GPU is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def parser(description: str | None, *options: str) -> argparse.ArgumentParser:
    """Where the table goes, and of ``rounds`` and ``device`` those that a benchmark has.

    Starts the command again, once, in the environment that the workflow gives its jobs: the C library and OpenMP read
    it when a process starts.
    """
    if any(name not in os.environ for name in ENVIRONMENT):
        os.execve(sys.executable, sys.orig_argv, ENVIRONMENT | os.environ)
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    if "rounds" in options:
        made.add_argument("--rounds", type=int, default=5)
    if "device" in options:
        made.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    made.add_argument("--out", type=Path, help="the CSV file; beside the others if left out")
    return made


def _versions() -> str:
    found = [f"python {platform.python_version()}"]
    for package in _PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)
