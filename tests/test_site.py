"""The site of the documentation: every page has its place, links follow, the notebook runs.

`.ci/run` builds the site from nothing. What needs its packages (pip install '.[docs]') is skipped without them.
"""

from __future__ import annotations

import json
import re
import sys

import pytest
import run_docs
import yaml

ROOT = run_docs.ROOT
DOCS = ROOT / "docs"
NOTEBOOKS = sorted(DOCS.glob("**/*.ipynb"))


class Loader(yaml.SafeLoader):
    """Knows no Python objects, which mkdocs.yml names for mkdocs."""


Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)
CONFIG = yaml.load((ROOT / "mkdocs.yml").read_text(), Loader)


@pytest.fixture
def hooks(monkeypatch):
    pytest.importorskip("mkdocs", reason="mkdocs is not installed: pip install '.[docs]'")
    monkeypatch.syspath_prepend(DOCS)
    monkeypatch.delitem(sys.modules, "site_hooks", raising=False)
    import site_hooks

    return site_hooks


def pages_of(entries):
    for entry in entries:
        if isinstance(entry, dict):
            [inside] = entry.values()
            yield from pages_of(inside)
        else:
            yield entry


def test_every_page_has_a_place_in_the_navigation_and_every_place_a_page():
    named = list(pages_of(CONFIG["nav"]))
    assert len(set(named)) == len(named)
    there = {str(path.relative_to(DOCS)) for suffix in ("md", "ipynb") for path in DOCS.glob(f"**/*.{suffix}")}
    outside = CONFIG["extra"]["outside"]
    assert all((ROOT / source).is_file() for source in outside)
    optional = set(CONFIG["extra"]["optional"])
    assert optional <= set(named), "optional pages that no navigation names"
    assert set(named) - optional <= there | set(outside.values())
    assert there <= set(named), "give each page a line in the navigation of mkdocs.yml"


def test_every_picture_is_shown_on_a_page():
    text = "".join(page.read_text() for page in run_docs.pages())
    for picture in (DOCS / "pictures").glob("*.png"):
        assert f"pictures/{picture.name}" in text, f"{picture.name} is on no page"


def test_nothing_is_fetched_from_elsewhere():
    assert CONFIG["theme"]["font"] is False
    assert CONFIG["strict"] is True
    assert not {"extra_css", "extra_javascript", "repo_url"} & CONFIG.keys()


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_kept_without_what_it_printed(notebook):
    cells = json.loads(notebook.read_text())["cells"]
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_runs(hooks, notebook):
    pytest.importorskip("nbclient", reason="nbclient is not installed: pip install '.[docs]'")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed: pip install '.[docs]'")
    cells = hooks.executed(notebook).cells
    printed = [output for cell in cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in printed), "no picture was drawn"
    assert not [output for output in printed if output.get("name") == "stderr"]


class FakePage:
    def __init__(self, place):
        self.file = type("File", (), {"src_uri": place})
        self.meta = {}


@pytest.mark.parametrize(
    ("place", "written", "wanted"),
    [
        ("benchmarks.md", "[a](../benchmarks/README.md)", "[a](project/benchmark-scripts.md)"),
        ("tutorial/x.md", "[a](../../examples/README.md#si)", "[a](../project/examples.md#si)"),
        ("project/contributing.md", "[a](docs/conventions.md)", "[a](../conventions.md)"),
        ("project/benchmark-scripts.md", "[a](../docs/benchmarks.md)", "[a](../benchmarks.md)"),
        ("README.md", "[a](tutorial/first-look.ipynb)", "[a](tutorial/first-look.md)"),
        ("training.md", "[weights](../benchmarks/training)", "weights (`benchmarks/training`)"),
        ("citing.md", "[a](https://arxiv.org/abs/2510.00788)", "[a](https://arxiv.org/abs/2510.00788)"),
        ("gallery.md", "```text\n[a](../examples/README.md)\n```", "```text\n[a](../examples/README.md)\n```"),
    ],
)
def test_links_follow_pages_that_stand_elsewhere_on_the_site(hooks, place, written, wanted):
    config = type("Config", (), {"extra": CONFIG["extra"]})
    assert hooks.on_page_markdown(written, page=FakePage(place), config=config, files=None) == wanted


def test_docstrings_become_lists():
    pytest.importorskip("griffe", reason="griffe is not installed: pip install '.[docs]'")
    sys.path.insert(0, str(DOCS))
    try:
        from site_docstrings import as_markdown
    finally:
        sys.path.remove(str(DOCS))
    text = "A line.\n\nnelect : electrons;\n    of the cell; model : which :func:`weights`\nRaises ChgtoolsError."
    lines = as_markdown(text).splitlines()
    assert lines[2:] == [
        "", "- `nelect` : electrons;", "    of the cell; model : which `weights`", "", "Raises ChgtoolsError.",
    ]  # fmt: skip
    assert as_markdown("path : the file; kind, dtype : of it").splitlines()[1:] == [
        "- `path` : the file",
        "- `kind`, `dtype` : of it",
    ]


def test_the_citation_names_this_version_and_the_paper():
    import tomllib

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert citation["version"] == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    [paper] = citation["references"]
    assert "2510.00788" in paper["url"]
    names = [author["family-names"] for author in paper["authors"]]
    page = (DOCS / "citing.md").read_text()
    assert all(re.search(rf"\b{name}\b", page) for name in names)
    assert paper["title"].split("equivariant")[1] in page.replace("\n> ", " ")
