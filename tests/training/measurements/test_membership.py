"""Membership inference: naive pairs, enumerated permutations, Gaussian closed forms, and attacks that must fail."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import ndtr

from mixtheory.domain import DomainError
from mixtheory.training.measurements import membership as mi

GAUSS = stats.norm.logpdf


def normal(*shape, seed=0):
    return torch.as_tensor(np.random.default_rng(seed).standard_normal(shape))


def naive_auc(member, other):
    return np.mean([(a > b) + (a == b) / 2 for a in member for b in other])


def roc(member, other):
    """(false-positive rate, true-positive rate) at every threshold, one threshold after the other."""
    cuts = [math.inf, *sorted({*member, *other}, reverse=True)]
    return [(np.mean([b >= t for b in other]), np.mean([a >= t for a in member])) for t in cuts]


# --- losses and confidences ---------------------------------------------------------------------------------

def test_confidence_is_the_log_odds_of_the_label():
    z = 2 * normal(3, 40, 5, seed=1)
    y = torch.as_tensor(np.random.default_rng(1).integers(0, 5, 40))
    p = torch.stack([row.softmax(-1)[torch.arange(40), y] for row in z])
    torch.testing.assert_close(mi.confidence(z, y), (p / (1 - p)).log(), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(mi.losses(z, y), -p.log(), rtol=1e-10, atol=1e-12)
    two = mi.confidence(z[..., :2], y % 2)
    torch.testing.assert_close(two, (z[..., 0] - z[..., 1]) * (1 - 2 * (y % 2)), rtol=1e-13, atol=1e-13)


def test_confidence_where_the_probability_rounds_to_one_or_zero():
    z = torch.tensor([[800.0, 0, 0], [0.0, 800, 0]], dtype=torch.float64)
    found = mi.confidence(z, torch.tensor([0, 0]))
    assert found.tolist() == pytest.approx([800 - math.log(2), -800], rel=1e-15)
    p = z.softmax(-1)[:, 0]
    assert not torch.isfinite((p / (1 - p)).log()).any()


def test_loss_gap_by_hand_and_sign():
    assert float(mi.loss_gap([0.1, 0.3], [1.0, 0.5, 0.9])) == pytest.approx(0.6)
    gap = mi.loss_gap(np.array([[0.1, 0.3], [2.0, 2.0]]), np.array([[1.0], [0.5]]))
    assert gap.tolist() == pytest.approx([0.8, -1.5])


# --- AUC ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("n", "m", "values"), [(1, 1, 1), (7, 5, 3), (40, 23, 6), (30, 50, 10**6)])
def test_auc_counts_pairs_with_ties_as_half(n, m, values):
    rng = np.random.default_rng(n)
    member, other = rng.integers(0, values, (4, n)), rng.integers(0, values, (4, m))
    found = mi.auc(member, other)
    assert found.dtype == torch.float64
    assert found.tolist() == pytest.approx([naive_auc(a, b) for a, b in zip(member, other, strict=True)], rel=1e-15)
    torch.testing.assert_close(mi.auc(other, member), 1 - found, rtol=0, atol=1e-15)
    torch.testing.assert_close(mi.auc(np.cbrt(member), np.cbrt(other)), found, rtol=0, atol=0)
    if values < 10:                                    # ties counted as wins or as losses are another number
        strict = np.mean(member[0][:, None] > other[0])
        assert (abs(strict - found[0]) > 0.01) == (0 in member[0][:, None] - other[0])


def test_auc_of_infinite_scores_is_their_order():
    assert float(mi.auc([math.inf, 0.0, -math.inf], [math.inf, -math.inf])) == pytest.approx((1.5 + 1 + 0.5) / 6)


@pytest.mark.parametrize("d", [0.0, 0.5, 2.0])
def test_auc_of_two_gaussians(d):
    """N(d, 1) against N(0, 1): Phi(d / sqrt 2), at five standard errors; Phi(d) is another number."""
    n = 200_000
    member, other = d + normal(n, seed=3), normal(n, seed=4)
    se = float(mi.auc_error(member, other))
    assert se < 0.001
    assert abs(float(mi.auc(member, other)) - ndtr(d / math.sqrt(2))) < 5 * se
    assert d == 0 or abs(float(mi.auc(member, other)) - ndtr(d)) > 50 * se


@pytest.mark.parametrize(("b", "a"), [(1.0, 1.0), (0.7, 1.3), (0.1, 2.0)])
def test_auc_of_squared_losses(b, a):
    """Residuals N(0, b^2) of members, N(0, a^2) of others: 1/2 + arcsin(w) / pi, w = (a^2 - b^2) / (a^2 + b^2)."""
    n = 200_000
    found = mi.threshold_attack((b * normal(n, seed=5)).square() / 2, (a * normal(n, seed=6)).square() / 2)
    predicted = 0.5 + math.asin((a**2 - b**2) / (a**2 + b**2)) / math.pi
    assert abs(float(found.auc) - predicted) < 5 * float(found.auc_error)
    assert float(found.auc_error) < 0.001
    assert a == b or abs(1 - float(found.auc) - predicted) > 50 * float(found.auc_error)     # high loss = member


def test_auc_error_is_delong():
    rng = np.random.default_rng(8)
    member, other = rng.integers(0, 9, 30), rng.integers(0, 7, 20)
    win = (member[:, None] > other) + (member[:, None] == other) / 2
    naive = math.sqrt(win.mean(1).var(ddof=1) / 30 + win.mean(0).var(ddof=1) / 20)
    assert float(mi.auc_error(member, other)) == pytest.approx(naive, rel=1e-12)
    assert float(mi.auc_error([2.0, 3], [0.0, 1])) == 0


@pytest.mark.parametrize("d", [0.0, 1.0])
def test_auc_error_is_the_spread_of_the_auc(d):
    """Over 4000 repetitions with 40 members and 60 others: mean square within 8 % (sampling error of it 2.3 %)."""
    member, other = d + normal(4000, 40, seed=9), normal(4000, 60, seed=10)
    spread = mi.auc(member, other).var()
    claimed = mi.auc_error(member, other).square().mean()
    assert float(claimed / spread) == pytest.approx(1, abs=0.08)
    # independent pairs would be far too sure
    assert ndtr(d / math.sqrt(2)) * (1 - ndtr(d / math.sqrt(2))) / (40 * 60) < 0.2 * float(spread)


@pytest.mark.parametrize("pool", [(1, 2, 3, 4, 5, 6, 7), (1, 1, 2, 2, 2, 5, 6), (3, 3, 3, 3, 3, 3, 3)])
def test_null_error_is_exact_over_all_assignments(pool):
    aucs = []
    for chosen in itertools.combinations(range(7), 3):
        member = [float(pool[i]) for i in chosen]
        other = [float(pool[i]) for i in range(7) if i not in chosen]
        aucs.append(float(mi.auc(member, other)))
    assert np.mean(aucs) == pytest.approx(0.5)
    assert float(mi.auc_error_null(member, other)) == pytest.approx(np.std(aucs), rel=1e-12, abs=1e-12)
    without_ties = math.sqrt(8 / (12 * 3 * 4))
    assert (abs(without_ties - np.std(aucs)) > 0.001) == (len(set(pool)) < 7)


# --- thresholds ---------------------------------------------------------------------------------------------

@pytest.mark.parametrize("values", [4, 10**6])
def test_attack_agrees_with_a_walk_along_the_roc(values):
    rng = np.random.default_rng(values)
    member, other = rng.integers(0, values, (3, 30)) + values // 4, rng.integers(0, values, (3, 50))
    rates = (0.0, 0.02, 0.3, 1.0)
    found = mi.attack(member, other, rates=rates)
    assert found.rates == rates
    assert found.tpr.shape == (3, 4)
    for r in range(3):
        curve = roc(member[r].tolist(), other[r].tolist())
        assert float(found.advantage[r]) == pytest.approx(max(t - f for f, t in curve), rel=1e-12)
        assert found.tpr[r].tolist() == pytest.approx([max(t for f, t in curve if f <= rate) for rate in rates])
    torch.testing.assert_close(mi.threshold_attack(-member, -other, rates=rates).tpr, found.tpr)
    assert mi.attack(member, other, rates=()).tpr.shape == (3, 0)


def test_attacks_at_the_ends():
    perfect = mi.threshold_attack([0.1, 0.2], [0.3, 0.4])
    assert [float(perfect.auc), float(perfect.advantage), *perfect.tpr.tolist()] == [1, 1, 1, 1]
    inverted = mi.threshold_attack([0.3, 0.4], [0.1, 0.2])
    assert [float(inverted.auc), float(inverted.advantage), *inverted.tpr.tolist()] == [0, 0, 0, 0]
    blind = mi.threshold_attack([0.3, 0.3], [0.3, 0.3])
    assert [float(blind.auc), float(blind.advantage), *blind.tpr.tolist()] == [0.5, 0, 0, 0]


def test_advantage_without_signal_is_the_kolmogorov_smirnov_mean():
    """n = m without ties: P(advantage >= k/n) = C(2n, n - k) / C(2n, n), so its mean is not 0 but predicted."""
    n = 25
    mean = sum(math.comb(2 * n, n - k) for k in range(1, n + 1)) / math.comb(2 * n, n) / n
    found = mi.attack(normal(20_000, n, seed=11), normal(20_000, n, seed=12)).advantage
    assert abs(float(found.mean()) - mean) < 5 * float(found.std()) / math.sqrt(20_000)
    assert mean == pytest.approx(0.63 * math.sqrt(2 / n), rel=0.15)


# --- likelihood ratio ---------------------------------------------------------------------------------------

def coins(R, n, seed=0):
    return torch.as_tensor(np.random.default_rng(seed).random((R, n)) < 0.5)


def halves(R, n, seed=0):
    """Each example is in exactly one of the replicas 2 k and 2 k + 1."""
    first = coins(R // 2, n, seed)
    return torch.stack([first, ~first], 1).reshape(R, n)


def naive_scores(x, members, mode, spread, groups):
    """The definition, one replica and one example at a time."""
    R, n = x.shape
    scores = np.zeros((R, n))
    for r in range(R):
        others = [k for k in range(R) if groups[k] != groups[r]]
        fits = []
        for side in (members, ~members):
            shadows = [np.array([x[k, i] for k in others if side[k, i]]) for i in range(n)]
            pooled = sum(s.var() * len(s) for s in shadows) / sum(len(s) - 1 for s in shadows)
            fits.append([(s.mean(), math.sqrt(pooled) if spread == "global" else s.std(ddof=1)) for s in shadows])
        for i in range(n):
            (mean_in, sd_in), (mean_out, sd_out) = fits[0][i], fits[1][i]
            scores[r, i] = ((x[r, i] - mean_out) / sd_out if mode == "offline" else
                            GAUSS(x[r, i], mean_in, sd_in) - GAUSS(x[r, i], mean_out, sd_out))
    return scores


@pytest.mark.parametrize("mode", mi.MODES)
@pytest.mark.parametrize("spread", mi.SPREADS)
@pytest.mark.parametrize("paired", [False, True])
def test_likelihood_ratio_agrees_with_loops(mode, spread, paired):
    R, n = 12, 25
    members = halves(R, n)
    x = 100 + normal(R, n, seed=1) + 5 * normal(n, seed=2) + members.double()
    groups = np.arange(R) // 2 if paired else None
    frozen = members.numpy().copy()
    frozen.setflags(write=False)
    found = mi.likelihood_ratio_attack(x.numpy(), frozen, mode=mode, spread=spread, groups=groups)
    naive = naive_scores(x.numpy(), members.numpy(), mode, spread, np.arange(R) if groups is None else groups)
    np.testing.assert_allclose(found.scores, naive, rtol=1e-8, atol=1e-10)
    for r in range(R):
        assert float(found.attack.auc[r]) == pytest.approx(naive_auc(naive[r][members[r]], naive[r][~members[r]]))
    assert found.attack.tpr.shape == (R, 2)


@pytest.mark.parametrize("d", [0.0, 1.0, 2.5])
def test_offline_attack_has_its_closed_form_where_the_loss_is_blind(d):
    r"""x_ri ~ N(shift_i + d 1[r saw i], 1), shifts of sd 30, halves paired, so k = R/2 - 1 shadows each.

    x - mean_out has sd sqrt(1 + 1/k) about d or 0: AUC = Phi(d / sqrt(2 (1 + 1/k))); by the value alone
    Phi(d / sqrt(2 (1 + 30^2))). The mean over the replicas, its error from the replicas' spread.
    """
    R, n = 16, 60_000
    members = halves(R, n, seed=3)
    x = d * members + normal(R, n, seed=4) + 30 * normal(n, seed=5)
    found = mi.likelihood_ratio_attack(x, members, mode="offline", groups=np.arange(R) // 2).attack
    k = R // 2 - 1
    predicted = ndtr(d / math.sqrt(2 * (1 + 1 / k)))
    assert float(found.auc_error.max()) < 0.008
    assert abs(float(found.auc.mean()) - predicted) < 5 * float(found.auc_error.max()) * math.sqrt(2 / R)
    alone = torch.stack([mi.auc(row[m], row[~m]) for row, m in zip(x, members, strict=True)])
    assert abs(float(alone.mean()) - 0.5) < 0.03
    if d:                                              # shadows without error, or a mean over both sides
        for wrong in (ndtr(d / math.sqrt(2)), ndtr(d / math.sqrt(2 * (1 + 1 / R)))):
            assert abs(float(found.auc.mean()) - wrong) > 5 * float(found.auc_error.max()) * math.sqrt(2 / R)


@pytest.mark.parametrize("spread", mi.SPREADS)
def test_online_attack_approaches_the_known_gaussians(spread):
    """With 63 shadows on each side: Phi(d / sqrt 2) from below, by at most 2 %; sd 1 inside and 2 outside helps."""
    R, n, d = 128, 1500, 1.5
    members = halves(R, n, seed=6)
    noise, shift = normal(R, n, seed=7), 30 * normal(n, seed=8)
    groups = np.arange(R) // 2
    found = mi.likelihood_ratio_attack(d * members + noise + shift, members, spread=spread, groups=groups).attack
    assert ndtr(d / math.sqrt(2)) - 0.02 < float(found.auc.mean()) < ndtr(d / math.sqrt(2))
    # equal means: only the variance tells, x^2 (1/2)(1/4 - 1): 1/2 + arcsin(3/5) / pi
    found = mi.likelihood_ratio_attack(noise * (2 - members.double()) + shift, members, spread=spread, groups=groups)
    predicted = 0.5 + math.asin(0.6) / math.pi
    assert predicted - 0.02 < float(found.attack.auc.mean()) < predicted
    offline = mi.likelihood_ratio_attack(noise * (2 - members.double()) + shift, members, mode="offline",
                                         groups=groups).attack.auc
    assert float(offline.mean()) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("mode", mi.MODES)
@pytest.mark.parametrize("design", ["coins", "pairs"])
def test_no_signal_gives_one_half(mode, design):
    """Values that know nothing of membership: AUC 1/2 and the two rates equal within five standard errors.

    With the attacked replica among its own shadows the online AUC is far above; offline a non-member is nearer to
    its shadows' mean, which leaves the AUC at 1/2 and doubles the true-positive rate at 1 % false positives.
    """
    R, n = 24, 6000
    members, groups = (coins(R, n, seed=9), None) if design == "coins" else (halves(R, n, seed=9), np.arange(R) // 2)
    members = members[:, (members.sum(0) > 2) & (members.sum(0) < R - 2)]       # all but one in 10^4 of the examples
    x = normal(*members.shape, seed=10) + 30 * normal(members.shape[1], seed=11)
    found = mi.likelihood_ratio_attack(x, members, mode=mode, groups=groups).attack
    leak = [mi.attack(row[m], row[~m]) for row, m in zip(leaking(x, members, mode), members, strict=True)]
    auc_se, tpr_se = float(found.auc_error.mean()) * math.sqrt(2 / R), math.sqrt(2 * 2 * 0.01 / (n / 2) / R)
    assert auc_se < 0.0025
    assert abs(float(found.auc.mean()) - 0.5) < 5 * auc_se
    assert abs(float(found.tpr[:, 1].mean()) - 0.01) < 5 * tpr_se
    assert np.mean([float(a.tpr[1]) for a in leak]) > 0.01 + 6 * tpr_se
    assert mode == "offline" or np.mean([float(a.auc) for a in leak]) > 0.5 + 15 * auc_se


def leaking(x, members, mode):
    """The wrong version: the attacked replica is one of its own shadows; scores for one common variance."""
    def mean(mask):
        return (x * mask).sum(0) / mask.sum(0)
    return x - mean(~members) if mode == "offline" else (x - mean(~members))**2 - (x - mean(members))**2


def test_exact_halves_without_groups_are_biased_below_one_half():
    """The documented failure: a member has one shadow less inside, which the online score sees."""
    R, n = 8, 20_000
    members = halves(R, n, seed=12)
    x = normal(R, n, seed=13)
    biased = mi.likelihood_ratio_attack(x, members).attack
    fair = mi.likelihood_ratio_attack(x, members, groups=np.arange(R) // 2).attack
    se = float(fair.auc_error.mean()) * math.sqrt(2 / R)
    assert float(biased.auc.mean()) < 0.5 - 10 * se
    assert abs(float(fair.auc.mean()) - 0.5) < 5 * se


def test_replicas_are_correlated_as_stated():
    """Without signal the mean AUC of R = 8 spreads by sqrt(2 / R) auc_error, not by sqrt(1 / R); 300 repetitions."""
    R, n, means, errors = 8, 300, [], []
    for k in range(300):
        members = halves(R, n, seed=[20, k])
        found = mi.likelihood_ratio_attack(normal(R, n, seed=[21, k]), members, groups=np.arange(R) // 2).attack
        means.append(float(found.auc.mean()))
        errors.append(float(found.auc_error.mean()))
    assert np.std(means) / (np.mean(errors) / math.sqrt(R)) == pytest.approx(math.sqrt(2), abs=0.25)   # sd 0.06
    assert abs(np.mean(means) - 0.5) < 5 * np.std(means) / math.sqrt(300)


def test_scores_do_not_depend_on_units_or_order():
    members = coins(20, 60, seed=14)
    x = normal(20, 60, seed=15) + 10 * normal(60, seed=16) + members.double()
    for mode, spread in itertools.product(mi.MODES, mi.SPREADS):
        first = mi.likelihood_ratio_attack(x, members, mode=mode, spread=spread).scores
        again = mi.likelihood_ratio_attack(1e3 * x + 1e10, members, mode=mode, spread=spread).scores
        torch.testing.assert_close(again, first, rtol=1e-6, atol=1e-8)
        order = torch.randperm(20, generator=torch.Generator().manual_seed(1))
        again = mi.likelihood_ratio_attack(x[order], members[order], mode=mode, spread=spread).scores
        torch.testing.assert_close(again, first[order], rtol=1e-10, atol=1e-12)


def test_member_mask():
    found = mi.member_mask(np.array([[0, 3], [2, 2]]), 4)
    assert found.tolist() == [[True, False, False, True], [False, False, True, False]]


# --- domain -------------------------------------------------------------------------------------------------

X, M = normal(8, 6), torch.arange(8)[:, None] % 2 == torch.arange(6) % 2
ONCE = M.clone()
ONCE[1:, 0] = False


@pytest.mark.parametrize(("call", "message"), [
    (lambda: mi.auc([], [1.0]), "at least 1"),
    (lambda: mi.auc([math.nan], [1.0]), "NaN"),
    (lambda: mi.auc(np.zeros((2, 3)), np.zeros((3, 3))), "same leading shape"),
    (lambda: mi.auc(1.0, [1.0]), "same leading shape"),
    (lambda: mi.auc_error([1.0], [1.0, 2.0]), "at least 2"),
    (lambda: mi.loss_gap([math.inf], [1.0]), "finite"),
    (lambda: mi.attack([1.0, 2.0], [0.0, 1.0], rates=(1.5,)), "rates"),
    (lambda: mi.confidence(normal(3, 2), torch.tensor([0, 1, 2])), "labels must lie"),
    (lambda: mi.losses(normal(3, 2), torch.tensor([0, 1])), "one label an example"),
    (lambda: mi.likelihood_ratio_attack(X, M[:, :5]), "must be"),
    (lambda: mi.likelihood_ratio_attack(X, M.long()), "booleans"),
    (lambda: mi.likelihood_ratio_attack(X, M, mode="both"), "mode"),
    (lambda: mi.likelihood_ratio_attack(X, M, spread="none"), "spread"),
    (lambda: mi.likelihood_ratio_attack(X / 0, M), "finite|NaN"),
    (lambda: mi.likelihood_ratio_attack(X, ONCE), "1 of 6 examples have fewer than 2 shadow models .* in;"),
    (lambda: mi.likelihood_ratio_attack(X, ~ONCE, mode="offline"), "1 of 6 examples .* out;"),
    (lambda: mi.likelihood_ratio_attack(X, M, groups=[0, 1]), "groups"),
    (lambda: mi.likelihood_ratio_attack(X, M, groups=np.zeros(8, int)), "fewer than 2 shadow"),
    (lambda: mi.likelihood_ratio_attack(M.double(), M), "agree exactly"),
    (lambda: mi.likelihood_ratio_attack(M.double(), M, spread="example"), "spread='global'"),
    (lambda: mi.member_mask(np.array([[4]]), 4), "0 .. 3"),
    (lambda: mi.member_mask(np.array([[True]]), 4), "integers"),
    (lambda: mi.member_mask(np.array([1]), 4), "integers"),
])
def test_outside_the_domain(call, message):
    with pytest.raises(DomainError, match=message):
        call()


def test_offline_needs_no_shadow_inside():
    assert mi.likelihood_ratio_attack(X, ONCE | (torch.arange(6) < 0), mode="offline").scores.shape == (8, 6)
