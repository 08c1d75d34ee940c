"""What derivations of gradient noise print: variances, and S and u as symbols with their joint moments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy as sp

from mixtheory.evidence import Mean, MomentLaw, beta, expect
from mixtheory.theory import mixing_moments as mm

ALPHA, LAM = mm.ALPHA, mm.LAM


class Variance(Mean):
    """A variance as it stands on the page, computed by `doit`; like `Mean`."""

    @property
    def func(self) -> Callable[[Any], Variance]:
        return lambda expression: Variance(expression, *self.laws)

    def doit(self, **hints: Any) -> Any:
        f = self.args[0].doit(**hints)
        return expect(f**2, *self.laws) - expect(f, *self.laws) ** 2

    def _latex(self, printer: Any) -> str:
        return rf"\operatorname{{Var}}\left[{printer._print(self.args[0])}\right]"


def of_lambda() -> tuple[sp.Symbol, sp.Symbol, MomentLaw]:
    """S = lambda^2 + (1 - lambda)^2 and u = lambda (1 - lambda) as symbols, with their joint moments."""
    S, u = sp.symbols("S u", positive=True)
    powers = LAM**2 + (1 - LAM) ** 2, LAM * (1 - LAM)
    return S, u, MomentLaw((S, u), lambda k: expect(powers[0] ** k[0] * powers[1] ** k[1], beta(LAM, ALPHA)))
