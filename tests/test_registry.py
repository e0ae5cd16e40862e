import pytest

from swagv.catalogue import METHODS, MODELS
from swagv.errors import ConfigError
from swagv.registry import Registry


def test_a_name_given_twice_names_both():
    registry = Registry("thing", {"a": "x:A"})
    registry.add("a", "x:A")
    with pytest.raises(ConfigError, match="registered twice: as x:A and as y:B"):
        registry.add("a", "y:B")


def test_every_name_of_the_catalogue_loads():
    for registry in (METHODS, MODELS):
        assert all(registry.load(name) is not None for name in registry)


def test_unknown_names_list_the_known_ones():
    with pytest.raises(ConfigError, match=r"unknown method 'gradcam'\. Did you mean 'grad_cam'\? Known: centre, "):
        METHODS.load("gradcam")
