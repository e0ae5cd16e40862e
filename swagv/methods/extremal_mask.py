"""The parts of extremal perturbations: smooth masks, a pyramid of blurs, and the losses on a mask's size and shape.

Geometry and truncations follow the authors' packages (torchray 1.0.0.2, and the EP-3D repository, which takes them from
there); what they leave to chance is said where it is settled.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

# Of the smooth maximum sum(v * softmax(20 v)).
_COLDNESS = 20.0


class _SmoothMax(torch.autograd.Function):
    """out[r, l] = sum_k v_k softmax_k(20 v_k), where v_k = weight[k, r] * candidate[k, l].

    One candidate at a time, and again in the backward pass: autograd would keep K times the mask several times over.
    With v in [0, 1], exp(20 (v - 1)) neither over- nor underflows, and is most precise where it is largest.
    """

    @staticmethod
    def forward(ctx: Any, candidates: Tensor, weight: Tensor) -> Tensor:
        total = candidates.new_zeros(weight.shape[1], candidates.shape[1])
        weighted = torch.zeros_like(total)
        for k in range(len(candidates)):
            value = torch.outer(weight[k], candidates[k])
            power = (value - 1).mul_(_COLDNESS).exp_()
            total += power
            weighted.addcmul_(value, power)
        out = weighted.div_(total)
        ctx.save_for_backward(candidates, weight, total, out)
        return out

    @staticmethod
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor, None]:
        candidates, weight, total, out = ctx.saved_tensors
        scaled = _COLDNESS * grad_out / total
        offset = 1 / _COLDNESS - out
        grad = torch.empty_like(candidates)
        for k in range(len(candidates)):
            value = torch.outer(weight[k], candidates[k])
            # d out / d v_k = softmax_k * (1 + 20 (v_k - out))
            slope = (value + offset).mul_(value.sub_(1).mul_(_COLDNESS).exp_()).mul_(scaled)
            grad[k] = weight[k] @ slope
        return grad, None


class MaskGenerator:
    """Smooth masks of frames from values on a coarse grid.

    The mask at a pixel is the smooth maximum over the (2 r + 1)^2 grid points around it, r = 1 + ceil(sigma / step), of
    the point's value times exp(-2 max(0, d / sigma - 0.5)^2), d its distance in pixels. Points outside of the frame
    count with value 0. The mask is made with a margin of about sigma around the frame, so that a region may reach over
    the edge.

    Parameters
    ----------
    height, width
        Of a frame, in pixels.
    step
        Between grid points; the first is the frame's first pixel.
    sigma
        Reach of a grid point, and width of the margin, in pixels.

    Attributes
    ----------
    grid
        (h, w) of the values.
    padded
        (Ho, Wo) of the mask with its margin: as in torchray, what the candidates of the padded grid cover, which is the
        frame and 11 pixels on each side for 112 pixels and sigma 11.
    """

    def __init__(self, height: int, width: int, step: int, sigma: float, device: torch.device | str = "cpu"):
        self._frame = (height, width)
        self._step = step
        self._margin = round(sigma)
        self._padding = 1 + math.ceil(2 * sigma / step)
        radius = 1 + math.ceil(sigma / step)
        self._window = 2 * radius + 1
        self.grid = (math.ceil(height / step), math.ceil(width / step))
        self._middle = tuple(side + 2 * self._padding - 2 * radius for side in self.grid)
        self.padded = tuple(step * side - step + 1 for side in self._middle)
        # A pixel's distances from its candidates depend only on where it lies between two grid points (its phase).
        phase = torch.arange(step, dtype=torch.float64)
        candidate = torch.arange(self._window, dtype=torch.float64)
        away = phase[None] - sigma - step * (candidate[:, None] - self._padding)
        distance = (away[:, None, :, None] ** 2 + away[None, :, None, :] ** 2).sqrt()
        weight = torch.exp(-2 * (distance / sigma - 0.5).clamp(min=0) ** 2)
        self._weight = weight.reshape(self._window**2, step**2).float().to(device)

    def __call__(self, values: Tensor) -> Tensor:
        """Masks (M, Ho, Wo) in [0, 1] of grid values (M, h, w) in [0, 1]."""
        count, (rows, cols), step = len(values), self._middle, self._step
        padded = functional.pad(values, (self._padding,) * 4)
        places = [(y, x) for y in range(self._window) for x in range(self._window)]
        candidates = torch.stack([padded[:, y : y + rows, x : x + cols].reshape(-1) for y, x in places])
        mask = _SmoothMax.apply(candidates, self._weight)
        mask = mask.view(step, step, count, rows, cols).permute(2, 3, 0, 4, 1)
        mask = mask.reshape(count, rows * step, cols * step)[:, : self.padded[0], : self.padded[1]]
        return mask.clamp(0, 1)

    def crop(self, mask: Tensor) -> Tensor:
        """The frame's part (..., H, W) of a mask (..., Ho, Wo)."""
        top, (height, width) = self._margin, self._frame
        return mask[..., top : top + height, top : top + width]


def blur(clips: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of every frame of clips N,C,T,H,W.

    The kernel is cut at ceil(4 sigma) and sums to 1; beyond the frame lie zeros, as in torchray.
    """
    if sigma == 0:
        return clips
    reach = math.ceil(4 * sigma)
    taps = torch.arange(-reach, reach + 1, dtype=torch.float64)
    taps = torch.exp(-0.5 * (taps / sigma) ** 2)
    taps = (taps / taps.sum()).to(clips)
    height, width = clips.shape[-2:]
    flat = clips.reshape(-1, 1, height, width)
    flat = functional.conv2d(flat, taps.view(1, 1, -1, 1), padding=(reach, 0))
    return functional.conv2d(flat, taps.view(1, 1, 1, -1), padding=(0, reach)).reshape(clips.shape)


class BlurPyramid:
    """Clips at `levels` strengths of blur, from sigma `max_blur` in even steps down to none.

    Parameters
    ----------
    clips
        N,C,T,H,W, preprocessed.
    """

    def __init__(self, clips: Tensor, levels: int, max_blur: float):
        sigmas = [max_blur * (1 - level / (levels - 1)) for level in range(levels)]
        self._levels = torch.stack([blur(clips, sigma) for sigma in sigmas], 1)

    def __call__(self, mask: Tensor) -> Tensor:
        """Clips N,C,T,H,W where voxels of mask N,T,H,W are intact at 1, most blurred at 0, linear between levels."""
        top = self._levels.shape[1] - 1
        position = mask[:, None] * top
        lower = position.detach().floor().clamp(max=top)
        index = lower.long()[:, None].expand(-1, -1, self._levels.shape[2], -1, -1, -1)
        below = self._levels.gather(1, index)[:, 0]
        above = self._levels.gather(1, (index + 1).clamp(max=top))[:, 0]
        return below + (position - lower) * (above - below)


def area_loss(mask: Tensor, area: float, order: Tensor) -> Tensor:
    """mean((sort(mask) - reference)^2) of each clip, (N,); the reference is 0, then 1 for the last `area` of voxels.

    Parameters
    ----------
    mask
        N,T,Ho,Wo.
    area
        The part of the voxels that should be 1.
    order
        (N, T*Ho*Wo) int64, a permutation of the voxels: of equal voxels, those late in it count as the larger ones.
        It matters to the gradient alone, at the start, when many are equal: raster order would favour late frames.
    """
    flat = mask.flatten(1)
    with torch.no_grad():
        shuffled = flat.gather(1, order)
        zeros = int(shuffled.shape[1] * (1 - area))
        ones = shuffled.shape[1] - zeros
        threshold = shuffled.kthvalue(min(zeros + 1, shuffled.shape[1]), 1, keepdim=True).values
        above, equal = shuffled > threshold, shuffled == threshold
        wanted = ones - above.sum(1, keepdim=True)
        late = equal.flip(1).cumsum(1).flip(1) <= wanted
        # The sorted mask's square distance from the reference is that of each voxel from its own place's reference.
        reference = torch.zeros_like(flat).scatter_(1, order, (above | (equal & late)).to(flat))
    return ((flat - reference) ** 2).mean(1)


def ellipsoid(size: tuple[int, int, int], device: torch.device | str = "cpu") -> Tensor:
    """Ones in the ellipsoid that touches the outermost voxel centres of a box (t, y, x), zeros outside."""
    t, y, x = (torch.linspace(-1, 1, side, dtype=torch.float64) for side in size)
    inside = t[:, None, None] ** 2 + y[:, None] ** 2 + x**2 <= 1 + 1e-9  # 0.6^2 + 0.8^2 rounds to more than 1
    return inside.float().to(device)


def core_loss(mask: Tensor, area: float, kernel: Tensor) -> Tensor:
    """Li et al.'s smoothness of each clip, (N,): a few ellipsoids should be full and the rest empty.

    The sums of mask N,T,Ho,Wo under an ellipsoid of ones (t, y, x), placed at every frame and at every multiple of its
    own size in space where it fits, should be its volume K in the k largest places and 0 elsewhere: mean((top/K - 1)^2)
    + mean((rest/K)^2), k = ceil(area * voxels / int(t*y*x * 0.5236)); 0.5236 is pi/6, of the ellipsoid in its box.
    """
    sums = functional.conv3d(mask[:, None], kernel[None, None], stride=(1, *kernel.shape[1:])).flatten(1)
    filled = (sums / kernel.sum()).sort(dim=1, descending=True, stable=True).values
    full = min(math.ceil(area * mask[0].numel() / int(kernel.numel() * 0.5236)), filled.shape[1])
    loss = ((filled[:, :full] - 1) ** 2).mean(1)
    return loss + (filled[:, full:] ** 2).mean(1) if full < filled.shape[1] else loss
