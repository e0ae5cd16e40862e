"""EP-3D's mask generator and pyramid against torchray, where a user has installed it (non-commercial licence)."""

import pytest
import torch

from swagv.methods.extremal_mask import BlurPyramid, MaskGenerator

torchray = pytest.importorskip("torchray.attribution.extremal_perturbation", exc_type=ImportError)


@pytest.mark.parametrize(("side", "sigma"), [(112, 11), (224, 23), (30, 4)])
def test_masks_equal_torchray(side, sigma):
    ours, theirs = MaskGenerator(side, side, 7, sigma), torchray.MaskGenerator((side, side), 7, sigma)
    values = torch.rand(3, *ours.grid, generator=torch.Generator().manual_seed(0))
    cropped, full = theirs.generate(values[:, None])
    mask = ours(values)
    # Both are in single precision and up to 4e-6 from the same in double.
    assert (mask - full[:, 0]).abs().max() <= 1e-5
    assert (ours.crop(mask) - cropped[:, 0]).abs().max() <= 1e-5


def test_pyramid_equals_torchray():
    clips = torch.randn(1, 3, 4, 40, 40, generator=torch.Generator().manual_seed(0))
    mask = torch.rand(1, 4, 40, 40, generator=torch.Generator().manual_seed(1))
    found = BlurPyramid(clips, 8, 20.0)(mask)
    for t in range(4):
        theirs = torchray.Perturbation(clips[:, :, t], 8, 20).apply(mask[:, t][:, None])
        assert (found[:, :, t] - theirs).abs().max() <= 1e-5
