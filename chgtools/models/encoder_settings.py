"""What a network is, beside its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from chgtools.errors import SettingsError
from chgtools.tightbinding.features import FIRST, PRIOR, SECOND

if TYPE_CHECKING:
    from numpy.typing import NDArray

NO_PRIOR = "none"
PRIORS = (NO_PRIOR, FIRST, SECOND, PRIOR)


@dataclass(frozen=True)
class EncoderSettings:
    """What a network is, beside its weights.

    cutoff : Å, of the neighbours; radial : Bessel functions of a distance; l_max : of the coefficients
    channels : equivariant features of each l; hidden : width of the networks of invariants
    state : length of the vector of an atom; passes : rounds of invariant messages; order : 1 without, 2 with products
    readings : how many readings an atom's state mixes
    free_atoms : whether each element has a spherical density of its own, whatever its neighbours
    spin_channels : equivariant features of the neighbours' spins; 0 makes a network without magnetisation
    prior : one of PRIORS: whether atoms bring features of a tight-binding calculation, and of which definition
    unknown : how likely a structure is, in each step of the training, to have one element's learned vector replaced by
        that of "no particular element"; 0 makes that vector the mean of all elements'. Of networks with a prior alone
    message_l_max : largest l of the neighbours' features that equivariant messages carry, up to l_max (max_L of MACE);
        0 makes a network without them
    Raises SettingsError for a message_l_max that is no l of the features.
    """

    cutoff: float = 6.0
    radial: int = 10
    l_max: int = 4
    channels: int = 32
    hidden: int = 64
    state: int = 24
    passes: int = 1
    order: int = 2
    readings: int = 6
    free_atoms: bool = False
    spin_channels: int = 0
    prior: str = NO_PRIOR
    unknown: float = 0.0
    message_l_max: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.message_l_max <= self.l_max:
            raise SettingsError(
                f"found encoder.message_l_max = {self.message_l_max}; wanted 0 to encoder.l_max, {self.l_max}"
            )

    @property
    def degrees(self) -> NDArray[np.int64]:
        """(n_lm,) l of each lm."""
        return np.repeat(np.arange(self.l_max + 1), 2 * np.arange(self.l_max + 1) + 1)
