r"""Least squares by training on mixed data: gradient descent, gradient flow, SGD with weight decay.

Mixing slows the training of centred data by s, which is all that early stopping can see of it; against a
decay it acts as a larger ridge. The claims belong to the chapter `least_squares`, where the notation is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp

from mixtheory.domain import DomainError, check_count, check_member, check_positive, is_symbolic
from mixtheory.evidence import Claim, Derivation, Mean, MomentLaw, beta, cases, predicts
from mixtheory.mixup import blend
from mixtheory.pairing import PAIRINGS
from mixtheory.theory import _least_squares_routes as routes
from mixtheory.theory import least_squares as ls
from mixtheory.theory import mixing_moments as mm
from mixtheory.theory._least_squares_data import (
    Data,
    members,
    moments,
    packed,
    pair_of,
    ridge_solution,
    symbolic_moments,
)

__all__ = ["batch_factor", "gradient_descent", "gradient_flow", "weight_decay"]

ALPHA, LAM, N, RIDGE, SHARES, S_SHRINK = ls.ALPHA, ls.LAM, ls.N, ls.RIDGE, ls.SHARES, ls.S_SHRINK
ETA, TIME, B = (sp.Symbol("eta", positive=True), sp.Symbol("t", positive=True),
                sp.Symbol("B", integer=True, positive=True))
STEPS = sp.Symbol("t", integer=True, positive=True)


def gradient_descent(alpha: Any, eta: Any, steps: Any, data: Data) -> Any:
    """Gradient descent on the mixup risk of centred data, from w = 0: plain descent at the rate s eta.

    Along an eigenvector of C with eigenvalue k: w_t = (1 - (1 - s eta k)^t) c / k.

    Args:
        alpha: in [0, inf].
        eta: learning rate > 0.
        steps: number t of steps, an integer >= 0 or an array of them.
        data: see the module; scalar targets, centred first; C invertible.

    Returns:
        (p,) or (len(steps), p) slopes after those steps.

    Raises:
        DomainError: eta not positive, C singular.
    """
    rate = check_positive(eta, "eta") * mm.shrinkage(alpha)
    return _along_modes(data, steps, lambda k, t: 1 - (1 - rate * k) ** t)


def gradient_flow(alpha: Any, time: Any, data: Data) -> Any:
    """Gradient flow on the mixup risk of centred data, from w = 0: plain flow at s times the time.

    So stopping early at t is stopping plain training at s t. Along an eigenvector of C with eigenvalue k:
    w(t) = (1 - exp(-s k t)) c / k. Arguments, returns and errors as in `gradient_descent`, with real times >=
    0.
    """
    s = mm.shrinkage(alpha)
    return _along_modes(data, time, lambda k, t: 1 - (sp.exp if is_symbolic(t) else np.exp)(-s * k * t))


def batch_factor(alpha: Any, batch: Any, pairing: str | None, n: Any = None) -> Any:
    """Factor on the mean covariance of the rows of a mixed batch about the mean of the data set.

    1/B + (1 - 1/B) f where an example can meet itself (`permutation`, `independent`), f where it cannot
    (`roll`, `flip`, `derangement`); f = s for rows drawn with replacement, s_n without. Sharing of lambda is
    free.

    Args:
        alpha: in [0, inf].
        batch: number B of rows, at least 2 (even with flip).
        pairing: a pairing of the batch, or None for partners drawn from the whole data set: then it is s.
        n: None for rows drawn with replacement; the number of points, at least B, for rows drawn without.

    Returns:
        A dimensionless factor: s exactly with pairing None, and with replacement and no self-pairs.

    Raises:
        DomainError: unknown pairing, batch < 2 or odd with flip, n < batch, alpha outside its domain.
    """
    if pairing is None:
        return ls.pair_factor(alpha)
    check_member(pairing, PAIRINGS, "pairing")
    check_count(batch, "batch", even="flip pairs example i with B - 1 - i" if pairing == "flip" else None)
    if n is not None and not is_symbolic(n, batch):
        check_count(n, "n", least=int(batch))
    f = ls.pair_factor(alpha, n)
    return 1 / batch + (1 - 1 / batch) * f if pairing in ("permutation", "independent") else f


def weight_decay(alpha: Any, ridge: Any, data: Data, batch: Any = 2, pairing: str | None = None,
                 replace: bool = True) -> Any:
    """Mean of the stationary distribution of SGD with coupled weight decay on freshly mixed batches.

    It is ridge regression at ridge / `batch_factor`: at ridge / s exactly for partners drawn from the whole
    data set, or rows drawn with replacement where nobody meets himself. Step: theta <- theta - eta (g~ +
    ridge w), on slopes and a free intercept, with a batch that does not depend on the past and a stable eta,
    which drops out.

    Args:
        alpha: see `least_squares.effective_ridge`.
        ridge: see `least_squares.effective_ridge`.
        data: see the module.
        batch: see `batch_factor`.
        pairing: see `batch_factor`.
        replace: whether the rows of a batch are drawn with replacement.

    Returns:
        (p + 1,) intercept and slopes.

    Raises:
        DomainError: see `batch_factor` and `effective_ridge`.
    """
    d = moments(data)
    return ridge_solution(d, ls.check_ridge(ridge) / batch_factor(alpha, batch, pairing,
                                                                  None if replace else d.n))


def _along_modes(data: Data, t: Any, reached: Callable[[Any, Any], Any]) -> Any:
    """The share `reached(k, t)` of the least-squares solution along each eigenvector; symbols: C diagonal."""
    d = moments(data)
    k, U = (np.diag(d.C), np.eye(len(d.C), dtype=object)) if d.C.dtype == object else np.linalg.eigh(d.C)
    if not is_symbolic(*k) and k.min() <= 1e-12 * k.max():
        raise DomainError(f"C with eigenvalues {k}: must be invertible")
    share = (np.array([reached(curvature, t) for curvature in k], dtype=object) if is_symbolic(t)
             else reached(k, np.asarray(t)[..., None]))
    return packed((share * (U.T @ d.c) / k) @ U.T)


# --- derivations --------------------------------------------------------------------------------------------

def derive_descent() -> Derivation:
    """Induction over the steps: one mixup step from the iterate before gives this one."""
    d = symbolic_moments(1, centred=True)
    ((C,),), (c,) = d.C, d.c
    (x_i,), y_i, (x_j,), y_j, pair = pair_of(d)
    x, y, lam = blend(LAM, x_i, x_j), blend(LAM, y_i, y_j), beta(LAM, ALPHA)
    (before,) = gradient_descent(ALPHA, ETA, STEPS - 1, d)
    step = Derivation("w_t", sp.Matrix([before - ETA * Mean(x * (x * before - y), pair, lam)]),
                      {"alpha": ALPHA, "eta": ETA, "steps": STEPS, "data": d})
    step = step.equals(sp.Matrix([before - ETA * Mean(SHARES, lam) * (C * before - c)]),
                       "one step along an eigenvector of C; both covariances shrink by the same factor")
    step = step.equals(sp.Matrix([before - mm.shrinkage(ALPHA) * ETA * (C * before - c)]),
                       "a plain step at the rate s eta", claim=S_SHRINK)
    return step.equals(gradient_descent(ALPHA, ETA, STEPS, d), "the geometric sum, by induction from w = 0")


def derive_flow() -> Derivation:
    """The closed form solves the integral equation of the flow, which has one solution."""
    d = symbolic_moments(1, centred=True)
    ((C,),), (c,) = d.C, d.c
    (x_i,), y_i, (x_j,), y_j, pair = pair_of(d)
    x, y, lam, tau = blend(LAM, x_i, x_j), blend(LAM, y_i, y_j), beta(LAM, ALPHA), sp.Symbol("tau",
                                                                                             positive=True)
    (then,) = gradient_flow(ALPHA, tau, d)
    step = Derivation("w(t)", sp.Matrix([sp.Integral(Mean(x * (y - x * then), pair, lam), (tau, 0, TIME))]),
                      {"alpha": ALPHA, "time": TIME, "data": d})
    step = step.equals(sp.Matrix([sp.Integral(mm.shrinkage(ALPHA) * (c - C * then), (tau, 0, TIME))]),
                       "along an eigenvector of C both covariances shrink by s: plain flow, s times as fast",
                       claim=S_SHRINK)
    return step.equals(gradient_flow(ALPHA, TIME, d), "the exponential solves the integral equation")


def derive_batch_factor() -> Derivation:
    """A permutation of a batch drawn without replacement: with probability 1/B an example meets itself."""
    C, x, x_i, x_j = sp.Symbol("C", positive=True), *sp.symbols("x x_i x_j", real=True)
    lam = beta(LAM, ALPHA)
    pair = members(((x_i,), (x_j,)), lambda powers: (sp.S.One, sp.S.Zero, C)[powers[0]], N)
    alone = MomentLaw((x,), lambda powers: (sp.S.One, sp.S.Zero, C)[powers[0]])
    step = Derivation("f", Mean(blend(LAM, x, x)**2, alone, lam) / (B * C)
                      + (1 - 1 / B) * Mean(blend(LAM, x_i, x_j)**2, pair, lam) / C,
                      {"alpha": ALPHA, "batch": B, "pairing": "permutation", "n": N})
    step = step.equals(1 / B + (1 - 1 / B) * (N * Mean(SHARES, lam) - 1) / (N - 1),
                       "mixed with itself an example stays; otherwise the two are distinct members of n")
    return step.equals(batch_factor(ALPHA, B, "permutation", N), "the shrinkage factor", claim=S_SHRINK)


def derive_weight_decay() -> Derivation:
    """A batch independent of the past moves the mean iterate by the mean step: look for its fixed point."""
    d = symbolic_moments(1)
    b, w = sp.symbols("b w", real=True)
    ((C,),), (m,) = d.C, d.mean
    d = d._replace(mean_y=b + m * w, c=np.array([(C + RIDGE / mm.shrinkage(ALPHA)) * w], dtype=object))
    (x_i,), y_i, (x_j,), y_j, pair = pair_of(d)
    x, y, lam = blend(LAM, x_i, x_j), blend(LAM, y_i, y_j), beta(LAM, ALPHA)
    error = b + w * x - y
    step = Derivation(r"(\bar b, \bar w)", sp.Matrix([b - ETA * Mean(error, pair, lam),
                                                      w - ETA * (Mean(x * error, pair, lam) + RIDGE * w)]),
                      {"alpha": ALPHA, "ridge": RIDGE, "data": d})
    step = step.equals(sp.Matrix([b, w - ETA * (Mean(SHARES, lam) * (C * w - d.c[0]) + RIDGE * w)]),
                       "the mean of one step from mean (b, w): m_y = b + m w, and covariances shrink by E S")
    return step.equals(weight_decay(ALPHA, RIDGE, d),
                       "c = (C + ridge / s) w makes it a fixed point, the only one of a stable affine map",
                       claim=S_SHRINK)


# --- claims -------------------------------------------------------------------------------------------------

DESCENT = Claim(
    id="least_squares.gradient_descent", title="Mixing slows gradient descent by s",
    statement=r"w^{\mathrm{mix}}_t(\eta) = w^{\mathrm{ERM}}_t(s\,\eta)\quad\text{for every } t",
    assumptions=("centred features and targets, start at $w = 0$",
                 "full gradient of the exact mixup risk, all pairs"),
    fails_when="the features are not centred and there is no intercept: the direction of the mean is not "
               "slowed",
    predict=gradient_descent, derive=derive_descent, exact=routes.run_gradient_descent,
    cases=cases(alpha=ls.ALPHAS, eta=(0.05, 0.3), steps=np.arange(40), data="skewed"),
    wrong={"the same rate": predicts(lambda alpha, eta, steps, data: gradient_descent(0, eta, steps, data)),
           "the rate eta / s": predicts(lambda alpha, eta, steps, data: gradient_descent(
               0, eta / mm.shrinkage(alpha), steps, data))})
FLOW = Claim(
    id="least_squares.gradient_flow", title="Early stopping at t is plain early stopping at s t",
    statement=r"w^{\mathrm{mix}}(t) = w^{\mathrm{ERM}}(s\,t)",
    assumptions=("centred features and targets, start at $w = 0$",
                 "gradient flow on the exact mixup risk, all pairs"),
    fails_when="the features are not centred and there is no intercept",
    predict=gradient_flow, derive=derive_flow, exact=routes.run_gradient_flow,
    cases=cases(alpha=ls.ALPHAS, time=np.array([0.0, 0.1, 0.9, 4.0]), data="skewed"),
    wrong={"the same time": predicts(lambda alpha, time, data: gradient_flow(0, time, data)),
           "time t / s": predicts(
               lambda alpha, time, data: gradient_flow(0, time / mm.shrinkage(alpha), data))})

BATCH_FACTOR = Claim(
    id="least_squares.batch_factor", title="Which sampling of batches makes the factor exactly s",
    statement=r"\frac{\mathbb{E}\,\tfrac1B\sum_b (\tilde x_b - m)(\tilde x_b - m)^\top}{C} = p + "
              r"(1-p)\,f,\quad "
              r"f = \begin{cases} s & \text{rows with replacement} \\ \frac{ns-1}{n-1} & "
              r"\text{without}\end{cases},\quad "
              r"p = \begin{cases} \frac1B & \text{permutation, independent} \\ 0 & \text{roll, flip, "
              r"derangement}"
              r"\end{cases}",
    assumptions=("the rows of a batch are a uniform ordered sample of the data set, partners come from the "
                 "batch",
                 "any sharing of $\\lambda$; for partners from the whole data set the factor is $s$"),
    fails_when="the covariance is taken about the mean of the mixed batch (covariance chapter)",
    predict=batch_factor, derive=derive_batch_factor, exact=routes.enumerated_factor,
    cases=(*cases(alpha=(0.37, 1.0, np.inf), batch=3,
                  pairing=("permutation", "independent", "roll", "derangement", None)),
           *cases(alpha=1.0, batch=(2, 4), pairing=("permutation", "roll", "flip"), n=(4, 5))),
    wrong={"always s": predicts(lambda alpha, batch, pairing, n=None: mm.shrinkage(alpha)),
           "self-pairs forgotten": predicts(lambda alpha, batch, pairing, n=None: ls.pair_factor(alpha, n)),
           "without replacement forgotten": predicts(lambda alpha, batch, pairing, n=None: batch_factor(
               alpha, batch, pairing))})
WEIGHT_DECAY = Claim(
    id="least_squares.weight_decay", title="SGD with weight decay settles at ridge strength over s",
    statement=r"\mathbb{E}_\infty[w] = \Bigl(C + \frac{\varrho}{f}\,I\Bigr)^{-1} c,\quad "
              r"f = s \text{ for partners drawn from all data, else least\_squares.batch\_factor}",
    assumptions=("coupled decay on the slopes, free intercept, constant step size with stable second moments",
                 "every batch, its partners and its $\\lambda$ independent of the past",
                 "squared error, so that a step is an affine map of the parameters"),
    fails_when="decay is decoupled from an adaptive step (AdamW), or batches of an epoch exclude one another",
    predict=weight_decay, derive=derive_weight_decay, exact=routes.stationary_mean,
    cases=(*cases(alpha=(0.0, 0.37, 1.0, np.inf), ridge=0.5, data="tiny"),
           *cases(alpha=0.37, ridge=0.1, data="tiny", batch=2, pairing=("roll", "flip", "permutation"),
                  replace=(True, False))),
    wrong={"ridge": predicts(lambda alpha, ridge, data, batch=2, pairing=None, replace=True: ridge_solution(
               moments(data), ridge)),
           "ridge times s": predicts(
               lambda alpha, ridge, data, batch=2, pairing=None, replace=True: ridge_solution(
               moments(data), ridge * mm.shrinkage(alpha))),
           "decoupled from a preconditioner": predicts(
               lambda alpha, ridge, data, batch=2, pairing=None, replace=True: routes.stationary_mean(
                   alpha, ridge, data, batch, pairing, replace, decoupled=True), symbolic=False)},
    references=("hoerl1970ridge: ridge regression (from memory)",), experiment="least_squares")
