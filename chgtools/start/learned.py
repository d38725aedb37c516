"""What learned weights add to superposed atoms, and what is to be said of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from chgtools.fourier.basis import expand
from chgtools.run.functional import functional_of
from chgtools.run.remarks import untrained
from chgtools.start.superposition import superpose

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from chgtools.atoms.density import AtomicDensity
    from chgtools.cell import Structure
    from chgtools.models.model import DensityModel, Estimate
    from chgtools.run.settings import RunSettings
    from chgtools.start.magnetisation import StartMagnetisation

MOMENT_APART = 0.05  # μ_B by which a net moment may differ from NUPDOWN without a word
LITTLE_DAMPING = 0.8  # a DCD that is damped to less is said to be


def learned_difference(
    structure: Structure,
    shape: Sequence[int],
    densities: Sequence[AtomicDensity],
    model: DensityModel,
    estimate: Estimate,
) -> NDArray[np.float64]:
    """What a model adds to the SAED of these atoms: (nx, ny, nz) Fortran order, electrons/Å³.

    densities : one for each group of the structure
    The model's difference density counts from atoms in the ground state. So besides its expansion the result holds
    what takes the atoms there, damped alike: see chgtools.libraries.ground_state. This is so of all elements that the
    model knows, seen in training or not: whatever it says of an atom, it learned to say it of ground states.
    """
    from chgtools.libraries.ground_state import ground_state_change

    difference = expand(structure, estimate.coefficients, model.basis, shape)
    for group, atomic in enumerate(densities):
        change = ground_state_change(atomic) if model.knows(structure.species[group]) else None
        if change is None or estimate.damping == 0:
            continue
        part = structure.with_changes(
            species=(structure.species[group],),
            counts=(structure.counts[group],),
            labels=(),
            frac=structure.frac[structure.group_of_atom == group],
        )
        ground, present = (superpose(part, shape, [density]) for density in change)
        difference += estimate.damping * (ground - present)
    return difference


def what_the_model_says(model: DensityModel, estimate: Estimate, settings: RunSettings) -> tuple[str, ...]:
    """Sentences on atoms without training data, on a damped DCD and on a functional that is not the training's."""
    sentences = []
    guessed = [symbol for symbol in estimate.unseen if model.knows(symbol)]
    left_out = [symbol for symbol in estimate.unseen if not model.knows(symbol)]
    atoms, n_atoms = settings.structure.elements, settings.structure.n_atoms
    for symbols in filter(None, (guessed, left_out)):
        count = sum(symbol in symbols for symbol in atoms)
        what = (
            f"the difference density of {count} of {n_atoms} atoms is what tight binding and the other elements say"
            if symbols is guessed
            else f"{count} of {n_atoms} atoms keep their atomic densities"
        )
        sentences.append(f"the weights {model.name!r} have not seen {', '.join(symbols)}: {what}")
    if estimate.damping < LITTLE_DAMPING:
        sentences.append(
            f"the weights {model.name!r} are unsure of this structure: {100 * estimate.damping:.0f} % of the learned "
            f"difference density was added to the SAED"
        )
    functional = str(model.card.get("functional", "PBE"))
    sentences += untrained(settings.run.incar, functional)
    used = {density.xc for density in settings.choice.densities}
    if used - {functional, ""} and functional_of(used, settings.run.incar) != functional:
        sentences.append(
            f"the difference density was learned with {functional}, the atoms are {', '.join(sorted(used))}"
        )
    return tuple(sentences)


def where_the_moments_come_from(
    model: DensityModel | None, start: StartMagnetisation, nupdown: float | None
) -> tuple[str, ...]:
    """Sentences on a magnetisation; nupdown : NUPDOWN, None where it is not set."""
    if start.learned:
        said = "magnetisation: learned; MAGMOM says which way the moments point, not how large they are"
        net = float(start.moments.sum())
        if nupdown is None or start.moments.ndim > 1 or abs(net - nupdown) < MOMENT_APART:
            return (said,)
        apart = f"NUPDOWN = {nupdown:g}, the learned moments add up to {net:.2f}: VASP keeps up less down electrons at "
        return (said, apart + "NUPDOWN, and may converge slowly from another moment")
    if model is None:
        return ()
    known = f"the moments of {', '.join(model.spins)} alone" if model.spins else "no magnetisation"
    return (f"magnetisation: that of MAGMOM; the weights {model.name!r} have learned {known}",)
