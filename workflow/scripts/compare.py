"""Paired differences between the methods, over the clips of one metric."""

import json
from pathlib import Path

from swagv.joblog import log_to
from swagv.stages.compare import compare

log_to(snakemake.log[0])
spec = json.loads(snakemake.params.spec)
compare([Path(path) for path in snakemake.input], Path(snakemake.output[0]), spec.pop("metric"), spec)
