"""Every example in a docstring runs as it stands, and what `import swagv` offers has one."""

import doctest
import importlib
import inspect
import pkgutil

import pytest

import swagv
import swagv.viz

MODULES = sorted(found.name for found in pkgutil.walk_packages(swagv.__path__, "swagv."))
PUBLIC = [getattr(swagv, name) for name in swagv.__all__ if name != "viz"]
PUBLIC += [swagv.viz.overlay, swagv.viz.filmstrip, swagv.viz.write_video, swagv.viz.heatmap, swagv.viz.Scale.of]


@pytest.mark.parametrize("module", MODULES)
def test_examples(module):
    result = doctest.testmod(importlib.import_module(module))
    assert result.failed == 0


@pytest.mark.parametrize("function", PUBLIC, ids=lambda function: function.__qualname__)
def test_the_public_functions_are_documented_and_typed(function):
    assert ">>> " in function.__doc__
    signature = inspect.signature(function)
    assert signature.return_annotation is not signature.empty
    for name, parameter in signature.parameters.items():
        assert parameter.annotation is not parameter.empty, name
        assert name in function.__doc__, name


def test_a_failing_example_is_found():
    """The runner does run: an example with a wrong answer fails in it."""
    parser = doctest.DocTestParser()
    wrong = parser.get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, None)
    assert doctest.DocTestRunner(verbose=False).run(wrong, out=lambda text: None).failed == 1
