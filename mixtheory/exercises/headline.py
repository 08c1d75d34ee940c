"""Exercises on comparing two ways to train."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import integrate, optimize, special, stats

from mixtheory.exercises.judging import Choice, Exercise, Formula, Number, Witness

# ---- all logits times a constant ---------------------------------------------------------------------------------

def _auc(scores: np.ndarray, others: np.ndarray) -> float:
    return float((scores[:, None] > others).mean() + (scores[:, None] == others).mean() / 2)


def _losses(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    return special.logsumexp(z, axis=1) - z[np.arange(len(y)), y]


def _ece(z: np.ndarray, y: np.ndarray) -> float:
    p = special.softmax(z, axis=1)
    distance, which = p.max(1) - (p.argmax(1) == y), np.ceil(15 * p.max(1)).astype(int)
    return float(np.abs(np.bincount(which, distance)).sum() / len(y))


def _cooled(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The second half of the logits, times the number that fits the first half best."""
    half = len(y) // 2
    a, label = z[:half], z[np.arange(half), y[:half]]

    def slope(b: float) -> float:
        return float(((special.softmax(b * a, axis=1) * a).sum(1) - label).mean())

    return optimize.brentq(slope, 1e-3, 50, xtol=1e-15, rtol=1e-14) * z[half:]


def _unchanged() -> str:
    """The letters of the quantities that are the same before and after, on drawn logits."""
    rng = np.random.default_rng(5)
    data = [(rng.normal(0, 1.2, (600, k)), rng.integers(0, k, 600)) for k in (2, 10)]
    for z, y in data:
        z[np.arange(600), y] += 1.1
    (two, y2), (ten, y10) = data

    def told(factor: float) -> dict[str, float]:
        z, pair = factor * ten, _losses(factor * two, y2)
        loss, p = _losses(z, y10), special.softmax(z, axis=1)
        return {"a": float((z.argmax(1) != y10).mean()), "b": float(loss.mean()),
                "c": float(((p - np.eye(10)[y10]) ** 2).sum(1).mean()), "d": _ece(z, y10),
                "e": _ece(_cooled(z, y10), y10[300:]), "f": _auc(-loss[:300], -loss[300:]),
                "g": _auc(-pair[:300], -pair[300:]), "h": float(loss[300:].mean() - loss[:300].mean())}

    before, after = told(1.0), told(1.7)
    return "".join(k for k in before if abs(before[k] - after[k]) < 1e-9)


Exercise(name="headline-scale", level="warm-up", minutes=10, wants=Choice(
    options="abcdefgh", truth=_unchanged, mistakes={
        "a": "The largest logit stays the largest. What does a fitted temperature do with the constant?",
        "ae": "What does an attack need to know of the losses: their values, or their order?",
        "aefg": "With many classes, does a constant keep the order of the losses of different examples?"}))


# ---- calibrated after all? ---------------------------------------------------------------------------------------

def _chance(extreme: Any) -> float:
    """Probability of the counts of right answers that are so extreme, one image after another."""
    law = np.ones(1)
    for _ in range(200):
        law = 0.1 * np.append(law, 0) + 0.9 * np.append(0, law)
    return float(sum(mass for k, mass in enumerate(law) if extreme(k)))


Exercise(name="headline-chance", level="warm-up", minutes=10, wants=Number(
    truth=lambda: _chance(lambda k: abs(k - 180) >= 9), mistakes={
        "only too few right answers count": lambda: _chance(lambda k: k <= 171),
        "the error must be exceeded": lambda: _chance(lambda k: abs(k - 180) > 9),
        "it must be hit exactly": lambda: _chance(lambda k: abs(k - 180) == 9),
        "the count is taken as normal": lambda: float(2 * stats.norm.sf(9 / math.sqrt(18)))}))


# ---- in pairs ----------------------------------------------------------------------------------------------------

def _unpaired(v: float, w: float, r: float, covariance: float | None = None) -> float:
    """Variance of a difference of two arms on other seeds over that on the same, with coins for seeds."""
    coins = list(itertools.product((-1, 1), repeat=2))
    arms = [(math.sqrt(v) * e, math.sqrt(w) * (r * e + math.sqrt(1 - r * r) * f)) for e, f in coins]
    same = sum((x - y) ** 2 for x, y in arms) / 4
    apart = sum((x - y) ** 2 for (x, _), (_, y) in itertools.product(arms, repeat=2)) / 16
    return apart / (same if covariance is None else apart - covariance)


Exercise(name="headline-pairs", level="core", minutes=10, wants=Formula(
    symbols=("v", "w", "r"), truth=_unpaired,
    points=({"v": 1.3, "w": 1.3, "r": 0.6}, {"v": 0.4, "w": 1.9, "r": 0.35}, {"v": 2.2, "w": 0.7, "r": 0.85}),
    mistakes={
        "the covariance is counted once": lambda v, w, r: _unpaired(v, w, r, r * math.sqrt(v * w)),
        "r is taken for the covariance": lambda v, w, r: _unpaired(v, w, r, 2 * r),
        "only the standard errors are compared": lambda v, w, r: math.sqrt(_unpaired(v, w, r)),
        "both arms vary alike": lambda v, w, r: _unpaired(v, v, r)}))


# ---- how many seeds ----------------------------------------------------------------------------------------------

def _seeds(half: float = 0.1, tail: float = 0.005, normal: bool = False) -> int:
    """Smallest number of seeds whose interval is narrow enough, one number after another."""
    return next(n for n in itertools.count(2)
                if 0.3 / math.sqrt(n) * (-special.ndtri(tail) if normal else -special.stdtrit(n - 1, tail)) <= half)


Exercise(name="headline-seeds", level="core", minutes=10, wants=Number(
    truth=_seeds, tolerance=1e-9, unit="seeds", mistakes={
        "the normal quantile is used, as if the spread were known": lambda: _seeds(normal=True),
        "the whole interval is at most 0.1 wide": lambda: _seeds(half=0.05),
        "one side of the interval gets all of the one per cent": lambda: _seeds(tail=0.01),
        "the interval is one of 95 per cent": lambda: _seeds(tail=0.025)}))


# ---- one order before, another after -----------------------------------------------------------------------------

def _after(groups: np.ndarray) -> tuple[float, float]:
    """Calibration error of equal groups (said, true), before and after a temperature found by search."""
    odds, true = special.logit(groups[:, 0]), groups[:, 1]

    def loss(log_beta: float) -> float:
        z = math.exp(log_beta) * odds
        return float((np.logaddexp(0, z) - true * z).mean())

    grid = np.linspace(-5, 5, 201)
    best = grid[int(np.argmin([loss(b) for b in grid]))]
    best = optimize.minimize_scalar(loss, bounds=(best - 0.1, best + 0.1), method="bounded", options={"xatol": 1e-9}).x
    return (float(np.abs(groups[:, 0] - true).mean()),
            float(np.abs(special.expit(math.exp(best) * odds) - true).mean()))


def _order(models: Any) -> str | None:
    """A is better calibrated as it is, B after scaling."""
    if not isinstance(models, Mapping) or set(models) != {"A", "B"}:
        return "Hand in a dictionary with the keys A and B, each a list of pairs (confidence, accuracy)."
    found = {k: np.asarray(v, dtype=float) for k, v in models.items()}
    if any(g.ndim != 2 or g.shape[1] != 2 or not 1 <= len(g) <= 50 for g in found.values()):
        return "Each model must be a list of 1 to 50 pairs (confidence, accuracy)."
    if any(not ((g[:, 0] >= 0.5) & (g[:, 0] < 1) & (g[:, 1] >= 0) & (g[:, 1] <= 1)).all() for g in found.values()):
        return "Confidences must lie in [0.5, 1), accuracies in [0, 1]."
    (raw_a, scaled_a), (raw_b, scaled_b) = _after(found["A"]), _after(found["B"])
    if raw_a > raw_b - 0.05:
        return f"As they are, A has {raw_a:.3g} and B {raw_b:.3g}: A should be lower by 0.05 or more."
    if scaled_a < scaled_b + 0.05:
        return f"After scaling, A has {scaled_a:.3g} and B {scaled_b:.3g}: B should be lower by 0.05 or more."
    return None


Exercise(name="headline-order", level="core", minutes=20, wants=Witness(
    verify=_order, asks="a dictionary with the keys A and B, each a list of pairs (confidence, accuracy)",
    scaffold='answer = {"A": [(..., ...), ...], "B": [(..., ...), ...]}', mistakes={
        "one group each": {"A": [(0.8, 0.85)], "B": [(0.8, 0.95)]},
        "A is perfect": {"A": [(0.9, 0.9), (0.7, 0.7)], "B": [(0.9, 0.7), (0.7, 0.6)]},
        "the names are exchanged": {"A": [(0.6, 0.9), (0.6, 0.9)], "B": [(0.7, 0.8), (0.9, 0.8)]}}))


# ---- what one gains by looking -----------------------------------------------------------------------------------

def _best(sigma: float, rho: float, tries: int = 3) -> float:
    """Mean error less the mean of the least of some tries with a common part, by quadrature over the least one."""
    def moment(x: float) -> float:
        return x * tries * math.exp(-x * x / 2) / math.sqrt(2 * math.pi) * special.ndtr(-x) ** (tries - 1)

    return -sigma * math.sqrt(1 - rho) * integrate.quad(moment, -9, 9, epsabs=1e-12)[0]


Exercise(name="headline-looking", level="challenge", minutes=25, wants=Formula(
    symbols=("sigma", "rho"), truth=_best,
    points=({"sigma": 0.4, "rho": 0.1}, {"sigma": 1.3, "rho": 0.7}, {"sigma": 2.1, "rho": 0.45}), mistakes={
        "the best of two is taken": lambda sigma, rho: _best(sigma, rho, 2),
        "the three are independent": lambda sigma, rho: _best(sigma, 0.0),
        "rho is the share of the standard deviation": lambda sigma, rho: (1 - rho) * _best(sigma, 0.0)}))


# ---- one another's shadows ---------------------------------------------------------------------------------------

def _narrow(R: float, r: float) -> float:
    """True over expected estimated standard error of the mean, from the covariance matrix of the R values."""
    n = int(R)
    others = (1 - np.eye(n)) / (n - 1)
    both = np.hstack([np.eye(n), others])                               # v = both @ (a, b)
    C = both @ np.kron([[1, r], [r, 1]], np.eye(n)) @ both.T
    centre = np.eye(n) - 1 / n
    return math.sqrt((C.sum() / n**2) / (np.trace(centre @ C @ centre) / (n - 1) / n))


Exercise(name="headline-shadow", level="challenge", minutes=30, wants=Formula(
    symbols=("R", "r"), truth=_narrow,
    points=({"R": 16, "r": 0.05}, {"R": 5, "r": 0.6}, {"R": 40, "r": 0.9}, {"R": 8, "r": 0.3}), mistakes={
        "the values are independent": lambda R, r: 1.0,
        "there are endlessly many seeds": lambda R, r: math.sqrt(2 + 2 * r),
        "a network's two parts are uncorrelated": lambda R, r: _narrow(R, 0.0),
        "variances are compared, not standard errors": lambda R, r: _narrow(R, r) ** 2}))


# ---- what a threshold cannot see ---------------------------------------------------------------------------------

def _invisible(world: Any) -> str | None:
    """AUC of both attacks for Gaussian scores, exactly, over all pairs of examples."""
    if not isinstance(world, Mapping) or set(world) != {"inside", "outside", "sd"}:
        return "Hand in a dictionary with the keys inside, outside and sd."
    inside, outside, sd = (np.asarray(world[k], dtype=float) for k in ("inside", "outside", "sd"))
    if inside.ndim != 1 or inside.shape != outside.shape or not 1 <= len(inside) <= 500 or sd.shape != ():
        return "inside and outside must be lists of equal length, at most 500, and sd a number."
    if not (np.isfinite(inside).all() and np.isfinite(outside).all() and sd > 0):
        return "Means must be finite, and sd positive."
    if not (inside > outside).all():
        return "For every example the mean score should be higher if it was trained on."
    simple = float(special.ndtr((inside[:, None] - outside) / (math.sqrt(2) * sd)).mean())
    d2 = ((inside - outside) / sd) ** 2
    total = d2[:, None] + d2
    ratio = float(special.ndtr(total / 2 / np.sqrt(total)).mean())
    if simple > 0.55:
        return f"The threshold has an AUC of {simple:.3g}; it should not see more than 0.55."
    return None if ratio >= 0.99 else f"The likelihood ratio has an AUC of {ratio:.3g}; it should reach 0.99."


Exercise(name="headline-invisible", level="research", minutes=40, wants=Witness(
    verify=_invisible, asks="a dictionary with two lists of means, inside and outside, and a standard deviation, sd",
    scaffold='answer = {"inside": [...], "outside": [...], "sd": ...}', mistakes={
        "all are equally hard": {"inside": [1.0] * 5, "outside": [0.0] * 5, "sd": 0.1},
        "nothing is learnt": {"inside": [0.01, 5.01], "outside": [0, 5], "sd": 1.0},
        "half of them lose by being members": {"inside": [2, 0], "outside": [0, 2], "sd": 0.3}}))
