r"""How the chord penalty enters the mixup loss: all of it if f interpolates, beside a cross term otherwise.

e_i = f(x_i) - y_i are the residuals on the data and e~ = lambda e_i + (1 - lambda) e_j their mix. The residual at a
mixed point is f(x~) - y~ = D + e~, exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import sympy as sp

from mixtheory.domain import DomainError, check_alpha, check_finite, is_symbolic
from mixtheory.evidence import Claim, Derivation, Mean, MomentLaw, beta, predicts, scalar, simulates
from mixtheory.mixing import symmetric
from mixtheory.mixup import blend
from mixtheory.theory import _geometry_loss_routes as routes
from mixtheory.theory import geometry, geometry_kinks
from mixtheory.theory import mixing_moments as mm
from mixtheory.theory._least_squares_data import members
from mixtheory.theory.least_squares import pair_factor

__all__ = ["Network", "Parts", "Problem", "loss_parts", "mixup_mse", "mixup_mse_distinct", "shifted_parabola"]

S_SHRINK = "mixing_moments.shrinkage"
MOST = 2**22                                 # numbers in one array


class Network(NamedTuple):
    """f(x) = sum_j a_j max(0, w_j . x + b_j) + c: W (units, d), b (units,), a (units,), c a number."""

    W: np.ndarray
    b: np.ndarray
    a: np.ndarray
    c: float

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """(..., d) to (...)."""
        return np.maximum(0.0, np.asarray(x) @ np.asarray(self.W).T + self.b) @ self.a + self.c


class Problem(NamedTuple):
    """A function and the data that it is judged on: f (n, d) -> (n,) or a `Network`, x (n, d), y (n,)."""

    f: Callable[[np.ndarray], np.ndarray] | Network
    x: np.ndarray
    y: np.ndarray


class Parts(NamedTuple):
    """What the mixup loss over all n^2 pairs is made of.

    deviation: E D^2; cross: E[D e~], of either sign; square, mean: of the residuals e on the data; n: points.
    """

    deviation: Any
    cross: Any
    square: Any
    mean: Any
    n: Any


def loss_parts(problem: Problem, alpha: float, *, nodes: int = 48) -> Parts:
    """E D^2 and E[D e~] over all ordered pairs (self-pairs included, where D = 0) and over lambda.

    For a `Network` both are in closed form, kink by kink; for any other function by Gauss-Jacobi quadrature, which
    is exact to rounding for smooth f only.

    Args:
        problem: function and data.
        alpha: a number in [0, inf].
        nodes: of the rule for lambda.

    Returns:
        Parts, in squared output units (mean: output units).

    Raises:
        DomainError: shapes that do not fit, values that are not finite, alpha outside its domain.

    Example:
        >>> parts = loss_parts(Problem(lambda x: x[:, 0]**2, [[0.0], [1.0], [2.0]], [0.0, 1.0, 4.0]), 1.0)
        >>> float(round(parts.deviation * 3, 9)), parts.square          # f interpolates: e = 0
        (0.4, 0.0)
    """
    check_alpha(alpha)
    f = problem.f
    x, y = np.asarray(check_finite(problem.x, "x"), dtype=float), np.asarray(check_finite(problem.y, "y"), dtype=float)
    if x.ndim != 2 or y.shape != x.shape[:1] or len(x) < 2:
        raise DomainError(f"x, y of shapes {x.shape}, {y.shape}: must be (n, d) and (n,) with n >= 2")
    at_data = np.asarray(f(x), dtype=float)
    if at_data.shape != y.shape or not np.isfinite(at_data).all():
        raise DomainError(f"f: returns shape {at_data.shape} for {len(x)} points; must be (n,), finite")
    e, n = at_data - y, len(x)
    first, second = np.triu_indices(n, 1)                      # D and E[D e~] do not care which end is first
    width = len(np.asarray(f.b)) + 1 if isinstance(f, Network) else nodes
    step = max(1, MOST // (width * (1 if isinstance(f, Network) else x.shape[1])))
    total = np.zeros(2)
    for start in range(0, len(first), step):
        i, j = first[start:start + step], second[start:start + step]
        total += (_kinked if isinstance(f, Network) else _smooth)(f, x, at_data, e, i, j, alpha, nodes)
    deviation, cross = 2 * total / n**2
    return Parts(float(deviation), float(cross), float(np.mean(e**2)), float(e.mean()), n)


def _kinked(f: Network, x: np.ndarray, at_data: np.ndarray, e: np.ndarray, i: np.ndarray, j: np.ndarray,
            alpha: float, nodes: int) -> np.ndarray:
    """Sums of E D^2 and E[D e~] over some pairs."""
    k, J = geometry.relu_kinks(f.W, f.b, f.a, x[i], x[j])
    if np.isinf(alpha):
        D = geometry.deviation(0.5, k, J)
        return np.array([D @ D, D @ (e[i] + e[j]) / 2])
    L, R, M20, M11, M02 = geometry_kinks.pieces(k, J, alpha)
    cross = -(e[i][:, None] * (R * M20 + L * M11) + e[j][:, None] * (R * M11 + L * M02)).sum()
    return np.array([(R**2 * M20 + 2 * L * R * M11 + L**2 * M02).sum(), cross])


def _smooth(f: Callable[..., Any], x: np.ndarray, at_data: np.ndarray, e: np.ndarray, i: np.ndarray, j: np.ndarray,
            alpha: float, nodes: int) -> np.ndarray:
    def sums(lam: np.ndarray) -> np.ndarray:
        p = lam[:, None]
        points = blend(p[..., None], x[i], x[j])
        D = np.asarray(f(points.reshape(-1, x.shape[1]))).reshape(points.shape[:2]) - blend(p, at_data[i], at_data[j])
        return np.stack([(D**2).sum(1), (D * blend(p, e[i], e[j])).sum(1)], axis=1)
    return symmetric(alpha).expect(sums, nodes=nodes)


def mixup_mse(alpha: Any, problem: Problem | Parts) -> Any:
    """Mean squared mixup loss over all n^2 pairs: E D^2 + 2 E[D e~] + s mean e^2 + (1 - s) (mean e)^2.

    Args:
        alpha: in [0, inf]; a symbol only with `Parts`.
        problem: function and data, or the parts already computed for this alpha.

    Returns:
        E (f(x~) - y~)^2 in squared output units.

    Raises:
        DomainError: see `loss_parts`.
    """
    p = problem if isinstance(problem, Parts) else loss_parts(problem, alpha)
    s = mm.shrinkage(alpha)
    return p.deviation + 2 * p.cross + s * p.square + (1 - s) * p.mean**2


def mixup_mse_distinct(alpha: Any, problem: Problem | Parts) -> Any:
    """The same over the n (n - 1) pairs of distinct points, as with `roll`: D counts n/(n - 1) times, s becomes s_n.

    s_n = (n s - 1)/(n - 1). Arguments, units and errors as in `mixup_mse`.
    """
    p = problem if isinstance(problem, Parts) else loss_parts(problem, alpha)
    s_n = pair_factor(alpha, p.n)
    return p.n / (p.n - 1) * (p.deviation + 2 * p.cross) + s_n * p.square + (1 - s_n) * p.mean**2


def shifted_parabola(alpha: Any, c: Any, second: Any, fourth: Any) -> Any:
    """Mixup loss of f(x) = x^2/2 + c on the noiseless data y = x^2/2: E D^2 + 2 c E D + c^2.

    E D^2 = E[u^2] (fourth + 3 second^2)/2 and E D = -second E u: the best c is second E u > 0, and the loss at c = 2
    second E u is that at c = 0.

    Args:
        alpha: in [0, inf].
        c: the shift, output units.
        second: variance of the centred scalar x.
        fourth: its fourth moment, at least second^2.

    Returns:
        Squared output units.

    Raises:
        DomainError: fourth < second^2, alpha outside its domain.
    """
    if not is_symbolic(second, fourth) and np.any(np.asarray(fourth) < np.asarray(second)**2 * (1 - 1e-12)):
        raise DomainError(f"fourth = {fourth!r}: a fourth moment is at least the square of the second ({second!r})")
    return mm.product_square(alpha) * (fourth + 3 * second**2) / 2 - 2 * c * second * mm.mean_product(alpha) + c**2


# ---- derivations -------------------------------------------------------------------------------------------------

def _derive_loss(n: Any, formula: Callable[..., Any]) -> Callable[[], Derivation]:
    def derive() -> Derivation:
        V, C = sp.Symbol(r"\mathbb{E}D^2", positive=True), sp.Symbol(r"\mathbb{E}[D\tilde{e}]", real=True)
        square, mean = sp.Symbol(r"\overline{e^2}", positive=True), sp.Symbol(r"\bar{e}", real=True)
        D, T, e_i, e_j = sp.symbols(r"D \tilde{e} e_i e_j", real=True)
        pair = members(((e_i,), (e_j,)), lambda powers: (sp.S.One, mean, square)[powers[0]], n)
        lam, more = beta(mm.LAM, mm.ALPHA), 1 if n is None else n / (n - 1)
        mixed = Mean(blend(mm.LAM, e_i, e_j)**2, pair, lam)
        law = MomentLaw((D, T), {(2, 0): more * V, (1, 1): more * C, (0, 2): mixed.doit()}.__getitem__)
        d = Derivation(r"\mathbb{E}(f(\tilde x) - \tilde y)^2", Mean((D + T)**2, law),
                       {"alpha": mm.ALPHA, "problem": Parts(V, C, square, mean, n)})
        d = d.equals(more * (V + 2 * C) + mixed, r"$f(\tilde x) - \tilde y = D + \tilde e$" + (
            "" if n is None else "; $D = 0$ on self-pairs, which are left out now: $n^2/(n(n-1))$"))
        S = Mean(mm.LAM**2 + (1 - mm.LAM)**2, lam)
        crossed = mean**2 if n is None else (n * mean**2 - square) / (n - 1)
        d = d.equals(more * (V + 2 * C) + S * square + (1 - S) * crossed, "the two residuals are " + (
            "independent draws" if n is None else "distinct members of $n$"))
        return d.equals(formula(mm.ALPHA, Parts(V, C, square, mean, n)), "the shrinkage factor", claim=S_SHRINK)
    return derive


def derive_shift() -> Derivation:
    """A constant residual c beside the deviation of a parabola."""
    c, x1, x2 = sp.symbols("c x_1 x_2", real=True)
    second, third, fourth = sp.Symbol("mu_2", positive=True), sp.Symbol("mu_3", real=True), sp.Symbol(
        "mu_4", positive=True)
    laws = scalar(x1, 0, second, third, fourth), scalar(x2, 0, second, third, fourth), beta(mm.LAM, mm.ALPHA)
    u, square = mm.LAM * (1 - mm.LAM), x1**2 / 2
    d = Derivation(r"\mathbb{E}(f(\tilde x) - \tilde y)^2",
                   Mean((blend(mm.LAM, x1, x2)**2 / 2 + c - blend(mm.LAM, square, x2**2 / 2))**2, *laws),
                   {"alpha": mm.ALPHA, "c": c, "second": second, "fourth": fourth})
    d = d.equals(Mean((c - u / 2 * (x1 - x2)**2)**2, *laws), r"$D = -\frac{u}{2}(x_1 - x_2)^2$",
                 claim="geometry.quadratic")
    d = d.equals(Mean(u**2, laws[2]) * (2 * fourth + 6 * second**2) / 4 - 2 * c * Mean(u, laws[2]) * second + c**2,
                 "moments of a difference")
    d = d.equals(mm.product_square(mm.ALPHA) * (fourth + 3 * second**2) / 2 - 2 * c * Mean(u, laws[2]) * second + c**2,
                 r"$\mathbb{E}u^2$", claim="mixing_moments.product_square")
    return d.equals(shifted_parabola(mm.ALPHA, c, second, fourth), r"$\mathbb{E}u$", claim=
        "mixing_moments.mean_product")


# ---- claims ------------------------------------------------------------------------------------------------------

PROBLEMS = (Problem(*routes.SMOOTH_PROBLEM), Problem(Network(*routes.NETWORK), *routes.NETWORK_DATA))
ALPHAS = (0.0, 0.2, 1.0, 4.2, np.inf)
RESIDUALS = (r"$D = \varphi - $ chord, $e_i = f(x_i) - y_i$, $\tilde e = \lambda e_1 + (1-\lambda)e_2$", "squared loss")


def _no_cross(alpha: Any, problem: Any, total: Callable[..., Any] = mixup_mse) -> Any:
    parts = problem if isinstance(problem, Parts) else loss_parts(problem, alpha)
    return total(alpha, parts._replace(cross=0))


def _own_residuals(alpha: Any, problem: Any) -> Any:
    parts = problem if isinstance(problem, Parts) else loss_parts(problem, alpha)
    return parts.deviation + 2 * parts.cross + parts.square


Claim(
    id="geometry.loss", title="Mixup loss: chord penalty, cross term, residuals", experiment="geometry",
    statement=r"\mathbb{E}(f(\tilde x) - \tilde y)^2 = \mathbb{E}D^2 + 2\,\mathbb{E}[D\tilde e] + "
              r"s\,\mathbb{E}e^2 + (1-s)(\mathbb{E}e)^2",
    assumptions=("all ordered pairs of the data, or independent pairs", *RESIDUALS),
    fails_when="self-pairs are left out (geometry.loss_distinct)",
    predict=mixup_mse, derive=_derive_loss(None, mixup_mse), exact=routes.exact_loss, simulate=routes.simulate_loss,
    cases=tuple({"alpha": a, "problem": p} for a in ALPHAS for p in PROBLEMS), references=("zhang2018mixup: "
                                                                                           "equation 1 (from memory)",),
    wrong={"cross term dropped": predicts(_no_cross), "residuals do not mix": predicts(_own_residuals),
           "distinct pairs": predicts(lambda alpha, problem: mixup_mse_distinct(alpha, problem), symbolic=False),
           "self-pairs left out": simulates(routes.simulate_loss_distinct)})
Claim(
    id="geometry.loss_distinct", title="The same without self-pairs",
    statement=r"\begin{gathered}\mathbb{E}(f(\tilde x) - \tilde y)^2 = \tfrac{n}{n-1}\left(\mathbb{E}D^2 + "
              r"2\,\mathbb{E}[D\tilde e]\right) + s_n\,\mathbb{E}e^2 + (1-s_n)(\mathbb{E}e)^2,"
              r"\\ s_n = \tfrac{ns - 1}{n - 1}\end{gathered}",
    assumptions=("all ordered pairs of distinct points; means of $D$ over all pairs", *RESIDUALS),
    predict=mixup_mse_distinct, derive=_derive_loss(sp.Symbol("n", integer=True, positive=True), mixup_mse_distinct),
    exact=routes.exact_loss_distinct, simulate=routes.simulate_loss_distinct,
    cases=tuple({"alpha": a, "problem": p} for a in ALPHAS[1:] for p in PROBLEMS),
    wrong={"all pairs": predicts(lambda alpha, problem: mixup_mse(alpha, problem)),
           "s for s_n": predicts(lambda alpha, problem: _population_factor(alpha, problem))})
Claim(
    id="geometry.shift", title="Interpolation is not needed, and not best",
    statement=r"\begin{gathered}f = \tfrac{x^2}{2} + c:\quad \mathbb{E}(f(\tilde x) - \tilde y)^2 = \mathbb{E}D^2 - "
              r"2c\,\mu_2\,\mathbb{E}u + c^2,\\ \mathbb{E}D^2 = \tfrac12\mathbb{E}[u^2](\mu_4 + "
              r"3\mu_2^2)\end{gathered}",
    assumptions=(r"$y = \frac{x^2}{2}$ without noise, $x$ centred with moments $\mu_2, \mu_4$", "independent pairs"),
    fails_when="f bends up on some segments and down on others: then the sign of the best shift is open",
    predict=shifted_parabola, derive=derive_shift, exact=routes.exact_shift, simulate=routes.simulate_shift,
    cases=tuple({"alpha": a, "c": c, "second": 1.0, "fourth": 2.2} for a in (0.2, 1.0, np.inf)
                for c in (0.0, 0.25, -0.3)),
    wrong={"equal to the chord penalty only if f interpolates": predicts(
               lambda alpha, c, second, fourth: shifted_parabola(alpha, 0 * c, second, fourth) + c**2),
           "a loss that ignores shifts": predicts(
               lambda alpha, c, second, fourth: shifted_parabola(alpha, 0, second, fourth))})


def _population_factor(alpha: Any, problem: Any) -> Any:
    p = problem if isinstance(problem, Parts) else loss_parts(problem, alpha)
    s = mm.shrinkage(alpha)
    return p.n / (p.n - 1) * (p.deviation + 2 * p.cross) + s * p.square + (1 - s) * p.mean**2
