r"""Membership inference against linear models: what mixing changes of the gap, and what it cannot.

A member is a point of the training set, an outsider one that the model has not seen; the loss is the squared
error at the unmixed point, and the gap is the mean loss of outsiders less that of members. Least squares with an
intercept has the same gap at every alpha. With a ridge penalty mixing narrows it as a ridge of at most twice the
strength would, and no further. The design is fixed (outsiders are fresh targets at the same points) unless said
otherwise. Other files of the chapter: the score of normal residuals (`membership_auc`), random designs, features of
mixed inputs, interpolation, and models that are not linear.

Loss 1/2 mean squared error with penalty ridge / 2 |w|^2 on the slopes in training; d_k are the eigenvalues of the
covariance C of the features with weight 1/n.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import sympy as sp

from mixtheory.domain import DomainError, check_alpha, check_count, check_finite, check_positive, is_symbolic
from mixtheory.evidence import Claim, Derivation, Mean, beta, cases, predicts, scalar, simulates
from mixtheory.mixup import blend
from mixtheory.theory import _membership_linear_routes as routes
from mixtheory.theory import least_squares as ls
from mixtheory.theory import mixing_moments as mm
from mixtheory.theory._least_squares_data import members, packed

__all__ = ["Spectrum", "matching_alpha", "ols_gap", "ols_losses", "ridge_degrees_of_freedom", "ridge_gap",
           "ridge_gap_floor", "spectrum"]

ALPHA, LAM, N, RIDGE = mm.ALPHA, mm.LAM, ls.N, ls.RIDGE
SIGMA = sp.Symbol("sigma", positive=True)
OPTIMISM = "efron1986optimism: optimism is a covariance (from memory)"
ATTACK = "yeom2018privacy: the loss as a threshold attack (from memory)"


class Spectrum(NamedTuple):
    """A fixed design as ridge regression sees it: n points, eigenvalues (p,) of the covariance with weight 1/n."""

    n: Any
    values: Any


def spectrum(design: Any) -> Spectrum:
    """The spectrum of a design.

    Args:
        design: (n, p) features, n >= 2; or a name of `mixtheory.theory.least_squares.dataset`, or
            "hadamard n p" for p orthogonal columns of +-1; a `Spectrum` passes through.

    Returns:
        n and the eigenvalues in squared feature units, ascending; those at rounding level are set to 0.

    Raises:
        DomainError: another shape, fewer than two points, entries that are not finite.
    """
    if isinstance(design, Spectrum):
        return design
    x = np.asarray(routes.design_of(design) if isinstance(design, str) else design, dtype=float)
    if x.ndim != 2 or len(x) < 2:
        raise DomainError(f"design of shape {x.shape}: must be (n, p) with n >= 2 points")
    c = check_finite(x, "design") - x.mean(axis=0)
    values = np.linalg.eigvalsh(c.T @ c / len(x))
    return Spectrum(len(x), np.where(values > 1e-13 * max(values.max(initial=0.0), 1e-300), values, 0.0))


def ols_losses(n: Any, p: Any, sigma: Any = 1.0, alpha: Any = 0.0) -> Any:
    """Mean squared error of least squares with intercept for members and for outsiders; the same for every alpha.

    Gaussian features with any mean and covariance, a linear truth, noise of variance sigma^2; outsiders are fresh
    points. Members: sigma^2 (n - p - 1)/n; outsiders: sigma^2 (n + 1)(n - 2)/(n (n - p - 2)).

    Args:
        n: training points, more than p + 2.
        p: features, at least 1, the intercept not counted.
        sigma: standard deviation of the noise, > 0, in target units.
        alpha: of mixup over all pairs, in [0, inf]; checked, otherwise without effect.

    Returns:
        (2,): members and outsiders, squared target units.

    Raises:
        DomainError: n <= p + 2, where the loss of an outsider has no finite mean; p < 1, sigma <= 0, alpha < 0.

    >>> ols_losses(200, 9).round(4).tolist()
    [0.95, 1.0529]
    """
    _check_points(n, p)
    check_alpha(alpha)
    variance = check_positive(sigma, "sigma") ** 2
    pair = [variance * (n - p - 1) / n, variance * (n + 1) * (n - 2) / (n * (n - p - 2))]
    return packed(np.array(pair, dtype=object if is_symbolic(*pair) else float))


def ols_gap(n: Any, p: Any, sigma: Any = 1.0, alpha: Any = 0.0) -> Any:
    """Outsiders less members of `ols_losses`: sigma^2 ((n + 1)(n - 2) - (n - p - 1)(n - p - 2))/(n (n - p - 2)).

    About 2 sigma^2 (p + 1)/n when n is large. Mixup does not change it.

    Arguments and errors as in `ols_losses`; squared target units.

    >>> round(ols_gap(200, 9, alpha=1.0), 4)
    0.1029
    """
    _check_points(n, p)
    check_alpha(alpha)
    return check_positive(sigma, "sigma") ** 2 * ((n + 1) * (n - 2) - (n - p - 1) * (n - p - 2)) / (n * (n - p - 2))


def _check_points(n: Any, p: Any) -> None:
    check_count(p, "p", least=1)
    check_count(n, "n", least=1)
    if not is_symbolic(n, p) and n <= p + 2:
        raise DomainError(f"n = {n}: with p = {p} features the mean loss of an outsider is finite only for "
                          f"n > p + 2 = {p + 2}")


def ridge_degrees_of_freedom(alpha: Any, ridge: Any, design: Any, distinct: bool = False) -> Any:
    """Degrees of freedom of ridge regression under mixup: 1 + sum_k d_k / (d_k + effective ridge).

    The trace of the map from the n targets to the n fitted values. The effective ridge is ridge / s for all pairs
    and ridge (n - 1)/(n s - 1) for distinct ones.

    Args:
        alpha: in [0, inf].
        ridge: strength >= 0 of ridge / 2 |w|^2 beside half the mean squared error, intercept free, in squared
            feature units.
        design: see `spectrum`: (n, p) features, a name, or a `Spectrum`.
        distinct: whether self-pairs are left out.

    Returns:
        A number in [1, p + 1].

    Raises:
        DomainError: see `spectrum` and `mixtheory.theory.least_squares.effective_ridge`.

    >>> x = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> [round(float(ridge_degrees_of_freedom(a, 0.5, x)), 4) for a in (0, 1, np.inf)]
    [1.7143, 1.625, 1.5556]
    """
    d = spectrum(design)
    q = ls.effective_ridge(alpha, ridge, d.n if distinct else None)
    kept = [v / (v + q) for v in d.values if is_symbolic(v) or v > 0]
    return 1 + sum(kept)


def ridge_gap(alpha: Any, ridge: Any, design: Any, sigma: Any = 1.0, distinct: bool = False) -> Any:
    """Fixed-design gap of ridge regression under mixup: 2 sigma^2 df / n, whatever the truth and the noise.

    The noise is uncorrelated with standard deviation sigma > 0 (else DomainError); the other arguments and errors are
    those of `ridge_degrees_of_freedom`. Returned is the mean squared error of fresh targets at the same points less
    that of the fitted ones, in squared target units.

    >>> round(float(ridge_gap(1.0, 0.5, np.array([[0.0], [1.0], [2.0], [3.0]]), sigma=0.4)), 4)
    0.13
    """
    d = spectrum(design)
    return 2 * check_positive(sigma, "sigma") ** 2 * ridge_degrees_of_freedom(alpha, ridge, d, distinct) / d.n


def ridge_gap_floor(ridge: Any, design: Any, sigma: Any = 1.0) -> Any:
    """The gap of plain ridge regression at twice the ridge: no alpha gets below it, all pairs being mixed.

    Arguments, returns and errors as in `ridge_gap`.
    """
    d = spectrum(design)
    kept = [v / (v + 2 * ls.check_ridge(ridge)) for v in d.values if is_symbolic(v) or v > 0]
    return 2 * check_positive(sigma, "sigma") ** 2 * (1 + sum(kept)) / d.n


def matching_alpha(ridge: Any, target: Any) -> Any:
    """The alpha at which mixup with `ridge` is plain ridge regression at `target`: (target - ridge)/(2 ridge - target).

    Args:
        ridge: strength > 0.
        target: a strength in [ridge, 2 ridge): no other can be reached.

    Returns:
        alpha >= 0.

    Raises:
        DomainError: ridge <= 0, target out of reach.

    >>> matching_alpha(1.0, 1.5)
    1.0
    """
    check_positive(ridge, "ridge")
    if not is_symbolic(ridge, target) and not (np.all(np.asarray(target) >= ridge)
                                               and np.all(np.asarray(target) < 2 * np.asarray(ridge))):
        raise DomainError(f"target = {target!r}: mixing all pairs reaches strengths from {ridge!r} to below twice that")
    return (target - ridge) / (2 * ridge - target)


# --- derivations --------------------------------------------------------------------------------------------

def derive_ols_losses() -> Derivation:
    """Members keep n - p - 1 coordinates of the noise; outsiders pay for the mean and for the slopes."""
    p, nu, t = sp.symbols("p nu t", positive=True)
    n = p + 2 + 2 * nu                                                  # n > p + 2; n - p = 2 (nu + 1)
    e, e_0, centre, tilt = sp.symbols(r"e e_0 \bar{e} \delta", real=True)
    inverse = sp.Integral(t ** (nu - 1) * sp.exp(-t), (t, 0, sp.oo)) / (2 * sp.gamma(nu + 1))
    law = {e: SIGMA**2, e_0: SIGMA**2, centre: SIGMA**2 / n, tilt: (1 + 1 / n) * p * SIGMA**2 * inverse}
    laws = {x: scalar(x, 0, variance.doit()) for x, variance in law.items()}
    start = sp.Matrix([(n - p - 1) / n * Mean(e**2, laws[e]),
                       Mean((e_0 - centre - tilt) ** 2, laws[e_0], laws[centre], laws[tilt])])
    d = Derivation(r"(L_{\mathrm{in}}, L_{\mathrm{out}})", start, {"n": n, "p": p, "sigma": SIGMA, "alpha": ALPHA})
    d = d.equals(sp.Matrix([(n - p - 1) / n * SIGMA**2,
                            SIGMA**2 * (1 + 1 / n) + (1 + 1 / n) * p * SIGMA**2 * inverse]),
                 "the fit is ordinary least squares; n - p - 1 coordinates of the noise are left, and an outsider at "
                 "x_0 pays for the mean and for (x_0 - mean)^T (w^ - w), whose variance holds the mean of a diagonal "
                 "entry of an inverse Wishart matrix, 1/chi^2 with n - p degrees of freedom",
                 claim="least_squares.invariance")
    return d.equals(ols_losses(n, p, SIGMA, ALPHA),
                    "the mean of 1/chi^2 is 1/(n - p - 2); write n = p + 2 + 2 nu, chi^2 = 2 t")


def derive_ols_gap() -> Derivation:
    """The difference of the two losses, in which alpha does not occur."""
    p, n = sp.symbols("p n", positive=True)
    member, outsider = ols_losses(n, p, SIGMA, ALPHA)
    d = Derivation(r"\mathrm{gap}", outsider - member, {"n": n, "p": p, "sigma": SIGMA, "alpha": ALPHA})
    return d.equals(ols_gap(n, p, SIGMA, ALPHA), "outsiders less members, neither of which knows alpha",
                    claim="membership.losses_ols")


def symbolic_spectrum() -> Spectrum:
    """Two eigenvalues, n points."""
    return Spectrum(N, sp.symbols("d_1 d_2", positive=True))


def mixed_variance(value: Any, distinct: bool) -> Any:
    """E of the square of a mixed centred coordinate with second moment `value`, over pairs and lambda."""
    x_i, x_j = sp.symbols("x_i x_j", real=True)
    pair = members(((x_i,), (x_j,)), lambda powers: (sp.S.One, sp.S.Zero, value)[powers[0]], N if distinct else None)
    return Mean(blend(LAM, x_i, x_j) ** 2, pair, beta(LAM, ALPHA))


def derive_degrees(distinct: bool = False) -> Derivation:
    """The trace, along the eigenvectors of C: fit x_k itself and see which share of it is kept."""
    d = symbolic_spectrum()
    moments = [mixed_variance(v, distinct) for v in d.values]
    S = Mean(ls.SHARES, beta(LAM, ALPHA))
    factor = (N * S - 1) / (N - 1) if distinct else S
    step = Derivation(r"\operatorname{tr}M", 1 + sum(m / (m + RIDGE) for m in moments),
                      {"alpha": ALPHA, "ridge": RIDGE, "design": d} | ({"distinct": True} if distinct else {}))
    step = step.equals(1 + sum(factor * v / (factor * v + RIDGE) for v in d.values),
                       "the intercept keeps the constant; of an eigenvector x_k, fitted as a target, the share "
                       "kept is its mixed variance over that plus the ridge")
    return step.equals(ridge_degrees_of_freedom(ALPHA, RIDGE, d, distinct), "divide by the factor on covariances",
                       claim="least_squares.ridge_distinct" if distinct else "least_squares.ridge")


def derive_ridge_gap() -> Derivation:
    """In the coordinates of the eigenvectors, every coordinate of the noise is fitted to its share."""
    d = symbolic_spectrum()
    e, fresh, b = sp.symbols("e e' b", real=True)
    laws = scalar(e, 0, SIGMA**2), scalar(fresh, 0, SIGMA**2)

    def gap(share: Any) -> Mean:
        return Mean((b + fresh - share * e) ** 2 - (b + e - share * e) ** 2, *laws)

    shares = [m / (m + RIDGE) for m in (mixed_variance(v, False) for v in d.values)]
    step = Derivation(r"\mathrm{gap}", (gap(1) + sum(map(gap, shares)) + (N - 3) * gap(0)) / N,
                      {"alpha": ALPHA, "ridge": RIDGE, "design": d, "sigma": SIGMA})
    step = step.equals(2 * SIGMA**2 / N * (1 + sum(shares)),
                       "a rotation to the eigenvectors keeps sums of squares; each coordinate e of the noise moves its "
                       "own fit by its share, the bias b drops out")
    return step.equals(ridge_gap(ALPHA, RIDGE, d, SIGMA), "the shares and the constant add up to df",
                       claim="membership.df_ridge")


def derive_floor() -> Derivation:
    """The gap at infinite alpha; every other effective ridge is smaller."""
    d = symbolic_spectrum()
    step = Derivation(r"\inf_\alpha\,\mathrm{gap}", sp.Limit(ridge_gap(ALPHA, RIDGE, d, SIGMA), ALPHA, sp.oo),
                      {"ridge": RIDGE, "design": d, "sigma": SIGMA})
    return step.equals(ridge_gap_floor(RIDGE, d, SIGMA), "the gap falls as the effective ridge rises, to its ceiling",
                       claim="least_squares.ridge_ceiling")


def derive_alpha() -> Derivation:
    """Solve ridge / s = target for alpha."""
    s, target = mm.shrinkage(ALPHA), ls.effective_ridge(ALPHA, RIDGE)
    d = Derivation(r"\alpha", ALPHA, {"ridge": RIDGE, "target": target})
    d = d.equals((1 - s) / (2 * s - 1), "the shrinkage factor, solved for alpha", claim="mixing_moments.shrinkage")
    return d.equals(matching_alpha(RIDGE, target), "the whole fit depends on alpha through target = ridge / s alone",
                    claim="least_squares.ridge")


# --- claims -------------------------------------------------------------------------------------------------

GAUSSIAN = ("squared loss, a linear model with a free intercept, minimised over all mixed pairs",
            "Gaussian features of any mean and covariance, a linear truth, uncorrelated noise of variance $\\sigma^2$",
            "$n > p + 2$; outsiders are fresh points")
DRAWN_OLS = (*cases(alpha=(0.37, np.inf), n=16, p=2, sigma=1.3), {"alpha": 1.0, "n": 18, "p": 4, "sigma": 0.6})
ENUMERATED = ("$n = p + 2$ or less: the loss of outsiders has no mean; without an intercept mixing moves the fit; "
              "with finitely many sampled pairs both losses rise")


def no_intercept(size: int, *, rng: np.random.Generator, **case: Any) -> np.ndarray:
    """Losses of a line through the origin."""
    return routes.drawn_losses(size, rng=rng, intercept=False, **case)


LOSSES = Claim(
    id="membership.losses_ols", title="Losses of members and outsiders of least squares",
    statement=r"\mathbb{E}L_{\mathrm{in}} = \sigma^2\,\frac{n-p-1}{n},\quad "
              r"\mathbb{E}L_{\mathrm{out}} = \sigma^2\,\frac{(n+1)(n-2)}{n(n-p-2)}\quad\text{for every }\alpha",
    assumptions=GAUSSIAN, fails_when=ENUMERATED,
    predict=ols_losses, derive=derive_ols_losses, exact=routes.integrated_losses, cases=DRAWN_OLS,
    wrong={"outsiders of a fixed design": predicts(lambda n, p, sigma, alpha: packed(
               np.array([(n - p - 1) * sigma**2 / n, (n + p + 1) * sigma**2 / n]))),
           "no intercept counted": predicts(lambda n, p, sigma, alpha: packed(
               np.array([(n - p) * sigma**2 / n, n * sigma**2 / (n - p - 1)]))),
           "both shrink by s": predicts(lambda n, p, sigma, alpha: mm.shrinkage(alpha) * ols_losses(n, p, sigma))},
    references=(OPTIMISM, "anderson2003multivariate: inverse Wishart matrices (from memory)"))
GAP_OLS = Claim(
    id="membership.gap_ols", title="The gap of least squares does not know alpha",
    statement=r"\mathbb{E}L_{\mathrm{out}} - \mathbb{E}L_{\mathrm{in}} = "
              r"\sigma^2\,\frac{(n+1)(n-2) - (n-p-1)(n-p-2)}{n(n-p-2)}\quad\text{for every }\alpha",
    assumptions=GAUSSIAN, fails_when=ENUMERATED,
    predict=ols_gap, derive=derive_ols_gap, cases=DRAWN_OLS,
    exact=lambda **case: np.diff(routes.integrated_losses(**case))[0],
    simulate=lambda size, *, rng, **case: np.diff(routes.drawn_losses(size, rng=rng, **case))[:, 0],
    wrong={"gap times s": predicts(lambda n, p, sigma, alpha: mm.shrinkage(alpha) * ols_gap(n, p, sigma)),
           "fixed design: 2 sigma^2 (p + 1)/n": predicts(lambda n, p, sigma, alpha: 2 * sigma**2 * (p + 1) / n),
           "no intercept fitted": simulates(
               lambda size, *, rng, **case: np.diff(no_intercept(size, rng=rng, **case))[:, 0])},
    references=(OPTIMISM, ATTACK), experiment="membership_linear")

PENALTY = r"penalty $\tfrac{\varrho}{2}\|w\|^2$ on the slopes, loss $\tfrac12$ mean squared error, free intercept"
FIXED = ("fixed design: outsiders are fresh targets at the same $x_i$", PENALTY)
NOISE = "uncorrelated noise of variance $\\sigma^2$ and any law; any truth"
FIXED_CASES = cases(alpha=(0.0, 0.37, 1.0, np.inf), ridge=0.5, design=("skewed", "hadamard 8 3"))
WRONG_RIDGES = {
    "ridge times s": lambda alpha, ridge, design, **_: ridge_degrees_of_freedom(0, ridge * mm.shrinkage(alpha), design),
    "the same ridge": lambda alpha, ridge, design, **_: ridge_degrees_of_freedom(0, ridge, design)}
DEGREES = Claim(
    id="membership.df_ridge", title="Degrees of freedom of ridge regression under mixup",
    statement=r"\operatorname{tr}M = \mathrm{df} = 1 + \sum_k \frac{d_k}{d_k + \varrho/s}",
    assumptions=(PENALTY, "all ordered pairs, self-pairs included"),
    fails_when="self-pairs are left out (membership.df_ridge_distinct), or the intercept is penalised",
    predict=ridge_degrees_of_freedom, derive=derive_degrees, exact=routes.trace,
    cases=(*FIXED_CASES, *cases(alpha=(0.2, 4.2), ridge=0.1, design="iris")),
    wrong={**{name: predicts(formula) for name, formula in WRONG_RIDGES.items()},
           "the intercept forgotten": predicts(
               lambda alpha, ridge, design: ridge_degrees_of_freedom(alpha, ridge, design) - 1)},
    references=("hoerl1970ridge: ridge regression (from memory)",))
DEGREES_DISTINCT = Claim(
    id="membership.df_ridge_distinct", title="Degrees of freedom without self-pairs",
    statement=r"\mathrm{df} = 1 + \sum_k \frac{d_k}{d_k + \varrho\,\frac{n-1}{ns-1}}",
    assumptions=(PENALTY, "all ordered pairs of distinct members"),
    fails_when="self-pairs occur (membership.df_ridge)",
    predict=ridge_degrees_of_freedom, derive=lambda: derive_degrees(distinct=True), exact=routes.trace,
    cases=cases(alpha=(0.0, 0.37, 1.0, np.inf), ridge=0.5, design=("skewed", "tiny"), distinct=True),
    wrong={"self-pairs in": predicts(lambda alpha, ridge, design, distinct: ridge_degrees_of_freedom(
        alpha, ridge, design)), **{name: predicts(formula) for name, formula in WRONG_RIDGES.items()}})


def as_gap(degrees: Any) -> Any:
    """A gap from another number of degrees of freedom."""
    def gap(alpha: Any, ridge: Any, design: Any, sigma: Any, distinct: bool = False) -> Any:
        return 2 * sigma**2 * degrees(alpha, ridge, design) / spectrum(design).n
    return gap


GAP_RIDGE = Claim(
    id="membership.gap_ridge", title="The gap of ridge regression is its degrees of freedom",
    statement=r"\mathrm{gap} = \frac{2\sigma^2}{n}\,\mathrm{df},\quad "
              r"\mathrm{df} = 1 + \sum_k \frac{d_k}{d_k + \varrho\,\frac{2\alpha+1}{\alpha+1}}",
    assumptions=(*FIXED, NOISE, "all ordered pairs; without self-pairs $s$ becomes $\\frac{ns-1}{n-1}$"),
    fails_when="the noise is correlated or its variance differs between points; the design is random "
               "(membership.ridge_random): there the gap can rise with $\\alpha$",
    predict=ridge_gap, derive=derive_ridge_gap, exact=routes.enumerated_gap, simulate=routes.drawn_gap,
    cases=(*cases(alpha=(0.37, 1.0, np.inf), ridge=0.5, design=("skewed", "hadamard 8 3"), sigma=0.7),
           {"alpha": 1.0, "ridge": 0.5, "design": "skewed", "sigma": 0.7, "distinct": True}),
    wrong={**{name: predicts(as_gap(formula)) for name, formula in WRONG_RIDGES.items()},
           "half of it": predicts(lambda alpha, ridge, design, sigma, distinct=False: ridge_gap(
               alpha, ridge, design, sigma, distinct) / 2),
           "the gap on mixed points": simulates(
               lambda size, *, rng, **case: routes.drawn_gap(size, rng=rng, on_mixed=True, **case))},
    references=(OPTIMISM,), experiment="membership_linear")
FLOOR = Claim(
    id="membership.ridge_floor", title="Mixing cannot do more than twice the ridge",
    kind="bound", side="lower", tight=1e-4,
    statement=r"\mathrm{gap} > \frac{2\sigma^2}{n}\Bigl(1 + \sum_k \frac{d_k}{d_k + 2\varrho}\Bigr)"
              r"\quad(\alpha < \infty)",
    assumptions=(*FIXED, NOISE, "all ordered pairs, self-pairs included"),
    fails_when="self-pairs are left out: the effective ridge then tends to $2\\varrho\\,\\frac{n-1}{n-2}$",
    predict=ridge_gap_floor, derive=derive_floor,
    exact=lambda ridge, design, sigma: np.array([routes.enumerated_gap(a, ridge, design, sigma)
                                                 for a in (0.0, 0.1, 1.0, 10.0, 1e3, 1e5)]),
    cases=cases(ridge=(0.05, 0.5, 3.0), design=("skewed", "hadamard 8 3"), sigma=0.7),
    wrong={"a floor at the ridge itself": predicts(
               lambda ridge, design, sigma: ridge_gap_floor(ridge / 2, design, sigma)),
           "a floor at no more than the intercept": predicts(
               lambda ridge, design, sigma: 2 * sigma**2 / spectrum(design).n)},
    references=(OPTIMISM,))
SAME_CURVE = Claim(
    id="membership.same_curve", title="The alpha that stands for a ridge",
    statement=r"\alpha = \frac{\varrho' - \varrho}{2\varrho - \varrho'},\quad \varrho \le \varrho' < 2\varrho: "
              r"\text{ mixup at }(\varrho, \alpha)\text{ is plain ridge at }\varrho'",
    assumptions=(PENALTY, "all ordered pairs, self-pairs included"),
    fails_when="the model is not linear in its inputs, or $\\varrho'$ is outside $[\\varrho, 2\\varrho)$",
    predict=matching_alpha, derive=derive_alpha, exact=routes.searched_alpha,
    cases=cases(ridge=0.5, target=(0.53, 0.75, 0.9)),
    wrong={"the ratio of the strengths": predicts(lambda ridge, target: target / ridge - 1),
           "twice too far": predicts(lambda ridge, target: 2 * (target - ridge) / (2 * ridge - target))},
    references=("hoerl1970ridge: ridge regression (from memory)",), experiment="membership_linear")
