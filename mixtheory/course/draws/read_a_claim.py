"""Constants of "Read a claim": statements with thresholds, a data set, two models to calibrate, losses of members."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

from mixtheory.course.draws import choose, grid
from mixtheory.mixing import Beta

STATEMENTS = 8          # of QUANTITIES that are shown
ASSUMPTIONS = 5         # that the master describes
NEEDS = 8               # statements with a least set of assumptions there; shown are
SHOWN = 6
# What is averaged over lambda ~ Beta(alpha, alpha), with a cut c, and whether the mean is claimed to be large enough
# (1) or small enough (-1). The sentences stand in the master. Every mean is monotone in alpha.
QUANTITIES: dict[str, tuple[Callable[[np.ndarray, float], np.ndarray], int]] = {
    "variance": (lambda p, c: p**2 + (1 - p) ** 2, 1),
    "dominated": (lambda p, c: np.maximum(p, 1 - p) >= c, 1),
    "entropy": (lambda p, c: special.entr(p) + special.entr(1 - p), 1),
    "smaller": (lambda p, c: np.minimum(p, 1 - p), -1),
    "rounding": (lambda p, c: 2 * np.minimum(p, 1 - p) ** 2, -1),
    "distance": (lambda p, c: (1 - p) ** 2, -1),
    "accuracy": (lambda p, c: np.maximum(p, 1 - p), -1),
    "middle": (lambda p, c: np.abs(p - 0.5) <= 0.1, -1),
    "deviation": (lambda p, c: np.abs(p - 0.5), 1),
    "product": (lambda p, c: (p * (1 - p)) ** 2, -1),
}


def draw(rng: np.random.Generator) -> dict[str, Any]:
    """What is claimed, and the numbers with which it is wrong; `hidden_*` serves the hidden tests alone."""
    names = [str(k) for k in rng.permutation(list(QUANTITIES))[:STATEMENTS]]
    z = np.round(np.array([-2.6, -1.3, 0.3, 1.4, 2.7]) + rng.uniform(-0.3, 0.3, 5), 2)
    parts = rng.integers(2, 9, 5)
    chances = [round(float(p), 3) for p in parts[:-1] / parts.sum()]
    n, low = 10, np.round(0.1 + 0.08 * np.arange(10) + rng.uniform(-0.03, 0.03, 10), 2)
    others = np.round(0.14 + 0.08 * np.arange(7) + rng.uniform(-0.03, 0.03, 7), 2)
    return {
        "claims": [_claim(name, rng) for name in names],
        "letters": [int(k) for k in rng.permutation(ASSUMPTIONS)],
        "needs": [int(k) for k in rng.permutation(NEEDS)[:SHOWN]],
        "share": grid(rng, 0.8, 0.95, 0.01), "percent": int(rng.integers(25, 76)), "nats": grid(rng, 0.2, 0.6, 0.001),
        "a": grid(rng, 0.4, 2.4, 0.1), "b": grid(rng, 0.45, 2.45, 0.1), "classes": _shares(rng),
        "x": [float(v) for v in np.round(np.concatenate([-rng.uniform(0.3, 2.5, 4), rng.uniform(0.3, 2.5, 4)]), 2)],
        "alpha": grid(rng, 0.8, 2.4, 0.1), "excess": grid(rng, 0.008, 0.024, 0.001),
        "z": [float(v) for v in z], "chances": [*chances, round(1 - sum(chances), 3)],
        "under": [grid(rng, 0.3, 0.55, 0.01), choose(rng, -1, 1) * grid(rng, 0.02, 0.05, 0.01)],
        "offset": [grid(rng, 0.9, 1.1, 0.01), choose(rng, -1, 1) * grid(rng, 0.25, 0.4, 0.01)],
        "members": [float(v) for v in rng.permutation(low)],
        "others": [float(v) for v in rng.permutation([*others, *np.round(rng.uniform(2, 5, 3), 2)])],
        "shrink": grid(rng, 0.08, 0.5, 0.01), "caught": int(rng.integers(6, n)),
        "paper": {"alpha": grid(rng, 0.2, 1.0, 0.1), "loss": [grid(rng, 0.02, 0.09, 0.01), grid(rng, 0.5, 0.9, 0.01)],
                  "ece": [grid(rng, 4, 7, 0.1), grid(rng, 2, 3.5, 0.1)], "gap": [grid(rng, 0.5, 0.9, 0.01),
                  grid(rng, 0.1, 0.3, 0.01)], "error": [grid(rng, 5, 6, 0.1), grid(rng, 4.4, 4.9, 0.1)]},
        "hidden_seed": int(rng.integers(2**31)),
    }


def _claim(name: str, rng: np.random.Generator) -> dict[str, Any]:
    """A range of alpha and a number, so that the sentence is true everywhere, somewhere or nowhere in the range."""
    mean, direction = QUANTITIES[name]
    low, share = grid(rng, 0.15, 0.6, 0.05), grid(rng, 0.75, 0.95, 0.05)
    high = round(low * int(rng.integers(3, 6)), 2)
    kinks = (0.4, 0.6) if name == "middle" else (1 - share, 0.5, share)
    ends = [float(Beta(alpha, alpha).expect(lambda p: mean(p, share) * 1.0, kinks=kinks)) for alpha in (low, high)]
    least, width = min(ends), max(ends) - min(ends)
    place = choose(rng, rng.uniform(-0.25, -0.1), rng.uniform(0.3, 0.7), rng.uniform(1.1, 1.25))
    place = 1 - place if least + place * width <= 0 else place          # no sentence about "a share of -0.01 or more"
    return {"name": name, "low": low, "high": high, "share": share, "value": round(least + place * width, 4),
            "direction": direction}


def _shares(rng: np.random.Generator) -> list[float]:
    """Three unequal class shares with three digits."""
    parts = rng.choice(np.arange(3, 14), size=3, replace=False)
    first, second = (round(float(v), 3) for v in parts[:2] / parts.sum())
    return [first, second, round(1 - first - second, 3)]
