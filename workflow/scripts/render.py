"""Render the videos of a shard."""

import json
from pathlib import Path

from swagv.joblog import log_to
from swagv.stages.plan import render

log_to(snakemake.log[0])
render(Path(snakemake.output[0]), snakemake.wildcards.shard, json.loads(snakemake.params.spec))
