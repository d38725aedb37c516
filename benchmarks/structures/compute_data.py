"""Compute difference densities to train on with Quantum ESPRESSO, one structure at a time; a store is gone on with.

    python benchmarks/structures/compute_data.py SET OUT.h5 --tools DFT/tools --seed N [--cost 60] [--seconds 3600]
        [--start base]

SET: si, compounds, crystals, molecules (the generators of ``--tools``), silicon-beyond (silicon_structures.py: defects,
surfaces, networks, liquids), molecules-beyond (molecule_structures.py: substituted molecules), compounds-beyond
(compound_structures.py: vacancies, surfaces, mixed and random cells), materials (materials.py: families of materials
that people run, with all 70 elements), ordinary (ordinary.py: small cells of the commonest compounds, first of the
pairs of elements that --stores lack), antiferromagnets (antiferromagnets.py: moments that start in opposite directions;
not with --start atoms), spinless (the spin-polarised structures of --stores once more, as with ISPIN = 1). With
``--choose-of 8`` the network decides: of eight candidates the one is computed on which the ensemble of ``--start``
disagrees most (disagreement.py).

``tools`` holds density.py, structures.py and run_qe.py, whose method this is: PBE, norm-conserving, the cutoffs and
k-meshes given there. Every SCF starts from the density that ``--start`` predicts (predicted_start.py), or from
superposed atoms with ``--start atoms``; how good the prediction was stays with the structure (learning_log.py). Needs
pw.x on the PATH and chgnet beside what chgtools needs. Coefficients are rounded to a step that costs 5e-4 of the
difference density's root mean square, which makes the files half as large.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import h5py
import numpy as np

from chgtools.stores.store import Store

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from common import ROUNDING
from disagreement import most_disputed
from predicted_start import PredictedStart, scf_facts, signs_of

SPACINGS = {"si": 0.20, "silicon-beyond": 0.20, "molecules": 9.0, "molecules-beyond": 9.0}  # k-points, 1/Å with 2π
SPACING = 0.30
# of which there are fewest structures in benchmarks/data; drawn ten times as often with --elements scarce
SCARCE = "Br I Rh Ir Hf W Os Hg Tc Ru Tl Re Ta Ba Cs Cd Bi Ti".split()
COARSER = 1.4  # times the spacing where no symmetry is left


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set")
    parser.add_argument("store", type=Path)
    parser.add_argument("--tools", type=Path, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument(
        "--elements", choices=("common", "magnetic", "mostly-magnetic", "all", "scarce"), default="common"
    )
    parser.add_argument("--kinds", nargs="+", default=["*"], metavar="PATTERN", help="only these kinds, * matches")
    parser.add_argument("--symmetric", type=float, default=0.8, help="share of undistorted prototypes among compounds")
    parser.add_argument("--spacing", type=float, help="of k-points, 1/Å with 2π; by default that of the tools")
    parser.add_argument("--cost", type=float, default=72, help="pass over what is estimated to take more seconds")
    parser.add_argument("--limit", type=float, default=400, help="seconds after which pw.x is stopped")
    parser.add_argument("--seconds", type=float, default=1e9, help="end after this time")
    parser.add_argument("--count", type=int, default=10**6, help="end when the store holds so many of this seed")
    parser.add_argument(
        "--stores", nargs="+", default=[], type=Path, metavar="STORE.h5", help="of ordinary and spinless"
    )
    parser.add_argument(
        "--choose-of",
        type=int,
        default=1,
        metavar="N",
        help="of N candidates the one on which the weights disagree most",
    )
    parser.add_argument("--start", default="base", help="weights to start from, atoms for none")
    arguments = parser.parse_args()
    if not (arguments.tools / "run_qe.py").is_file():
        sys.exit(f"{arguments.tools} does not hold run_qe.py; wanted a folder like dft/tools")
    sys.path.insert(0, str(arguments.tools))
    from density import Atoms
    from run_qe import compute, estimated_seconds, kmesh, pack

    predicted = None if arguments.start == "atoms" else PredictedStart(arguments.start)
    if predicted is None and arguments.set == "antiferromagnets":
        sys.exit("found --start atoms with antiferromagnets; wanted weights, which say how moments point")
    atoms, start, done = Atoms(), time.time(), 0
    spacing = arguments.spacing or SPACINGS.get(arguments.set, SPACING)

    def candidates() -> Iterator[tuple]:
        for number, (name, kind, source, structure, nspin) in enumerate(generator(arguments)):
            if not any(fnmatchcase(kind, pattern) for pattern in arguments.kinds):
                continue
            key = f"{name}-s{arguments.seed}n{number}"
            structure = structure.get_sorted_structure()
            spaced = spacing * (COARSER if kind.endswith("distorted") else 1.0)
            cost = estimated_seconds(structure, kmesh(structure.lattice.matrix, spaced), nspin, atoms)
            if cost > arguments.cost:
                print(f"{key}: passed over, about {cost:.0f} s", flush=True)
                continue
            yield key, kind, source, structure, nspin, spaced, cost

    chosen: Iterator[tuple[tuple, float]] = ((each, float("nan")) for each in candidates())
    if arguments.choose_of > 1:
        if predicted is None:
            sys.exit("found --choose-of without weights to ask; wanted --start base")
        chosen = most_disputed(candidates(), lambda each: predicted.spread(each[3], each[4]), arguments.choose_of)
    for (key, kind, source, structure, nspin, spaced, cost), spread in chosen:
        if done >= arguments.count or time.time() - start > arguments.seconds:
            break
        if held(arguments.store, key):
            done += 1
            continue
        begin = time.time()
        with tempfile.TemporaryDirectory(prefix="qe") as folder:
            try:
                limit = max(arguments.limit, 2 * cost)  # the estimate was judged above
                run = predicted.compute if predicted else compute
                result = run(structure, nspin, limit, spaced, Path(folder), atoms)
                data, facts = pack(structure, result, atoms)
                facts |= scf_facts(result) | (predicted.facts(structure, result, atoms) if predicted else {})
            except (RuntimeError, AssertionError, KeyError) as error:
                print(f"{key}: left out, {error}", flush=True)
                continue
        facts |= {"formula": structure.composition.reduced_formula, "kind": kind, "source": source}
        if (signs := signs_of(structure)) is not None:
            facts["start_moments"] = signs[None]
        if spread == spread:
            facts["chosen_by_spread_percent"] = spread
        seconds = time.time() - begin
        write(arguments.store, key, data, facts | {"seconds": seconds})
        done += 1
        print(f"{key}: {len(structure)} atoms, {told(facts)}, {seconds:.0f} s", flush=True)
        if result.get("why_atoms"):
            print(f"    from superposed atoms: {result['why_atoms']}", flush=True)


def generator(arguments: argparse.Namespace) -> Iterator:
    import structures

    if arguments.set == "spinless":
        return spinless(arguments.stores)
    if arguments.set == "antiferromagnets":
        from antiferromagnets import antiferromagnets

        return antiferromagnets(arguments.seed)
    if arguments.set == "silicon-beyond":
        from silicon_structures import silicon

        return silicon(arguments.seed)
    if arguments.set == "molecules-beyond":
        from molecule_structures import molecules

        return molecules(arguments.seed)
    elements = list(structures.COMMON)
    if arguments.elements != "common":
        elements += structures.MAGNETIC
    if arguments.elements == "mostly-magnetic":
        elements += 7 * structures.MAGNETIC  # each is drawn eight times as often
    if arguments.elements in ("all", "scarce"):
        elements += structures.RARE
    if arguments.elements == "scarce":
        elements += 9 * SCARCE
    if arguments.set == "compounds-beyond":
        from compound_structures import compounds

        return compounds(arguments.seed, elements)
    if arguments.set == "materials":
        from materials import materials

        return materials(arguments.seed)
    if arguments.set == "ordinary":
        from ordinary import ordinary

        return ordinary(arguments.seed, arguments.stores)
    if arguments.set == "compounds":
        return structures.compounds(arguments.seed, elements=elements, symmetric_share=arguments.symmetric)
    if arguments.set not in structures.SETS:
        sys.exit(f"found the set {arguments.set}; wanted one of {', '.join(structures.SETS)} or their -beyond")
    return structures.SETS[arguments.set](arguments.seed)


def told(facts: dict) -> str:
    """The errors of the starts, as they were before anything learned from the structure."""
    line = f"SAED {facts['saed_eps_mae_percent']:.2f} %"
    if "base_eps_mae_percent" in facts:
        line += f", predicted {facts['base_eps_mae_percent']:.2f} %"
    return line + f", {facts['scf_iterations']} iterations"


def spinless(stores: list[Path]) -> Iterator:
    """The spin-polarised structures of stores without their moments, small ones first."""
    from pymatgen.core import Lattice, Structure

    entries = [store[name] for store in map(Store.open, stores) for name, _ in store.facts()]
    for entry in sorted(entries, key=lambda each: each.structure.n_atoms):
        if entry.magnetisation is not None:
            atoms, facts = entry.structure, entry.attributes
            made = Structure(Lattice(atoms.lattice), atoms.elements, atoms.frac)
            yield entry.name.rsplit("-s", 1)[0], str(facts["kind"]), str(facts.get("source", "")), made, 1


def held(path: Path, key: str) -> bool:
    if not path.exists():
        return False
    with h5py.File(path) as store:
        return key in store


def write(path: Path, key: str, data: dict, facts: dict) -> None:
    """Add a structure to a store; half-written groups are never left under their name."""
    with h5py.File(path, "a") as store:
        if "unfinished" in store:
            del store["unfinished"]
        group = store.create_group("unfinished")
        for label, value in data.items():
            if label in ("dcd", "magnetisation"):
                group.create_dataset(label, data=rounded(value), compression="gzip", compression_opts=9, shuffle=True)
            else:
                group[label] = value
        group.attrs.update(facts)
        store.move("unfinished", key)


def rounded(pairs: np.ndarray) -> np.ndarray:
    """Multiples of a step whose rounding errors, uniform and independent, have at most ROUNDING of the norm.

    The step is a power of two: what it leaves of a number ends in zeros, and takes half of the place when it is packed.
    """
    size = float(np.sqrt(np.mean(pairs.astype(float) ** 2)))
    if size == 0:
        return pairs
    step = 2.0 ** np.floor(np.log2(ROUNDING * size * np.sqrt(12)))
    return (np.round(pairs / step) * step).astype("f4")


if __name__ == "__main__":
    main()
