"""Settings as a command line gives them: ``KEY=VALUE``, or ``OWNER.KEY=VALUE`` for one of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import yaml

from swagv.errors import ConfigError

MODEL = "model"  # the owner of the settings of the network's card


def parse_assignments(
    given: Sequence[str], owners: Mapping[str, Any], kind: str
) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Settings by their owner, and those of the network's card.

    Parameters
    ----------
    given
        Each ``KEY=VALUE`` for all owners that have such a setting, ``OWNER.KEY=VALUE`` for one, or
        ``model.KEY=VALUE``; values as in YAML.
    owners
        Name -> a dataclass, or one of its objects, whose fields are its settings.
    kind
        What they are, for messages: ``"methods"``.

    Raises
    ------
    ConfigError
        Where a text is none of these. Whether the owner can take the value is not looked at.

    Examples
    --------
    >>> from swagv.metrics.insertion_deletion import InsertionDeletion
    >>> parse_assignments(["steps=10", "model.bgr=true"], {"insertion_deletion": InsertionDeletion}, "metrics")
    ({'insertion_deletion': {'steps': 10}}, {'bgr': True})
    """
    own: dict[str, dict[str, Any]] = {name: {} for name in owners}
    card: dict[str, Any] = {}
    for text in given:
        path, equals, value = text.partition("=")
        owner, _, key = path.rpartition(".")
        if not equals or not key:
            one = kind.removesuffix("s").upper()
            raise ConfigError(f"--set {text}: give KEY=VALUE, {one}.KEY=VALUE or model.KEY=VALUE")
        try:
            value = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ConfigError(f"--set {text}: the value is not YAML") from error
        if owner == MODEL:
            card[key] = value
        elif owner:
            if owner not in own:
                raise ConfigError(f"--set {text}: {owner!r} is not one of the {kind} {', '.join(own)}")
            own[owner][key] = value
        else:
            takers = [name for name, one in owners.items() if key in {item.name for item in fields(one)}]
            for name in takers or own:  # where none takes it, the first says what it takes
                own[name][key] = value
    return own, card
