"""Explanations of video action-recognition networks, and how good each one is."""

__version__ = "0.1.0"
