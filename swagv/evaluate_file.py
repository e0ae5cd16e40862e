"""Given explanations scored: `swagv evaluate`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from swagv.assignments import parse_assignments
from swagv.catalogue import METRICS
from swagv.config import settings_of
from swagv.errors import ConfigError
from swagv.given_clips import GivenClip, GivenClips
from swagv.headings import heading
from swagv.library import evaluate, read_clip
from swagv.metrics import annotations_of, needs_network
from swagv.metrics.localisation import as_array
from swagv.models.cards import load_card
from swagv.models.weights import find_weights
from swagv.plain import as_json, in_columns
from swagv.publish import OutputError, check_out, publish
from swagv.runtime import DEFAULTS
from swagv.targets import target_index

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from swagv.models.classifier import VideoClassifier

SUFFIXES = (".csv", ".json", ".parquet", ".svg")
_TOGETHER = 8  # clips in memory
_RESAMPLES = 2000
_HITS = ("hits_value", "hits_mean", "hits_energy")  # of localisation, whose errors need all clips
_NO_SCORE = {"clip_id", "method", "status", "target", "target_name", "p_target"}
_SUMMARY = ("method", "metric", "n", "n_failed", "mean", "ci_low", "ci_high", "higher_is_better", "alpha")


@dataclass(frozen=True)
class Order:
    """What is asked for; the fields are the options of ``swagv evaluate``.

    Parameters
    ----------
    explanations
        A file as `swagv.given_clips` describes it.
    model, weights
        As `swagv.load_model` takes them.
    metrics
        Names of ``swagv list metrics``, or ``"package.module:Object"``.
    methods
        Of those in the file; all if empty.
    clips
        Another file with the frames.
    video, start, frame_step, time_limit
        The video that the only clip is from, as `swagv.read_clip` takes them.
    clip_len
        Frames a clip; the network's own number where None.
    target
        A category's name or number, for all clips; that of the file, else the top-1 class, where None.
    outs
        Files to write, each of one of `SUFFIXES`.
    device
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    settings
        ``KEY=VALUE`` for all metrics that have such a setting, ``METRIC.KEY=VALUE`` for one, ``model.KEY=VALUE``.
    """

    explanations: Path
    model: str
    weights: str = "default"
    metrics: tuple[str, ...] = ("insertion_deletion",)
    methods: tuple[str, ...] = ()
    clips: Path | None = None
    video: Path | None = None
    start: int | None = None
    frame_step: int = 1
    time_limit: float = DEFAULTS["time_limit"]
    clip_len: int | None = None
    target: str | None = None
    outs: tuple[Path, ...] = ()
    device: str = "auto"
    settings: tuple[str, ...] = ()


def evaluate_file(
    asked: Order,
    said: Callable[[int, int], None] = lambda done, total: None,
    warn: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Score the explanations of a file, a few clips at a time.

    Parameters
    ----------
    asked
        Checked before any work.
    said
        Called with the number of clips that are done, and of all.
    warn
        Called with a line about what is not as asked.

    Returns
    -------
    dict
        What ``swagv evaluate --json`` prints: ``explanations``, ``model``, ``metrics``, ``rows`` (clip_id, method,
        status, target, target_name, p_target and the scores, one a clip and method), ``summary`` (method, metric, n,
        n_failed, mean, ci_low, ci_high, higher_is_better; the interval is NaN for clips of a single video) and
        ``files``.

    Raises
    ------
    ConfigError, DecodeError
        If the input cannot work.
    OSError, RuntimeError
        If the work fails.
    """
    from swagv.models.build import taking_clips

    outs = list(dict.fromkeys(asked.outs))
    for out in outs:
        check_out(out, SUFFIXES, asked.explanations, asked.clips, asked.video)
        if out.suffix.lower() == ".svg" and "insertion_deletion" not in asked.metrics:
            raise ConfigError(f"{out}: there are no curves to draw without the metric insertion_deletion")
    metrics, card_settings = _metrics_of(asked)
    if asked.clip_len is not None:
        card_settings["clip_len"] = asked.clip_len
    card = load_card(asked.model, card_settings)
    find_weights(asked.model, card, asked.weights)
    named = target_index(asked.target, card.categories)
    shape = (card.clip_len, card.geometry.crop, card.geometry.crop)
    given = GivenClips(asked.explanations, shape, _frames_of(asked, card.clip_len))
    methods = _chosen(asked, given)
    for name, metric in metrics.items():
        if annotations_of(metric).get("boxes") and not given.boxed:
            raise ConfigError(f"{name} needs true boxes: an array boxes (N,T,4) in the file, or in that of --clips")
    if given.left_out:
        warn(f"the last {given.left_out} frames make no whole clip and are left out")
    with taking_clips(asked.model, card):
        model = _load_model(asked, card_settings | {"clip_len": card.clip_len}, metrics.values())
    rows: list[dict[str, Any]] = []
    for group in _groups(given):
        with taking_clips(asked.model, card):
            rows += _scored(model, group, methods, metrics, asked.target if named is None else named)
        said(len(rows) // len(methods), len(given))
    result = {"explanations": str(asked.explanations), "model": asked.model, "metrics": list(metrics), "rows": rows}
    result |= {"summary": _summaries(rows, metrics), "files": [str(out) for out in outs]}
    for out in outs:
        try:
            _write(out, result, methods)
        except OSError as error:
            raise OutputError(out, error) from error
    return result


def _metrics_of(asked: Order) -> tuple[dict[str, Any], dict[str, Any]]:
    """The metrics by their names, and settings of the network's card."""
    plain = {name: METRICS.load(name) for name in asked.metrics}
    for name, factory in plain.items():
        if not (is_dataclass(factory) and hasattr(factory, "higher_is_better")):
            raise ConfigError(f"metric {name!r} is a {type(factory).__name__}; see swagv.metrics for what one must be")
    own, card = parse_assignments(asked.settings, plain, "metrics")
    made = {}
    for name, factory in plain.items():
        made[name] = factory(**settings_of(factory, f"metric {name!r}", own[name]))
    return made, card


def _frames_of(asked: Order, clip_len: int) -> Path | np.ndarray | None:
    if asked.video is None:
        if asked.start is not None or asked.frame_step != 1:
            raise ConfigError("--start and --frame-step are of --video, which is not given")
        return asked.clips
    if asked.clips is not None:
        raise ConfigError("frames come from --clips or from --video, not from both")
    if not asked.time_limit > 0:
        raise ConfigError(f"--time-limit {asked.time_limit:g}: must be greater than 0")
    return read_clip(asked.video, clip_len, asked.start, asked.frame_step, asked.time_limit)


def _chosen(asked: Order, given: GivenClips) -> tuple[str, ...]:
    for name in asked.methods:
        if name not in given.methods:
            raise ConfigError(f"{asked.explanations} has no method {name!r}; it has {', '.join(given.methods)}")
    return asked.methods or given.methods


def _load_model(asked: Order, settings: dict[str, Any], metrics: Any) -> VideoClassifier:
    import torch

    from swagv.network_batches import check_device, load_for_stage

    check_device(asked.device)
    precisions = {getattr(metric, "precision", "fp32") for metric in metrics if needs_network(metric)}
    # Made ready once, where all that runs it wants it the same.
    precision = precisions.pop() if len(precisions) == 1 else None
    spec = {"card": asked.model, "weights": asked.weights, "settings": settings}
    return load_for_stage(spec, asked.device, torch.get_num_threads(), precision)


def _groups(given: GivenClips) -> Iterator[list[GivenClip]]:
    for start in range(0, len(given), _TOGETHER):
        yield [given[index] for index in range(start, min(start + _TOGETHER, len(given)))]


def _scored(
    model: VideoClassifier,
    group: Sequence[GivenClip],
    methods: Sequence[str],
    metrics: Mapping[str, Any],
    target: str | int | None,
) -> list[dict[str, Any]]:
    """Rows of a few clips: one a clip and method."""
    import torch

    good = [clip for clip in group if clip.status == "ok"]
    rows = {
        (clip.clip_id, name): {"clip_id": clip.clip_id, "method": name, "status": clip.status}
        for clip in group
        for name in methods
    }
    if not good:
        return list(rows.values())
    clips = model.preprocess(np.stack([clip.frames for clip in good]))
    with torch.inference_mode():
        scores = model(clips).softmax(1)
    classes = _classes(good, scores, model.categories, target)
    for name in methods:
        there = [place for place, clip in enumerate(good) if np.isfinite(clip.maps[name]).all()]
        for place, clip in enumerate(good):
            row, index = rows[clip.clip_id, name], int(classes[place])
            row |= {"target": index, "target_name": model.categories[index], "p_target": float(scores[place, index])}
            if place not in there:
                row["status"] = "attribution is not finite"
        for metric in metrics.values():
            needs_boxes = annotations_of(metric).get("boxes", False)
            some = [place for place in there if not needs_boxes or good[place].has_boxes]
            if not some:
                continue
            maps = torch.from_numpy(np.stack([good[place].maps[name] for place in some]))
            boxes = _boxes(metric, [good[place] for place in some])
            found = evaluate(model, clips[some], maps, classes[some], metric, **boxes)
            for row, place in enumerate(some):
                rows[good[place].clip_id, name] |= {
                    score: as_array(values[row]).tolist() for score, values in found.items()
                }
    for row in rows.values():
        if row["status"] == "ok" and row.keys() <= _NO_SCORE:
            row["status"] = "no_true_box"
    return list(rows.values())


def _classes(clips: Sequence[GivenClip], scores: Tensor, categories: Sequence[str], target: str | int | None) -> Tensor:
    """The class to score for each clip: `target`, else what the file says, else the top-1 class."""
    classes = scores.argmax(1).clone()
    for place, clip in enumerate(clips):
        wanted = clip.target if target is None else target
        if wanted is None:
            continue
        index = target_index(wanted, categories) if isinstance(wanted, str) else wanted
        if not 0 <= index < scores.shape[1]:
            raise ConfigError(f"target {wanted} of clip {clip.clip_id}: the network has {scores.shape[1]} classes")
        classes[place] = index
    return classes


def _boxes(metric: Any, clips: Sequence[GivenClip]) -> dict[str, np.ndarray]:
    """The true boxes of clips for a metric that takes them: NaN where a clip has none."""
    if "boxes" not in annotations_of(metric):
        return {}
    none = np.full((len(next(iter(clips[0].maps.values()))), 4), np.nan)
    return {"boxes": np.stack([none if clip.boxes is None else clip.boxes for clip in clips])}


def _summaries(rows: Sequence[Mapping[str, Any]], metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Means of every score and method, as the workflow takes them."""
    from swagv.summary import CELL, summarise

    found = []
    for name, metric in metrics.items():
        known = {*metric.higher_is_better, *_HITS}
        scored = [
            row | dict.fromkeys(CELL, "given") | {"method": row["method"]} | _unless_scored(row, known) for row in rows
        ]
        found += summarise(_frame(scored), name, _RESAMPLES)
    return [{key: one[key] for key in _SUMMARY if key in one} for one in found]


def _unless_scored(row: Mapping[str, Any], scores: set[str]) -> dict[str, str]:
    """A clip that one metric could not score may be another's."""
    return {} if row["status"] != "ok" or scores & row.keys() else {"status": "no_true_box"}


def _frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(list(rows))


def _write(out: Path, result: Mapping[str, Any], methods: Sequence[str]) -> None:
    rows, suffix = result["rows"], out.suffix.lower()
    with publish(out) as partial:
        if suffix == ".json":
            partial.write_text(as_json(result), encoding="utf-8")
        elif suffix == ".csv":  # of the curves a spreadsheet has no use
            numbers = [{key: value for key, value in row.items() if not isinstance(value, list)} for row in rows]
            _frame(numbers).to_csv(partial, index=False)
        elif suffix == ".parquet":
            _frame(rows).to_parquet(partial, index=False)
        else:
            from swagv.figures.curves import both_curves_svg

            curves = [row for row in rows if "deletion_curve" in row]
            partial.write_text(both_curves_svg(_frame(curves), methods), encoding="utf-8")


def as_text(result: Mapping[str, Any]) -> str:
    """A line a method and score: the mean, its 95 % interval where there is one, and how many clips."""
    lines = []
    for one in result["summary"]:
        if not one["n"]:
            lines.append((one["method"], "no score", "", f"n 0, {one['n_failed']} failed"))
            continue
        interval = f" [{one['ci_low']:.3f}, {one['ci_high']:.3f}]" if math.isfinite(one["ci_low"]) else ""
        failed = f", {one['n_failed']} failed" if one["n_failed"] else ""
        score, mean = heading(one["metric"], one["higher_is_better"]), f"{one['mean']:.3f}{interval}"
        lines.append((one["method"], score, mean, f"n {one['n']}{failed}"))
    statuses = Counter((row["method"], row["status"]) for row in result["rows"] if row["status"] != "ok")
    reasons = [f"{method}: {count} clips {status}" for (method, status), count in statuses.items()]
    return "\n".join([in_columns(lines), *reasons])
