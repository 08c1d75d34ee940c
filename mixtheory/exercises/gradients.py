"""Exercises on the gradients of mixed batches.

A way of mixing a batch is a matrix of weights, one row for each mixed example; `_batch` tries it on data.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.linalg import hadamard
from scipy.special import xlogy

from mixtheory.exercises.judging import Choice, Exercise, Formula, Function, Witness
from mixtheory.mixing import symmetric

PS = ({"p": 0.91}, {"p": 0.36}, {"p": 0.07}, {"p": 0.62})

SIGNS = hadamard(32)[:, 1:]             # 32 trials of up to 31 signs: of mean zero and uncorrelated over the trials


def _batch(rows: np.ndarray) -> tuple[float, float]:
    """Noise at w_* and pull of the mean gradient of rows (R, n), those of n unmixed examples being one."""
    x = SIGNS[:, :rows.shape[1]] @ rows.T       # mixed features (or noises), one trial a line
    gradients = x @ x.T / len(rows)             # features of one trial, noises of another
    return float(rows.shape[1] * (gradients**2).mean()), float((x**2).mean())


def _noise(rows: np.ndarray) -> float:
    return _batch(rows)[0]


def _ring(lam: Any, n: int = 5) -> np.ndarray:
    """Rows of a rolled batch of n; lam is a number or one for each example."""
    share = np.broadcast_to(lam, n)[:, None]
    return share * np.eye(n) + (1 - share) * np.roll(np.eye(n), 1, axis=1)


# ---- a fixed weight ----------------------------------------------------------------------------------------------

Exercise(
    name="gradients-fixed", level="warm-up", minutes=10,
    wants=Formula(symbols=("p",), truth=lambda p: (_noise(_ring(p)) + _noise(_ring(1 - p))) / 2, points=PS, mistakes={
        "every mixed example has examples of its own": lambda p: (p**2 + (1 - p) ** 2) ** 2,
        "only the features are mixed, or only the noise": lambda p: p**2 + (1 - p) ** 2,
        "two neighbours share one product of feature and noise, not two":
            lambda p: (_noise(_ring(p)) + (p**2 + (1 - p) ** 2) ** 2) / 2,
        "the batch is flipped, not rolled": lambda p: _noise(p * np.eye(4) + (1 - p) * np.eye(4)[::-1])}))


# ---- a Brier score -----------------------------------------------------------------------------------------------

def _slope(loss: Callable[[Any, float], Any], z: float, y: float) -> float:
    """d loss/dz by a complex step: exact to rounding."""
    return float(np.imag(loss(z + 1e-30j, y)) / 1e-30)


def _sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def _brier(z: float) -> float:
    """Variance of the gradient over a label that is 1 three times in ten, over the variance of the label."""
    one, zero = (_slope(lambda v, y: (_sigmoid(v) - y) ** 2, z, label) for label in (1.0, 0.0))
    mean = 0.3 * one + 0.7 * zero
    return (0.3 * (one - mean) ** 2 + 0.7 * (zero - mean) ** 2) / 0.21


Exercise(
    name="gradients-brier", level="warm-up", minutes=10,
    wants=Formula(symbols=("z",), truth=_brier, points=({"z": 0.3}, {"z": 1.9}, {"z": 0.01}, {"z": 3.4}), mistakes={
        "the output passes through no sigmoid": lambda z: 4,
        "the square is halved": lambda z: _brier(z) / 4,
        "a variance is multiplied by the factor itself, not by its square": lambda z: np.sqrt(_brier(z))}))


# ---- seven losses ------------------------------------------------------------------------------------------------

def _cross_entropy(z: Any, y: float) -> Any:
    return np.log(1 + np.exp(z)) - y * z


LOSSES: dict[str, Callable[[Any, float], Any]] = {
    "a": lambda z, y: np.exp(z) - y * z,
    "b": lambda z, y: np.log(np.cosh(z - y)),
    "c": lambda z, y: _cross_entropy(z, y**2 / (y**2 + (1 - y) ** 2)),
    "d": lambda z, y: np.exp(-(2 * y - 1) * z),
    "e": lambda z, y: xlogy(y, y) + xlogy(1 - y, 1 - y) + _cross_entropy(z, y),
    "f": lambda z, y: y * (1 - _sigmoid(z)) ** 2 + (1 - y) * _sigmoid(z) ** 2,
    "g": lambda z, y: 1 - 2 * y * _sigmoid(z) / (y + _sigmoid(z))}


def _blind() -> str:
    """The losses whose mean gradient over mixed labels is that at their mean, wherever it is tried."""
    labels, chances = (0.0, 0.23, 0.8, 1.0), (0.3, 0.15, 0.2, 0.35)
    mean = float(np.dot(labels, chances))
    return "".join(name for name, loss in LOSSES.items() if all(
        abs(sum(c * _slope(loss, z, y) for y, c in zip(labels, chances, strict=True)) - _slope(loss, z, mean)) < 1e-9
        for z in (-1.7, -0.4, 0.6, 2.3)))


Exercise(name="gradients-losses", level="core", minutes=15, wants=Choice(
    options="".join(LOSSES), truth=_blind, mistakes={
        "af": "One more applies: a loss may bend in y in a term that does not contain z.",
        "a": "There are more: what counts is how y enters the gradient, not the loss.",
        "aefg": "One too many: for fixed z, draw its gradient against y at 0, one half and 1."}))


# ---- a ring of k -------------------------------------------------------------------------------------------------

def _blur(k: int) -> float:
    return _noise(sum(np.roll(np.eye(2 * k + 1), j, axis=1) for j in range(k)) / k)


Exercise(
    name="gradients-ring", level="core", minutes=20,
    wants=Formula(symbols=("k",), truth=_blur, points=tuple({"k": k} for k in (2, 3, 4, 7, 11)), mistakes={
        "no two mixed examples of a batch share an example": lambda k: 1 / k**2,
        "only the features are averaged, or only the noise": lambda k: 1 / k,
        "only neighbours share an example": lambda k: (k**2 + 2 * (k - 1) ** 2) / k**4}))


# ---- signal and kurtosis -----------------------------------------------------------------------------------------

def _signal(p: float, kappa: float) -> float:
    """Noise scale of the gradient x~^2 delta: all pairs of a three-point law of variance 1 and kurtosis kappa."""
    points = ((0.0, 1 - 1 / kappa), (np.sqrt(kappa), 0.5 / kappa), (-np.sqrt(kappa), 0.5 / kappa))
    m1 = m2 = 0.0
    for (a, pa), (b, pb), lam in itertools.product(points, points, (p, 1 - p)):
        gradient = (lam * a + (1 - lam) * b) ** 2
        m1, m2 = m1 + pa * pb * gradient / 2, m2 + pa * pb * gradient**2 / 2
    return m2 / m1**2 - 1


Exercise(
    name="gradients-signal", level="core", minutes=20,
    wants=Formula(
        symbols=("p", "kappa"), truth=_signal,
        points=tuple({"p": p, "kappa": kappa} for p, kappa in ((0.2, 9.0), (0.55, 1.8), (0.9, 4.5), (0.4, 6.3))),
        mistakes={
            "nothing is mixed": lambda p, kappa: _signal(0.0, kappa),
            "the fourth moment of a sum is the sum of the fourth moments":
                lambda p, kappa: (p**4 + (1 - p) ** 4) * kappa / (p**2 + (1 - p) ** 2) ** 2 - 1,
            "the change is handed in": lambda p, kappa: _signal(p, kappa) - _signal(0.0, kappa),
            "the second moment is taken for the variance": lambda p, kappa: _signal(p, kappa) + 1}))


# ---- a fair bargain ----------------------------------------------------------------------------------------------

def _bargain(p: float) -> tuple[float, float]:
    """Rate at which mixup wanders as ERM does at rate one, and the speed it then has; from a batch that is tried."""
    noise, pull = _batch(_ring(p))
    rate = pull / noise                 # it wanders by rate noise / pull
    return rate, rate * pull


Exercise(
    name="gradients-bargain", level="core", minutes=15,
    wants=Formula(symbols=("p",), truth=lambda p: _bargain(p)[1], points=PS, mistakes={
        "both use one rate": lambda p: p**2 + (1 - p) ** 2,
        "each mixed example has examples of its own": lambda p: 1,
        "the rate is asked for, not the speed": lambda p: _bargain(p)[0]}))


# ---- both ways ---------------------------------------------------------------------------------------------------

def _over_lambdas(alpha: float, rows: Callable[[np.ndarray], np.ndarray], n: int = 3) -> float:
    """E of the noise over n independent lambdas: the integrand has degree four in each, so three nodes are exact."""
    lam, mass = symmetric(alpha).quadrature(nodes=3)
    return sum(float(np.prod(mass[list(i)])) * _noise(rows(lam[list(i)]))
               for i in itertools.product(range(len(lam)), repeat=n))


Exercise(
    name="gradients-both", level="challenge", minutes=25,
    wants=Formula(
        symbols=("alpha",), truth=lambda alpha: _over_lambdas(
            alpha, lambda lam: np.concatenate([_ring(lam, 3), _ring(1 - lam, 3)])),
        points=({"alpha": 0.21}, {"alpha": 0.7}, {"alpha": 1.9}, {"alpha": 5.3}), mistakes={
            "only one of the two gradients is taken": lambda alpha: _over_lambdas(
                alpha, lambda lam: _ring(lam, 3)),
            "the two gradients of a pair are taken to be independent": lambda alpha: _over_lambdas(
                alpha, lambda lam: _ring(lam, 3)) / 2,
            "one lambda serves the batch": lambda alpha: _over_lambdas(
                alpha, lambda lam: np.concatenate([_ring(lam[0], 3), _ring(1 - lam[0], 3)]), n=1)}))


# ---- between two zeros -------------------------------------------------------------------------------------------

def _between(data: Any) -> str | None:
    """Mean label at the mixed input 0: each pair around it counts by the density of its mixed points there."""
    try:
        x, y = np.array([(float(a), float(b)) for a, b in data]).T
    except (TypeError, ValueError):
        return "Hand in a list of (x, y)."
    if len(x) > 500:
        return "At most 500 examples, please."
    if not np.isfinite(x).all() or not np.isin(y, (0, 1)).all():
        return "Every x must be finite, every y 0 or 1."
    if (x == 0).any() or not ((x < 0).any() and (x > 0).any()):
        return "There must be examples on both sides of 0, and none at 0."
    near = [y[x == x[x < 0].max()], y[x == x[x > 0].min()]]
    if any(label.any() for label in near):
        return "The nearest example on each side must have the label 0."
    a, b = np.meshgrid(np.flatnonzero(x < 0), np.flatnonzero(x > 0), indexing="ij")
    length = x[b] - x[a]                # of the segment; lambda is uniform on it, both orders of a pair are alike
    label = (x[b] * y[a] - x[a] * y[b]) / length
    mean = float((label / length).sum() / (1 / length).sum())
    return None if mean > 0.9 else f"The mean label at 0 is {mean:.3f}."


Exercise(name="gradients-between", level="challenge", minutes=20, wants=Witness(
    verify=_between, asks="a data set as a list of (x, y)", scaffold="answer = [(-1.0, 0), (1.0, 0), ...]", mistakes={
        "two zeros only": [(-1, 0), (1, 0)], "ones next to 0": [(-0.5, 1), (0.5, 1)],
        "too few ones": [(-3, 1), (-1, 0), (1, 0), (3, 1)],
        "ones on one side only": [(-1, 0), (1, 0)] + [(3, 1)] * 99}))


# ---- any matrix --------------------------------------------------------------------------------------------------

def _any(W: np.ndarray) -> float:
    noise, pull = _batch(W)
    return noise / pull**2


def _matrices(rng: np.random.Generator) -> list[dict]:
    return [{"W": rng.dirichlet(np.ones(n), size=rows)} for rows, n in ((2, 2), (3, 3), (4, 3), (3, 4))]


Exercise(
    name="gradients-any", level="research", minutes=45,
    wants=Function(arguments=("W",), returns="a number", truth=_any, cases=_matrices, mistakes={
        "the rows have no example in common": lambda W:
            W.shape[1] * ((W**2).sum(axis=1) ** 2).sum() / (W**2).sum() ** 2,
        "both use one rate, so that the pull counts once": lambda W: _noise(W) / _batch(W)[1],
        "the batch of mixed examples is compared with as many unmixed ones":
            lambda W: _any(W) * len(W) / W.shape[1]}))
