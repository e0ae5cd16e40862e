"""Validation and every helper of the rules. Nothing here imports torch or opens a video."""

import atexit
import gc
import os
import shutil
import subprocess
import sys
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, str(Path(workflow.basedir)))

from swagv.catalogue import METRICS
from swagv.config import Evaluation, canonical, gradients_of, modules_of, recipes_of
from swagv.errors import SwagvError
from swagv.fingerprint import fingerprint
from swagv.metrics import needs_network
from swagv.registry import load_object

try:
    evaluation = Evaluation(config, list_videos=workflow.is_main_process)
except SwagvError as error:
    raise WorkflowError(str(error))

# At its end Python looks for garbage in all of Snakemake and the jobs, several times: a third of a second, or more.
atexit.register(gc.freeze)

# glibc hands buffers this large back to the kernel after every layer and fetches them anew: 1.4x the time of a forward.
os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", str(1 << 30))
os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", str(1 << 32))
# A thread that waits must not spin: where another process wants its core, a small network would take 15 times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# A job that runs a network takes a GPU where there is one, or where the configuration says that the cluster has them.
DEVICE = evaluation.runtime["device"]
GPU = int(DEVICE.startswith("cuda") or (DEVICE == "auto" and shutil.which("nvidia-smi") is not None))
SCRIPTS = Path(workflow.basedir) / "workflow" / "scripts"
LIBRARY = Path(workflow.basedir) / "swagv"


# Before the first job, in the one process that starts them: build every network, so that weights that do not fit cost
# seconds. Skipped where torch comes with the jobs' own environment (then they say it), and once the same code, settings
# and weights have passed.
onstart:
    checked = Path("results/logs/checked") / passed_check()
    if find_spec("torch") and not checked.exists():
        check = [sys.executable, "-m", "swagv.cli", "check", "--build", "-"]
        path = os.pathsep.join([str(workflow.basedir), *sys.path])
        asked = subprocess.run(
            check, env=os.environ | {"PYTHONPATH": path}, input=canonical(config), text=True, stderr=subprocess.PIPE
        )
        if asked.returncode:
            raise WorkflowError(asked.stderr.strip().splitlines()[-1])
        print(asked.stderr, end="", file=sys.stderr)
        checked.parent.mkdir(parents=True, exist_ok=True)
        checked.touch()


wildcard_constraints:
    dataset="|".join(evaluation.datasets),
    model="|".join(evaluation.models),
    method="[^/]+",
    shard=r"\d{4}",


@cache  # asked once a job
def code(script, *modules, files=()):
    """Fingerprint of a stage's script, the library modules that it really uses, and files of the library."""
    return fingerprint(modules, [SCRIPTS / script, *(LIBRARY / name for name in files)])


def passed_check():
    """Name of the mark that the check of this code, these settings and these weights leaves."""
    networks = [f"{name} {version(name)}" for name in ("torch", "torchvision") if find_spec(name)]
    specs = {name: model.spec for name, model in evaluation.models.items()}
    modules = [*(m.card.factory.split(":")[0] for m in evaluation.models.values())]
    modules += modules_of(method.spec["object"] for method in evaluation.methods.values())
    checked = {"config": config, "models": specs, "code": fingerprint(["swagv.cli", *modules]), "with": networks}
    return sha256(canonical(checked).encode()).hexdigest()[:16]


def dataset_of(wildcards):
    return evaluation.datasets[wildcards.dataset]


def decode_spec(wildcards):
    spec = dataset_of(wildcards).spec
    return {"clip_len": spec["clips"]["clip_len"], "geometry": spec["geometry"]}


def model_of(wildcards):
    return evaluation.models[wildcards.model]


def method_of(wildcards):
    return known(wildcards.method, evaluation.methods, lambda: evaluation.known_methods, "method")


def metric_of(wildcards):
    return known(wildcards.metric, evaluation.metrics, lambda: evaluation.known_metrics, "metric")


def recipe_of(wildcards):
    """The supervoxels' settings, by a method that has them."""
    return known(wildcards.recipe, evaluation.recipes, lambda: recipes_of(evaluation.known_methods.values()), "recipe")


def pixels_of(wildcards):
    """The spec of a cached pixel attribution."""
    everything = lambda: gradients_of(evaluation.known_methods.values())
    return known(wildcards.attribution, evaluation.gradients, everything, "attribution")


def known(name, configured, everything, kind):
    """What a name stands for; the experiments are resolved only for a name that the configuration does not have."""
    found = configured.get(name) or everything().get(name)
    if found is None:
        raise WorkflowError(f"no {kind} of this configuration, or of its experiments, is called {name!r}")
    return found


@cache  # asked by every job of an experiment
def experiment_of(name):
    try:
        return evaluation.experiment(name)
    except SwagvError as error:
        raise WorkflowError(str(error))


def folders_of(name):
    """Pattern of the folders of a metric's tables: its own, and those of its variants in the experiments."""
    path = METRICS.path(name)
    names = {name, *(metric.name for metric in evaluation.metrics.values() if metric.spec["object"] == path)}
    return f"({'|'.join(sorted(names))})(-[^/]+)?"


def folders_of_others():
    """Likewise, of the metrics without a stage of their own."""
    own = {METRICS.path(name) for name in ("insertion_deletion", "localisation")}
    names = {name for name, path in METRICS.items() if path not in own}
    names |= {metric.name for metric in evaluation.metrics.values() if metric.spec["object"] not in own}
    return f"({'|'.join(sorted(names))})(-[^/]+)?"


def network_module(wildcards):
    return model_of(wildcards).card.factory.split(":")[0]


def method_module(spec):
    return modules_of([spec["object"]])[0]


def videos_folder(wildcards):
    """The rendered videos of a shard, for a dataset that is rendered."""
    return "results/{dataset}/videos/{shard}" if dataset_of(wildcards).source.renders else []


def supervoxels_store(wildcards):
    """Supervoxels of a method; those of the image alone belong to no model."""
    method, w = method_of(wildcards), wildcards
    if method.explainer.features == "image":
        return f"results/{w.dataset}/supervoxels/{method.recipe_name}/{w.shard}.zarr"
    return f"results/{w.dataset}/{w.model}/supervoxels/{method.recipe_name}/{w.shard}.zarr"


def gradients_of_recipe(wildcards):
    """The attribution that a recipe clusters."""
    w, name = wildcards, recipe_of(wildcards).gradients_name
    return f"results/{w.dataset}/{w.model}/gradients/{name}/{w.shard}.zarr"


def explain_inputs(wildcards):
    """What the explain stage of a method reads, and nothing further back."""
    method = method_of(wildcards)
    cell, shard = f"results/{wildcards.dataset}/{wildcards.model}", wildcards.shard
    clips = f"results/{wildcards.dataset}/clips/{shard}.zarr"
    predictions = f"{cell}/predictions/{shard}.parquet"
    gradients = f"{cell}/gradients/{method.gradients_name}/{shard}.zarr"
    return {
        "supervoxels": (
            {"gradients": gradients, "supervoxels": supervoxels_store(wildcards)}
            if method.kind == "supervoxels"
            else {}
        ),
        "pixels": {"gradients": gradients},
        "control": {"clips": clips, "predictions": predictions},
        "network": {"clips": clips, "predictions": predictions},
    }[method.kind]


def explain_code(wildcards):
    method = method_of(wildcards)
    if method.kind == "network":
        return code("explain.py", "swagv.stages.explain", method_module(method.spec), network_module(wildcards))
    if method.kind == "control":
        return code("explain.py", "swagv.stages.explain_cached", method_module(method.spec))
    return code("explain.py", "swagv.stages.explain_cached")


def network_spec(wildcards, experiment):
    """Of a job that explains a few clips itself."""
    spec = {"method": method_of(wildcards).spec, "model": model_of(wildcards).spec}
    spec |= {"seed": 0} if experiment == "randomisation" else {}
    return spec | {"clips": experiment_of(experiment).given.clips}


def runs_network(metric):
    return needs_network(load_object(metric.spec["object"]))


def score_code(wildcards):
    metric = metric_of(wildcards)
    network = [network_module(wildcards)] if runs_network(metric) else []
    return code("score.py", "swagv.stages.score", method_module(metric.spec), *network)


def score_spec(wildcards):
    metric = metric_of(wildcards)
    parts = [*["model"] * runs_network(metric), *["geometry"] * metric.takes_boxes]
    return canonical(metric_spec(wildcards, *parts) | {"metric": metric.spec})


def explain_spec(wildcards):
    method = method_of(wildcards)
    spec = {"method": method.spec, "kind": method.kind}
    return canonical(spec | {"model": model_of(wildcards).spec} if method.kind == "network" else spec)


def metric_spec(wildcards, *parts):
    """Settings of a metric's stage: its own, the method's card, and the `parts` that it really looks at."""
    more = {"model": lambda: model_of(wildcards).spec, "geometry": lambda: dataset_of(wildcards).spec["geometry"]}
    spec = {"metric": metric_of(wildcards).spec["settings"], "method": method_of(wildcards).spec}
    return spec | {part: more[part]() for part in parts}


def cells(pattern, datasets=None, models=None, methods=None):
    """`pattern` for every dataset that is evaluated (or these), shard, model and method of the configuration."""
    return sorted(
        {
            pattern.format(dataset=dataset.name, shard=shard, model=model, method=method)
            for dataset in (evaluation.evaluated if datasets is None else datasets)
            for shard in dataset.shards
            for model in models or evaluation.models
            for method in methods or evaluation.methods
        }
    )


def datasets_of(metric):
    """The datasets whose clips a metric scores; those that only choose a threshold have no other part."""
    if metric.registered == "localisation":
        return [dataset for dataset in evaluation.datasets.values() if dataset.source.has_boxes]
    return [dataset for dataset in evaluation.evaluated if dataset.source.has_boxes or not metric.needs_boxes]


def clip_tables(metric, experiment=None):
    """Per-clip tables of one metric."""
    pattern = f"results/{{dataset}}/{{model}}/{metric.name}/{{method}}/{{shard}}.parquet"
    which = (experiment.models, experiment.methods) if experiment else ()
    return cells(pattern, datasets_of(metric), *which)


def scope_of(scope):
    """Metric and experiment of a summary: those of the configuration stand in no experiment's folder."""
    *experiment, name = scope.split("/")
    part = experiment_of(experiment[0]) if experiment else None
    return known(name, (part or evaluation).metrics, dict, "metric"), part


def tables_of(scope):
    """Per-clip tables of a summary."""
    return timings() if scope == "timing" else clip_tables(*scope_of(scope))


def metric_modules(scope):
    return [] if scope == "timing" else [method_module(scope_of(scope)[0].spec)]


def summarise_spec(scope):
    kind = "timing" if scope == "timing" else scope_of(scope)[0].registered
    spec = {"metric": kind, "bootstrap": evaluation.bootstrap}
    return spec | {"alpha_from": evaluation.alpha_from} if kind == "localisation" else spec


def summaries():
    """Summary tables of this configuration."""
    return [f"results/summary/{name}.parquet" for name in evaluation.metrics]


def stores(part, metrics):
    """Everything between the videos and the scores of `metrics`, for the methods of the configuration or an experiment.

    A target asks for it, because Snakemake deletes a job's output before it starts and does not miss a file whose
    descendants exist: a run killed while it replaced one would otherwise leave old results that look finished.
    """
    scored = {dataset.name for metric in metrics for dataset in datasets_of(metric)}
    found = []
    for dataset in evaluation.datasets.values():
        if dataset.name not in scored and (metrics or dataset.alpha_for):
            continue
        folder = f"results/{dataset.name}"
        shared = ["manifest/{}.parquet", "clips/{}.zarr"]
        own = ["predictions/{}.parquet"]
        own += [f"gradients/{name}/{{}}.zarr" for name in gradients_of(part.methods.values())]
        for name, method in recipes_of(part.methods.values()).items():
            (shared if method.explainer.features == "image" else own).append(f"supervoxels/{name}/{{}}.zarr")
        own += [f"explanations/{name}/{{}}.zarr" for name in part.methods]
        here = [metric.name for metric in metrics if dataset in datasets_of(metric)]
        own += [f"{metric}/{name}/{{}}.parquet" for metric in here for name in part.methods]
        shared += [f"{model}/{path}" for model in part.models for path in own]
        found += [f"{folder}/{path.format(shard)}" for path in shared for shard in dataset.shards]
    return found


# Tables of what the configuration runs anyway, and the metric of each.
RESULT_TABLES = {
    {"insertion_deletion": "table2", "localisation": "table3"}.get(metric.registered, metric.name): metric
    for metric in reversed(evaluation.metrics.values())
}
RESULT_TABLES |= {metric.name: metric for metric in evaluation.metrics.values() if metric not in RESULT_TABLES.values()}


def targets():
    """What people look at, each made by its own name: the tables of the run, and the experiments."""
    names = {*RESULT_TABLES, "table2", "table3", *evaluation.experiments}
    return sorted(names, key=lambda name: (not name.startswith("table"), not name.startswith("figure"), name))


def outputs_of(target):
    """What a target makes, with everything that it rests on."""
    part = experiment_of(target) if target in evaluation.experiments else None
    made = []
    if part is None or part.given.has_table or target == "table4":
        made.append(f"results/tables/{target}.parquet")
        made += [
            f"results/{folder}/{scope}.parquet" for folder in ("summary", "comparisons") for scope in scopes_of(target)
        ]
    if part and part.given.figure:
        made += [f"results/figures/{target}.svg", *(path for paths in inputs_of(part).values() for path in paths)]
    if target == "table4":  # explains anew, and needs no explanation in a store
        return [*made, *timings()]
    rests = stores(part or evaluation, list(part.metrics.values()) if part else [run_metric(target)])
    return list(dict.fromkeys([*made, *rests]))


def run_metric(table):
    """The metric of a table of the run."""
    if table not in RESULT_TABLES:
        raise WorkflowError(
            f"{table} needs metrics.{'localisation' if table == 'table3' else 'insertion_deletion'} in the configuration"
        )
    return RESULT_TABLES[table]


def wanted():
    """Targets of this run: the tables of its metrics, those that the configuration names, those asked for."""
    asked = {*RESULT_TABLES, *evaluation.targets, *workflow.dag_settings.targets}
    return [target for target in targets() if target in asked]


def shown(kind):
    """Tables, or figures, that the report shows."""
    paths = [path for target in wanted() for path in outputs_of(target)]
    return [path for path in paths if path.startswith(f"results/{kind}/")]


def scopes_of(table):
    """The summaries that a table is made of."""
    if table == "table4":
        return ["timing"]
    if table in evaluation.experiments:
        return [f"{table}/{metric}" for metric in experiment_of(table).metrics]
    return [run_metric(table).name]


def table_spec(table):
    """What a table needs to find the paper's own numbers and to order its rows."""
    part = experiment_of(table) if table in evaluation.experiments else None
    metrics = [] if table == "table4" else [scope_of(scope)[0] for scope in scopes_of(table)]
    return {
        "choices": part.choices if part else [],
        # A list, in the order of the rows.
        "methods": [[name, method.spec] for name, method in (part or evaluation).methods.items()],
        "models": {name: model.spec | {"target": model.target} for name, model in evaluation.models.items()},
        "datasets": {dataset.name: dataset.spec for dataset in evaluation.evaluated},
        "metrics": {metric.name: {"registered": metric.registered} | metric.spec for metric in metrics}
        or {"timing": {"registered": "timing", "settings": {}}},
    }


def timings():
    """The lowest shard of the first dataset is enough to time a method."""
    dataset, experiment = evaluation.evaluated[0], experiment_of("table4")
    pattern = f"results/{dataset.name}/{{model}}/timing/{{method}}/{min(dataset.shards)}.parquet"
    return cells(pattern, [dataset], experiment.models, experiment.methods)


def inputs_of(part):
    """What the figure of an experiment is drawn from, by the names of the stage's arguments."""
    kind, which = part.given.figure, (None, part.models, part.methods)
    if kind in ("versus", "strips"):
        cell = "results/{dataset}/{model}"
        return {
            "clips": cells("results/{dataset}/clips/{shard}.zarr"),
            "predictions": cells(f"{cell}/predictions/{{shard}}.parquet", *which),
            "explanations": cells(f"{cell}/explanations/{{method}}/{{shard}}.zarr", *which),
            "insertion_deletion": [path for metric in part.metrics.values() for path in clip_tables(metric, part)],
        }
    if kind == "randomisation":
        return {"tables": cells("results/{dataset}/{model}/randomisation/{method}/{shard}.parquet", *which)}
    if kind == "profile":
        profiles = [metric for metric in part.metrics.values() if metric.registered == "frame_profile"]
        return {"tables": clip_tables(profiles[0], part)}
    metrics = list(part.metrics.values())
    inputs = {"summaries": [f"results/summary/{part.name}/{metric.name}.parquet" for metric in metrics]}
    if kind == "sweep":
        inputs["supervoxels"] = [path for path in stores(part, metrics) if "/supervoxels/" in path]
    return inputs


def coloured():
    """The methods that a colour is kept for, so that each has one in every figure and in the report."""
    return list(dict.fromkeys([*evaluation.methods, *evaluation.varied_methods]))


def figure_spec(figure):
    """What a figure's stage is told beside its inputs."""
    part = experiment_of(figure)
    kind = part.given.figure
    if kind in ("strips", "versus"):
        return {"kind": kind, "methods": list(part.methods), "max_clips": part.given.clips}
    if kind in ("randomisation", "profile"):
        return {"kind": kind, "methods": coloured(), "resamples": evaluation.bootstrap}
    if kind == "ablation":
        return {"kind": kind, "methods": coloured(), "choices": part.choices}
    if kind == "grid":
        points = {}
        for row in part.points:
            grid = dict(enumerate(("coarse", "fine"))).get(row["grid"], f"#{row['grid'] + 1}")
            settings = {name: row[name] for name in ("w_color", "w_grad")}
            points.setdefault(row["method"], settings | {"grid": []})["grid"].append(grid)
        return {"kind": kind, "points": points}
    points = {row["method"]: {"method": row["base"], "n_segments": row["n_segments"]} for row in part.points}
    recipes = {name: method.recipe_name for name, method in part.methods.items()}
    return {"kind": kind, "points": points, "recipes": recipes, "methods": coloured()}


def report_spec():
    games = evaluation.metric_of("insertion_deletion")
    return {
        "paper_clips": {dataset.name: dataset.source.paper_clips for dataset in evaluation.evaluated},
        "alpha_from": evaluation.alpha_from,
        "methods": coloured(),
        "insertion_deletion": games.name if games else "",
        "captions": {name: experiment_of(name).given.caption for name in wanted() if name in evaluation.experiments},
        "bootstrap": evaluation.bootstrap,
        # As it was given, to repeat the run; how the work is done changes no number.
        "configuration": {key: value for key, value in config.items() if key != "runtime"} | {"targets": wanted()},
    }


def final_outputs():
    more = [path for target in wanted() for path in outputs_of(target)]
    return list(
        dict.fromkeys(
            [*stores(evaluation, list(evaluation.metrics.values())), *summaries(), *more, "results/report.html"]
        )
    )
