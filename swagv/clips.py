"""Where a clip is: a video, a start and a step. Not its pixels."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Video:
    """One file of a dataset. `token` changes whenever its content may have changed; `label` is a category's name."""

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
        Frames between two clip starts.
    """

    select: str = "centre"
    clip_len: int = 16
    frame_step: int = 1
    clip_step: int = 8

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

    def starts(self, num_frames: int) -> list[int]:
        """First frame of each clip of a video of this length; empty where the video is too short."""
        last = num_frames - self.span
        if last < 0:
            return []
        return [last // 2] if self.select == "centre" else list(range(0, last + 1, self.clip_step))


def clip_id(video_id: str, start_frame: int) -> str:
    """``"{video_id}@{start:06d}"``."""
    return f"{video_id}@{start_frame:06d}"
