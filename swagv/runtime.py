"""How the work is done: settings that change no number beyond rounding, but for supervoxels of a torch engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEFAULTS = {"batch_size": "auto", "device": "auto", "supervoxels": "auto", "threads": 2, "time_limit": 120}


def runtime(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of the jobs.

    batch_size (clips a forward pass, or "auto"), device, supervoxels (of `swagv.slic.ENGINES`), threads (of a job that
    runs a network or clusters), time_limit (seconds a video).
    """
    return DEFAULTS | config.get("runtime", {})
