"""Means of all clips of one metric."""

import json
from pathlib import Path

from swagv.joblog import log_to
from swagv.stages.summarise import summarise

log_to(snakemake.log[0])
spec = json.loads(snakemake.params.spec)
summarise([Path(path) for path in snakemake.input], Path(snakemake.output[0]), spec.pop("metric"), spec)
