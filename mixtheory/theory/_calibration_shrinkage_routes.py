"""Second routes for models fitted to few examples: enumeration, exact laws of the estimate, sampling."""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import chi2

from mixtheory.evidence import MomentLaw
from mixtheory.mixing import symmetric
from mixtheory.theory import _calibration_gaussian_routes as two
from mixtheory.theory._calibration_routes import lambda_rule

N_FITTED = 40                                   # examples of the exact and the drawn estimate


def data_law(x: sp.Symbol, y: sp.Symbol, mean: Any, mean_y: Any, cross: Any) -> MomentLaw:
    """A draw (x, y) from a data set: E x, E y and E[y x] are its means."""
    table = {(0, 0): sp.S.One, (1, 0): mean, (0, 1): mean_y, (1, 1): cross}
    return MomentLaw((x, y), lambda powers: table[powers])


def enumerated_direction(alpha: float, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Mean of y~ x~ over all ordered pairs and lambda."""
    lam, rest, w = lambda_rule(alpha)
    total = np.zeros(x.shape[1])
    for i in range(len(x)):
        for j in range(len(x)):
            mixed = lam[:, None] * x[i] + rest[:, None] * x[j]
            total += (w * (lam * y[i] + rest * y[j])) @ mixed / len(x) ** 2
    return total


def drawn_direction(size: int, alpha: float, x: np.ndarray, y: np.ndarray, *, rng: np.random.Generator,
                    swapped: bool = False) -> np.ndarray:
    """y~ x~ of drawn pairs."""
    i, j = rng.integers(len(x), size=(2, size))
    lam = symmetric(alpha).sample(size, rng=rng)
    share = 1 - lam if swapped else lam
    return (share * y[i] + (1 - share) * y[j])[:, None] * (lam[:, None] * x[i] + (1 - lam[:, None]) * x[j])


def fitted_moments(mean: float, ratio: float) -> np.ndarray:
    """E|mu^|^2 and E[mu . mu^] for N_FITTED examples by quadrature: along mu a Gaussian, across a chi-square."""
    n, d = N_FITTED, round(ratio * N_FITTED)
    z, w = np.polynomial.hermite_e.hermegauss(20)
    w = w / w.sum()
    along = mean + z / np.sqrt(n)
    across = quad(lambda q: q * chi2.pdf(q, d - 1), 0, np.inf, epsabs=1e-13, epsrel=1e-12)[0] / n
    return np.array([w @ along**2 + across, w @ (mean * along)])


def fitted_draws(size: int, *, rng: np.random.Generator, mean: float, ratio: float) -> np.ndarray:
    """|mu^|^2 and mu . mu^ of drawn data sets of N_FITTED labelled examples."""
    n, d = N_FITTED, round(ratio * N_FITTED)
    rows = []
    for part in range(0, size, 2048):
        m = min(2048, size - part)
        y = rng.choice([-1.0, 1.0], size=(m, n))
        noise = rng.standard_normal((m, n, d)).astype(float)
        noise[:, :, 0] += mean * y
        fitted = (y[:, :, None] * noise).mean(axis=1)
        rows.append(np.stack([(fitted**2).sum(axis=1), mean * fitted[:, 0]], axis=1))
    return np.concatenate(rows)


def solved_alpha(kappa: float) -> float:
    """Root in alpha of E[lambda^2 + (1 - lambda)^2] = kappa."""
    def off(alpha: float) -> float:
        return float(symmetric(alpha).expect(lambda p: p**2 + (1 - p) ** 2)) - kappa

    return 0.0 if kappa == 1.0 else float(brentq(off, 1e-9, 1e4, xtol=1e-14, rtol=1e-14))


def kept(alpha: float) -> float:
    """E[lambda^2 + (1 - lambda)^2]."""
    return float(symmetric(alpha).expect(lambda p: p**2 + (1 - p) ** 2))


def ece_of(factor: float, k: Any, a: Any) -> Any:
    """E|sigma(2 factor k u) - sigma(2 a u)| on a fixed fine grid; k and a may be arrays."""
    z = np.arange(-9, 9.0001, 0.02)
    w = np.exp(-z**2 / 2)
    k, a = np.asarray(k, dtype=float)[..., None], np.asarray(a, dtype=float)[..., None]
    u = a + z                                   # by symmetry of |.| one class is enough
    return (np.abs(expit(2 * factor * k * u) - expit(2 * a * u)) @ (w / w.sum()))[()]


def mean_ece(n: int, mean: float, ratio: float, factor: float) -> float:
    """ECE averaged over the exact law of mu^: a Gaussian along mu, a chi-square across."""
    d = round(ratio * n)
    z, w = np.polynomial.hermite_e.hermegauss(24)
    q = chi2.ppf((np.arange(200) + 0.5) / 200, d - 1)
    along, across = (mean + z / np.sqrt(n))[:, None], q[None, :] / n
    k = np.sqrt(along**2 + across)
    return float(w @ ece_of(factor, k, mean * along / k).mean(axis=1) / w.sum())


def drawn_ece(size: int, *, rng: np.random.Generator, n: int, mean: float, ratio: float, factor: float) -> np.ndarray:
    """|fitted - true posterior| at one new input for each drawn estimate."""
    d = round(ratio * n)
    along = mean + rng.standard_normal(size) / np.sqrt(n)
    k = np.sqrt(along**2 + rng.chisquare(d - 1, size=size) / n)
    a = mean * along / k
    u = a * rng.choice([-1.0, 1.0], size=size) + rng.standard_normal(size)
    return np.abs(expit(2 * factor * k * u) - expit(2 * a * u))


def high_dimension(mean: float, ratio: float) -> tuple[float, float]:
    """k and a of an estimate with n = 1e12 examples and d = ratio n."""
    k = np.hypot(mean, np.sqrt(ratio))
    return float(k), float(mean * mean / k)


def crossing(mean: float, ratio: float) -> float:
    """The alpha at which the calibration error is that without mixup, in alpha itself."""
    k, a = high_dimension(mean, ratio)
    base = two.ece(lambda u: 2 * k * u, a)
    start = 0.3 * brentq(lambda t: kept(t) - a / k, 1e-9, 1e4) + 0.0
    high = 64.0
    if two.ece(lambda u: 2 * kept(high) * k * u, a) < base:
        return float("inf")
    return float(brentq(lambda t: two.ece(lambda u: 2 * kept(t) * k * u, a) - base, max(start, 1e-6) / 0.3, high,
                        xtol=1e-12))


def link(mean: float, ratio: float, alpha: float) -> float:
    """Calibration error of the target of classes at +-k on classes at +-a."""
    k, a = high_dimension(mean, ratio)
    return two.ece(lambda u: two.score(u, k, alpha), a)


def link_scaled(mean: float, ratio: float, alpha: float) -> float:
    """After the best temperature."""
    k, a = high_dimension(mean, ratio)
    T = two.best_temperature(lambda u: two.score(u, k, alpha), a)
    return two.ece(lambda u: two.score(u, k, alpha) / T, a)
