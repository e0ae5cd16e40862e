"""`swagv compare`: two runs against each other."""

from __future__ import annotations

import argparse
from pathlib import Path

_EXAMPLES = """\
examples:
  swagv compare results ../before/results
  swagv compare results_fp32 results_bf16 --metric insertion_deletion --out differences.csv

Scores are compared on the clips that both runs have scored: mean of each, b - a with its 95 % bootstrap interval over
videos, p of a sign-flip test corrected for the methods (Holm), and how many clips are the same to the last bit. Above
them stands what the provenance of the tables says differently: settings, versions, device, precision."""


def add_parser(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    compare = commands.add_parser(
        "compare",
        parents=[common],
        help="compare the scores of two runs, clip by clip",
        description="Compares two folders of results: what was done differently, and what that did to each score.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    compare.add_argument("a", type=Path, metavar="RESULTS_A")
    compare.add_argument("b", type=Path, metavar="RESULTS_B")
    compare.add_argument(
        "--metric", action="append", dest="metrics", help="folder of a metric; several times for several; else all"
    )
    compare.add_argument("--out", type=Path, metavar="FILE", help=".csv with a row a score")
    compare.add_argument("--json", action="store_true", help="print one JSON object")
    compare.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Print the comparison."""
    from swagv.compare_results import as_text, compare_results
    from swagv.plain import as_json
    from swagv.publish import check_out, publish

    if given.out is not None:
        check_out(given.out, (".csv",))
    found = compare_results(given.a, given.b, tuple(given.metrics or ()))
    if given.out is not None:
        import pandas as pd

        with publish(given.out) as partial:
            pd.DataFrame(found["scores"]).to_csv(partial, index=False)
    print(as_json(found) if given.json else as_text(found))
    return 0
