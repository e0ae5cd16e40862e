rule report:
    input:
        summaries=summaries(),
        clip_tables=lambda w: [table for metric in evaluation.metrics.values() for table in clip_tables(metric)],
        manifests=lambda w: cells("results/{dataset}/manifest/{shard}.parquet", evaluation.datasets.values()),
        predictions=lambda w: cells(
            "results/{dataset}/{model}/predictions/{shard}.parquet", evaluation.datasets.values()
        ),
        clips=lambda w: cells("results/{dataset}/clips/{shard}.zarr"),
        explanations=lambda w: cells("results/{dataset}/{model}/explanations/{method}/{shard}.zarr"),
        comparisons=[f"results/comparisons/{name}.parquet" for name in evaluation.metrics],
        tables=lambda w: [path.replace(".parquet", ".html") for path in shown("tables")],
        figures=lambda w: shown("figures"),
    output:
        report("results/report.html", category="Report", caption="../report/report.rst"),
    log:
        "results/logs/report.log",
    benchmark:
        "results/benchmarks/report.tsv"
    conda:
        "../../envs/swagv.yaml"
    params:
        code=code("report.py", "swagv.stages.report", templates=("report.html.j2", "report.css", "report.js")),
        spec=canonical(
            {
                "paper_clips": {dataset.name: dataset.source.paper_clips for dataset in evaluation.evaluated},
                "alpha_from": evaluation.alpha_from,
                "methods": list(evaluation.methods),
            }
        ),
    script:
        "../scripts/report.py"
