"""Pickles of numpy arrays, read without running code: any global but numpy's own array builders is refused."""

from __future__ import annotations

import math
import pickle
import struct
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from swagv.errors import ConfigError

# What a damaged or hostile pickle makes the unpickler raise.
DAMAGE = (
    pickle.UnpicklingError, EOFError, AttributeError, LookupError, TypeError, ValueError, OverflowError, MemoryError,
    struct.error,
)  # fmt: skip
_PLAIN = "biufcSU"  # kinds of types whose bytes mean nothing but numbers and text


class _Builder:
    """A function that a pickle may call, and to which it can do nothing else."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., Any]):
        self._call = call

    def __call__(self, *arguments: Any) -> Any:
        return self._call(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise ConfigError("it changes one of numpy's functions; nothing of it was run")


class _Dtype:
    """Stands for a dtype, whose own `__setstate__` believes a pickle that calls raw bytes pointers to objects."""

    def __init__(self, code: str, *_: Any):
        self.plain = np.dtype(code) if isinstance(code, str) else None
        if self.plain is None or self.plain.kind not in _PLAIN:
            raise ConfigError(f"it holds an array of {code!r}; numbers or text are needed")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order = state[1]
        if order not in ("<", "|", "="):  # ">" is likelier damage than a file of the processors that wrote it so
            raise ConfigError(f"it holds an array of byte order {order!r}; little-endian ones are read")
        self.plain = self.plain.newbyteorder(order)


class _Array(np.ndarray):
    """An array whose type and size are looked at before its bytes are."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        version, shape, dtype, fortran, data = state
        # Python 2 wrote bytes as text.
        data = data.encode("latin1") if isinstance(data, str) else data
        if not isinstance(dtype, _Dtype) or not isinstance(data, bytes) or not all(isinstance(n, int) for n in shape):
            raise ConfigError("it holds an array that numpy would not write; nothing of it was run")
        if min(shape, default=1) < 0 or math.prod(shape) * dtype.plain.itemsize != len(data):
            raise ConfigError(f"it holds an array of shape {shape} and {len(data)} bytes, which do not go together")
        super().__setstate__((version, shape, dtype.plain, bool(fortran), data))


def _reconstruct(*_: Any) -> _Array:
    """An empty array; what is in it follows."""
    return np.ndarray.__new__(_Array, (0,), np.int8)


def _scalar(dtype: _Dtype, data: bytes | str) -> np.generic:
    data = data.encode("latin1") if isinstance(data, str) else data
    if not isinstance(dtype, _Dtype) or len(data) != dtype.plain.itemsize:
        raise ConfigError("it holds a number that numpy would not write")
    return np.frombuffer(data, dtype.plain)[0]


def _encode(text: str, encoding: str) -> bytes:
    """What Python 3 writes for the bytes of an array in the protocols of Python 2."""
    if encoding != "latin1":
        raise ConfigError(f"it encodes text as {encoding!r}; arrays need latin1")
    return text.encode("latin1")


# What numpy itself puts into a pickle of an array and of a single value.
_ALLOWED = {
    ("numpy", "ndarray"): _Builder(_reconstruct),
    ("numpy", "dtype"): _Builder(_Dtype),
    ("_codecs", "encode"): _Builder(_encode),
} | {
    (module, name): _Builder(found)
    # numpy 2 renamed the module that older pickles name.
    for module in ("numpy.core.multiarray", "numpy._core.multiarray")
    for name, found in (("_reconstruct", _reconstruct), ("scalar", _scalar))
}


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


def flatten(tree: dict[str, Any], what: str) -> dict[str, np.ndarray]:
    """Nested dicts of arrays as one dict; names joined by ``/``.

    Parameters
    ----------
    what
        The file, for messages.

    Raises
    ------
    ConfigError
        If a leaf is not an array of floats, a name is no text, or a dict stands in two places or in itself.
    """
    flat: dict[str, np.ndarray] = {}
    todo, seen = [("", tree)], {id(tree)}
    while todo:
        prefix, node = todo.pop(0)
        for key, value in node.items():
            name = f"{prefix}{key}" if isinstance(key, str) else None
            if name is None or name in flat:
                raise ConfigError(f"{what}: {key!r} is no name of an array, or the name of two")
            if isinstance(value, dict):
                if id(value) in seen:
                    raise ConfigError(f"{what}: {name} stands in two places")
                seen.add(id(value))
                todo.append((f"{name}/", value))
            elif isinstance(value, np.ndarray | np.number) and value.dtype.kind == "f":
                flat[name] = np.asarray(value)
            else:
                kind = f"array of {value.dtype}" if isinstance(value, np.ndarray | np.number) else type(value).__name__
                raise ConfigError(f"{what}: {name} is a {kind}; a numeric array is needed, of floats")
    return flat
