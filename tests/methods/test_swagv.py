import numpy as np
import torch

from swagv.methods.swagv import SwagV


def test_the_map_is_one_value_in_each_of_its_supervoxels(demo_models):
    model, method = demo_models["c3d_demo"], SwagV(n_segments=20)
    clips = torch.randn(2, 3, 16, 112, 112, generator=torch.Generator().manual_seed(0))
    target = torch.tensor([0, 1])
    found, labels = method.with_labels(model, clips, target)
    assert labels.shape == found.shape == (2, 16, 112, 112)
    for one, segments in zip(found.numpy(), labels, strict=True):
        for label in range(segments.max() + 1):
            assert np.ptp(one[segments == label]) == 0
    assert torch.equal(found, method(model, clips, target))
