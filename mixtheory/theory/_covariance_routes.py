"""Routes to the second moments that share no formula with the predictions: enumeration and sampling.

Populations are finite sets of points (enumeration) or skewed triangular variables (sampling); batches are fixed skewed
numbers in random order. Nothing here calls a closed form.
"""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np
from scipy import optimize, special, stats

from mixtheory.mixing import symmetric
from mixtheory.mixup import blend, mixup
from mixtheory.pairing import enumerate_partners, lambdas, partners

BASE_POINTS = np.array([[-1.0, 0.3], [0.2, -1.1], [2.5, 1.0], [-0.6, 0.9], [0.1, -0.2]])
WEIGHTS_EXACT_TO_DEGREE_5 = 3      # nodes of a Gauss rule for polynomials in lambda


# ---- populations -------------------------------------------------------------------------------------------------

def atoms(Sigma: np.ndarray, mu: np.ndarray) -> np.ndarray:
    """Five equally likely points with mean mu and covariance Sigma exactly; shape (5, d)."""
    centred = BASE_POINTS - BASE_POINTS.mean(axis=0)
    white = centred @ np.linalg.inv(np.linalg.cholesky(centred.T @ centred / len(centred))).T
    return mu + white @ np.linalg.cholesky(Sigma).T


def all_pairs(x: np.ndarray, alpha: float, *, distinct: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Every mixed point of every ordered pair at every node of lambda, and their probabilities."""
    lam, weight = symmetric(alpha).quadrature(nodes=WEIGHTS_EXACT_TO_DEGREE_5)
    i, j = np.indices((len(x), len(x))).reshape(2, -1)
    if distinct:
        i, j = i[i != j], j[i != j]
    mixed = blend(lam[:, None, None], x[i], x[j])
    return mixed.reshape(-1, x.shape[1]), np.repeat(weight, len(i)) / len(i)


def weighted_covariance(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Covariance of weighted points, two passes."""
    centred = x - weight @ x
    return (centred * weight[:, None]).T @ centred


def exact_mean(alpha: float, mu: np.ndarray) -> np.ndarray:
    mixed, weight = all_pairs(atoms(np.eye(len(mu)), mu), alpha)
    return weight @ mixed


def exact_covariance(alpha: float, Sigma: np.ndarray) -> np.ndarray:
    return weighted_covariance(*all_pairs(atoms(Sigma, np.array([3.0, -1.0])), alpha))


def exact_cross(alpha: float, Sigma_xy: float) -> float:
    """A pair (x, y) of unit variance and the given covariance."""
    joint = atoms(np.array([[1.0, Sigma_xy], [Sigma_xy, 1.0]]), np.array([0.5, 2.0]))
    return float(weighted_covariance(*all_pairs(joint, alpha))[0, 1])


def exact_raw(alpha: float, Sigma: np.ndarray, mu: np.ndarray) -> np.ndarray:
    mixed, weight = all_pairs(atoms(Sigma, mu), alpha)
    return (mixed * weight[:, None]).T @ mixed


def exact_distinct(alpha: float, n: int) -> float:
    x = batch_data(n)[:, None]
    return float(weighted_covariance(*all_pairs(x, alpha, distinct=True))[0, 0] / x.var())


def skewed(size: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Triangular variables (density 2(1 - t) on [0, 1]) with mean 0 and variance 1: skewed and bounded."""
    return (1 - np.sqrt(rng.random(size)) - 1 / 3) * np.sqrt(18)


def draw(size: int, Sigma: np.ndarray, mu: Any, rng: np.random.Generator) -> np.ndarray:
    """Independent examples (size, d) with mean mu and covariance Sigma."""
    return mu + skewed((size, len(Sigma)), rng) @ np.linalg.cholesky(Sigma).T


def simulate_mean(size: int, *, rng: np.random.Generator, alpha: float, mu: np.ndarray) -> np.ndarray:
    lam = symmetric(alpha).sample((size, 1), rng=rng)
    return blend(lam, draw(size, np.eye(len(mu)), mu, rng), draw(size, np.eye(len(mu)), mu, rng))


def simulate_square_root_weights(size: int, *, rng: np.random.Generator, alpha: float, mu: np.ndarray) -> np.ndarray:
    """Weights sqrt(lambda), sqrt(1 - lambda): they would keep the variance, but they do not sum to 1."""
    lam = symmetric(alpha).sample((size, 1), rng=rng)
    first, second = draw(size, np.eye(len(mu)), mu, rng), draw(size, np.eye(len(mu)), mu, rng)
    return np.sqrt(lam) * first + np.sqrt(1 - lam) * second


def _half_squared_difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Unbiased for the covariance, one value a pair of draws, without knowing the mean."""
    d = first - second
    return d[:, :, None] * d[:, None, :] / 2


def simulate_covariance(size: int, *, rng: np.random.Generator, alpha: float, Sigma: np.ndarray) -> np.ndarray:
    def mixed() -> np.ndarray:
        lam = symmetric(alpha).sample((size, 1), rng=rng)
        return blend(lam, draw(size, Sigma, 3.0, rng), draw(size, Sigma, 3.0, rng))
    return _half_squared_difference(mixed(), mixed())


def simulate_torn_covariance(size: int, *, rng: np.random.Generator, alpha: float, Sigma: np.ndarray) -> np.ndarray:
    """Each feature takes its partner from a permutation of its own."""
    def mixed() -> np.ndarray:
        lam = symmetric(alpha).sample((size, 1), rng=rng)
        torn = rng.permuted(draw(size, Sigma, 3.0, rng), axis=0)
        return blend(lam, draw(size, Sigma, 3.0, rng), torn)
    return _half_squared_difference(mixed(), mixed())


def _simulate_cross(size: int, rng: np.random.Generator, alpha: float, Sigma_xy: float, wrong: str = "") -> np.ndarray:
    Sigma = np.array([[1.0, Sigma_xy], [Sigma_xy, 1.0]])

    def mixed() -> np.ndarray:
        lam = symmetric(alpha).sample(size, rng=rng)
        first, second = draw(size, Sigma, 0.5, rng), draw(size, Sigma, 0.5, rng)
        label_partner = draw(size, Sigma, 0.5, rng) if wrong == "separate" else second
        label_lam = 1 - lam if wrong == "swapped" else lam
        return np.stack([blend(lam, first[:, 0], second[:, 0]),
                         blend(label_lam, first[:, 1], label_partner[:, 1])], axis=1)
    return _half_squared_difference(mixed(), mixed())[:, 0, 1]


def simulate_cross(size: int, *, rng: np.random.Generator, alpha: float, Sigma_xy: float) -> np.ndarray:
    return _simulate_cross(size, rng, alpha, Sigma_xy)


def simulate_swapped_labels(size: int, *, rng: np.random.Generator, alpha: float, Sigma_xy: float) -> np.ndarray:
    return _simulate_cross(size, rng, alpha, Sigma_xy, "swapped")


def simulate_separate_partners(size: int, *, rng: np.random.Generator, alpha: float, Sigma_xy: float) -> np.ndarray:
    return _simulate_cross(size, rng, alpha, Sigma_xy, "separate")


def simulate_raw(size: int, *, rng: np.random.Generator, alpha: float, Sigma: np.ndarray,
                 mu: np.ndarray) -> np.ndarray:
    lam = symmetric(alpha).sample((size, 1), rng=rng)
    x = blend(lam, draw(size, Sigma, mu, rng), draw(size, Sigma, mu, rng))
    return x[:, :, None] * x[:, None, :]


def simulate_distinct(size: int, *, rng: np.random.Generator, alpha: float, n: int) -> np.ndarray:
    return _one_draw(size, rng, alpha, n, 1)


def simulate_with_self_pairs(size: int, *, rng: np.random.Generator, alpha: float, n: int) -> np.ndarray:
    return _one_draw(size, rng, alpha, n, 0)


def _one_draw(size: int, rng: np.random.Generator, alpha: float, n: int, least_shift: int) -> np.ndarray:
    x = batch_data(n)
    i = rng.integers(n, size=size)
    j = (i + rng.integers(least_shift, n, size=size)) % n
    mixed = blend(symmetric(alpha).sample(size, rng=rng), x[i], x[j])
    return (mixed - x.mean())**2 / x.var()


# ---- classes -----------------------------------------------------------------------------------------------------

def class_points(Sigma_W: np.ndarray, Sigma_B: np.ndarray, K: int) -> np.ndarray:
    """K classes of five points each, (K, 5, d): within-class covariance Sigma_W, class means on a line.

    Sigma_B must have rank one, the most that two classes can have; unevenly spaced means make the law skewed.
    """
    spread = np.linalg.eigh(Sigma_B)
    direction = spread.eigenvectors[:, -1] * np.sqrt(spread.eigenvalues[-1])
    steps = np.arange(K) ** 2.0
    steps = (steps - steps.mean()) / steps.std()
    return steps[:, None, None] * direction + atoms(Sigma_W, np.zeros(len(Sigma_W)))


def _exact_class(alpha: float, points: np.ndarray, same: bool) -> tuple[np.ndarray, np.ndarray]:
    """All mixed points (and the class of their first member) of pairs from the same or from different classes."""
    K, m, d = points.shape
    label = np.repeat(np.arange(K), m)
    x = points.reshape(-1, d)
    i, j = np.nonzero((label[:, None] == label[None, :]) == same)
    lam, weight = symmetric(alpha).quadrature(nodes=WEIGHTS_EXACT_TO_DEGREE_5)
    mixed = blend(lam[:, None, None], x[i], x[j]).reshape(-1, d)
    return (np.column_stack([mixed, np.tile(label[i], len(lam))]), np.repeat(weight, len(i)) / len(i))


def exact_class_same(alpha: float, Sigma_W: np.ndarray, Sigma_B: np.ndarray) -> np.ndarray:
    return weighted_covariance(*_exact_class(alpha, class_points(Sigma_W, Sigma_B, 4), True))[:2, :2]


def exact_class_same_cross(alpha: float, cross: float) -> float:
    """y is the number of the class; the first feature has mean cross * y / Var(y) in it."""
    y = np.arange(4.0)
    points = np.stack([(y * cross / y.var())[:, None] + BASE_POINTS[:, 0] - BASE_POINTS[:, 0].mean(),
                       np.zeros((4, 5))], axis=2)
    return float(weighted_covariance(*_exact_class(alpha, points, True))[0, 2])


def exact_class_different(alpha: float, Sigma_W: np.ndarray, Sigma_B: np.ndarray, K: int) -> np.ndarray:
    return weighted_covariance(*_exact_class(alpha, class_points(Sigma_W, Sigma_B, K), False))[:2, :2]


def _simulate_class(size: int, rng: np.random.Generator, alpha: float, points: np.ndarray, rule: str) -> np.ndarray:
    K, m, d = points.shape

    def mixed() -> np.ndarray:
        first = rng.integers(K, size=size)
        shift = {"same": 0, "different": rng.integers(1, K, size=size), "any": rng.integers(K, size=size)}[rule]
        second = (first + shift) % K
        lam = symmetric(alpha).sample((size, 1), rng=rng)
        return blend(lam, points[first, rng.integers(m, size=size)], points[second, rng.integers(m, size=size)])
    return _half_squared_difference(mixed(), mixed())


def simulate_class_same(size: int, *, rng: np.random.Generator, alpha: float, Sigma_W: np.ndarray,
                        Sigma_B: np.ndarray) -> np.ndarray:
    return _simulate_class(size, rng, alpha, class_points(Sigma_W, Sigma_B, 4), "same")


def simulate_class_different(size: int, *, rng: np.random.Generator, alpha: float, Sigma_W: np.ndarray,
                             Sigma_B: np.ndarray, K: int) -> np.ndarray:
    return _simulate_class(size, rng, alpha, class_points(Sigma_W, Sigma_B, K), "different")


def simulate_class_any(size: int, *, rng: np.random.Generator, alpha: float, Sigma_W: np.ndarray,
                       Sigma_B: np.ndarray, K: int = 4) -> np.ndarray:
    return _simulate_class(size, rng, alpha, class_points(Sigma_W, Sigma_B, K), "any")


# ---- tails -------------------------------------------------------------------------------------------------------

def three_points(kappa: float, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """A skewed centred law on three points with the given kurtosis and standard deviation: points, probabilities.

    Mass p in a central atom dilutes a skewed two-point law of kurtosis k0 to kurtosis k0/(1 - p).
    """
    q = 0.4                                                   # two points with masses q and 1 - q: kurtosis k0
    points = np.array([np.sqrt((1 - q) / q), -np.sqrt(q / (1 - q))])
    base = q * points[0]**4 + (1 - q) * points[1]**4
    if kappa < base:
        raise ValueError(f"kappa = {kappa}: this law reaches kurtosis {base:.4f} and more")
    keep = base / kappa
    return sigma * np.array([*points / np.sqrt(keep), 0.0]), np.array([q * keep, (1 - q) * keep, 1 - keep])


def _exact_power(alpha: float, x: np.ndarray, p: np.ndarray, power: int) -> float:
    lam, weight = symmetric(alpha).quadrature(nodes=WEIGHTS_EXACT_TO_DEGREE_5)
    mixed = blend(lam[:, None, None], x[:, None], x[None, :])
    return float(np.einsum("q,i,j,qij->", weight, p, p, mixed**power))


def exact_fourth(alpha: float, kappa: float, sigma: float) -> float:
    return _exact_power(alpha, *three_points(kappa, sigma), 4)


def exact_kurtosis(alpha: float, kappa: float) -> float:
    law = three_points(kappa, 0.8)
    return _exact_power(alpha, *law, 4) / _exact_power(alpha, *law, 2)**2


def exact_threshold(alpha: float) -> float:
    """Root of enumerated mixed kurtosis minus kurtosis."""
    return float(optimize.brentq(lambda k: exact_kurtosis(alpha, k) - k, 1.5, 400, xtol=1e-13, rtol=1e-13))


def exact_kurtosis_gaussian(alpha: float) -> float:
    """Gauss-Hermite in both members: exact for polynomials of degree 4."""
    x, p = np.polynomial.hermite_e.hermegauss(3)
    p = p / p.sum()
    return _exact_power(alpha, x, p, 4) / _exact_power(alpha, x, p, 2)**2


def simulate_fourth(size: int, *, rng: np.random.Generator, alpha: float, kappa: float, sigma: float) -> np.ndarray:
    x, p = three_points(kappa, sigma)
    lam = symmetric(alpha).sample(size, rng=rng)
    return blend(lam, rng.choice(x, size, p=p), rng.choice(x, size, p=p))**4


def simulate_kurtosis_gaussian(size: int, *, rng: np.random.Generator, alpha: float) -> np.ndarray:
    """Fourth moment of mixed Gaussians over the squared variance, the latter by quadrature."""
    variance = symmetric(alpha).expect(lambda p: p**2 + (1 - p)**2)
    lam = symmetric(alpha).sample(size, rng=rng)
    return blend(lam, rng.standard_normal(size), rng.standard_normal(size))**4 / variance**2


def simulate_kurtosis_fixed_lambda(size: int, *, rng: np.random.Generator, alpha: float) -> np.ndarray:
    """One lambda with the right mean variance for all pairs: mixed Gaussians stay Gaussian."""
    variance = symmetric(alpha).expect(lambda p: p**2 + (1 - p)**2)
    lam = (1 + np.sqrt(2 * variance - 1)) / 2
    return blend(lam, rng.standard_normal(size), rng.standard_normal(size))**4 / variance**2


# ---- batches -----------------------------------------------------------------------------------------------------

def batch_data(n: int) -> np.ndarray:
    """A fixed skewed batch of n numbers."""
    return np.exp(np.linspace(0, 2, n))


@functools.cache
def partner_table(pairing: str, n: int) -> np.ndarray:
    """Every equally likely partner vector, (count, n)."""
    return np.array(list(enumerate_partners(pairing, n)))


def lambda_table(alpha: float, n: int, sharing: str) -> tuple[np.ndarray, np.ndarray]:
    """Nodes (count, n) and probabilities that integrate polynomials in the batch's lambdas exactly."""
    free = {"batch": 1, "pair": n // 2, "element": n}[sharing]
    lam, weight = symmetric(alpha).quadrature(nodes=3 if sharing == "batch" else 2)
    grid = np.array(list(itertools.product(lam, repeat=free)))
    probability = np.array(list(itertools.product(weight, repeat=free))).prod(axis=1)
    owner = {"batch": np.zeros(n, int), "pair": np.minimum(np.arange(n), np.arange(n)[::-1]), "element": np.arange(n)}
    return grid[:, owner[sharing]], probability


def _enumerate_batch(alpha: float, n: int, pairing: str, sharing: str, x: np.ndarray,
                     statistic: Any) -> np.ndarray:
    """Mean of statistic(mixed batch) over every partner vector and lambda; x: (n,) or (n, d)."""
    lam, weight = lambda_table(alpha, n, sharing)
    table = partner_table(pairing, n)
    if sharing == "pair":        # positions, not examples, own a lambda: keep the batch order, move the data
        orders = np.array(list(itertools.permutations(range(n))))
        own, other = x[orders], x[orders[:, ::-1]]
    else:
        own, other = np.broadcast_to(x, (len(table), *x.shape)), x[table]
    total = 0.0
    for row, w in zip(lam, weight, strict=True):
        total = total + w * statistic(blend(row.reshape(1, n, *(1,) * (x.ndim - 1)), own, other)).mean(axis=0)
    return total


def exact_batch(alpha: float, n: int, pairing: str, sharing: str) -> float:
    x = batch_data(n)
    return float(_enumerate_batch(alpha, n, pairing, sharing, x, lambda m: m.var(axis=1)) / x.var())


def exact_batch_mean(alpha: float, n: int, pairing: str, sharing: str) -> float:
    x = batch_data(n)
    return float(_enumerate_batch(alpha, n, pairing, sharing, x, lambda m: (m.mean(axis=1) - x.mean())**2) / x.var())


def mixed_batches(size: int, rng: np.random.Generator, alpha: float, x: np.ndarray, pairing: str,
                  sharing: str) -> np.ndarray:
    """`size` mixed versions of one fixed batch, each in a fresh random order: (size, n)."""
    n = len(x)
    own = rng.permuted(np.broadcast_to(x, (size, n)), axis=1)
    index = partners(pairing, n, rng=rng, replicas=size)
    lam = lambdas(symmetric(alpha), n, sharing=sharing, pairing=pairing, rng=rng, replicas=size)
    return blend(lam, own, np.take_along_axis(own, index, axis=1))


def simulate_batch(size: int, *, rng: np.random.Generator, alpha: float, n: int, pairing: str,
                   sharing: str) -> np.ndarray:
    x = batch_data(n)
    return mixed_batches(size, rng, alpha, x, pairing, sharing).var(axis=1) / x.var()


def simulate_batch_mean(size: int, *, rng: np.random.Generator, alpha: float, n: int, pairing: str,
                        sharing: str) -> np.ndarray:
    x = batch_data(n)
    return (mixed_batches(size, rng, alpha, x, pairing, sharing).mean(axis=1) - x.mean())**2 / x.var()


# ---- fluctuation -------------------------------------------------------------------------------------------------

def feature_batch(n: int, d: int) -> np.ndarray:
    """A fixed skewed batch of n vectors, (n, d), columns of different spread and correlated."""
    columns = [np.exp(np.linspace(0, 2, n)), np.cos(1.7 * np.arange(n)) * 3 + np.arange(n) % 2]
    return np.stack(columns[:d], axis=1)


def shape_of(n: int, d: int) -> dict[str, float]:
    """k = mean |c|^4/(tr C)^2 and g = tr C^2/(tr C)^2 of that batch: what a case must say about its data."""
    c = feature_batch(n, d) - feature_batch(n, d).mean(axis=0)
    covariance = c.T @ c / n
    trace = np.trace(covariance)
    return {"k": float(((c**2).sum(axis=1)**2).mean() / trace**2), "g": float((covariance**2).sum() / trace**2)}


def _data_of(n: int, g: float) -> np.ndarray:
    """The batch that a case speaks of: g = 1 says a scalar feature."""
    x = feature_batch(n, 1 if abs(g - 1) < 1e-9 else 2)
    return x - x.mean(axis=0)


def _total_variance(mixed: np.ndarray) -> np.ndarray:
    """tr C~ of batches (..., n, d)."""
    return mixed.var(axis=-2).sum(axis=-1)


def exact_cross_second(n: int, k: float, g: float, pairing: str) -> float:
    x = _data_of(n, g)
    products = (x * x[partner_table(pairing, n)]).sum(axis=2).mean(axis=1)
    return float((products**2).mean() / _total_variance(x)**2)


def simulate_cross_second(size: int, *, rng: np.random.Generator, n: int, k: float, g: float,
                          pairing: str) -> np.ndarray:
    x = _data_of(n, g)
    own = x[rng.permuted(np.tile(np.arange(n), (size, 1)), axis=1)]
    index = partners(pairing, n, rng=rng, replicas=size)
    products = (own * np.take_along_axis(own, index[:, :, None], axis=1)).sum(axis=2).mean(axis=1)
    return (products / _total_variance(x))**2


def exact_fluctuation(alpha: float, n: int, k: float, g: float, pairing: str) -> float:
    x = _data_of(n, g)
    lam, weight = lambda_table(alpha, n, "batch")
    mixed = blend(lam[:, None, :, None], x, x[partner_table(pairing, n)])
    ratio = _total_variance(mixed) / _total_variance(x)
    probability = weight[:, None] / ratio.shape[1]
    return float((probability * ratio**2).sum() - (probability * ratio).sum()**2)


def _ratio(size: int, rng: np.random.Generator, alpha: float, x: np.ndarray, pairing: str, sharing: str) -> np.ndarray:
    n = len(x)
    own = x[rng.permuted(np.tile(np.arange(n), (size, 1)), axis=1)]
    index = partners(pairing, n, rng=rng, replicas=size)
    lam = lambdas(symmetric(alpha), n, sharing=sharing, pairing=pairing, rng=rng, replicas=size)
    mixed = blend(lam[:, :, None], own, np.take_along_axis(own, index[:, :, None], axis=1))
    return _total_variance(mixed) / _total_variance(x)


def _half_square(size: int, rng: np.random.Generator, alpha: float, x: np.ndarray, pairing: str,
                 sharing: str) -> np.ndarray:
    """Unbiased for the variance of the ratio: two independent mixings of the same batch."""
    return (_ratio(size, rng, alpha, x, pairing, sharing) - _ratio(size, rng, alpha, x, pairing, sharing))**2 / 2


def simulate_fluctuation(size: int, *, rng: np.random.Generator, alpha: float, n: int, k: float, g: float,
                         pairing: str) -> np.ndarray:
    return _half_square(size, rng, alpha, _data_of(n, g), pairing, "batch")


def simulate_fluctuation_element(size: int, *, rng: np.random.Generator, alpha: float, n: int, k: float, g: float,
                                 pairing: str) -> np.ndarray:
    return _half_square(size, rng, alpha, _data_of(n, g), pairing, "element")


def signs(n: int) -> np.ndarray:
    """A batch of n/2 ones and n/2 minus ones."""
    return np.where(np.arange(n) % 2, 1.0, -1.0)[:, None]


def simulate_fluctuation_in_n(size: int, *, rng: np.random.Generator, alpha: float, n: int,
                              pairing: str) -> np.ndarray:
    return _half_square(size, rng, alpha, signs(n), pairing, "batch")


def simulate_fluctuation_in_n_element(size: int, *, rng: np.random.Generator, alpha: float, n: int,
                                      pairing: str) -> np.ndarray:
    return _half_square(size, rng, alpha, signs(n), pairing, "element")


def exact_fluctuation_rademacher(alpha: float, n: int, pairing: str) -> float:
    """Half the batch at +1, half at -1: the cross term is counted, not derived.

    Permutation: the number of +1 whose partner is +1 is hypergeometric. Roll: a random circular word of n/2 + and
    n/2 - has m runs of each sign with probability proportional to binom(n/2 - 1, m - 1)^2 / m.
    """
    half = n // 2
    if pairing == "permutation":
        agree = np.arange(half + 1)
        probability = stats.hypergeom(n, half, half).pmf(agree)
        cross = (4 * agree - n) / n
    else:
        runs = np.arange(1, half + 1)
        log = 2 * (special.gammaln(half) - special.gammaln(runs) - special.gammaln(half - runs + 1)) - np.log(runs)
        probability = np.exp(log - log.max())
        probability /= probability.sum()
        cross = 1 - 4 * runs / n
    lam, weight = symmetric(alpha).quadrature(nodes=3)
    S, u = lam**2 + (1 - lam)**2, lam * (1 - lam)
    ratio = S[:, None] + 2 * u[:, None] * cross
    joint = weight[:, None] * probability
    return float((joint * ratio**2).sum() - (joint * ratio).sum()**2)


def exact_pairing_noise(n: int, pairing: str) -> float:
    """Over all sign vectors: any independent standard examples give the same value."""
    x = np.array(list(itertools.product((-1.0, 1.0), repeat=n)))
    other = np.roll(x, 1, axis=1) if pairing == "roll" else x[:, ::-1]
    return float(n * (x * other).mean(axis=1).var())


def simulate_pairing_noise(size: int, *, rng: np.random.Generator, n: int, pairing: str) -> np.ndarray:
    x = rng.uniform(-np.sqrt(3), np.sqrt(3), (size, n))
    index = partners(pairing, n, rng=rng)
    return n * (x * x[:, index]).mean(axis=1)**2


def exact_gaussian_batch(alpha: float, n: int, sigma: float) -> float:
    """Tensor Gauss-Hermite grid over the batch, all permutations, all nodes of lambda."""
    nodes, p = np.polynomial.hermite_e.hermegauss(3)
    x = sigma * np.array(list(itertools.product(nodes, repeat=n)))
    probability = np.array(list(itertools.product(p / p.sum(), repeat=n))).prod(axis=1)
    lam, weight = lambda_table(alpha, n, "batch")
    total = 0.0
    for row, w in zip(lam, weight, strict=True):
        for index in partner_table("permutation", n):
            total += w * probability @ blend(row, x, x[:, index]).var(axis=1, ddof=1)**2
    return float(total / len(partner_table("permutation", n)))


def simulate_gaussian_batch(size: int, *, rng: np.random.Generator, alpha: float, n: int, sigma: float) -> np.ndarray:
    x = sigma * rng.standard_normal((size, n))
    index = partners("permutation", n, rng=rng, replicas=size)
    lam = symmetric(alpha).sample((size, 1), rng=rng)
    return blend(lam, x, np.take_along_axis(x, index, axis=1)).var(axis=1, ddof=1)**2


def exact_mirror_sum(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The operation itself on a batch of two, averaged over many lambdas."""
    rng = np.random.default_rng(0)
    batch = np.stack([first, second])
    sums = [mixup(batch, alpha=0.7, rng=rng, pairing="flip", sharing="pair").x.sum(axis=0) for _ in range(20)]
    if np.ptp(sums, axis=0).max() > 1e-14:
        return np.full_like(first, np.inf)
    return np.mean(sums, axis=0)
