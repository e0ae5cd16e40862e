"""docs/methods.md: every method and metric has its heading, its defaults and its passes are those of the code."""

import re
from dataclasses import fields

import pytest
import yaml

from swagv.catalogue import METHODS, METRICS
from swagv.config import explainer_of
from swagv.metrics import needs_network
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### `(\w+)`\n(.*?)(?=^##|\Z)", PAGE, re.M | re.S))
# What a group says of all its methods stands before its first heading.
GROUPS = {
    name: shared
    for shared, group in re.findall(r"^## [^\n]+\n(.*?)(^###.*?)(?=^## |\Z)", PAGE, re.M | re.S)
    for name in re.findall(r"^### `(\w+)`", group, re.M)
}
SHAPE = (16, 112, 112)


def own(registry):
    return [name for name, path in registry.items() if path.startswith("swagv.")]


def made(name):
    return explainer_of(name, name, {}) if name in METHODS else METRICS.load(name)()


def settings(text):
    """Of ``key: value`` between backticks."""
    return [yaml.safe_load(found) for found in re.findall(r"(?<!`)`(\w+: [^`]+)`(?!`)", text)]


def test_every_name_has_one_heading_and_no_other_has():
    headings = re.findall(r"^### `(\w+)`$", PAGE, re.M)
    assert sorted(headings) == sorted(own(METHODS) + own(METRICS))
    assert re.findall(r"^### (?!`\w+`$).*", PAGE, re.M) == []


@pytest.mark.parametrize("name", SECTIONS)
def test_settings_are_those_of_the_code_with_their_defaults(name):
    subject = made(name)
    for said in settings(SECTIONS[name]):
        ((key, value),) = said.items()
        default = getattr(subject, key)  # fails where there is no such setting
        assert value == (list(default) if isinstance(default, tuple) else default), key


@pytest.mark.parametrize("name", own(METHODS))
def test_so_are_those_that_a_group_shares(name):
    subject = made(name)
    known = {item.name for item in fields(subject)}
    for said in settings(GROUPS[name]):
        for key, value in said.items():
            assert key not in known or value == getattr(subject, key), key


def test_settings_are_found():
    """Or the tests above would pass on a page that writes them otherwise."""
    assert {"n_segments": 120} in settings(SECTIONS["swagv_ig"])
    assert {"reduce": "max_abs"} in settings(GROUPS["guided_backprop"])
    assert len(settings(PAGE)) > 50


@pytest.mark.parametrize("name", SECTIONS)
def test_passes_are_those_of_the_code(name):
    subject = made(name)
    free = name in METRICS and not needs_network(subject)
    passes = None if free else subject.passes(SHAPE)
    forward, backward = re.search(r"^- Passes: ([\d,]+) forward(?:, ([\d,]+) backward)?", SECTIONS[name], re.M).groups()
    said = tuple(int((number or "0").replace(",", "")) for number in (forward, backward))
    assert said == ((0, 0) if free else (passes.forward, passes.backward))


@pytest.mark.parametrize("name", own(METRICS))
def test_every_score_has_its_arrow(name):
    for score, higher in METRICS.load(name).higher_is_better.items():
        assert f"`{score}` {'↑' if higher else '↓'}" in SECTIONS[name]


@pytest.mark.parametrize("name", own(METHODS))
def test_every_method_says_its_limits(name):
    assert len(re.search(r"^- Limits: (.+)", SECTIONS[name], re.M)[1]) > 20


def test_names_of_the_groups_are_in_the_order_of_the_catalogue():
    order = {name: place for place, name in enumerate(own(METHODS))}
    groups = [re.findall(r"^### `(\w+)`", part, re.M) for part in re.split(r"^## ", PAGE, flags=re.M)]
    firsts = [min(order[name] for name in group) for group in groups if group and group[0] in order]
    assert firsts == sorted(firsts)
    assert len(firsts) == 5
