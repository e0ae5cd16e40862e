"""`swagv convert-weights`: a published file of weights to safetensors."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_parser(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    convert = commands.add_parser(
        "convert-weights",
        parents=[common],
        help="convert a published file of weights to safetensors",
        description="Reads a file in a published layout, without running anything in it, and writes the safetensors "
        "file that `weights:` takes. Layouts: vmz-r2plus1d and vmz-c3d (Caffe2 pickles), pytorch-i3d, pytorch-c3d "
        "(state dicts of the common ports), flax-i3d.",
        epilog="example: swagv convert-weights vmz-r2plus1d r2plus1d_18_kinetics.pkl r2plus1d_18_vmz.safetensors",
    )
    convert.add_argument("layout")
    convert.add_argument("source", type=Path, metavar="IN", help="the published file")
    convert.add_argument("out", type=Path, metavar="OUT", help="safetensors file to write")
    convert.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Print what was written."""
    from swagv.models.layouts import convert_weights

    done = convert_weights(given.layout, given.source, given.out)
    left_out = f"; left out {done.left_overs} of an optimiser" if done.left_overs else ""
    print(f"{given.out}: {done.tensors} tensors{left_out}")
    return 0
