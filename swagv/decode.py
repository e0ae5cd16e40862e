"""Read frames in order in a process that can be killed: decord's frames as long as PyAV's say the same, else PyAV's.

Decoders crash, hang, over-count and lose frames. PyAV decodes from the first frame onwards and never seeks, so that the
i-th frame out of it is frame i. decord is read in step with it, and a frame of decord's is taken where the two agree:
decord loses the first frames of MPEG transport streams, repeats the last frame of cut files, and says nothing about
either. `Decoder` talks to a child process; a child that dies or exceeds its time limit costs one video, not the job.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from swagv.errors import DecodeError
from swagv.geometry import Geometry
from swagv.image_folder import frames_in, read_images

if TYPE_CHECKING:
    import av

# Containers declare a frame more or less than they hold (packed B-frames, rounded durations); not a tenth of them.
_WHOLE = 0.9
_MICROSECONDS = 1_000_000  # of container times
# Two conversions of one YUV frame to RGB differ by 2 grey levels at most; two frames of a moving scene by dozens.
_SAME_FRAME = 4


@dataclass(frozen=True)
class Frame:
    """pixels (H, W, 3) uint8 RGB, the reader that gave them, and the video's size (height, width) in pixels.

    The reader is ``"decord"``, ``"pyav"`` or, of a folder, ``"images"``. The size is that after a rotation that the
    metadata ask for and before any geometry.
    """

    pixels: np.ndarray
    reader: str
    size: tuple[int, int]


@dataclass(frozen=True)
class Frames:
    """frames (T, H, W, 3) uint8 RGB; reader and size as of a `Frame`. ``"pyav"`` where it had to give one of them."""

    frames: np.ndarray
    reader: str
    size: tuple[int, int]

    @classmethod
    def of(cls, frames: Sequence[Frame]) -> Frames:
        """Stack at least one frame."""
        reader = max(frame.reader for frame in frames)  # "pyav" comes after "decord"
        return cls(np.stack([frame.pixels for frame in frames]), reader, frames[0].size)


@dataclass(frozen=True)
class Probe:
    """Frames that really decode, their size in pixels as shown, and what went wrong on the way, if anything.

    `truncated`: less is there than the container declares, by more than its usual inaccuracy.
    """

    num_frames: int
    height: int
    width: int
    detail: str = ""
    truncated: bool = False


def probe(path: Path | str) -> Probe:
    """Count the frames of a video file or a folder of images by decoding all of them: containers lie about theirs.

    Raises
    ------
    DecodeError
        If the file is absent, empty, not a video or has not one readable frame; if an image of a folder is broken or
        differs in size.
    """
    import av

    path = Path(path)
    if path.is_dir():
        images, missing = frames_in(path)
        sizes = [image.shape[:2] for image in read_images(images)]
        if not sizes:
            raise DecodeError("a folder without images")
        return Probe(len(sizes), *sizes[0], missing, truncated=bool(missing))
    count, corrupt, size, error_name = 0, 0, None, ""
    declared, length, end = 0, 0.0, 0.0
    try:
        with _video_stream(path) as (container, stream):
            declared, length = _declared_frames(stream), (container.duration or 0) / _MICROSECONDS
            for packet in container.demux():
                if packet.pts is not None:
                    end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
                if packet.stream is stream:
                    for frame in packet.decode():
                        count, corrupt, size = count + 1, corrupt + frame.is_corrupt, size or _size(frame)
    except av.FFmpegError as error:
        error_name = type(error).__name__
    if count == 0:
        raise DecodeError(f"not one frame could be decoded ({error_name or 'empty stream'})")
    detail = []
    if declared and count < _WHOLE * declared:
        detail.append(f"{count} of {declared} declared frames decode")
    elif not declared and end < _WHOLE * length:
        detail.append(f"it ends after {end:.1f} of {length:.1f} declared seconds")
    truncated = bool(detail)
    detail += [f"{error_name} after {count} frames"] if error_name else []
    detail += [f"{corrupt} damaged frames"] if corrupt else []
    return Probe(count, *size, "; ".join(detail), truncated)


@contextmanager
def _video_stream(path: Path) -> Iterator[tuple[av.container.InputContainer, av.VideoStream]]:
    import av

    if not path.is_file():
        raise DecodeError("file not found")
    if path.stat().st_size == 0:
        raise DecodeError("empty file (0 bytes)")
    # Absolute: FFmpeg takes what stands before the colon of "12:30.mp4" for a protocol.
    with av.open(os.path.abspath(path), metadata_errors="replace") as container:
        stream = container.streams.best("video")
        if stream is None:
            raise DecodeError("no video stream")
        if stream.codec_context is None:
            raise DecodeError("no decoder for this kind of video")
        # A job has one core, and slice threads repair damaged frames less well.
        stream.codec_context.thread_count = 1
        yield container, stream


def _declared_frames(stream: av.VideoStream) -> int:
    """Frames that a whole file would give; 0 where the container has no count of them.

    The count of a stream-copied cut includes the pre-roll that its edit list hides; its duration does not.
    """
    if not stream.frames or not stream.duration or not stream.average_rate:
        return stream.frames
    return min(stream.frames, round(stream.duration * stream.time_base * stream.average_rate))


def _size(frame: av.VideoFrame) -> tuple[int, int]:
    size = (frame.height, frame.width)
    return size[::-1] if frame.rotation // 90 % 2 else size


def iter_frames(
    path: Path | str, indices: Sequence[int], geometry: Geometry | None = None, decord: bool = True
) -> Iterator[Frame]:
    """Frames of a video file or a folder of images, decoded once, from the first frame onwards.

    Parameters
    ----------
    indices
        Of the frames wanted, at least one, from 0, increasing.
    geometry
        Applied to each frame.
    decord
        False to leave decord out, and with it the cross-check.

    Raises
    ------
    DecodeError
        After the last frame that can be read, if it is not the last one wanted; if the size changes on the way.
    ValueError
        If the indices are none or do not increase.
    """
    _check(indices)
    path, given, size = Path(path), 0, None
    frames = _folder_frames(path, indices) if path.is_dir() else _file_frames(path, indices, decord)
    for pixels, reader in frames:
        size = size or pixels.shape[:2]
        if pixels.shape[:2] != size:
            old, new = (f"{width}x{height}" for height, width in (size, pixels.shape[:2]))
            raise DecodeError(f"the size changes from {old} to {new} pixels at frame {indices[given]}")
        yield Frame(pixels if geometry is None else geometry.frames(pixels), reader, size)
        given += 1
    if given < len(indices):
        raise DecodeError(f"frame {indices[given]} is not there")


def _check(indices: Sequence[int]) -> None:
    if not indices or indices[0] < 0 or any(one >= other for one, other in pairwise(indices)):
        raise ValueError("indices of frames must increase from 0 or more, and be at least one")


def read_frames(path: Path | str, indices: Sequence[int], geometry: Geometry | None = None) -> Frames:
    """All frames of `iter_frames` at once."""
    return Frames.of(list(iter_frames(path, indices, geometry)))


def _folder_frames(folder: Path, indices: Sequence[int]) -> Iterator[tuple[np.ndarray, str]]:
    images, _ = frames_in(folder)
    for image in read_images(images[index] for index in indices if index < len(images)):
        yield image, "images"


def _file_frames(path: Path, indices: Sequence[int], decord: bool) -> Iterator[tuple[np.ndarray, str]]:
    others = _decord_frames(path, indices) if decord else iter(())
    for pixels in _pyav_frames(path, indices):
        other = next(others, None)
        if other is not None and _same_frame(pixels, other):
            yield other, "decord"
        else:
            others = iter(())  # once out of step it stays so
            yield pixels, "pyav"


def _same_frame(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and int((np.maximum(one, other) - np.minimum(one, other)).max()) <= _SAME_FRAME


def _pyav_frames(path: Path, indices: Sequence[int]) -> Iterator[np.ndarray]:
    import av
    from av.video.reformatter import VideoReformatter

    wanted, index = set(indices), -1
    # A frame's own `to_ndarray(format=)` starts threads for each frame and takes 4 to 200 times as long.
    reformatter = VideoReformatter()
    try:
        with _video_stream(path) as (container, stream):
            for index, frame in enumerate(container.decode(stream)):
                if index in wanted:
                    pixels = reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray()
                    yield np.rot90(pixels, frame.rotation // 90)
                if index >= indices[-1]:
                    return
    except av.FFmpegError as error:
        raise DecodeError(f"after {index + 1} frames: {_first_line(error)}") from error


def _decord_frames(path: Path, indices: Sequence[int]) -> Iterator[np.ndarray]:
    """The same of decord, read in order (its seeking is wrong with packed B-frames); fewer where it gives up."""
    import decord

    # The second is no subclass of the first, and decord.base does not export it.
    from decord._ffi.base import DECORDError, DECORDLimitReachedError

    wanted = set(indices)
    try:
        reader = decord.VideoReader(os.path.abspath(path), num_threads=1)
        for index in range(min(indices[-1] + 1, len(reader))):
            frame = reader.next()
            if index in wanted:
                yield frame.asnumpy()
    except (DECORDError, DECORDLimitReachedError, RuntimeError, StopIteration):
        return


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


class _ChildLost(DecodeError):
    """The child crashed or took too long, and was killed."""


class Decoder:
    """`probe` and `iter_frames` in a child process, each call under a time limit.

    Parameters
    ----------
    time_limit
        Seconds for one video; a child that needs longer is killed and the call raises `DecodeError`. Half of them are
        kept for a second try without decord.

    Examples
    --------
    >>> with Decoder(time_limit=60) as decoder:
    ...     isinstance(decoder, Decoder)
    True
    """

    def __init__(self, time_limit: float = 120.0):
        self.time_limit = time_limit
        self._child: subprocess.Popen[bytes] | None = None
        self._busy, self._seconds_left = False, 0.0

    def __enter__(self) -> Decoder:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stop()

    def probe(self, path: Path | str) -> Probe:
        """As `swagv.decode.probe`."""
        ((header, _),) = self._ask({"call": "probe", "path": str(path)}, self.time_limit)
        return Probe(**header)

    def iter_frames(
        self, path: Path | str, indices: Sequence[int], geometry: Geometry | None = None
    ) -> Iterator[Frame]:
        """As `swagv.decode.iter_frames`. Frames come as they are decoded; only waiting for them counts as time."""
        _check(indices)
        given, settings = 0, None if geometry is None else asdict(geometry)
        for decord in (True, False):
            request = {"call": "iter_frames", "path": str(path), "indices": list(indices[given:])}
            request |= {"geometry": settings, "decord": decord}
            try:
                for header, data in self._ask(request, self.time_limit / 2):
                    pixels = np.frombuffer(data, np.uint8).reshape(header["shape"])
                    yield Frame(pixels, header["reader"], tuple(header["size"]))
                    given += 1
                return
            except _ChildLost:
                if not decord:
                    raise

    def read_frames(self, path: Path | str, indices: Sequence[int], geometry: Geometry | None = None) -> Frames:
        """As `swagv.decode.read_frames`."""
        return Frames.of(list(self.iter_frames(path, indices, geometry)))

    def _ask(self, request: dict[str, object], seconds: float) -> Iterator[tuple[dict, bytearray]]:
        """Answers of the child, each a header and bytes, to the one that it calls the last."""
        if self._busy:  # what is in the pipe answers a question that nobody asks any more
            self._stop()
        if self._child is None or self._child.poll() is not None:
            modules = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
            self._child = subprocess.Popen(
                [sys.executable, "-P", "-m", "swagv.decode"],  # -P: no module of the working directory gets in the way
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=os.environ | {"PYTHONPATH": modules},
            )
        child, self._seconds_left, self._busy = self._child, seconds, True
        try:
            child.stdin.write(json.dumps(request).encode() + b"\n")
            child.stdin.flush()
            while self._busy:
                header = json.loads(self._read(child, int.from_bytes(self._read(child, 8), "little")))
                data = self._read(child, header.pop("bytes", 0))
                self._busy = not header.pop("last")
                if "error" in header:
                    raise DecodeError(header["error"])
                yield header, data
        except (BrokenPipeError, EOFError) as error:
            self._stop()
            raise _ChildLost("the decoder crashed on this file") from error
        except TimeoutError as error:
            self._stop()
            raise _ChildLost(f"decoding took longer than {self.time_limit:g} s") from error

    def _read(self, child: subprocess.Popen[bytes], size: int) -> bytearray:
        stdout, data = child.stdout.fileno(), bytearray()
        while len(data) < size:
            start = time.monotonic()
            ready = select.select([stdout], [], [], max(0.0, self._seconds_left))[0]
            self._seconds_left -= time.monotonic() - start
            if not ready or self._seconds_left <= 0:  # the same however fast the child was
                raise TimeoutError
            chunk = os.read(stdout, min(size - len(data), 1 << 20))
            if not chunk:
                raise EOFError
            data += chunk
        return data

    def _stop(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            with suppress(BrokenPipeError):  # what could not be written before
                self._child.stdin.close()
            self._child.stdout.close()
            self._child, self._busy = None, False


def _serve() -> None:
    """Answer requests on stdin until it closes.

    An answer is an 8-byte length, a JSON header and the bytes of a frame.
    """
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a decoder prints goes to the log

    def answer(header: dict[str, object], data: bytes = b"") -> None:
        encoded = json.dumps(header).encode()
        out.write(len(encoded).to_bytes(8, "little") + encoded)
        out.write(data)
        out.flush()

    # What the decoders free in small pieces glibc keeps, up to 170 MB after 2,000 videos, unless it is asked.
    give_back = getattr(ctypes.CDLL(None), "malloc_trim", None)
    for number, line in enumerate(sys.stdin.buffer):
        if give_back and number % 16 == 15:
            give_back(0)
        request = json.loads(line)
        try:
            if request.pop("call") == "probe":
                answer(vars(probe(**request)) | {"last": True})
            else:
                geometry = request.pop("geometry")
                frames = iter_frames(**request, geometry=geometry and Geometry(**geometry))
                for count, frame in enumerate(frames, start=1):
                    data = frame.pixels.tobytes()
                    header = {"shape": frame.pixels.shape, "reader": frame.reader, "size": frame.size}
                    answer(header | {"bytes": len(data), "last": count == len(request["indices"])}, data)
        except DecodeError as error:
            answer({"error": str(error), "last": True})


if __name__ == "__main__":
    _serve()
