r"""Gradient noise of logistic regression under mixup, on two Gaussian classes.

The model of `gaussian_logistic`: labels 0 and 1 with probability 1/2, x given y is N((2 y - 1) m e_1, I). The gradient
of a mixed example at the weights w e_1 is (sigma(w x~_1) - y~) x~; its noise is largest or smallest along e_1 and the
same in all orthogonal directions. Claims of the chapter `gradients`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp
from scipy.special import expit

from mixtheory.domain import check_finite, check_positive, is_symbolic
from mixtheory.evidence import Claim, Derivation, Mean, beta, cases, gaussian, predicts, scalar, simulates
from mixtheory.mixup import blend
from mixtheory.theory import _gradients_logistic_routes as routes
from mixtheory.theory import gaussian_logistic as model
from mixtheory.theory import mixing_moments as mm

__all__ = ["logistic_mean", "logistic_mean_zero", "logistic_noise", "logistic_noise_ratio", "logistic_noise_zero",
           "logistic_threshold"]

ALPHA, LAM = mm.ALPHA, mm.LAM
SEPARATION = sp.Symbol("m", positive=True)
SHRINK, SQUARE = "mixing_moments.shrinkage", "mixing_moments.shrinkage_square"
GIVEN = ("two classes of equal prior, $\\mathcal{N}(\\pm m e_1, I)$, logistic regression",)


def logistic_mean(alpha: float, m: float, w: float) -> float:
    """Mean of a mixed gradient along e_1 at the weights w e_1, by quadrature; orthogonally it is 0.

    Args:
        alpha: in [0, inf].
        m: half the distance of the class means in standard deviations, in (0, 5].
        w: slope along e_1; 2 m is the truth.

    Returns:
        Nats per unit of w. Descent goes the other way: a positive value pulls the slope down.

    Raises:
        DomainError: arguments outside these domains.
    """
    weight, x, y, _ = model.mixed(alpha, m)
    return float(weight @ ((expit(check_finite(w, "w") * x) - y) * x))


def logistic_noise(alpha: float, m: float, w: float) -> np.ndarray:
    """Variance of a mixed gradient at w e_1: along e_1 and in each orthogonal direction; (2,), by quadrature.

    Arguments and errors as `logistic_mean`; squared nats per squared unit of w.
    """
    weight, x, y, S = model.mixed(alpha, m)
    e = expit(check_finite(w, "w") * x) - y
    return np.array([weight @ (e * x) ** 2 - (weight @ (e * x)) ** 2, weight @ (e**2 * S)])


def logistic_noise_ratio(alpha: float, m: float) -> np.ndarray:
    """Gradient noise with mixup over that of ERM, each at its own optimum: along e_1 and orthogonally; (2,).

    Args:
        alpha: in [0, inf].
        m: half the distance of the class means in standard deviations, in (0, 5].

    Returns:
        Dimensionless.

    Raises:
        DomainError: arguments outside these domains.

    Example: far apart classes leave ERM almost no gradient to fluctuate; mixup keeps making it some.

        >>> logistic_noise_ratio(1.0, 2.5).round(2).tolist()
        [26.75, 2.16]
    """
    return logistic_noise(alpha, m, model.slope(alpha, m)) / logistic_noise(0.0, m, model.slope(0.0, m))


def logistic_mean_zero(alpha: Any, m: Any) -> Any:
    """Mean gradient at w = 0 along e_1: -s m/2. alpha in [0, inf]; m > 0, standard deviations."""
    return -mm.shrinkage(alpha) * check_positive(m, "m") / 2


def logistic_noise_zero(alpha: Any, m: Any) -> Any:
    """Gradient noise at w = 0 in closed form: along e_1, and in each orthogonal direction.

    ((m^2 + 1) E S^2 + 4 m^2 E u^2 - s^2 m^2)/4 and E[S^2]/4; without mixup 1/4 and 1/4.

    Args:
        alpha: in [0, inf].
        m: half the distance of the class means in standard deviations, > 0.

    Returns:
        (2,), squared nats per squared unit of w; a SymPy matrix for symbols.

    Raises:
        DomainError: arguments outside these domains.
    """
    check_positive(m, "m")
    S2 = mm.shrinkage_square(alpha)
    along = ((m**2 + 1) * S2 + 4 * m**2 * mm.product_square(alpha) - mm.shrinkage(alpha) ** 2 * m**2) / 4
    return sp.Matrix([along, S2 / 4]) if is_symbolic(alpha, m) else np.array([along, S2 / 4])


def logistic_threshold(alpha: Any) -> Any:
    """The m^2 above which mixing raises the gradient noise along e_1 at w = 0: (1 - E S^2)/(V_S + 4 E u^2).

    Args:
        alpha: in (0, inf], a number or a symbol.

    Returns:
        The square of a separation in standard deviations.

    Raises:
        DomainError: alpha = 0, where nothing is mixed.

    Example:
        >>> round(logistic_threshold(1.0) ** 0.5, 3)
        1.852
    """
    if not is_symbolic(alpha) and not np.isinf(alpha):
        check_positive(alpha, "alpha")
    return (1 - mm.shrinkage_square(alpha)) / (mm.shrinkage_variance(alpha) + 4 * mm.product_square(alpha))


# ---- derivations -------------------------------------------------------------------------------------------------

def _pair() -> tuple[Any, ...]:
    """(g along e_1, g orthogonally) at w = 0 for signs t and unit Gaussians z, and the laws."""
    t, z, o = (sp.symbols(f"{name}_1 {name}_2", real=True) for name in ("t", "z", "o"))
    laws = [scalar(sign, 0, 1, 0, 1) for sign in t] + [gaussian((each,), [[1]]) for each in (*z, *o)]
    sign = blend(LAM, *t)                              # 1/2 - y~ = -sign/2
    x = sign * SEPARATION + blend(LAM, *z)
    return -sign * x / 2, -sign * blend(LAM, *o) / 2, (*laws, beta(LAM, ALPHA))


def derive_mean_zero() -> Derivation:
    along, _, laws = _pair()
    d = Derivation(r"\mathbb{E}\,\tilde g_1", Mean(along, *laws), {"alpha": ALPHA, "m": SEPARATION})
    d = d.equals(-SEPARATION / 2 * Mean(LAM**2 + (1 - LAM) ** 2, laws[-1]),
                 "$\\tilde y - \\frac12 = \\frac12(\\lambda t_1 + (1-\\lambda)t_2)$ with independent signs")
    return d.equals(logistic_mean_zero(ALPHA, SEPARATION), r"$\mathbb{E}\,S = s$", claim=SHRINK)


def derive_noise_zero() -> Derivation:
    along, across, laws = _pair()
    lam, S, u, m = laws[-1], LAM**2 + (1 - LAM) ** 2, LAM * (1 - LAM), SEPARATION
    d = Derivation(r"\operatorname{Var}(\tilde g_1, \tilde g_2)",
                   sp.Matrix([Mean(along**2, *laws) - Mean(along, *laws) ** 2, Mean(across**2, *laws)]),
                   {"alpha": ALPHA, "m": SEPARATION})
    d = d.equals(sp.Matrix([(m**2 * Mean(S**2 + 4 * u**2, lam) + Mean(S**2, lam) - m**2 * Mean(S, lam) ** 2) / 4,
                            Mean(S**2, lam) / 4]),
                 "the mixed sign has mean square $S$ and fourth moment $S^2 + 4u^2$, the noise has variance $S$")
    return d.equals(logistic_noise_zero(ALPHA, SEPARATION), "moments of $\\lambda$", claim=SHRINK)


def derive_threshold() -> Derivation:
    lam, S, u = beta(LAM, ALPHA), LAM**2 + (1 - LAM) ** 2, LAM * (1 - LAM)
    slope = Mean(S**2 + 4 * u**2, lam) - Mean(S, lam) ** 2
    d = Derivation("m^2", (1 - Mean(S**2, lam)) / slope, {"alpha": ALPHA})
    return d.equals(logistic_threshold(ALPHA), "the noise along $e_1$ is affine in $m^2$, and $\\frac14$ here",
                    claim="gradients.logistic_noise_zero")


# ---- claims ------------------------------------------------------------------------------------------------------

MEAN_ZERO = Claim(
    id="gradients.logistic_mean_zero", title="Logistic regression at zero: the mean gradient shrinks by s",
    statement=r"\mathbb{E}\,\tilde g = -\frac{s}{2}\,m\,e_1\quad(w = 0)", assumptions=GIVEN,
    fails_when="$w \\ne 0$: the mean is then no multiple of the ERM gradient (gradients.pushes_back)",
    predict=logistic_mean_zero, derive=derive_mean_zero, exact=routes.exact_mean_zero,
    simulate=routes.simulate_mean_zero, cases=cases(alpha=(0.2, 1.0, np.inf), m=(0.8, 2.0)),
    wrong={"the ERM gradient": predicts(lambda alpha, m: -m / 2 + 0 * mm.shrinkage(alpha)),
           "labels swapped": simulates(routes.simulate_swapped_mean_zero)})

NOISE_ZERO = Claim(
    id="gradients.logistic_noise_zero", title="Logistic regression at zero: noise along and across",
    statement=r"\operatorname{Var}\tilde g_\parallel = \tfrac14\bigl[(m^2+1)\,\mathbb{E}S^2 + 4m^2\,\mathbb{E}u^2 - "
              r"s^2m^2\bigr],\qquad \operatorname{Var}\tilde g_\perp = \tfrac14\,\mathbb{E}S^2",
    assumptions=(*GIVEN, "$w = 0$; without mixup both are $\\frac14$"), fails_when="$w \\ne 0$",
    predict=logistic_noise_zero, derive=derive_noise_zero, exact=routes.exact_noise_zero,
    cases=cases(alpha=(0.2, 1.0, 4.2, np.inf), m=(0.8, 2.0)),
    wrong={"E S^2 in every direction": predicts(lambda alpha, m: sp.Matrix([1, 1]) * mm.shrinkage_square(alpha) / 4
                                                if is_symbolic(alpha) else np.full(2, mm.shrinkage_square(alpha) / 4)),
           "no mixing": predicts(lambda alpha, m: sp.Matrix([1, 1]) / 4 if is_symbolic(alpha) else np.full(2, 0.25))})

THRESHOLD = Claim(
    id="gradients.logistic_threshold", title="Separated classes: mixing raises the noise along the means",
    statement=r"\operatorname{Var}\tilde g_\parallel > \operatorname{Var}g_\parallel \iff "
              r"m^2 > \frac{1-\mathbb{E}S^2}{V_S + 4\,\mathbb{E}u^2}\quad(w = 0)",
    assumptions=GIVEN, fails_when="$w \\ne 0$ (gradients.logistic_noise_ratio)",
    predict=logistic_threshold, derive=derive_threshold, exact=routes.exact_threshold,
    cases=cases(alpha=(0.2, 1.0, 4.2, np.inf)),
    wrong={"m for its square": predicts(lambda alpha: logistic_threshold(alpha) ** 0.5, symbolic=False),
           "V_S left out": predicts(lambda alpha: (1 - mm.shrinkage_square(alpha)) / (4 * mm.product_square(alpha)))})

RATIO = Claim(
    id="gradients.logistic_noise_ratio", title="At its own optimum mixup can be far noisier than ERM",
    kind="numerical",
    statement=r"\frac{\operatorname{Var}\tilde g\text{ at }w_\alpha}{\operatorname{Var}g\text{ at }2m}\text{: below 1 "
              r"for close classes, far above 1 for separated ones}",
    assumptions=(*GIVEN, "each at its own minimum"), fails_when="both are compared at the same weights",
    predict=logistic_noise_ratio, exact=routes.exact_noise_ratio,
    cases=cases(alpha=(0.2, 1.0), m=(0.8, 1.5, 2.5)), tolerance=1e-8,
    wrong={"both at the truth": predicts(
               lambda alpha, m: logistic_noise(alpha, m, 2 * m) / logistic_noise(0, m, 2 * m)),
           "E S^2, as for least squares": predicts(lambda alpha, m: np.full(2, mm.shrinkage_square(alpha)))})

PUSHES = Claim(
    id="gradients.pushes_back", title="At the truth, mixup's mean gradient pulls the slope down", kind="numerical",
    statement=r"\mathbb{E}\,\tilde g_1 > 0 = \mathbb{E}\,g_1\quad\text{at } w = 2m,\text{ the true log-odds}",
    assumptions=GIVEN,
    fails_when="the model is a linear regression: there the minimum stays (least_squares.invariance)",
    predict=logistic_mean, exact=routes.exact_logistic_mean, simulate=routes.simulate_logistic_mean, tolerance=1e-8,
    scale=lambda value, alpha, m, w: m / 2, resolution=0.02,
    cases=tuple({"alpha": alpha, "m": m, "w": 2 * m} for alpha in (0.2, 1.0) for m in (0.8, 1.5, 2.0)),
    wrong={"no pull: the ERM gradient": predicts(lambda alpha, m, w: 0.0 * alpha),
           "no mixing of labels": simulates(routes.simulate_unmixed_labels)})
