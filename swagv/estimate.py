"""What a configuration will cost before it starts: jobs, disk, hours of a device and of cores.

Passes through the networks are what the methods and metrics say of themselves, and jobs are the files of
`swagv.outputs`. What a pass takes is measured here, or follows from the arithmetic of a device that is not here.
"""

from __future__ import annotations

import math
import os
import platform
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache, cached_property
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from swagv.clips import ABSENT
from swagv.config import Dataset, Evaluation, Method, Metric, gradients_of, recipes_of
from swagv.errors import ConfigError, NotApplicable
from swagv.forward_passes import Passes, in_batches
from swagv.metrics import needs_network
from swagv.outputs import Outputs
from swagv.registry import load_object
from swagv.runtime import ENVIRONMENT
from swagv.tables import read_provenance, read_rows

# Bytes on disk of a voxel, T*H*W a clip, of the frames, of supervoxels' labels, and of explanations by their kind: real
# clips of 16x112x112 in benchmarks/results/disk.csv.
BYTES_A_VOXEL = {
    "frames": 1.9,
    "labels": 0.0943,
    "attribution": 3.29,
    "pixels": 0.0,
    "supervoxels": 0.00278,
    "layer map": 0.00301,
    "control": 0.0,
}
_BYTES_A_ROW = 400  # of a Parquet table: a clip's scores and curves
# Of an explanation that is put together from stores, one core: benchmarks/results/growth.csv.
_SECONDS_A_VOXEL = 5.8e-8
_STAGES = (
    "render",
    "plan",
    "decode",
    "predict",
    "gradients",
    "supervoxels",
    "explain",
    "metric",
    "timing",
    "randomise",
)
_REST = "report"  # and the summaries, tables and figures that it shows
_NO_PASSES = Passes(0)
_COLUMNS = ["stage", "name", "jobs", "clips", "passes_a_clip", "gigabytes", "device_hours", "core_hours"]
_NUMBERS = ["jobs", "clips", "gigabytes", "device_hours", "core_hours"]
# Of what is measured, after a first call that is not: no more calls, and none once they took so many seconds.
_CALLS, _BUDGET = 3, 3.0


@dataclass(frozen=True)
class ClipCount:
    """Clips of a dataset, and how that is known."""

    clips: int
    known_from: str


@dataclass(frozen=True)
class Estimate:
    """A row a stage and what it is of; `notes` say what the numbers rest on and leave out."""

    rows: pd.DataFrame
    clips: dict[str, ClipCount]
    measured_on: str
    notes: tuple[str, ...]

    @cached_property
    def totals(self) -> dict[str, float]:
        """Sums over the rows, without what is not known."""
        return {name: self.rows[name].sum().item() for name in ("jobs", "gigabytes", "device_hours", "core_hours")}

    @property
    def complete(self) -> bool:
        """Whether all of the device hours are known."""
        return bool(self.rows.device_hours.notna().all())


class Measured:
    """Seconds on this machine, each measured when it is first asked for.

    Parameters
    ----------
    evaluation
        The configuration.
    device
        As `swagv.network_batches.pick_device` takes it.
    """

    def __init__(self, evaluation: Evaluation, device: str):
        import torch

        from swagv.network_batches import pick_device

        self.evaluation = evaluation
        self.device = pick_device(device)
        if self.device.type == "cuda" and not torch.cuda.is_available():
            raise ConfigError("device cuda: PyTorch finds no GPU here; give --device cpu, or --tflops of the one meant")
        self._models: dict[str, Any] = {}
        self.forward, self.gradient = cache(self._forward), cache(self._gradient)
        self.supervoxels, self.score = cache(self._supervoxels), cache(self._score)
        self.video = cache(self._video)

    @property
    def on(self) -> str:
        """The device."""
        threads = max(2, self.evaluation.runtime["threads"])
        what = f"{threads} threads of " if self.device.type == "cpu" else ""
        return f"seconds measured on {what}this machine, {machine()}"

    def seconds(self, model: str, passes: Passes, precision: str | None = None) -> float:
        """Of one clip's passes on the device; the forward ones in a precision, or of the network as it is if None."""
        only_forward = passes.forward - passes.backward
        back = passes.backward * self.gradient(model) if passes.backward else 0.0
        return back + (only_forward * self.forward(model, precision) if only_forward else 0.0)

    def model(self, name: str) -> Any:
        """A network of the configuration with fresh weights, which take as long as any; one is held at a time."""
        from swagv.network_batches import load_for_stage

        if name not in self._models:
            runtime, spec = self.evaluation.runtime, self.evaluation.models[name].spec
            self._models = {name: load_for_stage(spec | {"weights": None}, str(self.device), runtime["threads"])}
        return self._models[name]

    def applies(self, model: str, method: Any) -> bool:
        """Whether an explainer goes together with a network."""
        try:
            method.check(self.model(model))
        except NotApplicable:
            return False
        return True

    def _forward(self, name: str, precision: str | None) -> float:
        import torch

        from swagv.models.inference import for_inference
        from swagv.network_batches import batch_size_of

        model = self.model(name) if precision is None else for_inference(self.model(name), precision)
        size = batch_size_of(self.evaluation.runtime, self.device)
        clips = self._clips(name, size)

        @torch.inference_mode()
        def call(batch: slice) -> float:
            return float(model(clips[batch]).sum())

        return _best(lambda: list(in_batches(call, size, size))) / size

    def _gradient(self, name: str) -> float:
        import torch

        from swagv.methods.vanilla_backprop import gradient
        from swagv.network_batches import together

        model, size = self.model(name), together(self.device)
        clips, target = self._clips(name, size), torch.zeros(size, dtype=torch.int64, device=self.device)

        def call(batch: slice) -> float:
            return float(gradient(model, clips[batch], target[batch]).sum())

        return _best(lambda: list(in_batches(call, size, size))) / size

    def _clips(self, name: str, count: int) -> Any:
        import torch

        model = self.model(name)
        shape = (count, 3, model.clip_len, model.crop, model.crop)
        return torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(self.device)

    def _supervoxels(self, recipe: str, dataset: str) -> float:
        """Of one rendered clip, on one core."""
        from swagv.slic import slic_supervoxels_of

        spec = recipes_of(self.evaluation.known_methods.values())[recipe].recipe
        frames, attribution = self._rendered(dataset)
        engine = self.evaluation.runtime["supervoxels"]
        engine = "numba" if engine == "auto" else engine
        how = {"engine": engine, "threads": 1, "device": str(self.device)}
        return _best(lambda: slic_supervoxels_of([frames], [attribution], **spec, **how))

    def _rendered(self, dataset: str) -> tuple[np.ndarray, np.ndarray]:
        """Frames of a rendered clip, and an attribution that knows where its edges are."""
        from swagv.datasets.rendering import render_video
        from swagv.geometry import Geometry

        spec = self.evaluation.datasets[dataset].spec
        frames = Geometry(**spec["geometry"]).frames(render_video(5, 0, spec["clips"]["clip_len"]).frames)
        edges = np.abs(np.gradient(frames.astype(np.float32).mean(-1), axis=(1, 2))).sum(0)
        return frames, edges.astype(np.float32)

    def _score(self, name: str, dataset: str) -> float:
        """Of one clip by a metric that runs no network, on one core."""
        metric = self.evaluation.known_metrics[name]
        call, (_, heat) = load_object(metric.spec["object"])(**metric.spec["settings"]), self._rendered(dataset)
        side = heat.shape[-1]
        box = np.broadcast_to(np.array([side / 4, side / 4, side / 2, side / 2]), (1, len(heat), 4))
        given = {"boxes": box} if metric.takes_boxes else {}
        return _best(lambda: call(None, None, heat[None], np.zeros(1, int), **given))

    def _video(self, dataset: str) -> dict[str, float]:
        """Seconds of one core to ``render``, ``plan`` and ``decode`` a rendered video that is as long as a clip."""
        from swagv.clips import ClipSelection
        from swagv.datasets.rendering import render_video, write_video
        from swagv.decode import Decoder
        from swagv.geometry import Geometry

        spec = self.evaluation.datasets[dataset].spec
        selection = ClipSelection(**spec["clips"])
        indices = range(0, selection.span, selection.frame_step)
        with tempfile.TemporaryDirectory() as folder, Decoder(self.evaluation.runtime["time_limit"]) as decoder:
            path = Path(folder) / "video.mp4"
            render = _best(lambda: write_video(path, render_video(5, 0, max(32, selection.span)).frames))
            plan = _best(lambda: decoder.probe(path))
            decode = _best(lambda: decoder.read_frames(path, indices, Geometry(**spec["geometry"])))
        return {"render": render, "plan": plan, "decode": decode}


class Assumed(Measured):
    """Seconds of passes from a device's arithmetic; the rest is measured on this machine.

    Parameters
    ----------
    tflops
        Peak of the device in 10^12 operations a second, a multiplication and an addition counted as two.
    utilisation
        Share of the peak that is reached.
    """

    def __init__(self, evaluation: Evaluation, tflops: float, utilisation: float):
        super().__init__(evaluation, "cpu")
        self.tflops, self.utilisation = tflops, utilisation

    @property
    def on(self) -> str:
        """The device."""
        return (
            f"seconds of a pass assumed: {self.utilisation:g} of {self.tflops:g} TFLOP/s in every precision, and twice "
            f"as much again for a backward pass; work on cores measured on this machine, {machine()}"
        )

    def _forward(self, name: str, precision: str | None) -> float:
        return self._of_forward(name)

    def _gradient(self, name: str) -> float:
        return 3 * self._of_forward(name)

    def _of_forward(self, name: str) -> float:
        return gflop(self.model(name)) / (1e3 * self.tflops * self.utilisation)


def gflop(model: Any) -> float:
    """Of one clip's forward pass of a `VideoClassifier`, a multiplication and an addition counted as two."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 3, model.clip_len, model.crop, model.crop, device=model.mean.device))
    return counter.get_total_flops() / 1e9


def machine() -> str:
    """The processor and its cores, and the GPU where PyTorch finds one."""
    import torch

    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = dict(line.split(":", 1) for line in cpuinfo.read_text().splitlines() if ":" in line)
        named = {key.strip(): value.strip() for key, value in lines.items()}
        flags = [flag for flag in ("amx_bf16", "avx512_bf16", "avx512f", "avx2") if flag in named.get("flags", "")]
        model = f"{named.get('model name', model)} ({', '.join(flags[:1])})"
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} core{'s' * (cores > 1)} of {model}{gpu}"


def estimate(
    config: Mapping[str, Any],
    device: str | None = None,
    clips: Mapping[str, int] | None = None,
    tflops: float | None = None,
    utilisation: float = 0.5,
) -> Estimate:
    """What a configuration will cost, measured in a process that is set up as the workflow sets up its jobs.

    Parameters
    ----------
    config
        The mapping that a YAML file holds.
    device
        ``"auto"``, ``"cpu"`` or ``"cuda"``; the configuration's own if None.
    clips
        Dataset -> clips, where it is known better than the configuration tells.
    tflops, utilisation
        Of a device that is not here; see `Assumed`.

    Raises
    ------
    ConfigError
        If the configuration cannot work, or the device is not here.
    """
    for name, value in ENVIRONMENT.items():  # read when a process starts
        os.environ.setdefault(name, value)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(_estimate, config, device, clips or {}, tflops, utilisation).result()
        except BrokenProcessPool as error:
            raise ConfigError(
                "the process that measures was killed, most likely for want of memory; set runtime.batch_size lower"
            ) from error


def _estimate(
    config: Mapping[str, Any], device: str | None, clips: Mapping[str, int], tflops: float | None, utilisation: float
) -> Estimate:
    evaluation = Evaluation(config)
    unknown = sorted(set(clips) - set(evaluation.datasets))
    if unknown:
        raise ConfigError(
            f"--clips {unknown[0]}: the datasets of the configuration are {', '.join(evaluation.datasets)}"
        )
    counts = {
        name: ClipCount(clips[name], "as given") if name in clips else count_clips(dataset)
        for name, dataset in evaluation.datasets.items()
    }
    rates = (
        Assumed(evaluation, tflops, utilisation)
        if tflops
        else Measured(evaluation, device or evaluation.runtime["device"])
    )
    rows = table(evaluation, {name: found.clips for name, found in counts.items()}, rates)
    return Estimate(rows, counts, rates.on, _notes(evaluation, rows))


def count_clips(dataset: Dataset, results: Path = Path("results")) -> ClipCount:
    """Clips of a dataset: what the plan stage of an earlier run found, else what can be known without opening a video.

    Parameters
    ----------
    results
        Folder of the workflow's results; manifests there count where they are of the same dataset and clip selection.
    """
    videos = [video for video in dataset.source.list_videos() if video.token != ABSENT]
    planned, clips, seen = 0, 0, set()
    for shard in dataset.shards:
        path = results / dataset.name / "manifest" / f"{shard}.parquet"
        if not path.exists() or _clips_spec(read_provenance(path).get("spec", {})) != _clips_spec(dataset.spec):
            continue
        rows = read_rows(path)
        planned += 1
        clips += sum(row["status"] == "ok" for row in rows)
        seen |= {row["video_id"] for row in rows}
    if planned == len(dataset.shards):
        return ClipCount(clips, f"counted in {path.parent}")
    if planned:
        listed = len(dataset.source.list_videos())
        return ClipCount(round(clips * listed / len(seen)), f"as many a video as in {planned} planned shards")
    if dataset.spec["clips"]["select"] == "centre":
        return ClipCount(len(videos), "one for each listed video that is there")
    if dataset.source.paper_clips:
        return ClipCount(dataset.source.paper_clips, "as many as the paper's")
    return ClipCount(
        len(videos), f"not known before the plan stage: one clip a video assumed; give --clips {dataset.name}=N"
    )


def table(evaluation: Evaluation, clips: Mapping[str, int], rates: Measured) -> pd.DataFrame:
    """A row for each stage and attribution, recipe, method or metric: jobs, clips worked on, disk and hours.

    Parameters
    ----------
    clips
        By dataset.
    rates
        Seconds of a clip.

    Returns
    -------
    pandas.DataFrame
        stage, name, jobs, clips, passes_a_clip (``"forward+backward"``; empty for none), gigabytes, device_hours and
        core_hours (beside the device), NaN where the method does not say.
    """
    outputs = Outputs(evaluation)
    jobs = Counter(_job(path, evaluation) for path in outputs.final())
    for dataset in evaluation.datasets.values():
        if dataset.source.renders:
            jobs["render", "", dataset.name, "", ""] = jobs["plan", "", dataset.name, "", ""]
    jobs[_REST, "", "", "", ""] += 1  # the target itself
    # A network at a time: it is held while it is measured.
    costs = _Costs(evaluation, rates)
    found = []
    for (stage, name, dataset, model, method), count in sorted(jobs.items(), key=lambda item: item[0][3]):
        row = {"stage": stage, "name": name, "jobs": count, "clips": 0, "passes_a_clip": ""}
        row |= {"gigabytes": 0.0, "device_hours": 0.0, "core_hours": 0.0}
        if dataset:
            cost = costs.of(stage, name, dataset, model, method)
            videos = stage in ("render", "plan")
            number = len(evaluation.datasets[dataset].source.list_videos()) if videos else clips[dataset]
            number = number if cost.applies else 0
            blanks = count if stage == "predict" else 0  # one in each job
            row |= {"clips": number, "passes_a_clip": _said(cost.passes), "gigabytes": number * cost.bytes / 1e9}
            row |= {"device_hours": (number + blanks) * cost.device / 3600, "core_hours": number * cost.cores / 3600}
        found.append(row)
    rows = pd.DataFrame(found)
    order = {stage: place for place, stage in enumerate([*_STAGES, _REST])}
    names = [*evaluation.methods, *evaluation.metrics]
    place = rows.name.map(lambda name: names.index(name) if name in names else len(names))
    rows = rows.assign(stage_at=rows.stage.map(order), name_at=place).sort_values(["stage_at", "name_at", "name"])
    grouped = rows.groupby(["stage", "name"], sort=False)
    summed = grouped[_NUMBERS].agg(lambda values: values.sum(skipna=False))
    passes = grouped["passes_a_clip"].agg(lambda said: next((one for one in said if one), ""))
    return summed.assign(passes_a_clip=passes).reset_index()[_COLUMNS].astype({"jobs": int, "clips": int})


@dataclass(frozen=True)
class _Cost:
    """Of one clip, in bytes and seconds; nothing of it where the method is not applicable."""

    passes: Passes | None = _NO_PASSES
    device: float = 0.0
    cores: float = 0.0
    bytes: float = 0.0
    applies: bool = True


class _Costs:
    """What each stage costs a clip."""

    def __init__(self, evaluation: Evaluation, rates: Measured):
        self.evaluation, self.rates = evaluation, rates
        self.gradients = gradients_of(evaluation.known_methods.values())
        self.applies = cache(lambda model, method: rates.applies(model, evaluation.known_methods[method].explainer))

    def of(self, stage: str, name: str, dataset: str, model: str, method: str) -> _Cost:
        """The cost of a clip of a job, as `_job` names it."""
        if stage in ("timing", "randomise"):
            return _Cost(None, math.nan)
        if stage in ("render", "plan", "decode"):
            stored = self._bytes(dataset, "frames") if stage == "decode" else _BYTES_A_ROW if stage == "plan" else 0.0
            return _Cost(cores=self.rates.video(dataset)[stage], bytes=stored)
        if stage == "predict":
            return _Cost(Passes(1), self.rates.seconds(model, Passes(1), "fp32"), bytes=_BYTES_A_ROW)
        if stage == "supervoxels":
            seconds, stored = self.rates.supervoxels(name, dataset), self._bytes(dataset, "labels")
            on_device = self.evaluation.runtime["supervoxels"].startswith("torch")
            return _Cost(device=seconds, bytes=stored) if on_device else _Cost(cores=seconds, bytes=stored)
        if stage == "gradients":
            spec = self.gradients[name]
            method = load_object(spec["object"])(**spec["settings"])
            applies = self.rates.applies(model, method)
            return self._explained(method, dataset, model, "attribution") if applies else _Cost(applies=False)
        if not self.applies(model, method):
            return _Cost(applies=False)
        if stage == "explain":
            given = self.evaluation.known_methods[method]
            stored = stored_as(given)
            if given.kind == "network":
                return self._explained(given.explainer, dataset, model, stored)
            return _Cost(cores=_SECONDS_A_VOXEL * self._voxels(dataset), bytes=self._bytes(dataset, stored))
        return self._scored(self.evaluation.known_metrics[name], dataset, model)

    def _explained(self, method: Any, dataset: str, model: str, stored: str) -> _Cost:
        passes = method.passes(self._shape(dataset))
        seconds = math.nan if passes is None else self.rates.seconds(model, passes)
        return _Cost(passes, seconds, bytes=self._bytes(dataset, stored))

    def _scored(self, metric: Metric, dataset: str, model: str) -> _Cost:
        made = load_object(metric.spec["object"])(**metric.spec["settings"])
        if not needs_network(made):
            return _Cost(cores=self.rates.score(metric.name, dataset), bytes=_BYTES_A_ROW)
        passes = made.passes(self._shape(dataset)) if hasattr(made, "passes") else None
        precision = getattr(made, "precision", None)
        seconds = math.nan if passes is None else self.rates.seconds(model, passes, precision)
        return _Cost(passes, seconds, bytes=_BYTES_A_ROW)

    def _shape(self, dataset: str) -> tuple[int, int, int]:
        spec = self.evaluation.datasets[dataset].spec
        return spec["clips"]["clip_len"], spec["geometry"]["crop"], spec["geometry"]["crop"]

    def _voxels(self, dataset: str) -> int:
        return math.prod(self._shape(dataset))

    def _bytes(self, dataset: str, kind: str) -> float:
        return BYTES_A_VOXEL[kind] * self._voxels(dataset)


def stored_as(method: Method) -> str:
    """The kind of `BYTES_A_VOXEL` that a method's explanations are."""
    network = "layer map" if method.explainer.layout() else "attribution"
    return network if method.kind == "network" else method.kind


def as_text(found: Estimate, devices: int = 1) -> str:
    """The table, its totals, and what they rest on."""
    totals = {"stage": "total", "name": "", "clips": "", "passes_a_clip": ""} | found.totals
    rows = pd.concat([found.rows.astype(object), pd.DataFrame([totals], dtype=object)])[_COLUMNS]
    shown = pd.DataFrame({name: [_cell(value) for value in rows[name]] for name in _COLUMNS})
    for name in ("stage", "name"):
        shown[name] = shown[name].str.ljust(shown[name].str.len().max())
    shown = shown.rename(columns=lambda name: name.replace("_", " "))
    at_least = "" if found.complete else "at least "
    days = found.totals["device_hours"] / devices / 24
    return "\n".join(
        [
            shown.to_string(index=False),
            "",
            f"On {devices} device{'s' * (devices > 1)}: {at_least}{_cell(days)} days.",
            *(f"Clips of {name}: {count.clips:,}, {count.known_from}." for name, count in found.clips.items()),
            f"{found.measured_on[0].upper()}{found.measured_on[1:]}.",
            *found.notes,
        ]
    )


def as_json(found: Estimate, devices: int = 1) -> dict[str, Any]:
    """The same as one object; null is not known."""
    rows = found.rows.astype(object).where(found.rows.notna(), None).to_dict("records")
    return {
        "rows": rows,
        "totals": found.totals,
        "complete": found.complete,
        "devices": devices,
        "days": found.totals["device_hours"] / devices / 24,
        "clips": {name: {"clips": count.clips, "known_from": count.known_from} for name, count in found.clips.items()},
        "measured_on": found.measured_on,
        "notes": list(found.notes),
    }


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    if math.isnan(value):
        return "not known"
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    return "0" if value == 0 else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _job(path: str, evaluation: Evaluation) -> tuple[str, str, str, str, str]:
    """Stage, what it is of, dataset, model and method of the job that makes a file."""
    _, dataset, *rest = path.split("/")
    if dataset not in evaluation.datasets:
        return _REST, "", "", "", ""
    shared = {"manifest": "plan", "clips": "decode"}
    if rest[0] in shared:
        return shared[rest[0]], "", dataset, "", ""
    if rest[0] == "supervoxels":
        return "supervoxels", rest[1], dataset, "", ""
    model, folder, *rest = rest
    if folder == "predictions":
        return "predict", "", dataset, model, ""
    if folder in ("gradients", "supervoxels"):
        return folder, rest[0], dataset, model, ""
    own = {"explanations": "explain", "timing": "timing", "randomisation": "randomise"}
    return (
        (own[folder], rest[0], dataset, model, rest[0])
        if folder in own
        else ("metric", folder, dataset, model, rest[0])
    )


def _said(passes: Passes | None) -> str:
    if passes is None:
        return "not known"
    return "+".join(str(count) for count in (passes.forward, passes.backward) if count)


def _clips_spec(spec: Mapping[str, Any]) -> list[Any]:
    """What decides the clips of a shard."""
    return [spec.get(key) for key in ("dataset", "shards", "clips")]


def _best(call: Callable[[], object]) -> float:
    """Seconds of the fastest of a few calls, after one that does not count."""
    call()
    seconds = []
    while len(seconds) < _CALLS and sum(seconds) < _BUDGET:
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def _notes(evaluation: Evaluation, rows: pd.DataFrame) -> tuple[str, ...]:
    """What the numbers leave out."""
    notes = [
        "Decoding and planning are measured on a rendered video as long as a clip; real ones take as long as their "
        "length and codec want.",
        "Not in it: the start of each job, some seconds of a core; what a method does beside its passes, as the masks "
        "of EP-3D and the regions of XRAI and LIME.",
    ]
    if rows.device_hours.isna().any():
        unknown = rows[rows.device_hours.isna()]
        named = ", ".join(f"{row.stage} {row.name}" for row in unknown[["stage", "name"]].itertuples(index=False))
        notes.append(f"Not known, and in no total: {named}.")
    return tuple(notes)
