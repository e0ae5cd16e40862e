"""What a job of the workflow prints goes to its log file."""

from __future__ import annotations

import atexit
import gc
import logging
import os
from pathlib import Path


def log_to(path: Path | str) -> None:
    """Send stdout, stderr, child processes' output and log messages of this process to a file."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s", force=True)
    # At its end Python looks for garbage in all that was imported, several times: half a second where torch is.
    atexit.register(gc.freeze)
