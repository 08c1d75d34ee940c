r"""When chords contradict one another: on a line and in a plane segments cross, in space they pass by.

Where two chords with different labels pass through one point, no function follows both, and the mixup loss of even
the best function of x stays above zero by the conditional variance of the mixed label.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp

from mixtheory.domain import DomainError, check_count, check_finite, is_symbolic
from mixtheory.evidence import Claim, Derivation, cases, predicts, simulates
from mixtheory.theory import _geometry_loss_routes as routes
from mixtheory.theory import geometry

__all__ = ["best_on_line", "conflict_floor", "crossing_probability"]


def conflict_floor(x: Any, y: Any) -> Any:
    """Least mixup loss of all functions of one variable: E Var(y~ | x~), uniform lambda, all ordered pairs.

    Between neighbouring points the chords that pass over have constant weights 2/(n^2 |x_i - x_j|) and labels linear
    in x, so that their variance is a parabola, integrated by Simpson's rule exactly. Self-pairs cost nothing.

    Args:
        x: (n,) distinct numbers, n >= 2.
        y: (n,) labels, numbers or symbols.

    Returns:
        Squared output units; 0 exactly if the points lie on one line.

    Raises:
        DomainError: shapes that do not fit, equal or infinite x, labels that are not finite.

    Example:
        >>> float(conflict_floor([-1, 0, 1], [1, 0, 1])) * 81      # a bend of 1 in the middle
        4.0
    """
    x, y = np.asarray(x), np.asarray(y)
    _check_line(x, y)
    n, order = len(x), np.argsort(x)
    x, y = x[order], y[order]
    i, j = np.triu_indices(n, 1)
    total: Any = 0
    for g in range(n - 1):
        over = (i <= g) & (j > g)
        a, b = i[over], j[over]
        weight = 2 / (n**2 * (x[b] - x[a]))

        def spread(t: Any, a: np.ndarray = a, b: np.ndarray = b, weight: np.ndarray = weight) -> Any:
            label = y[a] + (y[b] - y[a]) * (t - x[a]) / (x[b] - x[a])
            return (weight * label**2).sum() - (weight * label).sum()**2 / weight.sum()

        low, high = x[g], x[g + 1]
        total = total + (high - low) * (spread(low) + 4 * spread((low + high) / 2) + spread(high)) / 6
    return sp.factor(total) if is_symbolic(total) else total


def best_on_line(x: Any, y: Any, at: Any) -> np.ndarray:
    """The function that reaches `conflict_floor`: E[y~ | x~ = x], the weighted mean of the chords over a place.

    Args:
        x: (n,) distinct numbers, n >= 2.
        y: (n,) labels.
        at: (m,) places between the smallest and the largest x; at a data point the chords of both sides count.

    Returns:
        (m,) output units. Straight between neighbouring points, with jumps at the points.

    Raises:
        DomainError: see `conflict_floor`; a place outside the range.
    """
    x, y, at = (np.asarray(v, dtype=float) for v in (x, y, at))
    _check_line(x, y)
    if at.ndim != 1 or not ((at >= x.min()) & (at <= x.max())).all():
        raise DomainError(f"at of shape {at.shape}: must be places (m,) in [{x.min():g}, {x.max():g}]")
    i, j = np.triu_indices(len(x), 1)
    share = (at[:, None] - x[j]) / (x[i] - x[j])
    weight = ((share >= 0) & (share <= 1)) / np.abs(x[i] - x[j])
    return (weight * (share * y[i] + (1 - share) * y[j])).sum(1) / weight.sum(1)


def _check_line(x: np.ndarray, y: np.ndarray) -> None:
    check_finite(x.astype(float), "x")
    if y.dtype != object:
        check_finite(y, "y")
    if x.ndim != 1 or x.shape != y.shape or len(x) < 2 or len(np.unique(x)) < len(x):
        raise DomainError(f"x, y of shapes {x.shape}, {y.shape}: must be (n,), n >= 2, the x distinct")


def crossing_probability(d: Any) -> Any:
    """Probability that the segments between two pairs of independent Gaussian points in R^d meet.

    2/3 on a line (for any continuous law), (2/pi) arcsin(1/3) = 0.2163 in a plane (the same for every covariance), 0
    from three dimensions on.

    Args:
        d: dimension, an integer of at least 1; a SymPy integer gives the exact expression.

    Returns:
        A probability.

    Raises:
        DomainError: d < 1.
    """
    d_value = int(check_count(d, "d", least=1))
    exact = {1: sp.Rational(2, 3), 2: 2 / sp.pi * sp.asin(sp.Rational(1, 3))}.get(d_value, sp.S.Zero)
    return exact if isinstance(d, sp.Basic) else float(exact)


def derive_floor() -> Derivation:
    """Three points: on each side the short chord has twice the weight of the long one."""
    y = np.array(sp.symbols("y_1 y_2 y_3", real=True))
    t, c = sp.Symbol("x", real=True), y[1] - (y[0] + y[2]) / 2
    long, right, left = (y[0] + y[2]) / 2 + t * (y[2] - y[0]) / 2, y[1] + t * (y[2] - y[1]), y[1] + t * (y[1] - y[0])
    third = sp.Rational(1, 3)

    def spread(short: Any) -> Any:
        mean = 2 * third * short + third * long
        return 2 * third * (short - mean)**2 + third * (long - mean)**2

    points = np.array([sp.Integer(-1), sp.Integer(0), sp.Integer(1)], dtype=object)
    d = Derivation(r"\mathbb{E}\operatorname{Var}(\tilde y \mid \tilde x)",
                   third * sp.Integral(spread(left), (t, -1, 0)) + third * sp.Integral(spread(right), (t, 0, 1)),
                   {"x": points, "y": y})
    d = d.equals(2 * third * sp.Integral(sp.Rational(2, 9) * c**2 * (1 - t)**2, (t, 0, 1)),
                 r"$x = (-1, 0, 1)$: two labels with weights $\frac23, \frac13$; at distance $t$ they differ by the "
                 r"bend times $1 - t$; mirrored")
    return d.equals(conflict_floor(points, y), "integrate")


def derive_crossing() -> Derivation:
    below = sp.Symbol("Q", positive=True)
    d = Derivation(r"P_{d = 2}(\text{segments meet})", (1 - 8 * below) / 3, {"d": sp.Integer(2)})
    orthant = sp.UnevaluatedExpr(sp.Rational(1, 8) - 3 * sp.asin(sp.Rational(1, 3)) / (4 * sp.pi))
    d = d.appeal((1 - 8 * orthant) / 3,
                 "four points have one affine dependence, in a direction uniform among vectors that sum to 0; the "
                 "segments meet iff its signs are two and two, and 1 with 2. Else one of eight ways of one against "
                 "three, each of "
                 r"probability $Q$: three Gaussians with correlations $-\frac13$ are of one sign (Sheppard)")
    return d.equals(crossing_probability(sp.Integer(2)), "collect")


Claim(
    id="geometry.conflict", title="Where chords contradict, no function reaches zero",
    statement=r"\begin{gathered}\min_f\,\mathbb{E}(f(\tilde x) - \tilde y)^2 = "
              r"\mathbb{E}\operatorname{Var}(\tilde y \mid "
              r"\tilde x);\\ \text{for } x = (-1, 0, 1):\quad \frac{4}{81}\left(y_2 - \frac{y_1 + y_3}{2}\right)^2"
              r"\end{gathered}",
    assumptions=("one-dimensional data, all ordered pairs", geometry.UNIFORM_LAW, "the least is over all "
                                                                                  "functions of $x$"),
    fails_when="generic data in three or more dimensions: there the least is 0 (geometry.crossing)",
    predict=conflict_floor, derive=derive_floor, exact=routes.exact_floor, simulate=routes.simulate_floor,
    cases=({"x": np.array([-1.0, 0.0, 1.0]), "y": np.array([1.0, -0.3, 0.4])},
           {"x": np.array([0.2, -1.4, 3.0, 1.1, 0.5]), "y": np.array([0.3, 1.0, -0.5, 2.0, 0.1])}),
    wrong={"zero at the best function": predicts(lambda x, y: 0 * conflict_floor(x, y)),
           "every chord has one weight": predicts(lambda x, y: routes.equal_weights_floor(x, y), symbolic=False)})
Claim(
    id="geometry.crossing", title="Segments meet in one and two dimensions only",
    statement=r"P(\text{two segments meet}) = \tfrac23\ (d = 1),\quad \tfrac{2}{\pi}\arcsin\tfrac13\ (d = "
              r"2),\quad 0\ (d \ge 3)",
    assumptions=("four independent Gaussian points in $d$ dimensions",),
    fails_when="points repeat or lie in one plane; in the plane the number depends on the law of the points",
    predict=crossing_probability, derive=derive_crossing, exact=routes.exact_crossing,
    simulate=routes.simulate_crossing,
    cases=cases(d=(1, 2, 3, 10)), scale=lambda value, **_: 1.0, resolution=0.02,
    wrong={"chords always conflict": predicts(lambda d: 1.0 + 0 * d),
           "chords never conflict": predicts(lambda d: 0.0 * d),
           "as in a square": predicts(lambda d: 25 / 108 if d == 2 else float(crossing_probability(int(d)))),
           "segments as lines": simulates(routes.simulate_lines)})
