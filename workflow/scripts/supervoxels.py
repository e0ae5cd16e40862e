"""SLIC supervoxels of every clip."""

import json
from pathlib import Path

from swagv.joblog import log_to
from swagv.runtime import runtime
from swagv.stages.supervoxels import supervoxels

log_to(snakemake.log[0])
gradients = snakemake.input.get("gradients")
supervoxels(
    Path(snakemake.input.clips),
    Path(gradients) if gradients else None,
    Path(snakemake.output[0]),
    json.loads(snakemake.params.spec),
    runtime(snakemake.config) | {"threads": snakemake.threads},
)
