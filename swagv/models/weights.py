"""Where a network's weights are. Imports no torch."""

from __future__ import annotations

import os
import re
from pathlib import Path

from swagv.errors import ConfigError
from swagv.models.cards import ModelCard


def cache_folder() -> Path:
    """Where ``swagv fetch-weights`` puts files: the environment's ``SWAGV_CACHE``, else ``~/.cache/swagv``."""
    return Path(os.environ.get("SWAGV_CACHE") or "~/.cache/swagv").expanduser()


def find_weights(name: str, card: ModelCard, weights: str | Path | None) -> Path | str | None:
    """What `weights` stands for: a file, torchvision's ``"Enum.MEMBER"``, or None for what the factory gives.

    Parameters
    ----------
    name
        Of the model, for messages.
    weights
        ``"default"`` for those of the card; the name of weights of torchvision, such as ``"KINETICS400_V1"``, where the
        card has any; a file; None for fresh weights. A self-contained network has its own, whether `weights` is
        ``"default"``, ``"none"`` or None.

    Raises
    ------
    ConfigError
        If there is no such file, or no default.
    """
    if weights is None or (card.self_contained and weights in ("default", "none")):
        return None
    if weights == "default":
        return _default(name, card)
    if card.torchvision and re.fullmatch(r"[A-Z][A-Z0-9_]*", str(weights)):
        return f"{card.torchvision.partition('.')[0]}.{weights}"
    path = Path(weights)
    if not os.path.isfile(path):  # Path.is_file raises on a name that is too long
        raise ConfigError(f"weights of model {name!r} not found: {path}. Give weights: a safetensors or .pth file")
    return path


def _default(name: str, card: ModelCard) -> Path | str:
    if card.weights is None and card.torchvision:
        return card.torchvision
    path = cache_folder() / card.fetched if card.weights is None and card.fetched else card.weights
    if path is None:
        raise ConfigError(
            f"weights of model {name!r} not found: it has no default. Give weights: a safetensors or .pth file"
        )
    if not path.is_file():
        cure = f"Fetch them once with: swagv fetch-weights {name}" if card.fetched else "Give weights: a file"
        raise ConfigError(f"weights of model {name!r} not found: {path}. {cure}")
    return path
