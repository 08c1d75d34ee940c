"""Routes to curvature that share no formula with the predictions: enumeration, second differences, descent, sampling.

Populations are five atoms with the wanted mean and covariance (enumeration) or skewed bounded variables (sampling).
A Hessian of least squares is taken from the loss by second differences, which are exact for a quadratic.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import optimize

from mixtheory.mixing import symmetric
from mixtheory.mixup import blend
from mixtheory.pairing import enumerate_partners, lambdas, partners
from mixtheory.theory._covariance_routes import all_pairs, atoms, draw, skewed

TARGET = np.array([0.4, -1.3])          # y = TARGET . x + 0.7: curvature does not depend on it


# ---- least squares -------------------------------------------------------------------------------------------------

def second_differences(loss: Callable[[np.ndarray], Any], p: int) -> np.ndarray:
    """Hessian of a quadratic loss of p parameters, exact; `loss` may return values (...,), then (..., p, p)."""
    e, at_zero = np.eye(p), np.asarray(loss(np.zeros(p)))
    one = [np.asarray(loss(e[j])) for j in range(p)]
    H = np.empty((*at_zero.shape, p, p))
    for j in range(p):
        for k in range(p):
            H[..., j, k] = np.asarray(loss(e[j] + e[k])) - one[j] - one[k] + at_zero
    return H


def _losses(theta: np.ndarray, x: np.ndarray, y: np.ndarray, intercept: bool) -> np.ndarray:
    b, w = (theta[0], theta[1:]) if intercept else (0.0, theta)
    return (x @ w + b - y) ** 2 / 2


def enumerated_hessian(alpha: float, Sigma: np.ndarray, mu: np.ndarray, intercept: bool = False) -> np.ndarray:
    """Second differences of the mixup risk over all pairs of five atoms and all nodes of lambda."""
    x = atoms(Sigma, mu)
    mixed, weight = all_pairs(np.column_stack([x, x @ TARGET + 0.7]), alpha)
    p = len(mu) + intercept
    return second_differences(lambda theta: weight @ _losses(theta, mixed[:, :-1], mixed[:, -1], intercept), p)


def simulate_hessian(size: int, *, rng: np.random.Generator, alpha: float, Sigma: np.ndarray, mu: np.ndarray,
                     intercept: bool = False, wrong: str = "") -> np.ndarray:
    """Second differences of the loss of one mixed example."""
    lam = symmetric(alpha).sample((size, 1), rng=rng)
    first, second = draw(size, Sigma, mu, rng), draw(size, Sigma, mu, rng)
    x = np.sqrt(lam) * first + np.sqrt(1 - lam) * second if wrong == "roots" else blend(lam, first, second)
    y = x @ TARGET + skewed((size,), rng)
    return second_differences(lambda theta: _losses(theta, x, y, intercept), len(mu) + intercept)


def simulate_square_roots(size: int, *, rng: np.random.Generator, **case: Any) -> np.ndarray:
    """Weights sqrt(lambda), sqrt(1 - lambda): the variance stays, the mean grows."""
    return simulate_hessian(size, rng=rng, wrong="roots", **case)


def descent_threshold(alpha: float, Sigma: np.ndarray, mu: np.ndarray, intercept: bool = False) -> float:
    """The step at which gradient descent on the enumerated risk turns from shrinking to growing, by trying."""
    H = enumerated_hessian(alpha, Sigma, mu, intercept)
    low, high = 2 / np.trace(H), 2 * len(H) / np.trace(H)       # lambda_max is between trace / p and trace
    for _ in range(8):
        steps = np.linspace(low, high, 101)
        error, growth = np.ones((101, len(H))), np.zeros(101)   # distance from the minimiser; its gradient is H error
        for t in range(1, 2001):
            error = error - steps[:, None] * (error @ H)
            if t % 20 == 0:
                size = np.linalg.norm(error, axis=1)
                error = error / size[:, None]
                growth += np.log(size) * (t > 1000)             # after the other directions have died out
        if not (growth > 0).any():                              # the threshold is the upper end itself
            return float(high)
        first = int(np.argmax(growth > 0))
        low, high = steps[max(first - 1, 0)], steps[first]
    return float((low + high) / 2)


def step_and_condition(H: np.ndarray) -> tuple[float, float]:
    """Threshold 2 / lambda_max and lambda_max / lambda_min by the singular values."""
    values = np.linalg.svd(H, compute_uv=False)
    return 2 / values[0], values[0] / values[-1]


def exact_centred(alpha: float, Sigma: np.ndarray) -> np.ndarray:
    step, condition = step_and_condition(enumerated_hessian(alpha, Sigma, np.zeros(2)))
    plain_step, plain_condition = step_and_condition(enumerated_hessian(0.0, Sigma, np.zeros(2)))
    return np.array([step / plain_step, condition / plain_condition])


def exact_isotropic(alpha: float, variance: float, mean_square: float) -> float:
    mu = np.sqrt(mean_square) * np.array([0.6, -0.8])
    return step_and_condition(enumerated_hessian(alpha, variance * np.eye(2), mu))[1]


def exact_standardised(alpha: float) -> float:
    return step_and_condition(enumerated_hessian(alpha, np.eye(2), np.zeros(2), intercept=True))[1]


def exact_across(alpha: float, wide: float, narrow: float, mean_square: float) -> float:
    mu = np.array([0.0, np.sqrt(mean_square)])
    return step_and_condition(enumerated_hessian(alpha, np.diag([wide, narrow]), mu))[1]


def _gain(alpha: float, shape: np.ndarray) -> float:
    """eta~/eta of a two-dimensional problem: variances 1 and c, mean t (cos a, sin a)."""
    c, t, angle = shape
    mu = t * np.array([np.cos(angle), np.sin(angle)])
    lam, weight = symmetric(alpha).quadrature(nodes=3)
    shares = lam**2 + (1 - lam) ** 2
    Sigma = np.diag([1.0, abs(c)])
    mixed = sum(w * (S * Sigma + np.outer(mu, mu)) for S, w in zip(shares, weight, strict=True))
    return float(np.linalg.eigvalsh(Sigma + np.outer(mu, mu))[-1] / np.linalg.eigvalsh(mixed)[-1])


def exact_extreme_gain(alpha: float, largest: bool) -> float:
    """The most extreme eta~/eta that a grid and a simplex search from its best point find."""
    sign = -1 if largest else 1
    grid = itertools.product((0.0, 0.01, 0.3, 1.0), (0.0, 0.1, 0.7, 1.5, 5.0), (0.0, 0.4, np.pi / 4, np.pi / 2))
    values = {shape: sign * _gain(alpha, np.array(shape)) for shape in grid}
    best = min(values, key=values.get)
    found = optimize.minimize(lambda v: sign * _gain(alpha, v), np.array(best), method="Nelder-Mead",
                              options={"maxiter": 300})
    return sign * min(float(found.fun), values[best])


# ---- batch normalisation -------------------------------------------------------------------------------------------

def normalised(x: np.ndarray, weight: np.ndarray, eps: float = 0.0) -> np.ndarray:
    """What train-mode batch normalisation gives when the batch is the weighted set of points x (N, d)."""
    centred = x - weight @ x
    return centred / np.sqrt(weight @ centred**2 + eps)


def _second_moment(z: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return (z * weight[:, None]).T @ z


def exact_batchnorm(alpha: float, Sigma: np.ndarray, gamma: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """An infinite batch with a lambda each: all pairs and all lambdas are normalised together."""
    x, weight = all_pairs(atoms(Sigma, np.array([3.0, -1.0])), alpha)
    return _second_moment(gamma * normalised(x, weight) + shift, weight)


def exact_batchnorm_shared(alpha: float, Sigma: np.ndarray, gamma: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Infinite batches with one lambda each: every node of lambda is normalised on its own."""
    x = atoms(Sigma, np.array([3.0, -1.0]))
    i, j = np.indices((len(x), len(x))).reshape(2, -1)
    even, total = np.full(len(i), 1 / len(i)), 0.0
    for lam, w in zip(*symmetric(alpha).quadrature(nodes=6), strict=True):
        total = total + w * _second_moment(gamma * normalised(blend(lam, x[i], x[j]), even) + shift, even)
    return total


def exact_after_normalisation(alpha: float, Sigma: np.ndarray, gamma: np.ndarray, shift: np.ndarray) -> np.ndarray:
    x = atoms(Sigma, np.array([3.0, -1.0]))
    z, weight = all_pairs(gamma * normalised(x, np.full(len(x), 1 / len(x))) + shift, alpha)
    return _second_moment(z, weight)


def simulate_after_normalisation(size: int, *, rng: np.random.Generator, alpha: float, Sigma: np.ndarray,
                                 gamma: np.ndarray, shift: np.ndarray) -> np.ndarray:
    lam, d = symmetric(alpha).sample((size, 1), rng=rng), np.sqrt(np.diag(Sigma))
    first, second = (gamma * draw(size, Sigma, 0.0, rng) / d + shift for _ in range(2))
    z = blend(lam, first, second)
    return z[:, :, None] * z[:, None, :]


def simulate_before_normalisation(size: int, *, rng: np.random.Generator, alpha: float, Sigma: np.ndarray,
                                  gamma: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Mixing first, and normalisation by the variance of what is mixed."""
    law, d = symmetric(alpha), np.sqrt(np.diag(Sigma))
    lam = law.sample((size, 1), rng=rng)
    spread = np.sqrt(law.expect(lambda p: p**2 + (1 - p) ** 2, nodes=3))
    z = gamma * blend(lam, draw(size, Sigma, 0.0, rng), draw(size, Sigma, 0.0, rng)) / (d * spread) + shift
    return z[:, :, None] * z[:, None, :]


def exact_epsilon(alpha: float, variance: float, eps: float) -> float:
    x = atoms(np.diag([variance, 1.0]), np.array([3.0, -1.0]))
    even = np.full(len(x), 1 / len(x))
    mixed, weight = all_pairs(x, alpha)
    return float(weight @ normalised(mixed, weight, eps)[:, 0] ** 2 / (even @ normalised(x, even, eps)[:, 0] ** 2))


def _trace(z: np.ndarray) -> np.ndarray:
    """Trace of the mean of z z^T over the batch; z: (..., n, d)."""
    return (z**2).sum(axis=-1).mean(axis=-1)


def exact_trace(alpha: float, n: int, pairing: str, sharing: str, gamma: np.ndarray, shift: np.ndarray) -> float:
    """Mean over all partner vectors and nodes of lambda of one fixed batch."""
    x = np.stack([np.exp(np.linspace(0, 2, n)), np.cos(2.1 * np.arange(n))], axis=1)
    lam, weight = symmetric(alpha).quadrature(nodes=3)
    rows = np.array(list(itertools.product(lam, repeat=n if sharing == "element" else 1)))
    mass = np.array(list(itertools.product(weight, repeat=rows.shape[1]))).prod(axis=1)
    total = 0.0
    for partner in enumerate_partners(pairing, n):
        z = blend(rows[:, :, None], x, x[partner])
        z = (z - z.mean(axis=1, keepdims=True)) / z.std(axis=1, keepdims=True)
        total += mass @ _trace(gamma * z + shift)
    return float(total / len(list(enumerate_partners(pairing, n))))


def simulate_trace(size: int, *, rng: np.random.Generator, alpha: float, n: int, pairing: str, sharing: str,
                   gamma: np.ndarray, shift: np.ndarray, evaluation: bool = False) -> np.ndarray:
    x = draw(size * n, np.array([[2.0, 0.9], [0.9, 0.7]]), 1.0, rng).reshape(size, n, 2)
    mixed = mixed_rows(x, rng, alpha, pairing, sharing)
    centre, spread = mixed.mean(axis=1, keepdims=True), mixed.std(axis=1, keepdims=True)
    if evaluation:                                              # statistics of the unmixed population
        centre, spread = 1.0, np.sqrt([2.0, 0.7])
    return _trace(gamma * (mixed - centre) / spread + shift)


def simulate_trace_evaluation(size: int, *, rng: np.random.Generator, **case: Any) -> np.ndarray:
    """Evaluation mode with the statistics of clean data instead of those of the batch."""
    return simulate_trace(size, rng=rng, evaluation=True, **case)


# ---- running statistics --------------------------------------------------------------------------------------------

def mixed_rows(x: np.ndarray, rng: np.random.Generator, alpha: float, pairing: str, sharing: str) -> np.ndarray:
    """Batches x (size, n, ...) mixed along their second axis."""
    size, n = x.shape[:2]
    index = partners(pairing, n, rng=rng, replicas=size)
    lam = lambdas(symmetric(alpha), n, sharing=sharing, pairing=pairing, rng=rng, replicas=size)
    tail = (1,) * (x.ndim - 2)
    return blend(lam.reshape(size, n, *tail), x, np.take_along_axis(x, index.reshape(size, n, *tail), axis=1))


def _fixed_partner(pairing: str, n: int) -> np.ndarray:
    return np.roll(np.arange(n), 1) if pairing == "roll" else np.arange(n)[::-1]


@functools.cache
def exact_running(alpha: float, n: int, pairing: str, sharing: str) -> float:
    """E of the unbiased variance of A x over that of x, iid x of variance 1: E tr(A^T M A)/(n - 1), M centring.

    A row of A has lambda on the example and 1 - lambda on its partner; roll and flip. tr(A^T M A) is the sum of
    squared entries less 1/n of the sum of squared column sums, a polynomial in the lambdas.
    """
    partner = _fixed_partner(pairing, n)
    lam, weight = symmetric(alpha).quadrature(nodes=3)
    squares = n * weight @ (lam**2 + (1 - lam) ** 2)
    if sharing == "batch":
        columns = n                                             # every column sums to lambda + 1 - lambda
    elif sharing == "pair":
        assert (partner[partner] == np.arange(n)).all()
        columns = n
    else:                                                       # lambda of its own row, 1 - lambda of another's
        both = lam[:, None] + 1 - lam[None, :]
        columns = n * weight @ both**2 @ weight
    return float((squares - columns / n) / (n - 1))


def exact_running_variance(alpha: float, variance: float, n: int, pairing: str, sharing: str) -> float:
    return variance * exact_running(alpha, n, pairing, sharing)


def simulate_running_variance(size: int, *, rng: np.random.Generator, alpha: float, variance: float, n: int,
                              pairing: str, sharing: str, unbiased: bool = True) -> np.ndarray:
    x = np.sqrt(variance) * skewed((size, n), rng) + 2.0
    return mixed_rows(x, rng, alpha, pairing, sharing).var(axis=1, ddof=1 if unbiased else 0)


def simulate_running_permutation(size: int, *, rng: np.random.Generator, **case: Any) -> np.ndarray:
    """Partners may be the examples themselves."""
    return simulate_running_variance(size, rng=rng, **{**case, "pairing": "permutation"})


def simulate_running_biased(size: int, *, rng: np.random.Generator, **case: Any) -> np.ndarray:
    """1/n for 1/(n - 1)."""
    return simulate_running_variance(size, rng=rng, unbiased=False, **case)


def pictures(n: int, share: float) -> np.ndarray:
    """A fixed batch of n images of three positions whose mean map has the given share of the pooled variance."""
    c = np.exp(np.linspace(0, 2, n))[:, None] * np.array([1.0, -0.4, 0.7]) + np.cos(np.outer(np.arange(n), [1, 2, 3]))
    c = c - c.mean(axis=0)
    within = c.var(axis=0).mean()
    profile = np.array([-1.0, 0.0, 1.0]) * np.sqrt(1.5)         # mean 0, variance 1 over positions
    return c / np.sqrt(within) * np.sqrt(1 - share) + np.sqrt(share) * profile


def exact_pooled(alpha: float, n: int, pairing: str, sharing: str, share: float) -> float:
    x = pictures(n, share)
    lam, weight = symmetric(alpha).quadrature(nodes=3)
    if sharing == "batch":
        rows, mass = np.repeat(lam[:, None], n, axis=1), weight
    else:
        half = np.array(list(itertools.product(lam, repeat=n // 2)))
        rows, mass = (np.concatenate([half, half[:, ::-1]], axis=1),
                      np.array(list(itertools.product(weight, repeat=n // 2))).prod(axis=1))
    total, orders = 0.0, list(itertools.permutations(range(n)))
    for order in orders:                                        # rows are positions in the batch
        own = x[list(order)]
        mixed = blend(rows[:, :, None], own, own[_fixed_partner(pairing, n)])
        total += mass @ mixed.var(axis=(1, 2))
    return float(total / len(orders) / x.var())


def simulate_pooled(size: int, *, rng: np.random.Generator, alpha: float, n: int, pairing: str, sharing: str,
                    share: float) -> np.ndarray:
    x = pictures(n, share)
    own = x[rng.permuted(np.tile(np.arange(n), (size, 1)), axis=1)]
    return mixed_rows(own, rng, alpha, pairing, sharing).var(axis=(1, 2)) / x.var()


def simulate_pooled_torn(size: int, *, rng: np.random.Generator, alpha: float, n: int, pairing: str, sharing: str,
                         share: float) -> np.ndarray:
    """Every position takes its partner from a position of the partner chosen at random: the map is blurred."""
    x = pictures(n, share)
    own = x[rng.permuted(np.tile(np.arange(n), (size, 1)), axis=1)]
    lam = lambdas(symmetric(alpha), n, sharing=sharing, pairing=pairing, rng=rng, replicas=size)
    other = rng.permuted(own[:, _fixed_partner(pairing, n)], axis=2)
    return blend(lam[:, :, None], own, other).var(axis=(1, 2)) / x.var()


def exact_spread(alpha: float, n: int, pairing: str, sharing: str) -> float:
    return exact_running(alpha, n, pairing, sharing) ** -0.5


def exact_variance_cv(alpha: float, n: int, pairing: str) -> float:
    """Relative variance of the unbiased variance of A x for Gaussian x: moments of quadratic forms, by matrices."""
    M = np.eye(n) - 1 / n
    lam, weight = symmetric(alpha).quadrature(nodes=4)
    orders = [_fixed_partner(pairing, n)] if pairing != "permutation" else list(enumerate_partners(pairing, n))
    first = second = 0.0
    for partner in orders:
        for p, w in zip(lam, weight, strict=True):
            A = p * np.eye(n) + (1 - p) * np.eye(n)[partner]
            Q = A.T @ M @ A / (n - 1)
            mean = np.trace(Q)
            first += w * mean / len(orders)
            second += w * (mean**2 + 2 * (Q * Q).sum()) / len(orders)
    return float(second / first**2 - 1)


def simulate_variance_cv(size: int, *, rng: np.random.Generator, alpha: float, n: int, pairing: str,
                         sharing: str = "batch") -> np.ndarray:
    """Half the squared difference of two batches, over the squared mean."""
    mean = 1.0 * _mean_of(alpha, n, pairing, sharing)
    one, two = (mixed_rows(rng.standard_normal((size, n)), rng, alpha, pairing, sharing).var(axis=1, ddof=1)
                for _ in range(2))
    return (one - two) ** 2 / (2 * mean**2)


def _mean_of(alpha: float, n: int, pairing: str, sharing: str) -> float:
    if pairing != "permutation":
        return exact_running(alpha, n, pairing, sharing)
    lam, weight = symmetric(alpha).quadrature(nodes=3)
    return float(weight @ (lam**2 + (1 - lam) ** 2))


def simulate_variance_cv_element(size: int, *, rng: np.random.Generator, **case: Any) -> np.ndarray:
    """A lambda for each element."""
    return simulate_variance_cv(size, rng=rng, sharing="element", **case)


def exact_running_fluctuation(alpha: float, n: int, momentum: float, pairing: str) -> float:
    """Independent batches weighted momentum (1 - momentum)^k: the weights squared, summed until nothing is left."""
    weights = momentum * (1 - momentum) ** np.arange(int(80 / momentum))
    return float(np.sqrt(np.sum(weights**2) * exact_variance_cv(alpha, n, pairing)))
