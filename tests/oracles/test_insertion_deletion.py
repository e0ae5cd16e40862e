"""Insertion and deletion against torchcam's metric."""

from itertools import pairwise

import pytest
import torch
import torchcam.metrics
from torch import nn
from torchcam.methods import GradCAM
from torchcam.metrics import DeletionInsertionMetric

from swagv.geometry import Geometry
from swagv.metrics.insertion_deletion import InsertionDeletion
from swagv.models.classifier import VideoClassifier
from swagv.models.inference import for_inference
from swagv.models.winograd import WinogradConv3d


def torchcams(model, layer, clips, target):
    """Its areas of a clip 1,3,T,H,W, and the map 1,T,H,W that it takes."""
    shape = clips.shape[2:]
    with GradCAM(model, layer, input_shape=clips.shape[1:]) as extractor:
        oracle = DeletionInsertionMetric(extractor, lambda logits: logits.softmax(-1), steps=28, batch_size=8)
        oracle.update(clips, class_idx=target)
        low = extractor(target, model(clips).softmax(-1))[0]  # the metric ranks by the scores' gradient
    return oracle.summary(), torchcam.metrics._resize_cam(low, tuple(shape)).detach().reshape(1, *shape)


@pytest.mark.parametrize(("name", "tied"), [("r2plus1d_demo", False), ("c3d_demo", False), ("c3d_demo", True)])
def test_areas_equal_torchcam(name, tied, demo_models, monkeypatch):
    if tied:  # five values, as a map of few supervoxels has
        resize = torchcam.metrics._resize_cam
        monkeypatch.setattr(torchcam.metrics, "_resize_cam", lambda *given: (4 * resize(*given)).round())
    model, target = demo_models[name], 2
    clips = torch.randn(1, 3, 16, 112, 112, generator=torch.Generator().manual_seed(3))
    expected, attribution = torchcams(model, f"network.{model.cam_layer}", clips, target)
    assert (len(attribution.unique()) == 5) == tied
    ours = InsertionDeletion()(model, clips, attribution, torch.tensor([target]))
    assert ours["deletion_auc"].item() == pytest.approx(expected["deletion_auc"], abs=1e-6)
    assert ours["insertion_auc"].item() == pytest.approx(expected["insertion_auc"], abs=1e-6)


class Wide(nn.Module):
    """Four convolutions, of which three are computed by Winograd's algorithm where that is allowed."""

    def __init__(self):
        super().__init__()
        widths = (3, 64, 80, 64, 96)
        layers = [nn.Conv3d(*pair, 3, padding=1, bias=False) for pair in pairwise(widths)]
        for layer in layers:
            nn.init.kaiming_normal_(layer.weight)
        self.body = nn.Sequential(*(part for layer in layers for part in (layer, nn.ReLU())))
        self.head = nn.Linear(96, 5, bias=False)

    def forward(self, clips):
        return 20 * self.head(self.body(clips).mean((2, 3, 4)))


def test_areas_of_a_network_made_ready_equal_torchcams_of_the_network_as_it_is():
    torch.manual_seed(1)
    plain = {"categories": (), "geometry": Geometry(28, 28), "clip_len": 4, "mean": (0.0,) * 3, "std": (1.0,) * 3}
    model = VideoClassifier(Wide().eval(), **plain)
    ready = for_inference(model)
    assert sum(isinstance(layer, WinogradConv3d) for layer in ready.modules()) == 3
    clips = torch.rand(1, 3, 4, 28, 28)
    with torch.no_grad():
        target = int(model(clips).argmax())
    expected, attribution = torchcams(model, "network.body.7", clips, target)
    ours = InsertionDeletion()(ready, clips, attribution, torch.tensor([target]))
    curves = ours["deletion_curve"]
    assert curves.max() - curves.min() > 0.5
    assert ours["deletion_auc"].item() == pytest.approx(expected["deletion_auc"], abs=1e-5)
    assert ours["insertion_auc"].item() == pytest.approx(expected["insertion_auc"], abs=1e-5)
