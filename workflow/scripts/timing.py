"""Seconds per explanation of one method and network."""

import json
from pathlib import Path

from swagv.joblog import log_to
from swagv.runtime import runtime
from swagv.stages.timing import timing

log_to(snakemake.log[0])
timing(
    Path(snakemake.input.clips),
    Path(snakemake.input.predictions),
    Path(snakemake.output[0]),
    {name: snakemake.wildcards[name] for name in ("dataset", "model", "method", "shard")},
    json.loads(snakemake.params.spec),
    runtime(snakemake.config) | {"threads": snakemake.threads},
)
