"""Files that hold a difference density already: density − superposition of atoms, as other programs write it.

pp.x of Quantum ESPRESSO with plot_num = 9 is one, as a cube or XSF file. What was subtracted is that program's atoms:
the pseudopotentials of the run, which are to be named as the atomic densities (--upf), or else what is learned is the
difference from other atoms than those that a prediction adds it to.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from chgtools import formats
from chgtools.errors import MismatchError
from chgtools.files import package_version
from chgtools.libraries.choice import Source
from chgtools.run.folder import RunFolder
from chgtools.run.functional import functional_of
from chgtools.run.settings import choose_for
from chgtools.start.superposition import superpose
from chgtools.volumetric import DifferenceDensity, require_density

_ELECTRONS, _SHARE = 0.02, 1e-3  # that digits and the ends of radial meshes may leave in a neutral cell


def given_difference(path: str | Path, source: Source | None = None, nelect: float | None = None) -> DifferenceDensity:
    """The difference density that a volumetric file holds, with the atoms that ``source`` names.

    nelect : electrons of a charged cell; by default ΣZVAL
    Raises MismatchError for a field that does not integrate to NELECT − ΣZVAL, which a whole density is told by.
    """
    data = formats.read(path)
    require_density(data)
    choice = choose_for(RunFolder(None), data.structure, source or Source())
    zvals = tuple(density.zval for density in choice.densities)
    electrons = choice.electrons if nelect is None else nelect
    found, wanted = data.integral(), electrons - choice.electrons
    if abs(found - wanted) > max(_ELECTRONS, _SHARE * choice.electrons):
        raise MismatchError(
            f"{path}: integrates to {found:.4f} electrons, wanted {wanted:g} of a difference density; build from a "
            "whole density without --difference, and give --nelect for a charged cell"
        )
    facts = {f"density_{d.label}": f"{d.source}; sha256 {d.sha256}" for d in choice.densities}
    facts |= {"chgtools_version": package_version(), "source_kind": "difference"}
    facts["functional"] = functional_of((density.xc for density in choice.densities), None)
    return DifferenceDensity(
        structure=choice.structure,
        blocks=[np.subtract(data.total, (found - wanted) / data.structure.volume), *data.blocks[1:]],
        saed=superpose(choice.structure, data.shape, choice.densities),
        labels=choice.labels,
        zvals=zvals,
        electrons=electrons,
        provenance=facts,
        assumptions=choice.assumptions,
    )
