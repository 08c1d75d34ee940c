"""A derivation: a chain of equalities with reasons, each certified by SymPy or shown as an appeal."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import sympy as sp

__all__ = ["Derivation", "Step", "equal"]


def equal(left: Any, right: Any) -> bool:
    """True if SymPy can certify left = right (expectations, integrals and sums are computed first)."""
    if isinstance(left, sp.MatrixBase) or isinstance(right, sp.MatrixBase):
        left, right = sp.Matrix(left), sp.Matrix(right)
        return left.shape == right.shape and all(map(equal, left, right))
    difference = (sp.sympify(left).doit() - sp.sympify(right).doit())
    if difference == 0:
        return True
    if not _vanishes_numerically(difference):
        return False
    if sp.expand(sp.fraction(sp.together(difference))[0]) == 0:        # rational functions: most of the book
        return True
    for reduce in (sp.expand, lambda e: sp.cancel(sp.together(e)), sp.gammasimp, sp.simplify,
                   lambda e: sp.simplify(sp.expand_func(e))):
        difference = reduce(difference)
        if difference == 0:
            return True
    return False


def _vanishes_numerically(expression: sp.Expr) -> bool:
    """A quick refutation at one awkward point; an expression that cannot be evaluated there passes on."""
    symbols = sorted(expression.free_symbols, key=str)
    point = {s: sp.Rational(7 + 6 * i, 5) if not s.is_integer else sp.Integer(11 + 2 * i)
             for i, s in enumerate(symbols)}
    try:
        value = complex(expression.subs(point).evalf(30))
        size = max(1.0, max((abs(complex(t.subs(point).evalf(30))) for t in sp.Add.make_args(expression)), default=1.0))
    except (TypeError, ValueError):
        return True
    return value != value or abs(value) <= 1e-12 * size


@dataclass(frozen=True)
class Step:
    """left = right because of `reason`; certified, resting on another claim, or an appeal."""

    left: Any
    right: Any
    reason: str
    appeal: bool = False
    claim: str | None = None

    def certified(self) -> bool:
        """Whether SymPy certifies it now; an appeal never is."""
        return not self.appeal and equal(self.left, self.right)


@dataclass(frozen=True)
class Derivation:
    """From a definition to `predict` on symbols.

    Attributes:
        name: TeX of what is derived.
        start: the definition: the mixing operation on symbols.
        parameters: `predict`'s arguments as symbols: its value there must be the conclusion.
        steps: built by `equals` (to be certified) and `appeal` (definition, lemma, cited theorem).
    """

    name: str
    start: Any
    parameters: dict[str, Any]
    steps: tuple[Step, ...] = ()

    @property
    def conclusion(self) -> Any:
        """The last right-hand side."""
        return self.steps[-1].right if self.steps else self.start

    def equals(self, right: Any, reason: str, *, claim: str | None = None) -> Derivation:
        """Append a step that SymPy must certify; `claim` names the claim that it uses, for the graph."""
        return replace(self, steps=(*self.steps, Step(self.conclusion, right, reason, claim=claim)))

    def appeal(self, right: Any, reason: str, *, claim: str | None = None) -> Derivation:
        """Append a step that is not certified: by definition, by a lemma, or by another claim."""
        return replace(self, steps=(*self.steps, Step(self.conclusion, right, reason, appeal=True, claim=claim)))

    @property
    def rests_on(self) -> tuple[str, ...]:
        """The claims that its steps use."""
        return tuple(dict.fromkeys(s.claim for s in self.steps if s.claim))
