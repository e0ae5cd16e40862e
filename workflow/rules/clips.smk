rule render:
    output:
        directory("results/{dataset}/videos/{shard}"),
    log:
        "results/logs/render/{dataset}/{shard}.log",
    benchmark:
        "results/benchmarks/render/{dataset}/{shard}.tsv"
    conda:
        "../../envs/swagv.yaml"
    params:
        code=lambda w: code("render.py", "swagv.stages.plan", method_module(dataset_of(w).spec["dataset"])),
        videos=lambda w: dataset_of(w).shards[w.shard],
    script:
        "../scripts/render.py"


rule plan:
    input:
        videos=videos_folder,
    output:
        "results/{dataset}/manifest/{shard}.parquet",
    log:
        "results/logs/plan/{dataset}/{shard}.log",
    benchmark:
        "results/benchmarks/plan/{dataset}/{shard}.tsv"
    conda:
        "../../envs/swagv.yaml"
    params:
        code=lambda w: code("plan.py", "swagv.stages.plan", method_module(dataset_of(w).spec["dataset"])),
        spec=lambda w: canonical({"clips": dataset_of(w).spec["clips"]}),
        videos=lambda w: dataset_of(w).shards[w.shard],
    script:
        "../scripts/plan.py"


# No benchmark: Snakemake allows none where the output may come from another workflow (--cache decode).
rule decode:
    input:
        manifest="results/{dataset}/manifest/{shard}.parquet",
        videos=videos_folder,
    output:
        directory("results/{dataset}/clips/{shard}.zarr"),
    log:
        "results/logs/decode/{dataset}/{shard}.log",
    conda:
        "../../envs/swagv.yaml"
    params:
        code=code("decode.py", "swagv.stages.decode"),
        spec=lambda w: canonical(decode_spec(w)),
    script:
        "../scripts/decode.py"
