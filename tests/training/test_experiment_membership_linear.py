"""Linear models under attack: the pieces of the measurement against naive ones, and wrong theories that it rejects."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mixtheory.evidence import claims
from mixtheory.theory import membership, membership_auc
from mixtheory.theory import mixing_moments as mm
from mixtheory.training import experiments
from mixtheory.training.experiments import membership_linear as linear

SEEDS = tuple(range(16))
TINY = linear.Size(40, 20)
NODES = (0.5 - 12**-0.5, 0.5 + 12**-0.5)        # of a Gauss rule for uniform lambda (alpha = 1), equal weights


@pytest.fixture(scope="module", params=linear.DATASETS)
def tiny(request):
    return linear.measure(request.param, size=TINY, device="cpu", seeds=SEEDS)


@pytest.fixture(scope="module")
def quick():
    return {d: experiments.run("membership_linear", dataset=d, scale="quick") for d in linear.DATASETS}


def test_a_small_run_does_not_disagree(tiny):
    assert {m.verdict for m in tiny[1]} <= {"agrees", "inconclusive"}
    assert all(len(m.values) == len(SEEDS) for m in tiny[1])


def test_the_run_of_the_book_agrees(quick):
    assert {m.verdict for record in quick.values() for m in record.measurements} == {"agrees"}


def test_every_claim_of_the_experiment_is_measured(quick):
    measured = {m.claim for record in quick.values() for m in record.measurements}
    assert measured == {c.id for c in claims().values() if c.experiment == "membership_linear"}


def test_wrong_theories_are_outside_the_margins(quick):
    for m in (m for record in quick.values() for m in record.measurements if m.arm["alpha"] == 1.0):
        s = mm.shrinkage(1.0)
        wrong = {"auc": membership_auc.balanced_auc(0, linear.BALANCED_RIDGE, linear.POINTS, linear.COLUMNS),
                 "auc_change": 0.0, "gap": s * m.predicted,
                 "smoother_gap": 2 * linear.NOISE**2 * (linear.DEGREE + 1) / linear.INPUTS}.get(m.name)
        if m.name == "ridge_gap":
            wrong = membership.ridge_gap(0, linear.RIDGE, "diabetes", linear.SCATTER)
        if wrong is not None:
            low, high = m.interval
            assert not low <= wrong <= high or abs(wrong - m.predicted) > m.margin, m.name


def test_sampled_pairs_raise_the_gap_and_the_loss_and_mixed_features_change_nothing(quick):
    told = {(o.name, o.arm.get("what", o.arm["alpha"])): o for o in quick["synthetic"].observations}
    losses = membership.ols_losses(linear.RANDOM, linear.FEATURES, linear.SIGMA)
    assert told["sampled", "outsiders"].interval[0] > losses[1]
    assert told["sampled", "gap"].interval[0] > losses[1] - losses[0]
    plain = told["features_mixed", 0.0].values
    for alpha in linear.ALPHAS[1:]:
        np.testing.assert_allclose(told["features_mixed", alpha].values, plain, rtol=1e-8)


def mixed_by_loops(x, y):
    """Rows (1, x) and labels of all pairs and both nodes, with y (n, k)."""
    rows, labels = [], []
    for lam in NODES:
        for i in range(len(x)):
            for j in range(len(x)):
                rows.append(np.append(1.0, lam * x[i] + (1 - lam) * x[j]))
                labels.append(lam * y[i] + (1 - lam) * y[j])
    return np.array(rows), np.array(labels)


def by_loops(x, y, ridge):
    rows, labels = mixed_by_loops(x, y)
    penalty = ridge * np.diag([0.0] + [1.0] * x.shape[1])
    return np.linalg.solve(rows.T @ rows / len(rows) + penalty, rows.T @ labels / len(rows))


def test_ridge_from_shifts_is_ridge_from_all_pairs():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((6, 2)), rng.standard_normal((6, 3))
    mine = linear.accumulated_ridge(torch.as_tensor(x), torch.as_tensor(y), 1.0, 0.3)
    np.testing.assert_allclose(mine.numpy(), by_loops(x, y, 0.3), rtol=1e-9)


def test_descent_ends_at_the_minimiser():
    rng = np.random.default_rng(1)
    x = linear.hadamard(8)[:, 1:4].astype(float)
    y = rng.standard_normal((8, 2))
    mine = linear.descend(torch.as_tensor(x), torch.as_tensor(y), 1.0)
    np.testing.assert_allclose(mine.numpy(), by_loops(x, y, linear.BALANCED_RIDGE), rtol=1e-7, atol=1e-9)


def test_pairs_of_many_designs_are_those_of_each():
    rng = np.random.default_rng(2)
    z = np.concatenate([np.ones((2, 5, 1)), rng.standard_normal((2, 5, 3))], axis=2)
    theta = linear.solved(*linear.all_pairs(torch.as_tensor(z), 1.0)).numpy()
    for part, mine in zip(z, theta, strict=True):
        np.testing.assert_allclose(mine, by_loops(part[:, 1:-1], part[:, -1:], 0.0), rtol=1e-8)


def test_auc_counts_pairs():
    inside, outside = np.array([0.1, 0.7, 0.4]), np.array([0.5, 0.2])
    assert linear.auc(inside, outside) == pytest.approx(np.mean(outside[:, None] > inside))


def test_the_gap_is_that_of_its_definition_on_average():
    """With the controls the mean over sign flips of the noise is the gap averaged over fresh noise of the same law."""
    rng = np.random.default_rng(3)
    H, f, e = rng.standard_normal((4, 4)) / 4, rng.standard_normal((4, 1)), rng.standard_normal((4, 1))
    signs = np.array(np.meshgrid(*[[-1, 1]] * 4)).reshape(4, -1)
    noise = signs * e
    y = f + noise
    naive = np.mean([((f[:, 0] + noise[:, k] - H @ y[:, i]) ** 2).mean() - ((y[:, i] - H @ y[:, i]) ** 2).mean()
                     for i in range(16) for k in range(16)])
    mine = linear.gap(*map(torch.as_tensor, (f, noise, H @ np.hstack([f, y]))), 1)
    assert mine[0] == pytest.approx(naive, rel=1e-10)
