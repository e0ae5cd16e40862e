"""`swagv verify`: whether everything that a run has written is still whole."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from swagv.errors import ConfigError


def add_parser(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    verify = commands.add_parser(
        "verify",
        parents=[common],
        help="read everything that a run has written, and say what is damaged",
        description="Reads every store and table below a folder and compares it with the checksums that were written "
        "with it: a disk that lost a block, a file that was cut or changed by hand. Exit code 1 where one is damaged.",
        epilog="example: swagv verify results --remove && snakemake --cores 8",
    )
    verify.add_argument("results", type=Path, nargs="?", default=Path("results"))
    verify.add_argument("--remove", action="store_true", help="remove what is damaged, so that the next run makes it")
    verify.add_argument("--json", action="store_true", help="print one JSON object")
    verify.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Print what is damaged; 1 where something is, and stays."""
    from swagv.verify import published, remove, verify

    if not given.results.is_dir():
        raise ConfigError(f"{given.results} is not a folder; give that of the results")
    locks = given.results.absolute().parent / ".snakemake" / "locks"
    if given.remove and locks.is_dir() and any(locks.iterdir()):
        raise ConfigError(
            f"Snakemake runs here, or was killed: {locks}. End it, or `snakemake --unlock`, before --remove"
        )
    files, damaged, unread, rows = len(published(given.results)), 0, 0, []
    for found in verify(given.results):
        damaged, unread = damaged + found.damaged, unread + (not found.damaged)
        copies = remove(found.path) if given.remove and found.damaged else []
        rows.append({"path": str(found.path), "damaged": found.damaged, "reason": found.reason})
        if given.json:
            continue
        print(f"{found.path}: {'' if found.damaged else 'could not be read: '}{found.reason}")
        for copy in copies:
            print(f"{found.path}: was a link to {copy}, which stays; remove that too")
    if given.json:
        print(json.dumps({"files": files, "removed": given.remove, "found": rows}, ensure_ascii=False))
        return int(bool(unread or (damaged and not given.remove)))
    also = f", {unread} that could not be read" if unread else ""
    print(f"{files} stores and tables, {damaged} damaged{' and removed' if damaged and given.remove else ''}{also}")
    return int(bool(unread or (damaged and not given.remove)))
