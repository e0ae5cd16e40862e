"""A method of one's own: expected gradients between a clip and its own frames in another order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from swagv.errors import NotApplicable
from swagv.forward_passes import Passes
from swagv.methods.explainer import GradientAttribution, names_of, random_generator, reduce_channels
from swagv.methods.vanilla_backprop import gradient

if TYPE_CHECKING:
    from torch import Tensor

    from swagv.models.classifier import VideoClassifier


@dataclass(frozen=True)
class ShuffledFrames(GradientAttribution):
    """Expected gradients (Erion et al., 2021) against a reference that has the clip's appearance and not its motion.

    The mean, over random orders r of the frames and places a from 0 to 1, of (x - x_r) dS_c/dx at x_r + a (x - x_r).
    With ``reduce="signed_sum"`` its voxels add up, but for sampling, to S_c(x) less the mean of S_c(x_r).

    Parameters
    ----------
    n_samples
        Orders that are drawn.
    seed
        With the clip's id, of the orders.
    batch_size
        Orders that the network sees at once; changes nothing but memory and time.
    """

    n_samples: int = 32
    seed: int = 0
    batch_size: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.n_samples, self.batch_size) < 1:
            raise ValueError(f"n_samples={self.n_samples}, batch_size={self.batch_size}: must be at least 1")

    def check(self, model: VideoClassifier) -> None:
        if model.clip_len < 2:
            raise NotApplicable("one frame has no order; choose a network of clips")

    def passes(self, shape: tuple[int, int, int]) -> Passes:
        return Passes(self.n_samples, self.n_samples)

    def __call__(
        self, model: VideoClassifier, clips: Tensor, target: Tensor, clip_ids: Sequence[str] | None = None
    ) -> Tensor:
        import torch

        self.check(model)
        places = ((torch.arange(self.n_samples) + 0.5) / self.n_samples).to(clips).view(-1, 1, 1, 1, 1)
        total = torch.zeros_like(clips)
        for index, name in enumerate(names_of(clips, clip_ids)):
            rng = random_generator(name, self.seed)
            for some in places.split(self.batch_size):
                shuffled = torch.stack([clips[index][:, rng.permutation(clips.shape[2])] for _ in some])
                change = clips[index] - shuffled
                found = gradient(model, shuffled + some * change, target[index].expand(len(some)))
                total[index] += (change * found).sum(0)
        return reduce_channels(total / self.n_samples, self.reduce)


if __name__ == "__main__":
    import torch

    import swagv
    from swagv.datasets.rendering import render_video

    model, rng = swagv.load_model("c3d_demo"), np.random.default_rng(0)
    video = render_video(label=1, seed=3, num_frames=16)
    clips, boxes = model.preprocess(video.frames[None]), model.geometry.boxes(video.boxes, *video.frames.shape[1:3])
    with torch.inference_mode():
        score = float(model(clips)[0, 1])
        shuffled = float(model(torch.cat([clips[:, :, rng.permutation(16)] for _ in range(32)]))[:, 1].mean())
    method = ShuffledFrames(reduce="signed_sum")
    attribution = swagv.explain(model, clips, method, target="vertical", clip_ids=["rendered@000000"])
    print(f"logit of the clip {score:.1f}; of its frames in other orders {shuffled:.1f}, the mean of 32")
    print(f"sum of the attribution {float(attribution.sum()):.1f}")
    for name, heat in (("full_frame", torch.ones_like(attribution)), ("this method", attribution)):
        found = swagv.evaluate(model, clips, heat, metrics="pointing", boxes=boxes[None])
        print(f"{name}: {100 * found['energy_inside'][0]:.0f} % of the attribution is on the actor")
