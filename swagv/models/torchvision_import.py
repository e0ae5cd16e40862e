"""The one place that imports torchvision."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import torch

# torchvision's Python code describes these operators at import, whether or not its compiled library could be loaded.
_SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}


@cache
def import_torchvision() -> ModuleType:
    """torchvision, also where its compiled library does not fit the installed torch.

    The package index serves a library that needs CUDA; beside a CPU-only torch it cannot be loaded, and the import
    fails for want of two detection operators that no video network uses. Their schemas are declared when, and only
    when, the library does not bring them; calling them then says that they have no kernel.

    Raises
    ------
    ImportError
        If torchvision is not installed.
    """
    spec = find_spec("torchvision")
    if spec is None:
        raise ImportError("torchvision is not installed; install it for this network")
    for library in Path(spec.origin).parent.glob("_C*"):
        try:
            torch.ops.load_library(library)
        except OSError:  # built for another torch
            continue
    for name in missing_operators():
        _fragment().define(_SCHEMAS[name])
    import torchvision

    return torchvision


def missing_operators() -> list[str]:
    """Those of the operators which torchvision describes at import that nothing has registered."""
    return [name for name in _SCHEMAS if not hasattr(torch.ops.torchvision, name)]


@cache
def _fragment() -> torch.library.Library:
    """Kept for the life of the process: what a library registers goes when it goes."""
    return torch.library.Library("torchvision", "FRAGMENT")
