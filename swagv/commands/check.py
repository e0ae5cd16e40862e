"""`swagv check`: a configuration, without running anything."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from swagv.clips import ABSENT
from swagv.config import Dataset, Evaluation, load_config
from swagv.errors import ConfigError, NotApplicable


def add_parser(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    check = commands.add_parser(
        "check",
        parents=[common],
        help="check a configuration without running anything",
        description="Checks the names, types, paths and pairs of a configuration, counts its videos, and says what a "
        "run would cover. Exit code 2 with one line where it cannot run.",
        epilog="example: swagv check config/mine.yaml --build",
    )
    check.add_argument("config", help="a YAML file; - reads standard input")
    check.add_argument("--build", action="store_true", help="also build the networks and load their weights")
    check.add_argument("--local", action="store_true", help="also look for the GPU that runtime.device asks for, here")
    check.add_argument("--json", action="store_true", help="print one JSON object")
    check.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Print what the configuration covers."""
    evaluation = Evaluation(load_config("/dev/stdin" if given.config == "-" else given.config))
    if given.local:
        _find_device(evaluation.runtime["device"])
    reasons = _build_models(evaluation) if given.build else []
    shards = sum(len(dataset.shards) for dataset in evaluation.datasets.values())
    if given.json:
        found: dict[str, Any] = {"config": given.config, "shards": shards, "models": list(evaluation.models)}
        found |= {"methods": list(evaluation.methods), "metrics": list(evaluation.metrics)}
        found["videos"] = {name: len(one.source.list_videos()) for name, one in evaluation.datasets.items()}
        print(json.dumps(found | {"not_applicable": reasons}, ensure_ascii=False))
        return 0
    for reason in reasons:
        print(f"not applicable: {reason}", file=sys.stderr)
    for dataset in evaluation.datasets.values():
        print(_counted(dataset))
    print(f"{given.config}: {shards} shards x {len(evaluation.models)} models x {len(evaluation.methods)} methods")
    return 0


def _find_device(device: str) -> None:
    if not device.startswith("cuda"):
        return
    import torch

    found = torch.cuda.device_count()
    if int(device.partition(":")[2] or 0) >= found:
        raise ConfigError(f"runtime.device is {device} and PyTorch finds {found} GPUs here; set it to auto, or cpu")


def _counted(dataset: Dataset) -> str:
    """How many videos there are, beside the number of clips in the paper."""
    videos = dataset.source.list_videos()
    missing = sum(video.token == ABSENT for video in videos)
    paper = f"; the paper evaluated {dataset.source.paper_clips:,} clips" if dataset.source.paper_clips else ""
    return f"{dataset.name}: {len(videos):,} videos{f', {missing:,} of them missing' if missing else ''}{paper}"


def _build_models(evaluation: Evaluation) -> list[str]:
    """Build each network once and show it to every method: what does not fit is found here, in seconds.

    A method that fits some of the networks is "not applicable" to the others, which is returned; one that fits none is
    a mistake.
    """
    from swagv.models.build import build_from_spec

    reasons: dict[str, list[str]] = {name: [] for name in evaluation.methods}
    for given in evaluation.models.values():
        model = build_from_spec(given.spec)
        for method in evaluation.methods.values():
            try:
                method.explainer.check(model)
            except NotApplicable as reason:
                reasons[method.name].append(f"method {method.name!r} on model {given.name!r}: {reason}")
    for found in reasons.values():
        if len(found) == len(evaluation.models):
            raise ConfigError(found[0])
    return [reason for found in reasons.values() for reason in found]
