"""The notebook runs, and prints what is committed.

`python -m tests.docs.test_notebook` runs it and writes what it printed and drew into it.
"""

import os
import re
import sys
from pathlib import Path

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

from tests.conftest import ROOT

NOTEBOOK = ROOT / "docs" / "one_video.ipynb"
_NUMBER = r"\d+\.\d+"


class _ThisInterpreter(AsyncKernelManager):
    """The interpreter that runs, whatever kernels the machine knows."""

    @property
    def kernel_spec(self) -> KernelSpec:
        return KernelSpec(argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"])


def execute(folder: Path) -> nbformat.NotebookNode:
    """The notebook, run anew in `folder` on the CPU; a cell that fails is an error."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = NotebookClient(
        notebook,
        kernel_manager_class=_ThisInterpreter,
        resources={"metadata": {"path": str(folder)}},
        timeout=120,
        record_timing=False,
        coalesce_streams=True,
    )
    client.execute(env=os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""})
    return notebook


def printed(notebook: nbformat.NotebookNode) -> list[str]:
    """What each cell of code printed, and the kinds of what it showed."""
    found = []
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            kinds = ", ".join(sorted(output.get("data", {})))
            found.append(output.text if output.output_type == "stream" else f"{output.output_type}: {kinds}")
    return found


@pytest.fixture(scope="module")
def committed():
    return nbformat.read(NOTEBOOK, as_version=4)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The notebook run anew, and what it left in its folder."""
    folder = tmp_path_factory.mktemp("notebook")
    return execute(folder), list(folder.iterdir())


def test_it_prints_what_is_committed(committed, run):
    ours, theirs = printed(run[0]), printed(committed)
    assert [re.sub(_NUMBER, "#", text) for text in ours] == [re.sub(_NUMBER, "#", text) for text in theirs]
    numbers = [[float(number) for text in found for number in re.findall(_NUMBER, text)] for found in (ours, theirs)]
    assert len(numbers[0]) > 10
    # Rounding that differs with the processor moves ties of supervoxels, and one of 20 thresholds is 0.05.
    assert numbers[0] == pytest.approx(numbers[1], abs=0.11)


def test_what_it_says_in_words_is_what_it_finds(run):
    rows = re.findall(r"^(\w+) +deletion (\S+) +insertion (\S+)$", "\n".join(printed(run[0])), re.M)
    deletion, insertion = ({row[0]: float(row[k]) for row in rows} for k in (1, 2))
    assert deletion["swagv_ig"] < deletion["grad_cam"] < deletion["centre"]
    assert insertion["swagv_ig"] > insertion["centre"] > insertion["grad_cam"]
    assert insertion["centre"] == pytest.approx(0.7, abs=0.02)


def test_it_leaves_nothing_behind(run):
    assert run[1] == []


def test_it_is_committed_whole_and_small(committed):
    nbformat.validate(committed)
    code = [cell for cell in committed.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [output for cell in code for output in cell.outputs if output.output_type == "error"]
    assert not [output for cell in code for output in cell.outputs if output.get("name") == "stderr"]
    assert NOTEBOOK.stat().st_size < 600_000


if __name__ == "__main__":
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        nbformat.write(execute(Path(folder)), NOTEBOOK)
