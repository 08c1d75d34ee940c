"""Constants of "Train and compare": a weight law, a label exponent, a confidence level, classes, noise levels."""

from __future__ import annotations

from typing import Any

import numpy as np

from mixtheory.course.draws import grid


def draw(rng: np.random.Generator) -> dict[str, Any]:
    """Laws and levels that a run is planned with; `hidden_*` serves the hidden tests alone."""
    a, b = (round(int(k) / 20, 2) for k in rng.choice(np.arange(8, 61), size=2, replace=False))
    first, second, third = (int(k) for k in rng.choice(np.arange(3, 14), size=3, replace=False))
    total = first + second + third
    shares = [round(first / total, 3), round(second / total, 3)]
    return {
        "a": a, "b": b,
        "power": grid(rng, 1.3, 3.5, 0.1),
        "level": grid(rng, 0.905, 0.995, 0.005),
        "shares": [*shares, round(1 - sum(shares), 3)],
        "alpha": grid(rng, 0.15, 3.0, 0.05), "keep": grid(rng, 0.1, 0.6, 0.05),
        "m": grid(rng, 0.8, 2.0, 0.1),
        "noises": [grid(rng, 0.7, 0.95, 0.05), grid(rng, 1.1, 1.4, 0.05), grid(rng, 1.6, 2.2, 0.1)],
        "hidden_seed": int(rng.integers(2**31)),
    }
