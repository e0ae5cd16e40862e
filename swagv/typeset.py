"""Tables as they go into a paper: one structure, and CSV, Markdown and LaTeX of it."""

from __future__ import annotations

import csv
import io
import itertools
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import pandas as pd

from swagv.summary import NOT_APPLICABLE, higher_is_better

HEADINGS = {
    "deletion_auc": "deletion AUC",
    "insertion_auc": "insertion AUC",
    "joint": "deletion + (1 − insertion)",
    "loc_error_value": "error %, value",
    "loc_error_mean": "error %, mean",
    "loc_error_energy": "error %, energy",
    "loc_error_value_oracle": "value, oracle",
    "loc_error_mean_oracle": "mean, oracle",
    "loc_error_energy_oracle": "energy, oracle",
    "seconds": "seconds, one clip",
    "seconds_best_batch": "seconds a clip, best batch",
}
PAPER = "Hartley et al., WACV 2022"
_ESCAPES = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "↓": r"$\downarrow$", "↑": r"$\uparrow$", "−": "$-$",
}  # fmt: skip


@dataclass(frozen=True)
class Column:
    """One score of one network."""

    model: str
    metric: str

    @property
    def heading(self) -> str:
        """Name of the score, with an arrow in the better direction."""
        name = HEADINGS.get(self.metric, self.metric.replace("_", " "))
        return f"{name} {'↑' if higher_is_better(self.metric) else '↓'}"


@dataclass(frozen=True)
class Cell:
    """A mean with its 95 % interval, NaN where there is none; `paper` is the paper's own number, or NaN.

    `best` is the best mean of its dataset and column, `tied` one whose paired difference to the best may be zero.
    """

    mean: float
    ci_low: float
    ci_high: float
    n: int
    best: bool
    tied: bool
    paper: float
    alpha: float
    alpha_clips: float


@dataclass(frozen=True)
class Row:
    """A method on a dataset; a cell is None where method and network do not go together, or no clip was scored."""

    dataset: str
    method: str
    control: bool
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True)
class Table:
    """Columns, rows, and notes on whose numbers stand beside ours."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]


def build_table(
    summary: pd.DataFrame,
    title: str,
    comparisons: pd.DataFrame | None = None,
    controls: Collection[str] = (),
) -> Table:
    """The table of a summary, a row a dataset and method, in the order of the summary.

    Parameters
    ----------
    summary
        Of `swagv.paper.beside`.
    comparisons
        Of `swagv.comparisons.compare`; without it no cell is `tied`. A pair without an interval is: nothing is known.
    controls
        Methods that know nothing of the network.
    """
    scored = summary[summary["mean"].notna()]
    known = [name for name in HEADINGS if name in set(scored.metric)]
    metrics = [*known, *(name for name in dict.fromkeys(scored.metric) if name not in HEADINGS)]
    columns = tuple(
        Column(model, metric)
        for model in dict.fromkeys(summary.model)
        for metric in metrics
        if ((scored.model == model) & (scored.metric == metric)).any()
    )
    found = {(row["dataset"], row["method"], row["model"], row["metric"]): row for row in scored.to_dict("records")}
    best = _best(scored)
    near = set() if comparisons is None else _undecided(comparisons)
    rows = []
    for dataset, method in dict.fromkeys(zip(summary.dataset, summary.method, strict=True)):
        cells = []
        for column in columns:
            row = found.get((dataset, method, column.model, column.metric))
            leaders = best.get((dataset, column.model, column.metric), ())
            pairs = {(dataset, column.model, column.metric, frozenset((method, leader))) for leader in leaders}
            cells.append(row and _cell(row, method in leaders, method not in leaders and bool(pairs & near)))
        rows.append(Row(dataset, method, method in controls, tuple(cells)))
    return Table(title, columns, tuple(rows), tuple(_notes(summary)))


def format_value(metric: str, value: float) -> str:
    """A number with the digits that its score deserves; a dash for NaN."""
    if math.isnan(value):
        return "–"
    if metric.startswith("loc_error"):
        return f"{value:.1f}"
    if metric.startswith("seconds"):
        return f"{value:#.3g}".rstrip(".")
    return f"{value:.3f}"


def to_csv(table: Table) -> str:
    """A row a method, numbers as they are: ``{model} {score}``, its interval, n, and the paper's number."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    parts = ("", " low", " high", " n", " paper")
    heads = [f"{column.model} {column.metric}{part}" for column in table.columns for part in parts]
    writer.writerow(["dataset", "method", *heads])
    for row in table.rows:
        numbers = [_numbers(cell) for cell in row.cells]
        writer.writerow([row.dataset, row.method, *(value for cell in numbers for value in cell)])
    return out.getvalue()


def to_markdown(table: Table) -> str:
    """A pipe table: the best in bold, ties of it underlined, the paper's number in brackets and italics."""

    def cell_text(metric: str, cell: Cell) -> str:
        text = _marked(metric, cell, "**{}**", "<u>{}</u>") + _interval(metric, cell)
        return text + ("" if math.isnan(cell.paper) else f" *(paper: {format_value(metric, cell.paper)})*")

    lines = [f"**{_plain(table.title)}**", ""]
    for dataset in dict.fromkeys(row.dataset for row in table.rows):
        heads = ["method", *(f"{_plain(column.model)}: {column.heading}" for column in table.columns)]
        lines += [f"{_plain(dataset)}", "", _pipes(heads), _pipes(["---", *["---:"] * len(table.columns)])]
        for row in _rows_of(table, dataset):
            lines.append(_pipes([_plain(row.method), *_texts(table.columns, row, cell_text)]))
        lines.append("")
    return "\n".join([*lines, *(f"{_plain(note)}\n" for note in table.notes)]).rstrip() + "\n"


def to_latex(table: Table) -> str:
    r"""A ``table*`` for booktabs: the best ``\textbf``, ties of it ``\underline``, the paper's number in italics."""

    def mean_text(metric: str, cell: Cell) -> str:
        text = _marked(metric, cell, r"\textbf{{{}}}", r"\underline{{{}}}")
        return text + ("" if math.isnan(cell.paper) else rf" \textit{{({format_value(metric, cell.paper)})}}")

    heads, rules, start = [""], [], 2
    for model, columns in itertools.groupby(table.columns, lambda column: column.model):
        width = len(list(columns))
        heads.append(rf"\multicolumn{{{width}}}{{c}}{{{_latex(model)}}}")
        rules.append(rf"\cmidrule(lr){{{start}-{start + width - 1}}}")
        start += width
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table*}",
        r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",
        rf"\caption{{{_latex(' '.join([table.title + '.', *table.notes]))}}}",
        rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}",
        r"\toprule",
        _ampersands(heads),
        " ".join(rules),
        _ampersands(["method", *(_latex(column.heading) for column in table.columns)]),
    ]
    for dataset in dict.fromkeys(row.dataset for row in table.rows):
        lines += [r"\midrule", rf"\multicolumn{{{len(table.columns) + 1}}}{{l}}{{\textit{{{_latex(dataset)}}}}} \\"]
        for after, row in itertools.pairwise([None, *_rows_of(table, dataset)]):
            lines += [r"\midrule"] if after is not None and after.control != row.control else []
            lines.append(_ampersands([_latex(row.method), *_texts(table.columns, row, mean_text, "--")]))
            intervals = _texts(table.columns, row, lambda metric, cell: _interval(metric, cell).strip(), "")
            if any(intervals):
                lines.append(_ampersands(["", *(text and rf"{{\scriptsize {text}}}" for text in intervals)]))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table*}", ""])


def _best(scored: pd.DataFrame) -> dict[tuple[str, str, str], tuple[str, ...]]:
    """Methods of the best mean of each dataset, model and score; none where all are equal."""
    found = {}
    for (dataset, model, metric), rows in scored.groupby(["dataset", "model", "metric"]):
        means = rows["mean"]
        top = means.max() if higher_is_better(metric) else means.min()
        leaders = rows.method[means == top]
        found[dataset, model, metric] = () if len(leaders) == len(rows) else tuple(leaders)
    return found


def _undecided(comparisons: pd.DataFrame) -> set[tuple[str, str, str, frozenset[str]]]:
    """Pairs whose difference may be zero."""
    zero = comparisons[~((comparisons.ci_low > 0) | (comparisons.ci_high < 0))]
    return {(row.dataset, row.model, row.metric, frozenset((row.method_a, row.method_b))) for row in zero.itertuples()}


def _cell(row: dict, best: bool, tied: bool) -> Cell:
    paper, alpha, alpha_clips = (
        float(row[key]) if pd.notna(row[key]) else math.nan for key in ("paper", "alpha", "alpha_clips")
    )
    return Cell(row["mean"], row["ci_low"], row["ci_high"], int(row["n"]), best, tied, paper, alpha, alpha_clips)


def _notes(summary: pd.DataFrame) -> list[str]:
    notes = ["Mean and 95 % interval over videos. Best mean in bold; underlined: its paired difference may be zero."]
    if (summary.metric == NOT_APPLICABLE).any():
        notes.append("A dash: method and network do not go together, or the score was not part of the run.")
    shared = summary[summary.paper.notna()]
    for _, rows in shared.groupby(["model", "dataset", "paper_network", "paper_data"], sort=False, dropna=False):
        row = rows.iloc[0]
        data = f" on {row.paper_data}, n = {row.paper_n:,}" if row.paper_data else ", on their machine"
        ours = f"ours are {row.model} on {row.dataset}, n = {rows.n.max():,}"
        theirs = f"In brackets, {PAPER}: {row.paper_network}{data}"
        notes.append(f"{theirs}; {ours}. They are not like for like{_unless(rows)}.")
    return notes


def _unless(rows: pd.DataFrame) -> str:
    return " unless the weights are theirs" if (rows.n == rows.paper_n).all() else ""


def _numbers(cell: Cell | None) -> list[float | int | str]:
    if cell is None:
        return [""] * 5
    values = [cell.mean, cell.ci_low, cell.ci_high, cell.n, cell.paper]
    return ["" if math.isnan(value) else value for value in values]


def _marked(metric: str, cell: Cell, best: str, tied: str) -> str:
    text = format_value(metric, cell.mean)
    return best.format(text) if cell.best else tied.format(text) if cell.tied else text


def _interval(metric: str, cell: Cell) -> str:
    if math.isnan(cell.ci_low):
        return ""
    return f" [{format_value(metric, cell.ci_low)}, {format_value(metric, cell.ci_high)}]"


def _texts(columns: Sequence[Column], row: Row, cell_text: Callable[[str, Cell], str], nothing: str = "–") -> list[str]:
    pairs = zip(columns, row.cells, strict=True)
    return [nothing if cell is None else cell_text(column.metric, cell) for column, cell in pairs]


def _rows_of(table: Table, dataset: str) -> list[Row]:
    return [row for row in table.rows if row.dataset == dataset]


def _ampersands(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _pipes(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    """Text that Markdown, and the HTML that it may become, leave as it is."""
    for sign in "\\`*_[]|":
        text = text.replace(sign, f"\\{sign}")
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("\n", " ")


def _latex(text: str) -> str:
    return "".join(_ESCAPES.get(sign, sign) for sign in text).replace("–", "--")
