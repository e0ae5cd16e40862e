"""`swagv evaluate`: explanations that are there already, scored."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from swagv.commands.options import add_network_options, order_of
from swagv.commands.progress import Progress

_EXAMPLES = """\
examples:
  swagv explain v.mp4 --model i3d --method swagv_ig --method centre --out v.npz
  swagv evaluate v.npz --model i3d
  swagv evaluate maps.npz --model i3d --video v.mp4 --start 100 --set steps=10 --out scores.csv --out curves.svg
  swagv evaluate mine.zarr --model c3d --weights c3d.pth --metric insertion_deletion --metric localisation --json
  swagv evaluate results/demo/c3d_demo/explanations/swagv_ig/0000.zarr --model c3d_demo --metric frame_deletion

An .npz file or a zarr group has attribution, or attribution/METHOD for several methods: (N,T,H,W) float, as large as
the network's input, or (T,H,W) of one clip. Beside it, or in the file of --clips: frames (N,T,H,W,3) uint8, and where
they are known target (N), boxes (N,T,4) in pixels of the map and clip_ids (N), video@start, whose clips of one video
are drawn together by the bootstrap. The interval is the 95 % bootstrap's over videos. Of what `explain --whole` wrote,
frames at the end that make no whole clip are left out. Exit code 1 where not one clip could be scored."""


def add_parser(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    evaluate = commands.add_parser(
        "evaluate",
        parents=[common],
        help="score explanations that are in a file, of swagv or made elsewhere",
        description="Scores the explanations in a file: insertion and deletion, and where there are true boxes "
        "localisation and the other metrics. Prints the mean of each score.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = evaluate.add_argument
    add("explanations", type=Path, metavar="FILE", help=".npz, or the folder of a zarr group")
    add("--metric", action="append", dest="metrics", help="of `swagv list metrics`; several times for several")
    add("--method", action="append", dest="methods", help="of those in the file; all of them if not given")
    add("--clips", type=Path, metavar="FILE", help="another .npz or zarr with the frames, in the same order or by id")
    add("--video", type=Path, help="the video that the only clip in the file is from")
    add("--start", type=int, metavar="FRAME", help="its first frame in --video, from 0; the middle if not given")
    add("--frame-step", type=int, default=1, metavar="N", help="of --video, take each N-th frame")
    add("--target", help="class to score, a name or a number; that of the file, else the highest one, if not given")
    add(
        "--out",
        action="append",
        type=Path,
        dest="outs",
        metavar="FILE",
        help="several times for several; .csv, .parquet or .json with a row a clip, .svg of the curves",
    )
    add_network_options(evaluate, "metric")
    evaluate.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Print the scores."""
    from swagv.evaluate_file import Order, as_text, evaluate_file
    from swagv.plain import as_json

    order = order_of(Order, given)
    with Progress("evaluate") as progress:
        result = evaluate_file(order, progress.at, lambda line: print(f"swagv: {line}", file=sys.stderr))
    scored = any(one["n"] for one in result["summary"])
    if given.json:
        print(as_json(result))
        return int(not scored)
    print(as_text(result))
    for file in result["files"]:
        print(file)
    return int(not scored)
