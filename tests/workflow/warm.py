"""Snakemake and its jobs, forked from a process that has imported torch, zarr, pandas and Snakemake.

A job of these tests takes a second, and its Python four to start. Nothing of swagv is kept through a fork: each run and
each job imports the code of its own project, as it finds it then. That a job imports what it needs by itself is shown
by runs of a plain `Project`, which start every process as usual.
"""

import atexit
import multiprocessing
import os
import runpy
import shlex
import signal
import subprocess
import sys
import sysconfig
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from multiprocessing import forkserver
from pathlib import Path
from unittest import mock

from swagv.runtime import ENVIRONMENT
from tests.workflow.project import Project

# Parts that are imported late as well: a fork in the middle of an import would wait for a thread that it does not have.
_IMPORTED = (
    *("snakemake.cli", "snakemake.script", "snakemake.benchmark", "snakemake.executors.local", "psutil", "pytest"),
    *("torch", "numba", "zarr", "pyarrow.parquet", "pandas", "scipy.ndimage", "scipy.stats", "av", "jinja2"),
    *("matplotlib.pyplot", "matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg", "PIL.Image", "tqdm"),
)
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(list(_IMPORTED))


class _Forked(subprocess.Popen):
    """A Python process as a fork of this one, and any other as usual."""

    def _execute_child(self, args, executable, preexec_fn, close_fds, pass_fds, cwd, env, *others):
        command = shlex.split(args)[-2:] if isinstance(args, str) else list(args)
        python = command[0] == sys.executable and (command[1] == "-m" or command[1].endswith(".py"))
        if not python:
            return super()._execute_child(args, executable, preexec_fn, close_fds, pass_fds, cwd, env, *others)
        # Of Windows, and whether it is a line for the shell; then the ends of the three pipes.
        _, _, _, p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite, *_ = others
        self.pid = os.fork()
        if not self.pid:
            _become(command[1:], env, cwd, (p2cread, c2pwrite, errwrite))
        self._child_created = True
        for given, ours in ((p2cread, p2cwrite), (c2pwrite, c2pread), (errwrite, errread)):
            if given != -1 and ours != -1:
                os.close(given)


def _become(
    command: Sequence[str],
    environment: Mapping[str, str] | None,
    cwd: Path | None,
    descriptors: Sequence[int],
    popen: type[subprocess.Popen] = subprocess.Popen,
) -> None:
    """Go on as `python COMMAND` would, its own processes started by `popen`, and end."""
    code = 1
    try:
        atexit._clear()
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, signal.default_int_handler if name == signal.SIGINT else signal.SIG_DFL)
        for number, descriptor in enumerate(descriptors):
            if descriptor != -1:
                os.dup2(descriptor, number)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        sys.stdin = os.fdopen(0, closefd=False)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1, closefd=False) for number in (1, 2))
        if cwd:
            os.chdir(cwd)
        if environment is not None:
            os.environ.clear()
            os.environ.update(environment)
        subprocess.Popen = popen
        sys.dont_write_bytecode = False
        installed = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
        # As another start of Python would find them; packages of the workflow's own are imported anew.
        given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        sys.path[:] = [path for path in given if path] + [path for path in sys.path if path.startswith(installed)]
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if file and not file.startswith(installed):
                del sys.modules[name]
        if command[0] == "-m":
            sys.path.insert(0, os.getcwd())
            sys.argv = command[1:]
            code = _code_of(partial(runpy.run_module, command[1], run_name="__main__", alter_sys=True))
        else:
            sys.path.insert(0, str(Path(command[0]).parent))
            sys.argv = command
            code = _code_of(partial(runpy.run_path, command[0], run_name="__main__"))
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        code = 1
        traceback.print_exc()
    finally:
        os._exit(code)


def _code_of(run: Callable[[], object]) -> int:
    """The exit code of a module or script."""
    try:
        run()
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _snakemake(arguments: Sequence[str], environment: Mapping[str, str], cwd: str, output: str) -> None:
    """In the fork of the server: a session of its own, which runs Snakemake and the jobs that it forks."""
    os.setsid()
    descriptor = os.open(output, os.O_WRONLY)

    _become(["-m", "snakemake", *arguments], environment, Path(cwd), (-1, descriptor, descriptor), _Forked)


class _Run:
    """What is used of `subprocess.Popen`."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], cwd: Path, output: Path):
        self.output = output
        given = (arguments, environment, str(cwd), str(output))
        self._process = _SERVER.Process(target=_snakemake, args=given)
        self._process.start()
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def communicate(self, timeout: float | None = None) -> tuple[str, None]:
        self._process.join(timeout)
        if self._process.exitcode is None:
            os.killpg(self.pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired("snakemake", timeout, self.output.read_text())
        return self.output.read_text(), None


class WarmProject(Project):
    """A project whose Snakemake and jobs are forked."""

    def _begin(self, arguments: Sequence[str], environment: Mapping[str, str], cwd: Path) -> _Run:
        with mock.patch.dict(os.environ, ENVIRONMENT):  # what the libraries read when they are loaded
            forkserver.ensure_running()
        output = self.folder / f"said{len(list(self.folder.glob('said*.txt')))}.txt"
        output.touch()
        return _Run(arguments, environment, cwd, output)
