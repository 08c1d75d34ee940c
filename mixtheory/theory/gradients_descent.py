r"""What gradient noise does to SGD: how far the weights of a linear regression keep wandering about the minimum.

With a constant rate eta the weights reach a stationary law about w_*. Mixing changes the noise by the factor phi of
`gradients_noise.noise_factor` and the pull towards w_* by s, so the wandering changes by phi/s. A claim of the chapter
`gradients`.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from mixtheory.evidence import Claim, Derivation, MomentLaw, cases, predicts
from mixtheory.evidence.expectation import Mean
from mixtheory.theory import _gradients_routes as routes
from mixtheory.theory import gradients_noise as noise
from mixtheory.theory import mixing_moments as mm

__all__ = ["equal_speed_floor", "stationary_factor"]

RATE, H = sp.Symbol("eta", positive=True), sp.Symbol("H", real=True)


def stationary_factor(alpha: Any, pairing: str = "fresh", sharing: str = "element", folded: bool = False,
                      rate: Any = None) -> Any:
    r"""Stationary covariance of SGD's weights over (eta sigma^2 / 2 n) I, its value without mixup: phi/s.

    Leading order in the rate; the same in every direction, whatever Sigma.

    Args:
        alpha: in [0, inf].
        pairing: fresh, roll or flip, see `gradients_noise.scheme_weights`.
        sharing: one lambda for the `batch`, the `pair` (flip) or the `element`.
        folded: whether lambda is folded.
        rate: the limit does not depend on it; what is left out is of order rate.

    Returns:
        Dimensionless. Above 1, mixup makes SGD wander more at the same rate and batch size.

    Raises:
        DomainError: an unknown scheme, alpha outside its domain.

    Example: the default of several libraries at alpha = 0.2 wanders by a third more.

        >>> round(float(stationary_factor(0.2, "roll", "element")), 2)
        1.32
    """
    return noise.noise_factor(alpha, pairing, sharing, folded) / mm.shrinkage(alpha)


def equal_speed_floor(pairing: str = "fresh", sharing: str = "element", folded: bool = False) -> Any:
    """At the rate eta/s, which approaches w_* as fast as ERM does at eta, SGD wanders by phi/s^2: never below 1.

    Args:
        pairing: fresh, roll or flip; the bound is the same for all.
        sharing: of lambda.
        folded: whether lambda is folded.

    Raises:
        DomainError: an unknown scheme.
    """
    noise.scheme_weights(1.0, 4, pairing, sharing, folded)      # refuses what is none
    return sp.S.One


def derive_stationary() -> Derivation:
    """Second moment before and after a step, along an eigenvector of Sigma."""
    sigma2, second = sp.symbols("sigma^2 h", positive=True)
    phi, s, n = noise.noise_factor(mm.ALPHA, "roll", "element"), mm.shrinkage(mm.ALPHA), noise.N
    law = MomentLaw((H,), lambda k: (sp.S.One, s * noise.SIGMA, second)[k[0]])
    kick = RATE**2 * phi * sigma2 * noise.SIGMA / n
    unit = RATE * sigma2 / (2 * n)
    d = Derivation(r"\lim_{\eta\to0}\frac{\operatorname{Var}(v^\top w_\infty)}{\eta\sigma^2/2n}",
                   sp.Limit(kick / (1 - Mean((1 - RATE * H) ** 2, law)) / unit, RATE, 0),
                   {"alpha": mm.ALPHA, "pairing": "roll", "sharing": "element", "rate": RATE})
    d = d.equals(sp.Limit(2 * phi * noise.SIGMA / (2 * s * noise.SIGMA - RATE * second), RATE, 0),
                 "a step multiplies the deviation by $1 - \\eta H$ and adds independent noise of variance "
                 "$\\eta^2\\varphi\\sigma^2\\Sigma/n$; $\\mathbb{E}H = s\\Sigma$", claim="gradients.noise_factor")
    return d.equals(stationary_factor(mm.ALPHA, "roll", "element"), "pull $s\\Sigma$, kick $\\varphi\\Sigma$",
                    claim="gradients.mean")


def derive_equal_speed() -> Derivation:
    """phi = E S^2 + something that is not negative."""
    s = mm.shrinkage(mm.ALPHA)
    d = Derivation(r"\varphi / s^2", noise.noise_factor(mm.ALPHA, "roll", "batch") / s**2,
                   {"pairing": "roll", "sharing": "batch"})
    d = d.equals(mm.noise_ratio(mm.ALPHA) + 2 * mm.product_square(mm.ALPHA) / s**2,
                 r"$\varphi = \mathbb{E}S^2 + 2\,\mathbb{E}u^2$; in each scheme something is added to $\mathbb{E}S^2$",
                 claim="gradients.noise_factor")
    return d.appeal(equal_speed_floor("roll", "batch"), r"$\rho \ge 1$, and $\mathbb{E}u^2 \ge 0$",
                    claim="mixing_moments.noise_ratio_lower")


STATIONARY = Claim(
    id="gradients.stationary", title="How far SGD wanders about the minimum", kind="asymptotic", along=("rate", 1),
    statement=r"\operatorname{Cov}(w_\infty) = \frac{\eta\,\sigma^2}{2n}\,\frac{\varphi}{s}\,I + O(\eta^2)",
    assumptions=("linear regression, SGD of constant rate $\\eta$ on fresh batches", "homoscedastic noise",
                 "$\\varphi$ is the factor of the noise at $w_*$"),
    fails_when="the rate is not small, is lowered in time, or the optimiser rescales the gradient, as Adam does",
    predict=stationary_factor, derive=derive_stationary, exact=routes.exact_stationary_variance,
    cases=(*cases(alpha=(0.2, 1.0), pairing="roll", sharing=("element", "batch"), rate=(0.04, 0.01, 0.0025)),
           *cases(alpha=0.2, pairing="flip", sharing="element", rate=(0.04, 0.01, 0.0025)),
           *cases(alpha=0.2, pairing="roll", sharing="element", folded=True, rate=(0.04, 0.01, 0.0025))),
    wrong={"as the noise": predicts(lambda alpha, pairing, sharing, folded=False, rate=None: noise.noise_factor(
               alpha, pairing, sharing, folded)),
           "as the squared pull": predicts(lambda alpha, pairing, sharing, folded=False, rate=None: noise.noise_factor(
               alpha, pairing, sharing, folded) / mm.shrinkage(alpha) ** 2),
           "no change": predicts(lambda alpha, pairing, sharing, folded=False, rate=None: 1 + 0 * mm.shrinkage(alpha))},
    experiment="gradients")

EQUAL_SPEED = Claim(
    id="gradients.equal_speed", title="At equal speed, mixing never makes SGD steadier", kind="bound", side="lower",
    tight=1e-12, statement=r"\frac{\varphi}{s^2} \ge 1\quad\text{for every scheme and every }\alpha",
    assumptions=("linear regression, homoscedastic noise, a small constant rate",
                 "partners are fresh, rolled or flipped",
                 "mixup at the rate $\\eta/s$, ERM at $\\eta$: the mean iterates are the same"),
    fails_when="both use the same rate: then mixup is slower, and may wander less (gradients.stationary)",
    predict=equal_speed_floor, derive=derive_equal_speed, exact=routes.equal_speed,
    cases=(*cases(pairing=("roll", "flip"), sharing=("batch", "element")), {"pairing": "fresh", "sharing": "element"},
           {"pairing": "roll", "sharing": "element", "folded": True}),
    wrong={"steadier": predicts(lambda pairing, sharing, folded=False: 0.9),
           "at most as steady, by a tenth": predicts(lambda pairing, sharing, folded=False: 1.1)})
