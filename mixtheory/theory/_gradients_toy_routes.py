"""Small data sets on which mean labels and gradient noise can be enumerated or integrated to the end."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
from scipy.integrate import quad
from scipy.special import expit

from mixtheory.domain import check_member
from mixtheory.mixing import Atoms

POINTS = np.array([0.0, 1.0, 2.0])
LABELS = {"peak": np.array([0.0, 1.0, 0.0]), "line": np.array([0.1, 0.5, 0.9])}
LAW = Atoms((0.0, 0.5, 1.0), (0.25, 0.5, 0.25))


def joint(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every mixed input and target of the data set under a three-point law of lambda, with its probability."""
    y = LABELS[check_member(name, tuple(LABELS), "given")]
    rows = [(lam * POINTS[i] + (1 - lam) * POINTS[j], lam * y[i] + (1 - lam) * y[j], p / 9)
            for (lam, p), i, j in itertools.product(zip(LAW.points, LAW.weights, strict=True), range(3), range(3))]
    x, target, p = np.array(rows).T
    return x, target, p


def summary(name: str) -> tuple[np.ndarray, ...]:
    """Input by input: x, probability, mean and variance of the targets that meet there."""
    x, target, p = joint(name)
    values = np.unique(x)
    rows = []
    for value in values:
        here = x == value
        share = p[here] / p[here].sum()
        mean = share @ target[here]
        rows.append((value, p[here].sum(), mean, share @ (target[here] - mean) ** 2))
    return tuple(np.array(rows).T)


def gradients(x: np.ndarray, target: np.ndarray, w: Any) -> np.ndarray:
    """Of a logistic model with intercept w[0] and slope w[1]."""
    return (expit(w[0] + w[1] * x) - target)[:, None] * np.stack([np.ones_like(x), x], axis=1)


def exact_total(given: str, w: Any) -> np.ndarray:
    x, target, p = joint(given)
    g = gradients(x, target, w)
    g = g - p @ g
    return (g * p[:, None]).T @ g


def _draw(size: int, rng: np.random.Generator, given: str, w: Any, mean: bool) -> np.ndarray:
    y = LABELS[given]
    i, j = rng.integers(3, size=(2, 2 * size))
    lam = LAW.sample(2 * size, rng=rng)
    x, target = lam * POINTS[i] + (1 - lam) * POINTS[j], lam * y[i] + (1 - lam) * y[j]
    if mean:
        values, _, means, _ = summary(given)
        target = means[np.searchsorted(values, x)]
    g = gradients(x, target, w)
    d = g[:size] - g[size:]
    return d[:, :, None] * d[:, None, :] / 2


def simulate_total(size: int, *, rng: np.random.Generator, given: str, w: Any) -> np.ndarray:
    return _draw(size, rng, given, w, False)


def simulate_mean_target(size: int, *, rng: np.random.Generator, given: str, w: Any) -> np.ndarray:
    """Training on the mean target: its spread is gone."""
    return _draw(size, rng, given, w, True)


def without_targets(given: Any, w: Any, total: Callable[..., Any], kind: type) -> Any:
    """The formula without the second term."""
    given = given if not isinstance(given, str) else _given(given, w, kind)
    return total(given._replace(variance=tuple(0 * v for v in given.variance)), w)


def without_inputs(given: Any, w: Any, total: Callable[..., Any], kind: type) -> Any:
    """The formula without the first term."""
    given = given if not isinstance(given, str) else _given(given, w, kind)
    return total(given._replace(error=tuple(0 * e for e in given.error)), w)


def _given(name: str, w: Any, kind: type) -> Any:
    x, p, mean, variance = summary(name)
    J = np.stack([np.ones_like(x), x], axis=1)
    return kind(p, J, expit(J @ np.asarray(w)) - mean, variance)


# ---- one feature, a Beta law -------------------------------------------------------------------------------------

def exact_mean_label(t: float, alpha: float, x: tuple[float, ...], y: tuple[float, ...]) -> float:
    """d E[y~; x~ <= t] over d P(x~ <= t), both by incomplete Beta functions, differentiated by mpmath."""
    with mp.workdps(30):
        def mean_below(at: Any, labels: bool) -> Any:
            total = mp.mpf(0)
            for i, j in itertools.combinations(range(len(x)), 2):
                if x[i] < t < x[j]:
                    edge = (at - mp.mpf(x[i])) / (mp.mpf(x[j]) - mp.mpf(x[i]))
                    share = mp.betainc(alpha, alpha, 0, edge)
                    first = mp.betainc(alpha + 1, alpha, 0, edge)           # E[lambda; lambda <= edge]
                    total += (y[j] * first + y[i] * (share - first)) if labels else share
            return total
        return float(mp.diff(lambda at: mean_below(at, True), mp.mpf(t)) / mp.diff(
            lambda at: mean_below(at, False), mp.mpf(t)))


def half_labels(t: float, alpha: float, x: tuple[float, ...], y: tuple[float, ...], half: float | None = 0.5) -> float:
    """Wrong: the label mixed half and half; with half = None, right labels and no distances in the weights."""
    pairs = [(i, j) for i, j in itertools.combinations(range(len(x)), 2) if x[i] < t < x[j]]
    lam = np.array([(t - x[i]) / (x[j] - x[i]) for i, j in pairs])
    weight = (lam * (1 - lam)) ** (alpha - 1)
    if half is not None:
        weight = weight / np.array([x[j] - x[i] for i, j in pairs])
    share = lam if half is None else half
    labels = np.array([y[i] for i, _ in pairs]) * (1 - share) + np.array([y[j] for _, j in pairs]) * share
    return float(weight @ labels / weight.sum())


@functools.lru_cache(64)
def _segments(alpha: float, x: tuple[float, ...], y: tuple[float, ...], w: float) -> float:
    norm = float(mp.beta(alpha, alpha))
    total = sum((expit(w * a) - b) * a for a, b in zip(x, y, strict=True))            # self-pairs
    for i, j in itertools.combinations(range(len(x)), 2):
        def value(p: float, i: int = i, j: int = j) -> float:
            at = p * x[j] + (1 - p) * x[i]
            return float((expit(w * at) - p * y[j] - (1 - p) * y[i]) * at)
        if alpha < 1:                                    # lambda = t^(1/alpha), mirrored: no singularity is left
            def half(t: float, value: Any = value) -> float:
                p = t ** (1 / alpha)
                return (value(p) + value(1 - p)) * (1 - p) ** (alpha - 1) / alpha
            inside = quad(half, 0, 0.5**alpha, epsabs=1e-13, epsrel=1e-12)[0]
        else:
            inside = quad(lambda p, value=value: value(p) * (p * (1 - p)) ** (alpha - 1), 0, 1, epsabs=1e-13,
                          epsrel=1e-12)[0]
        total += 2 * inside / norm                       # both orders
    return total / len(x) ** 2


def exact_mixup_gradient(alpha: float, x: np.ndarray, y: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Along every segment with adaptive quadrature, and the data points themselves."""
    return np.array([_segments(alpha, tuple(x[:, 0]), tuple(y), float(w[0]))])


