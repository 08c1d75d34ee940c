r"""Monte Carlo with error rates: streamed block means, agreement, power, the skewness guard.

A claim with k entries over all its cases agrees when every entry has
|estimate - prediction| <= z1 se, with z1 the t-quantile at FALSE_ALARM / 2k. The check has power when
(z1 + z2) se <= resolution, with z2 the quantile at MISS: then an error of the size of the resolution is missed
with probability MISS at most. Both rates are one in a million. Everything here is in units of the claim's scale.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

__all__ = ["BLOCKS", "FALSE_ALARM", "MISS", "Estimate", "estimate", "quantiles", "skew_guard", "units_needed"]

FALSE_ALARM = 1e-6
MISS = 1e-6
BLOCKS = 1024
PILOT = 8 * BLOCKS
CHUNK_NUMBERS = 2**22       # numbers drawn at a time, per entry of a case: keeps memory flat
HEADROOM = 1.35             # more units than the pilot's standard deviation asks for
SKEW_TARGET = 0.3           # of the guard's limit 1/2
ROUNDING = 1e-11            # float64 accumulation, in units of the scale


@dataclass(frozen=True)
class Estimate:
    """A mean with its standard error from independent block means; arrays have the shape of the prediction."""

    mean: np.ndarray
    se: np.ndarray
    skew: np.ndarray
    units: int
    blocks: int


def estimate(simulate: Callable[..., Any], case: Mapping[str, Any], *, units: int, rng: np.random.Generator,
             blocks: int = BLOCKS) -> Estimate:
    """Average `units` independent values of `simulate`, streamed in chunks of whole blocks.

    Each block mean is one observation; mean, standard error and skewness come from the `blocks` block means.
    """
    per_block = max(1, -(-units // blocks))
    probe = np.asarray(simulate(2, rng=rng, **case), dtype=float)
    numbers = int(np.prod(probe.shape[1:], dtype=int)) * _weight(case)
    at_once = int(np.clip(CHUNK_NUMBERS // max(1, numbers * per_block), 1, blocks))
    means = []
    for start in range(0, blocks, at_once):
        count = min(at_once, blocks - start)
        means.append(_block_means(simulate, case, count, per_block, numbers, rng))
    values = np.concatenate(means)
    if not np.isfinite(values).all():
        raise ValueError("simulate returned a value that is not finite")
    centre = values.mean(axis=0)
    spread = values.std(axis=0, ddof=1)
    third = ((values - centre) ** 3).mean(axis=0)
    skew = np.divide(third, spread**3, out=np.zeros_like(spread), where=spread > 1e-13 * np.abs(centre))
    return Estimate(centre, spread / np.sqrt(blocks), skew, blocks * per_block, blocks)


def _block_means(simulate: Callable[..., Any], case: Mapping[str, Any], count: int, per_block: int, numbers: int,
                 rng: np.random.Generator) -> np.ndarray:
    most = max(1, CHUNK_NUMBERS // max(1, numbers))
    if count * per_block <= most:
        values = np.asarray(simulate(count * per_block, rng=rng, **case), dtype=float)
        if values.shape[0] != count * per_block:
            raise ValueError(f"simulate returned {values.shape[0]} values where {count * per_block} were asked for")
        return values.reshape(count, per_block, *values.shape[1:]).mean(axis=1)
    total, left = 0.0, per_block            # one large block (count is 1 here), summed chunk by chunk
    while left:
        size = min(most, left)
        total = total + np.asarray(simulate(size, rng=rng, **case), dtype=float).sum(axis=0)
        left -= size
    return (total / per_block)[None]


def _weight(case: Mapping[str, Any]) -> int:
    """How many numbers one unit is likely to draw: the size of a batch, a data set, a dimension."""
    sizes = [int(v) for k, v in case.items() if k in ("n", "M") and np.isscalar(v)]
    arrays = [int(np.size(v)) for v in case.values() if isinstance(v, np.ndarray)]
    return max([1, *sizes]) * max([1, *arrays])


def quantiles(entries: int, blocks: int = BLOCKS) -> tuple[float, float]:
    """(z1, z2): t-quantiles at FALSE_ALARM / 2 entries and at MISS, for `blocks` block means."""
    return (float(stats.t.isf(FALSE_ALARM / (2 * entries), blocks - 1)), float(stats.t.isf(MISS, blocks - 1)))


def units_needed(pilot: Estimate, unit: np.ndarray, *, resolution: float, entries: int) -> int:
    """Units for which (z1 + z2) se <= resolution and block means are near enough to normal, from a pilot run."""
    z1, z2 = quantiles(entries)
    worst = float(np.max(pilot.se / unit))
    for_power = (HEADROOM * (z1 + z2) * worst / resolution) ** 2
    for_tails = (HEADROOM * skew_guard(pilot, z1) / SKEW_TARGET) ** 2
    return int(max(np.ceil(pilot.units * max(for_power, for_tails)), PILOT))


def skew_guard(result: Estimate, z1: float) -> float:
    """Largest |skew| z1^3 / (6 sqrt N): at most 1/2 for the normal tail at z1 to be trusted."""
    return float(np.max(np.abs(result.skew), initial=0.0) * z1**3 / (6 * np.sqrt(result.blocks)))
