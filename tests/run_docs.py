"""Run the code of the documentation, as a reader would: python tests/run_docs.py [FILE.md ...]

Every block fenced as ``bash`` or ``python`` is run, in order, in one temporary folder per file that holds a copy of
examples/. Blocks fenced otherwise (``sh``, ``text``), and those with a line ``# not run: reason``, are skipped.
The installed ``chgtools`` is used, never the one of the checkout.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECONDS = 600


@dataclass(frozen=True)
class Block:
    """Code of a page; line is that of its first line."""

    language: str
    code: str
    line: int


def pages() -> list[Path]:
    """Every Markdown file of the repository that readers get."""
    return [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md")), *sorted(ROOT.glob("examples/*.md"))]


def blocks(page: Path) -> list[Block]:
    """The blocks of a page that are to be run."""
    text = page.read_text()
    found = [
        Block(match[1], match[2], text.count("\n", 0, match.start()) + 2)
        for match in _BLOCK.finditer(text)
        if match[1] in ("bash", "python")
    ]
    return [block for block in found if "# not run:" not in block.code]


def run(page: Path, folder: Path, environment: dict[str, str]) -> None:
    """Run the blocks of a page in ``folder``; raises AssertionError with file, line and output of the first failure."""
    shutil.copytree(ROOT / "examples", folder / "examples")
    for block in blocks(page):
        shell = ["bash", "-euo", "pipefail", "-c", block.code]
        command = shell if block.language == "bash" else [sys.executable, "-c", block.code]
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        assert done.returncode == 0, (
            f"{page.relative_to(ROOT)}:{block.line}: exit code {done.returncode}\n{block.code}\n"
            f"{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )


def main(names: list[str]) -> int:
    environment = dict(os.environ)
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment.pop("PYTHONPATH", None)
    failures = 0
    for page in [Path(name).resolve() for name in names] or pages():
        if not blocks(page):
            continue
        with tempfile.TemporaryDirectory() as folder:
            try:
                run(page, Path(folder), environment)
            except AssertionError as error:
                failures += 1
                print(f"FAILED {error}")
            else:
                print(f"{page.relative_to(ROOT)}: {len(blocks(page))} blocks run")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
