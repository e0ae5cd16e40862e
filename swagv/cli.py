"""The command line: `swagv COMMAND`; `swagv --help` lists them, and `swagv COMMAND --help` has examples."""

from __future__ import annotations

import argparse
import atexit
import gc
import os
import sys
import traceback

import swagv
from swagv.commands import (
    check,
    compare,
    convert_weights,
    estimate,
    evaluate,
    explain,
    fetch_weights,
    render,
    train,
    verify,
)
from swagv.commands import list as list_names
from swagv.errors import SwagvError

_COMMANDS = (
    *(explain, evaluate, compare, list_names, check, estimate),
    *(verify, fetch_weights, convert_weights, render, train),
)
_EXIT_CODES = """\
exit code: 0; 2 where the input cannot work; 1 where the work failed, as on a full disk; 130 where it was interrupted.
An error is one line on stderr; --traceback adds where in the code it comes from."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments
        Of the command line; those of the process where None.

    Returns
    -------
    int
        The exit code: 0, or with one line on stderr 2 where the input cannot work, 1 where the work failed and 130
        where it was interrupted.
    """
    given = make_parser().parse_args(arguments)
    atexit.register(gc.freeze)  # as in swagv.joblog
    try:
        return given.run(given)
    except KeyboardInterrupt:
        print("swagv: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `swagv list methods | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except SwagvError as error:
        return _failed(given, str(error), 2)
    # What a full disk, a device without memory and a network that does not do as it should raise.
    except (OSError, MemoryError, RuntimeError, ValueError) as error:
        return _failed(given, str(error).splitlines()[0] if str(error) else type(error).__name__, 1)
    except Exception as error:  # a mistake of swagv's own: hidden from nobody who asks for the traceback
        said = f"unexpected {type(error).__name__}: {error}".splitlines()[0]
        return _failed(given, f"{said}. --traceback shows where; please report it", 1)


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands; each sets `run`, which takes what was parsed."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--traceback", action="store_true", help="show where in the code an error comes from")
    parser = argparse.ArgumentParser(
        prog="swagv",
        description="What does a video network look at, and can the explanation be trusted?",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"swagv {swagv.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add_parser(commands, common)
    return parser


def _failed(given: argparse.Namespace, reason: str, code: int) -> int:
    if given.traceback:
        traceback.print_exc()
    print(f"swagv: {reason}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
