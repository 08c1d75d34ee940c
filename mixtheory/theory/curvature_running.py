r"""The running statistics of batch normalisation under mixup: what they converge to, how they fluctuate, what they do.

In training mode the normalisation uses the mixed batch itself. Evaluation uses running averages of those variances,
which are smaller than the variances of clean inputs. PyTorch averages the unbiased variance, so that the factors of
`covariance_batch` apply as they stand. The claims belong to `curvature`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp

from mixtheory.domain import DomainError, check_count, check_member, check_positive, is_symbolic
from mixtheory.evidence import Claim, Derivation, Mean, MomentLaw, beta, cases, predicts, scalar, simulates
from mixtheory.mixup import blend
from mixtheory.theory import _curvature_routes as routes
from mixtheory.theory import covariance_batch as cb
from mixtheory.theory import mixing_moments as mm

__all__ = ["evaluation_limit", "evaluation_spread", "pooled_factor", "running_fluctuation", "running_variance",
           "variance_cv", "variance_cv_large"]

ALPHA, LAM, N = mm.ALPHA, mm.LAM, cb.N
S_SHRINK = "mixing_moments.shrinkage"
IID = "independent examples of one law with finite variance"


def running_variance(alpha: Any, variance: Any, n: Any, pairing: str, sharing: str) -> Any:
    """Mean of the running variance of a feature over batches: `covariance_batch.batch_factor` times its variance.

    Args:
        alpha: in [0, inf].
        variance: of the clean feature, > 0, squared feature units.
        n: batch size, at least 2 (roll: 3; flip: even).
        pairing: see `covariance_batch.batch_factor`.
        sharing: batch, pair (flip only) or element.

    Returns:
        Squared feature units.

    Raises:
        DomainError: arguments outside their domains.
    """
    return cb.batch_factor(alpha, n, pairing, sharing) * check_positive(variance, "variance")


def pooled_factor(alpha: Any, n: Any, pairing: str, sharing: str, share: Any) -> Any:
    """Pooled over positions as in BatchNorm2d: the variance gets f (1 - share) + share, f = `batch_factor`.

    Mixing acts on the variance between images at a position; the variance of the mean image over positions stays.

    Args:
        alpha: in [0, inf].
        n: batch size.
        pairing: a pairing that is a permutation of the batch: permutation, roll, flip or derangement.
        sharing: batch or pair; a lambda each moves the mean image as well.
        share: of the pooled variance of a batch that lies between the positions of its mean image, in [0, 1].

    Returns:
        Dimensionless, from f to 1.

    Raises:
        DomainError: a share outside [0, 1], a lambda each, independent partners, and others of `batch_factor`.
    """
    check_member(sharing, ("batch", "pair"), "sharing")
    check_member(pairing, ("permutation", "roll", "flip", "derangement"), "pairing")
    if not is_symbolic(share) and not (np.min(share) >= 0 and np.max(share) <= 1):
        raise DomainError(f"share = {share!r}: a share lies in [0, 1]")
    return cb.batch_factor(alpha, n, pairing, sharing) * (1 - share) + share


def evaluation_spread(alpha: Any, n: Any, pairing: str, sharing: str) -> Any:
    """Standard deviation of a clean feature behind the normalisation in evaluation mode: 1/sqrt(f).

    gamma = 1 and a converged running variance (a cumulative average). Arguments and errors as `running_variance`.

    Returns:
        Dimensionless, at least 1; without mixup it is 1.
    """
    return cb.batch_factor(alpha, n, pairing, sharing) ** (-sp.S.Half if is_symbolic(alpha, n) else -0.5)


def evaluation_limit(alpha: Any, n: Any, pairing: str, sharing: str) -> Any:
    """Its limit for large batches, 1/sqrt(s), below sqrt(2). Arguments and errors as `running_variance`."""
    cb.batch_factor(alpha, n, pairing, sharing)                 # checks them
    return mm.shrinkage(alpha) ** (-sp.S.Half if is_symbolic(alpha) else -0.5)


def variance_cv(alpha: Any, n: Any, pairing: str) -> Any:
    """Var(V)/(E V)^2 over batches, V the unbiased variance of a mixed Gaussian batch, one lambda a batch.

    Args:
        alpha: in [0, inf].
        n: batch size, at least 2 (roll: 3).
        pairing: permutation or roll.

    Returns:
        Dimensionless; 2/(n - 1) without mixup.

    Raises:
        DomainError: another pairing, n too small.
    """
    check_member(pairing, ("permutation", "roll"), "pairing")
    check_count(n, least=3 if pairing == "roll" else 2)
    S2, Su, u2 = _second_order(alpha)
    if pairing == "permutation":
        square = (n + 1) / (n - 1) * (S2 + 4 * u2 / (n - 1))
    else:
        square = (n + 1) / (n - 1) * S2 - 4 * Su * (n + 1) / (n - 1) ** 2 + 4 * u2 / (n - 1)
    return square / cb.batch_factor(alpha, n, pairing, "batch") ** 2 - 1


def variance_cv_large(alpha: Any, n: Any, pairing: str) -> Any:
    """The same for large batches: (V_S + (2 E S^2 + 4 E u^2)/(n - 1))/s^2; what is left of it is V_S/s^2.

    The error vanishes like 1/n^2 for a permutation and like 1/n for roll. Arguments and errors as `variance_cv`.
    """
    check_member(pairing, ("permutation", "roll"), "pairing")
    check_count(n, least=3 if pairing == "roll" else 2)
    S2, _, u2 = _second_order(alpha)
    return (mm.shrinkage_variance(alpha) + (2 * S2 + 4 * u2) / (n - 1)) / mm.shrinkage(alpha) ** 2


def _second_order(alpha: Any) -> tuple[Any, Any, Any]:
    """E S^2, E[S u] and E u^2."""
    u2 = mm.product_square(alpha)
    return mm.shrinkage_square(alpha), mm.mean_product(alpha) - 2 * u2, u2


def running_fluctuation(alpha: Any, n: Any, momentum: Any, pairing: str) -> Any:
    r"""Standard deviation of an exponential running variance over its mean, Gaussian feature, one lambda a batch.

    sqrt(momentum/(2 - momentum) `variance_cv`), long after the start.

    Args:
        alpha: in [0, inf].
        n: batch size, at least 2 (roll: 3).
        momentum: weight of the new batch, in (0, 1]; PyTorch's default is 0.1.
        pairing: permutation or roll.

    Returns:
        Dimensionless.

    Raises:
        DomainError: arguments outside their domains.
    """
    return _root(_memory(momentum) * variance_cv(alpha, n, pairing))


def _memory(momentum: Any) -> Any:
    """Sum of squared weights momentum (1 - momentum)^k."""
    if not is_symbolic(momentum) and not 0 < momentum <= 1:
        raise DomainError(f"momentum = {momentum!r}: must lie in (0, 1]")
    return momentum / (2 - momentum)


def _root(value: Any) -> Any:
    return sp.sqrt(value) if is_symbolic(value) else np.sqrt(value)


# ---- derivations ---------------------------------------------------------------------------------------------------

def _neighbours(sharing: str, variance: Any) -> tuple[Any, Any, list[Any], tuple[Any, ...]]:
    """Two neighbours of a rolled batch, x~_1 and x~_2 share x_1; their lambdas, and all laws."""
    x0, x1, x2 = sp.symbols("c_0 c_1 c_2", real=True)
    lam1, lam2 = (LAM, LAM) if sharing == "batch" else sp.symbols("lambda_1 lambda_2", positive=True)
    lams = [beta(lam, ALPHA) for lam in dict.fromkeys((lam1, lam2))]
    laws = (scalar(x0, 0, variance), scalar(x1, 0, variance), scalar(x2, 0, variance))
    return blend(lam1, x1, x0), blend(lam2, x2, x1), lams, laws


def _derive_running(sharing: str) -> Derivation:
    """Unbiased variance = mean square less mean product of different elements; only neighbours share an example."""
    V = sp.Symbol("Sigma_jj", positive=True)
    first, second, lams, laws = _neighbours(sharing, V)
    d = Derivation(r"\mathbb{E}V",
                   Mean(first**2, *laws, *lams) - 2 / (N - 1) * Mean(first * second, *laws, *lams),
                   {"alpha": ALPHA, "variance": V, "n": N, "pairing": "roll", "sharing": sharing})
    lam1, lam2 = (law.symbols[0] for law in (lams[0], lams[-1]))
    d = d.equals(V * (Mean(lam1**2 + (1 - lam1) ** 2, lams[0]) - 2 / (N - 1) * Mean(lam1 * (1 - lam2), *lams)),
                 "each element has 2 neighbours among the $n - 1$ others; they share one example")
    return d.equals(running_variance(ALPHA, V, N, "roll", sharing), "moments of $\\lambda$", claim=S_SHRINK)


def derive_running() -> Derivation:
    """One lambda a batch."""
    return _derive_running("batch")


def derive_running_element() -> Derivation:
    """A lambda each: neighbours have independent weights."""
    return _derive_running("element")


def derive_pooled() -> Derivation:
    """Law of total variance: within positions, and between the positions of the mean image."""
    V, share = sp.Symbol("V", positive=True), sp.Symbol("p", positive=True)
    (c1, d1, c2, d2), law = cb.pair_law("roll")
    lam = beta(LAM, ALPHA)
    first, second = blend(LAM, c1, d1), blend(LAM, c2, d2)
    within = (N - 1) * (Mean(first**2, law, lam) - Mean(first * second, law, lam)) / (N * cb.C)
    d = Derivation(r"\mathbb{E}[\tilde V]/V", ((1 - share) * V * within + share * V) / V,
                   {"alpha": ALPHA, "n": N, "pairing": "roll", "sharing": "batch", "share": share})
    return d.equals(pooled_factor(ALPHA, N, "roll", "batch", share),
                    "the variance between images, at every position, has the factor of the batch; the mean image of "
                    "the batch stays", claim=S_SHRINK)


def _derive_spread(name: str) -> Derivation:
    variance = sp.Symbol("Sigma_jj", positive=True)
    d = Derivation(name, sp.sqrt(variance) / sp.sqrt(running_variance(ALPHA, variance, N, "roll", "batch")),
                   {"alpha": ALPHA, "n": N, "pairing": "roll", "sharing": "batch"})
    return d.equals(evaluation_spread(ALPHA, N, "roll", "batch"), "divide by the square root of the running variance",
                    claim="curvature.running_variance")


def derive_spread() -> Derivation:
    """Standard deviation of the clean feature over the square root of the running variance."""
    return _derive_spread(r"\operatorname{sd}(z)")


def derive_spread_limit() -> Derivation:
    """n to infinity."""
    d = Derivation(r"\lim_{n\to\infty}\operatorname{sd}(z)",
                   1 / sp.sqrt(sp.limit(cb.batch_factor(ALPHA, N, "roll", "batch"), N, sp.oo)),
                   {"alpha": ALPHA, "n": N, "pairing": "roll", "sharing": "batch"})
    return d.equals(evaluation_limit(ALPHA, N, "roll", "batch"), "the correction for the pairing vanishes like $1/n$",
                    claim=S_SHRINK)


def _gaussian_batch(n: Any) -> MomentLaw:
    """Joint moments of V = sum c^2/(n - 1) and P = sum c_i c_(i-1)/(n - 1), centred Gaussian batch of variance 1.

    Given the batch, its random order gives P/V the moments e_1 and e_2(k), which is affine in the kurtosis k of the
    batch; E V^2 = (n + 1)/(n - 1) and E[V^2 k] = 3.
    """
    V2, k = (n + 1) / (n - 1), sp.Symbol("k", positive=True)
    second = sp.Poly(cb.cross_second(n, k, 1, "roll"), k)
    P2 = second.coeff_monomial(1) * V2 + second.coeff_monomial(k) * 3
    e1 = cb.cross_mean(n, "roll")
    table = {(0, 0): 1, (1, 0): 1, (0, 1): e1, (2, 0): V2, (1, 1): e1 * V2, (0, 2): P2}
    return MomentLaw(sp.symbols("V P", real=True), lambda powers: sp.sympify(table[powers]))


def derive_variance_cv() -> Derivation:
    """V~ = S V + 2 u P with the moments of V and P over Gaussian batches."""
    law, lam = _gaussian_batch(N), beta(LAM, ALPHA)
    V, P = law.symbols
    u = LAM * (1 - LAM)
    mixed = (LAM**2 + (1 - LAM) ** 2) * V + 2 * u * P
    parameters = {"alpha": ALPHA, "n": N, "pairing": "roll"}
    d = Derivation(r"\operatorname{Var}\tilde V/(\mathbb{E}\tilde V)^2", Mean(mixed**2, law, lam)
                   / Mean(mixed, law, lam) ** 2 - 1, parameters)
    S2, Su, u2 = (Mean(e, lam) for e in ((1 - 2 * u) ** 2, (1 - 2 * u) * u, u**2))
    square = (N + 1) / (N - 1) * S2 - 4 * (N + 1) / (N - 1) ** 2 * Su + 4 / (N - 1) * u2
    d = d.equals(square / Mean(mixed, law, lam) ** 2 - 1,
                 "$\\mathbb{E}V^2 = \\frac{n+1}{n-1}$, $\\mathbb{E}VP = -\\frac{n+1}{(n-1)^2}$, "
                 "$\\mathbb{E}P^2 = \\frac1{n-1}$ for a Gaussian batch", claim="covariance.cross_roll")
    d = d.equals(square / cb.batch_factor(ALPHA, N, "roll", "batch") ** 2 - 1, "the mean, as for any batch",
                 claim=S_SHRINK)
    return d.equals(variance_cv(ALPHA, N, "roll"), "moments of $\\lambda$", claim="mixing_moments.shrinkage_square")


def _momentum() -> Any:
    return sp.Symbol("mu", positive=True)


def derive_running_fluctuation() -> Derivation:
    """A geometric average of independent batches."""
    k, momentum = sp.Symbol("k", integer=True, nonnegative=True), _momentum()
    one = sp.Symbol(r"R", positive=True)
    d = Derivation(r"\operatorname{sd}/\text{mean}",
                   sp.sqrt(one * sp.Sum(momentum**2 * (1 - momentum) ** (2 * k), (k, 0, sp.oo))),
                   {"alpha": ALPHA, "n": N, "momentum": momentum, "pairing": "roll"})
    d = d.appeal(sp.sqrt(one * momentum / (2 - momentum)),
                 "batches are independent, the $k$-th last has weight $\\mu(1-\\mu)^k$, and $R$ is the relative "
                 "variance of one; the geometric series")
    return d.appeal(running_fluctuation(ALPHA, N, momentum, "roll"), "$R$ for a rolled Gaussian batch",
                    claim="curvature.variance_cv")


def derive_variance_cv_large() -> Derivation:
    """Leading terms; for a permutation only one term is dropped."""
    S2, _, u2 = _second_order(ALPHA)
    s, lead = mm.shrinkage(ALPHA), mm.shrinkage_variance(ALPHA) + (2 * S2 + 4 * u2) / (N - 1)
    d = Derivation(r"\operatorname{Var}\tilde V/(\mathbb{E}\tilde V)^2", variance_cv(ALPHA, N, "permutation"),
                   {"alpha": ALPHA, "n": N, "pairing": "permutation"})
    d = d.equals((lead + 8 * u2 / (N - 1) ** 2) / s**2,
                 "write $\\frac{n+1}{n-1} = 1 + \\frac2{n-1}$ and $\\mathbb{E}S^2 = V_S + s^2$", claim=S_SHRINK)
    return d.appeal(variance_cv_large(ALPHA, N, "permutation"),
                    "drop the last term, which vanishes like $1/n^2$; for roll the mean and the cross term add further "
                    "terms like $1/n$")


# ---- claims --------------------------------------------------------------------------------------------------------

def _scheme(pairing: str, sharing: str) -> Any:
    return predicts(lambda alpha, variance, n, **_: variance * cb.batch_factor(alpha, n, pairing, sharing))


def _running(name: str, title: str, statement: str, derive: Any, schemes: tuple[tuple[str, str], ...],
             wrong: dict[str, Any]) -> Claim:
    return Claim(
        id=f"curvature.{name}", title=title, statement=statement, predict=running_variance, derive=derive,
        assumptions=(IID, "the unbiased variance is averaged, as in PyTorch", "roll or flip: nobody meets himself"),
        fails_when="positions are pooled (curvature.running_pooled)", exact=routes.exact_running_variance,
        simulate=routes.simulate_running_variance, resolution=0.02,
        cases=tuple({"alpha": alpha, "variance": 1.7, "n": n, "pairing": p, "sharing": s}
                    for p, s in schemes for n in (4, 10) for alpha in (0.2, 1.0, 4.2)),
        wrong={"variance of clean data": predicts(lambda alpha, variance, **_: variance + 0 * mm.shrinkage(alpha)),
               "factor of the population": predicts(lambda alpha, variance, **_: variance * mm.shrinkage(alpha)),
               "biased variance": simulates(routes.simulate_running_biased), **wrong}, experiment="curvature")


RUNNING = _running(
    "running_variance", "The running variance is that of mixed batches",
    r"\mathbb{E}[\text{running variance}] = \Bigl(s - \frac{1 - s}{n - 1}\Bigr)\Sigma_{jj}", derive_running,
    (("roll", "batch"), ("flip", "pair")),
    {"formula of a lambda each": _scheme("roll", "element"),
     "self-pairs allowed": simulates(lambda size, *, rng, **case: routes.simulate_running_permutation(
         size, rng=rng, **{**case, "sharing": "batch"}))})

RUNNING_ELEMENT = _running(
    "running_variance_element", "The running variance with a weight each",
    r"\mathbb{E}[\text{running variance}] = \Bigl(s - \frac1{2(n - 1)}\Bigr)\Sigma_{jj}", derive_running_element,
    (("roll", "element"), ("flip", "element")), {"formula of one lambda a batch": _scheme("roll", "batch")})

POOLED = Claim(
    id="curvature.running_pooled", title="Pooled over positions less is lost",
    statement=r"\frac{\mathbb{E}\tilde V}{V} = f\,(1 - p) + p",
    assumptions=("a fixed batch in random order",
                 "the pairing is a permutation of the batch, one lambda a batch or pair",
                 "$p$: share of the pooled variance that lies between the positions of the mean image of the batch",
                 r"$f = s - \frac{1-s}{n-1}$ for roll and flip"),
    fails_when="every element has a lambda of its own: then the mean image of the batch moves as well",
    predict=pooled_factor, derive=derive_pooled, exact=routes.exact_pooled, simulate=routes.simulate_pooled,
    resolution=0.02, cases=(*cases(alpha=(0.2, 1.0, 4.2), n=4, pairing="roll", sharing="batch", share=(0.0, 0.3, 0.8)),
                            *cases(alpha=1.0, n=4, pairing="flip", sharing=("batch", "pair"), share=0.3)),
    wrong={"as for BatchNorm1d": predicts(lambda alpha, n, pairing, sharing, share: cb.batch_factor(
               alpha, n, pairing, sharing)),
           "the two shares swapped": predicts(lambda alpha, n, pairing, sharing, share: cb.batch_factor(
               alpha, n, pairing, sharing) * share + 1 - share),
           "positions mixed with one another": simulates(routes.simulate_pooled_torn)}, experiment="curvature")

SPREAD = Claim(
    id="curvature.evaluation_spread", title="In evaluation mode clean features are too wide",
    statement=r"\operatorname{sd}(z) = \frac1{\sqrt f},\quad f = \text{factor of the running variance}",
    assumptions=(IID, r"$\gamma = 1$, $\varepsilon = 0$", "a converged running variance of mixed batches",
                 "evaluation on clean inputs"),
    fails_when="the inputs of evaluation are mixed as well, or the statistics were computed anew on clean data",
    predict=evaluation_spread, derive=derive_spread, exact=routes.exact_spread, experiment="curvature",
    cases=(*cases(alpha=(0.0, 0.2, 1.0, np.inf), n=(8, 256), pairing="roll", sharing=("batch", "element")),
           *cases(alpha=1.0, n=8, pairing="flip", sharing="pair")),
    wrong={"no change": predicts(lambda alpha, n, **_: 1 + 0 * mm.shrinkage(alpha)),
           "divided by f": predicts(lambda alpha, n, pairing, sharing: 1 / cb.batch_factor(alpha, n, pairing, sharing)),
           "narrower, not wider": predicts(
               lambda alpha, n, pairing, sharing: 1 / evaluation_spread(alpha, n, pairing, sharing))})

SPREAD_LIMIT = Claim(
    id="curvature.evaluation_limit", title="Too wide by 1/sqrt(s) in large batches", kind="asymptotic",
    along=("n", -1), statement=r"\operatorname{sd}(z) \to \frac1{\sqrt s} < \sqrt2\qquad(n \to \infty)",
    assumptions=(IID, "a converged running variance of mixed batches", "evaluation on clean inputs"),
    predict=evaluation_limit, derive=derive_spread_limit, exact=routes.exact_spread,
    cases=cases(alpha=(0.2, 1.0), n=(16, 64, 256), pairing="roll", sharing=("batch", "element")),
    wrong={"no change": predicts(lambda alpha, n, pairing, sharing: 1 + 0 * mm.shrinkage(alpha)),
           "1/s": predicts(lambda alpha, n, pairing, sharing: 1 / mm.shrinkage(alpha))})

VARIANCE_CV = Claim(
    id="curvature.variance_cv", title="How the variance of a batch scatters",
    statement=r"\frac{\operatorname{Var}\tilde V}{(\mathbb{E}\tilde V)^2} = \frac1{f^2}\Bigl(\frac{n+1}{n-1}"
              r"\mathbb{E}S^2 - \frac{4(n+1)}{(n-1)^2}\mathbb{E}[Su] + \frac{4}{n-1}\mathbb{E}u^2\Bigr) - 1",
    assumptions=("Gaussian examples", "one lambda a batch", r"roll; for a permutation the bracket is "
                 r"$\frac{n+1}{n-1}(\mathbb{E}S^2 + \frac4{n-1}\mathbb{E}u^2)$ and $f = s$"),
    fails_when="lambda is drawn for each element: then it vanishes like 1/n",
    predict=variance_cv, derive=derive_variance_cv, exact=routes.exact_variance_cv,
    cases=(*cases(alpha=(0.0, 0.37, 1.0), n=(4, 5), pairing=("roll", "permutation")),
           *cases(alpha=(0.37, 1.0), n=256, pairing="roll")),
    wrong={"without mixup": predicts(lambda alpha, n, pairing: 2 / (n - 1) + 0 * mm.shrinkage(alpha)),
           "the spread of S alone": predicts(lambda alpha, n, pairing: mm.shrinkage_variance(alpha)
                                             / mm.shrinkage(alpha) ** 2 + 0 * n),
           "no correction of the mean": predicts(lambda alpha, n, pairing: (variance_cv(alpha, n, pairing) + 1) * (
               cb.batch_factor(alpha, n, "roll", "batch") / mm.shrinkage(alpha)) ** 2 - 1)})

VARIANCE_CV_LARGE = Claim(
    id="curvature.variance_cv_large", title="The statistics of large batches never settle", kind="asymptotic",
    along=("n", -1),
    statement=r"\frac{\operatorname{Var}\tilde V}{(\mathbb{E}\tilde V)^2} = \frac1{s^2}\Bigl(V_S + "
              r"\frac{2\,\mathbb{E}S^2 + 4\,\mathbb{E}u^2}{n-1}\Bigr) + O(1/n)",
    assumptions=VARIANCE_CV.assumptions[:2] + ("roll, or a permutation, for which the error is of order $1/n^2$",),
    fails_when="lambda is drawn for each element: then it vanishes like 1/n",
    predict=variance_cv_large, derive=derive_variance_cv_large, exact=routes.exact_variance_cv,
    scale=lambda prediction, **case: 1.0, cases=cases(alpha=(0.37, 1.0), n=(64, 128, 256, 512), pairing="roll"),
    wrong={"it averages out": predicts(lambda alpha, n, pairing: 2 / (n - 1) + 0 * mm.shrinkage(alpha)),
           "E S^2 for its variance": predicts(lambda alpha, n, pairing: variance_cv_large(alpha, n, pairing) + 1)})

FLUCTUATION = Claim(
    id="curvature.running_fluctuation", title="How an exponential running variance scatters",
    statement=r"\frac{\operatorname{sd}}{\text{mean}} = \sqrt{\frac{\mu}{2-\mu}\,"
              r"\frac{\operatorname{Var}\tilde V}{(\mathbb{E}\tilde V)^2}}",
    assumptions=("Gaussian examples", "one lambda a batch, roll or permutation",
                 r"exponential average with weight $\mu$ of the new batch, long after the start, independent batches"),
    fails_when="lambda is drawn for each element: then it vanishes like $1/\\sqrt n$",
    predict=running_fluctuation, derive=derive_running_fluctuation, exact=routes.exact_running_fluctuation,
    cases=(*cases(alpha=(0.0, 0.37, 1.0), n=5, momentum=(0.1, 0.3), pairing=("roll", "permutation")),
           *cases(alpha=1.0, n=256, momentum=0.1, pairing="roll")), experiment="curvature",
    wrong={"it averages out": predicts(lambda alpha, n, momentum, pairing: _root(
               momentum / (2 - momentum) * 2 / (n - 1)) + 0 * mm.shrinkage(alpha)),
           "momentum for its memory": predicts(lambda alpha, n, momentum, pairing: _root(
               momentum * variance_cv(alpha, n, pairing)))})

