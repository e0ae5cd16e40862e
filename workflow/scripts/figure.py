"""A figure and the data that it draws."""

import json
from pathlib import Path

from swagv.joblog import log_to
from swagv.stages.figure import DRAW

log_to(snakemake.log[0])
spec = json.loads(snakemake.params.spec)
DRAW[spec.pop("kind")](
    Path(snakemake.output.svg),
    **{name: [Path(path) for path in paths] for name, paths in snakemake.input.items()},
    **spec,
)
