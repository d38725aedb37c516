"""The difference charge density (DCD): made from a CHGCAR, stored, opened, and given back as a density.

DCD = self-consistent density − SAED, on the CHGCAR's grid. It integrates to zero, or to NELECT − ΣZVAL in a charged
cell. Magnetisation blocks are kept as they are: atoms of a SAED have no spin of their own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chgtools.atomic_write import replacing
from chgtools.atoms.choice import Choice, Source, choose
from chgtools.augmentation import record_length
from chgtools.cell import Structure
from chgtools.errors import ChgtoolsError, FormatError, MismatchError, SettingsError
from chgtools.formats import chgcar
from chgtools.structure import as_structure, require_same
from chgtools.superposition import saed
from chgtools.version import package_version
from chgtools.volumetric import Augmentation, VolumetricData, require_density

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.atoms.density import AtomicDensity

FORMAT_NAME = "chgtools difference charge density"
FORMAT_VERSION = 1
# A CHGCAR's mean is good to about 1e-6 of its electrons; 3e-5 leaves room for the 6 decimals of the lattice
ELECTRON_TOLERANCE = 3e-5


@dataclass(frozen=True)
class DifferenceDensity:
    """A training target.

    structure : atoms and cell (the POSCAR's full precision where one was given)
    blocks : [DCD], or with spin [DCD, magnetisation] or [DCD, mx, my, mz]; (nx, ny, nz) Fortran order,
        electrons/Å³ and μ_B/Å³
    saed : the SAED that was subtracted, or None where it was not kept
    labels, zvals : of each group of the structure
    electrons : of the self-consistent density
    augmentation, moments : as in the CHGCAR
    channels : of each group, l of the projectors its records belong to; () where they are not known
    provenance : source file and hashes, tables and versions
    assumptions : sentences on what the input left open
    """

    structure: Structure
    blocks: list[NDArray[np.floating[Any]]]
    saed: NDArray[np.floating[Any]] | None
    labels: tuple[str, ...]
    zvals: tuple[float, ...]
    electrons: float
    augmentation: list[Augmentation] = field(default_factory=list)
    moments: list[NDArray[np.float64]] = field(default_factory=list)
    channels: tuple[tuple[int, ...], ...] = ()
    provenance: dict[str, str] = field(default_factory=dict)
    assumptions: tuple[str, ...] = ()

    @property
    def dcd(self) -> NDArray[np.floating[Any]]:
        """The difference density, (nx, ny, nz), electrons/Å³."""
        return self.blocks[0]

    @property
    def eps_mae_of_saed(self) -> float:
        """ε_mae of the SAED as a prediction, percent: what there is to learn."""
        if self.saed is None:
            raise MismatchError("the SAED was not kept with this DCD; make it again without --no-saed")
        # by planes, so that no second full grid is needed
        reference = sum(
            float(np.abs(self.dcd[:, :, k] + self.saed[:, :, k]).sum(dtype=float)) for k in range(self.dcd.shape[2])
        )
        return 100 * float(np.abs(self.dcd).sum(dtype=float)) / reference

    def density(self) -> VolumetricData:
        """The self-consistent density again: SAED + DCD, with records and moments, as a CHGCAR."""
        if self.saed is None:
            raise MismatchError("the SAED was not kept with this DCD; make it again without --no-saed")
        blocks = [self.saed + self.dcd, *self.blocks[1:]]
        return VolumetricData("CHGCAR", self.structure, blocks, self.augmentation, self.moments)


def difference_density(
    charge: VolumetricData | str | Path,
    structure: Any = None,
    *,
    source: Source | None = None,
    densities: Sequence[AtomicDensity] | None = None,
    nelect: float | None = None,
    dtype: Any = np.float64,
) -> DifferenceDensity:
    """DCD of a self-consistent density.

    charge : a CHGCAR (or CHG), read or as a path
    structure : the POSCAR of its run, at full precision; the file's own header (6 decimals) when None
    source, densities : where the atoms come from (see chgtools.atoms.choice), or one density per group
    nelect : electrons of a charged cell; otherwise the file must hold ΣZVAL
    Raises MismatchError when the structure is not the file's, or ΣZVAL contradicts the file's electrons.
    """
    data = charge if isinstance(charge, VolumetricData) else chgcar.read(charge, dtype=dtype)
    require_density(data)
    atoms, assumptions = _settle_structure(data, structure)
    choice = choose(atoms, source or Source()) if densities is None else Choice(atoms, tuple(densities), ())
    atoms = choice.structure
    electrons = data.electrons
    assert electrons is not None
    check_electrons(data, atoms, choice, electrons, nelect)
    reference = saed(atoms, data.shape, choice.densities).astype(data.total.dtype, copy=False)
    # density x volume is what the file holds: with the POSCAR's own volume the electrons stay the same
    factor = data.structure.volume / atoms.volume
    difference = np.subtract(data.total * factor if factor != 1 else data.total, reference)
    others = [block * factor for block in data.blocks[1:]]
    return DifferenceDensity(
        structure=atoms,
        blocks=[difference, *others],
        saed=reference,
        labels=choice.labels,
        zvals=tuple(density.zval for density in choice.densities),
        electrons=electrons,
        augmentation=data.augmentation,
        moments=data.moments,
        channels=_channels(data, atoms, choice),
        provenance=_provenance(data, choice),
        assumptions=assumptions + choice.assumptions,
    )


def _settle_structure(data: VolumetricData, structure: Any) -> tuple[Structure, tuple[str, ...]]:
    """The structure given, else the POSCAR or CONTCAR beside the file if it is the same, else the file's header."""
    if structure is not None:
        atoms = as_structure(structure)
        require_same(atoms, data.structure)
        return _with_labels(atoms, data.structure), ()
    folder = Path(data.source).parent
    for name in ("POSCAR", "CONTCAR") if data.source else ():
        if (folder / name).is_file():
            try:
                atoms = as_structure(folder / name)
                require_same(atoms, data.structure)
            except ChgtoolsError:
                continue
            return _with_labels(atoms, data.structure), (f"positions of {folder / name}",)
    return data.structure, ("no POSCAR: positions are those of the header, with 6 decimals",)


def _with_labels(atoms: Structure, header: Structure) -> Structure:
    """VASP 6.4 headers name the POTCAR labels, and all of VASP 5 the species a VASP 4 POSCAR lacks."""
    if not all(atoms.species) and all(header.species):
        atoms = atoms.with_changes(species=header.species, counts=header.counts, labels=("",) * len(header.counts))
    return atoms if any(atoms.labels) else atoms.with_changes(labels=header.labels)


def pair_files(files: Sequence[Path]) -> list[tuple[Path, Path | None]]:
    """(CHGCAR, its POSCAR or None) of a list in which a POSCAR stands behind its CHGCAR.

    Names tell which is which; of exactly two files the first is the charge density. Raises SettingsError for a
    POSCAR without a CHGCAR before it.
    """
    if len(files) == 2 and chgcar.kind_of(files[1]) is None:
        return [(files[0], files[1])]
    pairs: list[tuple[Path, Path | None]] = []
    for file in files:
        if chgcar.kind_of(file) is not None or len(files) == 1:
            pairs.append((file, None))
        elif pairs and pairs[-1][1] is None:
            pairs[-1] = (pairs[-1][0], file)
        else:
            raise SettingsError(f"{file}: its name is no CHGCAR's, and no CHGCAR without a POSCAR stands before it")
    return pairs


def _channels(data: VolumetricData, atoms: Structure, choice: Choice) -> tuple[tuple[int, ...], ...]:
    """Of each group: its density's, or those known of its label, if the file's records have their length."""
    from chgtools.atoms.labels import known_facts

    if not data.augmentation:
        return ()
    found, first = [], 0
    for density, count in zip(choice.densities, atoms.counts, strict=True):
        facts = known_facts(density.label)
        channels = density.channels if density.channels is not None or facts is None else facts.channels
        lengths = set(data.augmentation[0].lengths[first : first + count])
        fits = channels is not None and lengths == {record_length(channels)}
        found.append(channels if channels is not None and fits else ())
        first += count
    return tuple(found)


def _provenance(data: VolumetricData, choice: Choice) -> dict[str, str]:
    facts = {"chgtools_version": package_version(), "source_kind": data.kind}
    if data.source:
        facts["source_file"] = Path(data.source).name
        facts["source_sha256"] = _file_hash(Path(data.source))
    for density in choice.densities:
        facts[f"density_{density.label}"] = f"{density.source}; sha256 {density.sha256}"
    return facts


def _file_hash(path: Path) -> str:
    """SHA-256 of the file as it lies there (compressed or not)."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_electrons(
    data: VolumetricData, atoms: Structure, choice: Choice, electrons: float, nelect: float | None
) -> None:
    """Raise MismatchError unless the file holds ΣZVAL electrons, or ``nelect`` where it is given."""
    zval_sum = sum(d.zval * count for d, count in zip(choice.densities, atoms.counts, strict=True))
    wanted = zval_sum if nelect is None else nelect
    if abs(electrons - wanted) <= ELECTRON_TOLERANCE * max(wanted, 1.0) * (1 if data.kind != "CHG" else 10):
        return
    name = data.source or "the file"
    if nelect is not None:
        raise MismatchError(f"{name} holds {electrons:.5f} electrons, NELECT = {nelect:g} is given; they must agree")
    parts = " + ".join(f"{n} x {d.zval:g} ({d.label})" for n, d in zip(atoms.counts, choice.densities, strict=True))
    raise MismatchError(
        f"{name} holds {electrons:.5f} electrons, its atoms {zval_sum:g} = {parts}; {_mend(atoms, electrons)}"
    )


def _mend(atoms: Structure, electrons: float) -> str:
    """Which labels would give the file's electrons."""
    from chgtools.atoms.labels import label_facts, labels_of

    options = []
    for element in dict.fromkeys(atoms.species):
        by_zval: dict[float, str] = {}
        for label in labels_of(element):
            by_zval.setdefault(label_facts(label).zval, label)
        options.append([(element, label, zval) for zval, label in by_zval.items()])
    counts = {e: sum(n for s, n in zip(atoms.species, atoms.counts, strict=True) if s == e) for e in atoms.species}
    fits = []
    if np.prod([len(choices) for choices in options]) <= 100_000:
        for combination in product(*options):
            if abs(sum(counts[element] * zval for element, _, zval in combination) - electrons) < 1e-2:
                fits.append(" ".join(f"--label {element}={label}" for element, label, _ in combination))
    if not fits:
        return "no labels give that count: for a charged cell give --nelect, else the POTCAR of the run by --potcar"
    shown = " or ".join(fits[:3]) + (f" or {len(fits) - 3} more" if len(fits) > 3 else "")
    return f"name the run's potentials: {shown}, or its POTCAR by --potcar"


def write(difference: DifferenceDensity, path: str | Path, keep_saed: bool = True) -> None:
    """Store a DCD as HDF5.

    ``dcd`` and ``saed`` (nz, ny, nx) in electrons/Å³, ``magnetisation`` (1 or 3, nz, ny, nx) in μ_B/Å³: C order as in
    VASP's own HDF5 files, so transpose to get (nx, ny, nz). ``structure`` holds lattice (rows, Å), fractional
    positions, species, counts, labels, zvals, channels; ``augmentation/<block>/<real|imaginary>/<ion>`` and ``moments``
    are as in the CHGCAR. Units and provenance are attributes.
    """
    import h5py

    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["format"], file.attrs["format_version"] = FORMAT_NAME, FORMAT_VERSION
        file.attrs["electrons"] = difference.electrons
        for key, value in difference.provenance.items():
            file.attrs[key] = value
        fields = {"dcd": difference.dcd}
        if keep_saed and difference.saed is not None:
            fields["saed"] = difference.saed
        for name, values in fields.items():
            _describe(file.create_dataset(name, data=values.T), "electrons/angstrom^3")
        if len(difference.blocks) > 1:
            shape = (len(difference.blocks) - 1, *difference.dcd.shape[::-1])
            magnetisation = file.create_dataset("magnetisation", shape, difference.dcd.dtype)
            for index, block in enumerate(difference.blocks[1:]):
                magnetisation[index] = block.T
            _describe(magnetisation, "mu_B/angstrom^3")
        _write_structure(file.create_group("structure"), difference)
        for index, occupancies in enumerate(difference.augmentation):
            for part, records in (("real", occupancies.real), ("imaginary", occupancies.imaginary)):
                for ion, record in enumerate(records or (), 1):
                    file[f"augmentation/{index + 1}/{part}/{ion}"] = record
        if difference.moments:
            file["moments"] = np.array(difference.moments)


def _describe(dataset: Any, unit: str) -> None:
    dataset.attrs["unit"], dataset.attrs["axes"] = unit, "z, y, x (transpose for x, y, z)"


def _write_structure(group: Any, difference: DifferenceDensity) -> None:
    structure = difference.structure
    group["lattice"] = structure.lattice
    group["lattice"].attrs["unit"] = "angstrom, lattice vectors as rows"
    group["fractional"] = structure.frac
    group["counts"] = np.array(structure.counts)
    group["zvals"] = np.array(difference.zvals)
    for name, values in (("species", structure.species), ("labels", difference.labels)):
        group[name] = [value.encode() for value in values]
    if difference.channels:
        group["channels"] = [" ".join(map(str, channels)).encode() for channels in difference.channels]
    group.attrs["comment"] = structure.comment


def read(path: str | Path) -> DifferenceDensity:
    """Open a DCD written by :func:`write`. Raises FormatError when the file is no such thing, or of a newer version."""
    import h5py

    if not Path(path).is_file():
        raise FormatError("no such file; check the name and the folder", path)
    try:
        file = h5py.File(path, "r", locking=False)  # read-only; shared file systems refuse locks
    except OSError as error:
        raise FormatError("is no HDF5 file, or a damaged one; make it again with chgtools make-dcd", path) from error
    with file:
        if file.attrs.get("format") != FORMAT_NAME:
            raise FormatError("is an HDF5 file, but no difference density of chgtools make-dcd", path)
        version = int(file.attrs["format_version"])
        if version > FORMAT_VERSION:
            raise FormatError(
                f"has format version {version}, this chgtools reads up to {FORMAT_VERSION}: upgrade it", path
            )
        group = file["structure"]
        text = {name: tuple(item.decode() for item in group[name][()]) for name in ("species", "labels")}
        structure = Structure(
            group["lattice"][()], text["species"], tuple(int(n) for n in group["counts"][()]), group["fractional"][()],
            text["labels"], str(group.attrs["comment"]), source=str(path),
        )  # fmt: skip
        reserved = ("format", "format_version", "electrons")
        return DifferenceDensity(
            structure=structure,
            blocks=[file["dcd"][()].T, *(block.T for block in file.get("magnetisation", ()))],
            saed=file["saed"][()].T if "saed" in file else None,
            labels=text["labels"],
            zvals=tuple(float(z) for z in group["zvals"][()]),
            electrons=float(file.attrs["electrons"]),
            augmentation=_read_augmentation(file),
            moments=list(file["moments"][()]) if "moments" in file else [],
            channels=_read_channels(group),
            provenance={key: str(value) for key, value in file.attrs.items() if key not in reserved},
        )


def _read_channels(group: Any) -> tuple[tuple[int, ...], ...]:
    """l of the projectors of each group of atoms, as written: "0 0 1 1"; () in files without."""
    texts = group["channels"][()] if "channels" in group else ()
    return tuple(tuple(int(ell) for ell in text.split()) for text in texts)


def _read_augmentation(file: Any) -> list[Augmentation]:
    if "augmentation" not in file:
        return []
    blocks = []
    for index in range(1, len(file["augmentation"]) + 1):
        parts = {
            part: [group[str(ion)][()] for ion in range(1, len(group) + 1)]
            for part, group in file[f"augmentation/{index}"].items()
        }
        blocks.append(Augmentation(parts["real"], parts.get("imaginary")))
    return blocks
