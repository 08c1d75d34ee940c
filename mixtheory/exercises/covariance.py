"""Exercises on the moments of mixed data."""

from __future__ import annotations

import itertools
import math

import numpy as np
from scipy.special import roots_jacobi

from mixtheory.evidence.estimate import quantiles
from mixtheory.exercises.judging import Exercise, Formula, Function, Number, Witness
from mixtheory.mixing import symmetric

ALPHAS = ({"alpha": 0.23}, {"alpha": 0.8}, {"alpha": 1.7}, {"alpha": 6.1})


# ---- a batch of two ----------------------------------------------------------------------------------------------

def _two(p: float) -> float:
    """A batch of two, rolled, with one lambda: all four cases of which value and which order, by hand."""
    total = 0.0
    for lam in (p, 1 - p):
        x = np.array([0.3, 1.7])
        total += np.var(lam * x + (1 - lam) * x[::-1], ddof=1) / np.var(x, ddof=1) / 2
    return total


Exercise(
    name="covariance-two", level="warm-up", minutes=5,
    wants=Formula(symbols=("p",), truth=_two, points=({"p": 0.9}, {"p": 0.35}, {"p": 0.02}, {"p": 0.61}), mistakes={
        "the two examples are independent draws": lambda p: p**2 + (1 - p) ** 2,
        "each of the two has a lambda of its own": lambda p: p**2 + (1 - p) ** 2 - 0.5}))


# ---- three examples ----------------------------------------------------------------------------------------------

def _three(alpha: float) -> float:
    """Sum of three E[w^2], w the first of three Dirichlet weights, by Gauss-Jacobi on its density."""
    x, mass = roots_jacobi(12, 2 * alpha - 1, alpha - 1)
    return float(3 * mass @ ((1 + x) / 2) ** 2 / mass.sum())


Exercise(
    name="covariance-three", level="warm-up", minutes=10,
    wants=Formula(symbols=("alpha",), truth=_three, points=ALPHAS, mistakes={
        "two examples are mixed instead of three": lambda alpha: (alpha + 1) / (2 * alpha + 1),
        "the weights are always one third": lambda alpha: 1 / 3,
        "the first weight has the law Beta(alpha, alpha)": lambda alpha: 3 * (alpha + 1) / (4 * alpha + 2)}))


# ---- the partner's class -----------------------------------------------------------------------------------------

def _classes(alpha: float, p: float) -> float:
    """Variance of mixed class means +1 and -1 that meet their own kind with probability p."""
    lam, mass = symmetric(alpha).quadrature(nodes=8)
    pairs = (((1, 1), p / 2), ((-1, -1), p / 2), ((1, -1), (1 - p) / 2), ((-1, 1), (1 - p) / 2))
    nodes = list(zip(lam, mass, strict=True))
    return float(sum(w * m * (v * a + (1 - v) * b) ** 2 for (a, b), w in pairs for v, m in nodes))


Exercise(
    name="covariance-classes", level="core", minutes=15,
    wants=Formula(
        symbols=("alpha", "p"), truth=_classes,
        points=[{"alpha": a, "p": p} for a, p in ((0.4, 0.3), (1.0, 0.9), (2.6, 0.55), (1.4, 0.1))],
        mistakes={"the class of the partner does not matter": lambda alpha, p: (alpha + 1) / (2 * alpha + 1),
                  "p is the probability of the other class": lambda alpha, p: _classes(alpha, 1 - p),
                  "a pair of one class keeps all, another pair loses all": lambda alpha, p: p}))


# ---- a lambda for each feature -----------------------------------------------------------------------------------

def _per_feature(alpha: float, Sigma: np.ndarray) -> np.ndarray:
    """Covariance when every feature has a lambda of its own: E of products, node by node."""
    lam, mass = symmetric(alpha).quadrature(nodes=8)
    both = sum(a * b * (u * v + (1 - u) * (1 - v))
               for (u, a), (v, b) in itertools.product(zip(lam, mass, strict=True), repeat=2))
    same = float(mass @ (lam**2 + (1 - lam) ** 2))
    return np.where(np.eye(len(Sigma), dtype=bool), same * Sigma, both * Sigma)


def _covariances(rng: np.random.Generator) -> list[dict]:
    found = []
    for d in (2, 3, 4):
        root = rng.standard_normal((d, d + 1))
        found.append({"alpha": float(rng.uniform(0.2, 3)), "Sigma": root @ root.T})
    return found


Exercise(
    name="covariance-features", level="core", minutes=15,
    wants=Function(
        arguments=("alpha", "Sigma"), returns="the covariance (d, d)", truth=_per_feature, cases=_covariances,
        mistakes={
            "all features share one lambda": lambda alpha, Sigma: (alpha + 1) / (2 * alpha + 1) * Sigma,
            "features also have partners of their own":
                lambda alpha, Sigma: (alpha + 1) / (2 * alpha + 1) * np.diag(np.diag(Sigma))}))


# ---- how many batches --------------------------------------------------------------------------------------------

def _catch() -> float:
    """Batches that tell roll from permutation at n = 8, uniform lambda; moments of lambda by quadrature."""
    lam, mass = symmetric(1.0).quadrature(nodes=16)
    S, u, n = lam**2 + (1 - lam) ** 2, lam * (1 - lam), 8
    s = mass @ S
    variance = mass @ S**2 - s**2 + 4 * (mass @ u**2) / (n - 1)
    gap = (1 - s) / (n - 1)
    return math.ceil(variance * (sum(quantiles(1)) / gap) ** 2)


Exercise(name="covariance-catch", level="challenge", minutes=20, wants=Number(
    truth=_catch, tolerance=0.05, unit="batches", mistakes={
        "one in a million is asked of one side and of one error only":
            lambda: _catch() * (quantiles(1)[1] / sum(quantiles(1))) ** 2,
        "batches of both kinds are drawn and compared with each other": lambda: 2 * _catch(),
        "the difference of the factors is 1 - s": lambda: _catch() / 49}))


# ---- tails -------------------------------------------------------------------------------------------------------

def _heavier(law: dict[float, float]) -> str | None:
    """Kurtosis 20 before; after mixing by E over the law, from a three-point variable, case by case."""
    if not isinstance(law, dict) or not law:
        return "Hand in a dictionary: value of lambda -> its probability."
    if any(not 0 <= v <= 1 for v in law) or any(w < 0 for w in law.values()) or abs(sum(law.values()) - 1) > 1e-9:
        return "Values must lie in [0, 1]; probabilities must not be negative and must sum to one."
    if abs(sum(w * v for v, w in law.items()) - 0.5) > 1e-9:
        return "The mean of lambda must be one half."
    points = ((0.0, 1 - 1 / 20), (math.sqrt(20), 1 / 40), (-math.sqrt(20), 1 / 40))     # variance 1, kurtosis 20
    m2 = m4 = 0.0
    for (a, pa), (b, pb), (v, w) in itertools.product(points, points, law.items()):
        z = v * a + (1 - v) * b
        m2, m4 = m2 + pa * pb * w * z**2, m4 + pa * pb * w * z**4
    after = m4 / m2**2
    if m2 > 1 - 1e-12:
        return "This law does not mix: lambda is always 0 or 1."
    return None if after > 20 + 1e-9 else f"With this law the kurtosis falls from 20 to {after:.4g}."


Exercise(name="covariance-heavier", level="research", minutes=30, wants=Witness(
    verify=_heavier, asks="a law of lambda as a dictionary, value -> probability",
    scaffold="answer = {0.5: ...}      # value of lambda -> its probability", mistakes={
        "always one half": {0.5: 1.0}, "two values": {0.3: 0.5, 0.7: 0.5}, "no mixing": {0.0: 0.5, 1.0: 0.5},
        "not symmetric": {1.0: 0.9, 0.5: 0.1}}))

Exercise(name="covariance-fold", level="core", minutes=10)
