"""Which files a run makes: what its targets show, and everything between the videos and them. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cache

from swagv.config import Dataset, Evaluation, Method, Metric, ResolvedExperiment, gradients_of, recipes_of
from swagv.errors import ConfigError


class Outputs:
    """The files of a configuration, as paths below the folder of a run.

    Parameters
    ----------
    evaluation
        The configuration.
    asked
        Gives the targets that are asked for beside those that every run makes; Snakemake knows them only in the end.

    Attributes
    ----------
    tables
        Tables of what the configuration runs anyway, and the metric of each.
    """

    def __init__(self, evaluation: Evaluation, asked: Callable[[], Iterable[str]] = tuple):
        self.evaluation = evaluation
        self.asked = asked
        self.experiment = cache(evaluation.experiment)  # asked by every job of an experiment
        metrics = evaluation.metrics.values()
        paper = {"insertion_deletion": "table2", "localisation": "table3"}
        self.tables = {paper.get(metric.registered, metric.name): metric for metric in reversed(metrics)}
        self.tables |= {metric.name: metric for metric in metrics if metric not in self.tables.values()}

    def final(self) -> list[str]:
        """Everything that a run makes, but for rendered videos."""
        evaluation = self.evaluation
        summaries = [f"results/summary/{name}.parquet" for name in evaluation.metrics]
        more = [path for target in self.wanted() for path in self.of_target(target)]
        stores = self.stores(evaluation, list(evaluation.metrics.values()))
        return list(dict.fromkeys([*stores, *summaries, *more, "results/report.html"]))

    def targets(self) -> list[str]:
        """What people look at, each made by its own name: the tables of the run, and the experiments."""
        names = {*self.tables, "table2", "table3", *self.evaluation.experiments}
        return sorted(names, key=lambda name: (not name.startswith("table"), not name.startswith("figure"), name))

    def wanted(self) -> list[str]:
        """Targets of this run: the tables of its metrics, those that the configuration names, those asked for."""
        wanted = {*self.tables, *self.evaluation.targets, *self.asked()}
        return [target for target in self.targets() if target in wanted]

    def shown(self, kind: str) -> list[str]:
        """``tables``, or ``figures``, that the report shows."""
        paths = [path for target in self.wanted() for path in self.of_target(target)]
        return [path for path in paths if path.startswith(f"results/{kind}/")]

    def of_target(self, target: str) -> list[str]:
        """What a target makes, with everything that it rests on.

        Raises
        ------
        ConfigError
            If the configuration has no metric for it.
        """
        part = self.experiment(target) if target in self.evaluation.experiments else None
        made = []
        if part is None or part.given.has_table or target == "table4":
            made.append(f"results/tables/{target}.parquet")
            made += [
                f"results/{folder}/{scope}.parquet"
                for folder in ("summary", "comparisons")
                for scope in self.scopes_of(target)
            ]
        if part and part.given.figure:
            drawn = [path for paths in self.of_figure(part).values() for path in paths]
            made += [f"results/figures/{target}.svg", *drawn]
        if target == "table4":  # explains anew, and needs no explanation in a store
            return [*made, *self.timings()]
        rests = self.stores(part or self.evaluation, list(part.metrics.values()) if part else [self.run_metric(target)])
        return list(dict.fromkeys([*made, *rests]))

    def run_metric(self, table: str) -> Metric:
        """The metric of a table of the run."""
        if table not in self.tables:
            metric = "localisation" if table == "table3" else "insertion_deletion"
            raise ConfigError(f"{table} needs metrics.{metric} in the configuration")
        return self.tables[table]

    def scopes_of(self, table: str) -> list[str]:
        """The summaries that a table is made of."""
        if table == "table4":
            return ["timing"]
        if table in self.evaluation.experiments:
            return [f"{table}/{metric}" for metric in self.experiment(table).metrics]
        return [self.run_metric(table).name]

    def scope_of(self, scope: str) -> tuple[Metric, ResolvedExperiment | None]:
        """Metric and experiment of a summary: those of the configuration stand in no experiment's folder."""
        *experiment, name = scope.split("/")
        part = self.experiment(experiment[0]) if experiment else None
        metric = (part or self.evaluation).metrics.get(name)
        if metric is None:
            raise ConfigError(f"no metric of this configuration, or of its experiments, is called {name!r}")
        return metric, part

    def tables_of(self, scope: str) -> list[str]:
        """Per-clip tables of a summary."""
        return self.timings() if scope == "timing" else self.clip_tables(*self.scope_of(scope))

    def cells(
        self,
        pattern: str,
        datasets: Iterable[Dataset] | None = None,
        models: Collection[str] = (),
        methods: Collection[str] = (),
    ) -> list[str]:
        """`pattern` for every dataset that is evaluated (or these), shard, model and method of the configuration."""
        return sorted(
            {
                pattern.format(dataset=dataset.name, shard=shard, model=model, method=method)
                for dataset in (self.evaluation.evaluated if datasets is None else datasets)
                for shard in dataset.shards
                for model in models or self.evaluation.models
                for method in methods or self.evaluation.methods
            }
        )

    def datasets_of(self, metric: Metric) -> list[Dataset]:
        """The datasets whose clips a metric scores; those that only choose a threshold have no other part."""
        if metric.registered == "localisation":
            return [dataset for dataset in self.evaluation.datasets.values() if dataset.source.has_boxes]
        return [one for one in self.evaluation.evaluated if one.source.has_boxes or not metric.needs_boxes]

    def clip_tables(self, metric: Metric, experiment: ResolvedExperiment | None = None) -> list[str]:
        """Per-clip tables of one metric."""
        pattern = f"results/{{dataset}}/{{model}}/{metric.name}/{{method}}/{{shard}}.parquet"
        which = (experiment.models, experiment.methods) if experiment else ()
        return self.cells(pattern, self.datasets_of(metric), *which)

    def stores(self, part: Evaluation | ResolvedExperiment, metrics: Collection[Metric]) -> list[str]:
        """Everything between the videos and the scores of `metrics`, for the methods of all or of an experiment.

        A target asks for it, because Snakemake deletes a job's output before it starts and does not miss a file whose
        descendants exist: a run killed while it replaced one would otherwise leave old results that look finished.
        """
        scored = {dataset.name for metric in metrics for dataset in self.datasets_of(metric)}
        methods: Mapping[str, Method] = part.methods
        found = []
        for dataset in self.evaluation.datasets.values():
            if dataset.name not in scored and (metrics or dataset.alpha_for):
                continue
            folder = f"results/{dataset.name}"
            shared = ["manifest/{}.parquet", "clips/{}.zarr"]
            own = ["predictions/{}.parquet"]
            own += [f"gradients/{name}/{{}}.zarr" for name in gradients_of(methods.values())]
            for name, method in recipes_of(methods.values()).items():
                (shared if method.explainer.features == "image" else own).append(f"supervoxels/{name}/{{}}.zarr")
            own += [f"explanations/{name}/{{}}.zarr" for name in methods]
            here = [metric.name for metric in metrics if dataset in self.datasets_of(metric)]
            own += [f"{metric}/{name}/{{}}.parquet" for metric in here for name in methods]
            shared += [f"{model}/{path}" for model in part.models for path in own]
            found += [f"{folder}/{path.format(shard)}" for path in shared for shard in dataset.shards]
        return found

    def timings(self) -> list[str]:
        """The lowest shard of the first dataset is enough to time a method."""
        dataset, experiment = self.evaluation.evaluated[0], self.experiment("table4")
        pattern = f"results/{dataset.name}/{{model}}/timing/{{method}}/{min(dataset.shards)}.parquet"
        return self.cells(pattern, [dataset], experiment.models, experiment.methods)

    def of_figure(self, part: ResolvedExperiment) -> dict[str, list[str]]:
        """What the figure of an experiment is drawn from, by the names of the stage's arguments."""
        kind, which = part.given.figure, (None, part.models, part.methods)
        if kind in ("versus", "strips"):
            cell = "results/{dataset}/{model}"
            scored = [path for metric in part.metrics.values() for path in self.clip_tables(metric, part)]
            return {
                "clips": self.cells("results/{dataset}/clips/{shard}.zarr"),
                "predictions": self.cells(f"{cell}/predictions/{{shard}}.parquet", *which),
                "explanations": self.cells(f"{cell}/explanations/{{method}}/{{shard}}.zarr", *which),
                "insertion_deletion": scored,
            }
        if kind == "randomisation":
            return {"tables": self.cells("results/{dataset}/{model}/randomisation/{method}/{shard}.parquet", *which)}
        if kind == "profile":
            profiles = [metric for metric in part.metrics.values() if metric.registered == "frame_profile"]
            return {"tables": self.clip_tables(profiles[0], part)}
        metrics = list(part.metrics.values())
        inputs = {"summaries": [f"results/summary/{part.name}/{metric.name}.parquet" for metric in metrics]}
        if kind == "sweep":
            inputs["supervoxels"] = [path for path in self.stores(part, metrics) if "/supervoxels/" in path]
        return inputs
