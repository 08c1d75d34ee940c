r"""The chord penalty E D^2 of a piecewise linear profile: a quadratic form in the jumps of its slope.

What kinks at a and b share, E[G(., a) G(., b)], is an incomplete Beta function in general and a polynomial for
uniform lambda. Kinks interact: a second one can make the first cheaper. Profiles are given as in `geometry`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp

from mixtheory.domain import DomainError, check_alpha, check_finite, check_lambda, is_symbolic
from mixtheory.evidence import Claim, Derivation, Mean, MomentLaw, cases, predicts, simulates
from mixtheory.mixing import Beta
from mixtheory.theory import _geometry_routes as routes
from mixtheory.theory import geometry
from mixtheory.theory import mixing_moments as mm
from mixtheory.theory.geometry import J1, J2, K1, K2, LAM, LINEAR, SEGMENT, TENTS, THREE, TWO, UNIFORM_LAW

__all__ = ["cheapest_pair", "chord_penalty", "kink_moment", "kink_moment_uniform", "one_kink"]

OTHER = sp.Symbol(r"\bar{\lambda}", positive=True)              # 1 - lambda
PARTIAL, UNIFORM = "mixing_moments.partial_moment", "geometry.kink_moment_uniform"
ALPHAS = (0.1, 0.37, 0.6, 1.0, 4.2, np.inf)


def kink_moment(alpha: Any, a: Any, b: Any) -> Any:
    """E[G(lambda, a) G(lambda, b)] for lambda ~ Beta(alpha, alpha): what a unit kink at a and one at b share.

    For a <= b it is (1-a)(1-b) M20[0, a] + a(1-b) M11[a, b] + a b M02[b, 1], with M_km the mean of lambda^k (1 -
    lambda)^m over a part of the interval, an incomplete Beta function.

    Args:
        alpha: a number in [0, inf], or a symbol.
        a: in [0, 1]; number, array or symbol.
        b: broadcasts with a, in any order; symbols: a <= b.

    Returns:
        In [0, 1/16], no unit; 0 at alpha = 0.

    Raises:
        DomainError: arguments outside these domains.
    """
    check_alpha(alpha)
    if not is_symbolic(alpha, a, b):
        a, b = np.minimum(check_lambda(a, "a"), check_lambda(b, "b")), np.maximum(a, b)
        if alpha == 0:
            return np.zeros(np.shape(a))[()]
        if np.isinf(alpha):
            return geometry.tent(0.5, a) * geometry.tent(0.5, b)
    law = Beta(alpha, alpha)
    return ((1 - a) * (1 - b) * law.partial_moment(2, 0, 0, a) + a * (1 - b) * law.partial_moment(1, 1, a, b)
            + a * b * law.partial_moment(0, 2, b, 1))


def part(alpha: Any, low: Any, high: Any) -> MomentLaw:
    """lambda and 1 - lambda on a part of the interval, for derivations: its means are partial moments."""
    return MomentLaw((LAM, OTHER), lambda powers: Beta(alpha, alpha).partial_moment(*powers, low, high))


def derive_kink_moment() -> Derivation:
    """The two tents on each of three parts."""
    first, second, third = part(mm.ALPHA, 0, K1), part(mm.ALPHA, K1, K2), part(mm.ALPHA, K2, 1)
    d = Derivation(r"\mathbb{E}[G(\lambda, k_1)\,G(\lambda, k_2)]",
                   Mean(LAM * (1 - K1) * LAM * (1 - K2), first) + Mean(K1 * OTHER * LAM * (1 - K2), second)
                   + Mean(K1 * OTHER * K2 * OTHER, third), {"alpha": mm.ALPHA, "a": K1, "b": K2})
    d = d.equals((1 - K1) * (1 - K2) * Mean(LAM**2, first) + K1 * (1 - K2) * Mean(LAM * OTHER, second)
                 + K1 * K2 * Mean(OTHER**2, third),
                 r"below $k_1 \le k_2$, between, above; $\bar\lambda = 1 - \lambda$")
    return d.equals(kink_moment(mm.ALPHA, K1, K2), "moments over a part of the interval", claim=PARTIAL)


def kink_moment_uniform(a: Any, b: Any) -> Any:
    """The same for uniform lambda: a (1 - b) (2 b - a^2 - b^2)/6 with a <= b.

    Args:
        a: in [0, 1]; number, array or symbol.
        b: in any order (symbols: a <= b).

    Returns:
        In [0, 1/48].

    Raises:
        DomainError: positions outside [0, 1].
    """
    check_lambda(a, "a")
    check_lambda(b, "b")
    if not is_symbolic(a, b):
        a, b = np.minimum(a, b), np.maximum(a, b)
    return a * (1 - b) * (2 * b - a**2 - b**2) / 6


def derive_kink_moment_uniform() -> Derivation:
    """Three integrals of polynomials."""
    d = Derivation(r"\int_0^1 G(\lambda, k_1)\,G(\lambda, k_2)\,d\lambda",
                   sp.Integral(LAM**2 * (1 - K1) * (1 - K2), (LAM, 0, K1))
                   + sp.Integral(K1 * (1 - LAM) * LAM * (1 - K2), (LAM, K1, K2))
                   + sp.Integral(K1 * K2 * (1 - LAM)**2, (LAM, K2, 1)), {"a": K1, "b": K2})
    d = d.equals((1 - K1) * (1 - K2) * K1**3 / 3 + K1 * (1 - K2) * (K2**2 / 2 - K2**3 / 3 - K1**2 / 2 + K1**3 / 3)
                 + K1 * K2 * (1 - K2)**3 / 3, "powers of $\\lambda$")
    return d.equals(kink_moment_uniform(K1, K2), "factors")


def one_kink(k: Any, J: Any) -> Any:
    """E D^2 of a single kink at uniform lambda: J^2 k^2 (1 - k)^2 / 3, at most J^2/48.

    k: position in [0, 1]; J: jump of slope, finite. Squared output units. Raises DomainError outside.
    """
    check_lambda(k, "k")
    check_finite(J, "J")
    return J**2 * k**2 * (1 - k)**2 / 3


def derive_one_kink() -> Derivation:
    k, J = sp.Symbol("k", positive=True), sp.Symbol("J", real=True)
    d = Derivation(r"\mathbb{E} D^2", sp.Integral((J * LAM * (1 - k))**2, (LAM, 0, k))
                   + sp.Integral((J * k * (1 - LAM))**2, (LAM, k, 1)), {"k": k, "J": J})
    d = d.equals(J**2 * kink_moment_uniform(k, k), "a tent with itself", claim=UNIFORM)
    return d.equals(one_kink(k, J), "factors")


def chord_penalty(kinks: Any, jumps: Any, alpha: Any) -> Any:
    """E D^2 of a piecewise linear profile: sum_jl J_j J_l E[G(., k_j) G(., k_l)], in closed form.

    Computed in m log m time for m kinks: between two neighbours D = -(lambda R + (1 - lambda) L) with L the sum of
    J k over the kinks to the left and R that of J (1 - k) over those to the right.

    Args:
        kinks: (..., m) positions in [0, 1], in any order (symbols: increasing), equal ones allowed.
        jumps: (..., m) jumps of slope, finite.
        alpha: a number in [0, inf]: 0 at alpha = 0, D(1/2)^2 at infinity.

    Returns:
        (...) in squared output units.

    Raises:
        DomainError: see `deviation`; alpha negative or NaN.

    Example:
        >>> float(chord_penalty([0.5], [2.0], 1.0)) * 48          # one kink in the middle: J^2/48 at alpha = 1
        4.0
    """
    check_alpha(alpha)
    if not geometry.symbolic(alpha, kinks, jumps) and np.isinf(alpha):
        return geometry.deviation(0.5, kinks, jumps)**2
    L, R, M20, M11, M02 = pieces(kinks, jumps, alpha)
    return (R**2 * M20 + 2 * L * R * M11 + L**2 * M02).sum(-1)


def pieces(kinks: Any, jumps: Any, alpha: Any) -> tuple[Any, ...]:
    """L, R and the partial moments M20, M11, M02 on the m + 1 pieces between kinks; alpha finite.

    D = -(lambda R + (1 - lambda) L) on a piece. Arguments as in `chord_penalty`; arrays (..., m + 1).
    """
    if geometry.symbolic(alpha, kinks, jumps):
        edges, m = (0, *kinks, 1), len(kinks)
        L = np.array([sum(jumps[j] * kinks[j] for j in range(i)) for i in range(m + 1)], dtype=object)
        R = np.array([sum(jumps[j] * (1 - kinks[j]) for j in range(i, m)) for i in range(m + 1)], dtype=object)
        law = Beta(alpha, alpha)
        M = [np.array([law.partial_moment(*p, edges[i], edges[i + 1]) for i in range(m + 1)], dtype=object)
             for p in ((2, 0), (1, 1), (0, 2))]
        return L, R, *M
    k, J = geometry.ordered(kinks, jumps)
    none = np.zeros((*k.shape[:-1], 1))
    edges = np.concatenate([none, k, none + 1], axis=-1)
    L = np.concatenate([none, np.cumsum(J * k, axis=-1)], axis=-1)
    R = np.concatenate([np.cumsum((J * (1 - k))[..., ::-1], axis=-1)[..., ::-1], none], axis=-1)
    if alpha == 0:
        return L, R, *np.zeros((3, *L.shape))
    law = Beta(float(alpha), float(alpha))
    return L, R, *(law.partial_moment(*p, edges[..., :-1], edges[..., 1:]) for p in ((2, 0), (1, 1), (0, 2)))


def derive_chord_penalty() -> Derivation:
    """Square the sum of two tents, then collect by pieces."""
    laws = part(mm.ALPHA, 0, K1), part(mm.ALPHA, K1, K2), part(mm.ALPHA, K2, 1)
    first = (LAM * (1 - K1), K1 * OTHER, K1 * OTHER)          # the tents on the three pieces
    second = (LAM * (1 - K2), LAM * (1 - K2), K2 * OTHER)

    def mean(product: Callable[[Any, Any], Any]) -> Any:
        return sum(Mean(product(g, h), law) for g, h, law in zip(first, second, laws, strict=True))

    d = Derivation(r"\mathbb{E} D^2", mean(lambda g, h: (J1 * g + J2 * h)**2),
                   {"kinks": (K1, K2), "jumps": (J1, J2), "alpha": mm.ALPHA})
    d = d.equals(J1**2 * mean(lambda g, h: g**2) + 2 * J1 * J2 * mean(lambda g, h: g * h)
                 + J2**2 * mean(lambda g, h: h**2), "a quadratic form in the jumps", claim=TENTS)
    return d.equals(chord_penalty((K1, K2), (J1, J2), mm.ALPHA),
                    r"collect the powers of $\lambda$ and $1 - \lambda$ on each piece", claim=PARTIAL)


def cheapest_pair(a: Any, b: Any) -> Any:
    """Least E D^2, at uniform lambda, of a unit kink at a when a second kink of any jump may be put at b.

    a^2 (b - a)^2 (4 b - (a + b)^2) / (12 b^2) for a <= b: more than 0 unless the kinks coincide, and less than
    that of the first kink alone.

    Args:
        a: in (0, 1), a number or a symbol; position of the unit kink.
        b: in (0, 1), at least a for symbols; for b < a everything is mirrored.

    Returns:
        Squared output units, for a jump of 1.

    Raises:
        DomainError: positions not strictly inside.
    """
    if not is_symbolic(a, b):
        for value, name in ((a, "a"), (b, "b")):
            if not 0 < check_lambda(value, name) < 1:
                raise DomainError(f"{name} = {value!r}: a kink must lie strictly inside the segment")
        if b < a:
            a, b = 1 - a, 1 - b
    return a**2 * (b - a)**2 * (4 * b - (a + b)**2) / (12 * b**2)


def derive_cheapest_pair() -> Derivation:
    """Minimise a quadratic in the second jump."""
    K, J = kink_moment_uniform, sp.Symbol("J", real=True)
    best = -K(K1, K2) / K(K2, K2)
    quadratic = K(K1, K1) + 2 * J * K(K1, K2) + J**2 * K(K2, K2)
    d = Derivation(r"\min_J \mathbb{E} D^2", quadratic.subs(J, sp.solve(sp.diff(quadratic, J), J)[0]),
                   {"a": K1, "b": K2})
    d = d.equals(K(K1, K1) + best * K(K1, K2), "the second jump that costs least", claim=UNIFORM)
    return d.equals(cheapest_pair(K1, K2), "factors")


# ---- claims ------------------------------------------------------------------------------------------------------

Claim(
    id="geometry.kink_moment", title="What two kinks share",
    statement=r"\begin{gathered}\mathbb{E}[G(\cdot, a)G(\cdot, b)] = (1-a)(1-b)M_{20}[0,a] + a(1-b)M_{11}[a,b]"
              r"\\ {} + ab\,M_{02}[b,1],\quad a \le b\end{gathered}",
    assumptions=(r"$\lambda \sim \mathrm{Beta}(\alpha, \alpha)$",
                 r"$M_{km}[\cdot]$ is the mean of $\lambda^k(1-\lambda)^m$ over that part of the interval"),
    predict=kink_moment, derive=derive_kink_moment, exact=routes.exact_kink_moment,
    simulate=routes.simulate_kink_moment,
    cases=cases(alpha=(0.1, 0.6, 1.0, 4.2), a=(0.08, 0.45), b=(0.5, 0.93)),
    references=("dlmf: 8.17 (from memory)",),
    wrong={"the formula of alpha = 1": predicts(lambda alpha, a, b: kink_moment_uniform(a, b)),
           "without the middle part": predicts(lambda alpha, a, b: kink_moment(alpha, a, b) - a * (1 - b)
                                               * Beta(alpha, alpha).partial_moment(1, 1, a, b))})
Claim(
    id=UNIFORM, title="What two kinks share, uniform weights",
    statement=r"\int_0^1 G(\lambda, a)\,G(\lambda, b)\,d\lambda = \frac{a(1-b)(2b - a^2 - b^2)}{6},\quad a \le b",
    assumptions=(UNIFORM_LAW,), predict=kink_moment_uniform, derive=derive_kink_moment_uniform,
    exact=lambda a, b: routes.exact_kink_moment(1.0, a, b), cases=cases(a=(0.08, 0.45), b=(0.45, 0.6, 0.93)),
    wrong={"kinks exchanged": predicts(lambda a, b: b * (1 - a) * (2 * a - a**2 - b**2) / 6)})
Claim(
    id="geometry.one_kink", title="The price of one kink",
    statement=r"\mathbb{E} D^2 = \frac{J^2 k^2 (1-k)^2}{3}",
    assumptions=(SEGMENT, "one kink", UNIFORM_LAW), predict=one_kink, derive=derive_one_kink,
    exact=lambda k, J: routes.exact_penalty(np.array([k]), np.array([J]), 1.0),
    cases=cases(k=(0.04, 0.3, 0.5), J=(1.0, -1.7)),
    fails_when=r"$\alpha \ne 1$ (geometry.kink_moment)",
    wrong={"every kink costs the same": predicts(lambda k, J: J**2 / 48),
           "first power": predicts(lambda k, J: J**2 * k * (1 - k) / 3)})
Claim(
    id="geometry.penalty", title="The chord penalty of a piecewise linear function", experiment="geometry",
    statement=r"\mathbb{E} D^2 = \sum_{j,l} J_j J_l\,\mathbb{E}[G(\cdot, k_j)\,G(\cdot, k_l)]",
    assumptions=(SEGMENT, LINEAR, r"$\lambda \sim \mathrm{Beta}(\alpha, \alpha)$"),
    predict=chord_penalty, derive=derive_chord_penalty, exact=routes.exact_penalty, simulate=routes.simulate_penalty,
    cases=tuple({**c, "alpha": a} for a in ALPHAS for c in (THREE, TWO)),
    wrong={"the formula of alpha = 1": predicts(lambda kinks, jumps, alpha: chord_penalty(kinks, jumps, sp.Integer(1)
                                                if is_symbolic(alpha) else 1.0)),
           "every kink by itself": predicts(lambda kinks, jumps, alpha: sum(
               J**2 * kink_moment(alpha, k, k) for k, J in zip(kinks, jumps, strict=True))),
           "jumps without sign": predicts(lambda kinks, jumps, alpha: chord_penalty(
               kinks, [abs(J) for J in jumps], alpha)),
           "Beta(alpha, 1)": simulates(routes.simulate_penalty_one_sided)})
Claim(
    id="geometry.second_kink", title="A second kink can make the first cheaper, never free",
    statement=r"\min_J \mathbb{E} D^2 = \frac{a^2(b-a)^2\,(4b - (a+b)^2)}{12\,b^2} < \frac{a^2(1-a)^2}{3},\quad a < b",
    assumptions=("a kink of jump 1 at $a$, one of any jump $J$ at $b$", UNIFORM_LAW),
    fails_when="the kinks coincide: then they can cancel",
    predict=cheapest_pair, derive=derive_cheapest_pair, exact=routes.exact_cheapest_pair,
    cases=cases(a=(0.2, 0.45), b=(0.5, 0.7, 0.93)), tolerance=1e-8,
    wrong={"a more complex function pays more": predicts(lambda a, b: one_kink(a, 1)),
           "kinks can cancel": predicts(lambda a, b: 0 * a)})
