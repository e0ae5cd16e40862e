"""docs/concepts.md: its example runs, and the files and columns that it names are those of a run."""

import doctest
import re
from itertools import chain

from swagv.tables import COMPARISONS, SUMMARY, TABLE
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "concepts.md").read_text(encoding="utf-8")
RULES = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "workflow" / "rules").glob("*.smk"))


def rows(head):
    """Cells of the table under this head."""
    table = PAGE.split(f"{head}\n")[1].split("\n\n")[0]
    return [line.strip("| ").split(" | ") for line in table.splitlines()[1:]]


def test_the_example_runs():
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    test = doctest.DocTestParser().get_doctest(example, {}, "docs/concepts.md", None, 0)
    said = []
    assert doctest.DocTestRunner().run(test, out=said.append) == (0, len(test.examples)), "".join(said)
    assert len(test.examples) == 11


def test_the_files_are_those_of_the_rules():
    files = list(
        chain.from_iterable(re.findall(r"`(results/[^`]+)`", row[0]) for row in rows("| file | what is in it |"))
    )
    assert len(files) == 12
    assert [file for file in files if f'"{file}"' not in RULES] == []


def test_the_columns_are_those_of_the_tables():
    named = {"summary": SUMMARY, "comparisons": COMPARISONS, "tables": TABLE}
    told = {name: set() for name in named}
    for columns, of, _ in rows("| column | of | meaning |"):
        for name in {"all": named, "both": ("summary", "comparisons")}.get(of, of.split(", ")):
            told[name] |= set(re.findall(r"`(\w+)`", columns))
    assert told["summary"] == set(SUMMARY.names)
    assert told["summary"] | told["tables"] == set(TABLE.names)
    assert told["comparisons"] | {"method"} == set(COMPARISONS.names) | {"method"}
