"""Render the videos of a shard."""

from pathlib import Path

from swagv.config import Evaluation
from swagv.joblog import log_to
from swagv.stages.plan import render

log_to(snakemake.log[0])
render(
    Path(snakemake.output[0]),
    snakemake.wildcards.shard,
    Evaluation(snakemake.config, list_videos=False).datasets[snakemake.wildcards.dataset].spec,
)
