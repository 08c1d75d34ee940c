"""The experiment on curvature, small: what it measures, against loops, and that what is wrong is seen."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mixtheory.evidence import claims
from mixtheory.evidence.record import Measurement
from mixtheory.theory import curvature as theory
from mixtheory.theory import curvature_running
from mixtheory.training.experiments import _curvature_norms as norms
from mixtheory.training.experiments import curvature as experiment
from mixtheory.training.experiments._curvature_norms import Norms

SEEDS = tuple(range(16))
TINY = experiment.Size(300, 6000, Norms((512, 3), 40, 250, 1350))
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def tiny():
    torch.set_num_threads(1)
    return experiment.measure("synthetic", size=TINY, device="cpu", seeds=SEEDS)


def verdicts(found, name):
    return {m.verdict for m in found if m.name == name}


def test_small_runs_agree_wherever_they_can_tell(tiny):
    _, found, _ = tiny
    assert all(m.verdict != "disagrees" for m in found)
    assert sum(m.verdict == "agrees" for m in found) >= 0.6 * len(found)


def test_every_claim_that_names_the_experiment_is_measured(tiny):
    wanted = {c.id for c in claims().values() if c.experiment == "curvature"}
    assert {m.claim for m in tiny[1]} == wanted


def test_the_wrong_theories_are_outside_the_margins(tiny):
    _, found, told = tiny
    wrong = {o.name: o.mean for o in told}
    by = {(m.name, m.arm.get("sharing"), m.arm["alpha"]): m for m in found}
    for name, key in (("naive_step", ("step", None, 1.0)), ("naive", ("behind", "element", 1.0)),
                      ("inflated", ("head", "element", 1.0))):
        m = by[key]
        assert abs(wrong[name] - m.predicted) > 10 * m.margin
        assert not m.interval[0] - m.margin < wrong[name] < m.interval[1] + m.margin
    both = [by["head", sharing, 1.0] for sharing in ("batch", "element")]
    assert 2 * both[0].margin <= abs(both[0].predicted - both[1].predicted)
    meets = curvature_running.running_variance(1.0, 1.0, 16, "permutation", "batch")
    assert 2 * norms.RUNNING_MARGIN[16] < meets - curvature_running.running_variance(1.0, 1.0, 16, "roll", "batch")


def test_all_pairs_are_those_of_a_double_loop():
    x = torch.tensor([[1.0, 2.0], [-0.5, 0.3], [4.0, 1.0]], dtype=torch.float64)
    mixed, weight = experiment.all_pairs(x, 1.0)
    first = sum(float(w) * z for w, z in zip(weight, mixed, strict=True))
    second = sum(float(w) * torch.outer(z, z) for w, z in zip(weight, mixed, strict=True))
    expected = torch.zeros(2, 2, dtype=torch.float64)
    for a in x:
        for b in x:                                     # E lambda^2 = 1/3, E lambda (1 - lambda) = 1/6
            expected += (torch.outer(a, a) + torch.outer(b, b)) / 27 + (torch.outer(a, b) + torch.outer(b, a)) / 54
    assert torch.allclose(first, x.mean(0))
    assert torch.allclose(second, expected)


def test_a_data_set_has_the_moments_that_are_asked_for():
    x = experiment.data_set((3.0, -1.0), torch.Generator().manual_seed(0))
    assert torch.allclose(x.mean(0), torch.tensor([3.0, -1.0], dtype=torch.float64))
    assert np.allclose(np.cov(x.numpy().T, bias=True), np.eye(2))


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_the_turning_point_is_that_of_plain_descent(alpha):
    x = experiment.data_set((1.0, 0.5), torch.Generator().manual_seed(2))
    pairs, weight = experiment.all_pairs(x, alpha)
    steps = theory.stable_step(alpha, np.eye(2), np.array([1.0, 0.5])) * torch.tensor([[0.9, 0.98, 1.03, 1.2]])
    found = float(experiment.turning_point(pairs[None], weight, steps.double(), 400))
    assert found == pytest.approx(float(steps[0, 1] + steps[0, 2]) / 2)
    for eta, converges in zip(steps[0].tolist(), (True, True, False, False), strict=True):
        layer = torch.nn.Linear(2, 1, bias=False).double()
        optimiser = torch.optim.SGD(layer.parameters(), lr=eta)
        losses = []
        for _ in range(400):
            optimiser.zero_grad()
            loss = (weight * (layer(pairs)[:, 0] - pairs.sum(1).sin()).square()).sum() / 2
            loss.backward()
            optimiser.step()
            losses.append(float(loss.detach()))
        assert (losses[-1] <= losses[5]) == converges


def test_the_hessian_behind_a_normalisation_is_the_moment_of_its_outputs():
    x = torch.randn(30, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    z = (x - x.mean(0)) / x.std(0, correction=0)
    assert torch.allclose(norms.layer_hessian(x, x[:, 0]), z.T @ z / 30, atol=1e-9)


def test_minima_are_minima():
    rng = torch.Generator().manual_seed(1)
    x, y = torch.randn(2, 400, 2, generator=rng, dtype=torch.float64), torch.rand(2, 400, generator=rng).double()
    w = experiment.minimise(x, y)
    for a, b, slopes in zip(x, y, w, strict=True):
        assert torch.allclose(a.T @ (torch.sigmoid(a @ slopes) - b) / 400, torch.zeros(2).double(), atol=1e-6)


# --- power ---


def test_data_that_are_not_mixed_are_seen(monkeypatch):
    true = norms.mixed
    monkeypatch.setattr(norms, "mixed", lambda x, *rest: (x, true(x, *rest)[1]))
    for part, name in ((norms._running, "running"), (norms._pooled, "pooled"), (norms._exponential, "fluctuation")):
        assert verdicts(part(TINY.norms, CPU, SEEDS)[0], name) == {"disagrees"}


def test_partners_that_are_oneself_are_seen_in_small_batches(monkeypatch):
    true = norms.partners
    monkeypatch.setattr(norms, "partners", lambda pairing, n, **how: true("permutation", n, **how))
    found, _ = norms._running(Norms((1, 1), 150, 1, 1), CPU, SEEDS)
    small = [m for m in found if m.name == "running" and m.arm["n"] == 16 and m.arm["sharing"] == "batch"]
    assert [m.verdict for m in small] == ["disagrees"]


def test_a_normalisation_by_clean_statistics_is_seen(monkeypatch):
    class Clean(torch.nn.Module):
        def __init__(self, features, **how):
            super().__init__()

        def forward(self, x):
            return (x - 1.0) / torch.as_tensor(np.sqrt(np.diag(norms.SIGMA)))

    monkeypatch.setattr(norms.nn, "BatchNorm1d", Clean)
    found, _ = norms._behind(TINY.norms, CPU, SEEDS)
    assert {m.verdict for m in found if m.arm["alpha"]} == {"disagrees"}


def test_mixing_without_shrinkage_of_the_mean_term_is_seen(monkeypatch):
    monkeypatch.setattr(theory, "stable_step", lambda alpha, Sigma, mu: 0.3)
    monkeypatch.setattr(experiment, "TRIED", np.linspace(0.6, 1.1, 41))
    found, _ = experiment.least_squares(300, CPU, SEEDS)
    assert verdicts(found, "step") == {"disagrees"}


# --- streams ---


def test_replicas_depend_on_their_own_seed_only():
    size = experiment.Size(60, 500, Norms((64, 1), 4, 5, 12))
    few, again, more = (experiment.measure("synthetic", size=size, device="cpu", seeds=seeds)[1]
                        for seeds in ((3, 5), (3, 5), (3, 5, 8)))
    for a, b, c in zip(few, again, more, strict=True):
        assert isinstance(a, Measurement)
        assert a.values == b.values
        assert np.allclose(a.values, c.values[:2], rtol=1e-4, atol=1e-9), a.name         # L-BFGS stops for all at once
