"""EP-3D: extremal perturbation in space and time (Li et al., WACV 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from swagv.errors import NotApplicable
from swagv.forward_passes import Passes
from swagv.methods.explainer import Explainer, names_of, random_generator

if TYPE_CHECKING:
    from torch import Tensor

    from swagv.methods.extremal_mask import MaskGenerator
    from swagv.models.classifier import VideoClassifier


@dataclass(frozen=True)
class EP3D(Explainer):
    """The smooth mask of a given size that keeps the target likely when everything else is blurred ("preserve").

    Minimises, for each clip on its own, ``reward_weight * -log p_c + area_weight * area_growth^i * area loss +
    core_weight * core loss`` over the mask's grid values, by gradient descent from a mask of ones. The attribution is
    the mask itself, in [0, 1].

    Parameters
    ----------
    iterations, learning_rate, momentum
        Of the gradient descent; the dampening equals the momentum.
    area
        The part of the padded mask's voxels, of the whole clip at once, that should be 1.
    reward_weight, area_weight, core_weight
        Of the three losses.
    area_growth
        Factor on the area loss's weight after each iteration.
    core_start
        The iterations before the core loss takes part; a `core_weight` of 0 leaves it out altogether.
    core_size
        Of its ellipsoid in frames, rows and columns; see `swagv.methods.extremal_mask.core_loss`.
    levels, max_blur
        Of the pyramid of blurred clips; sigma in pixels. What is blurred is the preprocessed clip.
    step, sigma
        Pixels between grid values, and their reach at a frame width of 112 pixels: sigma + 1 grows with the width, so
        that it is the authors' 11 at 112 and their 23 at 224; never less than 1.
    seed
        With the clip's id, of the order in which equal voxels count as larger for the area loss.

    Notes
    -----
    Where the paper is silent its code and torchray's decide: the geometry of the grid, zeros beyond the frame's edge,
    blur kernels cut at 4 sigma. Three things are settled here. The authors shuffle the voxels anew in every iteration
    before sorting, so that ties fall at random; here one random order is drawn for each clip, so that a clip has one
    answer. The core loss takes part from iteration `core_start` on (their code: one later), its weight constant. The
    mask is that of the last grid values (their code: of the last but one).
    """

    iterations: int = 2000
    area: float = 0.1
    reward_weight: float = 1.0
    area_weight: float = 300.0
    area_growth: float = 1.0008668
    core_weight: float = 300.0
    core_start: int = 100
    core_size: tuple[int, int, int] = (7, 11, 11)
    learning_rate: float = 0.05
    momentum: float = 0.9
    levels: int = 8
    max_blur: float = 20.0
    step: int = 7
    sigma: float = 11.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.area < 1:
            raise ValueError(f"area={self.area!r}: must be between 0 and 1")
        for name in ("iterations", "learning_rate", "max_blur", "step", "sigma"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}={getattr(self, name)!r}: must be greater than 0")
        if self.levels < 2:
            raise ValueError(f"levels={self.levels}: must be at least 2, an intact one and a blurred one")
        if min(self.core_size) < 1:
            raise ValueError(f"core_size={tuple(self.core_size)}: must be at least 1 each")

    def check(self, model: VideoClassifier) -> None:
        """As `Explainer.check`: the core loss's ellipsoid must fit the clip."""
        self._check_frames(model.clip_len)

    def _check_frames(self, frames: int) -> None:
        if self.core_weight and frames < self.core_size[0]:
            raise NotApplicable(
                f"EP-3D's core loss spans {self.core_size[0]} frames; the clip has {frames}. "
                "Use ep3d_area or a smaller core_size"
            )

    def passes(self, shape: tuple[int, int, int]) -> Passes:
        """As `Explainer.passes`."""
        return Passes(self.iterations, self.iterations)

    def __call__(
        self, model: VideoClassifier, clips: Tensor, target: Tensor, clip_ids: Sequence[str] | None = None
    ) -> Tensor:
        """Attribution N,T,H,W; see the class."""
        generator, padded = self.padded_mask(model, clips, target, clip_ids)
        return generator.crop(padded).contiguous()

    def padded_mask(
        self, model: VideoClassifier, clips: Tensor, target: Tensor, clip_ids: Sequence[str] | None = None
    ) -> tuple[MaskGenerator, Tensor]:
        """The mask N,T,Ho,Wo with its margin, of which `area` should be 1, and what made it."""
        import torch
        from tqdm import tqdm

        from swagv.methods.extremal_mask import BlurPyramid, MaskGenerator, area_loss, core_loss, ellipsoid

        count, _, frames, height, width = clips.shape
        self._check_frames(frames)
        sigma = max((self.sigma + 1) * width / 112 - 1, 1.0)
        generator = MaskGenerator(height, width, self.step, sigma, clips.device)
        pyramid = BlurPyramid(clips.detach(), self.levels, self.max_blur)
        kernel = ellipsoid(tuple(self.core_size), clips.device)
        voxels = frames * int(np.prod(generator.padded))
        names = names_of(clips, clip_ids)
        orders = np.stack([random_generator(name, self.seed).permutation(voxels) for name in names])
        order = torch.from_numpy(orders).to(clips.device)

        def masks(values: Tensor) -> Tensor:
            return generator(values.flatten(0, 1)).unflatten(0, (count, frames))

        values = torch.ones(count, frames, *generator.grid, device=clips.device, requires_grad=True)
        optimiser = torch.optim.SGD([values], self.learning_rate, self.momentum, dampening=self.momentum)
        area_weight = self.area_weight
        for iteration in tqdm(range(self.iterations), desc="EP-3D", leave=False, disable=None):
            with torch.enable_grad():
                padded = masks(values)
                scores = model(pyramid(generator.crop(padded))).log_softmax(1)
                loss = -self.reward_weight * scores.gather(1, target[:, None])[:, 0]
                loss = loss + area_weight * area_loss(padded, self.area, order)
                if self.core_weight and iteration >= self.core_start:
                    loss = loss + self.core_weight * core_loss(padded, self.area, kernel)
                (values.grad,) = torch.autograd.grad(loss.sum(), values)
            optimiser.step()
            with torch.no_grad():
                values.clamp_(0, 1)
            area_weight *= self.area_growth
        return generator, masks(values.detach())


ep3d_area = partial(EP3D, core_weight=0.0, reward_weight=100.0)
