"""A metric of one's own: how many times denser the attribution is on the actor than it is on average."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from swagv.metrics.localisation import maps_and_boxes


@dataclass(frozen=True)
class Density:
    """Share of the attribution in the true boxes, divided by the share of the voxels that they are.

    Of a constant map 1, whatever the size of the actor. Frames without a box do not count. ``density`` of a clip is
    NaN where its map is 0 in all frames that do; ``density_of_frames`` (T values) is kept beside it.

    Parameters
    ----------
    signed
        Whether values below 0 are evidence against the target, and left out; else magnitudes count.
    """

    higher_is_better: ClassVar[dict[str, bool]] = {"density": True}
    needs_network: ClassVar[bool] = False
    signed: bool = True

    def __call__(
        self, model: object, clips: object, attribution: ArrayLike, target: object, *, boxes: ArrayLike
    ) -> dict[str, np.ndarray]:
        heat, boxes = maps_and_boxes(attribution, boxes)  # float64 arrays, finite, of one N and T
        heat = np.maximum(heat, 0) if self.signed else np.abs(heat)
        y, x = np.arange(heat.shape[2])[:, None], np.arange(heat.shape[3])
        left, top, right, bottom = (edge[..., None, None] for edge in np.moveaxis(boxes, -1, 0))
        inside = (x >= left) & (x <= right) & (y >= top) & (y <= bottom)  # nowhere where the box is NaN
        boxed = np.broadcast_to(np.isfinite(boxes).all(-1)[..., None, None], heat.shape)

        def density(axes: tuple[int, ...]) -> np.ndarray:
            with np.errstate(divide="ignore", invalid="ignore"):
                share = (heat * inside).sum(axes) / (heat * boxed).sum(axes)
                return share / (inside.sum(axes) / boxed.sum(axes))

        return {"density": density((1, 2, 3)), "density_of_frames": density((2, 3))}


if __name__ == "__main__":
    import swagv
    from swagv.datasets.rendering import render_video

    model = swagv.load_model("c3d_demo")
    videos = [render_video(label, seed=3, num_frames=16) for label in (1, 3)]
    frames = np.stack([video.frames for video in videos])
    clips = model.preprocess(frames)
    boxes = model.geometry.boxes(np.stack([video.boxes for video in videos]), *frames.shape[2:4])
    for method in ("full_frame", "centre", "grad_cam", "guided_backprop", "swagv_i"):
        found = swagv.evaluate(model, clips, swagv.explain(model, clips, method), metrics=Density(), boxes=boxes)
        print(f"{method:16}", " ".join(f"{value:5.1f}" for value in found["density"]))
