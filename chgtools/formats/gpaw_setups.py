"""GPAW's PAW data sets ("setups"): the XML files that its data package installs, Si.PBE.gz or Ag.11.LDA.gz.

    <paw_dataset> <atom symbol="Si" Z core valence/> <shape_function type="gauss" rc/>
      <valence_states> <state n l f rc e id/> ...            f and n are missing where a channel is not bound
      <radial_grid eq="r=a*i/(n-i)" a n istart iend id/>
      <pseudo_core_density>, <ae_partial_wave state>, <pseudo_partial_wave state>, <projector_function state>

Numbers are radial parts on the mesh, bohr and hartree; densities are to be multiplied by Y_00. The specification is
PAW-XML (esl.cecam.org/paw-xml). GPAW looks for them in the folders of GPAW_SETUP_PATH and in its rc.py; `pip install
gpaw-data` brings them without GPAW.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np

from chgtools.atoms.paw_dataset import PawDataset
from chgtools.errors import FormatError
from chgtools.formats.streams import read_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

INSTALLED = ("/usr/local/share/gpaw-setups", "/usr/share/gpaw-setups")
_RC = re.compile(r"setup_paths\s*(?:\.insert\s*\(\s*0\s*,|\.append\s*\(|\[\s*:0\s*\]\s*=\s*\[)\s*[rRuU]?([\"'])(.+?)\1")
_SHAPES = ("gauss", "sinc", "bessel")
_FARTHEST, _L_MAX = 20.0, 4  # bohr; setups end within four
_LARGEST = 100_000  # points of a mesh; setups have some 300


def folders(*first: Path) -> list[Path]:
    """Where setups are looked for, in this order: ``first``, GPAW_SETUP_PATH, GPAW's rc.py, gpaw-data, usual places."""
    found = [*first, *(Path(name) for name in os.environ.get("GPAW_SETUP_PATH", "").split(os.pathsep) if name)]
    for rc in (Path.home() / ".gpaw" / "rc.py", Path.home() / ".gpaw.py"):
        if rc.is_file():
            found += [Path(match[2]) for match in _RC.finditer(rc.read_text(errors="replace"))]
    package = find_spec("gpaw_data")
    if package is not None and package.origin:
        found.append(Path(package.origin).parent / "setups")
    return [folder for folder in dict.fromkeys([*found, *map(Path, INSTALLED)]) if folder.is_dir()]


def find_setup(element: str, kind: str, functionals: Sequence[str], places: Sequence[Path]) -> Path | None:
    """The file of a setup, or None. kind : "" for GPAW's default, else as "11" of Ag.11; the first functional counts
    that there is one for."""
    names = [".".join(filter(None, (element, kind, functional))) for functional in functionals]
    places_of = (folder / f"{name}{end}" for name in names for folder in places for end in ("", ".gz", ".bz2"))
    return next((path for path in places_of if path.is_file()), None)


@lru_cache(maxsize=64)
def read_setup(path: Path) -> PawDataset:
    """The data set in a file, plain or compressed. Raises FormatError for what is damaged or of another kind."""
    try:
        root = ElementTree.fromstring(read_bytes(path))
        made = _dataset(root)
    except FormatError:
        raise
    except (ElementTree.ParseError, LookupError, ValueError, ArithmeticError) as error:
        raise FormatError(
            f"is damaged, or no PAW data set of GPAW ({error}); install GPAW's setups again", path
        ) from error
    return made


def _dataset(root: ElementTree.Element) -> PawDataset:
    if root.tag not in ("paw_dataset", "paw_setup"):
        raise ValueError(f"its root is {root.tag!r}")
    atom, shape = _child(root, "atom"), _child(root, "shape_function")
    if shape.get("type") not in _SHAPES:
        raise ValueError(f"shape function {shape.get('type')!r}; wanted {', '.join(_SHAPES)}")
    zval, radius = float(atom.attrib["valence"]), float(shape.attrib["rc"])
    if not (zval > 0 and 0 < radius < _FARTHEST):
        raise ValueError(f"{zval:g} valence electrons, rc = {radius:g} bohr")
    r, dr = _mesh(_child(root, "radial_grid"))
    states = [state.attrib for state in root.findall("valence_states/state")]

    def numbers(name: str, default: str = "0") -> NDArray[np.float64]:
        return np.array([float(state.get(name, default)) for state in states])

    def functions(name: str) -> NDArray[np.float64]:
        texts = {found.get("state", ""): found.text or "" for found in root.findall(name)}
        return np.array([_values(texts[state["id"]], len(r), name) for state in states])

    n, electrons, ell, rcut = numbers("n"), numbers("f"), numbers("l", ""), numbers("rc", "")
    if not (((ell >= 0) & (ell <= _L_MAX) & (rcut > 0) & (rcut < _FARTHEST)).all() and len(states)):
        raise ValueError(f"channels of l = {ell} with rc = {rcut} bohr")
    return PawDataset(
        element=atom.attrib["symbol"], zval=zval, r=r, dr=dr,
        ell=ell.astype(int), n=np.where(n > 0, n, 0).astype(int), electrons=electrons,
        energy=numbers("e"), rcut=rcut, waves=functions("ae_partial_wave"),
        smooth_waves=functions("pseudo_partial_wave"), projectors=functions("projector_function"),
        smooth_core=_values(_child(root, "pseudo_core_density").text or "", len(r), "pseudo_core_density"),
        shape=shape.attrib["type"], shape_radius=radius,
    )  # fmt: skip


def _mesh(grid: ElementTree.Element) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n_r,) radii and weights of the three meshes that PAW-XML and GPAW have in common."""
    first, last = int(grid.attrib["istart"]), int(grid.attrib["iend"])
    if not 0 <= first < last < _LARGEST:
        raise ValueError(f"a mesh from {first} to {last}")
    i, a = np.arange(first, last + 1, dtype=float), float(grid.attrib["a"])
    equation = grid.attrib["eq"]
    if equation == "r=a*i/(n-i)":
        n = int(grid.attrib["n"])
        return a * i / (n - i), a * n / (n - i) ** 2
    if equation == "r=a*i/(1-b*i)":
        b = float(grid.attrib["b"])
        return a * i / (1 - b * i), a / (1 - b * i) ** 2
    if equation == "r=a*(exp(d*i)-1)":
        d = float(grid.attrib["d"])
        return a * np.expm1(d * i), a * d * np.exp(d * i)
    raise ValueError(f"the mesh {equation!r}")


def _child(element: Any, name: str) -> ElementTree.Element:
    found: ElementTree.Element | None = element.find(name)
    if found is None:
        raise LookupError(f"no {name}")
    return found


def _values(text: str, count: int, name: str) -> NDArray[np.float64]:
    values = np.array(text.split(), float)
    if len(values) != count or not np.isfinite(values).all():
        raise ValueError(f"{len(values)} numbers of {name}, or one that is not finite; wanted {count}")
    return values
