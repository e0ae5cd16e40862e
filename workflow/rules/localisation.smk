rule localisation:
    input:
        clips="results/{dataset}/clips/{shard}.zarr",
        explanations="results/{dataset}/{model}/explanations/{method}/{shard}.zarr",
    output:
        "results/{dataset}/{model}/localisation/{method}/{shard}.parquet",
    log:
        "results/logs/localisation/{dataset}/{model}/{method}/{shard}.log",
    benchmark:
        "results/benchmarks/localisation/{dataset}/{model}/{method}/{shard}.tsv"
    conda:
        "../../envs/swagv.yaml"
    params:
        code=code("localisation.py", "swagv.stages.localisation"),
        spec=lambda w: canonical(localisation_spec(w)),
    script:
        "../scripts/localisation.py"
