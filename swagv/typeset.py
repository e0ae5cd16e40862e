"""Tables as a paper prints them: one structure of numbers and flags, written as CSV, Markdown, LaTeX and HTML."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from swagv.headings import heading
from swagv.paper import CITATION
from swagv.publish import publish
from swagv.summary import NOT_APPLICABLE

CONTROLS = ("centre", "random", "full_frame")
_AUC = ("deletion_auc", "insertion_auc", "joint")
_ERRORS = tuple(f"loc_error_{rule}{oracle}" for oracle in ("", "_oracle") for rule in ("value", "mean", "energy"))
# Title and metrics of the paper's tables, for `build_table`.
TABLES = {
    "table1": ("Insertion and deletion, other attributions averaged over the same supervoxels", _AUC),
    "table2": ("Insertion and deletion", _AUC),
    "table3": ("Weakly supervised localisation", _ERRORS),
    "table4": ("Time of one explanation", ("seconds", "seconds_best_batch")),
}
_DASH = "–"
_FEW = 20  # videos, below which a bootstrap interval covers clearly less than it says


@dataclass(frozen=True)
class Column:
    """A metric of a network; `heading` ends in the arrow of its direction, where one is known."""

    model: str
    metric: str
    heading: str
    higher_is_better: bool


@dataclass(frozen=True)
class Cell:
    """What one method scores; NaN for a number that does not exist.

    Parameters
    ----------
    mean, ci_low, ci_high, n, n_failed
        As in a summary; `mean` is NaN where `n` is 0.
    best
        Whether no method of the dataset has a better mean in this column; false for all where all are equal.
    tied
        Not best, but no difference to a best one was found on the same clips.
    paper
        The number that the paper prints.
    alpha
        The threshold of a localisation error, where all clips have one.
    """

    mean: float
    ci_low: float
    ci_high: float
    n: int
    n_failed: int
    best: bool
    tied: bool
    paper: float
    alpha: float = math.nan


@dataclass(frozen=True)
class Row:
    """A method on a dataset, one cell a column; None where it does not suit the network or nothing is known."""

    dataset: str
    method: str
    control: bool
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True)
class Table:
    """Numbers, flags and words; columns are sorted by network, rows by dataset, controls first."""

    title: str
    caption: str
    notes: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


def build_table(
    summary: pd.DataFrame,
    title: str,
    metrics: Collection[str],
    *,
    comparisons: pd.DataFrame | None = None,
    differences: Mapping[str, Collection[str]] | None = None,
) -> Table:
    """The wide table of a long summary: a row a method, for each network its metrics.

    Parameters
    ----------
    summary
        As `swagv.summary` makes it, of one kind of metric, with or without the columns of `swagv.paper.beside`. Rows
        of other metrics are left out; datasets, models and methods keep their order, but for the controls.
    title, metrics
        `TABLES` has those of the paper. Metrics without a row in the summary get no column.
    comparisons
        Paired differences, each pair of methods once: dataset, model, metric, method_a, method_b, ci_low, ci_high, and
        others. A pair that is not there is no tie.
    differences
        In what this run is not the paper's, where the paper's numbers stand beside it: what (``"other networks"``) ->
        which (names of models), empty for none.

    Raises
    ------
    ValueError
        If the summary says nothing of these metrics.
    """
    unscored = [NOT_APPLICABLE, "none"]
    summary = summary[summary.metric.isin([*metrics, *unscored])]
    if summary.empty:
        raise ValueError(f"no row of the summary is of {', '.join(metrics)}; take these metrics out or run them")
    present = [metric for metric in metrics if metric in set(summary.metric)] or list(metrics)
    # Nothing is better where no clip of any method was scored.
    known = summary.dropna(subset="higher_is_better").groupby("metric").higher_is_better.first().to_dict()
    columns = tuple(
        Column(model, metric, heading(metric, known.get(metric)), bool(known.get(metric)))
        for model in summary.model.unique()
        for metric in present
    )
    found = {(row["dataset"], row["model"], row["method"], row["metric"]): row for row in summary.to_dict("records")}
    intervals = _intervals(comparisons)
    methods = sorted(summary.method.unique(), key=lambda name: name not in CONTROLS)
    rows = []
    for dataset in summary.dataset.unique():
        here = set(summary.method[summary.dataset == dataset])
        marks = {}
        for column in columns:
            scored = {name: found.get((dataset, column.model, name, column.metric)) for name in here}
            means = {name: row["mean"] for name, row in scored.items() if row and not pd.isna(row["mean"])}
            if column.metric.startswith("seconds"):  # a control takes no time because it does nothing
                means = {name: mean for name, mean in means.items() if name not in CONTROLS}
            pairs = intervals.get((dataset, column.model, column.metric), {})
            marks[column] = _best_and_tied(means, column.higher_is_better, pairs)
        for name in [name for name in methods if name in here]:
            cells = []
            for column in columns:
                key = (dataset, column.model, name)
                row = found.get((*key, column.metric), found.get((*key, "none")))
                best, tied = marks[column]
                cells.append(_cell(row, name in best, name in tied) if row else None)
            rows.append(Row(dataset, name, name in CONTROLS, tuple(cells)))
    caption = _caption(rows, columns, comparisons)
    notes = _paper_notes(summary[~summary.metric.isin(unscored)], differences or {})
    return Table(title, caption, notes, columns, tuple(rows))


def _intervals(comparisons: pd.DataFrame | None) -> dict[tuple, dict[frozenset, tuple[float, float]]]:
    """(dataset, model, metric) -> two methods -> interval of their difference."""
    found: dict[tuple, dict[frozenset, tuple[float, float]]] = {}
    for row in [] if comparisons is None else comparisons.to_dict("records"):
        pairs = found.setdefault((row["dataset"], row["model"], row["metric"]), {})
        pairs[frozenset((row["method_a"], row["method_b"]))] = row["ci_low"], row["ci_high"]
    return found


def _best_and_tied(
    means: Mapping[str, float], higher: bool, pairs: Mapping[frozenset, tuple[float, float]]
) -> tuple[set[str], set[str]]:
    """The methods of the best mean, and those whose difference to one of them may be 0; none where all are equal."""
    if len(set(means.values())) < 2:
        return set(), set()
    top = (max if higher else min)(means.values())
    best = {name for name, mean in means.items() if mean == top}

    def may_be_equal(name: str, other: str) -> bool:
        low, high = pairs.get(frozenset((name, other)), (1.0, 1.0))
        return not (low > 0 or high < 0)  # true of NaN: an interval that says nothing sets nobody apart

    return best, {name for name in means.keys() - best if any(may_be_equal(name, other) for other in best)}


def _cell(row: Mapping[str, Any], best: bool, tied: bool) -> Cell:
    mean, low, high = (_number(row.get(key)) for key in ("mean", "ci_low", "ci_high"))
    paper, alpha = _number(row.get("paper_mean")), _number(row.get("alpha"))
    return Cell(mean, low, high, int(row["n"]), int(row["n_failed"]), best, tied, paper, alpha)


def _number(value: Any) -> float:
    return math.nan if value is None or pd.isna(value) else float(value)


def _caption(rows: list[Row], columns: Collection[Column], comparisons: pd.DataFrame | None) -> str:
    cells = [(row.dataset, cell) for row in rows for cell in row.cells]
    bare = all(cell is None or math.isnan(cell.ci_low) for _, cell in cells)
    clips: dict[str, int] = {}
    for dataset, cell in cells:
        if cell:
            clips[dataset] = max(clips.get(dataset, 0), cell.n + cell.n_failed)
    said = [
        "Mean over clips." if bare else "Mean over clips; in brackets its 95 % bootstrap interval over videos.",
        "Of an error or pointing score that is all or nothing for every clip alike, the interval is that of Clopper "
        "and Pearson."
        if not bare and any(column.metric.startswith("loc_error") or column.metric == "pointing" for column in columns)
        else "",
        "The threshold is chosen on other videos; for the oracle columns on these very clips, which flatters."
        if any(column.metric.endswith("_oracle") for column in columns)
        else "",
        "Bold: the best of its column and data.",
        "" if comparisons is None else _tie_caption(comparisons),
        f"n = {', '.join(f'{n:,} clips of {dataset}' for dataset, n in clips.items())}." if clips else "",
        "Where clips failed, a cell gives its own n." if any(cell and cell.n_failed for _, cell in cells) else "",
        "A dash: not applicable or not known." if any(cell is None for _, cell in cells) else "",
    ]
    return " ".join(filter(None, said))


def _tie_caption(comparisons: pd.DataFrame) -> str:
    said = "Underlined: not told apart from the best, the 95 % interval of the paired difference includes 0"
    said += ", uncorrected for the number of methods."
    if len(comparisons) and comparisons.n_videos.max() == 1:
        return f"{said} One video gives no interval, so that nothing is told apart."
    if len(comparisons) and comparisons.n_videos.min() < _FEW:
        said += f" Intervals over {comparisons.n_videos.min()} videos are too narrow, and tell too much apart."
    return said


def _paper_notes(summary: pd.DataFrame, differences: Mapping[str, Collection[str]]) -> tuple[str, ...]:
    """Where the paper's numbers are from, and in what this run differs; nothing where there are none."""
    if "paper_mean" not in summary or summary.paper_mean.isna().all():
        return ()
    quoted = summary[summary.paper_mean.notna()]
    known = quoted[quoted.paper_data.fillna("") != ""]
    networks = " and ".join(sorted(quoted.paper_network.unique()))
    sources = dict.fromkeys(zip(known.paper_data, known.paper_n, strict=True))
    theirs = "; ".join(f"{name}, n = {int(n):,} clips" for name, n in sources)
    notes = [f"Marked as the paper's: the numbers of {CITATION}, with {networks}{' on ' if theirs else ''}{theirs}."]
    if "joint" in set(quoted.metric):
        notes.append("Their deletion + (1 − insertion), which they do not tabulate, is computed from their two means.")
    if quoted.metric.str.endswith("_oracle").any():
        notes.append("Their localisation errors are oracle ones: the threshold is the best on the evaluated clips.")
    shown = {*quoted.model, *quoted.dataset}
    # Of networks and data, those that a number of the paper stands beside.
    differs = {
        what: [name for name in which if name in shown or what.startswith("other settings")]
        for what, which in differences.items()
    }
    said = [f"{what} ({', '.join(which)})" for what, which in differs.items() if which]
    said += ["another machine"] if "seconds" in set(quoted.metric) else []
    if said:
        notes.append(f"Not like for like with them: this run has {', '.join(said)}.")
    return tuple(notes)


def format_value(metric: str, value: float) -> str:
    """A number of this run: percent with one decimal, seconds with three digits, all others with three decimals."""
    if math.isnan(value):
        return _DASH
    if metric.startswith("seconds"):
        rounded = float(f"{value:.3g}")
        return f"{rounded:.{max(0, 2 - math.floor(math.log10(rounded))) if rounded else 2}f}"
    digits = 1 if metric.startswith("loc_error") else 3
    return f"{round(value, digits) + 0.0:.{digits}f}"  # no minus before a zero


def format_interval(metric: str, cell: Cell) -> str:
    """``"[low, high]"``, empty where there is none."""
    if math.isnan(cell.ci_low):
        return ""
    return f"[{format_value(metric, cell.ci_low)}, {format_value(metric, cell.ci_high)}]"


def format_paper(metric: str, value: float) -> str:
    """A number of the paper with the decimals that it prints, empty where there is none."""
    if math.isnan(value):
        return ""
    return f"{value:.2f}" if metric.startswith(("seconds", "loc_error")) else f"{value:.3f}"


def format_n(cell: Cell) -> str:
    """``"n = 5"`` where clips failed, else empty."""
    return f"n = {cell.n:,}" if cell.n_failed else ""


def to_csv(*tables: Table) -> str:
    """One line a row, all digits; of each column mean, ci_low, ci_high, n and the paper's number."""
    rows = []
    for columns, row in ((table.columns, row) for table in tables for row in table.rows):
        rows.append({"dataset": row.dataset, "method": row.method})
        for column, cell in zip(columns, row.cells, strict=True):
            for field in ("mean", "ci_low", "ci_high", "n", "paper"):
                rows[-1][f"{column.model}/{column.metric}/{field}"] = getattr(cell, field, None)
    frame = pd.DataFrame(rows)
    counts = [name for name in frame if name.endswith("/n")]
    return frame.astype(dict.fromkeys(counts, "Int64")).to_csv(index=False, lineterminator="\n")


def to_markdown(table: Table) -> str:
    """A pipe table; the title above it, caption and notes below."""
    heads = ["method", *(f"{_markdown(column.model)}: {_markdown(column.heading)}" for column in table.columns)]
    lines = [heads, ["---", *["---:"] * len(table.columns)]]
    blocks = _blocks(table)
    for dataset, rows in blocks:
        if len(blocks) > 1:
            lines.append([f"**{_markdown(dataset)}**", *[""] * len(table.columns)])
        for row in rows:
            cells = [_markdown_cell(*pair) for pair in zip(table.columns, row.cells, strict=True)]
            lines.append([_markdown(row.method), *cells])
    below = [_markdown(text) for text in (table.caption, *table.notes)]
    grid = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return "\n\n".join([f"**{_markdown(table.title)}**", grid, *below]) + "\n"


def _blocks(table: Table) -> list[tuple[str, list[Row]]]:
    return [(dataset, list(rows)) for dataset, rows in groupby(table.rows, key=lambda row: row.dataset)]


def _markdown(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>#|~&$])", r"\\\1", " ".join(text.split()))


def _markdown_cell(column: Column, cell: Cell | None) -> str:
    if cell is None:
        return _DASH
    value = format_value(column.metric, cell.mean)
    value = f"**{value}**" if cell.best else f"<ins>{value}</ins>" if cell.tied else value
    paper = format_paper(column.metric, cell.paper)
    parts = [value, format_interval(column.metric, cell), format_n(cell), paper and f"*(paper: {paper})*"]
    return " ".join(filter(None, parts))


def to_latex(table: Table, label: str) -> str:
    r"""A ``table*`` for ``\ref{tab:label}`` that needs the packages booktabs and graphicx, which shrinks one too wide.

    A method takes a line for its means, and one each for what else there is: intervals, counts, the paper's numbers.
    """
    width = len(table.columns) + 1
    models = [(model, len(list(group))) for model, group in groupby(table.columns, key=lambda column: column.model)]
    ends = np.cumsum([1] + [count for _, count in models])
    spans = [rf"\multicolumn{{{count}}}{{c}}{{{_latex(model)}}}" for model, count in models]
    rules = [rf"\cmidrule(lr){{{end - count + 1}-{end}}}" for (_, count), end in zip(models, ends[1:], strict=True)]
    lines = [
        r"% needs \usepackage{booktabs,graphicx}",
        r"\begin{table*}",
        r"\centering",
        rf"\caption{{{_latex(' '.join([f'{table.title}.', table.caption, *table.notes]))}}}",
        rf"\label{{tab:{label}}}",
        r"\smallskip",
        r"\footnotesize",
        r"\setlength{\tabcolsep}{3pt}",
        r"\resizebox{\ifdim\width>\textwidth\textwidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}",
        r"\toprule",
        _latex_line(["", *spans]),
        " ".join(rules),
        _latex_line(["method", *(_latex_heading(column.heading) for column in table.columns)]),
    ]
    blocks = _blocks(table)
    for dataset, rows in blocks:
        lines.append(r"\midrule")
        if len(blocks) > 1:
            lines += [_latex_line([rf"\multicolumn{{{width}}}{{l}}{{\textit{{{_latex(dataset)}}}}}"]), r"\midrule"]
        for index, row in enumerate(rows):
            if index:
                lines.append(r"\midrule" if rows[index - 1].control and not row.control else r"\addlinespace")
            lines += _latex_row(table.columns, row)
    lines += [r"\bottomrule", r"\end{tabular}}", r"\end{table*}"]
    return "\n".join(lines) + "\n"


def _latex_heading(heading: str) -> str:
    """On several lines, since the numbers below are short; the arrow stays with the last word."""
    words, arrow = (heading[:-2], f"~{_latex(heading[-1])}") if heading[-1] in "↑↓" else (heading, "")
    lines = map(_latex, textwrap.wrap(words, 10, break_long_words=False, break_on_hyphens=False))
    return r"\shortstack[r]{" + r" \\ ".join(lines) + arrow + "}"


def _latex_row(columns: tuple[Column, ...], row: Row) -> list[str]:
    lines: dict[str, list[str]] = {"mean": [], "interval": [], "n": [], "paper": []}
    for column, cell in zip(columns, row.cells, strict=True):
        if cell is None:
            for name, line in lines.items():
                line.append(_latex(_DASH) if name == "mean" else "")
            continue
        value = _latex(format_value(column.metric, cell.mean))
        mark = r"\textbf" if cell.best else r"\underline" if cell.tied else ""
        lines["mean"].append(f"{mark}{{{value}}}" if mark else value)
        for name, text in (("interval", format_interval(column.metric, cell)), ("n", format_n(cell))):
            lines[name].append(text and rf"{{\scriptsize {_latex(text)}}}")
        paper = format_paper(column.metric, cell.paper)
        lines["paper"].append(paper and rf"\textit{{({paper})}}")
    first = {"mean": _latex(row.method), "interval": "", "n": "", "paper": r"\quad\textit{paper}"}
    return [_latex_line([first[name], *line]) for name, line in lines.items() if any(line)]


def _latex_line(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"


_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        # After the end of a line these two would be its options.
        "[": "{[}",
        "*": "{*}",
        "↓": r"$\downarrow$",
        "↑": r"$\uparrow$",
        "−": "$-$",
        "–": "--",
    }
    | {character: f"\\{character}" for character in "_%&#{}$"}
)


def _latex(text: str) -> str:
    return " ".join(text.split()).translate(_LATEX)


def to_html(table: Table, label: str) -> str:
    """A ``section`` with the id ``table-{label}``; the report's style and script know its classes and attributes."""
    models = [(model, len(list(group))) for model, group in groupby(table.columns, key=lambda column: column.model)]
    blocks = _blocks(table)
    heads = [
        f'<th scope="col" class="number"><button data-column="{index}" data-first="{first}">'
        f"{escape(column.heading)}</button></th>"
        for index, column in enumerate(table.columns)
        for first in ["descending" if column.higher_is_better else "ascending"]
    ]
    lines = [
        f'<section id="table-{escape(label)}"><h3>{escape(label)}: {escape(table.title)}</h3>',
        '<div class="scroll"><table class="sortable"><thead>',
        '<tr><th rowspan="2" scope="col"><button data-column="method" data-first="ascending">method</button></th>',
        *(f'<th colspan="{count}" scope="colgroup">{escape(model)}</th>' for model, count in models),
        f"</tr><tr>{''.join(heads)}</tr></thead>",
    ]
    for dataset, rows in blocks:
        lines.append("<tbody>")
        if len(blocks) > 1:
            lines.append(f'<tr class="block"><th colspan="{len(table.columns) + 1}">{escape(dataset)}</th></tr>')
        for row in rows:
            kind, name = ("control" if row.control else "", escape(row.method))
            cells = [_html_cell(index, *pair) for index, pair in enumerate(zip(table.columns, row.cells, strict=True))]
            shown = name.replace("_", "_<wbr/>")  # where a phone may break it
            first = f'<th scope="row" data-column="method" data-value="{name}">{shown}</th>'
            lines.append(f'<tr class="{kind}">{first}{"".join(cells)}</tr>')
        lines.append("</tbody>")
    lines.append("</table></div>")
    lines += [f'<p class="soft">{escape(text)}</p>' for text in (table.caption, *table.notes)]
    return "\n".join([*lines, "</section>"]) + "\n"


def _html_cell(index: int, column: Column, cell: Cell | None) -> str:
    if cell is None:
        return f'<td class="number" data-column="{index}" data-value="">{_DASH}</td>'
    mark = " best" if cell.best else " tied" if cell.tied else ""
    value = "" if math.isnan(cell.mean) else f"{cell.mean!r}"
    paper = format_paper(column.metric, cell.paper)
    more = [
        format_interval(column.metric, cell),
        "" if math.isnan(cell.alpha) else f"α = {cell.alpha:g}",
        format_n(cell),
        paper and f"paper: {paper}",
    ]
    small = "".join(f"<small>{escape(text)}</small>" for text in more if text)
    shown = f"<span>{format_value(column.metric, cell.mean)}</span>"
    return f'<td class="number{mark}" data-column="{index}" data-value="{value}">{shown}{small}</td>'


def typeset(tables: Sequence[Table], folder: Path | str, name: str) -> None:
    """Write ``{name}.csv``, ``{name}.md``, ``{name}.tex`` and ``{name}.html``, each whole or not at all.

    The labels are ``tab:{name}`` in LaTeX and ``table-{name}`` in HTML; ``{name}-2`` and so on for further tables.
    """
    labels = [name, *(f"{name}-{number}" for number in range(2, len(tables) + 1))]
    texts = {
        "csv": to_csv(*tables),
        "md": "\n".join(map(to_markdown, tables)),
        "tex": "\n".join(map(to_latex, tables, labels)),
        "html": "\n".join(map(to_html, tables, labels)),
    }
    for suffix, text in texts.items():
        with publish(Path(folder) / f"{name}.{suffix}") as partial:
            partial.write_text(text, encoding="utf-8", newline="\n")
