"""UPF pseudopotential files (Quantum ESPRESSO), version 1 and 2: the atomic valence density PP_RHOATOM.

    <UPF version="2.0.1">                              version 1 has no such line
      <PP_HEADER element="Fe" z_valence="16.00" functional="PBE" .../>
                                                       version 1: one value per line, its name to the right
      <PP_MESH> <PP_R>r, bohr</PP_R> <PP_RAB>dr/di</PP_RAB> </PP_MESH>
      <PP_RHOATOM>4πr² n(r), electrons/bohr; its integral is z_valence</PP_RHOATOM>

The text between tags is found by the tags themselves: PP_INFO of real files holds free ampersands and "<", which stop
XML parsers. bohr is converted to Å here.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from chgtools.atoms.density import AtomicDensity, radial_transform
from chgtools.atoms.labels import all_labels, element_of
from chgtools.elements import SYMBOLS
from chgtools.errors import FormatError, MissingDensityError, SettingsError, naming
from chgtools.formats.potcar_text import line_of, numbers
from chgtools.formats.streams import read_bytes, stem
from chgtools.units import BOHR_ANGSTROM

if TYPE_CHECKING:
    from numpy.typing import NDArray

Q_MAX, Q_STEP = 60.0, 0.01  # 1/bohr; the step keeps a cubic spline good to 1e-7 electrons for atoms of 16 bohr
R_STEP = 0.02  # bohr; wider radial meshes are refined to it, so that sin(Q_MAX r) is resolved
OUTSIDE = 1e-9  # share of the electrons whose radii need no refinement
WRONG_CHARGE = 0.01  # relative error of the integral above which a file is refused
WRONG_MESH = 0.02  # relative difference of PP_RAB from the differences of PP_R above which a file is refused

_ATTRIBUTE = re.compile(rb"""\b(element|z_valence|functional)\s*=\s*["']([^"']*)["']""")


def read_upf(path: str | Path, label: str | None = None) -> AtomicDensity:
    """The density of a UPF file, plain or compressed.

    label : name to give it; by default its element
    The table is scaled to hold z_valence electrons (the tail beyond the mesh is missing in the file).
    Raises FormatError for what is no UPF, for missing parts and where the integral is more than 1 % off z_valence.
    """
    text = read_bytes(path)
    element, zval, functional = _header(text, path)
    r, rab, rho = (_numbers(text, tag, path) for tag in (b"PP_R", b"PP_RAB", b"PP_RHOATOM"))
    if not len(r) == len(rab) == len(rho) or len(r) < 4:
        raise FormatError(
            f"PP_R, PP_RAB and PP_RHOATOM hold {len(r)}, {len(rab)} and {len(rho)} numbers; wanted the same", path
        )
    if (np.diff(r) <= 0).any() or r[0] < 0 or (rab <= 0).any():
        raise FormatError("PP_R does not rise from 0, or PP_RAB is not positive; wanted a radial mesh", path)
    if (np.abs(rab - np.gradient(r))[1:-1] > WRONG_MESH * rab[1:-1]).any():
        raise FormatError("PP_RAB is not dr/di of PP_R; wanted the derivative of the radial mesh", path)
    charge = float(rho @ rab)
    if not abs(charge - zval) <= WRONG_CHARGE * zval:
        raise FormatError(
            f"PP_RHOATOM holds {charge:.6g} electrons, z_valence is {zval:g}; they must agree to 1 %", path
        )
    r, weights = _quadrature(r, rab, rho)
    form = radial_transform(r, weights * (zval / weights.sum()), Q_STEP, round(Q_MAX / Q_STEP) + 1)
    form[0] = zval
    with naming(path):
        return AtomicDensity(
            label=label or element,
            element=element,
            zval=zval,
            q=Q_STEP / BOHR_ANGSTROM * np.arange(form.size, dtype=np.float64),
            form=form,
            source=f"UPF {Path(path).name}",
            xc=functional,
            provenance={"electrons_in_file": charge},
        )


def read_upf_directory(folder: str | Path) -> dict[str, AtomicDensity]:
    """Every UPF file (*.upf, *.UPF, plain or compressed) of a folder, by label.

    The label is the element, or the file's name where that is a POTCAR label of the element (Fe_pv.upf).
    Raises MissingDensityError where there is none, SettingsError for two files of one label.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FormatError("no such folder; wanted a folder of UPF files", folder)
    by_label: dict[str, tuple[Path, AtomicDensity]] = {}
    for path in sorted(folder.iterdir()):
        if not (path.is_file() and stem(path).lower().endswith(".upf")):
            continue
        name = path.name.partition(".")[0]
        density = read_upf(path)
        if name in all_labels() and element_of(name) == density.element:
            density = replace(density, label=name)
        if density.label in by_label:
            raise SettingsError(
                f"{folder} has two UPF files for {density.label}, {by_label[density.label][0].name} and {path.name}; "
                "leave one, or name one by another label, such as Fe_pv.upf"
            )
        by_label[density.label] = path, density
    if not by_label:
        raise MissingDensityError(f"{folder} has no UPF file; wanted *.upf, plain or gz")
    return {label: density for label, (_, density) in by_label.items()}


def _quadrature(
    r: NDArray[np.float64], rab: NDArray[np.float64], rho: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Radii in bohr and the electrons each stands for: the trapezoid rule in the mesh index.

    The rule is exact to all orders for linear and logarithmic meshes, as the integrand is even at 0 and vanishes at the
    end. Where the mesh is wider than R_STEP, the index is refined by cubic splines of r, dr/di and the density.
    """
    shells = np.cumsum(rho * rab)
    needed = int(np.searchsorted(shells, (1 - OUTSIDE) * shells[-1])) + 1
    refine = int(np.ceil(rab[:needed].max() / R_STEP - 1e-9))
    if refine > 1:
        from scipy.interpolate import CubicSpline

        index = np.arange(len(r))
        fine = np.arange((len(r) - 1) * refine + 1) / refine
        r, rab, rho = (CubicSpline(index, values)(fine) for values in (r, rab / refine, rho))
    weights = rho * rab
    weights[[0, -1]] *= 0.5
    return r, weights


def _header(text: bytes, path: str | Path) -> tuple[str, float, str]:
    """Element, z_valence and functional."""
    start, end = text.find(b"<PP_HEADER"), text.find(b"<PP_MESH")
    if start < 0 or end < start:
        raise FormatError("is no UPF file: found no <PP_HEADER and <PP_MESH", path)
    header = text[start:end]
    facts = {name.decode(): value.decode("latin-1").strip() for name, value in _ATTRIBUTE.findall(header)}
    if not facts:
        facts = _header_version_1(header.decode("latin-1"))
    element = facts.get("element", "").capitalize()
    if element not in SYMBOLS:
        raise FormatError(
            f"PP_HEADER: found the element {element!r}; wanted a chemical symbol", path, line_of(text, start)
        )
    try:
        zval = float(facts.get("z_valence", "").upper().replace("D", "E"))
    except ValueError:
        zval = 0.0
    if not zval > 0:
        found = facts.get("z_valence", "none")
        raise FormatError(f"PP_HEADER: found z_valence {found!r}; wanted a positive number", path, line_of(text, start))
    return element, zval, _functional(facts.get("functional", ""))


def _header_version_1(header: str) -> dict[str, str]:
    facts = {}
    for line in header.splitlines():
        words = line.split()
        if line.rstrip().endswith("Element"):
            facts["element"] = words[0]
        elif "Z valence" in " ".join(words):
            facts["z_valence"] = words[0]
        elif "Exchange-Correlation" in line:
            facts["functional"] = line.partition("Exchange-Correlation")[0]
    return facts


def _functional(text: str) -> str:
    """PBE, LDA, PBEsol, or the words of the file."""
    words = text.upper().replace("+", " ").replace("-", " ").split()
    if "PBESOL" in words or "PSX" in words:
        return "PBEsol"
    if "PBE" in words or ("PBX" in words and "PBC" in words):
        return "PBE"
    if "LDA" in words or ("PZ" in words and not set(words) - {"SLA", "PZ", "NOGX", "NOGC"}):
        return "LDA"
    return " ".join(words)


def _numbers(text: bytes, tag: bytes, path: str | Path) -> NDArray[np.float64]:
    """The numbers between <tag ...> and </tag>."""
    start = re.search(rb"<" + tag + rb"(?:\s[^>]*)?>", text)
    end = text.find(b"</" + tag + b">", start.end()) if start else -1
    if start is None or end < 0:
        raise FormatError(f"found no complete <{tag.decode()}>; wanted a UPF file with it, copy it again", path)
    try:
        values = numbers(text[start.end() : end])
    except ValueError as error:
        raise FormatError(f"{tag.decode()}: {error}; copy the file again", path, line_of(text, start.start())) from None
    if not np.isfinite(values).all():
        raise FormatError(f"{tag.decode()}: found NaN or infinity", path, line_of(text, start.start()))
    return values
