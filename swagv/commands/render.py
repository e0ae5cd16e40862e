"""`swagv render`: a video with a known answer, to try things on."""

from __future__ import annotations

import argparse
from pathlib import Path

from swagv.datasets.motions import MOTIONS

_MOST_FRAMES = 1000  # which are rendered in memory


def add_parser(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    render = commands.add_parser(
        "render",
        parents=[common],
        help="render a video with a known answer, for the demo networks",
        description="Renders one of the videos on which the demo networks were trained: a textured shape whose motion "
        "is the class, and a look-alike whose motion says nothing. The same seed gives the same file.",
        epilog="example: swagv render spin.mp4 --motion spin && swagv explain spin.mp4 --model c3d_demo",
    )
    render.add_argument("out", type=Path, metavar="OUT", help=".mp4 file to write")
    render.add_argument("--motion", choices=MOTIONS, default="spin")
    render.add_argument("--seed", type=int, default=0, help="of everything but the motion; 0 if not given")
    render.add_argument("--frames", type=int, metavar="N", help="at 25 a second; 24 to 40 if not given")
    render.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Print what was written."""
    from swagv.datasets.rendering import render_video, write_video
    from swagv.errors import ConfigError
    from swagv.publish import publish

    if given.seed < 0 or (given.frames is not None and not 1 <= given.frames <= _MOST_FRAMES):
        raise ConfigError(f"--seed must be at least 0, --frames from 1 to {_MOST_FRAMES}")
    video = render_video(MOTIONS.index(given.motion), given.seed, given.frames)
    with publish(given.out) as partial:
        write_video(partial, video.frames)
    print(f"{given.out}: {len(video.frames)} frames of {given.motion}")
    return 0
