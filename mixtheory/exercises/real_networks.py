"""Exercises on what survives in a real network."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import optimize, special, stats

from mixtheory.exercises.judging import Choice, Exercise, Formula, Function, Number, Witness
from mixtheory.mixing import symmetric

# ---- how much a good score is worth ------------------------------------------------------------------------------

SIGNS, SETS = 13, 4


def _least(coins: int, chance: Callable[[np.ndarray, int], float]) -> int:
    """Smallest number of heads, more than half, whose chance is at most one in a hundred."""
    law = np.ones(1)
    for _ in range(coins):                                  # one coin after another: the law of the number of heads
        law = (np.append(law, 0) + np.append(0, law)) / 2
    return next(k for k in range(coins // 2 + 1, coins + 1) if chance(law, k) <= 0.01)


def _or_better(law: np.ndarray, k: int) -> float:
    return float(law[k:].sum())


Exercise(name="real_networks-luck", level="warm-up", minutes=10, wants=Number(
    truth=lambda: SETS * _least(SIGNS, _or_better), tolerance=1e-9, unit="marks", mistakes={
        "all marks are independent": lambda: _least(SIGNS * SETS, _or_better),
        "the score may be one that cannot occur": lambda: SETS * (_least(SIGNS, _or_better) - 1) + 1,
        "the chance of exactly so many is asked for": lambda: SETS * _least(SIGNS, lambda law, k: float(law[k]))}))


# ---- reports that cannot be right --------------------------------------------------------------------------------

def _floor(alpha: float, different: float) -> float:
    """Least mean loss when so large a share of the pairs has two classes: entropy of every label, node by node."""
    lam, mass = symmetric(alpha).quadrature(nodes=96)
    return float(different * (mass @ stats.entropy([lam, 1 - lam])))


REPORTS = {"a": (1.0, 0.9, 0.40), "b": (0.2, 0.9, 0.25), "c": (1.0, 0.45, 0.30), "d": (1.0, 0.0, 0.05),
           "e": (1.0, 0.9, 0.40), "f": (1.0, 0.9, 0.40), "g": (8.0, 0.9, 0.50)}    # alpha, share, what was reported

Exercise(name="real_networks-reports", level="warm-up", minutes=10, wants=Choice(
    options="abcdefg",
    truth=lambda: "".join(k for k, (alpha, share, told) in REPORTS.items() if told < _floor(alpha, share)),
    mistakes={"a": "One of them is a plain case. Ask of the others whether the entropy of the labels is another one.",
              "ag": "Which entropy has a label whose weights are exchanged, and what does a sum of two losses know?",
              "abcefg": "Some pairs hold one class only: how many, in each case?"}))


# ---- a floor for smoothed labels ---------------------------------------------------------------------------------

def _smoothed(epsilon: float) -> float:
    """Mean entropy of mixed labels of ten classes, smoothed before mixing, over all pairs of classes and nodes."""
    lam, mass = symmetric(1.0).quadrature(nodes=200)
    eye = np.eye(10) * (1 - epsilon) + epsilon / 10
    label = lam[:, None, None, None] * eye[:, None] + (1 - lam)[:, None, None, None] * eye
    return float((mass @ stats.entropy(label, axis=-1).reshape(len(lam), -1)).mean())


SAME = float(stats.entropy([0.91] + [0.01] * 9))
Exercise(name="real_networks-smoothed", level="core", minutes=15, wants=Number(
    truth=lambda: _smoothed(0.1), unit="nats", mistakes={
        "labels are not smoothed": lambda: _floor(1.0, 0.9),
        "labels are smoothed and not mixed": lambda: SAME,
        "a partner is always of another class": lambda: (_smoothed(0.1) - 0.1 * SAME) / 0.9}))


# ---- one leaky unit ----------------------------------------------------------------------------------------------

def _leaky(a: float, b: float, c: float) -> float:
    """Mean squared distance from the chord, by putting the numbers in."""
    def f(x: float) -> float:
        return x if x > 0 else c * x

    return sum((f(v * b - (1 - v) * a) - v * f(b) - (1 - v) * f(-a)) ** 2 for v in (0.25, 0.75)) / 2


Exercise(name="real_networks-leaky", level="core", minutes=15, wants=Formula(
    symbols=("a", "b", "c"), truth=_leaky,
    points=({"a": 1.1, "b": 2.3, "c": 0.1}, {"a": 3.2, "b": 0.7, "c": 0.3}, {"a": 0.5, "b": 0.9, "c": 0.02},
            {"a": 1.0, "b": 4.7, "c": 0.6}), mistakes={
        "the unit does not leak": lambda a, b, c: _leaky(a, b, 0.0),
        "the leak enters without its square": lambda a, b, c: (1 - c) * _leaky(a, b, 0.0),
        "only the middle of the segment counts": lambda a, b, c: (1 - c) ** 2 * min(a, b) ** 2 / 4}))


# ---- what a temperature leaves -----------------------------------------------------------------------------------

SAID, TRUE = np.array([0.7, 0.6]), np.array([0.9, 0.6])


def _scaled(beta: float) -> np.ndarray:
    odds = (SAID / (1 - SAID)) ** beta
    return odds / (1 + odds)


def _left(beta: float) -> float:
    return float(np.abs(_scaled(beta) - TRUE).mean())


def _fitted() -> float:
    """The inverse temperature of least log loss, by search."""
    return float(optimize.minimize_scalar(
        lambda b: -(TRUE * np.log(_scaled(b)) + (1 - TRUE) * np.log1p(-_scaled(b))).mean(), bounds=(0.1, 10),
        method="bounded", options={"xatol": 1e-10}).x)


Exercise(name="real_networks-leftover", level="core", minutes=15, wants=Number(
    truth=lambda: _left(_fitted()), mistakes={
        "no temperature is applied": lambda: _left(1.0),
        "the temperature is fitted to the first half alone":
            lambda: _left(math.log(9) / math.log(7 / 3)),
        "the temperature makes mean confidence equal to accuracy":
            lambda: _left(float(optimize.brentq(lambda b: (_scaled(b) - TRUE).sum(), 0.1, 10))),
        "confidence is compared with accuracy over both halves together":
            lambda: abs(float((_scaled(_fitted()) - TRUE).mean()))}))


# ---- a last layer, fitted anew -----------------------------------------------------------------------------------

def _refit(X: np.ndarray, y: np.ndarray, law: tuple[Any, Any] | None = None, itself: bool = True) -> np.ndarray:
    """Minimiser over all pairs and nodes, by Newton's method from zero; the penalty keeps its steps short."""
    lam, mass = symmetric(1.0).quadrature(nodes=12) if law is None else law
    i, j = np.array([p for p in itertools.product(range(len(y)), repeat=2) if itself or p[0] != p[1]]).T
    Z = np.concatenate([v * X[i] + (1 - v) * X[j] for v in lam])
    t = np.concatenate([v * y[i] + (1 - v) * y[j] for v in lam])
    m, w = np.repeat(mass, len(i)) / len(i), np.zeros(X.shape[1])
    for _ in range(40):
        p = special.expit(Z @ w)
        gradient = Z.T @ (m * (p - t)) + 0.2 * w
        w = w - np.linalg.solve((Z * (m * p * (1 - p))[:, None]).T @ Z + 0.2 * np.eye(len(w)), gradient)
    if np.abs(gradient).max() > 1e-10:
        raise ArithmeticError("Newton's method did not come to an end")
    return w


def _features(rng: np.random.Generator) -> list[dict]:
    found = []
    for n, d in ((8, 2), (12, 3)):
        y = np.repeat([0.0, 1.0], n // 2)
        found.append({"X": np.column_stack([np.ones(n), rng.standard_normal((n, d - 1)) + 1.5 * y[:, None]]), "y": y})
    return found


Exercise(name="real_networks-refit", level="core", minutes=25, wants=Function(
    arguments=("X", "y"), returns="the weights (d,)", truth=_refit, cases=_features, tolerance=2e-3, mistakes={
        "nothing is mixed": lambda X, y: _refit(X, y, ([1.0], [1.0])),
        "each weight is always one half": lambda X, y: _refit(X, y, ([0.5], [1.0])),
        "no example meets itself": lambda X, y: _refit(X, y, itself=False)}))

Exercise(name="real_networks-start", level="core", minutes=10)


# ---- the gap narrows, the attack gains ---------------------------------------------------------------------------

FOUR = ("members_erm", "others_erm", "members_mixup", "others_mixup")


def _attack(losses: Mapping[str, Any]) -> str | None:
    """Gap and AUC from the losses, pair by pair."""
    if not isinstance(losses, Mapping) or set(losses) != set(FOUR):
        return f"Hand in a dictionary with the keys {', '.join(FOUR)}, each a list of losses."
    values = {k: np.asarray(v, dtype=float) for k, v in losses.items()}
    if any(v.ndim != 1 or not len(v) or not np.isfinite(v).all() or (v < 0).any() for v in values.values()):
        return "Each must be a list of finite losses, none negative."
    gap, auc = {}, {}
    for arm in ("erm", "mixup"):
        inside, outside = values[f"members_{arm}"], values[f"others_{arm}"]
        gap[arm] = float(outside.mean() - inside.mean())
        difference = outside[None, :] - inside[:, None]
        auc[arm] = float((difference > 0).mean() + (difference == 0).mean() / 2)
    if not 0 < gap["mixup"] <= gap["erm"] / 2:
        return (f"The gap goes from {gap['erm']:.3g} to {gap['mixup']:.3g} nats; it should stay positive and fall to a "
                "half or less.")
    if auc["mixup"] < auc["erm"] + 0.2:
        return f"The AUC goes from {auc['erm']:.3g} to {auc['mixup']:.3g}; it should rise by 0.2 or more."
    if any(values[f"{who}_mixup"].mean() <= values[f"{who}_erm"].mean() for who in ("members", "others")):
        return "With mixup both mean losses should be higher."
    return None


Exercise(name="real_networks-attack", level="challenge", minutes=20, wants=Witness(
    verify=_attack, asks=f"a dictionary of four lists of losses, {', '.join(FOUR)}",
    scaffold='answer = {"members_erm": [...], "others_erm": [...], "members_mixup": [...], "others_mixup": [...]}',
    mistakes={
        "all differences are halved": {"members_erm": [0, 1], "others_erm": [1, 2], "members_mixup": [1, 1.5],
                                       "others_mixup": [1.5, 2]},
        "the gap changes its sign": {"members_erm": [0, 0], "others_erm": [0, 4], "members_mixup": [3, 0, 0],
                                     "others_mixup": [0.5, 0.5, 0.5]},
        "the losses fall": {"members_erm": [1, 1], "others_erm": [1, 5], "members_mixup": [0.1, 0.1],
                            "others_mixup": [0.2, 0.2]}}))


# ---- a last layer that is a bias ---------------------------------------------------------------------------------

def _bias_only(eps: float, q: float) -> float:
    """n times the expected loss gap, over all counts of ones; two sizes n take the error of order 1/n away."""
    def scaled_gap(n: int) -> float:
        k = np.arange(n + 1)
        p = (1 - eps) * k / n + eps / 2
        theta = np.log(p / (1 - p))
        return float(n * (stats.binom.pmf(k, n, q) @ (theta * (k / n - q))))

    return 2 * scaled_gap(4000) - scaled_gap(2000)


Exercise(name="real_networks-bias", level="challenge", minutes=25, wants=Formula(
    symbols=("eps", "q"), truth=_bias_only, tolerance=1e-3,
    points=({"eps": 0.1, "q": 0.3}, {"eps": 0.4, "q": 0.5}, {"eps": 0.25, "q": 0.85}, {"eps": 0.06, "q": 0.6}),
    mistakes={
        "labels are not smoothed": lambda eps, q: 1.0,
        "the loss is taken at smoothed labels on both sides": lambda eps, q: (1 - eps) * _bias_only(eps, q),
        "the curvature is taken at q": lambda eps, q: 1 - eps}))

# ---- four corners ------------------------------------------------------------------------------------------------

CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])


def _crossing(predict: Callable[[np.ndarray], Any]) -> str | None:
    """Loss on mixed corners above the entropy of their labels, and certainty at the corners."""
    if not callable(predict):
        return "Hand in a function of x, an array (m, 2), that returns probabilities (m, 4)."
    rng, size = np.random.default_rng(), 2000
    pairs = np.array(list(itertools.product(range(4), repeat=2))).repeat(size, axis=0)
    lam = rng.random((len(pairs), 1))
    x = lam * CORNERS[pairs[:, 0]] + (1 - lam) * CORNERS[pairs[:, 1]] + rng.normal(0, 1e-3, (len(pairs), 2))
    y = lam * np.eye(4)[pairs[:, 0]] + (1 - lam) * np.eye(4)[pairs[:, 1]]
    p, clean = (np.asarray(predict(points.copy()), dtype=float) for points in (x, CORNERS))
    if p.shape != y.shape or clean.shape != (4, 4):
        return f"It should return (m, 4) for x of shape (m, 2); for m = {len(x)} yours returned {p.shape}."
    if any(not np.isfinite(v).all() or (v < 0).any() or abs(v.sum(1) - 1).max() > 1e-6 for v in (p, clean)):
        return "Probabilities must not be negative, and must sum to one."
    if (sure := float(clean.diagonal().min())) < 0.99:
        return f"At one of the corners its own class gets only {sure:.3g}."
    over = float(stats.entropy(y.T, p.T).mean())
    return None if over <= 0.01 else f"The loss is {over:.3g} nats above the entropy of the labels."


def _bilinear(x: np.ndarray) -> np.ndarray:
    u, v = np.clip(x, 1e-9, 1 - 1e-9).T
    return np.column_stack([(1 - u) * (1 - v), u * (1 - v), u * v, (1 - u) * v])


Exercise(name="real_networks-crossing", level="research", minutes=40, wants=Witness(
    verify=_crossing, asks="a function of x, an array (m, 2), that returns probabilities (m, 4)",
    scaffold="def answer(x):\n    return ...      # (m, 2) -> (m, 4)", mistakes={
        "knows nothing": lambda x: np.full((len(x), 4), 0.25),
        "is bilinear": _bilinear,
        "is the nearest corner": lambda x: np.eye(4)[((x[:, None] - CORNERS) ** 2).sum(-1).argmin(1)] * 0.996 + 0.001}))
