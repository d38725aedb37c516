"""Every finding `check` can report: its code, its severity, what VASP will do and how to mend it.

Sources of what VASP does: VASP wiki (ICHARG, LMAXMIX, MAGMOM, LNONCOLLINEAR, Terminal output), user logs and one
controlled experiment, collected in docs/explanation/what-vasp-does.md, which says what is inferred and what is not
known.
"""

from __future__ import annotations

from dataclasses import dataclass

from chgtools.check.findings import DROPPED, MISREAD, NOTE, REFUSED, Finding

DENSITY = "density"  # REFUSED, unless the INCAR has an ICHARG below 10: then DROPPED; in a later block DROPPED

STOPS = (
    "With ICHARG = 11 VASP stops ('charge density could not be read from file CHGCAR'); with ICHARG = 1 it starts from "
    "superposed atoms"
)
NO_MAGNETISATION = (
    "VASP does not read the magnetisation and starts it from MAGMOM, or discards the whole file (both were reported)"
)
NO_OCCUPANCIES = (
    "VASP prints 'RD_RHO_PAW: ion N data corrupt' or 'PAW occupancies are missing on CHGCAR' and drops the occupancies "
    "of all ions, with ICHARG = 1 reportedly the whole file; with ICHARG = 11 what it does is not documented"
)
SHIFTED = "VASP reads numbers by count and notices nothing: it takes other numbers than were meant"


@dataclass(frozen=True)
class Rule:
    """severity : of the finding, or DENSITY; effect : what VASP will do; mend : what to do about it"""

    severity: str
    effect: str
    mend: str


HYBRID_BANDS = (
    "Run self-consistently on a regular mesh with the k-points of the line behind it at weight 0, or in a KPOINTS_OPT"
)
_AGAIN = "Copy the file again, or rerun the calculation that wrote it"
_PAIR = "Give the file and the inputs of one calculation, or make the density anew with `chgtools predict`"

RULES: dict[str, Rule] = {
    # the file by itself
    "header": Rule(DENSITY, STOPS, _AGAIN),
    "header-number": Rule(
        MISREAD, "How VASP reads these lines is not known; a Fortran program that reads them as a list fails", _AGAIN
    ),
    "grid-line": Rule(DENSITY, STOPS, _AGAIN),
    "short-block": Rule(DENSITY, f"VASP prints 'WARNING: chargedensity file is incomplete'. {STOPS}", _AGAIN),
    "damaged-number": Rule(DENSITY, f"Fortran cannot read it. {STOPS}", _AGAIN),
    "number-field": Rule(MISREAD, SHIFTED, f"It has lost or gained characters. {_AGAIN}"),
    "not-finite": Rule(MISREAD, "Fortran reads it, and the density holds no numbers", "Rerun the calculation"),
    "surplus-numbers": Rule(MISREAD, SHIFTED + ", shifted from the surplus number on", _AGAIN),
    "grid-between": Rule(DROPPED, NO_MAGNETISATION, _AGAIN),
    "text-between": Rule(DROPPED, NO_MAGNETISATION, f"Delete it, if it is known to be foreign. {_AGAIN}"),
    "record-header": Rule(
        DROPPED, f"VASP reads the header by columns (A24,2I4). {NO_OCCUPANCIES}", "Print each number in four columns"
    ),
    "record-order": Rule(
        DROPPED, NO_OCCUPANCIES, "Records must follow in the order of the ions, imaginary ones behind all others"
    ),
    "record-missing": Rule(
        DROPPED,
        NO_OCCUPANCIES,
        "Take the records of a run of these atoms, or `chgtools predict` with the POTCAR; potentials without PAW sets "
        "(ultrasoft, bare) have none and need none",
    ),
    "record-values": Rule(DROPPED, NO_OCCUPANCIES, _AGAIN),
    "record-length": Rule(
        DROPPED, NO_OCCUPANCIES, "Use the POTCAR the file was made with, or make the density anew with this one"
    ),
    "imaginary-missing": Rule(DROPPED, NO_OCCUPANCIES, _AGAIN),
    "blank-line": Rule(DROPPED, f"VASP takes it for the record's header. {NO_OCCUPANCIES}", "Delete it"),
    "moments-missing": Rule(
        DROPPED,
        "VASP takes the grid line and the numbers behind it for the moments of the ions. " + NO_MAGNETISATION,
        "Write one number for each ion (MAGMOM, 5E20.12, five to a line) before the grid line; any numbers will do",
    ),
    "moments-count": Rule(DROPPED, NO_MAGNETISATION, "Write exactly one number for each ion"),
    "block-count": Rule(DROPPED, NO_MAGNETISATION, _AGAIN),
    "stray-blank-line": Rule(NOTE, "Fortran passes over it", "Delete it: other programs may not"),
    "layout": Rule(NOTE, "VASP reads numbers by count and takes them", "Nothing needs be done for VASP"),
    "padding": Rule(
        NOTE,
        "VASP reads numbers by count and passes over the rest of the line [inferred]",
        "Nothing needs be done for VASP",
    ),
    "not-read": Rule(
        MISREAD,
        "VASP reads numbers by count and may take it; programs that ask whether the numbers are those that were "
        "written do not",
        _AGAIN,
    ),
    "trailing-text": Rule(NOTE, "VASP stops reading before it", "Delete it: other programs may not"),
    "crlf": Rule(
        NOTE,
        "gfortran passes over the carriage returns; what other compilers make of them is not known here",
        "Write \\n line ends (dos2unix)",
    ),
    "separator": Rule(
        NOTE,
        "VASP always writes a blank line there; whether it needs one is not known, and other programs do",
        "Put one in",
    ),
    "final-newline": Rule(NOTE, "gfortran reads the last line all the same", "End the file with a newline"),
    "compressed": Rule(NOTE, "VASP reads no compressed file", "Unpack it as CHGCAR in the folder of the run"),
    "ion-index": Rule(
        NOTE,
        "An index above 9999 does not fit its four columns; VASP itself prints stars, and how it reads them back is "
        "not known",
        "Look at the output of the run (`chgtools check --run`)",
    ),
    # against the inputs
    "atom-count": Rule(DENSITY, f"All that follows in the file is read at the wrong place. {STOPS}", _PAIR),
    "left-handed": Rule(
        REFUSED,
        "VASP stops: 'the triple product of the basis vectors is negative'",
        "Exchange two lattice vectors of the POSCAR and the same two coordinates of each atom, and make the density of "
        "the new POSCAR",
    ),
    "species": Rule(MISREAD, "VASP is not known to compare species: it puts the density of one atom on another", _PAIR),
    "lattice": Rule(
        MISREAD, "VASP is not known to compare lattices: it stretches the density into the new cell", _PAIR
    ),
    "positions": Rule(
        MISREAD,
        "With ICHARG = 1 VASP moves superposed atoms from the file's positions to the POSCAR's; with ICHARG = 11 the "
        "density stays that of the file's positions",
        "Leave it if the density is meant to be carried over from that geometry. " + _PAIR,
    ),
    "grid": Rule(DENSITY, f"VASP prints 'WARNING: dimensions on CHGCAR file are different'. {STOPS}", ""),
    "potcar-order": Rule(
        MISREAD, "VASP takes the potentials in the POTCAR's order", "Put the POTCAR's data sets in the POSCAR's order"
    ),
    "occupancies-foreign": Rule(
        MISREAD,
        "VASP multiplies them with the partial waves of its POTCAR and notices nothing: energies, bands and forces of "
        "a fixed density are wrong",
        _PAIR,
    ),
    "electrons": Rule(
        MISREAD,
        "VASP is not documented to rescale the density; the start has the wrong charge",
        "Set NELECT for a charged cell, use the POTCAR the file was made with, or make the density anew",
    ),
    "lmaxmix": Rule(
        MISREAD,
        "Only occupancies up to L = LMAXMIX are mixed and written, so those beyond are lost or left as they are; "
        "energies and bands at fixed density differ (much so with LDAU)",
        "",
    ),
    "lmaxmix-of-file": Rule(
        NOTE,
        "The file was written with a small LMAXMIX: the occupancies beyond are zero, and a run at fixed density keeps "
        "them so",
        "Rerun the self-consistent calculation with a larger LMAXMIX (4 with d, 6 with f electrons)",
    ),
    "icharg": Rule(DROPPED, "", "Set ICHARG = 11 (density kept fixed) or ICHARG = 1 (a start for self-consistency)"),
    "incar-value": Rule(
        REFUSED,
        "VASP stops where it cannot read a value or finds too few ('Error reading item ... from file INCAR'); what it "
        "makes of a number that it does not know is not documented",
        "Give the tag a value that VASP knows",
    ),
    "incar-statement": Rule(
        NOTE,
        "VASP does not say so: the run takes its default, or what another statement says",
        "Correct or remove it",
    ),
    "hybrid": Rule(
        MISREAD,
        "The exchange of a hybrid functional is that of the orbitals, which no CHGCAR has: a density that is kept "
        "does not give its bands",
        HYBRID_BANDS,
    ),
    "long-cell": Rule(
        NOTE,
        "VASP warns that charge may slosh along the vector while the density becomes self-consistent",
        "Set AMIN = 0.01, if it does not converge",
    ),
    "fixed-ions": Rule(
        MISREAD,
        "VASP keeps the density of the first geometry while the ions move: forces and energies are those of no density "
        "of the new geometries",
        "Set NSW = 0, or ICHARG = 1 (a start for self-consistency)",
    ),
    "line-mode": Rule(
        MISREAD,
        "The density, its energy and its bands become those of the k-points of the line alone",
        "Set ICHARG = 11, or give a KPOINTS that is a regular mesh",
    ),
    "magnetisation-missing": Rule(
        MISREAD,
        "VASP prints 'magnetization density of overlapping atoms calculated' and makes the magnetisation of MAGMOM; "
        "with ICHARG = 11 it keeps that",
        "Give a file with its magnetisation, or run self-consistently (ICHARG = 1)",
    ),
    "magnetisation-blocks": Rule(
        DROPPED,
        "VASP takes the block behind the total density for the magnetisation of a collinear run, and finds other "
        "records than it expects",
        "Use a file of as many blocks as the run has: 2 with ISPIN = 2, 4 with LNONCOLLINEAR or LSORBIT",
    ),
    "magnetisation-unused": Rule(NOTE, "VASP reads the total density only", "Set ISPIN = 2 if the run is magnetic"),
    "magnetisation-collinear": Rule(
        NOTE, "VASP takes a collinear file and puts its magnetisation along SAXIS", "See that SAXIS is as meant"
    ),
    "magnetisation-zero": Rule(
        MISREAD,
        "A magnetisation that is zero everywhere goes before MAGMOM: the run starts non-magnetic and may stay so",
        "Leave out the second block (VASP then uses MAGMOM), or give the true magnetisation",
    ),
    "taucar": Rule(
        MISREAD,
        "METAGGA with a fixed density needs the kinetic energy density of the same run [inferred]",
        "Copy the TAUCAR beside the CHGCAR (VASP 6.6 and later write it), or run self-consistently",
    ),
    # of a run
    "run-density": Rule(DROPPED, "VASP went on without the density of the file", "See the reason it printed"),
    "run-occupancies": Rule(
        DROPPED,
        "VASP went on without the augmentation occupancies, reportedly without the whole file",
        "Check the file: chgtools check CHGCAR",
    ),
    "run-magnetisation": Rule(
        MISREAD, "The magnetisation was made of MAGMOM", "Check the file's second block: chgtools check CHGCAR"
    ),
}

FIXABLE = frozenset(
    {
        "blank-line",
        "crlf",
        "final-newline",
        "moments-missing",
        "record-header",
        "record-order",
        "separator",
        "stray-blank-line",
        "trailing-text",
    }
)


def finding(
    code: str,
    place: str,
    found: str,
    *,
    icharg: int | None = None,
    later_block: bool = False,
    severity: str | None = None,
    effect: str | None = None,
    mend: str | None = None,
    fixable: bool = False,
) -> Finding:
    """A finding by the rule of its code.

    icharg : of the run, where it is known; later_block : in a block behind the first, which holds no total density
    severity, effect, mend : where they differ from the rule's
    """
    rule = RULES[code]
    severity = severity or rule.severity
    effect = rule.effect if effect is None else effect
    if severity == DENSITY:
        severity = DROPPED if later_block or (icharg is not None and icharg < 10) else REFUSED
        if later_block:
            effect = NO_MAGNETISATION
    return Finding(code, severity, place, found, effect, rule.mend if mend is None else mend, fixable)
