"""Constants of "Capstone": a mixing scheme: its law, its partners, how an example meets itself, its label weights."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from mixtheory.course.draws import choose, grid

# How an example can stand twice in one mix: who stands at each place (by number), and with which sign.
TWICE = (
    {"m": 2, "who": [0, 0], "sign": [1, 1], "text": "the partner is the example itself: $(x_2,y_2)=(x_1,y_1)$"},
    {"m": 2, "who": [0, 0], "sign": [1, -1],
     "text": "the partner is the example mirrored at the mean of the data: $(x_2,y_2)=(-x_1,-y_1)$"},
    {"m": 3, "who": [0, 1, 1], "sign": [1, 1, 1],
     "text": "both partners are the same example: $(x_3,y_3)=(x_2,y_2)$"},
    {"m": 3, "who": [0, 1, 0], "sign": [1, 1, 1],
     "text": "the second partner is the example itself: $(x_3,y_3)=(x_1,y_1)$"},
)
RATES = (0.07, 0.25, 0.48, 0.66, 0.89)


def draw(rng: np.random.Generator) -> dict[str, Any]:
    """The scheme and where its run is made; `hidden_*` serves the hidden tests alone."""
    low = int(rng.integers(4, 16))
    shapes = rng.permutation([low, low + int(rng.integers(5, 21))])
    nu = rng.choice(np.arange(2, 14), size=2, replace=False)
    return {
        "scheme": dict(choose(rng, *TWICE)),
        "a": str(Fraction(int(shapes[0]), 10)), "b": str(Fraction(int(shapes[1]), 10)),
        "c": str(Fraction(int(nu[0]), 4)), "d": str(Fraction(int(nu[1]), 4)),
        "bend": str(Fraction(choose(rng, -1, 1) * int(rng.integers(5, 11)), 11)), "odd": choose(rng, False, True),
        "sharing": choose(rng, "batch", "row"), "rows": int(rng.integers(8, 33)),
        "run_t": grid(rng, 0.3, 2.0, 0.05), "run_r": grid(rng, 0.05, 0.45, 0.05),
        "hidden_seed": int(rng.integers(2**31)),
        "hidden_at": [[round(float(t), 3), float(r)] for t, r in
                      zip(np.exp(rng.uniform(-1.2, 1.5, 5)), rng.permutation(RATES), strict=True)],
    }
