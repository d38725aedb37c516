"""Bring the help texts in docs/reference/commands/ up to date: python docs/update_reference.py

Each page has the help of its command between two marks; what stands around them is written by hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

from chgtools.cli import COMMANDS, main

FOLDER = Path(__file__).resolve().parent / "reference" / "commands"
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
    page = page or f"# chgtools {name}\n\n{BEGIN}{END}"
    pattern = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)
    if not pattern.search(page):
        raise SystemExit(f"the page of {name} has lost its marks {BEGIN.strip()} and {END.strip()}")
    return pattern.sub(lambda _: BEGIN + help_of(name) + END, page)


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for command_name in COMMANDS:
        path = FOLDER / f"{command_name}.md"
        path.write_text(updated(path.read_text() if path.exists() else "", command_name))
