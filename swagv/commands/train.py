"""`swagv train`: a demo network, on rendered videos."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path


def add_parser(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    train = commands.add_parser(
        "train",
        parents=[common],
        help="train a demo network on rendered videos",
        description="Trains r2plus1d_demo or c3d_demo anew on rendered videos; about an hour on two cores.",
        epilog="example: swagv train c3d_demo --out c3d.safetensors --learning-rate 1e-3",
    )
    train.add_argument("model")
    train.add_argument("--out", type=Path, required=True, help="safetensors file to write")
    train.add_argument("--learning-rate", type=float, default=None)
    train.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Print the accuracy on held-out videos."""
    from swagv.training import TrainingRecipe, train

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    changed = {} if given.learning_rate is None else {"learning_rate": given.learning_rate}
    accuracy = train(given.model, given.out, TrainingRecipe(**changed))
    print(f"{given.out}: held-out top-1 accuracy {accuracy:.3f}")
    return 0
