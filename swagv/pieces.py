"""Which clips of one video are explained, and its frames cut into them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from swagv.errors import ConfigError

Item = TypeVar("Item")


@dataclass(frozen=True)
class Piece:
    """One clip of the plan: the video's frames that it has, and how many of the first are in the clip before."""

    indices: range
    covered: int = 0


def pieces(
    num_frames: int, clip_len: int, frame_step: int = 1, start: int | None = None, whole: bool = False
) -> list[Piece]:
    """Which clips of a video are explained.

    Parameters
    ----------
    num_frames
        Of the video.
    clip_len, frame_step
        Frames a clip, and from one to the next.
    start
        First frame of the one clip; the middle one where None.
    whole
        Every `frame_step`-th frame is in a clip. The last one is shifted back to end with the video: its first
        `Piece.covered` frames are in the clip before as well.

    Raises
    ------
    ConfigError
        If the video is too short, or the clip would begin or end outside of it.

    Examples
    --------
    >>> pieces(10, 4, whole=True)[-1]
    Piece(indices=range(6, 10), covered=2)
    >>> pieces(10, 4)
    [Piece(indices=range(3, 7), covered=0)]
    """
    every = range(0, num_frames, frame_step)
    last = num_frames - 1 - (clip_len - 1) * frame_step
    if last < 0:
        frames = f"{num_frames} frame{'s' * (num_frames != 1)}"
        steps = f" at a frame step of {frame_step}" if frame_step > 1 else ""
        raise ConfigError(
            f"the video has {frames}; a clip of {clip_len}{steps} needs {num_frames - last}. A shorter clip: --clip-len"
        )
    if whole:
        starts = list(range(0, len(every) - clip_len + 1, clip_len))
        rest = len(every) - starts[-1] - clip_len
        found = [Piece(every[first : first + clip_len]) for first in starts]
        return found + ([Piece(every[-clip_len:], clip_len - rest)] if rest else [])
    if start is not None and not 0 <= start <= last:
        raise ConfigError(f"start {start}: a clip of {clip_len} frames of this video starts at frame 0 to {last}")
    first = last // 2 if start is None else start
    return [Piece(range(first, num_frames, frame_step)[:clip_len])]


def windows(items: Iterable[Item], plan: Sequence[Piece]) -> Iterator[tuple[Piece, list[Item]]]:
    """Cut what belongs to the frames of a plan, in their order, into clips; holds one clip of them at a time."""
    waiting = deque(plan)
    held: deque[Item] = deque(maxlen=len(plan[0].indices))
    fresh = 0
    for item in items:
        held.append(item)
        fresh += 1
        if fresh == len(waiting[0].indices) - waiting[0].covered:
            yield waiting.popleft(), list(held)
            fresh = 0
