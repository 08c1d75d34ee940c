r"""What mixup trains a network to answer when the classes are Gaussian: exact, for any mixture.

`mixup_posterior` is a tool for problems of your own: any number of classes, any dimension, unequal covariances
and priors. It is the minimiser of every proper loss over all functions of the mixed input, the best that a
network can do on mixed data. Claims of the chapter `calibration`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import sympy as sp

from mixtheory.domain import (
    DomainError,
    check_alpha,
    check_count,
    check_definite,
    check_finite,
    check_probabilities,
    is_symbolic,
)
from mixtheory.evidence import Claim, Derivation, Mean, cases, centred, predicts
from mixtheory.mixing import symmetric
from mixtheory.mixup import blend
from mixtheory.theory import _calibration_routes as routes
from mixtheory.theory import mixing_moments as mm

__all__ = ["Components", "bayes_posterior", "check_mixture", "lambda_nodes", "mixed_components",
           "mixup_posterior", "nodes_for"]

ALPHA, LAM = mm.ALPHA, mm.LAM
BLOCK_NUMBERS = 2**20               # float64 in one work array: 8 MiB
LEAST_NODES, MOST_NODES = 64, 2048
WIDE, WIDER = 2.0, 9.0              # alpha of the nodes: at most 2, or a ninth of alpha


class Components(NamedTuple):
    """C Gaussians with soft labels; the density at x is sum_c weight_c N(x; mean_c, cov_c).

    Attributes:
        log_norm: (C,) ln weight - ln det(cov)/2.
        whiten: (C, d, d) inverse Cholesky factors, lower triangular.
        mean: (C, d).
        label: (C, K) rows on the simplex.
    """

    log_norm: np.ndarray
    whiten: np.ndarray
    mean: np.ndarray
    label: np.ndarray


def check_mixture(means: Any, covariances: Any, priors: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means (K, d), covariances (K, d, d) and priors (K,) of a Gaussian mixture, from their short forms.

    Args:
        means: (K, d), or (K,) in one dimension.
        covariances: (K, d, d); (d, d) if common to all classes; a number sigma^2 for sigma^2 I.
        priors: (K,), at least 0, sum one.

    Raises:
        DomainError: shapes that do not fit, values not finite, a covariance that is not symmetric and positive
            definite, priors off the simplex.
    """
    mu = np.asarray(check_finite(means, "means"), dtype=float)
    mu = mu[:, None] if mu.ndim == 1 else mu
    if mu.ndim != 2 or 0 in mu.shape:
        raise DomainError(f"means of shape {np.shape(means)}: must be (K, d), or (K,) in one dimension")
    K, d = mu.shape
    p = np.asarray(check_probabilities(priors, "priors"), dtype=float)
    if p.shape != (K,):
        raise DomainError(f"priors of shape {p.shape}: must have one entry a class, ({K},)")
    Sigma = np.asarray(check_finite(covariances, "covariances"), dtype=float)
    if Sigma.ndim == 0:
        Sigma = Sigma * np.eye(d)
    if Sigma.shape not in ((d, d), (K, d, d)):
        raise DomainError(f"covariances of shape {Sigma.shape}: must be a number, ({d}, {d}) or ({K}, {d}, {d})")
    for k, one in enumerate(Sigma.reshape(-1, d, d)):
        check_definite(one, f"covariances[{k}]" if Sigma.ndim == 3 else "covariances")
    return mu, np.broadcast_to(Sigma, (K, d, d)), p


def lambda_nodes(alpha: float, nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """lambda and log weights of Beta(alpha, alpha), with nodes that reach far out for large alpha too.

    A point far from all mixtures of equal shares has a posterior of its own, though such points are rare:
    Gauss-Jacobi nodes of a wider law, reweighted, see them.

    Raises DomainError for alpha negative or NaN, nodes < 1.
    """
    check_count(nodes, "nodes", least=1)
    excess = 0.0 if check_alpha(alpha) <= WIDE or np.isinf(alpha) else np.floor(alpha - max(WIDE, alpha / WIDER))
    wide = alpha - excess                       # a whole number of factors lambda (1 - lambda), which is smooth
    lam, w = symmetric(wide).quadrature(nodes=nodes)
    with np.errstate(divide="ignore"):                          # weights far out may underflow
        log = np.log(w) + (excess * np.log(4 * lam * (1 - lam)) if excess else 0.0)
    log -= log.max()
    return lam, log - np.log(np.exp(log).sum())


def nodes_for(means: Any, covariances: Any, priors: Any, alpha: float = 1.0) -> int:
    """How many nodes of lambda a mixture needs: enough for errors below 1e-10 in the posterior.

    The density at a point is a bump in lambda. It is narrow where classes are far apart in their standard
    deviations, where covariances are of very different size, in high dimension and for large alpha.

    Args:
        means: see `check_mixture`.
        covariances: see `check_mixture`.
        priors: see `check_mixture`.
        alpha: in [0, inf].

    Returns:
        At least 64, at most 2048.

    Raises:
        DomainError: see `check_mixture`; more than 2048 nodes would be needed.
    """
    mu, Sigma, _ = check_mixture(means, covariances, priors)
    K, d = mu.shape
    apart, uneven = 0.0, 1.0
    for k in range(K):
        for j in range(k):
            for lam in (0.0, 0.25, 0.5, 0.75, 1.0):
                V = lam**2 * Sigma[k] + (1 - lam) ** 2 * Sigma[j]
                apart = max(apart, float((mu[k] - mu[j]) @ np.linalg.solve(V, mu[k] - mu[j])))
            ratio = np.linalg.eigvals(np.linalg.solve(Sigma[j], Sigma[k])).real
            uneven = max(uneven, float(ratio.max()), float(1 / ratio.min()))
    narrow = 4 * (2 * alpha + 1) / max(1.0, alpha / (WIDE * WIDER)) if WIDE < alpha < np.inf else 0.0
    wanted = 40 + 4 * np.sqrt(apart + narrow) + 20 * uneven**0.25 + 2 * np.sqrt(d)
    if wanted > MOST_NODES:
        raise DomainError(f"means, covariances: classes up to {np.sqrt(apart):.3g} standard deviations apart "
                          f"need {wanted:.0f} nodes of lambda, more than {MOST_NODES}; pass `nodes`")
    return max(LEAST_NODES, int(np.ceil(wanted)))


def mixed_components(means: Any, covariances: Any, priors: Any, alpha: float, *, nodes: int | None = None
                     ) -> Components:
    """The law of a mixed example of a Gaussian mixture as Gaussians with soft labels, one a pair and node.

    Of the two orders of a pair one is kept: (k, j, lambda) and (j, k, 1 - lambda) are the same Gaussian.

    Args:
        means: see `check_mixture`.
        covariances: see `check_mixture`.
        priors: see `check_mixture`.
        alpha: in [0, inf].
        nodes: of lambda; default: `nodes_for`.

    Returns:
        K (K - 1)/2 nodes + K ceil(nodes/2) components.

    Raises:
        DomainError: see `check_mixture`; alpha negative or NaN; nodes < 1.
    """
    mu, Sigma, p = check_mixture(means, covariances, priors)
    check_alpha(alpha)
    lam, log_w = lambda_nodes(alpha, nodes_for(means, covariances, priors, alpha) if nodes is None else nodes)
    half = (len(lam) + 1) // 2                                  # lambda and 1 - lambda give one class the same
    both = np.full(half, np.log(2.0))
    if len(lam) % 2:
        both[-1] = 0.0
    with np.errstate(divide="ignore"):
        log_p = np.log(p)
    log, mean, cov, label = [], [], [], []
    for k in range(len(p)):
        for j in range(k + 1):
            t, v = (lam[:half], log_w[:half] + both) if j == k else (lam, log_w + np.log(2.0))
            log.append(log_p[k] + log_p[j] + v)
            mean.append(blend(t[:, None], mu[k], mu[j]))
            cov.append(t[:, None, None] ** 2 * Sigma[k] + (1 - t[:, None, None]) ** 2 * Sigma[j])
            label.append(blend(t[:, None], np.eye(len(p))[k], np.eye(len(p))[j]))
    return _prepared(*map(np.concatenate, (log, mean, cov, label)))


def _prepared(log: np.ndarray, mean: np.ndarray, cov: np.ndarray, label: np.ndarray) -> Components:
    keep = np.isfinite(log)
    L = np.linalg.cholesky(cov[keep])
    log_norm = log[keep] - np.log(np.diagonal(L, axis1=1, axis2=2)).sum(axis=1)
    return Components(log_norm, np.linalg.inv(L), mean[keep], label[keep])


def mixup_posterior(x: Any, means: Any, covariances: Any, priors: Any, alpha: Any, *, nodes: int | None = None,
                    block: int | None = None) -> Any:
    r"""E[y~ | x~ = x] for a Gaussian mixture: what mixup training converges to if the model is rich enough.

    The posterior of blurred classes: in class k an example of class k keeps the share lambda' ~
    Beta(alpha + 1, alpha) and meets any class j. At alpha = 0 it is the Bayes posterior. Exact but for the
    quadrature over lambda; stable far out (log-sum-exp); no array of size points x components is made.

    Args:
        x: (..., d) points; (...) in one dimension if `means` is (K,). Feature units.
        means: (K, d) class means, or (K,) in one dimension.
        covariances: (K, d, d); (d, d) if common; a number sigma^2 for sigma^2 I. Positive definite.
        priors: (K,) class probabilities.
        alpha: in [0, inf].
        nodes: of lambda; default `nodes_for`, good for 1e-10. Double it to see what it changes.
        block: points worked on at a time; default: as many as fill 8 MiB. Memory is about three such arrays,
            whatever the number of points.

    Returns:
        (..., K) probabilities that sum to one.

    Raises:
        DomainError: shapes that do not fit, x not finite, a covariance that is not positive definite, priors
            that do not sum to one, alpha negative or NaN, nodes or block < 1.

    Source: Zhang et al. (2018) for the training law; the posterior is Bayes' rule.

    Example:
        >>> mixup_posterior([0.0, 0.5], [-1.0, 1.0], 1.0, [0.5, 0.5], alpha=1.0).round(4)
        array([[0.5   , 0.5   ],
               [0.3162, 0.6838]])
    """
    if is_symbolic(x):
        return _symbolic(x, means, covariances, priors)
    law = mixed_components(means, covariances, priors, alpha, nodes=nodes)
    return _posterior(x, law, flat=np.ndim(means) == 1, block=block)


def bayes_posterior(x: Any, means: Any, covariances: Any, priors: Any, *, block: int | None = None) -> np.ndarray:
    """P(class | x) of a Gaussian mixture without mixing. Arguments, shapes and errors as in `mixup_posterior`.

    Example:
        >>> bayes_posterior([0.0, 0.5], [-1.0, 1.0], 1.0, [0.5, 0.5]).round(4)
        array([[0.5   , 0.5   ],
               [0.2689, 0.7311]])
    """
    mu, Sigma, p = check_mixture(means, covariances, priors)
    with np.errstate(divide="ignore"):
        law = _prepared(np.log(p), mu, Sigma, np.eye(len(p)))
    return _posterior(x, law, flat=np.ndim(means) == 1, block=block)


def _posterior(x: Any, law: Components, *, flat: bool, block: int | None) -> np.ndarray:
    """Mean label of the components at each point, in blocks."""
    points = np.asarray(check_finite(x, "x"), dtype=float)
    C, d = law.mean.shape
    points = points[..., None] if flat else points
    if points.ndim == 0 or points.shape[-1] != d:
        raise DomainError(f"x of shape {np.shape(x)}: the last axis must be the {d} features")
    rows = points.reshape(-1, d)
    size = max(1, BLOCK_NUMBERS // C) if block is None else int(check_count(block, "block", least=1))
    centre = law.mean.mean(axis=0)
    shift = np.einsum("cij,cj->ic", law.whiten, law.mean - centre)              # (d, C)
    factors = [np.ascontiguousarray(law.whiten[:, i, :i + 1].T) for i in range(d)]
    result = np.empty((len(rows), law.label.shape[1]))
    buffers = np.empty((2, min(size, len(rows)), C))
    for start in range(0, len(rows), size):
        part = rows[start:start + size] - centre
        log, z = buffers[:, :len(part)]
        for i, factor in enumerate(factors):
            np.matmul(part[:, :i + 1], factor, out=z)
            z -= shift[i]
            if i:
                z *= z
                log += z
            else:
                np.multiply(z, z, out=log)
        log *= -0.5
        log += law.log_norm
        log -= log.max(axis=1, keepdims=True)
        np.exp(log, out=log)
        mass = log @ law.label
        result[start:start + size] = mass / mass.sum(axis=1, keepdims=True)
    return result.reshape(*points.shape[:-1], -1)


# --- derivation ---------------------------------------------------------------------------------------------

AVERAGE, NORMAL = sp.Function(r"\mathbb{E}_{\lambda'}"), sp.Function("N")


def _ratio(x: Any, priors: Any, gaussian: Any) -> sp.Matrix:
    """pi_k q_k / sum_l pi_l q_l with q_k = sum_j pi_j E_{lambda'} N(x; mean, variance) of the pair (k, j)."""
    classes = range(len(priors))
    q = [sum(priors[j] * AVERAGE(NORMAL(x, *gaussian(k, j))) for j in classes) for k in classes]
    total = sum(priors[k] * q[k] for k in classes)
    return sp.Matrix([priors[k] * q[k] / total for k in classes])


def _symbolic(x: Any, means: Any, variances: Any, priors: Any) -> sp.Matrix:
    return _ratio(x, priors, lambda k, j: (blend(LAM, means[k], means[j]),
                                           LAM**2 * variances[k] + (1 - LAM) ** 2 * variances[j]))


def derive_posterior() -> Derivation:
    """Bayes' rule on the shares of the labels, then the moments of a mix of two Gaussians."""
    x, means = sp.Symbol("x", real=True), sp.symbols("mu_1 mu_2", real=True)
    variances, priors = sp.symbols("Sigma_1 Sigma_2", positive=True), sp.symbols("pi_1 pi_2", positive=True)

    def blended(k: int, j: int) -> tuple[Any, Any]:
        first, second = sp.symbols("z_1 z_2", real=True)          # independent draws, centred
        laws = centred((first,), [[variances[k]]]), centred((second,), [[variances[j]]])
        return (Mean(blend(LAM, means[k] + first, means[j] + second), *laws),
                Mean(blend(LAM, first, second) ** 2, *laws))

    chain = Derivation(r"\mathbb{E}[\tilde y\mid\tilde x = x]", _ratio(x, priors, blended),
                       {"x": x, "means": means, "covariances": variances, "priors": priors, "alpha": ALPHA})
    return chain.equals(_symbolic(x, means, variances, priors), "the shares of the labels at x; a mix of two "
                        "Gaussians is Gaussian, with this mean and variance", claim="calibration.label_share")


# --- claim --------------------------------------------------------------------------------------------------

THREE = {"means": np.array([[-1.2, 0.3], [1.0, -0.4], [0.6, 1.9]]), "priors": np.array([0.5, 0.2, 0.3]),
         "covariances": np.array([[[1.0, 0.3], [0.3, 0.5]], [[0.4, -0.2], [-0.2, 1.3]], [[0.7, 0.0], [0.0, 0.2]]])}
POINTS = np.array([[0.0, 0.0], [0.7, 0.4], [-2.0, 1.0], [3.0, -2.5], [0.8, 2.2]])
LINE = {"means": np.array([-1.0, 0.4, 3.0]), "covariances": np.array([[[1.0]], [[0.25]], [[2.2]]]),
        "priors": np.array([0.6, 0.3, 0.1])}
STEEP = {"means": np.array([-6.0, 6.0]), "covariances": np.array([[[0.8]], [[0.3]]]), "priors": np.array([0.7, 0.3])}


def _relabelled(label: Any) -> Any:
    """The posterior with labels of the mixed components changed."""
    def formula(x: Any, means: Any, covariances: Any, priors: Any, alpha: Any) -> Any:
        law = mixed_components(means, covariances, priors, alpha)
        return _posterior(x, law._replace(label=label(law.label)), flat=np.ndim(means) == 1, block=None)
    return predicts(formula, symbolic=False)


def _isotropic_mix(x: Any, means: Any, covariances: Any, priors: Any, alpha: Any) -> Any:
    """Variances mixed like means: lambda Sigma_k + (1 - lambda) Sigma_j."""
    if is_symbolic(x):
        return _ratio(x, priors, lambda k, j: (blend(LAM, means[k], means[j]),
                                               blend(LAM, covariances[k], covariances[j])))
    return routes.posterior(x, means, covariances, priors, alpha, wrong_variance=True)


Claim(
    id="calibration.posterior", title="Mixup's target is the posterior of blurred classes",
    statement=r"\begin{gathered} g_k(x) = \mathbb{E}[\tilde y_k\mid\tilde x = x] = \frac{\pi_k q_k(x)}{\sum_l \pi_l "
              r"q_l(x)},"
              r"\qquad \lambda'\sim\mathrm{Beta}(\alpha+1,\alpha),\\ q_k(x) = \sum_j \pi_j\,\mathbb{E}_{\lambda'}\,"
              r"\mathcal{N}\bigl(x;\ \lambda'\mu_k + (1-\lambda')\mu_j,\ \lambda'^2\Sigma_k + "
              r"(1-\lambda')^2\Sigma_j\bigr)"
              r"\end{gathered}",
    assumptions=("Gaussian classes, any means, covariances and priors", "the members of a pair are independent"),
    fails_when="the model cannot represent $g$, or sees only finitely many pairs: it then fits something else",
    predict=mixup_posterior, derive=derive_posterior, exact=routes.posterior,
    cases=(*(c | THREE | {"x": POINTS} for c in cases(alpha=(0.0, 0.05, 0.37, 1.0, 4.2, np.inf))),
           *(c | LINE | {"x": np.array([-3.0, 0.1, 1.4, 6.0])} for c in cases(alpha=(0.2, 1.0))),
           *(c | STEEP | {"x": np.array([-7.0, -2.0, 0.3, 5.0])} for c in cases(alpha=(0.37, 1.0, 30.0)))),
    scale=lambda value, **_: 1.0, tolerance=1e-10,
    wrong={"one half for every mix": _relabelled(lambda label: np.where((label > 0) & (label < 1), 0.5, label)),
           "the larger share takes all": _relabelled(lambda label: np.eye(label.shape[1])[label.argmax(axis=1)]),
           "the Bayes posterior": predicts(
               lambda x, means, covariances, priors, alpha: bayes_posterior(x, means, covariances, priors),
               symbolic=False),
           "variances mixed like means": predicts(_isotropic_mix)},
    references=("zhang2018mixup: equation 1 (from memory)",), experiment="calibration")
