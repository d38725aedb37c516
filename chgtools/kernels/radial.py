"""Numba kernels of the radial Kohn-Sham atom: one bound state in a given potential.

All in atomic units on a logarithmic mesh r_i = r_0 exp(i step), so the independent variable is x = ln r.
"""

from __future__ import annotations

import numpy as np

from chgtools.kernels import kernel

# Adams-Moulton formula of eighth order: y_{i+1} = y_i + step * sum_k AM[k] y'_{i+1-k}
# (Hairer, Norsett, Wanner, Solving Ordinary Differential Equations I, section III.1).
AM = np.array([36799.0, 139849.0, -121797.0, 123133.0, -88547.0, 41499.0, -11351.0, 1375.0]) / 120960.0
START = 8  # points filled from the known behaviour at either end before the formula can run

BOUND, UNBOUND, NOT_CONVERGED = 0, 1, 2
TAIL = 34.0  # the inward integration starts where the state has decayed by exp(-TAIL)


@kernel
def integrate(first, last, step, a_pq, a_qp, p, q):
    """Continue P' = P + a_pq Q, Q' = -Q + a_qp P (primes: d/dx) from START known points; step may be negative.

    Runs from mesh point ``first`` (the first of the START known points) to ``last``, up or down the mesh as the sign
    of ``step`` says. Fills p and q in place and returns the number of sign changes of p.
    """
    way = 1 if step > 0 else -1
    dp = np.empty(START)
    dq = np.empty(START)
    for k in range(START):
        i = first + way * k
        dp[k] = p[i] + a_pq[i] * q[i]
        dq[k] = -q[i] + a_qp[i] * p[i]
    nodes = 0
    b = step * AM[0]
    i = first + way * START
    while (last - i) * way >= 0:
        sum_p = 0.0
        sum_q = 0.0
        for k in range(1, START):
            sum_p += AM[k] * dp[START - k]
            sum_q += AM[k] * dq[START - k]
        rhs_p = p[i - way] + step * sum_p
        rhs_q = q[i - way] + step * sum_q
        # implicit step of a linear system: solve the 2 x 2 equations for the new point
        det = (1.0 - b) * (1.0 + b) - b * b * a_pq[i] * a_qp[i]
        p[i] = ((1.0 + b) * rhs_p + b * a_pq[i] * rhs_q) / det
        q[i] = ((1.0 - b) * rhs_q + b * a_qp[i] * rhs_p) / det
        for k in range(START - 1):
            dp[k] = dp[k + 1]
            dq[k] = dq[k + 1]
        dp[START - 1] = p[i] + a_pq[i] * q[i]
        dq[START - 1] = -q[i] + a_qp[i] * p[i]
        if p[i] * p[i - way] < 0.0:
            nodes += 1
        i += way
    return nodes


@kernel
def outer_points(r, step, v, ll, energy):
    """Index of the classical turning point, and of the point where the state has decayed by exp(-TAIL)."""
    last = r.size - 1
    turn = last
    while turn > 0 and v[turn] + ll / (2.0 * r[turn] * r[turn]) > energy:
        turn -= 1
    turn = min(turn, last - 2 * START)
    end = turn
    decay = 0.0
    while end < last and decay < TAIL:
        decay += np.sqrt(max(0.0, 2.0 * (v[end] - energy) + ll / (r[end] * r[end]))) * r[end] * step
        end += 1
    return turn, min(max(end, turn + START + 1), last)


@kernel
def start_outward(r, charge, ell, inverse_c2, a_pq, p, q):
    """Fill the first START points as a point nucleus has it: r to a power, with the cusp if c is infinite."""
    power = np.sqrt(ell * (ell + 1.0) + 1.0 - charge * charge * inverse_c2) if inverse_c2 > 0.0 else ell + 1.0
    for i in range(START):
        p[i] = (r[i] / r[0]) ** power
        if inverse_c2 > 0.0:
            q[i] = (power - 1.0) * p[i] / a_pq[i]
        else:
            q[i] = (ell - charge * r[i]) * p[i] / a_pq[i]
            p[i] *= 1.0 - charge * r[i] / (ell + 1.0)


@kernel
def start_inward(r, step, end, mass, a_pq, a_qp, p, q):
    """Fill the START points up to ``end`` with an exponential of the local decay; what is wrong in it dies out."""
    decay = 0.0
    for k in range(START):
        i = end - k
        kappa = 2.0 * mass[i] * np.sqrt(max(1e-12, a_qp[i] / a_pq[i]))
        if k > 0:
            decay += kappa * r[i] * step
        p[i] = np.exp(decay)
        q[i] = -(kappa * r[i] + 1.0) * p[i] / a_pq[i]


# long: bisection and perturbation of one energy, whose bounds every step narrows
@kernel
def bound_state(r, step, v, charge, n, ell, inverse_c2, energy, tolerance):
    """Bound state n, ell of the scalar-relativistic (or, with inverse_c2 = 0, Schroedinger) radial equation.

    r : (n_r,) bohr, r[i] = r[0] exp(i step); v : (n_r,) hartree, whole potential; charge : of the point nucleus
    inverse_c2 : 1/c² in atomic units; energy : first guess, hartree; tolerance : hartree
    Returns (status, energy, p, q), p and q (n_r,): large component r R(r) and its companion, p positive at the start.
    The norm is that of Dirac's four components, ∫ p² (1 + l(l+1)/(4 c² M² r²)) + q²/c² dr = 1.

    P' = P/r + 2 M Q, Q' = -Q/r + (l(l+1)/(2 M r²) + V - E) P with M = 1 + (E - V)/(2 c²)
    (D. D. Koelling and B. N. Harmon, J. Phys. C 10, 3107 (1977), spin-orbit term left out).
    The energy is bracketed by the number of nodes and mended by the jump of Q where the solutions from the nucleus
    and from outside meet, at the classical turning point.
    """
    size = r.size
    ll = ell * (ell + 1.0)
    wanted = n - ell - 1
    p = np.zeros(size)
    q = np.zeros(size)
    a_pq = np.empty(size)
    a_qp = np.empty(size)
    mass = np.empty(size)
    # an ion with one electron binds more strongly; the factor leaves room for relativity
    low = -0.6 * charge * charge / (n * n) * (1.0 + 2.0 * charge * charge * inverse_c2) - 1.0
    high = 0.0
    if energy >= high or energy <= low:
        energy = 0.5 * (low + high)
    for _ in range(300):
        if high - low < 1e-13 * (1.0 + abs(low)):
            break
        turn, end = outer_points(r, step, v, ll, energy)
        nodes = -1
        if turn > 2 * START:
            for i in range(end + 1):
                mass[i] = 1.0 + 0.5 * inverse_c2 * (energy - v[i])
                a_pq[i] = 2.0 * mass[i] * r[i]
                a_qp[i] = ll / (2.0 * mass[i] * r[i]) + r[i] * (v[i] - energy)
            start_outward(r, charge, ell, inverse_c2, a_pq, p, q)
            nodes = integrate(0, turn, step, a_pq, a_qp, p, q)
        if nodes != wanted:
            if nodes > wanted:
                high = energy
            else:
                low = energy
            energy = 0.5 * (low + high)
            continue
        p_out = p[turn]
        q_out = q[turn]
        start_inward(r, step, end, mass, a_pq, a_qp, p, q)
        integrate(end, turn, -step, a_pq, a_qp, p, q)
        scale = p_out / p[turn]
        q_in = q[turn] * scale
        norm = 0.0
        for i in range(end + 1):
            if i >= turn:
                p[i] *= scale
                q[i] *= scale
            angular = inverse_c2 * ll / (4.0 * mass[i] * mass[i] * r[i] * r[i])
            norm += (p[i] * p[i] * (1.0 + angular) + q[i] * q[i] * inverse_c2) * r[i] * step
        # The Wronskian of two solutions gives the first-order error of the energy from the jump of Q.
        change = p_out * (q_out - q_in) / norm
        if change > 0.0:
            low = energy
        else:
            high = energy
        energy += change
        if abs(change) < tolerance:
            p[end + 1 :] = 0.0
            q[end + 1 :] = 0.0
            return BOUND, energy, p / np.sqrt(norm), q / np.sqrt(norm)
        if energy <= low or energy >= high:
            energy = 0.5 * (low + high)
    return UNBOUND if high >= -1e-9 else NOT_CONVERGED, energy, p, q
