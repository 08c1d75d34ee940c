"""Second routes to losses and their gradients: the losses as they are written, differentiated by mpmath."""

from __future__ import annotations

from typing import Any

import mpmath as mp
import numpy as np

from mixtheory.mixing import symmetric

TARGETS = np.array([-1.0, 0.2, 1.7, 0.4])


def _cross_entropy(z: Any, y: Any) -> Any:
    return mp.log(1 + mp.exp(z)) - y * z


def _focal(z: Any, y: Any) -> Any:
    p = 1 / (1 + mp.exp(-z))
    return (1 - (p * y + (1 - p) * (1 - y))) ** 2 * _cross_entropy(z, y)


def _linear_focal(z: Any, y: Any) -> Any:
    p = 1 / (1 + mp.exp(-z))
    return -y * (1 - p) ** 2 * mp.log(p) - (1 - y) * p**2 * mp.log(1 - p)


def _huber(z: Any, y: Any) -> Any:
    miss = abs(z - y)
    return miss**2 / 2 if miss < 0.5 else (miss - mp.mpf(1) / 4) / 2


LOSSES = {
    "cross_entropy": _cross_entropy, "squared": lambda z, y: (z - y) ** 2,
    "brier": lambda z, y: (1 / (1 + mp.exp(-z)) - y) ** 2, "linear_focal": _linear_focal, "focal": _focal,
    "quality_focal": lambda z, y: (y - 1 / (1 + mp.exp(-z))) ** 2 * _cross_entropy(z, y),
    "hinge": lambda z, y: max(mp.mpf(0), 1 - (2 * y - 1) * z),
    "squared_hinge": lambda z, y: max(mp.mpf(0), 1 - (2 * y - 1) * z) ** 2,
    "absolute": lambda z, y: abs(z - y), "huber": _huber}


def slope(loss: str, z: float, y: float) -> Any:
    """d loss/dz by mpmath, away from kinks."""
    with mp.workdps(30):
        return mp.diff(lambda each: LOSSES[loss](each, mp.mpf(y)), mp.mpf(z))


def exact_mean_gradient(loss: str, z: float, labels: np.ndarray, weights: np.ndarray) -> float:
    return float(sum(w * slope(loss, z, y) for y, w in zip(labels, weights, strict=True)))


def exact_gap(loss: str, z: float, q: float) -> float:
    return float(q * slope(loss, z, 1.0) + (1 - q) * slope(loss, z, 0.0) - slope(loss, z, q))


def exact_bend(q: float, c: float, d: float) -> float:
    """Enumerate the two labels of a cubic with some a and b."""
    psi = np.polynomial.Polynomial([0.3, -1.1, c, d])
    return float(q * psi(1.0) + (1 - q) * psi(0.0) - psi(q))


def exact_two_cross_entropies(lam: float, z: np.ndarray, y1: np.ndarray, y2: np.ndarray) -> float:
    p = np.exp(z) / np.exp(z).sum()
    return float(-lam * (y1 * np.log(p)).sum() - (1 - lam) * (y2 * np.log(p)).sum())


def exact_two_squares(lam: float, z: np.ndarray, y1: np.ndarray, y2: np.ndarray) -> float:
    return float(lam * ((z - y1) ** 2).sum() + (1 - lam) * ((z - y2) ** 2).sum())


def targets(trace: float) -> np.ndarray:
    """Four equally likely targets of that variance."""
    centred = TARGETS - TARGETS.mean()
    return centred * np.sqrt(trace / (centred**2).mean())


def exact_constant(alpha: float, trace: float) -> float:
    y = targets(trace)
    lam, w = symmetric(alpha).quadrature(nodes=3)
    pairs = ((y[:, None] - y[None]) ** 2).mean()
    return float(w @ (lam * (1 - lam)) * pairs)


def simulate_constant(size: int, *, rng: np.random.Generator, alpha: float, trace: float) -> np.ndarray:
    lam = symmetric(alpha).sample(size, rng=rng)
    y1, y2 = targets(trace)[rng.integers(4, size=(2, size))]
    soft = lam * y1 + (1 - lam) * y2                 # the excess at the output z = 0.3
    return lam * (0.3 - y1) ** 2 + (1 - lam) * (0.3 - y2) ** 2 - (0.3 - soft) ** 2


def simulate_constant_distinct(size: int, *, rng: np.random.Generator, alpha: float, trace: float) -> np.ndarray:
    """The partner is another member of the four."""
    lam = symmetric(alpha).sample(size, rng=rng)
    first = rng.integers(4, size=size)
    y = targets(trace)
    return lam * (1 - lam) * (y[first] - y[(first + rng.integers(1, 4, size=size)) % 4]) ** 2
