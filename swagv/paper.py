"""The numbers that Hartley et al. (WACV 2022) published, to stand beside ours."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import pandas as pd

from swagv.config import canonical, method_of

# Cards of the networks that the paper evaluated, and of the narrow ones that the demo has in their place.
_NETWORKS = {
    "C3D": ("c3d", "c3d_sports1m", "c3d_demo"),
    "R(2+1)D": ("r2plus1d_18", "r2plus1d_18_vmz", "r2plus1d_demo"),
}
COLUMNS = ["paper", "paper_network", "paper_data", "paper_n"]


@cache
def paper_cells() -> pd.DataFrame:
    """Every number of Tables 1 to 4: table, network, method, attribution, metric, value, data, n.

    `method` and `attribution` are swagv's names, `attribution` only in Table 1. The errors of Table 3 took the best
    alpha on the evaluated clips, so they stand under swagv's ``_oracle`` scores. `joint` is made of the other two.
    """
    with files("swagv").joinpath("paper.csv").open(encoding="utf-8") as file:
        cells = pd.read_csv(file, keep_default_na=False, dtype={"value": float})
    cells["n"] = pd.to_numeric(cells.n).astype("Int64")
    key = ["table", "network", "method", "attribution", "data", "n"]
    wide = cells[cells.metric.isin(["deletion_auc", "insertion_auc"])].pivot(
        index=key, columns="metric", values="value"
    )
    joint = (wide.deletion_auc + 1 - wide.insertion_auc).rename("value").reset_index().assign(metric="joint")
    return pd.concat([cells, joint], ignore_index=True)[list(cells.columns)]


def paper_network(card: str) -> str:
    """Which of the paper's networks a model card stands for; empty for none."""
    return next((network for network, cards in _NETWORKS.items() if card in cards), "")


def beside(
    summary: pd.DataFrame, table: str, methods: Mapping[str, Mapping[str, Any]], networks: Mapping[str, str]
) -> pd.DataFrame:
    """The summary with the paper's number in each row whose cell the paper has.

    Parameters
    ----------
    summary
        Rows dataset, model, method, metric, …
    table
        ``table1`` to ``table4``; any other has no such cell.
    methods
        Name -> spec (object path and all settings). A method has the paper's number only with the paper's settings.
    networks
        Model -> name of its card.

    Returns
    -------
    pandas.DataFrame
        With the columns paper (NaN for none), paper_network, paper_data and paper_n.
    """
    cells = paper_cells()
    cells = cells[cells.table == table]
    known = {name: canonical(spec) for name, spec in methods.items()}
    rows = []
    for (method, attribution), found in cells.groupby(["method", "attribution"], sort=False):
        spec = canonical(method_of(method, {"attribution": attribution} if attribution else {}).spec)
        names = [name for name, own in known.items() if own == spec]
        models = [(model, paper_network(card)) for model, card in networks.items()]
        for name in names:
            for model, network in models:
                rows.append(found[found.network == network].assign(method=name, model=model))
    columns = {"value": "paper", "network": "paper_network", "data": "paper_data", "n": "paper_n"}
    if not rows:
        return summary.assign(paper=float("nan"), paper_network="", paper_data="", paper_n=pd.NA)
    theirs = pd.concat(rows).rename(columns=columns)[["model", "method", "metric", *COLUMNS]]
    joined = summary.merge(theirs, "left", ["model", "method", "metric"])
    return joined.fillna({"paper_network": "", "paper_data": ""})
