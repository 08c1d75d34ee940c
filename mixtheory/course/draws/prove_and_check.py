"""Constants of "Prove and check": asymmetric laws of lambda, Dirichlet weights, a mixture of two classes."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from mixtheory.course.draws import grid


def draw(rng: np.random.Generator) -> dict[str, Any]:
    """Rational shapes as text, the rest as short decimals; `hidden_*` serves the hidden tests alone."""
    least = int(rng.integers(3, 31))
    a, b = rng.permutation([least, least + int(rng.integers(5, 16))])           # so far from symmetric that it shows
    d = rng.choice(np.arange(1, 10), size=3, replace=False)
    low, high = grid(rng, 0.025, 0.295, 0.01), grid(rng, 0.55, 0.95, 0.05)      # never add up to 1: then S is constant
    pi = rng.choice(np.arange(2, 9), size=3, replace=False)
    return {
        "a": str(Fraction(int(a), 10)), "b": str(Fraction(int(b), 10)),
        "low": low, "high": high, "weight": grid(rng, 0.2, 0.8, 0.05),
        "d": [str(Fraction(int(k), 4)) for k in d], "pi": [str(Fraction(int(k), int(pi.sum()))) for k in pi],
        "prior": grid(rng, 0.25, 0.75, 0.05),
        "mean0": [grid(rng, -2, 0, 0.25), grid(rng, -1, 1, 0.25)],
        "mean1": [grid(rng, 0.5, 2, 0.25), grid(rng, -1, 1, 0.25)],
        "within": [grid(rng, 0.5, 2, 0.25), grid(rng, -0.4, 0.4, 0.1), grid(rng, 0.5, 2, 0.25)],
        "c": int(rng.integers(2, 6)), "e": int(rng.integers(6, 11)), "w": f"{rng.integers(1, 23)}/23",
        "hidden_t": sorted(round(float(t), 3) for t in np.exp(rng.uniform(-2, 2.5, 5))),
        "hidden_kappa": [round(float(k), 3) for k in rng.uniform(1.5, 9, 4)],
        "hidden_r": [round(float(r), 3) for r in rng.uniform(0.05, 0.95, 4)],
        "t_from": 0.2, "t_to": 20,                      # of the formula to be checked; the same in every course
        "hidden_seed": int(rng.integers(2**31)),
    }
