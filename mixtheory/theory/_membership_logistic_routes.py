"""Second routes of membership_logistic, membership_attack and membership_whitebox.

A record of weight 1/n is put into the population of two Gaussian classes, the minimiser of the mixup risk is found
again, and what it did to the record's score is averaged over records. No Hessian formula, projection or trace.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import expit, ndtr, roots_genlaguerre
from scipy.stats import chi2

from mixtheory.mixing import symmetric

NODES = 8                   # of lambda


def _line(reach: float, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Points and weights of N(0, 1), trapezoidal."""
    z = np.arange(-round(reach / step), round(reach / step) + 1) * step
    w = np.exp(-z**2 / 2)
    return z, w / w.sum()


def _normal_logit(mean: np.ndarray, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """E sigma and E sigma' of a Gaussian logit, elementwise."""
    z, w = _line(7.5, 0.3)
    p = expit(mean[..., None] + np.sqrt(variance)[..., None] * z)
    return p @ w, (p * (1 - p)) @ w


def _slopes(theta: np.ndarray, centre: np.ndarray, spread: np.ndarray, label: np.ndarray,
            weight: np.ndarray) -> np.ndarray:
    """Gradient (Z, 3) of the mean loss of Gaussian mixed records with means `centre` (Z, 2, M) and variance `spread`.

    theta: (Z, 3), intercept, slope along the means, slope along the coordinate in which the record lies.
    """
    mean = theta[:, :1] + np.einsum("zi,zim->zm", theta[:, 1:], centre)
    variance = (theta[:, 1:] ** 2).sum(1)[:, None] * spread
    p, dp = _normal_logit(mean, variance)
    e = weight * (p - label)
    pull = (weight * dp * spread).sum(1)            # Stein: E e x = E e E x + Var(x) theta E sigma'
    return np.stack([e.sum(1), *((e * centre[:, k]).sum(1) + pull * theta[:, 1 + k] for k in (0, 1))], 1)


class Contaminated(NamedTuple):
    """Records z (Z) of class 1, their probability, and the minimiser with and without a share 1/n of each."""

    weight: np.ndarray
    x: np.ndarray
    r: np.ndarray
    theta: np.ndarray
    best: np.ndarray


@functools.lru_cache(256)
def contaminated(alpha: float, m: float, d: int, n: float) -> Contaminated:
    """For each record on a grid: the minimiser of the mixup risk of (1 - 1/n) P + (1/n) record, by a chord method."""
    lam, share = symmetric(alpha).quadrature(nodes=NODES)
    z, wz = _line(7.0, 0.35)
    square, wr = (np.zeros(1), np.ones(1)) if d == 1 else roots_genlaguerre(10, (d - 1) / 2 - 1)
    x, r = (a.ravel() for a in np.meshgrid(m + z, np.sqrt(2 * square), indexing="ij"))
    weight = np.outer(wz, wr / wr.sum()).ravel()
    S = lam**2 + (1 - lam) ** 2
    own = np.ones(len(x))[:, None]
    zero = np.zeros(len(lam))

    def gradient(theta: np.ndarray, eps: float, x: np.ndarray, r: np.ndarray) -> np.ndarray:
        one = np.ones((len(x), 1))
        centre = np.concatenate([m + zero, -m + zero, m * (2 * lam - 1)])
        label = np.concatenate([1 + zero, zero, lam])
        pp = _slopes(theta, np.stack([centre * one, 0 * centre * one], 1), np.tile(S, 3), label,
                     np.concatenate([share / 4, share / 4, share / 2]))
        first = np.concatenate([lam * x[:, None] + (1 - lam) * s * m for s in (1, -1)], 1)
        second = np.tile(lam * r[:, None], 2)
        pz = _slopes(theta, np.stack([first, second], 1), np.tile((1 - lam) ** 2, 2), np.concatenate([1 + zero, lam]),
                     np.tile(share / 2, 2))
        e = expit(theta[:, 0] + theta[:, 1] * x + theta[:, 2] * r) - 1
        zz = np.stack([e, e * x, e * r], 1)
        return (1 - eps) ** 2 * pp + 2 * eps * (1 - eps) * pz + eps**2 * zz

    best, nothing = np.array([[0.0, 0.5, 0.0]]), np.zeros(1)
    for _ in range(60):                                 # the population's minimiser, by a secant Jacobian
        jacobian = _jacobian(lambda t: gradient(t, 0.0, nothing, nothing)[0], best)
        step = np.linalg.solve(jacobian, gradient(best, 0.0, nothing, nothing)[0])
        best = best - np.clip(step, -0.4, 0.4)
        if np.abs(step).max() < 1e-13:
            break
    chord = np.linalg.inv(jacobian)
    theta = best * own
    for _ in range(30):
        step = gradient(theta, 1 / n, x, r) @ chord.T
        theta = theta - step
        if np.abs(step).max() < 1e-13:
            break
    return Contaminated(weight, x, r, theta, best * own)


def _jacobian(h: Callable[[np.ndarray], np.ndarray], at: np.ndarray, step: float = 1e-5) -> np.ndarray:
    shifts = step * np.eye(at.shape[1])
    return np.stack([(h(at + e) - h(at - e)) / (2 * step) for e in shifts], 1)


def _effect(score: Callable[..., np.ndarray], alpha: float, m: float, d: int, n: float) -> float:
    """n times the mean change of a score of the record itself, theta -> its value at (x, r)."""
    c = contaminated(alpha, m, d, n)
    return float(n * c.weight @ (score(c.theta, c.x, c.r) - score(c.best, c.x, c.r)))


def _logit(theta: np.ndarray, x: np.ndarray, r: np.ndarray) -> np.ndarray:
    return theta[:, 0] + theta[:, 1] * x + theta[:, 2] * r


def exact_gap_logistic(alpha: float, m: float, d: int, n: float, scaled: float = 1.0) -> float:
    """n times the mean of fresh less own log loss of scaled logits when a record enters with weight 1/n."""
    z, w = _line(8.0, 0.2)

    def difference(theta: np.ndarray, x: np.ndarray, r: np.ndarray) -> np.ndarray:
        spread = np.sqrt((theta[:, 1:] ** 2).sum(1))[:, None] * z
        fresh = sum(np.logaddexp(0, -scaled * (s * theta[:, :1] + m * theta[:, 1:2] + spread)) @ w for s in (1, -1)) / 2
        return fresh - np.logaddexp(0, -scaled * _logit(theta, x, r))
    return _effect(difference, alpha, m, d, n)


def exact_gap_erm(d: int, m: float, n: float) -> float:
    """`exact_gap_logistic` without mixup."""
    return exact_gap_logistic(0.0, m, d, n)


def exact_rescaled(d: int, c: float, m: float, n: float) -> float:
    """`exact_gap_logistic` without mixup, logits multiplied by c."""
    return exact_gap_logistic(0.0, m, d, n, c)


def exact_auc(alpha: float, m: float, d: int, n: float) -> float:
    """n times the mean change of the rank of the record's margin among those of fresh records."""
    def rank(theta: np.ndarray, x: np.ndarray, r: np.ndarray) -> np.ndarray:
        norm = np.sqrt((theta[:, 1:] ** 2).sum(1))
        u = _logit(theta, x, r)
        return sum(ndtr((u - s * theta[:, 0] - m * theta[:, 1]) / norm) for s in (1, -1)) / 2
    return _effect(rank, alpha, m, d, n)


def exact_auc_erm(d: int, m: float, n: float) -> float:
    """`exact_auc` without mixup."""
    return exact_auc(0.0, m, d, n)


def exact_direction(m: float, d: int) -> np.ndarray:
    """Signs that all steps of gap and AUC along a ladder of alpha have in common (0: none), at the limit of large n."""
    ladder, large = (0.0, 0.1, 0.3, 1.0, 4.0, np.inf), 1e5
    common = []
    for effect in (exact_gap_logistic, exact_auc):
        steps = np.sign(np.diff([effect(alpha, m, d, large) for alpha in ladder]))
        common.append(steps[0] if (steps == steps[0]).all() else 0.0)
    return np.array(common)


def _exposures(alpha: float, m: float, d: int) -> tuple[np.ndarray, np.ndarray]:
    """n SNR^2 of records of class 1 on a fine grid, and their probabilities, from what each does to the minimiser."""
    n = 1e6
    c = contaminated(alpha, m, d, n)
    moved = n * (c.theta - c.best)
    v = c.weight @ moved**2
    per_x = {x: k for k, x in enumerate(c.x)}                       # any r: the last coordinate is linear in it
    rows = np.array(sorted(per_x.values(), key=lambda k: c.x[k]))
    fine = np.linspace(c.x[rows[0]], c.x[rows[-1]], 1201)
    w = np.exp(-(fine - m) ** 2 / 2)
    own = CubicSpline(c.x[rows], moved[rows, :2])(fine) ** 2 @ (1 / v[:2])
    other = CubicSpline(c.x[rows], moved[rows, 2] / c.r[rows])(fine) ** 2 * (d - 1) / v[2]
    square = chi2.ppf((np.arange(800) + 0.5) / 800, d - 1)
    return (own[:, None] + other[:, None] * square).ravel(), np.repeat(w / w.sum() / 800, 800)


def exact_tail(alpha: float, m: float, d: int, share: float) -> np.ndarray:
    """Quantile of n SNR^2 and the mean beyond it, by sorting a grid of records."""
    value, weight = _exposures(alpha, m, d)
    order = np.argsort(value)
    q = np.interp(share, np.cumsum(weight[order]), value[order])
    return np.array([q, weight @ (value * (value > q)) / (weight @ (value > q))])


def exact_whitebox_auc(alpha: float, m: float, d: int, n: float) -> float:
    """sqrt(n) times the chance, above 1/2, that a member's score beats a stranger's, over a grid of records."""
    value, weight = _exposures(alpha, m, d)
    return float(np.sqrt(n) * (weight @ ndtr(np.sqrt(value / (2 * n))) - 0.5))
