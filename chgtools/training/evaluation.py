"""How good a model is on the entries of a store, structure by structure and summed up by kind and element.

The reference is SAED + the stored difference density on the entry's own grid, with built-in PBE atoms; errors are
relative to the electrons of the store (NELECT), so those of the SAED are the store's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from chgtools.comparison import coulomb_self_energy
from chgtools.fourier.basis import expand
from chgtools.libraries.choice import Source, choose
from chgtools.start.superposition import superpose
from chgtools.training.readings import has_records
from chgtools.training.spins import start_directions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.cell import Structure
    from chgtools.fourier.basis import RadialBasis
    from chgtools.models.model import Estimate
    from chgtools.stores.entry import Entry

NEAR = 0.3  # μ_B


class Predictor(Protocol):
    """What is evaluated: a DensityModel or the like."""

    @property
    def basis(self) -> RadialBasis: ...
    @property
    def target(self) -> str: ...
    def predict(
        self, structure: Structure, total: float = 0.0, directions: NDArray[np.float64] | None = None
    ) -> Estimate: ...


@dataclass(frozen=True)
class Row:
    """One structure.

    eps_mae, eps_rms : percent; coulomb : Coulomb self-energy of the error, meV/atom; each for the model and the SAED
    expected : the model's own estimate of eps_mae, percent (NaN without an ensemble)
    minimum : smallest value of the predicted density, electrons/Å³
    magnetisation, magnetisation_none : ∫|m - m_ref| and ∫|m_ref|, percent of the electrons; moment, moment_ref,
        moment_error : |∫m|, |∫m_ref| and |∫m - ∫m_ref|, μ_B; NaN where the entry or the model has no magnetisation
    occupancies, occupancies_mean : root of Σ|ΔR|² over Σ|R|² of the atoms' records, percent, learned and with the
        mean of their labels; NaN where the entry has no records or the model no readings of their labels
    """

    name: str
    kind: str
    formula: str
    elements: tuple[str, ...]
    atoms: int
    eps_mae: float
    eps_mae_saed: float
    eps_rms: float
    eps_rms_saed: float
    coulomb: float
    coulomb_saed: float
    minimum: float
    expected: float
    damping: float
    unseen: tuple[str, ...]
    magnetisation: float = float("nan")
    magnetisation_none: float = float("nan")
    moment: float = float("nan")
    moment_ref: float = float("nan")
    moment_error: float = float("nan")
    occupancies: float = float("nan")
    occupancies_mean: float = float("nan")

    @property
    def better(self) -> bool:
        """Whether the model is nearer than the SAED."""
        return self.eps_mae < self.eps_mae_saed


def evaluate(model: Predictor, entries: Iterable[Entry]) -> Iterator[Row]:
    """A Row for each entry, as it is computed."""
    for entry in entries:
        yield evaluate_entry(model, entry)


def evaluate_entry(model: Predictor, entry: Entry) -> Row:
    structure, shape = entry.structure.with_changes(labels=()), entry.shape
    densities = choose(structure, Source()).densities
    atoms = superpose(structure, shape, densities)
    wanted = entry.on_grid()
    if model.target == "tcd":
        zvals = sum(d.zval * n for d, n in zip(densities, structure.counts, strict=True))
        estimate = model.predict(structure, zvals + entry.dcd_0, start_directions(entry))
        predicted = expand(structure, estimate.coefficients, model.basis, shape) - atoms
    else:
        estimate = model.predict(structure, entry.dcd_0, start_directions(entry))
        predicted = expand(structure, estimate.coefficients, model.basis, shape)
    electrons = float(entry.attributes["nelectrons"])
    error = predicted - wanted
    norm = float(np.sqrt(np.sum((atoms + wanted) ** 2)))
    per_percent = 100 * structure.volume / wanted.size / electrons
    to_mev = 1000 / structure.n_atoms
    return Row(
        name=entry.name,
        kind=str(entry.attributes.get("kind", "unknown")),
        formula=str(entry.attributes.get("formula", structure.formula)),
        elements=tuple(sorted(set(structure.elements))),
        atoms=structure.n_atoms,
        eps_mae=per_percent * float(np.abs(error).sum()),
        eps_mae_saed=per_percent * float(np.abs(wanted).sum()),
        eps_rms=100 * float(np.sqrt(np.sum(error**2))) / norm,
        eps_rms_saed=100 * float(np.sqrt(np.sum(wanted**2))) / norm,
        coulomb=to_mev * coulomb_self_energy(np.asfortranarray(error), structure.lattice),
        coulomb_saed=to_mev * coulomb_self_energy(wanted, structure.lattice),
        minimum=float((atoms + predicted).min()),
        expected=estimate.error_percent,
        damping=estimate.damping,
        unseen=estimate.unseen,
        **_magnetic(model, entry, estimate, per_percent),
        **_occupancies(model, entry),
    )


def _magnetic(model: Predictor, entry: Entry, estimate: Estimate, per_percent: float) -> dict[str, float]:
    """The fields of a Row on the magnetisation."""
    if estimate.magnetisation is None or entry.magnetisation is None:
        return {}
    wanted = np.array(entry.magnetisation_on_grid())
    predicted = np.array([expand(entry.structure, c, model.basis, entry.shape) for c in estimate.magnetisation])
    moment = [float((c[:, 0] @ model.basis.charges).sum()) for c in estimate.magnetisation]
    return {
        "magnetisation": per_percent * float(np.linalg.norm(predicted - wanted, axis=0).sum()),
        "magnetisation_none": per_percent * float(np.linalg.norm(wanted, axis=0).sum()),
        "moment": float(np.linalg.norm(moment)),
        "moment_ref": float(np.linalg.norm(entry.magnetisation_0)),
        "moment_error": float(np.linalg.norm(np.subtract(moment, entry.magnetisation_0))),
    }


def _occupancies(model: Predictor, entry: Entry) -> dict[str, float]:
    """The fields of a Row on the occupancies."""
    readings = getattr(model, "occupancies", None)
    if not readings or not has_records(entry):
        return {}
    from chgtools.models.readings import predict_records
    from chgtools.paw.records import spherical_record

    labels = [entry.structure.labels[group].split("/")[0] for group in entry.structure.group_of_atom]
    learned = predict_records(model, entry.structure, labels)  # type: ignore[arg-type]
    sums = np.zeros(3)
    for label, wanted, predicted in zip(labels, entry.records[0].real, learned, strict=True):
        if predicted is None or len(predicted) != len(wanted):
            return {}
        mean = spherical_record(readings[label].channels, readings[label].mean)
        sums += [((predicted - wanted) ** 2).sum(), ((mean - wanted) ** 2).sum(), (wanted**2).sum()]
    errors = 100 * np.sqrt(sums[:2] / sums[2])
    return {"occupancies": float(errors[0]), "occupancies_mean": float(errors[1])}


def summary(rows: Sequence[Row]) -> dict[str, list[dict[str, Any]]]:
    """Tables "kinds", of which the first row is "all", and "elements".

    Number, mean, median, 95th percentile and largest ε_mae, the SAED's mean, share of structures that are better.
    """
    kinds = sorted({row.kind for row in rows})
    symbols = sorted({symbol for row in rows for symbol in row.elements})
    by_kind = {kind: [row for row in rows if row.kind == kind] for kind in kinds}
    by_element = {symbol: [row for row in rows if symbol in row.elements] for symbol in symbols}
    groups = {"all": list(rows)} | (by_kind if len(kinds) > 1 else {})
    return {
        "kinds": [_line(name, group) for name, group in groups.items()],
        "elements": [_line(name, group) for name, group in by_element.items()],
    }


def magnetic_summary(rows: Sequence[Row]) -> dict[str, float] | None:
    """Number of structures with a magnetisation, means of its error and of what there was, of the moments' errors.

    moment_near_percent : of structures whose moment is within NEAR of the true one. None where there are none.
    """
    chosen = [row for row in rows if row.magnetisation == row.magnetisation]
    if not chosen:
        return None
    return {
        "structures": len(chosen),
        "mean": float(np.mean([row.magnetisation for row in chosen])),
        "none_mean": float(np.mean([row.magnetisation_none for row in chosen])),
        "moment_mae": float(np.mean([row.moment_error for row in chosen])),
        "moment_near_percent": 100 * float(np.mean([row.moment_error <= NEAR for row in chosen])),
        "moment_mean": float(np.mean([row.moment_ref for row in chosen])),
    }


def occupancies_summary(rows: Sequence[Row]) -> dict[str, float] | None:
    """Number of structures with learned occupancies, means of their error and of that of the labels' mean; or None."""
    chosen = [row for row in rows if row.occupancies == row.occupancies]
    if not chosen:
        return None
    return {
        "structures": len(chosen),
        "mean": float(np.mean([row.occupancies for row in chosen])),
        "labels_mean": float(np.mean([row.occupancies_mean for row in chosen])),
    }


def _line(name: str, rows: Sequence[Row]) -> dict[str, Any]:
    errors = np.array([row.eps_mae for row in rows])
    return {
        "name": name,
        "structures": len(rows),
        "mean": float(errors.mean()),
        "median": float(np.median(errors)),
        "p95": float(np.percentile(errors, 95)),
        "largest": float(errors.max()),
        "saed_mean": float(np.mean([row.eps_mae_saed for row in rows])),
        "coulomb_mean": float(np.mean([row.coulomb for row in rows])),
        "better_percent": 100 * float(np.mean([row.better for row in rows])),
    }


def as_dict(row: Row) -> dict[str, Any]:
    """For JSON: NaN, which it has not, as None."""
    return {key: None if isinstance(value, float) and value != value else value for key, value in asdict(row).items()}
