r"""Two Gaussian classes, logistic regression: the model on which calibration, membership and curvature are computed.

y is 0 or 1 with probability 1/2, and x given y is N((2 y - 1) m e_1, I_d). Other covariances Sigma are whitened:
means +-mu become m = sqrt(mu^T Sigma^-1 mu). All that mixing does to the loss along e_1 is in the joint law of
the mixed coordinate t, the mixed label and S = lambda^2 + (1 - lambda)^2, which multiplies the variance of every
coordinate: `mixed` gives it as nodes and weights. The claim about `slope` is registered in `calibration`.

Lambda is integrated by Gauss-Jacobi, the Gaussian by the trapezoidal rule: on a line it converges like
exp(-2 pi delta / h) for functions analytic in a strip of half-width delta (Trefethen and Weideman, 2014; from
memory), here delta = pi / slope, where Gauss-Hermite would need hundreds of nodes.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

from mixtheory.domain import DomainError, check_alpha, check_positive
from mixtheory.mixing import symmetric

__all__ = ["Mixed", "mixed", "normal_rule", "slope"]

NODES = 48                      # of lambda
REACH, STEP = 10.0, 0.05        # trapezoidal rule: exact to rounding for slopes up to about 10
LARGEST = 5.0


class Mixed(NamedTuple):
    """Nodes (N,) of a mixed example of the model: any mean is `weight @ h(x, y, S)`.

    Attributes:
        weight: sums to one.
        x: the coordinate along e_1; the others are N(0, S), independent of it given S.
        y: the mixed label in [0, 1].
        S: lambda^2 + (1 - lambda)^2.
    """

    weight: np.ndarray
    x: np.ndarray
    y: np.ndarray
    S: np.ndarray


@functools.cache
def normal_rule(reach: float = REACH, step: float = STEP) -> tuple[np.ndarray, np.ndarray]:
    """Points and weights of N(0, 1) by the trapezoidal rule; the weights sum to one."""
    z = np.arange(-round(reach / step), round(reach / step) + 1) * step
    weights = np.exp(-z**2 / 2)
    return z, weights / weights.sum()


@functools.lru_cache(16)
def mixed(alpha: float, m: float) -> Mixed:
    """The law of a mixed example as nodes and weights.

    Args:
        alpha: in [0, inf].
        m: half the distance of the means in standard deviations, in (0, 5].

    Raises:
        DomainError: arguments outside these domains.
    """
    check_alpha(alpha)
    if check_positive(m, "m") > LARGEST:
        raise DomainError(f"m = {m!r}: at most {LARGEST:g}; beyond it the classes do not overlap in float64")
    lam, w = symmetric(alpha).quadrature(nodes=NODES)
    z, wz = normal_rule()
    S = lam**2 + (1 - lam) ** 2
    # one half of the pairs are of one class, the other half of both: their means and labels mix alike
    side, y = np.array([1.0, -1.0, 0.0]), np.array([1.0, 0.0, 0.0])
    share = np.array([0.25, 0.25, 0.5])
    centre = m * (side[:, None] + np.outer([0, 0, 1], 2 * lam - 1))            # (3, lambda)
    label = y[:, None] + np.outer([0, 0, 1], lam)
    shape = (3, len(lam), len(z))
    x = centre[:, :, None] + np.sqrt(S)[None, :, None] * z
    weight = share[:, None, None] * w[None, :, None] * wz
    flat = [np.broadcast_to(a, shape).ravel() for a in (weight, x, label[:, :, None], S[None, :, None])]
    for array in flat:
        array.flags.writeable = False           # they are cached
    return Mixed(*flat)


@functools.cache
def slope(alpha: float, m: float) -> float:
    r"""Slope along e_1 of the logistic regression that minimises the population mixup risk; 2 m without mixup.

    By symmetry the intercept and all other coefficients are 0. It solves E[(sigma(t x~) - y~) x~] = 0.

    Args:
        alpha: in [0, inf].
        m: half the distance of the means in standard deviations, in (0, 5].

    Returns:
        t in (0, 2 m], per standard deviation.

    Raises:
        DomainError: see `mixed`.
    """
    if alpha == 0:
        return 2 * float(check_positive(m, "m"))
    weight, x, y, _ = mixed(alpha, m)

    def score(t: float) -> float:
        return float(weight @ ((expit(t * x) - y) * x))

    return float(brentq(score, 0.0, 2 * m, xtol=1e-15, rtol=1e-14))
