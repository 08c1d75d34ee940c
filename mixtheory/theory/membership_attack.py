r"""The attack by a threshold on the loss: mixup narrows the gap and makes the attack better.

The area under the attack's curve is the mean, over members, of the rank of their loss among fresh losses: a score like
any other, to which `membership_gap` applies. The rank does not see how large the logits are; the loss does. So the two
can move in opposite directions, and here they do.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp
from scipy.special import expit

from mixtheory.domain import DomainError, check_count, check_positive, is_symbolic
from mixtheory.evidence import Claim, Derivation, cases, predicts
from mixtheory.theory import _membership_logistic_routes as routes
from mixtheory.theory import gaussian_logistic as model
from mixtheory.theory import membership_logistic as logistic
from mixtheory.theory.membership_logistic import ALPHA, EFRON, GRID, REACH, SIZES, STEP, YEOM, D, M, N

__all__ = ["LADDER", "auc_erm", "auc_logistic", "direction"]


def auc_logistic(alpha: Any, m: Any, d: Any, n: Any = None) -> Any:
    """n (AUC - 1/2) of the attack that calls records of low loss members, to leading order.

    For logistic loss this is the attack by a threshold on the margin: it does not change when all logits are
    multiplied by a number.

    Args:
        alpha: in [0, inf].
        m: half the distance of the means in standard deviations, in (0, 5].
        d: dimension, at least 1.
        n: number of records; does not matter to leading order.

    Returns:
        n times the distance of the area under the attack's curve from 1/2; dimensionless.

    Raises:
        DomainError: arguments outside these domains.
    """
    check_count(d, "d", 1)
    v = logistic.traces(alpha, m)
    root = sp.sqrt(sp.pi) if isinstance(v.t, sp.Basic) else np.sqrt(np.pi)
    return -(v.R_0 / v.H_0 + (d - 1) * v.R_p / v.H_p) / (2 * root * v.t)


def auc_erm(d: Any, m: Any, n: Any = None) -> Any:
    """n (AUC - 1/2) without mixup: d / (4 m sqrt(pi)) E_(N(m, 1/2)) sigma(-2 m x) / E_(N(m, 1)) sigma'(2 m x).

    Args:
        d: dimension, at least 1.
        m: half the distance of the means in standard deviations, in (0, 5].
        n: number of records; does not matter to leading order.

    Raises:
        DomainError: arguments outside these domains.
    """
    check_count(d, "d", 1)
    if is_symbolic(m):
        return d * _half(m) / (4 * m * sp.sqrt(sp.pi) * _curvature(m))
    if check_positive(m, "m") > model.LARGEST:
        raise DomainError(f"m = {m!r}: at most {model.LARGEST:g}")
    z, w = model.normal_rule(REACH, STEP)
    x = 2 * m * (m + z)
    return d * (w @ expit(-2 * m * (m + z / np.sqrt(2)))) / (4 * m * np.sqrt(np.pi) * (w @ (expit(x) * expit(-x))))


def _half(m: Any) -> sp.Symbol:
    return sp.Symbol(r"\mathbb{E}_{1/2}[\sigma(-2mx_1)]", positive=True)


def _curvature(m: Any) -> sp.Symbol:
    return sp.Symbol(r"\mathbb{E}[\sigma'(2mx_1)]", positive=True)


class _Density(sp.Function):
    """The standard normal density, printed as phi."""

    def doit(self, **hints: Any) -> Any:
        return sp.exp(-self.args[0]**2 / 2) / sp.sqrt(2 * sp.pi)

    def _latex(self, printer: Any, exp: Any = None) -> str:
        return rf"\varphi({printer._print(self.args[0])})" + (f"^{{{exp}}}" if exp else "")


class _Cdf(sp.Function):
    """The standard normal distribution function."""

    def fdiff(self, argindex: int = 1) -> Any:
        return _Density(self.args[0])


def derive_auc() -> Derivation:
    """The score is the rank of the margin; its gradient has no part along the slope."""
    v = logistic.traces(ALPHA, M)
    z, x2, t = *sp.symbols("z x_2", real=True), v.t
    own, others = (sp.symbols(f"{k}_0 {k}_1 {k}_2", real=True) for k in ("o", "p"))     # theta of one's own margin
    u, norm = own[0] + own[1] * (M + z) + own[2] * x2, sp.sqrt(others[1]**2 + others[2]**2)
    rank = sum(_Cdf((u - s * others[0] - M * others[1]) / norm) for s in (1, -1)) / 2
    at = {k: value for theta in (own, others) for k, value in zip(theta, (0, t, 0), strict=True)}
    slopes = [[sp.factor(sp.diff(rank, theta[k]).subs(at).replace(_Density, lambda w: _Density(sp.cancel(w))))
               for theta in (own, others)] for k in range(3)]
    psi = [sp.Symbol(name, real=True) for name in (r"\psi_0", r"\psi_1", r"\psi_2")]
    terms = [p * sp.Add(*both, evaluate=False) / h
             for p, both, h in zip(psi, slopes, (v.H_0, v.H_1, v.H_p), strict=True)]
    d = Derivation(r"n\left(\text{AUC} - \tfrac12\right)", sp.Symbol(
        r"-\operatorname{tr}\left(H^{-1}\mathbb{E}[\psi\,\nabla F_\theta(u)^\top]\right)"),
        {"alpha": ALPHA, "m": M, "d": D, "n": N})
    d = d.appeal(sp.Mul(-1, _Density(z), sp.Add(*terms, evaluate=False), evaluate=False),
                 r"the AUC is the mean over members of the score $F_\theta(u)$, the rank of a margin $u$ among fresh "
                 r"margins; this is one record at $x_1 = m + z$, before the mean over $z$ and $x_2$, and one further "
                 r"coordinate; in brackets the change of its own margin and that of the others'",
                 claim="membership.gap")
    rest = psi[0] / v.H_0 + psi[2] * x2 / v.H_p
    d = d.equals(-_Density(z)**2 / t * rest,
                 r"the rank does not change with the slope: the two changes in the middle bracket cancel")
    d = d.equals(-sp.exp(-z**2) / sp.sqrt(sp.pi) / (2 * sp.sqrt(sp.pi) * t) * rest,
                 r"$\varphi(z)^2$ is $\frac{1}{2\sqrt\pi}$ times the density of $N(0, \frac12)$")
    return d.appeal(auc_logistic(ALPHA, M, D), r"the mean over $x_1 \sim N(m, \frac12)$; $\psi_2 = x_2 a$ with "
                    r"$\mathbb{E}x_2^2 = 1$; and $d - 1$ coordinates like $x_2$")


def derive_auc_erm() -> Derivation:
    """Without mixup all directions have the same psi and the same Hessian."""
    half, curvature = _half(M), _curvature(M)
    at = logistic.traces(ALPHA, M)
    bare = {at.t: 2 * M, at.R_0: -half, at.R_p: -half, at.H_0: curvature, at.H_p: curvature}
    d = Derivation(r"n\left(\text{AUC} - \tfrac12\right)", auc_logistic(ALPHA, M, D), {"d": D, "m": M, "n": N})
    d = d.appeal(auc_logistic(ALPHA, M, D).subs(bare), r"without mixup $t = 2m$ and $\psi_0 = a = -\sigma(-2mx_1)$, "
                 r"$H_0 = H_\perp = \mathbb{E}\sigma'(2mx_1)$", claim="membership.auc_logistic")
    return d.equals(auc_erm(D, M), "the intercept and $d - 1$ coordinates add the same")


LADDER = (0.0, 0.1, 0.3, 1.0, 4.0, np.inf)


def direction(m: float, d: int) -> np.ndarray:
    """(-1, 1): along alpha = 0, 0.1, 0.3, 1, 4, inf each step lowers the gap and raises the attack's AUC.

    Args:
        m: half the distance of the means; 0.7 to 2.6 on the grid that was tried.
        d: dimension; 3 to 30 on that grid.
    """
    check_positive(m, "m"), check_count(d, "d", 1)
    return np.array([-1.0, 1.0])


def _with_slope(alpha: Any, m: Any, d: Any, n: Any = None) -> Any:
    """Wrong: the part of the own margin that goes along the slope is kept, that of the others is forgotten."""
    v = logistic.traces(alpha, m)
    root = sp.sqrt(sp.pi) if isinstance(v.t, sp.Basic) else np.sqrt(np.pi)
    return auc_logistic(alpha, m, d) - v.R_1 / v.H_1 / (2 * root * v.t)


AUC = Claim(
    id="membership.auc_logistic", title="Power of the loss-threshold attack", kind="asymptotic",
    statement=r"n\left(\text{AUC} - \tfrac12\right) = \frac{-1}{2\sqrt\pi\,t}\;\mathbb{E}_{x_1 \sim N(m, 1/2)}"
              r"\Bigl[\frac{\psi_0}{H_0} + (d - 1)\frac{a}{H_\perp}\Bigr] + O(1/n)",
    assumptions=("the attack calls records with a small loss members", "two Gaussian classes, logistic regression, all "
                 "pairs, as for its gap"),
    fails_when="$n$ is not large against $d$; the attacker sees more than the loss (membership.whitebox)",
    predict=auc_logistic, derive=derive_auc, exact=routes.exact_auc,
    cases=GRID + cases(alpha=0.1, m=0.3, d=1, n=SIZES), along=("n", -1.0),
    wrong={"the slope counts": predicts(_with_slope),
           "narrower gap, weaker attack": predicts(
               lambda alpha, m, d, n=None: auc_erm(d, m) * logistic.gap_logistic(alpha, m, d)
               / logistic.gap_erm(d)),
           "mixup leaves the attack alone": predicts(lambda alpha, m, d, n=None: auc_erm(d, m))},
    references=(YEOM, EFRON), experiment="membership")

AUC_ERM = Claim(
    id="membership.auc_erm", title="The attack without mixup", kind="asymptotic",
    statement=r"n\left(\text{AUC} - \tfrac12\right) = \frac{d}{4m\sqrt\pi}\,\frac{\mathbb{E}_{N(m, 1/2)}[\sigma(-2mx)]}"
              r"{\mathbb{E}_{N(m, 1)}[\sigma'(2mx)]} + O(1/n)",
    assumptions=("no mixup", "the assumptions of membership.auc_logistic"), fails_when="$n$ is not large against $d$",
    predict=auc_erm, derive=derive_auc_erm, exact=routes.exact_auc_erm,
    cases=cases(d=(1, 5, 10), m=(0.7, 1.6), n=SIZES), along=("n", -1.0),
    wrong={"one parameter more": predicts(lambda d, m, n=None: auc_erm(d, m) * (d + 1) / d),
           "Gaussian of variance 1": predicts(lambda d, m, n=None: _erm_at_full_variance(d, m))},
    references=(YEOM, EFRON), experiment="membership")


def _erm_at_full_variance(d: Any, m: Any) -> Any:
    if is_symbolic(m):
        return 2 * auc_erm(d, m)
    z, w = model.normal_rule(REACH, STEP)
    return auc_erm(d, m) * (w @ expit(-2 * m * (m + z))) / (w @ expit(-2 * m * (m + z / np.sqrt(2))))


DIRECTION = Claim(
    id="membership.direction", title="The gap falls while the attack gets better", kind="numerical",
    statement=r"\alpha \mapsto n\cdot\text{gap} \text{ falls},\qquad "
              r"\alpha \mapsto n\left(\text{AUC} - \tfrac12\right) \text{ rises}",
    assumptions=("the assumptions of membership.auc_logistic", "$m$ from 0.7 to 2.6 and $d$ from 3 to 30, on a grid"),
    fails_when="classes overlap much in one dimension: at $m = 0.3$, $d = 1$ the AUC falls by a fraction of a percent; "
               "or classes are far apart in one or two dimensions: there the AUC peaks at a finite alpha, high above "
               "its value without mixup",
    predict=direction, exact=routes.exact_direction, cases=cases(m=(0.7, 1.0, 1.6, 2.6), d=(3, 10, 30)),
    tolerance=1e-12,
    wrong={"narrower gap, weaker attack": predicts(lambda m, d: np.array([-1.0, -1.0])),
           "mixup changes neither": predicts(lambda m, d: np.zeros(2))},
    references=(YEOM,), experiment="membership")
