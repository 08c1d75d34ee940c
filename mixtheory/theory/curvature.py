r"""Curvature of least squares under mixup: the Hessian, the largest stable step, the condition number.

The loss is 1/2 mean squared error of an affine model. Its Hessian is the second moment of the mixed inputs, which
does not shrink as a whole: the covariance does, the mean does not. What batch normalisation makes of it is in
`curvature_batchnorm` and `curvature_running`, logistic regression is in `curvature_logistic`; all claims belong to one
chapter.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp

from mixtheory.domain import (
    DomainError,
    check_alpha,
    check_covariance,
    check_definite,
    check_finite,
    check_positive,
    is_symbolic,
)
from mixtheory.evidence import Claim, Derivation, Mean, beta, cases, predicts, scalar, simulates
from mixtheory.mixup import blend
from mixtheory.theory import _curvature_routes as routes
from mixtheory.theory import mixing_moments as mm

__all__ = ["centred_gain", "condition_across", "condition_isotropic", "condition_number", "condition_standardised",
           "largest_step", "least_squares_hessian", "stable_step", "step_gain_ceiling", "step_gain_floor"]

ALPHA, LAM = mm.ALPHA, mm.LAM
S_SHRINK = "mixing_moments.shrinkage"
SHARES = LAM**2 + (1 - LAM) ** 2
GRID = (0.0, 0.37, 1.0, 4.2, np.inf)
SIGMA = np.array([[2.0, 0.9], [0.9, 0.7]])
MU = np.array([1.5, -0.4])
SINGULAR = 1e-13


# ---- general tools -------------------------------------------------------------------------------------------------

def least_squares_hessian(alpha: Any, Sigma: Any, mu: Any, intercept: bool = False) -> Any:
    r"""Hessian of 1/2 E(b + w^T x~ - y~)^2: s Sigma + mu mu^T, bordered by 1 and mu with an intercept.

    It does not depend on the parameters nor on the targets. Assumes that the two members of a pair are independent.

    Args:
        alpha: in [0, inf].
        Sigma: (d, d) covariance of x, squared feature units; or a SymPy matrix.
        mu: (d,) mean of x.
        intercept: whether b is a parameter; it comes first.

    Returns:
        (d, d), or (d + 1, d + 1) with an intercept.

    Raises:
        DomainError: alpha outside its domain or not a number, Sigma not a covariance, mu of another length.

    Example:
        >>> least_squares_hessian(1.0, np.eye(2), np.array([3.0, 0.0])).round(4)
        array([[9.6667, 0.    ],
               [0.    , 0.6667]])

    Source: raw second moment of mixed data, claim covariance.raw_second_moment.
    """
    s = mm.shrinkage(alpha)
    if is_symbolic(Sigma, mu):
        m = sp.Matrix(mu)
        H = s * sp.Matrix(Sigma) + m * m.T
        return sp.Matrix.vstack(sp.Matrix([[1, *m]]), sp.Matrix.hstack(m, H)) if intercept else H
    if np.ndim(s):
        raise DomainError(f"alpha of shape {np.shape(alpha)}: a Hessian has one alpha")
    check_covariance(Sigma)
    mu = np.asarray(check_finite(mu, "mu", shape=(len(Sigma),)), dtype=float)
    H = s * np.asarray(Sigma, dtype=float) + np.outer(mu, mu)
    return np.block([[np.ones((1, 1)), mu[None]], [mu[:, None], H]]) if intercept else H


def largest_step(H: Any) -> Any:
    """2 / lambda_max(H): gradient descent on a quadratic with Hessian H converges for steps below, not above.

    Args:
        H: (p, p) symmetric without negative eigenvalues and not zero, such as `least_squares_hessian`; or a SymPy
            matrix of one row.

    Returns:
        The supremum of the stable steps, squared units of the parameters over units of the loss.

    Raises:
        DomainError: H not symmetric, with a negative eigenvalue, or zero.

    Example:
        >>> round(largest_step(least_squares_hessian(1.0, np.eye(2), np.array([3.0, 0.0]))), 6)
        0.206897
    """
    if isinstance(H, sp.MatrixBase):
        return 2 / H[0, 0]
    return 2 / float(_eigenvalues(H)[-1])


def condition_number(H: Any) -> float:
    """lambda_max(H) / lambda_min(H): how much longer than in the best case gradient descent takes.

    With the best constant step the error shrinks by (kappa - 1)/(kappa + 1) a step.

    Args:
        H: (p, p) symmetric and positive definite.

    Returns:
        At least 1, dimensionless.

    Raises:
        DomainError: H not symmetric or not positive definite.

    Example:
        >>> round(condition_number(least_squares_hessian(1.0, np.eye(2), np.array([3.0, 0.0]))), 4)
        14.5
    """
    values = _eigenvalues(H)
    if values[0] <= SINGULAR * values[-1]:
        raise DomainError(f"H: its smallest eigenvalue is {values[0]:.3g}; a condition number needs all above 0")
    return float(values[-1] / values[0])


def _eigenvalues(H: Any) -> np.ndarray:
    array = np.asarray(H, dtype=float)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or array.size == 0:
        raise DomainError(f"H of shape {array.shape}: a Hessian is a square matrix")
    if not np.isfinite(array).all() or np.abs(array - array.T).max() > 1e-10 * np.abs(array).max():
        raise DomainError(f"H = {array}: a Hessian must be finite and symmetric")
    values = np.linalg.eigvalsh(array)
    if values[-1] <= 0 or values[0] < -1e-12 * values[-1]:
        raise DomainError(f"H with eigenvalues from {values[0]:.3g} to {values[-1]:.3g}: the quadratic must be convex, "
                          "and not flat")
    return values


# ---- formulas ------------------------------------------------------------------------------------------------------

def stable_step(alpha: Any, Sigma: Any, mu: Any, intercept: bool = False) -> Any:
    """2 / lambda_max of the mixup Hessian; arguments as `least_squares_hessian`, returns as `largest_step`."""
    return largest_step(least_squares_hessian(alpha, Sigma, mu, intercept))


def centred_gain(alpha: Any, Sigma: Any) -> Any:
    """Centred inputs: (step with mixup over step without, condition number over condition number) = (1/s, 1).

    Args:
        alpha: in [0, inf].
        Sigma: (d, d) positive definite; its shape does not matter.

    Returns:
        (2,), dimensionless: from 1 to 2, and 1.

    Raises:
        DomainError: alpha outside its domain, Sigma not positive definite.
    """
    s = mm.shrinkage(alpha)
    if is_symbolic(alpha, Sigma):
        return sp.Matrix([1 / s, 1])
    check_definite(Sigma)
    return np.array([1 / s, 1.0])


def condition_isotropic(alpha: Any, variance: Any, mean_square: Any) -> Any:
    """Sigma = variance I with a mean of squared norm mean_square, no intercept: kappa = 1 + |mu|^2/(s variance).

    Args:
        alpha: in [0, inf].
        variance: of every feature, > 0.
        mean_square: |mu|^2 > 0, same units.

    Raises:
        DomainError: arguments outside their domains.
    """
    return 1 + check_positive(mean_square, "mean_square") / (mm.shrinkage(alpha) * check_positive(variance, "variance"))


def condition_standardised(alpha: Any) -> Any:
    """Standardised uncorrelated features with an intercept: kappa = 1/s, where it is 1 without mixup.

    The block of the intercept keeps its curvature 1, all others have s. alpha in [0, inf]; from 1 to 2.
    """
    return 1 / mm.shrinkage(alpha)


def condition_across(alpha: Any, wide: Any, narrow: Any, mean_square: Any) -> Any:
    """Mean along the feature of least variance: kappa = s wide/(s narrow + mean_square), smaller than without mixup.

    Args:
        alpha: in [0, inf].
        wide: variance of the one feature, whose mean is 0.
        narrow: variance of the other, > 0.
        mean_square: square of its mean, > 0; small enough that narrow + 2 mean_square <= wide, so that the wide
            feature has the larger curvature at every alpha.

    Raises:
        DomainError: a value that is not positive, or a mean that is too large.
    """
    for name, value in (("wide", wide), ("narrow", narrow), ("mean_square", mean_square)):
        check_positive(value, name)
    if not is_symbolic(wide, narrow, mean_square) and narrow + 2 * mean_square > wide:
        raise DomainError(f"mean_square = {mean_square}: must be at most (wide - narrow)/2 = {(wide - narrow) / 2}")
    s = mm.shrinkage(alpha)
    return s * wide / (s * narrow + mean_square)


def step_gain_ceiling(alpha: Any) -> Any:
    """Mixup widens the range of stable steps by 1/s at most, for any inputs. alpha in [0, inf]; from 1 to 2."""
    return 1 / mm.shrinkage(alpha)


def step_gain_floor(alpha: Any) -> Any:
    """Mixup never narrows the range of stable steps of least squares: the factor is at least 1, for any alpha."""
    check_alpha(alpha)
    return sp.S.One if is_symbolic(alpha) else np.ones(np.shape(alpha))[()]


# ---- derivations ---------------------------------------------------------------------------------------------------

def derive_hessian() -> Derivation:
    """Differentiate the square twice; second moments of mixed data. One feature and the intercept."""
    b, w, y, mu = sp.symbols("b w y mu", real=True)
    first, second, variance = *sp.symbols("x_i x_j", real=True), sp.Symbol("Sigma", positive=True)
    x, theta = blend(LAM, first, second), (b, w)
    laws = (*(scalar(one, mu, variance + mu**2) for one in (first, second)), beta(LAM, ALPHA))
    loss, z = (b + w * x - y) ** 2 / 2, (sp.S.One, x)
    d = Derivation(r"\nabla^2\tilde L", sp.Matrix(2, 2, lambda j, k: Mean(
        sp.Derivative(loss, theta[j], theta[k]), *laws)),
        {"alpha": ALPHA, "Sigma": sp.Matrix([variance]), "mu": sp.Matrix([mu]), "intercept": True})
    d = d.equals(sp.Matrix(2, 2, lambda j, k: Mean(z[j] * z[k], *laws)),
                 "the residual is linear in $(b, w)$: the target and the parameters drop out")
    S = Mean(SHARES, laws[2])
    d = d.equals(sp.Matrix([[1, mu], [mu, S * variance + mu**2]]),
                 "independent pair: the covariance gets $\\lambda^2 + (1-\\lambda)^2$, the mean stays; with more "
                 "features so does every entry", claim="covariance.raw_second_moment")
    return d.equals(least_squares_hessian(ALPHA, sp.Matrix([variance]), sp.Matrix([mu]), intercept=True),
                    "$\\mathbb{E}\\,S = s$", claim=S_SHRINK)


def derive_stable_step() -> Derivation:
    """One eigenvector at a time: the error is multiplied by 1 - eta h."""
    mu, variance = sp.Symbol("mu", real=True), sp.Symbol("Sigma", positive=True)
    c1, c2 = sp.symbols("c_i c_j", real=True)
    laws = scalar(c1, 0, variance), scalar(c2, 0, variance), beta(LAM, ALPHA)
    d = Derivation(r"\tilde\eta_{\max}", sp.Symbol(r"\sup\{\eta : \text{gradient descent converges}\}"),
                   {"alpha": ALPHA, "Sigma": sp.Matrix([variance]), "mu": sp.Matrix([mu]), "intercept": False})
    d = d.appeal(2 / Mean(blend(LAM, mu + c1, mu + c2) ** 2, *laws),
                 "along an eigenvector with curvature $h$ a step multiplies the error by $1 - \\eta h$, and "
                 "$|1 - \\eta h| < 1$ iff $\\eta < 2/h$; the largest curvature decides, here the only one")
    return d.equals(stable_step(ALPHA, sp.Matrix([variance]), sp.Matrix([mu])), "its curvature, "
                    "$s\\Sigma + \\mu\\mu^\\top$", claim="curvature.least_squares")


def derive_centred() -> Derivation:
    """Projections of the data on the eigenvectors of Sigma with the largest and the smallest variance."""
    p, q = sp.symbols("lambda_max lambda_min", positive=True)

    def curvature(variance: Any) -> Any:
        c1, c2 = sp.symbols("c_i c_j", real=True)
        return Mean(blend(LAM, c1, c2) ** 2, scalar(c1, 0, variance), scalar(c2, 0, variance), beta(LAM, ALPHA))

    d = Derivation(r"(\tilde\eta_{\max}/\eta_{\max},\ \tilde\kappa/\kappa)",
                   sp.Matrix([(2 / curvature(p)) / (2 / p), (curvature(p) / curvature(q)) / (p / q)]),
                   {"alpha": ALPHA, "Sigma": sp.diag(p, q)})
    S = Mean(SHARES, beta(LAM, ALPHA))
    d = d.equals(sp.Matrix([(2 / (S * p)) / (2 / p), (S * p / (S * q)) / (p / q)]),
                 "every projection of centred data shrinks by the same factor")
    return d.equals(centred_gain(ALPHA, sp.diag(p, q)), "it divides the step and cancels in the ratio", claim=S_SHRINK)


def _curvature_along(mean: Any, variance: Any) -> Mean:
    c1, c2 = sp.symbols("c_i c_j", real=True)
    return Mean(blend(LAM, mean + c1, mean + c2) ** 2, scalar(c1, 0, variance), scalar(c2, 0, variance),
                beta(LAM, ALPHA))


def derive_condition_isotropic() -> Derivation:
    """The largest curvature is along the mean, all others are s variance."""
    variance, mean_square = sp.Symbol(r"\sigma^2", positive=True), sp.Symbol(r"|\mu|^2", positive=True)
    S = Mean(SHARES, beta(LAM, ALPHA))
    d = Derivation(r"\tilde\kappa", _curvature_along(sp.sqrt(mean_square), variance) / _curvature_along(0, variance),
                   {"alpha": ALPHA, "variance": variance, "mean_square": mean_square})
    d = d.equals((S * variance + mean_square) / (S * variance),
                 "curvature along the mean over curvature across it")
    return d.equals(condition_isotropic(ALPHA, variance, mean_square), "divide", claim=S_SHRINK)


def derive_condition_standardised() -> Derivation:
    """The Hessian is diagonal: 1 for the intercept, E x~^2 for each feature."""
    d = Derivation(r"\tilde\kappa", 1 / _curvature_along(0, sp.S.One), {"alpha": ALPHA})
    d = d.equals(1 / Mean(SHARES, beta(LAM, ALPHA)), "a standardised feature has variance $S$ given $\\lambda$")
    return d.equals(condition_standardised(ALPHA), "$\\mathbb{E}\\,S = s$", claim=S_SHRINK)


def derive_condition_across() -> Derivation:
    """Two uncorrelated features, the mean along the narrow one."""
    wide, narrow, mean_square = sp.symbols(r"\sigma_1^2 \sigma_2^2 \mu_2^2", positive=True)
    S = Mean(SHARES, beta(LAM, ALPHA))
    d = Derivation(r"\tilde\kappa", _curvature_along(0, wide) / _curvature_along(sp.sqrt(mean_square), narrow),
                   {"alpha": ALPHA, "wide": wide, "narrow": narrow, "mean_square": mean_square})
    d = d.equals(S * wide / (S * narrow + mean_square), "the mean holds the small curvature up")
    return d.equals(condition_across(ALPHA, wide, narrow, mean_square), "$\\mathbb{E}\\,S = s$", claim=S_SHRINK)


def derive_step_gain_ceiling() -> Derivation:
    """Order of symmetric matrices."""
    d = Derivation(r"\sup_{\Sigma,\mu}\tilde\eta_{\max}/\eta_{\max}",
                   sp.Symbol(r"\sup\ \lambda_{\max}(\Sigma + \mu\mu^\top) / \lambda_{\max}(s\Sigma + \mu\mu^\top)"),
                   {"alpha": ALPHA})
    d = d.appeal(1 / Mean(SHARES, beta(LAM, ALPHA)),
                 "$s\\Sigma + \\mu\\mu^\\top - s(\\Sigma + \\mu\\mu^\\top) = (1-s)\\mu\\mu^\\top$ has no negative "
                 "eigenvalue, so that $\\lambda_{\\max}$ falls by $s$ at most; at $\\mu = 0$ it does")
    return d.equals(step_gain_ceiling(ALPHA), "$\\mathbb{E}\\,S = s$", claim=S_SHRINK)


def derive_step_gain_floor() -> Derivation:
    """Order of symmetric matrices, the other way."""
    variance, mean_square = sp.symbols(r"v \mu^2", positive=True)
    S = Mean(SHARES, beta(LAM, ALPHA))
    d = Derivation(r"\inf_{\Sigma,\mu}\tilde\eta_{\max}/\eta_{\max}",
                   sp.Symbol(r"\inf\ \lambda_{\max}(\Sigma + \mu\mu^\top) / \lambda_{\max}(s\Sigma + \mu\mu^\top)"),
                   {"alpha": ALPHA})
    d = d.appeal(sp.Limit((variance + mean_square) / (S.doit() * variance + mean_square), variance, 0),
                 "$\\Sigma - s\\Sigma$ has no negative eigenvalue, so that $\\lambda_{\\max}$ cannot rise; it stays "
                 "where the mean outweighs the variance $v$ along it")
    return d.equals(step_gain_floor(ALPHA), "the limit")


# ---- claims --------------------------------------------------------------------------------------------------------

PAIR = "the two members of a pair are independent"

LEAST_SQUARES = Claim(
    id="curvature.least_squares", title="Hessian of least squares on mixed data",
    statement=r"\nabla^2\tilde L = s\,\Sigma + \mu\mu^\top,\qquad \text{with an intercept }\ "
              r"\begin{pmatrix}1 & \mu^\top\\ \mu & s\,\Sigma + \mu\mu^\top\end{pmatrix}",
    assumptions=(PAIR, "finite second moments", "loss one half of the mean squared error"),
    fails_when="batch normalisation stands between the mixing and the layer (curvature.batchnorm)",
    predict=least_squares_hessian, derive=derive_hessian, exact=routes.enumerated_hessian,
    simulate=routes.simulate_hessian,
    cases=cases(alpha=GRID, Sigma=SIGMA, mu=MU, intercept=(False, True)),
    wrong={"everything shrinks": predicts(lambda alpha, Sigma, mu, intercept: _bordered(
               mm.shrinkage(alpha), Sigma, mu, intercept, 1)),
           "everything shrinks, the intercept too": predicts(lambda alpha, Sigma, mu, intercept: (
               mm.shrinkage(alpha) * least_squares_hessian(0, Sigma, mu, intercept))),
           "no shrinkage": predicts(lambda alpha, Sigma, mu, intercept: least_squares_hessian(0, Sigma, mu, intercept)),
           "square roots as weights": simulates(routes.simulate_square_roots)},
    references=("zhang2018mixup: equation 1 (from memory)",), experiment="curvature")


def _bordered(s: Any, Sigma: Any, mu: Any, intercept: bool, corner: Any) -> Any:
    """s (Sigma + mu mu^T) with an intercept that does not shrink."""
    plain = least_squares_hessian(0, Sigma, mu)
    if not intercept:
        return s * plain
    if isinstance(plain, sp.MatrixBase):
        m = sp.Matrix(mu)
        return sp.Matrix.vstack(sp.Matrix([[corner, *m]]), sp.Matrix.hstack(m, s * plain))
    return np.block([[np.full((1, 1), float(corner)), mu[None]], [mu[:, None], s * plain]])


STEP = Claim(
    id="curvature.largest_step", title="The largest stable step on the mixup risk",
    statement=r"\tilde\eta_{\max} = \frac{2}{\lambda_{\max}(s\,\Sigma + \mu\mu^\top)}",
    assumptions=(PAIR, "gradient descent with a constant step on the expected mixup risk of least squares"),
    fails_when="the loss is not quadratic, or steps are stochastic: then it bounds the mean iterate only",
    predict=stable_step, derive=derive_stable_step, exact=routes.descent_threshold,
    cases=(*cases(alpha=GRID, Sigma=SIGMA, mu=MU, intercept=(False, True)),
           {"alpha": 1.0, "Sigma": np.eye(2), "mu": np.array([3.0, 0.0]), "intercept": False}),
    wrong={"everything shrinks": predicts(lambda alpha, Sigma, mu, intercept: stable_step(
               0, Sigma, mu, intercept) / mm.shrinkage(alpha)),
           "no gain": predicts(lambda alpha, Sigma, mu, intercept: stable_step(0, Sigma, mu, intercept)),
           "1 for 2": predicts(lambda alpha, Sigma, mu, intercept: stable_step(alpha, Sigma, mu, intercept) / 2)},
    experiment="curvature")

CENTRED = Claim(
    id="curvature.centred", title="Centred inputs: a larger step, the same condition",
    statement=r"\frac{\tilde\eta_{\max}}{\eta_{\max}} = \frac1s \in [1, 2),\qquad \tilde\kappa = \kappa",
    assumptions=(PAIR, "centred inputs, no intercept", r"$\Sigma$ is invertible"),
    fails_when="the inputs have a mean, or there is an intercept (curvature.condition_isotropic, "
               "curvature.condition_standardised)",
    predict=centred_gain, derive=derive_centred, exact=routes.exact_centred,
    cases=cases(alpha=GRID, Sigma=SIGMA), experiment="curvature",
    wrong={"condition improves by s": predicts(lambda alpha, Sigma: _pair(
               1 / mm.shrinkage(alpha), mm.shrinkage(alpha))),
           "the step shrinks": predicts(lambda alpha, Sigma: _pair(mm.shrinkage(alpha), 1))})


def _pair(one: Any, two: Any) -> Any:
    return sp.Matrix([one, two]) if is_symbolic(one) else np.array([one, two])


ISOTROPIC = Claim(
    id="curvature.condition_isotropic", title="With a mean the condition number rises",
    statement=r"\Sigma = \sigma^2 I:\qquad \tilde\kappa = 1 + \frac{|\mu|^2}{s\,\sigma^2}",
    assumptions=(PAIR, "uncorrelated features of one variance, a mean, no intercept"),
    fails_when="the mean lies along a direction of little variance (curvature.condition_across)",
    predict=condition_isotropic, derive=derive_condition_isotropic, exact=routes.exact_isotropic,
    cases=cases(alpha=GRID, variance=(1.0, 0.3), mean_square=(0.4, 9.0)),
    wrong={"unchanged": predicts(lambda alpha, variance, mean_square: 1 + mean_square / variance),
           "s on the wrong side": predicts(
               lambda alpha, variance, mean_square: 1 + mm.shrinkage(alpha) * mean_square / variance)})

STANDARDISED = Claim(
    id="curvature.condition_standardised", title="Standardised features, an intercept: worse by 1/s",
    statement=r"\kappa = 1 \quad\longrightarrow\quad \tilde\kappa = \frac1s",
    assumptions=(PAIR, "standardised, uncorrelated features", "an intercept"),
    fails_when="features are correlated, or there is no intercept (curvature.centred)",
    predict=condition_standardised, derive=derive_condition_standardised, exact=routes.exact_standardised,
    cases=cases(alpha=GRID), experiment="curvature",
    wrong={"still perfect": predicts(lambda alpha: 1 + 0 * mm.shrinkage(alpha)),
           "better by s": predicts(lambda alpha: mm.shrinkage(alpha))})

ACROSS = Claim(
    id="curvature.condition_across", title="A mean along the narrow feature: the condition improves",
    statement=r"\Sigma = \operatorname{diag}(\sigma_1^2, \sigma_2^2),\ \mu = (0, \mu_2):\qquad "
              r"\tilde\kappa = \frac{s\,\sigma_1^2}{s\,\sigma_2^2 + \mu_2^2} < \kappa",
    assumptions=(PAIR, r"two uncorrelated features, $\sigma_2^2 + 2\mu_2^2 \le \sigma_1^2$", "no intercept"),
    fails_when="the mean is large or lies elsewhere: then the condition may rise (curvature.condition_isotropic)",
    predict=condition_across, derive=derive_condition_across, exact=routes.exact_across,
    cases=cases(alpha=GRID, wide=1.0, narrow=(0.01, 0.2), mean_square=(0.09, 0.35)),
    wrong={"unchanged": predicts(lambda alpha, wide, narrow, mean_square: wide / (narrow + mean_square)),
           "the mean shrinks instead": predicts(
               lambda alpha, wide, narrow, mean_square: wide / (narrow + mm.shrinkage(alpha) * mean_square))})

CEILING = Claim(
    id="curvature.step_gain_ceiling", title="At most 1/s wider steps", kind="bound", side="upper", tight=1e-9,
    statement=r"\frac{\tilde\eta_{\max}}{\eta_{\max}} \le \frac1s < 2", assumptions=(PAIR, "least squares"),
    predict=step_gain_ceiling, derive=derive_step_gain_ceiling,
    exact=lambda alpha: routes.exact_extreme_gain(alpha, largest=True), cases=cases(alpha=(0.37, 1.0, 4.2)),
    wrong={"one per cent less": predicts(lambda alpha: 0.99 / mm.shrinkage(alpha)),
           "twice for every alpha": predicts(lambda alpha: 2 + 0 * mm.shrinkage(alpha))})

FLOOR = Claim(
    id="curvature.step_gain_floor", title="Never narrower steps", kind="bound", side="lower", tight=1e-9,
    statement=r"\frac{\tilde\eta_{\max}}{\eta_{\max}} \ge 1", assumptions=(PAIR, "least squares"),
    fails_when="the loss is logistic and the classes are separated (curvature.logistic_optimum)",
    predict=step_gain_floor, derive=derive_step_gain_floor,
    exact=lambda alpha: routes.exact_extreme_gain(alpha, largest=False), cases=cases(alpha=(0.37, 1.0, 4.2)),
    wrong={"one per cent more": predicts(lambda alpha: 1.01 + 0 * mm.mean_product(alpha)),
           "always the full gain": predicts(lambda alpha: 1 / mm.shrinkage(alpha))})
