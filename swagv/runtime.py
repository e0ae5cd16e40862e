"""How the work is done: settings that change no number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEFAULTS = {"batch_size": "auto", "device": "auto", "threads": 2, "time_limit": 120}


def runtime(config: Mapping[str, Any]) -> dict[str, Any]:
    """batch_size (clips a forward pass or "auto"), device, threads (of a network job), time_limit (seconds a video)."""
    return DEFAULTS | config.get("runtime", {})
