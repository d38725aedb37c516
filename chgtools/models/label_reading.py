"""The reading of one label's augmentation occupancies; chgtools.models.readings has the formula."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from chgtools.paw.records import record_groups, spherical_record

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class LabelReading:
    """The readings of one label.

    channels : l of its projectors, in order
    mean : (n_channels, n_channels) occupancies of the training atoms
    weights : L to (n_members, n_features, n_groups), of the groups in the record's order; {} where the training atoms
        were too few to learn more than their mean
    atoms : how many there were
    error_percent : of records kept aside in the fit, in percent of the records' own departure from the mean; NaN
        where nothing was fitted
    """

    channels: tuple[int, ...]
    mean: NDArray[np.float64]
    weights: Mapping[int, NDArray[np.float64]]
    atoms: int
    error_percent: float = float("nan")

    def record(self, features: Mapping[int, NDArray[np.float64]]) -> NDArray[np.float64]:
        """(length,) of an atom; features : L to (n_members, n_features, 2L + 1)"""
        record = spherical_record(self.channels, self.mean)
        for big_l, index in record_groups(self.channels).items():
            if big_l in self.weights:
                values = np.einsum("kfm,kfg->kgm", features[big_l], self.weights[big_l]).mean(axis=0)
                record[index] += values
        return record
