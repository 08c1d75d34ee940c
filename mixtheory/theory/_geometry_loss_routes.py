"""Second routes to the mixup loss and to conflicts: every pair by itself, best functions by least squares, sampling."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from scipy import integrate, optimize

from mixtheory.mixing import symmetric
from mixtheory.mixup import blend

# ---- the loss ------------------------------------------------------------------------------------------------------

_X = np.array([[0.3, -0.5], [1.4, 0.2], [-0.9, 0.8], [0.1, 1.3], [-1.2, -0.7], [0.8, -1.1], [-0.2, 0.1]])
_Y = np.array([0.4, 1.0, -0.7, 0.6, -0.2, 1.5, 0.3])
SMOOTH_PROBLEM = (lambda x: np.sin(2 * x[:, 0]) + 0.5 * x[:, 1]**2, _X, _Y)
NETWORK = (np.array([[1.0, 0.3], [-0.8, 1.1], [0.2, -1.4], [1.5, 0.9], [-0.6, -0.5]]),
           np.array([0.2, -0.3, 0.1, -0.4, 0.5]),
           np.array([0.9, -1.2, 0.7, 0.5, 1.1]), -0.3)
NETWORK_DATA = (_X, _Y)


def _square_on_pair(problem: Any, i: Any, j: Any, lam: Any) -> np.ndarray:
    """(f(x~) - y~)^2 for a vector of weights; i, j: indices, one or as many."""
    x, y = np.asarray(problem.x), np.asarray(problem.y)
    return (problem.f(blend(lam[:, None], x[i], x[j])) - blend(lam, y[i], y[j]))**2


def _zeros_on_pair(problem: Any, i: int, j: int) -> tuple[float, ...]:
    """Where a unit of a network changes sign between two points, by a root finder."""
    if not hasattr(problem.f, "W"):
        return ()
    found = []
    for w, b in zip(problem.f.W, problem.f.b, strict=True):
        def z(t: float, w: Any = w, b: float = b) -> float:
            return float(w @ blend(t, problem.x[i], problem.x[j]) + b)
        if z(0.0) * z(1.0) < 0:
            found.append(optimize.brentq(z, 0.0, 1.0, xtol=1e-15))
    return tuple(found)


def _all_losses(alpha: float, problem: Any) -> np.ndarray:
    n = len(problem.x)
    return np.array([[symmetric(alpha).expect(
        lambda lam, i=i, j=j: _square_on_pair(problem, i, j, lam), kinks=_zeros_on_pair(problem, i, j))
        for j in range(n)] for i in range(n)])


def exact_loss(alpha: float, problem: Any) -> float:
    return float(_all_losses(alpha, problem).mean())


def exact_loss_distinct(alpha: float, problem: Any) -> float:
    n = len(problem.x)
    return float(_all_losses(alpha, problem)[~np.eye(n, dtype=bool)].mean())


def simulate_loss(size: int, *, rng: np.random.Generator, alpha: float, problem: Any) -> np.ndarray:
    i, j = rng.integers(len(problem.x), size=(2, size))
    return _square_on_pair(problem, i, j, symmetric(alpha).sample(size, rng=rng))


def simulate_loss_distinct(size: int, *, rng: np.random.Generator, alpha: float, problem: Any) -> np.ndarray:
    n = len(problem.x)
    i = rng.integers(n, size=size)
    return _square_on_pair(problem, i, (i + rng.integers(1, n, size=size)) % n, symmetric(alpha).sample(size, rng=rng))


def _three_points(second: float, fourth: float) -> tuple[np.ndarray, np.ndarray]:
    """-v, 0, v with these moments."""
    v, p = np.sqrt(fourth / second), second**2 / fourth
    return np.array([-v, 0.0, v]), np.array([p / 2, 1 - p, p / 2])


def _parabola_losses(lam: Any, c: float, x1: Any, x2: Any) -> Any:
    return (blend(lam, x1, x2)**2 / 2 + c - blend(lam, x1**2 / 2, x2**2 / 2))**2


def exact_shift(alpha: float, c: float, second: float, fourth: float) -> float:
    x, p = _three_points(second, fourth)
    return float(sum(p[i] * p[j] * symmetric(alpha).expect(lambda lam, i=i, j=j: _parabola_losses(lam, c, x[i], x[j]))
                     for i in range(3) for j in range(3)))


def simulate_shift(size: int, *, rng: np.random.Generator, alpha: float, c: float, second: float,
                   fourth: float) -> np.ndarray:
    x, p = _three_points(second, fourth)
    return _parabola_losses(symmetric(alpha).sample(size, rng=rng), c, *rng.choice(x, size=(2, size), p=p))


# ---- conflict ------------------------------------------------------------------------------------------------------

def exact_floor(x: np.ndarray, y: np.ndarray) -> float:
    """Weighted least squares over discontinuous piecewise linear functions, which contain the best function."""
    n, edges = len(x), np.sort(x)
    t, w = np.polynomial.legendre.leggauss(4)
    rows, targets, weights = [], [], []
    for i in range(n):
        for j in range(n):
            if i == j:
                continue
            for g in range(n - 1):
                low, high = edges[g], edges[g + 1]
                if min(x[i], x[j]) <= low and high <= max(x[i], x[j]):
                    points = low + (high - low) * (1 + t) / 2
                    basis = np.zeros((len(t), 2 * (n - 1)))
                    basis[:, 2 * g], basis[:, 2 * g + 1] = 1.0, points
                    lam = (points - x[j]) / (x[i] - x[j])
                    rows.append(basis)
                    targets.append(blend(lam, y[i], y[j]))
                    weights.append(w / 2 * (high - low) / abs(x[i] - x[j]) / n**2)
    A, target, root = np.concatenate(rows), np.concatenate(targets), np.sqrt(np.concatenate(weights))
    best = np.linalg.lstsq(root[:, None] * A, root * target, rcond=None)[0]
    return float((root * (A @ best - target)) @ (root * (A @ best - target)))


def equal_weights_floor(x: np.ndarray, y: np.ndarray) -> float:
    """Wrong: chords over a point count alike, whatever their lengths."""
    n, total = len(x), 0.0
    for p in (np.arange(4000) + 0.5) / 4000 * np.ptp(x) + x.min():
        labels = [blend((p - x[j]) / (x[i] - x[j]), y[i], y[j]) for i in range(n) for j in range(i)
                  if min(x[i], x[j]) < p < max(x[i], x[j])]
        total += np.var(labels) * np.ptp(x) / 4000
    return total * 2 / n**2


def simulate_floor(size: int, *, rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A mixed point, then a second chord through it by its density: half the squared difference of labels."""
    n = len(x)
    i, j = rng.integers(n, size=(2, size))
    lam = rng.random(size)
    point, first = blend(lam, x[i], x[j]), blend(lam, y[i], y[j])
    a, b = np.triu_indices(n, 1)
    share = (point[:, None] - x[b]) / (x[a] - x[b])
    density = np.where((share >= 0) & (share <= 1), 1 / np.abs(x[a] - x[b]), 0.0)
    edges = np.cumsum(density, axis=1)
    chosen = (rng.random((size, 1)) * edges[:, -1:] > edges).sum(axis=1).clip(max=len(a) - 1)
    row = np.arange(size)
    second = blend(share[row, chosen], y[a][chosen], y[b][chosen])
    return np.where(i == j, 0.0, (first - second)**2 / 2)


def _meet(x: np.ndarray) -> np.ndarray:
    """Whether x0 x1 and x2 x3 meet; x (size, 4, d): nearest points of the two lines, overlap for d = 1."""
    if x.shape[2] == 1:
        v = x[:, :, 0]
        return (np.maximum(v[:, 0], v[:, 1]) > np.minimum(v[:, 2], v[:, 3])) & (
            np.maximum(v[:, 2], v[:, 3]) > np.minimum(v[:, 0], v[:, 1]))
    p, q = _lines(x)
    inside = (p >= 0) & (p <= 1) & (q >= 0) & (q <= 1)
    gap = blend(p[:, None], x[:, 0], x[:, 1]) - blend(q[:, None], x[:, 2], x[:, 3])
    return inside & (np.abs(gap).max(axis=1) < 1e-9)


def _lines(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares p, q of x0, x2 at which the two lines are nearest, by normal equations."""
    u, v, w = x[:, 0] - x[:, 1], x[:, 2] - x[:, 3], x[:, 3] - x[:, 1]
    uu, vv, uv, uw, vw = ((a * b).sum(1) for a, b in ((u, u), (v, v), (u, v), (u, w), (v, w)))
    det = uu * vv - uv**2
    return (vv * uw - uv * vw) / det, (uv * uw - uu * vw) / det


def simulate_crossing(size: int, *, rng: np.random.Generator, d: int) -> np.ndarray:
    return _meet(rng.standard_normal((size, 4, d))).astype(float)


def simulate_lines(size: int, *, rng: np.random.Generator, d: int) -> np.ndarray:
    """Wrong: the first segment is prolonged to a line."""
    x = rng.standard_normal((size, 4, d))
    x[:, 1] += 1e3 * (x[:, 1] - x[:, 0])
    return _meet(x).astype(float)


def exact_crossing(d: int) -> float:
    """d = 1: orders of four points. d = 2: signs of the affine dependence, by quadrature on its sphere."""
    if d == 1:
        orders = itertools.permutations(range(4))
        return float(np.mean([max(o[0], o[1]) > min(o[2], o[3]) and max(o[2], o[3]) > min(o[0], o[1]) for o in orders]))
    if d >= 3:
        return 0.0

    def share(z: float) -> float:
        """Given the height z along (1, 1, -1, -1)/2, the share of the circle on which the signs are (+, +, -, -)."""
        radius = np.sqrt(1 - z * z)
        return max(0.0, 1 - 4 * np.arccos(z / (np.sqrt(2) * radius)) / np.pi) if z < np.sqrt(2) * radius else 1.0
    edges = [0.0, np.sqrt(1 / 3), np.sqrt(2 / 3), 1.0]
    return float(sum(integrate.quad(share, low, high, epsabs=1e-14)[0]
                     for low, high in zip(edges[:-1], edges[1:], strict=True)))
