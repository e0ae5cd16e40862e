"""The library in four calls: `load_model`, `read_clip`, `explain`, `evaluate`. Imports torch when one needs it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike
    from torch import Tensor, nn

    from swagv.methods.explainer import Explainer
    from swagv.models.classifier import VideoClassifier


def load_model(
    network: str | nn.Module, weights: str | Path | None = "default", device: str | None = None, **settings: Any
) -> VideoClassifier:
    """A network that can be explained: a named one, or one of your own, in eval mode.

    Parameters
    ----------
    network
        A name of ``swagv list models``, ``"package.module:factory"``, or the network itself: any module that maps clips
        N,3,T,H,W to logits N,K.
    weights
        ``"default"``, a file, a name that torchvision gives its weights, or None for fresh ones. A network that is
        given as it is has its own.
    device
        ``"cpu"``, ``"cuda"``, …; where the network is if not given.
    **settings
        What is to be known of the network, in place of what its card says: ``categories``, ``clip_len``, ``geometry``
        (``{"resize": 256, "crop": 224}``), ``mean``, ``std``, ``cam_layer``, ``head``, ``reshape`` and the other fields
        of `swagv.models.cards.ModelCard`.

    Returns
    -------
    VideoClassifier
        See `swagv.models.classifier.VideoClassifier`.

    Raises
    ------
    ConfigError
        On an unknown name or setting, absent weights, or weights that do not fit.

    Examples
    --------
    >>> model = load_model("c3d_demo")
    >>> model.categories[:2]
    ('horizontal', 'vertical')

    A network of your own, here without any training:

    >>> from torch import nn
    >>> network = nn.Sequential(nn.Conv3d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 2))
    >>> import numpy as np
    >>> model = load_model(network, cam_layer="1", categories=("run", "jump"), clip_len=8)
    >>> model.preprocess(np.zeros((1, 8, 240, 320, 3), np.uint8)).shape
    torch.Size([1, 3, 8, 112, 112])
    """
    from swagv.errors import ConfigError
    from swagv.models.build import as_classifier, build_model

    if isinstance(network, str):
        model = build_model(network, weights, **settings)
    elif weights in ("default", None):
        model = as_classifier(network, **settings)
    else:
        raise ConfigError(f"weights={str(weights)!r}: a network that is given as it is has its own; leave weights out")
    try:
        return model if device is None else model.to(device)
    except (AssertionError, RuntimeError) as error:  # PyTorch without CUDA, or no such GPU
        raise ConfigError(f"device {device!r}: {str(error).partition(chr(10))[0]}") from error


def read_clip(
    video: str | Path, clip_len: int = 16, start: int | None = None, frame_step: int = 1, time_limit: float = 120
) -> np.ndarray:
    """The frames of one clip of a video.

    They are read in order by a process of its own, which a broken file cannot take with it.

    Parameters
    ----------
    video
        A file, or a folder of frames.
    clip_len
        T, frames a clip; that of a network is ``model.clip_len``.
    start
        First frame, from 0; the middle clip where None.
    frame_step
        Take each `frame_step`-th frame.
    time_limit
        Seconds that reading may take.

    Returns
    -------
    numpy.ndarray
        Frames (T, H, W, 3) uint8 RGB, as large as the video. ``model.preprocess(frames[None])`` resizes and crops.

    Raises
    ------
    ConfigError
        If the video is too short, or the clip would begin or end outside of it.
    DecodeError
        If it cannot be read, or not in time.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from swagv.datasets.rendering import render_video, write_video
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_video(Path(folder, "v.mp4"), render_video(label=0, seed=1, num_frames=20).frames)
    ...     read_clip(Path(folder, "v.mp4"), clip_len=8).shape
    (8, 240, 320, 3)
    """
    from swagv.decode import Decoder
    from swagv.errors import ConfigError, naming
    from swagv.pieces import pieces

    for name, value in (("clip_len", clip_len), ("frame_step", frame_step)):
        if value < 1:
            raise ConfigError(f"{name} {value}: must be at least 1")
    with Decoder(time_limit) as decoder, naming(video):
        (piece,) = pieces(decoder.probe(video).num_frames, clip_len, frame_step, start)
        return decoder.read_frames(video, list(piece.indices)).frames


def explain(
    model: nn.Module,
    clips: Tensor,
    method: str | Explainer = "swagv_ig",
    target: int | str | Sequence[int | str] | Tensor | None = None,
    clip_ids: Sequence[str] | None = None,
    **settings: Any,
) -> Tensor:
    """Where and when a network looked.

    Parameters
    ----------
    model
        From `load_model`, or any module that maps clips N,3,T,H,W to logits N,K. Of the latter's preprocessing nothing
        is known: where a method looks at the picture, it sees the clips min-max scaled.
    clips
        N,3,T,H,W float32, already preprocessed (``model.preprocess``).
    method
        A name of ``swagv list methods``, ``"package.module:Object"``, or an explainer.
    target
        The class to explain: its number or its name for all clips, or N of them; None for the top-1 class.
    clip_ids
        N names that seed what is random; the clips' places in the batch where None.
    **settings
        Of the method.

    Returns
    -------
    torch.Tensor
        Attribution N,T,H,W float32, signed, not normalised.

    Raises
    ------
    ConfigError
        On unknown names and settings, or clips or targets that do not fit.
    NotApplicable
        Where the method cannot explain this network.

    Examples
    --------
    >>> import torch
    >>> model = load_model("c3d_demo")
    >>> explain(model, torch.zeros(1, 3, 16, 112, 112), "grad_cam", target="spin").shape
    torch.Size([1, 16, 112, 112])
    """
    import torch

    from swagv.config import explainer_of
    from swagv.errors import ConfigError
    from swagv.methods.explainer import names_of

    if isinstance(method, str):
        method = explainer_of(method, f"method {method!r}", settings)
    elif settings:
        raise ConfigError(f"{', '.join(settings)}: an explainer has its settings; give a method's name with settings")
    with _ready(model, clips) as classifier:
        names = names_of(clips, clip_ids)
        clips = clips.clone() if clips.is_inference() else clips  # autograd takes no tensor of inference mode
        targets = _targets(classifier, clips, target)
        if classifier is model:
            return method(model, clips, targets, names).float()
        # A plain module's clips are scaled one by one: none is explained otherwise for the company it is in.
        parts = zip(clips.split(1), targets.split(1), names, strict=True)
        return torch.cat([method(_as_classifier(model, one), one, label, [name]) for one, label, name in parts]).float()


def evaluate(
    model: nn.Module,
    clips: Tensor,
    attribution: ArrayLike,
    target: int | str | Sequence[int | str] | Tensor | None = None,
    metrics: str | Callable | Sequence[str | Callable] = ("insertion_deletion",),
    precision: str | None = None,
    **annotations: Any,
) -> dict[str, Any]:
    """How good explanations are, clip by clip.

    Parameters
    ----------
    model, clips, target
        As for `explain`.
    attribution
        N,T,H,W, a tensor or an array; of `explain`, or made elsewhere.
    metrics
        Names of ``swagv list metrics``, or metrics with settings of their own; one or several.
    precision
        Of the forward passes, in place of the metrics' own: ``"fp32"``, ``"bf16"`` (moves areas by a thousandth or so),
        or ``"tf32"`` on a GPU.
    **annotations
        What a metric needs beside: ``boxes`` N,T,4 for ``"localisation"``.

    Returns
    -------
    dict
        One value or row a clip under each name: ``deletion_auc``, ``insertion_auc`` (N,), ``deletion_curve``,
        ``insertion_curve`` (N, steps + 1), ``hits_value`` (N, alphas), …

    Raises
    ------
    ConfigError
        On unknown names, annotations that no metric takes, or ones that a metric needs and are absent.
    ValueError
        If shapes do not agree or the attribution is not finite.

    Examples
    --------
    >>> import torch
    >>> model, clips = load_model("c3d_demo"), torch.zeros(1, 3, 16, 112, 112)
    >>> scores = evaluate(model, clips, explain(model, clips, "centre"))
    >>> scores["insertion_curve"].shape
    torch.Size([1, 29])
    """
    import torch

    from swagv.catalogue import METRICS
    from swagv.errors import ConfigError
    from swagv.metrics import annotations_of

    metrics = [metrics] if isinstance(metrics, str) or callable(metrics) else metrics
    called = [METRICS.load(metric)() if isinstance(metric, str) else metric for metric in metrics]
    if precision is not None:
        try:
            called = [replace(one, precision=precision) if hasattr(one, "precision") else one for one in called]
        except ValueError as error:
            raise ConfigError(str(error)) from error
    wanted = [annotations_of(metric) for metric in called]
    unused = annotations.keys() - set().union(*wanted)
    if unused:
        raise ConfigError(f"no metric among {', '.join(map(str, metrics))} takes {', '.join(sorted(unused))}")
    attribution = torch.as_tensor(attribution, dtype=torch.float32, device=clips.device).detach()
    result: dict[str, Any] = {}
    with _ready(model, clips) as classifier:
        classes = _targets(classifier, clips, target)
        for metric, names in zip(called, wanted, strict=True):
            absent = [name for name, needed in names.items() if needed and name not in annotations]
            if absent:
                raise ConfigError(f"{type(metric).__name__} needs {', '.join(absent)}; give {absent[0]}=…")
            given = {name: annotations[name] for name in names if name in annotations}
            result |= metric(classifier, clips, attribution, classes, **given)
    return result


@contextmanager
def _ready(model: nn.Module, clips: Tensor) -> Iterator[VideoClassifier]:
    """The model as a `VideoClassifier` in eval mode, put back as it was afterwards."""
    import torch

    from swagv.errors import ConfigError

    if not isinstance(clips, torch.Tensor) or clips.ndim != 5 or not clips.is_floating_point() or not len(clips):
        given = f"{clips.dtype} {tuple(clips.shape)}" if hasattr(clips, "shape") else type(clips).__name__
        raise ConfigError(
            f"clips must be a float tensor N,3,T,H,W of one clip or more; got {given}. model.preprocess(frames) makes "
            "them from frames N,T,H,W,3 uint8"
        )
    if not torch.isfinite(clips).all():
        raise ConfigError("clips hold NaN or infinity; every explanation of them would say nothing")
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield _as_classifier(model, clips)
    finally:
        for module in training:
            module.training = True


def _as_classifier(model: nn.Module, clips: Tensor) -> VideoClassifier:
    from swagv.geometry import Geometry
    from swagv.models.classifier import VideoClassifier

    if isinstance(model, VideoClassifier):
        return model
    low, spread = float(clips.min()), max(float(clips.max() - clips.min()), 1e-12)
    classifier = VideoClassifier(
        model,
        categories=(),
        geometry=Geometry(resize=min(clips.shape[3:]), crop=min(clips.shape[3:])),
        clip_len=clips.shape[2],
        mean=(-low / spread,) * 3,
        std=(1 / spread,) * 3,
    )
    classifier.mean, classifier.std = classifier.mean.to(clips.device), classifier.std.to(clips.device)
    return classifier


def _targets(model: VideoClassifier, clips: Tensor, target: int | str | Sequence[int | str] | Tensor | None) -> Tensor:
    """Classes (N,) int64 on the clips' device."""
    import torch

    from swagv.errors import ConfigError
    from swagv.targets import target_index

    with torch.inference_mode():
        logits = model(clips[:1] if target is not None else clips)
    if target is None:
        return logits.argmax(1).clone()
    given = target.reshape(-1).tolist() if isinstance(target, torch.Tensor) else target
    given = [given] if isinstance(given, str) or not isinstance(given, Iterable) else list(given)
    named = [target_index(one, model.categories) if isinstance(one, str) else one for one in given]
    whole = all(isinstance(one, Integral) and not isinstance(one, bool) for one in named)
    if len(named) not in (1, len(clips)) or not whole or not all(0 <= one < logits.shape[1] for one in named):
        raise ConfigError(f"target {target!r}: give one class or {len(clips)}, each from 0 to {logits.shape[1] - 1}")
    return torch.tensor([int(one) for one in named], device=clips.device).expand(len(clips))
