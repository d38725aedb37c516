"""PAW occupancies of data sets that no training saw, from tight binding and the grid, against those of GPAW.

    python benchmarks/gpaw/prior_occupancies.py GPAW.h5 [GPAW.h5 ...] [--matrices FOLDER] [--of KEY ...] [--json FILE]

What GPAW's density matrices are beyond its atoms', in orthonormal waves of each sphere (gpaw_setups.py). Columns,
median over atoms of |found − true| / |true|:
    prior      tight binding's wave functions on the setup's projectors (prior_waves.py), as they are
    corrected  and linear functions of them, the same for all setups, see ``Correction``
    + encoder  and what the shipped network knows of the atom, which makes it depend on the atom (prior_encoder.py)
    + grid     and the charge within the sphere read from the predicted grid, see ``charges``
    mean       the element's mean over all other structures, its L = 0 part alone (what --occupancies mean does)
No structure with the element judged is in any fit of the first four; of the mean, the structure judged is not. Then
the charge within the sphere: how far it is off, electrons. ``--matrices`` writes FOLDER/NAME/KEY.h5, one density matrix
for each atom of a structure, which gpaw_fixed_density.py reads by --occupancies.
``--cost`` times it. Wants GPAW's setups (gpaw-data) in /usr/share, not GPAW.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np
from gpaw_paw import calculations, write_matrices
from gpaw_setups import Setup, setup
from prior_encoder import encoded, with_encoder
from prior_waves import Around, Seen, around, charge_row, own_atom, seen, to_channels
from transfer_gpaw import gpaw_pairs

from chgtools.atoms.angular import gaunt
from chgtools.errors import ChgtoolsError
from chgtools.fourier.basis import expand
from chgtools.models.choice import choose_model
from chgtools.paw.records import matrix_from_record, record_entries, record_from_matrix
from chgtools.tightbinding.electrons import solve

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from common import write_json

GROUPS = {
    "F Cl Br": "F Cl Br", "O S Se Te": "O S Se Te", "N P As Sb": "N P As Sb", "C Si Ge Sn Pb": "C Si Ge Sn Pb",
    "B Al Ga In": "B Al Ga In", "alkali metals": "Li Na K Rb Cs", "Be Mg Ca Sr Ba": "Be Mg Ca Sr Ba",
    "Sc Ti V, Y to Mo": "Sc Ti V Y Zr Nb Mo", "Cu Ag Au Pd": "Cu Ag Au Pd", "Zn Cd": "Zn Cd",
}  # fmt: skip
FIRST = ("own", "own-tails", "tails")  # add up to the prior's change
ALL_RIDGE, CLASS_RIDGE, FEW = 0.01, 0.03, 30  # of Correction; chosen on these structures, among a dozen
CHARGE_RIDGE, CHARGE_ERROR = 0.01, 0.02  # of charges(), the second in electrons
SMALL = 0.05  # changes below count as large as this in a fit


@dataclass(eq=False)
class Atom:
    """features : name to a record; change, start : true records, of the change and of GPAW's atom; all in orthonormal
    waves. grid, tails : what the predicted grid, and superposed free atoms, have around it beyond the bare atom;
    encoder : (n_members, n_lm, n_features) of the shipped network
    """

    key: tuple[str, str]
    place: int
    seen: Seen
    start: np.ndarray
    change: np.ndarray
    atomic: np.ndarray
    features: dict[str, np.ndarray]
    grid: Around
    tails: Around
    encoder: np.ndarray

    @property
    def element(self) -> str:
        return self.seen.element

    @cached_property
    def own(self) -> Setup:
        return setup(self.element)

    @cached_property
    def channels(self) -> tuple[int, ...]:
        return tuple(self.own.ell.tolist())

    @cached_property
    def entries(self) -> list[tuple[int, int, int]]:
        return list(record_entries(self.channels))

    @cached_property
    def classes(self) -> dict[tuple[int, str, int, str, int], np.ndarray]:
        """(l, kind, l', kind', L) to the numbers of a record."""
        found: dict[tuple[int, str, int, str, int], list[int]] = {}
        position, kinds = 0, self.own.kinds
        for a, b, big_l in self.entries:
            label = (self.channels[a], kinds[a], self.channels[b], kinds[b], big_l)
            found.setdefault(label, []).extend(range(position, position + 2 * big_l + 1))
            position += 2 * big_l + 1
        return {label: np.array(places) for label, places in found.items()}

    @cached_property
    def unit(self) -> np.ndarray:
        """(length,) which make a record as long as its matrix."""
        table, found = gaunt(2, 2, 4), []
        for a, b, big_l in self.entries:
            la, lb = self.channels[a], self.channels[b]
            squares = (table[la**2 : (la + 1) ** 2, lb**2 : (lb + 1) ** 2, big_l**2] ** 2).sum()
            found += [1 / np.sqrt(squares * (1 if a == b else 2))] * (2 * big_l + 1)
        return np.array(found)

    @cached_property
    def true(self) -> np.ndarray:
        return np.asarray(self.change * self.unit)

    @cached_property
    def prior(self) -> np.ndarray:
        return np.asarray(sum(self.features[name] for name in FIRST) * self.unit)

    @cached_property
    def inputs(self) -> np.ndarray:
        """(length, n_features)"""
        return np.stack(list(self.features.values()), 1) * self.unit[:, None]

    @cached_property
    def charge_row(self) -> np.ndarray:
        """(length,) electrons within the sphere of each number."""
        return charge_row(self.element, self.entries) / self.unit

    @cached_property
    def tails_by_l(self) -> np.ndarray:
        """(6,) density of the tails of s, p, d at the sphere's end, superposed and as they interfere."""
        found, start = [], self.seen.size + int(self.own.starts[-1])
        for ell in range(3):
            places = slice(start, start + 2 * ell + 1)
            found += [np.trace(gram[places, places]) for gram in (self.seen.superposed, self.seen.filled)]
            start += 2 * (2 * ell + 1)
        return np.array(found) * self.own.largest**3

    def matrix(self, values: np.ndarray) -> np.ndarray:
        """A density matrix of the setup's channels, of a change."""
        back = np.linalg.inv(self.own.to_orthonormal)
        return np.asarray(self.atomic + back @ matrix_from_record(self.channels, values / self.unit) @ back.T)


def features_of(sight: Seen, start: np.ndarray) -> dict[str, np.ndarray]:
    """Matrices in orthonormal waves that turn as the density matrix does; start : the atom's, likewise.

    The prior's change, by parts; how an own orbital that is matched at the sphere differs (it is drawn in there); own
    populations and their energies between the first and the second wave of an l, which the energy's derivative of a
    wave is; and what the free atom holds, there and on the diagonal, times charges.
    """
    own, size = setup(sight.element), sight.size
    plain, matched = (to_channels(sight.element, each) for each in (False, True))
    p_own, p_tail, m_own, m_tail = plain[:, :size], plain[:, size:], matched[:, :size], matched[:, size:]
    drawn = m_own - p_own
    held, crossed, tails = sight.filled[:size, :size], sight.filled[:size, size:], sight.filled[size:, size:]
    change = held - sight.superposed[:size, :size]
    above, steps, occupied = np.zeros_like(p_own), np.zeros(len(own.ell)), np.diag(start)
    partners = np.zeros_like(start)
    for j, k in enumerate(own.below):
        if k < 0:
            continue
        rows, lower = (slice(own.starts[i], own.starts[i + 1]) for i in (j, k))
        above[rows] = p_own[lower]
        steps[j] = _step(own, j, int(k))
        partners[rows, lower] = np.diag(occupied[lower])
    valence = own.by_m(own.kinds) != "C"
    levels = 0.5 * (sight.levels[:, None] + sight.levels)
    energies = sight.energies[:size, :size] - levels * held
    found = {
        "own": p_own @ change @ p_own.T,
        "own-tails": _both(p_own @ crossed @ p_tail.T),
        "tails": p_tail @ tails @ p_tail.T,
        "own-tails matched": _both(p_own @ crossed @ m_tail.T),
        "tails matched": m_tail @ tails @ m_tail.T,
        "drawn in": _both(p_own @ held @ drawn.T),
        "drawn in-tails": _both(drawn @ crossed @ p_tail.T),
        "superposed tails": p_tail @ sight.superposed[size:, size:] @ p_tail.T,
        "superposed tails matched": m_tail @ sight.superposed[size:, size:] @ m_tail.T,
        "energies": _both(p_own @ energies @ (own.by_m(steps)[:, None] * above).T),
        "second wave": _both(p_own @ change @ above.T),
    }
    end = size + int(own.starts[-1])
    around_it = sight.superposed[end, end] * own.radius(0) ** 3
    for name, value in (("charge", sight.charge), ("tails", around_it), ("d", sight.d_change)):
        found[f"held, times {name}"] = np.diag(np.where(valence, occupied, 0.0)) * value
        found[f"held in second wave, times {name}"] = (partners + partners.T) * value
    return found


def _both(matrix: np.ndarray) -> np.ndarray:
    return np.asarray(matrix + matrix.T)


def _step(own: Setup, second: int, first: int) -> float:
    """How much of the orthonormal second wave a wave takes in for each hartree, as the unbound wave itself does."""
    rows = own.starts[[second, first]]
    inside, below = own.to_orthonormal[rows, own.starts[second]]
    apart = own.energy[second] - own.energy[first]
    if own.kinds[second] != "U" or abs(below) < 0.05 or abs(apart) < 0.05:
        return 0.0
    return float(inside / below / apart)


def atoms_of(path: Path) -> list[Atom]:
    """All atoms of a store; structures that tight binding has no solution for are named and left out."""
    found = []
    for calculation, pair in zip(calculations(path), gpaw_pairs(path, "whole"), strict=True):
        entry, structure = calculation.entry, calculation.entry.structure
        electrons = float(entry.attributes["nelectrons"])
        free = calculation.entry.dcd + calculation.start - pair.entry.dcd
        try:
            sights = seen(structure)
        except ChgtoolsError as error:
            print(f"{entry.name}: {error}", file=sys.stderr)
            continue
        model = choose_model(structure).model
        grid = expand(structure, model.predict(structure).coefficients, model.basis, entry.shape) if model else 0
        waves = np.fft.fftn(np.broadcast_to(grid, entry.shape)) * structure.volume / np.prod(entry.shape)
        learned = waves[tuple((entry.miller % entry.shape).T)]
        predicted = around(structure, entry.miller, free + learned, electrons)
        superposed = around(structure, entry.miller, free, electrons)
        known = encoded(structure)
        for place, sight in enumerate(sights):
            own = setup(sight.element)
            channels, turn = tuple(own.ell.tolist()), own.to_orthonormal
            entries = list(record_entries(channels))
            atomic, true = (turn @ each[place] @ turn.T for each in (calculation.atomic, calculation.matrices))
            start = record_from_matrix(channels, atomic)
            bare = own_atom(sight.element, start, entries)
            parts = features_of(sight, atomic)
            found.append(Atom(
                key=(path.name, entry.name), place=place, seen=sight, start=start,
                change=record_from_matrix(channels, true - atomic), atomic=calculation.atomic[place],
                features={name: record_from_matrix(channels, part) for name, part in parts.items()},
                grid=predicted[place] - bare, tails=superposed[place] - bare,
                encoder=known[place],
            ))  # fmt: skip
    return found


class Correction:
    """Linear functions of the features for each class of numbers, fitted to what the prior leaves, without an element.

    Ridge regression in two steps: for the kinds of both channels and L, whatever their l; then what that leaves, for
    each l and l', the more damped the fewer structures there are. Every atom counts by the size of its change, an
    element with n atoms as n^0.3.
    """

    def __init__(self, atoms: Sequence[Atom]) -> None:
        self.structures = sorted({atom.key for atom in atoms})
        place = {key: i for i, key in enumerate(self.structures)}
        weights = weights_of(atoms)
        self.sums: dict[tuple[int, str, int, str, int], dict[int, list[np.ndarray]]] = {}
        for atom, weight in zip(atoms, weights, strict=True):
            scale, left = weight / max(float(np.linalg.norm(atom.true)), SMALL) ** 2, atom.true - atom.prior
            for label, places in atom.classes.items():
                inputs = atom.inputs[places]
                new = [scale * inputs.T @ inputs, scale * inputs.T @ left[places]]
                known = self.sums.setdefault(label, {}).setdefault(place[atom.key], [np.zeros_like(x) for x in new])
                for total, part in zip(known, new, strict=True):
                    total += part

    def without(self, left_out: set[tuple[str, str]]) -> dict[tuple[int, str, int, str, int], np.ndarray]:
        """Class to (n_features,) coefficients, of all structures but some."""
        counts = {i for i, key in enumerate(self.structures) if key not in left_out}
        merged: dict[tuple[str, int], list[np.ndarray]] = {}
        own = {}
        for label, parts in self.sums.items():
            used = [part for i, part in parts.items() if i in counts]
            zero = [np.zeros_like(x) for x in next(iter(parts.values()))]
            own[label] = ([sum((part[k] for part in used), zero[k]) for k in range(2)], len(used))
            for total, part in zip(merged.setdefault(_pooled(label), zero), own[label][0], strict=True):
                total += part
        common = {label: _ridge(*sums, ALL_RIDGE) for label, sums in merged.items()}
        found = {}
        for label, ((squares, products), n) in own.items():
            first = common[_pooled(label)]
            damping = CLASS_RIDGE * (1 + FEW / max(n, 1))
            found[label] = first + _ridge(squares, products - squares @ first, damping)
        return found


def weights_of(atoms: Sequence[Atom]) -> np.ndarray:
    elements = [atom.element for atom in atoms]
    return np.array([elements.count(element) ** -0.7 for element in elements])


def _pooled(label: tuple[int, str, int, str, int]) -> tuple[str, int]:
    return "".join(sorted(label[1] + label[3])), label[4]


def _ridge(squares: np.ndarray, products: np.ndarray, damping: float) -> np.ndarray:
    """Coefficients, damped by a part of each feature's own sum of squares."""
    size = np.sqrt(np.diag(squares))
    kept, found = size > 1e-7, np.zeros(len(size))
    if kept.any():
        scaled = squares[np.ix_(kept, kept)] / np.outer(size[kept], size[kept])
        found[kept] = np.linalg.solve(scaled + damping * np.eye(int(kept.sum())), products[kept] / size[kept])
        found[kept] /= size[kept]
    return found


def corrected(atoms: Sequence[Atom]) -> list[np.ndarray]:
    """The change of each atom, of a fit without all structures that hold its element."""
    correction, found = Correction(atoms), [np.zeros(0)] * len(atoms)
    for element in sorted({atom.element for atom in atoms}):
        fitted = correction.without({atom.key for atom in atoms if atom.element == element})
        for i, atom in enumerate(atoms):
            if atom.element == element:
                found[i] = atom.prior.copy()
                for label, places in atom.classes.items():
                    found[i][places] += atom.inputs[places] @ fitted[label]
    return found


def charges(atoms: Sequence[Atom], changes: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The changes with a charge within the sphere that the predicted grid says, fitted without the element too.

    The grid's own is not it: what tails of l > 2 have there is in no channel. So the charge is a linear function, the
    same for all setups, of that of the change, whole and by l, of the grid's and of superposed atoms' charge and
    density near the sphere's end, and of the tails of s, p and d there. It is put where the correction has the largest
    errors.
    """
    rows = np.stack([_charge_inputs(atom, change) for atom, change in zip(atoms, changes, strict=True)])
    wanted = np.array([atom.charge_row @ atom.true for atom in atoms])
    left, weights = wanted - rows[:, 0], weights_of(atoms)
    spread = _spread(atoms, changes)
    found = [np.zeros(0)] * len(atoms)
    for element in sorted({atom.element for atom in atoms}):
        out = {atom.key for atom in atoms if atom.element == element}
        used = np.array([atom.key not in out for atom in atoms])
        weighted = rows[used] * weights[used, None]
        fitted = _ridge(weighted.T @ rows[used], weighted.T @ left[used], CHARGE_RIDGE)
        for i, atom in enumerate(atoms):
            if atom.element != element:
                continue
            size, variances = np.linalg.norm(changes[i]) + 0.4 * SMALL, np.zeros(len(changes[i]))
            for label, places in atom.classes.items():
                others = [value for other, value in spread[label].items() if other != element]
                variances[places] = np.mean(others) * size**2 if others else 1e-3
            gain = variances * atom.charge_row
            found[i] = changes[i] + gain * (rows[i] @ fitted) / (atom.charge_row @ gain + CHARGE_ERROR**2)
    return found


def _charge_inputs(atom: Atom, change: np.ndarray) -> np.ndarray:
    parts = atom.charge_row * change
    by_l = [sum(parts[places].sum() for label, places in atom.classes.items() if label[0] == ell) for ell in range(3)]
    seen_there = [[each.charge, *each.shells] for each in (atom.grid, atom.tails)]
    return np.array([parts.sum(), *np.concatenate(seen_there), *atom.tails_by_l, *by_l])


def _spread(
    atoms: Sequence[Atom], changes: Sequence[np.ndarray]
) -> dict[tuple[int, str, int, str, int], dict[str, float]]:
    """Class to element to the mean square error of a number, in the size of the atom's change."""
    found: dict[tuple[int, str, int, str, int], dict[str, list[float]]] = {}
    for atom, change in zip(atoms, changes, strict=True):
        size = np.linalg.norm(change) + 0.4 * SMALL
        for label, places in atom.classes.items():
            error = float((((atom.true - change)[places] / size) ** 2).mean())
            found.setdefault(label, {}).setdefault(atom.element, []).append(error)
    return {label: {e: float(np.mean(v)) for e, v in own.items()} for label, own in found.items()}


def means(atoms: Sequence[Atom]) -> list[np.ndarray | None]:
    """The change to the element's mean over other structures; None where there is no other."""
    found: list[np.ndarray | None] = []
    for atom in atoms:
        others = [o.start + o.change for o in atoms if o.element == atom.element and o.key[1] != atom.key[1]]
        spherical = np.concatenate([np.full(2 * big_l + 1, big_l == 0) for _, _, big_l in atom.entries])
        found.append((np.mean(others, axis=0) * spherical - atom.start) * atom.unit if others else None)
    return found


def summary(
    atoms: Sequence[Atom], columns: dict[str, Sequence[np.ndarray | None]]
) -> dict[str, dict[str, list[float] | int]]:
    """Group to its atoms and medians of the relative error and of the charge's, by column; of atoms in all columns."""
    kept = [i for i in range(len(atoms)) if all(column[i] is not None for column in columns.values())]
    errors = {i: [_error(atoms[i], column[i]) for column in columns.values()] for i in kept}
    sets = {name: [i for i in kept if atoms[i].element in members.split()] for name, members in GROUPS.items()}
    sets |= {f"all of {name}": [i for i in kept if atoms[i].key[0] == name] for name in {a.key[0] for a in atoms}}
    sets["all"] = kept
    found: dict[str, dict[str, list[float] | int]] = {}
    for name, members in sets.items():
        if members:
            middle = np.median([errors[i] for i in members], axis=0)
            size = float(np.median([abs(atoms[i].charge_row @ atoms[i].true) for i in members]))
            found[name] = {"atoms": len(members), "error": middle[:, 0].tolist(), "charge": [size, *middle[:, 1]]}
    by_element = [
        np.median([errors[i] for i in kept if atoms[i].element == element], axis=0)
        for element in sorted({atoms[i].element for i in kept})
    ]
    middle = np.median(by_element, axis=0)
    found["elements"] = {"atoms": len(by_element), "error": middle[:, 0].tolist(), "charge": middle[:, 1].tolist()}
    return found


def _error(atom: Atom, change: np.ndarray | None) -> tuple[float, float]:
    off = np.asarray(change) - atom.true
    return float(np.linalg.norm(off) / np.linalg.norm(atom.true)), float(abs(atom.charge_row @ off))


def show(found: dict[str, dict[str, list[float] | int]], names: Sequence[str]) -> None:
    print(f"{'':22s}{'':5s}" + "".join(f"{name:>11s}" for name in names) + "   charge: true, off by")
    for name, row in found.items():
        errors, charge = row["error"], row["charge"]
        assert isinstance(errors, list)
        assert isinstance(charge, list)
        print(f"{name:22s}{row['atoms']:5d}" + "".join(f"{value:11.3f}" for value in errors)
              + "   " + " ".join(f"{value:.3f}" for value in charge))  # fmt: skip


def cost(paths: Sequence[Path], most: int = 25) -> str:
    """CPU milliseconds an atom of what sees the projectors and makes the parts, beside tight binding itself.

    Of the second time of each structure: tables of its elements and pairs are there.
    """
    times, atoms = np.zeros(3), 0
    for calculation in islice((each for path in paths for each in calculations(path)), most):
        structure = calculation.entry.structure
        try:
            for _ in range(2):
                begun = [time.process_time()]
                solve(structure, polarised=False)
                begun.append(time.process_time())
                sights = seen(structure)  # with another calculation of the same
                begun.append(time.process_time())
                for sight, matrix in zip(sights, calculation.atomic, strict=True):
                    turn = setup(sight.element).to_orthonormal
                    features_of(sight, turn @ matrix @ turn.T)
                begun.append(time.process_time())
        except ChgtoolsError:
            continue
        times, atoms = times + np.diff(begun), atoms + structure.n_atoms
    solved, whole, parts = 1000 * times / atoms
    return f"{atoms} atoms, ms an atom: tight binding {solved:.1f}, projectors {whole - solved:.1f}, parts {parts:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stores", nargs="+", type=Path, metavar="GPAW.h5")
    parser.add_argument("--matrices", type=Path, metavar="FOLDER")
    parser.add_argument("--of", nargs="+", metavar="KEY", help="structures that matrices are written of (default: all)")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--cost", action="store_true", help="print what an atom costs, and nothing else")
    arguments = parser.parse_args()
    if arguments.cost:
        print(cost(arguments.stores))
        return
    atoms = [atom for path in arguments.stores for atom in atoms_of(path)]
    changed = corrected(atoms)
    wiser = with_encoder(atoms, changed, weights_of(atoms), SMALL)
    columns: dict[str, Sequence[np.ndarray | None]] = {
        "prior": [atom.prior for atom in atoms], "corrected": changed, "+ encoder": wiser,
        "+ grid": charges(atoms, wiser), "mean": means(atoms),
    }  # fmt: skip
    found = summary(atoms, columns)
    show(found, list(columns))
    if arguments.json:
        write_json(arguments.json, {"columns": list(columns), "groups": found})
    if arguments.matrices:
        for name, column in columns.items():
            write_all(arguments.matrices / name.replace("+ ", ""), atoms, column, arguments.of)


def write_all(
    folder: Path, atoms: Sequence[Atom], column: Sequence[np.ndarray | None], keys: Sequence[str] | None
) -> None:
    """A file for each structure whose atoms all have a change."""
    by_key: dict[str, list[np.ndarray | None]] = {}
    for atom, change in zip(atoms, column, strict=True):
        if keys is None or atom.key[1] in keys:
            by_key.setdefault(atom.key[1], []).append(None if change is None else atom.matrix(change))
    folder.mkdir(parents=True, exist_ok=True)
    for key, matrices in by_key.items():
        whole = [matrix for matrix in matrices if matrix is not None]
        if len(whole) == len(matrices):
            write_matrices(folder / f"{key}.h5", whole)


if __name__ == "__main__":
    main()
