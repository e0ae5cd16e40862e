"""One video explained: `swagv explain`. A video goes in clip by clip; films, filmstrips and arrays come out."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from PIL import Image

from swagv.assignments import parse_assignments
from swagv.clips import clip_id
from swagv.config import explainer_of
from swagv.decode import Decoder, Frame
from swagv.errors import ConfigError, DecodeError, NotApplicable, SwagvError
from swagv.geometry import Geometry
from swagv.methods.explainer import Explainer
from swagv.methods.swagv import SwagV
from swagv.models.cards import ModelCard, load_card
from swagv.models.weights import find_weights
from swagv.pieces import Piece, pieces, windows
from swagv.publish import OutputError, check_out, publish
from swagv.runtime import DEFAULTS
from swagv.targets import target_index, top_classes
from swagv.viz import PAPER, Scale, onto_video, overlay, title_bar, video_writer

if TYPE_CHECKING:
    from swagv.models.classifier import VideoClassifier

SUFFIXES = (".mp4", ".png", ".npz")
FOLDER_FPS = 25  # of a folder of frames, which has no frame rate
_SHOWN = 4  # frames in a filmstrip
_GAP = 4  # pixels between pictures
# Pictures are shown in the video's size as long as their short side is within these; pixels.
_SMALLEST, _LARGEST = 224, 480


@dataclass(frozen=True)
class Order:
    """What is asked for; the fields are the options of ``swagv explain``, and checked by `explain_video`.

    Parameters
    ----------
    video
        A file, or a folder of frames.
    model, weights
        As `swagv.load_model` takes them.
    methods
        Names, or ``"package.module:Object"``.
    target
        A category's name or number; None for the top-1 class, of each clip.
    start
        First frame of the clip, from 0; None for the middle clip.
    whole
        Explain all of the video, clip after clip.
    clip_len, frame_step
        Frames a clip, of each `frame_step`-th frame; None for the network's own length.
    outs
        Files to write, each of one of `SUFFIXES`; a film in the working directory where there are none.
    device
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    settings
        ``KEY=VALUE`` for all methods that have such a setting, ``METHOD.KEY=VALUE`` for one, ``model.KEY=VALUE`` for a
        field of the network's card; values as in YAML.
    opacity, signed, borders
        How films and filmstrips are drawn; see `swagv.viz.overlay`.
    time_limit
        Seconds that reading the video may take.
    """

    video: Path
    model: str
    weights: str = "default"
    methods: tuple[str, ...] = ("swagv_ig",)
    target: str | None = None
    start: int | None = None
    whole: bool = False
    clip_len: int | None = None
    frame_step: int = 1
    outs: tuple[Path, ...] = ()
    device: str = "auto"
    settings: tuple[str, ...] = ()
    opacity: float = 0.7
    signed: bool = False
    borders: bool = False
    time_limit: float = DEFAULTS["time_limit"]


@dataclass(frozen=True, eq=False)
class Explained:
    """A clip with what the network says of it and why.

    Parameters
    ----------
    piece
        Where it is.
    frames
        (T, crop, crop, 3) uint8, as the network saw them.
    pictures
        (T, H, W, 3) uint8, as they are shown.
    scores
        (K,) float32, after the softmax.
    target, target_name
        The class explained.
    maps
        Method -> attribution (T, crop, crop) float32, raw.
    labels
        Method -> supervoxels (T, crop, crop) uint16, of the SWAG-V methods where borders are asked for.
    """

    piece: Piece
    frames: np.ndarray
    pictures: np.ndarray
    scores: np.ndarray
    target: int
    target_name: str
    maps: dict[str, np.ndarray]
    labels: dict[str, np.ndarray]


Sink: TypeAlias = Callable[[Explained], None]


def parse_settings(given: Sequence[str], methods: Sequence[str]) -> tuple[dict[str, Explainer], dict[str, Any]]:
    """Methods with the settings given to them, and those of the network's card.

    Parameters
    ----------
    given
        As `swagv.assignments.parse_assignments` takes them.
    methods
        Names or object paths.

    Raises
    ------
    ConfigError
        On an unknown method, or a setting that none of them has or that cannot take the value.

    Examples
    --------
    >>> explainers, card = parse_settings(["n_segments=50", "model.bgr=true"], ["swagv_ig"])
    >>> explainers["swagv_ig"].n_segments, card
    (50, {'bgr': True})
    """
    plain = {name: explainer_of(name, f"method {name!r}", {}) for name in methods}
    own, card = parse_assignments(given, plain, "methods")
    return {name: explainer_of(name, f"method {name!r}", settings) for name, settings in own.items()}, card


def default_out(video: Path, methods: Sequence[str]) -> Path:
    """``VIDEO.METHOD.mp4`` in the working directory.

    Examples
    --------
    >>> str(default_out(Path("/data/v1.avi"), ["swagv_ig", "grad_cam"]))
    'v1.swagv_ig+grad_cam.mp4'
    """
    video = video.resolve()
    return Path(f"{video.name if video.is_dir() else video.stem}.{'+'.join(methods).replace(':', '.')}.mp4")


def shown_size(height: int, width: int) -> tuple[int, int]:
    """Height and width in which a video's frames are shown: its own, unless it is small or large; even numbers.

    Examples
    --------
    >>> shown_size(240, 320), shown_size(120, 160), shown_size(1080, 1920)
    ((240, 320), (224, 298), (480, 854))
    """
    short = min(height, width)
    factor = min(max(short, _SMALLEST), _LARGEST) / short
    return tuple(round(side * factor / 2) * 2 for side in (height, width))


@dataclass(frozen=True)
class Look:
    """How clips are drawn: where the network's crop is in the video's frames, their size as shown, and the colours."""

    geometry: Geometry
    video: tuple[int, int]
    opacity: float
    signed: bool

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a frame as shown."""
        return shown_size(*self.video)

    def scales(self, clip: Explained) -> dict[str, Scale]:
        """The scale of each method's map, of all of a clip's frames."""
        return {name: Scale.of(found, self.signed) for name, found in clip.maps.items()}

    def overlay(self, clip: Explained, name: str, t: int, scale: Scale) -> np.ndarray:
        """Frame `t` of a clip under a method's map, laid where the network saw it; (H, W, 3) uint8."""
        laid = onto_video(clip.maps[name][t], self.geometry, self.video, self.size)[None]
        labels = clip.labels.get(name)
        borders = None if labels is None else onto_video(labels[t], self.geometry, self.video, self.size)[None]
        return overlay(clip.pictures[t][None], laid, self.opacity, scale, labels=borders)[0]


def film_frames(clip: Explained, look: Look) -> Iterator[np.ndarray]:
    """A clip's frames that no clip before it had: original and methods side by side, with titles and colour bars.

    Yields
    ------
    numpy.ndarray
        (H, W, 3) uint8, one size for all clips.
    """
    scales, width = look.scales(clip), look.size[1]
    said = f"{clip.target_name}  {clip.scores[clip.target]:.2f}"
    above = _beside([title_bar(text, width) for text in ("original", *scales)])
    bars = [title_bar("", width, scale, look.opacity) for scale in scales.values()]
    below = _beside([title_bar(said, width), *bars])
    for t in range(clip.piece.covered, len(clip.pictures)):
        shown = [clip.pictures[t], *(look.overlay(clip, name, t, scale) for name, scale in scales.items())]
        yield np.concatenate([above, _beside(shown), below])


def _beside(images: Sequence[np.ndarray]) -> np.ndarray:
    gap = np.full((images[0].shape[0], _GAP, 3), PAPER, np.uint8)
    return np.concatenate([part for image in images for part in (gap, image)][1:], axis=1)


@contextmanager
def _film(out: Path, order: Order, look: Look, plan: Sequence[Piece], warn: Callable[[str], None]) -> Iterator[Sink]:
    fps = (FOLDER_FPS if order.video.is_dir() else frame_rate(order.video)) / Fraction(order.frame_step)
    sound = order.video if order.whole and order.video.is_file() else None
    with publish(out) as partial, video_writer(partial, fps, sound) as writer:
        if writer.no_sound:
            warn(f"{out} is silent: {writer.no_sound}")

        def add(clip: Explained) -> None:
            for frame in film_frames(clip, look):
                writer.write(frame)

        yield add


@contextmanager
def _filmstrip(
    out: Path, order: Order, look: Look, plan: Sequence[Piece], warn: Callable[[str], None]
) -> Iterator[Sink]:
    """Frames at even distances: the titles and the originals in the first row, a row for each method below."""
    count = sum(len(piece.indices) - piece.covered for piece in plan)
    chosen, passed, columns = {round(k * (count - 1) / (_SHOWN - 1)) for k in range(_SHOWN)}, 0, []

    def add(clip: Explained) -> None:
        nonlocal passed
        scales, width = look.scales(clip), look.size[1]
        for t in range(clip.piece.covered, len(clip.pictures)):
            if passed in chosen:
                said = f"frame {clip.piece.indices[t]}: {clip.target_name}  {clip.scores[clip.target]:.2f}"
                column = [title_bar(said, width), clip.pictures[t]]
                for name, scale in scales.items():
                    column += [title_bar(name, width, scale, look.opacity), look.overlay(clip, name, t, scale)]
                columns.append(np.concatenate(column))
            passed += 1

    with publish(out) as partial:
        yield add
        Image.fromarray(_beside(columns)).save(partial, "PNG", optimize=True)


@contextmanager
def _arrays(out: Path, order: Order, look: Look, plan: Sequence[Piece], warn: Callable[[str], None]) -> Iterator[Sink]:
    """Arrays grow on the disk, one file each, and are packed at the end: an archive takes one after the other."""
    count, files = sum(len(piece.indices) - piece.covered for piece in plan), {}
    with publish(out) as partial:
        folder = partial.with_name(f"{partial.name.removesuffix('.partial')}.arrays.partial")  # swept by `publish` too
        folder.mkdir()

        def add(clip: Explained) -> None:
            new = slice(clip.piece.covered, None)
            parts = {f"attribution/{name}": found[new] for name, found in clip.maps.items()}
            parts["frames"] = clip.frames[new]
            parts["frame_indices"] = np.array(clip.piece.indices[new], np.int64)
            parts["target"] = np.full(len(parts["frames"]) if len(plan) > 1 else (), clip.target, np.int64)
            for name, part in parts.items():
                if name not in files:
                    files[name] = open(folder / f"{len(files)}.npy", "wb")  # noqa: SIM115, closed below
                    header = np.lib.format.header_data_from_array_1_0(part)
                    header["shape"] = (count, *part.shape[1:]) if part.shape else ()
                    np.lib.format.write_array_header_1_0(files[name], header)
                # Written, not mapped into memory: of a full disk a map says nothing but SIGBUS.
                files[name].write(part.tobytes())

        try:
            yield add
            for file in files.values():
                file.close()
            with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                for name, file in files.items():
                    archive.write(file.name, f"{name}.npy")
        finally:
            for file in files.values():
                with suppress(OSError):  # of a full disk, a second time
                    file.close()
            shutil.rmtree(folder)


_SINKS = {".mp4": _film, ".png": _filmstrip, ".npz": _arrays}


@contextmanager
def _written(out: Path, order: Order, look: Look, plan: Sequence[Piece], warn: Callable[[str], None]) -> Iterator[Sink]:
    """A file that grows by a clip a call; what goes wrong with it, and with it alone, is told by its name."""
    from_outside = None
    try:
        with _SINKS[out.suffix.lower()](out, order, look, plan, warn) as sink:

            def add(clip: Explained) -> None:
                try:
                    sink(clip)
                except OSError as error:
                    raise OutputError(out, error) from error

            try:
                yield add
            except OSError as error:
                from_outside = error
                raise
    except OutputError:
        raise
    except OSError as error:
        if error is from_outside:
            raise
        raise OutputError(out, error) from error


def frame_rate(video: Path) -> Fraction:
    """Frames a second that a video file declares on average; `FOLDER_FPS` where it does not."""
    import av

    # Absolute: FFmpeg takes what stands before the colon of "12:30.mp4" for a protocol.
    with av.open(os.path.abspath(video), metadata_errors="replace") as container:
        stream = container.streams.best("video")
        return Fraction(stream.average_rate or stream.guessed_rate or FOLDER_FPS)


def explain_video(
    order: Order,
    said: Callable[[dict[str, Any], int], None] = lambda clip, total: None,
    warn: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Read, explain and draw a video clip by clip; its files appear, whole, when all is done.

    No more than about three clips of frames are held at any time, however long the video is.

    Parameters
    ----------
    order
        Checked before any work.
    said
        Called with each clip's entry in ``clips`` below, and with the number of clips, as soon as it is explained.
    warn
        Called with a line about what is not as asked.

    Returns
    -------
    dict
        What ``swagv explain --json`` prints: ``video``, ``model``, ``method`` (a list), ``clip_len``, ``frame_step``,
        ``top5`` (of the mean scores of all clips), ``target`` (None where each of several clips has its own),
        ``clips`` (``start``, ``top5`` and ``target`` of each) and ``files``. A class is
        ``{"class": name, "index": number, "score": from 0 to 1}``.

    Raises
    ------
    ConfigError, DecodeError, NotApplicable
        If the input cannot work.
    OutputError, RuntimeError
        If the work fails: a full disk, a device without memory, an attribution that is not finite.
    """
    outs = _checked_outs(order)
    explainers, settings = parse_settings(order.settings, order.methods)
    card = _checked_card(order, settings)
    with Decoder(order.time_limit) as decoder:
        with _naming(order.video, ConfigError):
            found = decoder.probe(order.video)
            plan = pieces(found.num_frames, card.clip_len, order.frame_step, order.start, order.whole)
        if found.detail:
            warn(f"{order.video}: {found.detail}")
        model = _load_model(order, card, settings | {"clip_len": card.clip_len}, explainers)
        look = Look(card.geometry, (found.height, found.width), order.opacity, order.signed)
        if order.borders and not any(isinstance(explainer, SwagV) for explainer in explainers.values()):
            warn("borders are those of a SWAG-V method's supervoxels; none of the methods has any")
        clips, total = [], 0
        with _naming(order.video), ExitStack() as stack:
            sinks = [stack.enter_context(_written(out, order, look, plan, warn)) for out in outs]
            shots = _shots(decoder.iter_frames(order.video, _all_indices(plan)), look)
            for piece, held in windows(shots, plan):
                clip = _explained(model, card, piece, held, explainers, order)
                total = total + clip.scores.astype(np.float64)
                clips.append(_entry(clip, model.categories))
                for sink in sinks:
                    sink(clip)
                said(clips[-1], len(plan))
    mean = total / len(clips)
    target = clips[0]["target"]
    if len(clips) > 1:
        target = None if order.target is None else target | {"score": float(mean[target["index"]])}
    return {
        "video": str(order.video),
        "model": order.model,
        "method": list(explainers),
        "clip_len": card.clip_len,
        "frame_step": order.frame_step,
        "top5": top_classes(mean, model.categories),
        "target": target,
        "clips": clips,
        "files": [str(out) for out in outs],
    }


def _checked_outs(order: Order) -> list[Path]:
    outs = list(dict.fromkeys(order.outs)) or [default_out(order.video, order.methods)]
    for out in outs:
        check_out(out, SUFFIXES, order.video)
    return outs


def _checked_card(order: Order, settings: Mapping[str, Any]) -> ModelCard:
    """The network's card as asked for; what can be known to be wrong without the network is found here."""
    if not 0 <= order.opacity <= 1:
        raise ConfigError(f"opacity {order.opacity:g}: must be from 0 to 1")
    for name in ("clip_len", "frame_step"):
        value = getattr(order, name)
        if value is not None and value < 1:
            raise ConfigError(f"{name} {value}: must be at least 1")
    card = load_card(order.model, settings if order.clip_len is None else {**settings, "clip_len": order.clip_len})
    find_weights(order.model, card, order.weights)
    target_index(order.target, card.categories)
    return card


@contextmanager
def _naming(video: Path, *others: type[SwagvError]) -> Iterator[None]:
    """Put the video's name before what is wrong with it."""
    try:
        yield
    except (DecodeError, *others) as error:
        cure = "; --time-limit gives it more" if "longer than" in str(error) else ""
        kind = DecodeError if isinstance(error, DecodeError) else type(error)
        raise kind(f"{video}: {error}{cure}") from error


def _load_model(
    order: Order, card: ModelCard, settings: dict[str, Any], explainers: Mapping[str, Explainer]
) -> VideoClassifier:
    import torch

    from swagv.models.build import taking_clips
    from swagv.network_batches import check_device, load_for_stage

    check_device(order.device)
    spec = {"card": order.model, "weights": order.weights, "settings": settings}
    model = load_for_stage(spec, order.device, torch.get_num_threads())
    if model.mean.device.type == "cpu":
        # The layout of `swagv.load_model`: on a CPU no slower, and the arrays are the library's to the last bit.
        model.network.to(memory_format=torch.contiguous_format)
    for name, explainer in explainers.items():
        try:
            with taking_clips(order.model, card):
                explainer.check(model)
        except NotApplicable as reason:
            raise NotApplicable(f"method {name!r} on model {order.model!r}: {reason}") from reason
    return model


def _all_indices(plan: Sequence[Piece]) -> list[int]:
    return [index for piece in plan for index in piece.indices[piece.covered :]]


def _shots(frames: Iterable[Frame], look: Look) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each frame as the network sees it and as it is shown."""
    for frame in frames:
        picture = frame.pixels
        if picture.shape[:2] != look.size:
            picture = np.asarray(Image.fromarray(picture).resize(look.size[::-1], Image.Resampling.BICUBIC))
        yield look.geometry.frames(frame.pixels), picture


def _explained(
    model: VideoClassifier,
    card: ModelCard,
    piece: Piece,
    shots: Sequence[tuple[np.ndarray, np.ndarray]],
    explainers: Mapping[str, Explainer],
    order: Order,
) -> Explained:
    import torch

    from swagv.models.build import taking_clips

    frames, pictures = (np.stack(part) for part in zip(*shots, strict=True))
    clips = model.preprocess(frames[None])
    with taking_clips(order.model, card), torch.inference_mode():
        scores = model(clips).softmax(1)[0].cpu().numpy()
    target = target_index(order.target, model.categories)
    target = int(scores.argmax()) if target is None else target
    targets, names = torch.tensor([target], device=clips.device), [clip_id(order.video.stem, piece.indices[0])]
    maps, labels = {}, {}
    for name, explainer in explainers.items():
        if order.borders and isinstance(explainer, SwagV):
            found, supervoxels = explainer.with_labels(model, clips, targets, names)
            labels[name] = supervoxels[0]
        else:
            found = explainer(model, clips, targets, names)
        maps[name] = found[0].float().cpu().numpy()
        if not np.isfinite(maps[name]).all():
            raise RuntimeError(f"the attribution by {name} is not finite")
    return Explained(piece, frames, pictures, scores, target, model.categories[target], maps, labels)


def _entry(clip: Explained, categories: Sequence[str]) -> dict[str, Any]:
    target = {"class": clip.target_name, "index": clip.target, "score": float(clip.scores[clip.target])}
    return {"start": clip.piece.indices[0], "top5": top_classes(clip.scores, categories), "target": target}
