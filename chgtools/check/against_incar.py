"""A file against the INCAR: whether VASP will read it at all, its grid, and its blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from chgtools.check.codes import HYBRID_BANDS, finding
from chgtools.check.findings import DROPPED, MISREAD, NOTE, Finding
from chgtools.errors import ChgtoolsError
from chgtools.run.folder import RunFolder
from chgtools.run.remarks import misspelt_prec
from chgtools.run.tags import require_zval, start_moments, weights

if TYPE_CHECKING:
    from chgtools.cell import Structure
    from chgtools.check.inputs import Inputs
    from chgtools.check.scan import Scan
    from chgtools.run.tags import StartMoments, Tags

LONG_ANGSTROM = 50.0
KEPT = 11  # ICHARG that reads a density and keeps it; 12 makes it anew for each geometry
_CHARGE_FROM = {
    0: "takes the density from the WAVECAR's orbitals",
    2: "starts from superposed atoms",
    4: "reads the POT file's potential",
    5: "reads an external density or occupations (DMFT)",
    10: "keeps the density of the WAVECAR's orbitals fixed",
    12: "keeps the superposed atoms fixed",
}


def check(result: Scan, inputs: Inputs, not_checked: list[str]) -> list[Finding]:
    """Findings of an INCAR with which VASP reads the file not at all, or not as it is meant."""
    tags = inputs.tags
    if tags is None:
        place, _, found = inputs.wrong_value.partition(": ")
        return [finding("incar-value", place, found)] if found else []
    structure = inputs.structure if inputs.structure is not None else result.structure
    assert structure is not None
    findings = _statements(inputs) + _icharg(tags, inputs) + _grid(result, inputs, not_checked) + _blocks(result, tags)
    wrong = _wrong_values(structure, tags, inputs)
    findings += wrong or _zero(result, start_moments(structure, tags))
    return (
        findings + _fixed(tags) + _line_mode(tags, inputs) + _long_cell(structure, tags, inputs) + _taucar(tags, inputs)
    )


def _wrong_values(structure: Structure, tags: Tags, inputs: Inputs) -> list[Finding]:
    """Too few moments, weights of another number than the species, a ZVAL that is not the POTCAR's."""
    findings = []
    try:
        start_moments(structure, tags)
        weights(structure, tags)
        if inputs.potcar is not None:
            require_zval(inputs.potcar, tags)
    except ChgtoolsError as error:
        place, _, found = str(error).partition(": ")
        findings.append(finding("incar-value", place, found))
    return findings


def _statements(inputs: Inputs) -> list[Finding]:
    """Statements that VASP passes over: serious where a tag was meant that is not set otherwise."""
    incar = inputs.incar
    assert incar is not None
    findings = []
    for each in incar.ignored:
        lost = bool(each.meant) and each.meant not in incar
        mend = f"Set {each.meant} = ..., if that is meant" if lost else None
        findings.append(
            finding("incar-statement", each.place, each.found, severity=MISREAD if lost else NOTE, mend=mend)
        )
    place, _, found = misspelt_prec(incar).partition(": ")
    return findings + ([finding("incar-statement", place, found)] if found else [])


def _fixed(tags: Tags) -> list[Finding]:
    """What a run cannot do with a density that it keeps."""
    findings = []
    if tags.fixed_density and tags.hybrid:
        found = f"LHFCALC with ICHARG = {tags.icharg}"
        findings.append(finding("hybrid", tags.place("LHFCALC"), found))
    if tags.icharg == KEPT and tags.nsw > 0:
        found = f"NSW = {tags.nsw} with ICHARG = {tags.icharg}: the ions are to move"
        findings.append(finding("fixed-ions", tags.place("NSW"), found))
    return findings


def _long_cell(structure: Structure, tags: Tags, inputs: Inputs) -> list[Finding]:
    """A lattice vector of more than 50 Å, of which VASP warns where AMIN is not small."""
    longest = float(np.linalg.norm(structure.lattice, axis=1).max())
    if longest <= LONG_ANGSTROM or tags.fixed_density or (inputs.incar is not None and "AMIN" in inputs.incar):
        return []
    return [finding("long-cell", tags.path, f"a lattice vector is {longest:.1f} Å long, and AMIN is not set")]


def _line_mode(tags: Tags, inputs: Inputs) -> list[Finding]:
    """Self-consistency on a line of k-points."""
    if not inputs.line_mode or tags.fixed_density:
        return []
    icharg = "no ICHARG" if tags.icharg is None else f"ICHARG = {tags.icharg}"
    found = f"the KPOINTS is a line of k-points, with {icharg} VASP makes the density self-consistent on it"
    mend = HYBRID_BANDS if tags.hybrid else None
    return [finding("line-mode", tags.place("ICHARG"), found, mend=mend)]


def _icharg(tags: Tags, inputs: Inputs) -> list[Finding]:
    """ICHARG that does not read the CHGCAR."""
    if tags.reads_chgcar:
        return []
    if tags.icharg is None:
        wavecar = (inputs.folder / "WAVECAR").is_file()
        istart = inputs.incar.text("ISTART") if inputs.incar is not None else None
        if wavecar and istart != "0":
            found = "ICHARG is not set and a WAVECAR lies in the folder, so that ICHARG = 0"
            effect = "VASP takes the density from the WAVECAR's orbitals and ignores the CHGCAR"
            return [finding("icharg", tags.path, found, effect=effect)]
        found, does = "ICHARG is not set, so that it is 2", _CHARGE_FROM[2]
    else:
        found = f"ICHARG = {tags.icharg}"
        does = _CHARGE_FROM.get(tags.icharg, "is not known to read the CHGCAR")
    return [finding("icharg", tags.place("ICHARG"), found, effect=f"VASP {does} and ignores the CHGCAR")]


def _grid(result: Scan, inputs: Inputs, not_checked: list[str]) -> list[Finding]:
    """The grid VASP will use, by the INCAR's tags or VASP's rule."""
    import warnings

    from chgtools.errors import AssumptionWarning

    wanted = None
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", AssumptionWarning)
            wanted, basis, certain = _wanted_grid(result, inputs)
    except ChgtoolsError as error:
        not_checked.append(f"the grid: {error}")
        return []
    certain = certain and not caught
    basis += "".join(f"; {warning.message}" for warning in caught)
    assert result.shape is not None
    if wanted == result.shape:
        return []
    n = " x ".join(map(str, result.shape))
    found = f"the grid is {n}, VASP will use {' x '.join(map(str, wanted))} ({basis})"
    severity = None if certain else NOTE
    place = f"{result.path}:{result.grid_line}"
    return [finding("grid", place, found, icharg=inputs.icharg, severity=severity, mend=_grid_mend(result.shape))]


def _grid_mend(shape: tuple[int, int, int]) -> str:
    from chgtools.fourier.grids import fft_friendly

    if all(fft_friendly(n) == n for n in shape):
        tags = "; ".join(f"NG{axis}F = {n}" for axis, n in zip("XYZ", shape, strict=True))
        return f"Set {tags} in the INCAR, or make the density on VASP's grid (`chgtools predict`)"
    return "Make the density on VASP's grid (`chgtools predict`): no VASP run has a grid of this size"


def _wanted_grid(result: Scan, inputs: Inputs) -> tuple[tuple[int, int, int], str, bool]:
    """(grid, what it stands on, whether that is certain). Raises ChgtoolsError where it cannot be settled."""
    from chgtools.errors import SettingsError
    from chgtools.run.grid import ENCUT_OF_PREC, GridOptions, grid_settings

    incar = inputs.incar
    structure = inputs.structure if inputs.structure is not None else result.structure
    assert incar is not None
    assert structure is not None
    tags = [incar.integer(tag) for tag in ("NGXF", "NGYF", "NGZF")]
    if None not in tags:
        options, certain, basis = GridOptions(encut=1.0), True, "NGXF, NGYF, NGZF"
        if _needs_enaug(incar.text("PREC")):
            options = GridOptions(encut=1.0, enaug=1.0)
        return grid_settings(structure, (), incar, options).ngf, basis, certain
    options, certain = GridOptions(), True
    potcar = inputs.potcar or []
    if incar.number("ENCUT") is None and not potcar:
        labels = inputs.labels
        if not labels or None in labels:
            raise SettingsError("no ENCUT in the INCAR and no POTCAR with ENMAX, so that VASP's grid is not known")
        enmax = max(facts.enmax for facts in labels if facts is not None)
        factor = ENCUT_OF_PREC.get((incar.text("PREC") or "Normal").lower()[:1], 1.0)
        options, certain = GridOptions(encut=factor * enmax), False
    if not potcar and _needs_enaug(incar.text("PREC")) and incar.number("ENAUG") is None:
        raise SettingsError(f"PREC = {incar.text('PREC')} needs ENAUG, and there is no POTCAR")
    settings = grid_settings(structure, potcar, incar, options)
    known = list(settings.assumptions)
    known += [f"{tag} = {incar.text(tag)}" for tag in ("PREC", "ENCUT") if incar.text(tag)]
    if not certain:
        known.append("ENMAX of the label, which differs from set to set")
    if inputs.structure is None:
        known.append("the header's lattice")
    return settings.ngf, ", ".join(known), certain


def _needs_enaug(prec: str | None) -> bool:
    return (prec or "n").strip().lower()[:1] in ("h", "l", "m")


def _blocks(result: Scan, tags: Tags) -> list[Finding]:
    """Blocks of the file against ISPIN, LNONCOLLINEAR and LSORBIT."""
    blocks, wanted = len(result.blocks), tags.blocks
    if blocks == wanted or blocks not in (1, 2, 4):
        return []
    place = f"{result.path}:{result.grid_line}"
    run = "LNONCOLLINEAR or LSORBIT" if tags.noncollinear else f"ISPIN = {tags.ispin}"
    found = f"the file has {blocks} block{'s' * (blocks > 1)}, a run with {run} has {wanted}"
    if wanted == 1:
        return [finding("magnetisation-unused", place, found)]
    if blocks == 1:
        severity = MISREAD if tags.fixed_density else NOTE
        return [finding("magnetisation-missing", place, found, severity=severity)]
    if blocks == 2:
        return [finding("magnetisation-collinear", place, found)]
    return [finding("magnetisation-blocks", place, found, severity=DROPPED)]


def _zero(result: Scan, start: StartMoments) -> list[Finding]:
    """A magnetisation that is zero everywhere, where the run is meant to be magnetic."""
    if start.values is None or not start.values.any() or len(result.blocks) < 2:
        return []
    if not all(block.zero for block in result.blocks[1:]):
        return []
    found = "the magnetisation is zero everywhere, the moments of the run are not"
    found += f" ({start.assumptions[0]})" if start.assumptions else " (MAGMOM)"
    return [finding("magnetisation-zero", f"{result.path}:{result.grid_line}", found)]


def _taucar(tags: Tags, inputs: Inputs) -> list[Finding]:
    if tags.metagga is None or tags.metagga.upper() in ("NONE", "--") or not tags.reads_chgcar:
        return []
    if RunFolder.around(inputs.folder).path("TAUCAR") is not None:
        return []
    found = f"METAGGA = {tags.metagga} with ICHARG = {tags.icharg}, and no TAUCAR in the folder"
    if tags.fixed_density:
        return [finding("taucar", tags.place("METAGGA"), found)]
    effect = "VASP starts without a kinetic energy density, until it is first updated after NELMDL steps"
    return [finding("taucar", tags.place("METAGGA"), found, severity=NOTE, effect=effect)]
