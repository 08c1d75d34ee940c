"""Block means, their error rates, the number of draws, the skewness guard."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mixtheory.evidence import estimate as module
from mixtheory.evidence.estimate import BLOCKS, Estimate, estimate, quantiles, skew_guard, units_needed


def normal(size, *, rng, mu, sd=1.0):
    return mu + sd * rng.standard_normal((size, 2)) * [1, 3]


def test_mean_error_and_skewness_are_those_of_the_block_means():
    seen = []

    def simulate(size, *, rng):
        seen.append(rng.exponential(size=size))
        return seen[-1]

    result = estimate(simulate, {}, units=6400, rng=np.random.default_rng(3), blocks=64)
    blocks = np.concatenate(seen[1:]).reshape(64, 100).mean(axis=1)  # the first call only asks for the shape
    assert (result.units, result.blocks) == (6400, 64)
    assert result.mean == pytest.approx(blocks.mean(), abs=1e-14)
    assert result.se == pytest.approx(stats.sem(blocks), abs=1e-14)
    assert result.skew == pytest.approx(
        ((blocks - blocks.mean()) ** 3).mean() / blocks.std(ddof=1) ** 3, abs=1e-12
    )


@pytest.mark.parametrize("chunk", [1, 500, 7000, 2**22])
def test_streaming_keeps_memory_flat_and_the_count_right(monkeypatch, chunk):
    monkeypatch.setattr(module, "CHUNK_NUMBERS", chunk)
    sizes = []

    def simulate(size, *, rng, n):
        sizes.append(size)
        return np.full(size, 2.0)

    result = estimate(simulate, {"n": 1}, units=3001, rng=np.random.default_rng(0), blocks=10)
    assert sum(sizes[1:]) == result.units == 3010  # whole blocks of 301
    assert max(sizes) <= max(2, chunk)
    assert (result.mean, result.se, result.skew) == (2.0, 0.0, 0.0)


def test_a_block_of_several_chunks_has_the_right_mean(monkeypatch):
    monkeypatch.setattr(module, "CHUNK_NUMBERS", 100)
    result = estimate(normal, {"mu": 5.0}, units=40000, rng=np.random.default_rng(1), blocks=64)
    assert (np.abs(result.mean - 5) < 6 * result.se).all()
    assert result.se == pytest.approx(np.array([1, 3]) / 200, rel=0.5)  # sd / sqrt(40000)


def test_the_same_generator_gives_the_same_estimate():
    one, two = (estimate(normal, {"mu": 0.0}, units=2048, rng=np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(one.mean, two.mean)
    assert not np.array_equal(
        one.mean, estimate(normal, {"mu": 0.0}, units=2048, rng=np.random.default_rng(8)).mean
    )


def test_a_simulation_must_return_as_many_values_as_asked():
    with pytest.raises(ValueError, match="were asked for"):
        estimate(lambda size, *, rng: np.zeros(7), {}, units=2048, rng=np.random.default_rng(0))


def test_quantiles_have_the_declared_rates():
    z1, z2 = quantiles(10)
    t = stats.t(BLOCKS - 1)
    assert 2 * 10 * t.sf(z1) == pytest.approx(1e-6, rel=1e-6)  # all ten entries together, both sides
    assert t.sf(z2) == pytest.approx(1e-6, rel=1e-6)
    assert quantiles(1)[0] < z1 < quantiles(100)[0]


def test_interval_covers_at_the_stated_rate():
    """At one in ten instead of one in a million: neither more nor far fewer misses than stated."""
    z, trials, misses = stats.t.isf(0.05, BLOCKS - 1), 600, 0
    for seed in range(trials):
        result = estimate(
            lambda size, *, rng: rng.exponential(size=size),
            {},
            units=4 * BLOCKS,
            rng=np.random.default_rng([seed, 5]),
        )
        misses += abs(result.mean - 1) > z * result.se
    law = stats.binom(trials, 0.1)
    assert law.ppf(1e-6) <= misses <= law.isf(1e-6)


def _pilot(se, skew=0.0, units=8192):
    return Estimate(np.zeros(2), np.array([se, se / 2]), np.array([skew, 0.0]), units, BLOCKS)


def test_units_needed_give_the_power():
    z1, z2 = quantiles(2)
    units = units_needed(_pilot(0.02), np.ones(2), resolution=0.01, entries=2)
    se = 0.02 * np.sqrt(8192 / units)
    assert (z1 + z2) * se <= 0.01
    assert (z1 + z2) * se * 1.5 > 0.01  # and not many times more than needed
    finer = units_needed(_pilot(0.02), np.ones(2), resolution=0.002, entries=2)
    assert finer / units == pytest.approx(25, rel=1e-3)
    assert units_needed(_pilot(0.2), np.full(2, 10.0), resolution=0.01, entries=2) == pytest.approx(
        units, rel=1e-3
    )


def test_skewed_draws_need_more_units_until_the_guard_is_met():
    plain, skewed = (
        units_needed(_pilot(1e-6, skew), np.ones(2), resolution=0.05, entries=2) for skew in (0.0, 3.0)
    )
    assert plain == module.PILOT
    left = 3.0 * np.sqrt(8192 / skewed)  # skewness of means falls like 1/sqrt(units)
    assert (
        skew_guard(_pilot(1e-6, left), quantiles(2)[0]) < 0.5 < skew_guard(_pilot(1e-6, 3.0), quantiles(2)[0])
    )


def test_skew_guard_formula_and_sign():
    assert skew_guard(_pilot(1.0, -0.4), 5.0) == pytest.approx(0.4 * 125 / (6 * 32))
