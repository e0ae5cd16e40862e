"""Links between the pages lead to files and headings that are there."""

import re

import pytest

from tests.conftest import ROOT

PAGES = ["README.md", "config/README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]


def anchors(path):
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    here = ROOT / page
    links = re.findall(r"\]\(([^)\s]+)\)", here.read_text(encoding="utf-8"))
    links = [link for link in links if "://" not in link]
    assert links or "your_" in page  # those four pages stand for themselves
    for link in links:
        file, _, anchor = link.partition("#")
        target = (here.parent / file).resolve() if file else here
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_index_names_every_page():
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = [path.name for path in (ROOT / "docs").iterdir() if path.suffix in (".md", ".ipynb")]
    assert [name for name in pages if name != "README.md" and f"({name})" not in index] == []
