"""The prior's features of the structures of a store, in a file beside it, so that they travel with the data.

    STORE.h5.features    HDF5: the attributes prior and sources_sha256, of what the features follow from
    /KEY                 a group for each structure, by chgtools.tightbinding.features_cache.structure_key: invariants,
                         tensors and spins as chgtools.tightbinding.features.PriorFeatures has them

The store itself stays as it is, and with it the digests that runs and indexes have of it. Features of another version
of tight binding are not used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chgtools.errors import ChgtoolsError
from chgtools.formats import hdf5
from chgtools.kernels.dense import computing_on
from chgtools.stores.store import Store, new_group
from chgtools.tightbinding.features import PRIOR, PriorFeatures
from chgtools.tightbinding.features_cache import cached_features, sources_digest, structure_key
from chgtools.training.spins import start_directions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.cell import Structure
    from chgtools.stores.entry import Entry

    Array = NDArray[np.float64]

SUFFIX = ".features"
_THERE, _NEW = "there", "new"
KIND = hdf5.Kind("chgtools features of a store", 1, "file of features", "chgtools dataset features", shared=True)


@dataclass(frozen=True)
class Written:
    """What :func:`write_features` did.

    there : structures that had features before; new : those that have them now; failed : a sentence each
    """

    path: Path
    there: int
    new: int
    failed: tuple[str, ...]


def features_file(store: str | Path) -> Path:
    """The file of a store's features; it need not be there."""
    return Path(f"{store}{SUFFIX}")


def read_features(structure: Structure, directions: Array | None, version: str) -> PriorFeatures | None:
    """Those beside the store that a structure is from; None where there are none that are of use."""
    path = features_file(structure.source)
    if not structure.source or not path.is_file():
        return None
    key = structure_key(structure, directions)
    try:
        with hdf5.reading(path, KIND) as file:
            if not _is_ours(file, version) or key not in file:
                return None
            found = PriorFeatures(*(hdf5.numbers(file[key], name) for name in ("invariants", "tensors", "spins")))
    except (ChgtoolsError, LookupError, ValueError, OSError):  # damaged, or being written: it costs time alone
        return None
    return found if len(found.invariants) == structure.n_atoms else None


def write_features(
    store: str | Path, told: Callable[[int, int], None] = lambda _done, _all: None, *, device: str = "cpu"
) -> list[Written]:
    """Compute the features of all structures of a store, or of the stores of an index, and keep them beside it.

    Start moments are those of the entries. What is there is not computed again, unless it is of another version of
    tight binding. told : structures done and in all, after each; device : "cpu", "cuda" or "auto", for many atoms
    Raises FormatError for a file that is no store.
    """
    parts = [Store.open(path) for path in Store.open(store).parts()]
    total, numbers = sum(map(len, parts)), count(1)
    with computing_on(device):
        return [_write(part, lambda: told(next(numbers), total)) for part in parts]


def _write(store: Store, stepped: Callable[[], None]) -> Written:
    """:func:`write_features` of one store."""
    path = features_file(store.path)
    if path.is_file() and is_stale(store.path):
        path.unlink()
    counts: Counter[str] = Counter()
    failed = []
    with hdf5.changing(path, KIND) as file:
        file.attrs["prior"], file.attrs["sources_sha256"] = PRIOR, sources_digest()
        for entry in store.values():
            try:
                counts[_put(file, entry)] += 1
            except ChgtoolsError as error:
                failed.append(f"{entry.name}: {error}")
            stepped()
    return Written(path, counts[_THERE], counts[_NEW], tuple(failed))


def _put(file: Any, entry: Entry) -> str:
    """Add the features of an entry; whether they are new. Raises ChgtoolsError where tight binding fails."""
    directions = start_directions(entry)
    key = structure_key(entry.structure, directions)
    if key in file:
        return _THERE
    found = cached_features(entry.structure, directions, PRIOR)
    with new_group(file, key) as group:
        for name, values in vars(found).items():
            group.create_dataset(name, data=values, compression="gzip", compression_opts=1)
    return _NEW


def is_stale(store: str | Path) -> bool:
    """Whether a store has a file of features, and these are of another version of tight binding, or damaged."""
    path = features_file(store)
    if not path.is_file():
        return False
    try:
        with hdf5.reading(path, KIND) as file:
            return not _is_ours(file, PRIOR)
    except ChgtoolsError:
        return True


def stale_sentences(stores: Iterable[Store]) -> list[str]:
    """What there is to say of files of features that cannot be used, one each."""
    return [
        f"{features_file(path)} is of another version of tight binding, or damaged, and is not used; make it again "
        f"with chgtools dataset features {path}"
        for store in stores
        for path in store.parts()
        if is_stale(path)
    ]


def _is_ours(file: Any, version: str) -> bool:
    attributes = file.attrs
    return (attributes.get("prior"), attributes.get("sources_sha256")) == (version, sources_digest())
