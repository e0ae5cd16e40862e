"""Loops in machine code, by Numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(**options: Any) -> Callable[[Callable], Callable]:
    """A decorator that turns a function into machine code, which runs without Python's lock.

    It is kept beside its source, or else in ``NUMBA_CACHE_DIR`` or the user's cache folder. `options` are those of
    `numba.njit`.
    """

    def compile_one(function: Callable) -> Callable:
        try:
            return njit(function, nogil=True, cache=True, **options)
        except RuntimeError as error:
            if "no locator" not in str(error):
                raise
            return njit(function, nogil=True, **options)  # nowhere to keep it: compiled anew by every process

    return compile_one
