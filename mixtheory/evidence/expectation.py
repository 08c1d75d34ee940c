r"""The expectation calculus: means of polynomials in random symbols, computed and not typed.

A `MomentLaw` is a tuple of symbols with a joint moment function; `expect` multiplies over independent laws.
`without_replacement` gives means over distinct members of a fixed data set with symbolic size n, by Moebius
inversion over set partitions.

Source: Isserlis (1918) for Gaussian moments; Rota (1964) for the inversion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp
from sympy.printing.precedence import PRECEDENCE

from mixtheory.domain import DomainError
from mixtheory.mixing import Beta

__all__ = ["DistinctMean", "Mean", "MomentLaw", "beta", "centred", "distinct_mean", "expect", "gaussian", "scalar",
           "without_replacement"]


@dataclass(frozen=True)
class MomentLaw:
    """Random symbols with `moment(powers)`, the mean of their product; `powers` has one entry a symbol."""

    symbols: tuple[sp.Symbol, ...]
    moment: Callable[[tuple[int, ...]], sp.Expr]


def beta(lam: sp.Symbol, a: Any, b: Any = None) -> MomentLaw:
    """lambda ~ Beta(a, b); b defaults to a."""
    law = Beta(sp.sympify(a), sp.sympify(a if b is None else b))       # plain integers stay exact
    return MomentLaw((lam,), lambda powers: law.moment(powers[0], 0))


def gaussian(symbols: Sequence[sp.Symbol], Sigma: Any) -> MomentLaw:
    """Centred Gaussian with covariance Sigma (d, d), by Wick's rule: the sum over all pairings."""
    Sigma = sp.Matrix(Sigma)

    def wick(indices: tuple[int, ...]) -> sp.Expr:
        if not indices:
            return sp.S.One
        first, rest = indices[0], indices[1:]
        return sum((Sigma[first, rest[i]] * wick(rest[:i] + rest[i + 1:]) for i in range(len(rest))), sp.S.Zero)

    return MomentLaw(tuple(symbols), lambda powers: wick(_repeat(powers)))


def centred(symbols: Sequence[sp.Symbol], Sigma: Any) -> MomentLaw:
    """Any law with mean 0 and covariance Sigma; only moments of order up to 2 exist for it."""
    Sigma = sp.Matrix(Sigma)

    def moment(powers: tuple[int, ...]) -> sp.Expr:
        indices = _repeat(powers)
        if len(indices) > 2:
            raise DomainError(f"powers = {powers}: a law given by its covariance has no moments beyond order 2")
        return (sp.S.One, sp.S.Zero, None)[len(indices)] if len(indices) < 2 else Sigma[indices[0], indices[1]]

    return MomentLaw(tuple(symbols), moment)


def scalar(x: sp.Symbol, *moments: Any) -> MomentLaw:
    """A scalar law with E x, E x^2, ... as given (symbols or numbers)."""
    def moment(powers: tuple[int, ...]) -> sp.Expr:
        if powers[0] > len(moments):
            raise DomainError(f"powers = {powers}: only {len(moments)} moments of {x} are given")
        return sp.S.One if powers[0] == 0 else sp.sympify(moments[powers[0] - 1])
    return MomentLaw((x,), moment)


def expect(expression: Any, *laws: MomentLaw) -> Any:
    """The mean of an expression that is polynomial in the symbols of independent laws; matrices entry by entry."""
    if isinstance(expression, sp.MatrixBase):
        return expression.applyfunc(lambda entry: expect(entry, *laws))
    symbols = [s for law in laws for s in law.symbols]
    if len(set(symbols)) < len(symbols):
        raise DomainError(f"laws = {symbols}: independent laws must not share symbols")
    polynomial = sp.Poly(sp.sympify(expression), *symbols)
    total = sp.S.Zero
    for powers, coefficient in polynomial.terms():
        term, start = coefficient, 0
        for law in laws:
            stop = start + len(law.symbols)
            term, start = term * law.moment(tuple(powers[start:stop])), stop
        total += term
    return total


class Mean(sp.Expr):
    """An expectation as it stands on the page: printed as E[...], computed by `doit` through `expect`."""

    laws: tuple[MomentLaw, ...]
    precedence = PRECEDENCE["Mul"]              # a power of a mean is printed as (E[...])^2

    def __new__(cls, expression: Any, *laws: MomentLaw) -> Mean:
        mean = super().__new__(cls, sp.sympify(expression))
        mean.laws = laws
        return mean

    @property
    def func(self) -> Callable[[Any], Mean]:
        return lambda expression: Mean(expression, *self.laws)

    @property
    def free_symbols(self) -> set[sp.Symbol]:
        averaged = {s for law in self.laws for s in law.symbols}
        return self.args[0].free_symbols - averaged

    def _hashable_content(self) -> tuple[Any, ...]:
        return (*self.args, *(id(law) for law in self.laws))

    def doit(self, **hints: Any) -> Any:
        return expect(self.args[0].doit(**hints), *self.laws)

    def _latex(self, printer: Any) -> str:
        return rf"\mathbb{{E}}\left[{printer._print(self.args[0])}\right]"

    def _eval_is_commutative(self) -> bool:
        return True


def set_partitions(items: Sequence[int]) -> Iterator[list[list[int]]]:
    """All partitions of a few items into blocks."""
    if not items:
        yield []
        return
    first, rest = items[0], items[1:]
    for partition in set_partitions(rest):
        yield [[first], *partition]
        for i, block in enumerate(partition):
            yield [*partition[:i], [first, *block], *partition[i + 1:]]


def distinct_mean(size: int, n: Any, unrestricted: Callable[[list[list[int]]], Any]) -> sp.Expr:
    """Mean over ordered `size`-tuples of distinct members of n.

    `unrestricted(blocks)` is the sum over all members, distinct or not, after the positions in each block
    have been given the same member.
    """
    total = sp.S.Zero
    for blocks in set_partitions(range(size)):
        sign = sp.prod([(-1) ** (len(b) - 1) * sp.factorial(len(b) - 1) for b in blocks])
        total += sign * unrestricted(blocks)
    return sp.factor(sp.expand(total) / sp.expand(sp.ff(n, size)))


class DistinctMean(sp.Expr):
    """A mean over distinct members as it stands on the page: printed as TeX, computed by `doit` (`distinct_mean`)."""

    definition: tuple[Any, ...]

    def __new__(cls, tex: str, size: int, n: Any, unrestricted: Callable[[list[list[int]]], Any]) -> DistinctMean:
        mean = super().__new__(cls, sp.Symbol(tex))
        mean.definition = (size, n, unrestricted)
        return mean

    @property
    def func(self) -> Callable[[Any], DistinctMean]:
        return lambda symbol: DistinctMean(symbol.name, *self.definition)

    @property
    def free_symbols(self) -> set[sp.Symbol]:
        return set()

    def doit(self, **hints: Any) -> sp.Expr:
        return distinct_mean(*self.definition)

    def _latex(self, printer: Any) -> str:
        return self.args[0].name

    def _eval_is_commutative(self) -> bool:
        return True


def without_replacement(powers: Sequence[int], n: Any, power_sums: Callable[[int], Any]) -> sp.Expr:
    """E[x_1^p1 x_2^p2 ...] over distinct members of n numbers with sums p_r = `power_sums(r)` of r-th powers."""
    return distinct_mean(len(powers), n, lambda blocks: sp.prod(
        [power_sums(sum(powers[i] for i in block)) for block in blocks]))


def _repeat(powers: Sequence[int]) -> tuple[int, ...]:
    return tuple(i for i, power in enumerate(powers) for _ in range(power))
