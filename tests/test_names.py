"""One word for one thing, as docs/concepts.md has them, in everything that people read and in the code."""

import re

import pytest

from tests.conftest import ROOT

# What else the field calls them -> the word here.
OTHERS = {
    r"saliency maps?|importance maps?|relevance maps?|attribution maps?|explanation maps?": "attribution",
    r"heat maps?": "heatmap, and only of what is normalised to be shown",
    r"ground[- ]?truth|GT boxes": "label, or true box",
    r"snippets?": "clip",
    r"frame[_ ]strides?|temporal strides?|sampling rate": "frame_step",
    r"clip[_ ]strides?": "clip_step",
    r"super[- ]voxels?": "supervoxel",
    r"predicted labels?|pred_label|target labels?": "prediction, or target",
    r"class scores?|confidence scores?": "scores, of softmax",
    r"data sets?": "dataset",
    r"num_segments|nr_segments": "n_segments",
    r"perturbation baselines?|null image|reference image": "substrate",
    r"localization": "localisation",
}
# Titles of papers, names of other people's code, and this list.
TITLES = re.compile(r"\*[^*\n]+\*|\"[^\"\n]{20,}\"|Sanity Checks for Saliency Maps|Energy-based Pointing Game")
SUFFIXES = (".py", ".md", ".yaml", ".smk", ".j2", ".js", ".toml")
FOLDERS = ("swagv", "workflow", "config", "docs", "benchmarks", "profiles")


def files():
    found = [ROOT / "README.md", ROOT / "Snakefile"]
    return found + [path for name in FOLDERS for path in (ROOT / name).rglob("*") if path.suffix in SUFFIXES]


@pytest.mark.parametrize("other", OTHERS)
def test_one_word_for_one_thing(other):
    pattern = re.compile(rf"\b({other})\b", re.IGNORECASE)
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in files()
        for match in pattern.finditer(TITLES.sub("", path.read_text(encoding="utf-8")))
    ]
    assert found == [], f"the word here is {OTHERS[other]}"


def test_the_words_are_those_of_the_concepts():
    concepts = (ROOT / "docs" / "concepts.md").read_text(encoding="utf-8")
    for word in (
        "attribution",
        "label",
        "clip",
        "frame_step",
        "supervoxel",
        "target",
        "prediction",
        "substrate",
        "shard",
    ):
        assert word in concepts
    assert len(files()) > 150
