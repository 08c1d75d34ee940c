"""Second routes of the chapter on the law of lambda: quadrature, mpmath, sampling, a small classifier."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
import sympy as sp

from mixtheory.mixing import Beta, Law, symmetric
from mixtheory.mixup import blend

__all__ = ["Extremum", "Pairs", "expected", "one_sided", "oracle", "sampled", "sampled_spread", "spread"]


def expected(h: Callable[[Any], Any], *, kinks: Sequence[float] = ()) -> Callable[..., Any]:
    """The exact route alpha -> E h(lambda), by quadrature."""
    return lambda alpha: symmetric(alpha).expect(h, kinks=kinks)


def spread(h: Callable[[Any], Any]) -> Callable[..., Any]:
    """The exact route alpha -> Var h(lambda), centred before squaring."""
    def variance(alpha: float) -> Any:
        law = symmetric(alpha)
        centre = law.expect(h)
        return law.expect(lambda p: (h(p) - centre) ** 2)
    return variance


def sampled(h: Callable[[Any], Any], law: Callable[..., Law] = symmetric) -> Callable[..., Any]:
    """The Monte Carlo route: one value h(lambda) a draw, lambda ~ `law` of the case's parameters."""
    return lambda size, *, rng, **case: h(law(**case).sample(size, rng=rng))


def sampled_spread(h: Callable[[Any], Any], law: Callable[..., Law] = symmetric) -> Callable[..., Any]:
    """Unbiased values of Var h(lambda): half the squared difference of two draws."""
    draw = sampled(h, law)
    return lambda size, *, rng, **case: (draw(size, rng=rng, **case) - draw(size, rng=rng, **case)) ** 2 / 2


def one_sided(alpha: float) -> Law:
    """Wrong on purpose: Beta(alpha, 1) where Beta(alpha, alpha) is meant (the limits are left alone)."""
    return Beta(alpha, 1.0) if 0 < alpha < np.inf else symmetric(alpha)


def oracle(h: Callable[[Any, Any], Any], a: float, b: float, *, splits: Sequence[float] = (),
           digits: int = 20) -> float:
    """E h(lambda, 1 - lambda) under Beta(a, b) by mpmath, lambda = t^(1/a) below 1/2 and mirrored above.

    The substitution swallows the end point's singularity; no Beta or Gamma function is called.
    """
    def half(f: Callable[[Any, Any], Any], p: Any, q: Any, cuts: list[Any]) -> Any:
        edges = [mpmath.mpf(0), *sorted(c**p for c in cuts if 0 < c < 0.5), mpmath.mpf(0.5) ** p]
        return mpmath.quad(lambda t: f(t ** (1 / p), 1 - t ** (1 / p)) * (1 - t ** (1 / p)) ** (q - 1),
                           edges) / p

    with mpmath.workdps(digits):
        a, b, cuts = mpmath.mpf(a), mpmath.mpf(b), [mpmath.mpf(c) for c in splits]
        def total(f: Callable[[Any, Any], Any]) -> Any:
            return half(f, a, b, cuts) + half(lambda y, x: f(x, y), b, a, [1 - c for c in cuts])
        return float(total(h) / total(lambda x, y: mpmath.mpf(1)))


class Extremum(sp.Expr):
    """sup or inf of a rational function without poles over an interval: printed as such, computed by `doit`.

    The candidates are the ends (as limits) and the real roots of the derivative.
    """

    def __new__(cls, kind: Any, expression: Any, symbol: sp.Symbol, domain: sp.Interval) -> Extremum:
        return super().__new__(cls, sp.Symbol(str(kind)), sp.sympify(expression), symbol, domain)

    @property
    def free_symbols(self) -> set[sp.Symbol]:
        return self.args[1].free_symbols - {self.args[2]}

    def doit(self, **hints: Any) -> Any:
        kind, expression, symbol, domain = self.args
        f = sp.cancel(sp.together(expression.doit(**hints)))
        turning = sp.Poly(sp.fraction(sp.cancel(f.diff(symbol)))[0], symbol)
        values = [sp.limit(f, symbol, end) for end in (domain.start, domain.end)]
        values += [sp.radsimp(sp.expand(f.subs(symbol, x))) for x in set(turning.real_roots()) if x in domain]
        return (max if kind.name == "sup" else min)(values, key=float)

    def _latex(self, printer: Any) -> str:
        kind, expression, symbol, domain = map(printer._print, self.args)
        return rf"\{self.args[0].name}_{{{symbol} \in {domain}}} \left({expression}\right)"

    def _eval_is_commutative(self) -> bool:
        return True


@dataclass(frozen=True, eq=False)
class Pairs:
    """A softmax-linear classifier on a few labelled points; all ordered pairs of two points count alike.

    x: (n, d) features, y: (n, classes) targets, W: (d, classes) weights.
    """

    x: np.ndarray
    y: np.ndarray
    W: np.ndarray

    def __repr__(self) -> str:
        return f"Pairs({len(self.x)} points, {self.y.shape[1]} classes)"

    def _pairs(self) -> tuple[np.ndarray, np.ndarray]:
        return np.nonzero(~np.eye(len(self.x), dtype=bool))

    def _log_softmax(self, lam: Any, i: Any, j: Any) -> Any:
        z = blend(lam[..., None], self.x[i], self.x[j]) @ self.W
        return z - np.logaddexp.reduce(z, axis=-1, keepdims=True)

    def own(self, lam: np.ndarray) -> np.ndarray:
        """Mean cross-entropy at the mixed point against the first member's label: (q,) -> (q,), nats."""
        i, j = self._pairs()
        return -(self.y[i] * self._log_softmax(lam[:, None], i, j)).sum(-1).mean(-1)

    def mixed(self, lam: np.ndarray, *, entropy: bool = False) -> np.ndarray:
        """Mean cross-entropy against the mixed label; `entropy` subtracts the label's: Kullback-Leibler."""
        i, j = self._pairs()
        return self._loss(lam[:, None], i, j, entropy).mean(-1)

    def draw(self, lam: np.ndarray, rng: np.random.Generator, *, entropy: bool = False, ordered: bool = False
             ) -> np.ndarray:
        """One loss for each lambda, at a random pair; `ordered` puts the lower index first."""
        i = rng.integers(len(self.x), size=lam.shape)
        j = (i + rng.integers(1, len(self.x), size=lam.shape)) % len(self.x)
        i, j = (np.minimum(i, j), np.maximum(i, j)) if ordered else (i, j)
        return self._loss(lam, i, j, entropy)

    def _loss(self, lam: np.ndarray, i: np.ndarray, j: np.ndarray, entropy: bool) -> np.ndarray:
        target = blend(lam[..., None], self.y[i], self.y[j])
        loss = -(target * self._log_softmax(lam, i, j)).sum(-1)
        if entropy:
            loss = loss + (target * np.log(np.where(target > 0, target, 1.0))).sum(-1)
        return loss
