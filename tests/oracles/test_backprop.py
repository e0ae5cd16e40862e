"""Guided backprop against captum, and against hand-written hooks where captum is silently wrong."""

import copy

import captum.attr
import pytest
import torch
from torch import nn

from swagv.errors import NotApplicable
from swagv.methods.guided_backprop import guided_gradient
from swagv.models.build import build_model


def out_of_place(model):
    """captum's backward hooks refuse in-place ReLU."""
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False


@pytest.mark.parametrize("name", ["r2plus1d_demo", "c3d_demo"])
def test_guided_backprop_equals_captum(name, demo_models):
    model = copy.deepcopy(demo_models[name])
    clips = torch.randn(2, 3, 16, 112, 112, generator=torch.Generator().manual_seed(0))
    target = torch.tensor([1, 4])
    ours = guided_gradient(model, clips, target)  # with its ReLUs in place, as they are
    out_of_place(model)
    with pytest.warns(UserWarning, match="ReLU"):
        theirs = captum.attr.GuidedBackprop(_Flat(model)).attribute(clips.clone().requires_grad_(), target=target)
    assert (ours - theirs).abs().max() <= 1e-6 * theirs.abs().max()


@pytest.mark.parametrize(
    ("name", "size"), [("r2plus1d_18", (8, 56, 56)), ("r3d_18", (8, 56, 56)), ("c3d", (16, 112, 112))]
)
def test_guided_backprop_equals_captum_on_the_published_networks(name, size):
    """At full width, with fresh weights and batch norms that have seen these clips; R3D is torchvision's own."""
    torch.manual_seed(0)
    model = build_model(name, None)
    clips = torch.randn(1, 3, *size)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm3d):
                module.train()
                module.momentum = None  # the statistics of what it has seen, not a trace of them
        model(clips)
    model.eval()
    target = torch.tensor([7])
    ours = guided_gradient(model, clips, target)
    out_of_place(model)
    with pytest.warns(UserWarning, match="ReLU"):
        theirs = captum.attr.GuidedBackprop(_Flat(model)).attribute(clips.clone().requires_grad_(), target=target)
    assert theirs.abs().max() > 0
    assert (ours - theirs).abs().max() <= 1e-6 * theirs.abs().max()


class _Flat(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, clips):
        return self.model(clips)


SPELLINGS = {
    "module": lambda: nn.ReLU(),
    "module in place": lambda: nn.ReLU(inplace=True),
    "F.relu": lambda: nn.functional.relu,
    "F.relu in place": lambda: lambda x: nn.functional.relu(x, inplace=True),
    "torch.relu": lambda: torch.relu,
    "Tensor.relu": lambda: lambda x: x.relu(),
    "Tensor.relu_": lambda: lambda x: x.relu_(),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_of_relu_equals_the_definition(spelling):
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(5, 7, generator=generator), torch.randn(3, 5, generator=generator)
    x = torch.randn(4, 7, generator=generator)
    relu = SPELLINGS[spelling]()
    ours = guided_gradient(lambda clips: relu(clips @ first.T + 0) @ second.T, x, torch.tensor([0, 1, 2, 0]))
    hidden = x @ first.T
    grad_out = second[torch.tensor([0, 1, 2, 0])]
    assert torch.allclose(ours, (grad_out.clamp(min=0) * (hidden > 0)) @ first, atol=1e-6)


def test_network_without_relu_is_refused():
    with pytest.raises(NotApplicable, match="calls none"):
        guided_gradient(nn.Sequential(nn.Linear(3, 2), nn.GELU()), torch.randn(1, 3), torch.tensor([0]))
