"""A learned density ready to use: an ensemble of networks, their basis, and how far it can be trusted.

The prediction is the mean of the members' coefficients with the wanted charge. How much the members differ says how
sure they are: on structures that were kept aside from training, the error was found to follow

    ε_mae ≈ e^a · s^b,    s = 100 Σ_a s_a / Σ_a ZVAL_a   (percent of the electrons)

with s_a the root mean square, over members, of the norm of an atom's coefficients less their mean (a and b are kept in
the weights). Where the predicted difference density is not large against that error, it is damped, by
d² / (d² + ε²) with d the size of the predicted difference density in the same unit; so what the model knows nothing of
stays the SAED. With a prior, atoms of elements that the training did not have are predicted as well; where they hold
a share x of the electrons, s is taken to be 1 + (u - 1) x times as large, with u how much less sure an ensemble is to
be of them than it says (``Trust.unseen``).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from chgtools.atoms.labels import default_label, label_facts
from chgtools.errors import AssumptionWarning
from chgtools.fourier.basis import RadialBasis, expand, with_charge
from chgtools.models.encoder_settings import NO_PRIOR
from chgtools.models.graph import AtomGraph, graph
from chgtools.models.network import Network
from chgtools.models.prior import has_open_shell, has_prior
from chgtools.tightbinding.features import WITH_MOMENTS, PriorFeatures, prior_features

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.cell import Structure
    from chgtools.models.label_reading import LabelReading


@dataclass(frozen=True)
class Trust:
    """How the spread of an ensemble is turned into an error; the numbers of the module's head.

    offset, slope : a and b; size : percent of ε_mae per percent of electrons in the coefficients' norm
    damping : how much larger than estimated the error is taken to be where the density is damped; 0 damps nothing
    unseen : u, by what the spread of a structure of unseen elements alone is multiplied
    structures : how many, kept aside from training, these numbers were found on; 0 where there were too few, so that
        no error is expected of a prediction; None where the weights do not say
    The methods take x, the share of the electrons on atoms of unseen elements.
    """

    offset: float = 0.0
    slope: float = 1.0
    size: float = 1.0
    damping: float = 1.0
    unseen: float = 1.0
    structures: int | None = None

    def error(self, spread_percent: float, x: float = 0.0) -> float:
        """Estimated ε_mae in percent."""
        spread = spread_percent * (1 + (self.unseen - 1) * x)
        return float(np.exp(self.offset) * max(spread, 1e-12) ** self.slope)

    def factor(self, spread_percent: float, norm_percent: float, x: float = 0.0) -> float:
        """What the coefficients are multiplied by, 0 to 1."""
        error, size = self.damping * self.error(spread_percent, x), self.size * norm_percent
        return 1.0 if error == 0 else size**2 / (size**2 + error**2)


@dataclass(frozen=True, eq=False)
class Estimate:
    """A prediction before it is put on a grid.

    coefficients : (n_atoms, n_lm, n_max), electrons Å^-3/2, damped, with the charge asked for
    error_percent : estimated ε_mae of SAED + DCD; NaN for a single member, which has no spread, and for weights from
        whose training too few structures were kept aside
    atom_spread : (n_atoms,) spread of the ensemble at each atom, electrons
    damping : what the difference density was multiplied by
    unseen : elements without training data; the atoms of those that the model does not know have no coefficients
    spread_percent, norm_percent : the spread and the size of the coefficients, percent of the electrons
    magnetisation : (1 or 3, n_atoms, n_lm, n_max), μ_B Å^-3/2, the mean of the members; None where none was learned
    unseen_share : of the electrons of the atoms that have coefficients, on those of unseen elements, 0 to 1
    """

    coefficients: NDArray[np.float64]
    error_percent: float
    atom_spread: NDArray[np.float64]
    damping: float
    unseen: tuple[str, ...]
    spread_percent: float
    norm_percent: float
    magnetisation: NDArray[np.float64] | None = None
    unseen_share: float = 0.0


@dataclass
class DensityModel:
    """An ensemble of networks with one basis.

    elements : that it was trained on; zvals : (n_elements,) valence electrons in the training data
    target : "dcd", or "tcd" for total densities
    card : what it was made from and how well it does, for people
    spins : elements that had start moments in the training data; without any, no magnetisation was learned
    occupancies : POTCAR label to the readings of its augmentation occupancies; {} where none were learned
    labels : POTCAR labels whose CHGCARs the density was trained on: their cores are in it, as that code has them
    features_of : where the prior's features of a structure, directions of its moments and a version of the prior come
        from, for networks that have one
    """

    name: str
    elements: tuple[str, ...]
    zvals: NDArray[np.float64]
    basis: RadialBasis
    target: str
    members: list[Network]
    trust: Trust = field(default_factory=Trust)
    card: Mapping[str, Any] = field(default_factory=dict)
    spins: tuple[str, ...] = ()
    occupancies: Mapping[str, LabelReading] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    features_of: Callable[[Structure, NDArray[np.float64] | None, str], PriorFeatures] = prior_features

    @property
    def prior(self) -> str:
        """Name of the prior that the networks take features of, "none" without."""
        return self.members[0].settings.prior if self.members else NO_PRIOR

    def predict(
        self, structure: Structure, total: float = 0.0, directions: NDArray[np.float64] | None = None
    ) -> Estimate:
        """Coefficients of the density of a structure whose integral is ``total`` electrons, and of its magnetisation.

        directions : (n_atoms, 1 or 3) of the start moments, unit vectors or 0; those of elements that had none in the
            training data count as 0, and where all do, the magnetisation is None
        Atoms of elements that the model does not know are left out, as if the cell had vacancies there. Raises
        MismatchError where two atoms are on one place, ChgtoolsError where the prior has no features of them.
        """
        symbols = structure.elements
        unseen = tuple(sorted(set(symbols) - set(self.elements)))
        part, known = self.known_part(structure)
        coefficients = np.zeros((structure.n_atoms, self.basis.n_lm, self.basis.n_max))
        spread = np.zeros(structure.n_atoms)
        if not known.any():
            return Estimate(coefficients, float("nan"), spread, 0.0, unseen, float("nan"), 0.0)
        each, spins = self._evaluate(structure, total, directions)
        mean = each.mean(axis=0)
        electrons, share = self._electrons(part.elements)
        norm_percent = 100 * float(np.sqrt((mean**2).sum(axis=(1, 2))).sum()) / electrons
        magnetisation = None
        if spins is not None:
            magnetisation = np.zeros((spins.shape[1], *coefficients.shape))
            magnetisation[:, known] = spins.mean(axis=0)
        if len(each) == 1:
            coefficients[known] = mean
            nan = float("nan")
            return Estimate(coefficients, nan, spread, 1.0, unseen, nan, norm_percent, magnetisation, share)
        apart = np.sqrt(((each - mean) ** 2).sum(axis=(2, 3)).mean(axis=0) * len(each) / (len(each) - 1))
        spread[known] = apart
        spread_percent = 100 * float(apart.sum()) / electrons
        damping = self.trust.factor(spread_percent, norm_percent, share) if self.target == "dcd" else 1.0
        coefficients[known] = with_charge(damping * mean, self.basis, total)
        error = float("nan") if self.trust.structures == 0 else self.trust.error(spread_percent, share)
        return Estimate(
            coefficients, error, spread, damping, unseen, spread_percent, norm_percent, magnetisation, share
        )

    def knows(self, element: str) -> bool:
        """Whether the model has something to say of an element: trained on it, or with a prior of it."""
        return element in self.elements or (self.prior != NO_PRIOR and has_prior(element))

    def _electrons(self, symbols: Sequence[str]) -> tuple[float, float]:
        """Valence electrons of atoms, those of unseen elements by the built-in library's default labels; the latter's
        share."""
        seen = dict(zip(self.elements, self.zvals, strict=True))
        own = [float(seen[symbol]) if symbol in seen else _default_zval(symbol) for symbol in symbols]
        unseen = sum(zval for symbol, zval in zip(symbols, own, strict=True) if symbol not in seen)
        return sum(own), unseen / sum(own)

    def known_part(self, structure: Structure) -> tuple[Structure, NDArray[np.bool_]]:
        """The atoms of elements that the model knows, and (n_atoms,) which they are."""
        known = np.array([self.knows(symbol) for symbol in structure.elements])
        return (structure if known.all() else _without(structure, known)), known

    def atoms(self, structure: Structure, directions: NDArray[np.float64] | None = None) -> AtomGraph:
        """The atoms of elements that the model knows, as its networks take them.

        directions : (n_atoms, 1 or 3) of the start moments of all, see :meth:`predict`. The prior's features are those
            of the whole structure.
        """
        part, known = self.known_part(structure)
        pointing = self.pointing(structure, directions)
        features = self.features(structure, directions)
        own = None if pointing is None else pointing[known]
        features = None if features is None else features.of_atoms(known)
        return graph(part, self.elements, self.members[0].settings, own, features)

    def features(self, structure: Structure, directions: NDArray[np.float64] | None = None) -> PriorFeatures | None:
        """The prior's of all atoms; None without a prior. directions : as in :meth:`predict`"""
        if self.prior == NO_PRIOR:
            return None
        return self.features_of(structure, self.prior_pointing(structure, directions), self.prior)

    def pointing(self, structure: Structure, directions: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
        """(n_atoms, 1 or 3) those of directions that count for what was learned of moments.

        Of elements that had some in the training data; None where none does.
        """
        return _some(directions, [symbol in self.spins for symbol in structure.elements])

    def prior_pointing(
        self, structure: Structure, directions: NDArray[np.float64] | None
    ) -> NDArray[np.float64] | None:
        """The same for the prior, which knows of moments by itself.

        Also of elements with an open d or f shell that the training data did not have at all; None for a prior without.
        """
        if self.prior not in WITH_MOMENTS or not self.spins:
            return None
        magnetic = {
            symbol: symbol in self.spins or (symbol not in self.elements and has_open_shell(symbol))
            for symbol in structure.species
        }
        return _some(directions, [magnetic[symbol] for symbol in structure.elements])

    def coefficients(self, structure: Structure, total: float = 0.0) -> NDArray[np.float64]:
        """(n_members, n_atoms, n_lm, n_max) of each member, with the charge ``total``; all elements must be known."""
        return self._evaluate(structure, total, None)[0]

    def _evaluate(
        self, structure: Structure, total: float, directions: NDArray[np.float64] | None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """Coefficients of the density and (n_members, 1 or 3, n_atoms, n_lm, n_max) of the magnetisation, if any."""
        atoms = self.atoms(structure, directions)
        densities, spins = [], []
        for member in self.members:
            described = member.describe(atoms)
            densities.append(with_charge(member.density(described, atoms), self.basis, total))
            if atoms.spin.any():
                spins.append(member.magnetisation(described, atoms))
        return np.stack(densities), np.stack(spins) if spins else None

    def density(self, structure: Structure, shape: Sequence[int], total: float = 0.0) -> NDArray[np.float64]:
        """The density (difference density) on a grid: (nx, ny, nz) Fortran order, electrons/Å³."""
        return expand(structure, self.predict(structure, total).coefficients, self.basis, shape)


def _some(directions: NDArray[np.float64] | None, counts: Sequence[bool]) -> NDArray[np.float64] | None:
    """Directions (n_atoms, 1 or 3), those of atoms that do not count 0; None where none is left."""
    if directions is None:
        return None
    left = directions * np.asarray(counts)[:, None]
    return left if left.any() else None


def _default_zval(element: str) -> float:
    with warnings.catch_warnings():  # which label it is, whoever chooses the atoms says
        warnings.simplefilter("ignore", AssumptionWarning)
        return label_facts(default_label(element)).zval


def _without(structure: Structure, keep: NDArray[np.bool_]) -> Structure:
    from itertools import groupby

    from chgtools.cell import Structure as Cell

    symbols = [symbol for symbol, kept in zip(structure.elements, keep, strict=True) if kept]
    runs = [(symbol, len(list(run))) for symbol, run in groupby(symbols)]
    return Cell(
        structure.lattice, tuple(name for name, _ in runs), tuple(count for _, count in runs), structure.frac[keep]
    )
