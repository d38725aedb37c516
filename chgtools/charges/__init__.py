"""What each atom has of a density: electrons, net charge, moment and dipole."""

from chgtools.charges.files import charges_of, charges_predicted
from chgtools.charges.hirshfeld_atoms import AtomicCharges
from chgtools.charges.partition import hirshfeld

__all__ = ["AtomicCharges", "charges_of", "charges_predicted", "hirshfeld"]
