"""Times of calls that do the same work, taken in turn, and their ratios round by round.

A machine's speed drifts and other programs come and go: in every round each call is timed once, in a random order, and
only ratios within a round are compared. Their median has an interval from order statistics, which holds for any
distribution: the number of ratios below the true median is Binomial(rounds, 1/2).
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from mixtheory.domain import check_count, check_member

__all__ = ["CONFIDENCE", "LEAST_ROUNDS", "Ratio", "compare", "finish", "measure", "ratio", "ratios", "say",
           "synchronizer"]

CONFIDENCE = 0.99
LEAST_ROUNDS = 8        # with fewer, even the smallest and the largest ratio make no interval of this confidence


class Ratio(NamedTuple):
    """Median of time / time of the reference, its interval, and the median time itself in seconds."""

    median: float
    low: float
    high: float
    seconds: float

    def at_most(self, bound: float) -> str:
        """Whether the ratio is at most the bound: `met`, `missed`, or `undecided` if the interval holds the bound."""
        return "met" if self.high <= bound else "missed" if self.low > bound else "undecided"


def measure(calls: Mapping[str, Callable[[], Any]], *, rounds: int = 31, least: float = 0.01,
            wait: Callable[[], Any] | None = None) -> dict[str, np.ndarray]:
    """Seconds of one call, by name, shape (rounds,): entry i of every array comes from round i.

    Args:
        calls: what to time, by name; each is first called until it is warm and not counted.
        rounds: at least `LEAST_ROUNDS`.
        least: seconds that one reading takes at least: a quick call is repeated within it and the mean is kept.
        wait: called before the clock is read, where calls return before their work is done (`synchronizer`).

    Raises:
        DomainError: too few rounds.
    """
    check_count(rounds, "rounds", least=LEAST_ROUNDS)
    wait = wait or (lambda: None)
    repeats = {name: _repeats(call, least, wait) for name, call in calls.items()}
    times = {name: np.empty(rounds) for name in calls}
    order, rng, collects = list(calls), np.random.default_rng(0), gc.isenabled()
    gc.disable()
    try:
        for i in range(rounds):
            rng.shuffle(order)
            for name in order:
                times[name][i] = _seconds(calls[name], repeats[name], wait) / repeats[name]
    finally:
        if collects:
            gc.enable()
    return times


def ratio(times: np.ndarray, reference: np.ndarray) -> Ratio:
    """Median of the ratios of two arrays of times, round by round, with its `CONFIDENCE` interval.

    Raises:
        DomainError: fewer than `LEAST_ROUNDS` rounds.
    """
    check_count(len(times), "rounds", least=LEAST_ROUNDS)
    found = np.sort(times / reference)
    # P(the true median < the k-th smallest) = P(Binomial <= k - 1) must be at most (1 - CONFIDENCE) / 2
    k = int(stats.binom.ppf((1 - CONFIDENCE) / 2, len(found), 0.5))
    return Ratio(float(np.median(found)), float(found[k - 1]), float(found[-k]), float(np.median(times)))


def ratios(times: Mapping[str, np.ndarray], reference: str) -> dict[str, Ratio]:
    """Every call against one of them.

    Raises:
        DomainError: a reference that was not measured.
    """
    check_member(reference, tuple(times), "reference")
    return {name: ratio(t, times[reference]) for name, t in times.items()}


def compare(calls: Mapping[str, Callable[[], Any]], *, reference: str, rounds: int = 31, least: float = 0.01,
            wait: Callable[[], Any] | None = None) -> dict[str, Ratio]:
    """`measure`, then `ratios`."""
    check_member(reference, tuple(calls), "reference")
    return ratios(measure(calls, rounds=rounds, least=least, wait=wait), reference)


def say(line: str) -> None:
    """A line of a benchmark's report, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def finish(path: Path | None, rows: Sequence[Mapping[str, Any]], **about: Any) -> int:
    """Write what a benchmark found, if a path is given; the exit status: 1 if something required was missed."""
    if path:
        found = {**about, "confidence": CONFIDENCE, "ratios": list(rows)}
        path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return int(any(row["verdict"] == "missed" for row in rows))


def synchronizer(device: Any) -> Callable[[], Any] | None:
    """What waits for a torch device to have done all its work; None on a CPU, which needs no waiting."""
    if device.type == "cpu":
        return None
    import torch
    return lambda: torch.cuda.synchronize(device)


def _seconds(call: Callable[[], Any], repeats: int, wait: Callable[[], Any]) -> float:
    wait()
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    wait()
    return time.perf_counter() - start


def _repeats(call: Callable[[], Any], least: float, wait: Callable[[], Any]) -> int:
    """How often to call so that a reading takes `least` seconds; the calls that find it out warm it up."""
    _seconds(call, 2, wait)
    repeats = 1
    while (taken := _seconds(call, repeats, wait)) < least:
        repeats = max(2 * repeats, int(repeats * least / max(taken, 1e-9)))
    return repeats
