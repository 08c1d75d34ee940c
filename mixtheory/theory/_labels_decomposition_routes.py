"""Second routes for mixup as shrinking plus noise: all partners of a small data set, quadrature, sampling."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from mixtheory.theory import _labels_routes as routes


class Data(NamedTuple):
    """Seven examples x (7, 2) with one-hot labels y (7, 3), and both centred: a, b."""

    x: np.ndarray
    y: np.ndarray
    a: np.ndarray
    b: np.ndarray


@functools.cache
def data() -> Data:
    """A made-up data set with correlated features and unbalanced classes."""
    x = np.array([[0.3, -1.2], [2.9, 0.4], [-0.7, 1.1], [1.4, 2.2], [0.1, 0.6], [2.2, -0.5], [1.0, 1.7]])
    y = np.eye(3)[[0, 1, 2, 1, 0, 1, 2]]
    return Data(x, y, x - x.mean(axis=0), y - y.mean(axis=0))


def _theta(alpha: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    nodes = routes.rule(alpha)
    return np.maximum(nodes.lam, nodes.other), np.minimum(nodes.lam, nodes.other), nodes.weight


def _draw(alpha: Any, size: int, rng: np.random.Generator, folded: bool = True) -> np.ndarray:
    lam = routes.law_of(alpha).sample(size, rng=rng)
    return np.maximum(lam, 1 - lam) if folded else lam


def exact_variance(alpha: float) -> float:
    """Var theta, centred before squaring."""
    theta, _, w = _theta(alpha)
    return float(w @ (theta - w @ theta) ** 2)


def draw_variance(size: int, *, rng: np.random.Generator, alpha: float, folded: bool = True) -> np.ndarray:
    """Half the squared difference of two draws."""
    return (_draw(alpha, size, rng, folded) - _draw(alpha, size, rng, folded)) ** 2 / 2


def exact_partner(alpha: float) -> float:
    """E (1 - theta)^2."""
    _, rest, w = _theta(alpha)
    return float(w @ rest**2)


def draw_partner(size: int, *, rng: np.random.Generator, alpha: float, folded: bool = True) -> np.ndarray:
    """(1 - theta)^2 of one draw."""
    return (1 - _draw(alpha, size, rng, folded)) ** 2


def _index(value: np.ndarray, table: np.ndarray) -> int:
    return int(np.abs(table - value).sum(axis=1).argmin())


def _mixed(alpha: Any, i: int, table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All mixed versions (n, q, d) of row i of a table and their probabilities (n, q)."""
    theta, rest, w = _theta(alpha)
    return (theta[:, None] * table[i] + rest[:, None] * table[:, None],
            np.broadcast_to(w / len(table), (len(table), len(w))))


def exact_total(alpha: float) -> float:
    """Trace of the covariance of mixed data over that of the data, all pairs and weights."""
    x, mean, square = data().x, 0.0, 0.0
    for i in range(len(x)):
        mixed, p = _mixed(alpha, i, x)
        mean = mean + np.einsum("nq,nqd->d", p, mixed) / len(x)
        square += float(np.einsum("nq,nqd->", p, mixed**2)) / len(x)
    return (square - float(mean @ mean)) / float((data().a ** 2).sum() / len(x))


def draw_total(size: int, *, rng: np.random.Generator, alpha: float, distinct: bool = False) -> np.ndarray:
    """Squared distance of two independent mixed points over twice the trace of the data's covariance."""
    x, both = data().x, []
    for _ in range(2):
        i = rng.integers(len(x), size=size)
        j = (i + rng.integers(1, len(x), size=size)) % len(x) if distinct else rng.integers(len(x), size=size)
        theta = _draw(alpha, size, rng)[:, None]
        both.append(theta * x[i] + (1 - theta) * x[j])
    return ((both[0] - both[1]) ** 2).sum(axis=1) / 2 / ((data().a ** 2).sum() / len(x))


def exact_mean(alpha: float, x: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """E[x~ | i] over all partners and weights."""
    mixed, p = _mixed(alpha, _index(x, data().x), data().x)
    return np.einsum("nq,nqd->d", p, mixed)


def draw_mean(size: int, *, rng: np.random.Generator, alpha: float, x: np.ndarray, mean: np.ndarray,
              folded: bool = True, distinct: bool = False) -> np.ndarray:
    """Mixed versions of one example."""
    table, i = data().x, _index(x, data().x)
    j = (i + rng.integers(1, len(table), size=size)) % len(table) if distinct else rng.integers(len(table), size=size)
    theta = _draw(alpha, size, rng, folded)[:, None]
    return theta * x + (1 - theta) * table[j]


def _second(alpha: Any, i: int, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Covariance of the mixed rows of two tables, given example i."""
    (u, p), (v, _) = _mixed(alpha, i, first), _mixed(alpha, i, second)
    u, v = u - np.einsum("nq,nqd->d", p, u), v - np.einsum("nq,nqd->d", p, v)
    return np.einsum("nq,nqd,nqe->de", p, u, v)


def _draw_second(size: int, rng: np.random.Generator, alpha: Any, i: int, first: np.ndarray, second: np.ndarray,
                 folded: bool = True, torn: bool = False) -> np.ndarray:
    """Half the product of differences of two independent mixings of example i, (size, d, e)."""
    differences = []
    for _ in range(2):
        j, theta = rng.integers(len(first), size=size), _draw(alpha, size, rng, folded)[:, None]
        k = rng.integers(len(first), size=size) if torn else j
        differences.append((theta * first[i] + (1 - theta) * first[j], theta * second[i] + (1 - theta) * second[k]))
    (u, v), (U, V) = differences
    return (u - U)[:, :, None] * (v - V)[:, None, :] / 2


def exact_cross(alpha: float, deviation_x: np.ndarray, deviation_y: np.ndarray, C_xy: np.ndarray) -> np.ndarray:
    """Covariance of mixed features and labels of one example."""
    return _second(alpha, _index(deviation_x, data().a), data().x, data().y)


def draw_cross(size: int, *, rng: np.random.Generator, alpha: float, deviation_x: np.ndarray, deviation_y: np.ndarray,
               C_xy: np.ndarray, torn: bool = False) -> np.ndarray:
    """Unbiased for it; `torn`: another partner for the labels."""
    return _draw_second(size, rng, alpha, _index(deviation_x, data().a), data().x, data().y, torn=torn)


def exact_covariance(alpha: float, deviation: np.ndarray, C: np.ndarray) -> np.ndarray:
    """Covariance of the mixed versions of one example."""
    return _second(alpha, _index(deviation, data().a), data().x, data().x)


def draw_covariance(size: int, *, rng: np.random.Generator, alpha: float, deviation: np.ndarray, C: np.ndarray,
                    folded: bool = True) -> np.ndarray:
    """Unbiased for it."""
    return _draw_second(size, rng, alpha, _index(deviation, data().a), data().x, data().x, folded=folded)


def exact_unshrink(alpha: float, offset: float) -> float:
    """Shrink an input, apply an affine model with f(xbar) = ybar + offset, un-shrink, compare with the model."""
    theta, _, w = _theta(alpha)
    bar, d = float(w @ theta), data()
    slope, target = np.array([0.8, -0.3]), d.x @ np.array([1.0, 0.5]) + 2
    mean_x, mean_y = d.x.mean(axis=0), float(target.mean())

    def f(x: np.ndarray) -> np.ndarray:
        return (x - mean_x) @ slope + mean_y + offset
    back = mean_y + (f(mean_x + bar * d.a) - mean_y) / bar
    found = back - f(d.x)
    return float(found[np.abs(found).argmax()])
