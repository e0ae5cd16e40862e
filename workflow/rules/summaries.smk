# {scope} is a metric of the configuration, experiment/metric, or timing.
rule summarise:
    input:
        lambda w: said(outputs.tables_of, w.scope),
    output:
        "results/summary/{scope}.parquet",
    log:
        "results/logs/summarise/{scope}.log",
    benchmark:
        "results/benchmarks/summarise/{scope}.tsv"
    wildcard_constraints:
        scope="[^/]+(/[^/]+)?",
    conda:
        "../../envs/swagv.yaml"
    params:
        code=lambda w: code("summarise.py", "swagv.stages.summarise", *metric_modules(w.scope)),
        spec=lambda w: canonical(summarise_spec(w.scope)),
    script:
        "../scripts/summarise.py"


rule compare:
    input:
        lambda w: said(outputs.tables_of, w.scope),
    output:
        "results/comparisons/{scope}.parquet",
    log:
        "results/logs/compare/{scope}.log",
    benchmark:
        "results/benchmarks/compare/{scope}.tsv"
    wildcard_constraints:
        scope="[^/]+(/[^/]+)?",
    conda:
        "../../envs/swagv.yaml"
    params:
        code=lambda w: code("compare.py", "swagv.stages.compare", *metric_modules(w.scope)),
        spec=lambda w: canonical(summarise_spec(w.scope)),
    script:
        "../scripts/compare.py"
