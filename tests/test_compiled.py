import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "swagv"
RUN = """
import numpy as np
from swagv.slic_numba import _colour_distance as compiled
print(compiled(np.ones(64), 0, 0.0, 0.0, 0.0, 1.0), compiled.stats.cache_hits.total())
"""


def started(folder, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", RUN], cwd=folder, env=os.environ | environment, stdout=subprocess.PIPE, text=True
    )


def said(process):
    out = process.communicate(timeout=120)[0]
    assert process.returncode == 0
    return out.split()


@pytest.fixture
def package(tmp_path):
    (tmp_path / "swagv").mkdir()
    (tmp_path / "swagv" / "__init__.py").touch()
    for module in ("slic_numba.py", "compiled.py"):
        shutil.copy(PACKAGE / module, tmp_path / "swagv")
    return tmp_path


def test_two_processes_may_compile_at_once_and_a_later_one_does_not(package):
    """numba replaces its index as a whole, so the one that is late wins."""
    for process in [started(package), started(package)]:
        assert said(process)[0] == "3.0"
    assert list((package / "swagv" / "__pycache__").glob("slic_numba._colour_distance*.nbi"))
    assert said(started(package)) == ["3.0", "1"]
