"""The numbers that the paper prints (Hartley et al., WACV 2022, Tables 1 to 4), to stand beside those of a run."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from functools import cache
from importlib.resources import files
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from swagv.catalogue import DATASETS, METHODS, METRICS

if TYPE_CHECKING:
    import pandas as pd  # half a second that reading a configuration does without

CITATION = "Hartley et al., WACV 2022"
# Cards of the paper's own networks; the others of `_NETWORKS` are another version, width or training of them.
PAPER_CARDS = ("c3d", "r2plus1d_18_vmz")
_NETWORKS = {
    "c3d": "C3D",
    "c3d_sports1m": "C3D",
    "c3d_demo": "C3D",
    "r2plus1d_18": "R(2+1)D",
    "r2plus1d_18_vmz": "R(2+1)D",
    "r2plus1d_demo": "R(2+1)D",
}
_CELL = ["method", "attribution", "network", "metric"]


@cache
def _rows() -> tuple[dict[str, str], ...]:
    with files("swagv").joinpath("paper.csv").open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


def paper_cells() -> pd.DataFrame:
    """Columns table, method, attribution, network, metric, value, data, n; a dash of the paper is no row.

    `method` is a registered name; `attribution` what Table 1 put in the place of guided backprop, else empty. The
    paper's localisation errors rest on the alpha that is best on the evaluated clips, so they bear the names of the
    oracle columns. The joint score, which it does not print, is deletion + 1 - insertion. `data` is empty and `n`
    missing where they are not known.
    """
    import pandas as pd

    cells = pd.DataFrame(_rows())
    cells = cells.assign(
        table=cells.table.astype(int), value=cells.value.astype(float), n=pd.to_numeric(cells.n).astype("Int64")
    )
    deletion, insertion = (cells[cells.metric == metric] for metric in ("deletion_auc", "insertion_auc"))
    both = deletion.merge(
        insertion[["table", "method", "attribution", "network", "value"]],
        on=["table", "method", "attribution", "network"],
        suffixes=("", "_insertion"),
    )
    joint = both.assign(metric="joint", value=(both.value + 1 - both.value_insertion).round(3))
    joined = pd.concat([cells, joint[cells.columns]])
    return joined.sort_values("table", kind="stable", ignore_index=True)


def beside(
    summary: pd.DataFrame,
    methods: Mapping[str, tuple[str, str] | None],
    networks: Mapping[str, str],
    table: int | None = None,
) -> pd.DataFrame:
    """A summary with the columns paper_mean, paper_network, paper_data and paper_n, missing where there is no number.

    Parameters
    ----------
    summary
        Rows with model, method and metric, as `swagv.summary` makes them.
    methods
        Method of the run -> what `paper_method` says.
    networks
        Model of the run -> what `paper_network` says.
    table
        Only the numbers of this table. Tables 1 and 2 both have SWAG-V I on R(2+1)D with guided backprop and print
        .371 and .372; without `table` the latter counts.
    """
    import pandas as pd

    cells = paper_cells()
    if table is not None:
        cells = cells[cells.table == table]
    cells = cells.replace({"attribution": {"guided_backprop": ""}}).drop_duplicates(_CELL, keep="last")
    named = [methods.get(name) or ("", "") for name in summary.method]
    keys = pd.DataFrame(
        {
            "method": [method for method, _ in named],
            "attribution": [attribution for _, attribution in named],
            "network": [networks.get(name, "") for name in summary.model],
            "metric": summary.metric.to_numpy(),
        }
    )
    found = keys.merge(cells, how="left", on=_CELL, validate="many_to_one").set_axis(summary.index)
    return summary.assign(
        paper_mean=found.value,
        paper_network=found.network.where(found.value.notna()),
        paper_data=found.data,
        paper_n=found.n,
    )


def paper_method(spec: Mapping[str, Any]) -> tuple[str, str] | None:
    """Registered name and attribution under which the paper has a method; None where its settings are others.

    Parameters
    ----------
    spec
        Resolved: ``object``, the path of its class, and ``settings``, all of its fields.

    Returns
    -------
    tuple or None
        The attribution is empty unless it is one that Table 1 put in the place of guided backprop.
    """
    return next((name for name, preset in _presets().items() if preset == spec), None)


@cache
def _presets() -> dict[tuple[str, str], dict[str, Any]]:
    """The resolved specs of the paper's methods; sorted, so that one without an attribution comes first."""
    return {
        (method, attribution): _resolved(METHODS.load(method)(**({"attribution": attribution} if attribution else {})))
        for method, attribution in sorted({(row["method"], row["attribution"]) for row in _rows()})
    }


def _resolved(explainer: Any) -> dict[str, Any]:
    cls = type(explainer)
    return {"object": f"{cls.__module__}:{cls.__qualname__}", "settings": json.loads(json.dumps(asdict(explainer)))}


def paper_network(card_name: str) -> str:
    """``"C3D"`` or ``"R(2+1)D"`` for the registered name of a model card of that kind, else empty.

    Of the cards only `PAPER_CARDS` are the networks that the paper explained.
    """
    return _NETWORKS.get(card_name, "")


def paper_data(spec: Mapping[str, Any]) -> str:
    """The name in `paper_cells` of the data that a dataset is, else empty.

    Parameters
    ----------
    spec
        Resolved: ``dataset`` with ``object``, the path of its class, and ``settings``, all of its fields; ``clips``.
    """
    settings, clips = spec["dataset"]["settings"], spec["clips"]
    path = spec["dataset"]["object"]
    if (clips["clip_len"], clips["frame_step"]) != (16, 1):
        return ""
    if path == DATASETS.path("kinetics"):
        return "Kinetics-400 validation" if settings["split"] == "val" and clips["select"] == "centre" else ""
    if path != DATASETS.path("ucf101_24"):
        return ""
    every = (clips["select"], clips["clip_step"]) == ("every", 8) and settings["videos_per_class"] == 0
    is_test = PurePath(settings["split"]).name == "testlist01.txt" and settings["one_tube"]
    return "UCF101-24 test" if is_test and every else ""


def is_papers(model: Mapping[str, Any]) -> bool:
    """Whether a resolved model is one of the networks that the paper explained, and explains what it explained.

    Parameters
    ----------
    model
        ``card``, its registered name; ``settings``, what a configuration gave in the place of the card's; ``target``.
    """
    return model["card"] in PAPER_CARDS and not model["settings"] and model["target"] == "top1"


def other_settings(metric: Mapping[str, Any]) -> list[str]:
    """The settings of a metric that are not the paper's, as ``"steps = 4"``.

    Parameters
    ----------
    metric
        ``registered``, its name, and ``settings``, all of its fields.
    """
    if metric["registered"] not in METRICS:
        return []
    return [
        f"{field.name} = {metric['settings'][field.name]}"
        for field in fields(METRICS.load(metric["registered"]))
        if metric["settings"].get(field.name, field.default) != field.default
    ]
