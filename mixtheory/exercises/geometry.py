"""Exercises on what a function owes to its chords."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np

from mixtheory.exercises.judging import Exercise, Formula, Number, Witness
from mixtheory.mixing import symmetric

ALPHAS = ({"alpha": 0.23}, {"alpha": 0.8}, {"alpha": 1.7}, {"alpha": 6.1})


def _price(profile: Callable[[np.ndarray], np.ndarray], edges: Sequence[float]) -> float:
    """Mean square distance of a profile on [0, 1] from its chord, lambda uniform from the first edge to the last.

    Gauss-Legendre between the edges, at which alone the profile may have kinks or steps.
    """
    t, w = np.polynomial.legendre.leggauss(12)
    start, end = profile(np.array([0.0, 1.0]))
    total = 0.0
    for low, high in itertools.pairwise(edges):
        lam = low + (high - low) * (1 + t) / 2
        total += (high - low) / 2 * w @ (profile(lam) - lam * end - (1 - lam) * start) ** 2
    return float(total / (edges[-1] - edges[0]))


# ---- the larger share --------------------------------------------------------------------------------------------

def _folded(k: float, J: float) -> float:
    return _price(lambda lam: J * np.maximum(0, lam - k), (0.5, 1))


Exercise(name="geometry-fold", level="warm-up", minutes=10, wants=Formula(
    symbols=("k", "J"), truth=_folded,
    points=({"k": 0.11, "J": 1.3}, {"k": 0.27, "J": -0.6}, {"k": 0.42, "J": 2.1}), mistakes={
        "the smaller share is kept as often as the larger": lambda k, J: J**2 * k**2 * (1 - k) ** 2 / 3,
        "the density of the weight is 1 on half the interval, and not 2": lambda k, J: _folded(k, J) / 2,
        "the weight is always three quarters": lambda k, J: J**2 * k**2 / 16}))


# ---- a step ------------------------------------------------------------------------------------------------------

Exercise(name="geometry-step", level="core", minutes=10, wants=Formula(
    symbols=("k", "h"), truth=lambda k, h: _price(lambda lam: np.where(lam > k, h, 0.0), (0, k, 1)),
    points=({"k": 0.08, "h": 1.3}, {"k": 0.37, "h": -0.6}, {"k": 0.74, "h": 2.1}, {"k": 0.91, "h": 0.4}), mistakes={
        "the deviation is the step itself and the chord stays level": lambda k, h: h**2 * (1 - k),
        "the step is in the middle": lambda k, h: h**2 / 12,
        "the function is compared with its mean and not with its chord": lambda k, h: h**2 * k * (1 - k)}))


# ---- a cubic -----------------------------------------------------------------------------------------------------

def _parabola(a: float, h: float) -> float:
    return _price(lambda lam: a * (h * (lam - 0.5)) ** 2, (0, 1))


Exercise(name="geometry-cubic", level="core", minutes=15, wants=Formula(
    symbols=("m", "h"), truth=lambda m, h: _price(lambda lam: (m + h * (lam - 0.5)) ** 3, (0, 1)),
    points=({"m": 0.3, "h": 1.3}, {"m": -0.2, "h": 2.7}, {"m": 0.06, "h": 0.4}, {"m": 1.1, "h": 3.1}), mistakes={
        "only the curvature at the midpoint counts": lambda m, h: _parabola(3 * m, h),
        "the curvature is taken at an end": lambda m, h: _parabola(3 * (m + h / 2), h)}))


# ---- absolute loss -----------------------------------------------------------------------------------------------

def _least(best: Callable[[np.ndarray], float], *, absolute: bool = True, selves: bool = True) -> float:
    """Loss when every thin slice of x~ gets the best constant for the labels y~ in it; nine pairs, a fine grid."""
    lam = (np.arange(6_000) + 0.5) / 6_000
    x, y = np.array([-1.0, 0.0, 1.0]), np.array([1.0, 0.0, 1.0])
    pairs = [(i, j) for i, j in itertools.product(range(3), repeat=2) if selves or i != j]
    mixed = np.array([[lam * v[i] + (1 - lam) * v[j] for i, j in pairs] for v in (x, y)]).reshape(2, -1)
    mixed = mixed[:, np.abs(mixed[0] - np.round(mixed[0])) > 1e-9]          # a self-pair costs nothing
    order = np.argsort(mixed[0])
    place, label = np.floor(mixed[0, order] * 400), mixed[1, order]
    total = 0.0
    for labels in np.split(label, np.flatnonzero(np.diff(place)) + 1):
        error = np.abs(labels - best(labels))
        total += (error if absolute else error**2).sum()
    return float(total / len(lam) / len(pairs))


Exercise(name="geometry-absolute", level="core", minutes=15, wants=Number(
    truth=lambda: _least(np.median), tolerance=0.01, mistakes={
        "the best value under absolute loss is the weighted mean": lambda: _least(np.mean),
        "the loss is squared": lambda: _least(np.mean, absolute=False),
        "self-pairs are left out": lambda: _least(np.median, selves=False)}))


# ---- where a kink costs most -------------------------------------------------------------------------------------

def _not_the_middle(law: dict[float, float]) -> str | None:
    """Price of a unit kink at every place, E over the law of the squared distance from the chord."""
    if not isinstance(law, dict) or not law:
        return "Hand in a dictionary: value of lambda -> its probability."
    lam, mass = np.array(list(law), dtype=float), np.array(list(law.values()), dtype=float)
    if (lam < 0).any() or (lam > 1).any() or (mass < 0).any() or abs(mass.sum() - 1) > 1e-9:
        return "Values must lie in [0, 1]; probabilities must not be negative and must sum to one."
    for power in range(1, 2 * len(lam)):
        if abs(mass @ (lam - 0.5) ** (2 * power - 1)) > 1e-9:
            return "The law must be symmetric: 1 - lambda must have the law of lambda."
    k = np.linspace(0, 1, 401)[:, None]
    price = (np.maximum(0, lam - k) - lam * (1 - k)) ** 2 @ mass
    if price.max() < 1e-9:
        return "With this law no kink costs anything."
    return None if price.max() > 1.001 * price[200] else "With this law too, no kink costs more than one in the middle."


Exercise(name="geometry-middle", level="challenge", minutes=25, wants=Witness(
    verify=_not_the_middle, asks="a symmetric law of lambda as a dictionary, value -> probability",
    scaffold="answer = {0.5: ...}      # value of lambda -> its probability", mistakes={
        "always one half": {0.5: 1.0}, "no mixing": {0.0: 0.5, 1.0: 0.5}, "not symmetric": {0.2: 0.9, 0.8: 0.1},
        "nearly uniform": {i / 20: 1 / 21 for i in range(21)}}))


# ---- two layers --------------------------------------------------------------------------------------------------

def _kinks(f: Callable[[np.ndarray], np.ndarray]) -> int:
    """Kinks in (0, 1) whose jump of slope is at least 0.01, found by looking at second differences on a fine grid."""
    x = np.linspace(0, 1, 20_001)
    jump = np.diff(f(x), 2) * 20_000
    bent = np.flatnonzero(np.abs(jump) > 1e-4)
    groups = np.split(bent, np.flatnonzero(np.diff(bent) > 1) + 1)
    return sum(len(g) > 0 and abs(jump[g].sum()) >= 0.01 for g in groups)


def _six(weights: Sequence) -> str | None:
    W1, b1, W2, b2, a = (np.asarray(v, dtype=float) for v in weights)
    shapes = [v.shape for v in (W1, b1, W2, b2, a)]
    if shapes != [(2,), (2,), (2, 2), (2,), (2,)]:
        return f"W1, b1, W2, b2, a must have the shapes (2,), (2,), (2, 2), (2,), (2,); yours have {shapes}."
    if max(np.abs(v).max() for v in (W1, b1, W2, b2, a)) > 1000:
        return "No weight may exceed 1000 in absolute value."
    found = _kinks(lambda x: np.maximum(0, np.maximum(0, np.outer(x, W1) + b1) @ W2.T + b2) @ a)
    return None if found >= 6 else f"This network has {found} kinks between 0 and 1."


Exercise(name="geometry-deep", level="challenge", minutes=20, wants=Witness(
    verify=_six, asks="the weights (W1, b1, W2, b2, a) of a network",
    scaffold="W1, b1 = [1.0, 1.0], [0.0, 0.0]\nW2, b2, a = [[1.0, 0.0], [0.0, 1.0]], [0.0, 0.0], [1.0, 1.0]\n"
             "answer = (W1, b1, W2, b2, a)",
    mistakes={
        "every unit by itself": ([1, 1], [-0.2, -0.4], [[1, 0], [0, 1]], [-0.2, -0.4], [1, 1]),
        "a tent cut at two heights": ([1, 2], [-0.1, -1.0], [[1, -1], [1, -1]], [-0.1, -0.2], [1, 1])}))


# ---- a fitted parabola -------------------------------------------------------------------------------------------

def _curvature(x: np.ndarray, p: np.ndarray, alpha: float, *, constant: bool = True) -> float:
    """Coefficient b of b x^2/2 (+ c) with the least mixup loss on y = x^2/2: weighted least squares over all pairs."""
    lam, w = symmetric(alpha).quadrature(nodes=12)
    a, b, lam = (v.ravel() for v in np.meshgrid(x, x, lam, indexing="ij"))
    root = np.sqrt(np.einsum("i,j,k->ijk", p, p, w).ravel())
    mixed, label = lam * a + (1 - lam) * b, (lam * a**2 + (1 - lam) * b**2) / 2
    columns = np.stack([mixed**2 / 2, np.full(len(a), float(constant))], axis=1)
    return float(np.linalg.lstsq(columns * root[:, None], label * root, rcond=None)[0][0])


def _gaussian(alpha: float, **how: bool) -> float:
    x, p = np.polynomial.hermite_e.hermegauss(8)
    return _curvature(x, p / p.sum(), alpha, **how)


def _given(alpha: float) -> float:
    """Ratio of the means of the covariance and the variance given lambda."""
    lam, w = symmetric(alpha).quadrature(nodes=12)
    return float(w @ (lam**3 + (1 - lam) ** 3) / (w @ (lam**2 + (1 - lam) ** 2) ** 2))


Exercise(name="geometry-curved", level="challenge", minutes=25, wants=Formula(
    symbols=("alpha",), truth=_gaussian, points=ALPHAS, tolerance=1e-5, mistakes={
        "the best parabola interpolates": lambda alpha: 1.0,
        "the constant is held at zero": lambda alpha: _gaussian(alpha, constant=False),
        "the variance of the mixed square is only its mean given the weight": _given}))


def _steeper(law: dict[float, float]) -> str | None:
    if not isinstance(law, dict) or not 2 <= len(law) <= 30:
        return "Hand in a dictionary with 2 to 30 entries: value of x -> its probability."
    x, p = np.array(list(law), dtype=float), np.array(list(law.values()), dtype=float)
    if (p < 0).any() or abs(p.sum() - 1) > 1e-9:
        return "Probabilities must not be negative and must sum to one."
    if abs(p @ x) > 1e-9 * np.abs(x).max():
        return "The mean of x must be zero."
    if p @ (x**2 - p @ x**2) ** 2 < 1e-12 * (p @ x**2) ** 2:
        return "With this law all labels are equal and there is nothing to fit."
    b = _curvature(x, p, 1.0)
    return None if b >= 1.2 else f"With this law the best coefficient is {b:.4f}."


Exercise(name="geometry-steeper", level="research", minutes=30, wants=Witness(
    verify=_steeper, asks="a law of x as a dictionary, value -> probability",
    scaffold="answer = {-1.0: ..., 0.0: ..., 1.0: ...}      # value of x -> its probability", mistakes={
        "two points": {-1.0: 0.5, 1.0: 0.5}, "an even spread": {float(i): 1 / 7 for i in range(-3, 4)},
        "not centred": {0.0: 0.9, 1.0: 0.1}, "tails of a Gaussian": {-1.7320508: 1 / 6, 0.0: 2 / 3, 1.7320508: 1 / 6}}))
