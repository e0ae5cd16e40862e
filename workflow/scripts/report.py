"""The report of everything that the run made."""

import json
from pathlib import Path

from swagv.joblog import log_to
from swagv.stages.report import report

log_to(snakemake.log[0])
report(
    Path(snakemake.output[0]),
    **{name: [Path(path) for path in paths] for name, paths in snakemake.input.items()},
    **json.loads(snakemake.params.spec),
)
