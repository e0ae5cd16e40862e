"""A copy of the project that runs a tiny configuration in a folder of its own."""

import compileall
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from swagv.slic import slic_supervoxels
from swagv.stores import open_store
from swagv.tables import read_table
from tests.conftest import ROOT

CONFIG = {
    "datasets": {"tiny": {"type": "rendered", "videos": 3, "shards": 1}},
    "models": {"c3d_demo": {}},
    # Supervoxels of the image and of both, and a network's run; test_workflow adds other kinds.
    "methods": {"swagv_i": {}, "swagv_ig": {}, "grad_cam": {}},
    "metrics": {"insertion_deletion": {"steps": 4}, "localisation": {}},
    "bootstrap": 100,
    "runtime": {"batch_size": 8, "device": "cpu", "threads": 1},  # two networks at a time
}
WRITTEN = (".zarr", ".parquet", ".mp4", ".html")
# What another process is compiling into the library's __pycache__.
HALF_WRITTEN = ("*.pyc.*", "*.tmp.*")


@cache
def compile_library() -> None:
    """Python and Numba keep compiled code beside its source: made once, it is copied with every project."""
    compileall.compile_dir(ROOT / "swagv", quiet=2)
    frames, gradient = np.zeros((4, 16, 16, 3), np.uint8), np.zeros((4, 16, 16), np.float32)
    for features in ("image", "image+gradient"):
        slic_supervoxels(frames, gradient, features, n_segments=4, w_color=20, w_grad=9, engine="numba")


class Project:
    """A copy of the workflow and library with a configuration of its own; made where the folder has none."""

    def __init__(self, folder: Path):
        self.folder = folder
        if (folder / "Snakefile").exists():
            return
        folder.mkdir(exist_ok=True)
        compile_library()
        for name in ("workflow", "swagv", "profiles", "envs", "config"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns(*HALF_WRITTEN))
        shutil.copy(ROOT / "Snakefile", folder)

    def configure(self, config: dict) -> None:
        (self.folder / "config" / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))

    def start(
        self,
        *arguments: str,
        how: Sequence[str] = ("--cores", "2"),
        cwd: Path | None = None,
        path: Path | None = None,
        more: Mapping[str, str] | None = None,
    ) -> subprocess.Popen:
        """Start Snakemake here or in `cwd`, with `path` for PYTHONPATH and `more` of an environment."""
        # With bytecode kept as usual: hundreds of processes would compile the copy of the library otherwise.
        left_out = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
        environment = {key: value for key, value in os.environ.items() if key not in left_out}
        environment |= ({"PYTHONPATH": str(path)} if path else {}) | dict(more or {})
        return self._begin([*how, *arguments], environment, cwd or self.folder)

    def _begin(self, arguments: Sequence[str], environment: Mapping[str, str], cwd: Path) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-m", "snakemake", *arguments],
            cwd=cwd,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self, *arguments: str, within: float = 500, **given: Any) -> str:
        """The same to its end, in so many seconds; its output."""
        process = self.start(*arguments, **given)
        output = process.communicate(timeout=within)[0]
        assert process.returncode == 0, output
        return output

    def outputs(self) -> dict[str, int]:
        """Path below results/ -> when it was written, of every store, table and video, and the report."""
        results = self.folder / "results"
        found = [path for path in results.rglob("*") if path.suffix in WRITTEN]
        return {str(path.relative_to(results)): path.stat().st_mtime_ns for path in found}

    def planned(self) -> set[str]:
        """What a run would write, below results/."""
        lines = re.findall(r"^    output: (.+)$", self.run("-n"), re.M)
        assert lines
        outputs = {path.removeprefix("results/") for line in lines for path in line.split(", ")}
        return {path for path in outputs if path.endswith(WRITTEN)}

    def rerun(self, before: dict[str, int] | None = None) -> set[str]:
        """Run again; which outputs were written anew, since `before` or now."""
        before = before or self.outputs()
        self.run()
        assert "Nothing to be done" in self.run("-n")
        return {path for path, when in self.outputs().items() if before.get(path) != when}

    def scores(self) -> dict[str, pd.DataFrame]:
        found = sorted((self.folder / "results").rglob("*.parquet"))
        return {
            str(path.relative_to(self.folder)): read_table(path) for path in found if "benchmarks" not in path.parts
        }


def assert_same(expected: Project, found: Project) -> None:
    """Every table and every store, to the last bit."""
    ours, theirs = expected.scores(), found.scores()
    assert ours.keys() == theirs.keys()
    for name, table in ours.items():
        pd.testing.assert_frame_equal(table, theirs[name], check_exact=True, obj=name)
    stores = [{p.relative_to(x.folder) for p in x.folder.glob("results/**/*.zarr")} for x in (expected, found)]
    assert stores[0] == stores[1]
    for name in stores[0]:
        ours, theirs = open_store(expected.folder / name), open_store(found.folder / name)
        assert dict(ours.attrs) == dict(theirs.attrs), name
        for array in ours:
            np.testing.assert_array_equal(ours[array][:], theirs[array][:], err_msg=f"{name} {array}")
