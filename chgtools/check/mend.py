"""Mend what can be mended in a CHGCAR without a guess; numbers of the density and occupancies are never touched."""

from __future__ import annotations

import warnings
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import numpy as np

from chgtools.check.charge_file import examine
from chgtools.check.codes import finding
from chgtools.check.findings import Finding, Report
from chgtools.check.inputs import Inputs
from chgtools.check.scan import Scan
from chgtools.check.walk import Edit
from chgtools.errors import AssumptionWarning, ChgtoolsError, FormatError
from chgtools.formats import chgcar
from chgtools.formats.streams import LineReader, writing
from chgtools.run.folder import INPUTS, RunFolder
from chgtools.run.tags import Tags, start_moments

MOST_PASSES = 3  # one edit may bring to light what another hid, such as a second blank line


@dataclass(frozen=True)
class Mending:
    """What was mended.

    output : the file that was written, None when there was nothing to mend
    mended : findings that are gone
    notes : sentences on what was put in
    report : the check of the mended file (of the old one where nothing was written); unlike check_file's it has a
        finding where nothing else is left and chgtools' own reader refuses the file
    """

    output: str | None
    mended: tuple[Finding, ...]
    notes: tuple[str, ...]
    report: Report


def mend_file(
    path: Path | str,
    output: Path | str,
    *,
    poscar: Path | str | None = None,
    potcar: Path | str | None = None,
    incar: Path | str | None = None,
) -> Mending:
    """Write a mended copy of a CHGCAR, and check it.

    output : may be ``path`` itself; it appears under its name when it is complete, compressed by its suffix
    Mends the columns of record headers, missing lines of moments (MAGMOM of the INCAR; without one VASP's default, 1
    or NUPDOWN/NIONS for each ion), blank lines, carriage returns, trailing text; what is in order then was read back.
    Raises ChgtoolsError for a file that cannot be read.
    """
    path, output = Path(path), Path(output)
    run = RunFolder.around(path, poscar=poscar, potcar=potcar, incar=incar)
    before, result, inputs = examine(path, run)
    fixable = [finding for finding in before.findings if finding.fixable]
    if not fixable:
        return Mending(None, (), (), _read_back(path, before))
    # the output may lie elsewhere, without the inputs beside it; those that cannot be read were left out before
    readable = {name: run.path(name) for name in INPUTS if any(each.startswith(f"{name}: ") for each in inputs.used)}
    notes: list[str] = []
    source = path
    for _ in range(MOST_PASSES):
        pieces = [_moments(result, inputs, edit, notes) if edit.text is None else edit for edit in result.edits]
        with LineReader(source) as reader, writing(output) as file:
            _copy(reader, file, sorted(pieces, key=lambda edit: (edit.begin, -edit.end)), result.carriage_returns)
        after, result, inputs = examine(output, run.with_named(readable))
        left = {finding.code for finding in after.findings if finding.fixable}
        if not left:
            break
        source = output
    mended = tuple(finding for finding in fixable if finding.code not in left)
    return Mending(str(output), mended, tuple(notes), _read_back(output, after))


def _read_back(path: Path, report: Report) -> Report:
    """The report of a file; one that would be in order has a finding where the ordinary reader refuses it."""
    if not report.ok:
        return report
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AssumptionWarning)
            chgcar.read(path, "CHGCAR")
    except FormatError as error:
        place = str(path) if error.line is None else f"{path}:{error.line}"
        found = f"chgtools does not read the file ({str(error).removeprefix(place + ': ')})"
        return replace(report, findings=(*report.findings, finding("not-read", place, found)))
    return report


def _moments(result: Scan, inputs: Inputs, edit: Edit, notes: list[str]) -> Edit:
    """The edit that puts in the moments before a block."""
    from chgtools.formats.chgcar_writer import print_reals

    structure = result.structure
    assert structure is not None
    blocks = len(result.blocks)
    tags = replace(inputs.tags or Tags(), ispin=2, noncollinear=blocks == 4)
    given, short = tags.magmom, ""
    per_atom = 3 if blocks == 4 else 1
    if given is not None and len(given) < per_atom * structure.n_atoms:
        wanted = per_atom * structure.n_atoms
        short = f"; the MAGMOM given has {len(given)} values, {structure.n_atoms} ions need {wanted}"
        tags = replace(tags, magmom=None)
    start = start_moments(structure, tags)
    assert start.values is not None
    values = start.values.reshape(structure.n_atoms, per_atom)[:, min(edit.block, per_atom) - 1]
    if tags.magmom is not None:
        origin = f"MAGMOM ({tags.place('MAGMOM')})"
    else:
        origin = f"{values[0]:g} for each ion, VASP's default of MAGMOM (it reads the line and does not use it){short}"
    notes.append(f"moments before block {edit.block + 1}: {origin}")
    return Edit(edit.begin, edit.end, print_reals(np.ascontiguousarray(values), 20, 12), edit.code, edit.block)


def _copy(reader: LineReader, file: IO[bytes], edits: list[Edit], carriage_returns: bool) -> None:
    """Copy the decompressed file with its edits; with ``carriage_returns`` all of them before a newline go."""
    held = b""

    def put(text: bytes) -> None:
        nonlocal held
        if not carriage_returns:
            file.write(text)
            return
        text = held + text
        held = b"\r" if text.endswith(b"\r") else b""
        file.write(text[: len(text) - len(held)].replace(b"\r\n", b"\n"))

    position = 0
    for edit in edits:
        if edit.end <= position and edit.begin < position:  # done with the stretch that was put in another order
            continue
        if edit.begin < position:
            raise ChgtoolsError(f"{reader.path}: two edits overlap at byte {edit.begin}; nothing was written")
        _take(reader, edit.begin - position, put)
        old: list[bytes] = []
        _take(reader, edit.end - edit.begin, old.append)
        put(_reordered(b"".join(old), edit, edits) if edit.order else edit.text or b"")
        position = edit.end
    _take(reader, None, put)
    file.write(held)


def _reordered(text: bytes, edit: Edit, edits: list[Edit]) -> bytes:
    """The bytes of an edit in their new order, each stretch with its own edits."""
    begins = [each.begin for each in edits]
    pieces = []
    for begin, end in edit.order:
        position = begin
        for inner in edits[bisect_left(begins, begin) : bisect_left(begins, end)]:
            if not inner.order:
                pieces += [text[position - edit.begin : inner.begin - edit.begin], inner.text or b""]
                position = inner.end
        pieces.append(text[position - edit.begin : end - edit.begin])
    return b"".join(pieces)


def _take(reader: LineReader, count: int | None, put: Callable[[bytes], object]) -> None:
    """Hand ``count`` bytes of the file (None: the rest) to ``put``, without the newline that the reader may add."""
    while count is None or count > 0:
        if reader.start == reader.stop and not reader.fill():
            return
        real = reader.stop - reader.start - (reader.lacks_newline and reader.ended)
        size = real if count is None else min(count, real)
        put(reader.buffer[reader.start : reader.start + size].tobytes())
        reader.consume(size, 0)
        if count is not None:
            count -= size
        if size == 0:
            return
