r"""Moments of the mixing weight."""

from __future__ import annotations

from typing import Any

import sympy as sp

from mixtheory.evidence import Claim, Derivation, Mean, beta, cases, predicts
from mixtheory.mixing import elementary, symmetric
from mixtheory.mixup import blend

ALPHA, LAM = sp.Symbol("alpha", positive=True), sp.Symbol("lambda", positive=True)


@elementary
def shrinkage(alpha: Any) -> Any:
    """s = E[lambda^2 + (1 - lambda)^2], dimensionless, in [1/2, 1]. alpha in [0, inf]: float, array or symbol."""
    return (alpha + 1) / (2 * alpha + 1)


def derive_shrinkage() -> Derivation:
    d = Derivation("s", Mean(LAM**2 + (1 - LAM)**2, beta(LAM, ALPHA)), {"alpha": ALPHA})
    return d.equals(shrinkage(ALPHA), "rising factorials")


def exact_shrinkage(alpha: float) -> float:
    return symmetric(alpha).expect(lambda p: p**2 + (1 - p)**2)


SHRINKAGE = Claim(
    id="mixing_moments.shrinkage",
    title="The shrinkage factor",
    statement=r"s = \frac{\alpha+1}{2\alpha+1}",
    predict=shrinkage, derive=derive_shrinkage, exact=exact_shrinkage,
    simulate=lambda size, *, rng, alpha: (lambda p: p**2 + (1 - p)**2)(symmetric(alpha).sample(size, rng=rng)),
    cases=cases(alpha=(0.0, 0.1, 0.37, 1.0, 4.2)),
    wrong={"off by one hundredth": predicts(lambda alpha: (alpha + 1.01) / (2 * alpha + 1)),
           "Beta(alpha, 1)": predicts(lambda alpha: (alpha**2+alpha+2)/((alpha+1)*(alpha+2)))},
)
