r"""How far the moments of lambda can go: bounds on the shrinkage factor and on what a random S costs.

Claims of the chapter `mixing_moments`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp
from scipy.optimize import minimize_scalar

from mixtheory.evidence import Claim, Derivation, Mean, beta, cases, predicts
from mixtheory.mixing import Beta
from mixtheory.theory import _mixing_moments_routes as routes
from mixtheory.theory import mixing_moments as mm

__all__ = ["noise_ratio_lower", "noise_ratio_upper", "range_lower", "range_upper"]

ANY_LAW = (r"any law of $\lambda$ on $[0, 1]$",)


def noise_ratio_upper() -> sp.Expr:
    """The largest rho over all alpha, an exact number; `float` gives float64. At alpha = (sqrt(57) - 3)/8."""
    return (19 * sp.sqrt(57) - 135) / 8


def noise_ratio_lower() -> sp.Expr:
    """The smallest rho over all alpha: 1, at alpha = 0 and in the limit alpha = inf."""
    return sp.S.One


def range_upper() -> sp.Expr:
    """No law of lambda on [0, 1] has E S above this; alpha = 0 attains it."""
    return sp.S.One


def range_lower() -> sp.Expr:
    """No law of lambda on [0, 1] has E S below this; only lambda = 1/2, the limit alpha = inf, attains it."""
    return mm.HALF


def _derive_range(kind: str, bound: Callable[[], sp.Expr], reason: str) -> Callable[[], Derivation]:
    """S itself is bounded over lambda, whatever its law."""
    start = routes.Extremum(kind, mm.S, mm.LAM, sp.Interval(0, 1))
    return lambda: Derivation(rf"\{kind}_\lambda S", start, {}).equals(bound(), reason)


def _derive_ratio(kind: str, bound: Callable[[], sp.Expr], reason: str) -> Callable[[], Derivation]:
    def over(expression: Any) -> Any:
        return routes.Extremum(kind, expression, mm.ALPHA, sp.Interval(0, sp.oo))

    def derive() -> Derivation:
        law, alpha = beta(mm.LAM, mm.ALPHA), mm.ALPHA
        chain = Derivation(rf"\{kind}_\alpha \rho", over(Mean(mm.S**2, law) / Mean(mm.S, law) ** 2), {})
        chain = chain.equals(over(1 + alpha / ((2 * alpha + 3) * (alpha + 1) ** 2)), "rising factorials",
                             claim=mm.MOMENTS)
        return chain.equals(bound(), reason)
    return derive


def _S(p: Any) -> Any:
    return p**2 + (1 - p) ** 2


def _ratios() -> np.ndarray:
    """Values of rho by quadrature: on a grid with both limits, and where an optimiser finds it largest."""
    def rho(alpha: float) -> float:
        return float(routes.expected(lambda p: _S(p) ** 2)(alpha) / routes.expected(_S)(alpha) ** 2)
    best = minimize_scalar(lambda alpha: -rho(alpha), bounds=(0.05, 5.0), method="bounded",
                           options={"xatol": 1e-9})
    return np.array([*map(rho, (0.0, *np.geomspace(1e-3, 1e3, 61), np.inf)), rho(float(best.x))])


def _factors() -> np.ndarray:
    """E S by quadrature for symmetric and asymmetric laws, both limits included."""
    laws = [Beta(a, b) for a in (0.01, 0.4, 1.0, 7.0) for b in (0.05, 0.37, 3.0, 90.0)]
    return np.array([*map(routes.expected(_S), (0.0, *np.geomspace(1e-3, 1e6, 40), np.inf)),
                     *(law.expect(_S) for law in laws)])


def _bound(bound: Callable[[], sp.Expr], side: str, title: str, statement: str, **more: Any) -> Claim:
    """A bound without parameters that must be attained on the searched values."""
    return Claim(id=f"mixing_moments.{bound.__name__}", kind="bound", title=title, statement=statement,
                 predict=bound,
                 side=side, tight=1e-9, cases=cases(), references=(mm.BETA_INTEGRAL,), **more)


_bound(noise_ratio_upper, "upper", "The most that a random S can cost",
       r"\rho \le \frac{19\sqrt{57}-135}{8}, \text{ with equality at } \alpha^* = \frac{\sqrt{57}-3}{8}",
       derive=_derive_ratio("sup", noise_ratio_upper, r"$\rho' = 0$ where $4\alpha^2 + 3\alpha = 3$"),
       exact=_ratios,
       assumptions=mm.INDEPENDENT, fails_when="the law is not a symmetric Beta",
       wrong={"its value at alpha = 1": predicts(lambda: sp.Rational(21, 20)),
              "its value at alpha = 1/2": predicts(lambda: sp.Rational(19, 18)),
              "a loose bound": predicts(lambda: sp.Rational(17, 16))})
_bound(noise_ratio_lower, "lower", "A random S never gains",
       r"\rho \ge 1, \text{ with equality at } \alpha = 0 \text{ and } \alpha = \infty",
       derive=_derive_ratio("inf", noise_ratio_lower, "no variance at both ends"), exact=_ratios,
       assumptions=mm.INDEPENDENT,
       wrong={"a tightened bound": predicts(lambda: sp.Rational(1001, 1000)),
              "a loose bound": predicts(lambda: sp.Rational(1, 2))})
_bound(range_upper, "upper", "Mixing never spreads: s is at most 1",
       r"s \le 1, \text{ with equality at } \alpha = 0",
       derive=_derive_range("sup", range_upper, r"convex: largest at $\lambda \in \{0, 1\}$"), exact=_factors,
       assumptions=ANY_LAW, fails_when="weights leave $[0, 1]$ (extrapolation)",
       wrong={"a tightened bound": predicts(lambda: sp.Rational(999, 1000)),
              "a loose bound": predicts(lambda: sp.Rational(3, 2))})
_bound(range_lower, "lower", "Mixing halves at most: s stays above 1/2",
       r"s > \tfrac12 \text{ for } \alpha < \infty; \quad s \to \tfrac12 \text{ as } \alpha \to \infty",
       derive=_derive_range("inf", range_lower, r"$S = \frac12 + 2(\lambda - \frac12)^2$"), exact=_factors,
       assumptions=ANY_LAW, fails_when="more than two examples are mixed: equal shares of $k$ give $1/k$",
       wrong={"a tightened bound": predicts(lambda: sp.Rational(501, 1000)),
              "a loose bound": predicts(lambda: sp.Rational(1, 4))})
