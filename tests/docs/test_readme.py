"""What the README tells one to type works as it stands."""

import os
import re
import shlex
import subprocess
import sys

import pytest

from swagv.cli import main, make_parser
from tests.conftest import ROOT

PAGES = [ROOT / "README.md", ROOT / "config" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(kind, text=README):
    return re.findall(rf"^```{kind}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands(text):
    """Every `swagv …` in a block of shell lines, and in backquotes where it has more than a command's name."""
    lines = [line for block in blocks("sh", text) for line in block.splitlines()]
    lines += [line for block in blocks("yaml", text) for line in block.splitlines() if "swagv " not in line]
    quoted = re.findall(r"`(swagv [a-z-]+ [^`]+)`", text)
    return [line.partition("#")[0].strip() for line in [*lines, *quoted] if line.startswith("swagv ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_on_the_pages_is_one(page):
    for line in commands(page.read_text(encoding="utf-8")):
        for part in line.split("&&"):
            program, *arguments = shlex.split(part.replace("…", ""))
            if program == "swagv" and "COMMAND" not in arguments:
                assert make_parser().parse_args(arguments).run, line


def test_the_demo_video_and_the_lines_of_python(tmp_path, monkeypatch, capsys):
    """In their order: the second uses the video that the first one made."""
    monkeypatch.chdir(tmp_path)
    shell = next(block for block in blocks("sh") if "swagv render" in block)
    for line in shell.splitlines():
        assert main(shlex.split(line)[1:]) == 0, line
    printed, told = capsys.readouterr().out, next(block for block in blocks("text") if "insertion AUC" in block)
    number = re.compile(r"\d\.\d{3}")
    printed = printed[-len(told) :]
    assert number.sub("", printed) == number.sub("", told)
    # On another processor rounding may move a supervoxel's border.
    assert list(map(float, number.findall(printed))) == pytest.approx(list(map(float, number.findall(told))), abs=0.02)
    assert {path.name for path in tmp_path.iterdir()} == {"spin.mp4", "o.mp4", "o.png", "o.npz"}
    (python,) = blocks("python")
    check = "assert strip.shape == (112, 4 * 112, 3) and float(scores['insertion_auc'][0]) > 0.5"
    call = [sys.executable, "-c", f"{python}\n{check}"]
    done = subprocess.run(
        call, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
