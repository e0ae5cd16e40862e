"""Classes by their names, and the highest of a network's scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from swagv.errors import ConfigError
from swagv.registry import did_you_mean

_TOP = 5


def top_classes(scores: np.ndarray, categories: Sequence[str], count: int = _TOP) -> list[dict[str, Any]]:
    """Index, name and score of the highest of scores (K,), the highest first.

    Examples
    --------
    >>> top_classes(np.array([0.25, 0.75]), ("run", "jump"), count=1)
    [{'class': 'jump', 'index': 1, 'score': 0.75}]
    """
    order = np.argsort(-scores, kind="stable")[:count]
    return [{"class": categories[k], "index": int(k), "score": float(scores[k])} for k in order]


def target_index(target: str | None, categories: Sequence[str]) -> int | None:
    """The class that a name or a number stands for; None stands for the top-1 class.

    Raises
    ------
    ConfigError
        If it is no category; the message has the nearest one.

    Examples
    --------
    >>> target_index("jump", ("run", "jump")), target_index("0", ("run", "jump"))
    (1, 0)
    """
    if target is None or not categories:
        return None
    if target in categories:
        return list(categories).index(target)
    if target.isdecimal() and int(target) < len(categories):
        return int(target)
    near = did_you_mean(target, list(categories))
    raise ConfigError(
        f"target {target!r} is not a category of this network.{near} It has {len(categories)}; give a name or a "
        f"number from 0 to {len(categories) - 1}"
    )
