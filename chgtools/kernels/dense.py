"""Dense matrices: NumPy on the processor, or torch on a GPU for as long as a block of code asks for it.

Tight binding of hundreds of atoms is diagonalisations and products of matrices for nine tenths of its time, and these
are what a GPU does many times faster. Small matrices stay on the processor, where they are done before a GPU has begun.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import numpy as np

from chgtools.errors import ChgtoolsError, SettingsError

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Matrices = NDArray[Any]

DEVICES = ("cpu", "cuda", "auto")
SMALLEST = 256  # rows of matrices that are worth a GPU
_DEVICE: ContextVar[torch.device | None] = ContextVar("device", default=None)


def device_of(name: str) -> torch.device:
    """What "cpu", "cuda", or "auto", the GPU where there is one, stands for.

    Raises SettingsError for "cuda" where torch sees no GPU.
    """
    import torch

    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise SettingsError(
            f"found device = cuda, and torch {torch.__version__} sees no GPU here; wanted cpu or auto, a node that has "
            "one, or a torch that was built for it"
        )
    return torch.device("cuda" if there and name != "cpu" else "cpu")


@contextmanager
def computing_on(name: str) -> Iterator[None]:
    """Within the block large matrices are computed on the device of a name, see :func:`device_of`.

    For "cpu" torch, whose import takes a second, is left alone.
    """
    device = None if name == "cpu" else device_of(name)
    with on(None if device is None or device.type == "cpu" else device):
        yield


@contextmanager
def on(device: torch.device | None) -> Iterator[None]:
    """Within the block large matrices are computed with torch on a device; None for NumPy."""
    before = _DEVICE.set(device)
    try:
        yield
    finally:
        _DEVICE.reset(before)


def eigh(matrices: Matrices) -> tuple[Array, Matrices]:
    """numpy.linalg.eigh of (n_k, n, n) Hermitian matrices: (n_k, n) eigenvalues that rise, and eigenvectors as columns.

    Raises numpy.linalg.LinAlgError as it does, ChgtoolsError where the GPU's memory is too small.
    """
    device = _of(matrices)
    if device is None:
        values, vectors = np.linalg.eigh(matrices)
        return values, vectors
    import torch

    try:
        values, vectors = _computed(torch.linalg.eigh, device, matrices)
    except torch.linalg.LinAlgError as error:
        raise np.linalg.LinAlgError(str(error)) from error
    return values, vectors


def product(first: Matrices, second: Matrices) -> Matrices:
    """first @ second, of (n_k, n, n) each. Raises ChgtoolsError where the GPU's memory is too small."""
    device = _of(first)
    if device is None:
        return np.asarray(first @ second)
    import torch

    (found,) = _computed(lambda a, b: (torch.matmul(a, b),), device, first, second)
    return found


def _of(matrices: Matrices) -> torch.device | None:
    """Where matrices are to be computed, None for NumPy."""
    return _DEVICE.get() if matrices.shape[-1] >= SMALLEST else None


def _computed(function: Any, device: torch.device, *matrices: Matrices) -> Any:
    """What a function of torch gives of matrices, as arrays."""
    import torch

    try:
        return tuple(
            found.cpu().numpy() for found in function(*(torch.tensor(each, device=device) for each in matrices))
        )
    except torch.OutOfMemoryError as error:
        count, size = matrices[0].shape[0], matrices[0].shape[-1]
        raise ChgtoolsError(
            f"the memory of the GPU is too small for {count} matrices of {size} rows; compute with --device cpu"
        ) from error
