"""Write docs/configuration.md from the schema, the dataclasses and their docstrings: `python docs/reference.py`."""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass
from functools import partial
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import yaml  # noqa: E402

from swagv.catalogue import DATASETS, METHODS, METRICS, MODELS  # noqa: E402
from swagv.clips import ClipSelection  # noqa: E402
from swagv.experiments import Experiment  # noqa: E402
from swagv.geometry import Geometry  # noqa: E402
from swagv.models.cards import ModelCard  # noqa: E402
from swagv.registry import Registry  # noqa: E402
from swagv.runtime import DEFAULTS  # noqa: E402

PAGE = Path(__file__).with_name("configuration.md")
SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.yaml"
_NAMED = ("datasets", "models", "methods", "metrics", "experiments")  # sections of names that one chooses
_BEGINNING = """
Every key of a configuration, with its type, its default and its meaning. Do not edit this page: `python
docs/reference.py` makes it from `workflow/schemas/config.schema.yaml` and the classes of `swagv/`. How to give a
configuration, what a run costs and what each dataset expects is in [config/README.md](../config/README.md); what
methods and metrics compute is in [methods.md](methods.md).

A key that is not listed here is an error. Numbers are finite; a `NAME` has at most 100 letters, digits and underscores.
"needed" stands where there is no default, – where a key that is left out means none. `swagv check FILE`
checks a configuration without running it.
"""


def page() -> str:
    """The whole page."""
    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))["properties"]
    parts = [_markdown(_BEGINNING), "", *_keys(schema), *_objects(), *_cards()]
    return "# Configuration reference\n\n" + "\n".join(parts).rstrip() + "\n"


def _keys(schema: Mapping[str, Any]) -> Iterator[str]:
    cards, key = (
        dict.fromkeys(schema["models"]["additionalProperties"]["properties"], "the card's"),
        {"type": "the key"},
    )
    defaults = {"runtime": DEFAULTS, "experiments": {item.name: _default(item) for item in fields(Experiment)}}
    defaults |= {"models": cards | key | {"weights": "default", "target": "top1"}, "methods": key, "metrics": key}
    yield "## Keys\n"
    for section, given in schema.items():
        where = f"{section}.NAME" if section in _NAMED else section
        yield f"### `{where}`\n\n{given['description'].strip()}\n"
        inner, rows = given.get("additionalProperties", given) if section in _NAMED else given, []
        for key, value in inner.get("properties", {}).items():
            default = "needed" if key in inner.get("required", ()) else defaults.get(section, {}).get(key, "–")
            rows.append((f"`{key}`", _allowed(value), _shown(default), value["description"].strip()))
        yield from [_table(rows)] if rows else ()
        for name, cls in {"clips": ClipSelection, "geometry": Geometry}.items() if section == "datasets" else ():
            yield f"### `{where}.{name}`\n\n{said_of(cls)}\n\n{_table_of(cls)}"


def _objects() -> Iterator[str]:
    for title, registry in {"Types of datasets": DATASETS, "Methods": METHODS, "Metrics": METRICS}.items():
        yield f"## {title}\n"
        for cls, presets in by_class(registry).items():
            yield f"### {', '.join(f'`{name}`' for name in presets)}\n\n{said_of(cls)}\n"
            own = {item.name: _default(item) for item in fields(cls)}
            for name, settings in presets.items():
                told = [f"`{key}: {_plain(value)}`" for key, value in settings.items() if value != own[key]]
                if told:
                    yield f"Of `{name}`, other defaults than in the table: {', '.join(told)}.\n"
            yield _table_of(cls) if fields(cls) else "It has no settings.\n"


def _cards() -> Iterator[str]:
    yield f"## Cards of networks\n\n### `ModelCard`\n\n{said_of(ModelCard)}\n\n{_table_of(ModelCard)}"
    rows = []
    for name in _own(MODELS):
        card = MODELS.load(name)
        size = f"{card.clip_len} frames, {_plain(card.geometry.resize)} → {card.geometry.crop}"
        shipped = card.torchvision or card.fetched or (card.weights and card.weights.name)
        more = (f"`{value}`" if value else "–" for value in (card.cam_layer, card.head, shipped))
        rows.append((f"`{name}`", size, str(len(card.categories)), *more))
    head = ("name", "frames, resize → crop", "classes", "`cam_layer`", "`head`", "default weights")
    yield "### Registered networks\n\n" + _table(rows, head)


def by_class(registry: Registry) -> dict[type, dict[str, Mapping[str, Any]]]:
    """Classes of this package in the order of their names, each with its names and the settings that these preset."""
    found: dict[type, dict[str, Mapping[str, Any]]] = {}
    for name in _own(registry):
        factory = registry.load(name)
        cls, settings = (factory.func, factory.keywords) if isinstance(factory, partial) else (factory, {})
        found.setdefault(cls, {})[name] = settings
    return found


def _own(registry: Registry) -> list[str]:
    return [name for name, path in registry.items() if path.startswith("swagv.")]  # other packages register theirs


def said_of(cls: type) -> str:
    """What stands in a class's docstring before its first section, as Markdown."""
    return _markdown(re.split(r"^\w+\n-+$", inspect.getdoc(cls), maxsplit=1, flags=re.M)[0])


def parameters(cls: type) -> dict[tuple[str, ...], str]:
    """The Parameters sections of a class and its bases: names that are described together, and what is said of them."""
    found: dict[tuple[str, ...], list[str]] = {}
    for base in reversed(cls.__mro__):
        text = inspect.cleandoc(base.__dict__.get("__doc__") or "")
        section = re.search(r"^Parameters\n-+\n(.*?)(?=^\w+\n-+$|\Z)", text, re.M | re.S)
        for line in section[1].splitlines() if section else ():
            if line and not line.startswith(" "):
                found[names := tuple(line.split(", "))] = []
            else:
                found[names].append(line)
    return {names: _markdown("\n".join(lines)) for names, lines in found.items()}


def _table_of(cls: type) -> str:
    """A row for each field, or for fields that are described together; one without a word has no meaning."""
    own, hints, rows = {item.name: _default(item) for item in fields(cls)}, get_type_hints(cls), []
    told = {tuple(name for name in names if name in own): meaning for names, meaning in parameters(cls).items()}
    told |= {(name,): "" for name in own if not any(name in names for names in told)}
    for names in sorted(filter(None, told), key=lambda names: list(own).index(names[0])):
        kinds = dict.fromkeys(_kind(hints[name]) for name in names)
        defaults = ", ".join(_shown(own[name]) for name in names)
        rows.append((", ".join(f"`{name}`" for name in names), ", ".join(kinds), defaults, told[names]))
    return _table(rows)


def _table(rows: list[tuple[str, ...]], head: tuple[str, ...] = ("key", "value", "default", "meaning")) -> str:
    return "".join(f"| {' | '.join(line)} |\n" for line in (head, ("---",) * len(head), *rows))


def _kind(hint: Any) -> str:
    """A type of Python in words."""
    origin, options = get_origin(hint), get_args(hint)
    if origin is tuple:
        return f"list of {'' if options[1:] == (...,) else f'{len(options)} '}{_kind(options[0])}s"
    if origin in (Union, UnionType):
        return " or ".join(_kind(option) for option in options if option is not type(None))
    words = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path"}
    return words.get(hint, "mapping" if origin is Mapping or is_dataclass(hint) else "object")


def _allowed(schema: Mapping[str, Any]) -> str:
    """What a part of the schema takes, in words."""
    if "oneOf" in schema:
        return " or ".join(map(_allowed, schema["oneOf"]))
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{_plain(value)}`" for value in schema.get("enum", [schema.get("const")]))
    words = {"string": "text", "integer": "whole number", "boolean": "true or false", "object": "mapping"}
    kind = schema.get("type", "true or false")  # channels_last, whose type the card checks
    kind = f"list of {_allowed(schema['items'])}s" if kind == "array" else words.get(kind, kind)
    low, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    start = f" from {low:,}" if low is not None else f" above {above:,}" if above is not None else ""
    return kind + start + (f" to {schema['maximum']:,}" if "maximum" in schema else "")


def _default(item: Any) -> Any:
    value = item.default if item.default_factory is MISSING else item.default_factory()
    return "needed" if value is MISSING else value


def _shown(value: Any) -> str:
    return value if value in ("–", "needed", "the card's", "the key") else f"`{_plain(value)}`"


def _plain(value: Any) -> str:
    """As YAML has it on one line."""
    value = asdict(value) if is_dataclass(value) else value
    return (
        (value or '""')
        if isinstance(value, str)
        else json.dumps(value, default=str).replace('"', "").replace("null", "none")
    )


def _markdown(text: str) -> str:
    """Paragraphs of a docstring, each on one line; its ``"code"`` between single backticks, and as YAML has it."""
    lines = "\n\n".join(" ".join(part.split()) for part in text.strip().split("\n\n"))
    return re.sub(r'`"([^`"]+)"`', r"`\1`", lines.replace("``", "`"))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
