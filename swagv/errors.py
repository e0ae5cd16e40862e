"""Errors that a user can act on."""

from __future__ import annotations


class SwagvError(ValueError):
    """Base of all errors that say what was given, why it cannot work and what to do."""


class ConfigError(SwagvError):
    """The configuration cannot be run as it stands."""


class DecodeError(SwagvError):
    """A video cannot be read; the message becomes the clip's `detail`."""


class AnnotationError(SwagvError):
    """The true boxes of a video make no sense; the message becomes the clip's `detail`."""


class NotApplicable(SwagvError):
    """A method and a network do not go together; recorded as the clip's status, not raised to the user."""


class FetchError(SwagvError):
    """Weights cannot be had; the message says where to get them instead."""
