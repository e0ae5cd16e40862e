"""Localisation hits of every clip of one method."""

import json
from pathlib import Path

from swagv.joblog import log_to
from swagv.stages.localisation import localisation

log_to(snakemake.log[0])
localisation(
    Path(snakemake.input.clips),
    Path(snakemake.input.explanations),
    Path(snakemake.output[0]),
    {name: snakemake.wildcards[name] for name in ("dataset", "model", "method", "shard")},
    json.loads(snakemake.params.spec),
)
