"""Scores of every clip of one method by a metric that has no stage of its own."""

import json
from pathlib import Path

from swagv.joblog import log_to
from swagv.runtime import runtime
from swagv.stages.score import score

log_to(snakemake.log[0])
score(
    Path(snakemake.input.clips),
    Path(snakemake.input.predictions),
    Path(snakemake.input.explanations),
    Path(snakemake.output[0]),
    {name: snakemake.wildcards[name] for name in ("dataset", "model", "method", "shard")},
    json.loads(snakemake.params.spec),
    runtime(snakemake.config) | {"threads": snakemake.threads},
)
