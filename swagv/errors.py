"""Errors that a user can act on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_BEGINNING, _END = 1000, 400  # characters of a message that are kept where it is longer


class SwagvError(ValueError):
    """Base of all errors that say what was given, why it cannot work and what to do.

    Whatever a file puts into a message, it is one line of at most 1,500 characters that a terminal shows as it stands:
    what cannot be printed is escaped, and of a longer message the middle is left out.
    """

    def __init__(self, message: str = ""):
        shown = "".join(map(_printable, _shortened(" ".join(str(message).splitlines()))))
        super().__init__(_shortened(shown))


def _shortened(text: str) -> str:
    return text if len(text) <= _BEGINNING + _END else f"{text[:_BEGINNING]} … {text[-_END:]}"


def _printable(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()


class ConfigError(SwagvError):
    """The configuration cannot be run as it stands."""


class DecodeError(SwagvError):
    """A video cannot be read; the message becomes the clip's `detail`."""


@contextmanager
def naming(video: Path | str) -> Iterator[None]:
    """Put a video's name before what is wrong with it."""
    try:
        yield
    except DecodeError as error:
        raise DecodeError(f"{video}: {error}") from error
    except ConfigError as error:
        raise ConfigError(f"{video}: {error}") from error


class AnnotationError(SwagvError):
    """The true boxes of a video make no sense; the message becomes the clip's `detail`."""


class NotApplicable(SwagvError):
    """A method and a network do not go together; recorded as the clip's status, not raised to the user."""


class FetchError(SwagvError):
    """Weights cannot be had; the message says where to get them instead."""
