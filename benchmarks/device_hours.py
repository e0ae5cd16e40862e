"""Device hours of the paper's Table 2, from the rates that `benchmarks.insertion_deletion` measured.

`python -m benchmarks.device_hours [--device cpu]`, or for a device at which nobody has measured, from its arithmetic:
`python -m benchmarks.device_hours --tflops 67 --utilisation 0.5`.

    hours = clips * passes a clip * milliseconds a pass / 3.6e6

Passes a clip and network: 54 for each of the 11 rows' insertion and deletion, in any precision. In float32, a
backward pass counted as two forward: 3 for guided backprop (once for all SWAG methods), 3 for each of two Grad-CAMs,
1 for Saliency Tubes, 1 for the prediction, 6,000 for EP-3D's 2,000 iterations. Batch norm is folded in the measured
passes and not in those of EP-3D and the gradients, and EP-3D's masks come on top: theirs are lower bounds.
Supervoxels, decoding and start-up run on other cores, at the rates of `benchmarks.supervoxels` and
`benchmarks.start_up`.
"""

from __future__ import annotations

import pandas as pd

from benchmarks.measure import RESULTS, parser, write
from swagv.estimate import gflop
from swagv.models.build import build_model

CLIPS = 18_362  # of the Kinetics-400 validation set that the paper had
SCORED = {"insertion and deletion of 11 rows": 54 * 11}
EXPLAINED = {"prediction, gradients and layer maps": 1 + 3 + 3 + 3 + 1, "EP-3D, 2,000 iterations": 2000 * 3}
MODELS = ("r2plus1d_18", "c3d")
MEASURED = 56  # passes a clip of `benchmarks.insertion_deletion`


def table(milliseconds: dict[tuple[str, str], float]) -> pd.DataFrame:
    """A row for each network, precision and part of the work, of milliseconds a pass by network and precision."""
    rows = [
        {"model": name, "precision": precision, "part": part, "passes_a_clip": passes, "ms_a_pass": rate}
        | {"device_hours": CLIPS * passes * rate / 3.6e6}
        for (name, precision), rate in milliseconds.items()
        for part, passes in (SCORED | (EXPLAINED if precision == "fp32" else {})).items()
    ]
    return pd.DataFrame(rows)


def main() -> None:
    """Print the table and keep it."""
    options = parser(__doc__, "device")
    options.add_argument("--tflops", type=float, help="peak of the device, in the precision meant")
    options.add_argument(
        "--utilisation", type=float, default=0.5, help="share of the peak that is reached: an assumption"
    )
    given = options.parse_args()
    if given.tflops:
        name = f"assumed: {given.utilisation:g} of {given.tflops:g} TFLOP/s"
        rates = {
            (model, name): gflop(build_model(model, None)) / (given.tflops * given.utilisation) for model in MODELS
        }
        write("device_hours_assumed", table(rates), given.out)
        return
    known = pd.read_csv(RESULTS / f"insertion_deletion_{given.device}.csv")
    known = known[known["contender"].str.startswith("swagv, ") & known["model"].isin(MODELS)]
    names = known["contender"].str.removeprefix("swagv, ")
    milliseconds = known["seconds_a_clip"] / MEASURED * 1e3
    rates = dict(zip(zip(known["model"], names, strict=True), milliseconds, strict=True))
    write(f"device_hours_{given.device}", table(rates), given.out)


if __name__ == "__main__":
    main()
