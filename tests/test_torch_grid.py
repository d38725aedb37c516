"""The expansion with torch against the Numba kernels."""

import numpy as np
import pytest
import torch

from chgtools.cell import Structure
from chgtools.fourier.basis import RadialBasis, expand
from chgtools.kernels.harmonics import harmonics as compiled
from chgtools.training.torch_grid import expand_on, harmonics

LATTICE = np.array([[4.1, 0.2, 0.0], [-0.7, 4.3, 0.4], [0.3, 0.6, 3.9]])
STRUCTURE = Structure(LATTICE, ("Si", "O"), (1, 2), [[0.1, 0.2, 0.3], [0.6, 0.5, 0.9], [0.4, 0.9, 0.65]])
BASIS = RadialBasis(n_max=6, q_max=20.0)


def test_harmonics_are_those_of_the_kernels():
    points = np.random.default_rng(0).normal(size=(40, 3))
    points /= np.linalg.norm(points, axis=1)[:, None]
    found = harmonics(4, torch.as_tensor(points)).numpy()
    assert np.allclose(found, compiled(4, points).T, atol=1e-13)


@pytest.mark.parametrize("shape", [(48, 48, 45), (30, 32, 27)])
def test_it_is_the_density_of_the_kernels(shape):
    c = np.random.default_rng(1).normal(size=(3, BASIS.n_lm, BASIS.n_max)) / (1 + np.arange(BASIS.n_max))
    wanted = expand(STRUCTURE, c, BASIS, shape)
    found = expand_on("cpu", STRUCTURE, c, BASIS, shape).numpy()
    assert found.mean() == pytest.approx(wanted.mean(), abs=1e-12)
    # the kernels' functions end at the cutoff in space, these in q: they differ by what spills over q_max,
    # and by the waves of half an even axis where the grid cuts them
    assert np.abs(found - wanted).max() < (1e-3 if shape[0] > 40 else 3e-2) * np.abs(wanted).max()
