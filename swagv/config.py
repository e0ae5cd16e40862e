"""The configuration: checked before any work, resolved once into the settings of each stage. Imports no torch."""

from __future__ import annotations

import hashlib
import inspect
import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import jsonschema
import yaml

from swagv.catalogue import DATASETS, METHODS, METRICS
from swagv.clips import ClipSelection
from swagv.datasets import dataset as datasets
from swagv.errors import ConfigError
from swagv.experiments import EXPERIMENTS, Experiment, grid_points, named
from swagv.geometry import Geometry
from swagv.manifest import assign_shards, digest
from swagv.methods.controls import Control
from swagv.methods.explainer import Explainer, PixelAttribution
from swagv.methods.swagv import SwagV
from swagv.models.cards import ModelCard, load_card
from swagv.models.weights import find_weights
from swagv.registry import did_you_mean, load_object
from swagv.runtime import runtime

# A link to workflow/schemas/, so that an installed package has it too.
SCHEMA = Path(__file__).with_name("config.schema.yaml")
LARGEST = 2**53  # of a number in a configuration: beyond it, floats skip whole numbers
_MOST_VALUES, _DEEPEST, _LONGEST_KEY = 100_000, 32, 200
_LONGEST_NAME = 150  # of a file of the results: with suffixes and temporary names it must fit 255 bytes
_MOST_POINTS = 10_000  # of one grid

# Keys of every dataset; the others are settings of its type.
_SHARED_KEYS = ("type", "shards", "clips", "geometry", "alpha_for")
# Folders that stand beside those of the datasets, the models and the metrics in the results.
_FOLDERS = {
    "dataset": {"benchmarks", "comparisons", "figures", "logs", "summary", "tables"},
    "model": {"clips", "manifest", "supervoxels", "videos"},
    "metric": {"explanations", "gradients", "predictions", "randomisation", "supervoxels", "timing"},
}

# Targets that show what the run has made anyway.
_RUN_TARGETS = {"table2", "table3"}


@dataclass(frozen=True)
class Dataset:
    """A dataset of the configuration: where its videos are, how they become clips, and its shards."""

    name: str
    source: datasets.Dataset
    spec: dict[str, Any]
    alpha_for: str

    @cached_property
    def shards(self) -> dict[str, str]:
        """Shard -> digest of its videos."""
        shards = assign_shards(self.source.list_videos(), self.spec["shards"])
        return {shard: digest(videos) for shard, videos in shards.items()}


@dataclass(frozen=True)
class Model:
    """A model of the configuration; `spec` as `swagv.models.build.build_from_spec` takes it."""

    name: str
    card: ModelCard
    spec: dict[str, Any]
    target: str


@dataclass(frozen=True)
class Method:
    """A method of the configuration: its explainer and what rebuilds it."""

    name: str
    explainer: Explainer
    spec: dict[str, Any]

    @property
    def kind(self) -> str:
        """How the explain stage makes it: ``supervoxels``, ``pixels``, ``control`` or ``network``."""
        kinds = {SwagV: "supervoxels", PixelAttribution: "pixels", Control: "control"}
        return next((kind for base, kind in kinds.items() if isinstance(self.explainer, base)), "network")

    @property
    def gradients(self) -> dict[str, Any] | None:
        """The pixel attribution that this method reads from the cache, as a method's spec."""
        if self.kind == "supervoxels":
            pixels = self.explainer.pixels
            return {"object": METHODS.path(self.explainer.attribution), "settings": asdict(pixels)}
        return self.spec if self.kind == "pixels" else None

    @property
    def gradients_name(self) -> str | None:
        """Folder of that attribution: the name, and the reduction where it is not the default."""
        if self.kind == "supervoxels":
            name, reduce = self.explainer.attribution.replace(":", "."), self.explainer.reduce
            return name if reduce == "max_abs" else f"{name}-{reduce}"
        return self.name if self.kind == "pixels" else None

    @property
    def recipe(self) -> dict[str, Any] | None:
        """Settings of its supervoxels."""
        return asdict(self.explainer.recipe) if self.kind == "supervoxels" else None

    @property
    def recipe_name(self) -> str | None:
        """Folder of its supervoxels: the recipe, and the attribution where the gradient takes part."""
        if self.kind != "supervoxels":
            return None
        recipe = str(self.explainer.recipe)
        return recipe if self.explainer.features == "image" else f"{recipe}-{self.gradients_name}"


@dataclass(frozen=True)
class Metric:
    """A metric of the configuration, by the name of its folder in the results.

    `registered` is its name in the catalogue, or its object path.
    """

    name: str
    registered: str
    spec: dict[str, Any]

    @cached_property
    def takes_boxes(self) -> bool:
        """Whether it looks at true boxes."""
        return "boxes" in self._parameters

    @cached_property
    def needs_boxes(self) -> bool:
        """Whether it scores only clips with true boxes."""
        return self.takes_boxes and self._parameters["boxes"].default is inspect.Parameter.empty

    @property
    def unknown(self) -> list[str]:
        """What it needs beside the clips, the map and the target, and is never given."""
        kinds, needed = inspect.Parameter, set(self._parameters) - {"boxes", "batch_size"}
        named = [self._parameters[name] for name in needed if self._parameters[name].kind is kinds.KEYWORD_ONLY]
        return sorted(one.name for one in named if one.default is kinds.empty)

    @property
    def _parameters(self) -> Mapping[str, inspect.Parameter]:
        return inspect.signature(load_object(self.spec["object"]).__call__).parameters


@dataclass(frozen=True)
class ResolvedExperiment:
    """What an experiment runs: methods and metrics by name, and what each of them stands for.

    `points` has a row a method and grid (``method``, ``base``, ``grid`` and the settings that vary), `choices` a row a
    metric and value (``metric``, ``choice``, ``value``); `given` is what it was resolved from.
    """

    name: str
    models: tuple[str, ...]
    methods: dict[str, Method]
    points: list[dict[str, Any]]
    metrics: dict[str, Metric]
    choices: list[dict[str, Any]]
    given: Experiment


class Evaluation:
    """A checked configuration.

    Parameters
    ----------
    config
        The mapping that a YAML file holds.
    list_videos
        Whether the datasets list their videos at once, so that a mistake in them is found. Every job of a workflow
        reads the configuration again, and need not.

    Raises
    ------
    ConfigError
        One message for the first thing that cannot work: an unknown key or name, a missing file, a setting out of
        range, a model that does not fit a dataset.
    """

    def __init__(self, config: Mapping[str, Any], list_videos: bool = True):
        _check_schema(config)
        self.runtime = runtime(config)
        self.bootstrap = config.get("bootstrap", 2000)
        self.datasets = {name: _dataset(name, given) for name, given in config["datasets"].items()}
        if list_videos:
            for dataset in self.datasets.values():
                _ = dataset.shards
        self.models = {name: _model(name, given or {}) for name, given in config["models"].items()}
        self.methods = {name: method_of(name, given or {}) for name, given in config["methods"].items()}
        self.metrics = {name: _metric(name, given or {}) for name, given in config["metrics"].items()}
        self._experiments = {name: _experiment(name, given or {}) for name, given in _given_experiments(config)}
        self._check_pairs()
        for name, metric in self.metrics.items():
            if metric.spec["settings"].get("precision") == "tf32" and self.runtime["device"] == "cpu":
                raise ConfigError(f"metrics.{name}: precision tf32 needs a GPU and runtime.device is cpu; choose bf16")
            if metric.needs_boxes and not any(dataset.source.has_boxes for dataset in self.datasets.values()):
                raise ConfigError(
                    f"metrics.{name} needs true boxes and no dataset has any: set a dataset's `boxes`, or leave it out"
                )

        self._check_alpha()
        self.targets = tuple(config.get("targets") or ())
        known = {*self._experiments, *self.metrics, *_RUN_TARGETS}
        for name in set(self.targets) - known:
            raise ConfigError(
                f"no target {name!r}.{did_you_mean(name, sorted(known))} Known: {', '.join(sorted(known))}"
            )
        if list_videos:
            self._check_alpha_videos()
            for name in {*(config.get("experiments") or {}), *self.targets} & self._experiments.keys():
                self.experiment(name)

    @property
    def evaluated(self) -> list[Dataset]:
        """The datasets with results of their own: those that do not only choose a threshold for another."""
        return [dataset for dataset in self.datasets.values() if not dataset.alpha_for]

    @property
    def alpha_from(self) -> dict[str, str]:
        """Evaluated dataset -> the one that chooses its localisation threshold."""
        return {dataset.alpha_for: dataset.name for dataset in self.datasets.values() if dataset.alpha_for}

    def metric_of(self, registered: str) -> Metric | None:
        """The configuration's metric of a kind, under whatever name; of several, the first."""
        return next((metric for metric in self.metrics.values() if metric.registered == registered), None)

    def _check_alpha(self) -> None:
        for dataset in self.datasets.values():
            if not dataset.alpha_for:
                continue
            other = self.datasets.get(dataset.alpha_for)
            if other is None or other.alpha_for or not (other.source.has_boxes and dataset.source.has_boxes):
                raise ConfigError(
                    f"dataset {dataset.name!r}: alpha_for is {dataset.alpha_for!r}; it must name another dataset of "
                    "the configuration that is evaluated, and both need true boxes"
                )
            if self.alpha_from[other.name] != dataset.name:
                raise ConfigError(f"two datasets are alpha_for {other.name!r}; one must choose its threshold")
            if self.metric_of("localisation") is None:
                raise ConfigError(f"dataset {dataset.name!r} is alpha_for another, but metrics has no localisation")
            if dataset.spec["geometry"] != other.spec["geometry"]:
                raise ConfigError(f"dataset {dataset.name!r} needs the geometry of {other.name!r}, its alpha_for")

    def _check_alpha_videos(self) -> None:
        """A threshold is chosen on other videos than it is judged on."""
        for name, chooser in self.alpha_from.items():
            shared = set(self.datasets[name].source.list_videos()) & set(self.datasets[chooser].source.list_videos())
            if shared:
                raise ConfigError(
                    f"dataset {chooser!r} is alpha_for {name!r}, and {len(shared)} videos are in both, "
                    f"{min(video.video_id for video in shared)} among them"
                )

    def _check_pairs(self) -> None:
        for dataset in self.datasets.values():
            have = (dataset.spec["clips"]["clip_len"], dataset.spec["geometry"]["crop"])
            for model in self.models.values():
                need = (model.card.clip_len, model.card.geometry.crop)
                if need != have:
                    raise ConfigError(
                        f"model {model.name!r} takes {need[0]} frames of {need[1]} pixels; dataset {dataset.name!r} "
                        f"gives {have[0]} frames of {have[1]}. Set the dataset's clips.clip_len and geometry"
                    )
        _check_gradients(self.methods.values())
        for kind, names in {"dataset": self.datasets, "model": self.models, "metric": self.metrics}.items():
            for name in names.keys() & _FOLDERS[kind]:
                raise ConfigError(f"{kind} {name!r} would share its folder of the results; choose another name")
        for name in self.metrics.keys() & _RUN_TARGETS:
            raise ConfigError(f"metric {name!r} would share the table of that name; choose another name")
        for name in self._experiments.keys() & ({*self.metrics} | _RUN_TARGETS):
            raise ConfigError(f"experiment {name!r} would share its table with what the run makes; choose another name")

    @property
    def varied_methods(self) -> tuple[str, ...]:
        """Names of the methods that the experiments run or vary."""
        return tuple(dict.fromkeys(name for given in self._experiments.values() for name in given.methods))

    @property
    def experiments(self) -> tuple[str, ...]:
        """Names of the experiments: the paper's tables and figures, and those of the configuration."""
        return tuple(self._experiments)

    def experiment(self, name: str) -> ResolvedExperiment:
        """The methods and metrics of an experiment; those that equal one of the configuration keep its name.

        Raises
        ------
        ConfigError
            On an unknown name or setting, or a gradient cache that two methods would share.
        """
        if name not in self._experiments:
            known = sorted(self._experiments)
            raise ConfigError(f"no experiment {name!r}.{did_you_mean(name, known)} Known: {', '.join(known)}")
        given = self._experiments[name]
        what = f"experiment {name!r}"
        models = given.models or tuple(self.models)
        for model in models:
            if model not in self.models:
                known = sorted(self.models)
                raise ConfigError(f"{what}: no model {model!r}.{did_you_mean(model, known)} Known: {', '.join(known)}")
        methods: dict[str, Method] = {}
        points = []
        for base in given.methods or self.methods:
            for index, grid in enumerate(given.grids or ({},)):
                if math.prod(map(len, grid.values())) > _MOST_POINTS:
                    raise ConfigError(f"{what}: a grid has more than {_MOST_POINTS:,} points; take values out")
                for settings in grid_points(grid):
                    method = self._vary(base, settings, what)
                    methods[method.name] = method
                    points.append({"method": method.name, "base": base, "grid": index} | settings)
        _check_gradients([*self.methods.values(), *methods.values()])
        metrics: dict[str, Metric] = {}
        choices, bases = [], []
        for base, grid in given.metrics.items():
            metric = self.metrics.get(base) or self.metric_of(base)
            if metric is None:
                if base not in METRICS:
                    raise ConfigError(f"{what}: no metric {base!r}; name it under `metrics` first")
                metric = _metric(base, {})
            if metric.needs_boxes and not any(dataset.source.has_boxes for dataset in self.evaluated):
                continue
            bases.append(metric.registered)
            if not grid:
                metrics[metric.name] = metric
            for choice, values in grid.items():
                for value in values:
                    varied = _vary_metric(metric, {choice: value}, what)
                    metrics[varied.name] = varied
                    choices.append({"metric": varied.name, "choice": choice, "value": value})
        long = next((name for name in [*methods, *metrics] if len(name) > _LONGEST_NAME), None)
        if long:
            raise ConfigError(f"{what}: {long!r} is too long for the name of a file; name it in the configuration")
        if given.metrics and not metrics:
            raise ConfigError(f"{what}: {', '.join(given.metrics)} needs true boxes, and no evaluated dataset has any")
        if name == "table4" and (given.metrics or given.figure or given.grids):
            raise ConfigError(f"{what}: it measures seconds; take `metrics`, `grids` and `figure` out")
        others = [method.name for method in methods.values() if method.kind != "supervoxels"]
        if given.figure in ("grid", "sweep") and others:
            raise ConfigError(f"{what}: its figure is about supervoxels, which {', '.join(others)} does not read")
        if given.figure == "randomisation" and given.clips != self._experiments["randomisation"].clips:
            raise ConfigError(f"{what}: set `clips` of the experiment 'randomisation', whose stage it shares")
        given.check(what, set(given.methods or self.methods), bases)
        return ResolvedExperiment(name, models, methods, points, metrics, choices, given)

    def _vary(self, base: str, settings: Mapping[str, Any], what: str) -> Method:
        """A method of the configuration or the catalogue with other settings; where equal, one that has a name."""
        plain = self.methods.get(base) or method_of(base, {}, f"{what}, method {base!r}")
        if not settings:
            return plain
        varied = method_of(
            named(base, settings),
            {"type": plain.spec["object"]} | plain.spec["settings"] | dict(settings),
            f"{what}, method {base!r}",
        )
        return next((method for method in [*self.methods.values(), plain] if method.spec == varied.spec), varied)

    @cached_property
    def known_methods(self) -> dict[str, Method]:
        """Every method that a file of the results may belong to, those of the experiments among them."""
        found = dict(self.methods)
        for experiment in self._resolved:
            found |= {name: method for name, method in experiment.methods.items() if name not in found}
        return found

    @cached_property
    def known_metrics(self) -> dict[str, Metric]:
        """Likewise every metric."""
        found = dict(self.metrics)
        for experiment in self._resolved:
            found |= {name: metric for name, metric in experiment.metrics.items() if name not in found}
        return found

    @cached_property
    def _resolved(self) -> list[ResolvedExperiment]:
        """The experiments that can be run; asking for another says why not."""
        found = []
        for name in self._experiments:
            try:
                found.append(self.experiment(name))
            except ConfigError:
                continue
        return found

    @cached_property
    def gradients(self) -> dict[str, dict[str, Any]]:
        """Every pixel attribution that the configuration's methods cache, by folder name."""
        return gradients_of(self.methods.values())

    @cached_property
    def recipes(self) -> dict[str, Method]:
        """Every supervoxel recipe that the configuration's methods build, by folder name."""
        return recipes_of(self.methods.values())


def gradients_of(methods: Iterable[Method]) -> dict[str, dict[str, Any]]:
    """Pixel attributions that methods cache, by folder name."""
    return {method.gradients_name: method.gradients for method in methods if method.gradients}


def recipes_of(methods: Iterable[Method]) -> dict[str, Method]:
    """Supervoxel recipes that methods build, by folder name."""
    return {method.recipe_name: method for method in methods if method.recipe_name}


def load_config(path: Path | str) -> dict[str, Any]:
    """The mapping in a YAML file."""
    path = Path(path)
    if not os.path.exists(path) or path.is_dir():
        raise ConfigError(f"configuration not found: {path}")
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    # Beside its own errors, PyYAML lets through what `2024-99-99`, `!!bool x` and deep nesting make Python raise.
    except (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{path} holds a {type(found).__name__}; it must be a mapping of keys to values")
    return found


def canonical(value: Any) -> str:
    """JSON with sorted keys: the one form of settings in which Snakemake sees every change and no other."""
    return json.dumps(value, sort_keys=True, default=str)


def _check_values(config: Mapping[str, Any]) -> None:
    """Only what JSON has, in numbers that every reader takes: YAML has dates and sets, and values inside themselves."""
    todo: list[tuple[str, int, Any]] = [("the top level", 0, config)]
    for where, depth, value in todo:  # which grows meanwhile
        if len(todo) > _MOST_VALUES or depth > _DEEPEST:
            what = f"values nested {depth} deep" if depth > _DEEPEST else f"more than {_MOST_VALUES:,} values"
            raise ConfigError(f"the configuration holds {what}, at {where}; do YAML aliases in it stand in themselves?")
        if isinstance(value, Mapping):
            for key, inner in value.items():
                # YAML reads `1:` as a number and `on:` as true; names are text.
                if not isinstance(key, str):
                    raise ConfigError(f"key {key!r} at {where} is a {type(key).__name__}; put it in quotes")
                if len(key) > _LONGEST_KEY:
                    raise ConfigError(
                        f"key {key!r} at {where} has {len(key)} characters; at most {_LONGEST_KEY} can be"
                    )
                todo.append((f"{where}.{key}".removeprefix("the top level."), depth + 1, inner))
        elif isinstance(value, list | tuple):
            todo += [(f"{where}.{index}", depth + 1, inner) for index, inner in enumerate(value)]
        elif isinstance(value, str):
            if "\0" in value or value != value.encode(errors="replace").decode():
                raise ConfigError(f"{where} is {value!r}: it holds a character that no file name and no table can hold")
        elif isinstance(value, int | float):
            if not in_range(value):
                raise ConfigError(f"{where} must be a finite number of at most {LARGEST:,}, below zero or above")
        elif value is not None:
            raise ConfigError(f"{where} is {value!r}, a {type(value).__name__}; put it in quotes")


def in_range(value: float) -> bool:
    """Whether a number is finite and one of those that JSON, tables and floats hold exactly."""
    return -LARGEST <= value <= LARGEST


@cache
def _validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(yaml.safe_load(SCHEMA.read_text(encoding="utf-8")))


def _check_schema(config: Mapping[str, Any]) -> None:
    _check_values(config)
    error = next(iter(sorted(_validator().iter_errors(config), key=lambda error: list(map(str, error.path)))), None)
    if error is None:
        return
    where = ".".join(map(str, error.path)) or "the top level"
    if error.validator == "additionalProperties":
        known = sorted(error.schema["properties"])
        unknown = sorted(set(error.instance) - set(known))[0]
        raise ConfigError(
            f"unknown key {unknown!r} at {where}.{did_you_mean(unknown, known)} Known: {', '.join(known)}"
        )
    raise ConfigError(f"configuration, at {where}: {error.message}")


def settings_of(factory: Any, what: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a dataclass (or a partial of one) with its defaults filled in; wrong ones are explained."""
    cls = factory.func if isinstance(factory, partial) else factory
    known, hints = sorted(field.name for field in fields(cls)), get_type_hints(cls)
    for key, value in given.items():
        if key not in known:
            raise ConfigError(
                f"{what} has no setting {key!r}.{did_you_mean(key, known)} Known: {', '.join(known) or 'none'}"
            )
        if not _fits(value, hints[key]):
            wanted = hints[key].__name__ if isinstance(hints[key], type) else hints[key]
            raise ConfigError(f"{what}: {key} is {value!r}, a {type(value).__name__}; it must be {wanted}")
    # 20 and 20.0 are one setting: written differently they must not make anything run again.
    given = {key: float(value) if hints[key] is float else value for key, value in given.items()}
    try:
        return json.loads(json.dumps(asdict(factory(**given))))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{what}: {error}") from error


def _fits(value: Any, hint: Any) -> bool:
    """Whether a YAML value is what a dataclass field says; kinds that YAML does not have are left to the class."""
    options = get_args(hint)
    if get_origin(hint) is tuple:
        if not isinstance(value, list | tuple):
            return False
        options = options[:1] * len(value) if options[1:] == (...,) else options
        return len(value) == len(options) and all(map(_fits, value, options))
    if options:
        return any(_fits(value, option) for option in options)
    if hint in (int, float):
        kinds = int if hint is int else (int, float)
        return isinstance(value, kinds) and not isinstance(value, bool) and in_range(value)
    return isinstance(value, hint) if hint in (str, bool) else True


def _dataset(name: str, given: Mapping[str, Any]) -> Dataset:
    cls = DATASETS.load(given["type"])
    if not (isinstance(cls, type) and issubclass(cls, datasets.Dataset)):
        raise ConfigError(f"dataset {name!r}: {given['type']!r} is not a swagv Dataset")
    own = {key: _at_home(value) for key, value in given.items() if key not in _SHARED_KEYS}
    settings = settings_of(cls, f"dataset {name!r}", own)
    source = cls(**settings)
    clips = settings_of(ClipSelection, f"clips of dataset {name!r}", given.get("clips", {}))
    geometry = settings_of(Geometry, f"geometry of dataset {name!r}", given.get("geometry", {}))
    spec = {"dataset": {"object": DATASETS.path(given["type"]), "settings": settings}, "shards": given["shards"]}
    return Dataset(name, source, spec | {"clips": clips, "geometry": geometry}, given.get("alpha_for", ""))


def _at_home(value: Any) -> Any:
    """A path ``~/videos`` as a shell would read it."""
    return os.path.expanduser(value) if isinstance(value, str) and value.startswith("~") else value


def _model(name: str, given: Mapping[str, Any]) -> Model:
    registered, weights = given.get("type", name), given.get("weights", "default")
    settings = {key: value for key, value in given.items() if key not in ("type", "weights", "target")}
    card = load_card(registered, settings)
    found = find_weights(registered, card, weights)
    described = asdict(card) | {"weights": None, "arguments": dict(card.arguments)}
    source = _digest_of(found) if isinstance(found, Path) else str(found)
    spec = {
        "card": registered,
        "weights": weights,
        "settings": settings,
        "content": hashlib.sha256(canonical(described).encode() + source.encode()).hexdigest(),
    }
    return Model(name, card, spec, given.get("target", "top1"))


def _digest_of(path: Path) -> str:
    """Of a weights file's bytes; of its size and time where reading it at every start would take seconds."""
    stat = path.stat()
    if stat.st_size > 64 << 20:
        return f"{stat.st_size}:{stat.st_mtime_ns}"
    return hashlib.sha256(path.read_bytes()).hexdigest()


def method_of(name: str, given: Mapping[str, Any], what: str = "") -> Method:
    """A method by name, with `given` as the configuration gives it; `what` begins the message of an error."""
    registered, settings = given.get("type", name), {key: given[key] for key in given if key != "type"}
    explainer = explainer_of(registered, what or f"method {name!r}", settings)
    # A preset is resolved here, so that the stage needs no catalogue: the class, and all of its settings.
    cls, settings = type(explainer), json.loads(json.dumps(asdict(explainer)))
    return Method(name, explainer, {"object": f"{cls.__module__}:{cls.__qualname__}", "settings": settings})


def _metric(name: str, given: Mapping[str, Any]) -> Metric:
    registered, settings = given.get("type", name), {key: given[key] for key in given if key != "type"}
    path = METRICS.path(registered)
    # One that is registered is known as such, also by its path.
    registered = next((known for known, its_path in METRICS.items() if its_path == path), registered)
    spec = {"object": path, "settings": settings_of(load_object(path), f"metric {name!r}", settings)}
    metric = Metric(name, registered, spec)
    if metric.unknown:
        raise ConfigError(
            f"metric {name!r} needs {', '.join(metric.unknown)}, which a workflow does not have: it has boxes and "
            "batch_size. Give what else it takes a default"
        )
    return metric


def _vary_metric(metric: Metric, settings: Mapping[str, Any], what: str) -> Metric:
    """A metric with other settings; itself where they are its own."""
    changed = metric.spec["settings"] | settings
    resolved = settings_of(load_object(metric.spec["object"]), f"{what}, metric {metric.name!r}", changed)
    if resolved == metric.spec["settings"]:
        return metric
    return replace(metric, name=named(metric.name, settings), spec=metric.spec | {"settings": resolved})


def _given_experiments(config: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    given = config.get("experiments") or {}
    return [(name, given.get(name) or {}) for name in dict.fromkeys([*EXPERIMENTS, *given])]


def _experiment(name: str, given: Mapping[str, Any]) -> Experiment:
    # Of a new one that only names its methods, the scores of the paper's Table 2.
    scored = {} if given.get("figure") in ("strips", "randomisation") else {"insertion_deletion": {}}
    default = EXPERIMENTS.get(name, Experiment(metrics=scored))
    return replace(default, **{key: tuple(value) if isinstance(value, list) else value for key, value in given.items()})


def _check_gradients(methods: Iterable[Method]) -> None:
    """No two methods may keep different gradients in one folder."""
    owners: dict[str, Method] = {}
    for method in methods:
        if method.gradients_name is None:
            continue
        other = owners.setdefault(method.gradients_name, method)
        if other.gradients != method.gradients:
            raise ConfigError(
                f"methods {other.name!r} and {method.name!r} would share the gradient cache "
                f"{method.gradients_name!r} with different settings; rename one"
            )


def explainer_of(registered: str, what: str, settings: Mapping[str, Any]) -> Explainer:
    """A method by its registered name or object path, with these settings; `what` begins the message of an error."""
    factory = METHODS.load(registered)
    cls = factory.func if isinstance(factory, partial) else factory
    if not (isinstance(cls, type) and issubclass(cls, Explainer)):
        raise ConfigError(f"{what}: {registered!r} is not a swagv Explainer")
    explainer = cls(**settings_of(factory, what, settings))
    if isinstance(explainer, SwagV):
        try:
            _ = explainer.pixels
        except ConfigError as error:
            raise ConfigError(f"{what}: {error}") from error
    return explainer


def modules_of(specs: Iterable[str]) -> list[str]:
    """Modules of object paths, for `swagv.fingerprint.fingerprint`."""
    return sorted({load_object(path).__module__ for path in specs})
