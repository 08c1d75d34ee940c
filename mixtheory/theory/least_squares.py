r"""Least squares on mixed data: what mixing leaves alone, and what it changes.

With an intercept, mixing leaves the minimiser of the squared error exactly where it was: the covariance of
the features and their covariance with the targets shrink by the same factor. What changes is what that
covariance is weighed against: the mean where there is no intercept, a penalty, or (in
`least_squares_descent`) time; and, in `least_squares_noise`, finitely many mixed points add noise. All are
claims of one chapter.

Loss 1/2 mean squared error, penalty ridge / 2 |w|^2 on the slopes only. `data` is a name for `dataset`, a
pair (x, y), or `Moments`; C, c are covariances and m, m_y means with weight 1/n each, and s_n = (n s - 1)/(n
- 1).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp

from mixtheory.domain import DomainError, check_count, is_symbolic
from mixtheory.evidence import Claim, Derivation, Mean, beta, cases, predicts, scalar, simulates
from mixtheory.mixing import Atoms, Beta, Folded, symmetric
from mixtheory.mixup import blend
from mixtheory.theory import _least_squares_routes as routes
from mixtheory.theory import mixing_moments as mm
from mixtheory.theory._least_squares_data import (
    Data,
    Moments,
    dataset,
    members,
    moments,
    packed,
    pair_of,
    ridge_solution,
    solve,
    symbolic_moments,
    with_intercept,
)

__all__ = ["Moments", "dataset", "effective_ridge", "minimiser", "moments", "no_intercept", "pair_factor",
           "ridge_ceiling", "ridge_minimiser", "risk", "weighted_mean"]

ALPHA, LAM, N = mm.ALPHA, mm.LAM, sp.Symbol("n", integer=True, positive=True)
RIDGE = sp.Symbol("varrho", positive=True)
S_SHRINK = "mixing_moments.shrinkage"
SHARES = LAM**2 + (1 - LAM)**2
LINEAR = "zhang2018mixup: equation 1 (from memory)"
ALPHAS = (0.0, 0.37, 1.0, 4.2, np.inf)


def pair_factor(alpha: Any, n: Any = None) -> Any:
    """Factor on covariances when all pairs of a data set are mixed: s, or (n s - 1)/(n - 1) if distinct.

    Args:
        alpha: in [0, inf]; float, array or symbol.
        n: None for all n^2 ordered pairs; the number of points, at least 2, for the n (n - 1) distinct ones.

    Returns:
        A dimensionless factor in [0, 1]; 0 only for n = 2 distinct points at alpha = inf.

    Raises:
        DomainError: alpha negative or NaN, n < 2.
    """
    s = mm.shrinkage(alpha)
    return s if n is None else (check_count(n) * s - 1) / (n - 1)


def risk(alpha: Any, square: Any, mean: Any, n: Any = None) -> Any:
    """Mixup risk of an affine model: 1/2 (f mean r^2 + (1 - f) (mean r)^2) with f = `pair_factor(alpha, n)`.

    Mixing shrinks the spread of the residuals by f and keeps their mean.

    Args:
        alpha: in [0, inf].
        square: mean of r^2 over the residuals r on the plain data, at least mean^2.
        mean: mean of r.
        n: None for all pairs, the number of points for distinct pairs.

    Returns:
        Half the mean squared error over pairs and lambda, in squared target units.

    Raises:
        DomainError: square < mean^2, or arguments outside the domain of `pair_factor`.
    """
    if not is_symbolic(square, mean) and np.any(np.asarray(square) < np.asarray(mean) ** 2):
        raise DomainError(f"square = {square!r}: a mean square is at least the square of the mean ({mean!r})")
    factor = pair_factor(alpha, n)
    return (factor * square + (1 - factor) * mean**2) / 2


def minimiser(law: Any, data: Data, distinct: bool = False) -> Any:
    """Intercept and slopes that minimise the mixup risk: those of ordinary least squares, for any law.

    Args:
        law: alpha in [0, inf] or any `Law`, symmetric or not; it decides only whether the minimiser is
            unique.
        data: see the module; C must be invertible. Vector targets, such as one-hot labels, give one column
            each.
        distinct: whether self-pairs are left out.

    Returns:
        (p + 1,) or (p + 1, k): intercept first, then slopes in target units per feature unit.

    Raises:
        DomainError: C is singular; or two distinct points at lambda = 1/2, where all mixed points coincide.
    """
    d = moments(data)
    if not is_symbolic(*d.C.flat):
        kept = 1 - 2 * routes.law_of(law).moment(1, 1)
        if d.n * kept - 1 <= 1e-12 and distinct:
            raise DomainError(f"law = {law!r}: two distinct points mixed half and half are one point, no "
                              f"slope is best")
    return with_intercept(d, solve(d.C, d.c))


def no_intercept(alpha: Any, data: Data, distinct: bool = False) -> Any:
    """Slopes of the mixup minimiser without an intercept: (f C + m m^T)^-1 (f c + m m_y).

    Here the means stay while the covariances shrink by f = s, or s_n for distinct pairs, so that mixing
    matters.

    Args:
        alpha: in [0, inf].
        data: see the module; f C + m m^T must be invertible.
        distinct: whether self-pairs are left out.

    Returns:
        (p,) or (p, k) slopes, target units per feature unit.

    Raises:
        DomainError: singular second moments, alpha outside its domain.
    """
    d = moments(data)
    f = pair_factor(alpha, d.n if distinct else None)
    return packed(solve(f * d.C + np.outer(d.mean, d.mean), f * d.c + np.multiply.outer(d.mean, d.mean_y)))


def weighted_mean(alpha: Any, data: Data) -> Any:
    """One feature, no intercept: omega c/C + (1 - omega) m_y/m with omega = s C / (s C + m^2).

    Between the slope of the centred data and the slope of the line from the origin to the centre; mixing
    moves weight to the latter. Arguments and errors as in `no_intercept`; p = 1 and m != 0. Returns (1,)
    slopes.
    """
    d = moments(data)
    if len(d.mean) != 1 or d.mean[0] == 0:
        raise DomainError(f"mean of x = {d.mean}: one feature with a mean that is not 0")
    C, m = d.C[0, 0], d.mean[0]
    omega = mm.shrinkage(alpha) * C / (mm.shrinkage(alpha) * C + m**2)
    return packed(omega * d.c / C + (1 - omega) * np.atleast_1d(d.mean_y) / m)


def effective_ridge(alpha: Any, ridge: Any, n: Any = None) -> Any:
    """Ridge that does on plain data what `ridge` does on mixed data: ridge / s, or ridge (n - 1)/(n s - 1).

    Args:
        alpha: in [0, inf]; float, array or symbol.
        ridge: strength >= 0 of the penalty ridge / 2 |w|^2, intercept free, in squared feature units.
        n: None for all pairs, the number of points for distinct pairs.

    Returns:
        A strength from ridge to 2 ridge for all pairs; for distinct pairs of few points it can be larger.

    Raises:
        DomainError: ridge negative or not finite, factor 0 (two distinct points at alpha = inf), others of
            `pair_factor`.
    """
    factor = pair_factor(alpha, n)
    if not is_symbolic(alpha, n) and np.any(np.asarray(factor) <= 0):
        raise DomainError(f"alpha = {alpha!r} with n = {n!r}: two distinct points mixed half and half are "
                          f"one point")
    return check_ridge(ridge) / factor


def ridge_minimiser(alpha: Any, ridge: Any, data: Data, distinct: bool = False) -> Any:
    """Ridge regression on mixed data: w = (C + effective_ridge I)^-1 c and b = m_y - m^T w.

    Args:
        alpha: see `effective_ridge`.
        ridge: see `effective_ridge`.
        data: see the module.
        distinct: whether self-pairs are left out.

    Returns:
        (p + 1,) or (p + 1, k): intercept first.

    Raises:
        DomainError: see `effective_ridge`; C singular with ridge = 0.
    """
    d = moments(data)
    return ridge_solution(d, effective_ridge(alpha, ridge, d.n if distinct else None))


def ridge_ceiling(ridge: Any) -> Any:
    """Twice the ridge: no effective ridge of all pairs is larger, for any law; the limit as alpha grows.

    Raises DomainError for a ridge that is negative or not finite.
    """
    return 2 * check_ridge(ridge)


def check_ridge(ridge: Any) -> Any:
    """A finite penalty strength (or array of them) >= 0."""
    if not is_symbolic(ridge) and not (np.isfinite(ridge).all() and np.min(ridge) >= 0):
        raise DomainError(f"ridge = {ridge!r}: must be finite and at least 0")
    return ridge


# --- derivations --------------------------------------------------------------------------------------------

def derive_risk(n: Any = None) -> Derivation:
    """Residuals of an affine model mix like the data; then the mean of a square over pairs."""
    r_i, r_j, x_i, x_j, w, b = sp.symbols("r_i r_j x_i x_j w b", real=True)
    square, mean = sp.Symbol(r"\overline{r^2}", positive=True), sp.Symbol(r"\bar{r}", real=True)
    pair = members(((r_i,), (r_j,)), lambda powers: (sp.S.One, mean, square)[powers[0]], n)
    lam = beta(LAM, ALPHA)
    target = blend(LAM, w * x_i + b + r_i, w * x_j + b + r_j)
    crossed = mean**2 if n is None else (n * mean**2 - square) / (n - 1)
    d = Derivation(r"\text{mixup risk}", Mean((target - w * blend(LAM, x_i, x_j) - b)**2 / 2, pair, lam),
                   {"alpha": ALPHA, "square": square, "mean": mean} | ({} if n is None else {"n": n}))
    d = d.equals(Mean(blend(LAM, r_i, r_j)**2 / 2, pair, lam), "the model is affine: it commutes with mixing")
    d = d.equals(Mean(SHARES, lam) * square / 2 + Mean(2 * LAM * (1 - LAM), lam) * crossed / 2,
                 "the two members are independent draws" if n is None else
                 "two distinct members of n are slightly negatively correlated")
    return d.equals(risk(ALPHA, square, mean, n), "the shrinkage factor", claim=S_SHRINK)


def derive_minimiser() -> Derivation:
    """The risk is quadratic: one Newton step from anywhere reaches its minimiser. Take it from OLS."""
    b, w_1, w_2 = sp.symbols("b w_1 w_2", real=True)
    d = symbolic_moments(2, N)
    w = np.array([w_1, w_2], dtype=object)
    d = d._replace(mean_y=b + d.mean @ w, c=d.C @ w)            # (b, w) is the OLS solution of these data
    x_i, y_i, x_j, y_j, pair = pair_of(d, distinct=True)
    laws = pair, scalar(LAM, *sp.symbols("E_1 E_2"))            # lambda with any mean and mean square
    theta, inverse = sp.Matrix([b, w_1, w_2]), sp.Matrix(3, 3, lambda j, k: sp.Symbol(f"h_{j}{k}"))
    mixed = [sp.S.One, *(blend(LAM, *both) for both in zip(x_i, x_j, strict=True))]
    residual = blend(LAM, y_i, y_j) - sum(t * z for t, z in zip(theta, mixed, strict=True))
    r_i, r_j = (y - b - w @ x for x, y in ((x_i, y_i), (x_j, y_j)))
    step = Derivation(r"\hat\theta", theta + inverse * sp.Matrix([Mean(z * residual, *laws) for z in mixed]),
                      {"law": Beta(*sp.symbols("a b_0", positive=True)), "data": d, "distinct": True})
    step = step.equals(theta + inverse * sp.Matrix([Mean(z * blend(LAM, r_i, r_j), *laws) for z in mixed]),
                       "one Newton step from the OLS solution; the residual of a mixed point is the mixed "
                       "residual")
    return step.equals(minimiser(Beta(1, 1), d),
                       "OLS residuals have mean 0 and no covariance with the features: "
                       "the step is 0 for every law of lambda, with self-pairs or without")


def mixed_second_moments(d: Moments) -> tuple[Any, ...]:
    """E x~, E y~, E x~^2, E x~ y~ of one feature as means over pairs and lambda, for derivations."""
    (x_i,), y_i, (x_j,), y_j, pair = pair_of(d)
    x, y, laws = blend(LAM, x_i, x_j), blend(LAM, y_i, y_j), (pair, beta(LAM, ALPHA))
    return Mean(x, *laws), Mean(y, *laws), Mean(x**2, *laws), Mean(x * y, *laws)


def kept(d: Moments, distinct: bool = False) -> Any:
    """The factor on covariances with E S still a mean, for derivations."""
    S = Mean(SHARES, beta(LAM, ALPHA))
    return (d.n * S - 1) / (d.n - 1) if distinct else S


def derive_no_intercept(distinct: bool = False) -> Derivation:
    """One Newton step does not move the solution; every entry of C, c, m m^T and m m_y goes this way."""
    d, w, inverse = symbolic_moments(1, N), sp.Symbol("w", real=True), sp.Symbol("h", positive=True)
    (m,), ((C,),), (c,), f = d.mean, d.C, d.c, pair_factor(ALPHA, N if distinct else None)
    # w solves (f C + m^2) w = f c + m m_y
    d = d._replace(mean_y=((f * C + m**2) * w - f * c) / m)
    (x_i,), y_i, (x_j,), y_j, pair = pair_of(d, distinct)
    x, y, lam = blend(LAM, x_i, x_j), blend(LAM, y_i, y_j), beta(LAM, ALPHA)
    step = Derivation(r"\hat w", sp.Matrix([w - inverse * Mean(x * (w * x - y), pair, lam)]),
                      {"alpha": ALPHA, "data": d, "distinct": distinct})
    step = step.equals(sp.Matrix([w - inverse * (kept(d, distinct) * (w * C - c) + m * (w * m - d.mean_y))]),
                       "one Newton step from w: covariances shrink, products of means stay, entry by entry")
    return step.equals(no_intercept(ALPHA, d, distinct),
                       "w solves (f C + m m^T) w = f c + m m_y: the step is 0",
                       claim=S_SHRINK)


def derive_weighted_mean() -> Derivation:
    """The solution without an intercept, split into its two slopes."""
    d = symbolic_moments(1)
    (m,), ((C,),), (c,), s = d.mean, d.C, d.c, mm.shrinkage(ALPHA)
    step = Derivation(r"\hat w", no_intercept(ALPHA, d), {"alpha": ALPHA, "data": d})
    step = step.equals(sp.Matrix([(s * C * (c / C) + m**2 * (d.mean_y / m)) / (s * C + m**2)]),
                       "without an intercept", claim="least_squares.no_intercept")
    return step.equals(weighted_mean(ALPHA, d), "a weighted mean of the two slopes", claim=S_SHRINK)


def derive_ridge() -> Derivation:
    """Along an eigenvector of C, where slopes decouple and the penalty looks the same."""
    d = symbolic_moments(1)
    ((C,),), (c,), (m,), f = d.C, d.c, d.mean, kept(d)
    x, y, square, cross = mixed_second_moments(d)
    w = (cross - x * y) / (square - x**2 + RIDGE)
    step = Derivation(r"(\hat b, \hat w)", sp.Matrix([y - x * w, w]),
                      {"alpha": ALPHA, "ridge": RIDGE, "data": d})
    w = f * c / (f * C + RIDGE)
    step = step.equals(sp.Matrix([d.mean_y - m * w, w]),
                       "along an eigenvector of C: covariances shrink by one factor, "
                       "the penalty does not")
    return step.equals(ridge_minimiser(ALPHA, RIDGE, d), "divide by the factor", claim=S_SHRINK)


def derive_ridge_distinct() -> Derivation:
    """One Newton step, along an eigenvector of C; a free intercept lets us centre the data."""
    d, f = symbolic_moments(1, N, centred=True), pair_factor(ALPHA, N)
    w, inverse, strength = sp.Symbol("w", real=True), *sp.symbols("h tau", positive=True)
    ((C,),) = d.C
    # w is ridge regression at the strength tau
    d = d._replace(c=np.array([(C + strength) * w], dtype=object))
    (x_i,), y_i, (x_j,), y_j, pair = pair_of(d, distinct=True)
    x, y, lam = blend(LAM, x_i, x_j), blend(LAM, y_i, y_j), beta(LAM, ALPHA)
    step = Derivation(r"(\hat b, \hat w)", sp.Matrix(
        [Mean(y, pair, lam), w - inverse * (Mean(x * (w * x - y), pair, lam) + f * strength * w)]),
        {"alpha": ALPHA, "ridge": f * strength, "data": d, "distinct": True})
    step = step.equals(sp.Matrix([0, w - inverse * (kept(d, True) * (w * C - d.c[0]) + f * strength * w)]),
                       "one Newton step from w, for a ridge of f tau: covariances shrink by one factor")
    return step.equals(ridge_minimiser(ALPHA, f * strength, d, True),
                       "(C + tau) w = c: the step is 0, and the ridge "
                       "f tau acts as tau", claim=S_SHRINK)


def derive_ceiling() -> Derivation:
    """The effective ridge rises with alpha, to its limit."""
    step = Derivation(r"\sup_\alpha \varrho_{\mathrm{eff}}",
                      sp.Limit(effective_ridge(ALPHA, RIDGE), ALPHA, sp.oo), {"ridge": RIDGE})
    step = step.equals(sp.Limit(2 * RIDGE - RIDGE / (ALPHA + 1), ALPHA, sp.oo),
                       "what is missing to the double is positive and falls as alpha grows",
                       claim="least_squares.ridge")
    return step.equals(ridge_ceiling(RIDGE), "the limit")


def largest_ridge(ridge: float) -> np.ndarray:
    """Ridges that give on plain data what `ridge` gives on mixed data: alphas up to infinity, other laws."""
    (x, y), laws = dataset("line"), [*map(symmetric, (*np.geomspace(1e-3, 1e2, 11), np.inf)), Beta(3.0, 0.4)]
    a, b = x[:, 0] - x.mean(), y - y.mean()
    return np.array([a @ b / len(a) / routes.minimise(law, "line",
                                                      ridge=ridge)[1] - a @ a / len(a) for law in laws])


def ols_slopes(data: Data) -> Any:
    """Slopes of ordinary least squares."""
    return packed(solve(moments(data).C, moments(data).c))


# --- claims -------------------------------------------------------------------------------------------------

RESIDUALS = cases(alpha=(0.0, 0.37, 1.0, np.inf), square=2.3, mean=(0.0, -1.1))
RISK = Claim(
    id="least_squares.risk", title="Mixing shrinks the spread of residuals, not their mean",
    statement=r"\tfrac12\,\mathbb{E}(f(\tilde x)-\tilde y)^2 = "
              r"\tfrac12\bigl(s\,\overline{r^2} + (1-s)\,\bar r^{\,2}\bigr)",
    assumptions=("$f$ is affine",
                 "all ordered pairs of a fixed data set, self-pairs included, equally likely"),
    fails_when="$f$ is not affine: the residual of a mixed point is then not the mixed residual",
    predict=risk, derive=derive_risk, exact=routes.enumerated_risk, simulate=routes.drawn_risk,
    cases=RESIDUALS,
    wrong={"everything shrinks": predicts(
        lambda alpha, square, mean, n=None: mm.shrinkage(alpha) * square / 2),
           "nothing shrinks": predicts(lambda alpha, square, mean, n=None: square / 2),
           "half mixed": predicts(lambda alpha, square, mean, n=None: (square + mean**2) / 4),
           "lambda swapped on the targets": simulates(
               lambda size, *, rng, **case: routes.drawn_risk(size, rng=rng, swapped=True, **case))},
    references=(LINEAR,), experiment="least_squares")
RISK_DISTINCT = Claim(
    id="least_squares.risk_distinct", title="The mixup risk without self-pairs",
    statement=r"\tfrac12\,\mathbb{E}(f(\tilde x)-\tilde y)^2 = \tfrac12\bigl(s_n\,\overline{r^2} + "
              r"(1-s_n)\,\bar r^{\,2}\bigr),\quad s_n = \frac{ns-1}{n-1}",
    assumptions=("$f$ is affine", "all $n(n-1)$ ordered pairs of distinct members equally likely"),
    fails_when="self-pairs occur: then the factor is $s$",
    predict=risk, derive=lambda: derive_risk(N), exact=routes.enumerated_risk, simulate=routes.drawn_risk,
    cases=cases(alpha=(0.37, 1.0, np.inf), square=2.3, mean=(0.0, -1.1),
                n=(2, 5)),
    scale=lambda value, square, **_: square / 2,
    wrong={"self-pairs in": predicts(lambda alpha, square, mean, n: risk(alpha, square, mean)),
           "n for n - 1": predicts(lambda alpha, square, mean, n: risk(alpha, square, mean)
                                   - (1 - mm.shrinkage(alpha)) * (square - mean**2) / (2 * n)),
           "self-pairs drawn": simulates(
               lambda size, *, rng, **case: routes.drawn_risk(size, rng=rng, self_pairs=True, **case))},
    references=(LINEAR,))

LAWS = (Beta(0.4, 0.4), Folded(Beta(0.7, 0.7)), Beta(3.0, 0.6), Atoms((0.2, 0.9), (0.75, 0.25)))
INVARIANCE = Claim(
    id="least_squares.invariance", title="With an intercept, least squares does not notice mixing",
    statement=r"\arg\min_{b,w}\,\mathbb{E}\,\tfrac12\bigl(b + w^\top\tilde x - \tilde y\bigr)^2 = "
              r"\bigl(\hat b_{\mathrm{OLS}}, \hat w_{\mathrm{OLS}}\bigr)",
    assumptions=("the exact mixup risk: all pairs, with or without self-pairs",
                 "an intercept that is not penalised",
                 "any law of $\\lambda$, symmetric or not, whose factor on covariances is not 0; scalar or "
                 "vector targets"),
    fails_when="there is no intercept, a penalty, early stopping, or the pairs are only sampled",
    predict=minimiser, derive=derive_minimiser,
    exact=lambda law, data, distinct=False: routes.minimise(law, data, distinct=distinct), tolerance=1e-10,
    cases=(*cases(law=LAWS, data="skewed", distinct=(False, True)),
           *cases(law=(Beta(0.4, 0.4), LAWS[1]), data="iris"),
           {"law": Beta(1.0, 1.0), "data": "diabetes"},
           {"law": Beta(3.0, 0.6), "data": "diabetes", "distinct": True}),
    wrong={"no intercept column": predicts(lambda law, data, distinct=False: routes.minimise(
               law, data, distinct=distinct, intercept=False), symbolic=False),
           "lambda and 1 - lambda swapped on the targets": predicts(
               lambda law, data, distinct=False: routes.minimise(
               law, data, distinct=distinct, swapped=True), symbolic=False),
           "slopes shrink by s": predicts(
               lambda law, data, distinct=False: minimiser(law, data, distinct) * 2 / 3)},
    references=("efron2004lars: the diabetes data (from memory)",), experiment="least_squares")

NO_INTERCEPT = Claim(
    id="least_squares.no_intercept", title="Without an intercept, mixing matters",
    statement=r"\hat w = (s\,C + m m^\top)^{-1}(s\,c + m\,m_y)",
    assumptions=("no intercept", "all ordered pairs, self-pairs included", r"$sC + mm^\top$ is invertible"),
    fails_when="an intercept is fitted, or the features are centred: then $s$ cancels",
    predict=no_intercept, derive=derive_no_intercept,
    exact=lambda alpha, data, distinct=False: routes.minimise(alpha, data, distinct=distinct,
                                                              intercept=False)[1:],
    cases=(*cases(alpha=ALPHAS, data="skewed"), *cases(alpha=0.37, data=("iris", "diabetes"))),
    wrong={"no mixing": predicts(lambda alpha, data, distinct=False: no_intercept(0, data)),
           "slopes of OLS": predicts(lambda alpha, data, distinct=False: ols_slopes(data))})
NO_INTERCEPT_DISTINCT = Claim(
    id="least_squares.no_intercept_distinct", title="Without an intercept and without self-pairs",
    statement=r"\hat w = (s_n\,C + m m^\top)^{-1}(s_n\,c + m\,m_y),\quad s_n = \frac{ns-1}{n-1}",
    assumptions=("no intercept", "all ordered pairs of distinct members"),
    fails_when="self-pairs occur: then the factor is $s$",
    predict=no_intercept, derive=lambda: derive_no_intercept(distinct=True), exact=NO_INTERCEPT.exact,
    cases=cases(alpha=ALPHAS, data=("skewed", "tiny"), distinct=True),
    wrong={"self-pairs in": predicts(lambda alpha, data, distinct: no_intercept(alpha, data)),
           "slopes of OLS": predicts(lambda alpha, data, distinct: ols_slopes(data))})
WEIGHTED_MEAN = Claim(
    id="least_squares.weighted_mean", title="One feature, no intercept: a weighted mean of two slopes",
    statement=r"\hat w = \omega\,\frac{c}{C} + (1-\omega)\,\frac{m_y}{m},\quad \omega = \frac{sC}{sC+m^2}",
    assumptions=("one feature, $m \\ne 0$, no intercept", "all ordered pairs, self-pairs included"),
    fails_when="an intercept is fitted",
    predict=weighted_mean, derive=derive_weighted_mean,
    exact=lambda alpha, data: routes.minimise(alpha, data, intercept=False)[1:],
    cases=cases(alpha=ALPHAS, data="line"),
    wrong={"weights of the plain data": predicts(lambda alpha, data: weighted_mean(0, data)),
           "slope of OLS": predicts(lambda alpha, data: ols_slopes(data))})

RIDGES = {"the same ridge": lambda alpha, ridge, data, distinct=False: ridge_solution(
              moments(data), ridge),
          "ridge times s": lambda alpha, ridge, data, distinct=False: ridge_solution(
              moments(data), ridge * mm.shrinkage(alpha))}
RIDGE_REGRESSION = Claim(
    id="least_squares.ridge", title="Mixing strengthens ridge by 1/s",
    statement=r"\hat w = \Bigl(C + \frac{\varrho}{s}\,I\Bigr)^{-1} c,\quad \hat b = m_y - m^\top\hat w,\quad "
              r"\frac{\varrho}{s} = \varrho\,\frac{2\alpha+1}{\alpha+1}",
    assumptions=(r"penalty $\tfrac{\varrho}{2}\|w\|^2$ on the slopes, loss $\tfrac12$ mean squared error, "
                 r"free intercept",
                 "all ordered pairs, self-pairs included"),
    fails_when="the intercept is penalised, or self-pairs are left out (least_squares.ridge_distinct)",
    predict=ridge_minimiser, derive=derive_ridge,
    exact=lambda alpha, ridge, data, distinct=False: routes.minimise(alpha, data, distinct=distinct,
                                                                     ridge=ridge),
    cases=(*cases(alpha=ALPHAS, ridge=(0.03, 0.5), data="skewed"),
           *cases(alpha=0.37, ridge=0.5, data=("iris", "diabetes"))),
    wrong={name: predicts(formula) for name, formula in RIDGES.items()},
    references=("hoerl1970ridge: ridge regression (from memory)",), experiment="least_squares")
RIDGE_DISTINCT = Claim(
    id="least_squares.ridge_distinct", title="Ridge without self-pairs",
    statement=r"\hat w = \Bigl(C + \varrho\,\frac{n-1}{ns-1}\,I\Bigr)^{-1} c",
    assumptions=RIDGE_REGRESSION.assumptions[:1] + ("all ordered pairs of distinct members",),
    fails_when="self-pairs occur: then it is $\\varrho/s$",
    predict=ridge_minimiser, derive=derive_ridge_distinct, exact=RIDGE_REGRESSION.exact,
    cases=cases(alpha=ALPHAS, ridge=0.5, data=("skewed", "tiny"), distinct=True),
    wrong={"self-pairs in": predicts(
        lambda alpha, ridge, data, distinct: ridge_minimiser(alpha, ridge, data)),
           **{name: predicts(formula) for name, formula in RIDGES.items()}},
    references=("hoerl1970ridge: ridge regression (from memory)",), experiment="least_squares")
RIDGE_CEILING = Claim(
    id="least_squares.ridge_ceiling", title="Mixing at most doubles a ridge",
    kind="bound", side="upper", tight=1e-5,
    statement=r"\varrho_{\mathrm{eff}} < 2\varrho \quad (\alpha < \infty)",
    assumptions=("all ordered pairs, self-pairs included", "any law of $\\lambda$"),
    fails_when="self-pairs are left out and points are few: $n = 2$ has no ceiling",
    predict=ridge_ceiling, derive=derive_ceiling, exact=largest_ridge, cases=cases(ridge=(0.01, 0.5, 7.0)),
    wrong={"tighter by a tenth": predicts(lambda ridge: 1.9 * ridge),
           "no effect": predicts(lambda ridge: ridge)})
