"""The clips that benchmarks run on, rendered, so that anyone can run them."""

from __future__ import annotations

import numpy as np

from swagv.datasets.motions import MOTIONS
from swagv.datasets.rendering import render_video
from swagv.geometry import Geometry


def rendered_frames(count: int, num_frames: int = 16) -> np.ndarray:
    """Frames (count, num_frames, 112, 112, 3) uint8 of videos of every motion in turn, as a network sees them."""
    videos = [render_video(index % len(MOTIONS), index, num_frames).frames for index in range(count)]
    return Geometry().frames(np.stack(videos))
