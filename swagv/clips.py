"""Where a clip is: a video, a start and a step. Not its pixels."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

ABSENT = "absent"


@dataclass(frozen=True)
class Video:
    """One file of a dataset.

    `label` is a category's name; `token` changes whenever the content may have changed, and is `ABSENT` where there is
    no file.
    """

    video_id: str
    path: str
    label: str = ""
    token: str = ""


@dataclass(frozen=True)
class ClipSelection:
    """Which clips of a video are evaluated.

    Parameters
    ----------
    select
        ``"centre"``, the middle clip (start = (frames - span) // 2), or ``"every"``, one every `clip_step` frames.
    clip_len
        Frames a clip.
    frame_step
        Frames between two sampled ones, plus one: 1 takes consecutive frames.
    clip_step
        Frames between two clip starts, where `select` is ``"every"``.
    boxed
        Only clips with a true box in every sampled frame.
    """

    select: str = "centre"
    clip_len: int = 16
    frame_step: int = 1
    clip_step: int = 8
    boxed: bool = False

    def __post_init__(self) -> None:
        if self.select not in ("centre", "every"):
            raise ValueError(f"select={self.select!r}: must be 'centre' or 'every'")
        for name in ("clip_len", "frame_step", "clip_step"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: must be at least 1")

    @property
    def span(self) -> int:
        """Frames of video that one clip covers."""
        return (self.clip_len - 1) * self.frame_step + 1

    def frames_of(self, start: int) -> range:
        """Indices of the frames of the clip that starts there."""
        return range(start, start + self.span, self.frame_step)

    def starts(self, num_frames: int, boxed: Container[int] = ()) -> list[int]:
        """First frame of each clip of a video of this length; empty where the video is too short.

        Parameters
        ----------
        boxed
            Indices of the frames with a true box, for `ClipSelection.boxed`.
        """
        last = num_frames - self.span
        if last < 0:
            return []
        starts = [last // 2] if self.select == "centre" else range(0, last + 1, self.clip_step)
        return [start for start in starts if not self.boxed or all(index in boxed for index in self.frames_of(start))]


def clip_id(video_id: str, start_frame: int) -> str:
    """``"{video_id}@{start:06d}"``."""
    return f"{video_id}@{start_frame:06d}"
