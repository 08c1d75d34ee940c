"""Exercises on least squares: bugs, other partners, other weights. Checkers enumerate pairs and fit."""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
from scipy import integrate, optimize
from scipy.special import roots_jacobi

from mixtheory.exercises.judging import Choice, Exercise, Formula, Function, Witness
from mixtheory.mixing import Beta, symmetric

X = np.array([-1.3, 0.2, 0.9, 1.1, 2.4, 4.0])
Y = np.array([0.5, -0.8, 1.9, 0.4, 1.2, 3.7])
Shares = list[tuple[float, float, float]]               # share of the first in features and target, probability
Mixed = tuple[np.ndarray, np.ndarray, np.ndarray]       # features, targets, probabilities


# ---- all mixed points of a data set ------------------------------------------------------------------------------

def _mixed(x: np.ndarray, y: np.ndarray, shares: Shares, P: np.ndarray | None = None) -> Mixed:
    """Every mixed point with its probability.

    Args:
        x: features (n,) or (n, p).
        y: targets (n,).
        shares: the law of the weights.
        P: (n, n) probabilities of the partner, one row an example; None: all alike.
    """
    n = len(x)
    P = np.full((n, n), 1 / n) if P is None else P
    i, j = np.divmod(np.arange(n * n), n)
    x = x.reshape(n, -1)
    return (np.concatenate([a * x[i] + (1 - a) * x[j] for a, _, _ in shares]),
            np.concatenate([b * y[i] + (1 - b) * y[j] for _, b, _ in shares]),
            np.concatenate([w * P[i, j] / n for _, _, w in shares]))


def _fit(x: np.ndarray, y: np.ndarray, mass: np.ndarray, *, intercept: bool = True, ridge: float = 0.0) -> np.ndarray:
    """Weighted least squares, loss 1/2 mean square, penalty ridge / 2 |w|^2; [intercept; slopes], or slopes alone."""
    A = np.column_stack([np.ones(len(x)), x]) if intercept else x
    penalty = ridge * np.eye(A.shape[1])
    penalty[0, 0] *= not intercept
    return np.linalg.solve(A.T @ (mass[:, None] * A) + penalty, A.T @ (mass * y))


def _tied(law: object) -> Shares:
    """Shares of mixup proper."""
    lam, mass = law.quadrature(nodes=6)
    return [(v, v, m) for v, m in zip(lam, mass, strict=True)]


def _slope(shares: Shares) -> float:
    """Slope on the mixed points of the small data set, over that of least squares."""
    return float(_fit(*_mixed(X, Y, shares))[1] / np.polyfit(X, Y, 1)[0])


# ---- a fixed weight ----------------------------------------------------------------------------------------------

def _replaces(c: float) -> float:
    """The ridge on plain data, found by bisection, whose fit is that of ridge 1 with lambda = c."""
    target = _fit(*_mixed(X, Y, [(c, c, 1.0)]), ridge=1.0)[1]
    plain = _mixed(X, Y, [(1.0, 1.0, 1.0)])
    return float(optimize.brentq(lambda ridge: _fit(*plain, ridge=ridge)[1] - target, 1e-3, 1e3, xtol=1e-12))


Exercise(name="least_squares-constant", level="warm-up", minutes=5, wants=Formula(
    symbols=("c",), truth=_replaces, points=({"c": 0.1}, {"c": 0.3}, {"c": 0.62}, {"c": 0.95}), mistakes={
        "the ridge is weakened where it is strengthened": lambda c: 1 / _replaces(c),
        "all covariance is multiplied by c": lambda c: 1 / c,
        "lambda is uniform instead of constant": lambda c: 1.5}))


# ---- mixup switched off ------------------------------------------------------------------------------------------

def _plain_time(alpha: float, t: float, T: float) -> float:
    """Time of plain gradient flow that ends where mixup until t and none until T ends: integrated, and inverted."""
    factor = symmetric(alpha).expect(lambda lam: lam**2 + (1 - lam) ** 2, nodes=4)
    how = {"rtol": 1e-11, "atol": 1e-13}
    half = integrate.solve_ivp(lambda _, w: factor * (1 - w), (0, t), [0.0], **how).y[0, -1]
    end = integrate.solve_ivp(lambda _, w: 1 - w, (0, T - t), [half], **how).y[0, -1]
    arrives = integrate.solve_ivp(lambda _, w: 1 - w, (0, T), [0.0], dense_output=True, **how).sol
    return float(optimize.brentq(lambda s: arrives(s)[0] - end, 0, T, xtol=1e-12))


Exercise(name="least_squares-switch", level="warm-up", minutes=10, wants=Formula(
    symbols=("alpha", "t", "T"), truth=_plain_time,
    points=({"alpha": 0.4, "t": 0.5, "T": 1.3}, {"alpha": 1.0, "t": 1.1, "T": 1.2}, {"alpha": 3.7, "t": 0.3, "T": 2.0}),
    mistakes={"mixup goes on to the end": lambda alpha, t, T: _plain_time(alpha, T, T),
              "mixup begins at t": lambda alpha, t, T: _plain_time(alpha, T - t, T),
              "mixing hastens the descent": lambda alpha, t, T: 2 * T - _plain_time(alpha, t, T)}))


# ---- a lambda for the targets ------------------------------------------------------------------------------------

def _two_lambdas(alpha: float) -> float:
    """Slope ratio with independent weights for features and targets: all pairs, both quadratures."""
    lam, mass = symmetric(alpha).quadrature(nodes=6)
    pairs = itertools.product(zip(lam, mass, strict=True), repeat=2)
    return _slope([(a, b, u * v) for (a, u), (b, v) in pairs])


def _swapped(alpha: float) -> float:
    return _slope([(a, 1 - a, m) for a, _, m in _tied(symmetric(alpha))])


Exercise(name="least_squares-independent", level="core", minutes=10, wants=Formula(
    symbols=("alpha",), truth=_two_lambdas, points=({"alpha": 0.2}, {"alpha": 0.9}, {"alpha": 2.2}, {"alpha": 8.0}),
    mistakes={"the targets get the complementary weight, 1 - lambda": _swapped,
              "the covariance of the features is not mixed": lambda alpha: 0.5,
              "all covariances shrink alike": lambda alpha: 1.0}))


# ---- own labels --------------------------------------------------------------------------------------------------

def _own_label(a: float, b: float) -> float:
    """Slope ratio when the target is that of the first example and its share has the law Beta(a, b)."""
    lam, mass = Beta(a, b).quadrature(nodes=6)
    return _slope([(v, 1.0, m) for v, m in zip(lam, mass, strict=True)])


Exercise(name="least_squares-own", level="core", minutes=15, wants=Formula(
    symbols=("a", "b"), truth=_own_label,
    points=({"a": 0.5, "b": 0.5}, {"a": 2.3, "b": 0.8}, {"a": 1.4, "b": 3.0}, {"a": 1.9, "b": 0.9}), mistakes={
        "the targets are mixed too": lambda a, b: 1.0,
        "the covariance of the features is not mixed": lambda a, b: a / (a + b),
        "the weight is replaced by its mean": lambda a, b: _slope([(a / (a + b), 1.0, 1.0)]),
        "a and b are exchanged": lambda a, b: _own_label(b, a)}))


# ---- what survives -----------------------------------------------------------------------------------------------

LAW = [(0.3, 0.3, 0.5), (0.9, 0.9, 0.5)]


def _absolute(x: np.ndarray, y: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """[intercept, slope] of least absolute deviations, as a linear programme in (b, w, excess, shortfall)."""
    A = np.column_stack([np.ones(len(x)), x, -np.eye(len(x)), np.eye(len(x))])
    free = [(None, None)] * 2 + [(0, None)] * (2 * len(x))
    return optimize.linprog(np.concatenate([[0, 0], mass, mass]), A_eq=A, b_eq=y, bounds=free).x[:2]


@cache
def _survivors() -> str:
    """The methods whose slopes on mixed points equal their slopes on the data: fitted on one small data set."""
    plain, n = [(1.0, 1.0, 1.0)], len(X)
    x, y = X - X.mean(), Y - Y.mean()
    near = np.exp(-np.abs(Y[:, None] - Y))
    roll = (np.roll(np.eye(n), 1, axis=1) + np.roll(np.eye(n), -1, axis=1)) / 2

    def squares(z: np.ndarray) -> np.ndarray:
        return np.column_stack([z, z**2])

    def both(method: object, **how: object) -> tuple[np.ndarray, np.ndarray]:
        return method(plain, **how), method(LAW, **how)

    def weighted(shares: Shares, weight: object = None, P: np.ndarray | None = None) -> np.ndarray:
        P = np.full((n, n), 1 / n) if P is None else P
        return _fit(*_mixed(X, Y, [(a, b, w * (weight(a) if weight else 1)) for a, b, w in shares], P))[1:]

    def late(shares: Shares) -> np.ndarray:
        z, t, mass = _mixed(X, Y, shares)
        return _fit(squares(z[:, 0]), t, mass)[1:]

    fits = {"a": both(lambda s: _fit(*_mixed(x, Y, s), intercept=False)),
            "b": both(lambda s: _fit(*_mixed(X, y, s), intercept=False)),
            "c": both(lambda s: _fit(*_mixed(squares(X), Y, s))[1:]),
            "d": both(late),
            "e": both(lambda s: _absolute(*_mixed(X, Y, s))[1:]),
            "f": both(weighted, weight=lambda lam: 4 * lam * (1 - lam) + 0.1),
            "g": (weighted(plain), weighted(LAW, P=near)),
            "h": (weighted(plain), weighted(LAW, P=roll))}
    return "".join(letter for letter, (before, after) in fits.items() if np.allclose(before, after, rtol=1e-6))


Exercise(name="least_squares-survives", level="core", minutes=20, wants=Choice(
    options="abcdefgh", truth=_survivors, mistakes={
        "acdf": "One of these bends the features after mixing. Is the new residual a mix of residuals?",
        "abcf": "Is there a constant in the fit? Without one, whose mean has to vanish?",
        "acfh": "Which pairs occur decides which covariances are averaged.",
        "acfg": "Which pairs count decides which covariances are averaged."}))

Exercise(name="least_squares-report", level="core", minutes=10)


# ---- any partner -------------------------------------------------------------------------------------------------

def _partnered(alpha: float, x: np.ndarray, y: np.ndarray, P: np.ndarray) -> np.ndarray:
    """[intercept; slopes] on all mixed points, partners by P: enumerated and fitted."""
    return _fit(*_mixed(x, y, _tied(symmetric(alpha)), P))


def _partners(rng: np.random.Generator) -> list[dict]:
    found = []
    for n, p in ((5, 1), (7, 2), (9, 3)):
        P = sum(w * np.eye(n)[rng.permutation(n)] for w in rng.dirichlet(np.ones(4)))
        x = rng.standard_normal((n, p)) + 1
        found.append({"alpha": float(rng.uniform(0.2, 3)), "x": x, "y": x.sum(axis=1) + rng.standard_normal(n),
                      "P": (P + P.T) / 2})
    return found


Exercise(name="least_squares-partners", level="challenge", minutes=25, wants=Function(
    arguments=("alpha", "x", "y", "P"), returns="an array (1 + p,), intercept first", truth=_partnered, cases=_partners,
    tolerance=1e-7, mistakes={
        "the partners do not matter": lambda alpha, x, y, P: _partnered(alpha, x, y, np.full_like(P, 1 / len(P))),
        "only the features are mixed": lambda alpha, x, y, P: _fit(*_mixed(
            x, y, [(a, 1.0, m) for a, _, m in _tied(symmetric(alpha))], P)),
        "lambda is always one half": lambda alpha, x, y, P: _partnered(np.inf, x, y, P)}))


# ---- a sign turns ------------------------------------------------------------------------------------------------

def _no_turn(data: tuple) -> str | None:
    """Least squares on the data, and on all mixed points of pairs within a group at alpha = 1: signs of the slope."""
    if not isinstance(data, (tuple, list)) or len(data) != 3:
        return "Hand in a tuple (x, y, group)."
    x, y = (np.asarray(part, dtype=float) for part in data[:2])
    group = np.asarray(data[2])
    if not (x.ndim == y.ndim == group.ndim == 1 and len(x) == len(y) == len(group) and 4 <= len(x) <= 60):
        return "x, y and group must be lists of the same length, from 4 to 60."
    if not np.isfinite([x, y]).all() or np.ptp(x) == 0 or np.ptp(y) == 0:
        return "x and y must be finite and must vary."
    P = (group[:, None] == group).astype(float)
    P /= P.sum(axis=1, keepdims=True)
    before = _fit(*_mixed(x, y, [(1.0, 1.0, 1.0)]))[1] * x.std() / y.std()
    after = _fit(*_mixed(x, y, _tied(symmetric(1.0)), P))[1] * x.std() / y.std()
    if before < -0.05 and after > 0.05:
        return None
    return f"In units of the standard deviations the slope is {before:.3f} before mixing and {after:.3f} after."


Exercise(name="least_squares-turn", level="challenge", minutes=25, wants=Witness(
    verify=_no_turn, asks="a tuple (x, y, group) of three lists",
    scaffold="answer = ([...], [...], [...])      # x, y, group", mistakes={
        "one group": ([0, 1, 2, 3], [3, 1, 2, 0], [0, 0, 0, 0]),
        "both slopes fall": ([0, 1, 2, 3], [3, 2, 1, 0], [0, 0, 1, 1]),
        "both slopes rise": ([0, 1, 10, 11], [1, 0, 11, 10], [0, 0, 1, 1]),
        "too few points": ([0, 1], [1, 0], [0, 1])}))


# ---- three at once -----------------------------------------------------------------------------------------------

def _three_noise(alpha: float, power: int = 2) -> float:
    """Variance of the slope's score on triples, over its squared curvature: every triple, Dirichlet by quadrature."""
    x, e = np.array([-1.0, -1.0, 1.0, 1.0]), np.array([-1.0, 1.0, -1.0, 1.0])      # errors that know nothing of x
    t, first = roots_jacobi(6, 2 * alpha - 1, alpha - 1)
    u, second = roots_jacobi(6, alpha - 1, alpha - 1)
    triples = np.array(list(itertools.product(range(4), repeat=3)))
    square = curve = total = 0.0
    for (t1, m1), (t2, m2) in itertools.product(zip(t, first, strict=True), zip(u, second, strict=True)):
        w = (1 + t1) / 2, (1 - t1) / 2 * (1 + t2) / 2, (1 - t1) / 2 * (1 - t2) / 2
        z, error = x[triples] @ w, e[triples] @ w
        square += m1 * m2 * np.mean((z * error) ** 2)
        curve += m1 * m2 * np.mean(z**2)
        total += m1 * m2
    return float(square / total / (curve / total) ** power)


Exercise(name="least_squares-three", level="challenge", minutes=30, wants=Formula(
    symbols=("alpha",), truth=_three_noise, points=({"alpha": 0.3}, {"alpha": 1.0}, {"alpha": 2.4}, {"alpha": 9.0}),
    mistakes={
        "two examples are mixed instead of three":
            lambda alpha: (alpha**2 + 3 * alpha + 3) * (2 * alpha + 1) / ((2 * alpha + 3) * (alpha + 1) ** 2),
        "the spread of the weights is left out": lambda alpha: 1.0,
        "the curvature is not squared": lambda alpha: _three_noise(alpha, power=1),
        "the curvature is taken to be that of the data": lambda alpha: _three_noise(alpha, power=0)}))


# ---- random effects ----------------------------------------------------------------------------------------------

def _best_alpha(m: float, q: float) -> float:
    """The alpha at which mixing across two groups gives the best linear unbiased slope: found by a root finder."""
    n, rng = 2 * int(m), np.random.default_rng(int(m))
    x, y = rng.standard_normal(n), rng.standard_normal(n)
    x[: n // 2] += 1
    other = np.kron([[0, 1], [1, 0]], np.ones((n // 2, n // 2))) / (n // 2)
    V = np.eye(n) + q * np.kron(np.eye(2), np.ones((n // 2, n // 2)))
    A = np.column_stack([np.ones(n), x])
    best = np.linalg.solve(A.T @ np.linalg.solve(V, A), A.T @ np.linalg.solve(V, y))[1]

    def miss(log: float) -> float:
        return float(_fit(*_mixed(x, y, _tied(symmetric(float(np.exp(log)))), other))[1] - best)
    return float(np.exp(optimize.brentq(miss, -7, 7, xtol=1e-12)))


Exercise(name="least_squares-effects", level="research", minutes=45, wants=Formula(
    symbols=("m", "q"), truth=_best_alpha, tolerance=1e-5,
    points=({"m": 2, "q": 0.4}, {"m": 3, "q": 1.7}, {"m": 5, "q": 0.3}, {"m": 8, "q": 0.9}), mistakes={
        "a group has 2 m examples": lambda m, q: _best_alpha(2 * m, q),
        "the two variances are exchanged": lambda m, q: _best_alpha(m, 1 / q),
        "q is a quotient of standard deviations": lambda m, q: _best_alpha(m, q**2)}))
