r"""What a temperature repairs, and what logistic regression makes of mixed Gaussians.

`score_ece` and `score_temperature` are tools for any odd score on two Gaussian classes. A logistic regression is
repaired by one temperature, exactly; an unrestricted model is not. Claims of the chapter `calibration`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp
from scipy.optimize import brentq
from scipy.special import expit

from mixtheory.domain import DomainError, check_finite, check_positive
from mixtheory.evidence import Claim, Derivation, cases, predicts
from mixtheory.theory import _calibration_gaussian_routes as routes
from mixtheory.theory import calibration_gaussian as cg
from mixtheory.theory import gaussian_logistic as gl
from mixtheory.theory import mixing_moments as mm

__all__ = ["after_temperature", "bayes_slope", "exact_temperature", "restricted_slope", "score_ece",
           "score_temperature", "temperature"]

POINT, M, TWO, PAPER = cg.POINT, cg.M, cg.TWO, cg.PAPER


def score_ece(log_odds: Callable[[np.ndarray], np.ndarray], m: float) -> float:
    """Expected calibration error E|sigma(l(x)) - P(y = 1 | x)| of an odd score on two Gaussians N(+-m, 1).

    The exact counterpart of a binned estimate, for scores that determine x.

    Args:
        log_odds: the score l for arrays of x >= 0, odd; log odds in nats.
        m: half the distance of the means, in standard deviations, > 0.

    Returns:
        A difference of probabilities.

    Raises:
        DomainError: m not positive, a score that is not finite.

    Example:
        >>> round(score_ece(lambda x: 2 * 1.5 * x, m=1.5), 12)      # the truth
        0.0
        >>> round(score_ece(lambda x: 4 * 1.5 * x, m=1.5), 4)       # twice too steep
        0.038
    """
    check_positive(m, "m")

    def off(x: np.ndarray) -> np.ndarray:
        return check_finite(log_odds(x), "log_odds") - 2 * m * x

    grid = np.linspace(0, m + cg.FAR, 241)[1:]
    sign = np.sign(off(grid))
    cuts = [brentq(lambda t: float(off(np.array([t]))[0]), a, b, xtol=1e-14)
            for a, b, s, t in zip(grid[:-1], grid[1:], sign[:-1], sign[1:], strict=True) if s * t < 0]
    x, w = cg.half_line(m, cuts)
    return float(w @ np.abs(expit(log_odds(x)) - expit(2 * m * x)))


def score_temperature(log_odds: Callable[[np.ndarray], np.ndarray], m: float) -> float:
    """The temperature T that minimises the log loss of sigma(l(x)/T) on two Gaussians N(+-m, 1).

    Args:
        log_odds: an odd score, see `score_ece`.
        m: half the distance of the means, in standard deviations, > 0.

    Returns:
        T > 0, no dimension; below one the score has to be sharpened, above one softened.

    Raises:
        DomainError: m not positive, a score that is not finite or has the wrong sign.

    Example:
        >>> round(score_temperature(lambda x: 4 * 1.5 * x, m=1.5), 10)
        2.0
    """
    x, w = cg.half_line(check_positive(m, "m"))
    score = np.asarray(check_finite(log_odds(x), "log_odds"))
    if w @ (np.tanh(m * x) * score) <= 0:
        raise DomainError("log_odds: has the wrong sign, no temperature helps")
    return 1 / float(brentq(lambda b: w @ ((expit(b * score) - expit(2 * m * x)) * score), 0.0, 1e6, xtol=1e-15,
                            rtol=1e-14))


def temperature(m: float, alpha: float) -> float:
    """Best temperature of the mixup target on unmixed data of two unit Gaussians: below one, sharpen.

    Arguments and errors as in `calibration_gaussian.confidence_gap`.
    """
    return score_temperature(lambda x: cg.mixup_log_odds(x, m, alpha), m)


def after_temperature(m: float, alpha: float) -> float:
    """Calibration error that is left of the mixup target after its best temperature. Arguments as `temperature`."""
    T = temperature(m, alpha)
    return score_ece(lambda x: cg.mixup_log_odds(x, m, alpha) / T, m)


def exact_temperature(slope: Any, m: Any) -> Any:
    """The temperature that makes a linear score exactly calibrated on two Gaussians: slope/(2 m).

    Args:
        slope: of the score's log odds along the axis that joins the means, per standard deviation.
        m: half the distance of the means, in standard deviations, > 0.

    Returns:
        T, no dimension.

    Raises:
        DomainError: slope or m not positive.
    """
    return check_positive(slope, "slope") / (2 * check_positive(m, "m"))


def bayes_slope(m: Any) -> Any:
    """Slope of the true log odds of two unit Gaussians at -m and +m: 2 m. Raises DomainError for m not positive."""
    return 2 * check_positive(m, "m")


def restricted_slope(alpha: float, m: float) -> float:
    """Slope of the logistic regression that mixup training on two Gaussian classes converges to: `gaussian_logistic`.

    Args:
        alpha: in [0, inf].
        m: half the distance of the means, in standard deviations, in (0, 5].

    Returns:
        The slope along the axis that joins the means, per standard deviation; 2 m at alpha = 0.

    Raises:
        DomainError: arguments outside these domains.
    """
    return gl.slope(alpha, m)


# --- derivations --------------------------------------------------------------------------------------------

def derive_slope_bound() -> Derivation:
    """The true log odds; mixing pulls the target towards one half, so the score of the loss at 2 m is positive."""
    odds = sp.log(cg.normal_density(POINT, M, 1) / cg.normal_density(POINT, -M, 1))
    chain = Derivation("w_0", sp.diff(sp.expand_log(odds, force=True), POINT), {"m": M})
    chain = chain.equals(bayes_slope(M), "the log odds of the two densities are linear")
    return chain.appeal(bayes_slope(M), r"at this slope the derivative of the mixup loss is $\mathbb{E}[(\eta(\tilde "
                                        r"x) - "
                        r"g(\tilde x))\,\tilde x] > 0$, and it rises with the slope: the minimiser lies below",
                        claim="calibration.underconfident")


def derive_exact_temperature() -> Derivation:
    w = sp.Symbol("w", positive=True)
    exponents = -((POINT - M) ** 2) / 2 + (POINT + M) ** 2 / 2
    chain = Derivation("T", w * POINT / exponents, {"slope": w, "m": M})
    return chain.equals(exact_temperature(w, M), "a score is calibrated if score/T is the true log odds, here the "
                        "difference of the exponents of two Gaussians; both are linear in x")


# --- claims -------------------------------------------------------------------------------------------------

Claim(
    id="calibration.temperature", title="The target has to be sharpened",
    kind="numerical",
    statement=r"T^\ast = \arg\min_T\,\mathbb{E}\bigl[-\ln\sigma\bigl(\pm\operatorname{logit} g(x)/T\bigr)\bigr] < 1",
    assumptions=(TWO, "unmixed validation data, infinitely many"), fails_when="a model is overconfident for other "
                                                                              "reasons",
    predict=temperature, exact=routes.temperature, cases=cases(m=(0.5, 1.0, 1.5, 2.0), alpha=(0.2, 1.0)),
    wrong={"no change": predicts(lambda m, alpha: 1.0), "s": predicts(lambda m, alpha: mm.shrinkage(alpha)),
           "from the slope midway": predicts(lambda m, alpha: cg.midpoint_slope(m, alpha) / (2 * m))},
    references=("guo2017calibration: temperature scaling (from memory)", PAPER))

Claim(
    id="calibration.after_temperature", title="One temperature does not repair the target",
    kind="numerical",
    statement=r"\mathbb{E}\,\bigl|\sigma\bigl(\operatorname{logit} g(x)/T^\ast\bigr) - \eta(x)\bigr| > 0",
    assumptions=(TWO, "an unrestricted model, so that its log odds are not linear in $x$"),
    fails_when="the model is linear: calibration.exact_temperature",
    predict=after_temperature, exact=routes.after_temperature, cases=cases(m=(0.5, 1.0, 1.5, 2.0), alpha=1.0),
    scale=lambda value, **_: 1e-3, tolerance=1e-7,
    wrong={"repaired": predicts(lambda m, alpha: 0.0),
           "as before": predicts(lambda m, alpha: -cg.confidence_gap(m, alpha))},
    references=("guo2017calibration: temperature scaling (from memory)", PAPER))

Claim(
    id="calibration.restricted", title="Logistic regression on mixed Gaussians: its slope",
    kind="numerical",
    statement=r"w_\alpha:\quad \mathbb{E}\bigl[(\sigma(w_\alpha\,\tilde x) - \tilde y)\,\tilde x\bigr] = 0",
    assumptions=(TWO, "logistic regression in any dimension: all other coefficients are 0 by symmetry",
                 "the population, no penalty"),
    fails_when="few examples: the fitted slope is then larger",
    predict=restricted_slope, exact=routes.restricted_slope,
    cases=cases(alpha=(0.2, 1.0, 5.0), m=(0.6, 1.5, 3.0)), tolerance=1e-9,
    wrong={"the true slope": predicts(lambda alpha, m: 2 * m),
           "the true slope times s": predicts(lambda alpha, m: 2 * m * mm.shrinkage(alpha)),
           "the slope of the target midway": predicts(lambda alpha, m: cg.midpoint_slope(m, alpha))},
    references=(PAPER,), experiment="calibration")

Claim(
    id="calibration.restricted_below", title="Mixing flattens logistic regression",
    kind="bound", side="upper", tight=1e-3,
    statement=r"w_\alpha < 2 m \quad (\alpha > 0)",
    assumptions=(TWO, "the population, no penalty"), fails_when="few examples: the fitted slope can exceed $2m$",
    predict=bayes_slope, derive=derive_slope_bound,
    exact=lambda m: routes.restricted_slopes(m, (1e-4, 0.2, 1.0, 5.0)), cases=cases(m=(0.6, 1.5, 3.0)),
    wrong={"tighter by a hundredth": predicts(lambda m: 99 * m / 50)},
    references=(PAPER,))

Claim(
    id="calibration.exact_temperature", title="One temperature repairs any linear score",
    statement=r"T^\ast = \frac{w}{2m}\ \Rightarrow\ \sigma(w x/T^\ast) = \eta(x) \text{ for all } x",
    assumptions=(TWO, "a score $w x$ with $w > 0$, from mixup, weight decay or anything else"),
    fails_when="the score is not linear (calibration.after_temperature), or its direction is wrong: then $m$ is the "
               "one "
               "of the projected classes",
    predict=exact_temperature, derive=derive_exact_temperature,
    exact=lambda slope, m: routes.best_temperature(lambda x: slope * x, m),
    cases=({"slope": 1.576, "m": 1.5}, {"slope": 2.063, "m": 1.5}, {"slope": 7.0, "m": 0.8}, {"slope": 0.3, "m": 2.4}),
    wrong={"inverted": predicts(lambda slope, m: 2 * m / slope), "without the 2": predicts(lambda slope, m: slope / m)},
    references=("guo2017calibration: temperature scaling (from memory)",), experiment="calibration")
