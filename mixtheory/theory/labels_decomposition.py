r"""Mixup as shrinking plus noise: the decomposition of Carratino, Cisse, Jenatton and Vert.

Call the example with the larger weight i, theta = max(lambda, 1 - lambda) and thetabar = E theta. Then

    x~ = xbar + thetabar (x_i - xbar) + delta_i,        y~ = ybar + thetabar (y_i - ybar) + delta'_i

with noise of mean 0: shrunk towards the mean of the data by a constant factor, then perturbed. The partner is uniform
over all n examples, the example itself included. Claims of the chapter `labels`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import sympy as sp

from mixtheory.domain import DomainError, check_alpha, check_covariance, check_finite, is_symbolic
from mixtheory.evidence import Claim, Derivation, Mean, cases, centred, predicts, scalar, simulates
from mixtheory.mixing import elementary
from mixtheory.mixup import blend
from mixtheory.theory import _labels_decomposition_routes as routes
from mixtheory.theory import _labels_routes as label_routes
from mixtheory.theory import labels_weight
from mixtheory.theory import mixing_moments as mm

__all__ = ["ShrinkPerturb", "consistency", "partner_square", "perturbation_covariance", "perturbation_cross",
           "shrink_and_perturb", "shrink_input", "shrunk_mean", "theta_mean", "theta_variance", "unshrink",
           "unshrink_error"]

ALPHA, LAM, HALF = mm.ALPHA, mm.LAM, mm.HALF
THETA, GAP = sp.Symbol("theta", positive=True), sp.Symbol("r", positive=True)
SOURCE = ("carratino2022mixup: theorem 1 (from memory)",)
GAPS = ("mixing_moments.mean_gap", "mixing_moments.mean_square_gap")
PARTNER = "the partner is uniform over all $n$ examples, the example itself included"
FOLDED = r"the example has the larger weight $\theta = \max(\lambda, 1-\lambda)$"


@elementary
def theta_mean(alpha: Any) -> Any:
    """thetabar = E max(lambda, 1 - lambda) = 1 - epsilon(alpha): how far examples are shrunk; in [1/2, 1].

    alpha in [0, inf]: number, array or symbol; DomainError if negative or NaN.
    """
    return 1 - labels_weight.smaller_share(alpha)


@elementary
def theta_variance(alpha: Any) -> Any:
    """sigma_theta^2 = Var max(lambda, 1 - lambda) = (1/(2 alpha + 1) - e_r^2)/4, in [0, 1/16].

    alpha as in `theta_mean`.
    """
    return (mm.mean_square_gap(alpha) - mm.mean_gap(alpha) ** 2) / 4


@elementary
def partner_square(alpha: Any) -> Any:
    """gamma^2 = E (1 - theta)^2 = (1 - 2 e_r + 1/(2 alpha + 1))/4, in [0, 1/4]; alpha as in `theta_mean`."""
    return (1 - 2 * mm.mean_gap(alpha) + mm.mean_square_gap(alpha)) / 4


@elementary
def consistency(alpha: Any) -> Any:
    """thetabar^2 + sigma_theta^2 + gamma^2 = s: shrinking and noise together are the covariance of mixed data.

    alpha as in `theta_mean`; in [1/2, 1].
    """
    return mm.shrinkage(alpha)


def shrunk_mean(alpha: Any, x: Any, mean: Any) -> Any:
    """E[x~ | i] = xbar + thetabar (x_i - xbar), feature units; also for labels, and for many examples at once.

    Args:
        alpha: in [0, inf].
        x: (d,) or (n, d), the examples that have the larger weight.
        mean: (d,), the mean of the data.

    Raises:
        DomainError: alpha negative or NaN.
    """
    return mean + theta_mean(alpha) * (x - mean)


def perturbation_cross(alpha: Any, deviation_x: Any, deviation_y: Any, C_xy: Any) -> Any:
    """Cov(delta_i, delta'_i) = sigma_theta^2 (x_i - xbar)(y_i - ybar)^T + gamma^2 C_xy.

    Args:
        alpha: in [0, inf].
        deviation_x: x_i - xbar, (d,) or a number.
        deviation_y: y_i - ybar, (m,) or a number.
        C_xy: (d, m) covariance of features and labels over the n examples, weight 1/n.

    Returns:
        (d, m), feature units times label units.

    Raises:
        DomainError: alpha negative or NaN, shapes that do not fit.
    """
    shape = np.shape(deviation_x) + np.shape(deviation_y)
    if not is_symbolic(deviation_x, deviation_y, C_xy) and np.shape(C_xy) != shape:
        raise DomainError(f"C_xy of shape {np.shape(C_xy)}: must be {shape}, features by labels")
    return theta_variance(alpha) * _outer(deviation_x, deviation_y) + partner_square(alpha) * C_xy


def _outer(first: Any, second: Any) -> Any:
    return first * second if is_symbolic(first, second) else np.multiply.outer(first, second)


def perturbation_covariance(alpha: Any, deviation: Any, C: Any) -> Any:
    """Cov(delta_i) = sigma_theta^2 (x_i - xbar)(x_i - xbar)^T + gamma^2 C, squared feature units.

    Args:
        alpha: in [0, inf].
        deviation: x_i - xbar, (d,).
        C: (d, d) covariance of the n examples, weight 1/n.

    Returns:
        (d, d); it differs from example to example.

    Raises:
        DomainError: alpha negative or NaN, C not a covariance.
    """
    return perturbation_cross(alpha, deviation, deviation, C if is_symbolic(C) else check_covariance(C, "C"))


def shrink_input(alpha: Any, x: Any, mean: Any) -> Any:
    """Where to evaluate a mixup-trained model: xbar + thetabar (x - xbar), in the middle of what it saw of x.

    Arguments and errors as `shrunk_mean`.
    """
    return shrunk_mean(alpha, x, mean)


def unshrink(alpha: Any, prediction: Any, mean_y: Any) -> Any:
    """Regression output at a shrunk input, stretched back: ybar + (prediction - ybar)/thetabar, target units.

    Args:
        alpha: in [0, inf].
        prediction: (..., m) or (...,) output at `shrink_input`.
        mean_y: mean target of the training data.

    Raises:
        DomainError: alpha negative or NaN.
    """
    return mean_y + (prediction - mean_y) / theta_mean(alpha)


def unshrink_error(alpha: Any, offset: Any) -> Any:
    """What shrinking and un-shrinking adds to an affine model: (1/thetabar - 1)(f(xbar) - ybar), target units.

    Args:
        alpha: in [0, inf].
        offset: f(xbar) - ybar; 0 for least squares with an intercept, and then nothing is added.

    Raises:
        DomainError: alpha negative or NaN, offset not finite.
    """
    return (1 / theta_mean(alpha) - 1) * check_finite(offset, "offset")


class ShrinkPerturb(NamedTuple):
    """Mixup of one data set as shrinking plus noise.

    Attributes:
        theta: thetabar, the factor; theta_variance: sigma_theta^2; gamma_square: gamma^2.
        mean_x, mean_y: (d,), (m,) means of the data.
        shrunk_x, shrunk_y: (n, d), (n, m): the deterministic parts.
        deviation_x, deviation_y: (n, d), (n, m): examples less means.
        C, C_xy, C_yy: (d, d), (d, m), (m, m): covariances of the data, weight 1/n.
    """

    theta: float
    theta_variance: float
    gamma_square: float
    mean_x: np.ndarray
    mean_y: np.ndarray
    shrunk_x: np.ndarray
    shrunk_y: np.ndarray
    deviation_x: np.ndarray
    deviation_y: np.ndarray
    C: np.ndarray
    C_xy: np.ndarray
    C_yy: np.ndarray

    def covariance(self, i: int) -> np.ndarray:
        """Cov(delta_i) of example i, (d, d)."""
        return self._moment(self.deviation_x[i], self.deviation_x[i], self.C)

    def cross(self, i: int) -> np.ndarray:
        """Cov(delta_i, delta'_i) of example i, features against labels, (d, m)."""
        return self._moment(self.deviation_x[i], self.deviation_y[i], self.C_xy)

    def label_covariance(self, i: int) -> np.ndarray:
        """Cov(delta'_i) of the label of example i, (m, m)."""
        return self._moment(self.deviation_y[i], self.deviation_y[i], self.C_yy)

    def _moment(self, first: np.ndarray, second: np.ndarray, common: np.ndarray) -> np.ndarray:
        return self.theta_variance * np.outer(first, second) + self.gamma_square * common


def shrink_and_perturb(alpha: float, x: Any, y: Any) -> ShrinkPerturb:
    """Mixup of a data set as shrinking towards its mean and noise: all first and second moments.

    Args:
        alpha: in [0, inf].
        x: (n, d) examples.
        y: (n, m) targets or soft labels, or (n,) numbers.

    Returns:
        `ShrinkPerturb`; `covariance(i)`, `cross(i)` and `label_covariance(i)` are those of the noise of example i.

    Raises:
        DomainError: alpha outside its domain, x not (n, d), lengths that differ, entries that are not finite.

    Source: Carratino et al. (2022), theorem 1, with the self-pair included.

    >>> found = shrink_and_perturb(1.0, [[0.0], [2.0]], [[1.0, 0.0], [0.0, 1.0]])
    >>> found.theta, found.shrunk_x.ravel().tolist(), found.shrunk_y[0].tolist()
    (0.75, [0.25, 1.75], [0.875, 0.125])
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    y = y[:, None] if y.ndim == 1 else y
    if x.ndim != 2 or y.ndim != 2 or len(x) != len(y) or not len(x):
        raise DomainError(f"x, y of shapes {x.shape}, {y.shape}: must be (n, d) and (n,) or (n, m), n >= 1")
    check_finite(x, "x")
    check_finite(y, "y")
    theta = float(theta_mean(check_alpha(alpha)))
    mean_x, mean_y = x.mean(axis=0), y.mean(axis=0)
    a, b, n = x - mean_x, y - mean_y, len(x)
    return ShrinkPerturb(theta, float(theta_variance(alpha)), float(partner_square(alpha)), mean_x, mean_y,
                         mean_x + theta * a, mean_y + theta * b, a, b, a.T @ a / n, a.T @ b / n, b.T @ b / n)


# ---- derivations -------------------------------------------------------------------------------------------

def _gap_law() -> Any:
    return scalar(GAP, mm.mean_gap(ALPHA), mm.mean_square_gap(ALPHA))


def _theta_law() -> Any:
    """theta by its first two moments, in terms of those of r."""
    first, second = (1 + mm.mean_gap(ALPHA)) / 2, (1 + 2 * mm.mean_gap(ALPHA) + mm.mean_square_gap(ALPHA)) / 4
    return scalar(THETA, first, second)


SIGMA_SQUARE = label_routes.Named(r"\sigma_\theta^2", theta_variance(ALPHA))
GAMMA_SQUARE = label_routes.Named(r"\gamma^2", partner_square(ALPHA))


def derive_theta_variance() -> Derivation:
    law, half = _gap_law(), (1 + GAP) / 2
    e = Derivation(r"\operatorname{Var}\theta", Mean(half**2, law) - Mean(half, law) ** 2, {"alpha": ALPHA})
    e = e.equals((Mean(GAP**2, law) - Mean(GAP, law) ** 2) / 4, r"$\theta = (1 + r)/2$ with $r = |2\lambda - 1|$",
                 claim=GAPS[0])
    return e.equals(theta_variance(ALPHA), r"$\mathbb{E}\,r = e_r$ and $\mathbb{E}\,r^2 = 1/(2\alpha + 1)$",
                    claim=GAPS[1])


def derive_partner_square() -> Derivation:
    law = _gap_law()
    e = Derivation(r"\mathbb{E}(1-\theta)^2", Mean(((1 - GAP) / 2) ** 2, law), {"alpha": ALPHA})
    e = e.equals((1 - 2 * Mean(GAP, law) + Mean(GAP**2, law)) / 4, r"$1 - \theta = (1 - r)/2$", claim=GAPS[0])
    return e.equals(partner_square(ALPHA), r"$\mathbb{E}\,r^2 = 1/(2\alpha + 1)$", claim=GAPS[1])


def derive_consistency() -> Derivation:
    law = _gap_law()
    theta = (1 + GAP) / 2
    e = Derivation(r"\bar\theta^2 + \sigma_\theta^2 + \gamma^2", Mean(theta, law) ** 2 + (
        Mean(theta**2, law) - Mean(theta, law) ** 2) + Mean((1 - theta) ** 2, law), {"alpha": ALPHA})
    e = e.equals(Mean(theta**2 + (1 - theta) ** 2, law), "mean square = variance + squared mean")
    e = e.equals((1 + Mean(GAP**2, law)) / 2, r"$\theta^2 + (1-\theta)^2 = (1 + r^2)/2 = S$", claim=GAPS[1])
    return e.equals(consistency(ALPHA), r"$\mathbb{E}\,S = s$", claim=mm.SHRINKAGE_ID)


def derive_shrunk_mean() -> Derivation:
    x_i, x_j, mean = sp.Symbol("x_i", real=True), sp.Symbol("x_j", real=True), sp.Symbol(r"\bar{x}", real=True)
    law = _theta_law()
    e = Derivation(r"\mathbb{E}[\tilde x \mid i]", Mean(blend(THETA, x_i, x_j), scalar(x_j, mean), law),
                   {"alpha": ALPHA, "x": x_i, "mean": mean})
    e = e.equals(Mean(blend(THETA, x_i, mean), law), r"the partner has mean $\bar x$")
    return e.equals(shrunk_mean(ALPHA, x_i, mean), r"$\mathbb{E}\,\theta = \bar\theta$",
                    claim="mixing_moments.mean_maximum")


def derive_perturbation_cross() -> Derivation:
    a, b, a_j, b_j, c_aa, c_bb, C = sp.symbols("a_i b_i a_j b_j C_aa C_bb C_xy", real=True)
    law, pair = _theta_law(), centred((a_j, b_j), [[c_aa, C], [C, c_bb]])
    mean = Mean(THETA, law)
    noise_x, noise_y = blend(THETA, a, a_j) - mean * a, blend(THETA, b, b_j) - mean * b
    bar = sp.Symbol(r"\bar{\theta}", positive=True)
    start = Mean((noise_x * noise_y).subs(mean, bar), law, pair).subs(bar, mean)
    e = Derivation(r"\mathbb{E}[\delta_i\,\delta_i']", start,
                   {"alpha": ALPHA, "deviation_x": a, "deviation_y": b, "C_xy": C})
    e = e.equals((Mean(THETA**2, law) - mean**2) * a * b + Mean((1 - THETA) ** 2, law) * C,
                 r"with $a = x - \bar x$, $b = y - \bar y$: the partner is centred and independent of $\theta$")
    e = e.equals(SIGMA_SQUARE * a * b + Mean((1 - THETA) ** 2, law) * C, "variance of the larger share",
                 claim="labels.theta_variance")
    return e.equals(SIGMA_SQUARE * a * b + GAMMA_SQUARE * C, "mean square of the smaller share",
                    claim="labels.partner_square")


def derive_perturbation_covariance() -> Derivation:
    a, a_j = sp.symbols("a_i a_j", real=True)
    C = sp.Symbol("C", positive=True)
    law, partner = _theta_law(), scalar(a_j, 0, C)
    bar = theta_mean(ALPHA)
    e = Derivation(r"\operatorname{Var}(w^\top\delta_i)", Mean((blend(THETA, a, a_j) - bar * a) ** 2, law, partner),
                   {"alpha": ALPHA, "deviation": a, "C": C})
    return e.equals(SIGMA_SQUARE * a**2 + GAMMA_SQUARE * C, r"along any direction $w$, with $a = w^\top(x - \bar x)$: "
                    "the cross-covariance of a coordinate with itself", claim="labels.perturbation_cross")


def derive_unshrink() -> Derivation:
    w, b, x, mean, mean_y = (sp.Symbol(name, real=True) for name in ("w", "b", "x", r"\bar{x}", r"\bar{y}"))
    offset = w * mean + b - mean_y
    e = Derivation(r"\hat y(x) - f(x)", unshrink(ALPHA, w * shrink_input(ALPHA, x, mean) + b, mean_y) - (w * x + b),
                   {"alpha": ALPHA, "offset": offset})
    return e.equals(unshrink_error(ALPHA, offset), r"$f(x) = w x + b$: the slope is undone exactly, the offset is "
                    r"divided by $\bar\theta$", claim="labels.shrunk_mean")


# ---- claims ------------------------------------------------------------------------------------------------

ALPHAS = (0.0, 0.1, 0.37, 1.0, 4.2, np.inf)
DATA = routes.data()


def _unit(size: float) -> Any:
    return lambda prediction, **case: size


Claim(
    id="labels.theta_variance", title="The larger share fluctuates",
    statement=r"\sigma_\theta^2 = \operatorname{Var}\theta = \tfrac14\Bigl(\frac{1}{2\alpha+1} - e_r^2\Bigr),\quad "
              r"\theta = \max(\lambda, 1-\lambda)",
    assumptions=mm.INDEPENDENT, predict=theta_variance, derive=derive_theta_variance, exact=routes.exact_variance,
    simulate=routes.draw_variance, cases=cases(alpha=ALPHAS), scale=_unit(1 / 16), resolution=0.02,
    wrong={"variance of lambda": predicts(lambda alpha: mm.variance(alpha)),
           "e_r for e_r squared": predicts(lambda alpha: (mm.mean_square_gap(alpha) - mm.mean_gap(alpha)) / 4),
           "variance of r": predicts(lambda alpha: 4 * theta_variance(alpha)),
           "not folded": simulates(lambda size, *, rng, alpha: routes.draw_variance(size, rng=rng, alpha=alpha,
                                                                                   folded=False))},
    references=SOURCE, experiment="labels")

Claim(
    id="labels.partner_square", title="How much of the partner gets in",
    statement=r"\gamma^2 = \mathbb{E}(1-\theta)^2 = \sigma_\theta^2 + (1-\bar\theta)^2 = "
              r"\tfrac14\Bigl(1 - 2e_r + \frac{1}{2\alpha+1}\Bigr)",
    assumptions=mm.INDEPENDENT, predict=partner_square, derive=derive_partner_square, exact=routes.exact_partner,
    simulate=routes.draw_partner, cases=cases(alpha=ALPHAS), scale=_unit(0.25), resolution=0.01,
    wrong={"square of the mean": predicts(lambda alpha: (1 - theta_mean(alpha)) ** 2),
           "E (1 - lambda)^2": predicts(lambda alpha: mm.shrinkage(alpha) / 2),
           "not folded": simulates(lambda size, *, rng, alpha: routes.draw_partner(size, rng=rng, alpha=alpha,
                                                                                  folded=False))},
    references=SOURCE, experiment="labels")

Claim(
    id="labels.consistency", title="Shrinking and noise add up to s",
    statement=r"\bar\theta^2 + \sigma_\theta^2 + \gamma^2 = s",
    assumptions=(*mm.INDEPENDENT, PARTNER), predict=consistency, derive=derive_consistency,
    exact=routes.exact_total, simulate=routes.draw_total, cases=cases(alpha=ALPHAS), resolution=0.02,
    wrong={"no noise": predicts(lambda alpha: theta_mean(alpha) ** 2),
           "gamma^2 without the variance": predicts(lambda alpha: mm.shrinkage(alpha) - theta_variance(alpha)),
           "variance of theta left out": predicts(lambda alpha: theta_mean(alpha) ** 2 + partner_square(alpha)),
           "self-pairs out": simulates(lambda size, *, rng, alpha: routes.draw_total(size, rng=rng, alpha=alpha,
                                                                                    distinct=True))},
    references=SOURCE, experiment="labels")

ROW = {"x": DATA.x[4], "mean": DATA.x.mean(axis=0)}
Claim(
    id="labels.shrunk_mean", title="On average an example is shrunk to the mean",
    statement=r"\mathbb{E}[\tilde x \mid i] = \bar x + \bar\theta\,(x_i - \bar x)",
    assumptions=(PARTNER, FOLDED), fails_when="self-pairs are left out: then a further $1/(n-1)$ is lost",
    predict=shrunk_mean, derive=derive_shrunk_mean, exact=routes.exact_mean, simulate=routes.draw_mean,
    cases=cases(alpha=ALPHAS, **ROW), resolution=0.02,
    wrong={"shrunk by s": predicts(lambda alpha, x, mean: mean + mm.shrinkage(alpha) * (x - mean)),
           "shrunk to zero": predicts(lambda alpha, x, mean: theta_mean(alpha) * x),
           "not folded": simulates(lambda size, *, rng, **case: routes.draw_mean(size, rng=rng, folded=False, **case)),
           "self-pairs out": simulates(lambda size, *, rng, **case: routes.draw_mean(size, rng=rng, distinct=True,
                                                                                    **case))},
    references=SOURCE, experiment="labels")

CROSS = {"deviation_x": DATA.a[4], "deviation_y": DATA.b[4], "C_xy": DATA.a.T @ DATA.b / len(DATA.a)}
Claim(
    id="labels.perturbation_cross", title="Inputs and labels are perturbed together",
    statement=r"\operatorname{Cov}(\delta_i, \delta_i') = \sigma_\theta^2\,(x_i-\bar x)(y_i-\bar y)^\top + "
              r"\gamma^2\,C_{xy}",
    assumptions=(PARTNER, FOLDED), fails_when="inputs and labels get weights or partners of their own",
    predict=perturbation_cross, derive=derive_perturbation_cross, exact=routes.exact_cross, simulate=routes.draw_cross,
    cases=cases(alpha=ALPHAS[1:], **CROSS), resolution=0.01, scale=_unit(1.0),
    wrong={"the same for every example": predicts(lambda alpha, deviation_x, deviation_y, C_xy: (
               theta_variance(alpha) + partner_square(alpha)) * C_xy),
           "gamma^2 and sigma^2 swapped": predicts(lambda alpha, deviation_x, deviation_y, C_xy: partner_square(
               alpha) * _outer(deviation_x, deviation_y) + theta_variance(alpha) * C_xy),
           "separate partners for x and y": simulates(lambda size, *, rng, **case: routes.draw_cross(
               size, rng=rng, torn=True, **case))},
    references=SOURCE, experiment="labels")

Claim(
    id="labels.perturbation_covariance", title="The noise that mixup adds to an example",
    statement=r"\operatorname{Cov}(\delta_i) = \sigma_\theta^2\,(x_i-\bar x)(x_i-\bar x)^\top + \gamma^2\,C",
    assumptions=(PARTNER, FOLDED),
    fails_when="self-pairs are left out, or the noise is taken to be the same for all examples",
    predict=perturbation_covariance, derive=derive_perturbation_covariance, exact=routes.exact_covariance,
    simulate=routes.draw_covariance, resolution=0.02,
    cases=cases(alpha=ALPHAS[1:], deviation=DATA.a[4], C=DATA.a.T @ DATA.a / len(DATA.a)),
    scale=_unit(2.0),
    wrong={"the same for every example": predicts(lambda alpha, deviation, C: (
               theta_variance(alpha) + partner_square(alpha)) * C),
           "no part along the example": predicts(lambda alpha, deviation, C: partner_square(alpha) * C),
           "not folded": simulates(lambda size, *, rng, **case: routes.draw_covariance(size, rng=rng, folded=False,
                                                                                      **case))},
    references=SOURCE, experiment="labels")

Claim(
    id="labels.unshrink", title="Shrink, predict, un-shrink: what remains",
    statement=r"\bar y + \frac{f(\bar x + \bar\theta(x-\bar x)) - \bar y}{\bar\theta} - f(x) = "
              r"\Bigl(\frac{1}{\bar\theta} - 1\Bigr)\bigl(f(\bar x) - \bar y\bigr)",
    assumptions=("$f$ is affine",),
    fails_when=r"$f$ is not affine; nothing remains only if $f(\bar x) = \bar y$, as for least squares with an "
               "intercept",
    predict=unshrink_error, derive=derive_unshrink, exact=routes.exact_unshrink,
    cases=cases(alpha=(0.1, 0.37, 1.0, 4.2, np.inf), offset=(0.0, -1.3)), scale=_unit(1.0),
    wrong={"the identity for every affine f": predicts(lambda alpha, offset: 0 * offset),
           "un-shrunk by s": predicts(lambda alpha, offset: (1 / mm.shrinkage(alpha) - 1) * offset)},
    references=SOURCE)
