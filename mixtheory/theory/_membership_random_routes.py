"""Second routes for ridge regression on a random design: finite matrices, exactly and by drawing them.

The mean of tr h(C) over complex Gaussian designs is a sum of Laguerre polynomials at every finite size: the law of
the limit holds for them, too, and nothing is drawn. Real designs are drawn.
"""

from __future__ import annotations

import functools

import numpy as np
from scipy.linalg import solve_banded

from mixtheory.mixing import symmetric

CHUNK = 2**11


def kept(alpha: float) -> float:
    """E[lambda^2 + (1 - lambda)^2], the factor on the covariance of all mixed pairs, from moments of the law."""
    law = symmetric(alpha)
    return float(law.moment(2, 0) + law.moment(0, 2))


@functools.lru_cache(64)
def complex_resolvent(n: int, p: int, q: float) -> tuple[float, float]:
    """E tr (C + q)^-1 / p and E tr (C + q)^-2 / p for C = X* X / n, X (n, p) with standard complex normal entries.

    The mean density of the eigenvalues of X* X is the sum of the first squared Laguerre functions, so that the mean
    trace is the head of the diagonal of the resolvent of their Jacobi matrix, here cut off far below.
    """
    few, order = min(n, p), abs(n - p)
    size = 12 * few + 1500
    k = np.arange(size)
    diagonal, off = (2 * k + order + 1) / n + q, np.sqrt((k + 1) * (k + 1 + order)) / n
    bands = np.stack([np.append(0, off[:-1]), diagonal, np.append(off[:-1], 0)])
    columns = solve_banded((1, 1), bands, np.eye(size)[:, :few])
    first, second = columns[range(few), range(few)].sum(), (columns**2).sum()
    return (first + (p - few) / q) / p, (second + (p - few) / q**2) / p


def finite_losses(alpha: float, ridge: float, gamma: float, signal: float, noise: float, n: int) -> np.ndarray:
    """Mean squared error of members and outsiders of ridge regression without intercept on a complex design."""
    p, q = round(gamma * n), ridge / kept(alpha)
    one, two = complex_resolvent(n, p, q)
    tilt = one - q * two                                    # mean of x / (x + q)^2
    member = signal * q**2 * tilt + noise * ((n - p) / n + p / n * q**2 * two)
    return np.array([member, noise + signal * q**2 * two + noise * p / n * tilt])


def drawn_losses(size: int, *, rng: np.random.Generator, alpha: float, ridge: float, gamma: float, signal: float,
                 noise: float, n: int, unmixed: bool = False) -> np.ndarray:
    """(size, 2): losses of members and outsiders of one ridge regression with intercept on a real Gaussian design.

    The coefficients are uniform on a sphere, the noise is uniform; outsiders are averaged given the fit.
    """
    p, factor, parts = round(gamma * n), 1.0 if unmixed else kept(alpha), []
    for start in range(0, size, CHUNK):
        count = min(CHUNK, size - start)
        x = rng.standard_normal((count, n, p))
        w = rng.standard_normal((count, p))
        w *= np.sqrt(signal) / np.linalg.norm(w, axis=1, keepdims=True)
        y = np.einsum("snp,sp->sn", x, w) + np.sqrt(12 * noise) * (rng.random((count, n)) - 0.5)
        c, d = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
        rows = c.swapaxes(1, 2)
        A, a = factor * (rows @ c) / n + ridge * np.eye(p), factor * (rows @ d[..., None]) / n
        slopes = np.linalg.solve(A, a)[..., 0]
        member = ((d - np.einsum("snp,sp->sn", c, slopes)) ** 2).mean(axis=1)
        intercept = y.mean(axis=1) - np.einsum("sp,sp->s", x.mean(axis=1), slopes)
        parts.append(np.stack([member, noise + intercept**2 + ((slopes - w) ** 2).sum(axis=1)], axis=1))
    return np.concatenate(parts)


def turning_ratio(alpha: float, ridge: float, gamma: float) -> float:
    """Signal over noise at which a small change of the ridge leaves the gap alone: integrals over the limiting law.

    Marchenko and Pastur's law is sampled on its support by the trapezoidal rule in an angle; the gap is differentiated
    under the integral.
    """
    q = ridge / kept(alpha)
    angle = (np.arange(4000) + 0.5) * np.pi / 4000
    x = 1 + gamma + 2 * np.sqrt(gamma) * np.cos(angle)
    weight = 2 / np.pi * np.sin(angle) ** 2 / x * (np.pi / 4000)
    atom = max(0.0, 1 - 1 / gamma)

    def mean(h: np.ndarray, at_zero: float) -> float:
        return float(weight @ h + atom * at_zero)

    t2, t3 = mean((x + q) ** -2.0, q**-2.0), mean((x + q) ** -3.0, q**-3.0)
    u2, u3 = mean(x * (x + q) ** -2.0, 0.0), mean(x * (x + q) ** -3.0, 0.0)
    rise = (2 * q * t2 - 2 * q**2 * t3) - (2 * q * u2 - 2 * q**2 * u3)      # d/dq of q^2 (T_2 - T_1)
    fall = gamma * (-2 * u3) - gamma * (2 * q * t2 - 2 * q**2 * t3)         # d/dq of gamma (T_1 - q^2 T_2)
    return -fall / rise
