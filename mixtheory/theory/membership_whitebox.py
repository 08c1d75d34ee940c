r"""How exposed single records are to an attacker who knows everything but the training set.

The mean exposure does not depend on mixup (`membership.whitebox`). Its law over records does: for logistic
regression on two Gaussian classes, whose model is that of `gaussian_logistic`, most records are hardly exposed without
mixup and a few very much; with mixup all are exposed somewhat.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import chdtr, ndtr, roots_genlaguerre

from mixtheory.domain import DomainError, check_count, check_positive
from mixtheory.evidence import Claim, cases, predicts
from mixtheory.theory import _membership_logistic_routes as routes
from mixtheory.theory import gaussian_logistic as model
from mixtheory.theory import membership_logistic as logistic
from mixtheory.theory import mixing_moments as mm

__all__ = ["exposure", "exposure_tail", "whitebox_auc"]

RADII = 48          # nodes of the squared distance of a record from the line through the means


def exposure(alpha: float, m: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """n SNR^2 of a record of class 1 at x_1, own + other times |x_2..d|^2.

    Args:
        alpha: in [0, inf].
        m: half the distance of the means in standard deviations, in (0, 5].

    Returns:
        Four arrays (k,): x_1, its probabilities, own, other. The mean is the number of parameters, d + 1.

    Raises:
        DomainError: arguments outside these domains.
    """
    z, w = model.normal_rule(logistic.REACH, logistic.STEP)
    p0, p1, a = logistic.psi(alpha, m, m + z)
    return m + z, w, p0**2 / (w @ p0**2) + p1**2 / (w @ p1**2), a**2 / (w @ a**2)


def exposure_tail(alpha: float, m: float, d: int, share: float) -> np.ndarray:
    """The n SNR^2 that a share of the records does not exceed, and the mean of those that do.

    Args:
        alpha: in [0, inf].
        m: half the distance of the means in standard deviations, in (0, 5].
        d: dimension, at least 2.
        share: in (0, 1), 0.99 for the most exposed hundredth.

    Returns:
        (2,), dimensionless; the mean of all records is d + 1.

    Raises:
        DomainError: arguments outside these domains.
    """
    check_count(d, "d")
    if not 0 < share < 1:
        raise DomainError(f"share = {share!r}: must lie strictly between 0 and 1")
    _, w, own, other = exposure(alpha, m)

    def beyond(q: float, degrees: int) -> np.ndarray:
        return 1 - chdtr(degrees, np.maximum(q - own, 0) / np.maximum(other, 1e-300))

    top = 1.0
    while w @ beyond(top, d - 1) > 1 - share:
        top *= 2
    q = brentq(lambda q: w @ beyond(q, d - 1) - (1 - share), 0.0, top, xtol=1e-12, rtol=1e-12)
    mean = w @ (own * beyond(q, d - 1) + (d - 1) * other * beyond(q, d + 1)) / (1 - share)
    return np.array([q, mean])


def whitebox_auc(alpha: float, m: float, d: int, n: float) -> float:
    r"""sqrt(n) (AUC - 1/2) = sqrt(n) (E Phi(SNR / sqrt 2) - 1/2) of the best attack on the parameters.

    Scores of all records, each in units of its own noise, are pooled. Leading order in 1/n.

    Args:
        alpha: in [0, inf].
        m: half the distance of the means in standard deviations, in (0, 5].
        d: dimension, at least 2.
        n: number of records, at least 2.

    Returns:
        Dimensionless. Compare at equal n only.

    Raises:
        DomainError: arguments outside these domains.
    """
    check_count(d, "d"), check_positive(n, "n")
    half, weight = roots_genlaguerre(RADII, (d - 1) / 2 - 1)
    _, w, own, other = exposure(alpha, m)
    chance = ndtr(np.sqrt((own[:, None] + other[:, None] * 2 * half) / (2 * n)))
    return float(np.sqrt(n) * (w @ chance @ (weight / weight.sum()) - 0.5))


def _quantile_at(change: Any) -> Any:
    return predicts(lambda alpha, m, d, share: change(alpha, m, d, share))


TAIL = Claim(
    id="membership.whitebox_tail", title="Mixup protects the most exposed and exposes the rest", kind="numerical",
    statement=r"n\,\mathrm{SNR}^2 = \frac{\psi_0(x_1)^2}{V_0} + \frac{\psi_1(x_1)^2}{V_1} "
              r"+ \frac{a(x_1)^2}{V_\perp}\,\chi^2_{d-1}, \qquad x_1 \sim N(m, 1)",
    assumptions=("the assumptions of membership.whitebox", "two Gaussian classes, logistic regression"),
    fails_when="the attacker sees the loss alone (membership.auc_logistic), or $n$ is not large against $d$",
    predict=exposure_tail, exact=routes.exact_tail,
    cases=cases(alpha=(0.0, 0.3, 1.0, 4.0), m=1.6, d=10, share=(0.5, 0.99)) + cases(
        alpha=(0.0, 1.0), m=1.0, d=4, share=(0.5, 0.99)), tolerance=1e-2,
    wrong={"mixup changes nothing": _quantile_at(lambda alpha, m, d, share: exposure_tail(0.0, m, d, share)),
           "shrunk by s": _quantile_at(
               lambda alpha, m, d, share: mm.shrinkage(alpha) * exposure_tail(0.0, m, d, share)),
           "all records alike": _quantile_at(lambda alpha, m, d, share: np.full(2, d + 1.0))},
    references=("carlini2022membership: worst cases, not means, are what matters (from memory)",),
    experiment="membership")

POOLED = Claim(
    id="membership.whitebox_auc", title="Pooled power of the best attack", kind="numerical",
    statement=r"\text{AUC} \approx \mathbb{E}\,\Phi\bigl(\mathrm{SNR}/\sqrt2\bigr)",
    assumptions=("the assumptions of membership.whitebox_tail", "leading order in 1/n"),
    fails_when="values at different n are compared: it is AUC - 1/2 times the root of n that has a limit",
    predict=whitebox_auc, exact=routes.exact_whitebox_auc,
    cases=cases(alpha=(0.0, 0.3, 1.0, 4.0), m=1.6, d=10, n=(400, 4000)), tolerance=1e-3,
    wrong={"at the mean exposure": predicts(lambda alpha, m, d, n: np.sqrt(n) * (
               ndtr(np.sqrt((d + 1) / (2 * n))) - 0.5)),
           "mixup changes nothing": predicts(lambda alpha, m, d, n: whitebox_auc(0.0, m, d, n))},
    references=("carlini2022membership: scores in units of each record's own noise (from memory)",),
    experiment="membership")
