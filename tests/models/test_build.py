"""Cards, settings and factories."""

import numpy as np
import pytest
import torch

from swagv.catalogue import MODELS
from swagv.config import Evaluation, load_config
from swagv.errors import ConfigError
from swagv.geometry import Geometry
from swagv.models.build import build_model
from swagv.models.cards import KINETICS400, ModelCard, load_card
from tests.conftest import ROOT
from tests.models.own_network import Small

DEMO = load_config(ROOT / "config" / "config.yaml")
DEMO.pop("experiments")  # of one of its networks
OWN = "tests.models.own_network"


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_registered_card_is_whole(name):
    card = load_card(name)
    assert isinstance(card, ModelCard)
    assert card.cam_layer
    assert len(set(card.categories)) == len(card.categories) > 1
    assert len(card.categories) in (6, 400, 487)


def test_kinetics_names_are_the_400_in_alphabetical_order():
    assert len(KINETICS400) == 400
    assert list(KINETICS400) == sorted(KINETICS400, key=str.casefold)
    assert (KINETICS400[0], KINETICS400[-1]) == ("abseiling", "zumba")


def test_settings_stand_in_place_of_the_cards():
    model = build_model(
        "c3d_demo", clip_len=20, mean=[0.1, 0.2, 0.3], geometry={"resize": 120, "crop": 100}, bgr=True, head="fc8"
    )
    assert (model.clip_len, model.head, model.geometry) == (20, "fc8", Geometry(resize=120, crop=100))
    frames = np.zeros((1, 20, 100, 100, 3), np.uint8)
    frames[..., 2] = 255  # blue
    std = load_card("c3d_demo").std
    first = model.preprocess(frames)[0, :, 0, 0, 0].numpy()
    np.testing.assert_allclose(first, [(1 - 0.1) / std[0], -0.2 / std[1], -0.3 / std[2]], rtol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"clip_length": 8}, "no setting 'clip_length'. Did you mean 'clip_len'"),
        ({"factory": "os:sep"}, "no setting 'factory'"),
        ({"clip_len": 0}, "clip_len is 0; it must be at least 1"),
        ({"categories": "abc"}, "categories is 'abc'; it must be a list of names"),
        ({"mean": [1, 2]}, "mean is \\[1, 2\\]; it must be three numbers"),
        ({"bgr": 1}, "bgr is 1; it must be true or false"),
        ({"arguments": {"widht": 6}}, "cannot be called with .*'widht'"),
        ({"geometry": {"resize": 10, "crop": 20}}, "crop must be at least 1 and fit the resize"),
    ],
)
def test_settings_that_no_card_has(settings, message):
    with pytest.raises(ConfigError, match=message):
        build_model("c3d_demo", **settings)


def test_a_factory_is_called_with_its_arguments_alone_and_numbers_its_classes():
    model = build_model(f"{OWN}:small", arguments={"classes": 7}, clip_len=4)
    logits = model(torch.ones(2, 3, 4, 8, 8))
    assert logits.shape == (2, 7)
    assert model.categories == ("0", "1", "2", "3", "4", "5", "6")
    assert torch.equal(model.network.head.weight, torch.full((7, 3), 0.5))  # its own weights
    named = build_model(f"{OWN}:small", categories=["a", "b", "c", "d", "e"])
    assert named.categories == ("a", "b", "c", "d", "e")


def test_a_file_of_weights_goes_into_a_factorys_network(tmp_path):
    other = Small()
    torch.save(other.state_dict(), tmp_path / "w.pth")
    model = build_model(f"{OWN}:small", tmp_path / "w.pth")
    assert torch.equal(model.network.head.weight, other.head.weight)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (f"{OWN}:no_network", "gives a int; a torch.nn.Module is needed"),
        ("os:sep", "a ModelCard or a factory of a network is needed"),
        ("os.path:join", "os.path:join cannot be called with"),
        (f"{OWN}:smal", "cannot load"),
    ],
)
def test_factories_that_give_no_network(name, message):
    with pytest.raises(ConfigError, match=message):
        build_model(name)


def test_a_network_that_gives_no_logits_says_so():
    with pytest.raises(ConfigError, match=r"Identity gives \(1, 3, 2, 4, 4\); logits N,K are needed"):
        build_model(f"{OWN}:wrong_rank")(torch.zeros(1, 3, 2, 4, 4))


def test_arguments_that_a_network_refuses():
    with pytest.raises(ConfigError, match="mid_planes='vmzz': must be"):
        build_model("r2plus1d_18", None, arguments={"mid_planes": "vmzz"})
    with pytest.raises(ConfigError, match=r"no video network 'r3d_19'\. Did you mean 'r3d_18'"):
        build_model("r3d_18", None, arguments={"name": "r3d_19"})


def test_settings_of_the_configuration_reach_the_stages():
    from swagv.network_batches import load_for_stage

    own = {"type": f"{OWN}:small", "weights": "none", "cam_layer": "head", "mean": [0, 0, 0], "bgr": True}
    own["arguments"] = {"classes": 3}
    evaluation = Evaluation(DEMO | {"models": {"own": own, "same": own, "other": own | {"bgr": False}}})
    specs = {name: model.spec for name, model in evaluation.models.items()}
    assert specs["own"] == specs["same"]
    assert specs["own"]["content"] != specs["other"]["content"]
    model = load_for_stage(specs["own"], "cpu", 2)
    assert (model.cam_layer, model.bgr, model.network.head.out_features) == ("head", True, 3)
    assert evaluation.models["own"].card.factory == f"{OWN}:small"
