"""The folder of a VASP run: POSCAR, INCAR, POTCAR and KPOINTS, each found once and read once, whatever its compression.

run = RunFolder.around("run/POSCAR.gz")         # any file of the run, or the folder
run.incar.number("ENCUT"), run.tags.blocks, run.structure, run.potcar[0].label
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chgtools.errors import FormatError
from chgtools.formats.streams import SUFFIXES
from chgtools.run.tags import Tags

if TYPE_CHECKING:
    from chgtools.atoms.density import AtomicDensity
    from chgtools.cell import Structure
    from chgtools.formats.incar import Incar
    from chgtools.libraries.choice import Source

POSCAR, INCAR, POTCAR, KPOINTS = INPUTS = ("POSCAR", "INCAR", "POTCAR", "KPOINTS")


@dataclass(frozen=True)
class RunFolder:
    """Where the inputs of a run are.

    folder : None for a run without one (a structure in memory)
    named : input to the path that a caller gave for it; those go before the files of the folder
    atoms : the structure, where it is in memory; it goes before any POSCAR
    """

    folder: Path | None
    named: Mapping[str, Path] = field(default_factory=dict)
    atoms: Structure | None = None

    @classmethod
    def around(cls, start: Any = None, **named: Path | str | None) -> RunFolder:
        """The run that a path belongs to.

        start : a folder, or any file in it; anything else, such as a structure in memory, has no folder
        named : poscar, incar, potcar or kpoints, in place of those in the folder; None for one that is to be looked for
        """
        folder = None
        if isinstance(start, (str, Path)):
            folder = Path(start) if Path(start).is_dir() else Path(start).parent
        return cls(folder, {name.upper(): Path(path) for name, path in named.items() if path is not None})

    def path(self, name: str) -> Path | None:
        """Where an input is, such as "INCAR": the path named, else NAME in the folder, plain before compressed."""
        if name in self.named:
            return self.named[name]
        if self.folder is None:
            return None
        candidates = (self.folder / f"{name}{suffix}" for suffix in ("", *SUFFIXES))
        return next((path for path in candidates if path.is_file()), None)

    def has(self, name: str) -> bool:
        """Whether a file such as WAVECAR lies in the folder."""
        return self.folder is not None and (self.folder / name).is_file()

    def with_named(self, paths: Mapping[str, Path | None]) -> RunFolder:
        """The same run with these inputs counted as named. What was read stays read."""
        named = {**self.named, **{name: path for name, path in paths.items() if path is not None}}
        return self._changed(named=named)

    def of(self, atoms: Structure) -> RunFolder:
        """The same run of atoms that are in memory. What was read stays read."""
        return self._changed(atoms=atoms)

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
        """The INCAR; None without one. Raises FormatError for one that cannot be read."""
        from chgtools.formats.incar import read_incar

        path = self.path(INCAR)
        return None if path is None else read_incar(path)

    @cached_property
    def tags(self) -> Tags:
        """What the INCAR says on the start density; VASP's defaults without an INCAR."""
        return Tags.of(self.incar)

    @cached_property
    def potcar(self) -> list[AtomicDensity] | None:
        """The data sets of the POTCAR; None without one. Raises FormatError for one that cannot be read."""
        from chgtools.formats.potcar import read_potcar

        path = self.path(POTCAR)
        return None if path is None else read_potcar(path)

    @property
    def line_mode(self) -> bool:
        """Whether the KPOINTS is a line of k-points, as for bands; False without one, or with one that is no text."""
        from chgtools.formats.streams import read_bytes

        path = self.path(KPOINTS)
        try:
            lines = [] if path is None else read_bytes(path).splitlines()
        except FormatError:
            return False
        return lines[2:3] != [] and lines[2].strip()[:1].lower() == b"l"

    @property
    def assumptions(self) -> tuple[str, ...]:
        """Which INCAR was found, or that there is none; nothing on one that was named."""
        path = self.path(INCAR)
        if path is None:
            return ("no INCAR: VASP's defaults, no spin polarisation",)
        return () if INCAR in self.named else (f"INCAR: {path}",)

    def source(self, source: Source | None = None) -> Source:
        """``source``, with the POTCAR of the run where it names no origin of the atomic densities itself."""
        from chgtools.libraries.choice import Source

        source = source or Source()
        if source.potcar is None and source.library is None and source.upf is None:
            return replace(source, potcar=self.path(POTCAR))
        return source
