"""What the network says of each clip."""

import json
from pathlib import Path

from swagv.joblog import log_to
from swagv.runtime import runtime
from swagv.stages.predict import predict

log_to(snakemake.log[0])
predict(
    Path(snakemake.input.manifest),
    Path(snakemake.input.clips),
    Path(snakemake.output[0]),
    {name: snakemake.wildcards[name] for name in ("dataset", "model", "shard")},
    json.loads(snakemake.params.spec),
    runtime(snakemake.config) | {"threads": snakemake.threads},
)
