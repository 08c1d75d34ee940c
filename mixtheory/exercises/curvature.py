"""Exercises on the curvature of the mixup loss."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

from mixtheory.exercises.judging import Choice, Exercise, Formula, Function, Number
from mixtheory.mixing import symmetric

_rule = functools.cache(np.polynomial.legendre.leggauss)


def _mean(alpha: float, h: Callable[[np.ndarray], np.ndarray]) -> float:
    """E h(lambda) for Beta(alpha, alpha), exact for polynomials of low degree."""
    lam, mass = symmetric(alpha).quadrature(nodes=8)
    return float(mass @ h(lam))


def _kept(lam: np.ndarray) -> np.ndarray:
    return lam**2 + (1 - lam) ** 2


# ---- how many steps ----------------------------------------------------------------------------------------------

def _steps(*, slope: float | None = None, step: float | None = None) -> int:
    """Runs gradient descent along an intercept and a slope until the worse of two unit errors is a thousandth."""
    s = np.mean([v**2 + (1 - v) ** 2 for v in (0.3, 0.7)]) if slope is None else slope
    curvature, error, count = np.array([1.0, s]), np.ones(2), 0
    while np.abs(error).max() > 1e-3:
        error, count = error - (2 / curvature.sum() if step is None else step) * curvature * error, count + 1
    return count


Exercise(name="curvature-steps", level="warm-up", minutes=10, wants=Number(truth=_steps, mistakes={
    "the step that was best without mixup is kept": lambda: _steps(step=1.0),
    "the intercept's curvature shrinks too": lambda: _steps(slope=1.0),
    "the weight is uniform": lambda: _steps(slope=2 / 3),
    "the curvature along the slopes shrinks twice": lambda: _steps(slope=0.58**2)}))


# ---- where the factor arrives ------------------------------------------------------------------------------------

def _standardised(x: np.ndarray, by: np.ndarray | None = None) -> np.ndarray:
    by = x if by is None else by
    return (x - by.mean(0)) / by.std(0)


def _arrives() -> str:
    """Builds the six networks and looks at the trace of the second moment that reaches the last layer.

    2,000 examples of 8 features with lambda = 1/2: the factor is one half or one, to within about 2 %.
    """
    rng = np.random.default_rng(3)
    clean, W = rng.standard_normal((2000, 8)), rng.standard_normal((8, 8))

    def mix(x: np.ndarray) -> np.ndarray:
        return (x + np.roll(x, 1, axis=0)) / 2

    def same(x: np.ndarray) -> np.ndarray:
        return x

    networks: dict[str, Callable[[Callable], np.ndarray]] = {
        "a": lambda mixing: mixing(clean),
        "b": lambda mixing: _standardised(mixing(clean)),
        "c": lambda mixing: mixing(_standardised(clean)),
        "d": lambda mixing: mixing(clean) / np.sqrt((mixing(clean) ** 2).mean(1, keepdims=True)),
        "e": lambda mixing: _standardised(mixing(clean) @ W),
        "f": lambda mixing: _standardised(mixing(clean), by=clean)}
    return "".join(k for k, net in networks.items() if (net(mix) ** 2).sum() < 0.75 * (net(same) ** 2).sum())


Exercise(name="curvature-where", level="core", minutes=10, wants=Choice(options="abcdef", truth=_arrives, mistakes={
    "a": "A normalisation divides by what it measures; ask in each case when, and on which data, it measured.",
    "ac": "Evaluation mode measures nothing: where do its statistics come from?",
    "acd": "Does the length of an example matter behind a normalisation of each example?",
    "abcdef": "Some of these divide by the deviation of the mixed batch itself."}))


# ---- a finite data set -------------------------------------------------------------------------------------------

def _finite(alpha: float, X: np.ndarray, *, selves: bool = False) -> np.ndarray:
    """Mean of x~ x~^T over all ordered pairs of distinct rows, pair by pair, node by node."""
    lam, mass = symmetric(alpha).quadrature(nodes=8)
    pairs = [(i, j) for i, j in itertools.product(range(len(X)), repeat=2) if selves or i != j]
    total = np.zeros((X.shape[1],) * 2)
    for (i, j), (v, w) in itertools.product(pairs, zip(lam, mass, strict=True)):
        x = v * X[i] + (1 - v) * X[j]
        total += w * np.outer(x, x) / len(pairs)
    return total


def _population(alpha: float, X: np.ndarray) -> np.ndarray:
    s = _mean(alpha, _kept)
    return s * np.cov(X.T) + np.outer(X.mean(0), X.mean(0))


def _data(rng: np.random.Generator) -> list[dict]:
    return [{"alpha": float(rng.uniform(0.2, 3)), "X": rng.standard_normal((n, d)) + rng.standard_normal(d)}
            for n, d in ((3, 2), (5, 3), (7, 2))]


Exercise(name="curvature-finite", level="core", minutes=15, wants=Function(
    arguments=("alpha", "X"), returns="the Hessian (d, d)", truth=_finite, cases=_data, mistakes={
        "an example may be its own partner": lambda alpha, X: _finite(alpha, X, selves=True),
        "the sample is taken for the population": _population,
        "nothing is mixed": lambda alpha, X: X.T @ X / len(X)}))


# ---- epsilon -----------------------------------------------------------------------------------------------------

def _halfway(alpha: float, epsilon: float) -> float:
    """Looks for the variance at which a normalised mixed feature has lost half of what it can lose."""
    s = _mean(alpha, _kept)

    def excess(log: float) -> float:
        variance = math.exp(log)
        clean, mixed = variance / (variance + epsilon), s * variance / (s * variance + epsilon)
        return mixed / clean - (1 + s) / 2

    return math.exp(brentq(excess, math.log(epsilon) - 20, math.log(epsilon) + 20, xtol=1e-13, rtol=1e-14))


Exercise(name="curvature-epsilon", level="core", minutes=10, wants=Formula(
    symbols=("alpha", "epsilon"), truth=_halfway,
    points=({"alpha": 0.3, "epsilon": 1e-3}, {"alpha": 1.0, "epsilon": 0.07}, {"alpha": 4.2, "epsilon": 0.4}),
    mistakes={
        "the clean variance equals epsilon": lambda alpha, epsilon: epsilon,
        "epsilon shrinks with the data": lambda alpha, epsilon: epsilon * (alpha + 1) / (2 * alpha + 1)}))


# ---- running statistics on frozen weights ------------------------------------------------------------------------

def _frozen(alpha: float, m: float, T: float, *, old: bool = False) -> float:
    """Updates the running variance of a unit feature batch by batch; then one standard deviation, normalised."""
    s, running, m = _mean(alpha, _kept), 1.0, 1 - m if old else m
    for _ in range(int(T)):
        running = (1 - m) * running + m * s
    return running**-0.5


Exercise(name="curvature-frozen", level="core", minutes=15, wants=Formula(
    symbols=("alpha", "m", "T"), truth=_frozen,
    points=({"alpha": 0.3, "m": 0.1, "T": 3}, {"alpha": 1.0, "m": 0.02, "T": 40}, {"alpha": 4.2, "m": 0.3, "T": 2}),
    mistakes={
        "the statistics have forgotten the clean data": lambda alpha, m, T: _mean(alpha, _kept) ** -0.5,
        "logits grow like the variance": lambda alpha, m, T: _frozen(alpha, m, T) ** 2,
        "m is the weight of the old value": lambda alpha, m, T: _frozen(alpha, m, T, old=True)}))


# ---- a rectified feature -----------------------------------------------------------------------------------------

def _rectified(alpha: float) -> float:
    """E of the squared mix of two rectified Gaussians over E of the square: sums over an atom at 0 and nodes beyond."""
    t, w = _rule(40)
    z, p = np.append(0.0, 4 * (1 + t)), np.append(0.5, 4 * w * np.exp(-8 * (1 + t) ** 2) / math.sqrt(2 * math.pi))
    lam, mass = symmetric(alpha).quadrature(nodes=8)
    mixed = lam[:, None, None] * z[:, None] + (1 - lam[:, None, None]) * z
    return float(np.einsum("l,i,j,lij->", mass, p, p, mixed**2) / (p @ z**2))


Exercise(name="curvature-relu", level="challenge", minutes=20, wants=Formula(
    symbols=("alpha",), truth=_rectified, points=({"alpha": 0.23}, {"alpha": 0.8}, {"alpha": 1.7}, {"alpha": 6.1}),
    mistakes={
        "the input is mixed instead of the feature, or the feature's mean is zero": lambda alpha: _mean(alpha, _kept),
        "only the half of the inputs that is switched on counts": lambda alpha: 0.5 * (1 + _mean(alpha, _kept))}))


# ---- a boundary off the centre -----------------------------------------------------------------------------------

def _boundary(c: float, *, norm: float = 2000.0) -> float:
    """Ratio of E[p(1 - p) x^2] at very large weights, lambda = 1/2 against none, by quadrature around the boundary."""
    t, w = _rule(200)
    x = c + 40 * t / norm
    weight = w * expit(40 * t) * expit(-40 * t) * x**2

    def curvature(variance: float) -> float:
        return float(weight @ np.exp(-x**2 / (2 * variance)) / math.sqrt(variance))

    return curvature(0.5) / curvature(1.0)


Exercise(name="curvature-boundary", level="challenge", minutes=20, wants=Formula(
    symbols=("c",), truth=_boundary, points=({"c": 0.31}, {"c": 0.74}, {"c": 1.2}, {"c": 2.1}), tolerance=1e-4,
    mistakes={
        "the boundary passes through the centre": lambda c: _boundary(0.001),
        "the curvature across the weights is meant": lambda c: _boundary(c) / 2,
        "the density is compared without its normalising constant": lambda c: _boundary(c) / math.sqrt(2)}))


# ---- who sharpened it --------------------------------------------------------------------------------------------

def _classes(mixed: bool, m: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights, x~ and y~ of two Gaussian classes, uniform lambda: all pairs of classes on a grid of z and lambda."""
    z = np.arange(-9, 9.001, 0.05)
    t, w = _rule(32)
    lam, mass = ((1 + t) / 2, w / 2) if mixed else (np.array([1.0]), np.array([1.0]))
    found = []
    for y1, y2 in itertools.product((0, 1), repeat=2):
        y = lam * y1 + (1 - lam) * y2
        x = (2 * y - 1)[:, None] * m + np.sqrt(lam**2 + (1 - lam) ** 2)[:, None] * z
        p = mass[:, None] * np.exp(-z**2 / 2) * 0.05 / math.sqrt(2 * math.pi) / 4
        found.append((p.ravel(), x.ravel(), np.broadcast_to(y[:, None], x.shape).ravel()))
    return tuple(np.concatenate(v) for v in zip(*found, strict=True))


def _minimum(law: tuple[np.ndarray, ...]) -> float:
    p, x, y = law
    return brentq(lambda w: float(p @ (x * (expit(w * x) - y))), 1e-3, 30, xtol=1e-12)


def _along(law: tuple[np.ndarray, ...], w: float) -> float:
    p, x, _ = law
    return float(p @ (x**2 * expit(w * x) * expit(-w * x)))


def _share(*, mixing_first: bool = False, plain: bool = False) -> float:
    """Share of the logarithm of the sharpening that is there when only the weights are changed."""
    clean, mixed = _classes(False, 1.5), _classes(True, 1.5)
    start, end = _minimum(clean), _minimum(mixed)
    before, after = _along(clean, start), _along(mixed, end)
    between = _along(mixed, start) if mixing_first else _along(clean, end)
    if plain:
        return (between - before) / (after - before)
    return math.log(between / before) / math.log(after / before)


Exercise(name="curvature-who", level="research", minutes=30, wants=Number(truth=_share, mistakes={
    "the data are mixed first and the weights changed afterwards": lambda: _share(mixing_first=True),
    "differences are compared and not logarithms": lambda: _share(plain=True)}))
