"""Insertion and deletion against torchcam's metric."""

import pytest
import torch
import torchcam.metrics
from torchcam.methods import GradCAM
from torchcam.metrics import DeletionInsertionMetric

from swagv.metrics.insertion_deletion import InsertionDeletion


@pytest.mark.parametrize(("name", "tied"), [("r2plus1d_demo", False), ("c3d_demo", False), ("c3d_demo", True)])
def test_areas_equal_torchcam(name, tied, demo_models, monkeypatch):
    if tied:  # five values, as a map of few supervoxels has
        resize = torchcam.metrics._resize_cam
        monkeypatch.setattr(torchcam.metrics, "_resize_cam", lambda *given: (4 * resize(*given)).round())
    model, target = demo_models[name], 2
    clips = torch.randn(1, 3, 16, 112, 112, generator=torch.Generator().manual_seed(3))
    with GradCAM(model, f"network.{model.cam_layer}", input_shape=(3, 16, 112, 112)) as extractor:
        oracle = DeletionInsertionMetric(extractor, lambda logits: logits.softmax(-1), steps=28, batch_size=8)
        oracle.update(clips, class_idx=target)
        expected = oracle.summary()
        low = extractor(target, model(clips).softmax(-1))[0]  # the metric ranks by the scores' gradient
    attribution = torchcam.metrics._resize_cam(low, (16, 112, 112)).detach()
    assert (len(attribution.unique()) == 5) == tied
    ours = InsertionDeletion()(model, clips, attribution.reshape(1, 16, 112, 112), torch.tensor([target]))
    assert ours["deletion_auc"].item() == pytest.approx(expected["deletion_auc"], abs=1e-6)
    assert ours["insertion_auc"].item() == pytest.approx(expected["insertion_auc"], abs=1e-6)
