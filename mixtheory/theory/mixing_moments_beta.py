r"""Any Beta(a, b): logarithmic and partial moments, shrinkage factor and larger share of an asymmetric law.

Claims of the chapter `mixing_moments`.
"""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import sympy as sp
from scipy import special

from mixtheory.domain import is_symbolic
from mixtheory.evidence import Claim, Derivation, Mean, beta, predicts
from mixtheory.mixing import Beta
from mixtheory.theory import _mixing_moments_routes as routes
from mixtheory.theory import mixing_moments as mm

__all__ = ["asymmetric_maximum", "asymmetric_shrinkage", "log_moment", "partial_moment"]

A, B, LAM = mm.A, mm.B, mm.LAM


def log_moment(a: Any, b: Any, k: Any, m: Any) -> Any:
    """E[lambda^k (1 - lambda)^m ln lambda], nats, by digamma; arguments and errors as `moment`.

    Quadrature of ln lambda is poor for small a: its weight knows the power singularity only.
    """
    return Beta(a, b).log_moment(k, m)


def derive_log_moment() -> Derivation:
    k, m = sp.symbols("k m", positive=True)
    density = LAM ** (A - 1) * (1 - LAM) ** (B - 1) / sp.beta(A, B)
    chain = Derivation(r"\mathbb{E}\left[\lambda^k(1-\lambda)^m\ln\lambda\right]",
                       sp.Integral(LAM**k * (1 - LAM) ** m * sp.log(LAM) * density, (LAM, 0, 1)),
                       {"a": A, "b": B, "k": k, "m": m})
    chain = chain.appeal(sp.Derivative(mm.moment(A, B, k, m), k),
                         r"differentiate under the integral: $\partial_k \lambda^k = \lambda^k \ln\lambda$",
                         claim=mm.MOMENTS)
    return chain.equals(log_moment(A, B, k, m), "the derivative of ln Gamma is digamma")


def _log_power(k: float, m: float) -> Any:
    return lambda p: mm._power(k, m)(p) * np.log(p)


Claim(
    id="mixing_moments.log_moment", title="Logarithmic moments by digamma",
    statement=r"\mathbb{E}\,\lambda^k(1-\lambda)^m\ln\lambda = "
              r"\frac{B(a+k,\,b+m)}{B(a,b)}\left(\psi(a+k)-\psi(a+b+k+m)\right)",
    assumptions=(r"$\lambda \sim \mathrm{Beta}(a, b)$", "$k > -a$ and $m > -b$"),
    fails_when=r"$\lambda$ is rounded: float32 draws of a small $\alpha$ stop at the smallest normal number",
    predict=log_moment, derive=derive_log_moment,
    exact=lambda a, b, k, m: routes.oracle(lambda x, y: x**k * y**m * (mpmath.log(x) if x else x), a, b),
    simulate=lambda size, *, rng, a, b, k, m: _log_power(k, m)(Beta(a, b).sample(size, rng=rng)),
    cases=mm._moment_cases((0.3, 0.3, 1, 0), (1.7, 0.4, 0, 0), (4.2, 4.2, 1, 1), (0.6, 1.3, 0.5, 0)),
    scale=lambda prediction, **case: 1.0, resolution=0.005,
    wrong={"logarithm to base 2": predicts(lambda a, b, k,
                                           m: Beta(a, b).log_moment(k, m) / sp.log(2).evalf(20)),
           "the log of the mean": predicts(lambda a, b, k, m: Beta(a, b).moment(k, m) * sp.log(a / (a + b)))},
    references=("dlmf: 5.2.2, 5.12.1 (from memory)",))


def partial_moment(a: Any, b: Any, k: Any, m: Any, low: Any, high: Any) -> Any:
    """E[lambda^k (1 - lambda)^m; low <= lambda <= high] by the regularised incomplete Beta function I.

    Args:
        a: as b, k and m a parameter of `mixing_moments.moment`.
        b: see there.
        k: see there.
        m: see there.
        low: lower end, 0 <= low <= high.
        high: upper end, at most 1.

    Raises:
        DomainError: as `moment`, or an interval that does not lie in [0, 1] in increasing order.

    Source: DLMF 8.17.2.
    """
    return Beta(a, b).partial_moment(k, m, low, high)


def derive_partial_moment() -> Derivation:
    k, m, low, high = sp.symbols("k m l h", positive=True)
    density = LAM ** (A + k - 1) * (1 - LAM) ** (B + m - 1) / sp.beta(A, B)
    chain = Derivation(r"\mathbb{E}\left[\lambda^k(1-\lambda)^m;\ l\le\lambda\le h\right]",
                       sp.Integral(density, (LAM, low, high)),
                       {"a": A, "b": B, "k": k, "m": m, "low": low, "high": high})
    return chain.appeal(partial_moment(A, B, k, m, low, high),
                        "the definition of the regularised incomplete Beta function (DLMF 8.17.2)")


def _part(k: float, m: float, low: float, high: float) -> Any:
    return lambda p: mm._power(k, m)(p) * ((p >= low) & (p <= high))


Claim(
    id="mixing_moments.partial_moment", title="Moments over a part of the interval",
    statement=r"\mathbb{E}\left[\lambda^k(1-\lambda)^m;\ l\le\lambda\le h\right] = "
              r"\frac{B(a+k,\,b+m)}{B(a,b)}\left(I_h - I_l\right)(a+k,\,b+m)",
    assumptions=(r"$\lambda \sim \mathrm{Beta}(a, b)$", "$k > -a$ and $m > -b$", r"$0 \le l \le h \le 1$"),
    predict=partial_moment, derive=derive_partial_moment,
    exact=lambda a, b, k, m, low, high: Beta(a, b).expect(_part(k, m, low, high), kinks=(low, high)),
    simulate=lambda size, *, rng, a, b, k, m, low,
    high: _part(k, m, low, high)(Beta(a, b).sample(size, rng=rng)),
    cases=tuple({**c, "low": low, "high": high} for c, low, high in zip(
        mm._moment_cases((0.3, 0.3, 1, 0), (2.0, 5.0, 0, 0), (0.37, 1.2, 0.5, 2)), (0.0, 0.25, 0.1),
        (0.5, 0.6, 1.0),
        strict=True)),
    scale=lambda prediction, **case: 1.0, resolution=0.01,
    wrong={"I of the untilted law": predicts(lambda a, b, k, m, low, high: Beta(a, b).moment(k, m)
                                             * Beta(a, b).partial_moment(0, 0, low, high)),
           "conditional instead of partial": predicts(lambda a, b, k, m, low, high: Beta(a, b).partial_moment(
               k, m, low, high) / Beta(a, b).partial_moment(0, 0, low, high))},
    references=("dlmf: 8.17.2 (from memory)",))


def asymmetric_shrinkage(a: Any, b: Any) -> Any:
    """E[lambda^2 + (1 - lambda)^2] for Beta(a, b), a, b > 0: numbers, arrays or symbols; in (1/2, 1)."""
    Beta(a, b)
    return (a * (a + 1) + b * (b + 1)) / ((a + b) * (a + b + 1))


def derive_asymmetric_shrinkage() -> Derivation:
    law = beta(LAM, A, B)
    chain = Derivation(r"\mathbb{E}\,S", Mean(mm.S, law), {"a": A, "b": B})
    chain = chain.equals(1 - 2 * Mean(mm.U, law), r"$\lambda + (1-\lambda) = 1$, squared")
    chain = chain.equals(1 - 2 * A * B / ((A + B) * (A + B + 1)), "rising factorials", claim=mm.MOMENTS)
    return chain.equals(asymmetric_shrinkage(A, B), "a common denominator")


Claim(
    id="mixing_moments.asymmetric_shrinkage", title="The shrinkage factor of an asymmetric law",
    statement=r"\mathbb{E}\,S = \frac{a(a+1)+b(b+1)}{(a+b)(a+b+1)}",
    assumptions=(r"$\lambda \sim \mathrm{Beta}(a, b)$",),
    predict=asymmetric_shrinkage, derive=derive_asymmetric_shrinkage,
    exact=lambda a, b: Beta(a, b).expect(lambda p: p**2 + (1 - p) ** 2),
    simulate=routes.sampled(lambda p: p**2 + (1 - p) ** 2, Beta), cases=mm.BETA_PAIRS, resolution=0.02,
    wrong={"the symmetric formula at (a + b)/2": predicts(lambda a, b: (a + b + 2) / (2 * (a + b + 1))),
           "lambda^2 alone, twice": predicts(lambda a, b: 2 * a * (a + 1) / ((a + b) * (a + b + 1)))},
    references=(mm.BETA_INTEGRAL,))


def asymmetric_maximum(a: Any, b: Any) -> Any:
    """E max(lambda, 1 - lambda) for Beta(a, b), a, b > 0: numbers, arrays or symbols; in [1/2, 1]."""
    Beta(a, b)
    if is_symbolic(a, b):
        upper = sp.betainc_regularized(a + 1, b, mm.HALF, 1)
        return a / (a + b) * upper + b / (a + b) * sp.betainc_regularized(a, b + 1, 0, mm.HALF)
    return a / (a + b) * special.betaincc(a + 1, b, 0.5) + b / (a + b) * special.betainc(a, b + 1, 0.5)


def derive_asymmetric_maximum() -> Derivation:
    density = LAM ** (A - 1) * (1 - LAM) ** (B - 1) / sp.beta(A, B)
    start = sp.Integral(LAM * density, (LAM, mm.HALF, 1)) + sp.Integral((1 - LAM) * density,
                                                                        (LAM, 0, mm.HALF))
    chain = Derivation(r"\mathbb{E}\max(\lambda, 1-\lambda)", start, {"a": A, "b": B})
    chain = chain.appeal(partial_moment(A, B, 1, 0, mm.HALF, 1) + partial_moment(A, B, 0, 1, 0, mm.HALF),
                         "two partial moments", claim="mixing_moments.partial_moment")
    return chain.equals(asymmetric_maximum(A, B), r"the means are $a/(a+b)$ and $b/(a+b)$")


Claim(
    id="mixing_moments.asymmetric_maximum", title="The larger share of an asymmetric law",
    statement=r"\mathbb{E}\max(\lambda,1-\lambda) = \tfrac{a}{a+b}\left(1-I_{1/2}(a+1,b)\right)"
              r" + \tfrac{b}{a+b}\,I_{1/2}(a,b+1)",
    assumptions=(r"$\lambda \sim \mathrm{Beta}(a, b)$",),
    predict=asymmetric_maximum, derive=derive_asymmetric_maximum,
    exact=lambda a, b: Beta(a, b).expect(mm._maximum, kinks=(0.5,)),
    simulate=routes.sampled(mm._maximum, Beta), cases=mm.BETA_PAIRS, resolution=0.02,
    wrong={"the larger mean": predicts(lambda a, b: sp.Max(a / (a + b), b / (a + b))),
           "the root of a mean square": predicts(lambda a, b: (1 + sp.sqrt(
               2 * (a * (a + 1) + b * (b + 1)) / ((a + b) * (a + b + 1)) - 1)) / 2)},
    references=("dlmf: 8.17.2 (from memory)",))
