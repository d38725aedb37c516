"""A verdict on a start density, as ``predict`` and ``prepare`` print it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chgtools.cli.screen import ERROR, HEADING, SUCCESS, WARNING, broken, styled, table, width

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chgtools.start.verdict import Answer, Line, Verdict

STYLE_OF_LEVEL = {"plain": None, "good": SUCCESS, "caution": WARNING, "bad": ERROR}
_FOR = {11: "bands, DOS", 1: "self-consistent"}


def in_words(verdict: Verdict, seconds: float) -> str:
    """The table, the two answers, and the lines to paste."""
    answers = (verdict.fixed, verdict.start)
    rows = [(row.name, row.text, STYLE_OF_LEVEL[row.level]) for row in verdict.rows]
    mends = dict.fromkeys(mend for answer in answers for mend in answer.mend)
    pieces = [table([*rows, ("time", f"{seconds:.2f} s", None)]), "\n".join(map(_answer, answers))]
    pieces += ["\n".join(line for mend in mends for line in broken(mend, "to do: ", "  "))] if mends else []
    return "\n\n".join(pieces + [_to_paste(answer) for answer in answers if answer.lines])


def _answer(answer: Answer) -> str:
    question = "ready for ICHARG = 11: " if answer.icharg == 11 else "ICHARG = 1: "
    style = SUCCESS if answer.yes else WARNING if answer.lines else ERROR
    return "\n".join(styled(line, style) for line in broken(question + answer.text, later="  "))


def _to_paste(answer: Answer) -> str:
    heading = f"INCAR lines for ICHARG = {answer.icharg} ({_FOR[answer.icharg]})"
    return "\n".join([styled(heading, HEADING), *statements(answer.lines)])


def statements(lines: Sequence[Line]) -> list[str]:
    """TAG = value ! why, as an INCAR has it; the comment is left out where it does not fit."""
    tags, values = (max(map(len, column)) for column in zip(*((line.tag, line.value) for line in lines), strict=True))
    written = []
    for line in lines:
        statement = f"  {line.tag:{tags}s} = {line.value:{values}s}  ! {line.why}"
        written.append(statement if len(statement) <= width() else statement.partition("!")[0].rstrip())
    return written
