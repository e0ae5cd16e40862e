"""Explanations of video action-recognition networks, and how good each one is."""

from swagv.library import evaluate, explain, load_model

__all__ = ["evaluate", "explain", "load_model"]
__version__ = "0.1.0"
