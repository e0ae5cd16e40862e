"""A few hundred seeded cases of every kind keep the rules, and a case that breaks one is found."""

import os
import pickle
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.invariants import Kind, OneByOne, Violation, run, wrong_message
from benchmarks.mutated import KINDS
from benchmarks.mutators import damaged, payloads
from swagv.errors import ConfigError, SwagvError


def test_some_hundred_cases_of_all_kinds_break_no_rule():
    table, broken = run(list(KINDS.values()), 250, seed=1)
    assert broken == []
    assert set(table["kind"]) == set(KINDS)
    assert table["cases"].sum() >= 248
    counts = table.set_index("kind")
    assert (counts["accepted"] + counts["refused"] == counts["cases"]).all()
    assert counts.loc["videos", "accepted"] > 0
    assert counts["refused"].sum() > 125


class _LongError(SwagvError):
    def __str__(self):
        return "x" * 5000


def _nothing(folder: Path) -> None:
    """No sound input is needed."""


def _planted(state: None, rng: np.random.Generator, folder: Path):
    """By the folder's file `what`, something that no case may do; else, what is right."""
    yield ("file.txt",)
    index, _ = int(folder.joinpath("next").read_text()) if folder.joinpath("next").exists() else 0, rng
    folder.joinpath("next").write_text(str(index + 1))
    match index:
        case 0:
            raise ConfigError("file.txt: it is wrong")
        case 1:
            raise KeyError("x")
        case 2:
            Path("written").write_text("beside the output")
        case 3:
            raise ConfigError("it is wrong")
        case 4:
            raise _LongError
        case 5:
            os.kill(os.getpid(), 9)
        case 6:
            time.sleep(1.3)
        case 7:
            raise Violation("a wrong result")
        case 8:
            os.system("true")
        case 9:
            # What reads a pickle as Python does runs what is in it.
            pickle.loads(b"\x80\x02" + payloads(str(folder.parent / "code-was-run"))[15] + b".")


def test_what_breaks_a_rule_is_found():
    table, broken = run([Kind("planted", 1, _nothing, OneByOne(_planted), seconds=1.0)], 11, seed=0)
    found = {outcome.index: outcome.problem for _, outcome in broken}
    wanted = {
        1: "KeyError: 'x'",
        2: "written",
        3: "names none of file.txt",
        4: "a message of 5000 characters",
        5: "the process died",
        6: "it took 1.3 s",
        7: "a wrong result",
        8: "os.system",
        9: "code of the input was run",
    }
    assert found.keys() == wanted.keys()
    for index, message in wanted.items():
        assert message in found[index]
    assert table.loc[0, "violations"] == 9


@pytest.mark.parametrize(("message", "wrong"), [("", "without"), ("a\nb", "control"), ("ok", ""), ("x" * 2000, "2000")])
def test_messages(message, wrong):
    assert wrong in wrong_message(message)
    assert bool(wrong) == bool(wrong_message(message))


def test_damage_is_repeatable():
    one, same, other = (damaged(np.random.default_rng(seed), bytes(range(256)) * 4) for seed in (3, 3, 4))
    assert one == same != other
