"""Second routes to noise scales and thresholds: Gauss-Hermite rules, enumeration, root finding. No formula shared."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np
from scipy.optimize import brentq, minimize_scalar

from mixtheory.mixing import symmetric
from mixtheory.mixup import blend
from mixtheory.theory import _gradients_routes as small


@functools.cache
def hermite(dimensions: int) -> tuple[np.ndarray, np.ndarray]:
    """Five-point rule for N(0, I): points (5^k, k) and weights, exact to degree 9 in each coordinate."""
    t, w = np.polynomial.hermite_e.hermegauss(5)
    points = np.array(list(itertools.product(t, repeat=dimensions)))
    weights = np.array([np.prod(p) for p in itertools.product(w / w.sum(), repeat=dimensions)])
    return points, weights


def moments_of_pairs(alpha: float, x: np.ndarray, r: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of the mixed gradient over all pairs of weighted examples and all lambda."""
    lam, weight = symmetric(alpha).quadrature(nodes=3)
    mean, second = np.zeros(x.shape[1]), np.zeros((x.shape[1],) * 2)
    pair = np.multiply.outer(p, p).ravel()
    for each, share in zip(lam, weight, strict=True):
        mixed = blend(each, x[:, None], x[None]).reshape(-1, x.shape[1])
        g = mixed * blend(each, r[:, None], r[None]).reshape(-1, 1)
        mean += share * (pair @ g)
        second += share * (g * pair[:, None]).T @ g
    return mean, second - np.outer(mean, mean)


def gaussian_moments(alpha: float, Sigma: np.ndarray, delta: np.ndarray, noise: float) -> tuple[np.ndarray, np.ndarray]:
    z, p = hermite(len(Sigma) + 1)
    x = z[:, :-1] @ np.linalg.cholesky(Sigma + 1e-300 * np.eye(len(Sigma))).T
    return moments_of_pairs(alpha, x, x @ delta - np.sqrt(noise) * z[:, -1], p)


def exact_gaussian(alpha: float, Sigma: np.ndarray, delta: np.ndarray, noise_variance: float) -> np.ndarray:
    return gaussian_moments(alpha, Sigma, delta, noise_variance)[1]


def exact_noise_scale(alpha: float, A: float) -> float:
    """The parameters differ in the first of two features; the other has the variance that gives A."""
    if A == 1:
        mean, covariance = gaussian_moments(alpha, np.eye(1), np.ones(1), 0.0)
    else:
        mean, covariance = gaussian_moments(alpha, np.diag([1.0, (A - 1) / 2]), np.array([1.0, 0.0]),
                                            2 * A / (A + 1) - 1)
    return float(np.trace(covariance) / (mean @ mean))


def ratios(A: float) -> np.ndarray:
    """Noise scale over that without mixup: a grid of alphas with both ends, and the worst that an optimiser finds."""
    plain = exact_noise_scale(0.0, A)
    worst = minimize_scalar(lambda log: -exact_noise_scale(float(np.exp(log)), A), bounds=(-3.0, 2.0),
                            method="bounded", options={"xatol": 1e-6})
    grid = (0.0, *np.geomspace(1e-3, 1e3, 13), np.inf, float(np.exp(worst.x)))
    return np.array([exact_noise_scale(alpha, A) for alpha in grid]) / plain


def exact_tails(alpha: float, A: float, K: float) -> float:
    """One feature: +-sqrt(kappa) with probability 1/kappa in all, else 0, has kurtosis kappa."""
    kappa = K + 3
    points = np.sqrt(kappa) * np.array([-1.0, 0.0, 1.0])
    share = np.array([0.5 / kappa, 1 - 1 / kappa, 0.5 / kappa])
    x = np.repeat(points, 2)[:, None]
    r = x[:, 0] + np.sqrt(A - 1) * np.tile([-1.0, 1.0], 3)
    scales = []
    for each in (alpha, 0.0):
        mean, covariance = moments_of_pairs(each, x, r, np.repeat(share, 2) / 2)
        scales.append(covariance[0, 0] / mean[0] ** 2)
    return float(scales[0] - scales[1])


def exact_tail_ratio(alpha: float) -> float:
    law = symmetric(alpha)
    return float(law.expect(lambda p: p**4 + (1 - p) ** 4) / law.expect(lambda p: p**2 + (1 - p) ** 2) ** 2)


def exact_threshold(which: str) -> float:
    """Where a quadrature of the batch noise, or of q4 - s^2, changes sign."""
    def gap(alpha: float) -> float:
        lam, w = symmetric(alpha).quadrature(nodes=3)
        if which == "tails":
            return float(w @ (lam**4 + (1 - lam) ** 4) - (w @ (lam**2 + (1 - lam) ** 2)) ** 2)
        one, two = lam[:, None], lam[None]
        own = (one**2 + (1 - two) ** 2) ** 2
        cross = 2 * (one * (1 - one)) ** 2 if which == "roll" else (one * (1 - one) + two * (1 - two)) ** 2
        return float(w @ (own + cross) @ w - 1)
    return float(brentq(gap, 0.15, 1.0, xtol=1e-14))


def exact_stationary(alpha: float, Sigma: np.ndarray, delta: np.ndarray, pairing: str, n: int) -> np.ndarray:
    """Covariance of a batch gradient with one lambda at any n: elements overlap with their neighbours only.

    Given lambda, n Cov = Cov(f_1) + Cov(f_1, f_2) + its transpose (roll), or Cov(f_1) + Cov(f_1, its mirror image)
    (flip), enumerated over the three-point population.
    """
    x, r = small.examples(Sigma, delta, 0.7)
    lam, weight = symmetric(alpha).quadrature(nodes=3)
    within, means = np.zeros_like(Sigma), []
    for each, share in zip(lam, weight, strict=True):
        f = blend(each, x[:, None], x[None]) * blend(each, r[:, None], r[None])[..., None]      # own, partner
        centre = f.mean(axis=(0, 1))
        f = f - centre
        K = len(x)
        alone = np.einsum("abi,abj->ij", f, f) / K**2
        if pairing == "roll":
            next_ = np.einsum("abi,bcj->ij", f, f) / K**3
            alone = alone + next_ + next_.T
        else:
            alone = alone + np.einsum("abi,baj->ij", f, f) / K**2
        within += share * alone / n
        means.append(centre)
    spread = np.array(means) - weight @ np.array(means)
    return within + (spread * weight[:, None]).T @ spread


# ---- fourth moments ----------------------------------------------------------------------------------------------

def exact_elliptical(Sigma: np.ndarray, delta: np.ndarray, kappa: float) -> np.ndarray:
    """A Gaussian times a radius whose square takes two values with mean 1."""
    z, p = hermite(len(Sigma))
    x = z @ np.linalg.cholesky(Sigma).T
    gap = np.sqrt(kappa / 3 - 1)
    total = np.zeros_like(Sigma)
    for square in (1 - gap, 1 + gap):
        y = np.sqrt(square) * x
        total += (y * (p * (y @ delta) ** 2)[:, None]).T @ y / 2
    return total


def _on_circles(size: int, rng: np.random.Generator, kappa: float, own: bool) -> np.ndarray:
    """Planar rotationally symmetric draws with bounded radius and kurtosis kappa."""
    angle = rng.uniform(0, 2 * np.pi, size)
    unit = np.sqrt(2) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    c = kappa / 1.5                                  # R^2 is c with probability 1/c, else 0
    return unit * np.sqrt(c * (rng.random((size, 2 if own else 1)) < 1 / c))


def _fourth(x: np.ndarray, delta: np.ndarray) -> np.ndarray:
    return x[:, :, None] * x[:, None, :] * ((x @ delta) ** 2)[:, None, None]


def simulate_elliptical(size: int, *, rng: np.random.Generator, Sigma: np.ndarray, delta: np.ndarray, kappa: float,
                        own: bool = False) -> np.ndarray:
    return _fourth(_on_circles(size, rng, kappa, own) @ np.linalg.cholesky(Sigma).T, delta)


def simulate_own_radii(size: int, *, rng: np.random.Generator, **case: Any) -> np.ndarray:
    """Each coordinate has a radius of its own: the same variances, not elliptical."""
    return simulate_elliptical(size, rng=rng, own=True, **case)


def exact_independent(L: np.ndarray, delta: np.ndarray, kappa: float) -> np.ndarray:
    """Components +-sqrt(kappa) or 0."""
    values = np.sqrt(kappa) * np.array([-1.0, 0.0, 1.0])
    share = np.array([0.5 / kappa, 1 - 1 / kappa, 0.5 / kappa])
    index = np.array(list(itertools.product(range(3), repeat=L.shape[1])))
    x, p = values[index] @ L.T, share[index].prod(axis=1)
    return (x * (p * (x @ delta) ** 2)[:, None]).T @ x


def simulate_independent(size: int, *, rng: np.random.Generator, L: np.ndarray, delta: np.ndarray,
                         kappa: float) -> np.ndarray:
    sign = rng.choice([-1.0, 1.0], size=(size, L.shape[1]))
    zeta = sign * np.sqrt(kappa) * (rng.random((size, L.shape[1])) < 1 / kappa)
    return _fourth(zeta @ L.T, delta)
