"""A table as it goes into a paper."""

import json
from pathlib import Path

from swagv.joblog import log_to
from swagv.stages.table import table

log_to(snakemake.log[0])
table(
    [Path(path) for path in snakemake.input.summaries],
    [Path(path) for path in snakemake.input.comparisons],
    [Path(path) for path in snakemake.input.timings],
    Path(snakemake.output.parquet),
    json.loads(snakemake.params.spec),
)
