rule insertion_deletion:
    input:
        clips="results/{dataset}/clips/{shard}.zarr",
        predictions="results/{dataset}/{model}/predictions/{shard}.parquet",
        explanations="results/{dataset}/{model}/explanations/{method}/{shard}.zarr",
    output:
        "results/{dataset}/{model}/insertion_deletion/{method}/{shard}.parquet",
    log:
        "results/logs/insertion_deletion/{dataset}/{model}/{method}/{shard}.log",
    benchmark:
        "results/benchmarks/insertion_deletion/{dataset}/{model}/{method}/{shard}.tsv"
    conda:
        "../../envs/swagv.yaml"
    threads: evaluation.runtime["threads"]
    resources:
        gpu=GPU,
    params:
        code=lambda w: code("insertion_deletion.py", "swagv.stages.insertion_deletion", network_module(w)),
        spec=lambda w: canonical(
            {
                "metric": evaluation.metrics["insertion_deletion"],
                "method": method_of(w).spec,
                "model": model_of(w).spec,
            }
        ),
    script:
        "../scripts/insertion_deletion.py"
