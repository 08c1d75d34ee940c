"""Second routes of the chapter on labels: sums over classes and pairs, graded quadrature, sampling, a decoder."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import sympy as sp
from scipy import special
from scipy.optimize import minimize
from sympy.printing.precedence import PRECEDENCE

from mixtheory.evidence import Mean
from mixtheory.mixing import Beta, Law, symmetric
from mixtheory.mixup import blend

NODES = 240


class Rule(NamedTuple):
    """Nodes lam and 1 - lam, each to full relative precision, and weights that sum to one."""

    lam: np.ndarray
    other: np.ndarray
    weight: np.ndarray


def law_of(alpha: Any) -> Law:
    """Beta(alpha, alpha) with its limits, or Beta(a, b) for a pair."""
    return Beta(*alpha) if isinstance(alpha, tuple) else symmetric(float(alpha))


@functools.lru_cache(64)
def rule(alpha: Any) -> Rule:
    """Quadrature for lambda ln lambda and kinks at 1/2: each half of [0, 1] is graded towards its end.

    lambda = t^m / 2 on the lower half makes every singularity t^3 or smoother; Gauss-Legendre in t. No Beta or
    Gamma function is called: the weights are divided by their sum.
    """
    if not isinstance(alpha, tuple) and alpha in (0, np.inf):
        lam = np.array([0.0, 1.0]) if alpha == 0 else np.array([0.5])
        return _kept(lam, 1 - lam, np.full(len(lam), 1 / len(lam)))
    a, b = alpha if isinstance(alpha, tuple) else (alpha, alpha)
    t, w = _gauss(NODES)
    halves = []
    for p, q in ((a, b), (b, a)):
        m = max(4.0, np.ceil(4 / p))
        small = t**m / 2
        halves.append((small, w * m * t ** (m * p - 1) * 2.0 ** -p * (1 - small) ** (q - 1)))
    (x, wx), (y, wy) = halves
    weight = np.concatenate([wx, wy])
    return _kept(np.concatenate([x, 1 - y]), np.concatenate([1 - x, y]), weight / weight.sum())


def _kept(*arrays: np.ndarray) -> Rule:
    for array in arrays:
        array.setflags(write=False)         # they are cached
    return Rule(*arrays)


@functools.cache
def _gauss(nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre on [0, 1]."""
    t, w = np.polynomial.legendre.leggauss(nodes)
    return (t + 1) / 2, w / 2


def labels(rule: Rule, K: int) -> np.ndarray:
    """Mixed one-hot labels of every pair of classes at every node: (K, K, q, K)."""
    eye = np.eye(K)
    return rule.lam[:, None] * eye[:, None, None] + rule.other[:, None] * eye[None, :, None]


def pairs(priors: Any, n: int | None = None) -> np.ndarray:
    """Probability of each ordered pair of classes: independent, or two distinct members of n counted one by one."""
    priors = np.asarray(priors, dtype=float)
    if n is None:
        return np.multiply.outer(priors, priors)
    members = np.repeat(np.arange(len(priors)), np.rint(n * priors).astype(int))
    result = np.zeros((len(priors),) * 2)
    for i, k in enumerate(members):
        for j, m in enumerate(members):
            result[k, m] += i != j
    return result / result.sum()


def over_pairs(h: Callable[[np.ndarray], np.ndarray]) -> Callable[..., float]:
    """The exact route (alpha, priors, n) -> E h(label), by summing over pairs of classes and quadrature."""
    def exact(alpha: Any, priors: Any, n: int | None = None) -> float:
        nodes = rule(alpha)
        return float(np.einsum("kl,klq,q->", pairs(priors, n), h(labels(nodes, len(priors))), nodes.weight))
    return exact


def draw_labels(size: int, rng: np.random.Generator, alpha: Any, priors: Any, n: int | None = None, *,
                other: bool = False) -> np.ndarray:
    """Mixed labels (size, K) of random pairs; of two classes only if `other`."""
    table = pairs(priors, n)
    K = len(table)
    if other:
        table = table * (1 - np.eye(K))
        table /= table.sum()
    pair = rng.choice(K * K, size=size, p=table.ravel())
    lam = law_of(alpha).sample(size, rng=rng)
    eye = np.eye(K)
    return blend(lam[:, None], eye[pair // K], eye[pair % K])


def drawn(h: Callable[[np.ndarray], np.ndarray], **how: Any) -> Callable[..., np.ndarray]:
    """The Monte Carlo route: h of one mixed label a unit."""
    def simulate(size: int, *, rng: np.random.Generator, alpha: Any, priors: Any, n: int | None = None) -> np.ndarray:
        return h(draw_labels(size, rng, alpha, priors, **({"n": n} | how)))
    return simulate


def entropy(p: np.ndarray) -> np.ndarray:
    """Entropy in nats along the last axis."""
    return special.entr(p).sum(-1)


def top(p: np.ndarray) -> np.ndarray:
    """The largest weight of a label."""
    return p.max(-1)


# ---- the loss floor ----------------------------------------------------------------------------------------

def cross_entropies(alpha: Any, priors: Any) -> np.ndarray:
    """Expected mixup cross-entropy of predictors that see more or less of a mixed example.

    The last but one is the best of a family found by an optimiser, the last answers with the mixed label itself.
    """
    nodes = rule(alpha)
    target, table, K = labels(nodes, len(priors)), pairs(priors), len(priors)

    def loss(q: np.ndarray) -> float:
        each = -special.xlogy(target, np.broadcast_to(q, target.shape)).sum(-1)
        return float(np.einsum("kl,klq,q->", table, each, nodes.weight))

    def softened(temper: float, share: float) -> np.ndarray:
        p = target ** np.exp(temper)
        return blend(1 / (1 + np.exp(share)), p / p.sum(-1, keepdims=True), 1 / K)

    rng = np.random.default_rng(0)
    eye = np.eye(K)
    both = (eye[:, None] + eye[None]) / 2                               # sees the classes, not lambda
    found = [loss(np.asarray(priors, dtype=float)), loss(blend(0.999, both, 1 / K)[:, :, None])]
    for size in (0.01, 0.1, 1.0):                                       # sees all, answers a little off
        p = blend(0.999, target, 1 / K) * np.exp(size * rng.standard_normal(target.shape))
        found.append(loss(p / p.sum(-1, keepdims=True)))
    best = minimize(lambda z: loss(softened(*z)), [0.3, -2.0], method="Nelder-Mead")
    return np.array([*found, float(best.fun), loss(target)])


class Points(NamedTuple):
    """A finite data set: x (n, d), classes (n,)."""

    x: np.ndarray
    classes: np.ndarray


def points(counts: tuple[int, ...], d: int = 3) -> Points:
    """So many points of each class in general position; d = 1 puts all segments on one line."""
    n = sum(counts)
    return Points(np.random.default_rng(5).standard_normal((n, d)), np.repeat(np.arange(len(counts)), counts))


def decode(data: Points, mixed: np.ndarray) -> np.ndarray:
    """Labels (N, K) of mixed points (N, d): that of the nearest segment between two of the points, and where on it."""
    x, eye = data.x, np.eye(int(data.classes.max()) + 1)
    i, j = np.triu_indices(len(x), 1)
    gap = x[i] - x[j]
    lam = np.clip(np.einsum("Npd,pd->Np", mixed[:, None] - x[j], gap) / (gap**2).sum(-1), 0, 1)
    off = ((mixed[:, None] - blend(lam[..., None], x[i], x[j])) ** 2).sum(-1)
    best = off.argmin(1)
    weight = np.take_along_axis(lam, best[:, None], 1)
    return blend(weight, eye[data.classes[i[best]]], eye[data.classes[j[best]]])


def decoded_loss(alpha: Any, counts: tuple[int, ...]) -> float:
    """Expected mixup cross-entropy of the decoder, by enumeration of all ordered pairs of points."""
    data, nodes, eye = points(counts), rule(alpha), np.eye(len(counts))
    total = 0.0
    for i in range(len(data.x)):
        for j in range(len(data.x)):
            mixed = nodes.lam[:, None] * data.x[i] + nodes.other[:, None] * data.x[j]
            target = nodes.lam[:, None] * eye[data.classes[i]] + nodes.other[:, None] * eye[data.classes[j]]
            q = np.clip(decode(data, mixed), 1e-15, 1.0)
            total += float(nodes.weight @ -special.xlogy(target, q).sum(-1))
    return total / len(data.x) ** 2


def draw_decoded_loss(size: int, *, rng: np.random.Generator, alpha: Any, counts: tuple[int, ...],
                      d: int = 3) -> np.ndarray:
    """The decoder's loss at random mixed points."""
    data, eye = points(counts, d), np.eye(len(counts))
    i, j = rng.integers(len(data.x), size=(2, size))
    lam = law_of(alpha).sample(size, rng=rng)[:, None]
    q = np.clip(decode(data, blend(lam, data.x[i], data.x[j])), 1e-15, 1.0)
    return -special.xlogy(blend(lam, eye[data.classes[i]], eye[data.classes[j]]), q).sum(-1)


def decoded_confidence(alpha: Any, counts: tuple[int, ...]) -> np.ndarray:
    """Weight that the decoder gives to the class of each point, at the point itself."""
    data = points(counts)
    return np.take_along_axis(decode(data, data.x), data.classes[:, None], 1)[:, 0]


# ---- symbols -----------------------------------------------------------------------------------------------

class Named(sp.Expr):
    """An expression under a short name: printed as the name, computed as what it stands for."""

    precedence = PRECEDENCE["Atom"]

    def __new__(cls, tex: Any, value: Any) -> Named:
        return super().__new__(cls, sp.Symbol(str(tex)), sp.sympify(value))

    @property
    def free_symbols(self) -> set[sp.Symbol]:
        return self.args[1].free_symbols

    def doit(self, **hints: Any) -> Any:
        return self.args[1].doit(**hints)

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        return self.args[0].name if exp is None else rf"{{{self.args[0].name}}}^{{{exp}}}"

    def _eval_is_commutative(self) -> bool:
        return True


class Psi(sp.polygamma):
    """Digamma, printed as the letter psi."""

    def doit(self, **hints: Any) -> Any:
        return sp.polygamma(0, self.args[1].doit(**hints))

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        text = rf"\psi\left({printer._print(self.args[1])}\right)"
        return text if exp is None else rf"{text}^{{{exp}}}"


class LogMean(Mean):
    """A mean of lambda^k (1 - lambda)^m ln lambda, or ln(1 - lambda), summed: printed as E[...], done by digamma."""

    def __new__(cls, expression: Any, lam: sp.Symbol, a: Any, b: Any = None) -> LogMean:
        mean = super().__new__(cls, expression)
        mean.lam, mean.parameters = lam, (a, a if b is None else b)
        return mean

    @property
    def func(self) -> Callable[[Any], LogMean]:
        return lambda expression: LogMean(expression, self.lam, *self.parameters)

    @property
    def free_symbols(self) -> set[sp.Symbol]:
        return (self.args[0].free_symbols - {self.lam}) | set().union(*(p.free_symbols for p in self.parameters))

    def _hashable_content(self) -> tuple[Any, ...]:
        return (*self.args, self.lam, *self.parameters)

    def doit(self, **hints: Any) -> Any:
        lam, (a, b) = self.lam, self.parameters
        total, expression = sp.S.Zero, sp.expand(self.args[0].doit())
        for logarithm, law, own in ((sp.log(lam), Beta(a, b), lam), (sp.log(1 - lam), Beta(b, a), 1 - lam)):
            factor = sp.Poly(expression.coeff(logarithm).subs(lam, own), lam)
            for (k,), coefficient in factor.terms():
                total += coefficient * law.log_moment(k, 0)
        return total


def entropy_of(p: Any) -> Any:
    """-sum p ln p of a symbolic label; zeros and ones carry none."""
    return -sum((c * sp.log(c) for c in p if c not in (0, 1)), sp.S.Zero)


class Minimum(sp.Expr):
    """The least value of a convex function of one variable: printed as such, computed where the slope is 0."""

    def __new__(cls, expression: Any, symbol: sp.Symbol) -> Minimum:
        return super().__new__(cls, sp.sympify(expression), symbol)

    @property
    def free_symbols(self) -> set[sp.Symbol]:
        return self.args[0].free_symbols - {self.args[1]}

    def doit(self, **hints: Any) -> Any:
        expression, symbol = self.args
        (best,) = sp.solve(sp.diff(expression, symbol), symbol)
        return expression.subs(symbol, best)

    def _latex(self, printer: Any) -> str:
        return rf"\min_{{{printer._print(self.args[1])}}} \left({printer._print(self.args[0])}\right)"

    def _eval_is_commutative(self) -> bool:
        return True
