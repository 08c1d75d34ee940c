"""Second routes to logistic curvature: complex steps over enumerated pairs, and Gauss-Legendre panels on a line.

`gaussian_logistic` integrates by the trapezoidal rule over the noise of a mixed example; here the density of the mixed
coordinate itself is integrated over panels, and the optimum is found by Newton's method.
"""

from __future__ import annotations

import functools

import numpy as np
from scipy import optimize

from mixtheory.mixing import symmetric
from mixtheory.theory._covariance_routes import all_pairs, atoms

REACH, PANELS, NODES = 13.0, 60, 10


def _complex_hessian(alpha: float, Sigma: np.ndarray, mu: np.ndarray, K: int | None) -> np.ndarray:
    """Derivative at 0 of the gradient of the mixup loss, by complex steps, over pairs of five atoms with labels.

    K classes and a softmax, or one logit for K = None; parameters (K, d) flattened row by row.
    """
    x, classes = atoms(Sigma, mu), K or 2
    labels = np.eye(classes)[np.arange(len(x)) % classes]
    rows, weight = all_pairs(np.column_stack([x, labels]), alpha)
    x, y, d = rows[:, :len(mu)], rows[:, len(mu):], len(mu)

    def gradient(theta: np.ndarray) -> np.ndarray:
        if K is None:
            error = 1 / (1 + np.exp(-(x @ theta))) - y[:, 1]
            return (weight * error) @ x
        z = np.exp(x @ theta.reshape(K, d).T)
        error = z / z.sum(axis=1, keepdims=True) - y
        return ((weight[:, None] * error).T @ x).ravel()

    p, h = (K or 1) * d, 1e-30
    return np.array([gradient(1j * h * e).imag / h for e in np.eye(p)])


def exact_logistic_origin(alpha: float, Sigma: np.ndarray, mu: np.ndarray) -> np.ndarray:
    return _complex_hessian(alpha, Sigma, mu, None)


def exact_softmax_origin(alpha: float, Sigma: np.ndarray, mu: np.ndarray, K: int) -> np.ndarray:
    return _complex_hessian(alpha, Sigma, mu, K)


@functools.cache
def line(reach: float = REACH, panels: int = PANELS) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of Gauss-Legendre panels on [-reach, reach]."""
    t, w = np.polynomial.legendre.leggauss(NODES)
    edges = np.linspace(-reach, reach, panels + 1)
    half = np.diff(edges)[:, None] / 2
    return (((edges[:-1] + edges[1:]) / 2)[:, None] + half * t).ravel(), (half * w).ravel()


def sigmoid(z: np.ndarray) -> np.ndarray:
    return (1 + np.tanh(z / 2)) / 2


def _densities(alpha: float, m: float) -> tuple[np.ndarray, ...]:
    """(lambda weights, S, density of x~, density times mean label): the last two (lambda, nodes of `line`)."""
    lam, mass = symmetric(alpha).quadrature(nodes=40)
    x, _ = line()
    S = lam**2 + (1 - lam) ** 2
    density, labelled = 0.0, 0.0
    for first in (0, 1):
        for second in (0, 1):
            centre = m * (lam * (2 * first - 1) + (1 - lam) * (2 * second - 1))
            part = np.exp(-(x - centre[:, None]) ** 2 / (2 * S[:, None])) / np.sqrt(2 * np.pi * S[:, None]) / 4
            density = density + part
            labelled = labelled + part * (lam * first + (1 - lam) * second)[:, None]
    return mass, S, density, labelled


def _minimum(z: np.ndarray, density: np.ndarray, labelled: np.ndarray) -> float:
    """Newton's method for the logistic loss in one slope; densities already carry all weights."""
    def score(t: float) -> float:
        return float((sigmoid(t * z) * z * density - z * labelled).sum())

    def slope(t: float) -> float:
        p = sigmoid(t * z)
        return float((p * (1 - p) * z**2 * density).sum())

    return float(optimize.newton(score, 1.0, fprime=slope, tol=1e-13, maxiter=200))


def exact_absorbed(alpha: float, m: float, sharing: str) -> float:
    """Normalise by the standard deviation of the batch, fit the slope, evaluate with the running variance."""
    mass, S, density, labelled = _densities(alpha, m)
    x, w = line()
    variance = density @ (w * x**2)                             # given lambda; the mean is 0
    running = mass @ variance
    scale = np.sqrt(variance) if sharing == "batch" else np.full(len(S), np.sqrt(running))
    z, all_weights = x / scale[:, None], mass[:, None] * w
    return _minimum(z, density * all_weights, labelled * all_weights) / np.sqrt(running)


@functools.cache
def exact_logistic_hessian(alpha: float, m: float, w: float | None = None) -> np.ndarray:
    mass, S, density, labelled = _densities(alpha, m)
    x, weight = line()
    all_weights = mass[:, None] * weight
    slope = w if w is not None else _minimum(np.broadcast_to(x, density.shape), density * all_weights,
                                             labelled * all_weights)
    p = sigmoid(slope * x)
    bump = p * (1 - p) * density * all_weights
    return np.array([(bump * x**2).sum(), (bump * S[:, None]).sum()])


def exact_sharper_from(alpha: float, direction: str) -> float:
    pick = {"parallel": lambda h: h[0], "orthogonal": lambda h: h[1], "largest": max}[direction]

    def excess(m: float) -> float:
        return float(np.log(pick(exact_logistic_hessian(alpha, m)) / pick(exact_logistic_hessian(0.0, m))))

    return float(optimize.toms748(excess, 0.3, 2.5, xtol=1e-11))


def exact_saturated(alpha: float, w: float, direction: str) -> float:
    """The ratio at a finite slope: x = t/w, so that the bump sigma'(t) is resolved."""
    t, weight = line(60.0, 240)
    lam, mass = symmetric(alpha).quadrature(nodes=40)
    S = lam**2 + (1 - lam) ** 2
    bump = sigmoid(t) * sigmoid(-t) * weight

    def curvature(S: np.ndarray) -> np.ndarray:
        density = np.exp(-(t / w) ** 2 / (2 * S[:, None])) / np.sqrt(2 * np.pi * S[:, None])
        return density @ (bump * (t / w) ** 2) if direction == "parallel" else S * (density @ bump)

    return float(mass @ curvature(S) / curvature(np.ones(1))[0])
