"""The constants of a problem set: one module a set, named like its master, with one function `draw(rng)`.

`draw` returns plain numbers, texts, lists and dicts by name; the master shows them as <<name>>. What the student must
not see (parameters of hidden tests) is drawn here too: the seed of a course is the instructor's secret.
"""

from __future__ import annotations

import importlib
import json
import zlib
from typing import Any

import numpy as np

from mixtheory.domain import DomainError, check_count

__all__ = ["constants", "choose", "grid"]


def constants(name: str, seed: int) -> dict[str, Any]:
    """The constants of the set `name` (such as "prove_and_check") in the course `seed`; the same on every machine.

    Raises:
        DomainError: a negative seed; constants that are not plain data.
    """
    check_count(seed, "seed", least=0)
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    drawn = importlib.import_module(f"mixtheory.course.draws.{name}").draw(rng)
    try:
        if json.loads(json.dumps(drawn, allow_nan=False)) == drawn:
            return drawn
    except (TypeError, ValueError):
        pass
    raise DomainError(f"draws of {name} = {drawn}: must be plain numbers, texts, lists and dicts")


def choose(rng: np.random.Generator, *values: Any) -> Any:
    """One of a few values."""
    return values[rng.integers(len(values))]


def grid(rng: np.random.Generator, low: float, high: float, step: float) -> float:
    """A short decimal number in [low, high]: a multiple of `step` away from `low`."""
    return round(low + step * int(rng.integers(round((high - low) / step) + 1)), 10)
