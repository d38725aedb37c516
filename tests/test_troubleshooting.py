"""The page on messages quotes messages that are printed: each heading in code is looked for in the sources."""

from __future__ import annotations

import re

import pytest
import run_docs

ROOT = run_docs.ROOT
PAGE = ROOT / "docs" / "how-to" / "troubleshooting.md"
HEADINGS = [
    message
    for line in re.findall(r"^### (.*)$", PAGE.read_text(), re.MULTILINE)
    for message in re.findall("`([^`]+)`", line)
]


def sources():
    """The package's text with implicit concatenations joined, and what stands in braces replaced by …"""
    text = "\n".join(path.read_text() for path in sorted((ROOT / "chgtools").glob("**/*.py")))
    text = re.sub(r'"\s*\n\s*(?:\+ )?f?"', "", text)
    return re.sub(r"\{[^{}]*\}", "…", text)


SOURCES = sources()


@pytest.mark.parametrize("message", HEADINGS)
def test_a_quoted_message_is_in_the_sources(message):
    pieces = [piece for piece in re.split(r"…", message) if len(piece.strip(" .;:,=()%")) > 2]
    assert pieces, "nothing to look for"
    for piece in pieces:
        assert piece.strip() in SOURCES, piece


def test_a_message_that_nobody_prints_is_found_out():
    assert "no density can be found on a Tuesday" not in SOURCES
    assert len(HEADINGS) > 25
