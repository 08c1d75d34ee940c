r"""The moments of the mixing weight: every expectation in the book is one of these.

lambda ~ Beta(alpha, alpha); u = lambda (1 - lambda); S = lambda^2 + (1 - lambda)^2; r = |2 lambda - 1|.
All are dimensionless numbers, and all are rational in alpha but those of odd powers of r. More claims of this
chapter: `mixing_moments_bounds`, `mixing_moments_beta` (any Beta law), `mixing_moments_laws` (identities
between laws, expansions) and `mixing_moments_numerics` (quadrature, float32).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp
from scipy import special

from mixtheory.domain import is_symbolic
from mixtheory.evidence import Claim, Derivation, Mean, Mutant, beta, cases, predicts, simulates
from mixtheory.mixing import Beta, elementary
from mixtheory.theory import _mixing_moments_routes as routes

__all__ = ["ALPHA", "LAM", "arcsine", "fourth", "mean_gap", "mean_maximum", "mean_product", "mean_square_gap",
           "moment", "noise_ratio", "product_square", "shrinkage", "shrinkage_square", "shrinkage_variance",
           "variance"]

ALPHA, LAM = sp.Symbol("alpha", positive=True), sp.Symbol("lambda", positive=True)
A, B = sp.symbols("a b", positive=True)
U, S, R = LAM * (1 - LAM), LAM**2 + (1 - LAM) ** 2, 2 * LAM - 1
HALF = sp.Rational(1, 2)
GRID = (0.0, 0.01, 0.1, 0.37, 1.0, 4.2, np.inf)
BETA_PAIRS = tuple({"a": a, "b": b} for a, b in ((0.3, 1.7), (2.0, 5.0), (0.37, 0.37), (4.2, 0.1)))
MOMENTS, SHRINKAGE_ID = "mixing_moments.moments", "mixing_moments.shrinkage"
BETA_INTEGRAL, MIXUP = "dlmf: 5.12.1 (from memory)", "zhang2018mixup: section 2 (from memory)"
INDEPENDENT = (r"$\lambda \sim \mathrm{Beta}(\alpha, \alpha)$, or its limit at $\alpha = 0$ or $\infty$",)


def _mean(expression: Any) -> Mean:
    return Mean(expression, beta(LAM, ALPHA))


def _derive(name: str, start: Any, *steps: tuple[Any, ...]) -> Derivation:
    """A chain in alpha; a step is (right-hand side, reason) or (right-hand side, reason, claim)."""
    chain = Derivation(name, start, {"alpha": ALPHA})
    for right, reason, *claim in steps:
        chain = chain.equals(right, reason, claim=claim[0] if claim else None)
    return chain


def moment(a: Any, b: Any, k: Any, m: Any) -> Any:
    """E[lambda^k (1 - lambda)^m] = B(a + k, b + m) / B(a, b) for lambda ~ Beta(a, b), dimensionless.

    Args:
        a: first parameter, > 0; a number or a symbol.
        b: second parameter, > 0.
        k: power of lambda, real, > -a; counts are done by rising factorials.
        m: power of 1 - lambda, real, > -b.

    Raises:
        DomainError: a or b not positive and finite, or a power for which the moment is infinite.

    Source: DLMF 5.12.1.
    """
    return Beta(a, b).moment(k, m)


def derive_moment() -> Derivation:
    p, q = sp.symbols("p q", positive=True)
    density = LAM ** (p - 1) * (1 - LAM) ** (q - 1) / sp.beta(A, B)
    chain = Derivation(r"\mathbb{E}\left[\lambda^{p-a}(1-\lambda)^{q-b}\right]",
                       sp.Integral(density, (LAM, 0, 1)),
                       {"a": A, "b": B, "k": p - A, "m": q - B})
    chain = chain.equals(sp.gamma(p) * sp.gamma(q) / (sp.gamma(p + q) * sp.beta(A, B)), "the Beta integral")
    return chain.equals(moment(A, B, p - A, q - B), "B(a, b) by Gamma functions")


def _power(k: float, m: float) -> Any:
    return lambda p: p**k * (1 - p) ** m


def _moment_cases(*rows: tuple[float, ...]) -> tuple[dict[str, float], ...]:
    return tuple(dict(zip(("a", "b", "k", "m"), row, strict=True)) for row in rows)


Claim(
    id=MOMENTS, title="Moments of a Beta law",
    statement=r"\mathbb{E}\,\lambda^k(1-\lambda)^m = \frac{B(a+k,\,b+m)}{B(a,b)}",
    assumptions=(r"$\lambda \sim \mathrm{Beta}(a, b)$", "$k > -a$ and $m > -b$, real"),
    fails_when=r"$k \le -a$ or $m \le -b$: the moment is infinite",
    predict=moment, derive=derive_moment,
    exact=lambda a, b, k, m: routes.oracle(lambda x, y: x**k * y**m, a, b),
    simulate=lambda size, *, rng, a, b, k, m: _power(k, m)(Beta(a, b).sample(size, rng=rng)),
    cases=_moment_cases((0.3, 1.7, 2, 1), (1.0, 1.0, 0.5, 0.25), (4.2, 0.37, 1.3, 0), (0.1, 0.1, 1, 1),
                        (2.5, 6.0, -0.4, 3)),
    wrong={"powers swapped": predicts(lambda a, b, k, m: Beta(a, b).moment(m, k)),
           "moments multiplied": predicts(lambda a, b, k,
                                          m: Beta(a, b).moment(k, 0) * Beta(a, b).moment(0, m)),
           "Beta(a, 1)": simulates(lambda size, *, rng, a, b, k,
                                   m: _power(k, m)(Beta(a, 1.0).sample(size, rng=rng)))},
    references=(BETA_INTEGRAL,))


@elementary
def shrinkage(alpha: Any) -> Any:
    """The shrinkage factor s = E[lambda^2 + (1 - lambda)^2]: dimensionless, in [1/2, 1].

    Args:
        alpha: in [0, inf]; a number, an array or a symbol.

    Raises:
        DomainError: alpha negative or NaN.

    Source: the Beta integral, DLMF 5.12.1; used for mixup by Carratino et al. (2022).
    """
    return (alpha + 1) / (2 * alpha + 1)


def derive_shrinkage() -> Derivation:
    return _derive("s", _mean(S), (1 - 2 * _mean(U), r"$\lambda + (1-\lambda) = 1$, squared"),
                   (1 - ALPHA / (2 * ALPHA + 1), "rising factorials", MOMENTS),
                   (shrinkage(ALPHA), "a common denominator"))


@elementary
def mean_product(alpha: Any) -> Any:
    """E u = E[lambda (1 - lambda)] = (1 - s)/2, dimensionless, in [0, 1/4]. alpha as in `shrinkage`."""
    return (1 - shrinkage(alpha)) / 2


def derive_mean_product() -> Derivation:
    return _derive(r"\mathbb{E}\,u", _mean(U), (_mean((1 - S) / 2), "$S = 1 - 2u$"),
                   (mean_product(ALPHA), r"$\mathbb{E}\,S = s$", SHRINKAGE_ID))


@elementary
def variance(alpha: Any) -> Any:
    """Var lambda = v = s/2 - 1/4 = 1 / (4 (2 alpha + 1)), in [0, 1/4]. alpha as in `shrinkage`."""
    return shrinkage(alpha) / 2 - sp.Rational(1, 4) if is_symbolic(alpha) else shrinkage(alpha) / 2 - 0.25


def derive_variance() -> Derivation:
    return _derive("v", _mean(LAM**2) - _mean(LAM) ** 2,
                   (_mean((LAM - HALF) ** 2), r"$\mathbb{E}\,\lambda = 1/2$"),
                   (_mean(S / 2) - HALF**2, r"$S = \frac12 + 2(\lambda - \frac12)^2$"),
                   (variance(ALPHA), r"$\mathbb{E}\,S = s$", SHRINKAGE_ID))


@elementary
def product_square(alpha: Any) -> Any:
    """E u^2 = E[lambda^2 (1 - lambda)^2], dimensionless, in [0, 1/16]. alpha in [0, inf], as `shrinkage`."""
    return alpha * (alpha + 1) / (4 * (2 * alpha + 1) * (2 * alpha + 3))


def derive_product_square() -> Derivation:
    rising = (ALPHA * (ALPHA + 1)) ** 2 / sp.prod([2 * ALPHA + i for i in range(4)])
    return _derive(r"\mathbb{E}\,u^2", _mean(U**2), (rising, "rising factorials", MOMENTS),
                   (product_square(ALPHA), "cancel"))


@elementary
def shrinkage_square(alpha: Any) -> Any:
    """E S^2, dimensionless, in [1/4, 1]; larger than s^2 by V_S. alpha in [0, inf], as `shrinkage`."""
    return (alpha**2 + 3 * alpha + 3) / ((2 * alpha + 1) * (2 * alpha + 3))


def derive_shrinkage_square() -> Derivation:
    return _derive(r"\mathbb{E}\,S^2", _mean(S**2), (1 - 4 * _mean(U) + 4 * _mean(U**2), "$S = 1 - 2u$"),
                   (1 - 2 * ALPHA / (2 * ALPHA + 1) + 4 * product_square(ALPHA), "rising factorials",
                    "mixing_moments.product_square"),
                   (shrinkage_square(ALPHA), "a common denominator"))


@elementary
def shrinkage_variance(alpha: Any) -> Any:
    """V_S = Var S = E S^2 - s^2, dimensionless, 0 at both ends. alpha in [0, inf], as `shrinkage`."""
    return alpha / ((2 * alpha + 1) ** 2 * (2 * alpha + 3))


def derive_shrinkage_variance() -> Derivation:
    return _derive("V_S", _mean(S**2) - _mean(S) ** 2,
                   (4 * (_mean(U**2) - _mean(U) ** 2), "$S = 1 - 2u$: a variance knows no shift"),
                   (4 * product_square(ALPHA) - (ALPHA / (2 * ALPHA + 1)) ** 2, "rising factorials",
                    "mixing_moments.product_square"),
                   (shrinkage_variance(ALPHA), "a common denominator"))


@elementary
def fourth(alpha: Any) -> Any:
    """q4 = E[lambda^4 + (1 - lambda)^4], dimensionless, in [1/8, 1]. alpha in [0, inf], as `shrinkage`."""
    return (alpha + 2) * (alpha + 3) / (2 * (2 * alpha + 1) * (2 * alpha + 3))


def derive_fourth() -> Derivation:
    return _derive("q_4", _mean(LAM**4 + (1 - LAM) ** 4),
                   (_mean(S**2) - 2 * _mean(U**2), r"$S^2 = \lambda^4 + (1-\lambda)^4 + 2u^2$"),
                   (shrinkage_square(ALPHA) - 2 * _mean(U**2), "a claim above",
                    "mixing_moments.shrinkage_square"),
                   (shrinkage_square(ALPHA) - 2 * product_square(ALPHA), "another",
                    "mixing_moments.product_square"),
                   (fourth(ALPHA), "a common denominator"))


@elementary
def mean_square_gap(alpha: Any) -> Any:
    """E r^2 = E (2 lambda - 1)^2 = 2 s - 1 = 1 / (2 alpha + 1), in [0, 1]. alpha as in `shrinkage`."""
    return 2 * shrinkage(alpha) - 1


def derive_mean_square_gap() -> Derivation:
    return _derive(r"\mathbb{E}\,r^2", _mean(R**2), (_mean(2 * S - 1), "$r^2 = 2S - 1$"),
                   (mean_square_gap(ALPHA), r"$\mathbb{E}\,S = s$", SHRINKAGE_ID))


def arcsine(alpha: Any, k: Any) -> Any:
    """E r^(2k), r = |2 lambda - 1|: the moments of Beta(1/2, alpha), since r^2 has that law.

    Args:
        alpha: in (0, inf); a number or a symbol.
        k: real power > -1/2.

    Raises:
        DomainError: alpha not positive and finite, or an infinite moment.

    Source: DLMF 5.5.5 (duplication); alpha = 1/2 is the arcsine law.
    """
    return Beta(HALF if is_symbolic(alpha, k) else 0.5, alpha).moment(k, 0)


def derive_arcsine() -> Derivation:
    k, t = sp.symbols("k t", positive=True)
    density = U ** (ALPHA - 1) / sp.beta(ALPHA, ALPHA)
    chain = Derivation(r"\mathbb{E}\,r^{2k}", sp.Integral(sp.Abs(R) ** (2 * k) * density, (LAM, 0, 1)),
                       {"alpha": ALPHA, "k": k})
    chain = chain.appeal(
        sp.Integral(t ** (k - HALF) * (1 - t) ** (ALPHA - 1) * 4 ** (1 - ALPHA) / (2 * sp.beta(ALPHA,
                                                                                               ALPHA)),
                    (t, 0, 1)),
        r"substitute $\lambda = (1 \pm \sqrt t)/2$, for which $\lambda(1-\lambda) = (1-t)/4$")
    return chain.equals(arcsine(ALPHA, k),
                        r"the Beta integral and $2^{2\alpha-1}\Gamma(\alpha)\Gamma(\alpha+\frac12)"
                                           r" = \sqrt\pi\,\Gamma(2\alpha)$")


@elementary
def mean_gap(alpha: Any) -> Any:
    """e_r = E|2 lambda - 1|, dimensionless, in [0, 1]. alpha in [0, inf], as `shrinkage`.

    As a Beta function: e_r = B(alpha + 1/2, 1/2) / pi.
    """
    if is_symbolic(alpha):
        return sp.gamma(alpha + HALF) / (sp.sqrt(sp.pi) * sp.gamma(alpha + 1))
    return special.beta(alpha + 0.5, 0.5) / np.pi


def derive_mean_gap() -> Derivation:
    t = sp.Symbol("t", positive=True)
    density = U ** (ALPHA - 1) / sp.beta(ALPHA, ALPHA)
    chain = Derivation("e_r", sp.Integral(sp.Abs(R) * density, (LAM, 0, 1)), {"alpha": ALPHA})
    chain = chain.appeal(sp.Integral(sp.sqrt(t) * t**-HALF * (1 - t) ** (ALPHA - 1) / sp.beta(HALF, ALPHA),
                                     (t, 0, 1)),
                         r"$t = r^2 \sim \mathrm{Beta}(\frac12, \alpha)$", claim="mixing_moments.arcsine")
    return chain.equals(mean_gap(ALPHA), "integrate")


@elementary
def mean_maximum(alpha: Any) -> Any:
    """E max(lambda, 1 - lambda) = (1 + e_r)/2, dimensionless, in [1/2, 1]. alpha as in `shrinkage`."""
    return (1 + mean_gap(alpha)) / 2


def derive_mean_maximum() -> Derivation:
    density = U ** (ALPHA - 1) / sp.beta(ALPHA, ALPHA)
    chain = Derivation(r"\mathbb{E}\max(\lambda, 1-\lambda)",
                       HALF + sp.Integral(sp.Abs(R) * density, (LAM, 0, 1)) / 2, {"alpha": ALPHA})
    return chain.appeal(mean_maximum(ALPHA), r"$\max(\lambda, 1-\lambda) = (1+r)/2$",
                        claim="mixing_moments.mean_gap")


@elementary
def noise_ratio(alpha: Any) -> Any:
    """How much a random S adds to its mean square: rho = E S^2 / s^2 >= 1. alpha as in `shrinkage`."""
    return shrinkage_square(alpha) / shrinkage(alpha) ** 2


def derive_noise_ratio() -> Derivation:
    return _derive(r"\rho", _mean(S**2) / _mean(S) ** 2,
                   (shrinkage_square(ALPHA) / _mean(S) ** 2, "the numerator",
                    "mixing_moments.shrinkage_square"),
                   (noise_ratio(ALPHA), "the denominator", SHRINKAGE_ID))


def _wrong(formula: Any) -> Mutant:
    return predicts(elementary(formula))


def _symmetric(name: str, title: str, statement: str, formula: Any, derive: Any, h: Any,
               **more: Any) -> Claim:
    """A claim about E h(lambda) for symmetric laws, limits included: quadrature and sampling of h itself."""
    kinks = more.pop("kinks", ())
    return Claim(id=f"mixing_moments.{name}", title=title, statement=statement, predict=formula,
                 derive=derive,
                 **{"exact": routes.expected(h, kinks=kinks), "simulate": routes.sampled(h),
                    "cases": cases(alpha=GRID), "resolution": 0.02, "references": (BETA_INTEGRAL,),
                    "assumptions": INDEPENDENT, **more})


def _unit(size: float) -> Any:
    return lambda prediction, **case: size


def _maximum(p: Any) -> Any:
    return np.maximum(p, 1 - p)


def _S(p: Any) -> Any:
    return p**2 + (1 - p) ** 2


_symmetric("shrinkage", "The shrinkage factor", r"s = \mathbb{E}\,S = \frac{\alpha+1}{2\alpha+1}",
           shrinkage, derive_shrinkage, _S, experiment="mixing_moments",
           fails_when=r"$\lambda$ follows another law, such as $\mathrm{Beta}(\alpha, 1)$",
           references=(BETA_INTEGRAL, "carratino2022mixup: section 3 (from memory)"),
           wrong={"off by one hundredth": _wrong(lambda a: (a + 1.01) / (2 * a + 1)),
                  "Beta(alpha, 1)": _wrong(lambda a: (a**2 + a + 2) / ((a + 1) * (a + 2))),
                  "Beta(alpha, 1) drawn": simulates(routes.sampled(_S, routes.one_sided)),
                  "root of E S^2": _wrong(lambda a: sp.sqrt(shrinkage_square(a)))})
_symmetric("mean_product", "The mean product of the two shares",
           r"\mathbb{E}\,u = \frac{1-s}{2} = \frac{\alpha}{2(2\alpha+1)}",
           mean_product, derive_mean_product, lambda p: p * (1 - p), scale=_unit(0.25),
           wrong={"independent shares": _wrong(lambda a: sp.Rational(1, 4) + 0 * a),
                  "1 - s": _wrong(lambda a: a / (2 * a + 1))})
_symmetric("variance", "The variance of lambda",
           r"v = \operatorname{Var}\lambda = \frac{s}{2}-\frac14 = \frac{1}{4(2\alpha+1)}",
           variance, derive_variance, None, scale=_unit(0.25),
           exact=routes.spread(lambda p: p), simulate=routes.sampled_spread(lambda p: p),
           wrong={"E lambda^2": _wrong(lambda a: (a + 1) / (2 * (2 * a + 1))),
                  "of 2 lambda - 1": _wrong(lambda a: 1 / (2 * a + 1))})
_symmetric("product_square", "The mean squared product",
           r"\mathbb{E}\,u^2 = \frac{\alpha(\alpha+1)}{4(2\alpha+1)(2\alpha+3)}",
           product_square, derive_product_square, lambda p: (p * (1 - p)) ** 2, scale=_unit(1 / 16),
           wrong={"the square of the mean": _wrong(lambda a: a**2 / (4 * (2 * a + 1) ** 2))})
_symmetric("shrinkage_square", "The mean square of S",
           r"\mathbb{E}\,S^2 = \frac{\alpha^2+3\alpha+3}{(2\alpha+1)(2\alpha+3)}",
           shrinkage_square, derive_shrinkage_square, lambda p: _S(p) ** 2, resolution=0.01,
           fails_when=r"$\lambda$ is a constant: then $\mathbb{E}\,S^2 = s^2$",
           wrong={"s^2": _wrong(lambda a: ((a + 1) / (2 * a + 1)) ** 2),
                  "q4": _wrong(lambda a: (a + 2) * (a + 3) / (2 * (2 * a + 1) * (2 * a + 3)))})
_symmetric("shrinkage_variance", "The variance of S",
           r"V_S = \operatorname{Var} S = \frac{\alpha}{(2\alpha+1)^2(2\alpha+3)}",
           shrinkage_variance, derive_shrinkage_variance, None, scale=_unit(1 / 16), resolution=0.01,
           exact=routes.spread(_S), simulate=routes.sampled_spread(_S),
           wrong={"zero": _wrong(lambda a: 0 * a),
                  "of u": _wrong(lambda a: a / (4 * (2 * a + 1) ** 2 * (2 * a + 3)))})
_symmetric("fourth", "The mean of the fourth powers",
           r"q_4 = \mathbb{E}\left[\lambda^4+(1-\lambda)^4\right]"
           r" = \frac{(\alpha+2)(\alpha+3)}{2(2\alpha+1)(2\alpha+3)}",
           fourth, derive_fourth, lambda p: p**4 + (1 - p) ** 4,
           wrong={"E S^2": _wrong(lambda a: (a**2 + 3 * a + 3) / ((2 * a + 1) * (2 * a + 3))),
                  "one of two powers": _wrong(lambda a: (a + 2) * (a + 3) / (4 * (2 * a + 1) * (2 * a + 3)))})
_symmetric("mean_square_gap", "The mean squared gap between the shares",
           r"\mathbb{E}\,r^2 = 2s - 1 = \frac{1}{2\alpha+1}",
           mean_square_gap, derive_mean_square_gap, lambda p: (2 * p - 1) ** 2, scale=_unit(1.0),
           wrong={"s": _wrong(lambda a: (a + 1) / (2 * a + 1)),
                  "Beta(alpha, 1) drawn": simulates(routes.sampled(lambda p: (2 * p - 1) ** 2,
                                                                   routes.one_sided))})
Claim(
    id="mixing_moments.arcsine", title="The squared gap follows Beta(1/2, alpha)",
    statement=r"(2\lambda-1)^2 \sim \mathrm{Beta}(\tfrac12, \alpha), \quad "
              r"\mathbb{E}\,r^{2k} = \frac{B(\frac12+k,\,\alpha)}{B(\frac12,\,\alpha)}",
    assumptions=(r"$\lambda \sim \mathrm{Beta}(\alpha, \alpha)$, $0 < \alpha < \infty$", "$k > -1/2$"),
    fails_when="the law is not symmetric",
    predict=arcsine, derive=derive_arcsine,
    exact=lambda alpha, k: Beta(alpha, alpha).expect(lambda p: np.abs(2 * p - 1) ** (2 * k), kinks=(0.5,)),
    simulate=lambda size, *, rng, alpha, k: np.abs(2 * Beta(alpha, alpha).sample(size,
                                                                                 rng=rng) - 1) ** (2 * k),
    cases=cases(alpha=(0.1, 0.37, 1.0, 4.2), k=(0.5, 1, 1.7, 3)), scale=_unit(1.0), resolution=0.02,
    wrong={"Beta(alpha, 1/2)": predicts(lambda alpha,
                                        k: Beta(alpha, HALF).moment(k, 0) if is_symbolic(alpha, k)
                                        else Beta(alpha, 0.5).moment(k, 0)),
           "the law of r": predicts(lambda alpha, k: arcsine(alpha, 2 * k)),
           "Beta(alpha, 1) drawn": simulates(lambda size, *, rng, alpha, k: np.abs(
               2 * Beta(alpha, 1.0).sample(size, rng=rng) - 1) ** (2 * k))},
    references=("dlmf: 5.5.5 and 5.12.1 (from memory)",))
_symmetric("mean_gap", "The mean gap between the shares",
           r"e_r = \mathbb{E}\,r = \frac{\Gamma(\alpha+\frac12)}{\sqrt\pi\,\Gamma(\alpha+1)}",
           mean_gap, derive_mean_gap, lambda p: np.abs(2 * p - 1), kinks=(0.5,), scale=_unit(1.0),
           wrong={"root of the mean square": _wrong(lambda a: (2 * a + 1) ** -0.5),
                  "the mean square": _wrong(lambda a: 1 / (2 * a + 1))})
_symmetric("mean_maximum", "The mean larger share",
           r"\mathbb{E}\max(\lambda,1-\lambda) = \frac{1+e_r}{2}",
           mean_maximum, derive_mean_maximum, _maximum, kinks=(0.5,),
           wrong={"root of a mean square": _wrong(lambda a: (1 + (2 * a + 1) ** -0.5) / 2),
                  "s": _wrong(lambda a: (a + 1) / (2 * a + 1))})
_symmetric("noise_ratio", "What a random S adds to its mean square",
           r"\rho = \frac{\mathbb{E}\,S^2}{s^2} = 1 + \frac{\alpha}{(2\alpha+3)(\alpha+1)^2}",
           noise_ratio, derive_noise_ratio, None, simulate=None,
           exact=lambda alpha: routes.expected(lambda p: _S(p) ** 2)(alpha) / routes.expected(_S)(alpha) ** 2,
           wrong={"E S^2 for s^2": _wrong(lambda a: 1 + 0 * a),
                  "V_S added, not divided": _wrong(lambda a: 1 + a / ((2 * a + 1) ** 2 * (2 * a + 3)))})
