rule explain:
    input:
        unpack(explain_inputs),
    output:
        directory("results/{dataset}/{model}/explanations/{method}/{shard}.zarr"),
    log:
        "results/logs/explain/{dataset}/{model}/{method}/{shard}.log",
    benchmark:
        "results/benchmarks/explain/{dataset}/{model}/{method}/{shard}.tsv"
    conda:
        "../../envs/swagv.yaml"
    threads: lambda w: evaluation.runtime["threads"] if method_of(w).kind == "network" else 1
    resources:
        gpu=lambda w: GPU * (method_of(w).kind == "network"),
    params:
        code=explain_code,
        spec=explain_spec,
    script:
        "../scripts/explain.py"
