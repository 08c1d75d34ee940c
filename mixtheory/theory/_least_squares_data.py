"""What least squares is made of: data sets, their moments, linear algebra for numbers and symbols alike."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import sympy as sp

from mixtheory.domain import DomainError, check_member
from mixtheory.evidence import MomentLaw, distinct_mean

DATASETS = ("diabetes", "iris", "skewed", "line", "tiny", "even", "uneven")
FEATURES = np.array([[0.3, -1.2], [2.9, 0.4], [-0.7, 1.1], [1.4, 2.2], [0.1, 0.6], [4.2, -0.5], [1.0, 1.7]])
TARGETS = np.array([1.3, -0.4, 2.2, 3.1, 0.2, 5.9, 0.7])


class Moments(NamedTuple):
    """All that least squares sees of a data set of n points: moments with weight 1/n each.

    mean: (p,) of the features; C: (p, p) covariance of the features; mean_y: () or (k,) of the targets;
    c: (p,) or (p, k) covariance of features and targets. Arrays of floats, or of SymPy expressions (dtype
    object).
    """

    n: Any
    mean: np.ndarray
    C: np.ndarray
    mean_y: Any
    c: np.ndarray


Data = str | Moments | tuple[np.ndarray, np.ndarray]


@functools.cache
def dataset(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Features x (n, p) and targets y (n,) or (n, k) of a data set that needs no download.

    `diabetes` (442 x 10) and `iris` (150 x 4, one-hot targets) come with scikit-learn: features are divided
    by their standard deviation and not centred. The others are small and made up: `skewed` (7 x 2), its first
    feature alone, `line` (7 x 1), its first points, `tiny` (4 x 2), and two with every x twice and OLS
    residuals of both signs (8 x 2): of one size in `even`, of four sizes in `uneven`. The arrays are
    read-only.

    Raises:
        DomainError: unknown name.
    """
    check_member(name, DATASETS, "dataset")
    if name == "diabetes":
        from sklearn.datasets import load_diabetes
        x, y = load_diabetes(return_X_y=True, scaled=False)
        x, y = x / x.std(axis=0), y / y.std()
    elif name == "iris":
        from sklearn.datasets import load_iris
        x, labels = load_iris(return_X_y=True)
        x, y = x / x.std(axis=0), np.eye(3)[labels]
    elif name in ("even", "uneven"):
        x = np.repeat(FEATURES[:4], 2, axis=0)
        size = np.full(4, 0.5) if name == "even" else np.array([0.2, 0.9, 0.6, 0.4])
        y = 1 + x @ [0.8, -0.3] + np.outer(size, [1, -1]).ravel()
    else:
        n, p = {"skewed": (7, 2), "line": (7, 1), "tiny": (4, 2)}[name]
        x, y = FEATURES[:n, :p].copy(), TARGETS[:n].copy()
    for array in (x, y):
        array.setflags(write=False)
    return x, y


def moments(data: str | Moments | tuple[np.ndarray, np.ndarray]) -> Moments:
    """Moments of a named data set or of a pair (x, y); Moments pass through.

    Raises:
        DomainError: x not (n, p), y not (n,) or (n, k), n < 2, entries that are not finite.
    """
    if isinstance(data, Moments):
        return data
    x, y = (np.asarray(a, dtype=float) for a in (dataset(data) if isinstance(data, str) else data))
    if x.ndim != 2 or y.ndim not in (1, 2) or len(x) != len(y) or len(x) < 2:
        raise DomainError(f"x, y of shapes {x.shape}, {y.shape}: must be (n, p) and (n,) or (n, k) with n >= "
                          f"2")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise DomainError("x, y: must be finite")
    a, b = x - x.mean(axis=0), y - y.mean(axis=0)
    return Moments(len(x), x.mean(axis=0), a.T @ a / len(x), y.mean(axis=0), a.T @ b / len(x))


def solve(A: np.ndarray, b: np.ndarray) -> np.ndarray:
    """A^-1 b for floats or symbols (dtype object); DomainError for a singular A."""
    if A.dtype == object:
        return np.array(sp.Matrix(A).LUsolve(sp.Matrix(b)).applyfunc(sp.cancel),
                        dtype=object).reshape(np.shape(b))
    if np.linalg.matrix_rank(A) < len(A):
        raise DomainError(f"second moments of the {len(A)} features: must be invertible (drop constant "
                          f"features)")
    return np.linalg.solve(A, b)


def packed(array: np.ndarray) -> Any:
    """An array of floats as it is, an array of symbols as a SymPy matrix."""
    return sp.Matrix(array) if array.dtype == object else array


def with_intercept(d: Moments, w: np.ndarray) -> Any:
    """[m_y - m^T w; w]: the best intercept for given slopes, and the slopes."""
    return packed(np.concatenate([np.asarray(d.mean_y - d.mean @ w)[None], w]))


def ridge_solution(d: Moments, strength: Any) -> Any:
    """Ridge regression on the data themselves, intercept free: [b; (C + strength I)^-1 c]."""
    return with_intercept(d, solve(d.C + strength * np.eye(len(d.C), dtype=d.C.dtype), d.c))


# --- for derivations ----------------------------------------------------------------------------------------

def symbolic_moments(p: int, n: Any = None, centred: bool = False) -> Moments:
    """Moments of n points with p features as symbols."""
    def names(stem: str) -> list[sp.Symbol]:
        return [sp.Symbol(f"{stem}_{k}" if p > 1 else stem, real=True) for k in range(1, p + 1)]

    C = [[sp.Symbol(f"C_{min(j, k)}{max(j, k)}" if p > 1 else "C", positive=j == k) for k in range(1, p + 1)]
         for j in range(1, p + 1)]
    mean, mean_y = ([sp.S.Zero] * p, sp.S.Zero) if centred else (names("m"), sp.Symbol("m_y", real=True))
    return Moments(n, np.array(mean, dtype=object), np.array(C, dtype=object), mean_y,
                   np.array(names("c"), dtype=object))


def members(groups: Sequence[Sequence[sp.Symbol]], raw: Callable[[tuple[int, ...]], Any],
            n: Any = None) -> MomentLaw:
    """Members of a fixed data set, one group of coordinates each: independent, or distinct ones among n.

    `raw(powers)` is the mean over the data of the product of one member's coordinates with these powers.
    """
    q = len(groups[0])

    def moment(powers: tuple[int, ...]) -> Any:
        parts = [powers[k * q:(k + 1) * q] for k in range(len(groups))]
        if n is None:
            return sp.prod(map(raw, parts))
        return distinct_mean(len(groups), n, lambda blocks: sp.prod(
            [n * raw(tuple(map(sum, zip(*(parts[i] for i in block), strict=True)))) for block in blocks]))

    return MomentLaw(tuple(s for group in groups for s in group), moment)


def pair_of(d: Moments, distinct: bool = False) -> tuple[Any, Any, Any, Any, MomentLaw]:
    """Symbols x_i, y_i, x_j, y_j of a random pair (x as a list) and their law, from two moments."""
    p = len(d.mean)
    xi, xj = ([sp.Symbol(f"x_{{{i}{k}}}" if p > 1 else f"x_{i}",
                         real=True) for k in range(1, p + 1)] for i in "ij")
    yi, yj = sp.symbols("y_i y_j", real=True)
    mean = [*d.mean, d.mean_y]
    cov = sp.Matrix(sp.BlockMatrix([[sp.Matrix(d.C), sp.Matrix(d.c)],
                                    [sp.Matrix(d.c).T, sp.Matrix([sp.Symbol("C_yy")])]]))

    def raw(powers: tuple[int, ...]) -> Any:
        which = [k for k, power in enumerate(powers) for _ in range(power)]
        if len(which) > 2:
            raise DomainError(f"powers = {powers}: only first and second moments are given")
        product = sp.prod([mean[k] for k in which])
        return product + cov[which[0], which[1]] if len(which) == 2 else product

    return xi, yi, xj, yj, members(((*xi, yi), (*xj, yj)), raw, d.n if distinct else None)
