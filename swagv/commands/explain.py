"""`swagv explain`: one video."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from swagv.commands.options import add_network_options, order_of
from swagv.commands.progress import Progress

_EXAMPLES = """\
examples:
  swagv explain juggling.avi --model i3d
  swagv explain juggling.avi --model i3d --method swagv_ig --method grad_cam --out o.mp4 --out o.png
  swagv explain juggling.avi --model i3d --target "juggling soccer ball" --start 100 --clip-len 16 --out o.npz
  swagv explain juggling.avi --model i3d --whole --clip-len 16 --borders --set n_segments=300
  swagv explain frames/ --model package.module:factory --weights mine.pth --set model.clip_len=32 --json

An .npz file has attribution/METHOD (T,H,W float32, as the method gave it), frames (T,H,W,3 uint8, as the network saw
them), frame_indices (T) and target (of the clip; with --whole of each frame). A folder of frames plays at 25 a second.
Exit code: 0; 2 where the input cannot work; 1 where the work failed, as on a full disk."""


def add_parser(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    explain = commands.add_parser(
        "explain",
        parents=[common],
        help="explain a network's answer for one video",
        description="Explains what a network sees in a video: prints the five highest classes, and writes the frames "
        "under the explanation's colours as a film, as a filmstrip, or the numbers themselves.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = explain.add_argument
    add("video", type=Path, metavar="VIDEO", help="a file, or a folder of frames")
    add("--method", action="append", dest="methods", help="of `swagv list methods`; several times for several")
    add("--target", help="class to explain, a name or a number; the highest one of the clip if not given")
    which = explain.add_mutually_exclusive_group()
    which.add_argument("--start", type=int, metavar="FRAME", help="first frame of the clip, from 0; else the middle")
    which.add_argument(
        "--whole", action="store_true", help="explain all of the video, clip by clip, and keep its sound"
    )
    add("--frame-step", type=int, default=1, metavar="N", help="take each N-th frame")
    add(
        "--out",
        action="append",
        type=Path,
        dest="outs",
        metavar="FILE",
        help="several times for several; .mp4 film, .png filmstrip, .npz arrays; VIDEO.METHOD.mp4 here if not given",
    )
    add("--opacity", type=float, default=0.7, help="of the highest value, from 0 to 1")
    add("--signed", action="store_true", help="blue below zero and red above, for methods that tell for from against")
    add("--borders", action="store_true", help="draw the borders of a SWAG-V method's supervoxels")
    add_network_options(explain, "method")
    explain.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Print the classes and the files."""
    from swagv.explain_video import Order, explain_video

    order = order_of(Order, given)
    count = 0
    with Progress("explain", shown=given.whole) as progress:

        def said(clip: dict, total: int) -> None:
            nonlocal count
            count += 1
            progress.at(count, total)
            if given.whole and not given.json:
                progress.say(f"{clip['start']:6}  {_line(clip['top5'][0])}")

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
