"""How large the error of a learned difference density is expected to be, where that was calibrated.

The figure is ε_mae among calculations with one code and one set of cores: PBE, neutral cells, atoms no nearer than in
the training. Of a run that is none of these it would say nothing true, so there it is not told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from chgtools.atoms.labels import known_facts
from chgtools.cell import neighbours
from chgtools.elements import COVALENT_RADII_ANGSTROM, SYMBOLS
from chgtools.errors import SettingsError
from chgtools.run.functional import functional_of
from chgtools.run.remarks import untrained
from chgtools.tightbinding.shells import valence_shells

if TYPE_CHECKING:
    from chgtools.cell import Structure
    from chgtools.models.model import DensityModel, Estimate
    from chgtools.run.settings import RunSettings

NOT_KNOWN = "how large the error of the weights"  # how the sentence begins that no error can be told
NEAREST = 0.6  # of the sum of two covalent radii; the nearest atoms of 1400 training structures are 0.63 of it apart


def expected_error(
    model: DensityModel, estimate: Estimate, settings: RunSettings
) -> tuple[float | None, tuple[str, ...]]:
    """ε_mae in percent of the electrons, None where none can be told; and a sentence on why, or what it leaves out."""
    reasons = _not_calibrated(model, estimate, settings)
    if model.trust.structures == 0 and len(model.members) > 1:
        reasons = ["too few structures were kept aside from their training"]
    if reasons:
        return None, (f"{NOT_KNOWN} {model.name!r} is cannot be said: {'; '.join(reasons)}",)
    known = estimate.error_percent == estimate.error_percent  # a single member has no spread to tell it by
    return (estimate.error_percent, _of_the_cores(settings)) if known else (None, ())


def _of_the_cores(settings: RunSettings) -> tuple[str, ...]:
    """What the figure leaves out where the atoms are not a POTCAR's; docs/benchmarks.md, on other codes' atoms."""
    if not any(density.source.startswith("built-in") for density in settings.choice.densities):
        return ()
    return (
        "the expected error is that of the difference density; in the whole cell 30 CHGCARs of VASP were 0.6 to 15 % "
        "off with the built-in atoms (median 5.1 %), most of it in the cores",
    )


def _not_calibrated(model: DensityModel, estimate: Estimate, settings: RunSettings) -> list[str]:
    functional = str(model.card.get("functional", "PBE"))
    used = {density.xc for density in settings.choice.densities}
    others = used - {functional, ""} if functional_of(used, settings.run.incar) != functional else set()
    plain = not others and not untrained(settings.run.incar, functional)
    reasons = [] if plain else [f"it was found with plain {functional}"]
    if settings.charged:
        reasons.append("it was found on neutral cells")
    untried = [symbol for symbol in estimate.unseen if model.knows(symbol) and _has_f_shell(symbol)]
    if untried and not any(map(_has_f_shell, model.elements)):
        reasons.append(
            f"they have seen no element with f electrons such as {', '.join(untried)}; compare with --model none"
        )
    names = [density.label for density in settings.choice.densities if density.label not in model.labels]
    if unknown := [name for name in dict.fromkeys(names) if known_facts(name) is None]:
        reasons.append(f"{', '.join(unknown)} is a potential that is not known here")
    if near := _nearer_than_in_training(settings.structure):
        reasons.append(near)
    return reasons


def _nearer_than_in_training(structure: Structure) -> str:
    """A sentence on the pair that is nearest by its radii, "" where all are as far apart as in the training."""
    radius = dict(zip(SYMBOLS, COVALENT_RADII_ANGSTROM, strict=False))
    own = np.array([radius.get(symbol, 0.0) for symbol in structure.elements])
    pairs = neighbours(structure, NEAREST * 2 * float(own.max()) + 1e-6)
    near = pairs.distance / np.maximum(own[pairs.centre] + own[pairs.other], 1e-6)
    if not len(near) or near.min() >= NEAREST:
        return ""
    worst = int(near.argmin())
    first, second = structure.elements[pairs.centre[worst]], structure.elements[pairs.other[worst]]
    return f"{first} and {second} are {pairs.distance[worst]:.2f} Å apart, nearer than such atoms in the training"


def _has_f_shell(element: str) -> bool:
    """In tight binding's basis, as lanthanides and actinides have."""
    try:
        return any(shell.ell == 3 for shell in valence_shells(element))
    except SettingsError:  # beyond plutonium
        return True
