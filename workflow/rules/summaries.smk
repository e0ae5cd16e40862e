# {scope} is a metric of the configuration, or experiment/metric.
rule summarise:
    input:
        lambda w: clip_tables(*scope_of(w)),
    output:
        "results/summary/{scope}.parquet",
    log:
        "results/logs/summarise/{scope}.log",
    benchmark:
        "results/benchmarks/summarise/{scope}.tsv"
    wildcard_constraints:
        scope="(?!timing)[^/]+(/[^/]+)?",
    conda:
        "../../envs/swagv.yaml"
    params:
        code=lambda w: code("summarise.py", "swagv.stages.summarise", metric_module(w)),
        spec=lambda w: canonical(summarise_spec(w)),
    script:
        "../scripts/summarise.py"


rule compare:
    input:
        lambda w: clip_tables(*scope_of(w)),
    output:
        "results/comparisons/{scope}.parquet",
    log:
        "results/logs/compare/{scope}.log",
    benchmark:
        "results/benchmarks/compare/{scope}.tsv"
    wildcard_constraints:
        scope="(?!timing)[^/]+(/[^/]+)?",
    conda:
        "../../envs/swagv.yaml"
    params:
        code=lambda w: code("compare.py", "swagv.stages.compare", metric_module(w)),
        spec=lambda w: canonical(summarise_spec(w)),
    script:
        "../scripts/compare.py"
