r"""Second and fourth moments of mixed data in the population: means stay, covariances shrink by s, tails may not.

What happens within one batch is in `covariance_batch`, with claims of the same chapter.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp

from mixtheory.domain import DomainError, check_alpha, check_count, check_covariance, is_symbolic
from mixtheory.evidence import (
    Claim,
    Derivation,
    Mean,
    beta,
    cases,
    centred,
    gaussian,
    predicts,
    scalar,
    simulates,
    without_replacement,
)
from mixtheory.mixup import blend
from mixtheory.theory import _covariance_routes as routes
from mixtheory.theory import mixing_moments as mm

__all__ = ["class_different", "class_same", "covariance", "cross_covariance", "fourth_moment", "kurtosis",
           "kurtosis_threshold", "mixed_mean", "raw_second_moment"]

ALPHA, LAM = mm.ALPHA, mm.LAM
S_SHRINK = "mixing_moments.shrinkage"
GRID = (0.0, 0.1, 0.37, 1.0, 4.2, np.inf)
SIGMA = np.array([[2.0, 0.9], [0.9, 0.7]])
MU = np.array([1.5, -0.4])


def mixed_mean(alpha: Any, mu: Any) -> Any:
    """E[x~] = mu: mixing keeps the mean. mu: (d,), feature units; alpha in [0, inf] does not matter."""
    check_alpha(alpha)
    return mu


def covariance(alpha: Any, Sigma: Any) -> Any:
    """Cov(x~) = s Sigma for independent pairs.

    Args:
        alpha: in [0, inf], or a symbol.
        Sigma: (d, d) covariance of x, squared feature units, or the symbol of one entry.

    Returns:
        (d, d), squared feature units.

    Raises:
        DomainError: alpha negative or NaN; Sigma not a covariance.
    """
    return mm.shrinkage(alpha) * check_covariance(Sigma)


def cross_covariance(alpha: Any, Sigma_xy: Any) -> Any:
    """Cov(x~, y~) = s Cov(x, y) when x and y share partner and lambda. Sigma_xy: (d, m) or any shape."""
    return mm.shrinkage(alpha) * Sigma_xy


def raw_second_moment(alpha: Any, Sigma: Any, mu: Any) -> Any:
    """E[x~ x~^T] = s Sigma + mu mu^T: only the spread shrinks. Sigma: (d, d), mu: (d,); squared feature units."""
    return mm.shrinkage(alpha) * check_covariance(Sigma) + np.multiply.outer(mu, mu)


def _two_coordinates(mean: bool = False) -> tuple[Any, ...]:
    """Blends of two coordinates of independent x_1, x_2 and the laws behind them."""
    first, second = sp.symbols("x_1j x_1k", real=True), sp.symbols("x_2j x_2k", real=True)
    entries = sp.symbols("Sigma_jj Sigma_jk Sigma_kk", real=True)
    matrix = [[entries[0], entries[1]], [entries[1], entries[2]]]
    laws = centred(first, matrix), centred(second, matrix), beta(LAM, ALPHA)
    return blend(LAM, first[0], second[0]), blend(LAM, first[1], second[1]), laws, entries[1]


def derive_mean() -> Derivation:
    """Condition on lambda: the weights sum to 1."""
    mu, x1, x2 = sp.symbols("mu x_1 x_2", real=True)
    laws = scalar(x1, mu), scalar(x2, mu), beta(LAM, ALPHA)
    d = Derivation(r"\mathbb{E}[\tilde x]", Mean(blend(LAM, x1, x2), *laws), {"alpha": ALPHA, "mu": mu})
    d = d.equals(Mean(blend(LAM, mu, mu), laws[2]), "both members of a pair have mean $\\mu$, given $\\lambda$")
    return d.equals(mu, "the weights sum to 1")


def derive_covariance() -> Derivation:
    """Two coordinates, centred; independence of the pair removes the cross terms."""
    xj, xk, laws, entry = _two_coordinates()
    d = Derivation(r"\operatorname{Cov}(\tilde x_j, \tilde x_k)", Mean(xj * xk, *laws),
                   {"alpha": ALPHA, "Sigma": entry})
    d = d.equals(Mean(LAM**2 + (1 - LAM)**2, laws[2]) * entry,
                 "the pair is independent: terms with one factor of each member have mean 0")
    return d.equals(covariance(ALPHA, entry), "the mean of $\\lambda^2 + (1-\\lambda)^2$", claim=S_SHRINK)


def derive_cross_covariance() -> Derivation:
    """The same, with y as a further coordinate."""
    xj, y, laws, entry = _two_coordinates()
    d = Derivation(r"\operatorname{Cov}(\tilde x, \tilde y)", Mean(xj * y, *laws),
                   {"alpha": ALPHA, "Sigma_xy": entry})
    return d.equals(cross_covariance(ALPHA, entry), "$y$ is one more coordinate of the same pair and $\\lambda$",
                    claim="covariance.population")


def derive_raw_second_moment() -> Derivation:
    """Write x = mu + deviation."""
    mu, c1, c2 = sp.symbols("mu c_1 c_2", real=True)
    variance = sp.Symbol("Sigma", positive=True)
    laws = scalar(c1, 0, variance), scalar(c2, 0, variance), beta(LAM, ALPHA)
    d = Derivation(r"\mathbb{E}[\tilde x^2]", Mean(blend(LAM, mu + c1, mu + c2)**2, *laws),
                   {"alpha": ALPHA, "Sigma": variance, "mu": mu})
    d = d.equals(mu**2 + Mean(blend(LAM, c1, c2)**2, *laws), "$\\tilde x = \\mu + \\tilde c$ with $\\tilde c$ centred")
    return d.equals(raw_second_moment(ALPHA, variance, mu), "the covariance shrinks, the mean does not",
                    claim="covariance.population")


MEAN = Claim(
    id="covariance.mean", title="Mixing keeps the mean", statement=r"\mathbb{E}[\tilde x] = \mu",
    assumptions=("both members of a pair have the same mean", "the mean is finite"),
    fails_when="partners come from another distribution, or the weights do not sum to 1",
    predict=mixed_mean, derive=derive_mean, exact=routes.exact_mean, simulate=routes.simulate_mean,
    cases=cases(alpha=GRID, mu=MU),
    wrong={"shrunk towards zero": predicts(lambda alpha, mu: mm.shrinkage(alpha) * mu),
           "square roots as weights": simulates(routes.simulate_square_root_weights)},
    references=("zhang2018mixup: equation 1 (from memory)",), experiment="covariance")

POPULATION = Claim(
    id="covariance.population", title="Mixing scales the covariance by s",
    statement=r"\operatorname{Cov}(\tilde x) = s\,\Sigma",
    assumptions=("the two members of a pair are independent", "finite second moments"),
    fails_when="the partner cannot be the example itself (covariance.distinct_pair), depends on it, or lambda is drawn "
               "for each feature",
    predict=covariance, derive=derive_covariance, exact=routes.exact_covariance, simulate=routes.simulate_covariance,
    scale=lambda prediction, alpha, Sigma: np.sqrt(np.outer(np.diag(Sigma), np.diag(Sigma))),
    cases=cases(alpha=GRID, Sigma=SIGMA),
    wrong={"no shrinkage": predicts(lambda alpha, Sigma: Sigma),
           "s squared": predicts(lambda alpha, Sigma: mm.shrinkage(alpha)**2 * Sigma),
           "separate permutations per feature": simulates(routes.simulate_torn_covariance)},
    references=("carratino2022mixup: section 3 (from memory)",), experiment="covariance")

CROSS = Claim(
    id="covariance.cross", title="Features and targets shrink together",
    statement=r"\operatorname{Cov}(\tilde x, \tilde y) = s\operatorname{Cov}(x, y)",
    assumptions=("x and y are mixed with the same partner and the same lambda", "finite second moments"),
    fails_when="lambda and 1 - lambda are swapped on the labels, or x and y get partners of their own",
    predict=cross_covariance, derive=derive_cross_covariance, exact=routes.exact_cross, simulate=routes.simulate_cross,
    cases=cases(alpha=GRID[1:], Sigma_xy=0.9),
    wrong={"weights swapped on the labels": predicts(lambda alpha, Sigma_xy: (1 - mm.shrinkage(alpha)) * Sigma_xy),
           "weights swapped in the code": simulates(routes.simulate_swapped_labels),
           "separate permutations for x and y": simulates(routes.simulate_separate_partners)},
    experiment="covariance")

RAW = Claim(
    id="covariance.raw_second_moment", title="The raw second moment keeps the mean",
    statement=r"\mathbb{E}[\tilde x\tilde x^\top] = s\,\Sigma + \mu\mu^\top",
    assumptions=("the two members of a pair are independent", "finite second moments"),
    fails_when="s is applied to the raw second moment as a whole: that is right for centred data only",
    predict=raw_second_moment, derive=derive_raw_second_moment, exact=routes.exact_raw, simulate=routes.simulate_raw,
    cases=cases(alpha=GRID, Sigma=SIGMA, mu=MU),
    wrong={"everything shrinks": predicts(
        lambda alpha, Sigma, mu: mm.shrinkage(alpha) * (Sigma + np.multiply.outer(mu, mu)))})



# ---- classes -----------------------------------------------------------------------------------------------------

def class_same(alpha: Any, Sigma_W: Any, Sigma_B: Any) -> Any:
    """Cov(x~) = s Sigma_W + Sigma_B when partners come from the same class.

    Sigma_W, Sigma_B: (d, d) within- and between-class covariance, squared feature units; alpha in [0, inf].
    """
    return mm.shrinkage(alpha) * check_covariance(Sigma_W, "Sigma_W") + check_covariance(Sigma_B, "Sigma_B")


def class_same_cross(alpha: Any, cross: Any) -> Any:
    """Cov(x~, y) = Cov(x, y) when partners come from the same class: y does not change, nor do the class means."""
    check_alpha(alpha)
    return cross


def class_different(alpha: Any, Sigma_W: Any, Sigma_B: Any, K: Any) -> Any:
    """Cov(x~) = s Sigma_W + (K s - 1)/(K - 1) Sigma_B when partners come from another of K balanced classes.

    Sigma_W, Sigma_B: (d, d), squared feature units; K >= 2. With K = 2 and alpha = inf the class means collapse.
    """
    check_count(K, "K")
    s = mm.shrinkage(alpha)
    return s * check_covariance(Sigma_W, "Sigma_W") + (K * s - 1) / (K - 1) * check_covariance(Sigma_B, "Sigma_B")


def _class_laws(K: Any) -> tuple[Any, ...]:
    """One feature: class means M with E M^2 = B, two different classes correlated by -1/(K - 1), and deviations."""
    W, B = sp.symbols("Sigma_W Sigma_B", positive=True)
    M1, M2, w1, w2 = sp.symbols("M_1 M_2 w_1 w_2", real=True)
    apart = without_replacement((1, 1), K, lambda r: {1: 0, 2: K * B}[r])
    means = centred((M1, M2), [[B, apart], [apart, B]])
    return (M1, M2, w1, w2), (means, scalar(w1, 0, W), scalar(w2, 0, W), beta(LAM, ALPHA)), (W, B)


def derive_class_same() -> Derivation:
    """x = class mean + deviation; both members share the class mean."""
    (M, _, w1, w2), laws, (W, B) = _class_laws(sp.Symbol("K", integer=True, positive=True))
    d = Derivation(r"\operatorname{Cov}(\tilde x)", Mean(blend(LAM, M + w1, M + w2)**2, *laws),
                   {"alpha": ALPHA, "Sigma_W": W, "Sigma_B": B})
    d = d.equals(B + Mean(blend(LAM, w1, w2)**2, *laws[1:]), "the class mean is common to the pair and passes through")
    return d.equals(class_same(ALPHA, W, B), "deviations are an independent pair", claim="covariance.population")


def derive_class_same_cross() -> Derivation:
    """The target is the class, a coordinate of M: it is not mixed at all."""
    (M, _, w1, w2), laws, _ = _class_laws(sp.Symbol("K", integer=True, positive=True))
    y, cross, Y = sp.symbols("y cross Y", real=True)
    laws = (centred((M, y), [[sp.Symbol("Sigma_B"), cross], [cross, Y]]), *laws[1:])
    d = Derivation(r"\operatorname{Cov}(\tilde x, y)", Mean(blend(LAM, M + w1, M + w2) * y, *laws),
                   {"alpha": ALPHA, "cross": cross})
    return d.equals(class_same_cross(ALPHA, cross), "deviations have mean 0 in every class, and $\\tilde y = y$")


def derive_class_different() -> Derivation:
    """Two distinct members of the K class means."""
    K = sp.Symbol("K", integer=True, positive=True)
    (M1, M2, w1, w2), laws, (W, B) = _class_laws(K)
    d = Derivation(r"\operatorname{Cov}(\tilde x)", Mean(blend(LAM, M1 + w1, M2 + w2)**2, *laws),
                   {"alpha": ALPHA, "Sigma_W": W, "Sigma_B": B, "K": K})
    d = d.equals(Mean(blend(LAM, M1, M2)**2, laws[0], laws[3]) + Mean(blend(LAM, w1, w2)**2, *laws[1:]),
                 "class means and deviations are uncorrelated")
    return d.equals(class_different(ALPHA, W, B, K), "class means: two distinct members of $K$; deviations: a pair",
                    claim="covariance.distinct_pair")


WITHIN, BETWEEN = np.array([[1.0, 0.4], [0.4, 0.8]]), np.array([[2.25, -0.75], [-0.75, 0.25]])

CLASS_SAME = Claim(
    id="covariance.class_same", title="Mixing inside a class spares the class means",
    statement=r"\operatorname{Cov}(\tilde x) = s\,\Sigma_W + \Sigma_B",
    assumptions=("the partner is uniform over the examples of the same class",),
    fails_when="partners may come from any class: then the between-class part shrinks as well",
    predict=class_same, derive=derive_class_same, exact=routes.exact_class_same, simulate=routes.simulate_class_same,
    cases=cases(alpha=GRID[1:], Sigma_W=WITHIN, Sigma_B=BETWEEN),
    wrong={"everything shrinks": predicts(lambda alpha, Sigma_W, Sigma_B: mm.shrinkage(alpha) * (Sigma_W + Sigma_B)),
           "partners from any class": simulates(routes.simulate_class_any)})

CLASS_SAME_CROSS = Claim(
    id="covariance.class_same_cross", title="Mixing inside a class keeps the link to the label",
    statement=r"\operatorname{Cov}(\tilde x, y) = \operatorname{Cov}(x, y)",
    assumptions=("the partner is uniform over the examples of the same class", "y is a function of the class"),
    fails_when="y varies inside a class, or partners come from other classes (covariance.cross)",
    predict=class_same_cross, derive=derive_class_same_cross, exact=routes.exact_class_same_cross,
    cases=cases(alpha=GRID[1:], cross=-1.1),
    wrong={"shrunk by s": predicts(lambda alpha, cross: mm.shrinkage(alpha) * cross)})

CLASS_DIFFERENT = Claim(
    id="covariance.class_different", title="Mixing across classes pulls the class means together",
    statement=r"\operatorname{Cov}(\tilde x) = s\,\Sigma_W + \frac{Ks - 1}{K - 1}\,\Sigma_B",
    assumptions=("K balanced classes", "the partner is uniform over the examples of the other classes"),
    fails_when="classes are unbalanced, or the partner may be of the same class",
    predict=class_different, derive=derive_class_different, exact=routes.exact_class_different,
    simulate=routes.simulate_class_different,
    cases=cases(alpha=GRID[1:], Sigma_W=WITHIN, Sigma_B=BETWEEN, K=(2, 5)),
    wrong={"population factor": predicts(
               lambda alpha, Sigma_W, Sigma_B, K: mm.shrinkage(alpha) * (Sigma_W + Sigma_B)),
           "K for K - 1": predicts(lambda alpha, Sigma_W, Sigma_B, K: mm.shrinkage(alpha) * Sigma_W
                                   + (mm.shrinkage(alpha) - (1 - mm.shrinkage(alpha)) / K) * Sigma_B),
           "partners from any class": simulates(routes.simulate_class_any)})


# ---- tails -------------------------------------------------------------------------------------------------------

def fourth_moment(alpha: Any, kappa: Any, sigma: Any) -> Any:
    """E[x~^4] = sigma^4 (kappa q4 + 6 E u^2) of a centred scalar feature.

    Args:
        alpha: in [0, inf].
        kappa: kurtosis E x^4 / sigma^4 of the data (3 for a Gaussian), at least 1.
        sigma: standard deviation, feature units.

    Returns:
        Fourth power of feature units.
    """
    _check_kurtosis(kappa)
    return sigma**4 * (kappa * mm.fourth(alpha) + 6 * mm.product_square(alpha))


def kurtosis(alpha: Any, kappa: Any) -> Any:
    """Kurtosis of the mixed feature, (kappa q4 + 6 E u^2)/s^2; dimensionless. Arguments as `fourth_moment`."""
    _check_kurtosis(kappa)
    return (kappa * mm.fourth(alpha) + 6 * mm.product_square(alpha)) / mm.shrinkage(alpha)**2


def excess_kurtosis(alpha: Any, kappa: Any) -> Any:
    """The same minus 3: ((kappa - 3) q4 + 3 V_S)/s^2; dimensionless."""
    _check_kurtosis(kappa)
    return ((kappa - 3) * mm.fourth(alpha) + 3 * mm.shrinkage_variance(alpha)) / mm.shrinkage(alpha)**2


def kurtosis_gaussian(alpha: Any) -> Any:
    """Kurtosis of mixed Gaussian data: 3 rho = 3 E[S^2]/s^2, above 3 for 0 < alpha < inf; dimensionless."""
    return 3 * mm.noise_ratio(alpha)


def kurtosis_threshold(alpha: Any) -> Any:
    """Mixing raises every kurtosis below 6 E u^2/(s^2 - q4) and lowers those above.

    alpha > (sqrt(17) - 3)/4 = 0.2808 (or a symbol): for smaller alpha every kurtosis rises.

    Raises:
        DomainError: alpha at or below that value, or infinite times zero.
    """
    gap = mm.shrinkage(alpha)**2 - mm.fourth(alpha)
    if not is_symbolic(alpha) and np.any(np.asarray(gap) <= 0):
        raise DomainError(f"alpha = {alpha}: the threshold exists only for alpha > (sqrt(17) - 3)/4; below it every "
                          "kurtosis rises")
    return 6 * mm.product_square(alpha) / gap


def _check_kurtosis(kappa: Any) -> None:
    if not is_symbolic(kappa) and not np.all(np.asarray(kappa, dtype=float) >= 1):
        raise DomainError(f"kappa = {kappa}: a kurtosis is at least 1")


KAPPA, SD = sp.symbols("kappa sigma", positive=True)


def _fourth_laws() -> tuple[Any, ...]:
    x1, x2 = sp.symbols("x_1 x_2", real=True)
    moments = (0, SD**2, sp.Symbol("mu_3", real=True), KAPPA * SD**4)
    return x1, x2, (scalar(x1, *moments), scalar(x2, *moments), beta(LAM, ALPHA))


def derive_fourth_moment() -> Derivation:
    """Expand the fourth power; odd cross terms have mean 0."""
    x1, x2, laws = _fourth_laws()
    d = Derivation(r"\mathbb{E}[\tilde x^4]", Mean(blend(LAM, x1, x2)**4, *laws),
                   {"alpha": ALPHA, "kappa": KAPPA, "sigma": SD})
    d = d.equals(SD**4 * (KAPPA * Mean(LAM**4 + (1 - LAM)**4, laws[2]) + 6 * Mean(LAM**2 * (1 - LAM)**2, laws[2])),
                 "only even powers of each member survive")
    return d.equals(fourth_moment(ALPHA, KAPPA, SD), "moments of $\\lambda$", claim="mixing_moments.fourth")


def _derive_from_moments(name: str, formula: Any, parameters: dict[str, Any], reason: str,
                         shift: int = 0) -> Derivation:
    x1, x2, laws = _fourth_laws()
    mixed = blend(LAM, x1, x2)
    d = Derivation(name, Mean(mixed**4, *laws) / Mean(mixed**2, *laws)**2 - shift, parameters)
    d = d.equals(fourth_moment(ALPHA, KAPPA, SD) / covariance(ALPHA, SD**2)**2 - shift,
                 "fourth moment over squared variance", claim="covariance.fourth_moment")
    return d.equals(formula, reason, claim=S_SHRINK)


def derive_kurtosis() -> Derivation:
    return _derive_from_moments(r"\tilde\kappa", kurtosis(ALPHA, KAPPA), {"alpha": ALPHA, "kappa": KAPPA},
                                "divide by $(s\\sigma^2)^2$")


def derive_excess_kurtosis() -> Derivation:
    return _derive_from_moments(r"\tilde\kappa - 3", excess_kurtosis(ALPHA, KAPPA), {"alpha": ALPHA, "kappa": KAPPA},
                                "$q_4 + 2\\,\\mathbb{E}u^2 = \\mathbb{E}S^2 = V_S + s^2$", shift=3)


def derive_kurtosis_gaussian() -> Derivation:
    """The fourth moment by Wick's rule, without the general formula."""
    x1, x2 = sp.symbols("x_1 x_2", real=True)
    laws = gaussian((x1, x2), sp.diag(SD**2, SD**2)), beta(LAM, ALPHA)
    mixed = blend(LAM, x1, x2)
    d = Derivation(r"\tilde\kappa", Mean(mixed**4, *laws) / Mean(mixed**2, *laws)**2, {"alpha": ALPHA})
    S = LAM**2 + (1 - LAM)**2
    d = d.equals(3 * Mean(S**2, laws[1]) / Mean(S, laws[1])**2,
                 "given $\\lambda$ the mixed point is Gaussian with variance $S\\sigma^2$")
    return d.equals(kurtosis_gaussian(ALPHA), "$\\rho = \\mathbb{E}[S^2]/s^2$", claim="mixing_moments.noise_ratio")


def derive_kurtosis_threshold() -> Derivation:
    """Solve mixed kurtosis = kurtosis."""
    solution = sp.solve(sp.Eq(kurtosis(ALPHA, KAPPA), KAPPA), KAPPA)[0]
    d = Derivation(r"\kappa^*", solution, {"alpha": ALPHA})
    return d.equals(kurtosis_threshold(ALPHA), "the root $\\kappa$ of $\\tilde\\kappa(\\kappa) = \\kappa$",
                    claim="covariance.kurtosis")


FOURTH = Claim(
    id="covariance.fourth_moment", title="Fourth moment of a mixed feature",
    statement=r"\mathbb{E}[\tilde x^4] = \sigma^4(\kappa\,q_4 + 6\,\mathbb{E}u^2)",
    assumptions=("independent pair", "centred scalar feature with finite fourth moment"),
    fails_when="the feature is not centred, or the members of a pair are dependent",
    predict=fourth_moment, derive=derive_fourth_moment, exact=routes.exact_fourth, simulate=routes.simulate_fourth,
    cases=cases(alpha=GRID, kappa=(1.7, 2.4), sigma=1.3),
    wrong={"no cross term": predicts(lambda alpha, kappa, sigma: sigma**4 * kappa * mm.fourth(alpha)),
           "s squared": predicts(lambda alpha, kappa, sigma: sigma**4 * kappa * mm.shrinkage(alpha)**2)})

KURTOSIS = Claim(
    id="covariance.kurtosis", title="Kurtosis of a mixed feature",
    statement=r"\tilde\kappa = \frac{\kappa\,q_4 + 6\,\mathbb{E}u^2}{s^2}",
    assumptions=("independent pair", "centred scalar feature with finite fourth moment"),
    predict=kurtosis, derive=derive_kurtosis, exact=routes.exact_kurtosis,
    cases=cases(alpha=GRID, kappa=(1.7, 3.0, 6.0)),
    wrong={"kurtosis kept": predicts(lambda alpha, kappa: kappa + 0 * alpha, symbolic=True),
           "never above that of the data": predicts(
               lambda alpha, kappa: np.minimum(kurtosis(alpha, kappa), kappa), symbolic=False)})

EXCESS = Claim(
    id="covariance.excess_kurtosis", title="Excess kurtosis: a part shrinks, a part is new",
    statement=r"\tilde\kappa - 3 = \frac{(\kappa - 3)\,q_4 + 3V_S}{s^2}",
    assumptions=("independent pair", "centred scalar feature with finite fourth moment"),
    predict=excess_kurtosis, derive=derive_excess_kurtosis,
    exact=lambda alpha, kappa: routes.exact_kurtosis(alpha, kappa) - 3,
    cases=cases(alpha=GRID, kappa=(1.7, 6.0)),
    wrong={"lambda taken as fixed": predicts(
        lambda alpha, kappa: (kappa - 3) * mm.fourth(alpha) / mm.shrinkage(alpha)**2)})

KURTOSIS_GAUSSIAN = Claim(
    id="covariance.kurtosis_gaussian", title="Mixed Gaussian data are not Gaussian",
    statement=r"\tilde\kappa = 3\rho,\quad \rho = \mathbb{E}[S^2]/s^2",
    assumptions=("Gaussian feature", "independent pair"),
    fails_when="lambda is a constant: then mixed Gaussian data are Gaussian",
    predict=kurtosis_gaussian, derive=derive_kurtosis_gaussian, exact=routes.exact_kurtosis_gaussian,
    simulate=routes.simulate_kurtosis_gaussian, cases=cases(alpha=(0.37, 0.57, 1.0, 4.2)), resolution=0.04,
    wrong={"Gaussian stays Gaussian": predicts(lambda alpha: 3 + 0 * alpha),
           "s squared for E S^2 in the fourth moment": simulates(routes.simulate_kurtosis_fixed_lambda)})

THRESHOLD = Claim(
    id="covariance.kurtosis_threshold", title="Which tails get heavier",
    statement=r"\tilde\kappa > \kappa \iff \kappa < \kappa^* = \frac{6\,\mathbb{E}u^2}{s^2 - q_4}",
    assumptions=("independent pair", r"$\alpha > (\sqrt{17}-3)/4$; below it every kurtosis rises"),
    predict=kurtosis_threshold, derive=derive_kurtosis_threshold, exact=routes.exact_threshold,
    cases=cases(alpha=(0.37, 0.5, 1.0, 4.2, np.inf)),
    wrong={"three: the Gaussian value": predicts(lambda alpha: 3 + 0 * alpha)})
