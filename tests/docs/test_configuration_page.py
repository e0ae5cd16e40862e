"""docs/configuration.md: made by its generator, and with a meaning for everything that a configuration can say."""

import re
from dataclasses import dataclass, fields

import pytest
import yaml

from docs import reference
from swagv.catalogue import DATASETS, METHODS, METRICS
from swagv.clips import ClipSelection
from swagv.geometry import Geometry
from swagv.models.cards import SETTINGS

PAGE = reference.PAGE.read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### (.+?)\n(.*?)(?=^##|\Z)", PAGE, re.M | re.S))
SCHEMA = yaml.safe_load(reference.SCHEMA.read_text(encoding="utf-8"))["properties"]
CLASSES = [
    (", ".join(f"`{name}`" for name in names), cls)
    for registry in (DATASETS, METHODS, METRICS)
    for cls, names in reference.by_class(registry).items()
]


def meanings(title):
    """Key -> what its row says of it, of one section."""
    found = {}
    for line in re.findall(r"^\| (`.+) \|$", SECTIONS[title], re.M):
        names, _, _, meaning = re.split(r" \| ", line)
        found |= dict.fromkeys(re.findall(r"`(\w+)`", names), meaning.strip())
    return found


def test_the_page_is_what_the_generator_makes():
    assert reference.page() == PAGE, "run: python docs/reference.py"


@pytest.mark.parametrize("section", SCHEMA)
def test_every_key_of_the_schema_has_a_meaning(section):
    named = "additionalProperties" in SCHEMA[section] and SCHEMA[section]["additionalProperties"]
    title = f"`{section}.NAME`" if named else f"`{section}`"
    assert SECTIONS[title].strip().partition("\n")[0]
    keys = (named or SCHEMA[section]).get("properties", {})
    told = meanings(title) if keys else {}
    assert told.keys() == keys.keys()
    assert all(len(said) > 8 for said in told.values()), told


@pytest.mark.parametrize(("title", "cls"), CLASSES, ids=[title for title, _ in CLASSES])
def test_every_setting_has_a_meaning(title, cls):
    told = meanings(title) if fields(cls) else {}
    assert told.keys() == {item.name for item in fields(cls)}
    assert all(len(said) > 8 for said in told.values()), told


@pytest.mark.parametrize(("part", "cls"), [("clips", ClipSelection), ("geometry", Geometry)])
def test_so_has_every_key_of_clips_and_geometry(part, cls):
    assert meanings(f"`datasets.NAME.{part}`").keys() == {item.name for item in fields(cls)}


def test_every_name_of_the_catalogue_is_on_the_page_once():
    shown = re.findall(r"`(\w+)`", " ".join(title for title, _ in CLASSES))
    own = [name for registry in (DATASETS, METHODS, METRICS) for name, path in registry.items() if "swagv." in path]
    assert sorted(shown) == sorted(own)


def test_what_a_configuration_may_set_of_a_network_is_on_its_card():
    """And in the schema, so that a card's new field reaches both."""
    assert set(SETTINGS) <= meanings("`models.NAME`").keys()
    assert set(SETTINGS) <= meanings("`ModelCard`").keys()


def test_a_field_that_nobody_described_is_an_empty_row():
    """So that the tests above see it."""

    @dataclass
    class New:
        """One setting.

        Parameters
        ----------
        told
            What it is.
        """

        told: int = 1
        untold: tuple[int, int] | None = None

    *_, one, other = reference._table_of(New).splitlines()
    assert one == "| `told` | whole number | `1` | What it is. |"
    assert other == "| `untold` | list of 2 whole numbers | `none` |  |"
