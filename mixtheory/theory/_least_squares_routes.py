"""Second routes of the chapter on least squares: every pair, every batch, every value of lambda.

Nothing here knows a formula of the chapter. A minimiser is found from the moments of the mixed points
themselves, which are enumerated; lambda is integrated by quadrature or drawn.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable

import numpy as np

from mixtheory.domain import DomainError
from mixtheory.mixing import Law, symmetric
from mixtheory.mixup import blend
from mixtheory.pairing import enumerate_partners, lambdas, partners
from mixtheory.theory._least_squares_data import FEATURES, dataset

NODES = 4               # exact for polynomials in lambda up to degree 7


def law_of(alpha: float | Law) -> Law:
    """A law of lambda as it is, a number as Beta(alpha, alpha)."""
    return alpha if isinstance(alpha, Law) else symmetric(alpha)


def ordered_pairs(n: int, distinct: bool) -> tuple[np.ndarray, np.ndarray]:
    """Indices i, j of all n^2 ordered pairs, or of the n (n - 1) pairs of distinct members."""
    i, j = np.divmod(np.arange(n * n), n)
    return (i[i != j], j[i != j]) if distinct else (i, j)


def mixed_gram(alpha: float | Law, z: np.ndarray, *, distinct: bool = False,
               swapped: bool = False) -> np.ndarray:
    """E[z~ z~^T] over pairs of rows of z and lambda; `swapped` exchanges the weights of the last column."""
    i, j = ordered_pairs(len(z), distinct)
    first, second = z[i], z[j]

    def gram(lam: float) -> np.ndarray:
        rows = blend(lam, first, second)
        if swapped:
            rows[:, -1] = blend(1 - lam, first[:, -1], second[:, -1])
        return rows.T @ rows / len(rows)

    return law_of(alpha).expect(lambda nodes: np.stack([gram(lam) for lam in nodes]), nodes=NODES)


def minimise(alpha: float | Law, data: str, *, distinct: bool = False, ridge: float = 0.0,
             intercept: bool = True,
             swapped: bool = False) -> np.ndarray:
    """The minimiser of the mixup risk plus ridge / 2 |w|^2, from enumerated pairs; [intercept; slopes]."""
    x, y = dataset(data)
    z = np.column_stack([np.ones(len(x)), x, y])
    q = 1 + x.shape[1]
    G = mixed_gram(alpha, z, distinct=distinct, swapped=swapped)
    G[range(1, q), range(1, q)] += ridge
    use = slice(0 if intercept else 1, q)
    theta = np.linalg.solve(G[use, use], G[use, q:])
    theta = theta if y.ndim == 2 else theta[:, 0]
    return theta if intercept else np.concatenate([np.zeros_like(theta[:1]), theta])


def residual_data(square: float, mean: float, n: int | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(x, y, theta) with n (or 5) residuals y - (1, x) theta of the given mean and mean square."""
    shape = np.exp(np.linspace(0, 2, 5 if n is None else n))
    shape = (shape - shape.mean()) / shape.std()
    x, theta = np.resize(FEATURES, (len(shape), 2)), np.array([0.7, -1.1, 0.4])
    return x, theta[0] + x @ theta[1:] + mean + np.sqrt(square - mean**2) * shape, theta


def enumerated_risk(alpha: float, square: float, mean: float, n: int | None = None) -> float:
    """Mixup risk of an affine model over all pairs, or over those of distinct members when n is given."""
    x, y, theta = residual_data(square, mean, n)
    z = np.column_stack([np.ones(len(x)), x, y])
    direction = np.append(theta, -1.0)
    return float(direction @ mixed_gram(alpha, z, distinct=n is not None) @ direction) / 2


def drawn_risk(size: int, *, rng: np.random.Generator, alpha: float, square: float, mean: float,
               n: int | None = None, swapped: bool = False, self_pairs: bool = False) -> np.ndarray:
    """Loss at mixed points; `swapped` exchanges the weights of the targets, `self_pairs` lets them in."""
    x, y, theta = residual_data(square, mean, n)
    i = rng.integers(len(x), size=size)
    j = rng.integers(len(x),
                     size=size) if n is None or self_pairs else (i + rng.integers(1, n, size=size)) % n
    lam = symmetric(alpha).sample(size, rng=rng)
    fitted = theta[0] + blend(lam[:, None], x[i], x[j]) @ theta[1:]
    return (blend(1 - lam if swapped else lam, y[i], y[j]) - fitted) ** 2 / 2


def centred_grams(alpha: float, data: str) -> tuple[np.ndarray, np.ndarray]:
    """E[x~ x~^T] and E[x~ y~] over all pairs of the centred data."""
    x, y = dataset(data)
    G = mixed_gram(alpha, np.column_stack([x - x.mean(axis=0), y - y.mean()]))
    return G[:-1, :-1], G[:-1, -1]


def run_gradient_descent(alpha: float, eta: float, steps: np.ndarray, data: str) -> np.ndarray:
    """Gradient descent on the enumerated mixup risk, one step after the other, from w = 0."""
    A, a = centred_grams(alpha, data)
    iterates = [np.zeros_like(a)]
    for _ in range(int(np.max(steps))):
        iterates.append(iterates[-1] - eta * (A @ iterates[-1] - a))
    return np.stack(iterates)[np.asarray(steps)]


def run_gradient_flow(alpha: float, time: np.ndarray, data: str) -> np.ndarray:
    """Gradient flow on the enumerated mixup risk by the matrix exponential of the augmented linear system."""
    from scipy.linalg import expm
    A, a = centred_grams(alpha, data)
    system = np.block([[-A, a[:, None]], [np.zeros((1, len(a) + 1))]])
    return np.stack([expm(t * system)[:-1, -1] for t in np.asarray(time)])


def batches(n: int, batch: int, replace: bool) -> list[tuple[int, ...]]:
    """Every equally likely batch, in order."""
    return list(itertools.product(range(n), repeat=batch) if replace else itertools.permutations(range(n),
                                                                                                 batch))


def partner_rows(rows: tuple[int, ...], n: int, pairing: str | None) -> list[np.ndarray]:
    """Every equally likely choice of partners for a batch; None draws them from all n points."""
    if pairing is None:
        return list(map(np.array, itertools.product(range(n), repeat=len(rows))))
    return [np.array(rows)[index] for index in enumerate_partners(pairing, len(rows))]


def mean_over_batches(alpha: float, z: np.ndarray, function: Callable[[np.ndarray], np.ndarray], *,
                      batch: int,
                      pairing: str | None, replace: bool) -> np.ndarray:
    """E[function(second moments of a mixed batch of rows of z)] over batches, partners and lambda.

    One lambda a batch; `function` maps (..., q, q) to (..., anything).
    """
    first, second = zip(*((rows, other) for rows in batches(len(z), batch, replace)
                          for other in partner_rows(rows, len(z), pairing)), strict=True)
    a, b = z[np.array(first)], z[np.array(second)]

    def averaged(nodes: np.ndarray) -> np.ndarray:
        mixed = blend(nodes[:, None, None, None], a, b)
        return function(np.einsum("lbni,lbnj->lbij", mixed, mixed) / batch).mean(axis=1)

    return symmetric(alpha).expect(averaged, nodes=NODES)


def enumerated_factor(alpha: float, batch: int, pairing: str | None, n: int | None = None) -> float:
    """Mean second moment of mixed rows over that of rows, from all batches; n = None: with replacement."""
    x = np.resize(FEATURES[:, 0], 4 if n is None else n)
    x = x - x.mean()
    gram = mean_over_batches(alpha, x[:, None], lambda g: g, batch=batch, pairing=pairing, replace=n is None)
    return float(gram[0, 0] / (x @ x / len(x)))


def stationary_mean(alpha: float, ridge: float, data: str, batch: int = 2, pairing: str | None = None,
                    replace: bool = True, *, eta: float = 0.05, decoupled: bool = False) -> np.ndarray:
    """Mean iterate of SGD with weight decay after 2^40 steps: [intercept; slopes].

    Each step is an affine map of the parameters. The next batch does not depend on the past, so the mean
    iterate follows the mean map, which is enumerated and squared forty times. The second moments must be
    stable, too: then there is a stationary distribution. `decoupled` decays the parameters apart from a
    preconditioned gradient.
    """
    x, y = dataset(data)
    q = 1 + x.shape[1]
    decay = ridge * np.diag([0.0] + [1.0] * (q - 1))
    scale = 1 / np.arange(1, q + 1) if decoupled else np.ones(q)

    def step(gram: np.ndarray) -> np.ndarray:
        T = np.zeros((*gram.shape[:-2], q + 1, q + 1))
        T[..., :q, :q] = np.eye(q) - eta * (scale[:, None] * gram[..., :q, :q] + decay)
        T[..., :q, q] = eta * scale * gram[..., :q, q]
        T[..., q, q] = 1
        return T

    def twice(gram: np.ndarray) -> np.ndarray:
        T = step(gram)[..., :q, :q]
        return np.einsum("...ij,...kl->...ikjl", T, T).reshape(*T.shape[:-2], q * q, q * q)

    z = np.column_stack([np.ones(len(x)), x, y])
    sampling = {"batch": batch, "pairing": pairing, "replace": replace}
    if np.abs(np.linalg.eigvals(mean_over_batches(alpha, z, twice, **sampling))).max() >= 1:
        raise DomainError(f"eta = {eta}: too large, the second moments of the iterates diverge")
    return np.linalg.matrix_power(mean_over_batches(alpha, z, step, **sampling), 2**40)[:q, q]


def sandwich(alpha: float, data: str, M: int) -> np.ndarray:
    """Asymptotic covariance (p, p) of slopes on M mixed points, enumerated: H^-1 E[e~^2 z~ z~^T] H^-1 / M."""
    x, y = dataset(data)
    z = np.column_stack([np.ones(len(x)), x])
    theta = minimise(alpha, data)
    i, j = ordered_pairs(len(x), distinct=False)

    def bread_and_meat(lam: float) -> np.ndarray:
        rows, error = blend(lam, z[i], z[j]), blend(lam, y[i] - z[i] @ theta, y[j] - z[j] @ theta)
        return np.stack([rows.T @ rows, (error[:, None] ** 2 * rows).T @ rows]) / len(rows)

    H, V = symmetric(alpha).expect(lambda nodes: np.stack([bread_and_meat(lam) for lam in nodes]),
                                   nodes=NODES)
    return (np.linalg.inv(H) @ V @ np.linalg.inv(H))[1:, 1:] / M


def drawn_pairs(size: int, *, rng: np.random.Generator, alpha: float, data: str, M: int,
                alone: bool = False) -> np.ndarray:
    """(w - w_OLS)(w - w_OLS)^T for fits to M mixed points each; `alone` mixes every example with itself."""
    x, y = dataset(data)
    i, j = rng.integers(len(x), size=(2, size, M))
    j = i if alone else j
    lam = symmetric(alpha).sample((size, M), rng=rng)
    miss = slopes(blend(lam[..., None], x[i], x[j]), blend(lam, y[i], y[j])) - slopes(x[None], y[None])
    return miss[:, :, None] * miss[:, None, :]


def slopes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(size, p) least-squares slopes, with intercept, of many data sets x (size, n, p), y (size, n)."""
    a, b = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
    rows = a.swapaxes(1, 2)
    return np.linalg.solve(rows @ a, rows @ b[..., None])[..., 0]


@functools.cache
def growing(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Skewed x of variance 1, n points, with OLS residuals of variance 1 and unequal size about y = x."""
    x = ((np.arange(n) + 0.5) / n + 0.5) ** 2
    x = (x - x.mean()) / x.std()
    basis = np.column_stack([np.ones(n), x])
    wave = np.cos(2.5 * np.arange(n)) * (0.5 + np.abs(x))
    residual = wave - basis @ np.linalg.lstsq(basis, wave, rcond=None)[0]
    return x, x + residual / residual.std()


def drawn_permutation(size: int, *, rng: np.random.Generator, alpha: float, pairing: str, n: int,
                      sharing: str = "batch") -> np.ndarray:
    """Draws of n (w - w_OLS)^2, least squares on one mixed copy of `growing(n)` in random order."""
    x, y = growing(n)
    order = np.arange(n)[None]
    if pairing == "permutation":                        # whose law does not depend on the order of the batch
        other = partners(pairing, n, rng=rng, replicas=size)
    else:
        order = rng.permuted(np.repeat(order, size, axis=0), axis=1)
        other = order[:, partners(pairing, n, rng=rng)]
    lam = lambdas(symmetric(alpha), n, sharing=sharing, rng=rng, replicas=size)
    a, b = blend(lam, x[order], x[other]), blend(lam, y[order], y[other])
    return n * (slopes(a[..., None], b)[:, 0] - 1) ** 2


def squared_odds(alpha: float) -> float:
    """E[(u / S)^2] by quadrature."""
    return float(symmetric(alpha).expect(lambda p: (p * (1 - p) / (p**2 + (1 - p)**2)) ** 2, nodes=64))


def linearised_permutation(alpha: float, pairing: str, n: int) -> float:
    """Exact n Var(score / curvature) at finite n, for `growing(n)` in random order, from sums over pairs.

    The score of a batch is u times the mean of a_ij = c_i e_j + c_j e_i over its pairs (i, partner j).
    """
    x, y = growing(n)
    e = y - x
    a = np.outer(x, e) + np.outer(e, x)
    if pairing == "permutation":
        total = (a**2).sum() / n + (a.sum() ** 2 - 2 * (a.sum(axis=0) ** 2).sum()
                                    + (a**2).sum()) / (n * (n - 1))
    else:
        a[range(n), range(n)] = 0
        two = (a**2).sum()                                          # a_ij^2 over distinct i, j
        three = (a.sum(axis=0) ** 2).sum() - two                    # a_ij a_jk over distinct i, j, k
        four = a.sum() ** 2 - 4 * three - 2 * two                   # a_ij a_kl over distinct i, j, k, l
        two, three, four = two / (n * (n - 1)), three / (n * (n - 1) * (n - 2)), four / (n * (n - 1)
                                                                                         * (n - 2) * (n - 3))
        total = (n * two + 2 * n * three + n * (n - 3) * four if pairing == "roll"
                 else 4 * (n / 2 * two + n / 2 * (n / 2 - 1) * four))
    return float(squared_odds(alpha) * total / n)
