"""Exercises on the rules of evidence: power, error rates, mutants, and what a check cannot see."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import cache

import numpy as np
import sympy as sp
from scipy import integrate, optimize, stats

from mixtheory.evidence.check import ORDER_SLACK
from mixtheory.evidence.derivation import equal
from mixtheory.evidence.estimate import BLOCKS, estimate, quantiles, skew_guard
from mixtheory.evidence.expectation import beta, expect
from mixtheory.exercises.judging import Choice, Exercise, Formula, Number, Witness
from mixtheory.mixing import elementary, symmetric

# ---- another seed ------------------------------------------------------------------------------------------------

def _some_pass(q: float, k: float) -> float:
    """Probability that one of k runs passes: all sequences of passes and failures, added up."""
    runs = itertools.product((q, 1 - q), repeat=int(k))
    return float(sum(np.prod(run) for i, run in enumerate(runs) if i < 2 ** int(k) - 1))


Exercise(name="how_verified-seeds", level="warm-up", minutes=5, wants=Formula(
    symbols=("q", "k"), truth=_some_pass,
    points=({"q": 0.02, "k": 3}, {"q": 0.3, "k": 2}, {"q": 0.1, "k": 7}, {"q": 0.55, "k": 4}), mistakes={
        "all runs must pass": lambda q, k: q**k, "probabilities of the runs are added up": lambda q, k: k * q,
        "only the last run counts": lambda q, k: q}))


# ---- the price of small error rates ------------------------------------------------------------------------------

def _density(z: float) -> float:
    return math.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)


@cache
def _two_sided(rate: float) -> float:
    """Limit beyond which a standard normal variable lies with probability `rate`, on both sides together."""
    return float(optimize.brentq(lambda z: 2 * integrate.quad(_density, z, z + 20)[0] - rate, 0, 10))


@cache
def _distance(false_alarm: float, miss: float) -> float:
    """Standard errors at which a wrong formula is missed with probability `miss`: integrated, and solved for."""
    limit = _two_sided(false_alarm)
    return float(optimize.brentq(
        lambda shift: integrate.quad(_density, -limit - shift, limit - shift)[0] - miss, limit, limit + 10))


Exercise(name="how_verified-price", level="warm-up", minutes=10, wants=Number(
    truth=lambda: (_distance(1e-6, 1e-6) / _distance(1e-3, 1e-3)) ** 2, mistakes={
        "the number of draws grows as the error rates fall": lambda: 1000.0,
        "the standard error is taken to fall like one over the draws":
            lambda: _distance(1e-6, 1e-6) / _distance(1e-3, 1e-3),
        "only false alarms become rarer": lambda: (_distance(1e-6, 1e-3) / _distance(1e-3, 1e-3)) ** 2,
        "the limit of the test alone is compared, without power": lambda: (_two_sided(1e-6) / _two_sided(1e-3)) ** 2,
        "only misses become rarer": lambda: (_distance(1e-3, 1e-6) / _distance(1e-3, 1e-3)) ** 2,
        "the test has one side": lambda: (_distance(2e-6, 1e-6) / _distance(2e-3, 1e-3)) ** 2}))


# ---- an ordinary test --------------------------------------------------------------------------------------------

def _passes() -> float:
    """Normal density shifted by two standard errors, integrated over the region where the test at 5 % accepts."""
    limit = _two_sided(0.05)
    return float(integrate.quad(lambda z: _density(z - 2), -limit, limit)[0])


Exercise(name="how_verified-coin", level="warm-up", minutes=5, wants=Number(
    truth=_passes, mistakes={
        "the probability of a rejection is computed": lambda: 1 - _passes(), "the formula is right": lambda: 0.95,
        "the error rate of the test is taken for that of a miss": lambda: 0.05,
        "the formula is off by half a standard error": lambda: float(stats.norm.cdf(1.46) - stats.norm.cdf(-2.46))}))


# ---- one lambda a batch ------------------------------------------------------------------------------------------

def _too_small(n: float, v: float, w: float) -> float:
    """Variance of the mean of a batch, by its covariance matrix, over what independent values would have."""
    covariance = v * np.ones((int(n), int(n))) + w * np.eye(int(n))
    return float(covariance.mean() / (np.trace(covariance) / n**2))


Exercise(name="how_verified-blocks", level="core", minutes=15, wants=Formula(
    symbols=("n", "v", "w"), truth=_too_small,
    points=({"n": 4, "v": 0.3, "w": 1.1}, {"n": 64, "v": 0.02, "w": 0.9}, {"n": 10, "v": 2.0, "w": 0.5},
            {"n": 3, "v": 0.7, "w": 0.6}), mistakes={
        "standard errors are compared instead of variances": lambda n, v, w: _too_small(n, v, w) ** 0.5,
        "all values of a batch are equal": lambda n, v, w: n,
        "v is left out of the spread of single values": lambda n, v, w: _too_small(n, v, w) * (v + w) / w,
        "the square of the standard error is not divided by n": lambda n, v, w: _too_small(n, v, w) / n,
        "a batch has n + 1 examples": lambda n, v, w: _too_small(n + 1, v, w)}))


# ---- closer than the resolution ----------------------------------------------------------------------------------

OFFERED = {"a": 0.01, "b": 0.1, "c": 1.0, "d": 4.2, "e": 30.0}


def _visible() -> str:
    """The offered alphas at which s^2 is at least 2 % away from E[S^2], both by quadrature."""
    def far(alpha: float) -> bool:
        s, square = (symmetric(alpha).expect(lambda x, k=k: (x**2 + (1 - x) ** 2) ** k, nodes=8) for k in (1, 2))
        return bool(square - s**2 >= 0.02 * square)
    return "".join(letter for letter, alpha in OFFERED.items() if far(alpha))


Exercise(name="how_verified-closer", level="core", minutes=15, wants=Choice(
    options="abcde", truth=_visible, mistakes={
        "abcde": "A check is asked for no more than its resolution. How far is the wrong formula from the right one?",
        "c": "One more case is far enough. How far is far enough?",
        "bcd": "Compare the distance with the resolution once more, in units of the right value.",
        "abc": "Where hardly anything is mixed, how much does S vary?",
        "ade": "These are the cases where the wrong formula is too near to be seen."}))


# ---- heavy tails -------------------------------------------------------------------------------------------------

@cache
def _exponential_draws(limit: float = 0.5, power: float = 1.0) -> float:
    """Smallest number of draws: block means have a Gamma law, whose third moment SciPy knows."""
    z1 = quantiles(1)[0]
    size = next(m for m in itertools.count(1)
                if float(stats.gamma(m**power).stats("s")) * z1**3 / (6 * np.sqrt(BLOCKS)) <= limit)
    return float(BLOCKS * size)


Exercise(name="how_verified-tails", level="core", minutes=15, wants=Number(
    truth=_exponential_draws, unit="draws", mistakes={
        "the skewness of a mean falls like one over the number of values": lambda: _exponential_draws(power=2.0),
        "the limit is one": lambda: _exponential_draws(limit=1.0),
        "the draws of one block are counted": lambda: _exponential_draws() / BLOCKS,
        "single draws are taken for block means": lambda: float(BLOCKS)}))

Exercise(name="how_verified-proved", level="core", minutes=10)


# ---- looking ten times -------------------------------------------------------------------------------------------

@cache
def _peeking(looks: int = 10, nodes: int = 401) -> float:
    """Probability of a rejection at one of the looks: the density of the sum that was never rejected, step by step."""
    limit = _two_sided(0.05)
    density, grid = np.ones(1), np.zeros(1)
    for k in range(1, looks + 1):
        new, step = np.linspace(-limit * np.sqrt(k), limit * np.sqrt(k), nodes, retstep=True)
        density = np.exp(-((new[:, None] - grid) ** 2) / 2) / math.sqrt(2 * math.pi) @ density
        density[[0, -1]] /= 2
        density, grid = density * step, new
    return float(1 - density.sum())


Exercise(name="how_verified-looks", level="challenge", minutes=20, wants=Number(
    truth=_peeking, tolerance=0.02, mistakes={
        "looks do not matter": lambda: 0.05, "the ten looks are independent": lambda: 1 - 0.95**10,
        "the rates of the looks are added up": lambda: 0.5, "there are only two looks": lambda: _peeking(2),
        "there are twenty looks": lambda: _peeking(20)}))


# ---- the order of an error ---------------------------------------------------------------------------------------

def _wrong_design(values: list[float]) -> str | None:
    """Fits the order for the right and the wrong formula, under all signs of the rounding errors."""
    p = np.array(sorted(values, reverse=True), dtype=float)
    if p.shape != (3,) or not ((p > 0) & (p <= 0.5)).all():
        return "Hand in three values, greater than 0 and at most 0.5."
    if not (p[:-1] >= 2 * p[1:] * (1 - 1e-12)).all():
        return "Neighbours must differ by a factor of two at least."
    fits = {}
    for name, error in (("right", p**2 / 3), ("wrong", p**2 / 3 + p / 1000)):
        gaps = [np.abs(error + 1e-9 * np.array(signs)) for signs in itertools.product((-1, 0, 1), repeat=3)]
        fits[name] = [np.polyfit(np.log(p), np.log(np.maximum(gap, 1e-16)), 1)[0] for gap in gaps]
    if min(fits["right"]) < 2 - ORDER_SLACK:
        return f"The right formula can fail: rounding can bring its fitted order down to {min(fits['right']):.2f}."
    if max(fits["wrong"]) >= 2 - ORDER_SLACK:
        return f"The wrong formula can pass: its fitted order can be {max(fits['wrong']):.3f}."
    return None


Exercise(name="how_verified-order", level="challenge", minutes=20, wants=Witness(
    verify=_wrong_design, asks="a list of three values of p", scaffold="answer = [..., ..., ...]", mistakes={
        "large values": [0.4, 0.2, 0.1], "values at rounding": [4e-5, 2e-5, 1e-5], "too near": [0.003, 0.0029, 0.0028],
        "a wide range, fitted by its large end": [0.5, 0.25, 0.01]}))


# ---- a mutant that a route cannot see ----------------------------------------------------------------------------

CASES = (0.0, 0.01, 0.1, 0.37, 1.0, 4.2, np.inf)        # as in the text; the solution takes them from the claim


def _seen(formula: Callable) -> str | None:
    """Quadrature at the cases must not see the reader's mutant; quadrature elsewhere and SymPy must."""
    def off(alpha: float) -> float:
        true = symmetric(alpha).expect(lambda lam: lam**2 + (1 - lam) ** 2, nodes=4)
        return abs(float(mutant(alpha)) - true) / true
    mutant, alpha, lam = elementary(formula), sp.Symbol("alpha", positive=True), sp.Symbol("lambda", positive=True)
    if not all(off(case) <= 1e-9 for case in CASES):
        case = next(case for case in CASES if not off(case) <= 1e-9)
        return f"The exact route rejects it: at alpha = {case:g} it is off by {100 * off(case):.2g} %."
    if not max(off(float(between)) for between in np.geomspace(0.05, 20, 400)) >= 0.01:
        return "It is not wrong enough: nowhere between 0.05 and 20 is it off by one percent."
    if equal(expect(lam**2 + (1 - lam) ** 2, beta(lam, alpha)), mutant(alpha)):
        return "The derivation does not reject it either: on symbols it is the right formula."
    return None


Exercise(name="how_verified-blind", level="challenge", minutes=20, wants=Witness(
    verify=_seen, asks="a function of alpha, which may be a number or a SymPy symbol",
    scaffold="def answer(alpha):\n    return ...", mistakes={
        "the right formula": lambda alpha: (alpha + 1) / (2 * alpha + 1),
        "s of a Beta(alpha, 1) law": lambda alpha: (alpha**2 + alpha + 2) / ((alpha + 1) * (alpha + 2)),
        "right at one case only": lambda alpha: (alpha + 1) / (2 * alpha + 1) + (alpha - 1) / 10 / (alpha + 1) ** 2,
        "wrong by too little": lambda alpha: (alpha + 1) / (2 * alpha + 1) + 1e-12 / (alpha + 1)}))


# ---- an impostor -------------------------------------------------------------------------------------------------

ALPHAS, DRAWS, RESOLUTION = (0.4, 1.0), 600_000, 0.05
POWERS = ("mean", "mean square", "mean fourth power", "mean absolute value")


def _mixed_normal(alpha: float) -> np.ndarray:
    """Mean, mean square, mean fourth power and mean absolute value of mixed standard normal data, by quadrature."""
    def given_lambda(lam: np.ndarray) -> np.ndarray:
        S = lam**2 + (1 - lam) ** 2
        return np.stack([0 * S, S, 3 * S**2, np.sqrt(2 * S / np.pi)], axis=1)
    return symmetric(alpha).expect(given_lambda)


def _recognised(sampler: Callable) -> str | None:
    """The Monte Carlo rule of the book: the first three must agree, with power; the last must be rejected."""
    def simulate(size: int, *, rng: np.random.Generator, alpha: float) -> np.ndarray:
        x = np.asarray(sampler(size, rng, alpha), dtype=float)
        if x.shape != (size,):
            raise ValueError(f"the sampler returned an array of shape {x.shape}, not ({size},)")
        return np.stack([x, x**2, x**4, np.abs(x)], axis=1)
    z1, z2 = quantiles(3 * len(ALPHAS))
    for alpha in ALPHAS:
        found = estimate(simulate, {"alpha": alpha}, units=DRAWS, rng=np.random.default_rng())
        true = _mixed_normal(alpha)
        unit = np.array([true[1] ** 0.5, true[1], true[2], true[3]])
        off, se = np.abs(found.mean - true) / unit, found.se / unit
        for name, size, error in zip(POWERS[:3], off, se, strict=False):
            if size > z1 * error + 1e-12:
                return f"The {name} is off by {100 * size:.2g} % at alpha = {alpha:g}: the check notices."
            if (z1 + z2) * error > RESOLUTION:
                return f"The check of the {name} has no power: your draws scatter too much at alpha = {alpha:g}."
        if skew_guard(found, z1) > 0.5:
            return f"The tails of your draws are too heavy for the check at alpha = {alpha:g}."
        if off[3] < RESOLUTION or off[3] <= z1 * se[3]:
            return f"It is hardly wrong: the {POWERS[3]} is off by {100 * off[3]:.2g} % at alpha = {alpha:g}."
    return None


def _normal(size: int, rng: np.random.Generator, alpha: float) -> np.ndarray:
    return np.sqrt((alpha + 1) / (2 * alpha + 1)) * rng.standard_normal(size)


def _mixup(size: int, rng: np.random.Generator, alpha: float) -> np.ndarray:
    lam = rng.beta(alpha, alpha, size)
    return lam * rng.standard_normal(size) + (1 - lam) * rng.standard_normal(size)


Exercise(name="how_verified-impostor", level="research", minutes=40, wants=Witness(
    verify=_recognised, asks="a function of size, rng and alpha that returns an array (size,)",
    scaffold="def answer(size, rng, alpha):\n    return ...", mistakes={
        "a normal law of the right variance": _normal, "mixup": _mixup,
        "one draw, repeated": lambda size, rng, alpha: np.full(size, _mixup(1, rng, alpha)[0]),
        "nothing": lambda size, rng, alpha: np.zeros(size)}))
