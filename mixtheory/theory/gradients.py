r"""The mean gradient under mixup, and what its noise is made of.

Given a mixed input, the mean gradient of a loss that is affine in its target is the gradient at the mean target
(`gradients_losses`). The mean target is not the label of any example, so this is not the gradient of the unmixed data;
and the spread of the targets at one input is noise that mixing adds. The rest of the chapter `gradients`:
`gradients_noise` (linear regression), `gradients_scale` (noise scale) and `gradients_logistic`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import sympy as sp
from scipy.special import expit

from mixtheory.domain import DomainError, check_alpha, check_finite, check_positive, check_probabilities, is_symbolic
from mixtheory.evidence import Claim, Derivation, Mean, cases, predicts, scalar, simulates
from mixtheory.mixing import symmetric
from mixtheory.theory import _gradients_toy_routes as routes
from mixtheory.theory import mixing_moments as mm
from mixtheory.theory._gradients_symbols import Variance

__all__ = ["Given", "conditional_mean_label", "gradient_split", "mixup_gradient", "total_noise"]

ALPHA = mm.ALPHA


class Given(NamedTuple):
    """What a gradient with d^2 loss / dz dy = -1 depends on, input by input: k mixed inputs, one output z.

    p: (k,) probabilities of the inputs. J: (k, d) dz/dparameters. error: (k,) d loss/dz at the mean target.
    variance: (k,) of the targets that meet at this input.
    """

    p: Any
    J: Any
    error: Any
    variance: Any


def gradient_split(given: Given) -> tuple[np.ndarray, np.ndarray]:
    """(between, within): the noise of gradients over inputs, and that of targets at one input; each (d, d).

    Cov(g) = Cov(E[g | x~]) + E[J^T Var(y~ | x~) J]; the second term is the one that mixing labels introduces. For
    squared error without the 1/2 double `error` and quadruple `variance`.

    Args:
        given: see `Given`.

    Raises:
        DomainError: shapes that do not fit, p that does not sum to one, a negative variance.

    Example: two inputs; at the second, targets 0 and 1 meet.

        >>> split = gradient_split(Given([0.5, 0.5], [[1.0], [2.0]], [0.0, 0.0], [0.0, 0.25]))
        >>> [float(term[0, 0]) for term in split]
        [0.0, 0.5]
    """
    p = np.asarray(check_probabilities(given.p, "p"), dtype=float)
    J = np.asarray(check_finite(given.J, "J"), dtype=float)
    error = np.asarray(check_finite(given.error, "error", shape=p.shape), dtype=float)
    variance = np.asarray(check_finite(given.variance, "variance", shape=p.shape), dtype=float)
    if J.ndim != 2 or len(J) != len(p):
        raise DomainError(f"J = {J.shape}: must have shape ({len(p)}, d), one row an input")
    if (variance < 0).any():
        raise DomainError(f"variance = {variance}: must be at least 0")
    g = J * error[:, None]
    g = g - p @ g
    return (g * p[:, None]).T @ g, (J * (p * variance)[:, None]).T @ J


def total_noise(given: str | Given, w: Sequence[float] = (0.0, 0.0)) -> Any:
    """Cov(g): the sum of the two terms of `gradient_split`.

    Args:
        given: `Given`, or the name of a small data set, "peak" or "line", on which a logistic model is looked at.
        w: intercept and slope of that model.

    Returns:
        (d, d), squared unit of the gradient.

    Raises:
        DomainError: as `gradient_split`.
    """
    if isinstance(given, str):
        x, p, mean, variance = routes.summary(given)
        J = np.stack([np.ones_like(x), x], axis=1)
        given = Given(p, J, expit(J @ np.asarray(w)) - mean, variance)
    if is_symbolic(*given.p):
        g = [j * e for j, e in zip(given.J, given.error, strict=True)]
        k = len(g)
        between = sum(given.p[i] * given.p[j] * (g[i] - g[j]) ** 2 for i in range(k) for j in range(i + 1, k))
        return between + sum(p * j**2 * v for p, j, v in zip(given.p, given.J, given.variance, strict=True))
    return sum(gradient_split(given))


def conditional_mean_label(t: Any, alpha: Any, x: Any, y: Any) -> Any:
    r"""E[y~ | x~ = t] for a data set with one feature, all ordered pairs equally likely: exact, no smoothing.

    sum_ij w_ij (lambda y_i + (1 - lambda) y_j) / sum_ij w_ij, lambda = (t - x_j)/(x_i - x_j), with the weights
    w_ij = beta_alpha(lambda)/|x_i - x_j| for 0 < lambda < 1, and 0 otherwise.

    Args:
        t: a point between the smallest and the largest x, not a data point; a symbol means one in the last gap.
        alpha: in (0, inf).
        x: (n,) distinct and increasing features.
        y: (n,) targets.

    Returns:
        The mean target, in units of y.

    Raises:
        DomainError: x not distinct and increasing, t outside or at a data point, alpha 0 or infinite.

    Example: three points on a roof; straight lines between its feet hide the ridge.

        >>> round(conditional_mean_label(0.5, 1.0, [0.0, 1.0, 2.0], [0.0, 1.0, 0.0]), 4)
        0.3333
    """
    check_positive(alpha, "alpha")
    symbolic = is_symbolic(t, alpha)
    if not symbolic:
        x = check_finite(np.asarray(x, dtype=float), "x")
        y = check_finite(np.asarray(y, dtype=float), "y", shape=x.shape)
        if x.ndim != 1 or len(x) < 2 or (np.diff(x) <= 0).any():
            raise DomainError(f"x = {x}: must be at least two distinct numbers in increasing order")
        if not x[0] < t < x[-1] or t in x:
            raise DomainError(f"t = {t}: must lie between the smallest and the largest x and be none of them")
    top, bottom = 0, 0
    for i in range(len(x)):
        for j in range(i + 1, len(x)):
            if (j == len(x) - 1) if symbolic else x[i] < t < x[j]:
                lam = (t - x[i]) / (x[j] - x[i])
                weight = (lam * (1 - lam)) ** (alpha - 1) / (x[j] - x[i])
                top += weight * (lam * y[j] + (1 - lam) * y[i])
                bottom += weight
    return top / bottom if symbolic else float(top / bottom)


def mixup_gradient(alpha: float, x: Any, y: Any, w: Any) -> np.ndarray:
    """Mean mixup gradient of logistic regression on a data set, exact: all ordered pairs, lambda by quadrature.

    Args:
        alpha: in [0, inf]; 0 gives the ERM gradient.
        x: (n, d) features (a column of ones for an intercept).
        y: (n,) labels in [0, 1].
        w: (d,) weights.

    Returns:
        (d,), nats per unit of w.

    Raises:
        DomainError: shapes that do not fit, alpha outside its domain.
    """
    check_alpha(alpha)
    x = np.asarray(check_finite(x, "x"), dtype=float)
    if x.ndim != 2:
        raise DomainError(f"x = {x.shape}: must have shape (n, d)")
    y = np.asarray(check_finite(y, "y", shape=x.shape[:1]), dtype=float)
    w = np.asarray(check_finite(w, "w", shape=x.shape[1:]), dtype=float)
    total = np.zeros(len(w))
    for lam, share in zip(*symmetric(alpha).quadrature(nodes=40), strict=True):
        mixed = lam * x[:, None] + (1 - lam) * x[None]
        error = expit(mixed @ w) - (lam * y[:, None] + (1 - lam) * y[None])
        total += share * np.mean(error[..., None] * mixed, axis=(0, 1))
    return total


# ---- derivations -------------------------------------------------------------------------------------------------

def derive_noise() -> Derivation:
    """Two inputs, one parameter; at each, targets with some mean and variance."""
    q, v1, v2 = sp.symbols("q v_1 v_2", positive=True)
    J1, J2, e1, e2, g1, g2 = sp.symbols("J_1 J_2 e_1 e_2 g_1 g_2", real=True)
    at1, at2 = scalar(g1, J1 * e1, J1**2 * (e1**2 + v1)), scalar(g2, J2 * e2, J2**2 * (e2**2 + v2))

    def mean(power: int) -> Any:
        return q * Mean(g1**power, at1) + (1 - q) * Mean(g2**power, at2)

    d = Derivation(r"\operatorname{Var} g", mean(2) - mean(1) ** 2,
                   {"given": Given((q, 1 - q), (J1, J2), (e1, e2), (v1, v2)), "w": (0, 0)})
    variances = q * Variance(g1, at1) + (1 - q) * Variance(g2, at2)
    d = d.equals(q * (1 - q) * (Mean(g1, at1) - Mean(g2, at2)) ** 2 + variances,
                 "two inputs with probabilities $q$ and $1-q$: between them, and within each")
    return d.equals(total_noise(**d.parameters), "at an input $g = J(e - \\eta)$, $\\eta = \\tilde y - "
                    "\\mathbb{E}[\\tilde y \\mid \\tilde x]$ of variance $v$: mean $Je$, variance $J^2 v$")


def derive_mean_label() -> Derivation:
    """Three points, t in the last gap: two segments pass over it."""
    t, y1, y2, y3 = sp.symbols("t y_1 y_2 y_3", positive=True)
    lam = sp.Symbol("lambda", positive=True)
    x, y = (sp.S.Zero, sp.S.One, sp.Integer(3)), (y1, y2, y3)
    beta = (lam * (1 - lam)) ** (ALPHA - 1)

    def below(i: int, h: Any) -> sp.Integral:
        return sp.Integral(h * beta, (lam, 0, (t - x[i]) / (x[2] - x[i])))

    tops = [below(i, lam * y[2] + (1 - lam) * y[i]) for i in (0, 1)]
    bottoms = [below(i, 1) for i in (0, 1)]
    start = sp.Derivative(sum(tops), t) / sp.Derivative(sum(bottoms), t)
    d = Derivation(r"\mathbb{E}[\tilde y \mid \tilde x = t]", start, {"t": t, "alpha": ALPHA, "x": x, "y": y})
    top, bottom = (sum(each.function.subs(lam, each.limits[0][2]) * sp.diff(each.limits[0][2], t) for each in part)
                   for part in (tops, bottoms))
    d = d.appeal(top / bottom, "data at 0, 1, 3 and $1 < t < 3$: a pair passes below $t$ up to "
                 "$\\lambda = (t - x_i)/(x_j - x_i)$; differentiate the upper limits")
    return d.equals(conditional_mean_label(t, ALPHA, x, y), "the derivative of a limit is $1/|x_i - x_j|$")


# ---- claims ------------------------------------------------------------------------------------------------------

NOISE = Claim(
    id="gradients.decomposition", title="Gradient noise is noise of inputs plus noise of targets",
    statement=r"\operatorname{Cov} g = \operatorname{Cov}\bigl(\mathbb{E}[g \mid \tilde x]\bigr) + "
              r"\mathbb{E}\bigl[J^\top\operatorname{Cov}(\tilde y \mid \tilde x)\,J\bigr]",
    assumptions=(r"$\partial^2\ell/\partial z\,\partial y = -I$: cross-entropy, half the squared error",
                 "$J = \\partial z/\\partial\\theta$ at $\\tilde x$"),
    fails_when="the squared error is not halved: then the second term is four times as large",
    predict=total_noise, derive=derive_noise, exact=routes.exact_total, simulate=routes.simulate_total,
    cases=cases(given=("peak", "line"), w=((0.0, 0.0), (-0.4, 0.8))),
    wrong={"labels are a function of x, so no second term": predicts(
               lambda given, w: routes.without_targets(given, w, total_noise, Given)),
           "targets only": predicts(lambda given, w: routes.without_inputs(given, w, total_noise, Given)),
           "the mean target itself": simulates(routes.simulate_mean_target)})

X4, Y4 = (-1.2, -0.3, 0.5, 1.4), (0.0, 1.0, 0.0, 1.0)
MEAN_LABEL = Claim(
    id="gradients.mean_label", title="The mean label at a mixed input, exactly",
    statement=r"\mathbb{E}[\tilde y \mid \tilde x = t] = \frac{\sum_{ij} w_{ij}(\lambda y_i + (1-\lambda)y_j)}"
              r"{\sum_{ij} w_{ij}},\quad w_{ij} = \frac{\beta_\alpha(\lambda)}{|x_i - x_j|},\quad "
              r"\lambda = \frac{t - x_j}{x_i - x_j}",
    assumptions=("one feature, distinct values", "all ordered pairs equally likely",
                 "$w_{ij} = 0$ unless $0 < \\lambda < 1$"),
    fails_when="$t$ is a data point: self-pairs put mass there; in general position in three or more dimensions only "
               "one pair passes through a point",
    predict=conditional_mean_label, derive=derive_mean_label, exact=routes.exact_mean_label,
    cases=tuple({"t": t, "alpha": alpha, "x": X4, "y": Y4} for alpha in (0.4, 1.0, 3.0) for t in (-0.9, 0.1, 1.1)),
    wrong={"half of both labels": predicts(lambda t, alpha, x, y: routes.half_labels(t, alpha, x, y), symbolic=False),
           "the line between the neighbours": predicts(lambda t, alpha, x, y: float(np.interp(t, x, y)),
                                                       symbolic=False),
           "without the distances": predicts(lambda t, alpha, x, y: routes.half_labels(t, alpha, x, y, None),
                                             symbolic=False)})

TOY = Claim(
    id="gradients.not_erm", title="The mean mixup gradient is not the ERM gradient", kind="numerical",
    statement=r"\mathbb{E}\,\tilde g = \mathbb{E}\bigl[(\sigma(w^\top\tilde x) - "
              r"\mathbb{E}[\tilde y \mid \tilde x])\,\tilde x\bigr] \ne \mathbb{E}\,g",
    assumptions=("logistic regression on four points", "all ordered pairs"),
    fails_when="the model is linear with squared error and centred data: there it is a multiple (gradients.mean)",
    predict=mixup_gradient, exact=routes.exact_mixup_gradient, tolerance=1e-8,
    cases=tuple({"alpha": alpha, "x": np.array(X4)[:, None], "y": np.array(Y4), "w": np.array([w])}
                for alpha in (0.4, 1.0, 3.0) for w in (0.9, 3.0)),
    wrong={"the ERM gradient": predicts(lambda alpha, x, y, w: mixup_gradient(0.0, x, y, w)),
           "the gradient at lambda = 1/2": predicts(lambda alpha, x, y, w: mixup_gradient(np.inf, x, y, w)),
           "s times the ERM gradient": predicts(
               lambda alpha, x, y, w: mm.shrinkage(alpha) * mixup_gradient(0.0, x, y, w))})
