"""The electrons of a file against those of its atoms, and which labels would agree."""

from __future__ import annotations

from itertools import product

import numpy as np

from chgtools.cell import Structure
from chgtools.errors import MismatchError
from chgtools.libraries.choice import Choice
from chgtools.volumetric import VolumetricData

# A CHGCAR's mean is good to about 1e-6 of its electrons; 3e-5 leaves room for the 6 decimals of the lattice
ELECTRON_TOLERANCE = 3e-5


def check_electrons(
    data: VolumetricData, atoms: Structure, choice: Choice, electrons: float, nelect: float | None, where: str
) -> None:
    """Raise MismatchError unless the file holds ΣZVAL electrons, or ``nelect`` where it is known.

    where : what the number comes from, such as "is given"
    """
    zval_sum = sum(d.zval * count for d, count in zip(choice.densities, atoms.counts, strict=True))
    wanted = zval_sum if nelect is None else nelect
    if abs(electrons - wanted) <= ELECTRON_TOLERANCE * max(wanted, 1.0) * (1 if data.kind != "CHG" else 10):
        return
    name = data.source or "the file"
    if nelect is not None:
        raise MismatchError(
            f"{name} holds {electrons:.5f} electrons, NELECT = {nelect:g} {where}; they must agree (--nelect goes "
            "before an INCAR)"
        )
    parts = " + ".join(f"{n} x {d.zval:g} ({d.label})" for n, d in zip(atoms.counts, choice.densities, strict=True))
    raise MismatchError(
        f"{name} holds {electrons:.5f} electrons, its atoms {zval_sum:g} = {parts}; {_mend(atoms, choice, electrons)}"
    )


def _mend(atoms: Structure, choice: Choice, electrons: float) -> str:
    """Which labels would give the file's electrons."""
    from chgtools.atoms.labels import label_facts, labels_of

    options = []
    for element in dict.fromkeys(atoms.species):
        by_zval: dict[float, str] = {}
        for label in labels_of(element):
            by_zval.setdefault(label_facts(label).zval, label)
        options.append([(element, label, zval) for zval, label in by_zval.items()])
    weighted = [n * w for n, w in zip(atoms.counts, choice.weights or (1.0,) * len(atoms.counts), strict=True)]
    counts = {e: sum(n for s, n in zip(atoms.species, weighted, strict=True) if s == e) for e in atoms.species}
    fits = []
    if np.prod([len(choices) for choices in options]) <= 100_000:
        for combination in product(*options):
            if abs(sum(counts[element] * zval for element, _, zval in combination) - electrons) < 1e-2:
                fits.append(" ".join(f"--label {element}={label}" for element, label, _ in combination))
    if not fits:
        return "no labels give that count: for a charged cell give --nelect, else the POTCAR of the run by --potcar"
    shown = " or ".join(fits[:3]) + (f" or {len(fits) - 3} more" if len(fits) > 3 else "")
    return f"name the run's potentials: {shown}, or its POTCAR by --potcar"
