"""How the work is done: settings that change no number beyond rounding, but for supervoxels of a torch engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Of a process that runs a network; the C library and OpenMP read it when one starts.
ENVIRONMENT = {
    # glibc hands buffers this large back to the kernel after every layer and fetches them anew: 1.4x the time of a
    # forward.
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 32),
    # A thread that waits must not spin: where another process wants its core, a small network would take 15 times as
    # long.
    "OMP_WAIT_POLICY": "PASSIVE",
}
DEFAULTS = {"batch_size": "auto", "device": "auto", "supervoxels": "auto", "threads": 2, "time_limit": 120}


def runtime(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of the jobs.

    batch_size (clips a forward pass, or "auto"), device, supervoxels (of `swagv.slic.ENGINES`), threads (of a job that
    runs a network or clusters), time_limit (seconds a video).
    """
    return DEFAULTS | config.get("runtime", {})
