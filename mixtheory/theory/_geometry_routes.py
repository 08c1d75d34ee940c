"""Second routes to the chord penalty: profiles are evaluated as functions, chords are drawn, squares are averaged.

Nothing here knows a tent. Quadrature is split at kinks; sampling draws lambda and evaluates the function.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import integrate, optimize

from mixtheory.mixing import Beta, symmetric
from mixtheory.mixup import blend

CURVES = (
    (lambda t: np.sin(5 * t + 0.3), lambda t: -25 * np.sin(5 * t + 0.3)),
    (lambda t: np.exp(-2 * t) + 3 * t, lambda t: 4 * np.exp(-2 * t)),
)


def hinges(lam: Any, kinks: np.ndarray, jumps: np.ndarray) -> Any:
    """A piecewise linear function with these jumps of slope, some value and some slope at 0; lam (...)."""
    lam = np.asarray(lam, dtype=float)
    return 0.7 - 1.9 * lam + (jumps * np.maximum(0.0, lam[..., None] - kinks)).sum(-1)


def from_chord(phi: Any, lam: Any) -> Any:
    """phi less its chord over [0, 1]."""
    return phi(lam) - blend(lam, phi(1.0), phi(0.0))


def exact_curve(lam: float, curve: Any) -> float:
    return float(from_chord(curve.value, lam))


def exact_deviation(lam: float, kinks: np.ndarray, jumps: np.ndarray) -> float:
    return float(from_chord(lambda t: hinges(t, kinks, jumps), lam))


def exact_unit(lam: float, z_end: float, z_start: float, a: float) -> float:
    return float(from_chord(lambda t: a * np.maximum(0.0, blend(t, z_end, z_start)), lam))


def exact_variation(kinks: np.ndarray, jumps: np.ndarray) -> float:
    """Difference quotients in the middle of the gaps between distinct kinks."""
    edges = np.unique([0.0, 1.0, *kinks])
    middle, step = (edges[1:] + edges[:-1]) / 2, 1e-3
    slopes = (hinges(middle + step, kinks, jumps) - hinges(middle - step, kinks, jumps)) / (2 * step)
    return float(np.abs(np.diff(slopes)).sum())


def exact_kink_moment(alpha: float, a: float, b: float) -> float:
    """Two unit hinges less their chords, multiplied and integrated."""
    def product(lam: np.ndarray) -> np.ndarray:
        return np.prod([from_chord(lambda t, k=k: np.maximum(0.0, t - k), lam) for k in (a, b)], axis=0)
    return float(symmetric(alpha).expect(product, kinks=(a, b)))


def simulate_kink_moment(size: int, *, rng: np.random.Generator, alpha: float, a: float, b: float) -> np.ndarray:
    lam = symmetric(alpha).sample(size, rng=rng)
    return np.prod([from_chord(lambda t, k=k: np.maximum(0.0, t - k), lam) for k in (a, b)], axis=0)


def exact_penalty(kinks: np.ndarray, jumps: np.ndarray, alpha: float) -> float:
    return float(symmetric(alpha).expect(lambda lam: from_chord(lambda t: hinges(t, kinks, jumps), lam)**2,
                                         kinks=tuple(kinks)))


def simulate_penalty(size: int, *, rng: np.random.Generator, kinks: np.ndarray, jumps: np.ndarray,
                     alpha: float) -> np.ndarray:
    return from_chord(lambda t: hinges(t, kinks, jumps), symmetric(alpha).sample(size, rng=rng))**2


def simulate_penalty_one_sided(size: int, *, rng: np.random.Generator, kinks: np.ndarray, jumps: np.ndarray,
                               alpha: float) -> np.ndarray:
    law = Beta(alpha, 1.0) if 0 < alpha < np.inf else symmetric(alpha)
    return from_chord(lambda t: hinges(t, kinks, jumps), law.sample(size, rng=rng))**2


def exact_cheapest_pair(a: float, b: float) -> float:
    """Minimise over the second jump."""
    found = optimize.minimize_scalar(lambda J: exact_penalty(np.array([a, b]), np.array([1.0, J]), 1.0),
                                     options={"xtol": 1e-12})
    return float(found.fun)


# ---- Gaussian end points -------------------------------------------------------------------------------------------

def exact_gaussian_given(lam: float, a: float) -> float:
    """Polar coordinates of the two pre-activations: D is homogeneous, the radius comes out as E r^2 = 2."""
    def square(t: float) -> float:
        return a**2 * (max(0.0, lam * np.cos(t) + (1 - lam) * np.sin(t)) - lam * max(0.0, np.cos(t))
                       - (1 - lam) * max(0.0, np.sin(t)))**2
    zeros = np.arctan2(-lam, 1 - lam) % np.pi
    edges = sorted({*np.arange(5) * np.pi / 2, zeros, zeros + np.pi})
    return 2 * sum(integrate.quad(square, low, high, epsabs=1e-15)[0]
                   for low, high in zip(edges[:-1], edges[1:], strict=True)) / (2 * np.pi)


def exact_gaussian_uniform(a: float) -> float:
    """The same, averaged over lambda by Gauss-Legendre."""
    t, w = np.polynomial.legendre.leggauss(24)
    return float(w @ [exact_gaussian_given(lam, a) for lam in (1 + t) / 2] / 2)


def _rectified_square(lam: Any, z: np.ndarray, a: float) -> np.ndarray:
    return a**2 * from_chord(lambda t: np.maximum(0.0, blend(t, z[0], z[1])), lam)**2


def simulate_gaussian_given(size: int, *, rng: np.random.Generator, lam: float, a: float) -> np.ndarray:
    return _rectified_square(lam, rng.standard_normal((2, size)), a)


def simulate_gaussian_same(size: int, *, rng: np.random.Generator, lam: float, a: float) -> np.ndarray:
    """Wrong: the ends are correlated."""
    z = rng.standard_normal((2, size))
    return _rectified_square(lam, np.stack([z[0], (z[0] + z[1]) / np.sqrt(2)]), a)


def simulate_gaussian_uniform(size: int, *, rng: np.random.Generator, a: float, alpha: float = 1.0) -> np.ndarray:
    return _rectified_square(symmetric(alpha).sample(size, rng=rng), rng.standard_normal((2, size)), a)


# ---- smooth functions ----------------------------------------------------------------------------------------------

SLOPES, NORMAL = np.array([1.3, -0.7]), np.array([0.5, 2.0])


def _wave(x: np.ndarray) -> np.ndarray:
    return np.sin(x @ SLOPES) + np.exp(0.5 * (x @ NORMAL))


def _wave_hessian(x: np.ndarray) -> np.ndarray:
    return -np.sin(x @ SLOPES) * np.outer(SLOPES, SLOPES) + 0.25 * np.exp(0.5 * (x @ NORMAL)) * np.outer(NORMAL, NORMAL)


def _wave_third(x: np.ndarray, v: np.ndarray) -> float:
    return -np.cos(x @ SLOPES) * (v @ SLOPES)**3 + 0.125 * np.exp(0.5 * (x @ NORMAL)) * (v @ NORMAL)**3


WAVE = (_wave, _wave_hessian, _wave_third)


def exact_quadratic(lam: float, A: np.ndarray, Delta: np.ndarray) -> float:
    """x^T A x / 2 with another gradient and value, at a segment that ends in some point."""
    start = np.array([0.7, -1.1])

    def phi(t: float) -> float:
        x = start + t * Delta
        return x @ A @ x / 2 + x @ np.array([2.0, -3.0]) + 1
    return float(from_chord(phi, lam))


def exact_quadratic_gaussian(alpha: float, A: np.ndarray, Sigma: np.ndarray) -> float:
    """Four Gauss-Hermite rules for two Gaussian points, exact up to degree 5; the function itself is mixed."""
    t, w = np.polynomial.hermite_e.hermegauss(3)
    z = np.stack(np.meshgrid(t, t, t, t, indexing="ij"), -1).reshape(-1, 4)
    weight = np.prod(np.meshgrid(w, w, w, w, indexing="ij"), axis=0).ravel() / w.sum()**4
    root = np.linalg.cholesky(Sigma).T
    return float(symmetric(alpha).expect(lambda lam: _quadratic_squares(lam[:, None], z, root, A) @ weight))


def _quadratic_squares(lam: Any, z: np.ndarray, root: np.ndarray, A: np.ndarray) -> np.ndarray:
    first, second = z[:, :2] @ root + 0.4, z[:, 2:] @ root + 0.4
    mixed = blend(lam[..., None], first, second)

    def f(x: np.ndarray) -> np.ndarray:
        return ((x @ A) * x).sum(-1) / 2
    return (f(mixed) - blend(lam, f(first), f(second)))**2


def simulate_quadratic_gaussian(size: int, *, rng: np.random.Generator, alpha: float, A: np.ndarray,
                                Sigma: np.ndarray) -> np.ndarray:
    return _quadratic_squares(symmetric(alpha).sample(size, rng=rng), rng.standard_normal((size, 4)),
                              np.linalg.cholesky(Sigma).T, A)


def simulate_quadratic_one_end(size: int, *, rng: np.random.Generator, alpha: float, A: np.ndarray,
                               Sigma: np.ndarray) -> np.ndarray:
    """Wrong: every segment starts in the mean."""
    z = rng.standard_normal((size, 4)) * [1, 1, 0, 0]
    return _quadratic_squares(symmetric(alpha).sample(size, rng=rng), z, np.linalg.cholesky(Sigma).T, A)


def _smooth(law: Any, h: float, f: Any) -> float:
    def phi(t: Any) -> Any:
        return f.value(f.midpoint + (np.asarray(t)[..., None] - 0.5) * h * f.direction)
    return float(law.expect(lambda lam: from_chord(phi, lam)**2))


def exact_smooth(alpha: float, h: float, f: Any) -> float:
    return _smooth(symmetric(alpha), h, f)


def exact_smooth_asymmetric(a: float, b: float, h: float, f: Any) -> float:
    return _smooth(Beta(a, b), h, f)


def _curved(bound: float) -> list[Any]:
    """Profiles with |phi''| <= bound: parabolas, waves, cubics."""
    waves = [lambda t, k=k, p=p: bound * np.sin(k * t + p) / k**2 for k in (1.0, 3.0, 7.0) for p in (0.0, 0.8, 1.6)]
    return [lambda t: bound * t**2 / 2, lambda t: -bound * t**2 / 2, lambda t: bound * t**3 / 6, *waves]


def exact_curvature_upper(alpha: float, M: float) -> np.ndarray:
    return np.array([symmetric(alpha).expect(lambda lam, phi=phi: from_chord(phi, lam)**2) for phi in _curved(M)])


def exact_curvature_lower(alpha: float, m: float) -> np.ndarray:
    """phi'' >= m: a parabola with a convex function added."""
    more = [lambda t: 0 * t, lambda t: t**4, lambda t: np.exp(2 * t), lambda t: 0.01 * (t - 0.3)**2]
    return np.array([symmetric(alpha).expect(lambda lam, c=c: from_chord(lambda t: m * t**2 / 2 + c(t), lam)**2)
                     for c in more])


# ---- bounds --------------------------------------------------------------------------------------------------------

PROFILES = (lambda t: t * (1 - t) * (t * (1 - t) - 0.2),            # orthogonal to 1 and lambda at alpha = 1
            lambda t: np.sin(3 * np.pi * t) + 4 * t, lambda t: np.exp(t) - 3 * t)


def _searched(variation: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Piecewise linear profiles of a given variation: single kinks on a grid, several at random."""
    rng = np.random.default_rng(5)
    single = [(np.array([k]), np.array([variation])) for k in np.linspace(0.02, 0.98, 49)]
    several = []
    for m in (2, 3, 6) * 12:
        J = rng.standard_normal(m)
        several.append((rng.random(m), variation * J / np.abs(J).sum()))
    return single + several


def exact_largest_deviation(variation: float) -> np.ndarray:
    """A piecewise linear D is largest at a kink."""
    return np.array([np.abs([exact_deviation(t, k, J) for t in k]).max() for k, J in _searched(variation)])


def exact_largest_penalty(alpha: float, variation: float) -> np.ndarray:
    found = optimize.minimize_scalar(lambda k: -exact_penalty(np.array([k]), np.array([variation]), alpha),
                                     bounds=(0.0, 1.0), method="bounded", options={"xatol": 1e-10})
    return np.array([*(exact_penalty(k, J, alpha) for k, J in _searched(variation)), -found.fun])


def exact_affine(alpha: float, profile: Any) -> float:
    return float(symmetric(alpha).expect(lambda lam: from_chord(profile, lam)**2))
