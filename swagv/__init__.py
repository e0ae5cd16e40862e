"""Explanations of video action-recognition networks, and how good each one is."""

from types import ModuleType

from swagv.library import evaluate, explain, load_model, read_clip

__all__ = ["evaluate", "explain", "load_model", "read_clip", "viz"]
__version__ = "0.1.0"


def __getattr__(name: str) -> ModuleType:
    if name == "viz":  # imports matplotlib, which takes longer than all the rest
        import swagv.viz

        return swagv.viz
    raise AttributeError(f"module 'swagv' has no attribute {name!r}")
