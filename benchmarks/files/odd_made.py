"""Small inputs of the kinds in docs/explanation/inputs.md, with what is in them: odd_inputs.py reads them.

Every number is chosen here and printed here, by no reader's or writer's library; truths are the numbers as printed.
Kinds that VASP itself reads wrong, and damaged files, for which only a refusal is right, are in peers.py.
"""

from __future__ import annotations

import gzip
import json
import lzma
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chgtools.units import BOHR_ANGSTROM

LATTICE = np.array([[4.0, 0.0, 0.0], [1.3, 3.6, 0.0], [-0.7, 0.9, 5.1]])
VOLUME = 4.0 * 3.6 * 5.1  # Å³
FRAC = np.array([[0.0, 0.0, 0.0], [0.5, 0.48, 0.1], [0.25, 0.9, 0.6]])
SHAPE = (6, 3, 2)
ELECTRONS = 12


@dataclass(frozen=True, eq=False)
class Atoms:
    """lattice : (3, 3) Å, rows; symbols : one per atom, "" where the file names none; frac : (n, 3)

    moments : μ_B, None where the file has none
    vasp4 : whether VASP takes the names from elsewhere, so that a reader that gives none is right too
    """

    lattice: np.ndarray
    symbols: tuple[str, ...]
    frac: np.ndarray
    moments: tuple[float, ...] | None = None
    vasp4: bool = False


@dataclass(frozen=True, eq=False)
class Density:
    """blocks : (nx, ny, nz) each, electrons/Å³ and μ_B/Å³"""

    atoms: Atoms
    blocks: tuple[np.ndarray, ...]

    @property
    def electrons(self) -> float:
        return float(self.blocks[0].mean() * abs(np.linalg.det(self.atoms.lattice)))


@dataclass(frozen=True, eq=False)
class Case:
    """group : of the table; kind : which reader; file : its name

    truth : Density; Atoms, or a list of them; for an INCAR tag to value, None where VASP does not set it
    """

    group: str
    kind: str
    name: str
    file: str
    content: str | bytes
    truth: Any


SALT = Atoms(LATTICE, ("Na", "Cl", "Cl"), FRAC)


def cases() -> list[Case]:
    return [*densities(), *spin_densities(), *chgcars_by_others(), *xsf_files(), *cube_files(), *poscars(),
            *scales_and_numbers(), *names_of_species(), *other_structures(), *trajectories(), *incars()]  # fmt: skip


# --- the VASP family on a grid --------------------------------------------------------------------------------------


def e17(value: float) -> str:
    """1X,E17.11 of Fortran: 0.12345678901E+02, and -.12345678901E+02."""
    mantissa, _, exponent = f"{abs(value):.10E}".partition("E")
    sign = "-" if value < 0 else "0"
    power = int(exponent) + 1 if value else 0
    return f" {sign}.{mantissa.replace('.', '')}E{power:+03d}"


def g11(value: float) -> str:
    """1X,G11.5 of Fortran, of a number from 1 to 99999."""
    return f" {value:7.{5 - len(str(int(value)))}f}    "


def lines(words: list[str], columns: int) -> list[str]:
    return ["".join(words[i : i + columns]) for i in range(0, len(words), columns)]


def numbers(shape: tuple[int, int, int], electrons: float, seed: int = 0) -> np.ndarray:
    """Density x volume along x fastest, as VASP prints it: between 0.55 and 1.65 times its mean."""
    values = np.random.default_rng(seed).uniform(0.5, 1.5, int(np.prod(shape)))
    return values * electrons / values.mean()


def head(names: str = "   Na   Cl", counts: str = "     1     2", frac: np.ndarray = FRAC) -> list[str]:
    cell = ["".join(f"{x:12.6f}" for x in row) for row in LATTICE]
    return ["odd input", "   1.00000000000000", *cell, names, counts, "Direct",
            *("".join(f"{x:10.6f}" for x in row) for row in frac), " "]  # fmt: skip


def text(*parts: list[str]) -> str:
    return "\n".join(line for part in parts for line in part) + "\n"


def grid_line(shape: tuple[int, int, int]) -> list[str]:
    return ["".join(f"{n:5d}" for n in shape)]


def density(words: list[str], shape: tuple[int, int, int] = SHAPE, atoms: Atoms = SALT) -> Density:
    values = np.array([float(word) for word in words]) / abs(np.linalg.det(atoms.lattice))
    return Density(atoms, (values.reshape(shape, order="F"),))


def densities() -> Iterator[Case]:
    def made(name: str, file: str, content: str | bytes, truth: Density) -> Case:
        return Case("grid", "density", name, file, content, truth)

    words = [e17(x) for x in numbers(SHAPE, ELECTRONS)]
    start = [*head(), *grid_line(SHAPE)]
    plain = text(start, lines(words, 5))
    yield made("CHGCAR of VASP", "CHGCAR", plain, density(words))
    yield made("CHGCAR.gz", "CHGCAR.gz", gzip.compress(plain.encode()), density(words))
    zeros = [e17(0.0)] * 4  # 36 numbers and four zeros are eight full lines
    yield made("last line filled up with zeros", "CHGCAR_sum", text(start, lines(words + zeros, 5)), density(words))

    words = [g11(x) for x in numbers(SHAPE, 36 * ELECTRONS)]
    words[13] = g11(10.0)
    rows = lines(words, 10)
    yield made("CHG of VASP", "CHG", text(start, rows), density(words))
    wider = lines([*words[:13], "  10.0000    ", *words[14:]], 10)
    yield made("CHG, 10.0000 one column wider", "CHG", text(start, wider), density(words))
    yield made("CHG, a line shifted by two columns", "CHG", text(start, rows[:1], ["  " + rows[1]], rows[2:]),
               density(words))  # fmt: skip
    for name, row in (("two lines joined", rows[1]), ("the same without blanks between", rows[1].rstrip())):
        joined = text(start, rows[:1], [row + rows[2]], rows[3:])
        yield made(f"CHG, {name}", "CHG", joined, density(words))
    yield made(
        "CHG, no blanks at the ends of lines", "CHG", text(start, [row.rstrip() for row in rows]), density(words)
    )
    yield from lists_of_numbers(start)
    yield wrapped_density()
    three = Atoms(LATTICE, ("Ni", "Ni", "O"), FRAC)
    groups = head("   Ni   Ni   O", "     1     1     1")
    words = [e17(x) for x in numbers(SHAPE, ELECTRONS)]
    yield made("Ni Ni O in three groups", "CHGCAR", text(groups, grid_line(SHAPE), lines(words, 5)),
               density(words, SHAPE, three))  # fmt: skip


def lists_of_numbers(start: list[str]) -> Iterator[Case]:
    """As WRITE (*,*) of some compilers prints them."""
    words = [f"{x:.6f}" for x in numbers(SHAPE, ELECTRONS)]
    rows = [", ".join(words[i : i + 6]) for i in range(0, 36, 6)]
    yield Case("grid", "density", "numbers with commas", "CHGCAR", text(start, rows), density(words))
    rows = [" ".join(words[i : i + 6]) for i in range(0, 30, 6)]
    rows.append(f"{words[30]} {words[31]} 4*{words[32]}")
    truth = density([*words[:32], *words[32:33] * 4])
    yield Case("grid", "density", "numbers with repeats, 4*0.3", "CHGCAR", text(start, rows), truth)


def wrapped() -> tuple[list[str], list[str], Atoms]:
    """(lines of names, lines of counts, atoms) of 25 groups, 20 to a line."""
    names = [("Fe", "Cr", "Ni")[i % 3] for i in range(25)]
    counts = [1 + i % 2 for i in range(25)]
    symbols = tuple(name for name, count in zip(names, counts, strict=True) for _ in range(count))
    frac = np.random.default_rng(4).uniform(0, 1, (len(symbols), 3)).round(6)
    return (lines([f"   {name:2s}" for name in names], 20), lines([f"{count:6d}" for count in counts], 20),
            Atoms(LATTICE, symbols, frac))  # fmt: skip


def wrapped_density() -> Case:
    names, counts, atoms = wrapped()
    words = [e17(x) for x in numbers(SHAPE, 8.0 * len(atoms.symbols))]
    start = head("\n".join(names), "\n".join(counts), atoms.frac)
    content = text(start, grid_line(SHAPE), lines(words, 5))
    return Case("grid", "density", "25 groups of species, wrapped", "CHGCAR", content, density(words, SHAPE, atoms))


def spin_densities() -> Iterator[Case]:
    """Two blocks with records and moments; what other programs do to the lines between them."""
    words = [e17(x) for x in numbers(SHAPE, ELECTRONS)], [e17(x) for x in numbers(SHAPE, 2.0, seed=1) - 2.5]
    truth = Density(SALT, tuple(density(block).blocks[0] for block in words))
    rng = np.random.default_rng(2)

    def records() -> list[str]:
        rows: list[str] = []
        for ion in range(1, 4):
            values = [f"{x:15.7E}" for x in rng.normal(size=13)]
            rows += [f"augmentation occupancies{ion:4d}{13:4d}", *lines(values, 5)]
        return rows

    first, second = records(), records()
    moments = ["".join(f"{x:20.12E}" for x in (1.0, 1.0, 1.0))]

    def made(name: str, between: list[str], last: list[str] = second) -> Case:
        start = [*head(), *grid_line(SHAPE), *lines(words[0], 5)]
        content = text(start, between, grid_line(SHAPE), lines(words[1], 5), last)
        return Case("grid", "density", name, "CHGCAR", content, truth)

    yield made("CHGCAR of VASP, ISPIN = 2", first + moments)
    yield made("blank lines around the moments", [*first, "", *moments, ""])
    yield made("blank lines behind records and moments", [line for row in first + moments for line in (row, "")])
    joined = [first[0], first[1] + first[2], *first[3:]]
    yield made("lines of a record joined", joined + moments)


def chgcars_by_others() -> Iterator[Case]:
    """JSON as pymatgen's as_dict writes it (the Materials Project's), without the help of pymatgen."""
    words = [e17(x) for x in numbers(SHAPE, ELECTRONS)]
    truth = density(words)
    data = {"@module": "numpy", "@class": "array", "dtype": "float64", "data": (truth.blocks[0] * VOLUME).tolist()}
    poscar = {"@module": "pymatgen.io.vasp.inputs", "@class": "Poscar", "structure": as_dict(SALT),
              "true_names": True, "selective_dynamics": None, "velocities": None, "predictor_corrector": None,
              "comment": "odd input"}  # fmt: skip
    content = {"@module": "pymatgen.io.vasp.outputs", "@class": "Chgcar", "poscar": poscar, "data": {"total": data},
               "data_aug": {"total": {}}}  # fmt: skip
    yield Case("grid", "density json", "pymatgen's JSON of a Chgcar", "chgcar.json", json.dumps(content), truth)
    packed = gzip.compress(json.dumps(content).encode())
    yield Case("grid", "density json", "the same, gzipped", "chgcar.json.gz", packed, truth)


def as_dict(atoms: Atoms) -> dict[str, Any]:
    sites = [{"species": [{"element": symbol, "occu": 1}], "abc": list(frac), "properties": {}, "label": symbol}
             for symbol, frac in zip(atoms.symbols, atoms.frac, strict=True)]  # fmt: skip
    lattice = {"matrix": atoms.lattice.tolist(), "pbc": [True, True, True]}
    return {"@module": "pymatgen.core.structure", "@class": "Structure", "charge": 0, "lattice": lattice,
            "properties": {}, "sites": sites}  # fmt: skip


# --- grids of other programs ----------------------------------------------------------------------------------------


def in_vacuum(shape: tuple[int, int, int], atoms: Atoms) -> np.ndarray:
    """Points of 8 electrons around the cell's middle in electrons/bohr³, as in a box around a molecule."""
    steps = np.meshgrid(*(np.arange(n) / n - 0.5 for n in shape), indexing="ij")
    cartesian = np.stack(steps, axis=-1) @ atoms.lattice
    values = np.exp(-((cartesian / 0.7) ** 2).sum(axis=-1))
    return values * 8 / values.mean() / abs(np.linalg.det(atoms.lattice)) * BOHR_ANGSTROM**3


def xsf_files() -> Iterator[Case]:
    """One oxygen atom in a box. The far faces of the grid are the near ones again in a file as XCrySDen wants it."""
    atoms = Atoms(np.diag([9.0, 10.0, 11.0]), ("O",), np.full((1, 3), 0.5))
    shape = (10, 12, 14)
    printed = np.array([float(f"{x:.8E}") for x in in_vacuum(shape, atoms).ravel()]).reshape(shape)
    truth = Density(atoms, (printed / BOHR_ANGSTROM**3,))

    def made(name: str, values: np.ndarray, steps: int) -> Case:
        """steps : of the grid's vectors; the cell has as many as there are points without repeated faces"""
        spans = [atoms.lattice[i] * (n + steps) / n for i, n in enumerate(shape)]
        rows = [[f"{x:.12f}" for x in row] for row in (*atoms.lattice, *spans)]
        vectors = [" " + " ".join(row) for row in rows]
        flat = lines([f" {x:.8E}" for x in values.ravel(order="F")], 6)
        content = text(["CRYSTAL", "PRIMVEC"], vectors[:3], ["PRIMCOORD", " 1 1", " 8 4.5 5.0 5.5"],
                       ["BEGIN_BLOCK_DATAGRID_3D", " rho", " BEGIN_DATAGRID_3D_rho"],
                       [" " + " ".join(map(str, values.shape)), " 0.0 0.0 0.0"], vectors[3:], flat,
                       [" END_DATAGRID_3D", "END_BLOCK_DATAGRID_3D"])  # fmt: skip
        return Case("grid", "xsf", name, "rho.xsf", content, truth)

    yield made("XSF, far faces repeated", np.pad(printed, ((0, 1),) * 3, mode="wrap"), 0)
    yield made("XSF, none repeated, vectors of the cell", printed, 0)
    yield made("XSF of ASE, vectors of (n + 1)/n cells", printed, 1)
    yield made("XSF, vectors one step short of the cell", printed, -1)


def cube_files() -> Iterator[Case]:
    shape = (4, 3, 5)
    values = np.random.default_rng(5).uniform(0.01, 0.3, shape)
    printed = np.array([float(f"{x:.5E}") for x in values.ravel()]).reshape(shape)
    truth = Density(SALT, (printed / BOHR_ANGSTROM**3,))
    rows = lines([f" {x:12.5E}" for x in printed.ravel()], 5)
    steps = LATTICE / np.array(shape)[:, None] / BOHR_ANGSTROM
    numbers_of = {"Na": 11, "Cl": 17, "": 0}

    def made(name: str, atoms: Atoms, angstrom: tuple[int, ...] = (), orbitals: bool = False) -> Case:
        """angstrom : axes with a negative count, whose unit it is; origin and atoms have that of the first axis"""
        unit = np.array([BOHR_ANGSTROM if axis in angstrom else 1.0 for axis in range(3)])
        axes = [f"{-n if axis in angstrom else n:5d}" + "".join(f"{x:16.10f}" for x in steps[axis] * unit[axis])
                for axis, n in enumerate(shape)]  # fmt: skip
        cartesian = atoms.frac @ atoms.lattice / BOHR_ANGSTROM * unit[0]
        places = [f"{numbers_of[s]:5d}{float(numbers_of[s]):12.6f}" + "".join(f"{x:16.10f}" for x in row)
                  for s, row in zip(atoms.symbols, cartesian, strict=True)]  # fmt: skip
        n_atoms = len(atoms.symbols) * (-1 if orbitals else 1)
        origin = [f"{n_atoms:5d}" + 3 * f"{0.0:12.6f}"]
        extra = ["    1    7"] if orbitals else []
        content = text(["odd input", "electron density"], origin, axes, places, extra, rows)
        return Case("grid", "cube", name, "rho.cube", content, replace(truth, atoms=atoms))

    yield made("cube", SALT)
    yield made("cube, one negative count: that axis in Å", SALT, (1,))
    yield made("cube, three negative counts: all in Å", SALT, (0, 1, 2))
    yield made("cube, negative number of atoms: one orbital", SALT, orbitals=True)
    yield made("cube without atoms", Atoms(LATTICE, (), np.zeros((0, 3))))
    yield made("cube with a ghost atom", replace(SALT, symbols=("Na", "", "Cl")))


# --- structures -----------------------------------------------------------------------------------------------------


def poscar(names: str | None = "Na Cl", counts: str = "1 2", mode: str = "Direct", *, scale: str = "1.0",
           title: str = "odd input", lattice: np.ndarray = LATTICE, places: np.ndarray = FRAC,
           behind: tuple[str, ...] = ("", "", "")) -> str:  # fmt: skip
    cell = [" ".join(f"{x:.10f}" for x in row) for row in lattice]
    rows = [" ".join(f"{x:.10f}" for x in row) + more for row, more in zip(places, behind, strict=True)]
    return text([title, scale], cell, [] if names is None else [names], [counts, mode], rows)


def structure(name: str, content: str | bytes, truth: Any = SALT, file: str = "POSCAR") -> Case:
    return Case("structure", "structure", name, file, content, truth)


def poscars() -> Iterator[Case]:
    yield structure("POSCAR of VASP", poscar())
    for file in ("POSCAR_chgnet", "CHGNet_relaxed.vasp"):
        yield structure(file, poscar(), file=file)
    for suffix, pack in ((".gz", gzip.compress), (".xz", lzma.compress)):
        yield structure(f"POSCAR{suffix}", pack(poscar().encode()), file="POSCAR" + suffix)
    flags = (" T T F", " F F F", " T T T")
    selective = "Selective dynamics\nDirect"
    yield structure("Selective dynamics", poscar(mode=selective, behind=flags))
    yield structure("selective, lower case, Kartesian",
                    poscar(mode="selective\nkartesian", places=FRAC @ LATTICE, behind=flags))  # fmt: skip
    yield structure("Selective dynamics, .TRUE. and .FALSE.",
                    poscar(mode=selective, behind=(" .TRUE. .TRUE. .FALSE.", *flags[1:])))  # fmt: skip
    yield structure("Selective dynamics, names behind the flags",
                    poscar(mode=selective,
                           behind=tuple(f + s for f, s in zip(flags, (" Na", " Cl", " Cl"), strict=True))))  # fmt: skip
    yield structure("lower-case cartesian", poscar(mode="cartesian", places=FRAC @ LATTICE))
    yield structure("names behind the positions", poscar(behind=(" Na1", " Cl1", " Cl2")))
    yield structure("an empty title", poscar(title=""))
    yield structure("a title in Latin-1, 4 Å", poscar(title="NaCl2, 4 Å").encode("latin-1"))
    yield structure("Windows line ends", poscar().replace("\n", "\r\n"))
    velocities = "\n" + "  0.10000000E-02  0.20000000E-02  0.00000000E+00\n" * 3
    yield structure("CONTCAR with velocities", poscar() + velocities, file="CONTCAR")
    cell = "".join("  " + "".join(f"{x:17.8E}" for x in row) + "\n" for row in (*np.zeros((3, 3)), *LATTICE))
    of_cell = f"Lattice velocities and vectors\n  1\n{cell}"
    yield structure("the same, and of the cell (VASP 6)", poscar() + of_cell + velocities, file="CONTCAR")


def scales_and_numbers() -> Iterator[Case]:
    volume, doubled = f"{-8 * VOLUME:.10f}", replace(SALT, lattice=2 * LATTICE)
    yield structure("negative scale: the volume", poscar(scale=volume), doubled)
    cartesian = poscar(scale=volume, mode="Cartesian", places=FRAC @ LATTICE)
    yield structure("negative scale, Cartesian", cartesian, doubled)
    scaled = replace(SALT, lattice=LATTICE * [1.0, 1.5, 2.0])
    yield structure("three scales", poscar(scale="1.0 1.5 2.0"), scaled)
    yield structure("three scales, Cartesian", poscar(scale="1.0 1.5 2.0", mode="Cartesian", places=FRAC @ LATTICE),
                    scaled)  # fmt: skip
    yield structure("a comment behind the scale", poscar(scale="1.0  ! Angstrom"))
    touching = poscar(places=FRAC - 7).replace("-7.0000000000 -", "-7.0000000000-")
    yield structure("numbers that touch, -7.0000-7.0000", touching)
    yield structure("Fortran exponents, .4D+01", poscar().replace("4.0000000000", ".4D+01"))
    yield structure("numbers with commas", poscar().replace("0.2500000000 0.9", "0.2500000000, 0.9"))


def names_of_species() -> Iterator[Case]:
    labels = "  Na_pv/f474ac0d  Cl/79d9987ad87"
    yield structure("labels and hashes of VASP 6.4", poscar(labels, f"{1:16d}{2:16d}"))
    yield structure("hashes that fill their columns", poscar("  Na_pv/f474ac0d3e  Cl_GW/79d9987ad", f"{1:16d}{2:16d}"))
    yield structure("labels, Na_pv Cl_h", poscar("Na_pv Cl_h"))
    acid = replace(SALT, symbols=("Na", "H", "H"))
    yield structure("a label with a point, H.75", poscar("Na H.75"), acid)
    yield structure("D, deuterium", poscar("Na D"), acid)
    yield structure("D and T", poscar("Na D T", "1 1 1"), acid)
    yield structure("a comment behind the names and counts", poscar("Na Cl  ! salt", "1 2  ! three atoms"))
    names, counts, atoms = wrapped()
    many = poscar("\n".join(names), "\n".join(counts), places=atoms.frac, behind=("",) * len(atoms.symbols))
    yield structure("25 groups of species, wrapped", many, atoms)
    apart = replace(SALT, symbols=("Cl", "Na", "Cl"))
    yield structure("Cl Na Cl, a species in two groups", poscar("Cl Na Cl", "1 1 1"), apart)
    nameless = replace(SALT, symbols=("", "", ""))
    yield structure("VASP 4: no names, title of words", poscar(None, title="cell of run 7"), nameless)
    yield structure("VASP 4: no names, title of other elements", poscar(None, title="Si on Cu, no 2"), nameless)
    elsewhere = replace(SALT, vasp4=True)
    yield structure("VASP 4: names in the title", poscar(None, title="Na Cl"), elsewhere)
    yield structure("VASP 4: names behind the positions", poscar(None, behind=(" Na", " Cl", " Cl")), elsewhere)


CIF = """data_NaCl2
_cell_length_a 4.0
_cell_length_b 5.0
_cell_length_c 6.0
_cell_angle_alpha 90
_cell_angle_beta 100
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'P 1'
_symmetry_Int_Tables_number 1
loop_
 _atom_site_label
 _atom_site_type_symbol
 _atom_site_fract_x
 _atom_site_fract_y
 _atom_site_fract_z
Na1 Na 0.0 0.0 0.0
Cl1 Cl 0.5 0.48 0.1
Cl2 Cl 0.25 0.9 0.6
"""


def other_structures() -> Iterator[Case]:
    slant = np.deg2rad(100)
    monoclinic = np.array([[4.0, 0, 0], [0, 5.0, 0], [6 * np.cos(slant), 0, 6 * np.sin(slant)]])
    for file in ("NaCl.cif", "NaCl_chgnet.cif", "CHGCAR_of_NaCl.cif"):
        yield structure(file, CIF, replace(SALT, lattice=monoclinic), file)
    yield structure("pymatgen's JSON of a Structure", json.dumps(as_dict(SALT)), SALT, "NaCl.json")
    yield structure("the same, named chgnet.json", json.dumps(as_dict(SALT)), SALT, "chgnet.json")
    moments = (0.25, -1.5, 3.0)
    for name, file in (("extended xyz with moments", "NaCl.extxyz"), ("the same, gzipped", "NaCl.extxyz.gz")):
        content: str | bytes = xyz(FRAC, moments)
        packed = gzip.compress(content.encode()) if file.endswith(".gz") else content
        yield structure(name, packed, replace(SALT, moments=moments), file)


def xyz(frac: np.ndarray, moments: tuple[float, ...]) -> str:
    cell = " ".join(f"{x}" for x in LATTICE.ravel())
    rows = [f"{symbol} " + " ".join(f"{x:.10f}" for x in (*place, moment))
            for symbol, place, moment in zip(SALT.symbols, frac @ LATTICE, moments, strict=True)]  # fmt: skip
    return text(["3", f'Lattice="{cell}" Properties=species:S:1:pos:R:3:initial_magmoms:R:1 pbc="T T T"'], rows)


def trajectories() -> Iterator[Case]:
    step = np.array([0.01, 0.02, 0.03])
    frames = [replace(SALT, frac=FRAC + i * step) for i in range(3)]
    grown = [replace(frame, lattice=LATTICE * 1.01**i) for i, frame in enumerate(frames)]

    def xdatcar(frames: list[Atoms], heads: bool) -> str:
        rows: list[str] = []
        for number, atoms in enumerate(frames, 1):
            if number == 1 or heads:
                cell = ["    " + "".join(f"{x:12.6f}" for x in row) for row in atoms.lattice]
                rows += ["odd input", "           1", *cell, "   Na   Cl", "     1     2"]
            rows += [f"Direct configuration={number:6d}"]
            rows += ["  " + "".join(f"{x:12.8f}" for x in row) for row in atoms.frac]
        return text(rows)

    def made(name: str, file: str, content: str, truth: Any, kind: str = "trajectory") -> Case:
        return Case("structure", kind, name, file, content, truth)

    yield made("XDATCAR, all three frames", "XDATCAR", xdatcar(frames, False), frames)
    yield made("XDATCAR of a cell that grows", "XDATCAR", xdatcar(grown, True), grown)
    cut = xdatcar(frames, False)[:-60]
    yield made("XDATCAR cut in its third frame: the second", "XDATCAR", cut, frames[1], "second frame")
    moments = (0.25, -1.5, 3.0)
    several = [replace(frame, moments=moments) for frame in frames]
    content = "".join(xyz(frame.frac, moments) for frame in frames)
    yield made("extended xyz, all three frames, moments", "md.extxyz", content, several)


# --- INCAR ----------------------------------------------------------------------------------------------------------


def incars() -> Iterator[Case]:
    rows: dict[str, tuple[str, Mapping[str, Any]]] = {
        "INCAR of VASP": ("ENCUT = 400\nISPIN = 2\nLWAVE = .FALSE.\nPREC = Accurate\n",
                          {"ENCUT": 400, "ISPIN": 2, "LWAVE": False, "PREC": "Accurate"}),
        "a tag given twice: the first": ("ENCUT = 400\nISPIN = 2\nENCUT = 300\n", {"ENCUT": 400, "ISPIN": 2}),
        "the same, once in lower case": ("ENCUT = 400\nISPIN = 2\nencut = 300\n", {"ENCUT": 400, "ISPIN": 2}),
        "several tags in a line, semicolons": ("ENCUT = 400; ISPIN = 2 ; LWAVE = .FALSE.\n",
                                               {"ENCUT": 400, "ISPIN": 2, "LWAVE": False}),
        "a line continued by a backslash": ("MAGMOM = 1 2 \\\n  -3\nENCUT = 400\n",
                                            {"MAGMOM": [1, 2, -3], "ENCUT": 400}),
        "a comment with a tag in it": ("ENCUT = 400 ! was ENCUT = 300\n# ISPIN = 2\n! NSW = 5\n",
                                       {"ENCUT": 400, "ISPIN": None, "NSW": None}),
        "a list with a comment behind it": ("MAGMOM = 1 2 -3 ! Na = 1\nNSW = 4\n", {"MAGMOM": [1, 2, -3], "NSW": 4}),
        "words behind a number": ("ENCUT = 400.00 eV   cut-off\nNSW = 4 steps\n", {"ENCUT": 400, "NSW": 4}),
        "repeats, 3*1.0": ("MAGMOM = 3*1.0 2*-0.5\nENCUT = 400\n", {"MAGMOM": [1, 1, 1, -0.5, -0.5], "ENCUT": 400}),
        "repeats of LDAUU": ("LDAU = .TRUE.\nLDAUU = 2*4.5 0\n", {"LDAU": True, "LDAUU": [4.5, 4.5, 0]}),
        "one stray quote": ('SYSTEM = 3" wafer\nENCUT = 400\nISPIN = 2\n', {"ENCUT": 400, "ISPIN": 2}),
        "a quoted text of two lines": ('SYSTEM = "slab\n of two"\nENCUT = 400\n',
                                       {"SYSTEM": "slab\n of two", "ENCUT": 400}),
        "a quoted text with marks": ('SYSTEM = "a; b # c"\nENCUT = 400\n', {"SYSTEM": "a; b # c", "ENCUT": 400}),
        "lower case": ("encut = 400\nispin = 2\nlwave = .false.\nmagmom = 2*1.5\n",
                       {"ENCUT": 400, "ISPIN": 2, "LWAVE": False, "MAGMOM": [1.5, 1.5]}),
        "ENCUT 400 without =: passed over": ("ENCUT 400\nISPIN = 2\n", {"ENCUT": None, "ISPIN": 2}),
        "headings between the tags": ("Electronic minimization\nENCUT = 400\nDOS related values:\nISPIN = 2\n",
                                      {"ENCUT": 400, "ISPIN": 2}),
        "short logicals, T and .F": ("LWAVE = F\nLCHARG = T\nLVHAR = .T\n",
                                     {"LWAVE": False, "LCHARG": True, "LVHAR": True}),
        "Fortran exponents, 1D-6": ("EDIFF = 1D-6\nNELECT = 1.8d+1\n", {"EDIFF": 1e-6, "NELECT": 18}),
        "numbers without a zero, .5": ("MAGMOM = .5 -.5 2*.25\nSIGMA = .05\n",
                                       {"MAGMOM": [0.5, -0.5, 0.25, 0.25], "SIGMA": 0.05}),
        "numbers with a plus": ("MAGMOM = +1.5 -1.5\nNELECT = +18\n", {"MAGMOM": [1.5, -1.5], "NELECT": 18}),
        "tags in braces": ("KERNEL_TRUNCATION { LTRUNCATE = .TRUE. }\nENCUT = 400\n",
                           {"KERNEL_TRUNCATION/LTRUNCATE": True, "ENCUT": 400}),
        "tabs and Windows line ends": ("ENCUT\t=\t400\r\nMAGMOM = 1 2 \\\r\n -3\r\nISPIN=2\r\n",
                                       {"ENCUT": 400, "MAGMOM": [1, 2, -3], "ISPIN": 2}),
        "a tag without a value": ("SYSTEM =\nENCUT = 400\n", {"ENCUT": 400}),
        "a tag that VASP does not know": ("ENCUTT = 300\nISPIN = 2\n", {"ENCUT": None, "ISPIN": 2}),
    }  # fmt: skip
    for name, (content, truth) in rows.items():
        yield Case("INCAR", "incar", name, "INCAR", content, truth)
    plain, tags = rows["INCAR of VASP"]
    yield Case("INCAR", "incar", "INCAR.gz", "INCAR.gz", gzip.compress(plain.encode()), tags)
    latin = f"! cell of 4 Å\n{plain}".encode("latin-1")
    yield Case("INCAR", "incar", "a comment in Latin-1, 4 Å", "INCAR", latin, tags)
