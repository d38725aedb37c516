"""Libraries of atomic densities, stored as HDF5.

    /                    attributes format, format_version, chgtools_version, unit_q (1/angstrom), unit_form
                         (electrons), unit_energy (eV), and what the maker adds on provenance
    /PBE/Fe_pv           one group per functional and label ("unknown" where the functional is not known); attributes
                         element, zval, q_step (1/Å), source, and where known channels, enmax, eaug (eV) and
                         provenance_<name>
    /PBE/Fe_pv/form      (n_q,) float64, electrons, f(q) at q = 0, q_step, 2 q_step, ...; equal tables are one data set
    /PBE/Fe_pv/occupancies   (n_channels, n_channels), where known
    /PBE/Fe_pv/mean_occupancies   (n_channels, n_channels), mean of reference CHGCARs, where made; since version 2

A library without mean_occupancies is written as version 1, which older releases read; they refuse one that has them.

A user's library and the built-in one (which holds PBE and LDA) have the same layout.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chgtools.atoms.density import AtomicDensity
from chgtools.atoms.labels import UnknownLabelError, nearby
from chgtools.display.shown import Shown
from chgtools.errors import (
    AssumptionWarning,
    ChgtoolsError,
    FormatError,
    MismatchError,
    MissingDensityError,
    SettingsError,
)
from chgtools.formats import hdf5

if TYPE_CHECKING:
    import h5py

KIND = hdf5.Kind("chgtools atomic densities", 2, "library of atomic densities", "chgtools densities build")
FIRST_SHOWN = 6  # labels of a library in its repr
BUILTIN_FILE = "atomic_densities.h5"
_NO_XC = "unknown"
_MEND = "build the library again"
_UNITS = {"unit_q": "1/angstrom", "unit_form": "electrons", "unit_energy": "eV"}


class DensityLibrary(Shown, Mapping[str, AtomicDensity]):
    """Label to AtomicDensity. Entries of a file are read when they are asked for.

    Keys are POTCAR labels (``Fe_pv``), never elements alone. An unknown label raises UnknownLabelError, a
    MissingDensityError and KeyError, which names the labels there are of the same element.
    """

    def __init__(self, densities: Iterable[AtomicDensity] = (), source: str = "this library") -> None:
        self.source = source
        self._densities: dict[str, AtomicDensity] = {}
        self._stored: dict[str, str] = {}  # label to its group in the file
        self._path: Path | None = None
        for density in densities:
            self.add(density)

    @classmethod
    def open(cls, path: str | Path, xc: str | None = None) -> DensityLibrary:
        """A library file.

        xc : take only this functional; needed when a label is there for several
        Raises FormatError for a file that is no library, SettingsError for a functional that is not there or is needed.
        """
        library = cls(source=str(path))
        library._path = Path(path)
        with hdf5.reading(path, KIND) as file, hdf5.sense(path, _MEND):
            labels = {name: list(file[name]) for name in file if hasattr(file[name], "keys")}
        if xc is not None and xc not in labels:
            raise SettingsError(f"{path} has no densities for {xc}; it has {', '.join(labels) or 'none'}")
        for name in labels if xc is None else [xc]:
            library._index(name, labels[name])
        return library

    def _index(self, functional: str, labels: Iterable[str]) -> None:
        """Take in where the file has the labels of one functional."""
        for label in labels:
            if label in self._stored:
                raise SettingsError(
                    f"{self._path} holds {label} for {self._stored[label].split('/')[1]} and {functional}; "
                    "name the functional"
                )
            self._stored[label] = f"/{functional}/{label}"

    @classmethod
    def builtin(cls, xc: str = "PBE") -> DensityLibrary:
        """The library that ships with chgtools; xc : "PBE" or "LDA"."""
        library = cls.open(builtin_path(), xc)
        library.source = f"the built-in library ({xc})"
        return library

    @classmethod
    def from_potcar(cls, path: str | Path) -> DensityLibrary:
        """Every data set of a POTCAR, or of all POTCARs in a folder tree.

        In a tree, a POTCAR that cannot be read is left out with an AssumptionWarning. Raises MismatchError for a label
        with two different data sets, as in a folder of several releases.
        """
        from chgtools.formats.potcar import potcars_in, read_potcar

        if not Path(path).is_dir():
            return cls(read_potcar(path), source=str(path))
        library = cls(source=str(path))
        for file in potcars_in(path):
            try:
                sets = read_potcar(file)
            except FormatError as error:
                warnings.warn(f"left out, {error}", AssumptionWarning, stacklevel=2)
                continue
            for density in sets:
                library.add(density)
        if not library:
            raise MissingDensityError(f"{path} has no POTCAR that can be used; each is named above")
        return library

    @classmethod
    def from_upf(cls, folder: str | Path) -> DensityLibrary:
        """Every UPF file of a folder, each under its element."""
        from chgtools.formats.upf import read_upf_directory

        return cls(read_upf_directory(folder).values(), source=str(folder))

    @classmethod
    def gathered(
        cls, potcars: Iterable[str | Path] = (), upfs: Iterable[str | Path] = (), tables: Iterable[str | Path] = ()
    ) -> DensityLibrary:
        """All of several sources; potcars : files or folder trees; upfs : folders; tables : text tables of one density.

        Raises what the single sources do, and MismatchError for a label that two of them have unlike.
        """
        from chgtools.formats.table import read_table

        library = cls()
        for path in potcars:
            for density in cls.from_potcar(path).values():
                library.add(density)
        for folder in upfs:
            for density in cls.from_upf(folder).values():
                library.add(density)
        for path in tables:
            library.add(read_table(path))
        return library

    def add(self, density: AtomicDensity) -> None:
        """Take one more density in. Raises MismatchError when its label is there with another table."""
        known = self.get(density.label)
        if known is not None and known.sha256 != density.sha256:
            raise MismatchError(
                f"two different densities are named {density.label}: {known.source} and {density.source}; "
                "build a library from one of them"
            )
        self._densities[density.label] = density

    def write(self, path: str | Path) -> None:
        """Store the library; see :func:`write_densities`."""
        write_densities(path, self.values())

    def __getitem__(self, label: str) -> AtomicDensity:
        if label not in self._densities:
            if label not in self._stored or self._path is None:
                raise UnknownLabelError(
                    f"no density for {label!r} in {self.source}; {nearby(label, dict.fromkeys(self))}"
                )
            with hdf5.reading(self._path, KIND) as file:
                self._densities[label] = _read(file, self._stored[label], self._path)
        return self._densities[label]

    def __contains__(self, label: object) -> bool:
        return label in self._densities or label in self._stored

    def __iter__(self) -> Iterator[str]:
        yield from self._stored
        yield from (label for label in self._densities if label not in self._stored)

    def shown(self) -> dict[str, object]:
        """For people: how many densities, the first labels, and where they come from."""
        first = ", ".join(label for label, _ in zip(self, range(FIRST_SHOWN), strict=False))
        return {
            "densities": len(self),
            "labels": f"{first}, ..." if len(self) > FIRST_SHOWN else first,
            "from": self.source,
        }

    def __len__(self) -> int:
        return len(self._stored.keys() | self._densities.keys())


def builtin_path() -> Path:
    """The built-in library: in the installed package, or beside it in a checkout.

    Raises ChgtoolsError when it is in neither.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package, package.parent):
        path = folder / "potcar_densities" / BUILTIN_FILE
        if path.is_file():
            return path
    raise ChgtoolsError(
        f"the built-in library potcar_densities/{BUILTIN_FILE} is missing; install chgtools again, "
        f"or remake it by python -m chgtools.libraries.builtin -o {BUILTIN_FILE}"
    )


def write_densities(
    path: str | Path, densities: Iterable[AtomicDensity], attributes: Mapping[str, str | float] | None = None
) -> None:
    """Write a library file, complete or not at all; densities of several functionals may be mixed.

    attributes : what else to say of the whole file, such as the program that made it
    Raises MismatchError for a label that comes twice with one functional, ChgtoolsError when writing fails.
    """
    tables: dict[bytes, h5py.Dataset] = {}
    with hdf5.writing(path, KIND, compact=True) as file:
        file.attrs["format_version"] = 1
        file.attrs.update({**_UNITS, **(attributes or {})})
        for density in densities:
            if not density.label or "/" in density.label:
                raise ChgtoolsError(f"{path}: {density.label!r} is no label to store by; wanted one such as Fe_pv")
            name = f"/{density.xc or _NO_XC}/{density.label}"
            if name in file:
                raise MismatchError(
                    f"{path}: the density {density.label} ({density.xc or 'no functional'}) comes twice"
                )
            group = file.create_group(name)
            _write_facts(group, density)
            if density.mean_occupancies is not None:
                file.attrs["format_version"] = 2
            key = density.form.tobytes()
            if key in tables:
                group["form"] = tables[key]
            else:  # in one chunk: the index of two takes 4 % of the built-in library
                tables[key] = group.create_dataset(
                    "form", data=density.form, compression=9, shuffle=True, chunks=density.form.shape
                )


def _write_facts(group: h5py.Group, density: AtomicDensity) -> None:
    group.attrs["element"], group.attrs["zval"] = density.element, density.zval
    group.attrs["q_step"], group.attrs["source"] = density.q[1], density.source
    for name in ("enmax", "eaug", "channels"):
        if getattr(density, name) is not None:
            group.attrs[name] = getattr(density, name)
    for name, value in density.provenance.items():
        group.attrs[f"provenance_{name}"] = value
    for name in ("occupancies", "mean_occupancies"):
        if getattr(density, name) is not None:
            group[name] = getattr(density, name)


def _read(file: h5py.File, name: str, path: Path) -> AtomicDensity:
    """One entry of an open file."""
    _, xc, label = name.split("/")
    with hdf5.sense(path, _MEND, f"the entry {name}"):
        group = file[name]
        facts: dict[str, Any] = {
            key: value.item() if isinstance(value, np.generic) else value for key, value in group.attrs.items()
        }
        form = hdf5.numbers(group, "form", ndim=1)
        return AtomicDensity(
            label=label,
            element=facts["element"],
            zval=facts["zval"],
            q=facts["q_step"] * np.arange(form.size),
            form=form,
            source=facts["source"],
            xc="" if xc == _NO_XC else xc,
            channels=None if "channels" not in facts else tuple(facts["channels"]),
            occupancies=hdf5.numbers(group, "occupancies") if "occupancies" in group else None,
            mean_occupancies=hdf5.numbers(group, "mean_occupancies") if "mean_occupancies" in group else None,
            enmax=facts.get("enmax"),
            eaug=facts.get("eaug"),
            provenance={k.removeprefix("provenance_"): v for k, v in facts.items() if k.startswith("provenance_")},
        )
