"""`swagv estimate`: what a configuration will cost before it runs."""

from __future__ import annotations

import argparse
import json

from swagv.config import load_config
from swagv.errors import ConfigError

_EXAMPLES = """\
examples:
  swagv estimate config/kinetics400.yaml
  swagv estimate config/kinetics400.yaml --device cuda --devices 4
  swagv estimate config/ucf101_24.yaml --clips ucf101_24=10704 --tflops 67 --utilisation 0.5 --json

device_hours are those of jobs that run a network; core_hours, of one core each, come beside them. On a CPU, a device is
the threads of one job. No weights are read: fresh ones take as long."""


def add_parser(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    cost = commands.add_parser(
        "estimate",
        parents=[common],
        help="what a configuration will cost: jobs, disk, hours of a device and of cores",
        description="Says what a run of a configuration will cost, from the passes through the networks that its "
        "methods and metrics take, and from what a pass takes here, which is measured in some seconds a network.",
        epilog=_EXAMPLES,
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
    cost.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Print the estimate."""
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
