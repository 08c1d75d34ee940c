"""Second routes of the chapter on calibration: both labels of a pair, another quadrature, sampling.

Nothing here knows a formula of the chapter. Lambda is integrated with a double exponential rule on the law
Beta(a, b) itself, a Gaussian on Gauss-Legendre panels; labels are mixed as they are, both members of a pair.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr

from mixtheory.mixing import symmetric

STEP, REACH = 0.02, 40.0           # tanh-sinh; what is left out has a mass of exp(-REACH)


@functools.cache
def lambda_rule(a: float, b: float | None = None, step: float = STEP) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """lambda, 1 - lambda and weights of Beta(a, b) by the tanh-sinh rule (a = 0, inf: the symmetric limits)."""
    if b is None and a in (0.0, np.inf):
        lam, w = symmetric(a).quadrature()
        return lam, 1 - lam, w
    b = a if b is None else b
    span = max(3.5, np.arcsinh(REACH / (np.pi * min(a, b))))
    t = np.arange(-span, span + step / 2, step)
    u = np.pi * np.sinh(t)
    log_lam, log_rest = -np.logaddexp(0, -u), -np.logaddexp(0, u)
    log_w = a * log_lam + b * log_rest + np.log(np.cosh(t))
    w = np.exp(log_w - log_w.max())
    keep = w > 0
    return np.exp(log_lam)[keep], np.exp(log_rest)[keep], w[keep] / w.sum()


def normal(x: np.ndarray, mean: np.ndarray, cov: np.ndarray) -> np.ndarray:
    """Density of N(mean, cov) at one point; mean (q, d), cov (q, d, d)."""
    r = x - mean
    quad = np.einsum("qi,qi->q", r, np.linalg.solve(cov, r[..., None])[..., 0])
    return np.exp(-quad / 2) / np.sqrt(np.linalg.det(2 * np.pi * cov))


def posterior(x: np.ndarray, means: np.ndarray, covariances: np.ndarray, priors: np.ndarray, alpha: float, *,
              wrong_variance: bool = False) -> np.ndarray:
    """Mean mixed label given the mixed point, point by point, over all ordered pairs and lambda."""
    mu = np.asarray(means, dtype=float).reshape(len(means), -1)
    lam, rest, w = lambda_rule(alpha)
    rows = []
    for point in np.asarray(x, dtype=float).reshape(-1, mu.shape[1]):
        mass = np.zeros(len(priors))
        for i, p in enumerate(priors):
            for j, q in enumerate(priors):
                first, second = (lam, rest) if wrong_variance else (lam**2, rest**2)
                cov = first[:, None, None] * covariances[i] + second[:, None, None] * covariances[j]
                here = p * q * w * normal(point, lam[:, None] * mu[i] + rest[:, None] * mu[j], cov)
                mass[i] += here @ lam
                mass[j] += here @ rest
        rows.append(mass / mass.sum())
    return np.array(rows)


# --- best answers -------------------------------------------------------------------------------------------

def expected_loss(loss: str, labels: np.ndarray, weights: np.ndarray, q: np.ndarray) -> Any:
    """Mean loss of the answer q over soft labels, term by term; q may be complex (for complex steps)."""
    if loss == "log":
        each = -np.log(q)
    elif loss == "brier":
        each = np.array([(((np.arange(len(q)) == k) - q) ** 2).sum() for k in range(len(q))])
    else:
        each = -q / np.sqrt((q * q).sum())
    return sum(w * (y * each).sum() for y, w in zip(labels, weights, strict=True))


def minimiser(labels: np.ndarray, weights: np.ndarray, loss: str) -> np.ndarray:
    """The answer on the simplex with the least mean loss: a root of its slope (by complex steps) in logits."""
    from scipy.optimize import minimize, root
    K, h = labels.shape[1], 1e-30

    def answer(z: np.ndarray) -> np.ndarray:
        e = np.exp(np.append(z, 0.0))
        return e / e.sum()

    def slope(z: np.ndarray) -> np.ndarray:
        steps = 1j * h * np.eye(K - 1)
        return np.array([expected_loss(loss, labels, weights, answer(z + step)).imag / h for step in steps])

    near = minimize(lambda z: expected_loss(loss, labels, weights, answer(z)), np.zeros(K - 1), jac=slope).x
    return answer(root(slope, near, tol=1e-14).x)


def geometric(labels: np.ndarray, weights: np.ndarray, loss: str = "log") -> np.ndarray:
    """Normalised geometric mean of labels kept away from 0: what averaging logits would give."""
    q = np.exp(weights @ np.log(np.clip(labels, 1e-3, 1)))
    return q / q.sum()


def pair_minimiser(a: float, b: float) -> float:
    """Root of the slope of E[-lambda ln q - (1 - lambda) ln(1 - q)]."""
    lam, rest, w = lambda_rule(a, b)
    return float(brentq(lambda q: w @ (rest / (1 - q) - lam / q), 1e-6, 1 - 1e-6, xtol=1e-15, rtol=1e-14))


def one_hot_pairs(priors: np.ndarray) -> float:
    """Over all ordered pairs of classes: whether the mixed label has one entry that is not 0."""
    eye = np.eye(len(priors))
    return float(sum(p * q * (np.count_nonzero(0.3 * eye[i] + 0.7 * eye[j]) == 1)
                     for i, p in enumerate(priors) for j, q in enumerate(priors)))


def one_hot_draws(size: int, *, rng: np.random.Generator, priors: np.ndarray) -> np.ndarray:
    """Whether a drawn mixed label has an entry of (nearly) one."""
    i, j = rng.choice(len(priors), size=(2, size), p=priors)
    lam = symmetric(4.2).sample(size, rng=rng)[:, None]
    return ((lam * np.eye(len(priors))[i] + (1 - lam) * np.eye(len(priors))[j]).max(axis=1) > 1 - 1e-12).astype(float)


def one_hot_draws_other(size: int, *, rng: np.random.Generator, priors: np.ndarray) -> np.ndarray:
    """The same where the partner is redrawn once if it is of the same class."""
    i, j, again = rng.choice(len(priors), size=(3, size), p=priors)
    return (np.where(i == j, again, j) == i).astype(float)


class Interval(NamedTuple):
    """The event low < x~ <= high for Gaussian classes on a line; called, its probability given a pair."""

    means: tuple[float, ...]
    sds: tuple[float, ...]
    low: float
    high: float

    def __call__(self, k: int, j: int, lam: np.ndarray) -> np.ndarray:
        mean = lam * self.means[k] + (1 - lam) * self.means[j]
        sd = np.hypot(lam * self.sds[k], (1 - lam) * self.sds[j])
        return ndtr((self.high - mean) / sd) - ndtr((self.low - mean) / sd)


def interval_share(chance: Interval, priors: np.ndarray, alpha: float) -> np.ndarray:
    """Label mass in the interval: both labels of each pair, the density of the mix integrated over it."""
    z, wz = np.polynomial.legendre.leggauss(80)
    x = (chance.low + chance.high) / 2 + z * (chance.high - chance.low) / 2
    lam, rest, w = lambda_rule(alpha)
    mass = np.zeros(len(priors))
    for i, p in enumerate(priors):
        for j, q in enumerate(priors):
            sd = np.hypot(lam * chance.sds[i], rest * chance.sds[j])
            mean = lam * chance.means[i] + rest * chance.means[j]
            density = np.exp(-(((x[:, None] - mean) / sd) ** 2) / 2) / sd / np.sqrt(2 * np.pi)
            here = p * q * w * (wz @ density) * (chance.high - chance.low) / 2
            mass += (here @ lam) * np.eye(len(priors))[i] + (here @ rest) * np.eye(len(priors))[j]
    return mass


def _draw(size: int, rng: np.random.Generator, chance: Interval, priors: np.ndarray, alpha: float
          ) -> tuple[np.ndarray, ...]:
    i, j = rng.choice(len(priors), size=(2, size), p=priors)
    mu, sd = np.array(chance.means), np.array(chance.sds)
    first, second = (mu[c] + sd[c] * rng.standard_normal(size) for c in (i, j))
    lam = symmetric(alpha).sample(size, rng=rng)
    mixed = lam * first + (1 - lam) * second
    return i, j, lam, mixed, (mixed > chance.low) & (mixed <= chance.high)


def interval_draws(size: int, *, rng: np.random.Generator, chance: Interval, priors: np.ndarray, alpha: float,
                   swapped: bool = False) -> np.ndarray:
    """Mixed labels of mixed examples, 0 where the example misses the interval."""
    i, j, lam, _, hit = _draw(size, rng, chance, priors, alpha)
    share, eye = (1 - lam if swapped else lam)[:, None], np.eye(len(priors))
    return hit[:, None] * (share * eye[i] + (1 - share) * eye[j])


def interval_draws_swapped(size: int, **case: Any) -> np.ndarray:
    """Labels mixed with lambda and 1 - lambda exchanged."""
    return interval_draws(size, swapped=True, **case)


def interval_draws_bayes(size: int, *, rng: np.random.Generator, chance: Interval, priors: np.ndarray, alpha: float
                         ) -> np.ndarray:
    """Mixed examples labelled by the posterior of the unmixed classes."""
    *_, mixed, hit = _draw(size, rng, chance, priors, alpha)
    mu, sd = np.array(chance.means), np.array(chance.sds)
    density = priors * np.exp(-(((mixed[:, None] - mu) / sd) ** 2) / 2) / sd
    return hit[:, None] * density / np.maximum(density.sum(axis=1, keepdims=True), 1e-300)


# --- chords -------------------------------------------------------------------------------------------------

def _functions(*expressions: Any) -> list[Callable[..., Any]]:
    import sympy as sp
    return [sp.lambdify(sp.Symbol("x", real=True), e, "numpy") for e in expressions]


def labelled_gap(eta: Any, test: Any, points: np.ndarray, weights: np.ndarray, alpha: float) -> float:
    """E[(y~ - eta(x~)) phi(x~)] over points, both labels and lambda, each case by itself."""
    e, phi = _functions(eta, test)
    lam, rest, w = lambda_rule(alpha)
    total = 0.0
    for a, p in zip(points, weights, strict=True):
        for b, q in zip(points, weights, strict=True):
            mixed = lam * a + rest * b
            for y in (0, 1):
                for z in (0, 1):
                    chance = (e(a) if y else 1 - e(a)) * (e(b) if z else 1 - e(b))
                    total += p * q * chance * (w @ ((lam * y + rest * z - e(mixed)) * (phi(mixed) + 0 * mixed)))
    return float(total)


def labelled_draws(size: int, *, rng: np.random.Generator, eta: Any, test: Any, points: np.ndarray, weights: np.ndarray,
                   alpha: float, follow: bool = False) -> np.ndarray:
    """(y~ - eta(x~)) phi(x~) of drawn pairs; `follow`: y~ is drawn from eta(x~) instead of mixed."""
    e, phi = _functions(eta, test)
    first, second = rng.choice(points, size=(2, size), p=weights)
    lam = symmetric(alpha).sample(size, rng=rng)
    mixed = lam * first + (1 - lam) * second
    y, z = (rng.random(size) < e(v) for v in (first, second))
    label = rng.random(size) < e(mixed) if follow else lam * y + (1 - lam) * z
    return (label - e(mixed)) * phi(mixed)


def truthful_draws(size: int, **case: Any) -> np.ndarray:
    """Mixed inputs with labels as nature would give them."""
    return labelled_draws(size, follow=True, **case)


PARABOLA = np.array([-1.0, 0.25, 1.75]), np.array([0.5, 0.2, 0.3])        # any three values


def _parabola(curvature: float, variance: float) -> tuple[np.ndarray, np.ndarray, Callable[[np.ndarray], np.ndarray]]:
    x, w = PARABOLA
    x = x * np.sqrt(variance / (w @ x**2 - (w @ x) ** 2))
    return x, w, lambda t: 0.4 + 0.05 * t + curvature * (t**2 - 0.6) / 1.0


def parabola_gap(alpha: float, curvature: float, variance: float) -> float:
    """E[y~ - eta(x~)] over three values of x, both labels and lambda."""
    x, w, e = _parabola(curvature, variance)
    lam, rest, v = lambda_rule(alpha)
    return float(sum(p * q * (v @ (lam * e(a) + rest * e(b) - e(lam * a + rest * b)))
                     for a, p in zip(x, w, strict=True) for b, q in zip(x, w, strict=True)))


def parabola_draws(size: int, *, rng: np.random.Generator, alpha: float, curvature: float, variance: float,
                   follow: bool = False) -> np.ndarray:
    """y~ - eta(x~) with labels drawn; `follow` labels a mixed input as nature would."""
    x, w, e = _parabola(curvature, variance)
    first, second = rng.choice(x, size=(2, size), p=w)
    lam = symmetric(alpha).sample(size, rng=rng)
    mixed = lam * first + (1 - lam) * second
    y, z = (rng.random(size) < e(v) for v in (first, second))
    return (rng.random(size) < e(mixed) if follow else lam * y + (1 - lam) * z) - e(mixed)


def parabola_draws_truthful(size: int, **case: Any) -> np.ndarray:
    """Mixed inputs with labels as nature would give them."""
    return parabola_draws(size, follow=True, **case)
