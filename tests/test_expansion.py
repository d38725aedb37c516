"""The kernel that adds atoms' expansions to a grid, against a plain NumPy sum over the images."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from plain_harmonics import reference as harmonics

from chgtools.cell import reciprocal
from chgtools.kernels.expansion import add_expansions
from chgtools.kernels.geometry import Cubics, PointGrid
from chgtools.kernels.harmonics import recurrence

SKEW = np.array([[4.0, 0.0, 0.0], [1.3, 3.6, 0.0], [-0.7, 0.9, 5.1]])
FRAC = np.array([[0.31, 0.94, 0.02], [0.0, 0.5, 0.25]])  # the second lies on a point of the (8, 6, 4) grid
R_MAX, N_R = 2.9, 60
DR = R_MAX / N_R


def tables(n_lm, seed=1):
    """(2, N_R, 4, n_lm) any cubics; those of l > 0 vanish at the nucleus, as a function on a grid must."""
    values = np.random.default_rng(seed).normal(size=(2, N_R, 4, n_lm))
    values[:, 0, 0, 1:] = 0.0
    return values


def plain(shape, cell, frac, table):
    """The same sum, every point and image one after another."""
    l_max = round(table.shape[2] ** 0.5) - 1
    points = np.stack(np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij"), axis=-1)
    density = np.zeros(shape)
    for image in product(range(-2, 3), repeat=3):
        d = ((points - frac - image) @ cell).reshape(-1, 3)
        r = np.linalg.norm(d, axis=1)
        near = r < R_MAX
        n = (r[near] / DR).astype(int)
        radial = np.einsum("pcl,pc->lp", table[n], (r[near] / DR - n)[:, None] ** np.arange(4))
        unit = d[near] / np.maximum(r[near], 1e-100)[:, None]
        density.ravel()[near] += (radial * harmonics(l_max, unit)).sum(axis=0)
    return density


def run(call, shape, cell, frac, table, r_max=R_MAX * (1 - 1e-12)):
    sizes = np.array(shape, float)
    spacings = 2 * np.pi / np.linalg.norm(reciprocal(cell), axis=1) / sizes
    density = np.zeros(shape, order="F")
    vectors = cell / sizes[:, None]
    grid = PointGrid(vectors, vectors @ vectors.T, R_MAX / spacings)
    call(density.T, grid, frac * sizes, Cubics(table, DR, r_max), recurrence(round(table.shape[-1] ** 0.5) - 1))
    return density


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "python"])
@pytest.mark.parametrize(("shape", "l_max"), [((8, 6, 4), 2), ((1, 5, 3), 1), ((6, 1, 7), 0)], ids=str)
def test_matches_the_plain_sum_in_a_triclinic_cell(compiled, shape, l_max):
    call = add_expansions if compiled else getattr(add_expansions, "py_func", add_expansions)
    table = tables((l_max + 1) ** 2)
    expected = sum(plain(shape, SKEW, f, t) for f, t in zip(FRAC, table, strict=True))
    np.testing.assert_allclose(run(call, shape, SKEW, FRAC, table), expected, rtol=1e-10, atol=1e-10)


def test_left_handed_cell_and_high_l():
    cell, table = SKEW[[1, 0, 2]], tables(49)[:1]
    expected = plain((5, 6, 7), cell, FRAC[0], table[0])
    np.testing.assert_allclose(run(add_expansions, (5, 6, 7), cell, FRAC[:1], table), expected, rtol=1e-10, atol=1e-10)


def test_adds_to_what_is_there_and_to_any_image():
    table = tables(9)
    once = run(add_expansions, (8, 6, 4), SKEW, FRAC, table)
    moved = run(add_expansions, (8, 6, 4), SKEW, FRAC + [[1, -2, 0], [0, 3, -1]], table)
    np.testing.assert_allclose(moved, once, rtol=1e-9, atol=1e-9)
    assert np.abs(once).max() > 1
