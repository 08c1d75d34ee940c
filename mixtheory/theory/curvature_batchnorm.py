r"""Batch normalisation in training mode undoes the shrinkage: behind it mixup does not change the Hessian.

Normalisation divides every feature by its standard deviation in the mixed batch, which is smaller by the same factor
as the feature itself. What is left of mixup: a finite epsilon, mixing behind the last normalisation, and the running
statistics of evaluation mode (`curvature_running`). Notation: R is the correlation matrix of the features, gamma and
shift (d,) are the weights and biases of the normalisation, Gamma = diag(gamma). The claims belong to `curvature`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp
from scipy.optimize import brentq
from scipy.special import expit

from mixtheory.domain import (
    DomainError,
    check_alpha,
    check_covariance,
    check_finite,
    check_member,
    check_positive,
    is_symbolic,
)
from mixtheory.evidence import Claim, Derivation, Mean, beta, cases, centred, predicts, scalar, simulates
from mixtheory.mixing import symmetric
from mixtheory.mixup import blend
from mixtheory.theory import _curvature_routes as routes
from mixtheory.theory import gaussian_logistic
from mixtheory.theory import mixing_moments as mm
from mixtheory.theory._curvature_logistic_routes import exact_absorbed
from mixtheory.theory.curvature import GRID, S_SHRINK, SHARES, SIGMA

__all__ = ["absorbed_slope", "batchnorm_hessian", "batchnorm_trace", "epsilon_factor", "mixed_behind_hessian"]

ALPHA, LAM = mm.ALPHA, mm.LAM
GAMMA, SHIFT = np.array([1.3, 0.6]), np.array([0.2, -0.5])


def batchnorm_hessian(alpha: Any, Sigma: Any, gamma: Any, shift: Any) -> Any:
    r"""Hessian of 1/2 E(w^T z - y)^2 for z = BN(x~) in training mode: Gamma R Gamma + shift shift^T; no alpha in it.

    Infinite batches, epsilon = 0; one lambda a batch or a lambda each.

    Args:
        alpha: in [0, inf]; it does not matter.
        Sigma: (d, d) covariance of the inputs of the normalisation, no feature constant.
        gamma: (d,) weights of the normalisation.
        shift: (d,) its biases.

    Returns:
        (d, d), dimensionless but for gamma and shift.

    Raises:
        DomainError: Sigma not a covariance or with a constant feature, lengths that differ.
    """
    check_alpha(alpha)
    if is_symbolic(Sigma, gamma, shift):
        scale = sp.diag(*[g / sp.sqrt(Sigma[j, j]) for j, g in enumerate(gamma)])
        return scale * Sigma * scale + sp.Matrix(shift) * sp.Matrix(shift).T
    check_covariance(Sigma)
    check_positive(np.diag(Sigma), "diagonal of Sigma")
    check_finite(gamma, "gamma", shape=(len(Sigma),))
    check_finite(shift, "shift", shape=(len(Sigma),))
    scale = np.asarray(gamma) / np.sqrt(np.diag(Sigma))
    return scale[:, None] * np.asarray(Sigma, dtype=float) * scale + np.outer(shift, shift)


def batchnorm_trace(alpha: Any, n: Any, pairing: Any, sharing: Any, gamma: Any, shift: Any) -> Any:
    """Trace of that Hessian for any finite batch: |gamma|^2 + |shift|^2, exactly, however the batch is mixed.

    Args:
        alpha: in [0, inf]; like n, pairing and sharing it does not matter.
        n: size of the batch.
        pairing: any.
        sharing: any.
        gamma: (d,), as in `batchnorm_hessian`.
        shift: (d,).
    """
    check_alpha(alpha)
    return sum(g**2 for g in gamma) + sum(b**2 for b in shift)


def epsilon_factor(alpha: Any, variance: Any, eps: Any) -> Any:
    """Variance of a normalised mixed feature over that of a normalised unmixed one: s (v + eps)/(s v + eps).

    Args:
        alpha: in [0, inf].
        variance: v > 0 of the feature before normalisation.
        eps: epsilon of the normalisation, >= 0, in the same units. PyTorch's default is 1e-5.

    Returns:
        From s (eps far above the variance) to 1 (eps = 0); dimensionless.

    Raises:
        DomainError: arguments outside their domains.
    """
    check_positive(variance, "variance")
    if not is_symbolic(eps) and (not np.isfinite(eps).all() or np.min(eps) < 0):
        raise DomainError(f"eps = {eps!r}: must be finite and at least 0")
    s = mm.shrinkage(alpha)
    return s * (variance + eps) / (s * variance + eps)


def mixed_behind_hessian(alpha: Any, Sigma: Any, gamma: Any, shift: Any) -> Any:
    """Mixing the outputs of the normalisation, as manifold mixup may: s Gamma R Gamma + shift shift^T.

    Arguments, returns and errors as `batchnorm_hessian`; here alpha in [0, inf] does matter.
    """
    flat = np.outer(shift, shift) if not is_symbolic(shift) else sp.Matrix(shift) * sp.Matrix(shift).T
    return mm.shrinkage(alpha) * (batchnorm_hessian(0, Sigma, gamma, shift) - flat) + flat


def absorbed_slope(alpha: Any, m: Any, sharing: str) -> float:
    r"""Slope in evaluation mode of batch normalisation followed by a bias-free logistic layer, trained with mixup.

    Two unit Gaussians at -m and m on a line, infinite batches, epsilon = 0, running statistics of mixed batches. With
    a lambda each, the layer learns the slope that it would have without normalisation times the scale that evaluation
    divides by: the slope is `gaussian_logistic.slope`. With one lambda a batch every batch is divided by its own
    standard deviation, proportional to sqrt(S), and evaluation by sqrt(s).

    Args:
        alpha: in [0, inf].
        m: half the distance of the means, in (0, 5].
        sharing: batch or element.

    Returns:
        Log-odds per unit of x.

    Raises:
        DomainError: arguments outside these domains.
    """
    check_member(sharing, ("batch", "element"), "sharing")
    if sharing == "element":
        return gaussian_logistic.slope(alpha, m)
    weight, x, y, S = gaussian_logistic.mixed(alpha, m)
    z = x / np.sqrt(S)
    slope = brentq(lambda t: float(weight @ ((expit(t * z) - y) * z)), 0.0, 3 * m, xtol=1e-15, rtol=1e-14)
    return float(slope / np.sqrt(1 - 2 * symmetric(alpha).moment(1, 1)))


# ---- derivations ---------------------------------------------------------------------------------------------------

def _features() -> tuple[Any, ...]:
    """Centred blends of two features, their laws and the parameters of the claims as SymPy matrices."""
    entries = sp.symbols("Sigma_11 Sigma_12 Sigma_22", positive=True)
    Sigma = sp.Matrix([[entries[0], entries[1]], [entries[1], entries[2]]])
    first, second = sp.symbols("c_i1 c_i2", real=True), sp.symbols("c_j1 c_j2", real=True)
    x = [blend(LAM, a, b) for a, b in zip(first, second, strict=True)]
    laws = centred(first, Sigma), centred(second, Sigma)
    gamma = sp.Matrix(sp.symbols("gamma_1 gamma_2", positive=True))
    shift = sp.Matrix(sp.symbols("beta_1 beta_2", real=True))
    return x, laws, {"alpha": ALPHA, "Sigma": Sigma, "gamma": gamma, "shift": shift}


def _normalised(products: Any, gamma: Any, shift: Any) -> sp.Matrix:
    """Entries of E[z z^T], z = gamma x~/sd + shift, from products(j, k) = E[x~_j x~_k]."""
    return sp.Matrix(2, 2, lambda j, k: gamma[j] * gamma[k] * products(j, k)
                     / (sp.sqrt(products(j, j)) * sp.sqrt(products(k, k))) + shift[j] * shift[k])


def _derive_batchnorm(shared: bool) -> Derivation:
    x, laws, p = _features()
    over = laws if shared else (*laws, beta(LAM, ALPHA))
    name = r"\nabla^2\tilde L" + (r"\,|\,\lambda" if shared else "")
    d = Derivation(name, _normalised(lambda j, k: Mean(x[j] * x[k], *over), p["gamma"], p["shift"]), p)
    return d.equals(batchnorm_hessian(ALPHA, p["Sigma"], p["gamma"], p["shift"]),
                    "the variances that the batch is divided by have the factor of the covariance, "
                    + ("$S = \\lambda^2 + (1-\\lambda)^2$: it cancels, batch by batch" if shared else
                       "$\\mathbb{E}\\,S$: it cancels"))


def derive_batchnorm() -> Derivation:
    """A lambda each: the factor is s in numerator and denominator."""
    return _derive_batchnorm(shared=False)


def derive_batchnorm_shared() -> Derivation:
    """One lambda a batch: given lambda, the factor is S in both."""
    return _derive_batchnorm(shared=True)


def derive_trace() -> Derivation:
    """Means over the n members of any batch with mean m and variance V."""
    c, V = sp.Symbol("c", real=True), sp.Symbol("V", positive=True)
    gamma, shift = sp.Symbol("gamma", positive=True), sp.Symbol("beta", real=True)
    batch = scalar(c, 0, V)
    d = Derivation(r"\tfrac1n\textstyle\sum_i z_i^2", Mean((gamma * c / sp.sqrt(V) + shift) ** 2, batch),
                   {"alpha": ALPHA, "n": sp.Symbol("n"), "pairing": "roll", "sharing": "batch", "gamma": [gamma],
                    "shift": [shift]})
    d = d.equals(gamma**2 * Mean(c**2, batch) / V + shift**2, "deviations from the batch mean sum to 0")
    return d.equals(batchnorm_trace(ALPHA, 0, "", "", [gamma], [shift]),
                    "and their mean square is what they were divided by; every feature adds such a term")


def derive_epsilon() -> Derivation:
    """Variance of one feature over what it is divided by, with and without mixing."""
    v, eps = sp.symbols(r"\sigma^2 varepsilon", positive=True)
    c1, c2 = sp.symbols("c_i c_j", real=True)
    mixed = Mean(blend(LAM, c1, c2) ** 2, scalar(c1, 0, v), scalar(c2, 0, v), beta(LAM, ALPHA))
    S = Mean(SHARES, beta(LAM, ALPHA))
    d = Derivation(r"\operatorname{Var}\tilde z/\operatorname{Var}z", (mixed / (mixed + eps)) / (v / (v + eps)),
                   {"alpha": ALPHA, "variance": v, "eps": eps})
    d = d.equals(S * v / (S * v + eps) * (v + eps) / v, "the variance shrinks, epsilon does not")
    return d.equals(epsilon_factor(ALPHA, v, eps), "$\\mathbb{E}\\,S = s$", claim=S_SHRINK)


def derive_mixed_behind() -> Derivation:
    """Normalised features are features: covariance shrinks, mean stays."""
    x, laws, p = _features()
    Sigma, gamma, shift = p["Sigma"], p["gamma"], p["shift"]
    lam = beta(LAM, ALPHA)

    def output(k: int, c: Any) -> Any:
        return gamma[k] * c / sp.sqrt(Sigma[k, k]) + shift[k]

    first, second = laws[0].symbols, laws[1].symbols
    z = [blend(LAM, output(k, first[k]), output(k, second[k])) for k in range(2)]
    d = Derivation(r"\nabla^2\tilde L", sp.Matrix(2, 2, lambda j, k: Mean(z[j] * z[k], *laws, lam)), p)
    S = Mean(SHARES, lam)
    d = d.equals(sp.Matrix(2, 2, lambda j, k: S * gamma[j] * gamma[k] * Sigma[j, k]
                           / (sp.sqrt(Sigma[j, j]) * sp.sqrt(Sigma[k, k])) + shift[j] * shift[k]),
                 "the outputs have mean $\\beta$ and covariance $\\Gamma R\\Gamma$")
    return d.equals(mixed_behind_hessian(ALPHA, Sigma, gamma, shift), "$\\mathbb{E}\\,S = s$", claim=S_SHRINK)


# ---- claims --------------------------------------------------------------------------------------------------------

PAIR = "the two members of a pair are independent"
CORRELATED = np.array([[4.0, 0.6], [0.6, 0.25]])            # correlation 0.6: lambda_max(R) = 1.6
SETTINGS = cases(alpha=GRID, Sigma=(SIGMA, CORRELATED), gamma=GAMMA, shift=SHIFT)
SETTINGS += cases(alpha=1.0, Sigma=CORRELATED, gamma=np.ones(2), shift=np.zeros(2))
SCALED = predicts(lambda alpha, Sigma, gamma, shift: mixed_behind_hessian(alpha, Sigma, gamma, shift))
SCALED_ALL = predicts(lambda alpha, Sigma, gamma, shift: mm.shrinkage(alpha) * batchnorm_hessian(
    alpha, Sigma, gamma, shift))
UNNORMALISED = predicts(lambda alpha, Sigma, gamma, shift: _unnormalised(Sigma, gamma, shift))


def _unnormalised(Sigma: Any, gamma: Any, shift: Any) -> Any:
    """Covariance for correlation."""
    if is_symbolic(Sigma):
        return sp.diag(*gamma) * Sigma * sp.diag(*gamma) + sp.Matrix(shift) * sp.Matrix(shift).T
    return gamma[:, None] * Sigma * gamma + np.outer(shift, shift)


BATCHNORM = Claim(
    id="curvature.batchnorm", title="Behind batch normalisation nothing shrinks",
    statement=r"\nabla^2\tilde L = \Gamma R\,\Gamma + \beta\beta^\top\quad\text{for every }\alpha",
    assumptions=(PAIR, "training mode, infinite batches, a lambda each", r"$\varepsilon = 0$",
                 "the linear layer follows the normalisation directly; squared loss"),
    fails_when="epsilon is not small against the variance (curvature.epsilon), mixing comes after the normalisation "
               "(curvature.mixed_behind), or in evaluation mode (curvature.running_variance)",
    predict=batchnorm_hessian, derive=derive_batchnorm, exact=routes.exact_batchnorm, cases=SETTINGS,
    wrong={"scaled by s": SCALED, "scaled by s as a whole": SCALED_ALL, "covariance for correlation": UNNORMALISED},
    references=("ioffe2015batchnorm: algorithm 1 (from memory)",), experiment="curvature")

BATCHNORM_SHARED = Claim(
    id="curvature.batchnorm_shared", title="Nor with one weight a batch: it cancels each time",
    statement=r"\nabla^2\tilde L\,|\,\lambda = \Gamma R\,\Gamma + \beta\beta^\top\quad\text{for every }\lambda",
    assumptions=(PAIR, "training mode, infinite batches, one lambda a batch", r"$\varepsilon = 0$"),
    fails_when="the batch is normalised by statistics of other batches, as in evaluation mode",
    predict=batchnorm_hessian, derive=derive_batchnorm_shared, exact=routes.exact_batchnorm_shared, cases=SETTINGS,
    wrong={"scaled by s": SCALED, "covariance for correlation": UNNORMALISED}, experiment="curvature")

TRACE = Claim(
    id="curvature.batchnorm_trace", title="In every finite batch the trace stays",
    statement=r"\operatorname{tr}\nabla^2\tilde L = |\gamma|^2 + |\beta|^2",
    assumptions=(r"training mode, $\varepsilon = 0$", "no feature is constant in the mixed batch"),
    fails_when="statistics come from elsewhere, as in evaluation mode",
    predict=batchnorm_trace, derive=derive_trace, exact=routes.exact_trace, simulate=routes.simulate_trace,
    cases=cases(alpha=(0.37, 1.0), n=4, pairing=("roll", "permutation"), sharing=("batch", "element"), gamma=GAMMA,
                shift=SHIFT),
    wrong={"scaled by s": predicts(lambda alpha, n, pairing, sharing, gamma, shift: mm.shrinkage(alpha) * sum(
               g**2 for g in gamma) + sum(b**2 for b in shift)),
           "statistics of clean data": simulates(routes.simulate_trace_evaluation)}, experiment="curvature")

EPSILON = Claim(
    id="curvature.epsilon", title="A large epsilon lets some shrinkage through",
    statement=r"\frac{\operatorname{Var}\tilde z}{\operatorname{Var}z} = "
              r"\frac{s\,(\sigma^2 + \varepsilon)}{s\,\sigma^2 + \varepsilon}",
    assumptions=(PAIR, "training mode, infinite batches",
                 "a lambda each; with one lambda a batch $S$ takes the place of $s$"),
    predict=epsilon_factor, derive=derive_epsilon, exact=routes.exact_epsilon,
    cases=cases(alpha=GRID, variance=(0.02, 1.7), eps=(1e-5, 0.1, 3.0)), scale=lambda prediction, **case: 1.0,
    wrong={"no epsilon": predicts(lambda alpha, variance, eps: 1 + 0 * mm.shrinkage(alpha)),
           "all of s": predicts(lambda alpha, variance, eps: mm.shrinkage(alpha)),
           "epsilon shrinks too": predicts(lambda alpha, variance, eps: (variance + eps) / (
               variance + mm.shrinkage(alpha) * eps))})

BEHIND = Claim(
    id="curvature.mixed_behind", title="Mixing after the last normalisation keeps the factor",
    statement=r"\nabla^2\tilde L = s\,\Gamma R\,\Gamma + \beta\beta^\top",
    assumptions=("independent examples", "their normalised outputs are mixed, as in manifold mixup at this layer"),
    fails_when="another normalisation in training mode follows",
    predict=mixed_behind_hessian, derive=derive_mixed_behind, exact=routes.exact_after_normalisation,
    simulate=routes.simulate_after_normalisation, cases=cases(alpha=GRID, Sigma=SIGMA, gamma=GAMMA, shift=SHIFT),
    wrong={"nothing shrinks": predicts(lambda alpha, Sigma, gamma, shift: batchnorm_hessian(
               alpha, Sigma, gamma, shift)),
           "scaled by s as a whole": SCALED_ALL,
           "mixed before the normalisation": simulates(routes.simulate_before_normalisation)},
    references=("verma2019manifold: section 2 (from memory)",))

ABSORBED = Claim(
    id="curvature.absorbed", title="A trained layer absorbs the scale of the normalisation", kind="numerical",
    statement=r"\text{slope in evaluation mode} = \begin{cases} w_\alpha & \text{a }\lambda\text{ each}\\ "
              r"v_\alpha/\sqrt s & \text{one }\lambda\text{ a batch}\end{cases}",
    assumptions=(r"$w_\alpha$ minimises $\mathbb{E}\,\ell(w\,\tilde x, \tilde y)$ and $v_\alpha$ minimises "
                 r"$\mathbb{E}\,\ell(v\,\tilde x/\sqrt S, \tilde y)$",
                 "two unit Gaussians, infinite batches", "normalisation and a logistic layer without bias, trained "
                 "with mixup to the minimum", "running statistics of mixed batches"),
    fails_when="the layer was trained elsewhere and is only evaluated with these statistics: then its slope grows by "
               "$1/\\sqrt s$",
    predict=absorbed_slope, exact=exact_absorbed, tolerance=1e-10,
    cases=cases(alpha=(0.2, 1.0, 4.2), m=(0.8, 1.5), sharing=("element", "batch")),
    wrong={"inflated by the statistics": predicts(lambda alpha, m, sharing: gaussian_logistic.slope(alpha, m) / np.sqrt(
               mm.shrinkage(alpha)), symbolic=False),
           "sharing does not matter": predicts(lambda alpha, m, sharing: gaussian_logistic.slope(alpha, m),
                                               symbolic=False),
           "slope without mixup": predicts(lambda alpha, m, sharing: 2 * m, symbolic=False)}, experiment="curvature")
