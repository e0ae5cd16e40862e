rule insertion_deletion:
    input:
        clips="results/{dataset}/clips/{shard}.zarr",
        predictions="results/{dataset}/{model}/predictions/{shard}.parquet",
        explanations="results/{dataset}/{model}/explanations/{method}/{shard}.zarr",
    output:
        "results/{dataset}/{model}/{metric}/{method}/{shard}.parquet",
    log:
        "results/logs/{metric}/{dataset}/{model}/{method}/{shard}.log",
    benchmark:
        "results/benchmarks/{metric}/{dataset}/{model}/{method}/{shard}.tsv"
    wildcard_constraints:
        metric=folders_of("insertion_deletion"),
    conda:
        "../../envs/swagv.yaml"
    threads: evaluation.runtime["threads"]
    resources:
        gpu=GPU,
    params:
        code=lambda w: code("insertion_deletion.py", "swagv.stages.insertion_deletion", *network_modules(w)),
        spec=lambda w: canonical(metric_spec(w, "model")),
    script:
        "../scripts/insertion_deletion.py"
