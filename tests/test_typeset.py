import io
import math
import re
import shutil
import subprocess
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from swagv.paper import beside
from swagv.typeset import (
    TABLES,
    Cell,
    Column,
    build_table,
    format_interval,
    format_paper,
    format_value,
    to_csv,
    to_html,
    to_latex,
    to_markdown,
    typeset,
)

METHODS = ["grad_cam", "centre", "swagv_i", "full_frame", "saliency_tubes", "ep3d_10"]
HOSTILE = "a_b%c&d#e\\f{g}h$i~j^k|l*m[n]<o>`p"
UNESCAPED = r"(?<!\\)(?:\\\\)*"


def summary(datasets=("demo",), models=("net", "c3d"), metrics=TABLES["table2"][1], methods=METHODS) -> pd.DataFrame:
    """Saliency Tubes do not suit c3d, and one of six clips fails for ep3d_10."""
    rng = np.random.default_rng(7)
    rows = []
    for dataset in datasets:
        for model in models:
            for method in methods:
                failed = int(method == "ep3d_10")
                row = {"dataset": dataset, "model": model, "method": method, "n": 6 - failed, "n_failed": failed}
                if (method, model) == ("saliency_tubes", "c3d"):
                    rows.append(row | {"metric": "not_applicable", "n": 0, "n_failed": 6})
                    continue
                for metric in metrics:
                    mean = rng.random() * (100 if metric.startswith("loc") else 1)
                    row |= {"metric": metric, "mean": mean, "ci_low": 0.9 * mean, "ci_high": 1.1 * mean}
                    rows.append(row | {"higher_is_better": metric.startswith("insertion")})
    return pd.DataFrame(rows)


def with_paper(rows: pd.DataFrame) -> pd.DataFrame:
    names = {"grad_cam": ("grad_cam", ""), "centre": ("centre", ""), "swagv_i": ("swagv_i", ""), "ep3d_10": None}
    return beside(rows, names, {"net": "R(2+1)D", "c3d": "C3D"})


def one_column(means: dict[str, float], metric: str = "joint", dataset: str = "d") -> pd.DataFrame:
    cell = {"dataset": dataset, "model": "m", "metric": metric, "n": 3, "n_failed": 0, "ci_low": 0.0, "ci_high": 1.0}
    cell["higher_is_better"] = metric.startswith("insertion")
    return pd.DataFrame([cell | {"method": name, "mean": mean} for name, mean in means.items()])


def compared(*pairs: tuple[str, str, float, float], metric: str = "joint") -> pd.DataFrame:
    rows = pd.DataFrame(pairs, columns=["method_a", "method_b", "ci_low", "ci_high"])
    same = {"difference": 0.0, "n": 3, "n_videos": 3, "p": 0.5, "p_holm": 1.0, "win_rate": 0.5}
    return rows.assign(dataset="d", model="m", metric=metric, **same)


def marks(means: dict[str, float], metric: str = "joint", comparisons: pd.DataFrame | None = None) -> tuple[set, set]:
    rows = build_table(one_column(means, metric), "", [metric], comparisons=comparisons).rows
    best, tied = ({row.method for row in rows if getattr(row.cells[0], flag)} for flag in ("best", "tied"))
    return best, tied


@pytest.mark.parametrize(("name", "metrics"), [("table1", 3), ("table2", 3), ("table3", 6), ("table4", 2)])
def test_a_column_for_each_network_and_metric_a_row_for_each_method(name, metrics):
    title, wanted = TABLES[name]
    table = build_table(summary(metrics=wanted), title, wanted)
    assert [(column.model, column.metric) for column in table.columns] == [
        (model, metric) for model in ("net", "c3d") for metric in wanted
    ]
    assert len(table.columns) == 2 * metrics
    assert [row.method for row in table.rows] == [
        "centre", "full_frame", "grad_cam", "swagv_i", "saliency_tubes", "ep3d_10"
    ]  # fmt: skip
    assert [row.control for row in table.rows] == [True, True, False, False, False, False]
    assert {len(row.cells) for row in table.rows} == {2 * metrics}
    assert all(column.heading.endswith(" ↑" if column.higher_is_better else " ↓") for column in table.columns)
    assert {column.metric for column in table.columns if column.higher_is_better} <= {"insertion_auc"}


def test_cells_hold_the_numbers_of_the_summary():
    rows = with_paper(summary(("one", "two")))
    table = build_table(rows, "", TABLES["table2"][1])
    cells = {
        (row.dataset, column.model, row.method, column.metric): cell
        for row in table.rows
        for column, cell in zip(table.columns, row.cells, strict=True)
    }
    assert [row.dataset for row in table.rows] == ["one"] * 6 + ["two"] * 6
    seen = 0
    for row in rows[rows.metric != "not_applicable"].to_dict("records"):
        cell = cells[row["dataset"], row["model"], row["method"], row["metric"]]
        assert (cell.mean, cell.ci_low, cell.ci_high) == (row["mean"], row["ci_low"], row["ci_high"])
        assert (cell.n, cell.n_failed) == (row["n"], row["n_failed"])
        np.testing.assert_equal(cell.paper, row["paper_mean"])
        seen += 1
    unfit = [key for key, cell in cells.items() if cell is None]
    assert seen + len(unfit) == len(cells)
    assert {key[1:3] for key in unfit} == {("c3d", "saliency_tubes")}
    assert cells["one", "c3d", "centre", "joint"].paper == 0.889
    assert math.isnan(cells["one", "c3d", "ep3d_10", "joint"].paper)


def test_the_best_is_the_best_of_its_data_network_and_direction():
    rows = summary(("one", "two"))
    table = build_table(rows, "", TABLES["table2"][1])
    scored = rows[rows["mean"].notna()]
    for index, column in enumerate(table.columns):
        for dataset in ("one", "two"):
            here = scored[
                (scored[["dataset", "model", "metric"]] == [dataset, column.model, column.metric]).all(axis=1)
            ]
            order = here.sort_values("mean").method.tolist()
            best = [
                row.method
                for row in table.rows
                if row.dataset == dataset and row.cells[index] and row.cells[index].best
            ]
            assert best == [order[-1] if column.metric == "insertion_auc" else order[0]]


def test_directions():
    assert marks({"a": 2.0, "b": 3.0, "centre": 1.0}, "seconds")[0] == {"a"}  # a control has no mark for doing nothing
    assert marks({"a": 2.0, "b": 3.0, "centre": 1.0}, "my_own")[0] == {"centre"}
    assert marks({"a": 1.0, "b": 2.0}, "insertion_auc")[0] == {"b"}
    assert marks({"a": 1.0, "b": 2.0}, "loc_error_mean_oracle")[0] == {"a"}


def test_equal_means_share_the_mark_unless_all_are_equal():
    assert marks({"a": 0.2, "b": 0.2, "c": 0.3}) == ({"a", "b"}, set())
    assert marks({"a": 0.2, "b": 0.2}, comparisons=compared(("a", "b", -1, 1))) == (set(), set())
    assert marks({"a": 0.2}) == (set(), set())


def test_tied_is_what_the_paired_difference_does_not_set_apart():
    means = {"best": 0.1, "near": 0.2, "far": 0.3, "unsure": 0.4, "unasked": 0.5, "touching": 0.6}
    pairs = compared(
        ("near", "best", -0.01, 0.2),
        ("best", "far", -0.3, -0.1),  # either order of the two
        ("unsure", "best", math.nan, math.nan),
        ("best", "touching", -0.5, 0.0),
        ("far", "unasked", -0.1, 0.1),  # says nothing of the best
    )
    assert marks(means, comparisons=pairs) == ({"best"}, {"near", "unsure", "touching"})
    assert marks(means) == ({"best"}, set())
    assert marks(means, comparisons=pairs.assign(model="other")) == ({"best"}, set())
    two = compared(("a", "c", 0.1, 0.2), ("b", "c", -0.1, 0.2))
    assert marks({"a": 0.1, "b": 0.1, "c": 0.3}, comparisons=two) == ({"a", "b"}, {"c"})


def test_a_cell_in_which_every_clip_failed_says_so():
    failed = one_column({"c": math.nan}, "none").assign(n=0, n_failed=3, ci_low=math.nan, ci_high=math.nan)
    rows = pd.concat([one_column({"a": 0.1, "b": 0.2}), failed])
    table = build_table(rows, "", ["joint"])
    cell = table.rows[2].cells[0]
    assert (cell.n, cell.n_failed, cell.best, cell.tied) == (0, 3, False, False)
    assert "| c | – n = 0 |" in to_markdown(table)
    assert table.rows[0].cells[0].best


def test_metrics_without_a_row_have_no_column_and_a_summary_without_any_is_an_error():
    table = build_table(one_column({"a": 0.1}), "", TABLES["table2"][1])
    assert [column.metric for column in table.columns] == ["joint"]
    with pytest.raises(ValueError, match="no row of the summary is of seconds"):
        build_table(one_column({"a": 0.1}), "", ["seconds"])


@pytest.mark.parametrize(
    ("metric", "value", "expected"),
    [
        ("joint", 0.12345, "0.123"),
        ("deletion_auc", 1, "1.000"),
        ("loc_error_value", 87.96, "88.0"),
        ("loc_error_energy_oracle", 100, "100.0"),
        ("seconds", 0.08, "0.0800"),
        ("seconds", 0.46, "0.460"),
        ("seconds", 0.9996, "1.00"),
        ("seconds", 123.89, "124"),
        ("seconds", 1234.5, "1230"),
        ("seconds", 0.000301, "0.000301"),
        ("seconds", 0, "0.00"),
        ("joint", math.nan, "–"),
    ],
)
def test_digits(metric, value, expected):
    assert format_value(metric, value) == expected


def test_the_papers_digits_are_its_own():
    values = [("deletion_auc", 0.08), ("loc_error_value_oracle", 90.7), ("seconds", 0.4), ("joint", math.nan)]
    assert [format_paper(*pair) for pair in values] == ["0.080", "90.70", "0.40", ""]
    assert format_interval("joint", Cell(0.5, 0.1, 0.9, 1, 0, False, False, math.nan)) == "[0.100, 0.900]"
    assert format_interval("joint", Cell(0.5, math.nan, math.nan, 1, 0, False, False, math.nan)) == ""


def test_caption_explains_what_is_there():
    plain = build_table(one_column({"a": 0.1, "b": 0.2}), "", ["joint"]).caption
    assert "n = 3 clips of d." in plain
    assert "interval over videos" in plain
    assert not re.search("Underlined|failed|dash", plain)
    bare = build_table(one_column({"a": 0.1}).assign(ci_low=math.nan, ci_high=math.nan), "", ["joint"]).caption
    assert "interval" not in bare
    full = build_table(summary(), "", TABLES["table2"][1], comparisons=compared()).caption
    assert all(word in full for word in ("Underlined", "Where clips failed", "A dash", "n = 6 clips of demo"))
    few = build_table(summary(), "", TABLES["table2"][1], comparisons=compared(("a", "b", 0, 1))).caption
    assert "Intervals over 3 videos are too narrow" in few
    one = build_table(summary(), "", TABLES["table2"][1], comparisons=compared(("a", "b", 0, 1)).assign(n_videos=1))
    assert "One video gives no interval" in one.caption
    many = build_table(summary(), "", TABLES["table2"][1], comparisons=compared(("a", "b", 0, 1)).assign(n_videos=20))
    assert "too narrow" not in many.caption


def test_notes_say_whose_numbers_stand_beside_and_what_differs():
    rows, metrics = with_paper(summary()), TABLES["table2"][1]
    other = {
        "other networks": ["net", "x"],
        "other data": ["demo"],
        "other settings": ["steps = 4", "substrate = blur"],
    }
    theirs, joint, unlike = build_table(rows, "", metrics, differences=other).notes
    assert theirs == (
        "Marked as the paper's: the numbers of Hartley et al., WACV 2022, with C3D and R(2+1)D on Kinetics-400 "
        "validation, n = 18,362 clips."
    )
    assert "computed" in joint
    assert unlike == (  # but for a network that no number stands beside
        "Not like for like with them: this run has other networks (net), other data (demo), "
        "other settings (steps = 4, substrate = blur)."
    )
    assert build_table(rows, "", metrics, differences={"other networks": ["x"], "other data": []}).notes == (
        theirs,
        joint,
    )
    assert build_table(summary(), "", metrics, differences=other).notes == ()
    assert build_table(rows[rows.method == "ep3d_10"], "", metrics, differences=other).notes == ()
    times = build_table(with_paper(summary(metrics=["seconds"])), "", ["seconds"]).notes
    assert times[0].endswith("with C3D and R(2+1)D.")
    assert times[1:] == ("Not like for like with them: this run has another machine.",)
    errors = build_table(with_paper(summary(metrics=TABLES["table3"][1])), *TABLES["table3"])
    assert errors.notes[-1].startswith("Their localisation errors are oracle ones")
    assert "on these very clips, which flatters" in errors.caption


def test_csv_read_back_gives_the_same_numbers():
    table = build_table(with_paper(summary(("one", "two"))), "", TABLES["table2"][1])
    frame = pd.read_csv(io.StringIO(to_csv(table)))
    assert frame[["dataset", "method"]].to_numpy().tolist() == [[row.dataset, row.method] for row in table.rows]
    assert len(frame.columns) == 2 + 5 * len(table.columns)
    for index, column in enumerate(table.columns):
        for field in ("mean", "ci_low", "ci_high", "n", "paper"):
            expected = [getattr(row.cells[index], field, math.nan) for row in table.rows]
            np.testing.assert_array_equal(frame[f"{column.model}/{column.metric}/{field}"].astype(float), expected)
    assert ",6.0," not in to_csv(table)


def markdown_rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(UNESCAPED + r"\|", line)[1:-1]] for line in lines]


def test_markdown_has_the_same_columns_everywhere():
    comparisons = compared(("centre", "grad_cam", -1, 1)).assign(dataset="one", model="net")
    table = build_table(with_paper(summary(("one", "two"))), "A title", TABLES["table2"][1], comparisons=comparisons)
    text = to_markdown(table)
    rows = markdown_rows(text)
    assert {len(row) for row in rows} == {7}
    assert [row[0] for row in rows] == [
        "method", "---", "**one**", *(row.method.replace("_", r"\_") for row in table.rows[:6]),
        "**two**", *(row.method.replace("_", r"\_") for row in table.rows[6:]),
    ]  # fmt: skip
    body = [row for row in rows[2:] if not row[0].startswith("**")]
    for row, shown in zip(table.rows, body, strict=True):
        for column, cell, said in zip(table.columns, row.cells, shown[1:], strict=True):
            assert ("**" in said) == bool(cell and cell.best)
            assert ("<ins>" in said) == bool(cell and cell.tied)
            assert ("*(paper: " in said) == bool(cell and not math.isnan(cell.paper))
            assert ("n = 5" in said) == (row.method == "ep3d_10")
            number = re.sub("<ins>|</ins>|[*]", "", said).split()[0]
            assert number == ("–" if cell is None else format_value(column.metric, cell.mean))
    assert text.startswith("**A title**\n\n| method |")
    assert "18,362" in text


def latex_cells(line: str) -> int:
    """Columns that a line of a tabular fills."""
    spans = [int(count) for count in re.findall(r"\\multicolumn\{(\d+)\}", line)]
    return len(re.findall(UNESCAPED + "&", line)) + 1 + sum(spans) - len(spans)


def check_latex(text: str, columns: int) -> list[str]:
    """Braces, environments and columns agree; the lines of the table."""
    depth = 0
    for brace in re.findall(r"\\.|[{}]", text):
        depth += {"{": 1, "}": -1}.get(brace, 0)
        assert depth >= 0
    assert depth == 0
    assert text.count("$") % 2 == text.count(r"\$") % 2
    open_ones: list[str] = []
    for kind, name in re.findall(r"\\(begin|end)\{([a-z*]+)\}", text):
        if kind == "begin":
            open_ones.append(name)
        else:
            assert open_ones.pop() == name
    assert open_ones == []
    inside = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    lines = [line for line in inside.splitlines() if line.endswith(r"\\")]
    assert {latex_cells(line) for line in lines} == {columns + 1}
    (layout,) = re.findall(r"\\begin\{tabular\}\{(l?r*)\}", text)
    assert len(layout) == columns + 1
    return lines


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("datasets", [("demo",), ("one_set", "two")])
def test_latex_holds_together(name, datasets):
    title, metrics = TABLES[name]
    table = build_table(with_paper(summary(datasets, metrics=metrics)), title, metrics)
    text = to_latex(table, name)
    lines = check_latex(text, len(table.columns))
    for row in table.rows:
        assert sum(line.startswith(row.method.replace("_", r"\_") + " &") for line in lines) == len(datasets)
    best = [
        format_value(c.metric, cell.mean)
        for row in table.rows
        for c, cell in zip(table.columns, row.cells, strict=True)
        if cell and cell.best
    ]
    assert sorted(re.findall(r"\\textbf\{([\d.]+)\}", text)) == sorted(best)
    assert (r"\textit{one\_set}" in text) == (len(datasets) > 1)
    assert text.count(r"\midrule") == (2 if len(datasets) == 1 else 6)  # with those around the names of the data
    assert rf"\label{{tab:{name}}}" in text


def test_latex_marks_and_rules():
    rows = one_column({"centre": 0.3, "a_b": 0.1, "c": 0.2})
    rows = rows.assign(paper_mean=[0.889, math.nan, math.nan], paper_network="C3D", paper_data="", paper_n=pd.NA)
    text = to_latex(build_table(rows, "50 % & more", ["joint"], comparisons=compared(("c", "a_b", -1, 1))), "x")
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")].splitlines()
    assert [line for line in body if "scriptsize" not in line] == [
        r"\midrule",
        r"centre & 0.300 \\",
        r"\quad\textit{paper} & \textit{(0.889)} \\",
        r"\midrule",
        r"a\_b & \textbf{0.100} \\",
        r"\addlinespace",
        r"c & \underline{0.200} \\",
    ]
    assert r"~$\downarrow$}" in text
    assert r"\caption{50 \% \& more. Mean" in text


def test_hostile_names_stay_text():
    names = [HOSTILE, "[x", "*y", "line\nbreak"]
    rows = one_column({name: index for index, name in enumerate(names)}, dataset="d_&%")
    table = build_table(rows.assign(model="m|_{"), HOSTILE, ["joint"])
    latex = to_latex(table, "x")
    lines = check_latex(latex, 1)
    assert lines[2].startswith(
        r"a\_b\%c\&d\#e\textbackslash{}f\{g\}h\$i\textasciitilde{}j\textasciicircum{}k\textbar{}l{*}m{[}n]"
        r"\textless{}o\textgreater{}`p & "
    )
    assert not [line for line in latex.splitlines() if line.startswith(("[", "*"))]
    rows = markdown_rows(to_markdown(table))
    assert {len(row) for row in rows} == {2}
    assert [re.sub(r"\\(.)", r"\1", row[0]) for row in rows[2:]] == [HOSTILE, "[x", "*y", "line break"]
    assert pd.read_csv(io.StringIO(to_csv(table))).method.tolist() == names


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no TeX here")
def test_latex_compiles(tmp_path):
    names = [HOSTILE, "[x", "*y", "centre"]
    hostile = build_table(one_column(dict(zip(names, range(4), strict=True))), HOSTILE, ["joint"])
    wide = build_table(with_paper(summary(("one_set", "two"), metrics=TABLES["table3"][1])), *TABLES["table3"])
    typeset([hostile], tmp_path, "hostile")
    typeset([wide], tmp_path, "wide")
    (tmp_path / "all.tex").write_text(
        r"\documentclass[twocolumn]{article}\usepackage{booktabs,graphicx}"
        r"\begin{document}\input{hostile}\input{wide}\end{document}"
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stdout
    assert "Overfull" not in ran.stdout


def test_typeset_writes_whole_files_and_replaces_them(tmp_path):
    table = build_table(summary(), *TABLES["table2"])
    for _ in range(2):
        typeset([table], tmp_path / "tables", "table2")
    files = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "tables").iterdir()}
    assert files == {
        "table2.csv": to_csv(table), "table2.md": to_markdown(table), "table2.tex": to_latex(table, "table2"),
        "table2.html": to_html(table, "table2"),
    }  # fmt: skip


def test_the_structure_is_free_of_formatting():
    table = build_table(one_column({"centre": 0.25, "b": 1.0}, "deletion_auc"), "A title", ["deletion_auc"])
    assert table.title == "A title"
    assert table.columns == (Column("m", "deletion_auc", "deletion AUC ↓", False),)
    assert [row.cells[0].mean for row in table.rows] == [0.25, 1.0]
    assert [row.cells[0].best for row in table.rows] == [True, False]


def html_rows(text):
    """Cells of each body row as (attributes, text), by a parser that is not ours."""
    body = re.sub(r"<(button|small)", r" <\1", text)
    table = ElementTree.fromstring(re.search(r"<table.*</table>", body, re.S)[0])
    return [[(cell.attrib, "".join(cell.itertext())) for cell in row] for row in table.findall("tbody/tr")]


def test_a_score_of_which_no_clip_is_known_keeps_its_letters():
    nothing = summary(methods=["saliency_tubes"], models=["c3d"]).assign(higher_is_better=None)
    table = build_table(nothing, "", ["deletion_auc", "score"])
    assert [column.heading for column in table.columns] == ["deletion AUC", "score"]
    assert r"\shortstack[r]{deletion \\ AUC} & \shortstack[r]{score}" in to_latex(table, "x")


def test_html_has_every_number_to_sort_by_and_every_mark():
    table = build_table(with_paper(summary()), *TABLES["table2"])
    rows = html_rows(to_html(table, "t"))
    assert [row[0][0]["data-value"] for row in rows] == [row.method for row in table.rows]
    for shown, row in zip(rows, table.rows, strict=True):
        cells = zip(shown[1:], row.cells, table.columns, strict=True)
        for index, ((attributes, text), cell, column) in enumerate(cells):
            assert attributes["data-column"] == str(index)
            if cell is None:
                assert (attributes["data-value"], text) == ("", "–")
                continue
            assert float(attributes["data-value"]) == cell.mean
            assert text.split()[0] == format_value(column.metric, cell.mean)
            assert ("best" in attributes["class"], "tied" in attributes["class"]) == (cell.best, cell.tied)
            assert (f"paper: {format_paper(column.metric, cell.paper)}" in text) == (not math.isnan(cell.paper))


def test_html_says_first_what_is_better_and_the_alpha_of_an_error():
    errors = summary(metrics=["loc_error_value"]).assign(alpha=0.35)
    insertion = summary(metrics=["insertion_auc"])
    for found, metric, first in (
        (errors, "loc_error_value", "ascending"),
        (insertion, "insertion_auc", "descending"),
    ):
        text = to_html(build_table(found, "", [metric]), "t")
        assert set(re.findall(r'data-column="\d" data-first="(\w+)"', text)) == {first}
        assert ("<small>α = 0.35</small>" in text) == (first == "ascending")


def test_html_escapes_names_and_separates_datasets():
    rows = summary([HOSTILE, "b"], [HOSTILE], methods=[HOSTILE, "<b>"])
    text = to_html(build_table(rows, "<i>", TABLES["table2"][1]), "t")
    assert not {"<i>", "<b>", HOSTILE} & set(re.findall(r"<[^>]*>", text))
    rows = html_rows(text)
    assert [row[0][1] for row in rows if len(row) == 1] == [HOSTILE, "b"]
    assert {row[0][1] for row in rows if len(row) > 1} == {HOSTILE, "<b>"}
