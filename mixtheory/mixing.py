r"""The laws of the mixing weight lambda: moments, expectations, samples.

A law is an immutable object. `symmetric(alpha)` gives Beta(alpha, alpha) together with its two limits, which are
laws of their own: alpha = 0 puts half the mass on each of 0 and 1 (no mixing), alpha = inf puts all of it on 1/2.

Source: DLMF 5.12 (Beta integral), 8.17 (incomplete Beta), 18.3 (Jacobi weight).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp
from scipy import special

from mixtheory.domain import DomainError, check_alpha, check_positive, is_symbolic

__all__ = ["Atoms", "Beta", "Folded", "Law", "elementary", "symmetric"]

MAX_NODES_SMALL_ALPHA = 64     # SciPy's rule loses digits beyond this when a parameter is below 0.3


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

    def expect(self, h: Callable[[np.ndarray], Any], *, kinks: Sequence[float] = (), nodes: int = 48) -> Any:
        return np.tensordot(np.array(self.weights), np.asarray(h(np.array(self.points, dtype=float))), axes=1)

    def sample(self, size: int | tuple[int, ...], *, rng: Any, dtype: Any = None) -> Any:
        if isinstance(rng, np.random.Generator):
            return rng.choice(np.array(self.points), size=size, p=self.weights).astype(dtype or np.float64)
        torch = _torch_of(rng)
        shape = (size,) if isinstance(size, int) else tuple(size)
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
        """E[lambda^k (1 - lambda)^m] = B(a + k, b + m) / B(a, b), for k > -a and m > -b."""
        a, b = self.a, self.b
        if _is_count(k) and _is_count(m):
            return _rising(a, int(k)) * _rising(b, int(m)) / _rising(a + b, int(k) + int(m))
        if is_symbolic(a, b, k, m):
            ratio = sp.gamma(a + k) * sp.gamma(b + m) / sp.gamma(a + b + k + m)
            return ratio * sp.gamma(a + b) / (sp.gamma(a) * sp.gamma(b))
        if not (np.all(np.asarray(k) > -a) and np.all(np.asarray(m) > -b)):
            raise DomainError(f"(k, m) = ({k}, {m}): the moment is finite only for k > -a and m > -b")
        return np.exp(special.betaln(a + k, b + m) - special.betaln(a, b))

    def log_moment(self, k: Any = 0, m: Any = 0) -> Any:
        """E[lambda^k (1 - lambda)^m ln lambda] in nats, by digamma (quadrature is poor here for small a)."""
        digamma = sp.digamma if is_symbolic(self.a, self.b, k, m) else special.digamma
        return self.moment(k, m) * (digamma(self.a + k) - digamma(self.a + self.b + k + m))

    def partial_moment(self, k: Any, m: Any, low: Any = 0.0, high: Any = 1.0) -> Any:
        """E[lambda^k (1 - lambda)^m ; low <= lambda <= high] by the regularised incomplete Beta function."""
        a, b = self.a + k, self.b + m
        return self.moment(k, m) * (special.betainc(a, b, high) - special.betainc(a, b, low))

    def quadrature(self, *, kinks: Sequence[float] = (), nodes: int = 48) -> tuple[np.ndarray, np.ndarray]:
        """Nodes and weights (they sum to 1) of Gauss-Jacobi rules between the declared kinks.

        An end piece carries its own endpoint singularity as Jacobi weight; the rest of the density is smooth there.
        """
        a, b = float(self.a), float(self.b)
        if min(a, b) < 0.3 and nodes > MAX_NODES_SMALL_ALPHA:
            raise DomainError(f"nodes = {nodes}: with a or b below 0.3 use at most {MAX_NODES_SMALL_ALPHA} nodes and "
                              "declare kinks to split the interval")
        inner = sorted({float(k) for k in kinks if 0 < float(k) < 1})
        edges = [0.0, *inner, 1.0]
        points, weights = [], []
        for low, high in zip(edges[:-1], edges[1:], strict=True):
            left, right = (a - 1 if low == 0 else 0.0), (b - 1 if high == 1 else 0.0)
            t, w = special.roots_jacobi(nodes, right, left)
            half = (high - low) / 2
            x = low + half * (1 + t)
            y = (1 - high) + half * (1 - t)                         # 1 - x without cancellation
            w = w * half ** (1 + left + right)
            w = w * (x ** (a - 1) if low > 0 else 1.0) * (y ** (b - 1) if high < 1 else 1.0)
            points.append(x)
            weights.append(w)
        total = np.concatenate(weights)
        return np.concatenate(points), total / (total.sum() if not inner else np.exp(special.betaln(a, b)))

    def expect(self, h: Callable[[np.ndarray], Any], *, kinks: Sequence[float] = (), nodes: int = 48) -> Any:
        """E[h(lambda)] by Gauss-Jacobi quadrature; split at the `kinks` of h (or where it turns very steep)."""
        x, w = self.quadrature(kinks=kinks, nodes=nodes)
        return np.tensordot(w, np.asarray(h(x)), axes=1)

    def sample(self, size: int | tuple[int, ...], *, rng: Any, dtype: Any = None) -> Any:
        """Draws in float64, then cast: float32 draws of a small alpha pile up at the smallest normal number."""
        a, b = float(self.a), float(self.b)
        if isinstance(rng, np.random.Generator):
            return rng.beta(a, b, size=size).astype(dtype or np.float64, copy=False)
        torch = _torch_of(rng)
        shape = (size,) if isinstance(size, int) else tuple(size)
        parameters = torch.tensor([a, b], dtype=torch.float64, device=rng.device).expand(*shape, 2)
        return torch._sample_dirichlet(parameters, generator=rng)[..., 0].to(dtype or torch.float64)


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
    """Beta(alpha, alpha), or its limit law at alpha = 0 (lambda is 0 or 1) and at alpha = inf (lambda = 1/2)."""
    check_alpha(alpha)
    if not is_symbolic(alpha):
        if alpha == 0:
            return Atoms((0.0, 1.0), (0.5, 0.5))
        if np.isinf(alpha):
            return Atoms((0.5,), (1.0,))
    return Beta(alpha, alpha)


def elementary(formula: Callable[..., Any]) -> Callable[..., Any]:
    """Make a formula in `alpha` total on [0, inf]: it checks the domain and takes limits where arithmetic cannot.

    The wrapped function accepts a float, an array or a SymPy expression. At alpha = 0 and alpha = inf numbers get
    the limit of the same formula, taken by SymPy.
    """
    import functools

    @functools.cache
    def limit(at: Any) -> float:
        alpha = sp.Symbol("alpha", positive=True)
        return float(sp.limit(formula(alpha), alpha, at))

    @functools.wraps(formula)
    def total(alpha: Any) -> Any:
        check_alpha(alpha)
        if is_symbolic(alpha):
            return formula(alpha)
        values = np.asarray(alpha, dtype=float)
        ends = (values == 0) | np.isinf(values)
        if not ends.any():
            return formula(values) if values.ndim else formula(float(values))
        result = np.where(ends, 0.0, formula(np.where(ends, 1.0, values)))
        result = np.where(values == 0, limit(sp.S.Zero) if (values == 0).any() else 0.0, result)
        result = np.where(np.isinf(values), limit(sp.oo) if np.isinf(values).any() else 0.0, result)
        return result if values.ndim else float(result)

    return total


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
