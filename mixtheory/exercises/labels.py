"""Exercises on how soft mixed labels are."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.integrate import quad
from scipy.optimize import linprog
from scipy.special import beta, entr

from mixtheory.exercises.judging import Choice, Exercise, Formula, Function, Number

UNIFORM = (np.arange(20_000) + 0.5) / 20_000        # midpoints: values of a uniform lambda, all alike


def _entropy(labels: Any) -> Any:
    """Of each label in (..., K), nats."""
    return entr(np.asarray(labels)).sum(axis=-1)


# ---- a sampler ---------------------------------------------------------------------------------------------------

def _sampler(second: Sequence[float]) -> float:
    """What lies above the floor of 0.7 nats: all pairs of classes, the second drawn with these chances."""
    floor = 0.0
    for (i, p), (j, q) in itertools.product(enumerate((0.5, 0.3, 0.2)), enumerate(second)):
        labels = np.outer(UNIFORM, np.eye(3)[i]) + np.outer(1 - UNIFORM, np.eye(3)[j])
        floor += p * q * float(_entropy(labels).mean())
    return 0.7 - floor


Exercise(name="labels-sampler", level="warm-up", minutes=10, wants=Number(
    truth=lambda: _sampler((1 / 3, 1 / 3, 1 / 3)), unit="nats", mistakes={
        "partners have the classes that the data have": lambda: _sampler((0.5, 0.3, 0.2)),
        "every pair has two classes": lambda: 0.7 - float(_entropy(np.stack([UNIFORM, 1 - UNIFORM], -1)).mean()),
        "the floor is handed in, not what lies above it": lambda: 0.7 - _sampler((1 / 3, 1 / 3, 1 / 3))}))


# ---- what leaves the floor where it is ---------------------------------------------------------------------------

def _survivors() -> str:
    """The changes that leave the floor of five examples of three classes, lambda uniform, where it is: all computed."""
    classes, lam = np.array([0, 0, 1, 1, 2]), UNIFORM[::100]

    def floor(classes: np.ndarray, keep: Callable[[int, int], bool] = lambda i, j: True,
              law: np.ndarray = lam) -> float:
        pairs = [(i, j) for i, j in itertools.product(range(len(classes)), repeat=2) if keep(i, j)]
        eye = np.eye(3)[classes]
        return float(np.mean([_entropy(np.outer(law, eye[i]) + np.outer(1 - law, eye[j])).mean() for i, j in pairs]))
    one, each = (lam[:, None] + 0 * lam, lam[:, None] + 0 * lam), (lam[:, None] + 0 * lam, lam + 0 * lam[:, None])
    batch = [float(np.mean([_entropy(np.stack([v, 1 - v], -1)).mean() for v in pair])) for pair in (one, each)]
    base = floor(classes)
    changed = {"a": floor(classes, law=np.maximum(lam, 1 - lam)) - base, "b": batch[0] - batch[1],
               "c": floor(classes, lambda i, j: i != j) - base, "d": floor(np.array([2, 2, 0, 0, 1])) - base,
               "e": floor(np.repeat(classes, 2)) - base, "f": floor(np.minimum(classes, 1)) - base,
               "g": floor(classes, lambda i, j: classes[i] != classes[j]) - base}
    return "".join(name for name, by in changed.items() if abs(by) < 1e-9)


Exercise(name="labels-survives", level="warm-up", minutes=10, wants=Choice(
    options="abcdefg", truth=_survivors, mistakes={
        "ade": "What you name applies, and something else does too: the floor is a mean, not the loss of one batch.",
        "abcde": "One too many: count the pairs of two classes, before and after.",
        "bde": "What you name applies, and something else does too: is the entropy of (0.7, 0.3) that of (0.3, 0.7)?"}))


# ---- easy batches ------------------------------------------------------------------------------------------------

def _easy(law: Callable[[np.ndarray], np.ndarray], level: str = "mean") -> float:
    """Share of lambda, with this density, at which a binary label has less than its mean entropy."""
    density, loss = law(UNIFORM), _entropy(np.stack([UNIFORM, 1 - UNIFORM], -1))
    mean = (density * loss).mean() if level == "mean" else np.log(2) / 2
    return float((density * (loss < mean)).mean())


Exercise(name="labels-batch", level="core", minutes=15, wants=Number(
    truth=lambda: _easy(lambda p: 6 * p * (1 - p)), mistakes={
        "lambda is uniform": lambda: _easy(np.ones_like),
        "only the side below one half is counted": lambda: _easy(lambda p: 6 * p * (1 - p)) / 2,
        "the floor is taken to be half of ln 2": lambda: _easy(lambda p: 6 * p * (1 - p), "half")}))


# ---- three at once -----------------------------------------------------------------------------------------------

def _parts(alpha: float, K: int) -> float:
    """Mean entropy of K symmetric Dirichlet weights: K times that of one weight, by a rule made for logarithms."""
    a, b = alpha, (K - 1) * alpha
    value, _ = quad(lambda w: -w, 0, 1, weight="alg-loga", wvar=(a - 1, b - 1))
    return K * float(value) / beta(a, b)


Exercise(
    name="labels-three", level="core", minutes=20,
    wants=Formula(
        symbols=("alpha",), truth=lambda alpha: _parts(alpha, 3),
        points=({"alpha": 0.31}, {"alpha": 0.9}, {"alpha": 2.2}, {"alpha": 6.7}), mistakes={
            "two classes are mixed": lambda alpha: _parts(alpha, 2),
            "it is the entropy of the mean label": lambda alpha: np.log(3),
            "logarithms have base two": lambda alpha: _parts(alpha, 3) / np.log(2),
            "one of the three weights is counted": lambda alpha: _parts(alpha, 3) / 3}))


# ---- smoothed and mixed ------------------------------------------------------------------------------------------

def _both(epsilon: float, K: int, others: bool = True) -> float:
    """Mean entropy over a uniform lambda, label by label; the entries below it are smooth in lambda."""
    nodes, mass = np.polynomial.legendre.leggauss(60)
    lam = (1 + nodes) / 2
    own = lam * (1 - epsilon) + epsilon / K
    return float(mass @ (entr(own) + entr(own[::-1]) + (K - 2) * entr(epsilon / K) * others) / 2)


Exercise(
    name="labels-both", level="core", minutes=25,
    wants=Formula(
        symbols=("epsilon", "K"), truth=_both,
        points=tuple({"epsilon": e, "K": K} for e, K in ((0.1, 10), (0.23, 3), (0.4, 7), (0.07, 4))), mistakes={
            "the classes outside the pair are left out": lambda epsilon, K: _both(epsilon, K, others=False),
            "labels are smoothed and not mixed": lambda epsilon, K: float(_entropy(
                [1 - epsilon + epsilon / K] + [epsilon / K] * (K - 1))),
            "the entropies of smoothing and of mixing are added": lambda epsilon, K: 0.5 + float(_entropy(
                [1 - epsilon + epsilon / K] + [epsilon / K] * (K - 1)))}))


# ---- among others ------------------------------------------------------------------------------------------------

def _others(x: np.ndarray, i: int, *, own: bool = False, folded: bool = True) -> np.ndarray:
    """Mean and variance of all mixed versions of x[i], partner by partner, over a rule that is exact for squares."""
    nodes, mass = np.polynomial.legendre.leggauss(3)
    theta = (0.75 + nodes / 4 if folded else 0.5 + nodes / 2)[:, None]
    mixed = theta * x[i] + (1 - theta) * (x if own else np.delete(x, i))
    chance = np.broadcast_to(mass[:, None] / 2 / mixed.shape[1], mixed.shape)
    mean = (chance * mixed).sum()
    return np.array([mean, (chance * (mixed - mean) ** 2).sum()])


Exercise(
    name="labels-others", level="core", minutes=25,
    wants=Function(
        arguments=("x", "i"), returns="an array of two numbers, mean and variance", truth=_others,
        cases=lambda rng: [{"x": rng.standard_normal(n) * 2 + 1, "i": int(rng.integers(n))} for n in (3, 4, 6, 9)],
        mistakes={
            "the example may be its own partner": lambda x, i: _others(x, i, own=True),
            "the partner may have the larger share": lambda x, i: _others(x, i, folded=False),
            "the variance of the others is divided by their number less one": lambda x, i:
                _others(x, i) + np.array([0, (np.delete(x, i).var(ddof=1) - np.delete(x, i).var()) / 12])}))


# ---- without the partner's class ---------------------------------------------------------------------------------

def _blind(K: int) -> float:
    """Least loss given own class and lambda: mean label over the partner's class, its entropy over lambda."""
    def loss(lam: float) -> float:
        label = np.mean([lam * np.eye(K)[0] + (1 - lam) * np.eye(K)[j] for j in range(K)], axis=0)
        return float(_entropy(label))
    return float(quad(loss, 0, 1, epsabs=1e-9)[0])


Exercise(
    name="labels-blind", level="challenge", minutes=25,
    wants=Formula(symbols=("K",), truth=_blind, points=tuple({"K": K} for K in (2, 3, 5, 10)), mistakes={
        "the partner's class is known, too": lambda K: (1 - 1 / K) / 2,
        "lambda is not known": lambda K: float(_entropy([(1 + 1 / K) / 2] + [1 / (2 * K)] * (K - 1))),
        "the partner never has the same class": lambda K: 0.5 + np.log(K - 1) / 2}))


# ---- all laws with one mean --------------------------------------------------------------------------------------

def _extreme(epsilon: float, sign: int) -> float:
    """Largest (1) or smallest (-1) mean entropy over all laws of the smaller share on a grid with mean epsilon."""
    t = np.unique(np.append(np.linspace(0, 0.5, 101), epsilon))
    found = linprog(-sign * _entropy(np.stack([t, 1 - t], -1)), A_eq=[np.ones_like(t), t], b_eq=[1, epsilon])
    return -sign * float(found.fun)


Exercise(
    name="labels-range", level="challenge", minutes=25,
    wants=Formula(
        symbols=("epsilon",), truth=lambda epsilon: _extreme(epsilon, 1) - _extreme(epsilon, -1),
        points=({"epsilon": 0.04}, {"epsilon": 0.13}, {"epsilon": 0.29}, {"epsilon": 0.41}), mistakes={
            "the largest is handed in, not what lies between": lambda epsilon: _extreme(epsilon, 1),
            "the largest is ln 2 at every mean": lambda epsilon: np.log(2) - _extreme(epsilon, -1)}))

Exercise(name="labels-coincidence", level="research", minutes=60)
