"""MATLAB files as plain values, read in a process of their own: SciPy's reader crashes on damaged ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from swagv.errors import ConfigError

_TIME_LIMIT = 120  # seconds; a good file of 3 MB takes 1


def load_matlab(path: Path | str, variables: Sequence[str]) -> dict[str, Any]:
    """Those of the variables that a MATLAB file (to version 7) holds: structs as dicts, arrays as nested lists.

    Raises
    ------
    ConfigError
        If it is no such file, damaged, or takes too much time or memory.
    """
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])}
    command = [sys.executable, "-P", "-m", "swagv.datasets.matlab", str(path), *variables]
    try:
        child = subprocess.run(command, capture_output=True, env=environment, timeout=_TIME_LIMIT)
    except subprocess.TimeoutExpired as error:
        raise ConfigError(f"{path}: reading this MATLAB file took longer than {_TIME_LIMIT} s") from error
    if child.returncode:
        said = child.stderr.decode(errors="replace").strip().splitlines()
        raise ConfigError(f"{path} is not a readable MATLAB file ({said[-1] if said else 'its reader crashed'})")
    return json.loads(child.stdout)


def _print(path: str, variables: Sequence[str]) -> None:
    import resource

    from scipy.io import loadmat

    limit = 2 << 30  # of memory: a few bytes of a damaged file may ask for any amount
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    found = loadmat(path, variable_names=variables, simplify_cells=True)
    # In one piece: json.dump to a file takes ten times as long.
    text = json.dumps({name: found[name] for name in variables if name in found}, default=_plain)
    if len(text) > 200 << 20:  # the real ones are 12 MB
        sys.exit("more than 200 MB of values")
    sys.stdout.write(text)


def _plain(value: Any) -> Any:
    """An array as nested lists; anything that JSON does not have as its description."""
    return value.tolist() if hasattr(value, "tolist") else repr(value)


if __name__ == "__main__":
    _print(sys.argv[1], sys.argv[2:])
