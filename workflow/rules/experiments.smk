# The paper's tables and figures, and what it leaves open. Each is a target of its own: snakemake --cores 8 table1 figure3.
rule table:
    input:
        summaries=lambda w: [f"results/summary/{scope}.parquet" for scope in said(outputs.scopes_of, w.table)],
        comparisons=lambda w: [f"results/comparisons/{scope}.parquet" for scope in said(outputs.scopes_of, w.table)],
        timings=lambda w: outputs.timings() if w.table == "table4" else [],
    output:
        parquet="results/tables/{table}.parquet",
        csv=report(
            "results/tables/{table}.csv", category="Tables", caption="../report/table.rst", labels={"table": "{table}"}
        ),
        markdown="results/tables/{table}.md",
        latex="results/tables/{table}.tex",
        html="results/tables/{table}.html",
    log:
        "results/logs/table/{table}.log",
    benchmark:
        "results/benchmarks/table/{table}.tsv"
    conda:
        "../../envs/swagv.yaml"
    params:
        code=code("table.py", "swagv.stages.table", files=("paper.csv",)),
        spec=lambda w: canonical(table_spec(w.table)),
    script:
        "../scripts/table.py"


# With all cores of a workstation, so that nothing runs beside it; profiles/slurm gives it a node of its own.
rule timing:
    input:
        clips="results/{dataset}/clips/{shard}.zarr",
        predictions="results/{dataset}/{model}/predictions/{shard}.parquet",
    output:
        "results/{dataset}/{model}/timing/{method}/{shard}.parquet",
    log:
        "results/logs/timing/{dataset}/{model}/{method}/{shard}.log",
    benchmark:
        "results/benchmarks/timing/{dataset}/{model}/{method}/{shard}.tsv"
    conda:
        "../../envs/swagv.yaml"
    threads: workflow.resource_settings.cores or evaluation.runtime["threads"]
    resources:
        gpu=GPU,
    params:
        code=lambda w: code("timing.py", "swagv.stages.timing", method_module(method_of(w).spec), *network_modules(w)),
        spec=lambda w: canonical(network_spec(w, "table4")),
    script:
        "../scripts/timing.py"


rule randomise:
    input:
        clips="results/{dataset}/clips/{shard}.zarr",
        predictions="results/{dataset}/{model}/predictions/{shard}.parquet",
        explanations="results/{dataset}/{model}/explanations/{method}/{shard}.zarr",
    output:
        "results/{dataset}/{model}/randomisation/{method}/{shard}.parquet",
    log:
        "results/logs/randomise/{dataset}/{model}/{method}/{shard}.log",
    benchmark:
        "results/benchmarks/randomise/{dataset}/{model}/{method}/{shard}.tsv"
    conda:
        "../../envs/swagv.yaml"
    threads: evaluation.runtime["threads"]
    resources:
        gpu=GPU,
    params:
        code=lambda w: code(
            "randomise.py", "swagv.stages.randomise", method_module(method_of(w).spec), *network_modules(w)
        ),
        spec=lambda w: canonical(network_spec(w, "randomisation")),
    script:
        "../scripts/randomise.py"


rule figure:
    input:
        unpack(lambda w: outputs.of_figure(experiment_of(w.figure))),
    output:
        svg=report(
            "results/figures/{figure}.svg",
            category="Figures",
            caption="../report/figure.rst",
            labels={"figure": "{figure}"},
        ),
        csv="results/figures/{figure}.csv",
    log:
        "results/logs/figure/{figure}.log",
    benchmark:
        "results/benchmarks/figure/{figure}.tsv"
    conda:
        "../../envs/swagv.yaml"
    params:
        code=code("figure.py", "swagv.stages.figure"),
        spec=lambda w: canonical(figure_spec(w.figure)),
    script:
        "../scripts/figure.py"


taken = {rule.name for rule in workflow.rules} | {"all", "report"}
for name in outputs.targets():
    if name in taken:
        raise WorkflowError(f"{name!r} is the name of a rule of the workflow; call the experiment or metric otherwise")

    rule:
        name:
            name
        input:
            lambda w, name=name: said(outputs.of_target, name),
        localrule: True
