"""Whether VASP read the density: what a finished or running job printed.

VASP says so on standard output (VASP wiki, Terminal output)::

    charge-density read from file: Si
    magnetization density read from file 1
    entering main loop

and complains in the same place, or in the OUTCAR, when it does not. All of this comes before the first iteration, so
no more is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from chgtools.check.codes import finding
from chgtools.check.findings import REFUSED, Finding, RunReport
from chgtools.errors import ChgtoolsError
from chgtools.formats import streams
from chgtools.run.folder import RunFolder
from chgtools.run.tags import READS_CHGCAR

STDOUT_NAMES = ("vasp.out", "stdout*", "*.out", "slurm-*.out")
MOST_BYTES = 64 << 20

_DENSITY = re.compile(rb"charge-density read from file")
_MAGNETISATION = re.compile(rb"magneti[sz]ation density read from file")
_MAGNETISATION_OF_ATOMS = re.compile(rb"magneti[sz]ation density of overlapping atoms calculated")
_OF_ATOMS = re.compile(rb"charge density of overlapping atoms calculated")
_STOPPED = re.compile(rb"charge density could not be read from file CHGCAR")
_DIFFERENT = re.compile(rb"dimensions on CHGCAR file are different")
_INCOMPLETE = re.compile(rb"chargedensity file is incomplete")
_CORRUPT = re.compile(rb"RD_RHO_PAW.*data corrupt|PAW occupancies are missing on CHGCAR")
_LOOP = re.compile(rb"entering main loop|^\s*(?:DAV|RMM|CGA|DIA|DMP|SDA):\s+1\s")
_ITERATION = re.compile(rb"-+\s*Iteration\s+\d")
_ICHARG = re.compile(rb"^\s*ICHARG\s*=\s*(-?\d+)")
_PATTERNS = {
    "density": _DENSITY,
    "magnetisation": _MAGNETISATION,
    "magnetisation of atoms": _MAGNETISATION_OF_ATOMS,
    "of atoms": _OF_ATOMS,
    "stopped": _STOPPED,
    "different": _DIFFERENT,
    "incomplete": _INCOMPLETE,
    "corrupt": _CORRUPT,
}


@dataclass
class _Printed:
    """What one file says: message to (FILE:LINE, the line); started : the first iteration was reached."""

    path: Path
    said: dict[str, tuple[str, str]]
    started: bool = False
    icharg: int | None = None


def check_run(folder: Path | str) -> RunReport:
    """Whether the job in a folder read the density of its CHGCAR, and its magnetisation.

    Reads standard output (vasp.out, stdout*, *.out, slurm-*.out; the newest that is VASP's) and OUTCAR, plain or
    compressed, as far as they are there; the job may still run. Raises ChgtoolsError when there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ChgtoolsError(f"{folder}: no such folder; wanted the folder of a VASP run")
    stdout = _stdout(folder)
    path = RunFolder.around(folder).path("OUTCAR")
    outcar = None if path is None else _look(path)
    if stdout is None and outcar is None:
        return RunReport(None, f"{folder}: no output that tells of the density yet ({', '.join(STDOUT_NAMES)}, OUTCAR)")
    said = {**(outcar.said if outcar else {}), **(stdout.said if stdout else {})}
    read, reason = _judge(folder, said, stdout, outcar)
    return RunReport(read, reason, _findings(said, read, reason, folder))


def _stdout(folder: Path) -> _Printed | None:
    """The newest standard output in which VASP says anything that is looked for."""
    patterns = [name + suffix for name in STDOUT_NAMES for suffix in ("", *streams.SUFFIXES)]
    names = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    for path in sorted(names, key=lambda path: (path.stat().st_mtime, path.name), reverse=True):
        printed = _look(path)
        if printed.said or printed.started:
            return printed
    return None


def _look(path: Path) -> _Printed:
    printed = _Printed(path, {})
    for number, line in _lines(path):
        for name, pattern in _PATTERNS.items():
            if name not in printed.said and pattern.search(line):
                printed.said[name] = (f"{path}:{number}", " ".join(line.decode("ascii", "replace").split()))
        match = _ICHARG.match(line)
        if match and printed.icharg is None:
            printed.icharg = int(match[1])
        if _LOOP.search(line) or _ITERATION.search(line):
            printed.started = True
            break
    return printed


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Lines with their numbers, up to a size no header has; a last line that is still being written is left out."""
    size = 0
    for number, line in enumerate(_raw_lines(path), 1):
        size += len(line)
        if size > MOST_BYTES or not line.endswith(b"\n"):
            return
        yield number, line


def _raw_lines(path: Path) -> Iterator[bytes]:
    with streams.reading(path) as file:
        yield from file


def _judge(
    folder: Path, said: dict[str, tuple[str, str]], stdout: _Printed | None, outcar: _Printed | None
) -> tuple[bool | None, str]:
    for name, meaning in (
        ("different", "the grid of the file is not the run's"),
        ("incomplete", "the file has too few numbers"),
        ("stopped", "the file could not be read, and VASP stopped"),
    ):
        if name in said:
            return False, f"VASP did not read the density: {meaning} ({_quoted(said[name])})"
    if "of atoms" in said:
        why = " after it found the occupancies corrupt" if "corrupt" in said else ""
        return False, f"VASP started from superposed atoms{why} ({_quoted(said['of atoms'])})"
    if "corrupt" in said:
        if outcar is not None and outcar.started:
            return True, f"VASP read the density, not its augmentation occupancies ({_quoted(said['corrupt'])})"
        reason = f"VASP dropped the augmentation occupancies ({_quoted(said['corrupt'])})"
        return None, f"{reason}; whether it kept the density is not known without the OUTCAR"
    if "density" in said:
        also = " with its magnetisation" if "magnetisation" in said else ""
        return True, f"VASP read the density{also} ({_quoted(said['density'])})"
    return _judge_silence(folder, stdout, outcar)


def _judge_silence(folder: Path, stdout: _Printed | None, outcar: _Printed | None) -> tuple[bool | None, str]:
    """Nothing was printed on the density."""
    icharg = outcar.icharg if outcar is not None else None
    if outcar is not None and icharg is not None and icharg not in READS_CHGCAR:
        return False, f"VASP ran with ICHARG = {icharg}, which does not read the CHGCAR ({outcar.path})"
    if stdout is not None and stdout.started:
        return False, f"VASP came to its main loop without 'charge-density read from file' ({stdout.path})"
    if outcar is not None and outcar.started:
        if icharg is not None:
            return True, f"VASP came to its first iteration with ICHARG = {icharg} and no complaint ({outcar.path})"
        return None, f"{outcar.path} does not say whether the density was read; give the standard output too"
    return None, f"the run in {folder} has not come so far as to say whether it read the density"


def _quoted(said: tuple[str, str]) -> str:
    return f"{said[0]}: '{said[1]}'"


def _findings(said: dict[str, tuple[str, str]], read: bool | None, reason: str, folder: Path) -> tuple[Finding, ...]:
    findings = []
    if read is False:
        names = ("different", "incomplete", "stopped", "of atoms")
        place = next((said[name][0] for name in names if name in said), str(folder))
        severity = REFUSED if "stopped" in said else None
        findings.append(finding("run-density", place, reason, severity=severity, effect="" if severity else None))
    if "corrupt" in said:
        findings.append(finding("run-occupancies", said["corrupt"][0], said["corrupt"][1]))
    if "magnetisation of atoms" in said and read is not False:
        findings.append(finding("run-magnetisation", *said["magnetisation of atoms"]))
    return tuple(findings)
