"""Explanations of one method as the network's layers become random."""

import json
from pathlib import Path

from swagv.joblog import log_to
from swagv.runtime import runtime
from swagv.stages.randomise import randomise

log_to(snakemake.log[0])
randomise(
    Path(snakemake.input.clips),
    Path(snakemake.input.predictions),
    Path(snakemake.input.explanations),
    Path(snakemake.output[0]),
    {name: snakemake.wildcards[name] for name in ("dataset", "model", "method", "shard")},
    json.loads(snakemake.params.spec),
    runtime(snakemake.config) | {"threads": snakemake.threads},
)
