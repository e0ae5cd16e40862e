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

from swagv.config import Evaluation, canonical, modules_of
from swagv.errors import SwagvError
from swagv.fingerprint import fingerprint

try:
    evaluation = Evaluation(config, list_videos=workflow.is_main_process)
except SwagvError as error:
    raise WorkflowError(str(error))

# At its end Python looks for garbage in all of Snakemake and the jobs, several times: a third of a second, or more.
atexit.register(gc.freeze)

# glibc hands buffers this large back to the kernel after every layer and fetches them anew: 1.4x the time of a forward.
os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", str(1 << 30))
os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", str(1 << 32))

# A job that runs a network takes a GPU where there is one, or where the configuration says that the cluster has them.
DEVICE = evaluation.runtime["device"]
GPU = int(DEVICE.startswith("cuda") or (DEVICE == "auto" and shutil.which("nvidia-smi") is not None))
SCRIPTS = Path(workflow.basedir) / "workflow" / "scripts"
TEMPLATES = Path(workflow.basedir) / "swagv" / "templates"


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
    method="|".join(evaluation.methods),
    shard=r"\d{4}",


@cache  # asked once a job
def code(script, *modules, templates=()):
    """Fingerprint of a stage's script, the library modules that it really uses, and templates."""
    return fingerprint(modules, [SCRIPTS / script, *(TEMPLATES / name for name in templates)])


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
    return evaluation.methods[wildcards.method]


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
    w, name = wildcards, evaluation.recipes[wildcards.recipe].gradients_name
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


def explain_spec(wildcards):
    method = method_of(wildcards)
    spec = {"method": method.spec, "kind": method.kind}
    return canonical(spec | {"model": model_of(wildcards).spec} if method.kind == "network" else spec)


def localisation_spec(wildcards):
    spec = {"metric": evaluation.metrics["localisation"], "method": method_of(wildcards).spec}
    return spec | {"geometry": dataset_of(wildcards).spec["geometry"]}


def cells(pattern, datasets=None):
    """`pattern` for every dataset that is evaluated (or these), shard, model and method of the configuration."""
    return sorted(
        {
            pattern.format(dataset=dataset.name, shard=shard, model=model, method=method)
            for dataset in (evaluation.evaluated if datasets is None else datasets)
            for shard in dataset.shards
            for model in evaluation.models
            for method in evaluation.methods
        }
    )


def datasets_of(metric):
    """The datasets whose clips a metric scores."""
    if metric == "localisation":
        return [dataset for dataset in evaluation.datasets.values() if dataset.source.has_boxes]
    return evaluation.evaluated


def clip_tables(metric):
    """Per-clip tables of one metric."""
    return cells(f"results/{{dataset}}/{{model}}/{metric}/{{method}}/{{shard}}.parquet", datasets_of(metric))


def summarise_spec(wildcards):
    spec = {"bootstrap": evaluation.bootstrap}
    return spec | {"alpha_from": evaluation.alpha_from} if wildcards.metric == "localisation" else spec


def summaries():
    """Summary tables of this configuration."""
    return [f"results/summary/{name}.parquet" for name in evaluation.metrics]


def stores():
    """Everything between the videos and the summaries.

    `rule all` asks for it, because Snakemake deletes a job's output before it starts and does not miss a file whose
    descendants exist: a run killed while it replaced one would otherwise leave old results that look finished.
    """
    found = []
    for dataset in evaluation.datasets.values():
        folder = f"results/{dataset.name}"
        shared = ["manifest/{}.parquet", "clips/{}.zarr"]
        own = ["predictions/{}.parquet", *(f"gradients/{name}/{{}}.zarr" for name in evaluation.gradients)]
        for name, method in evaluation.recipes.items():
            (shared if method.explainer.features == "image" else own).append(f"supervoxels/{name}/{{}}.zarr")
        own += [f"explanations/{name}/{{}}.zarr" for name in evaluation.methods]
        metrics = [name for name in evaluation.metrics if dataset in datasets_of(name)]
        own += [f"{metric}/{name}/{{}}.parquet" for metric in metrics for name in evaluation.methods]
        shared += [f"{model}/{path}" for model in evaluation.models for path in own]
        found += [f"{folder}/{path.format(shard)}" for path in shared for shard in dataset.shards]
    return found


def final_outputs():
    return [*stores(), *summaries(), "results/report.html"]
