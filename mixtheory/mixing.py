r"""The laws of the mixing weight lambda: moments, expectations, samples.

A law is an immutable object. `symmetric(alpha)` gives Beta(alpha, alpha) together with its two limits, which
are laws of their own: alpha = 0 puts half the mass on each of 0 and 1, alpha = inf puts all of it on 1/2.

Source: DLMF 5.12 (Beta integral), 8.17 (incomplete Beta), 18.9 (Jacobi recurrence); Golub and Welsch (1969).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp
from scipy import special
from scipy.linalg import eigh_tridiagonal

from mixtheory.domain import DomainError, check_alpha, check_count, check_lambda, check_positive, is_symbolic

__all__ = ["Atoms", "Beta", "Folded", "Law", "elementary", "symmetric"]

HUGE = 1e100                           # an alpha that is as good as infinite
CONCENTRATED = 20.0                    # beyond this a + b the density has a narrow peak: a kinked rule is
PEAK = (1.5, 4.0, 9.0, 25.0, 60.0)     # split at these distances from the mean too (in standard deviations)


class Law:
    """A distribution on [0, 1]. Subclasses give `moment`, `expect` and `sample`."""

    def moment(self, k: Any, m: Any) -> Any:
        """E[lambda^k (1 - lambda)^m]."""
        raise NotImplementedError

    def expect(self, h: Callable[[np.ndarray], Any], *, kinks: Sequence[float] = (), nodes: int = 48) -> Any:
        """E[h(lambda)] for a vectorised `h`: it gets (q,) nodes and returns (q, ...) values."""
        raise NotImplementedError

    def sample(self, size: int | tuple[int, ...], *, rng: Any, dtype: Any = None) -> Any:
        """Independent draws; `rng` is a numpy.random.Generator (ndarray) or a torch.Generator (tensor)."""
        raise NotImplementedError


@dataclass(frozen=True)
class Atoms(Law):
    """A law with finitely many values: `points` in [0, 1] with `weights` that sum to 1."""

    points: tuple[float, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.points) != len(self.weights) or not np.isclose(sum(self.weights), 1, rtol=1e-12):
            raise DomainError(f"weights = {self.weights}: must be one a point and sum to 1")
        if any(not 0 <= p <= 1 for p in self.points) or any(w < 0 for w in self.weights):
            raise DomainError(f"points = {self.points}: mixing weights must lie in [0, 1], with masses >= 0")

    def moment(self, k: Any, m: Any) -> float:
        return sum(w * p**k * (1 - p)**m for p, w in zip(self.points, self.weights, strict=True))

    def quadrature(self, *, kinks: Sequence[float] = (), nodes: int = 48) -> tuple[np.ndarray, np.ndarray]:
        """The points and weights themselves: exact for every integrand."""
        return np.array(self.points, dtype=float), np.array(self.weights, dtype=float)

    def expect(self, h: Callable[[np.ndarray], Any], *, kinks: Sequence[float] = (), nodes: int = 48) -> Any:
        return _average(h, np.array(self.points, dtype=float), np.array(self.weights))

    def sample(self, size: int | tuple[int, ...], *, rng: Any, dtype: Any = None) -> Any:
        if isinstance(rng, np.random.Generator):
            return rng.choice(np.array(self.points), size=size, p=self.weights).astype(dtype or np.float64)
        torch, shape = _torch_of(rng), _shape(size)
        u = torch.rand(shape, generator=rng, device=rng.device, dtype=torch.float64)
        edges = torch.tensor(np.cumsum(self.weights)[:-1], device=rng.device, dtype=torch.float64)
        points = torch.tensor(self.points, device=rng.device, dtype=torch.float64)
        return points[torch.searchsorted(edges, u, right=True)].to(dtype or torch.float64)


@dataclass(frozen=True)
class Beta(Law):
    """Beta(a, b) with finite a, b > 0 (floats, or SymPy symbols for `moment`, `log_moment`).

    Raises:
        DomainError: a or b not positive and finite.
    """

    a: Any
    b: Any

    def __post_init__(self) -> None:
        check_positive(self.a, "a")
        check_positive(self.b, "b")

    def moment(self, k: Any, m: Any) -> Any:
        """E[lambda^k (1 - lambda)^m] = B(a + k, b + m) / B(a, b), for k > -a and m > -b.

        Rising factorials for counts k and m, Gamma functions otherwise.
        """
        a, b = self.a, self.b
        if _is_count(k) and _is_count(m):
            return _rising(a, int(k)) * _rising(b, int(m)) / _rising(a + b, int(k) + int(m))
        if any(isinstance(value, sp.Basic) for value in (a, b, k, m)):
            ratio = sp.gamma(a + k) * sp.gamma(b + m) / sp.gamma(a + b + k + m)
            return ratio * sp.gamma(a + b) / (sp.gamma(a) * sp.gamma(b))
        if not (np.all(np.asarray(k) > -a) and np.all(np.asarray(m) > -b)):
            raise DomainError(f"(k, m) = ({k}, {m}): the moment is finite only for k > -a and m > -b")
        return np.exp(special.betaln(a + k, b + m) - special.betaln(a, b))

    def log_moment(self, k: Any = 0, m: Any = 0) -> Any:
        """E[lambda^k (1 - lambda)^m ln lambda] in nats, by digamma (quadrature is poor here for small a)."""
        symbolic = any(isinstance(value, sp.Basic) for value in (self.a, self.b, k, m))
        digamma = (lambda x: sp.polygamma(0, x)) if symbolic else special.digamma
        return self.moment(k, m) * (digamma(self.a + k) - digamma(self.a + self.b + k + m))

    def partial_moment(self, k: Any, m: Any, low: Any = 0.0, high: Any = 1.0) -> Any:
        """E[lambda^k (1 - lambda)^m ; low <= lambda <= high] by the regularised incomplete Beta function."""
        a, b = self.a + k, self.b + m
        if any(isinstance(value, sp.Basic) for value in (a, b, low, high)):
            return self.moment(k, m) * sp.betainc_regularized(a, b, low, high)
        check_lambda(low, "low")
        check_lambda(high, "high")
        if np.any(np.asarray(low) > np.asarray(high)):
            raise DomainError(f"(low, high) = ({low}, {high}): must be in increasing order")
        return self.moment(k, m) * (special.betainc(a, b, high) - special.betainc(a, b, low))

    def quadrature(self, *, kinks: Sequence[float] = (), nodes: int = 48) -> tuple[np.ndarray, np.ndarray]:
        """Nodes and weights (they sum to 1) of Gauss-Jacobi rules between the declared kinks.

        An end piece carries its own singularity as Jacobi weight; the rest of the density is smooth there.
        """
        a, b = float(self.a), float(self.b)
        check_count(nodes, "nodes", least=1)
        if len(kinks):
            check_lambda(np.asarray(kinks, dtype=float), "kinks")
        inner = {float(k) for k in kinks if 0 < float(k) < 1}
        if inner and a + b > CONCENTRATED:
            mean, sd = a / (a + b), np.sqrt(a * b / (a + b + 1)) / (a + b)
            inner |= {p for z in PEAK for p in (mean - z * sd, mean + z * sd) if 0 < p < 1}
        edges = [0.0, *sorted(inner), 1.0]
        points, weights, logs = [], [], []
        for low, high in zip(edges[:-1], edges[1:], strict=True):
            p = a if low == 0 and (not inner or a <= CONCENTRATED) else 1.0     # this piece carries
            q = b if high == 1 and (not inner or b <= CONCENTRATED) else 1.0    # x^(p-1) y^(q-1), y = 1 - x
            t, w = _gauss_jacobi(int(nodes), p, q)
            length = high - low
            x, y = low + length * (1 + t) / 2, (1 - high) + length * (1 - t) / 2
            mass = (p + q - 1) * np.log(length) + special.betaln(p, q)
            logs.append(mass + special.xlogy(a - p, x) + special.xlogy(b - q, y))
            points.append(x)
            weights.append(w)
        log = np.concatenate(logs)
        total = np.concatenate(weights) * np.exp(log - log.max())
        return np.concatenate(points), total / total.sum()

    def expect(self, h: Callable[[np.ndarray], Any], *, kinks: Sequence[float] = (), nodes: int = 48) -> Any:
        """E[h(lambda)] by Gauss-Jacobi quadrature, split at the `kinks` of h (or where it is very steep)."""
        return _average(h, *self.quadrature(kinks=kinks, nodes=nodes))

    def sample(self, size: int | tuple[int, ...], *, rng: Any, dtype: Any = None) -> Any:
        """Draws in float64, then cast.

        In torch as a ratio of Gamma draws in logarithms: `torch.distributions.Beta` divides Gamma draws that
        have underflowed, so that for small alpha both are equal and lambda = 1/2, the opposite of no mixing.
        """
        a, b = float(self.a), float(self.b)
        if isinstance(rng, np.random.Generator):
            return rng.beta(a, b, size=size).astype(dtype or np.float64, copy=False)
        torch, shape = _torch_of(rng), _shape(size)
        log_odds = _log_gamma_draws(torch, a, shape, rng) - _log_gamma_draws(torch, b, shape, rng)
        return torch.sigmoid(log_odds).to(dtype or torch.float64)


@dataclass(frozen=True)
class Folded(Law):
    """The law of max(lambda, 1 - lambda): the first member of a pair always keeps the larger share."""

    law: Law

    def moment(self, k: Any, m: Any) -> Any:
        """E[max^k min^m]; incomplete Beta functions for a Beta law."""
        if isinstance(self.law, Beta):
            upper = self.law.partial_moment(k, m, 0.5, 1.0)
            return upper + Beta(self.law.b, self.law.a).partial_moment(k, m, 0.5, 1.0)
        return self.law.expect(lambda p: np.maximum(p, 1 - p)**k * np.minimum(p, 1 - p)**m)

    def expect(self, h: Callable[[np.ndarray], Any], *, kinks: Sequence[float] = (), nodes: int = 48) -> Any:
        mirrored = {0.5, *kinks, *(1 - k for k in kinks)}
        return self.law.expect(lambda p: h(np.maximum(p, 1 - p)), kinks=sorted(mirrored), nodes=nodes)

    def sample(self, size: int | tuple[int, ...], *, rng: Any, dtype: Any = None) -> Any:
        lam = self.law.sample(size, rng=rng, dtype=dtype)
        other = 1 - lam
        return np.maximum(lam, other) if isinstance(lam, np.ndarray) else lam.maximum(other)


def symmetric(alpha: float) -> Law:
    """Beta(alpha, alpha), or its limit law: lambda is 0 or 1 at alpha = 0, and 1/2 at alpha = inf."""
    check_alpha(alpha)
    if not is_symbolic(alpha):
        if np.ndim(alpha):
            raise DomainError(f"alpha of shape {np.shape(alpha)}: a law has one alpha")
        if alpha == 0:
            return Atoms((0.0, 1.0), (0.5, 0.5))
        if np.isinf(alpha):
            return Atoms((0.5,), (1.0,))
    return Beta(alpha, alpha)


def elementary(formula: Callable[..., Any]) -> Callable[..., Any]:
    """Make a formula in `alpha` total on [0, inf]: check the domain, take limits where arithmetic cannot.

    The wrapped function accepts a float, an array or a SymPy expression. Where arithmetic gives NaN at an
    end, numbers get the limit of the same formula, taken by SymPy.
    """
    def limit(at: Any) -> float:
        return _limit(sp.sympify(formula(_ALPHA)), at)

    @functools.wraps(formula)
    def total(alpha: Any) -> Any:
        check_alpha(alpha)
        if is_symbolic(alpha):
            return formula(alpha)
        values = np.asarray(alpha, dtype=float)
        with np.errstate(all="ignore"):
            result = np.asarray(formula(values), dtype=float)
        for at, end in ((sp.S.Zero, values == 0), (sp.oo, values > HUGE)):
            lost = end & np.isnan(result)
            if lost.any():
                result = np.where(lost, limit(at), result)
        return result if values.ndim else float(result)

    return total


_ALPHA = sp.Symbol("alpha", positive=True)


@functools.cache
def _limit(expression: sp.Expr, at: Any) -> float:
    return float(sp.limit(expression, _ALPHA, at))


@functools.lru_cache(maxsize=1024)
def _gauss_jacobi(nodes: int, p: float, q: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes in (-1, 1) and weights (they sum to 1) for the weight (1 + t)^(p - 1) (1 - t)^(q - 1), p, q > 0.

    Eigenvalues of the symmetric tridiagonal matrix of the recurrence (Golub and Welsch 1969): accurate to
    rounding for every number of nodes, for tiny and for huge p and q.
    """
    k = np.arange(1, nodes, dtype=float)
    c = 2 * k + p + q - 2
    diagonal = np.concatenate([[(p - q) / (p + q)], (p - q) * (p + q - 2) / (c * (c + 2))])
    square = 4 * p * q / ((p + q) ** 2 * (p + q + 1)) * np.ones(nodes - 1)     # right for k = 1
    k, c = k[1:], c[1:]
    square[1:] = 4 * k * (k + p - 1) * (k + q - 1) * (k + p + q - 2) / (c**2 * (c**2 - 1))
    t, vectors = eigh_tridiagonal(diagonal, np.sqrt(square))
    weights = vectors[0] ** 2
    for array in (t, weights):
        array.setflags(write=False)
    return t, weights / weights.sum()


def _average(h: Callable[[np.ndarray], Any], points: np.ndarray, weights: np.ndarray) -> Any:
    """Sum of weights h(points); h must be vectorised and defined there."""
    values = np.asarray(h(points))
    if values.shape[:1] != points.shape:
        raise DomainError(f"h of {len(points)} weights has shape {values.shape}: must be vectorised")
    if np.isnan(values).any():
        raise DomainError("h: is NaN at some mixing weight; it must be defined on all of the law's support")
    return np.tensordot(weights, values, axes=1)[()]


def _log_gamma_draws(torch: Any, a: float, shape: tuple[int, ...], rng: Any) -> Any:
    """Draws of ln G, G ~ Gamma(a): G is U^(1/a) times a Gamma(a + 1) draw, which never underflows."""
    more = torch.full(shape, a + 1, dtype=torch.float64, device=rng.device)
    u = torch.rand(shape, generator=rng, device=rng.device, dtype=torch.float64)
    return torch.log(torch._standard_gamma(more, generator=rng)) + torch.log1p(-u) / a


def _shape(size: int | tuple[int, ...]) -> tuple[int, ...]:
    return (int(size),) if np.ndim(size) == 0 else tuple(size)


def _rising(x: Any, k: int) -> Any:
    """Rising factorial x (x + 1) ... (x + k - 1), for numbers, arrays and symbols."""
    product = 1
    for i in range(k):
        product = product * (x + i)
    return product


def _is_count(k: Any) -> bool:
    return isinstance(k, (int, np.integer, sp.Integer)) and k >= 0


def _torch_of(rng: Any) -> Any:
    import torch
    if not isinstance(rng, torch.Generator):
        raise DomainError(f"rng = {rng!r}: must be a numpy.random.Generator or a torch.Generator")
    return torch
