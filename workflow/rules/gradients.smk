rule predict:
    input:
        manifest="results/{dataset}/manifest/{shard}.parquet",
        clips="results/{dataset}/clips/{shard}.zarr",
    output:
        "results/{dataset}/{model}/predictions/{shard}.parquet",
    log:
        "results/logs/predict/{dataset}/{model}/{shard}.log",
    benchmark:
        "results/benchmarks/predict/{dataset}/{model}/{shard}.tsv"
    conda:
        "../../envs/swagv.yaml"
    threads: evaluation.runtime["threads"]
    resources:
        gpu=GPU,
    params:
        code=lambda w: code("predict.py", "swagv.stages.predict", *network_modules(w)),
        spec=lambda w: canonical({"model": model_of(w).spec, "target": model_of(w).target}),
    script:
        "../scripts/predict.py"


rule gradients:
    input:
        clips="results/{dataset}/clips/{shard}.zarr",
        predictions="results/{dataset}/{model}/predictions/{shard}.parquet",
    output:
        directory("results/{dataset}/{model}/gradients/{attribution}/{shard}.zarr"),
    log:
        "results/logs/gradients/{dataset}/{model}/{attribution}/{shard}.log",
    benchmark:
        "results/benchmarks/gradients/{dataset}/{model}/{attribution}/{shard}.tsv"
    conda:
        "../../envs/swagv.yaml"
    threads: evaluation.runtime["threads"]
    resources:
        gpu=GPU,
    params:
        code=lambda w: code(
            "gradients.py",
            "swagv.stages.explain",
            method_module(pixels_of(w)),
            *network_modules(w),
        ),
        spec=lambda w: canonical({"method": pixels_of(w), "model": model_of(w).spec}),
    script:
        "../scripts/gradients.py"
