rule supervoxels_of_image:
    input:
        clips="results/{dataset}/clips/{shard}.zarr",
    output:
        directory("results/{dataset}/supervoxels/{recipe}/{shard}.zarr"),
    log:
        "results/logs/supervoxels/{dataset}/{recipe}/{shard}.log",
    benchmark:
        "results/benchmarks/supervoxels/{dataset}/{recipe}/{shard}.tsv"
    conda:
        "../../envs/swagv.yaml"
    threads: evaluation.runtime["threads"]
    resources:
        gpu=GPU * evaluation.runtime["supervoxels"].startswith("torch"),
    params:
        code=code("supervoxels.py", "swagv.stages.supervoxels"),
        spec=lambda w: canonical({"recipe": recipe_of(w).recipe}),
    script:
        "../scripts/supervoxels.py"


rule supervoxels_of_gradient:
    input:
        clips="results/{dataset}/clips/{shard}.zarr",
        gradients=gradients_of_recipe,
    output:
        directory("results/{dataset}/{model}/supervoxels/{recipe}/{shard}.zarr"),
    log:
        "results/logs/supervoxels/{dataset}/{model}/{recipe}/{shard}.log",
    benchmark:
        "results/benchmarks/supervoxels/{dataset}/{model}/{recipe}/{shard}.tsv"
    conda:
        "../../envs/swagv.yaml"
    threads: evaluation.runtime["threads"]
    resources:
        gpu=GPU * evaluation.runtime["supervoxels"].startswith("torch"),
    params:
        code=code("supervoxels.py", "swagv.stages.supervoxels"),
        spec=lambda w: canonical({"recipe": recipe_of(w).recipe}),
    script:
        "../scripts/supervoxels.py"
