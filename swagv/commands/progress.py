"""How far a command is: a bar in a terminal, elsewhere a line now and then; on stderr."""

from __future__ import annotations

import sys
import time

_SECONDS_BETWEEN_LINES = 10  # where there is no terminal


class Progress:
    """A context in which `at` is told how many clips are done.

    Parameters
    ----------
    what
        The name of the bar.
    shown
        False for none at all.
    """

    def __init__(self, what: str, shown: bool = True):
        self._what, self._shown, self._terminal = what, shown, sys.stderr.isatty()
        self._last_line = time.monotonic()

    def __enter__(self) -> Progress:
        from tqdm import tqdm

        self._bar = tqdm(desc=self._what, unit="clip", disable=not (self._shown and self._terminal))
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._bar.close()

    def at(self, done: int, total: int) -> None:
        """So many of all clips are done."""
        self._bar.total = total
        self._bar.update(done - self._bar.n)
        now = time.monotonic()
        if self._shown and not self._terminal and total > 1 and now - self._last_line > _SECONDS_BETWEEN_LINES:
            self._last_line = now
            print(f"clip {done} of {total}", file=sys.stderr)

    def say(self, line: str) -> None:
        """A line on stdout, above the bar."""
        from tqdm import tqdm

        tqdm.write(line, file=sys.stdout)
