"""What commands that run a network on clips have in common: their options, and the order that these make."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import TypeVar

Order = TypeVar("Order")


def add_network_options(parser: argparse.ArgumentParser, kind: str) -> None:
    """Options of the network and its clips; `kind` is what --set is for: ``"method"`` or ``"metric"``."""
    add = parser.add_argument
    add("--model", required=True, help="of `swagv list models`, or package.module:factory")
    add("--weights", default="default", help="the model's own, if not given; a file, or a name of torchvision's")
    add("--clip-len", type=int, metavar="N", help="frames of a clip; the network's own number if not given")
    add("--device", choices=["auto", "cpu", "cuda"], default="auto")
    add(
        "--set",
        action="extend",
        nargs="+",
        dest="settings",
        metavar="KEY=VALUE",
        help=f"a setting of the {kind}s that have it; {kind.upper()}.KEY=VALUE of one; model.KEY=VALUE of the "
        "network's card",
    )
    add("--time-limit", type=float, default=120, metavar="SECONDS", help="for reading the video; 120 if not given")
    add("--json", action="store_true", help="print one JSON object")


def order_of(kind: type[Order], given: argparse.Namespace) -> Order:
    """A dataclass of the options that its fields are called like; its own defaults for those that were not given."""
    asked = {name: tuple(value) if isinstance(value, list) else value for name, value in vars(given).items()}
    return kind(**{item.name: asked[item.name] for item in fields(kind) if asked[item.name] is not None})
