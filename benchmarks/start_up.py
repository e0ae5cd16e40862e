"""What a job costs before its first clip: starting Python, importing, building the network and making it ready.

`python -m benchmarks.start_up [--model r2plus1d_18 …] [--rounds 5]`. Every row is a process of its own; `beyond_torch`
is what it takes more than importing torch alone, and `of_a_shard` all of it over the time of one method's insertion and
deletion of 512 clips, at the rate that a table of `benchmarks.insertion_deletion` has for this machine. Random weights
are part of it.
"""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd

from benchmarks.measure import RESULTS, interleaved, machine, parser, write

IMPORTS = {
    "python alone": "pass",
    "import swagv": "import swagv",
    "import torch": "import torch",
    "decode": "import swagv.stages.decode",
    "supervoxels": "import swagv.stages.supervoxels",
    "localisation": "import swagv.stages.localisation",
    "summarise": "import swagv.stages.summarise",
    "predict": "import swagv.stages.predict",
    "insertion_deletion": "import swagv.stages.insertion_deletion",
}
LOAD = (
    "from swagv.network_batches import load_for_stage; import swagv.stages.insertion_deletion\n"
    "load_for_stage({{'card': {name!r}, 'weights': None, 'settings': {{}}}}, {device!r}, 2, 'fp32')"
)


def main() -> None:
    """Print the table and keep it."""
    options = parser(__doc__, "rounds", "device")
    options.add_argument("--model", nargs="+", default=["r2plus1d_demo", "r2plus1d_18", "c3d"])
    given = options.parse_args()
    code = IMPORTS | {
        f"insertion_deletion of {name}": LOAD.format(name=name, device=given.device) for name in given.model
    }
    commands = {name: [sys.executable, "-c", text] for name, text in code.items()}
    calls = {name: lambda command=command: subprocess.run(command, check=True) for name, command in commands.items()}
    seconds = {name: np.median(values) for name, values in interleaved(calls, given.rounds).items()}
    rows = [{"process": name, "seconds": value, "rounds": given.rounds} for name, value in seconds.items()]
    found = pd.DataFrame(rows).set_index("process")
    found["beyond_torch"] = found["seconds"] - seconds["import torch"]
    tables = [pd.read_csv(path) for path in sorted(RESULTS.glob(f"insertion_deletion_{given.device}*.csv"))]
    for rates in tables:
        known = rates[rates["machine"].eq(machine()) & rates["contender"].eq("swagv, fp32")]
        for name, rate in zip(known["model"], known["seconds_a_clip"], strict=True):
            if name in given.model:
                process = f"insertion_deletion of {name}"
                found.loc[process, "of_a_shard"] = seconds[process] / (512 * rate)
    write(f"start_up_{given.device}", found.reset_index(), given.out)


if __name__ == "__main__":
    main()
