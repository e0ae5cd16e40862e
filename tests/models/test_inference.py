import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from swagv.errors import ConfigError
from swagv.geometry import Geometry
from swagv.models.classifier import VideoClassifier
from swagv.models.inference import fold_batch_norms, for_inference

CLIPS = torch.randn(2, 3, 4, 6, 6, generator=torch.Generator().manual_seed(0))


class Own(nn.Module):
    """A network with every way of reading a convolution that decides whether its batch norm can be folded."""

    def __init__(self):
        super().__init__()
        self.plain, self.plain_norm = nn.Conv3d(3, 5, 3, padding=1, bias=False), nn.BatchNorm3d(5)
        self.shown, self.shown_norm = nn.Conv3d(5, 5, 3, padding=1), nn.BatchNorm3d(5)
        self.shared, self.first_norm, self.second_norm = nn.Conv3d(5, 5, 1), nn.BatchNorm3d(5), nn.BatchNorm3d(5)
        self.hooked, self.hooked_norm = nn.Conv3d(5, 5, 1), nn.BatchNorm3d(5)
        self.normed, self.normed_norm = parametrizations.weight_norm(nn.Conv3d(5, 5, 1)), nn.BatchNorm3d(5)
        self.alone = nn.BatchNorm3d(5)

    def forward(self, x):
        assert x.shape[2] > 1  # a question that symbolic tracing could not answer
        x = self.plain_norm(self.plain(x)).relu()
        seen = self.shown(x)
        x = self.shown_norm(seen) + seen
        x = self.second_norm(self.shared(self.first_norm(self.shared(x)).relu_()))
        x = self.normed_norm(self.normed(self.hooked_norm(self.hooked(x))))
        return self.alone(x).mean((2, 3, 4))


def settled(network):
    """Batch norms that are not the identity."""
    generator = torch.Generator().manual_seed(1)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm3d):
            for values in (layer.weight, layer.bias, layer.running_mean, layer.running_var):
                values.data.uniform_(0.5, 1.5, generator=generator)
    return network.eval()


def test_folds_only_what_nothing_else_reads():
    network = settled(Own())
    seen = []
    network.hooked.register_forward_hook(lambda layer, inputs, output: seen.append(output))
    with torch.no_grad():
        before = network(CLIPS)
        assert torch.equal(fold_batch_norms(network, CLIPS), before)
        after = network(CLIPS)
    assert isinstance(network.plain_norm, nn.Identity)
    assert network.plain.bias is not None
    left = [name for name, layer in network.named_modules() if isinstance(layer, nn.BatchNorm3d)]
    assert left == ["shown_norm", "first_norm", "second_norm", "hooked_norm", "normed_norm", "alone"]
    assert torch.allclose(before, after, rtol=1e-5, atol=1e-6)
    assert torch.equal(seen[0][0, 0] > 0, seen[-1][0, 0] > 0)
    assert not network.shown._forward_hooks


def test_a_batch_norm_in_training_stays():
    network = settled(Own())
    network.plain_norm.train()
    fold_batch_norms(network, CLIPS[:1])
    folded = [name for name, layer in network.named_modules() if isinstance(layer, nn.Identity)]
    assert folded == ["hooked_norm"]  # that of the convolution which has no hook here


@pytest.mark.parametrize(("name", "norms"), [("r2plus1d_demo", 37), ("c3d_demo", 8)])
def test_a_ready_classifier_gives_the_same_scores_and_the_given_one_is_untouched(name, norms, demo_models):
    model = demo_models[name]
    clips = torch.randn(3, 3, 16, 112, 112, generator=torch.Generator().manual_seed(2))
    state = {key: value.clone() for key, value in model.state_dict().items()}
    ready, half = for_inference(model), for_inference(model, "bf16")
    counts = [sum(isinstance(layer, nn.BatchNorm3d) for layer in one.modules()) for one in (model, ready, half)]
    assert counts == [norms, 0, 0]
    with torch.inference_mode():
        expected = model(clips)
        assert torch.allclose(ready(clips), expected, rtol=1e-5, atol=2e-5)
        rounded = half(clips)
    assert rounded.dtype == torch.float32
    assert 0 < (rounded.softmax(1) - expected.softmax(1)).abs().max() < 0.02
    assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())
    assert for_inference(ready) is ready
    with pytest.raises(ConfigError, match="ready for fp32"):
        for_inference(ready, "bf16")
    with pytest.raises(ConfigError, match="needs a GPU"):
        for_inference(model, "tf32")


def classifier(network):
    plain = {"categories": (), "geometry": Geometry(6, 6), "clip_len": 4, "mean": (0.0,) * 3, "std": (1.0,) * 3}
    return VideoClassifier(network.eval(), **plain)


class Known(nn.Module):
    """A convolution and a batch norm that have two names each, of which the second is called."""

    def __init__(self):
        super().__init__()
        self.convolution, self.norm = nn.Conv3d(3, 5, 3), nn.BatchNorm3d(5)
        self.body = nn.Sequential(self.convolution, self.norm)

    def forward(self, x):
        return self.body(x).mean((2, 3, 4))


class Functional(Known):
    """The same, which also uses the weights that folding changes."""

    def forward(self, x):
        return super().forward(x) + nn.functional.conv3d(x, self.convolution.weight).mean((2, 3, 4))


class Attribute(Known):
    """The same, which reads what an identity does not have."""

    def forward(self, x):
        return super().forward(x) + self.norm.bias


@pytest.mark.parametrize(("network", "norms"), [(Known, 0), (Functional, 1), (Attribute, 1)])
def test_folding_never_changes_what_a_network_computes(network, norms):
    model = classifier(settled(network()))
    ready = for_inference(model)
    assert sum(isinstance(layer, nn.BatchNorm3d) for layer in ready.modules()) == norms
    with torch.no_grad():
        assert torch.allclose(ready(CLIPS), model(CLIPS), rtol=1e-4, atol=1e-5)
