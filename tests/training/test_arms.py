"""Each replica has its own examples, partners and lambda, with the laws that its arm names."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats

from mixtheory.domain import DomainError
from mixtheory.pairing import DISTINCT, PAIRINGS
from mixtheory.training.arms import AHEAD, ERM, Arm, block_of, draw

N = 16                                  # batch


def drawn(arms, seeds, *, m=100, epochs=3, first=0, total=None, members=None, **changes):
    members = torch.arange(m).expand(len(arms) * len(seeds), -1) if members is None else members
    asked = {"batch": N, "augment": False, "dtype": torch.float64} | changes
    return draw(arms, seeds, first=first, epochs=epochs, total=total or epochs, members=members, **asked)


def by_epoch(example, epochs):
    """(steps, n) -> (epochs, steps an epoch x n)."""
    return example.reshape(epochs, -1)


def test_an_epoch_visits_each_member_at_most_once_and_drops_the_rest():
    rng = torch.Generator().manual_seed(0)
    members = torch.stack([torch.randperm(500, generator=rng)[:100] for _ in range(4)])
    draws = drawn([ERM, Arm(1.0)], [3, 4], members=members, epochs=5)
    assert draws.example.shape == (5 * (100 // N), 4, N)
    for r in range(4):
        for epoch in by_epoch(draws.example[:, r], 5):
            assert len(set(epoch.tolist())) == len(epoch) == 96
            assert set(epoch.tolist()) <= set(members[r].tolist())


def test_arms_of_a_seed_see_the_same_examples_and_crops_but_seeds_do_not():
    draws = drawn([ERM, Arm(1.0), Arm(0.3, "roll")], [3, 4], augment=True)
    for a in (1, 2):
        for k in (0, 1):
            assert torch.equal(draws.example[:, 2 * a + k], draws.example[:, k])
            assert torch.equal(draws.augment[:, 2 * a + k], draws.augment[:, k])
    assert (draws.example[:, 0] == draws.example[:, 1]).double().mean() < 0.05
    assert (draws.augment[:, 0] == draws.augment[:, 1]).all(-1).double().mean() < 0.05
    assert [sorted(set(v.flatten().tolist())) for v in draws.augment.unbind(-1)] == [
        list(range(9)), list(range(9)), [0, 1]]


@pytest.mark.parametrize("arm", [Arm(1.0), Arm(0.4, "derangement", "element"), Arm(2.0, "independent", folded=True)])
def test_a_replica_is_drawn_alike_whatever_its_neighbours(arm):
    alone = drawn([arm], [7])
    more = drawn([ERM, Arm(3.0, "flip", "pair"), arm], [5, 7, 8])
    assert all(torch.equal(a[:, 0], b[:, 7]) for a, b in zip(alone[:3], more[:3], strict=True))


def test_epochs_and_blocks_are_independent():
    """Positions of two orders agree in one of m cases; correlations of lambda vanish."""
    m, epochs, arm = 4000, 4, [Arm(1.0, sharing="element")]
    blocks = [drawn(arm, [s], m=m, epochs=epochs, first=first) for s in (0, 1) for first in (0, 4)]
    orders = torch.cat([by_epoch(block.example[:, 0], epochs) for block in blocks])
    lams = torch.cat([by_epoch(block.lam[:, 0], epochs) for block in blocks])
    for i, j in itertools.combinations(range(len(orders)), 2):
        assert stats.poisson.sf(int((orders[i] == orders[j]).sum()) - 1, 1) > 1e-6
        for rows in (orders, lams):
            z = np.corrcoef(rows[i], rows[j])[0, 1] * math.sqrt(m)
            assert abs(z) < 5.5
    assert torch.equal(drawn(arm, [0], m=m, epochs=4, first=4).example, blocks[1].example)


def test_orders_are_uniform():
    draws = drawn([ERM], range(300), m=40, epochs=10)
    first = draws.example[:, :, 0].reshape(10, 2, -1)[:, 0].flatten()
    assert stats.chisquare(torch.bincount(first, minlength=40)).pvalue > 1e-6
    dropped = torch.bincount(draws.example.flatten(), minlength=40)     # 32 of 40 are used: anyone may be dropped
    assert abs(dropped / (3000 * 0.8) - 1).max() < 6 * math.sqrt(0.25 / 3000)


LAWS = {
    Arm(1.0, sharing="element"): stats.uniform(),
    Arm(0.3, "independent", "element"): stats.beta(0.3, 0.3),
    Arm(4.2, "derangement", "batch"): stats.beta(4.2, 4.2),
    Arm(0.7, "flip", "pair"): stats.beta(0.7, 0.7)}


@pytest.mark.parametrize("arm", LAWS, ids=str)
def test_the_law_of_lambda(arm):
    """Over the independent ones of each batch, by Kolmogorov-Smirnov; folding moves all of the mass above 1/2."""
    count = {"batch": 1, "pair": N // 2, "element": N}[arm.sharing]
    for folded in (False, True):
        which = Arm(arm.alpha, arm.pairing, arm.sharing, folded)
        lam = drawn([which], range(40), epochs=10).lam
        assert lam.shape == (60, 40, N)
        values = lam[:, :, :count].flatten().numpy()
        law = LAWS[arm]
        cdf = (lambda x, law=law: law.cdf(x) - law.cdf(1 - x)) if folded else law.cdf
        assert stats.kstest(values, cdf).pvalue > 1e-6
        assert stats.kstest(values, law.cdf).pvalue < 1e-6 or not folded
        if arm.sharing == "batch":
            assert torch.equal(lam, lam[:, :, :1].expand_as(lam))
        if arm.sharing == "pair":
            assert torch.equal(lam, lam.flip(2))
        values = values[np.minimum(values, 1 - values) > 1e-6]  # nearer to the ends, rounding makes some equal
        assert len(np.unique(values)) == len(values)            # no two batches or replicas share one


def test_erm_and_the_limits():
    draws = drawn([ERM, Arm(float("inf")), Arm(1e-300, "roll", "element")], [0])
    assert torch.equal(draws.lam[:, 0], torch.ones(18, N, dtype=torch.float64))
    assert torch.equal(draws.partner[:, 0], torch.arange(N).expand(18, -1))
    assert (draws.lam[:, 1] == 0.5).all()
    assert set(draws.lam[:, 2].unique().tolist()) == {0.0, 1.0}
    assert drawn([Arm(1.0)], [0], dtype=torch.float32).lam.dtype == torch.float32


@pytest.mark.parametrize("pairing", PAIRINGS)
def test_partners_are_those_of_the_pairing(pairing):
    partner = drawn([Arm(1.0, pairing)], range(20), epochs=10).partner
    own, sorted_rows = torch.arange(N), partner.sort(-1).values
    assert int(partner.min()) >= 0
    assert int(partner.max()) < N
    assert bool((sorted_rows == own).all()) == (pairing != "independent")
    assert bool((partner == own).any()) == (pairing not in DISTINCT)
    if pairing == "roll":
        assert torch.equal(partner[3, 4], own.roll(1))
    if pairing == "flip":
        assert torch.equal(partner[3, 4], own.flip(0))
    if pairing in ("permutation", "derangement", "independent"):
        assert len({tuple(row.tolist()) for row in partner.flatten(0, 1)}) == 1200


def test_annealing_is_linear_in_the_epochs():
    """E lambda^2 - 1/4 = 1 / (4 (2 alpha + 1)) with alpha (1 - t) at the start of each epoch, blocks or not."""
    arm, total = Arm(2.0, sharing="element", anneal="linear"), 8
    lam = torch.cat([drawn([arm], range(60), epochs=4, first=first, total=total).lam for first in (0, 4)])
    for t, rows in enumerate(lam.reshape(total, -1)):
        alpha = 2.0 * (1 - t / total)
        assert stats.kstest(rows.numpy(), stats.beta(alpha, alpha).cdf).pvalue > 1e-6
        later = 2.0 * (1 - (t + 2) / total)
        assert later == 0 or t == 7 or stats.kstest(rows.numpy(), stats.beta(later, later).cdf).pvalue < 1e-3
    assert arm.law(0.25).a == 1.5
    assert Arm(2.0).law(0.25).a == 2.0


def test_blocks():
    assert [block_of(m) for m in (1, 1000, AHEAD, AHEAD + 1)] == [AHEAD, 16, 1, 1]


@pytest.mark.parametrize(("make", "message"), [
    (lambda: Arm(-0.1), "alpha"), (lambda: Arm(float("nan")), "alpha"), (lambda: Arm(1.0, "shift"), "pairing"),
    (lambda: Arm(1.0, sharing="all"), "sharing"), (lambda: Arm(1.0, "roll", "pair"), "flip"),
    (lambda: Arm(smoothing=1.1), "smoothing"), (lambda: Arm(smoothing=float("nan")), "smoothing"),
    (lambda: Arm(anneal="cosine"), "anneal"),
    (lambda: drawn([Arm(1.0, "flip")], [0], batch=15), "even")])
def test_domains(make, message):
    with pytest.raises(DomainError, match=message):
        make()
