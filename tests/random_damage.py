"""Random damage of a text, for property tests: bytes lost, put in, exchanged; lines dropped or doubled; ends cut."""

from __future__ import annotations

from hypothesis import strategies as st


@st.composite
def damage(draw, size: int):
    """An edit of a file of ``size`` bytes behind its header."""
    how = draw(
        st.sampled_from(
            ["cut", "delete", "insert", "replace", "delete line", "double line", "swap lines", "join lines"]
        )
    )
    at = draw(st.integers(0, size - 1))
    length = draw(st.integers(1, 200)) if how == "delete" and draw(st.booleans()) else 1
    garbage = draw(
        st.sampled_from([b"*", b"x", b"\x00", b"\xff", b",", b"E", b".", b"NaN", b"  ", b"\n", b"+", b"augm", b"1.0 "])
    )
    return how, at, length, garbage


def apply(text: bytes, edit: tuple, first: int) -> bytes:
    how, at, length, garbage = edit
    at = first + at % (len(text) - first)
    if how == "cut":
        return text[:at]
    if how == "delete":
        return text[:at] + text[at + length :]
    if how == "insert":
        return text[:at] + garbage + text[at:]
    if how == "replace":
        return text[:at] + garbage + text[at + len(garbage) :]
    lines = text.split(b"\n")
    line = text[:at].count(b"\n")
    line = min(line, len(lines) - 3)
    if how == "delete line":
        del lines[line]
    elif how == "double line":
        lines.insert(line, lines[line])
    elif how == "join lines":
        lines[line : line + 2] = [lines[line] + lines[line + 1]]
    else:
        # exchanging two full lines of numbers cannot be seen; lines of different make can
        if len(lines[line]) == len(lines[line + 1]):
            del lines[line + 1]
        else:
            lines[line], lines[line + 1] = lines[line + 1], lines[line]
    return b"\n".join(lines)
