"""The folder of a VASP run: POSCAR, INCAR, POTCAR and KPOINTS, each found once and read once, whatever its compression.

run = RunFolder.around("run/POSCAR.gz")         # any file of the run, or the folder
run = RunFolder.around("run/CHGCAR.relax2.gz")  # a step of a run: INCAR.relax2.gz goes before INCAR
run.incar.number("ENCUT"), run.tags.blocks, run.structure, run.potcar[0].label
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chgtools.errors import FormatError
from chgtools.formats import archives
from chgtools.formats.carried import Carried, carried_by
from chgtools.formats.potcar_spec import NAMES as POTCAR_SPECS
from chgtools.formats.quantum_espresso import holds_run_with_upf
from chgtools.formats.streams import SUFFIXES, is_there, stem
from chgtools.run.tags import Tags

if TYPE_CHECKING:
    from chgtools.atoms.density import AtomicDensity
    from chgtools.cell import Structure
    from chgtools.formats.incar import Incar
    from chgtools.formats.structures import StructureLike
    from chgtools.libraries.choice import Source

POSCAR, INCAR, POTCAR, KPOINTS = INPUTS = ("POSCAR", "INCAR", "POTCAR", "KPOINTS")
# custodian and atomate keep the files of each step of a run as INCAR.relax1, CHGCAR.relax2, POSCAR.orig
_OF_A_STEP = re.compile(r"(?:POSCAR|INCAR|POTCAR|KPOINTS|CONTCAR|CHGCAR|CHG|AECCAR[012]|PARCHG|LOCPOT|ELFCAR)(\..+)")


@dataclass(frozen=True)
class RunFolder:
    """Where the inputs of a run are.

    folder : None for a run without one (a structure in memory)
    step : how names of its files end where the folder keeps several steps, such as ".relax2"; "" for one
    named : input to the path that a caller gave for it; those go before the files of the folder
    atoms : the structure, where it is in memory; it goes before any POSCAR
    given : an INCAR in memory; it goes before the folder's
    carried : moments and charge that an object in memory has. An INCAR file goes before them, since it is what VASP
        will read; tags in memory leave open what they do not name, as the input sets of pymatgen and ASE take them
    """

    folder: Path | None
    named: Mapping[str, Path] = field(default_factory=dict)
    atoms: Structure | None = None
    step: str = ""
    given: Incar | None = None
    carried: Carried = field(default_factory=Carried)

    @classmethod
    def around(
        cls,
        start: StructureLike | None = None,
        *,
        incar: Path | str | Mapping[str, Any] | None = None,
        **named: Path | str | None,
    ) -> RunFolder:
        """The run that a path belongs to.

        start : a folder, or any file in it, in an archive too; anything else, such as a structure in memory, has no
            folder
        incar : a file, or tags and their values (see chgtools.formats.incar.incar_of)
        named : poscar, potcar or kpoints. All in place of those in the folder; None for one that is to be looked for
        """
        from chgtools.formats.incar import incar_of

        given = incar_of(incar) if isinstance(incar, Mapping) else None
        if not isinstance(incar, Mapping):
            named["incar"] = incar
        folder, step = None, ""
        if isinstance(start, (str, Path)):
            folder = Path(start) if Path(start).is_dir() else _folder_of(start)
            of_a_step = _OF_A_STEP.fullmatch(stem(start))
            step = of_a_step[1] if of_a_step and folder != Path(start) else ""
        named_paths = {name.upper(): Path(path) for name, path in named.items() if path is not None}
        return cls(folder, named_paths, step=step, given=given, carried=carried_by(start))

    @classmethod
    def structure_file(cls, start: StructureLike) -> StructureLike:
        """The POSCAR of a run folder; anything else as it is. Raises FormatError for a folder without one."""
        if not isinstance(start, (str, Path)) or not Path(start).is_dir():
            return start
        path = cls.around(start).path(POSCAR)
        if path is None:
            raise FormatError("is a folder without a POSCAR; name the structure", start)
        return path

    def path(self, name: str) -> Path | None:
        """Where an input is, such as "INCAR": the path named, else NAME in the folder, plain before compressed."""
        return next(iter(self._copies(name)), None)

    def found(self, name: str) -> str:
        """Where an input that is there is, for a note; with its compressed copies, which are not read."""
        first, *others = self._copies(name)
        if first.parent == self.band:
            return f"{first} (the folder is an image of the run one folder up)"
        unread = ", ".join(path.name for path in others)
        return f"{first} ({unread} beside it {'is' if len(others) == 1 else 'are'} not read)" if others else str(first)

    def _copies(self, name: str) -> list[Path]:
        """The files that are an input, the one that counts first; [] for one that is not there."""
        if name in self.named:
            return [self.named[name]]
        if self.folder is None:
            return []
        for base in dict.fromkeys((f"{name}{self.step}", name)):
            if there := _there(self.folder, base):
                return there
        return _there(self.band, name) if name != POSCAR and self.band is not None else []

    @cached_property
    def band(self) -> Path | None:
        """The folder above, where this one (00, 01, ...) holds an image of its run; None where it does not.

        VASP takes INCAR, POTCAR and KPOINTS of a nudged elastic band from there (IMAGES on the VASP wiki).
        """
        from chgtools.formats.incar import read_incar

        if self.folder is None or not re.fullmatch(r"\d\d", self.folder.resolve().name) or _there(self.folder, INCAR):
            return None
        above = self.folder.parent if self.folder.name else self.folder.resolve().parent
        return above if any("IMAGES" in read_incar(path) for path in _there(above, INCAR)[:1]) else None

    def with_named(self, paths: Mapping[str, Path | None]) -> RunFolder:
        """The same run with these inputs counted as named. What was read stays read."""
        named = {**self.named, **{name: path for name, path in paths.items() if path is not None}}
        return self._changed(named=named)

    def of(self, atoms: Structure) -> RunFolder:
        """The same run of atoms that are in memory. What was read stays read."""
        return self._changed(atoms=atoms)

    def of_object(self, source: Any) -> RunFolder:
        """The same run, with what an object that was read from a file says beside its atoms."""
        return replace(self, carried=carried_by(source))

    def with_electrons(self, nelect: float) -> RunFolder:
        """The same run with this NELECT."""
        run = self._changed()
        run.__dict__["tags"] = replace(self.tags, nelect=nelect)
        return run

    def _changed(self, **changes: Any) -> RunFolder:
        run = replace(self, **changes)
        for name in ("incar", "tags", "potcar"):
            if name in self.__dict__:
                run.__dict__[name] = self.__dict__[name]
        return run

    @cached_property
    def structure(self) -> Structure | None:
        """The atoms in memory, else the POSCAR; None without one. Raises FormatError for one that cannot be read."""
        from chgtools.formats.structures import as_structure

        path = self.path(POSCAR)
        return self.atoms if self.atoms is not None or path is None else as_structure(path)

    @cached_property
    def incar(self) -> Incar | None:
        """The INCAR, that in memory first; None without one. Raises FormatError for one that cannot be read."""
        from chgtools.formats.incar import read_incar

        if self.given is not None:
            return self.given
        path = self.path(INCAR)
        return None if path is None else read_incar(path)

    @cached_property
    def tags(self) -> Tags:
        """What the INCAR says on the start density; where it is no file the object's moments, then VASP's defaults."""
        tags = Tags.of(self.incar)
        return tags if self.has_incar_file else tags.with_moments(self.carried.moments)

    @property
    def has_incar_file(self) -> bool:
        """Whether an INCAR that VASP will read as it is says what the run does."""
        return self.given is None and self.path(INCAR) is not None

    @cached_property
    def potcar(self) -> list[AtomicDensity] | None:
        """The data sets of the POTCAR; None without one. Raises FormatError for one that cannot be read."""
        from chgtools.formats.potcar import read_potcar

        path = self.path(POTCAR)
        return None if path is None else read_potcar(path)

    def labelled(self, structure: Structure, named: Collection[str] = ()) -> tuple[Structure, tuple[str, ...]]:
        """The structure with the labels of a POTCAR.spec, where it has none itself, and what is to be said of it.

        named : species whose labels are given otherwise. Raises FormatError for a POTCAR.spec that cannot be read.
        """
        from chgtools.atoms.labels import element_of
        from chgtools.formats.potcar_spec import read_potcar_spec

        path = next((path for name in POTCAR_SPECS if (path := self.path(name)) is not None), None)
        if path is None or any(structure.labels):
            return structure, ()
        labels = read_potcar_spec(path)
        if tuple(map(element_of, labels)) != structure.group_elements:
            groups = " ".join(structure.group_elements)
            return structure, (f"{path} is not used: it names {' '.join(labels)}, the groups of atoms are {groups}",)
        pairs = dict.fromkeys(pair for pair in zip(structure.species, labels, strict=True) if pair[0] not in named)
        said = ", ".join(f"{species} = {label}" for species, label in pairs)
        return structure.with_changes(labels=labels), ((f"labels: {said} ({path})",) if said else ())

    @property
    def line_mode(self) -> bool:
        """Whether the KPOINTS is a line of k-points, as for bands; False without one, or with one that is no text."""
        from chgtools.formats.kpoints import LINE, kind_of_kpoints

        path = self.path(KPOINTS)
        return path is not None and kind_of_kpoints(path) == LINE

    @property
    def assumptions(self) -> tuple[str, ...]:
        """Which INCAR was found, or that there is none; nothing on one that was named. Copies of the POTCAR too."""
        if self.incar is None:
            return self._without_incar()
        copies = tuple(f"{path} is not read: {self.path(POTCAR)} goes first" for path in self._copies(POTCAR)[1:])
        if self.given is not None and self.path(INCAR) is not None:
            copies += (f"{self.path(INCAR)} is not read: tags are given in its place",)
        copies += self._on_the_moments()
        found = self.has_incar_file and INCAR not in self.named
        return (f"INCAR: {self.found(INCAR)}", *copies) if found else copies

    def _without_incar(self) -> tuple[str, ...]:
        if self.carried.moments is None:
            return ("no INCAR: VASP's defaults, no spin polarisation",)
        spin = "LNONCOLLINEAR = .TRUE." if self.carried.moments.ndim == 2 else "ISPIN = 2"
        said = f"no INCAR: {spin} and the MAGMOM of the {self.carried.source}, else VASP's defaults"
        return (said, *self.carried.assumptions)

    def _on_the_moments(self) -> tuple[str, ...]:
        """Which moments count where there are an INCAR and an object that has some."""
        if self.carried.moments is None:
            return ()
        source, tags = self.carried.source, self.tags
        if "MAGMOM" in tags.lines:
            return (f"MAGMOM: that of the INCAR, not of the {source}",)
        if self.has_incar_file:
            return (f"the moments of the {source} are not used: the INCAR, which goes first, has no MAGMOM",)
        if tags.magmom is None:
            why = "ISPIN = 1" if tags.ispin == 1 and "ISPIN" in tags.lines else "they are vectors, the run is collinear"
            return (f"the moments of the {source} are not used: {why}",)
        spin = "LNONCOLLINEAR = .TRUE." if tags.noncollinear else "ISPIN = 2"
        open_ = not {"ISPIN", "LNONCOLLINEAR", "LSORBIT"} & set(tags.lines)
        return (f"{f'{spin} and ' if open_ else ''}MAGMOM: that of the {source}", *self.carried.assumptions)

    def source(self, source: Source | None = None) -> Source:
        """``source``, with the POTCAR of the run where it names no origin of the atomic densities itself.

        In a PREFIX.save of Quantum ESPRESSO these are the UPF files, which pw.x copies into it.
        """
        from chgtools.libraries.choice import Source

        source = source or Source()
        if source.potcar is None and source.library is None and source.upf is None:
            upf = self.folder if self.folder is not None and holds_run_with_upf(self.folder) else None
            return replace(source, upf=upf) if upf is not None else replace(source, potcar=self.path(POTCAR))
        return source


def _there(folder: Path, base: str) -> list[Path]:
    """Files of that name in a folder, plain before compressed."""
    copies = [folder / f"{base}{suffix}" for suffix in ("", *SUFFIXES)]
    return [path for path in copies if is_there(path)]


def _folder_of(path: str | Path) -> Path | None:
    """Where a file lies; of a member of an archive within that; None of a row of a table, which has nothing beside."""
    if not archives.split(path)[1]:
        return Path(path).parent
    return archives.folder_of(path) if archives.is_member(path) else None
