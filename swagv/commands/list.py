"""`swagv list`: what can be named, on the command line, in Python and in a configuration."""

from __future__ import annotations

import argparse
import json
from functools import partial
from typing import Any

from swagv.catalogue import DATASETS, METHODS, METRICS, MODELS
from swagv.models.cards import ModelCard

_REGISTRIES = {"datasets": DATASETS, "methods": METHODS, "metrics": METRICS, "models": MODELS}


def add_parser(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    listing = commands.add_parser(
        "list",
        parents=[common],
        help="what can be named: models, methods, metrics, datasets",
        description="Names what can be given to --model, --method and --metric, and to a configuration; a line each.",
        epilog="example: swagv list methods",
    )
    listing.add_argument("what", choices=sorted(_REGISTRIES))
    listing.add_argument("--json", action="store_true", help="print a JSON list")
    listing.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Print one line a name."""
    registry = _REGISTRIES[given.what]
    found = [{"name": name, "object": path, "summary": _summary(registry, name)} for name, path in registry.items()]
    if given.json:
        print(json.dumps(found, ensure_ascii=False))
        return 0
    for one in found:
        print(f"{one['name']:20}  {one['summary']}")
    return 0


def _summary(registry: Any, name: str) -> str:
    path = registry.path(name)
    if not path.startswith("swagv."):  # of another package: not imported for a line
        return path
    found = registry.load(name)
    if isinstance(found, ModelCard):
        return _of_card(name, found)
    settings = found.keywords if isinstance(found, partial) else {}
    text = ((found.func if isinstance(found, partial) else found).__doc__ or "").strip().splitlines()[0]
    said = ", ".join(f"{key}={value}" for key, value in settings.items())
    return f"{text.rstrip('.')}{': ' if said else ''}{said}"


def _of_card(name: str, card: ModelCard) -> str:
    weights = "weights to be given"
    if card.weights:
        weights = "weights shipped"
    elif card.torchvision:
        weights = f"weights of torchvision ({card.torchvision.partition('.')[2]})"
    elif card.fetched:
        weights = f"weights by `swagv fetch-weights {name}`"
    clip = f"{card.clip_len} frames of {card.geometry.crop}x{card.geometry.crop}"
    return f"{clip}, {len(card.categories)} classes; {weights}"
