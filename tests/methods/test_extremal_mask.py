"""The parts of EP-3D against their definitions in plain loops and numpy."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from swagv.methods.extremal_mask import (
    BlurPyramid,
    MaskGenerator,
    _SmoothMax,
    area_loss,
    blur,
    core_loss,
    ellipsoid,
)


def slow_mask(values, step, sigma, padded):
    """One frame's mask by its definition; `values` (h, w)."""
    radius, padding = 1 + math.ceil(sigma / step), 1 + math.ceil(2 * sigma / step)
    mask = np.zeros(padded)
    for y, x in np.ndindex(*padded):
        weighted = []
        for i in range(y // step - padding, y // step - padding + 2 * radius + 1):
            for j in range(x // step - padding, x // step - padding + 2 * radius + 1):
                inside = 0 <= i < values.shape[0] and 0 <= j < values.shape[1]
                distance = math.hypot(y - (sigma + step * i), x - (sigma + step * j))
                kernel = math.exp(-2 * max(0, distance / sigma - 0.5) ** 2)
                weighted.append(kernel * values[i, j] if inside else 0.0)
        weighted = np.array(weighted)
        share = np.exp(20 * weighted)
        mask[y, x] = (weighted * share).sum() / share.sum()
    return mask


@pytest.mark.parametrize(("height", "width", "step", "sigma"), [(9, 12, 3, 2.5), (10, 14, 7, 11.0), (8, 6, 2, 5.0)])
def test_mask_equals_the_slow_definition(height, width, step, sigma):
    generator = MaskGenerator(height, width, step, sigma)
    values = torch.rand(2, *generator.grid, generator=torch.Generator().manual_seed(0))
    values[0, 0, 0] = 1
    found = generator(values)
    assert found.shape == (2, *generator.padded)
    for mask, one in zip(found, values.double().numpy(), strict=True):
        # Single precision, and the softmax magnifies rounding 20 times.
        assert np.abs(mask.numpy() - slow_mask(one, step, sigma, generator.padded)).max() <= 5e-6
    margin = round(sigma)
    assert torch.equal(generator.crop(found), found[:, margin : margin + height, margin : margin + width])


@pytest.mark.parametrize(("side", "sigma", "grid", "padded"), [(112, 11, 16, 134), (224, 23, 32, 260)])
def test_sizes_at_the_papers_settings(side, sigma, grid, padded):
    generator = MaskGenerator(side, side, 7, sigma)
    assert (generator.grid, generator.padded) == ((grid, grid), (padded, padded))
    assert generator.crop(generator(torch.ones(1, grid, grid))).shape == (1, side, side)


def test_gradient_of_the_smooth_maximum():
    generator = torch.Generator().manual_seed(0)
    candidates = torch.rand(5, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    weight = torch.rand(5, 4, generator=generator, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda one: _SmoothMax.apply(one, weight), candidates)
    value = weight[:, :, None] * candidates[:, None]
    assert torch.allclose(_SmoothMax.apply(candidates, weight), (value * (20 * value).softmax(0)).sum(0))


@pytest.mark.parametrize("sigma", [0.0, 20 / 7, 60 / 7, 20.0])
def test_blur_equals_scipy(sigma):
    clips = torch.randn(2, 3, 2, 30, 41, generator=torch.Generator().manual_seed(0))
    sigmas, reach = (0, 0, 0, sigma, sigma), math.ceil(4 * sigma)
    expected = gaussian_filter(clips.double().numpy(), sigmas, mode="constant", radius=(0, 0, 0, reach, reach))
    assert np.abs(blur(clips, sigma).numpy() - expected).max() <= 2e-6


def test_pyramid_is_linear_between_levels_and_intact_at_1():
    clips = torch.randn(2, 3, 2, 20, 20, generator=torch.Generator().manual_seed(0))
    pyramid = BlurPyramid(clips, 8, 20.0)
    assert torch.equal(pyramid(torch.ones(2, 2, 20, 20)), clips)
    assert torch.equal(pyramid(torch.zeros(2, 2, 20, 20)), blur(clips, 20.0))
    mask = torch.rand(2, 2, 20, 20, generator=torch.Generator().manual_seed(1))
    found = pyramid(mask)
    for n, t, y, x in ((0, 0, 0, 0), (1, 1, 19, 3), (0, 1, 7, 8), (1, 0, 12, 19)):
        level = 7 * float(mask[n, t, y, x])
        low, high = (blur(clips, 20 * (1 - one / 7))[n, :, t, y, x] for one in (int(level), int(level) + 1))
        expected = low + (level - int(level)) * (high - low)
        assert torch.allclose(found[n, :, t, y, x], expected, atol=1e-5)


def test_gradient_of_the_pyramid_is_the_slope_between_two_levels():
    clips = torch.randn(1, 2, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    pyramid = BlurPyramid(clips, 8, 20.0)
    mask = torch.full((1, 1, 12, 12), 0.5, requires_grad=True)  # level 3.5
    (found,) = torch.autograd.grad(pyramid(mask).sum(), mask)
    slope = 7 * (blur(clips, 20 * 3 / 7) - blur(clips, 20 * 4 / 7)).sum(1)
    assert torch.allclose(found, slope, atol=1e-4)


def slow_area_loss(mask, area):
    flat = np.sort(mask.ravel())
    reference = np.ones(flat.size)
    reference[: int(flat.size * (1 - area))] = 0
    return ((flat - reference) ** 2).mean()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.floats(0.01, 0.99), st.sampled_from([2, 5, 10**6]))
def test_area_loss_equals_the_sorted_definition_with_ties_too(seed, area, levels):
    rng = np.random.default_rng(seed)
    mask = rng.integers(0, levels, (2, 3, 4, 5)) / (levels - 1)
    order = torch.from_numpy(np.stack([rng.permutation(60) for _ in range(2)]))
    found = area_loss(torch.from_numpy(mask), area, order)
    assert np.allclose(found, [slow_area_loss(one, area) for one in mask], atol=1e-12)


def test_of_equal_voxels_those_late_in_the_order_should_be_1():
    mask = torch.full((1, 1, 2, 5), 0.5, requires_grad=True)
    order = torch.tensor([[3, 1, 4, 0, 5, 9, 2, 6, 8, 7]])
    (slope,) = torch.autograd.grad(area_loss(mask, 0.3, order).sum(), mask)
    assert (slope.flatten() < 0).nonzero().flatten().tolist() == [6, 7, 8]


def slow_core_loss(mask, area, size):
    frames, height, width = mask.shape
    (a, b, c), (t, y, x) = ((side - 1) ** 2 for side in size), (2 * np.indices(size).T - (np.array(size) - 1)).T
    inside = t**2 * (b * c) + y**2 * (a * c) + x**2 * (a * b) <= a * b * c  # in whole numbers
    sums = [
        mask[t : t + size[0], y : y + size[1], x : x + size[2]][inside].sum() / inside.sum()
        for t in range(frames - size[0] + 1)
        for y in range(0, height - size[1] + 1, size[1])
        for x in range(0, width - size[2] + 1, size[2])
    ]
    sums = np.sort(sums)[::-1]
    full = math.ceil(area * mask.size / int(np.prod(size) * 0.5236))
    return ((sums[:full] - 1) ** 2).mean() + (sums[full:] ** 2).mean()


@pytest.mark.parametrize(("shape", "size"), [((16, 40, 47), (7, 11, 11)), ((5, 13, 16), (3, 5, 5))])
def test_core_loss_equals_the_slow_definition(shape, size):
    mask = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0))
    found = core_loss(mask, 0.1, ellipsoid(size))
    assert np.allclose(found, [slow_core_loss(one, 0.1, size) for one in mask.double().numpy()], rtol=1e-5)


def test_core_loss_when_all_places_should_be_full():
    assert core_loss(torch.ones(1, 3, 5, 5), 0.9, ellipsoid((3, 5, 5))).tolist() == [0]


def test_the_papers_ellipsoid():
    kernel = ellipsoid((7, 11, 11))
    assert kernel.shape == (7, 11, 11)
    assert kernel[3, 5].tolist() == [1] * 11
    assert kernel.sum() == 311
    assert kernel[0].sum() == kernel[:, 0].sum() == kernel[:, :, 0].sum() == 1
    assert torch.equal(kernel, kernel.flip(0, 1, 2))
