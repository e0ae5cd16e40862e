rule localisation:
    input:
        clips="results/{dataset}/clips/{shard}.zarr",
        explanations="results/{dataset}/{model}/explanations/{method}/{shard}.zarr",
    output:
        "results/{dataset}/{model}/{metric}/{method}/{shard}.parquet",
    log:
        "results/logs/{metric}/{dataset}/{model}/{method}/{shard}.log",
    benchmark:
        "results/benchmarks/{metric}/{dataset}/{model}/{method}/{shard}.tsv"
    wildcard_constraints:
        metric=folders_of("localisation"),
    conda:
        "../../envs/swagv.yaml"
    params:
        code=code("localisation.py", "swagv.stages.localisation"),
        spec=lambda w: canonical(metric_spec(w, "geometry")),
    script:
        "../scripts/localisation.py"
