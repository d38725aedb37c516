"""FFT grids: VASP's rule on real runs, Fourier coefficients and resampling on waves that are known."""

from __future__ import annotations

import json
from itertools import product

import numpy as np
import pytest
from conftest import shared_path
from hypothesis import given
from hypothesis import strategies as st

from chgtools.cell import reciprocal
from chgtools.errors import AssumptionWarning, ChgtoolsError, SettingsError
from chgtools.fourier.grids import fft_friendly, fft_grid, precision_name
from chgtools.fourier.resampling import coefficients, inscribed_cutoff, resample

SKEW = np.array([[4.0, 0.0, 0.0], [1.3, 3.6, 0.0], [-0.7, 0.9, 5.1]])
CUBE = 6.05836 * np.eye(3)


def factors(n):
    return {p for p in range(2, n + 1) if n % p == 0 and all(p % q for q in range(2, p))}


@given(st.integers(min_value=1, max_value=3000))
def test_friendly_numbers_are_the_next_even_seven_smooth_ones(n):
    found = fft_friendly(n)
    assert found % 2 == 0
    assert factors(found) <= {2, 3, 5, 7}
    assert not any(factors(m) <= {2, 3, 5, 7} for m in range(n + n % 2, found, 2) if m)


def real_runs():
    return json.loads(shared_path("fft_grids.json").read_text())["rows"]


def predicted(row, **tags):
    grids = fft_grid(row["lattice"], row["encut"], row["prec"], row["enaug"], vasp=int(row["vasp_version"][0]), **tags)
    return [list(grid) for grid in grids]


def test_real_runs_have_the_predicted_grids():
    rows = [row for row in real_runs() if not row["ng_set_by_user"]]
    hits = sum(predicted(row) == [row["ng"], row["ngf"]] for row in rows)
    assert hits / len(rows) >= 0.995


def test_real_runs_with_ngx_set_take_twice_that():
    rows = [row for row in real_runs() if row["ng_set_by_user"]]
    assert len(rows) > 10
    for row in rows:
        assert predicted(row, ng=row["ng"]) == [row["ng"], row["ngf"]]


# Facts of runs in public test data (fft_grids.json): cell, ENCUT, PREC, ENAUG, NGX.., NGXF..
RUNS = [
    (CUBE, 280.0, "normal", None, (28, 28, 28), (56, 56, 56)),
    (3.834057 * (1 - np.eye(3)), 680.0, "Accurate", 1360.0, (48, 48, 48), (96, 96, 96)),
    ([[6.14736, 0, 0], [-3.07368, 5.32377, 0], [0, 0, 7.0687]], 490.0, "high", 758.8, (48, 48, 54), (80, 80, 84)),
    (3.141538 * (1 - np.eye(3)), 520.0, "med", 543.3, (28, 28, 28), (36, 36, 36)),
    (10.8618 * np.eye(3), 184.009, "low", 322.069, (36, 36, 36), (48, 48, 48)),
]


@pytest.mark.parametrize(("lattice", "encut", "prec", "enaug", "ng", "ngf"), RUNS, ids=[run[2] for run in RUNS])
def test_one_run_of_each_precision(lattice, encut, prec, enaug, ng, ngf):
    assert fft_grid(lattice, encut, prec, enaug) == (ng, ngf)


@pytest.mark.parametrize(
    ("text", "name"),
    [("A", "accurate"), ("acc", "accurate"), ("N ! comment", "normal"), ("MED", "medium"), ("SingleN", "singlen")],
)
def test_precision_by_first_letter(text, name):
    assert precision_name(text) == name


def test_single_is_told_apart_by_version():
    with pytest.warns(AssumptionWarning, match="VASP 5"):
        old = fft_grid(CUBE, 280.0, "Single")
    assert old == ((28, 28, 28), (28, 28, 28)) == fft_grid(CUBE, 280.0, "SingleN")
    assert fft_grid(CUBE, 280.0, "Single", vasp=6)[1] == fft_grid(CUBE, 280.0, "Accurate")[0]


def test_tags_win_axis_by_axis():
    ng, ngf = fft_grid(CUBE, 280.0, ng=(None, 11, None), ngf=(None, None, 61))
    assert ng == (28, 12, 28)  # 11 is no size the FFT takes
    assert ngf == (56, 24, 64)


def test_the_direct_edge_decides_and_rotation_or_handedness_do_not():
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    assert fft_grid(SKEW @ rotation, 400.0) == fft_grid(SKEW, 400.0)
    assert fft_grid(SKEW * [1, 1, -1], 400.0) == fft_grid(SKEW, 400.0)
    sheared = SKEW.copy()
    sheared[1] = np.linalg.norm(SKEW[1]) * np.array([0.9, np.sqrt(1 - 0.81), 0])
    assert fft_grid(sheared, 400.0) == fft_grid(SKEW, 400.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"encut": -3.0}, "ENCUT = -3"),
        ({"encut": np.nan}, "ENCUT = nan"),
        ({"prec": "fine"}, "'fine'.*Accurate"),
        ({"prec": ""}, "PREC = ''"),
        ({"prec": "Medium"}, "Medium needs ENAUG"),
        ({"prec": "High", "enaug": 0.0}, "ENAUG = 0"),
        ({"ng": (None, 0, None)}, "NGY = 0"),
        ({"ngf": (None, None, -8)}, "NGZF = -8"),
        ({"lattice": np.ones((3, 3))}, "independent"),
    ],
    ids=str,
)
def test_refuses(arguments, message):
    with pytest.raises(SettingsError, match=message):
        fft_grid(**{"lattice": CUBE, "encut": 300.0, **arguments})


@pytest.mark.parametrize("shape", [(6, 5, 8), (1, 4, 7), (2, 1, 3)], ids=str)
def test_coefficients_of_single_waves(shape):
    fractions = np.stack(np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij"), -1)
    for h, k, m in product(*(range(-((n - 1) // 2), (n - 1) // 2 + 1) for n in shape)):
        if h < 0:
            continue
        place = (m % shape[2], k % shape[1], h)
        wave = np.asfortranarray(np.cos(2 * np.pi * fractions @ [h, k, m]))
        found = coefficients(wave)
        assert found[place] == pytest.approx(1.0 if h == k == m == 0 else 0.5)
        others = np.delete(np.abs(found).ravel(), np.ravel_multi_index(place, found.shape))
        partner = h == 0 and (k, m) != (0, 0)  # the plane h = 0 holds both signs of G
        assert np.sort(others)[-1 - partner :].max(initial=0.0) == pytest.approx(0.5 if partner else 0.0, abs=1e-13)


def test_inscribed_cutoff_touches_the_box():
    shape = (9, 8, 12)
    cutoff = inscribed_cutoff(SKEW, shape)
    b = reciprocal(SKEW)
    # Nearest points of the six faces of the box |h_i| = n_i/2
    faces = [np.pi * n * a / (a @ a) for n, a in zip(shape, SKEW, strict=True)]
    assert cutoff == pytest.approx(min(np.linalg.norm(face) for face in faces))
    assert all(
        abs(face @ np.linalg.inv(b))[i] == pytest.approx(n / 2)
        for i, (face, n) in enumerate(zip(faces, shape, strict=True))
    )


def random_field(shape, seed=0):
    return np.asfortranarray(np.random.default_rng(seed).random(shape))


@pytest.mark.parametrize(
    "new", [(12, 10, 16), (6, 5, 8), (7, 5, 9), (4, 3, 6), (8, 4, 6), (3, 12, 5), (1, 1, 1)], ids=str
)
def test_resampling_keeps_the_mean_and_the_order(new):
    values = random_field((6, 5, 8))
    found = resample(values, new)
    assert found.shape == new
    assert found.flags.f_contiguous
    assert found.mean() == pytest.approx(values.mean(), rel=1e-14)
    assert not np.shares_memory(found, values)


def test_the_same_grid_gives_a_copy_also_of_a_view():
    values = np.random.default_rng(0).random((8, 5, 6)).T
    found = resample(values, (6, 5, 8))
    np.testing.assert_array_equal(found, values)
    assert not np.shares_memory(found, values)


def test_a_finer_grid_keeps_common_points_and_comes_back():
    values = random_field((6, 5, 8))
    fine = resample(values, (12, 15, 16))
    np.testing.assert_allclose(fine[::2, ::3, ::2], values, atol=1e-14)
    np.testing.assert_allclose(resample(fine, values.shape), values, atol=1e-14)
    between = resample(values, (7, 6, 9))  # the edge waves of even axes are shared and collected again
    np.testing.assert_allclose(resample(between, values.shape), values, atol=1e-14)


def wave(shape, miller):
    fractions = np.stack(np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij"), -1)
    return np.asfortranarray(np.cos(2 * np.pi * fractions @ miller + 0.4))


@pytest.mark.parametrize("new", [(8, 9, 6), (14, 11, 20)], ids=str)
def test_waves_both_grids_hold_are_interpolated_exactly(new):
    np.testing.assert_allclose(resample(wave((10, 12, 9), [3, -4, 2]), new), wave(new, [3, -4, 2]), atol=1e-13)


def test_waves_a_coarse_grid_cannot_hold_are_dropped():
    np.testing.assert_allclose(resample(wave((16, 12, 9), [5, 1, 0]), (8, 12, 9)), 0, atol=1e-13)


def test_the_edge_wave_on_the_way_down_is_sampled():
    # cos at n/2 of the coarse grid: its samples, as any wave that the coarse grid holds
    np.testing.assert_allclose(resample(wave((16, 6, 4), [4, 0, 0]), (8, 6, 4)), wave((8, 6, 4), [4, 0, 0]), atol=1e-13)


def test_single_precision_stays_single():
    values = random_field((6, 5, 8)).astype(np.float32)
    found = resample(values, (8, 5, 12))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, resample(values.astype(float), (8, 5, 12)), atol=1e-6)


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 0), (4, 4.5, 4)], ids=str)
def test_refuses_a_shape_that_is_none(shape):
    with pytest.raises(ChgtoolsError, match="three positive"):
        resample(random_field((4, 4, 4)), shape)
