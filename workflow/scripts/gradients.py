"""The pixel attribution of every clip, cached for all the methods that need it."""

import json
from pathlib import Path

from swagv.joblog import log_to
from swagv.runtime import runtime
from swagv.stages.explain import explain

log_to(snakemake.log[0])
explain(
    Path(snakemake.input.clips),
    Path(snakemake.input.predictions),
    Path(snakemake.output[0]),
    json.loads(snakemake.params.spec),
    runtime(snakemake.config) | {"threads": snakemake.threads},
)
