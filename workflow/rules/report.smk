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
        spec=lambda w: canonical(summarise_spec(w)),
    script:
        "../scripts/summarise.py"


rule report:
    input:
        summaries=summaries(),
        clip_tables=lambda w: [table for metric in evaluation.metrics for table in clip_tables(metric)],
        manifests=lambda w: cells("results/{dataset}/manifest/{shard}.parquet", evaluation.datasets.values()),
        predictions=lambda w: cells(
            "results/{dataset}/{model}/predictions/{shard}.parquet", evaluation.datasets.values()
        ),
        clips=lambda w: cells("results/{dataset}/clips/{shard}.zarr"),
        explanations=lambda w: cells("results/{dataset}/{model}/explanations/{method}/{shard}.zarr"),
    output:
        "results/report.html",
    log:
        "results/logs/report.log",
    benchmark:
        "results/benchmarks/report.tsv"
    conda:
        "../../envs/swagv.yaml"
    params:
        code=code("report.py", "swagv.stages.report", templates=("report.html.j2",)),
        spec=canonical(
            {
                "paper_clips": {dataset.name: dataset.source.paper_clips for dataset in evaluation.evaluated},
                "alpha_from": evaluation.alpha_from,
            }
        ),
    script:
        "../scripts/report.py"
