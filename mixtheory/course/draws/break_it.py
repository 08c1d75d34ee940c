"""Constants of "Break it": situations, a series without shuffling, unbalanced classes, three points on a line."""

from __future__ import annotations

from typing import Any

import numpy as np

from mixtheory.course.draws import choose, grid

SITUATIONS = 18         # that the master describes
SHOWN = 9


def draw(rng: np.random.Generator) -> dict[str, Any]:
    """Which situations, laws of lambda, targets and data; `hidden_*` serves the hidden tests alone."""
    alpha = grid(rng, 0.3, 2.0, 0.1)
    s = (alpha + 1) / (2 * alpha + 1)
    correlation = choose(rng, -1, 1) * grid(rng, 0.25, 0.75, 0.05)
    first, second = rng.choice(np.arange(10, 61), size=2, replace=False)
    return {
        "shown": [int(k) for k in rng.permutation(SITUATIONS)[:SHOWN]],
        "numbers": {"a": grid(rng, 0.5, 3, 0.5), "b": grid(rng, 3.5, 6, 0.5), "p": grid(rng, 5, 40, 5),
                    "n": int(rng.integers(5, 60)), "dof": int(rng.integers(3, 9)), "shift": grid(rng, 0.5, 3, 0.5),
                    "phi": grid(rng, 0.2, 0.8, 0.1), "top": grid(rng, 1.1, 1.5, 0.1), "tau": grid(rng, 0.1, 0.5, 0.1)},
        "alpha": alpha, "n": int(rng.integers(10, 17)), "target": round(s + (1 - s) * correlation, 3),
        "a": round(int(first) / 20, 2), "b": round(int(second) / 20, 2),
        "y": [float(v) for v in np.round(rng.normal(0, 2, 7), 2)], "alpha_loss": grid(rng, 0.2, 3.0, 0.1),
        "d": grid(rng, 0.15, 0.85, 0.001), "power": int(rng.integers(1, 5)),
        "audit": [grid(rng, 0.4, 2.4, 0.1), grid(rng, 0.4, 2.4, 0.1)],
        "hidden_seed": int(rng.integers(2**31)),
        "hidden_classes": [{"shares": [float(v) for v in np.round(share, 4)], "means": [float(v) for v in
                            np.round(rng.normal(0, 2, len(share)), 2)], "within": grid(rng, 0.2, 2, 0.1)}
                           for share in (_shares(rng, k) for k in (2, 3, 4))],
    }


def _shares(rng: np.random.Generator, k: int) -> list[float]:
    """Unequal class shares with four digits that add up to one."""
    parts = rng.choice(np.arange(1, 12), size=k, replace=False) + 2
    shares = [round(float(v), 4) for v in parts[:-1] / parts.sum()]
    return [*shares, round(1 - sum(shares), 4)]
