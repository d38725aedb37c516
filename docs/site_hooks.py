"""What mkdocs.yml cannot say: hooks that mkdocs calls while it builds the site.

- Pages of the repository outside docs/ (CHANGELOG.md, examples/README.md, ...) are added, and links to them follow.
- Links to other files of the repository, which no site has, become the name of the file.
- The notebook is run, and stands on the site as a page with what it printed and drew.
- Pages that the navigation names and that mkdocs.yml calls optional may be missing.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import tempfile
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
LOG = logging.getLogger("mkdocs.hooks.site")
KERNEL_SECONDS = 300
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")
_FENCE = re.compile(r"^(```.*?^```[ \t]*$)", re.MULTILINE | re.DOTALL)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """The navigation without optional pages that are not there; notebooks by the names of their pages."""
    optional = set(config.extra["optional"])
    config.nav = _navigation(config.nav, Path(config.docs_dir), optional)
    return config


def _navigation(entries: list[Any], docs: Path, optional: set[str]) -> list[Any]:
    kept = []
    for entry in entries:
        if isinstance(entry, dict):
            [(title, inside)] = entry.items()
            kept.append({title: _navigation(inside, docs, optional)})
        elif entry not in optional or (docs / entry).exists():
            kept.append(entry.replace(".ipynb", ".md"))
        else:
            LOG.info("%s is not there, and optional", entry)
    return kept


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages outside docs/, and a page for each notebook."""
    for source, place in config.extra["outside"].items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / source)))
    for file in [file for file in files if file.src_uri.endswith(".ipynb")]:
        files.remove(file)
        page = PurePosixPath(file.src_uri).with_suffix(".md")
        text, pictures = as_markdown(Path(file.abs_src_path))
        files.append(File.generated(config, str(page), content=text))
        for name, content in pictures.items():
            files.append(File.generated(config, str(page.parent / name), content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links as they are right on the site, where a page may stand elsewhere than in the repository.

    Pages of commands get the width of the table of contents, since their help is 100 columns wide.
    """
    if page.file.src_uri.startswith("reference/commands/"):
        page.meta["hide"] = ["toc"]
    outside = config.extra["outside"]
    home = {place: source for source, place in outside.items()}
    place = page.file.src_uri
    source = PurePosixPath(home.get(place, f"docs/{place}"))

    def moved(match: re.Match[str]) -> str:
        mark, text, target, anchor = match.groups()
        if re.match(r"[a-z]+:", target):
            return match[0]
        path = os.path.normpath(source.parent / target)  # within the repository
        at = outside.get(path) or (path[5:].replace(".ipynb", ".md") if path.startswith("docs/") else None)
        if at is None:
            if not (ROOT / path).exists():
                LOG.warning("%s: %s is not in the repository", source, target)
            return f"{text} (`{path}`)" if text.strip("`") != path else f"`{path}`"
        return f"{mark}[{text}]({os.path.relpath(at, PurePosixPath(place).parent)}{anchor or ''})"

    parts = _FENCE.split(markdown)
    return "".join(part if part.startswith("```") else _LINK.sub(moved, part) for part in parts)


def as_markdown(notebook: Path) -> tuple[str, dict[str, bytes]]:
    """A notebook that was run, as Markdown, and the pictures that it drew."""
    from nbconvert import MarkdownExporter

    exporter = MarkdownExporter()
    text, resources = exporter.from_notebook_node(
        executed(notebook), resources={"unique_key": notebook.stem, "output_files_dir": f"{notebook.stem}-pictures"}
    )
    return text, resources["outputs"]


def executed(notebook: Path) -> Any:
    """A notebook with the outputs of a run, in a folder of its own with a copy of examples/.

    Raises nbclient.exceptions.CellExecutionError with the traceback of the first cell that fails.
    """
    import nbformat
    from nbclient import NotebookClient

    content = nbformat.read(notebook, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "examples", Path(folder) / "examples")
        client = NotebookClient(content, timeout=KERNEL_SECONDS, kernel_name="python3")
        return client.execute(cwd=folder, env={**os.environ, "MPLBACKEND": "module://matplotlib_inline.backend_inline"})
