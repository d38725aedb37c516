"""A page of HTML that stands by itself: sections, tables and pictures, readable on a telephone and on paper."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any

from chgtools.files import package_version, replacing

MOST_DOTS, COLOURS = 900, 128  # of a picture
STYLE = """
:root { color: #222; background: #fff; font: 16px/1.5 system-ui, sans-serif; }
body { overflow-wrap: anywhere; max-width: 68rem; margin: 0 auto; padding: 0 1rem 3rem; }
h1 { font-size: 1.6rem; margin: 1.4rem 0 0; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .5rem; }
.under { color: #666; margin: .1rem 0 1rem; }
.verdict { border-left: .3rem solid #3a8f5c; background: #f1f7f3; padding: .5rem .9rem; margin: 1rem 0; }
.verdict.bad { border-color: #c8423b; background: #fbf1f0; }
.finding { margin: 1rem 0; } .finding dl { margin: .2rem 0; }
.finding dl { display: grid; grid-template-columns: 4rem 1fr; } dd { margin: 0; } dt { color: #666; }
.view { height: min(75vh, 620px); border: 1px solid #ddd; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .92rem; }
th, td { text-align: left; padding: .25rem .9rem .25rem 0; border-bottom: 1px solid #e4e4e4; vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
th { overflow-wrap: normal; }
td:not(.number) { min-width: 5rem; }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 19rem), 1fr)); gap: 1rem; }
.pictures img { max-width: 100%; max-height: 26rem; height: auto; justify-self: center; align-self: center; }
details { margin: .6rem 0; } summary { cursor: pointer; font-weight: 600; padding: .3rem 0; }
footer { color: #777; font-size: .85rem; margin-top: 3rem; border-top: 1px solid #ddd; padding-top: .6rem; }
@media print { .view { break-inside: avoid; } }
"""


@dataclass(frozen=True)
class Table:
    """A table of a page: its heading, the names of its columns, its rows, and a sentence below it.

    Cells are text, or numbers, which stand at the right: whole ones as they are, others with four decimals.
    """

    heading: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    note: str = ""

    def html(self) -> str:
        """The section."""
        head = "".join(f"<th>{escape(name)}</th>" for name in self.columns)
        rows = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in self.rows)
        below = f'<p class="under">{escape(self.note)}</p>' if self.note else ""
        table = f"<table>{f'<thead><tr>{head}</tr></thead>' if head else ''}<tbody>{rows}</tbody></table>"
        return section(self.heading, f'<div class="wide">{table}</div>{below}')


def section(heading: str, html: str) -> str:
    """A heading and what stands below it, which is HTML already."""
    return f"<section><h2>{escape(heading)}</h2>{html}</section>"


def image(path: Path, alt: str) -> str:
    """A .png as a part of the page, with fewer dots and colours than on paper."""
    from PIL import Image

    data = BytesIO()
    with Image.open(path) as picture:
        smaller = picture.convert("RGB")
    smaller.thumbnail((MOST_DOTS, MOST_DOTS))
    smaller.quantize(COLOURS).save(data, "PNG", optimize=True)
    return f'<img alt="{escape(alt)}" loading="lazy" src="data:image/png;base64,{b64encode(data.getvalue()).decode()}">'


def write_page(path: Path, title: str, under: str, parts: Sequence[str]) -> None:
    """Write a page of parts, which are HTML already; it is there when it is complete."""
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>"
        f'<h1>{escape(title)}</h1><p class="under">{escape(under)}</p>{"".join(parts)}'
        f"<footer>chgtools {escape(package_version())}</footer></body></html>\n"
    )
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f'<td class="number">{value:.4f}</td>'
    if isinstance(value, int):
        return f'<td class="number">{value}</td>'
    return f"<td>{escape(str(value))}</td>"
