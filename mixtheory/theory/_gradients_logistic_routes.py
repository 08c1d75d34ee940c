"""Second routes to logistic gradients: densities of the mixed coordinate on a grid, and sampling."""

from __future__ import annotations

import functools

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

from mixtheory.mixing import symmetric
from mixtheory.mixup import blend

GRID, STEP = 16.0, 0.02


@functools.lru_cache(64)
def components(alpha: float, m: float, nodes: int) -> tuple[np.ndarray, ...]:
    """Densities times weights on a grid of x: (4 label pairs x lambda, x), their labels and S."""
    lam, w = symmetric(alpha).quadrature(nodes=nodes)
    x = np.arange(-round(GRID / STEP), round(GRID / STEP) + 1) * STEP
    S = lam**2 + (1 - lam) ** 2
    density, labels = [], []
    for first in (0, 1):
        for second in (0, 1):
            centre = m * (2 * blend(lam, first, second) - 1)
            p = np.exp(-((x - centre[:, None]) ** 2) / (2 * S[:, None])) / np.sqrt(2 * np.pi * S[:, None])
            density.append(w[:, None] * p * STEP / 4)
            labels.append(blend(lam, first, second))
    return x, np.concatenate(density), np.concatenate(labels)[:, None], np.tile(S, 4)[:, None]


def moments(alpha: float, m: float, w: float, nodes: int = 40) -> tuple[float, np.ndarray]:
    """Mean along e_1 and variances along and across."""
    x, p, y, S = components(alpha, m, nodes)
    e = expit(w * x) - y
    mean = float((p * e * x).sum())
    return mean, np.array([(p * (e * x) ** 2).sum() - mean**2, (p * e**2 * S).sum()])


def optimum(alpha: float, m: float) -> float:
    """The slope with mean gradient 0."""
    return float(brentq(lambda w: moments(alpha, m, w)[0], 0.01, 2 * m + 0.5, xtol=1e-13))


def exact_noise_ratio(alpha: float, m: float) -> np.ndarray:
    return moments(alpha, m, optimum(alpha, m))[1] / moments(0.0, m, optimum(0.0, m))[1]


def exact_logistic_mean(alpha: float, m: float, w: float) -> float:
    return moments(alpha, m, w)[0]


def exact_mean_zero(alpha: float, m: float) -> float:
    return moments(alpha, m, 0.0)[0]


def exact_noise_zero(alpha: float, m: float) -> np.ndarray:
    return moments(alpha, m, 0.0)[1]


def exact_threshold(alpha: float) -> float:
    """The squared separation at which the quadrature of the noise along e_1 crosses that of ERM."""
    def excess(m: float) -> float:
        return float(moments(alpha, m, 0.0, 8)[1][0] - moments(0.0, m, 0.0, 8)[1][0])
    return float(brentq(excess, 0.2, 6.0, xtol=1e-13)) ** 2


def draw(size: int, rng: np.random.Generator, alpha: float, m: float, w: float, labels: str = "mixed") -> np.ndarray:
    """Mixed gradients along e_1."""
    y = rng.integers(2, size=(2, size))
    x = (2 * y - 1) * m + rng.standard_normal((2, size))
    lam = symmetric(alpha).sample(size, rng=rng)
    share = {"mixed": lam, "swapped": 1 - lam, "first": np.ones(size)}[labels]
    mixed = blend(lam, *x)
    return (expit(w * mixed) - blend(share, *y)) * mixed


def simulate_logistic_mean(size: int, *, rng: np.random.Generator, alpha: float, m: float, w: float) -> np.ndarray:
    return draw(size, rng, alpha, m, w)


def simulate_unmixed_labels(size: int, *, rng: np.random.Generator, alpha: float, m: float, w: float) -> np.ndarray:
    """Inputs are mixed, the label is that of the first."""
    return draw(size, rng, alpha, m, w, "first")


def simulate_mean_zero(size: int, *, rng: np.random.Generator, alpha: float, m: float) -> np.ndarray:
    return draw(size, rng, alpha, m, 0.0)


def simulate_swapped_mean_zero(size: int, *, rng: np.random.Generator, alpha: float, m: float) -> np.ndarray:
    return draw(size, rng, alpha, m, 0.0, "swapped")
