"""Device hours of the paper's Table 2, from the rates that `benchmarks.insertion_deletion` measured.

`python -m benchmarks.device_hours [--device cpu]`, or for a device at which nobody has measured, from its arithmetic:
`python -m benchmarks.device_hours --tflops 67 --utilisation 0.5`.

    hours = clips * passes a clip * milliseconds a pass / 3.6e6

Passes a clip, by each network: 54 for every method's insertion and deletion; a backward pass counted as two forward, 3
for a gradient or a layer map and 6,000 for EP-3D's 2,000 iterations; 2 for the prediction. Supervoxels, decoding and
start-up are not in it: they run on other cores, at rates that `benchmarks.supervoxels` and `benchmarks.start_up` give.
"""

from __future__ import annotations

import pandas as pd
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measure import RESULTS, parser, write
from swagv.models.build import build_model

CLIPS = 18_362  # of the Kinetics-400 validation set that the paper had
SCORED = ("guided_backprop", "grad_cam", "saliency_tubes", "ep3d", "swag_i", "swagv_i", "swagv_ig", "swagv_g")
CONTROLS = ("centre", "random", "full_frame")
PASSES = {
    "prediction": 2,
    "insertion and deletion of 11 methods": 54 * len(SCORED + CONTROLS),
    "gradients and layer maps": 3 * 3,  # guided backprop is computed once for all SWAG methods
    "EP-3D, 2,000 iterations": 2000 * 3,
}
MODELS = ("r2plus1d_18", "c3d")


def gflop(name: str) -> float:
    """Of one clip's forward pass, a multiplication and an addition counted as two."""
    model = build_model(name, None)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 3, model.clip_len, model.crop, model.crop))
    return counter.get_total_flops() / 1e9


def table(milliseconds: dict[tuple[str, str], float]) -> pd.DataFrame:
    """A row for each network, precision and part of the work, of milliseconds a pass by network and precision."""
    rows = [
        {"model": name, "precision": precision, "part": part, "passes_a_clip": passes, "ms_a_pass": rate}
        | {"device_hours": CLIPS * passes * rate / 3.6e6}
        for (name, precision), rate in milliseconds.items()
        for part, passes in PASSES.items()
    ]
    return pd.DataFrame(rows)


def main() -> None:
    """Print the table and keep it."""
    options = parser(__doc__)
    options.add_argument("--tflops", type=float, help="peak of the device, in the precision meant")
    options.add_argument(
        "--utilisation", type=float, default=0.5, help="share of the peak that is reached: an assumption"
    )
    given = options.parse_args()
    if given.tflops:
        name = f"assumed: {given.utilisation:g} of {given.tflops:g} TFLOP/s"
        rates = {(model, name): gflop(model) / (given.tflops * given.utilisation) for model in MODELS}
        write("device_hours_assumed", table(rates), given.out)
        return
    known = pd.read_csv(RESULTS / f"insertion_deletion_{given.device}.csv")
    known = known[known["contender"].str.startswith("swagv, ") & known["model"].isin(MODELS)]
    names = known["contender"].str.removeprefix("swagv, ")
    rates = dict(zip(zip(known["model"], names, strict=True), known["ms_a_pass"], strict=True))
    write(f"device_hours_{given.device}", table(rates), given.out)


if __name__ == "__main__":
    main()
