r"""Features of mixed inputs: the smoother that mixup makes, its degrees of freedom, its gap.

A model that is linear in its parameters but not in its inputs, w^T phi(x), does notice mixing: the features of a mixed
input are not mixed features. Squared loss still gives a linear map of the targets, and on a fixed design the gap is
2 sigma^2/n times its trace. For powers of one input everything is in closed form. The trace usually falls as alpha
grows, but need not; and what else would have narrowed the gap at equal accuracy depends on what it is compared with.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import sympy as sp
from numpy.polynomial import legendre
from scipy import optimize

from mixtheory.domain import DomainError, check_count, check_finite, check_positive, is_symbolic
from mixtheory.evidence import Claim, Derivation, Mean, beta, cases, predicts, scalar, simulates
from mixtheory.mixing import symmetric
from mixtheory.mixup import blend
from mixtheory.theory import _membership_smoothers_routes as routes
from mixtheory.theory import mixing_moments as mm
from mixtheory.theory._least_squares_data import packed

__all__ = ["Smoother", "gap_at_equal_error", "least_errors", "polynomial_degrees_of_freedom", "polynomial_losses",
           "polynomial_moments", "rising_steps", "smoother", "smoother_degrees_of_freedom", "stacked_moments"]

OPTIMISM = "efron1986optimism: optimism is a covariance (from memory)"


class Smoother(NamedTuple):
    """A linear smoother: `weights` (P, n) take targets to parameters, `fitted` (n, n) to fitted values."""

    weights: np.ndarray
    fitted: np.ndarray


def smoother(alpha: float, features: Callable[[np.ndarray], np.ndarray], x: np.ndarray, *,
             penalty: np.ndarray | None = None, distinct: bool = False, nodes: int = 48) -> Smoother:
    """The map that least squares under mixup of the inputs makes of the targets, for features of your own.

    Minimises the mean over pairs and lambda of (w^T phi(x~) - y~)^2 plus w^T penalty w. With A the mean of
    phi(x~) phi(x~)^T and B_i that of phi(x~) times the share of target i, w = (A + penalty)^-1 B y. Multiply fitted
    values by targets of any kind; the fixed-design gap is 2 sigma^2/n times the trace, see
    `smoother_degrees_of_freedom`.

    Args:
        alpha: in [0, inf].
        features: takes inputs (m,) or (m, d) like x and returns (m, P); include a constant for an intercept.
        x: inputs (n,) or (n, d), n >= 2.
        penalty: (P, P), symmetric without negative eigenvalues; or (P,), its diagonal; None for none.
        distinct: whether self-pairs are left out.
        nodes: of the Gauss rule for lambda; exact for features that are polynomials of degree up to `nodes` - 1.

    Returns:
        The `Smoother`. Cost: n^2 P nodes for the features.

    Raises:
        DomainError: shapes that do not fit, entries that are not finite, a singular A + penalty.

    >>> x = np.linspace(-1, 1, 15)
    >>> cubic = smoother(1.0, lambda t: np.vander(t, 4), x)
    >>> cubic.fitted.shape, round(float(np.trace(cubic.fitted)), 3)
    ((15, 15), 3.537)
    """
    x = np.asarray(x, dtype=float)
    if x.ndim not in (1, 2) or len(x) < 2:
        raise DomainError(f"x of shape {x.shape}: must be (n,) or (n, d) with n >= 2")
    check_finite(x, "x")
    plain = _features_of(features, x)
    n, P = plain.shape
    R = np.zeros((P, P)) if penalty is None else np.asarray(penalty, dtype=float)
    R = np.diag(R) if R.ndim == 1 else R
    if R.shape != (P, P) or not np.allclose(R, R.T) or np.linalg.eigvalsh(R).min() < -1e-12 * np.abs(R).max():
        raise DomainError(f"penalty of shape {np.shape(penalty)}: must be ({P}, {P}), symmetric without negative "
                          f"eigenvalues, or its diagonal ({P},)")
    A, B, others = np.zeros((P, P)), np.zeros((P, n)), n - 1 if distinct else n
    for lam, weight in zip(*symmetric(alpha).quadrature(nodes=check_count(nodes, "nodes")), strict=True):
        for shift in range(1 if distinct else 0, n):
            rows = _features_of(features, blend(lam, x, np.roll(x, -shift, axis=0)))
            A += weight / (n * others) * rows.T @ rows
            B += weight / (n * others) * (lam * rows.T + (1 - lam) * np.roll(rows, shift, axis=0).T)
    if np.linalg.matrix_rank(A + R) < P:
        raise DomainError(f"features: the {P} features of mixed inputs are linearly dependent; drop some or penalise")
    weights = np.linalg.solve(A + R, B)
    return Smoother(weights, plain @ weights)


def smoother_degrees_of_freedom(alpha: float, features: Callable[[np.ndarray], np.ndarray], x: np.ndarray, *,
                                penalty: np.ndarray | None = None, distinct: bool = False, nodes: int = 48) -> float:
    """Trace of the `smoother`; times 2 sigma^2/n it is the fixed-design gap, for any truth.

    Args, errors: see `smoother`.

    Returns:
        A number; at alpha = 0 without penalty the number of features.

    >>> x = np.linspace(-1, 1, 15)
    >>> [round(smoother_degrees_of_freedom(a, lambda t: np.vander(t, 8), x), 2) for a in (0, 0.2, 1)]
    [8.0, 6.85, 5.3]
    """
    return float(np.trace(smoother(alpha, features, x, penalty=penalty, distinct=distinct, nodes=nodes).fitted))


def _features_of(features: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> np.ndarray:
    rows = np.asarray(features(x), dtype=float)
    if rows.ndim != 2 or len(rows) != len(x) or not np.isfinite(rows).all():
        raise DomainError(f"features(x) of shape {rows.shape}: must be ({len(x)}, P) and finite")
    return rows


def polynomial_moments(alpha: Any, x: Any, degree: int) -> tuple[Any, Any]:
    """A (P, P) and B (P, n) of the `smoother` for powers 0 .. degree of one input, all pairs, in closed form.

    With m_t the mean of x^t and beta_ab = E[lambda^a (1 - lambda)^b]: A_kl = sum_t C(k + l, t) beta_{t, k+l-t} m_t
    m_{k+l-t} and B_ki = (2/n) sum_t C(k, t) beta_{t+1, k-t} m_{k-t} x_i^t.

    Args:
        alpha: in [0, inf]; float or symbol.
        x: inputs (n,), n >= 2.
        degree: at least 1.

    Returns:
        Arrays of floats, or SymPy matrices if alpha or x are symbols.

    Raises:
        DomainError: x of another shape or not finite, degree < 1, alpha outside its domain.
    """
    symbols = is_symbolic(alpha, *np.ravel(np.asarray(x, dtype=object)))
    x = np.asarray(x, dtype=object if symbols else float)
    if x.ndim != 1 or len(x) < 2:
        raise DomainError(f"x of shape {x.shape}: must be (n,) with n >= 2")
    if not symbols:
        check_finite(x, "x")
    P, n, law = int(check_count(degree, "degree", least=1)) + 1, len(x), symmetric(alpha)
    mean = [sum(x**t) / (sp.Integer(n) if symbols else n) for t in range(2 * P)]

    def power(r: int) -> Any:
        return sum(math.comb(r, t) * law.moment(t, r - t) * mean[t] * mean[r - t] for t in range(r + 1))

    def target(k: int, i: int) -> Any:
        return 2 * sum(math.comb(k, t) * law.moment(t + 1, k - t) * mean[k - t] * x[i]**t for t in range(k + 1)) / n

    raw = [power(r) for r in range(2 * P - 1)]
    A, B = [raw[k:k + P] for k in range(P)], [[target(k, i) for i in range(n)] for k in range(P)]
    return (sp.Matrix(A), sp.Matrix(B)) if symbols else (np.array(A, dtype=float), np.array(B, dtype=float))


def polynomial_degrees_of_freedom(alpha: Any, design: Any, degree: int) -> Any:
    """Trace of the mixup smoother for powers 0 .. degree of one input; all pairs.

    Args:
        alpha: in [0, inf].
        design: inputs (n,), or `equispaced n` for n points from -1 to 1.
        degree: at least 1 and below the number of different inputs.

    Returns:
        Degrees of freedom; degree + 1 at alpha = 0, and always for degree 1.

    Raises:
        DomainError: see `polynomial_moments`; too few different inputs.
    """
    fitted = _polynomial_smoother(alpha, _inputs(design), degree)
    return fitted.trace() if isinstance(fitted, sp.MatrixBase) else float(np.trace(fitted))


def polynomial_losses(alpha: Any, design: Any, degree: int, curve: Any, sigma: Any) -> Any:
    """Losses of members and of fresh targets at the same inputs, for powers of one input under mixup.

    With M the smoother and f the mean targets: members (|(M - I) f|^2 + sigma^2 |I - M|_F^2)/n, outsiders that plus
    the gap 2 sigma^2 tr M / n.

    The mean targets `curve` are (n,) numbers, or `sine` sin(pi x), `fast sine` sin(3 pi x), `line` 1/2 + x; the
    uncorrelated noise has standard deviation sigma > 0. The other arguments and errors are those of
    `polynomial_degrees_of_freedom`. Returns (2,) in squared target units.

    >>> polynomial_losses(0.2, "equispaced 15", 7, "sine", 0.5).round(3).tolist()
    [0.136, 0.365]
    """
    x = _inputs(design)
    M, n, variance = _polynomial_smoother(alpha, x, degree), len(x), check_positive(sigma, "sigma") ** 2
    f = routes.CURVES[curve](x) if isinstance(curve, str) else curve
    if len(f) != n:
        raise DomainError(f"curve with {len(f)} values: must have one for each of the {n} inputs")
    if isinstance(M, sp.MatrixBase):
        lost, left = (M - sp.eye(n)) * sp.Matrix(f), M - sp.eye(n)
        member = (lost.dot(lost) + variance * sum(v**2 for v in left)) / n
        return sp.Matrix([member, member + 2 * variance * M.trace() / n])
    member = (((M - np.eye(n)) @ f) ** 2).sum() / n + variance * ((M - np.eye(n)) ** 2).sum() / n
    return np.array([member, member + 2 * variance * np.trace(M) / n])


def rising_steps(design: Any, degree: int) -> float:
    """On how many steps of a grid of alphas from 0 to 100 the degrees of freedom rise; 0 if mixing always lowers them.

    Arguments and errors as in `polynomial_degrees_of_freedom`; the grid is 0, .1, .2, .5, 1, 2, 5, 10, 20, 50, 100.
    """
    df = np.array([polynomial_degrees_of_freedom(alpha, design, degree) for alpha in routes.GRID])
    return float((np.diff(df) > 1e-9).sum())


def least_errors(alpha: float, degree: int, n: int, curve: str, sigma: float, power: int, orthonormal: bool
                 ) -> np.ndarray:
    """Test error of mixup, its gap, and the least test error along a ridge path on Legendre polynomials.

    Test error: bias^2 and variance at uniform x in (-1, 1), without the noise of the targets. The ridge penalises the
    coefficient of P_k by k^power (by 1 for power 0), P_k normalised to 1 at x = 1 or orthonormal. No mixing there.

    Args:
        alpha: of mixup of the inputs, with powers 0 .. degree and no penalty.
        degree: of both models.
        n: equispaced points from -1 to 1, noise sigma at each.
        curve: `sine`, `fast sine` or `line`, see `polynomial_losses`.
        sigma: standard deviation of the noise, > 0.
        power: at least 0.
        orthonormal: whether the polynomials have mean square 1 on (-1, 1).

    Returns:
        (3,): error of mixup, gap of mixup, least error of the ridge; squared target units.

    Raises:
        DomainError: see `polynomial_losses`.
    """
    x, how = _inputs(f"equispaced {n}"), (degree, n, curve, check_positive(sigma, "sigma"), power, orthonormal)
    A, B = polynomial_moments(alpha, x, degree)
    to_legendre = np.zeros((degree + 1, degree + 1))
    for k in range(degree + 1):                             # x^k as a sum of P_0 .. P_k
        to_legendre[:k + 1, k] = legendre.poly2leg([0.0] * k + [1.0])
    error = _test_error(to_legendre @ np.linalg.solve(A, B), x, curve, sigma)
    best = _least(lambda v: _legendre_ridge(v, *how)[0])[1]
    return np.array([error, 2 * sigma**2 * polynomial_degrees_of_freedom(alpha, x, degree) / n, best])


def gap_at_equal_error(alpha: float, degree: int, n: int, curve: str, sigma: float, power: int, orthonormal: bool
                       ) -> float:
    """Gap of the strongest Legendre ridge, without mixing, whose test error is that of mixup.

    Args: see `least_errors`.

    Returns:
        A gap in squared target units; compare with the second entry of `least_errors`.

    Raises:
        DomainError: as there; no ridge of this kind tests as well as mixup.
    """
    error, _, best = least_errors(alpha, degree, n, curve, sigma, power, orthonormal)
    if best > error:
        raise DomainError(f"power = {power}, orthonormal = {orthonormal}: no ridge of this kind reaches the test "
                          f"error {error:.4f} of mixup; the best has {best:.4f}")
    how = (degree, n, curve, sigma, power, orthonormal)
    at = _least(lambda v: _legendre_ridge(v, *how)[0])[0]
    edge = optimize.brentq(lambda v: _legendre_ridge(v, *how)[0] - error, at, 10.0, xtol=1e-14)
    return float(_legendre_ridge(edge, *how)[1])


def _least(error: Callable[[float], float]) -> tuple[float, float]:
    """Where a function of the log of a strength is least, and its value."""
    grid = np.linspace(-17, 6, 47)
    best = int(np.argmin([error(v) for v in grid]))
    found = optimize.minimize_scalar(error, bracket=(grid[best - 1], grid[best], grid[best + 1]), tol=1e-12)
    return float(found.x), float(found.fun)


def _legendre_ridge(log_strength: float, degree: int, n: int, curve: str, sigma: float, power: int,
                    orthonormal: bool) -> tuple[float, float]:
    """Test error and gap of a ridge on standard Legendre coefficients, by the normal equations."""
    x, k = _inputs(f"equispaced {n}"), np.arange(degree + 1.0)
    penalty = np.exp(log_strength) * k**power / (2 * k + 1 if orthonormal else 1.0)
    phi = legendre.legvander(x, degree)
    W = np.linalg.solve(phi.T @ phi / n + np.diag(penalty), phi.T / n)
    return _test_error(W, x, curve, sigma), 2 * sigma**2 * float(np.einsum("ik,ki->", phi, W)) / n


def _test_error(W: np.ndarray, x: np.ndarray, curve: str, sigma: float) -> float:
    """Bias^2 and variance of standard Legendre coefficients W (P, n): by orthogonality, P_k^2 has mean 1/(2k + 1)."""
    f, size = routes.CURVES[curve], 1 / (2 * np.arange(len(W)) + 1)
    nodes, weights = legendre.leggauss(60)
    inner = legendre.legvander(nodes, len(W) - 1).T @ (weights / 2 * f(nodes))
    c = W @ f(x)
    return float(size @ c**2 - 2 * c @ inner + weights / 2 @ f(nodes) ** 2 + sigma**2 * size @ (W**2).sum(axis=1))


def _inputs(design: Any) -> Any:
    return routes.points(design) if isinstance(design, str) else design


def _polynomial_smoother(alpha: Any, x: Any, degree: int) -> Any:
    A, B = polynomial_moments(alpha, x, degree)
    if len(set(np.ravel(x).tolist())) <= degree:
        raise DomainError(f"degree = {degree}: needs more than {degree} different inputs")
    if isinstance(A, sp.MatrixBase):
        rows = sp.Matrix([[v**k for k in range(degree + 1)] for v in x])
        return (rows * A.LUsolve(B)).applyfunc(sp.cancel)
    return np.vander(x, degree + 1, increasing=True) @ np.linalg.solve(A, B)


# --- derivations --------------------------------------------------------------------------------------------

def stacked_moments(alpha: Any, design: Any, degree: int) -> Any:
    """A and B of `polynomial_moments` side by side, (P, P + n); arguments and errors as there, names of designs too."""
    A, B = polynomial_moments(alpha, _inputs(design), degree)
    return A.row_join(B) if isinstance(A, sp.MatrixBase) else np.hstack([A, B])


def derive_moments() -> Derivation:
    """Two inputs and a parabola: the mean over the four pairs, then over lambda."""
    x, lam = sp.symbols("x_1 x_2", real=True), beta(mm.LAM, mm.ALPHA)
    mixed = [[blend(mm.LAM, a, b) for b in x] for a in x]
    A = sp.Matrix(3, 3, lambda k, m: Mean(sum(z ** (k + m) for row in mixed for z in row) / 4, lam))
    B = sp.Matrix(3, 2, lambda k, i: Mean(sum(mm.LAM * mixed[i][j] ** k + (1 - mm.LAM) * mixed[j][i] ** k
                                              for j in range(2)) / 4, lam))
    d = Derivation(r"(A_\alpha \mid B_\alpha)", A.row_join(B), {"alpha": mm.ALPHA, "design": x, "degree": 2})
    return d.equals(stacked_moments(mm.ALPHA, x, 2), "here for powers 0, 1, 2 of two inputs: the powers of lambda x_i "
                    "+ (1 - lambda) x_j by the binomial formula, their weights by the moments of the Beta law",
                    claim="mixing_moments.moments")


def derive_losses() -> Derivation:
    """Three inputs: means over noise for any linear smoother; then the smoother of mixup for a parabola."""
    x, sigma = (sp.Integer(-1), sp.Integer(0), sp.Integer(1)), sp.Symbol("sigma", positive=True)
    M = sp.Matrix(3, 3, lambda i, j: sp.Symbol(f"M_{{{i + 1}{j + 1}}}", real=True))
    f, e, fresh = sp.symbols("f_1:4", real=True), sp.symbols("e_1:4", real=True), sp.symbols("e'_1:4", real=True)
    laws = [scalar(v, 0, sigma**2) for v in (*e, *fresh)]
    fitted = [sum(M[i, j] * (f[j] + e[j]) for j in range(3)) for i in range(3)]

    def loss(noise: Any) -> Any:
        return sum(Mean((f[i] + noise[i] - fitted[i]) ** 2, *laws) for i in range(3)) / 3

    lost = sum((f[i] - sum(M[i, j] * f[j] for j in range(3))) ** 2 for i in range(3)) / 3
    left = sum((int(i == j) - M[i, j]) ** 2 for i in range(3) for j in range(3)) / 3
    d = Derivation(r"(L_{\mathrm{in}}, L_{\mathrm{out}})", sp.Matrix([loss(e), loss(fresh)]),
                   {"alpha": mm.ALPHA, "design": x, "degree": 2, "curve": f, "sigma": sigma})
    d = d.equals(sp.Matrix([lost + sigma**2 * left, lost + sigma**2 * left + 2 * sigma**2 * M.trace() / 3]),
                 "here for three points; fitted values are M y: the noise of a member meets its own fitted value "
                 "with the share M_ii, fresh noise meets none")
    return d.appeal(polynomial_losses(mm.ALPHA, x, 2, f, sigma),
                    "M = Phi A^-1 B minimises the quadratic mixup risk; here for a parabola through -1, 0, 1",
                    claim="membership.polynomial_moments")


# --- claims -------------------------------------------------------------------------------------------------

def without_mixing(alpha: Any, design: Any, degree: int, curve: Any, sigma: Any) -> Any:
    """As if features were mixed: ordinary least squares at every alpha."""
    return polynomial_losses(0, design, degree, curve, sigma)


def falling(alpha: Any, design: Any, degree: int) -> float:
    """Degrees of freedom as if they never rose with alpha."""
    return min(polynomial_degrees_of_freedom(a, design, degree) for a in (*routes.GRID, alpha) if a <= alpha)


SQUARED = "squared loss, linear in the parameters; inputs are mixed over all pairs and then features computed"
MOMENTS = Claim(
    id="membership.polynomial_moments", title="Mean powers of mixed inputs",
    statement=r"A_{kl} = \sum_t \binom{k+l}{t}\beta_{t,k+l-t}\,m_t m_{k+l-t},\quad "
              r"B_{ki} = \frac2n\sum_t \binom{k}{t}\beta_{t+1,k-t}\,m_{k-t}\,x_i^t,\quad "
              r"\beta_{ab} = \mathbb{E}[\lambda^a(1-\lambda)^b],\ m_t = \overline{x^t}",
    assumptions=("one input, features $1, x, \\dots, x^P$", "all ordered pairs, self-pairs included"),
    fails_when="self-pairs are left out: then products of means lose their diagonal",
    predict=stacked_moments, derive=derive_moments,
    exact=routes.moments,
    cases=(*cases(alpha=(0.0, 0.37, np.inf), design="seven", degree=3), {"alpha": 1.0, "design": "equispaced 15",
                                                                       "degree": 7}),
    wrong={"as if features were mixed": predicts(
               lambda alpha, design, degree: stacked_moments(0, design, degree)),
           "another alpha": predicts(
               lambda alpha, design, degree: stacked_moments(2 * alpha + 1, design, degree))})
POLY = Claim(
    id="membership.gap_smoother", title="Features of mixed inputs: the gap is the trace",
    statement=r"\mathrm{gap} = \frac{2\sigma^2}{n}\operatorname{tr}M,\quad "
              r"L_{\mathrm{in}} = \frac1n\|(M-I)f\|^2 + \frac{\sigma^2}{n}\|I-M\|_F^2,\quad "
              r"M = \Phi\,(A_\alpha + R)^{-1}B_\alpha",
    assumptions=(SQUARED, "a fixed design; uncorrelated noise of variance $\\sigma^2$ and any law; any truth $f$",
                 "checked for powers of one input, without penalty"),
    fails_when="features are mixed instead of inputs: then it is least squares, and mixing does nothing; or self-pairs "
               "are left out: then $A$ and $B$ are other means",
    predict=polynomial_losses, derive=derive_losses, exact=routes.losses, simulate=routes.drawn_losses,
    cases=(*cases(alpha=(0.0, 0.2, 1.0, 128.0, np.inf), design="equispaced 15", degree=7, curve="sine", sigma=0.5),
           {"alpha": 0.37, "design": "seven", "degree": 3, "curve": "line", "sigma": 0.8},
           {"alpha": 1.0, "design": "equispaced 9", "degree": 4, "curve": "fast sine", "sigma": 0.4}),
    wrong={"features mixed": predicts(without_mixing),
           "outsiders at half the gap": predicts(lambda **case: (polynomial_losses(**case) + packed(
               polynomial_losses(**case)[[0, 0]])) / 2, symbolic=False),
           "features drawn mixed": simulates(lambda size, *, rng, **case: routes.drawn_losses(
               size, rng=rng, label="features", **case)),
           "the label of the first": simulates(lambda size, *, rng, **case: routes.drawn_losses(
               size, rng=rng, label="first", **case))},
    references=(OPTIMISM,), experiment="membership_linear")
DF = Claim(
    id="membership.df_polynomial", title="More mixing can free degrees of freedom", kind="numerical",
    statement=r"\mathrm{df}(\alpha) = \operatorname{tr}M_\alpha\text{ is not monotone in }\alpha: "
              r"\mathrm{df}(5) < \mathrm{df}(100)\text{ for seven inputs and degree }4",
    assumptions=(SQUARED, "the inputs -.913, -.910, -.905, -.896, .177, .325, .530"),
    fails_when="on equispaced inputs no rise was seen (membership.df_steps)",
    predict=polynomial_degrees_of_freedom, exact=routes.trace, tolerance=1e-6,
    cases=cases(alpha=(1.0, 5.0, 20.0, 100.0), design="seven", degree=4),
    wrong={"never rises": predicts(falling),
           "the number of features": predicts(lambda alpha, design, degree: degree + 1)})
STEPS = Claim(
    id="membership.df_steps", title="On equispaced inputs mixing lowered them on all steps", kind="numerical",
    statement=r"\#\{i : \mathrm{df}(\alpha_{i+1}) > \mathrm{df}(\alpha_i)\} = 0\text{ on equispaced inputs}",
    assumptions=(SQUARED, "ten steps of alpha from 0 to 100; 6 or 15 inputs from -1 to 1, degrees 2, 4 and 7"),
    fails_when="inputs cluster: on the seven of membership.df_polynomial it rises on several steps",
    predict=rising_steps, exact=routes.rises, scale=lambda *_, **__: 1.0, tolerance=0.5,
    cases=({"design": "seven", "degree": 4}, *cases(design=("equispaced 6", "equispaced 15"), degree=(2, 4)),
           {"design": "equispaced 15", "degree": 7}),
    wrong={"never rises": predicts(lambda design, degree: 0.0), "rises wherever it is curved": predicts(
        lambda design, degree: float(degree - 1))})
COMPARED = {"alpha": 0.2, "degree": 7, "n": 15, "curve": "sine", "sigma": 0.5}
REACH = Claim(
    id="membership.comparator", title="Whether a ridge tests as well depends on its basis", kind="numerical",
    statement=r"\min_{\varrho} E_{\mathrm{test}}\text{ of a ridge on Legendre polynomials, against mixup at }"
              r"\alpha = 0.2",
    assumptions=("15 equispaced inputs, $\\sin \\pi x$, $\\sigma^2 = 1/4$, degree 7",
                 "the ridge weights the coefficient of $P_k$ by $k^0$ or $k^2$; $P_k(1) = 1$ or orthonormal"),
    fails_when="another truth, degree or noise: this is one example",
    predict=least_errors,
    exact=lambda power, orthonormal, **case: np.append(routes.enumerated_mixup(**case),
                                                       routes.searched_path(
                                                           **case, power=power, orthonormal=orthonormal)[0]),
    cases=cases(**COMPARED, power=(0, 2), orthonormal=(False, True)), tolerance=1e-8,
    wrong={"the basis does not matter": predicts(lambda orthonormal, **case: least_errors(**case, orthonormal=False)),
           "the weight does not matter": predicts(lambda power, **case: least_errors(**case, power=0))})
EQUAL = Claim(
    id="membership.equal_error_gap", title="The gap of a ridge that tests as well as mixup", kind="numerical",
    statement=r"\mathrm{gap}(\varrho)\text{ at }E_{\mathrm{test}}(\varrho) = E_{\mathrm{test}}(\text{mixup at }"
              r"\alpha = 0.2)",
    assumptions=REACH.assumptions, fails_when=REACH.fails_when,
    predict=gap_at_equal_error,
    exact=lambda power, orthonormal, **case: routes.searched_path(**case, power=power, orthonormal=orthonormal)[1],
    cases=tuple({**COMPARED, "power": power, "orthonormal": o} for power, o in ((0, False), (2, False), (2, True))),
    tolerance=1e-7,
    wrong={"the gap of mixup": predicts(
               lambda alpha, degree, n, sigma, **_:
               2 * sigma**2 * polynomial_degrees_of_freedom(alpha, f"equispaced {n}", degree) / n),
           "the basis does not matter": predicts(
               lambda orthonormal, **case: gap_at_equal_error(**case, orthonormal=False))})
