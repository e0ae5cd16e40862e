from collections import Counter
from dataclasses import fields

import pytest

from swagv.catalogue import METHODS
from swagv.config import explainer_of
from swagv.methods.explainer import Explainer

# So that each method ends soon; each number differs from the others.
FEW = {"steps": 3, "n_samples": 5, "n_masks": 7, "iterations": 2}


@pytest.fixture
def counted(toy_model, as_classifier):
    """A network for every method, and how many clips it has seen, and passed gradients back for."""
    model, seen = as_classifier(toy_model.network), Counter()
    model.cam_layer, model.head = "2", "5.linear"

    def count(network, inputs, logits):
        seen["forward"] += len(logits)
        if logits.requires_grad:
            logits.register_hook(lambda gradient: seen.update(backward=len(gradient)))

    handle = model.network.register_forward_hook(count)
    yield model, seen
    handle.remove()


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_declares_the_passes_that_it_takes(name, counted, toy_clips):
    (model, seen), (clips, target) = counted, toy_clips
    known = {item.name for item in fields(explainer_of(name, "", {}))}
    method = explainer_of(name, "", {key: value for key, value in FEW.items() if key in known})
    declared = method.passes(tuple(clips.shape[2:]))
    method(model, clips, target)
    assert (seen["forward"], seen["backward"]) == (2 * declared.forward, 2 * declared.backward)


def test_defaults_are_the_papers_numbers():
    shape = (16, 112, 112)
    found = {name: explainer_of(name, "", {}).passes(shape) for name in METHODS}
    assert (found["ep3d"].forward, found["ep3d"].backward) == (2000, 2000)
    assert (found["rise3d"].forward, found["rise3d"].backward) == (4000, 0)
    assert found["occlusion3d"].forward == 1 + 4 * 13 * 13
    assert found["swagv_ig"] == found["guided_backprop"]


def test_a_method_that_does_not_say_is_not_one_without_passes():
    assert Explainer().passes((16, 112, 112)) is None
