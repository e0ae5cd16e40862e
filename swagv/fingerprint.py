"""A digest of the code that a stage really uses: its modules' syntax trees, docstrings and comments left out."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_PACKAGE = Path(__file__).parent


@cache
def _parse(path: Path) -> tuple[str, frozenset[str]]:
    """Canonical dump of a file's syntax tree and the names that it imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            imported.add(node.module)
            imported |= {f"{node.module}.{alias.name}" for alias in node.names}
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(tree), frozenset(imported)


def _file_of(module: str, packages: frozenset[str]) -> Path | None:
    """The file of a module of one of `packages`; the ``__init__`` file of this package itself does not count."""
    parts = module.split(".")
    if parts[0] == _PACKAGE.name:
        if len(parts) == 1:
            return None
        folder = _PACKAGE.joinpath(*parts[1:])
        path = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    elif parts[0] in packages:
        try:
            found = find_spec(module)
        except ModuleNotFoundError:  # `from module import name` may name an object
            return None
        path = Path(found.origin) if found and found.origin and found.origin.endswith(".py") else None
    else:
        return None
    return path if path is not None and path.is_file() else None


def imported_modules(entries: Iterable[str]) -> dict[str, Path]:
    """Modules of this package and of the entries' own that the entries import, directly or not, themselves included.

    The catalogue of names is left out: a new name changes no stage, since stages are given objects, not names.
    """
    found: dict[str, Path] = {}
    todo = list(entries)
    packages = frozenset(module.split(".")[0] for module in todo)
    while todo:
        module = todo.pop()
        path = _file_of(module, packages)
        if path is None or module in found or module in _NOT_CODE:
            continue
        found[module] = path
        todo.extend(_parse(path)[1])
    return dict(sorted(found.items()))


_NOT_CODE = {
    f"{_PACKAGE.name}.{name}"
    for name in ("catalogue", "errors", "joblog", "models.cards", "provenance", "registry", "runtime")
}


def fingerprint(entries: Iterable[str], files: Iterable[Path] = ()) -> str:
    """Hex digest over the import closure of `entries` and over `files`: of a script its code, of another its bytes."""
    digest = hashlib.sha256()
    for path in sorted(map(Path, files)):
        digest.update(_parse(path)[0].encode() if path.suffix == ".py" else path.read_bytes())
    for module, path in imported_modules(entries).items():
        digest.update(f"{module}\n{_parse(path)[0]}\n".encode())
    return digest.hexdigest()
