"""Decode the clips of a manifest."""

import json
from pathlib import Path

from swagv.joblog import log_to
from swagv.runtime import runtime
from swagv.stages.decode import decode

log_to(snakemake.log[0])
decode(
    Path(snakemake.input.manifest),
    Path(snakemake.output[0]),
    json.loads(snakemake.params.spec),
    runtime(snakemake.config)["time_limit"],
)
