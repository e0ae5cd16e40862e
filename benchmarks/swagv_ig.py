"""SWAG-V in the sense of the paper's Table 4, from clips on the device to maps: against its forward and backward pass.

`python -m benchmarks.swagv_ig [--model r2plus1d_18 …] [--clips 4] [--rounds 5]`. The pass is that of the plain gradient
of the target's logit. `of_passes` is a time over it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from benchmarks.clips import rendered_frames
from benchmarks.measure import interleaved, parser, ratios, write
from swagv.methods.guided_backprop import GuidedBackprop
from swagv.methods.swagv import swagv_i, swagv_ig
from swagv.models.build import build_model
from swagv.models.cards import load_card

PASSES = "forward and backward pass"


def table(name: str, clips: int, rounds: int, device: str) -> pd.DataFrame:
    """A row a contender."""
    torch.manual_seed(0)
    model = build_model(name, "default" if load_card(name).weights else None).to(device)
    model.network.to(memory_format=model.memory_format)
    inputs = model.preprocess(rendered_frames(clips))
    with torch.no_grad():
        target = model(inputs).argmax(1)

    def passes() -> None:
        leaf = inputs.detach().requires_grad_()
        torch.autograd.grad(model(leaf).gather(1, target[:, None]).sum(), leaf)

    methods = {"guided backprop": GuidedBackprop(), "swagv_ig": swagv_ig(), "swagv_i": swagv_i()}
    made = {PASSES: passes}
    made |= {key: lambda method=method: method(model, inputs, target).cpu() for key, method in methods.items()}
    seconds = interleaved(made, rounds)
    found = ratios(seconds, PASSES)
    found["of_passes"] = [np.median(seconds[key] / seconds[PASSES]) for key in found["contender"]]
    found.insert(0, "model", name)
    return found.drop(columns=["speedup", "lowest", "highest"]).assign(clips=clips)


def main() -> None:
    """Print the table and keep it."""
    options = parser(__doc__, "rounds", "device")
    options.add_argument("--model", nargs="+", default=["r2plus1d_18", "c3d", "r2plus1d_demo", "c3d_demo"])
    options.add_argument("--clips", type=int, default=4)
    given = options.parse_args()
    torch.set_num_threads(max(torch.get_num_threads(), 2))
    parts = [table(name, given.clips, given.rounds, given.device) for name in given.model]
    write(f"swagv_ig_{given.device}", pd.concat(parts), given.out)


if __name__ == "__main__":
    main()
