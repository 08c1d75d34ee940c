r"""Logistic regression on two Gaussian classes: mixup narrows the gap between fresh losses and members' losses.

The model is that of `gaussian_logistic`: n records, half the distance of the means m, d dimensions and an intercept.
Numbers are n times a leading term, by quadrature of the formula in `membership_gap`. Most of what mixup does to the gap
is to shrink the logits of all records alike. What that means for an attack is in `membership_attack`.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
import sympy as sp
from scipy.special import expit

from mixtheory.domain import check_alpha, check_count, check_positive, is_symbolic
from mixtheory.evidence import Claim, Derivation, Mean, cases, gaussian, predicts, scalar
from mixtheory.mixing import symmetric
from mixtheory.theory import _membership_logistic_routes as routes
from mixtheory.theory import gaussian_logistic as model
from mixtheory.theory import mixing_moments as mm

__all__ = ["Traces", "gap_erm", "gap_logistic", "psi", "rescaled_erm", "traces"]

NODES, REACH, STEP = 32, 9.0, 0.1       # of lambda; of the Gaussians: exact to rounding for slopes up to 6
ALPHA, M, D, N = mm.ALPHA, sp.Symbol("m", positive=True), sp.Symbol("d", positive=True), sp.Symbol("n", positive=True)
YEOM = "yeom2018privacy: the attack by a threshold on the loss (from memory)"
EFRON = "efron1975lda: the model (from memory)"


def psi(alpha: float, m: float, x: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Components of psi of a record of class 1: along the intercept, along e_1, and per unit of any other coordinate.

    Args:
        alpha: in [0, inf].
        m: half the distance of the means in standard deviations, in (0, 5].
        x: (k,) coordinates along e_1.

    Returns:
        Three arrays (k,): 2 E e, 2 E e x~ and 2 E lambda e, with e the mixed prediction less the mixed label. Class 0
        at -x has -psi_0, psi_1 and -a.

    Raises:
        DomainError: arguments outside these domains.
    """
    t, x = model.slope(float(check_alpha(alpha)), m), np.atleast_1d(np.asarray(x, dtype=float))
    lam, share = symmetric(alpha).quadrature(nodes=NODES)
    z, w = model.normal_rule(REACH, STEP)
    first, second, other = np.zeros((3, len(x)))
    for p, weight in zip(lam, share, strict=True):
        for side in (1, -1):                                    # the partner's class, each with probability 1/2
            mixed = p * x[:, None] + (1 - p) * (side * m + z)
            e = expit(t * mixed) - (p + (1 - p) * (side == 1))
            first += weight * (e @ w)
            second += weight * ((e * mixed) @ w)
            other += weight * p * (e @ w)
    return first, second, other


class Traces(NamedTuple):
    """The means from which gap and AUC are made; numbers, or symbols where alpha or m is one.

    Attributes:
        t: slope of the population's minimiser.
        H_0: Hessian along the intercept.
        H_1: along e_1.
        H_p: along each other coordinate.
        K_0: E psi_0 g, with g the prediction less the label at the record.
        K_1: E psi_1 g x_1.
        K_p: E a g.
        R_0: E psi_0 at x_1 ~ N(m, 1/2).
        R_1: E psi_1 x_1 there, which cancels.
        R_p: E a there.
    """

    t: Any
    H_0: Any
    H_1: Any
    H_p: Any
    K_0: Any
    K_1: Any
    K_p: Any
    R_0: Any
    R_1: Any
    R_p: Any


def traces(alpha: Any, m: Any) -> Traces:
    """All means that the formulas need, by quadrature; symbols on symbols. Arguments as in `psi`."""
    if is_symbolic(alpha, m):
        return Traces(sp.Symbol("t", positive=True), *sp.symbols(r"H_0 H_1 H_\perp", positive=True), *(
            sp.Symbol(rf"\mathbb{{E}}[{name}]", real=True) for name in (r"\psi_0 g", r"\psi_1 g x_1", "a g")), *(
            sp.Symbol(rf"\mathbb{{E}}_{{1/2}}[{name}]", real=True) for name in (r"\psi_0", r"\psi_1 x_1", "a")))
    return _traces(float(alpha), float(m))


@functools.lru_cache(512)
def _traces(alpha: float, m: float) -> Traces:
    t, (z, w) = model.slope(alpha, m), model.normal_rule(REACH, STEP)
    p0, p1, a = psi(alpha, m, m + z)
    g = expit(t * (m + z)) - 1
    weight, x, _, S = model.mixed(alpha, m)
    curvature = weight * expit(t * x) * expit(-t * x)
    r0, r1, ra = psi(alpha, m, m + z / np.sqrt(2))
    return Traces(t, *(float(v) for v in (
        curvature.sum(), curvature @ x**2, curvature @ S, w @ (p0 * g), w @ (p1 * g * (m + z)), w @ (a * g),
        w @ r0, w @ (r1 * (m + z / np.sqrt(2))), w @ ra)))


def gap_logistic(alpha: Any, m: Any, d: Any, n: Any = None) -> Any:
    """n times the gap of the log loss between fresh records and members, to leading order.

    Args:
        alpha: in [0, inf].
        m: half the distance of the means in standard deviations, in (0, 5].
        d: dimension, at least 1; the model has d + 1 parameters.
        n: number of records; does not matter to leading order.

    Returns:
        n times the gap in nats; d + 1 without mixup.

    Raises:
        DomainError: arguments outside these domains.
    """
    check_count(d, "d", 1)
    v = traces(alpha, m)
    return v.K_0 / v.H_0 + v.K_1 / v.H_1 + (d - 1) * v.K_p / v.H_p


def gap_erm(d: Any, m: Any = None, n: Any = None) -> Any:
    """d + 1: n times the gap without mixup, one for each parameter. d: dimension, at least 1; m, n do not matter."""
    return check_count(d, "d", 1) + 1


def rescaled_erm(d: Any, c: Any, m: Any = None, n: Any = None) -> Any:
    """c (d + 1): n times the gap without mixup when all logits are multiplied by c after training.

    Args:
        d: dimension, at least 1.
        c: factor > 0 (one over a temperature); c = slope(alpha, m) / (2 m) has the norm of the mixup model.
        m: does not matter.
        n: does not matter to leading order.

    Raises:
        DomainError: c not positive, d < 1.
    """
    check_count(d, "d", 1)
    return check_positive(c, "c") * (d + 1)


def _labelled() -> tuple[sp.Symbol, sp.Symbol, Any]:
    p, y = sp.Symbol("p", positive=True), sp.Symbol("y", real=True)
    return p, y, scalar(y, p, p)


def derive_gap() -> Derivation:
    """The Hessian and E psi grad^T are diagonal; the coordinates other than the first are alike."""
    v, x_j = traces(ALPHA, M), sp.Symbol("x_j", real=True)
    j = sp.Symbol("j", integer=True)
    term = Mean(x_j**2, gaussian((x_j,), [[1]])) * v.K_p / v.H_p
    d = Derivation(r"n\cdot\text{gap}", sp.Symbol(
        r"\operatorname{tr}\left(H^{-1}\mathbb{E}[\psi\,\nabla\ell^\top]\right)"),
        {"alpha": ALPHA, "m": M, "d": D, "n": N})
    d = d.appeal(v.K_0 / v.H_0 + v.K_1 / v.H_1 + sp.Sum(term, (j, 2, D)),
                 r"$H$ is diagonal: reflections leave the model as it is; $\psi_j = x_j a$ and $\nabla_j\ell = x_j g$ "
                 r"with $x_j \sim N(0, 1)$ independent of $x_1$ and $y$", claim="membership.gap")
    return d.equals(gap_logistic(ALPHA, M, D), r"$\mathbb{E}x_j^2 = 1$, and $d - 1$ such coordinates")


def derive_erm() -> Derivation:
    """The model is true: the covariance of the gradient is the Hessian."""
    d = derive_rescaled(sp.S.One)
    return Derivation(d.name, d.start, {"d": D, "m": M, "n": N}, d.steps[:1]).equals(
        gap_erm(D), r"the model is true: $\mathbb{E}[(p - y)^2 \mid x] = p(1 - p)$, hence the trace of the identity")


def derive_rescaled(c: Any = None) -> Derivation:
    """Given x, the two residuals multiply to p (1 - p), whatever the second prediction."""
    (p, y, law), q, c = _labelled(), sp.Symbol("p_c", positive=True), c or sp.Symbol("c", positive=True)
    other = p if c == 1 else q
    d = Derivation(r"n\cdot\text{gap}", sp.Symbol(
        r"\operatorname{tr}\left(H^{-1}\mathbb{E}[\psi\,\nabla q^\top]\right)"), {"d": D, "c": c, "m": M, "n": N})
    d = d.appeal(c * (D + 1) * Mean((p - y) * (other - y), law) / (p * (1 - p)),
                 r"without mixup $\psi = (p - y)\,x$, the score's gradient is " + ("" if c == 1 else r"$c$ times ")
                 + (r"$(p - y)\,x$" if c == 1 else r"$(p_c - y)\,x$")
                 + r" and $H = \mathbb{E}[p(1 - p)\,x x^\top]$; their ratio, given $x$, times $d + 1$ dimensions",
                 claim="membership.gap")
    return d.equals(rescaled_erm(D, c), r"$\mathbb{E}[(p - y)(p_c - y) \mid x] = p(1 - p)$ for every $p_c$")


def _clean(alpha: Any, m: Any, d: Any, n: Any = None) -> Any:
    """Wrong: tr(H^-1 C) of unmixed data at the mixup minimiser."""
    if is_symbolic(alpha, m):
        return d + 1
    t, (z, w) = model.slope(alpha, m), model.normal_rule(REACH, STEP)
    x = m + z
    h, c = expit(t * x) * expit(-t * x), expit(-t * x) ** 2
    return (w @ c) / (w @ h) * d + (w @ (c * x**2)) / (w @ (h * x**2))


SIZES = (400, 800, 1600)
GRID = cases(alpha=(0.0, 0.3, 1.0, 4.0), m=1.6, d=10, n=SIZES) + cases(alpha=1.0, m=1.0, d=(1, 5), n=SIZES)

GAP = Claim(
    id="membership.gap_logistic", title="Mixup narrows the loss gap of logistic regression", kind="asymptotic",
    statement=r"n\cdot\text{gap} = \frac{\mathbb{E}[\psi_0 g]}{H_0} + \frac{\mathbb{E}[\psi_1 g x_1]}{H_1} "
              r"+ (d - 1)\frac{\mathbb{E}[a g]}{H_\perp} + O(1/n)",
    assumptions=("two Gaussian classes with means $\\pm m e_1$ and covariance $I_d$, equal priors",
                 "logistic regression with an intercept, mixup over all pairs", "many more records than parameters"),
    fails_when="$n$ is not large against $d$: the next order is up to 10 % at $n = 100\\,d$",
    predict=gap_logistic, derive=derive_gap, exact=routes.exact_gap_logistic, cases=GRID, along=("n", -1.0),
    wrong={"unmixed data at the mixup minimiser": predicts(_clean),
           "each pair counted once": predicts(lambda alpha, m, d, n=None: gap_logistic(alpha, m, d) / 2),
           "mixup leaves the gap alone": predicts(lambda alpha, m, d, n=None: gap_erm(d)),
           "shrunk by s": predicts(lambda alpha, m, d, n=None: mm.shrinkage(alpha) * gap_erm(d))},
    references=(EFRON, YEOM, "konishi1996gic: the general form (from memory)"), experiment="membership")

GAP_ERM = Claim(
    id="membership.gap_erm", title="Without mixup the gap is the number of parameters over n", kind="asymptotic",
    statement=r"n\cdot\text{gap} = d + 1 + O(1/n)",
    assumptions=("no mixup", "logistic regression with an intercept, and the model is true", "many more records than "
                 "parameters"),
    fails_when="the model is wrong: then it is membership.gap without mixup, Takeuchi's trace",
    predict=gap_erm, derive=derive_erm, exact=routes.exact_gap_erm,
    cases=cases(d=(1, 5, 10), m=(0.7, 1.6), n=SIZES), along=("n", -1.0),
    wrong={"intercept forgotten": predicts(lambda d, m=None, n=None: d),
           "twice, as in least squares": predicts(lambda d, m=None, n=None: 2 * (d + 1))},
    references=("takeuchi1976tic: reduces to the number of parameters for a true model (from memory)", YEOM),
    experiment="membership")

RESCALED = Claim(
    id="membership.rescaled_erm", title="Shrinking the logits narrows the gap in proportion", kind="asymptotic",
    statement=r"n\cdot\text{gap} = c\,(d + 1) + O(1/n)",
    assumptions=("no mixup; after training all logits are multiplied by $c$", "the model is true"),
    fails_when="the model is wrong: then the residuals of the two predictions do not multiply to $p(1 - p)$",
    predict=rescaled_erm, derive=derive_rescaled, exact=routes.exact_rescaled,
    cases=cases(d=10, c=(0.35, 0.487, 2.0), m=(1.0, 1.6), n=SIZES), along=("n", -1.0),
    wrong={"c squared": predicts(lambda d, c, m=None, n=None: c**2 * (d + 1)),
           "no effect": predicts(lambda d, c, m=None, n=None: d + 1)},
    references=(YEOM,), experiment="membership")
