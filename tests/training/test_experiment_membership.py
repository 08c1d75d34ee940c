"""The membership experiment, small: its fits, its scores, and what it measures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import expit

from mixtheory.evidence import claims
from mixtheory.mixing import symmetric
from mixtheory.theory import gaussian_logistic as model
from mixtheory.theory import membership_logistic as logistic
from mixtheory.training.experiments import membership

SEEDS = tuple(range(16))


def data(sets=2, n=60, seed=3):
    return membership.draw(sets, n, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("alpha", [0.0, 0.3, np.inf])
def test_a_fit_minimises_the_mixup_risk(alpha):
    x, y = data(n=300)
    theta, _ = membership.fit(x, y, alpha, torch.zeros(1, x.shape[2], dtype=x.dtype), shifts=2)
    lam, w = symmetric(alpha).quadrature(nodes=6)

    def risk(theta, x, y):
        total = 0.0
        for k in (1, 2):
            for p, share in zip(lam, w, strict=True):
                z, label = p * x + (1 - p) * np.roll(x, -k, 0), p * y + (1 - p) * np.roll(y, -k)
                u = z @ theta
                e = share * (expit(u) - label) / len(x) / 2
                total += np.array([np.sum(share * (np.logaddexp(0, u) - label * u)) / len(x) / 2, *(z.T @ e)])
        return total[0], total[1:]

    for s in range(len(x)):
        best = minimize(risk, np.zeros(x.shape[2]), args=(x[s].numpy(), y[s].numpy()), jac=True, tol=1e-12)
        np.testing.assert_allclose(theta[s], best.x, atol=1e-4)
        assert risk(theta[s].numpy(), x[s].numpy(), y[s].numpy())[0] <= best.fun + 1e-12


def test_scores_of_the_loss_against_draws():
    x, y = data(1, 40)
    theta = torch.tensor([[0.3, 1.9, *np.linspace(-0.5, 0.6, 9)]], dtype=x.dtype)
    fresh, labels = (v[0].numpy() for v in data(1, 400_000, seed=8))
    u, own = (2 * labels - 1) * (fresh @ theta[0].numpy()), membership.margins(x, y, theta)[0].numpy()
    np.testing.assert_allclose(own, (2 * y[0].numpy() - 1) * (x[0].numpy() @ theta[0].numpy()), rtol=1e-12)
    naive = np.searchsorted(np.sort(u), own).mean() / len(u)
    assert float(membership.rank(x, y, theta)) == pytest.approx(naive, abs=4e-3)
    naive = np.logaddexp(0, -u).mean() - np.logaddexp(0, -own).mean()
    assert float(membership.loss_gap(x, y, theta)) == pytest.approx(naive, abs=6e-3)


def test_the_attack_on_coefficients():
    """psi, its covariance and the Hessian from draws, without mixup where psi is the gradient."""
    o = membership.oracle(0.0, torch.device("cpu"))
    x, y = data(1, 200_000, seed=5)
    p = torch.sigmoid(x[0] @ o.best[0])
    psi = (p - y[0])[:, None] * x[0]
    V, H = psi.T @ psi / len(psi), (x[0] * (p * (1 - p))[:, None]).T @ x[0] / len(psi)
    np.testing.assert_allclose(V, torch.diag(o.V), atol=6e-3)
    np.testing.assert_allclose(H, torch.diag(o.H), atol=6e-3)
    theta = o.best + torch.linspace(-0.2, 0.3, 11, dtype=x.dtype)
    scores, exposed = membership.attacked(x[:, :50], y[:, :50], theta, o)
    np.testing.assert_allclose(scores[0], psi[:50] / o.V * o.H @ (o.best - theta)[0], atol=1e-3)
    np.testing.assert_allclose(exposed[0], (psi[:50] ** 2 / o.V).sum(1), rtol=2e-3, atol=1e-4)
    assert float(membership.mann_whitney(torch.tensor([1.0, 3.0]), torch.tensor([0.0, 2.0, 4.0]))) == pytest.approx(0.5)


@pytest.fixture(scope="module")
def tiny():
    return membership.measure("synthetic", size=membership.Size(500, 16, 1), device="cpu", seeds=SEEDS)


def test_a_run_measures_every_claim_that_names_it(tiny):
    _, measurements = tiny
    assert {m.claim for m in measurements} == {c.id for c in claims().values() if c.experiment == "membership"}
    assert all(len(m.values) == len(SEEDS) for m in measurements)
    found = {(m.name, m.arm["alpha"]): m for m in measurements}
    assert found["gap", 1.0].predicted == pytest.approx(logistic.gap_logistic(1.0, 1.6, 10))
    assert found["gap", 0.0].predicted == found["exposure", 4.0].predicted == 11
    assert found["rescaled", 0.0].predicted == pytest.approx(11 * model.slope(1.0, 1.6) / 3.2)
    assert all(m.verdict != "disagrees" for m in measurements)


def test_the_gap_falls_and_the_attack_gets_better_even_in_a_tiny_run(tiny):
    for m in tiny[1]:
        if m.name.endswith("change"):
            z = m.mean / (np.std(m.values, ddof=1) / len(m.values) ** 0.5)
            assert z < -5 if m.name == "gap_change" else z > 5
            assert np.sign(m.predicted) == np.sign(z)


def test_replicas_depend_on_their_own_seeds_only():
    size = membership.Size(200, 2, 1)
    both = membership.measure("synthetic", size=size, device="cpu", seeds=(4, 9))[1]
    alone = membership.measure("synthetic", size=size, device="cpu", seeds=(9,))[1]
    assert [m.values[1] for m in both] == [m.values[0] for m in alone]


def test_a_fit_that_does_not_end_says_so():
    x, y = data(1, 40)
    y[:] = (x[..., 1] > 0).double()                     # separable: no minimiser without mixup
    with pytest.raises(RuntimeError, match="still moves"):
        membership.fit(x, y, 0.0, torch.zeros(1, x.shape[2], dtype=x.dtype), 1)
