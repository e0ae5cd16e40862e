"""EP-3D: a batch of clips at once against one clip at a time.

`python -m benchmarks.ep3d [--model r2plus1d_18 …] [--clips 4] [--iterations 5]`. `clips_an_hour`
is for the paper's 2,000 iterations, from the time of these, of which the pyramid of blurs is a part: a lower bound.
"""

from __future__ import annotations

import pandas as pd
import torch

from benchmarks.clips import rendered_frames
from benchmarks.measure import interleaved, parser, ratios, write
from swagv.methods.ep3d import EP3D
from swagv.models.build import build_model
from swagv.models.cards import load_card

ALONE = "one clip at a time"


def table(name: str, clips: int, iterations: int, rounds: int, device: str) -> pd.DataFrame:
    """A row a contender."""
    torch.manual_seed(0)
    model = build_model(name, "default" if load_card(name).weights else None).to(device)
    model.network.to(memory_format=model.memory_format)
    inputs = model.preprocess(rendered_frames(clips))
    target = torch.zeros(clips, dtype=torch.long, device=device)
    method = EP3D(iterations=iterations, core_start=0)

    def in_batches_of(size: int) -> None:
        for start in range(0, clips, size):
            method(model, inputs[start : start + size], target[start : start + size]).cpu()

    made = {ALONE: lambda: in_batches_of(1)}
    made |= {f"{size} at once": lambda size=size: in_batches_of(size) for size in (2, 4, 16, 64) if size <= clips}
    found = ratios(interleaved(made, rounds), ALONE)
    found.insert(0, "model", name)
    seconds = found["seconds"] / clips / iterations
    return found.assign(clips=clips, iterations=iterations, clips_an_hour=3600 / (2000 * seconds))


def main() -> None:
    """Print the table and keep it."""
    options = parser(__doc__, "rounds", "device")
    options.add_argument("--model", nargs="+", default=["r2plus1d_18", "r2plus1d_demo", "c3d_demo"])
    options.add_argument("--clips", type=int, default=4)
    options.add_argument("--iterations", type=int, default=5)
    given = options.parse_args()
    torch.set_num_threads(max(torch.get_num_threads(), 2))
    parts = [table(name, given.clips, given.iterations, given.rounds, given.device) for name in given.model]
    write(f"ep3d_{given.device}", pd.concat(parts), given.out)


if __name__ == "__main__":
    main()
