"""Pickles of numpy arrays, read without running code: any global but numpy's own array builders is refused."""

from __future__ import annotations

import pickle
from typing import Any, BinaryIO

import numpy as np

from swagv.errors import ConfigError

# What numpy itself puts into a pickle of an array and of a single value; the module that has them is private.
_MULTIARRAY = {"_reconstruct": np.empty(0).__reduce__()[0], "scalar": np.float32(0).__reduce__()[0]}


def _encode(text: str, encoding: str) -> bytes:
    """What Python 3 writes for the bytes of an array in the protocols of Python 2."""
    if encoding != "latin1":
        raise ConfigError(f"it encodes text as {encoding!r}; arrays need latin1")
    return text.encode("latin1")


_ALLOWED = {("numpy", "ndarray"): np.ndarray, ("numpy", "dtype"): np.dtype, ("_codecs", "encode"): _encode} | {
    (module, name): found
    # numpy 2 renamed the module that older pickles name.
    for module in ("numpy.core.multiarray", "numpy._core.multiarray")
    for name, found in _MULTIARRAY.items()
}


# What a damaged or hostile pickle makes the unpickler raise.
DAMAGE = (
    pickle.UnpicklingError, EOFError, AttributeError, LookupError, TypeError, ValueError, OverflowError, MemoryError,
)  # fmt: skip


class _NumpyUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise ConfigError(f"it names {module}.{name}, which is no part of a numpy array; nothing of it was run")
        return _ALLOWED[module, name]


def load_numpy_pickle(file: BinaryIO, what: str) -> dict[str, Any]:
    """A pickled dict whose leaves are numpy arrays or plain values, from Python 2 or 3.

    Parameters
    ----------
    what
        The file, for messages.

    Raises
    ------
    ConfigError
        If it is no such pickle, is damaged, or names any global but those of numpy arrays (the message says which).
    """
    try:
        # latin1: what Python 2 wrote as text or bytes comes back byte by byte.
        found = _NumpyUnpickler(file, encoding="latin1").load()
    except ConfigError as error:
        raise ConfigError(f"{what} is refused: {error}") from error
    except DAMAGE as error:
        reason = str(error) or type(error).__name__
        raise ConfigError(f"{what} is not a pickle of numpy arrays ({reason})") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{what} holds a {type(found).__name__}; a dict of arrays is needed")
    return found


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, np.ndarray]:
    """Nested dicts of arrays as one dict; names joined by ``/``.

    Raises
    ------
    ConfigError
        If a leaf is not a numeric array.
    """
    flat: dict[str, np.ndarray] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            flat |= flatten(value, f"{name}/")
        elif isinstance(value, np.ndarray | np.number) and value.dtype.kind in "fiu":
            flat[name] = np.asarray(value)
        else:
            raise ConfigError(f"{name} is a {type(value).__name__}; a numeric array is needed")
    return flat
