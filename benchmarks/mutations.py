"""Nothing that comes from outside hurts a run: mutated videos, annotations, configurations and weights.

`python -m benchmarks.mutations [--mutations 50000] [--seconds N] [--seed 0]`. Every case is a sound small input with
seeded damage, given to the code that a run gives it to. It must end in a normal result or in one of `swagv.errors`, of
one finite line that names the file, within a few seconds and with little memory; nothing in it is run and no file is
written elsewhere. Where it is taken as sound, the result is held against what the sound input or an independent reader
gives. `--only KIND:INDEX --keep FOLDER` repeats one case and leaves its input there. The exit code is 1 where a case
breaks one of these rules. Linux only.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks.invariants import Worker, run
from benchmarks.measure import parser, write
from benchmarks.mutated import KINDS


def main() -> int:
    """Print the table and keep it; 1 where a case broke a rule."""
    options = parser(__doc__)
    options.add_argument("--mutations", type=int, default=50_000)
    options.add_argument("--seconds", type=float, default=float("inf"), help="stop after about so many")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--kinds", nargs="+", help="only these")
    options.add_argument("--only", metavar="KIND:INDEX", help="one case alone; no table is written")
    options.add_argument("--keep", type=Path, help="the folder for the inputs, which are then kept")
    given = options.parse_args()
    kinds = [kind for kind in KINDS.values() if not given.kinds or kind.name in given.kinds]
    if given.keep:
        given.keep.mkdir(parents=True, exist_ok=True)
    if given.only:
        name, _, index = given.only.partition(":")
        with tempfile.TemporaryDirectory() as folder:
            worker = Worker((given.keep or Path(folder)).resolve(), given.seed)
            try:
                outcomes = list(worker.run(KINDS[name], [int(index)]))
            finally:
                worker.stop()
        print(*outcomes, sep="\n")
        return int(any(outcome.problem for outcome in outcomes))
    table, broken = run(kinds, given.mutations, given.seed, given.seconds, given.keep)
    for name, outcome in broken:
        again = f"python -m benchmarks.mutations --seed {given.seed} --only {name}:{outcome.index}"
        print(f"{name}:{outcome.index}: {outcome.problem}\n    {again}", file=sys.stderr)
    write("mutations", table, given.out)
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
