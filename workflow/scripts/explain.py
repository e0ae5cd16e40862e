"""Explanations of every clip by one method."""

import json
from pathlib import Path

from swagv.joblog import log_to

log_to(snakemake.log[0])
spec, out = json.loads(snakemake.params.spec), Path(snakemake.output[0])
if spec["kind"] == "network":
    from swagv.runtime import runtime
    from swagv.stages.explain import explain

    settings = runtime(snakemake.config) | {"threads": snakemake.threads}
    explain(Path(snakemake.input.clips), Path(snakemake.input.predictions), out, spec, settings)
else:
    from swagv.stages import explain_cached as cached

    explain = {"control": cached.explain_control, "pixels": cached.explain_pixels}
    explain.get(spec["kind"], cached.explain_supervoxels)(*map(Path, snakemake.input), out, spec)
