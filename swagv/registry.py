"""Names of models, methods, metrics and datasets, and what stands behind them."""

from __future__ import annotations

import difflib
import importlib
from importlib.metadata import entry_points
from typing import Any

from swagv.errors import ConfigError


def did_you_mean(name: str, known: list[str]) -> str:
    """``" Did you mean 'x'?"`` for the nearest known name, else an empty string."""
    close = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


class Registry(dict[str, str]):
    """Name -> ``"package.module:Object"``, resolved when used, so that listing names imports nothing.

    Parameters
    ----------
    kind
        One word for messages: model, method, metric, dataset. Other packages add names with the entry point group
        ``swagv.{kind}s``.

    Raises
    ------
    ConfigError
        On a name given twice (naming both objects), an unknown name (with the nearest known one) or an object that
        cannot be imported.
    """

    def __init__(self, kind: str, entries: dict[str, str]):
        super().__init__()
        self.kind = kind
        for name, path in entries.items():
            self.add(name, path)
        for entry in entry_points(group=f"swagv.{kind}s"):
            self.add(entry.name, entry.value)

    def add(self, name: str, path: str) -> None:
        """Register one object under a new name."""
        if self.get(name, path) != path:
            raise ConfigError(f"{self.kind} {name!r} is registered twice: as {self[name]} and as {path}")
        self[name] = path

    def path(self, name: str) -> str:
        """The object path of a registered name, or of a ``"package.module:Object"`` as it stands."""
        if ":" in name:
            return name
        if name not in self:
            known = sorted(self)
            raise ConfigError(f"unknown {self.kind} {name!r}.{did_you_mean(name, known)} Known: {', '.join(known)}")
        return self[name]

    def load(self, name: str) -> Any:
        """The object behind a name."""
        return load_object(self.path(name))


def load_object(path: str) -> Any:
    """Import ``"package.module:Object"``."""
    module_name, _, attribute = path.partition(":")
    try:
        return getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError, TypeError, ValueError) as error:  # TypeError: "..module"
        raise ConfigError(
            f"cannot load {path!r}: {error}. Give 'package.module:Object' of an installed package"
        ) from error
