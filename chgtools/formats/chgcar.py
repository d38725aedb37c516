"""CHGCAR and its family: CHG, AECCAR0/1/2, PARCHG, LOCPOT, ELFCAR.

A spin-polarised CHGCAR of VASP 5.4, each piece with its Fortran format::

    unknown system                                  A40
       1.00000000000000                             scale
         5.523145    0.000000    0.000000           1X,3F12.6
         0.000000    5.468728    0.000000
         0.000000    0.000000    5.468728
       Si                                           3X,A2 per species (VASP 4: line absent;
         8                                          6.4: 2X,A14 with Si/hash, counts I16)
    Direct
      0.250000  0.250000  0.250000                  3F10.6 (6.5: one blank more)
      ...
                                                    one blank (5.x, 6.3) or an empty line (6.4)
       48   42   42                                 3I5, NGXF NGYF NGZF
     -.30865939874E+02 -.24210611156E+02 ...        5(1X,E17.11): density x volume, x fastest; a last line
                                                    that is not full ends in two blanks
    augmentation occupancies   1  33                A24,2I4: ion, length; one record per ion
      0.4214821E+00 -0.4279461E+00 ...              5E15.7
      0.600000000000E+00  0.600000000000E+00 ...    5E20.12: MAGMOM of every ion, before each further block
       48   42   42                                 the magnetisation: grid line, numbers, records
    ...

Non-collinear files have four blocks, and behind each block's records the same number again, headed
``augmentation occupancies (imaginary part)``. CHG, PARCHG and ELFCAR print 10(1X,G11.5) and no records; LOCPOT has
moments but no records; LOCPOT and ELFCAR are not multiplied by the volume.

Sources: VASP wiki (CHGCAR, LOCPOT, ELFCAR, PARCHG) and 83 real files of VASP 4.6 to 6.4.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chgtools.errors import AssumptionWarning, FormatError, SettingsError
from chgtools.formats import poscar
from chgtools.formats.chgcar_reader import Parser, read_grid_line
from chgtools.formats.chgcar_writer import check_sections, write_sections
from chgtools.formats.streams import LineReader, stem, writing
from chgtools.volumetric import DENSITY_KINDS, KINDS, VolumetricData

if TYPE_CHECKING:
    from chgtools.cell import Structure

_CHG = re.compile(r"(?<![A-Z0-9])CHG(?![A-Z])")  # as a word: CHG.old, si_CHG, CHG2; not CHGNet and not CHGTOT


def kind_of(path: str | Path) -> str | None:
    """Kind of file by its name (AECCAR2 of run/AECCAR2.bak.gz), or None. A hint: POSCAR_chgnet is no CHG by it."""
    name = stem(path).upper()
    kind = next((kind for kind in KINDS if kind != "CHG" and kind in name), None)
    return kind or ("CHG" if _CHG.search(name) else None)


def holds_grid(path: str | Path) -> bool | None:
    """Whether a grid line stands behind the atoms of a file; None for a file that does not begin with atoms.

    Raises FormatError for a file that is not there.
    """
    with LineReader(path) as reader:
        try:
            poscar.parse(reader)
        except FormatError:
            return None
        try:
            read_grid_line(reader)
        except FormatError:
            return False
    return True


def read_header(path: str | Path) -> tuple[Structure, tuple[int, int, int]]:
    """Structure and grid (nx, ny, nz) of a file, without its data."""
    with LineReader(path) as reader:
        return poscar.parse(reader), read_grid_line(reader)[0]


def read(path: str | Path, kind: str | None = None, dtype: Any = np.float64) -> VolumetricData:
    """Read a CHGCAR, CHG, AECCAR0/1/2, PARCHG, LOCPOT or ELFCAR, plain or compressed (gz, bz2, xz, zst, lz4,
    lzma, zlib), or a member of an archive.

    kind : what the file is, when its name does not say so
    dtype : np.float64, or np.float32 for half the memory
    Returns densities in electrons/Å³ (the file's numbers divided by the cell's volume), LOCPOT in eV, ELFCAR as is;
    arrays (nx, ny, nz) in Fortran order.
    Raises FormatError, with file and line, for a file that is short, overfull or garbled, holds a value that is not
    finite, or whose pieces contradict each other. Warns AssumptionWarning when neither name nor ``kind`` says what
    the file is and it is taken for a CHGCAR, or by its numbers' five digits for a CHG.
    """
    named = kind or kind_of(path)
    if named is not None and named not in KINDS:
        raise SettingsError(f"unknown kind of file {named!r}; wanted one of {', '.join(KINDS)}")
    with LineReader(path) as reader:
        data = Parser(reader, named or "CHGCAR", dtype).parse()
    if named is None:
        five_digits = data.layout.blocks[0].number_format == "G"
        data.kind = "CHG" if five_digits else "CHGCAR"
        why = ", for its five digits" if five_digits else ""
        sentence = f"{path}: the name tells no kind of file; read as a {data.kind}{why}"
        warnings.warn(AssumptionWarning(sentence), stacklevel=2)
    return data


def write(data: VolumetricData, path: str | Path, kind: str | None = None) -> None:
    """Write a file of the CHGCAR family in VASP's layout; compressed by the suffix of ``path``.

    What was read from a file and not changed keeps that file's header and number fields, so that a file of VASP
    comes back byte for byte. ``kind`` changes the kind of file (a CHGCAR written as CHG loses its records).
    The file appears under its name only when it is complete.
    Raises ChgtoolsError for values that are not finite, and for records or moments that do not fit the structure.
    """
    kind = kind or data.kind
    if kind not in KINDS:
        raise SettingsError(f"unknown kind of file {kind!r}; wanted one of {', '.join(KINDS)}")
    if (kind in DENSITY_KINDS) != data.is_density:
        raise SettingsError(f"a {data.kind} cannot be written as {kind}: one is a density and the other is not")
    check_sections(data)
    with writing(path) as file:
        write_sections(data, kind, file)
