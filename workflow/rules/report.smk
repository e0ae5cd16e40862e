rule summarise:
    input:
        lambda w: clip_tables(w.metric),
    output:
        "results/summary/{metric}.parquet",
    log:
        "results/logs/summarise/{metric}.log",
    benchmark:
        "results/benchmarks/summarise/{metric}.tsv"
    wildcard_constraints:
        metric="insertion_deletion|localisation",
    conda:
        "../../envs/swagv.yaml"
    params:
        code=code("summarise.py", "swagv.stages.summarise"),
        spec=canonical({"bootstrap": evaluation.bootstrap}),
    script:
        "../scripts/summarise.py"


rule report:
    input:
        summaries=summaries(),
        clip_tables=[table for metric in evaluation.metrics for table in clip_tables(metric)],
        manifests=cells("results/{dataset}/manifest/{shard}.parquet"),
        predictions=cells("results/{dataset}/{model}/predictions/{shard}.parquet"),
        clips=cells("results/{dataset}/clips/{shard}.zarr"),
        explanations=cells("results/{dataset}/{model}/explanations/{method}/{shard}.zarr"),
    output:
        "results/report.html",
    log:
        "results/logs/report.log",
    benchmark:
        "results/benchmarks/report.tsv"
    conda:
        "../../envs/swagv.yaml"
    params:
        code=code("report.py", "swagv.stages.report", templates=["report.html.j2"]),
    script:
        "../scripts/report.py"
