"""Second routes for two Gaussian classes: all pairs of labels, other quadratures, complex steps, sampling."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import chi2, norm

from mixtheory.mixing import symmetric
from mixtheory.theory._calibration_routes import lambda_rule

H = 1e-30                                       # complex step


def density(x: Any, mean: Any, variance: Any) -> Any:
    """N(x; mean, variance); x may be complex."""
    return np.exp(-((x - mean) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)


def shares(x: Any, m: float, rule: tuple[np.ndarray, np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mass of label 1 and of label 0 at x (n,), over both labels of a pair and the nodes of lambda."""
    lam, rest, w = rule
    one, zero = 0.0, 0.0
    for y in (0, 1):
        for z in (0, 1):
            mean = lam * m * (2 * y - 1) + rest * m * (2 * z - 1)
            here = density(np.asarray(x)[..., None], mean, lam**2 + rest**2) * w / 4
            one, zero = one + here @ (lam * y + rest * z), zero + here @ (lam * (1 - y) + rest * (1 - z))
    return one, zero


def target(x: Any, m: float, alpha: float) -> np.ndarray:
    """E[y~ | x~ = x]."""
    one, zero = shares(x, m, lambda_rule(alpha))
    return one / (one + zero)


def score(x: Any, m: float, alpha: float) -> np.ndarray:
    """Its log odds."""
    one, zero = shares(x, m, lambda_rule(alpha))
    return np.log(one) - np.log(zero)


def truth(x: Any, m: float) -> np.ndarray:
    """Posterior of class 1 from the two densities."""
    one, zero = density(x, m, 1.0), density(x, -m, 1.0)
    return one / (one + zero)


@functools.cache
def half_line(m: float) -> tuple[np.ndarray, np.ndarray]:
    """|x| for x ~ N(+-m, 1) by the double exponential rule of a half line, cut where float64 ends."""
    t = np.arange(-4.2, 2.3, 0.02)
    x = np.exp(np.pi / 2 * np.sinh(t))
    w = 0.02 * x * np.pi / 2 * np.cosh(t) * (density(x, m, 1.0) + density(x, -m, 1.0))
    keep = (w > 1e-20) & (x < m + 12)
    return x[keep], w[keep]


# --- quantities ---------------------------------------------------------------------------------------------

def pair_deficit(x: float, m: float, lam: float) -> float:
    """D sinh(m x) - N cosh(m x) from the densities of the four pairs."""
    one, zero = shares(np.array([x]), m, (np.array([lam]), np.array([1 - lam]), np.ones(1)))
    return float(((one + zero) * np.sinh(m * x) - (one - zero) * np.cosh(m * x))[0])


def confidences(x: float, m: float, alphas: np.ndarray) -> np.ndarray:
    """Larger of g and 1 - g at x, for many alphas."""
    g = np.array([target(np.array([x]), m, float(a))[0] for a in alphas])
    return np.maximum(g, 1 - g)


def gap(m: float, alpha: float) -> float:
    """Mean confidence less mean accuracy of the target."""
    x, w = half_line(m)
    g = target(x, m, alpha)
    right = density(x, m, 1.0) / (density(x, m, 1.0) + density(x, -m, 1.0))
    return float(w @ np.where(g > 0.5, g - right, (1 - g) - (1 - right)))


def gap_draws(size: int, *, rng: np.random.Generator, m: float, alpha: float, nodes: int = 24) -> np.ndarray:
    """Confidence less correctness on drawn unmixed examples."""
    y = rng.integers(2, size=size)
    x = m * (2 * y - 1) + rng.standard_normal(size)
    lam, w = symmetric(alpha).quadrature(nodes=nodes)
    one, zero = shares(x, m, (lam, 1 - lam, w))
    g = one / (one + zero)
    return np.maximum(g, 1 - g) - ((g > 0.5) == y)


def gap_draws_mixed(size: int, *, rng: np.random.Generator, m: float, alpha: float) -> np.ndarray:
    """The same on mixed inputs, judged by their mixed labels: there the target is calibrated."""
    y, z = rng.integers(2, size=(2, size))
    lam = symmetric(alpha).sample(size, rng=rng)
    first, second = (m * (2 * v - 1) + rng.standard_normal(size) for v in (y, z))
    nodes, w = symmetric(alpha).quadrature(nodes=48)
    one, zero = shares(lam * first + (1 - lam) * second, m, (nodes, 1 - nodes, w))
    g, label = one / (one + zero), lam * y + (1 - lam) * z
    return np.maximum(g, 1 - g) - np.where(g > 0.5, label, 1 - label)


def best_temperature(log_odds: Callable[[np.ndarray], np.ndarray], m: float) -> float:
    """Root of the complex-step slope of the log loss in 1/T."""
    x, w = half_line(m)
    p, ell = truth(x, m), log_odds(x)

    def slope(b: float) -> float:
        z = (b + 1j * H) * ell
        return float((w @ (np.log1p(np.exp(-z)) + (1 - p) * z)).imag / H)

    return 1 / brentq(slope, 1e-3, 50.0, xtol=1e-15, rtol=1e-14)


def ece(log_odds: Callable[[np.ndarray], np.ndarray], m: float) -> float:
    """E|sigma(score) - truth| by adaptive quadrature between the points where the two cross."""
    def f(x: float) -> float:
        return float(expit(log_odds(np.array([x]))[0]) - truth(x, m))

    grid = np.arange(0.03, m + 10, 0.11)
    values = [f(x) for x in grid]
    cuts = [brentq(f, a, b, xtol=1e-13) for a, b, u, v in zip(grid[:-1], grid[1:], values[:-1], values[1:], strict=True)
            if u * v < 0 and abs(u) > 1e-13]
    edges = [0.0, *cuts, m + 10]
    return float(sum(quad(lambda x: abs(f(x)) * (density(x, m, 1.0) + density(x, -m, 1.0)), a, b, epsabs=1e-13,
                          epsrel=1e-12, limit=200)[0] for a, b in zip(edges[:-1], edges[1:], strict=True)))


def temperature(m: float, alpha: float) -> float:
    """Best temperature of the target."""
    return best_temperature(lambda x: score(x, m, alpha), m)


def after_temperature(m: float, alpha: float) -> float:
    """Calibration error of the target at its best temperature."""
    T = temperature(m, alpha)
    return ece(lambda x: score(x, m, alpha) / T, m)


def midpoint_slope(m: float, alpha: float) -> float:
    """Complex step of the log odds at 0."""
    return float(score(np.array([1j * H]), m, alpha)[0].imag / H)


@functools.cache
def mixed_nodes(m: float, alpha: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weight, x and label of a mixed example, over all four pairs of labels."""
    z, v = np.polynomial.legendre.leggauss(16)
    edges = np.linspace(-10, 10, 25)
    z = (edges[:-1, None] + np.diff(edges)[:, None] * (1 + z) / 2).ravel()
    v = (np.diff(edges)[:, None] * v / 2).ravel() * np.exp(-z**2 / 2) / np.sqrt(2 * np.pi)
    rule = lambda_rule(alpha, step=0.05)
    lam, rest, w = (a[rule[2] > 1e-17] for a in rule)
    rows = []
    for y in (1,):                              # the first member may be of class 1: the rest is its mirror image
        for t in (0, 1):
            x = (m * (lam * (2 * y - 1) + rest * (2 * t - 1)))[:, None] + np.sqrt(lam**2 + rest**2)[:, None] * z
            label = np.broadcast_to((lam * y + rest * t)[:, None], x.shape)
            rows.append((np.outer(w, v) / 2, x, label))
    return tuple(np.concatenate([np.ravel(r[i]) for r in rows]) for i in range(3))


def restricted_slope(alpha: float, m: float) -> float:
    """Root of the complex-step slope of the mixup log loss of sigma(t x)."""
    weight, x, y = mixed_nodes(m, alpha)

    side = np.sign(x)

    def slope(t: float) -> float:
        z = (t + 1j * H) * x                                    # ln(1 + e^z) without overflow
        return float((weight @ ((side > 0) * z + np.log1p(np.exp(-side * z)) - y * z)).imag / H)

    return float(brentq(slope, 1e-3, 4 * m + 1, xtol=1e-13, rtol=1e-13))


def restricted_slopes(m: float, alphas: tuple[float, ...]) -> np.ndarray:
    """For many alphas."""
    return np.array([restricted_slope(a, m) for a in alphas])


def dimension_gap(d: int, m: float, alpha: float) -> float:
    """E|g - eta| with the squared radius by its quantiles."""
    x, w = (2 * v if i else v for i, v in enumerate(a[::2] for a in half_line(m)))
    rule = lambda_rule(alpha, step=0.06)
    lam, rest, v = (a[rule[2] > 1e-18] for a in rule)
    S = lam**2 + rest**2
    if d == 1:
        r2, u = np.zeros(1), np.ones(1)
    else:
        z, u = np.polynomial.legendre.leggauss(14)
        edges = np.array([-9.0, -7.0, -5.0, -3.0, -1.5, 0.0, 1.5, 3.0, 5.0, 7.0, 9.0])
        z = (edges[:-1, None] + np.diff(edges)[:, None] * (1 + z) / 2).ravel()
        u = (np.diff(edges)[:, None] * u / 2).ravel() * density(z, 0.0, 1.0)
        r2 = np.where(z < 0, chi2.ppf(norm.cdf(z), d - 1), chi2.isf(norm.sf(z), d - 1))
    log = np.log(v) - (d - 1) / 2 * np.log(S) - r2[:, None] / (2 * S)
    blur = np.exp(log - log.max(axis=1, keepdims=True))
    one, zero = 0.0, 0.0
    for y in (0, 1):
        for t in (0, 1):
            here = density(x[:, None], m * (lam * (2 * y - 1) + rest * (2 * t - 1)), S)
            one = one + blur @ (here * (lam * y + rest * t)).T
            zero = zero + blur @ (here * (lam * (1 - y) + rest * (1 - t))).T
    return float(u @ np.abs(one / (one + zero) - truth(x, m)) @ w)


def dimension_draws(size: int, *, rng: np.random.Generator, d: int, m: float, alpha: float) -> np.ndarray:
    """|g - eta| at drawn points of d coordinates, from densities in d dimensions."""
    x = rng.standard_normal((size, d))
    x[:, 0] += m * rng.choice([-1.0, 1.0], size=size)
    lam, w = symmetric(alpha).quadrature(nodes=64)
    one, zero = np.zeros(size), np.zeros(size)
    S, square = lam**2 + (1 - lam) ** 2, (x**2).sum(axis=1)[:, None]
    for y in (0, 1):
        for z in (0, 1):
            mean = m * (lam * (2 * y - 1) + (1 - lam) * (2 * z - 1))
            log = -(square - 2 * x[:, :1] * mean + mean**2) / (2 * S) - d / 2 * np.log(S) + square / 2
            here = w * np.exp(log - d / 4)
            one, zero = one + here @ (lam * y + (1 - lam) * z), zero + here @ (lam * (1 - y) + (1 - lam) * (1 - z))
    return np.abs(one / (one + zero) - truth(x[:, 0], m))


def tail(x: float, m: float, alpha: float) -> float:
    """1 - g."""
    one, zero = shares(np.array([x]), m, lambda_rule(alpha))
    return float((zero / (one + zero))[0])


def atoms(x: float, alpha: float, noise: float) -> float:
    """Mean mixed label at x of three groups, over pairs of groups and of labels."""
    lam, rest, w = lambda_rule(alpha)
    groups = ((-1.0, 0, 0.45), (0.5, 0, 0.05), (0.5, 1, 0.05), (1.0, 1, 0.45))
    label, mass = 0.0, 0.0
    for a, y, p in groups:
        for b, z, q in groups:
            here = p * q * w * density(x, lam * a + rest * b, noise**2 * (lam**2 + rest**2))
            label, mass = label + here @ (lam * y + rest * z), mass + here.sum()
    return float(label / mass)
