r"""Curvature of logistic regression under mixup: smaller at zero weights, larger at the minimum of separated classes.

H = E[p(1 - p) x~ x~^T] is a second moment weighted by how undecided the prediction is. At zero weights all predictions
are undecided and only the second moment shrinks. Trained on separated classes, the plain model is saturated and its
curvature is nearly gone, while the mixup model must stay undecided. The claims belong to `curvature`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp
from scipy.optimize import brentq
from scipy.special import expit, hyp2f1

from mixtheory.domain import (
    DomainError,
    check_alpha,
    check_count,
    check_finite,
    check_member,
    check_positive,
    is_symbolic,
)
from mixtheory.evidence import Claim, Derivation, Mean, beta, cases, predicts, scalar
from mixtheory.mixing import symmetric
from mixtheory.mixup import blend
from mixtheory.theory import _curvature_logistic_routes as routes
from mixtheory.theory import curvature as cv
from mixtheory.theory import gaussian_logistic
from mixtheory.theory import mixing_moments as mm
from mixtheory.theory.curvature import ALPHA, GRID, LAM, MU, SHARES, SIGMA

__all__ = ["logistic_hessian", "logistic_origin", "logistic_risk", "saturated_ratio", "sharper_from", "softmax_origin"]

POWERS = {"parallel": -0.5, "orthogonal": 0.5}
DIRECTIONS = ("parallel", "orthogonal", "largest")


def logistic_hessian(alpha: Any, m: Any, w: Any = None) -> np.ndarray:
    r"""Eigenvalues of the Hessian of mixup logistic regression on two Gaussian classes, in any dimension.

    x given y is N(+-m e_1, I), equal priors, weights w e_1, no intercept. The Hessian E[p(1 - p) x~ x~^T] is diagonal:
    E[p(1 - p) x~_1^2] along e_1 and E[p(1 - p) S] in each of the other directions. Other means and covariances are
    whitened to this, see `gaussian_logistic`.

    Args:
        alpha: in [0, inf]; 0 is no mixup.
        m: half the distance of the means in standard deviations, in (0, 5].
        w: slope; None for the minimiser of the mixup risk, `gaussian_logistic.slope(alpha, m)`. At most about 10 in
            size, beyond which the quadrature is not exact to rounding.

    Returns:
        (2,): along the means, and orthogonal to them; nats per squared unit of the weights.

    Raises:
        DomainError: arguments outside their domains.

    Example:
        >>> logistic_hessian(0.0, 1.5).round(4), logistic_hessian(1.0, 1.5).round(4)
        (array([0.021 , 0.0493]), array([0.1121, 0.0826]))

    Source: second derivative of the cross-entropy.
    """
    weight, x, _, S = gaussian_logistic.mixed(alpha, m)
    t = gaussian_logistic.slope(alpha, m) if w is None else float(check_finite(w, "w"))
    undecided = weight * expit(t * x) * expit(-t * x)
    return np.array([undecided @ x**2, undecided @ S])


def logistic_risk(alpha: Any, m: Any, w: Any) -> np.ndarray:
    """Mixup risk of logistic regression without intercept on the two Gaussian classes of `logistic_hessian`.

    Given lambda and the labels the logit is Gaussian, with variance S |w|^2.

    Args:
        alpha: in [0, inf].
        m: half the distance of the means in standard deviations, > 0.
        w: (..., d) weights, the first along the means; norms up to about 10.

    Returns:
        (...) mean cross-entropy in nats.

    Raises:
        DomainError: arguments outside their domains.

    Example:
        >>> logistic_risk(1.0, 1.5, np.zeros(2)).round(6)
        np.float64(0.693147)
    """
    check_positive(m, "m")
    w = np.atleast_1d(np.asarray(check_finite(w, "w"), dtype=float))
    lam, mass = symmetric(check_alpha(alpha)).quadrature(nodes=24)
    z, normal = gaussian_logistic.normal_rule(9.0, 0.1)
    along, size = w[..., 0], np.linalg.norm(w, axis=-1)
    total = np.zeros(along.shape)
    for p, q in zip(lam, mass, strict=True):
        spread = size[..., None] * np.sqrt(p**2 + (1 - p) ** 2) * z
        for centre, label, share in ((m, 1.0, 0.25), (-m, 0.0, 0.25), (m * (2 * p - 1), p, 0.5)):
            logit = along[..., None] * centre + spread
            total = total + q * share * (np.logaddexp(0, logit) @ normal - label * along * centre)
    return total[()]


def logistic_origin(alpha: Any, Sigma: Any, mu: Any) -> Any:
    """Hessian of logistic regression at zero weights: (s Sigma + mu mu^T)/4, whatever the labels are.

    Args:
        alpha: in [0, inf].
        Sigma: (d, d) covariance of x, of all classes together.
        mu: (d,) mean of x.

    Raises:
        DomainError: see `curvature.least_squares_hessian`.
    """
    return cv.least_squares_hessian(alpha, Sigma, mu) / 4


def softmax_origin(alpha: Any, Sigma: Any, mu: Any, K: Any) -> Any:
    """Hessian of softmax regression at zero weights: (I - 1 1^T/K)/K kron (s Sigma + mu mu^T).

    Args:
        alpha: in [0, inf].
        Sigma: (d, d) covariance of x.
        mu: (d,) mean of x.
        K: number of classes, at least 2; the (K, d) weights are flattened class by class.

    Returns:
        (K d, K d); each feature direction has curvature 1/K for contrasts of classes and 0 for their common shift.

    Raises:
        DomainError: K < 2, and those of `curvature.least_squares_hessian`.
    """
    check_count(K, "K")
    M = cv.least_squares_hessian(alpha, Sigma, mu)
    if isinstance(M, sp.MatrixBase):
        return sp.kronecker_product((sp.eye(K) - sp.ones(K, K) / K) / K, M)
    return np.kron((np.eye(K) - 1 / K) / K, M)


def saturated_ratio(alpha: Any, w: Any, direction: str) -> Any:
    """Curvature with mixup over curvature without, x ~ N(0, I), at the same large weights: E S^(-1/2) or E S^(1/2).

    E S^k = 2^(-k) 2F1(-k, 1/2; alpha + 1/2; -1). Along the weights it exceeds 1, across them it is below.

    Args:
        alpha: in [0, inf].
        w: norm of the weights; the ratio is its limit for large w, with an error like 1/w^2.
        direction: parallel (to the weights) or orthogonal.

    Raises:
        DomainError: arguments outside their domains.

    Source: DLMF 15.6.1.
    """
    check_alpha(alpha)
    check_positive(w, "w")
    k = POWERS[check_member(direction, tuple(POWERS), "direction")]
    if is_symbolic(alpha):
        k = sp.Rational(int(2 * k), 2)
        return 2**-k * sp.hyper([-k, sp.Rational(1, 2)], [alpha + sp.Rational(1, 2)], -1)
    if np.ndim(alpha):
        raise DomainError(f"alpha of shape {np.shape(alpha)}: one alpha at a time")
    return float(2**-k if np.isinf(alpha) else 2**-k * hyp2f1(-k, 0.5, alpha + 0.5, -1.0))


def sharper_from(alpha: Any, direction: str) -> float:
    """Separation m beyond which the minimum with mixup is sharper than the one without: see `logistic_hessian`.

    Args:
        alpha: in (0, inf).
        direction: parallel (along the means), orthogonal, or largest (of all eigenvalues, in two dimensions or more).

    Returns:
        m, half the distance of the means in standard deviations, between 0.3 and 2.5.

    Raises:
        DomainError: arguments outside their domains, or no crossing in that range.
    """
    check_positive(alpha, "alpha")
    check_member(direction, DIRECTIONS, "direction")
    pick = {"parallel": lambda h: h[0], "orthogonal": lambda h: h[1], "largest": max}[direction]

    def excess(m: float) -> float:
        return float(pick(logistic_hessian(alpha, m)) / pick(logistic_hessian(0.0, m))) - 1

    if not excess(0.3) < 0 < excess(2.5):
        raise DomainError(f"alpha = {alpha}: no crossing for m between 0.3 and 2.5")
    return float(brentq(excess, 0.3, 2.5, xtol=1e-13))


# ---- derivations ---------------------------------------------------------------------------------------------------

def _mixed_feature(mu: Any, variance: Any) -> tuple[Any, ...]:
    """A blended feature of mean mu and its laws."""
    first, second = sp.symbols("x_i x_j", real=True)
    laws = *(scalar(x, mu, variance + mu**2) for x in (first, second)), beta(LAM, ALPHA)
    return blend(LAM, first, second), laws


def derive_logistic_origin() -> Derivation:
    """Second derivative of the cross-entropy in one weight; y~ is linear in it and drops out."""
    mu, variance = sp.Symbol("mu", real=True), sp.Symbol("Sigma", positive=True)
    w, y = sp.symbols("w y", real=True)
    x, laws = _mixed_feature(mu, variance)
    d = Derivation(r"\nabla^2\tilde L(0)", sp.Matrix([Mean(sp.Subs(sp.Derivative(
        sp.log(1 + sp.exp(w * x)) - y * w * x, (w, 2)), w, 0), *laws)]),
        {"alpha": ALPHA, "Sigma": sp.Matrix([variance]), "mu": sp.Matrix([mu])})
    d = d.equals(sp.Matrix([Mean(x**2, *laws) / 4]), "$p(1-p) = \\frac14$ at $w = 0$, and $\\tilde y$ enters linearly")
    return d.equals(logistic_origin(ALPHA, sp.Matrix([variance]), sp.Matrix([mu])),
                    "the second moment of mixed data, entry by entry", claim="curvature.least_squares")


def derive_softmax_origin() -> Derivation:
    """Three classes, one feature: log-sum-exp differentiated twice."""
    mu, variance = sp.Symbol("mu", real=True), sp.Symbol("Sigma", positive=True)
    w = sp.symbols("w_1:4", real=True)
    x, laws = _mixed_feature(mu, variance)
    total = sp.log(sum(sp.exp(wk * x) for wk in w))
    zero = (0, 0, 0)
    d = Derivation(r"\nabla^2\tilde L(0)", sp.Matrix(3, 3, lambda j, k: Mean(
        sp.Subs(sp.Derivative(total, w[j], w[k]), w, zero), *laws)),
        {"alpha": ALPHA, "Sigma": sp.Matrix([variance]), "mu": sp.Matrix([mu]), "K": 3})
    d = d.equals((sp.eye(3) - sp.ones(3, 3) / 3) / 3 * Mean(x**2, *laws),
                 "$\\operatorname{diag}(p) - pp^\\top$ at $p = 1/K$, here $K = 3$; the term with $\\tilde y$ is linear")
    return d.equals(softmax_origin(ALPHA, sp.Matrix([variance]), sp.Matrix([mu]), 3),
                    "the second moment of mixed data", claim="curvature.least_squares")


def _derive_saturated(direction: str) -> Derivation:
    q, k = sp.Symbol("q", positive=True), sp.Rational(int(2 * POWERS[direction]), 2)
    sign = r"\parallel" if direction == "parallel" else r"\perp"
    density = (LAM * (1 - LAM)) ** (ALPHA - 1) * sp.gamma(2 * ALPHA) / sp.gamma(ALPHA) ** 2
    start = (rf"\lim_{{w\to\infty}} \mathbb{{E}}[\sigma'(w\tilde x_\parallel)\,\tilde x_{sign}^2]"
             rf"\,/\,\mathbb{{E}}[\sigma'(w x_\parallel)\,x_{sign}^2]")
    d = Derivation(rf"\tilde H_{sign}/H_{sign}", sp.Symbol(start),
                   {"alpha": ALPHA, "w": sp.Symbol("w", positive=True), "direction": direction})
    moment = r"t^2" if direction == "parallel" else "S"
    d = d.appeal(sp.Integral(SHARES**k * density, (LAM, 0, 1)),
                 r"given $\lambda$ a coordinate is $N(0, S)$; with $t = w\tilde x_\parallel$ the curvature is a power "
                 rf"of $1/w$ times $\int\sigma'(t)\,{moment}\,(2\pi S)^{{-1/2}}e^{{-t^2/2w^2S}}dt$; as $w$ grows the "
                 "exponential tends to 1 (dominated convergence)")
    d = d.appeal(sp.Integral(((1 + q) / 2) ** k * q ** sp.Rational(-1, 2) * (1 - q) ** (ALPHA - 1)
                             * sp.gamma(ALPHA + sp.Rational(1, 2)) / (sp.sqrt(sp.pi) * sp.gamma(ALPHA)), (q, 0, 1)),
                 r"$S = (1 + q)/2$ with $q = (2\lambda - 1)^2 \sim \mathrm{Beta}(\frac12, \alpha)$",
                 claim="mixing_moments.arcsine")
    return d.appeal(saturated_ratio(ALPHA, sp.Symbol("w", positive=True), direction),
                    "Euler's integral of the hypergeometric function (DLMF 15.6.1)")


def derive_saturated_parallel() -> Derivation:
    """Laplace: only inputs near the boundary are undecided, and mixing makes them denser."""
    return _derive_saturated("parallel")


def derive_saturated_orthogonal() -> Derivation:
    """The same, with the variance S of the other coordinates."""
    return _derive_saturated("orthogonal")


# ---- claims --------------------------------------------------------------------------------------------------------

PAIR = "the two members of a pair are independent"

LOGISTIC_ORIGIN = Claim(
    id="curvature.logistic_origin", title="Logistic regression at zero weights",
    statement=r"\nabla^2\tilde L(0) = \tfrac14\,(s\,\Sigma + \mu\mu^\top)",
    assumptions=(PAIR, "all weights are zero"),
    fails_when="the weights are not zero (curvature.saturated_parallel, curvature.logistic_optimum)",
    predict=logistic_origin, derive=derive_logistic_origin, exact=routes.exact_logistic_origin,
    cases=cases(alpha=GRID, Sigma=SIGMA, mu=MU),
    wrong={"no shrinkage": predicts(lambda alpha, Sigma, mu: logistic_origin(0, Sigma, mu)),
           "everything shrinks": predicts(lambda alpha, Sigma, mu: mm.shrinkage(alpha) * logistic_origin(0, Sigma, mu)),
           "1/2 for 1/4": predicts(lambda alpha, Sigma, mu: 2 * logistic_origin(alpha, Sigma, mu))})

SOFTMAX_ORIGIN = Claim(
    id="curvature.softmax_origin", title="Softmax regression at zero weights",
    statement=r"\nabla^2\tilde L(0) = \frac1K\Bigl(I - \frac{\mathbf 1\mathbf 1^\top}K\Bigr)\otimes"
              r"(s\,\Sigma + \mu\mu^\top)",
    assumptions=(PAIR, "all weights are zero"), fails_when="the weights are not zero",
    predict=softmax_origin, derive=derive_softmax_origin, exact=routes.exact_softmax_origin,
    cases=cases(alpha=GRID, Sigma=SIGMA, mu=MU, K=(2, 3, 5)),
    wrong={"no shrinkage": predicts(lambda alpha, Sigma, mu, K: softmax_origin(0, Sigma, mu, K)),
           "classes uncoupled": predicts(lambda alpha, Sigma, mu, K: _uncoupled(alpha, Sigma, mu, K))})


def _uncoupled(alpha: Any, Sigma: Any, mu: Any, K: Any) -> Any:
    """p(1 - p) for each class alone, as for K logistic regressions."""
    M, weight = cv.least_squares_hessian(alpha, Sigma, mu), (K - 1) / K**2
    if isinstance(M, sp.MatrixBase):
        return sp.kronecker_product(sp.Rational(K - 1, K**2) * sp.eye(K), M)
    return np.kron(weight * np.eye(K), M)


def _saturated(direction: str, title: str, statement: str, derive: Any, wrong: dict[str, Any]) -> Claim:
    return Claim(
        id=f"curvature.saturated_{direction}", title=title, statement=statement, kind="asymptotic", along=("w", -2),
        assumptions=(PAIR, r"$x \sim N(0, I)$", "the same weights with and without mixup"),
        fails_when="the weights are those of the respective minima (curvature.logistic_optimum), or small "
                   "(curvature.logistic_origin)",
        predict=saturated_ratio, derive=derive, exact=routes.exact_saturated,
        cases=cases(alpha=(0.37, 1.0, 4.2), w=(12.0, 24.0, 48.0), direction=direction), wrong=wrong,
        references=("dlmf: 15.6.1 (from memory)",))


SATURATED_PARALLEL = _saturated(
    "parallel", "Large weights: curvature along them rises",
    r"\frac{\tilde H_\parallel}{H_\parallel} \to \mathbb{E}\,S^{-1/2} > 1\qquad(\|w\| \to \infty)",
    derive_saturated_parallel,
    {"shrinks by s": predicts(lambda alpha, w, direction: mm.shrinkage(alpha)),
     "1/sqrt(s)": predicts(lambda alpha, w, direction: 1 / mm.shrinkage(alpha) ** 0.5, symbolic=False)})

SATURATED_ORTHOGONAL = _saturated(
    "orthogonal", "Large weights: curvature across them falls",
    r"\frac{\tilde H_\perp}{H_\perp} \to \mathbb{E}\,S^{1/2} < 1\qquad(\|w\| \to \infty)",
    derive_saturated_orthogonal,
    {"shrinks by s": predicts(lambda alpha, w, direction: mm.shrinkage(alpha)),
     "sqrt(s)": predicts(lambda alpha, w, direction: mm.shrinkage(alpha) ** 0.5, symbolic=False)})

OPTIMUM = Claim(
    id="curvature.logistic_optimum", title="Curvature at the logistic minimum", kind="numerical",
    statement=r"\tilde H = \operatorname{diag}\bigl(\mathbb{E}[p(1-p)\tilde x_1^2],\ \mathbb{E}[p(1-p)S], \dots\bigr)"
              r"\quad\text{at } w_\alpha = \arg\min\tilde L",
    assumptions=(r"two Gaussian classes $N(\pm m e_1, I)$ of equal weight", PAIR, "each method at its own minimum"),
    fails_when="training stops early, or weights are penalised: then the weights are smaller",
    predict=logistic_hessian, exact=routes.exact_logistic_hessian,
    cases=(*cases(alpha=(0.0, 0.37, 1.0, np.inf), m=(0.8, 1.5, 2.5), w=None),
           *cases(alpha=(0.0, 1.0), m=1.5, w=(0.0, 3.0))),
    wrong={"plain Hessian scaled by s": predicts(lambda alpha, m, w: mm.shrinkage(alpha) * logistic_hessian(0, m, w),
                                                 symbolic=False),
           "at the minimum without mixup": predicts(lambda alpha, m, w: logistic_hessian(
               alpha, m, 2 * m if w is None else w), symbolic=False)},
    references=("efron1975lda: section 2, for the minimum without mixup (from memory)",), experiment="curvature")

SHARPER = Claim(
    id="curvature.sharper_from", title="From which separation on the minimum is sharper", kind="numerical",
    statement=r"\lambda(\tilde H) = \lambda(H)\quad\text{at } m = m^*,\ \text{each at its own minimum}",
    assumptions=(r"two Gaussian classes $N(\pm m e_1, I)$ of equal weight", PAIR,
                 r"$\lambda$: the eigenvalue along the means, across them, or, in two dimensions or more, the largest",
                 "separations $m$ from 0.3 to 2.5"),
    predict=sharper_from, exact=routes.exact_sharper_from,
    cases=(*cases(alpha=1.0, direction=DIRECTIONS), {"alpha": 0.37, "direction": "largest"}),
    wrong={"the same for every direction": predicts(lambda alpha, direction: sharper_from(alpha, "parallel"),
                                                    symbolic=False),
           "one standard deviation": predicts(lambda alpha, direction: 1.0, symbolic=False)})
