"""Second route of membership_gap: a population of three atoms has finitely many training sets of n records.

Each is fitted by Newton's method and weighed with its multinomial probability. No Hessian formula, projection or trace.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit, gammaln

from mixtheory.mixing import symmetric

Function = Callable[..., np.ndarray]
NODES, RIDGE = 8, 1.0


class Problem(NamedTuple):
    """A population of atoms (x, y), a loss through its derivatives, and a score; theta may be (..., p)."""

    x: np.ndarray
    y: np.ndarray
    weights: np.ndarray
    parameters: int
    gradient: Function
    hessian: Function
    score: Function
    score_gradient: Function


def _location_gradient(x: Any, y: Any, theta: Any) -> np.ndarray:
    return -np.tanh(x - theta[..., :1])[..., None]


def _location_hessian(x: Any, y: Any, theta: Any) -> np.ndarray:
    return 1 / np.cosh(x - theta[..., :1])[..., None, None] ** 2


def _features(x: Any) -> np.ndarray:
    return np.stack([np.ones_like(x), x], -1)


def _logistic_gradient(x: Any, y: Any, theta: Any) -> np.ndarray:
    e = expit(theta[..., :1] + theta[..., 1:] * x) - y
    return e[..., None] * _features(x) + RIDGE * theta[..., None, :]


def _logistic_hessian(x: Any, y: Any, theta: Any) -> np.ndarray:
    p, f = expit(theta[..., :1] + theta[..., 1:] * x), _features(x)
    return (p * (1 - p))[..., None, None] * f[:, :, None] * f[:, None, :] + RIDGE * np.eye(2)


def _logistic_loss(x: Any, y: Any, theta: Any) -> np.ndarray:
    logit = theta[..., :1] + theta[..., 1:] * x
    return np.logaddexp(0, logit) - y * logit + RIDGE / 2 * (theta**2).sum(-1)[..., None]


_ATOMS = np.array([-0.7, 0.2, 1.1]), np.zeros(3), np.array([0.35, 0.4, 0.25])
_LOCATION = Problem(*_ATOMS, 1, _location_gradient, _location_hessian,
                    lambda x, y, theta: np.log(np.cosh(x - theta[..., :1])), _location_gradient)
PROBLEMS = {
    "location": _LOCATION,
    "location, squared score": _LOCATION._replace(
        score=lambda x, y, theta: (x - theta[..., :1]) ** 2,
        score_gradient=lambda x, y, theta: -2 * (x - theta[..., :1])[..., None]),
    "penalised logistic": Problem(
        np.array([-1.2, 0.3, 1.4]), np.array([0.0, 1.0, 0.0]), np.array([0.3, 0.45, 0.25]), 2, _logistic_gradient,
        _logistic_hessian, _logistic_loss, _logistic_gradient),
}


def unit(problem: str) -> float:
    """n times the gap of a problem without mixup, from the largest training sets that are enumerated."""
    return _unit(problem)


@functools.cache
def _unit(problem: str) -> float:
    return abs(float(exact_gap(0.0, problem, 96)))


def _pairs(alpha: float, p: Problem) -> tuple[np.ndarray, ...]:
    """Mixed atoms (M,) with the two members of each and the weight of lambda."""
    lam, share = symmetric(alpha).quadrature(nodes=NODES)
    i, j = np.triu_indices(3)                   # lambda and 1 - lambda have one law: unordered pairs will do
    i, j, k = np.repeat(i, len(lam)), np.repeat(j, len(lam)), np.tile(np.arange(len(lam)), 6)
    return (*(lam[k] * z[i] + (1 - lam[k]) * z[j] for z in (p.x, p.y)), i, j, share[k] * (1 + (i != j)))


def fits(alpha: float, problem: str, weights: np.ndarray) -> np.ndarray:
    """Minimisers (R, p) of the mixup risk for R weightings (R, 3) of the atoms."""
    p = PROBLEMS[problem]
    x, y, i, j, share = _pairs(alpha, p)
    w = weights[:, i] * weights[:, j] * share
    theta = np.zeros((len(weights), p.parameters))
    for _ in range(60):
        g = np.einsum("rm,rmp->rp", w, p.gradient(x, y, theta))
        h = np.einsum("rm,rmpq->rpq", w, p.hessian(x, y, theta))
        step = np.linalg.solve(h, g[..., None])[..., 0]
        step *= np.minimum(1, 0.7 / np.maximum(np.abs(step).max(1, keepdims=True), 1e-300))
        theta -= step
        if np.abs(step).max() < 1e-13:
            break
    return theta


@functools.lru_cache(64)
def _training_sets(n: int, weights: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """All counts (R, 3) of n records of three atoms, and their probabilities."""
    a, b = (c.ravel() for c in np.indices((n + 1, n + 1)))
    counts = np.stack([a, b, n - a - b], 1)[a + b <= n]
    log = gammaln(n + 1) - gammaln(counts + 1).sum(1) + counts @ np.log(weights)
    return counts, np.exp(log)


@functools.lru_cache(64)
def _fits_of_all(alpha: float, loss: str, n: int) -> np.ndarray:
    """Minimisers of all training sets of n records, in the order of `_training_sets`."""
    return fits(alpha, loss, _training_sets(n, tuple(PROBLEMS[loss].weights))[0] / n)


def _change(alpha: float, problem: str, n: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Scores at some records after fitting each training set, less those at the population's minimiser."""
    p, fitted = PROBLEMS[problem], _fits_of_all(alpha, problem.split(",")[0], n)
    return p.score(x, y, fitted) - p.score(x, y, fits(alpha, problem, p.weights[None]))


@functools.lru_cache(64)
def _gaps(alpha: float, problem: str, n: int) -> np.ndarray:
    """n (P - P_n) score of all training sets, less the same at the population's minimiser, whose mean is 0."""
    p = PROBLEMS[problem]
    counts, _ = _training_sets(n, tuple(p.weights))
    return n * ((p.weights - counts / n) * _change(alpha, problem, n, p.x, p.y)).sum(1)


@functools.lru_cache(64)
def _gaps_on_mixed(alpha: float, problem: str, n: int) -> np.ndarray:
    p = PROBLEMS[problem]
    counts, _ = _training_sets(n, tuple(p.weights))
    x, y, i, j, share = _pairs(alpha, p)
    weight = p.weights[i] * p.weights[j] - counts[:, i] * counts[:, j] / n**2
    return n * ((weight * share) * _change(alpha, problem, n, x, y)).sum(1)


def exact_gap(alpha: float, problem: str, n: int) -> float:
    """n times the gap, over all training sets of n records."""
    return float(_training_sets(n, tuple(PROBLEMS[problem].weights))[1] @ _gaps(alpha, problem, n))


def _draw(problem: str, n: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """Which of all training sets each of `size` drawn ones is: no set is fitted twice."""
    counts = rng.multinomial(n, PROBLEMS[problem].weights, size)
    return np.cumsum(np.r_[0, np.arange(n + 1, 0, -1)])[counts[:, 0]] + counts[:, 1]


def simulate_gap(size: int, *, rng: np.random.Generator, alpha: float, problem: str, n: int) -> np.ndarray:
    """Draw training sets, fit each, score its members and the population."""
    return _gaps(alpha, problem, n)[_draw(problem, n, size, rng)]


def simulate_gap_on_mixed(size: int, *, rng: np.random.Generator, alpha: float, problem: str, n: int) -> np.ndarray:
    """Wrong: members and others are scored on mixes of themselves."""
    return _gaps_on_mixed(alpha, problem, n)[_draw(problem, n, size, rng)]


def _pull(alpha: float, problem: str, size: float = 1e-4) -> np.ndarray:
    """What the attack correlates theta_hat - theta* with, (3, p): the effect of a record in units of the noise."""
    w = PROBLEMS[problem].weights
    ends = [fits(alpha, problem, (1 - e) * w + e * np.eye(3)) for e in (size, -size)]
    effect = (ends[0] - ends[1]) / (2 * size)
    noise = np.einsum("n,np,nq->pq", w, effect, effect)
    return np.linalg.solve(noise, effect.T).T


@functools.lru_cache(64)
def _scores(alpha: float, problem: str, n: int) -> tuple[np.ndarray, np.ndarray]:
    """n times the attack's mean score of members and of fresh records, for all training sets."""
    p = PROBLEMS[problem]
    counts, _ = _training_sets(n, tuple(p.weights))
    moved = _fits_of_all(alpha, problem, n) - fits(alpha, problem, p.weights[None])
    scores = n * moved @ _pull(alpha, problem).T
    return (scores * counts / n).sum(1), scores @ p.weights


def exact_score(alpha: float, problem: str, n: int) -> float:
    """n times the mean score of members, over all training sets of n records."""
    return float(_training_sets(n, tuple(PROBLEMS[problem].weights))[1] @ _scores(alpha, problem, n)[0])


def simulate_score(size: int, *, rng: np.random.Generator, alpha: float, problem: str, n: int) -> np.ndarray:
    """Draw training sets, fit each, score its members; the population's mean score, which is 0, is taken off."""
    members, fresh = _scores(alpha, problem, n)
    return (members - fresh)[_draw(problem, n, size, rng)]


def simulate_score_of_strangers(size: int, *, rng: np.random.Generator, alpha: float, problem: str,
                                n: int) -> np.ndarray:
    """Wrong: fresh records are scored in place of members."""
    return _scores(alpha, problem, n)[1][_draw(problem, n, size, rng)]
