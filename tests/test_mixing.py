"""Anderson mixing, by hand and on a problem whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from chgtools.radial_atom.mixing import Anderson


def test_the_second_try_takes_the_smallest_residual_of_the_line_and_a_share_of_it():
    mixer, share = Anderson(0.3, 5, 1e-12), 0.3
    first, second = np.array([1.0, -2.0]), np.array([0.4, 0.5])
    r_first, r_second = np.array([0.7, 0.1]), np.array([-0.2, 0.6])
    np.testing.assert_allclose(mixer.next(first, r_first), first + share * r_first)
    step, change = second - first, r_second - r_first
    along = (change @ r_second) / (change @ change)
    expected = second - along * step + share * (r_second - along * change)
    np.testing.assert_allclose(mixer.next(second, r_second), expected, rtol=1e-12)


@pytest.mark.parametrize(("history", "ends"), [(6, True), (2, False)])
def test_a_linear_problem_of_four_numbers_is_solved_in_six_tries_that_are_remembered(history, ends):
    rng = np.random.default_rng(2)
    matrix, constant = rng.normal(size=(4, 4)), rng.normal(size=4)
    mixer, x = Anderson(0.2, history, 1e-14), np.zeros(4)
    for _ in range(6):
        x = mixer.next(x, constant - matrix @ x)
    assert (np.abs(constant - matrix @ x).max() < 1e-8) == ends
