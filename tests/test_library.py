import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

import swagv
import swagv.library
from swagv.errors import ConfigError, NotApplicable
from swagv.methods.controls import Centre
from swagv.methods.layer_maps import last_map
from swagv.metrics.insertion_deletion import InsertionDeletion
from tests.conftest import ROOT


class Mine(nn.Module):
    """A network of a user's own, with a view of its feature maps and dropout."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv3d(3, 5, 3, 2, 1), nn.ReLU())
        self.drop, self.fc = nn.Dropout(0.5), nn.Linear(5 * 4 * 8 * 8, 4)

    def forward(self, clips):
        return self.fc(self.drop(self.features(clips).view(len(clips), -1)))


@pytest.fixture
def mine():
    torch.manual_seed(0)
    return Mine()


@pytest.fixture
def clips():
    return torch.randn(2, 3, 8, 16, 16, generator=torch.Generator().manual_seed(0))


def test_importing_swagv_imports_no_torch():
    code = "import sys, swagv; print({'torch', 'zarr', 'pandas', 'skimage'} & set(sys.modules))"
    call = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert call.stdout.strip() == "set()"


@pytest.mark.parametrize("method", ["guided_backprop", "swagv_ig", "sobel", "random_noise", "centre"])
def test_any_module_with_a_clip_as_input(method, mine, clips):
    assert mine.training
    found = swagv.explain(mine, clips, method)
    assert found.shape == (2, 8, 16, 16)
    assert found.dtype == torch.float32
    assert torch.equal(found, swagv.explain(mine, clips, method))  # no dropout in it
    assert all(module.training for module in mine.modules())
    assert all(parameter.grad is None for parameter in mine.parameters())


@pytest.mark.parametrize("method", ["sobel", "swagv_ig", "random"])
def test_a_clip_is_explained_the_same_in_any_company(method, mine, clips):
    clips[1] *= 5
    both = swagv.explain(mine, clips, method, clip_ids=["a", "b"])
    assert torch.equal(both[1:], swagv.explain(mine, clips[1:], method, clip_ids=["b"]))
    assert not torch.equal(both[0], both[1])


def test_the_layer_of_a_network_that_names_none_is_its_last_map(mine, clips):
    assert torch.equal(swagv.explain(mine, clips, "grad_cam"), swagv.explain(mine, clips, "grad_cam", layer="features"))
    pooled = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 16 * 16, 2))
    with pytest.raises(NotApplicable, match=r"this network has none. Set `layer`, of 0, 1"):
        swagv.explain(pooled, clips, "grad_cam")


@pytest.mark.parametrize(
    "name", ["r2plus1d_18", "r2plus1d_18_vmz", "r3d_18", "mc3_18", "s3d", "i3d", "c3d", "c3d_sports1m"]
)
def test_the_last_map_is_what_the_cards_name(name):
    with torch.device("meta"):
        model = swagv.load_model(name, weights=None)
        named = last_map(model, torch.zeros(1, 3, model.clip_len, model.crop, model.crop))
    assert named in (model.cam_layer, model.cam_layer.rpartition(".")[0])  # s3d: the stage ends with its last part


def test_targets(mine, clips):
    mine.eval()
    top1 = mine(clips).argmax(1)
    default = swagv.explain(mine, clips, "guided_backprop")
    assert torch.equal(default, swagv.explain(mine, clips, "guided_backprop", top1))
    one = swagv.explain(mine, clips, "guided_backprop", target=3)
    assert torch.equal(one, swagv.explain(mine, clips, "guided_backprop", target=[3, 3]))
    model = swagv.load_model("c3d_demo", weights=None)
    blank = torch.randn(1, 3, 16, 112, 112, generator=torch.Generator().manual_seed(0))
    by_name = swagv.explain(model, blank, "grad_cam", target=["spin"])
    assert torch.equal(by_name, swagv.explain(model, blank, "grad_cam", target=model.categories.index("spin")))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "grad_cm"}, "unknown method 'grad_cm'. Did you mean 'grad_cam'"),
        ({"method": "grad_cam", "layr": "x"}, "no setting 'layr'. Did you mean 'layer'"),
        ({"method": Centre(), "seed": 1}, "an explainer has its settings"),
        ({"target": 4}, "give one class or 2, each from 0 to 3"),
        ({"target": [0, 1, 2]}, "give one class or 2"),
        ({"target": 1.7}, "give one class or 2"),
        ({"target": True}, "give one class or 2"),
        ({"target": "spn"}, "'spn' is not a category"),
        ({"clip_ids": ["a"]}, "1 clip_ids for 2 clips"),
        ({"method": "torch:relu"}, "'torch:relu' is not a swagv Explainer"),
    ],
)
def test_mistakes(arguments, message, mine, clips):
    with pytest.raises(ConfigError) as error:
        swagv.explain(mine, clips, **arguments)
    assert message in str(error.value)


def test_clips_of_another_rank_or_type(mine, clips):
    for wrong in (clips[0], (clips * 100).to(torch.uint8), clips[:0], clips.numpy(), None):
        with pytest.raises(ConfigError, match="clips must be a float tensor N,3,T,H,W of one clip or more; got"):
            swagv.explain(mine, wrong)
    with pytest.raises(ConfigError, match="clips hold NaN or infinity"):
        swagv.explain(mine, clips * torch.inf, "guided_backprop")


def test_evaluate_is_the_metric(mine, clips):
    attribution = swagv.explain(mine, clips, "swagv_ig")
    boxes = np.tile(np.float32([2, 3, 9, 12]), (2, 8, 1))
    found = swagv.evaluate(mine, clips, attribution, metrics=("insertion_deletion", "localisation"), boxes=boxes)
    mine.eval()
    expected = InsertionDeletion()(mine, clips, attribution, mine(clips).argmax(1))
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    assert found["hits_value"].shape == (2, 20)
    few = swagv.evaluate(mine, clips, attribution.numpy(), metrics=InsertionDeletion(steps=3))
    assert few["deletion_curve"].shape == (2, 4)


def test_evaluate_in_bfloat16_is_near_and_not_the_same(demo_models):
    model = demo_models["c3d_demo"]
    clips = torch.randn(1, 3, 16, 112, 112, generator=torch.Generator().manual_seed(0))
    attribution = swagv.explain(model, clips, "centre")
    metric = InsertionDeletion(steps=2)
    full, half = (
        swagv.evaluate(model, clips, attribution, metrics=metric, precision=name) for name in ("fp32", "bf16")
    )
    difference = (full["insertion_curve"] - half["insertion_curve"]).abs().max()
    assert 0 < difference < 0.05


def test_evaluate_says_what_is_missing(mine, clips):
    attribution = torch.rand(2, 8, 16, 16)
    with pytest.raises(ConfigError, match="Localisation needs boxes"):
        swagv.evaluate(mine, clips, attribution, metrics=["localisation"])
    with pytest.raises(ConfigError, match="no metric among insertion_deletion takes boxes"):
        swagv.evaluate(mine, clips, attribution, boxes=None)
    with pytest.raises(ConfigError, match="precision='fp8': must be one of fp32, tf32, bf16"):
        swagv.evaluate(mine, clips, attribution, precision="fp8")


def test_networks_that_cannot_be_taken_are_said_at_once(mine):
    for network, message in ((None, "give a name or a torch.nn.Module"), (mine.double(), "give network.float()")):
        with pytest.raises(ConfigError, match=message):
            swagv.load_model(network)
    with pytest.raises(ConfigError, match="device 'cuda:99'"):
        swagv.load_model("c3d_demo", device="cuda:99")


def test_clips_of_inference_mode(mine, clips):
    with torch.inference_mode():
        made = clips.clone()
    assert torch.equal(swagv.explain(mine, made, "guided_backprop"), swagv.explain(mine, clips, "guided_backprop"))
