"""Routes to gradient noise that share no formula with the predictions: enumeration of small populations, sampling.

The population has three equally likely points, the noise is +-sigma; batches and lambdas are enumerated in full.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from mixtheory.mixing import Folded, symmetric
from mixtheory.mixup import blend
from mixtheory.pairing import enumerate_partners, lambdas, partners

TRIANGLE = np.array([[2.0, -1.0, -1.0], [0.0, 1.0, -1.0]]).T * np.array([1, np.sqrt(3)]) / np.sqrt(2)
CHUNK = 2_000_000


def atoms(Sigma: np.ndarray) -> np.ndarray:
    """Three equally likely points (3, d) of mean 0 and covariance Sigma, d at most 2."""
    return TRIANGLE[:, :len(Sigma)] @ np.linalg.cholesky(Sigma).T


def fourth_of(Sigma: np.ndarray, delta: np.ndarray) -> np.ndarray:
    """E[x x^T (delta^T x)^2] of this population."""
    x = atoms(Sigma)
    return (x * ((x @ delta) ** 2)[:, None]).T @ x / len(x)


def examples(Sigma: np.ndarray, delta: np.ndarray, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """All (x, residual) of the population, equally likely."""
    x = atoms(Sigma)
    r = x @ delta
    sd = np.sqrt(noise)
    return np.concatenate([x, x]), np.concatenate([r - sd, r + sd])


def rule(alpha: float, folded: bool) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of lambda, exact for degree 5; folded: of max(lambda, 1 - lambda)."""
    if not folded:
        return symmetric(alpha).quadrature(nodes=3)
    lam, weight = symmetric(alpha).quadrature(kinks=(0.5,), nodes=9)
    return np.maximum(lam, 1 - lam), weight


def weight_sets(alpha: float, n: int, sharing: str, folded: bool) -> tuple[np.ndarray, np.ndarray]:
    """Every assignment of lambda nodes to a batch (L, n) and its probability (L,)."""
    lam, weight = rule(alpha, folded)
    count = {"batch": 1, "pair": n // 2, "element": n}[sharing]
    index = np.array(list(itertools.product(range(len(lam)), repeat=count)))
    probability = weight[index].prod(axis=1)
    if sharing == "batch":
        index = np.repeat(index, n, axis=1)
    elif sharing == "pair":
        index = index[:, np.minimum(np.arange(n), np.arange(n)[::-1])]
    return lam[index], probability


def partner_sets(pairing: str, n: int) -> list[np.ndarray]:
    """Equally likely partners; members of a batch are independent, so roll and flip need only one order."""
    if pairing == "permutation":
        return list(enumerate_partners("permutation", n))
    if pairing == "fresh":
        return [np.arange(n) + n]
    return [np.roll(np.arange(n), 1) if pairing == "roll" else np.arange(n)[::-1]]


def enumerate_batches(alpha: float, Sigma: np.ndarray, delta: np.ndarray, noise: float, n: int, pairing: str,
                      sharing: str, folded: bool) -> tuple[np.ndarray, np.ndarray]:
    """Mean and second moment of the batch gradient, over every batch, pairing and lambda."""
    x, r = examples(Sigma, delta, noise)
    lam, weight = weight_sets(alpha, n, sharing, folded)
    size = 2 * n if pairing == "fresh" else n
    batches = np.array(list(itertools.product(range(len(x)), repeat=size)))
    d = x.shape[1]
    mean, second, found = np.zeros(d), np.zeros((d, d)), partner_sets(pairing, n)
    step = max(1, CHUNK // (len(lam) * n * d))
    for partner in found:
        for start in range(0, len(batches), step):
            own, other = batches[start:start + step, :n], batches[start:start + step][:, partner]
            L = lam[:, None, :]
            g = (blend(L[..., None], x[own], x[other]) * blend(L, r[own], r[other])[..., None]).mean(axis=2)
            p = np.repeat(weight, len(own)) / (len(batches) * len(found))
            g = g.reshape(-1, d)
            mean += p @ g
            second += (g * p[:, None]).T @ g
    return mean, second


def exact_mean(alpha: float, Sigma: np.ndarray, delta: np.ndarray, pairing: str, n: int) -> np.ndarray:
    return enumerate_batches(alpha, Sigma, delta, 0.3, n, pairing, "element", False)[0]


def exact_covariance(alpha: float, Sigma: np.ndarray, delta: np.ndarray, noise: float, fourth: Any = None, n: int = 1,
                     pairing: str = "fresh", sharing: str = "element", folded: bool = False) -> np.ndarray:
    mean, second = enumerate_batches(alpha, Sigma, delta, noise, n, pairing, sharing, folded)
    return second - np.outer(mean, mean)


def smallest(pairing: str) -> int:
    """A batch size that the pairing has."""
    return {"fresh": 1, "roll": 3, "flip": 2}[pairing]


def exact_factor(alpha: float, pairing: str, sharing: str, folded: bool = False) -> float:
    n, one = smallest(pairing), np.ones((1, 1))
    return float(n * exact_covariance(alpha, one, np.zeros(1), 1.0, None, n, pairing, sharing, folded)[0, 0])


def exact_stationary_variance(alpha: float, pairing: str, sharing: str, folded: bool = False,
                              rate: float = 0.01) -> float:
    """Stationary second moment of w - w_* at this rate over rate sigma^2 / 2 n, from every batch of the smallest size.

    One feature: (w - w_*) <- (1 - rate H)(w - w_*) + rate k with H the mean of x~^2, k the mean of x~ eps~.
    """
    n = smallest(pairing)
    x, r = examples(np.ones((1, 1)), np.zeros(1), 1.0)
    lam, weight = weight_sets(alpha, n, sharing, folded)
    batches = np.array(list(itertools.product(range(len(x)), repeat=2 * n if pairing == "fresh" else n)))
    keep = kick = 0.0
    (partner,) = partner_sets(pairing, n)
    for each, p in zip(lam, weight, strict=True):
        mixed = blend(each, x[batches[:, :n], 0], x[batches[:, partner], 0])
        noise = blend(each, r[batches[:, :n]], r[batches[:, partner]])
        keep += p * np.mean((1 - rate * np.mean(mixed**2, axis=1)) ** 2)
        kick += p * np.mean((rate * np.mean(mixed * noise, axis=1)) ** 2)
    return float(kick / (1 - keep) / (rate / (2 * n)))


def equal_speed(pairing: str, sharing: str, folded: bool = False) -> np.ndarray:
    """Enumerated noise at w_* over the squared enumerated mean factor, for alphas with both ends."""
    values = []
    for alpha in (0.0, 0.2, 1.0, np.inf):
        lam, w = rule(alpha, folded)
        values.append(exact_factor(alpha, pairing, sharing, folded) / (w @ (lam**2 + (1 - lam) ** 2)) ** 2)
    return np.array(values)


# ---- sampling ----------------------------------------------------------------------------------------------------

def draw_gradients(size: int, rng: np.random.Generator, alpha: float, Sigma: np.ndarray, delta: np.ndarray,
                   noise: float, n: int, pairing: str, sharing: str, folded: bool = False,
                   heteroscedastic: bool = False, torn: bool = False, swapped: bool = False) -> np.ndarray:
    """`size` independent batch gradients (size, d) of the three-point population."""
    total = 2 * n if pairing == "fresh" else n
    point = rng.integers(3, size=(size, total))
    x = atoms(Sigma)[point]
    sd = np.sqrt(noise * np.array([3.0, 0.0, 0.0])[point]) if heteroscedastic else np.sqrt(noise)
    r = x @ delta - sd * rng.choice([-1.0, 1.0], size=(size, total))
    law = Folded(symmetric(alpha)) if folded else symmetric(alpha)
    lam = lambdas(law, n, sharing=sharing, rng=rng, replicas=size, pairing=pairing if pairing != "fresh" else "roll") \
        if n > 1 else law.sample((size, 1), rng=rng)
    partner = np.arange(n) + n if pairing == "fresh" else partners(pairing, n, rng=rng, replicas=size)
    partner = np.broadcast_to(partner, (size, n))
    z = np.take_along_axis(x, partner[..., None], axis=1)
    t = np.take_along_axis(r, partner, axis=1)
    if torn:                                         # the partner's target comes from somebody else
        t = rng.permuted(t, axis=0)
    residual = blend(1 - lam, r[:, :n], t) if swapped else blend(lam, r[:, :n], t)
    return (blend(lam[..., None], x[:, :n], z) * residual[..., None]).mean(axis=1)


def simulate_mean(size: int, *, rng: np.random.Generator, alpha: float, Sigma: np.ndarray, delta: np.ndarray,
                  pairing: str, n: int) -> np.ndarray:
    return draw_gradients(size, rng, alpha, Sigma, delta, 0.3, n, pairing, "element")


def simulate_swapped_mean(size: int, *, rng: np.random.Generator, alpha: float, Sigma: np.ndarray,
                          delta: np.ndarray, pairing: str, n: int) -> np.ndarray:
    """lambda and 1 - lambda swapped on the targets, hence on what they leave of the residuals."""
    return draw_gradients(size, rng, alpha, Sigma, delta, 0.3, n, pairing, "element", swapped=True)


def simulate_covariance(size: int, *, rng: np.random.Generator, alpha: float, Sigma: np.ndarray, delta: np.ndarray,
                        noise: float, fourth: Any = None, n: int = 1, pairing: str = "fresh",
                        sharing: str = "element", folded: bool = False, **wrong: bool) -> np.ndarray:
    """Half the squared difference of two independent batches."""
    both = draw_gradients(2 * size, rng, alpha, Sigma, delta, noise, n, pairing, sharing, folded, **wrong)
    d = both[:size] - both[size:]
    return d[:, :, None] * d[:, None, :] / 2


def simulate_factor(size: int, *, rng: np.random.Generator, alpha: float, pairing: str, sharing: str,
                    folded: bool = False, heteroscedastic: bool = False) -> np.ndarray:
    n = smallest(pairing)
    g = draw_gradients(size, rng, alpha, np.ones((1, 1)), np.zeros(1), 1.0, n, pairing, sharing, folded,
                       heteroscedastic)
    return n * g[:, 0] ** 2
