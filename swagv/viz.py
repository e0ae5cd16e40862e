"""Pictures and videos of explanations. Only here is an attribution normalised."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from swagv.geometry import Geometry

if TYPE_CHECKING:
    import av

COLOUR_MAP, SIGNED_COLOUR_MAP = "inferno", "coolwarm"
# A handful of extreme voxels must not set the scale: guided backprop would be black but for them.
_ROBUST = (1, 99)
_DIMMED = 0.45
# A magenta shirt must not pass for heat, nor a white one hide it.
_MUTED_COLOUR, _MUTED_LIGHT = 0.3, 0.75
_LUMA = np.array([0.299, 0.587, 0.114])
_INK, PAPER, _MID_GREY = (235, 235, 240), (18, 18, 22), 96
BAR_HEIGHT = 24


@dataclass(frozen=True)
class Scale:
    """What the colours stand for: `low` has the first colour of the map and `high` the last.

    Values beyond have the colour of the nearer end. With `signed`, `low` is ``-high`` and 0 has no colour.
    """

    low: float
    high: float
    signed: bool = False

    @classmethod
    def of(cls, attribution: np.ndarray, signed: bool = False) -> Scale:
        """The scale of a whole clip: its 1st to its 99th percentile, or ± the 99th of the absolute values.

        Where the two are one, as of a map that is 0 nearly everywhere, from the lowest to the highest value.

        Parameters
        ----------
        attribution
            (T, H, W) float; NaN does not count.

        Examples
        --------
        >>> Scale.of(np.arange(101.0))
        Scale(low=1.0, high=99.0, signed=False)
        >>> Scale.of(np.arange(-100.0, 1.0), signed=True)
        Scale(low=-99.0, high=99.0, signed=True)
        """
        values = np.asarray(attribution, np.float64)
        values = values[np.isfinite(values)]
        if signed:
            values = np.abs(values)
        if not values.size:
            return cls(0.0, 0.0, signed)
        low, high = np.percentile(values, _ROBUST)
        if low == high:
            low, high = values.min(), values.max()
        return cls(-float(high) if signed else float(low), float(high), signed)

    def __call__(self, attribution: np.ndarray) -> np.ndarray:
        """Values to [0, 1] as float64, or to [-1, 1] where signed; zeros where the scale has no width; NaN stays."""
        attribution = np.asarray(attribution, np.float64)
        if self.high == self.low:
            return attribution * 0
        if self.signed:
            return np.clip(attribution / self.high, -1, 1)
        return np.clip((attribution - self.low) / (self.high - self.low), 0, 1)


def heatmap(attribution: np.ndarray, scale: Scale | None = None) -> np.ndarray:
    """An attribution (T, H, W) normalised to [0, 1] on one scale for the whole clip; never frame by frame.

    Parameters
    ----------
    scale
        `Scale.of` the attribution where None; a signed one gives values in [-1, 1].

    Examples
    --------
    >>> heatmap(np.array([[[-1.0, 0.0, 3.0]]]), Scale(-1, 3))
    array([[[0.  , 0.25, 1.  ]]])
    """
    return (scale or Scale.of(attribution))(attribution)


def overlay(
    frames: np.ndarray,
    attribution: np.ndarray,
    opacity: float = 0.7,
    scale: Scale | None = None,
    signed: bool = False,
    labels: np.ndarray | None = None,
    muted: bool = True,
) -> np.ndarray:
    """Frames under the colours of an attribution: opaque where it is high, clear where it says nothing.

    Parameters
    ----------
    frames
        (T, H, W, 3) uint8 RGB.
    attribution
        (T, H, W) float. NaN marks what the network did not see, and is dimmed.
    opacity
        Of the highest value, from 0 to 1; that of the others is in proportion.
    scale
        `Scale.of` the attribution where None.
    signed
        Where `scale` is None: whether 0 is clear and values below it are blue, those above red.
    labels
        (T, H, W) integer supervoxels from 0, whose borders are drawn; -1 where there is none.
    muted
        Show the frames darker and in weak colours, so that those of the heat are not taken for theirs.

    Returns
    -------
    numpy.ndarray
        (T, H, W, 3) uint8.

    Raises
    ------
    ValueError
        If frames, attribution and labels differ in T, H or W.

    Examples
    --------
    >>> frames = np.full((1, 1, 3, 3), 100, np.uint8)
    >>> overlay(frames, np.array([[[0.0, 1.0, np.nan]]]), opacity=1, muted=False)[0, 0].tolist()
    [[100, 100, 100], [252, 255, 164], [45, 45, 45]]
    """
    for what, array in (("attribution", attribution), ("labels", labels)):
        if array is not None and frames.shape[:3] != array.shape:
            raise ValueError(f"{what} {array.shape} does not fit frames {frames.shape}")
    scale = scale or Scale.of(attribution, signed)
    heat = heatmap(attribution, scale)
    seen = np.isfinite(heat)[..., None]
    if muted:
        grey = (frames @ _LUMA)[..., None]
        frames = _MUTED_LIGHT * (grey + _MUTED_COLOUR * (frames - grey))
    out = np.where(seen, _blend(frames, np.nan_to_num(heat), opacity, scale.signed), _DIMMED * frames)
    if labels is not None:
        borders = _borders(np.asarray(labels, np.int64))
        out[borders] = 0.55 * out[borders] + 0.45 * 255
    return np.rint(out).astype(np.uint8)


def _blend(picture: np.ndarray | int, heat: np.ndarray, opacity: float, signed: bool) -> np.ndarray:
    """The picture (..., 3) under the colours of heat (...), in [0, 1] or, signed, in [-1, 1]; float."""
    place = np.rint(255 * ((heat + 1) / 2 if signed else heat)).astype(np.uint8)
    alpha = opacity * np.abs(heat)[..., None]
    return (1 - alpha) * picture + alpha * _colours(signed)[place]


@cache
def _colours(signed: bool) -> np.ndarray:
    """The 256 colours of a map, (256, 3) float in [0, 255]."""
    return matplotlib.colormaps[SIGNED_COLOUR_MAP if signed else COLOUR_MAP](np.arange(256))[:, :3] * 255


def overlay_look() -> dict[str, object]:
    """What `overlay` does, for a page that draws it itself: ``colours`` (256 of R, G, B), and how frames are muted."""
    colours = np.rint(_colours(signed=False)).astype(int).tolist()
    return {"colours": colours, "colour": _MUTED_COLOUR, "light": _MUTED_LIGHT, "luma": _LUMA.tolist()}


def _borders(labels: np.ndarray) -> np.ndarray:
    from skimage.segmentation import find_boundaries

    # Frame by frame: a border in time would be a whole face. Label 0 is no background, what is not seen is.
    return np.stack([find_boundaries(one + 1, mode="inner", background=0) for one in labels])


def onto_video(
    values: np.ndarray, geometry: Geometry, video: tuple[int, int], size: tuple[int, int] | None = None
) -> np.ndarray:
    """Maps of a network's crop, laid where the crop was cut from the video: the inverse of `geometry`.

    Parameters
    ----------
    values
        (..., crop, crop): float ones are interpolated; integer ones, such as labels, are taken from the nearest pixel.
    video
        Height and width of the video's frames in pixels.
    size
        Height and width of the result where the frames are shown in another size.

    Returns
    -------
    numpy.ndarray
        (..., height, width); outside of what the network saw NaN, or -1 of integers.

    Examples
    --------
    >>> laid = onto_video(np.ones((2, 2)), Geometry(resize=2, crop=2), (4, 8))
    >>> laid.shape, np.isfinite(laid[0]).tolist()
    ((4, 8), [False, False, True, True, True, True, False, False])
    """
    size = size or video
    resized, offset = geometry.resized(*video), geometry.offset(*video)
    exact = not np.issubdtype(values.dtype, np.floating)
    out, outside = (values.astype(np.int64) if exact else values), -1 if exact else np.nan
    for axis, (shown, scaled, first) in enumerate(zip(size, resized, offset, strict=True), start=-2):
        position = (np.arange(shown) + 0.5) * (scaled / shown) - 0.5 - first
        unseen = (position < -0.5) | (position >= geometry.crop - 0.5)
        position = np.clip(position, 0, geometry.crop - 1)
        if exact:
            out = np.take(out, np.rint(position).astype(np.intp), axis)
        else:
            lower = np.floor(position).astype(np.intp)
            weight = (position - lower).astype(values.dtype).reshape((-1,) + (1,) * (-axis - 1))
            upper = np.minimum(lower + 1, geometry.crop - 1)
            out = np.take(out, lower, axis) * (1 - weight) + np.take(out, upper, axis) * weight
        np.moveaxis(out, axis, 0)[unseen] = outside
    return out


def draw_box(image: np.ndarray, box: Sequence[float]) -> np.ndarray:
    """A copy of an image (H, W, 3) uint8 with the box x_min, y_min, x_max, y_max drawn; NaN draws nothing."""
    if not np.isfinite(box).all():
        return image
    canvas = Image.fromarray(image)
    pen = ImageDraw.Draw(canvas)
    x_min, y_min, x_max, y_max = map(float, box)
    pen.rectangle([x_min - 1, y_min - 1, x_max + 1, y_max + 1], outline=(0, 0, 0))
    pen.rectangle([x_min, y_min, x_max, y_max], outline=(80, 255, 120))
    return np.asarray(canvas)


def filmstrip(
    frames: np.ndarray,
    attribution: np.ndarray | None = None,
    boxes: np.ndarray | None = None,
    which: Sequence[int] = (0, 5, 10, 15),
    **look: object,
) -> np.ndarray:
    """A few frames of a clip side by side, under the overlay and with the true boxes where given.

    Parameters
    ----------
    frames
        (T, H, W, 3) uint8 RGB.
    attribution
        (T, H, W) float; its scale is that of all T frames.
    boxes
        (T, 4) as x_min, y_min, x_max, y_max in pixels; NaN for none.
    which
        The frames shown.
    **look
        ``opacity``, ``scale``, ``signed``, ``labels`` and ``muted`` of `overlay`.

    Returns
    -------
    numpy.ndarray
        (H, len(which) * W, 3) uint8.

    Examples
    --------
    >>> filmstrip(np.zeros((16, 8, 10, 3), np.uint8), np.zeros((16, 8, 10))).shape
    (8, 40, 3)
    """
    shown = frames if attribution is None else overlay(frames, attribution, **look)
    tiles = [shown[t] if boxes is None else draw_box(shown[t], boxes[t]) for t in which]
    return np.concatenate(tiles, axis=1)


def title_bar(text: str, width: int, scale: Scale | None = None, opacity: float = 0.7) -> np.ndarray:
    """A bar with a text at its left and, of a scale, its colours between their numbers at its right.

    Parameters
    ----------
    text
        Cut, with an ellipsis, where there is no room for it.
    width
        In pixels.
    scale, opacity
        Of the overlay that the bar explains: its colours are shown over grey, as opaque as there.

    Returns
    -------
    numpy.ndarray
        (`BAR_HEIGHT`, width, 3) uint8.

    Examples
    --------
    >>> title_bar("grad_cam", 224, Scale(0, 1)).shape
    (24, 224, 3)
    """
    canvas = Image.new("RGB", (width, BAR_HEIGHT), PAPER)
    pen, room, middle = ImageDraw.Draw(canvas), width - 6, BAR_HEIGHT // 2
    if scale is not None:
        low, bar, high = (
            _number(scale.low),
            _colour_bar(scale, max(24, min(96, width // 5)), opacity),
            _number(scale.high),
        )
        for part in (high, bar, low):  # from the right to the left
            canvas.paste(part, (room - part.width, middle - part.height // 2))
            room -= part.width + 4
    font = _font(14)
    if font.getlength(text) > room - 8:
        while text and font.getlength(text + "…") > room - 8:
            text = text[:-1]
        text += "…"
    pen.text((6, middle), text, _INK, font, "lm")
    return np.asarray(canvas)


def _number(value: float) -> Image.Image:
    text, font = f"{value:.2g}", _font(11)
    image = Image.new("RGB", (round(font.getlength(text)) + 1, BAR_HEIGHT - 4), PAPER)
    ImageDraw.Draw(image).text((0, image.height // 2), text, _INK, font, "lm")
    return image


def _colour_bar(scale: Scale, width: int, opacity: float) -> Image.Image:
    steps = np.broadcast_to(np.linspace(-1 if scale.signed else 0, 1, width), (10, width))
    return Image.fromarray(np.rint(_blend(_MID_GREY, steps, opacity, scale.signed)).astype(np.uint8))


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def write_video(
    path: Path | str, frames: Iterable[np.ndarray], fps: float | Fraction, audio_from: Path | str | None = None
) -> str:
    """Encode frames as H.264 in MP4 as they come.

    Parameters
    ----------
    path
        Of the file to write, whatever its suffix.
    frames
        Each (H, W, 3) uint8 RGB, all of one size; an odd side loses its last row or column, as H.264 needs it.
    fps
        Frames a second.
    audio_from
        A media file whose sound goes along, without being encoded again, where MP4 can hold it.

    Returns
    -------
    str
        Why there is no sound, where `audio_from` has some that MP4 cannot hold; else empty.

    Raises
    ------
    OSError
        If the file cannot be written or the sound cannot be read.
    ValueError
        If there are no frames, or they differ in size.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_video(f"{folder}/v.mp4", np.zeros((5, 32, 32, 3), np.uint8), fps=25)
    ''
    """
    with video_writer(path, fps, audio_from) as writer:
        for frame in frames:
            writer.write(frame)
    return writer.no_sound


@contextmanager
def video_writer(
    path: Path | str, fps: float | Fraction, audio_from: Path | str | None = None
) -> Iterator[VideoWriter]:
    """`write_video` for frames that are handed over one by one, to ``write``; see there."""
    # Through a file of Python's, so that a full disk is an OSError whenever it is met.
    with open(path, "wb") as file, _sound_of(audio_from) as sound, _mp4(file) as container:
        writer = VideoWriter(container, Fraction(fps).limit_denominator(100_000), sound)
        yield writer
        writer.finish()


@contextmanager
def _mp4(file: BinaryIO) -> Iterator[av.container.OutputContainer]:
    import av

    container = av.open(file, "w", format="mp4")
    try:
        yield container
    except BaseException:
        with suppress(av.FFmpegError, OSError):  # what it still holds has no more room than what did not fit
            container.close()
        raise
    container.close()


class VideoWriter:
    """Frames, and sound up to each of them, into an open container."""

    def __init__(self, container: av.container.OutputContainer, fps: Fraction, sound: Sound | None):
        self._container, self._fps, self._video, self._sound_out = container, fps, None, None
        self._packets, self._waiting, self._count, self.no_sound = iter(()), None, 0, ""
        if sound is not None and sound.codec not in container.supported_codecs:
            self.no_sound = f"MP4 cannot hold its {sound.codec} sound"
        elif sound is not None:
            self._sound_out, self._packets = container.add_stream_from_template(sound.stream), sound.packets()

    def write(self, frame: np.ndarray) -> None:
        """One frame (H, W, 3) uint8."""
        import av

        height, width = (side // 2 * 2 for side in frame.shape[:2])
        if self._video is None:
            self._video = self._container.add_stream("libx264", rate=self._fps, width=width, height=height)
            self._video.pix_fmt = "yuv420p"
            # FFmpeg converts with the matrix of standard definition; untagged, a player would guess it from the size.
            self._video.options = {"crf": "18", "preset": "veryfast", "x264-params": "colormatrix=smpte170m"}
        if (self._video.height, self._video.width) != (height, width):
            raise ValueError(
                f"a frame of {frame.shape}; this video has {self._video.height}x{self._video.width} pixels"
            )
        image = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame[:height, :width]), format="rgb24")
        self._container.mux(self._video.encode(image))
        self._count += 1
        self._mux_sound(self._count / self._fps)

    def finish(self) -> None:
        """What the encoder still holds, and the sound to its end."""
        if self._video is None:
            raise ValueError("a video needs at least one frame")
        self._container.mux(self._video.encode())
        self._mux_sound(float("inf"))

    def _mux_sound(self, seconds: float) -> None:
        """Sound up to a time: in step, so that neither waits in memory for the other."""
        while True:
            packet = self._waiting or next(self._packets, None)
            self._waiting = packet
            if packet is None or packet.pts * packet.time_base > seconds:
                return
            packet.stream, self._waiting = self._sound_out, None
            self._container.mux(packet)


@dataclass(frozen=True)
class Sound:
    """The sound of an open media file: its stream, its codec's name, and the time of the first picture in seconds."""

    stream: av.AudioStream
    codec: str
    start: Fraction

    def packets(self) -> Iterator[av.Packet]:
        """Packets in order, the first picture at time 0; without those before it, and none from where it is damaged."""
        import av

        last = -1
        with suppress(av.FFmpegError):
            for packet in self.stream.container.demux(self.stream):
                if packet.pts is None or packet.dts is None:
                    continue
                shift = round(self.start / packet.time_base)
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                if packet.pts >= 0 and packet.dts > last:
                    last = packet.dts
                    yield packet


@contextmanager
def _sound_of(path: Path | str | None) -> Iterator[Sound | None]:
    import av

    if path is None:
        yield None
        return
    # Absolute: FFmpeg takes what stands before the colon of "12:30.mp4" for a protocol.
    with av.open(os.path.abspath(path), metadata_errors="replace") as container:
        video, stream = container.streams.best("video"), container.streams.best("audio")
        if stream is None or stream.codec_context is None:
            yield None
            return
        start = (video.start_time or 0) * video.time_base if video is not None else Fraction(0)
        yield Sound(stream, stream.codec_context.codec.canonical_name, start)
