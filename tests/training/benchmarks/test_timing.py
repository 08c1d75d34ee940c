"""Paired ratios: an interval that covers as often as it says, and rounds that cancel what all calls share."""

from __future__ import annotations

import gc
import json

import numpy as np
import pytest
from scipy import stats

from mixtheory.domain import DomainError
from mixtheory.training.benchmarks import timing
from mixtheory.training.benchmarks.timing import CONFIDENCE, LEAST_ROUNDS, Ratio, compare, measure, ratio, ratios


class Clock:
    """A clock that only calls move on: each by its own time, slowed down by a drift that all share."""

    def __init__(self, monkeypatch, drift=1.0):
        self.now, self.drift, self.calls = 0.0, drift, []
        monkeypatch.setattr(timing.time, "perf_counter", lambda: self.now)

    def call(self, name, seconds):
        def run():
            self.calls.append(name)
            self.now += seconds * self.drift ** len(self.calls)
        return run


def test_ratios_are_those_of_the_times(monkeypatch):
    clock = Clock(monkeypatch)
    found = compare({"a": clock.call("a", 3.0), "b": clock.call("b", 2.0)}, reference="b", rounds=8)
    assert found["b"] == Ratio(1.0, 1.0, 1.0, 2.0)
    assert found["a"] == pytest.approx((1.5, 1.5, 1.5, 3.0))


def test_a_drift_of_the_machine_cancels(monkeypatch):
    clock = Clock(monkeypatch, drift=1.01)
    times = measure({"a": clock.call("a", 3.0), "b": clock.call("b", 2.0)}, rounds=40)
    assert times["a"][-1] / times["a"][0] > 2
    assert ratio(times["a"], times["b"]).median == pytest.approx(1.5, rel=0.011)
    assert not np.median(times["a"]) / times["b"][0] == pytest.approx(1.5, rel=0.2)     # rounds mixed up


def test_each_round_calls_everything_in_an_order_of_its_own(monkeypatch):
    clock = Clock(monkeypatch)
    measure({name: clock.call(name, 1.0) for name in "abc"}, rounds=30)
    rounds = list(zip(*[iter(clock.calls[-90:])] * 3, strict=True))
    assert all(sorted(r) == ["a", "b", "c"] for r in rounds)
    assert len(set(rounds)) == 6


def test_a_quick_call_is_repeated_and_its_mean_kept(monkeypatch):
    clock = Clock(monkeypatch)
    times = measure({"quick": clock.call("quick", 1e-3), "slow": clock.call("slow", 1.0)}, rounds=8, least=0.02)
    assert times["quick"] == pytest.approx(np.full(8, 1e-3))
    assert clock.calls.count("slow") == 8 + 3
    assert clock.calls.count("quick") >= 8 * 20


def test_the_clock_is_read_after_the_work_is_done(monkeypatch):
    """Calls that only queue their work: it is done when one waits."""
    clock, queue = Clock(monkeypatch), []

    def wait():
        clock.now += sum(queue)
        queue.clear()

    times = measure({"a": lambda: queue.append(3.0), "b": lambda: queue.append(2.0)}, rounds=8, wait=wait)
    assert times["a"] == pytest.approx(np.full(8, 3.0))
    assert times["b"] == pytest.approx(np.full(8, 2.0))


def test_the_collector_is_back_even_after_an_error(monkeypatch):
    clock, given = Clock(monkeypatch), iter(range(5))

    def fails():
        next(given)
        assert gc.isenabled() == (len(seen) < 3)
        seen.append(1)
        clock.now += 1

    seen = []
    with pytest.raises(StopIteration):
        measure({"a": fails}, rounds=8)
    assert len(seen) == 5
    assert gc.isenabled()


@pytest.mark.parametrize("rounds", [8, 9, 12, 31])
def test_the_interval_is_the_narrowest_of_order_statistics_that_holds_the_median_often_enough(rounds):
    found = ratio(np.arange(1.0, rounds + 1), np.ones(rounds))
    k = int(found.low)
    assert found.high == rounds + 1 - k
    missed = 2 * stats.binom.cdf(k - 1, rounds, 0.5)
    assert missed <= 1 - CONFIDENCE < 2 * stats.binom.cdf(k, rounds, 0.5)


def test_the_interval_covers_the_median_of_a_skewed_law():
    rng = np.random.default_rng(3)
    missed = 0
    for _ in range(2000):
        found = ratio(np.exp(rng.normal(0, 1, 31) ** 3), np.ones(31))
        missed += not found.low <= 1 <= found.high
    assert missed <= stats.binom.isf(1e-6, 2000, 1 - CONFIDENCE)


def test_verdicts():
    one = Ratio(1.2, 1.1, 1.25, 1.0)
    assert {one.at_most(bound) for bound in (1.3, 1.25)} == {"met"}
    assert {one.at_most(bound) for bound in (1.2, 1.1)} == {"undecided"}
    assert one.at_most(1.0) == "missed"


def test_what_is_refused():
    with pytest.raises(DomainError, match=f"rounds = {LEAST_ROUNDS - 1}"):
        measure({"a": int}, rounds=LEAST_ROUNDS - 1)
    with pytest.raises(DomainError, match="rounds = 3"):
        ratio(np.ones(3), np.ones(3))
    with pytest.raises(DomainError, match="reference = 'b'"):
        compare({"a": int}, reference="b")
    with pytest.raises(DomainError, match="reference = 'b'"):
        ratios({"a": np.ones(9)}, "b")


def test_what_was_found_is_kept_and_only_a_miss_fails(tmp_path):
    rows = [{"verdict": verdict} for verdict in (None, "met", "undecided")]
    assert timing.finish(None, rows) == 0
    assert timing.finish(tmp_path / "x.json", [*rows, {"verdict": "missed"}], benchmark="x") == 1
    found = json.loads((tmp_path / "x.json").read_text())
    assert (found["benchmark"], found["confidence"], len(found["ratios"])) == ("x", timing.CONFIDENCE, 4)
