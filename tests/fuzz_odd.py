"""Merely odd files: other blanks, ends of lines, notations and comments, in which VASP's list-directed reads see the same.

    python tests/fuzz_odd.py --odd 2000 --seed 0

Each must read to the numbers of the plain file. What is refused is listed: some of it is our choice.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from fuzz_originals import KINDS, made

from chgtools.errors import ChgtoolsError

Oddity = Callable[[random.Random, bytes], bytes]
_REAL = re.compile(rb"(?<![\w.])([+-]?\d*\.\d+)((?:E[+-]\d+)?)(?![\w.])")


def _each_line(change: Callable[[random.Random, bytes], bytes], share: float = 0.3) -> Oddity:
    def odd(rng: random.Random, text: bytes) -> bytes:
        return b"\n".join(change(rng, line) if line and rng.random() < share else line for line in text.split(b"\n"))

    return odd


def _each_real(change: Callable[[bytes, bytes], bytes], share: float = 0.3) -> Oddity:
    def odd(rng: random.Random, text: bytes) -> bytes:
        return _REAL.sub(lambda m: change(m[1], m[2]) if rng.random() < share else m[0], text)

    return odd


def _signed(mantissa: bytes, exponent: bytes) -> bytes:
    return (mantissa if mantissa[:1] in b"+-" else b"+" + mantissa) + exponent


def _wide(rng: random.Random, line: bytes) -> bytes:
    return re.sub(rb"(?<=\S) +(?=\S)", lambda m: m[0] * rng.choice([1, 2, 5]), line)


WHOLE: dict[str, Oddity] = {
    "no newline at the end": lambda rng, text: text.rstrip(b"\n"),
    "blank lines at the end": lambda rng, text: text + b"\n" * rng.choice([1, 2, 20]),
    "CRLF": lambda rng, text: text.replace(b"\n", b"\r\n"),
}
LINES: dict[str, Oddity] = {
    "trailing blanks": _each_line(lambda rng, line: line + b" " * rng.choice([1, 5, 60])),
    "trailing tabs": _each_line(lambda rng, line: line + b"\t"),
    "tabs for blanks": _each_line(lambda rng, line: line.replace(b"  ", b"\t ")),
    "many blanks": _each_line(_wide),
    "leading blanks": _each_line(lambda rng, line: b" " * rng.choice([1, 3, 9]) + line),
}
NUMBERS: dict[str, Oddity] = {
    "+1.0": _each_real(_signed),
    "1.0D0": _each_real(lambda m, e: m + (e or b"E+00").replace(b"E", b"D")),
    "1.0d0": _each_real(lambda m, e: m + (e or b"E+00").replace(b"E", b"d")),
    "1.0e0": _each_real(lambda m, e: m + (e or b"E+00").lower()),
    "1.0E0": _each_real(lambda m, e: m + re.sub(rb"E([+-])0*(\d)", rb"E\1\2", e or b"E+0")),
    ".5 for 0.5": _each_real(lambda m, e: re.sub(rb"^([+-]?)0\.", rb"\1.", m) + e),
    "zeros behind": _each_real(lambda m, e: m + b"000" + e),
}


def _comments(mark: bytes) -> Oddity:
    """Comments behind lines; a backslash that continues a line is its last character."""
    return _each_line(lambda rng, line: line if line.endswith(b"\\") else line + b" " + mark + b" a comment")


def _case_of_tags(rng: random.Random, text: bytes) -> bytes:
    how = rng.choice([bytes.lower, bytes.title])
    return re.sub(rb"\b[A-Z]{4,}(?= =)", lambda m: how(m[0]), text)


INCAR: dict[str, Oddity] = {
    "case of tags": _case_of_tags,
    "comment !": _comments(b"!"),
    "comment #": _comments(b"#"),
    "no blanks around =": lambda rng, text: re.sub(rb" *= *", b"=", text),
    "tabs around =": lambda rng, text: re.sub(rb" *= *", b"\t=\t", text),
    "comment lines": lambda rng, text: b"! ENCUT = 1\n# ENCUT = 2\n\n" + text,
}
# what each kind's reader, or VASP's, promises to take
ODDITIES: dict[str, dict[str, Oddity]] = {
    "CHGCAR": WHOLE | {"blanks in numbers' lines": LINES["trailing blanks"]} | LINES | NUMBERS,
    "CHG": WHOLE | LINES | NUMBERS,
    "POSCAR": WHOLE | LINES | NUMBERS | {"comment !": _comments(b"!"), "comment #": _comments(b"#")},
    "XDATCAR": WHOLE | LINES | NUMBERS,
    "INCAR": WHOLE | LINES | INCAR,
    "cube": WHOLE | LINES | NUMBERS,
    "XSF": WHOLE | LINES | NUMBERS | {"comment lines": lambda rng, text: b"# a comment\n\n" + text},
    "UPF": WHOLE | LINES | NUMBERS,
    "table": WHOLE | LINES | NUMBERS | {"comment lines": _each_line(lambda rng, line: line + b"\n# a comment")},
    "POTCAR": WHOLE | {name: LINES[name] for name in ("trailing blanks", "leading blanks")},
}


def of_records(text: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """The change where VASP reads list-directed: titles of records, which it reads by columns, stay as they are."""
    lines, changed = text.split(b"\n"), change(text).split(b"\n")
    if len(lines) != len(changed):
        return b"\n".join(changed)
    titles = [line.startswith(b"augmentation") for line in lines]
    return b"\n".join(old if title else new for old, new, title in zip(lines, changed, titles, strict=True))


def odd_files(
    reader: str, count: int, seed: int, folder: Path
) -> tuple[Counter[tuple[str, str]], dict[tuple[str, str], str]]:
    """How many files of each oddity came out how ("same", "refused", "OTHER VALUES"), and the first words of each."""
    kind, found, words = KINDS[reader], Counter[tuple[str, str]](), dict[tuple[str, str], str]()
    originals = made(kind, folder)
    path, oddities = folder / kind.name, ODDITIES[reader]
    wanted = []
    for content in originals:
        path.write_bytes(content)
        wanted.append(kind.read(path))
    for number in range(count):
        rng = random.Random(f"{seed} {reader} {number}")
        which = rng.randrange(len(originals))
        name = list(oddities)[number % len(oddities)]
        path.write_bytes(of_records(originals[which], partial(oddities[name], rng)))
        outcome, said = "same", ""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                numbers = kind.read(path)
            if not _same(numbers, wanted[which]):
                outcome = "OTHER VALUES"
        except ChgtoolsError as error:
            outcome, said = "refused", str(error)
        found[name, outcome] += 1
        words.setdefault((name, outcome), f"number {number}: {said}")
    path.unlink()
    return found, words


def _same(numbers: list[Any], wanted: list[Any]) -> bool:
    return len(numbers) == len(wanted) and all(
        np.shape(a) == np.shape(b) and np.allclose(a, b, rtol=1e-13, atol=0)
        for a, b in zip(numbers, wanted, strict=True)
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="Read merely odd files; see the head of this module.")
    parser.add_argument("--odd", type=int, default=2000, help="files of all readers together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--readers", nargs="+", choices=ODDITIES, default=list(ODDITIES))
    given = parser.parse_args()
    total = Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        for reader in given.readers:
            found, words = odd_files(reader, given.odd // len(given.readers), given.seed, Path(folder))
            outcomes = Counter[str]()
            for (name, outcome), count in found.items():
                outcomes[outcome] += count
                if outcome != "same":
                    print(f"  {reader}, {name}: {count} {outcome}; {words[name, outcome][:260]}")
            total += outcomes
            print(f"{reader:10s}", dict(outcomes), flush=True)
    print(f"{'all':10s}", dict(total))
    return 1 if total["OTHER VALUES"] else 0


if __name__ == "__main__":
    sys.exit(main())
