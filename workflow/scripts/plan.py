"""Probe the videos of a shard and choose their clips."""

from pathlib import Path

from swagv.config import Evaluation
from swagv.joblog import log_to
from swagv.runtime import runtime
from swagv.stages.plan import plan

log_to(snakemake.log[0])
plan(
    Path(snakemake.output[0]),
    Path(snakemake.input.videos) if snakemake.input.videos else None,
    snakemake.wildcards.shard,
    Evaluation(snakemake.config, list_videos=False).datasets[snakemake.wildcards.dataset].spec,
    runtime(snakemake.config)["time_limit"],
)
