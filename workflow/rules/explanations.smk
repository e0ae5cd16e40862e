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
    # What runs a network takes hours of a shard, the others seconds.
    resources:
        gpu=lambda w: GPU * (method_of(w).kind == "network"),
        mem_mb=lambda w, attempt: attempt * (16000 if method_of(w).kind == "network" else 4000),
        runtime=lambda w, attempt: attempt * (720 if method_of(w).kind == "network" else 60),
    params:
        code=explain_code,
        spec=explain_spec,
    script:
        "../scripts/explain.py"
