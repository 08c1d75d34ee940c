"""Exercises on what mixed labels teach about confidence."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, ndtr

from mixtheory.exercises.judging import Choice, Exercise, Formula, Function, Number, Witness
from mixtheory.mixing import symmetric

LINE = np.linspace(-9, 9, 181)          # of a trapezoidal rule, which is exact to rounding for what follows
NORMAL = np.exp(-(LINE**2) / 2) / np.exp(-(LINE**2) / 2).sum()


def _density(x: Any, mean: Any, variance: Any) -> Any:
    return np.exp(-((x - mean) ** 2) / (2 * variance)) / np.sqrt(variance)


# ---- told the order ----------------------------------------------------------------------------------------------

def _in_order() -> np.ndarray:
    """Means of the smallest, second and largest of three weights, over a fine grid of the triangle."""
    i, j = np.meshgrid(np.arange(400), np.arange(400))
    first, second = (i[i + j < 400] + 1 / 3) / 400, (j[i + j < 400] + 1 / 3) / 400
    return np.sort([first, second, 1 - first - second], axis=0).mean(axis=1)


Exercise(name="calibration-told", level="warm-up", minutes=10, wants=Number(
    truth=lambda: float(_in_order()[1]), mistakes={
        "the class of the largest weight is asked for": lambda: float(_in_order()[2]),
        "the class of the smallest weight is asked for": lambda: float(_in_order()[0]),
        "only the largest is told, and the other two are alike": lambda: float(_in_order()[:2].mean()),
        "the model is told nothing about the shares": lambda: 1 / 3,
        "the second share is in the middle of its range": lambda: 1 / 4}))


# ---- seven losses ------------------------------------------------------------------------------------------------

LOSSES: dict[str, Callable[[float, np.ndarray], np.ndarray]] = {
    "a": lambda y, q: -y * np.log(q) - (1 - y) * np.log(1 - q),
    "b": lambda y, q: np.abs(y - q),
    "c": lambda y, q: (y - q) ** 2,
    "d": lambda y, q: -y * (1 - q) ** 2 * np.log(q) - (1 - y) * q**2 * np.log(1 - q),
    "e": lambda y, q: y * np.sqrt((1 - q) / q) + (1 - y) * np.sqrt(q / (1 - q)),
    "f": lambda y, q: -y * q - (1 - y) * (1 - q),
    "g": lambda y, q: q - y * np.log(q)}


def _honest() -> str:
    """The losses whose best answer to a label that is 1 with probability c is c: looked up on a grid of answers."""
    q = np.linspace(0, 1, 2001)[1:-1]
    return "".join(name for name, loss in LOSSES.items() if all(
        abs(q[np.argmin(c * loss(1.0, q) + (1 - c) * loss(0.0, q))] - c) < 1e-3 for c in (0.13, 0.4, 0.72, 0.9)))


Exercise(name="calibration-losses", level="warm-up", minutes=15, wants=Choice(
    options="".join(LOSSES), truth=_honest, mistakes={
        "ac": "These two are the usual ones. There are more: differentiate in q and set to zero.",
        "abc": "One too many: which answer is best if the label is 1 three times in four?",
        "acd": "One too many, and there are others: differentiate in q and set to zero."}))


# ---- a score at an angle -----------------------------------------------------------------------------------------

def _angle(w: float, m: float, theta: float) -> float:
    """Temperature of least log loss, over a grid of the plane of both classes."""
    across = w * np.sin(theta) * LINE[:, None]
    scores = [w * np.cos(theta) * (LINE + centre) + across for centre in (m, -m)]
    mass = NORMAL * NORMAL[:, None]

    def slope(log_t: float) -> float:
        first, second = (expit(s * np.exp(-log_t)) for s in scores)
        return float((mass * ((first - 1) * scores[0] + second * scores[1])).sum())
    return float(np.exp(brentq(slope, -6, 6, xtol=1e-11)))


Exercise(
    name="calibration-angle", level="core", minutes=15,
    wants=Formula(
        symbols=("w", "m", "theta"), truth=_angle,
        points=tuple({"w": w, "m": m, "theta": theta} for w, m, theta in (
            (1.2, 0.8, 0.4), (3.0, 1.3, 0.9), (0.7, 0.6, 1.2), (2.1, 1.1, 0.1))),
        mistakes={
            "the score points along the means": lambda w, m, theta: w / (2 * m),
            "the classes lie m apart, not 2m": lambda w, m, theta: _angle(w, m / 2, theta),
            "the angle shortens the score and not the distance of the classes":
                lambda w, m, theta: w * np.cos(theta) / (2 * m)}))


# ---- a wave ------------------------------------------------------------------------------------------------------

def _wave(t: float, p: float) -> float:
    """Mean gap between the chord of eta and eta itself, over a grid of pairs of inputs; alike for p and 1 - p."""
    def eta(x: Any) -> Any:
        return (1 + np.cos(t * x)) / 2
    first, second = LINE, LINE[:, None]
    gap = p * eta(first) + (1 - p) * eta(second) - eta(p * first + (1 - p) * second)
    return float((NORMAL * NORMAL[:, None] * gap).sum())


Exercise(
    name="calibration-wave", level="core", minutes=15,
    wants=Formula(
        symbols=("t", "p"), truth=_wave,
        points=({"t": 0.7, "p": 0.2}, {"t": 1.6, "p": 0.55}, {"t": 2.9, "p": 0.9}, {"t": 1.1, "p": 0.37}), mistakes={
            "lambda is one half": lambda t, p: _wave(t, 0.5),
            "the posterior is a parabola with the same bend at 0": lambda t, p: -(t**2) / 4 * 2 * p * (1 - p)}))


# ---- a narrow and a wide class -----------------------------------------------------------------------------------

def _border(tau: float) -> float:
    """Where the mean label is one half: all four pairs, members halfway, both densities at x."""
    def lead(x: float) -> float:
        kinds = ((1.0, 1), (tau**2, 0))
        return sum((y + z - 1) * _density(x, 0.0, (v + w) / 4) for (v, y), (w, z) in itertools.product(kinds, kinds))
    return float(brentq(lead, 1e-9, 8 * tau, xtol=1e-12))


Exercise(
    name="calibration-border", level="core", minutes=20,
    wants=Formula(
        symbols=("tau",), truth=_border, points=({"tau": 1.3}, {"tau": 2.1}, {"tau": 4.7}, {"tau": 1.05}), mistakes={
            "mixing leaves the border of the Bayes rule where it is": lambda tau: float(brentq(
                lambda x: _density(x, 0.0, 1.0) - _density(x, 0.0, tau**2), 1e-9, 8 * tau, xtol=1e-12)),
            "the square of the distance is handed in": lambda tau: _border(tau) ** 2}))

Exercise(name="calibration-report", level="core", minutes=15)


# ---- mixed twice -------------------------------------------------------------------------------------------------

def _dose(rho: float, left: Callable[[float], float]) -> float:
    """The alpha at which `left`, the part of the scores that mixing leaves, is 1/(1 + rho)."""
    return float(np.exp(brentq(lambda t: left(np.exp(t)) - 1 / (1 + rho), -20, 20, xtol=1e-12)))


def _left_twice(alpha: float) -> float:
    """Mean of the sum of squares of the four weights in a mix of two mixes, three independent lambdas."""
    lam, mass = symmetric(alpha).quadrature(nodes=2)
    return sum(float(np.prod(mass[list(i)])) * float(sum((
        lam[i[0]] * lam[i[1]], lam[i[0]] * (1 - lam[i[1]]),
        (1 - lam[i[0]]) * lam[i[2]], (1 - lam[i[0]]) * (1 - lam[i[2]])) ** np.array(2)))
        for i in itertools.product(range(2), repeat=3))


def _left_shared(alpha: float) -> float:
    return float(symmetric(alpha).expect(lambda p: (p**2 + (1 - p) ** 2) ** 2, nodes=8))


Exercise(
    name="calibration-twice", level="challenge", minutes=20,
    wants=Formula(
        symbols=("rho",), truth=lambda rho: _dose(rho, _left_twice), tolerance=1e-5,
        points=({"rho": 0.4}, {"rho": 0.9}, {"rho": 1.7}, {"rho": 2.6}), mistakes={
            "the data are mixed once": lambda rho: rho / (1 - rho),
            "one lambda serves both rounds": lambda rho: _dose(rho, _left_shared)}))


# ---- too sure between mirrored classes ---------------------------------------------------------------------------

def _mirror(components: Any) -> str | None:
    """Answer and truth on a grid of inputs, by all pairs of components and a midpoint rule over lambda."""
    try:
        weight, mean, sd = np.array([[float(v) for v in c] for c in components]).T
    except (TypeError, ValueError):
        return "Hand in a list of (weight, mean, standard deviation)."
    if len(weight) > 4 or not (weight > 0).all() or abs(weight.sum() - 1) > 1e-9:
        return "At most four components; their weights must be positive and sum to one."
    if not (abs(mean) <= 5).all() or not ((sd >= 0.2) & (sd <= 5)).all():
        return "Means must lie in [-5, 5], standard deviations in [0.2, 5]."
    x, lam = np.linspace(0.02, 5, 150)[:, None], (np.arange(300) + 0.5) / 300
    both = [(w / 2, m, s, 1.0) for w, m, s in zip(weight, mean, sd, strict=True)]
    both += [(w, -m, s, 0.0) for w, m, s, _ in both]
    ones, all_ = np.zeros(len(x)), np.zeros(len(x))
    for (w, m, s, y), (v, n, r, z) in itertools.product(both, both):
        at = w * v * _density(x, lam * m + (1 - lam) * n, (lam * s) ** 2 + ((1 - lam) * r) ** 2)
        ones, all_ = ones + (at * (lam * y + (1 - lam) * z)).mean(axis=1), all_ + at.mean(axis=1)
    parts = [(w * _density(x[:, 0], m, s**2), y) for w, m, s, y in both]
    density = sum(d for d, _ in parts)
    truth, answer = sum(d * y for d, y in parts) / np.maximum(density, 1e-300), ones / all_
    excess = np.maximum(answer, 1 - answer) - np.maximum(truth, 1 - truth)
    most = excess[density / np.sqrt(2 * np.pi) >= 0.02].max(initial=-1.0)
    return None if most >= 0.1 else f"Where data are, the confidence exceeds the truth by {max(most, 0):.3f} at most."


Exercise(name="calibration-mirror", level="challenge", minutes=30, wants=Witness(
    verify=_mirror, asks="the components of class 1 as a list of (weight, mean, standard deviation)",
    scaffold="answer = [(0.5, 1.0, 0.3), ...]      # weight, mean, standard deviation", mistakes={
        "one Gaussian": [(1.0, 1.5, 1.0)], "two on one side": [(0.5, 1.0, 0.5), (0.5, 3.0, 0.5)],
        "alike on both sides": [(0.5, 1.0, 0.4), (0.5, -1.0, 0.4)]}))


# ---- shown lambda ------------------------------------------------------------------------------------------------

def _shown(x: float, lam: float, m: float, one_half: bool = False) -> float:
    """Mean label of mixed inputs in a narrow window about x, by the normal law of each of the four pairs."""
    spread, window = np.sqrt(lam**2 + (1 - lam) ** 2), 1e-3
    hit = label = 0.0
    for y, z in itertools.product((1, 0), repeat=2):
        centre = lam * (2 * y - 1) * m + (1 - lam) * (2 * z - 1) * m
        chance = ndtr((x + window - centre) / spread) - ndtr((x - window - centre) / spread)
        hit, label = hit + chance, label + chance * ((y + z) / 2 if one_half else lam * y + (1 - lam) * z)
    return float(label / hit)


def _not_shown(x: float, lam: float, m: float) -> float:
    del lam
    nodes = (np.arange(400) + 0.5) / 400
    ones = total = 0.0
    for y, z in itertools.product((1, 0), repeat=2):
        at = _density(x, m * (nodes * (2 * y - 1) + (1 - nodes) * (2 * z - 1)), nodes**2 + (1 - nodes) ** 2)
        ones, total = ones + (at * (nodes * y + (1 - nodes) * z)).mean(), total + at.mean()
    return float(ones / total)


Exercise(
    name="calibration-shown", level="research", minutes=40,
    wants=Function(
        arguments=("x", "lam", "m"), returns="a probability", truth=_shown, tolerance=1e-4,
        cases=lambda rng: [{"x": float(x), "lam": float(lam), "m": float(m)} for x, lam, m in zip(
            rng.uniform(-2, 2, 6), rng.uniform(0.05, 0.95, 6), rng.uniform(0.5, 1.6, 6), strict=True)],
        mistakes={
            "the model does not see lambda, which is uniform": _not_shown,
            "a pair of two classes has the label one half":
                lambda x, lam, m: _shown(x, lam, m, one_half=True),
            "nothing is mixed": lambda x, lam, m: expit(2 * m * x)}))
