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
from swagv.outputs import Outputs
from swagv.registry import load_object
from swagv.runtime import ENVIRONMENT

try:
    evaluation = Evaluation(config, list_videos=workflow.is_main_process)
    outputs = Outputs(evaluation, lambda: workflow.dag_settings.targets)
except SwagvError as error:
    raise WorkflowError(str(error))

# At its end Python looks for garbage in all of Snakemake and the jobs, several times: a third of a second, or more.
atexit.register(gc.freeze)

for name, value in ENVIRONMENT.items():
    os.environ.setdefault(name, value)

# A job that runs a network takes a GPU where there is one, or where the configuration says that the cluster has them.
DEVICE = evaluation.runtime["device"]
GPU = int(DEVICE.startswith("cuda") or (DEVICE == "auto" and shutil.which("nvidia-smi") is not None))
SCRIPTS = Path(workflow.basedir) / "workflow" / "scripts"
LIBRARY = Path(workflow.basedir) / "swagv"


# Before the first job, in the one process that starts them: build every network, so that weights that do not fit cost
# seconds. Skipped where torch comes with the jobs' own environment (then they say it), and once the same code, settings
# and weights have passed.
onstart:
    if workflow.non_local_exec and DEVICE == "auto":
        raise WorkflowError(
            "runtime.device is auto, which looks for a GPU on this machine, but the jobs run on others: set "
            "`runtime: {device: cuda}`, or cpu, in the configuration"
        )
    checked = Path("results/logs/checked") / passed_check()
    if find_spec("torch") and not checked.exists():
        here = [] if workflow.non_local_exec else ["--local"]
        check = [sys.executable, "-m", "swagv.cli", "check", "--build", *here, "-"]
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
    modules = [*(module for m in evaluation.models.values() for module in m.card.modules)]
    modules += modules_of(method.spec["object"] for method in evaluation.methods.values())
    checked = {
        "config": config,
        "models": specs,
        "code": fingerprint(["swagv.commands.check", *modules]),
        "with": networks,
    }
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


def said(answer, *question):
    """The answer of the library, its errors as Snakemake's."""
    try:
        return answer(*question)
    except SwagvError as error:
        raise WorkflowError(str(error))


def experiment_of(name):
    return said(outputs.experiment, name)


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


def network_modules(wildcards):
    return model_of(wildcards).card.modules


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
        return code("explain.py", "swagv.stages.explain", method_module(method.spec), *network_modules(wildcards))
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
    network = network_modules(wildcards) if runs_network(metric) else []
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


def metric_modules(scope):
    return [] if scope == "timing" else [method_module(said(outputs.scope_of, scope)[0].spec)]


def summarise_spec(scope):
    kind = "timing" if scope == "timing" else said(outputs.scope_of, scope)[0].registered
    spec = {"metric": kind, "bootstrap": evaluation.bootstrap}
    return spec | {"alpha_from": evaluation.alpha_from} if kind == "localisation" else spec


def table_spec(table):
    """What a table needs to find the paper's own numbers and to order its rows."""
    part = experiment_of(table) if table in evaluation.experiments else None
    metrics = [] if table == "table4" else [outputs.scope_of(scope)[0] for scope in said(outputs.scopes_of, table)]
    return {
        "choices": part.choices if part else [],
        # A list, in the order of the rows.
        "methods": [[name, method.spec] for name, method in (part or evaluation).methods.items()],
        "models": {name: model.spec | {"target": model.target} for name, model in evaluation.models.items()},
        "datasets": {dataset.name: dataset.spec for dataset in evaluation.evaluated},
        "metrics": {metric.name: {"registered": metric.registered} | metric.spec for metric in metrics}
        or {"timing": {"registered": "timing", "settings": {}}},
    }


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
        "captions": {
            name: experiment_of(name).given.caption for name in outputs.wanted() if name in evaluation.experiments
        },
        "bootstrap": evaluation.bootstrap,
        # As it was given, to repeat the run; how the work is done changes no number.
        "configuration": {key: value for key, value in config.items() if key != "runtime"}
        | {"targets": outputs.wanted()},
    }
