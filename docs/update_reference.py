"""Bring docs/reference up to date: python docs/update_reference.py

Each page of commands/ has the help of its command between two marks, incar.md the tables of an INCAR's tags, api.md the
names at the top of the package; what stands around them is written by hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap

import click

import chgtools
from chgtools.cli import COMMANDS, main
from chgtools.formats.incar_tags import DECISIONS, KNOWN

FOLDER = Path(__file__).resolve().parent / "reference" / "commands"
INCAR = FOLDER.parent / "incar.md"
API = FOLDER.parent / "api.md"
BEGIN, END = "<!-- help: written by docs/update_reference.py -->\n", "<!-- end of help -->\n"


def help_of(name: str) -> str:
    """The help of a command, and of its subcommands, as fenced text."""
    top = click.Context(main, info_name="chgtools", terminal_width=100, max_content_width=100, **main.context_settings)
    command = main.get_command(top, name)
    assert command is not None
    return "".join(f"```text\n{text}\n```\n" for text in _helps(command, name, top))


def _helps(command: click.Command, name: str, parent: click.Context) -> Iterator[str]:
    context = click.Context(command, parent, info_name=name)
    yield "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
    if isinstance(command, click.Group):
        for inner_name in command.list_commands(context):
            inner = command.get_command(context, inner_name)
            assert inner is not None
            yield from _helps(inner, inner_name, context)


def updated(page: str, name: str) -> str:
    """A page with the present help of a command in its marks; a new page for an empty one."""
    return between_marks(page or f"# chgtools {name}\n\n{BEGIN}{END}", name, help_of(name))


def between_marks(page: str, name: str, text: str) -> str:
    """A page with this text in its marks."""
    pattern = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)
    if not pattern.search(page):
        raise SystemExit(f"the page of {name} has lost its marks {BEGIN.strip()} and {END.strip()}")
    return pattern.sub(lambda _: BEGIN + text + END, page)


def tags_of_incar() -> str:
    """The table of decisions on INCAR tags, and the names of all others."""
    rows: dict[tuple[str, str], list[str]] = {}
    for tag, (verdict, why, only) in DECISIONS.items():
        rows.setdefault((verdict, why + f" (value {', '.join(only)})" * bool(only)), []).append(tag)
    table = "".join(f"| {', '.join(tags)} | {verdict} | {why} |\n" for (verdict, why), tags in rows.items())
    others = "\n".join(wrap(" ".join(sorted(KNOWN - DECISIONS.keys())), 120, break_on_hyphens=False))
    return f"| tag | decision | why |\n|---|---|---|\n{table}\nAll others:\n\n```text\n{others}\n```\n"


def names_of_the_api() -> str:
    """What mkdocstrings is to show: every public name at the top of the package, functions first."""
    names = sorted(
        (name for name in chgtools.__all__ if not name.startswith("_")), key=lambda name: (name[0].isupper(), name)
    )
    return "".join(f"\n::: chgtools.{name}\n" for name in names) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for command_name in COMMANDS:
        path = FOLDER / f"{command_name}.md"
        path.write_text(updated(path.read_text() if path.exists() else "", command_name))
    INCAR.write_text(between_marks(INCAR.read_text(), INCAR.name, tags_of_incar()))
    API.write_text(between_marks(API.read_text(), API.name, names_of_the_api()))
