FILES = tuple(f"templates/report.{suffix}" for suffix in ("html.j2", "css", "js"))


rule report:
    input:
        summaries=[f"results/summary/{name}.parquet" for name in evaluation.metrics],
        clip_tables=lambda w: [table for metric in evaluation.metrics.values() for table in outputs.clip_tables(metric)],
        manifests=lambda w: outputs.cells("results/{dataset}/manifest/{shard}.parquet", evaluation.datasets.values()),
        predictions=lambda w: outputs.cells(
            "results/{dataset}/{model}/predictions/{shard}.parquet", evaluation.datasets.values()
        ),
        clips=lambda w: outputs.cells("results/{dataset}/clips/{shard}.zarr"),
        explanations=lambda w: outputs.cells("results/{dataset}/{model}/explanations/{method}/{shard}.zarr"),
        comparisons=[f"results/comparisons/{name}.parquet" for name in evaluation.metrics],
        tables=lambda w: [path.replace(".parquet", ".html") for path in outputs.shown("tables")],
        figures=lambda w: outputs.shown("figures"),
    output:
        report("results/report.html", category="Report", caption="../report/report.rst"),
    log:
        "results/logs/report.log",
    benchmark:
        "results/benchmarks/report.tsv"
    # Only the process that was started knows which targets were asked for.
    localrule: True
    conda:
        "../../envs/swagv.yaml"
    params:
        code=code("report.py", "swagv.stages.report", files=FILES),
        spec=lambda w: canonical(report_spec()),
    script:
        "../scripts/report.py"
