"""Last layers fitted anew: the batched Newton fit against a general optimiser, gap and AUC against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from mixtheory.mixing import symmetric
from mixtheory.training.experiments import _heads as heads


@pytest.fixture
def people():
    rng = np.random.default_rng(4)
    x = np.column_stack([np.ones(24), rng.normal(size=(24, 2))])
    y = (rng.uniform(size=24) < 1 / (1 + np.exp(-x @ [0.3, 1.0, -0.5]))).astype(float)
    return heads.Population(torch.tensor(x), torch.tensor(y))


def loss(theta, x, y):
    z = x @ theta
    return np.logaddexp(0, z) - y * z


def mixup_risk(theta, x, y, alpha):
    """All n^2 pairs, one by one."""
    total = 0.0
    for lam, w in zip(*symmetric(alpha).quadrature(nodes=heads.NODES), strict=True):
        for i in range(len(x)):
            total += w * loss(theta, lam * x[i] + (1 - lam) * x, lam * y[i] + (1 - lam) * y).mean() / len(x)
    return total


@pytest.mark.parametrize("alpha", [0.0, 0.37, 1.0])
def test_newton_minimises_the_mixup_risk_of_all_pairs(people, alpha):
    x, y = (a.numpy() for a in people)
    found = heads.fit(people.x[None], people.y[None], alpha, range(24))[0].numpy()
    best = minimize(mixup_risk, np.zeros(3), (x, y, alpha), method="BFGS", options={"gtol": 1e-9}).x
    assert np.allclose(found, best, atol=1e-6)
    assert not np.allclose(found, heads.fit(people.x[None], people.y[None], 4.2, range(24))[0].numpy(), atol=1e-2)


def test_data_sets_are_fitted_as_if_each_were_alone(people):
    drawn = torch.randint(24, (3, 24), generator=torch.Generator().manual_seed(1))
    together = heads.fit(people.x[drawn], people.y[drawn], 1.0, range(1, 9))
    for k in range(3):
        alone = heads.fit(people.x[drawn[k:k + 1]], people.y[drawn[k:k + 1]], 1.0, range(1, 9))[0]
        assert torch.allclose(together[k], alone, atol=1e-10)


def test_separable_classes_are_refused(people):
    separable = people._replace(y=(people.x[:, 1] > 0).double())
    with pytest.raises(ArithmeticError, match="separable"):
        heads.fit(separable.x[None], separable.y[None], 0.0, range(1))


def test_gap_and_attack_are_those_of_a_plain_loop(people):
    x, y = (a.numpy() for a in people)
    optimum = heads.fit(people.x[None], people.y[None], 1.0, range(24))[0]
    found = heads.fitted(people, optimum, 1.0, 16, 2, torch.Generator().manual_seed(3))
    drawn = torch.randint(24, (2, 16), generator=torch.Generator().manual_seed(3)).numpy()
    thetas = heads.fit(people.x[drawn], people.y[drawn], 1.0, range(1, heads.SHIFTS + 1)).numpy()
    for k in range(2):
        gaps, aucs = [], []
        for theta in (thetas[k], optimum.numpy()):
            everyone = loss(theta, x, y)
            member = everyone[drawn[k]]
            gaps.append(everyone.mean() - member.mean())
            aucs.append(np.mean([(m < o) + (m == o) / 2 for m in member for o in everyone]))
        assert float(found.gap[k]) == pytest.approx(16 * (gaps[0] - gaps[1]), rel=1e-9)
        assert float(found.auc[k]) == pytest.approx(16 * (aucs[0] - aucs[1]), rel=1e-9)


def test_gradient_and_hessian_are_derivatives(people):
    x, y = (a.numpy() for a in people)
    theta, h = np.array([0.2, -0.4, 1.1]), 1e-5
    for k, e in enumerate(np.eye(3) * h):
        slope = (loss(theta + e, x, y) - loss(theta - e, x, y)) / (2 * h)
        assert np.allclose(heads.gradient(x, y, theta)[:, k], slope, atol=1e-8)
        bend = (heads.gradient(x, y, theta + e) - heads.gradient(x, y, theta - e)) / (2 * h)
        assert np.allclose(heads.hessian(x, y, theta)[:, k], bend, atol=1e-8)
