r"""How large a deviation can be, and when it is nothing: bounds by the total variation of the slope, affine functions.

All bounds hold along one segment. TV is the total variation of phi' on (0, 1): the sum of the jumps' moduli for a
piecewise linear profile, the integral of |phi''| for a smooth one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import sympy as sp

from mixtheory.domain import DomainError, check_alpha, check_finite, is_symbolic
from mixtheory.evidence import Claim, Derivation, Mean, MomentLaw, cases, predicts
from mixtheory.mixing import symmetric
from mixtheory.theory import _geometry_routes as routes
from mixtheory.theory import _mixing_moments_routes as moment_routes
from mixtheory.theory import geometry
from mixtheory.theory import mixing_moments as mm

__all__ = ["ProfileMoments", "affine_distance", "largest_deviation", "largest_penalty"]


class ProfileMoments(NamedTuple):
    """E phi, E phi^2 and E[lambda phi] of a profile."""

    mean: Any
    square: Any
    with_lam: Any


def largest_deviation(variation: Any) -> Any:
    """sup |D| <= TV/4; a single kink in the middle of the segment attains it.

    variation: TV >= 0 of the slope, output units; number, array or symbol. Output units.
    Raises DomainError for a negative or infinite one.
    """
    return _variation(variation) / 4


def largest_penalty(alpha: Any, variation: Any) -> Any:
    """E D^2 <= TV^2 (s - e_r)/8, with e_r = E|2 lambda - 1|; TV^2/48 at alpha = 1. A kink in the middle attains it.

    Args:
        alpha: in [0, inf]; number, array or symbol.
        variation: TV >= 0 of the slope, output units.

    Returns:
        Squared output units; the factor grows from 0 at alpha = 0 to 1/16 at infinity.

    Raises:
        DomainError: alpha outside its domain, TV negative or infinite.
    """
    return _variation(variation)**2 * (mm.shrinkage(alpha) - mm.mean_gap(alpha)) / 8


def affine_distance(alpha: Any, profile: Callable[[Any], Any] | ProfileMoments) -> Any:
    """Least mean square distance of a profile from an affine function: Var phi - Cov(phi, lambda)^2 / Var lambda.

    E D^2 is at least that, since the chord is one affine function.

    Args:
        alpha: a number in (0, inf); with `ProfileMoments` also a symbol.
        profile: vectorised phi(lambda), smooth, averaged by Gauss-Jacobi with 48 nodes; or its moments.

    Returns:
        Squared output units; 0 exactly for profiles that are affine on (0, 1).

    Raises:
        DomainError: alpha negative, NaN, 0 or inf: at these lambda has two values at most, which some line joins.
    """
    if not isinstance(profile, ProfileMoments):
        law, phi = symmetric(alpha), profile
        profile = ProfileMoments(*(law.expect(g) for g in (phi, lambda t: phi(t)**2, lambda t: t * phi(t))))
    if not is_symbolic(alpha) and not 0 < check_alpha(alpha) < np.inf:
        raise DomainError(f"alpha = {alpha!r}: must be in (0, inf), or lambda has at most two values")
    return profile.square - profile.mean**2 - (profile.with_lam - profile.mean / 2)**2 / mm.variance(alpha)


def _variation(variation: Any) -> Any:
    if not is_symbolic(variation) and not np.all(np.asarray(check_finite(variation, "variation")) >= 0):
        raise DomainError(f"variation = {variation!r}: a total variation is at least 0")
    return variation


def derive_largest_deviation() -> Derivation:
    TV, k = sp.symbols("TV k", positive=True)
    d = Derivation(r"\sup_\lambda \lvert D(\lambda)\rvert", sp.Symbol(r"\sup_\lambda \lvert\varphi - "
                                                                      r"\text{chord}\rvert"),
                   {"variation": TV})
    d = d.appeal(sp.Symbol(r"\sup_\lambda \left\lvert \sum_j J_j\, G(\lambda, k_j)\right\rvert"), "a sum of tents",
                 claim="geometry.tents")
    d = d.appeal(TV * moment_routes.Extremum("sup", k * (1 - k), k, sp.Interval(0, 1)),
                 r"no more than $\sum\lvert J_j\rvert \max G$, and the tent at $k$ peaks at $k(1-k)$")
    return d.equals(largest_deviation(TV), "a parabola")


def derive_largest_penalty() -> Derivation:
    TV, r = sp.symbols("TV r", positive=True)
    law = MomentLaw((r,), lambda powers: (sp.S.One, mm.mean_gap(mm.ALPHA), 2 * mm.shrinkage(mm.ALPHA) - 1)[powers[0]])
    d = Derivation(r"\sup \mathbb{E} D^2", sp.Symbol(r"\sup \mathbb{E}(\varphi - \text{chord})^2"),
                   {"alpha": mm.ALPHA, "variation": TV})
    d = d.appeal(sp.Symbol(r"\sup \mathbb{E}\bigl(\textstyle\sum_j J_j\, G(\lambda, k_j)\bigr)^2"), "a sum of tents",
                 claim="geometry.tents")
    d = d.appeal(TV**2 * Mean(((1 - r) / 4)**2, law),
                 r"$(\mathbb{E}D^2)^{1/2} \le \sum\lvert J_j\rvert\,(\mathbb{E}G(\cdot, k_j)^2)^{1/2}$ (Minkowski), "
                 r"largest for a kink at $\frac12$ (exercise), where $G(\lambda, \frac12) = \frac12\min(\lambda, "
                 r"1-\lambda) = \frac{1-r}{4}$")
    d = d.equals(TV**2 * (1 - 2 * mm.mean_gap(mm.ALPHA) + (2 * mm.shrinkage(mm.ALPHA) - 1)) / 16,
                 r"$\mathbb{E}r = e_r$, $\mathbb{E}r^2 = 2s - 1$", claim="mixing_moments.mean_gap")
    return d.equals(largest_penalty(mm.ALPHA, TV), "collect", claim="mixing_moments.shrinkage")


def derive_affine() -> Derivation:
    """Linear regression of the profile on lambda."""
    phi, D = sp.Symbol(r"\varphi", real=True), sp.Symbol(r"(\varphi - \text{chord})", real=True)
    m, q, c = sp.symbols("m q c", real=True)
    table = {(1, 0): m, (2, 0): q, (1, 1): c, (0, 1): mm.HALF, (0, 2): mm.variance(mm.ALPHA) + mm.HALF**2, (0, 0): 1}
    law = MomentLaw((phi, mm.LAM), table.__getitem__)
    slope = (c - m / 2) / mm.variance(mm.ALPHA)
    d = Derivation(r"\inf \mathbb{E} D^2", Mean(D**2, law),
                   {"alpha": mm.ALPHA, "profile": ProfileMoments(m, q, c)})
    d = d.appeal(Mean((phi - (m - slope / 2) - slope * mm.LAM)**2, law),
                 r"the chord is a line, and no line is nearer than that of the regression on $\lambda$; $m, q, c$ "
                 r"stand for $\mathbb{E}\varphi$, $\mathbb{E}\varphi^2$, $\mathbb{E}\lambda\varphi$")
    return d.equals(affine_distance(mm.ALPHA, ProfileMoments(m, q, c)), "expand",
                    claim="mixing_moments.variance")


Claim(
    id="geometry.largest_deviation", kind="bound", side="upper", tight=1e-6, title="No deviation beyond a "
                                                                                   "quarter of the variation",
    statement=r"\sup_\lambda \lvert D(\lambda)\rvert \le \tfrac14\,\mathrm{TV}(\varphi')",
    assumptions=(geometry.SEGMENT,), predict=largest_deviation, derive=derive_largest_deviation,
    exact=routes.exact_largest_deviation, cases=cases(variation=(1.0, 2.6)),
    wrong={"an eighth": predicts(lambda variation: variation / 8), "a half": predicts(lambda variation: variation / 2)})
Claim(
    id="geometry.largest_penalty", kind="bound", side="upper", tight=1e-6, title="The kink that costs most is "
                                                                                 "in the middle",
    statement=r"\mathbb{E} D^2 \le \frac{s - e_r}{8}\,\mathrm{TV}(\varphi')^2;\quad "
              r"\int_0^1 D^2\,d\lambda \le \frac{\mathrm{TV}(\varphi')^2}{48}\ \text{ at } \alpha = 1",
    assumptions=(geometry.SEGMENT, r"$\lambda \sim \mathrm{Beta}(\alpha, \alpha)$"), predict=largest_penalty,
    derive=derive_largest_penalty, exact=routes.exact_largest_penalty,
    cases=cases(alpha=(0.1, 0.6, 1.0, 4.2), variation=1.4),
    wrong={"TV^2/48 at every alpha": predicts(lambda alpha, variation: variation**2 / 48 + 0 * mm.shrinkage(alpha)),
           "a tightened bound": predicts(lambda alpha, variation: largest_penalty(alpha, variation) * 99 / 100)})
Claim(
    id="geometry.affine", kind="bound", side="lower", tight=1e-9, title="Only straight functions go free",
    statement=r"\begin{gathered}\mathbb{E} D^2 \ge \min_{b_0, b_1}\mathbb{E}(\varphi - b_0 - b_1\lambda)^2 = "
              r"\operatorname{Var}\varphi - \frac{\operatorname{Cov}(\varphi, \lambda)^2}{\operatorname{Var}\lambda},"
              r"\\ \text{so } \mathbb{E} D^2 = 0 \iff \varphi \text{ is affine}\end{gathered}",
    assumptions=(geometry.SEGMENT, r"$\lambda \sim \mathrm{Beta}(\alpha, \alpha)$, $0 < \alpha < "
                                   r"\infty$", r"$\varphi$ continuous"),
    fails_when=r"$\alpha = 0$, where nothing is charged, or $\alpha = \infty$, where only the midpoint is seen",
    predict=affine_distance, derive=derive_affine, exact=routes.exact_affine,
    cases=cases(alpha=(0.2, 1.0, 4.2), profile=routes.PROFILES), scale=lambda value, **_: 0.01,
    wrong={"distance from constants": predicts(lambda alpha, profile: _moments(alpha, profile).square
                                               - _moments(alpha, profile).mean**2),
           "half of it": predicts(lambda alpha, profile: affine_distance(alpha, profile) / 2)})


def _moments(alpha: Any, profile: Any) -> ProfileMoments:
    if isinstance(profile, ProfileMoments):
        return profile
    parts = profile, lambda t: profile(t)**2, lambda t: t * profile(t)
    return ProfileMoments(*(symmetric(alpha).expect(part) for part in parts))
