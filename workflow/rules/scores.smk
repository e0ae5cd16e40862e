# Any other metric. One that looks at no network asks for no GPU, and its job imports no torch.
rule score:
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
        metric=folders_of_others(),
    conda:
        "../../envs/swagv.yaml"
    threads: lambda w: evaluation.runtime["threads"] if runs_network(metric_of(w)) else 1
    resources:
        gpu=lambda w: GPU * runs_network(metric_of(w)),
    params:
        code=score_code,
        spec=score_spec,
    script:
        "../scripts/score.py"
