r"""How well the loss tells members from outsiders when residuals are normal.

The area under the ROC curve and the advantage of the best threshold depend on the gap relative to the losses. On a
balanced design under ridge regression and mixup they are in closed form. These are claims of the chapter
`membership`; training as there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp
from scipy.special import ndtr

from mixtheory.domain import DomainError, check_count, check_positive, is_symbolic
from mixtheory.evidence import Claim, Derivation, Mean, beta, cases, gaussian, predicts, scalar, simulates
from mixtheory.theory import _membership_linear_routes as routes
from mixtheory.theory import least_squares as ls
from mixtheory.theory import membership
from mixtheory.theory import mixing_moments as mm

__all__ = ["balanced_auc", "gaussian_advantage", "gaussian_auc"]

ALPHA, LAM, RIDGE = mm.ALPHA, mm.LAM, ls.RIDGE


def gaussian_auc(member: Any, outsider: Any, covariance: Any = 0) -> Any:
    r"""Area under the ROC curve of the squared residual as a score, for centred normal residuals.

    1/2 + arcsin(w)/pi with w = (outsider - member) / sqrt((outsider + member)^2 - 4 covariance^2): without
    covariance the gap over the sum of the losses.

    Args:
        member: mean squared residual of a member, > 0.
        outsider: that of an outsider, > 0.
        covariance: of the two residuals, 0 where they come from separate fits; its square is below the product.

    Returns:
        The probability that the outsider has the larger loss, in (0, 1).

    Raises:
        DomainError: variances that are not positive, a covariance too large for them.

    >>> round(gaussian_auc(0.9, 1.1), 4)
    0.5319
    """
    check_positive(member, "member")
    check_positive(outsider, "outsider")
    numbers = not is_symbolic(member, outsider, covariance)
    if numbers and not np.all(np.asarray(covariance) ** 2 < np.asarray(member) * outsider):
        raise DomainError(f"covariance = {covariance!r}: its square must be below member * outsider")
    if numbers:
        w = np.subtract(outsider, member) / np.sqrt(np.add(outsider, member) ** 2 - 4 * np.square(covariance))
        return (0.5 + np.arcsin(w) / np.pi) if np.ndim(w) else float(0.5 + np.arcsin(w) / np.pi)
    w = (outsider - member) / sp.sqrt(sp.expand((outsider + member) ** 2 - 4 * covariance**2)) if covariance else (
        sp.cancel((outsider - member) / (outsider + member)))
    return sp.Rational(1, 2) + sp.asin(w) / sp.pi


def gaussian_advantage(relative_gap: Any) -> Any:
    r"""Largest P(loss < t | member) - P(loss < t | outsider) over thresholds t, for centred normal residuals.

    2 (Phi(kappa) - Phi(kappa/r)) with r = sqrt((1 + w)/(1 - w)) and kappa = sqrt(2 ln r / (1 - r^-2)).

    Args:
        relative_gap: w in [0, 1), the gap over the sum of the losses of members and outsiders.

    Returns:
        The advantage of the best threshold, in [0, 1).

    Raises:
        DomainError: w outside [0, 1).

    >>> round(gaussian_advantage(0.1), 4)
    0.0485
    """
    w = relative_gap
    if is_symbolic(w):
        r = sp.sqrt(sp.factor(sp.cancel((1 + w) / (1 - w))))
        kappa = sp.sqrt(2 * sp.log(r) / (1 - r**-2))
        return sp.erf(kappa / sp.sqrt(2)) - sp.erf(kappa / r / sp.sqrt(2))
    value = np.asarray(w, dtype=float)
    if not np.all((value >= 0) & (value < 1)):
        raise DomainError(f"relative_gap = {w!r}: must lie in [0, 1)")
    log_r = np.arctanh(value)
    with np.errstate(invalid="ignore"):
        kappa = np.where(value > 0, np.sqrt(2 * log_r / -np.expm1(-2 * log_r)), 1.0)
    result = 2 * (ndtr(kappa) - ndtr(kappa * np.exp(-log_r)))
    return result if result.ndim else float(result)


def balanced_auc(alpha: Any, ridge: Any, n: Any, p: Any, signal: Any = 0.0) -> Any:
    """AUC of the loss against ridge regression under mixup on a balanced design with normal noise and slopes.

    1/2 + arcsin(w)/pi, w = h/(1 - h + q + B), h = (1 + k p)/n, q = (1 + k^2 p)/n, B = (1 - k)^2 signal, k = s/(s +
    ridge). All leverages are equal: p orthogonal columns of mean 0 whose entries are +-1. Residuals are pooled over
    many fits.

    Args:
        alpha: in [0, inf].
        ridge: see `ridge_degrees_of_freedom`.
        n: points, more than p.
        p: features, at least 1.
        signal: variance of the mean targets over that of the noise, >= 0.

    Returns:
        The probability that an outsider has a larger loss than a member.

    Raises:
        DomainError: n <= p, a negative signal, arguments outside their domains.

    >>> round(balanced_auc(1.0, 0.2, 32, 9), 4)
    0.5839
    """
    check_count(p, "p", least=1)
    check_count(n, "n", least=2 if is_symbolic(n, p) else int(p) + 1)
    if not is_symbolic(signal) and not (np.isfinite(signal) and signal >= 0):
        raise DomainError(f"signal = {signal!r}: must be finite and at least 0")
    s = mm.shrinkage(alpha)
    k = s / (s + ls.check_ridge(ridge))
    h, q, lost = (1 + k * p) / n, (1 + k**2 * p) / n, (1 - k) ** 2 * signal
    return gaussian_auc(1 - 2 * h + q + lost, 1 + q + lost)


# --- derivations --------------------------------------------------------------------------------------------

def derive_auc() -> Derivation:
    """Two normal variables have one sign on a sector of the plane, and |X| > |Y| says that of X - Y and X + Y."""
    b, a, c = sp.symbols("b^2 a^2 c", positive=True)
    x, y, r, angle = sp.symbols("X Y r phi", real=True)
    law = gaussian((x, y), [[a, c], [c, b]])
    correlation = Mean((x - y) * (x + y), law) / sp.sqrt(Mean((x - y) ** 2, law) * Mean((x + y) ** 2, law))
    d = Derivation(r"\Pr(|X| > |Y|)",
                   sp.Integral(2 * r * sp.exp(-r**2 / 2) / (2 * sp.pi), (r, 0, sp.oo),
                               (angle, -sp.asin(correlation), sp.pi / 2)),
                   {"member": b, "outsider": a, "covariance": c})
    d = d.equals(sp.asin(correlation) / sp.pi + sp.Rational(1, 2),
                 "X^2 > Y^2 where X - Y and X + Y have one sign; scaled to variance 1 they are r cos(phi) and "
                 "r sin(phi + arcsin of their correlation): two opposite sectors of the plane")
    return d.equals(gaussian_auc(b, a, c), "the correlation of X - Y and X + Y")


def derive_advantage() -> Derivation:
    """The advantage is the area between the two densities where the members' is the larger one."""
    r, x = 1 + sp.Symbol("nu", positive=True), sp.Symbol("x", real=True)
    inner, outer = (sp.exp(-x**2 / (2 * v)) / sp.sqrt(2 * sp.pi * v) for v in (sp.S.One, r**2))
    edge = sp.sqrt(2 * sp.log(r) / (1 - r**-2))
    d = Derivation(r"\mathrm{Adv}", sp.Integral(sp.Max(0, inner - outer), (x, -sp.oo, sp.oo)),
                   {"relative_gap": (r**2 - 1) / (r**2 + 1)})
    d = d.appeal(sp.Integral(inner - outer, (x, -edge, edge)),
                 "the best test accepts where the members' density is the larger one (Neyman and Pearson); residuals "
                 "in units of the members' standard deviation, r = 1 + nu is that of outsiders, and the two cross "
                 "where x^2 (1 - r^-2) = 2 ln r")
    return d.equals(gaussian_advantage(d.parameters["relative_gap"]), "normal laws of variances 1 and r^2")


def derive_balanced() -> Derivation:
    """Variances of the residuals in the eigenbasis, each shared equally by the n points."""
    n, p, B = sp.symbols("n p B_0", positive=True)
    e, fresh, b = sp.symbols("e e' b", real=True)
    laws = scalar(e, 0, 1), scalar(fresh, 0, 1), scalar(b, 0, n * B / p)
    m = membership.mixed_variance(sp.S.One, False)
    k = m / (m + RIDGE)

    def losses(share: Any, bias: Any) -> tuple[Any, Any]:
        return Mean(((1 - share) * (bias + e)) ** 2, *laws), Mean((fresh - share * e + (1 - share) * bias) ** 2, *laws)

    parts = [(1, losses(1, 0)), (p, losses(k, b)), (n - 1 - p, losses(0, 0))]
    member, outsider = (sum(count * pair[which] for count, pair in parts) / n for which in (0, 1))
    w = routes.Value((outsider - member) / (outsider + member))
    d = Derivation(r"\mathrm{AUC}", sp.Rational(1, 2) + sp.asin(w) / sp.pi,
                   {"alpha": ALPHA, "ridge": RIDGE, "n": n, "p": p, "signal": B})
    S = Mean(ls.SHARES, beta(LAM, ALPHA))
    k = S / (S + RIDGE)
    h, q, lost = (1 + k * p) / n, (1 + k**2 * p) / n, (1 - k) ** 2 * B
    d = d.equals(sp.Rational(1, 2) + sp.asin(routes.Value(h / (1 - h + q + lost))) / sp.pi,
                 "the constant is fitted wholly, p coordinates of signal and noise to the share k, the others not; "
                 "on a balanced design every point has 1/n of the sum", claim="membership.auc_gaussian")
    return d.equals(balanced_auc(ALPHA, RIDGE, n, p, B), "the share k of an eigenvalue 1",
                    claim="mixing_moments.shrinkage")


# --- claims -------------------------------------------------------------------------------------------------

AUC = Claim(
    id="membership.auc_gaussian", title="For normal residuals the AUC is an arcsine",
    statement=r"\Pr(X^2 > Y^2) = \frac12 + \frac1\pi\arcsin\frac{a^2 - b^2}{\sqrt{(a^2+b^2)^2 - 4c^2}},\quad "
              r"X \sim N(0, a^2),\ Y \sim N(0, b^2)",
    assumptions=("residuals of members ($Y$) and outsiders ($X$) are jointly normal with mean 0 and covariance $c$",
                 "the loss is the squared residual"),
    fails_when="the residuals are not normal, or their variances differ from point to point: then average over them",
    predict=gaussian_auc, derive=derive_auc, exact=routes.compared, simulate=routes.drawn_comparison,
    cases=cases(member=(0.8, 1.0), outsider=(1.3, 2.7), covariance=(0.0, 0.55)),
    scale=lambda value, **_: value - 0.5,
    wrong={"as if the losses were normal": predicts(
               lambda member, outsider, covariance: ndtr((outsider - member) / np.sqrt(
                   2 * member**2 + 2 * outsider**2)), symbolic=False),
           "the gap, not the relative gap": predicts(
               lambda member, outsider, covariance: 0.5 + np.arctan(outsider - member) / np.pi, symbolic=False),
           "the covariance forgotten": predicts(lambda member, outsider, covariance: gaussian_auc(member, outsider)),
           "drawn apart": simulates(
               lambda size, *, rng, **case: routes.drawn_comparison(size, rng=rng, apart=True, **case))},
    references=(membership.ATTACK,))
ADVANTAGE = Claim(
    id="membership.advantage_gaussian", title="The advantage of the best threshold on a normal residual",
    statement=r"\mathrm{Adv} = 2\bigl(\Phi(\kappa) - \Phi(\kappa/r)\bigr),\quad r^2 = \frac{1+w}{1-w},\quad "
              r"\kappa^2 = \frac{2\ln r}{1 - r^{-2}}",
    assumptions=("centred normal residuals", "$w$ is the gap over the sum of the two mean losses",
                 "the attacker knows the best threshold"),
    fails_when="the residuals are not normal",
    predict=gaussian_advantage, derive=derive_advantage, exact=routes.best_threshold,
    cases=cases(relative_gap=(0.01, 0.13, 0.5, 0.9)),
    wrong={"threshold of one standard deviation": predicts(
               lambda relative_gap: 2 * (ndtr(1.0) - ndtr(np.sqrt((1 - relative_gap) / (1 + relative_gap)))),
               symbolic=False),
           "twice the AUC less one": predicts(lambda relative_gap: 2 * gaussian_auc(
               1 - relative_gap, 1 + relative_gap) - 1)},
    references=(membership.ATTACK,))
BALANCED = Claim(
    id="membership.auc_balanced", title="The AUC of the loss against ridge under mixup",
    statement=r"\mathrm{AUC} = \frac12 + \frac1\pi\arcsin\frac{h}{1-h+q+B},\quad k = \frac{s}{s+\varrho},\ "
              r"h = \frac{1+kp}{n},\ q = \frac{1+k^2p}{n},\ B = (1-k)^2\,\mathrm{snr}",
    assumptions=("a balanced design: $p$ orthogonal columns of $\\pm1$, each of mean 0",
                 membership.PENALTY,
                 "normal noise, slopes drawn from $N(0, \\tau^2 I)$, $\\mathrm{snr} = p\\tau^2/\\sigma^2$",
                 "losses pooled over many fits: member and outsider come from separate ones"),
    fails_when="leverages differ between points; within one fit of ridge the two residuals are slightly correlated "
               "(membership.auc_gaussian with $c \\neq 0$)",
    predict=balanced_auc, derive=derive_balanced, exact=routes.enumerated_auc, simulate=routes.drawn_auc,
    cases=(*cases(alpha=(0.37, np.inf), ridge=0.6, n=16, p=9, signal=(0.0, 2.0)),
           {"alpha": 1.0, "ridge": 0.2, "n": 32, "p": 9, "signal": 0.0}),
    scale=lambda value, **_: value - 0.5, resolution=0.08,
    wrong={"the ridge unmixed": predicts(lambda alpha, ridge, n, p, signal: balanced_auc(0, ridge, n, p, signal)),
           "the gap for the relative gap": predicts(
               lambda alpha, ridge, n, p, signal: 0.5 + np.arctan(2 * (1 + mm.shrinkage(alpha) * p / (
                   mm.shrinkage(alpha) + ridge)) / n) / np.pi, symbolic=False),
           "outsiders that are members": simulates(
               lambda size, *, rng, **case: routes.drawn_auc(size, rng=rng, both_members=True, **case))},
    references=(membership.ATTACK, membership.OPTIMISM), experiment="membership_linear")
