r"""Memorising what is never shown: models that interpolate, under mixup.

A linear model with as many features as points fits all mixed points as soon as it fits the plain ones: mixing changes
nothing. A free function of mixed inputs is their mean label. On a line of distinct pairs it forgets the inner points
beyond alpha = 1: other segments cross them. In the plane none does, and it remembers every point for every alpha.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp

from mixtheory.domain import (
    DomainError,
    check_alpha,
    check_count,
    check_finite,
    check_positive,
)
from mixtheory.evidence import Claim, Derivation, Mean, beta, cases, predicts
from mixtheory.mixup import blend
from mixtheory.theory import _membership_interpolation_routes as routes
from mixtheory.theory import mixing_moments as mm
from mixtheory.theory._least_squares_data import packed

__all__ = ["interpolation_gap", "minimum_norm", "own_weight_limit", "segment_average", "self_weight"]

MIXUP = "zhang2018mixup: the mixup loss (from memory)"


def minimum_norm(alpha: Any, data: Any, distinct: bool = False) -> Any:
    """Shortest w with X w = y, X^T (X X^T)^-1 y; also the shortest minimiser of the mixup risk, for every alpha.

    Args:
        alpha: in [0, inf]; checked, otherwise without effect.
        data: a pair x (n, p), y (n,) with p >= n and independent rows, no intercept (or a column of ones among the
            features); or `wide n p`.
        distinct: whether self-pairs are left out; without effect if n > 2 or alpha < inf.

    Returns:
        (p,): target units per feature unit. The loss of every member is 0.

    Raises:
        DomainError: shapes that do not fit, dependent rows.
    """
    check_alpha(alpha)
    x, y = routes.wide(data) if isinstance(data, str) else data
    if isinstance(x, sp.MatrixBase):
        return (x.T * (x * x.T).LUsolve(y)).applyfunc(sp.cancel)
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if x.ndim != 2 or y.shape != (len(x),):
        raise DomainError(f"x, y of shapes {x.shape}, {y.shape}: must be (n, p) and (n,)")
    if np.linalg.matrix_rank(check_finite(x, "x")) < len(x):
        raise DomainError(f"x of shape {x.shape}: rows must be independent, or no linear model fits every target")
    return x.T @ np.linalg.solve(x @ x.T, check_finite(y, "y"))


def segment_average(alpha: Any, design: Any, at: Any, y: Any = None) -> Any:
    """The function of one input that minimises the mixup risk over distinct pairs: mean label of the segments over x.

    f(x) = sum over pairs with x between x_i and x_j of beta(lambda_ij) (lambda_ij y_i + (1 - lambda_ij) y_j) / |x_i -
    x_j|, over the same sum without the label; lambda_ij = (x - x_j)/(x_i - x_j) and beta the density of lambda.

    Args:
        alpha: in (0, inf).
        design: inputs (n,), different; or `line n`.
        at: where, between the outermost inputs and none of them.
        y: targets (n,); None: made-up ones for a named design.

    Returns:
        f(at), in target units.

    Raises:
        DomainError: alpha outside its domain, equal inputs, `at` outside or at an input.
    """
    check_positive(alpha, "alpha")
    x = routes.line(design) if isinstance(design, str) else design
    y = routes.targets(len(x)) if y is None else y
    if len(set(x)) < len(x) or len(y) != len(x):
        raise DomainError(f"design = {x!r}: inputs must differ, with one target each ({len(y)})")
    if at in set(x) or not min(x) < at < max(x):
        raise DomainError(f"at = {at!r}: must lie between the outermost inputs and differ from all")
    top, bottom = 0, 0
    for i in range(len(x)):
        for j in range(i):
            lam = (at - x[j]) / (x[i] - x[j])
            if 0 < lam < 1:
                weight = (lam * (1 - lam)) ** (alpha - 1) / abs(x[i] - x[j])
                top, bottom = top + weight * (lam * y[i] + (1 - lam) * y[j]), bottom + weight
    return top / bottom


def self_weight(alpha: Any, design: Any, k: int, side: int, distance: Any = None) -> Any:
    """How much of target k is left in `segment_average` as x tends to x_k from one side.

    At an inner input 1 for alpha < 1, 0 for alpha > 1; at alpha = 1 the sum of 1/|x_k - x_j| over inputs on that side,
    over this sum plus that of 1/|x_i - x_j| over pairs that straddle x_k. At the outermost inputs 1.

    Args:
        alpha: in (0, inf); one number, or a list of them.
        design: inputs (n,), different and ascending; or `line n`.
        k: index of the input.
        side: -1 or 1; inwards at the outermost inputs.
        distance: from x_k; the limit does not depend on it, the error is of order distance^|1 - alpha|.

    Returns:
        A weight in [0, 1], or one for each alpha.

    Raises:
        DomainError: inputs not ascending, k or side outside their domain.
    """
    x = routes.line(design) if isinstance(design, str) else design
    if not all(a < b for a, b in zip(x[:-1], x[1:], strict=True)):
        raise DomainError(f"design = {x!r}: inputs must ascend")
    if not 0 <= k < len(x) or side not in (-1, 1) or not 0 <= k + side < len(x):
        raise DomainError(f"(k, side) = ({k}, {side}): an index of {len(x)} inputs, and -1 or 1 with an input there")
    check_positive(np.asarray(alpha, dtype=float), "alpha")
    near = sum(1 / abs(x[k] - v) for v in (x[k + 1:] if side > 0 else x[:k]))
    across = sum(1 / (b - a) for a in x[:k] for b in x[k + 1:])

    def limit(a: Any) -> Any:
        return 1 if across == 0 or a < 1 else near / (near + across) if a == 1 else 0

    return packed(np.array([limit(a) for a in alpha], dtype=object)) if np.ndim(alpha) else limit(alpha)


def interpolation_gap(alpha: Any, n: Any, sigma: Any = 1.0, distance: Any = None) -> Any:
    """Fixed-design gap of `segment_average`: 2 sigma^2 for alpha < 1, 4 sigma^2/n for alpha > 1.

    Args:
        alpha: in (0, inf), not 1, where it depends on the side; one number or a list of them.
        n: points on a line, at least 3.
        sigma: standard deviation of the uncorrelated noise, > 0.
        distance: at which the function is read beside each input; the limit does not depend on it.

    Returns:
        Squared target units.

    Raises:
        DomainError: alpha = 1 or outside its domain, n < 3, sigma <= 0.
    """
    check_count(n, least=3)
    variance = check_positive(sigma, "sigma") ** 2
    values = check_positive(np.atleast_1d(np.asarray(alpha, dtype=float)), "alpha")
    if (values == 1).any():
        raise DomainError(f"alpha = {alpha!r}: at alpha = 1 the gap depends on the side, see self_weight")
    gaps = [2 * variance if a < 1 else 4 * variance / n for a in values]
    return packed(np.array(gaps, dtype=object)) if np.ndim(alpha) else gaps[0]


def own_weight_limit(alpha: Any, design: Any, k: int, radius: Any = None) -> Any:
    """Share of target k in the mean label of mixed points of distinct pairs about x_k, as the radius goes to 0: 1.

    In two or more dimensions only segments that end at x_k come near it.

    Args:
        alpha: in (0, inf).
        design: inputs (n, d), d >= 2; or `cloud n d`.
        k: index of the input.
        radius: of the ball; the limit does not depend on it, the error is of order radius.

    Returns:
        1, for every alpha.

    Raises:
        DomainError: d < 2, k outside its domain, or x_k lies on a segment between two others (no general position).
    """
    check_positive(alpha, "alpha")
    x = np.asarray(routes.cloud(design) if isinstance(design, str) else design, dtype=float)
    if x.ndim != 2 or x.shape[1] < 2:
        raise DomainError(f"design of shape {x.shape}: must be (n, d) with d >= 2; on a line see self_weight")
    if not 0 <= k < len(x):
        raise DomainError(f"k = {k}: must be an index of the {len(x)} inputs")
    others = np.delete(x, k, axis=0) - x[k]
    lengths = np.linalg.norm(others, axis=1)
    if (lengths == 0).any():
        raise DomainError(f"k = {k}: another input is equal to x_k")
    if (others @ others.T / np.outer(lengths, lengths)).min(initial=1.0) < -1 + 1e-12:
        raise DomainError(f"k = {k}: x_k lies on a segment between two other inputs; they must be in general position")
    return 1


# --- derivations --------------------------------------------------------------------------------------------

def derive_minimum_norm() -> Derivation:
    """Two points, three features: an interpolator has no residual to mix, so a gradient step does not move it."""
    x = sp.Matrix(2, 3, lambda i, k: sp.Symbol(f"x_{i + 1}{k + 1}", real=True))
    a, lam, h = sp.Matrix(sp.symbols("a_1 a_2", real=True)), beta(mm.LAM, mm.ALPHA), sp.Symbol("h", positive=True)
    y, w = x * x.T * a, x.T * a
    rows = [(blend(mm.LAM, x[i, :], x[j, :]), blend(mm.LAM, y[i], y[j])) for i in (0, 1) for j in (0, 1)]
    score = sum((row.T * (label - (row * w)[0]) for row, label in rows), sp.zeros(3, 1)) / 4
    d = Derivation(r"\hat w", w + h * sp.Matrix([Mean(entry, lam) for entry in score]),
                   {"alpha": mm.ALPHA, "data": (x, y)})
    d = d.equals(w, "a gradient step from w = X^T a with X w = y: the residual of a mixed point is a mix of zeros")
    return d.equals(minimum_norm(mm.ALPHA, (x, y)), "a = (X X^T)^-1 y; w lies in the span of the points, where the "
                                                    "shortest minimiser is, with mixing or without")


def derive_segments() -> Derivation:
    """Three inputs 0, 1, 3 and x = 2: the rate at which labels and mixed points arrive as x moves."""
    x, y, t, lam = (0, 1, 3), sp.symbols("y_1:4", real=True), sp.Symbol("t", positive=True), mm.LAM
    density = (lam * (1 - lam)) ** (mm.ALPHA - 1)

    def rate(label: Any) -> Any:
        parts = [sp.Integral(density * label(i, j), (lam, 0, (t - x[j]) / sp.Integer(x[i] - x[j]))) for i, j in
                 ((2, 0), (2, 1))]
        return sp.Subs(sp.Derivative(sum(parts), t), t, 2)

    d = Derivation(r"f^*(2)", rate(lambda i, j: lam * y[i] + (1 - lam) * y[j]) / rate(lambda i, j: 1),
                   {"alpha": mm.ALPHA, "design": tuple(map(sp.Integer, x)), "at": sp.Integer(2), "y": y})
    return d.equals(segment_average(*d.parameters.values()),
                    "the best prediction is the mean label given x~ = x: a change of variables from lambda to x~ on "
                    "each segment over x, here those from 0 and from 1 to 3")


def shares() -> tuple[sp.Symbol, Any]:
    """Own share at distance delta of the second of four inputs 0, 1, 3, 7, to the right, as a function of alpha."""
    delta, x = sp.Symbol("delta", positive=True), (0, 1, 3, 7)

    def weight(alpha: Any, i: int, j: int) -> tuple[Any, Any]:
        lam = (1 + delta - x[j]) / sp.Integer(x[i] - x[j])
        return lam, (lam * (1 - lam)) ** (alpha - 1) / abs(x[i] - x[j])

    def share(alpha: Any) -> Any:
        own = [weight(alpha, 1, j) for j in (2, 3)]
        across = [weight(alpha, 0, j) for j in (2, 3)]
        return sum(lam * w for lam, w in own) / sum(w for _, w in own + across)

    return delta, share


def derive_self_weight() -> Derivation:
    """The segments that end at x_k have density distance^(alpha - 1) there, those that cross it a constant one."""
    delta, share = shares()
    alphas = [sp.Rational(1, 2), sp.Integer(1), sp.Integer(2)]
    d = Derivation(r"\lim_{\delta \to 0}\omega_k", sp.Matrix([sp.Limit(share(a), delta, 0) for a in alphas]),
                   {"alpha": alphas, "design": tuple(map(sp.Integer, (0, 1, 3, 7))), "k": 1, "side": 1,
                    "distance": delta})
    return d.equals(self_weight(**d.parameters),
                    "here for the second of the inputs 0, 1, 3, 7 and alpha = 1/2, 1, 2; segments that end at x_k "
                    "have density delta^(alpha - 1) there, those that cross it a constant one",
                    claim="membership.segment_average")


def derive_gap() -> Derivation:
    """The trace: two outermost points with weight 1, n - 2 inner ones with their own."""
    delta, share = shares()
    alphas, (sigma, n) = [sp.Rational(1, 2), sp.Integer(2)], sp.symbols("sigma n", positive=True)
    start = sp.Matrix([2 * sigma**2 / n * (2 + (n - 2) * sp.Limit(share(a), delta, 0)) for a in alphas])
    d = Derivation(r"\mathrm{gap}", start, {"alpha": alphas, "n": n, "sigma": sigma, "distance": delta})
    return d.equals(interpolation_gap(alphas, n, sigma), "a linear smoother: 2 sigma^2/n times the sum of own weights, "
                    "1 at both ends and alike at all inner points; here for alpha = 1/2 and 2",
                    claim="membership.self_weight")


def derive_own_weight() -> Derivation:
    """Near x_k there are only segments that end there, and on those the other label has a share of order radius."""
    (t, r), a = sp.symbols("t rho", positive=True), 3
    density = (t * (1 - t)) ** (a - 1)
    lengths = (sp.Integer(1), sp.Integer(2))
    other = sum(sp.Integral(t * density, (t, 0, r / v)) for v in lengths)
    mass = sum(sp.Integral(density, (t, 0, r / v)) for v in lengths)
    d = Derivation(r"\lim_{\rho \to 0}\omega_k", sp.Limit((1 - other / mass).doit(), r, 0),
                   {"alpha": sp.Integer(a), "design": np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]]), "k": 0,
                    "radius": r})
    return d.equals(sp.Integer(own_weight_limit(**d.parameters)),
                    "here with partners at distances 1 and 2 and alpha = 3; within a small ball the other label has "
                    "the share 1 - lambda < radius / length")


# --- claims -------------------------------------------------------------------------------------------------

STAY = Claim(
    id="membership.interpolators_stay", title="A linear interpolator does not notice mixing",
    statement=r"\hat w_{\mathrm{mixup}} = X^\top(XX^\top)^{-1}y = \hat w_{\mathrm{ERM}},\quad "
              r"L_{\mathrm{in}} = 0\quad\text{for every }\alpha",
    assumptions=("linear in the features that are mixed (of the inputs, or of a hidden layer)",
                 "$p \\ge n$, independent rows; the shortest of all minimisers, as gradient descent from 0 finds it"),
    fails_when="the features are nonlinear functions of mixed inputs: then a mixed point can leave a residual",
    predict=minimum_norm, derive=derive_minimum_norm, exact=routes.mixed_minimum_norm,
    cases=(*cases(alpha=(0.0, 0.37, 1.0, np.inf), data=("wide 4 4", "wide 4 7")),
           {"alpha": 1.0, "data": "wide 5 6", "distinct": True}),
    wrong={"shrunk by s": predicts(lambda alpha, data, distinct=False: mm.shrinkage(alpha) * minimum_norm(alpha, data)),
           "targets at their mean": predicts(lambda alpha, data, distinct=False: minimum_norm(
               alpha, (routes.wide(data)[0], np.full(len(routes.wide(data)[1]), routes.wide(data)[1].mean()))),
               symbolic=False)},
    references=("verma2019manifold: mixing hidden features (from memory)",))
SEGMENTS = Claim(
    id="membership.segment_average", title="On a line a free function is the mean of the segments",
    statement=r"f^*(x) = \frac{\sum_{i,j:\,x \in [x_i, x_j]}\beta_\alpha(\lambda_{ij})\,"
              r"[\lambda_{ij}y_i + (1-\lambda_{ij})y_j]/|x_i-x_j|}{\sum_{i,j:\,x \in [x_i, x_j]}"
              r"\beta_\alpha(\lambda_{ij})/|x_i-x_j|},\quad \lambda_{ij} = \frac{x-x_j}{x_i-x_j}",
    assumptions=("one input, squared loss (or any loss whose best prediction is the mean label)",
                 "no restriction on the function", "pairs of distinct members, $0 < \\alpha < \\infty$"),
    fails_when="self-pairs occur: they put atoms on the inputs, and the function interpolates for every $\\alpha$",
    predict=segment_average, derive=derive_segments, exact=routes.windowed, tolerance=1e-8,
    cases=cases(alpha=(0.4, 1.0, 3.0), design=("line 3", "line 7"), at=(-0.33, -0.71)),
    wrong={"segments of equal weight": predicts(lambda alpha, design, at, y=None: segment_average(1, design, at, y)),
           "the straight line between neighbours": predicts(lambda alpha, design, at: np.interp(
               at, routes.line(design), routes.targets(len(routes.line(design)))), symbolic=False)},
    references=(MIXUP,))
NEAR = {"distance": (1e-4, 1e-5, 1e-6)}
SELF = Claim(
    id="membership.self_weight", title="On a line inner points are forgotten beyond alpha = 1",
    kind="asymptotic", along=("distance", 0.5),
    statement=r"\omega_k = 1\ (\alpha < 1),\quad 0\ (\alpha > 1),\quad "
              r"\frac{\sum_{j\,\mathrm{beyond}}|x_k-x_j|^{-1}}{\sum_{j\,\mathrm{beyond}}|x_k-x_j|^{-1} + "
              r"\sum_{i<k<j}|x_i-x_j|^{-1}}\ (\alpha = 1)",
    assumptions=(*SEGMENTS.assumptions, "an inner input $x_k$, approached from one side; at both ends the weight is 1"),
    fails_when="self-pairs occur, as in a random permutation: then the weight is 1; inputs in two or more dimensions "
               "(membership.own_weight)",
    predict=self_weight, derive=derive_self_weight, exact=routes.own_share, scale=lambda *_, **__: 1.0,
    cases=(*cases(alpha=(0.4, 1.0, 1.6), design="line 5", k=2, side=(-1, 1), **NEAR),
           *cases(alpha=(0.4, 1.6), design="line 5", k=0, side=1, **NEAR)),
    wrong={"s": predicts(lambda alpha, design, k, side, distance=None: packed(np.array(
               [mm.shrinkage(a) for a in alpha], dtype=object)) if np.ndim(alpha) else mm.shrinkage(alpha)),
           "1/n": predicts(lambda alpha, design, k, side, distance=None: packed(np.array(
               [sp.Rational(1, 5)] * len(alpha), dtype=object)) if np.ndim(alpha) else 0.2),
           "always its own": predicts(lambda alpha, design, k, side, distance=None: packed(np.array(
               [sp.S.One] * len(alpha), dtype=object)) if np.ndim(alpha) else 1.0)},
    references=(MIXUP,))
GAP = Claim(
    id="membership.gap_interpolation", title="On a line the gap collapses at alpha = 1",
    kind="asymptotic", along=("distance", 0.5),
    statement=r"\mathrm{gap} = 2\sigma^2\ (\alpha < 1),\qquad \mathrm{gap} = \frac{4\sigma^2}{n}\ (\alpha > 1)",
    assumptions=(*SEGMENTS.assumptions, "a fixed design; uncorrelated noise of variance $\\sigma^2$; "
                 "the function is read as a limit beside each input"),
    fails_when=SELF.fails_when,
    predict=interpolation_gap, derive=derive_gap, exact=routes.summed_gap, scale=lambda value, sigma, **_: 2 * sigma**2,
    cases=cases(alpha=(0.4, 1.6), n=(4, 7), sigma=0.7, **NEAR),
    wrong={"2 sigma^2 at every alpha": predicts(lambda alpha, n, sigma, distance=None: packed(np.array(
               [2 * sigma**2] * len(alpha), dtype=object)) if np.ndim(alpha) else 2 * sigma**2),
           "2 sigma^2 s": predicts(lambda alpha, n, sigma, distance=None: packed(np.array(
               [2 * sigma**2 * mm.shrinkage(a) for a in alpha], dtype=object)) if np.ndim(alpha)
               else 2 * sigma**2 * mm.shrinkage(alpha))},
    references=(MIXUP,))
PLANE = Claim(
    id="membership.own_weight", title="In the plane every point is remembered, at every alpha",
    kind="asymptotic", along=("radius", 1),
    statement=r"\lim_{r \to 0}\mathbb{E}\bigl[\text{share of }y_k \bigm| \|\tilde x - x_k\| < r\bigr] = 1"
              r"\quad\text{for every }\alpha > 0",
    assumptions=("inputs in two or more dimensions, in general position: none lies on a segment between two others",
                 "no restriction on the function; pairs of distinct members",
                 "a limit: with many points the radius must be small before segments of others are gone"),
    fails_when="inputs lie on a line (membership.self_weight), or the model cannot be sharp enough",
    predict=own_weight_limit, derive=derive_own_weight, exact=routes.own_share_in_ball,
    cases=cases(alpha=(0.4, 1.0, 3.0), design=("cloud 5 2", "cloud 7 3"), k=(0, 3), radius=(1e-2, 1e-3, 1e-4)),
    wrong={"as on a line": predicts(lambda alpha, design, k, radius=None: sp.S.Zero if alpha > 1 else sp.S.One),
           "1/n": predicts(lambda alpha, design, k, radius=None: sp.Rational(1, 5))},
    references=(MIXUP,))
