"""Exercises on choosing alpha, pairing and sharing, and on finding mistakes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import integrate, optimize, special

from mixtheory.exercises.judging import Choice, Exercise, Formula, Number, Witness
from mixtheory.mixing import symmetric

# ---- six lines of code -------------------------------------------------------------------------------------------

def _label_of_input(how: str) -> bool:
    """Whether mixed inputs and the labels that the loss sees still agree, on data whose label is the input."""
    rng, n = np.random.default_rng(3), 6
    y = rng.standard_normal(n)
    x = np.repeat(y[:, None], n, axis=1)                    # as many features as examples, all equal to the label
    lam, p = rng.beta(1, 1, n), rng.permutation(n)
    if how == "d":
        lam = np.maximum(lam, 1 - lam)
    if how == "b":
        p = np.arange(n)[::-1]
    column, partner, share = lam[:, None], y[p], lam
    if how == "h":
        mixed = lam * x + (1 - lam) * x[p]
    elif how == "f":
        mixed = x.copy()
        mixed *= column
        mixed += (1 - column) * mixed[p]
    else:
        mixed = column * x + (1 - column) * x[p]
    if how == "a":
        partner = y[rng.permutation(n)]
    if how == "g":
        share = rng.beta(1, 1, n)
    label = (1 - share) * y + share * partner if how == "c" else share * y + (1 - share) * partner
    if how == "e":                                          # where a weighted sum of two squared losses is least
        label = np.array([optimize.brentq(lambda f, s=s, a=a, b=b: s * (f - a) + (1 - s) * (f - b), -9, 9)
                          for s, a, b in zip(lam, y, y[p], strict=True)])
    return bool(np.abs(mixed - label[:, None]).max() < 1e-9)


Exercise(name="practice-snippet", level="warm-up", minutes=10, wants=Choice(
    options="abcdefgh", truth=lambda: "".join(k for k in "abcdefgh" if not _label_of_input(k)), mistakes={
        "acg": "Take an array of three numbers and follow each line with it, one statement after another.",
        "acfg": "Which axis of x does lam meet, if both are of length n?",
        "acgh": "Which x does x[p] read when its line begins?",
        "acefgh": "Two losses may well be one loss, up to a constant."}))


# ---- alpha that falls --------------------------------------------------------------------------------------------

def _annealed(alpha: float, weight: Callable[[float], float] = lambda t: 1.0) -> float:
    """Mean over the training of the mean of lam^2 + (1 - lam)^2, time by time and node by node."""
    times, mass = np.polynomial.legendre.leggauss(60)
    total = 0.0
    for t, m in zip((times + 1) / 2, mass / 2, strict=True):
        lam, w = symmetric(alpha * (1 - t)).quadrature(nodes=6)
        total += m * weight(t) * float(w @ (lam**2 + (1 - lam) ** 2))
    return total


Exercise(name="practice-anneal", level="warm-up", minutes=10, wants=Formula(
    symbols=("alpha",), truth=_annealed, points=({"alpha": 0.3}, {"alpha": 1.1}, {"alpha": 3.7}, {"alpha": 9.0}),
    mistakes={
        "the mean alpha is used all the time": lambda alpha: (alpha / 2 + 1) / (alpha + 1),
        "alpha does not fall": lambda alpha: (alpha + 1) / (2 * alpha + 1),
        "the first and the last factor are averaged": lambda alpha: ((alpha + 1) / (2 * alpha + 1) + 1) / 2}))


# ---- decay that was tuned ----------------------------------------------------------------------------------------

X, Y = np.array([-1.3, 0.2, 0.4, 2.1]), np.array([0.3, -0.7, 1.1, 0.9])


def _slope(alpha: float, decay: float) -> float:
    """Penalised slope of mixup: the normal equations, summed over all pairs and nodes."""
    lam, mass = symmetric(alpha).quadrature(nodes=6)
    i, j = np.array(list(itertools.product(range(4), repeat=2))).T
    x, y = (lam[:, None] * v[i] + (1 - lam)[:, None] * v[j] for v in (X, Y))
    w = mass[:, None] / len(i)
    x, y = x - (w * x).sum(), y - (w * y).sum()
    return float((w * x * y).sum() / ((w * x * x).sum() + decay))


def _decay(alpha: float, beta: float) -> float:
    """The factor of the penalty, by looking for the one that gives the same slope."""
    wanted = _slope(alpha, 0.1)
    return optimize.brentq(lambda f: _slope(beta, 0.1 * f) - wanted, 0.1, 10, xtol=1e-13)


def _s(alpha: float) -> float:
    lam, mass = symmetric(alpha).quadrature(nodes=6)
    return float(mass @ (lam**2 + (1 - lam) ** 2))


Exercise(name="practice-decay", level="core", minutes=10, wants=Formula(
    symbols=("alpha", "beta"), truth=_decay,
    points=({"alpha": 0.2, "beta": 1.3}, {"alpha": 1.7, "beta": 0.4}, {"alpha": 0.6, "beta": 5.0}), mistakes={
        "the penalty is made larger where the data shrink": lambda alpha, beta: _s(alpha) / _s(beta),
        "the first training was without mixup": lambda alpha, beta: _s(beta),
        "the square of the data's shrinkage counts": lambda alpha, beta: (_s(beta) / _s(alpha)) ** 2}))


# ---- mostly one image --------------------------------------------------------------------------------------------

def _middle(alpha: float, edge: float) -> float:
    """Probability that lambda lies in (edge, 1 - edge): its density, integrated over the log-odds."""
    def density(z: float) -> float:
        return math.exp(alpha * (-math.log1p(math.exp(-z)) - math.log1p(math.exp(z))) - special.betaln(alpha, alpha))

    return 2 * integrate.quad(density, 0, special.logit(1 - edge))[0]


def _alpha_for(share: float, edge: float = 0.1) -> float:
    return optimize.brentq(lambda a: 1 - _middle(a, edge) - share, 1e-4, 50)


Exercise(name="practice-keep", level="core", minutes=15, wants=Number(
    truth=lambda: _alpha_for(0.9), mistakes={
        "the larger weight is 0.9 or more in one of ten": lambda: _alpha_for(0.1),
        "the larger weight is 0.95 or more": lambda: _alpha_for(0.9, 0.05),
        "a lambda above one half is always taken to be enough": lambda: _alpha_for(0.8)}))


# ---- groups ------------------------------------------------------------------------------------------------------

def _groups(value: Callable[[np.ndarray], np.ndarray], relative: bool = True) -> int:
    """Smallest number of groups whose mean varies by three per cent, from quadrature over one group."""
    lam, mass = symmetric(1.0).quadrature(nodes=8)
    mean = float(mass @ value(lam))
    spread = float(mass @ (value(lam) - mean) ** 2)
    return next(k for k in itertools.count(1) if math.sqrt(spread / k) <= 0.03 * (mean if relative else 1))


def _kept(lam: np.ndarray) -> np.ndarray:
    return lam**2 + (1 - lam) ** 2


Exercise(name="practice-groups", level="core", minutes=15, wants=Number(
    truth=lambda: _groups(_kept), tolerance=1e-9, unit="groups", mistakes={
        "lambda itself is averaged": lambda: _groups(lambda lam: lam),
        "the spread is not divided by the mean": lambda: _groups(_kept, relative=False),
        "the larger weight is averaged": lambda: _groups(lambda lam: np.maximum(lam, 1 - lam))}))


# ---- three wishes ------------------------------------------------------------------------------------------------

SCHEMES = {"a": ("permutation", "batch"), "b": ("roll", "batch"), "c": ("flip", "batch"),
           "d": ("permutation", "element"), "e": ("roll", "element"), "f": ("flip", "pair"), "g": ("flip", "element")}


def _draw(pairing: str, sharing: str, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Partner and lambda of each of n examples, at alpha = 1."""
    places = np.arange(n)
    partner = {"permutation": rng.permutation(n), "roll": np.roll(places, 1), "flip": places[::-1]}[pairing]
    lam = {"batch": np.full(n, rng.random()), "element": rng.random(n), "pair": rng.random(n)}[sharing]
    return partner, lam[np.minimum(places, partner)] if sharing == "pair" else lam


def _granted(pairing: str, sharing: str) -> bool:
    """Mean kept, nobody alone, jumps of the factor that die out: by drawing."""
    rng = np.random.default_rng(8)
    x = rng.standard_normal(8)
    for _ in range(50):
        partner, lam = _draw(pairing, sharing, 8, rng)
        if abs((lam * x + (1 - lam) * x[partner]).mean() - x.mean()) > 1e-12 or (partner == np.arange(8)).any():
            return False
    small, large = (np.std([_kept(_draw(pairing, sharing, n, rng)[1]).mean() for _ in range(200)]) for n in (8, 800))
    return bool(large < small / 5)


Exercise(name="practice-wishes", level="core", minutes=10, wants=Choice(
    options="abcdefg", truth=lambda: "".join(k for k, scheme in SCHEMES.items() if _granted(*scheme)), mistakes={
        "bc": "The second wish and the first are granted. What does one weight for all do to the covariance?",
        "eg": "Add up the weights with which one example appears in the batch.",
        "efg": "Add up the weights with which one example appears in the batch.", "a": "May an example meet itself?",
        "abc": "May an example meet itself, and what does one weight for all do?"}))


# ---- a log to read -----------------------------------------------------------------------------------------------

def _cross(how: str) -> float:
    """Covariance of mixed inputs and labels over that of plain ones, at alpha = 1, from the weights of both."""
    lam, mass = symmetric(1.0).quadrature(nodes=64)
    total = 0.0
    for (u, a), (v, b) in itertools.product(zip(lam, mass, strict=True), repeat=2):
        own, other = {"a": (u, 0.0), "b": (1 - u, u), "c": (v, 1 - v), "d": (1.0, 0.0), "e": (0.0, 1.0),
                      "f": (float(u > 0.5), float(u < 0.5)), "g": (u, 1 - u), "h": (u, 1 - u)}[how]
        w = max(u, 1 - u) if how == "g" else u
        total += a * b * (w * own + (1 - w) * other)
    return total


Exercise(name="practice-log", level="challenge", minutes=25, wants=Choice(
    options="abcdefgh", truth=lambda: "".join(k for k in "abcdefgh" if abs(_cross(k) - 1 / 3) < 0.02), mistakes={
        "a": "One explanation does it. Does another one do it too, at this alpha?",
        "b": "One explanation does it. Does another one do it too, at this alpha?",
        "h": "That is the factor of the images alone."}))

Exercise(name="practice-plan", level="challenge", minutes=25)


# ---- a data set that says no -------------------------------------------------------------------------------------

def _errors(x: np.ndarray, y: np.ndarray, alpha: float) -> float:
    """Share of wrong points after logistic regression in 1, x, x^2 on all mixed pairs, by Newton's method."""
    lam, mass = symmetric(alpha).quadrature(nodes=16) if alpha else (np.ones(1), np.ones(1))
    i, j = np.array(list(itertools.product(range(len(x)), repeat=2))).T
    z, t = ((lam[:, None] * v[i] + (1 - lam)[:, None] * v[j]).ravel() for v in (x, y))
    m = np.repeat(mass, len(i)) / len(i)
    features, theta, ridge = np.vander(z, 3, increasing=True), np.zeros(3), 1e-4
    for _ in range(100):
        p = special.expit(features @ theta)
        gradient = features.T @ (m * (p - t)) + ridge * theta
        if np.abs(gradient).max() < 1e-9:
            return float(((np.vander(x, 3, increasing=True) @ theta > 0) != (y > 0.5)).mean())
        hessian = (features * (m * p * (1 - p))[:, None]).T @ features + ridge * np.eye(3)
        step = np.linalg.solve(hessian, gradient)
        theta = theta - step * min(1.0, 5 / np.abs(step).max())
    raise ArithmeticError("the fit did not come to an end; try less extreme data")


def _says_no(data: Any) -> str | None:
    """No errors without mixup and at a small alpha, a quarter or more at a large one."""
    if not isinstance(data, (tuple, list, np.ndarray)) or len(data) != 2:
        return "Hand in a pair: the inputs, and their labels."
    x, y = (np.asarray(v, dtype=float) for v in data)
    if x.ndim != 1 or x.shape != y.shape or not 2 <= len(x) <= 60:
        return "Inputs and labels must be two lists of equal length, 2 to 60."
    if not (np.abs(x) <= 5).all() or not np.isin(y, (0, 1)).all():
        return "Inputs must lie in [-5, 5], labels must be 0 or 1."
    for alpha in (0.0, 0.2):
        if wrong := _errors(x, y, alpha):
            return f"At alpha = {alpha:g} already {100 * wrong:.0f} % are wrong; none should be."
    wrong = _errors(x, y, 8.0)
    return None if wrong >= 0.25 else f"At alpha = 8 only {100 * wrong:.0f} % are wrong; 25 % or more should be."


Exercise(name="practice-no", level="research", minutes=45, wants=Witness(
    verify=_says_no, asks="a pair: a list of inputs and a list of labels", scaffold="answer = ([...], [...])",
    mistakes={
        "two clusters": ([-1.0] * 10 + [1.0] * 10, [0] * 10 + [1] * 10),
        "four that alternate": ([-1.5, -0.5, 0.5, 1.5] * 5, [0, 1, 0, 1] * 5),
        "the inner class is as large as the outer": ([-1, 0, 0, 1] * 10, [0, 1, 1, 0] * 10)}))
