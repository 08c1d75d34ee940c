"""Constants of "Simulate": a Kumaraswamy law of lambda, a small batch, error rates."""

from __future__ import annotations

from typing import Any

import numpy as np

from mixtheory.course.draws import choose, grid

RATES = tuple((f, k) for k in (2, 3, 4, 5, 6) for f in (1, 2, 5))


def draw(rng: np.random.Generator) -> dict[str, Any]:
    """Shapes, a batch (x, y) of six, error rates of the decision; `hidden_*` serves the hidden tests alone."""
    shape, other = rng.choice(np.arange(10, 61), size=2, replace=False)
    x = np.round(rng.permutation(np.linspace(-2, 2, 6)) + rng.uniform(-0.3, 0.3, 6), 2)
    slope = choose(rng, -1, 1) * rng.uniform(0.7, 1.3)
    (f, k), (g, m) = choose(rng, *RATES), choose(rng, *RATES)
    return {
        "A": round(int(shape) / 20, 2), "B": round(int(other) / 20, 2), "p": grid(rng, 0.1, 0.4, 0.05),
        "x": [float(v) for v in x],
        "y": [float(v) for v in np.round(slope * x + rng.uniform(-0.4, 0.4, 6), 2)],
        "alarm": f * 10.0**-k, "alarm_tex": rf"{f}\cdot10^{{-{k}}}", "miss": g * 10.0**-m,
        "miss_tex": rf"{g}\cdot10^{{-{m}}}",
        "lazy": [grid(rng, 0.0, 0.2, 0.05), grid(rng, 0.3, 0.5, 0.05), grid(rng, 0.6, 0.8, 0.05)],
        "fine": [grid(rng, 0.002, 0.01, 0.0005), grid(rng, 0.011, 0.02, 0.0005), grid(rng, 0.021, 0.04, 0.001)],
        "off": 4,           # per cent by which every wrong sampler is off, at least; the same in every course
        "hidden_seed": int(rng.integers(2**31)),
        "hidden_p": [round(float(v), 3) for v in rng.uniform(0.05, 0.6, 3)],
        "hidden_x": [[round(float(v), 2) for v in rng.normal(size=n)] for n in (3, 4, 7)],
    }
