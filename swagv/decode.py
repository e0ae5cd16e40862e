"""Read frames in order, with decord first and PyAV where decord fails, in a process that can be killed.

Decoders crash, hang and over-count on damaged files. `Decoder` talks to a child process; a child that dies or exceeds
its time limit costs one video, not the job.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from swagv.errors import DecodeError

if TYPE_CHECKING:
    import av

# Containers declare a frame more or less than they hold (packed B-frames, rounded durations); not a tenth of them.
_WHOLE = 0.9
_MICROSECONDS = 1_000_000  # of container times


@dataclass(frozen=True)
class Frames:
    """frames (T, H, W, 3) uint8 RGB and the reader that gave them, ``"decord"`` or ``"pyav"``."""

    frames: np.ndarray
    reader: str


@dataclass(frozen=True)
class Probe:
    """Frames that really decode, their size in pixels, and what went wrong on the way, if anything.

    `truncated`: less is there than the container declares, by more than its usual inaccuracy.
    """

    num_frames: int
    height: int
    width: int
    detail: str = ""
    truncated: bool = False


def probe(path: Path | str) -> Probe:
    """Count frames by decoding all of them: containers lie about their length.

    Raises
    ------
    DecodeError
        If the file is absent, empty, not a video or has not one readable frame.
    """
    import av

    path = Path(path)
    if not path.is_file():
        raise DecodeError("file not found")
    if path.stat().st_size == 0:
        raise DecodeError("empty file (0 bytes)")
    count, corrupt, size, error_name = 0, 0, (0, 0), ""
    declared, length, end = 0, 0.0, 0.0
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            if not container.streams.video:
                raise DecodeError("no video stream")
            stream = container.streams.video[0]
            declared, length = _declared_frames(stream), (container.duration or 0) / _MICROSECONDS
            for packet in container.demux():
                if packet.pts is not None:
                    end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
                if packet.stream is stream:
                    for frame in packet.decode():
                        count, corrupt, size = count + 1, corrupt + frame.is_corrupt, (frame.height, frame.width)
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


def _declared_frames(stream: av.VideoStream) -> int:
    """Frames that a whole file would give; 0 where the container has no count of them.

    The count of a stream-copied cut includes the pre-roll that its edit list hides; its duration does not.
    """
    if not stream.frames or not stream.duration or not stream.average_rate:
        return stream.frames
    return min(stream.frames, round(stream.duration * stream.time_base * stream.average_rate))


def read_frames(path: Path | str, start_frame: int, num_frames: int, frame_step: int) -> Frames:
    """Frames ``start_frame, start_frame + frame_step, …`` of a video, decoded from its first frame onwards.

    Seeking is never used: decord's is wrong, without an error, on files with packed B-frames.

    Raises
    ------
    DecodeError
        If neither reader gets that far.
    """
    wanted = range(start_frame, start_frame + num_frames * frame_step, frame_step)
    problems = []
    for name, reader in (("decord", _read_decord), ("pyav", _read_pyav)):
        try:
            frames = reader(str(path), wanted)
        except DecodeError as error:
            problems.append(f"{name}: {error}")
            continue
        if len(frames) == num_frames:
            return Frames(np.stack(frames), name)
        problems.append(f"{name}: {len(frames)} of {num_frames} frames")
    raise DecodeError("; ".join(problems))


def _read_decord(path: str, wanted: range) -> list[np.ndarray]:
    import decord

    # The second is no subclass of the first, and decord.base does not export it.
    from decord._ffi.base import DECORDError, DECORDLimitReachedError

    frames = []
    try:
        reader = decord.VideoReader(path, num_threads=1)
        for index in range(min(wanted[-1] + 1, len(reader))):
            frame = reader.next()
            if index in wanted:
                frames.append(frame.asnumpy())
    except (DECORDError, DECORDLimitReachedError, RuntimeError, StopIteration) as error:
        raise DecodeError(_first_line(error)) from error
    return frames


def _read_pyav(path: str, wanted: range) -> list[np.ndarray]:
    import av

    frames = []
    try:
        with av.open(path, metadata_errors="replace") as container:
            for index, frame in enumerate(container.decode(video=0)):
                if index in wanted:
                    # Rotation in the metadata is applied, as decord does.
                    frames.append(np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90))
                if index >= wanted[-1]:
                    break
    except av.FFmpegError as error:
        raise DecodeError(_first_line(error)) from error
    return frames


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


class Decoder:
    """`probe` and `read_frames` in a child process, each call under a time limit.

    Parameters
    ----------
    time_limit
        Seconds for one video; a child that needs longer is killed and the call raises `DecodeError`.

    Examples
    --------
    >>> with Decoder(time_limit=60) as decoder:
    ...     isinstance(decoder, Decoder)
    True
    """

    def __init__(self, time_limit: float = 120.0):
        self.time_limit = time_limit
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Decoder:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stop()

    def probe(self, path: Path | str) -> Probe:
        """As `swagv.decode.probe`."""
        return Probe(**self._ask({"call": "probe", "path": str(path)})[0])

    def read_frames(self, path: Path | str, start_frame: int, num_frames: int, frame_step: int) -> Frames:
        """As `swagv.decode.read_frames`."""
        request = {"start_frame": start_frame, "num_frames": num_frames, "frame_step": frame_step}
        header, data = self._ask({"call": "read_frames", "path": str(path)} | request)
        return Frames(np.frombuffer(data, np.uint8).reshape(header["shape"]), header["reader"])

    def _ask(self, request: dict[str, object]) -> tuple[dict, bytes]:
        if self._child is None or self._child.poll() is not None:
            environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])}
            self._child = subprocess.Popen(
                [sys.executable, "-m", "swagv.decode"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
            )
        deadline = time.monotonic() + self.time_limit
        try:
            self._child.stdin.write(json.dumps(request).encode() + b"\n")
            self._child.stdin.flush()
            header = json.loads(self._read(int.from_bytes(self._read(8, deadline), "little"), deadline))
            data = self._read(header.pop("bytes", 0), deadline)
        except (BrokenPipeError, EOFError) as error:
            self._stop()
            raise DecodeError("the decoder crashed on this file") from error
        except TimeoutError as error:
            self._stop()
            raise DecodeError(f"decoding took longer than {self.time_limit:g} s") from error
        if "error" in header:
            raise DecodeError(header["error"])
        return header, data

    def _read(self, size: int, deadline: float) -> bytes:
        stdout, chunks = self._child.stdout.fileno(), bytearray()
        while len(chunks) < size:
            if not select.select([stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise TimeoutError
            chunk = os.read(stdout, min(size - len(chunks), 1 << 20))
            if not chunk:
                raise EOFError
            chunks += chunk
        return bytes(chunks)

    def _stop(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child.stdin.close()
            self._child.stdout.close()
            self._child = None


def _serve() -> None:
    """Answer requests on stdin until it closes: an 8-byte length, a JSON header, then the frames' bytes."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a decoder prints goes to the log
    for line in sys.stdin.buffer:
        request, data = json.loads(line), b""
        call = request.pop("call")
        try:
            if call == "probe":
                header = vars(probe(**request))
            else:
                result = read_frames(**request)
                data = result.frames.tobytes()
                header = {"shape": result.frames.shape, "reader": result.reader, "bytes": len(data)}
        except DecodeError as error:
            header = {"error": str(error)}
        encoded = json.dumps(header).encode()
        out.write(len(encoded).to_bytes(8, "little") + encoded + data)
        out.flush()


if __name__ == "__main__":
    _serve()
