"""Case after case in a process of its own, and the rules that each must keep."""

from __future__ import annotations

import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

import swagv
from swagv.errors import SwagvError

_LONGEST = 2000  # characters of a message
_MEMORY = 1 << 30  # bytes that a case may add to the process, or that a child of it may take
_ADDRESSES = 6 << 30  # beyond those of a process that has imported all
_START = 120.0  # seconds that a process may need to start
_PACKAGE = Path(swagv.__file__).parent
# What a case may start: readers that run in a process of their own.
_CHILDREN = ("swagv.decode", "swagv.datasets.matlab")


class Violation(Exception):
    """A case broke a rule."""


@dataclass(frozen=True)
class Kind:
    """One kind of input.

    Parameters
    ----------
    share
        Of the mutations, in thousandths.
    set_up
        Makes the sound input in an empty folder, once; what it gives is handed to each case.
    run
        Runs case after case of one batch, each with its index, generator and folder, and yields an `Outcome` for each.
    batch
        Cases that run together.
    seconds
        That one case may take.
    """

    name: str
    share: int
    set_up: Callable[[Path], Any]
    run: Callable[[Any, dict[int, np.random.Generator], Path], Iterator[Outcome]]
    batch: int = 20
    seconds: float = 10.0


@dataclass(frozen=True)
class Outcome:
    """outcome: ``"accepted"``, the type of the error, or the status of a clip; problem: the rule that was broken."""

    index: int
    outcome: str
    seconds: float = 0.0
    problem: str = ""


@dataclass(frozen=True)
class OneByOne:
    """`Kind.run` of a generator that runs one case.

    It yields once, before it calls the code under test: the names of which an error's message must hold one.
    """

    case: Callable[[Any, np.random.Generator, Path], Iterator[tuple[str, ...]]]

    def __call__(self, state: Any, generators: dict[int, np.random.Generator], folder: Path) -> Iterator[Outcome]:
        for index, rng in generators.items():
            steps, start, problem = self.case(state, rng, folder), 0.0, ""
            names = next(steps)
            WATCH.begin()
            start = time.perf_counter()
            try:
                next(steps, None)
                outcome = "accepted"
            except SwagvError as error:
                outcome, problem = type(error).__name__, wrong_message(str(error), names)
            except Violation as error:
                outcome, problem = "accepted", str(error)
            except BaseException as error:  # what nothing may raise is what is looked for
                if isinstance(error, KeyboardInterrupt):
                    raise
                outcome, problem = type(error).__name__, f"{type(error).__name__}: {error} ({where(error)})"
            seconds = time.perf_counter() - start
            yield Outcome(index, outcome, seconds, problem or WATCH.problem())


def where(error: BaseException) -> str:
    """Where in swagv an error comes from."""
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if f"{os.sep}swagv{os.sep}" in frame.filename
    ]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "outside swagv"


def wrong_message(message: str, names: Sequence[str] = ()) -> str:
    """What a user could not do with an error's message; empty where it is as it should be."""
    if not message:
        return "an error without a message"
    if len(message) >= _LONGEST:
        return f"a message of {len(message)} characters: {message[:80]!r}"
    if not message.isprintable():
        return f"a message with control characters: {message[:300]!r}"
    if names and not any(name in message for name in names):
        return f"a message that names none of {', '.join(names)}: {message[:300]!r}"
    return ""


class _Watch:
    """What this process does that no case may: files written elsewhere, programs and connections started, memory."""

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.done: list[str] = []
        self.memory = 0

    def start(self, folder: Path) -> None:
        """From now on, only files below the folder may be written; this cannot be undone."""
        self.folder, sys.dont_write_bytecode = folder, True
        sys.addaudithook(self._audit)

    def begin(self) -> None:
        """The next case begins."""
        self.done, self.memory = [], _resident()

    def problem(self) -> str:
        """What the case did that it must not."""
        if self.marker.exists():
            self.marker.unlink()
            return "code of the input was run"
        if self.done:
            return f"it did {'; '.join(self.done[:3])}"
        grown = _resident() - self.memory
        return f"it took {grown >> 20} MiB" if grown > _MEMORY else ""

    @property
    def marker(self) -> Path:
        """What hostile pickles would write."""
        return self.folder / "code-was-run"

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if writes and isinstance(path, str | bytes) and os.fsdecode(path) != os.devnull:
                where = os.path.realpath(os.fsdecode(path))
                if not where.startswith((f"{self.folder}{os.sep}", "/dev/shm/", "/proc/self/")):
                    self.done.append(f"write {where}")
        elif event == "subprocess.Popen":
            if not any(child in arguments[1] for child in _CHILDREN):
                self.done.append(f"start {arguments[1]}")
        elif event in ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "socket.connect", "os.remove_all"):
            self.done.append(f"{event} {arguments}")


WATCH = _Watch()


def _resident() -> int:
    """The most bytes of memory that this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _generator(seed: int, kind: Kind, index: int) -> np.random.Generator:
    return np.random.default_rng([seed, *kind.name.encode(), index])


def _work(connection: Connection, folder: Path, seed: int) -> None:
    """A process that runs batches of cases as they are asked for."""
    os.setsid()  # so that its children end with it
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    os.environ |= {"HOME": str(folder / "home"), "SWAGV_CACHE": str(folder / "home"), "TMPDIR": str(folder / "home")}
    tempfile.tempdir = None
    (folder / "home").mkdir(exist_ok=True)
    (folder / "here").mkdir(exist_ok=True)
    states: dict[str, Any] = {}
    known: set[str] = set()
    WATCH.start(folder)
    connection.send(None)
    while True:
        kind, indices = connection.recv()
        inputs = folder / kind.name
        if kind.name not in states:
            inputs.mkdir(exist_ok=True)
            try:
                states[kind.name] = kind.set_up(inputs)
            except Exception:
                connection.send(traceback.format_exc())
                raise
            known |= {*os.listdir(folder / "home")}  # caches of libraries
            _limit_addresses()
            os.chdir(folder / "here")
        for outcome in kind.run(states[kind.name], {i: _generator(seed, kind, i) for i in indices}, inputs):
            elsewhere = [*os.listdir(folder / "here"), *({*os.listdir(folder / "home")} - known)]
            problem = outcome.problem or (f"it wrote {elsewhere}" if elsewhere else "")
            if not problem and outcome.seconds > kind.seconds:
                problem = f"it took {outcome.seconds:.1f} s"
            for name in os.listdir(folder / "here"):
                os.rename(folder / "here" / name, folder / f"written-by-{kind.name}-{outcome.index}")
            connection.send(Outcome(outcome.index, outcome.outcome, outcome.seconds, problem))
        connection.send(None)


def _limit_addresses() -> None:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGESIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + _ADDRESSES, resource.getrlimit(resource.RLIMIT_AS)[1]))


@dataclass
class Worker:
    """The process of `_work`, started again where a case ended it."""

    folder: Path
    seed: int
    process: Any = None
    connection: Connection | None = None
    known: set[str] = field(default_factory=set)

    def run(self, kind: Kind, indices: Sequence[int]) -> Iterator[Outcome]:
        """The outcomes of some cases; one that ends the process or hangs is a violation, and the others go on."""
        left = list(indices)
        while left:
            self._start()
            batch, left = left[: kind.batch], left[kind.batch :]
            self.connection.send((kind, batch))
            while True:
                extra = 0 if kind.name in self.known else _START
                try:
                    if not self.connection.poll(extra + kind.seconds * len(batch) + 20):
                        problem = "it hangs"
                        break
                    outcome = self.connection.recv()
                except (EOFError, ConnectionError):
                    problem = "the process died"
                    break
                self.known.add(kind.name)
                if isinstance(outcome, str):
                    raise RuntimeError(f"no sound input of the kind {kind.name}:\n{outcome}")
                if outcome is None:
                    problem = ""
                    break
                batch.remove(outcome.index)
                yield outcome
            if problem:
                self.stop()
                guilty = batch[0] if batch else None  # a batch whose cases run together: the first that gave no answer
                if guilty is not None:
                    yield Outcome(guilty, "lost", 0.0, problem)
                left = batch[1:] + left

    def _start(self) -> None:
        if self.process is not None:
            return
        context = get_context("spawn")
        self.connection, other = context.Pipe()
        self.process = context.Process(target=_work, args=(other, self.folder, self.seed), daemon=False)
        self.process.start()
        other.close()
        if not self.connection.poll(_START) or self.connection.recv() is not None:
            raise RuntimeError("the process that runs the cases does not start")
        self.known.clear()

    def stop(self) -> None:
        """End the process and its children."""
        if self.process is not None:
            if self.process.is_alive():
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.join()
            self.connection.close()
            self.process = None


def run(
    kinds: Sequence[Kind], mutations: int, seed: int, seconds: float = float("inf"), folder: Path | None = None
) -> tuple[pd.DataFrame, list[tuple[str, Outcome]]]:
    """The table, a row a kind, and every case that broke a rule.

    Parameters
    ----------
    mutations
        Of all kinds together, in the proportions of their shares.
    seconds
        After which each kind, in its share of them, stops early.
    folder
        Where inputs are written; a temporary one if not given.
    """
    whole, found, broken = sum(kind.share for kind in kinds), [], []
    with tempfile.TemporaryDirectory() as name:
        worker = Worker(Path(folder or name).resolve(), seed)
        try:
            for kind in kinds:
                count = max(1, round(mutations * kind.share / whole))
                end = time.monotonic() + seconds * kind.share / whole
                outcomes = []
                with tqdm(total=count, desc=kind.name, mininterval=1) as bar:
                    for first in range(0, count, kind.batch):
                        for outcome in worker.run(kind, range(first, min(first + kind.batch, count))):
                            outcomes.append(outcome)
                            bar.update()
                        if time.monotonic() > end:
                            break
                found.append(_row(kind.name, outcomes))
                broken += [(kind.name, outcome) for outcome in outcomes if outcome.problem]
        finally:
            worker.stop()
    return pd.DataFrame(found), broken


def _row(name: str, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    counts = Counter(outcome.outcome for outcome in outcomes)
    accepted = counts.pop("accepted", 0) + counts.pop("ok", 0)
    return {
        "kind": name,
        "cases": len(outcomes),
        "accepted": accepted,
        "refused": len(outcomes) - accepted,
        "as": ", ".join(f"{what} {count}" for what, count in counts.most_common()),
        "slowest_s": max(outcome.seconds for outcome in outcomes),
        "violations": sum(bool(outcome.problem) for outcome in outcomes),
    }
