r"""Least squares on finitely many mixed points: the noise that sampling pairs adds to the OLS solution.

Mixed points scatter the estimator about the OLS solution of the data they are made of; per mixed point that
costs nearly the same for every alpha. One permutation of the whole data set costs less. The claims belong to
the chapter `least_squares`. c_i are the centred features, e_i the residuals of OLS, C and sigma^2 their
covariances with 1/n.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import sympy as sp
from scipy import special

from mixtheory.domain import DomainError, check_alpha, check_count, check_member, is_symbolic
from mixtheory.evidence import Claim, Derivation, Mean, beta, cases, predicts, simulates
from mixtheory.mixup import blend
from mixtheory.pairing import PAIRINGS
from mixtheory.theory import _least_squares_routes as routes
from mixtheory.theory import mixing_moments as mm
from mixtheory.theory._least_squares_data import Data, Moments, dataset, members, moments, packed, solve

__all__ = ["Residuals", "one_permutation", "one_permutation_uniform", "sampled_pairs",
           "sampled_pairs_homoscedastic"]

ALPHA, LAM = mm.ALPHA, mm.LAM
N, COUNT = sp.Symbol("n", integer=True, positive=True), sp.Symbol("M", integer=True, positive=True)
C, T, VARIANCE = sp.symbols("C T sigma^2", positive=True)
S_SHRINK = "mixing_moments.shrinkage"


class Residuals(NamedTuple):
    """What the noise of sampled pairs depends on: c centred features, e residuals of OLS, weight 1/n each.

    C: (p, p) mean of c c^T; variance: mean of e^2; T: (p, p) mean of e^2 c c^T.
    """

    C: np.ndarray
    variance: Any
    T: np.ndarray


def sampled_pairs(alpha: Any, data: Data | Residuals, M: Any) -> Any:
    """Covariance, about OLS, of least-squares slopes on M mixed points drawn from a fixed data set.

    C^-1 V C^-1 / (s^2 M) with V = q4 mean(e^2 c c^T) + 2 E[u^2] mean(e^2) C; pairs independent, self-pairs
    allowed.

    Args:
        alpha: in [0, inf].
        data: a name for `dataset` or a pair (x, y) with scalar targets, or `Residuals`.
        M: number of mixed points; the relative error is of order 1/M.

    Returns:
        (p, p), squared target units per two feature units.

    Raises:
        DomainError: C singular, alpha outside its domain, M < 1.
    """
    r = _residuals(data)
    V = mm.fourth(alpha) * r.T + 2 * mm.product_square(alpha) * r.variance * r.C
    W = solve(r.C, solve(r.C, V).T)
    return packed(W / (mm.shrinkage(alpha) ** 2 * check_count(M, "M", least=1)))


def sampled_pairs_homoscedastic(alpha: Any, data: Data | Residuals, M: Any) -> Any:
    """As `sampled_pairs`, when mean(e^2 c c^T) = sigma^2 C: rho sigma^2 C^-1 / M with rho = E[S^2]/s^2.

    That is rho n/M times the covariance of OLS itself, and rho is at most 1.056: nearly free of alpha.
    Arguments, returns and errors as there; data whose mean(e^2 c c^T) is another raise DomainError.
    """
    r = _residuals(data)
    if r.C.dtype != object and not np.allclose(r.T, r.variance * r.C, rtol=1e-9, atol=0):
        raise DomainError(f"mean(e^2 c c^T) = {r.T.tolist()}: must be sigma^2 C, with sigma^2 = {r.variance}")
    inverse = solve(r.C, np.eye(len(r.C), dtype=r.C.dtype))
    return packed(mm.noise_ratio(alpha) * r.variance * inverse / check_count(M, "M", least=1))


def one_permutation(alpha: Any, pairing: str = "permutation", n: Any = None) -> Any:
    r"""Excess covariance of slopes on one mixed copy of the data, lambda shared, over sigma^2 C^-1 / n.

    2 E[u^2/S^2] = \frac{2 alpha (alpha+1)}{(2 alpha+1)(2 alpha+3)} 2F1(2, 1/2; alpha + 5/2; -1) as n grows;
    twice that for `flip`, where every pair is used twice.

    Args:
        alpha: in [0, inf].
        pairing: permutation, roll, derangement or flip.
        n: number of points; the limit does not depend on it, the relative error is of order 1/n.

    Returns:
        A dimensionless factor, at most 1/2 (1 for flip).

    Raises:
        DomainError: alpha outside its domain, unknown pairing, `independent` (it also moves the mean of the
            batch).
    """
    check_member(pairing, tuple(p for p in PAIRINGS if p != "independent"), "pairing")
    copies = 4 if pairing == "flip" else 2
    if is_symbolic(check_alpha(alpha)):
        F = sp.hyper((2, sp.Rational(1, 2)), (alpha + sp.Rational(5, 2),), -1)
        return copies * alpha * (alpha + 1) / ((2 * alpha + 1) * (2 * alpha + 3)) * F
    a = np.where(np.isinf(alpha), 1e300, np.asarray(alpha, dtype=float))
    head = (a / (2 * a + 1)) * ((a + 1) / (2 * a + 3))
    value = copies * head * np.where(a > 1e12, 1.0, special.hyp2f1(2, 0.5, np.minimum(a, 1e12) + 2.5, -1))
    return value if value.ndim else float(value)


def one_permutation_uniform() -> Any:
    """`one_permutation` at alpha = 1: 1 - pi/4, exactly (a SymPy number)."""
    return 1 - sp.pi / 4


def _residuals(data: Data | Residuals) -> Residuals:
    if isinstance(data, Residuals):
        return data
    if isinstance(data, Moments):
        raise DomainError("data as Moments: the noise of sampled pairs needs the points, or Residuals")
    x, y = dataset(data) if isinstance(data, str) else data
    d = moments((x, y))
    c = x - d.mean
    e = y - d.mean_y - c @ solve(d.C, d.c)
    return Residuals(d.C, np.mean(e**2), (e**2 * c.T) @ c / len(x))


# --- derivations --------------------------------------------------------------------------------------------

def residual_moments(powers: tuple[int, ...]) -> Any:
    """Means of c^j e^k over the data: OLS makes those of c, e and c e vanish."""
    known = {(0, 0): 1, (1, 0): 0, (0, 1): 0, (1, 1): 0, (2, 0): C, (0, 2): VARIANCE, (2, 2): T}
    return sp.sympify(known[powers]) if powers in known else sp.Symbol(f"mu_{{{powers[0]}{powers[1]}}}")


def array(value: Any) -> np.ndarray:
    """A symbol as a matrix with one entry."""
    return np.array([[value]], dtype=object)


def derive_sampled_pairs() -> Derivation:
    """Mean square of the score, between the inverse curvatures, along any one direction."""
    c_i, e_i, c_j, e_j = sp.symbols("c_i e_i c_j e_j", real=True)
    pair, lam = members(((c_i, e_i), (c_j, e_j)), residual_moments), beta(LAM, ALPHA)
    c, e = blend(LAM, c_i, c_j), blend(LAM, e_i, e_j)
    scale = COUNT * Mean(c**2, pair, lam)**2
    d = Derivation(r"\operatorname{Cov}(\hat w_M)", sp.Matrix([Mean((c * e)**2, pair, lam) / scale]),
                   {"alpha": ALPHA, "data": Residuals(array(C), VARIANCE, array(T)), "M": COUNT})
    d = d.equals(sp.Matrix([(Mean(LAM**4 + (1 - LAM)**4, lam) * T
                             + 2 * Mean(LAM**2 * (1 - LAM)**2, lam) * VARIANCE * C) / scale]),
                 "to order 1/M the estimator is curvature^-1 times the mean score c e; along a direction a "
                 "take "
                 "c = a^T C^-1 c; means of c, e and c e vanish")
    d = d.equals(sp.Matrix([(mm.fourth(ALPHA) * T + 2 * mm.product_square(ALPHA) * VARIANCE * C) / scale]),
                 "fourth moments of the shares", claim="mixing_moments.fourth")
    d = d.equals(d.conclusion, "mean square of the product of the shares",
                 claim="mixing_moments.product_square")
    return d.equals(sampled_pairs(ALPHA, d.parameters["data"], COUNT), "the curvature is s C", claim=S_SHRINK)


def derive_homoscedastic() -> Derivation:
    """The general covariance, when squared residuals and features are uncorrelated."""
    data = Residuals(array(C), VARIANCE, array(VARIANCE * C))
    s, S2 = mm.shrinkage(ALPHA), mm.shrinkage_square(ALPHA)
    d = Derivation(r"\operatorname{Cov}(\hat w_M)", sampled_pairs(ALPHA, data, COUNT),
                   {"alpha": ALPHA, "data": data, "M": COUNT})
    d = d.equals(sp.Matrix([S2 * VARIANCE / (s**2 * C * COUNT)]), "q4 + 2 E u^2 = E S^2",
                 claim="least_squares.sampled_pairs")
    d = d.equals(d.conclusion, "the mean square of S", claim="mixing_moments.shrinkage_square")
    return d.equals(sampled_pairs_homoscedastic(ALPHA, data, COUNT), "the noise ratio",
                    claim="mixing_moments.noise_ratio")


def derive_permutation(flip: bool = False) -> Derivation:
    """Variance of the score for a random pairing at given lambda, then the mean over lambda."""
    names = [sp.symbols(f"c_{k} e_{k}", real=True) for k in "ijkm"]
    K = sp.Symbol(r"\mathbb{E}[u^2/S^2]", positive=True)

    def score(one: Any, two: Any) -> Any:
        return one[0] * two[1] + two[0] * one[1]

    i, j, k, m = names
    if flip:
        same = members((i, j), residual_moments, N)
        both = (members((i, j, k, m), residual_moments, N),)
        total = 4 * (N / 2 * Mean(score(i, j)**2,
                                  same) + N / 2 * (N / 2 - 1) * Mean(score(i, j) * score(k, m), *both))
        reason = "a uniform matching uses every pair twice: n/2 scores of distinct members, each doubled"
    else:
        same = members((i, j), residual_moments)
        both = (members((i, k), residual_moments, N), members((j, m), residual_moments, N))
        total = N * Mean(score(i, j)**2, same) + N * (N - 1) * Mean(score(i, j) * score(k, m), *both)
        reason = "a uniform permutation: partners of distinct members are distinct"
    d = Derivation(r"\lim_n n\,C\,\mathbb{E}(\hat w - \hat w_{\mathrm{OLS}})^2/\sigma^2",
                   sp.Limit(K * N * (total / N**2) / (C * VARIANCE), N, sp.oo),
                   {"alpha": ALPHA, "pairing": "flip" if flip else "permutation", "n": N})
    d = d.equals((4 if flip else 2) * K,
                 "mean score u (c_i e_j + c_j e_i) over curvature S C, linearised; " + reason)
    return d.appeal(one_permutation(ALPHA, "flip" if flip else "permutation"),
                    "Euler's integral of 2F1, with (2 lambda - 1)^2 ~ Beta(1/2, alpha) (DLMF 15.6.1)")


def derive_uniform() -> Derivation:
    """One integral of a rational function."""
    u = LAM * (1 - LAM)
    d = Derivation(r"2\,\mathbb{E}[u^2/S^2]", sp.Integral(2 * u**2 / (1 - 2 * u)**2, (LAM, 0, 1)), {})
    return d.equals(one_permutation_uniform(), "lambda is uniform at alpha = 1",
                    claim="least_squares.one_permutation")


# --- claims -------------------------------------------------------------------------------------------------

LIMIT = ("least squares with intercept", "a fixed data set with covariance $C$ that can be inverted")
MONTE_CARLO = {"resolution": 0.1, "model_error": 0.02}         # extrapolation leaves a term of second order


def flattened(alpha: Any, data: Any, M: Any) -> Any:
    """The covariance of `sampled_pairs` as if squared residuals knew nothing of the features."""
    r = _residuals(data)
    return sampled_pairs(alpha, r._replace(T=r.variance * r.C), M)


def uncrossed(alpha: Any, data: Any, M: Any) -> Any:
    """The covariance of `sampled_pairs` without the terms in which the two members meet."""
    r = _residuals(data)
    return sampled_pairs(alpha, r._replace(variance=0 * r.variance), M)


SAMPLED = Claim(
    id="least_squares.sampled_pairs", title="The noise of finitely many sampled pairs",
    kind="asymptotic", along=("M", -1),
    statement=r"\operatorname{Cov}(\hat w_M) \simeq \frac1M\,C^{-1}\frac{V}{s^2}\,C^{-1},\quad "
              r"V = q_4\,\overline{e^2cc^\top} + 2\,\mathbb{E}[u^2]\,\sigma^2\,C",
    assumptions=(*LIMIT, "$M$ pairs drawn independently with replacement, each with its own $\\lambda$"),
    fails_when="$M$ is small, $\\lambda$ is shared, or pairs are drawn without replacement (one permutation)",
    predict=sampled_pairs, derive=derive_sampled_pairs, exact=routes.sandwich, simulate=routes.drawn_pairs,
    cases=cases(alpha=0.37, data="uneven", M=(24, 48, 96)), **MONTE_CARLO,
    wrong={"as if homoscedastic": predicts(flattened), "no cross terms": predicts(uncrossed),
           "a bread of C": predicts(
               lambda alpha, data, M: sampled_pairs(alpha, data, M) * mm.shrinkage(alpha) ** 2),
           "only the pairs of an example with itself": simulates(
               lambda size, *, rng, **case: routes.drawn_pairs(size, rng=rng, alone=True, **case))},
    references=("hoeffding1948: variance of U-statistics (from memory)",))
HOMOSCEDASTIC = Claim(
    id="least_squares.sampled_pairs_homoscedastic", title="The noise of sampled pairs hardly knows alpha",
    kind="asymptotic", along=("M", -1),
    statement=r"\operatorname{Cov}(\hat w_M) \simeq \frac{\rho\,\sigma^2}{M}\,C^{-1},\quad "
              r"\rho = \frac{\mathbb{E}[S^2]}{s^2}",
    assumptions=(*SAMPLED.assumptions, r"$\overline{e^2cc^\top} = \sigma^2 C$"),
    fails_when="squared residuals go with the features: then it is least_squares.sampled_pairs",
    predict=sampled_pairs_homoscedastic, derive=derive_homoscedastic, exact=routes.sandwich,
    simulate=routes.drawn_pairs, cases=cases(alpha=0.57, data="even", M=(24, 48, 96)), **MONTE_CARLO,
    wrong={"free of alpha: s^2 for E[S^2]": predicts(
               lambda alpha, data, M: sampled_pairs_homoscedastic(alpha, data, M) / mm.noise_ratio(alpha)),
           "E[S^2] not divided by s^2": predicts(
               lambda alpha, data, M: mm.shrinkage(alpha)**2 * sampled_pairs_homoscedastic(alpha, data, M))})

PERMUTED = Claim(
    id="least_squares.one_permutation", title="The noise of one mixed copy of the data",
    kind="asymptotic", along=("n", -1),
    statement=r"n\,\operatorname{Cov}(\hat w - \hat w_{\mathrm{OLS}}) \to "
              r"2\,\mathbb{E}\Bigl[\frac{u^2}{S^2}\Bigr]\,\sigma^2\,C^{-1} = "
              r"\frac{2\alpha(\alpha+1)}{(2\alpha+1)(2\alpha+3)}\,"
              r"{}_2F_1\bigl(2, \tfrac12; \alpha+\tfrac52; -1\bigr)\,\sigma^2\,C^{-1}",
    assumptions=(*LIMIT, "every example once, in random order, with a partner by permutation or roll",
                 "one $\\lambda$ for the whole copy", "$n$ grows"),
    fails_when="$\\lambda$ is drawn for each element, or with flip, which uses every pair twice",
    predict=one_permutation, derive=derive_permutation, exact=routes.linearised_permutation,
    simulate=routes.drawn_permutation, **MONTE_CARLO,
    cases=cases(alpha=4.2, pairing=("permutation", "roll"), n=(24, 48, 96)),
    wrong={"ratio of means": predicts(
               lambda alpha, pairing, n: 2 * mm.product_square(alpha) / mm.shrinkage(alpha) ** 2),
           "that of flip": predicts(lambda alpha, pairing, n: one_permutation(alpha, "flip")),
           "independent pairs": predicts(lambda alpha, pairing, n: mm.noise_ratio(alpha)),
           "one lambda an element": simulates(lambda size, *, rng, **case: routes.drawn_permutation(
               size, rng=rng, sharing="element", **case))})
FLIPPED = Claim(
    id="least_squares.one_permutation_flip", title="flip doubles the noise of one mixed copy",
    kind="asymptotic", along=("n", -1),
    statement=r"n\,\operatorname{Cov}(\hat w - \hat w_{\mathrm{OLS}}) \to "
              r"4\,\mathbb{E}\Bigl[\frac{u^2}{S^2}\Bigr]\,\sigma^2\,C^{-1}",
    assumptions=(*LIMIT, "every example once, in random order, paired by flip, $n$ even",
                 "one $\\lambda$ for the whole copy", "$n$ grows"),
    fails_when="partners come by permutation or roll: then it is half of that",
    predict=one_permutation, derive=lambda: derive_permutation(flip=True),
    exact=routes.linearised_permutation, simulate=routes.drawn_permutation, **MONTE_CARLO,
    cases=cases(alpha=4.2, pairing="flip", n=(48, 96, 192)),
    wrong={"that of a permutation": predicts(lambda alpha, pairing, n: one_permutation(alpha)),
           "a permutation is drawn": simulates(lambda size, *, rng, **case: routes.drawn_permutation(
               size, rng=rng, **{**case, "pairing": "permutation"}))})
UNIFORM = Claim(
    id="least_squares.one_permutation_uniform", title="One mixed copy at alpha = 1: 1 - pi/4",
    statement=r"2\,\mathbb{E}\Bigl[\frac{u^2}{S^2}\Bigr] = 1 - \frac{\pi}{4}\quad(\alpha = 1)",
    assumptions=("$\\alpha = 1$: $\\lambda$ is uniform",), fails_when="$\\alpha \\ne 1$",
    predict=one_permutation_uniform, derive=derive_uniform, exact=lambda: 2 * routes.squared_odds(1.0),
    cases=cases(),
    wrong={"ratio of means": predicts(lambda: 2 * mm.product_square(sp.S.One) / mm.shrinkage(sp.S.One) ** 2)})
