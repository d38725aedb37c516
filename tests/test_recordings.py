"""Recordings of a terminal: 80 columns, as they are broken there, and of the uses that the script has now."""

from __future__ import annotations

import importlib.util
import os
import re
import sys

import run_docs

PATH = run_docs.ROOT / "docs" / "recordings" / "record.py"
_spec = importlib.util.spec_from_file_location("record", PATH)
record = importlib.util.module_from_spec(_spec)
sys.modules["record"] = record
_spec.loader.exec_module(record)
PAGE = record.PAGE.read_text()


def test_lines_are_broken_where_a_terminal_breaks_them():
    assert record.shown("x" * 170 + "\n") == "x" * 80 + "\n" + "x" * 80 + "\n" + "x" * 10 + "\n"
    assert record.shown("a\r\n\r\nb") == "a\n\nb\n"


def test_colours_are_left_out_and_what_is_overwritten_is_gone():
    assert record.shown("\x1b[1;31mred\x1b[0m\r\n") == "red\n"
    assert record.shown("\r 10 %\r 50 %\r100 %\r\n") == "100 %\n"


def test_a_command_is_shown_with_both_streams_in_order_and_its_exit_code(tmp_path):
    command = "echo one; echo two >&2; tput cols 2>/dev/null || stty size | cut -d' ' -f2; exit 3"
    text = record.recorded(command, tmp_path, {**os.environ, "TERM": "xterm"})
    assert text == "one\ntwo\n80\n[exit code 3]\n"


def test_the_page_is_of_the_uses_of_the_script_and_80_columns_wide():
    screens = re.findall(r"^```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert len(screens) == len(record.USES) >= 10
    assert [use.title for use in record.USES] == re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
    for use, screen in zip(record.USES, screens, strict=True):
        assert tuple(re.findall(r"^\$ (.*)$", screen, re.MULTILINE)) == use.commands, (
            "run: python docs/recordings/record.py"
        )
        assert max(map(len, screen.splitlines())) <= record.COLUMNS
