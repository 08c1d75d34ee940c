"""Second routes for interpolation: mixed points counted in small windows, with partial moments of lambda."""

from __future__ import annotations

import numpy as np

from mixtheory.mixing import symmetric
from mixtheory.theory._least_squares_routes import mixed_gram

LINE = np.array([-1.0, -0.62, -0.1, 0.31, 0.84, 1.3, 1.55])
PLANE = np.array([[0.0, 0.0], [1.0, 0.2], [-0.4, 0.9], [-0.7, -0.8], [0.5, -1.1], [1.2, 1.1], [-1.3, 0.3]])


def line(design: str) -> np.ndarray:
    """`line n`: n uneven inputs, ascending."""
    return LINE[:int(design.split()[1])]


def targets(n: int) -> np.ndarray:
    """Targets of n inputs."""
    return np.cos(2.3 * np.arange(n)) + 0.3 * np.arange(n)


def cloud(design: str) -> np.ndarray:
    """`cloud n d`: n inputs in d dimensions, of which no three lie on a line."""
    n, d = map(int, design.split()[1:])
    return np.column_stack([PLANE[:n], *(np.sin((1.7 + k) * np.arange(1, n + 1)) for k in range(d - 2))])


def wide(design: str) -> tuple[np.ndarray, np.ndarray]:
    """`wide n p`: n points with p >= n features, and targets."""
    n, p = map(int, design.split()[1:])
    i, k = np.ogrid[:n, :p]
    return np.cos((0.9 + 0.7 * i) * (k + 1) + i * i), targets(n)


def window(alpha: float, x: np.ndarray, y: np.ndarray, at: float, width: float) -> float:
    """Mean label of the mixed points of distinct pairs that fall within `width` of `at`."""
    law, mass, label = symmetric(alpha), 0.0, 0.0
    for i in range(len(x)):
        for j in range(len(x)):
            ends = sorted((v - x[j]) / (x[i] - x[j]) for v in (at - width, at + width)) if i != j else (0, 0)
            low, high = np.clip(ends, 0, 1)
            if high > low:
                share = law.partial_moment(1, 0, low, high)
                m = law.partial_moment(0, 0, low, high)
                mass, label = mass + m, label + share * y[i] + (m - share) * y[j]
    return label / mass


def windowed(alpha: float, design: str, at: float) -> float:
    """The mean label at `at`: windows of two widths, extrapolated to width 0."""
    x = line(design)
    coarse, fine = (window(alpha, x, targets(len(x)), at, h) for h in (2e-3, 1e-3))
    return (4 * fine - coarse) / 3


def own_share(alpha: float, design: str, k: int, side: int, distance: float) -> float:
    """Share of target k in the mean label at a distance from input k, on one side."""
    x = line(design)
    return window(alpha, x, np.eye(len(x))[k], x[k] + side * distance, distance / 100)


def summed_gap(alpha: float, n: int, sigma: float, distance: float) -> float:
    """2 sigma^2 / n times the sum of own shares, each a little to the side of its input, both sides averaged."""
    total = 0.0
    for k in range(n):
        sides = [side for side in (-1, 1) if 0 <= k + side < n]
        total += np.mean([own_share(alpha, f"line {n}", k, side, distance) for side in sides])
    return float(2 * sigma**2 / n * total)


def own_share_in_ball(alpha: float, design: str, k: int, radius: float) -> float:
    """Share of target k in the mean label of the mixed points within a radius of input k."""
    x, law, mass, own = cloud(design), symmetric(alpha), 0.0, 0.0
    for i in range(len(x)):
        for j in range(i):
            first, second = (x[j], x[i]) if j == k else (x[i], x[j])        # a segment that ends at x_k starts there
            along, start = second - first, first - x[k]
            a, b, c = along @ along, along @ start, start @ start - radius**2
            root = b * b - a * c
            if root <= 0:
                continue
            low, high = np.clip([(-b - np.sqrt(root)) / a, (-b + np.sqrt(root)) / a], 0, 1)     # 1 - lambda
            if high > low:
                m = law.partial_moment(0, 0, low, high)
                mass += m
                own += m - law.partial_moment(1, 0, low, high) if k in (i, j) else 0.0
    return own / mass


def mixed_minimum_norm(alpha: float, data: str, distinct: bool = False) -> np.ndarray:
    """Shortest minimiser of the enumerated mixup risk without intercept."""
    x, y = wide(data)
    G = mixed_gram(alpha, np.column_stack([x, y]), distinct=distinct)
    return np.linalg.pinv(G[:-1, :-1], rcond=1e-11, hermitian=True) @ G[:-1, -1]
