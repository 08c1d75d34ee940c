"""Second routes for linear smoothers: mixed pairs one by one, all noise patterns, integrals by quadrature.

Nothing here knows a formula of the chapter. Losses are squared errors at unmixed points.
"""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np
import sympy as sp
from scipy import optimize, special
from scipy.linalg import hadamard

from mixtheory.mixing import symmetric
from mixtheory.mixup import blend
from mixtheory.theory._least_squares_data import dataset
from mixtheory.theory._least_squares_routes import mixed_gram

CENTRE = 0.7                            # mean of every feature of a random design
SLOPES = (0.8, -0.3, 0.5, 0.2, -0.6, 0.4)
CHUNK = 2**10                           # data sets at a time: each has 2 n^2 mixed points
TWO_POINTS = (0.3, np.sqrt(7 / 3), -np.sqrt(3 / 7))     # P(first), values: mean 0, variance 1, skewed


class Value(sp.Expr):
    """A rational expression that prints as it stands (or as `tex`) and is brought to one fraction by `doit`."""

    tex: str | None

    def __new__(cls, expression: Any, tex: str | None = None) -> Value:
        value = super().__new__(cls, sp.sympify(expression))
        value.tex = tex
        return value

    @property
    def func(self) -> Any:
        return lambda expression: Value(expression, self.tex)

    def _hashable_content(self) -> tuple[Any, ...]:
        return (*self.args, self.tex)

    def doit(self, **hints: Any) -> Any:
        return sp.cancel(sp.together(self.args[0].doit(**hints)))

    def _latex(self, printer: Any) -> str:
        return self.tex or printer._print(self.args[0])

    def _eval_is_commutative(self) -> bool:
        return True


# --- a fixed design -----------------------------------------------------------------------------------------

def design_of(design: str) -> np.ndarray:
    """Features (n, p) of a named data set, or of `hadamard n p`: p columns of +-1, orthogonal, of mean 0."""
    name, *sizes = design.split()
    return hadamard(int(sizes[0]))[:, 1:int(sizes[1]) + 1].astype(float) if sizes else dataset(name)[0]


@functools.cache
def hat(alpha: float, ridge: float, design: str, distinct: bool = False) -> np.ndarray:
    """Fitted values (n, n) as a map of the targets: every target column e_i fitted on every mixed pair."""
    x = design_of(design)
    n, q = len(x), x.shape[1] + 1
    G = mixed_gram(alpha, np.column_stack([np.ones(n), x, np.eye(n)]), distinct=distinct)
    G[range(1, q), range(1, q)] += ridge
    return np.column_stack([np.ones(n), x]) @ np.linalg.solve(G[:q, :q], G[:q, q:])


def trace(alpha: float, ridge: float, design: str, distinct: bool = False) -> float:
    """Trace of the mixup smoother."""
    return float(np.trace(hat(alpha, ridge, design, distinct)))


def truth(n: int) -> np.ndarray:
    """Mean targets that no linear model fits."""
    return 0.4 * np.sin(2.1 * np.arange(n)) + 0.1 * np.arange(n)


def enumerated_gap(alpha: float, ridge: float, design: str, sigma: float, distinct: bool = False) -> float:
    """Mean loss of fresh targets less that of the fitted ones, from all patterns of two-point noise."""
    H = hat(alpha, ridge, design, distinct)
    n, (share, high, low) = len(H), TWO_POINTS
    first = np.array(list(itertools.product((False, True), repeat=n)))
    weight = np.where(first, share, 1 - share).prod(axis=1)
    y = truth(n) + sigma * np.where(first, high, low)
    fitted = y @ H.T
    member = weight @ ((y - fitted) ** 2).mean(axis=1)
    fresh = [p * ((truth(n) + sigma * v - fitted) ** 2).mean(axis=1) for p, v in ((share, high), (1 - share, low))]
    return float(weight @ sum(fresh) - member)


def drawn_gap(size: int, *, rng: np.random.Generator, alpha: float, ridge: float, design: str, sigma: float,
              distinct: bool = False, on_mixed: bool = False) -> np.ndarray:
    """The gap of one draw of skewed noise, fresh noise averaged; `on_mixed` reads members' losses on mixed pairs."""
    H = hat(alpha, ridge, design, distinct)
    n, (share, high, low) = len(H), TWO_POINTS
    member = truth(n) + sigma * np.where(rng.random((size, n)) < share, high, low)
    fitted = member @ H.T
    residual = member - fitted
    if on_mixed:
        other = rng.permuted(residual, axis=1)
        residual = blend(symmetric(alpha).sample((size, n), rng=rng), residual, other)
    return sigma**2 + ((truth(n) - fitted) ** 2 - residual**2).mean(axis=1)


# --- a random design ----------------------------------------------------------------------------------------

def fitted_plane(alpha: float, z: np.ndarray, intercept: bool = True) -> np.ndarray:
    """Minimisers (size, p + 1) of the mixup risk of many data sets z (size, n, p + 2) of rows (1, x, y)."""
    nodes, weights = symmetric(alpha).quadrature(nodes=2)
    i, j = np.divmod(np.arange(z.shape[1] ** 2), z.shape[1])
    rows = np.concatenate([np.sqrt(w) * blend(lam, z[:, i], z[:, j]) for lam, w in zip(nodes, weights, strict=True)],
                          axis=1)
    G = rows.swapaxes(1, 2) @ rows / len(i)
    first = 0 if intercept else 1
    theta = np.zeros((len(z), z.shape[2] - 1))
    theta[:, first:] = np.linalg.solve(G[:, first:-1, first:-1], G[:, first:-1, -1:])[..., 0]
    return theta


def drawn_losses(size: int, *, rng: np.random.Generator, n: int, p: int, sigma: float, alpha: float,
                 intercept: bool = True) -> np.ndarray:
    """(size, 2): loss of the members and expected loss of a fresh point, least squares on mixed Gaussian designs."""
    parts, slopes = [], np.array(SLOPES[:p])
    for start in range(0, size, CHUNK):
        count = min(CHUNK, size - start)
        x = CENTRE + rng.standard_normal((count, n, p))
        y = 1.5 + x @ slopes + sigma * np.sqrt(12) * (rng.random((count, n)) - 0.5)      # noise need not be normal
        theta = fitted_plane(alpha, np.concatenate([np.ones((count, n, 1)), x, y[..., None]], axis=2), intercept)
        member = ((y - theta[:, :1] - np.einsum("snp,sp->sn", x, theta[:, 1:])) ** 2).mean(axis=1)
        miss = theta - np.append(1.5, slopes)
        fresh = sigma**2 + (miss[:, 0] + CENTRE * miss[:, 1:].sum(axis=1)) ** 2 + (miss[:, 1:] ** 2).sum(axis=1)
        parts.append(np.stack([member, fresh], axis=1))
    return np.concatenate(parts)


def integrated_losses(n: int, p: int, sigma: float, alpha: float) -> np.ndarray:
    """Members from the enumerated smoother of one design; others from the law of Hotelling's statistic.

    z^T W^-1 z for z ~ N(0, I) and an independent Wishart W with n - 1 degrees of freedom is chi2_p / chi2_{n-p}:
    B / (1 - B) with B ~ Beta(p/2, (n - p)/2). It is averaged numerically.
    """
    i = np.arange(n)
    x = np.column_stack([np.cos((0.7 + k) * i + k) for k in range(p)])
    z = np.column_stack([np.ones(n), x, np.eye(n)])
    G = mixed_gram(alpha, z)
    H = z[:, :p + 1] @ np.linalg.solve(G[:p + 1, :p + 1], G[:p + 1, p + 1:])
    member = sigma**2 * np.sum((np.eye(n) - H) ** 2) / n
    t, weights = special.roots_legendre(400)
    angle = np.pi / 4 * (t + 1)                             # B = sin^2: smooth up to both ends
    a, b = p / 2, (n - p) / 2
    density = 2 * np.sin(angle) ** (2 * a - 1) * np.cos(angle) ** (2 * b - 1) / special.beta(a, b)
    mean = np.pi / 4 * weights @ (density * np.tan(angle) ** 2)
    return np.array([member, sigma**2 * (1 + 1 / n) * (1 + mean)])


# --- losses of Gaussian residuals ---------------------------------------------------------------------------

@functools.cache
def half_normal() -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of |z|, z ~ N(0, 1)."""
    t, weights = special.roots_legendre(120)
    t = 5 * (t + 1)
    return t, 5 * weights * 2 * np.exp(-t**2 / 2) / np.sqrt(2 * np.pi)


def compared(member: float, outsider: float, covariance: float = 0.0) -> float:
    """P(|X| > |Y|) for centred normals: given Y, the sum of two tails; then over Y > 0 by a Gauss rule."""
    t, weights = half_normal()
    y = np.sqrt(member) * t
    mean, sd = covariance / member * y, np.sqrt(outsider - covariance**2 / member)
    return float(weights @ (special.ndtr((mean - y) / sd) + special.ndtr((-mean - y) / sd)))


def drawn_comparison(size: int, *, rng: np.random.Generator, member: float, outsider: float, covariance: float = 0.0,
                     apart: bool = False) -> np.ndarray:
    """1 where the outsider's residual is the larger one; `apart` draws the two residuals independently."""
    y = rng.standard_normal((2, size))
    c = 0.0 if apart else covariance
    x = c / np.sqrt(member) * y[0] + np.sqrt(outsider - c**2 / member) * y[1]
    return (np.abs(x) > np.sqrt(member) * np.abs(y[0])).astype(float)


def best_threshold(relative_gap: float) -> float:
    """Largest difference of P(|r| < t) between members and others, over t by a scalar optimiser."""
    b, a = np.sqrt(1 - relative_gap), np.sqrt(1 + relative_gap)
    found = optimize.minimize_scalar(lambda t: 2 * (special.ndtr(t / a) - special.ndtr(t / b)), bounds=(0.0, 3.0),
                                     method="bounded", options={"xatol": 1e-10})
    return float(-found.fun)


def residual_variances(alpha: float, ridge: float, n: int, p: int, signal: float) -> np.ndarray:
    """(2, n): variances of members' and others' residuals, noise variance 1, on a Hadamard design, enumerated."""
    H, x = hat(alpha, ridge, f"hadamard {n} {p}"), design_of(f"hadamard {n} {p}")
    lost = signal / p * (((np.eye(n) - H) @ x) ** 2).sum(axis=1)
    return np.stack([((np.eye(n) - H) ** 2).sum(axis=1) + lost, 1 + (H**2).sum(axis=1) + lost])


def enumerated_auc(alpha: float, ridge: float, n: int, p: int, signal: float = 0.0) -> float:
    """AUC of the loss over all pairs of a member and an outsider, each with its own variance."""
    member, outsider = residual_variances(alpha, ridge, n, p, signal)
    return float(np.mean([compared(b, a) for b, a in zip(member, outsider, strict=True)]))


def drawn_auc(size: int, *, rng: np.random.Generator, alpha: float, ridge: float, n: int, p: int,
              signal: float = 0.0, both_members: bool = False) -> np.ndarray:
    """Share of comparisons that a fit's outsiders lose against the members of another fit."""
    H, x = hat(alpha, ridge, f"hadamard {n} {p}"), design_of(f"hadamard {n} {p}")
    slopes = np.sqrt(signal / p) * rng.standard_normal((2, size, p))
    mean = slopes @ x.T
    y = mean + rng.standard_normal((2, size, n))
    fresh = y if both_members else mean + rng.standard_normal((2, size, n))
    fitted = y @ H.T
    member, outsider = np.abs(y[0] - fitted[0]), np.abs(fresh[1] - fitted[1])
    return (outsider > member).mean(axis=1)


# --- the same curve -----------------------------------------------------------------------------------------

@functools.cache
def slopes(alpha: float, ridge: float) -> Any:
    """Slope of ridge regression of the data set `line` on all its mixed pairs."""
    x, y = dataset("line")
    G = mixed_gram(alpha, np.column_stack([np.ones(len(x)), x, y]))
    G[1, 1] += ridge
    return np.linalg.solve(G[:2, :2], G[:2, 2])[1]


def searched_alpha(ridge: float, target: float) -> float:
    """The alpha at which mixing with `ridge` gives the slope of plain ridge regression at `target`."""
    wanted = slopes(0.0, target)
    return float(optimize.brentq(lambda alpha: slopes(alpha, ridge) - wanted, 0.0, 1e4, xtol=1e-14, rtol=1e-14))
