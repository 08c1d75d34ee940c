"""Who meets whom: every pairing has the law it claims, and all ways to draw it agree."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
import torch
from scipy import stats

from mixtheory.domain import DomainError
from mixtheory.mixing import Atoms, symmetric
from mixtheory.pairing import DISTINCT, PAIRINGS, enumerate_partners, lambdas, partners

DRAWS = 40_000


def generator(kind, seed=0):
    return np.random.default_rng(seed) if kind == "numpy" else torch.Generator().manual_seed(seed)


both = pytest.mark.parametrize("kind", ["numpy", "torch"])


def support(pairing, n):
    """Every partner vector that the pairing can draw, told by its definition."""
    if pairing == "independent":
        return set(itertools.product(range(n), repeat=n))
    if pairing == "roll":
        return {tuple((i - 1) % n for i in range(n))}
    if pairing == "flip":
        return {tuple(n - 1 - i for i in range(n))}
    return {
        p
        for p in itertools.permutations(range(n))
        if pairing == "permutation" or all(p[i] != i for i in range(n))
    }


@both
@pytest.mark.parametrize(
    ("pairing", "n"), [("permutation", 4), ("derangement", 4), ("derangement", 5), ("independent", 3)]
)
def test_every_vector_is_drawn_and_equally_often(kind, pairing, n):
    """Chi-squared over all vectors at one in a million."""
    drawn = Counter(
        map(tuple, np.asarray(partners(pairing, n, rng=generator(kind), replicas=DRAWS)).tolist())
    )
    assert set(drawn) == support(pairing, n)
    assert stats.chisquare(list(drawn.values())).pvalue > 1e-6


@both
def test_the_test_sees_a_pairing_that_is_not_uniform(kind):
    """One derangement in ten replaced by the roll: the same statistic, at the same number of draws, rejects it."""
    index = np.asarray(partners("derangement", 4, rng=generator(kind), replicas=DRAWS)).copy()
    index[::10] = np.roll(np.arange(4), 1)
    assert stats.chisquare(list(Counter(map(tuple, index.tolist())).values())).pvalue < 1e-6


@both
@pytest.mark.parametrize("pairing", PAIRINGS)
@pytest.mark.parametrize("n", [2, 6])
def test_shapes_range_and_self_pairs(kind, pairing, n):
    one, many = (partners(pairing, n, rng=generator(kind), replicas=r) for r in (None, 300))
    assert isinstance(one, np.ndarray if kind == "numpy" else torch.Tensor)
    many = np.asarray(many)
    assert tuple(one.shape) == (n,)
    assert many.shape == (300, n)
    assert "int" in str(one.dtype)
    assert set(map(tuple, many.tolist())) <= support(pairing, n)
    assert (many == np.arange(n)).any() == (pairing not in DISTINCT)


@both
@pytest.mark.parametrize("pairing", ["independent", "permutation", "derangement"])
def test_the_generator_decides(kind, pairing):
    draws = [np.asarray(partners(pairing, 20, rng=generator(kind, seed))) for seed in (5, 5, 6)]
    assert np.array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])


@pytest.mark.parametrize("pairing", ["permutation", "derangement", "independent"])
@pytest.mark.parametrize("n", [3, 4])
def test_enumeration_is_the_support_each_once(pairing, n):
    listed = [tuple(p) for p in enumerate_partners(pairing, n)]
    assert len(listed) == len(set(listed))
    assert set(listed) == support(pairing, n)


@pytest.mark.parametrize(("pairing", "vectors"), [("roll", math.factorial(3)), ("flip", 3)])
def test_enumeration_puts_the_batch_in_every_order(pairing, vectors):
    """n = 4: six circular orders (each from 4 batches), three perfect matchings (each from 8)."""
    counts = Counter(tuple(p) for p in enumerate_partners(pairing, 4))
    assert len(counts) == vectors
    assert set(counts.values()) == {math.factorial(4) // vectors}
    for p in counts:
        assert all(p[i] != i for i in range(4))
        cycle = {0, p[0], p[p[0]], p[p[p[0]]]}
        assert len(cycle) == (4 if pairing == "roll" else 2)


@pytest.mark.parametrize("n", [2, 4, 6])
def test_flip_is_its_own_inverse(n):
    index = partners("flip", n, rng=generator("numpy"))
    assert np.array_equal(index[index], np.arange(n))


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("rol", 4), "pairing = 'rol'"),
        (("permutation", 1), "n = 1"),
        (("roll", 0), "n = 0"),
        (("flip", 5), "n = 5: must be even"),
        (("derangement", 1), "n = 1"),
        (("independent", 2.5), "n = 2.5"),
    ],
)
@both
def test_bad_input(kind, arguments, why):
    with pytest.raises(DomainError, match=why):
        partners(*arguments, rng=generator(kind))


# ---- lambda ------------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("replicas", [None, 50])
def test_sharing_says_which_weights_are_equal(kind, replicas):
    lam = {
        how: np.asarray(lambdas(symmetric(0.7), 6, sharing=how, rng=generator(kind), replicas=replicas))
        for how in ("batch", "pair", "element")
    }
    for how, values in lam.items():
        assert values.shape == ((6,) if replicas is None else (50, 6)), how
        distinct = [len(set(row)) for row in np.atleast_2d(values)]
        assert set(distinct) == {{"batch": 1, "pair": 3, "element": 6}[how]}
    assert np.array_equal(lam["pair"], lam["pair"][..., ::-1])
    if replicas:
        assert len(set(lam["batch"][:, 0])) == 50  # each batch has its own


@both
def test_weights_follow_the_law(kind):
    """Dvoretzky-Kiefer-Wolfowitz-Massart at one in a million, and a neighbour of the law is told apart."""
    lam = np.asarray(
        lambdas(symmetric(0.4), 2, sharing="element", rng=generator(kind), replicas=DRAWS)
    ).ravel()
    width = np.sqrt(np.log(2 / 1e-6) / (2 * lam.size))
    assert stats.ks_1samp(lam, stats.beta(0.4, 0.4).cdf).statistic < width
    assert stats.ks_1samp(lam, stats.beta(0.45, 0.45).cdf).statistic > width


@both
def test_dtype_is_kept(kind):
    for dtype in (np.float32, np.float64) if kind == "numpy" else (torch.float32, torch.bfloat16):
        for how in ("batch", "pair", "element"):
            assert lambdas(symmetric(1.0), 4, sharing=how, rng=generator(kind), dtype=dtype).dtype == dtype


@pytest.mark.parametrize("pairing", ["roll", "permutation", "derangement", "independent"])
def test_only_flip_has_unordered_pairs(pairing):
    with pytest.raises(DomainError, match=f"sharing = 'pair' with pairing = '{pairing}'"):
        lambdas(Atoms((0.5,), (1.0,)), 4, sharing="pair", rng=generator("numpy"), pairing=pairing)


def test_bad_sharing():
    with pytest.raises(DomainError, match="sharing = 'row'"):
        lambdas(symmetric(1.0), 4, sharing="row", rng=generator("numpy"))
    with pytest.raises(DomainError, match="n = 5: must be even"):
        lambdas(symmetric(1.0), 5, sharing="pair", rng=generator("numpy"))
