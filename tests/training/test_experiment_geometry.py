"""Trained ReLU networks: the pieces of the measurement against naive ones, and wrong theories that it rejects."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mixtheory.evidence import claims
from mixtheory.mixing import symmetric
from mixtheory.pairing import partners
from mixtheory.theory import geometry_loss
from mixtheory.theory.geometry_loss import Network
from mixtheory.training import experiments
from mixtheory.training.experiments import geometry
from mixtheory.training.replicas import generators

TINY = geometry.Size(12, 16, 300, 0.02, 20_000)
SEEDS = tuple(range(16))


def measure(seeds=SEEDS, size=TINY):
    return geometry.measure("synthetic", size=size, device="cpu", seeds=seeds)


@pytest.fixture(scope="module")
def tiny():
    return measure()


def verdicts(found, name):
    return {m.verdict for m in found[1] if m.name == name}


def test_a_small_run_agrees(tiny):
    assert verdicts(tiny, "loss") == {"agrees"}
    assert verdicts(tiny, "deviation") == {"agrees"}
    assert "disagrees" not in verdicts(tiny, "random")
    assert {m.claim for m in tiny[1]} == {c.id for c in claims().values() if c.experiment == "geometry"}


def test_no_network_is_below_the_floor(tiny):
    told = {(o.name, o.arm.get("alpha")): np.array(o.values) for o in tiny[2]}
    for alpha in geometry.ALPHAS:
        assert (told["mixup", alpha] > told["floor", None]).all()
    assert told["penalty_ratio", 1.0].mean() == pytest.approx(
        told["penalty", 1.0].mean() / told["penalty", 0.0].mean())


def test_the_registered_ratio_at_the_size_of_the_book():
    record = experiments.run("geometry", dataset="synthetic", scale="quick")
    assert record.observation("penalty_ratio", alpha=1.0).interval[1] < 0.5
    assert {m.verdict for m in record.measurements} == {"agrees"}
    mixup, test = ({a: record.observation(name, alpha=a) for a in geometry.ALPHAS} for name in ("mixup", "test"))
    assert mixup[1.0].mean < 1.1 * record.observation("floor").mean           # what the chapter says of these networks
    assert test[1.0].interval[0] > test[0.0].interval[1]


def test_the_stack_is_its_networks():
    stack = geometry.start(5, (1, 2), torch.device("cpu"))
    x = torch.linspace(-2, 2, 7, dtype=torch.float64).expand(len(stack.w), 7)
    for r in range(len(stack.w)):
        np.testing.assert_allclose(stack(x)[r].numpy(), stack.network(r)(x[r].numpy()[:, None]), atol=1e-14)
    assert torch.equal(stack.w[0], stack.w[2])          # arms of a seed start alike
    assert not torch.equal(stack.w[0], stack.w[1])


def test_training_together_is_training_alone():
    """The third arm of the second seed, by an ordinary loop over an ordinary network."""
    size, seeds, arm = geometry.Size(8, 6, 40, 0.01, 1), (3, 5), 2
    x, y, *_ = geometry.examples(size.points, seeds, torch.device("cpu"))
    found = geometry.train(x, y, size, seeds).network(arm * 2 + 1)
    first = geometry.start(size.width, (5,), torch.device("cpu")).network(0)
    layers = torch.nn.Sequential(torch.nn.Linear(1, 6), torch.nn.ReLU(), torch.nn.Linear(6, 1))
    with torch.no_grad():
        for parameter, value in zip(layers.parameters(), (first.W, first.b, first.a[None], [first.c]), strict=True):
            parameter.copy_(torch.as_tensor(np.asarray(value)))
    rng = generators((5,), torch.device("cpu"), stream=geometry.PARTNERS)[0]
    partner = partners("independent", 8, rng=rng, replicas=size.steps)
    lam = [symmetric(alpha).sample((size.steps, 8), rng=rng, dtype=torch.float32) for alpha in geometry.ALPHAS][arm]
    optimizer = torch.optim.Adam(layers.parameters(), lr=size.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, size.steps)
    x, y = x[1].float(), y[1].float()
    for step in range(size.steps):
        p, j = lam[step], partner[step]
        mixed, label = p * x + (1 - p) * x[j], p * y + (1 - p) * y[j]
        optimizer.zero_grad()
        (layers(mixed[:, None])[:, 0] - label).square().mean().backward()
        optimizer.step()
        schedule.step()
    np.testing.assert_allclose(found.W, layers[0].weight.detach(), atol=2e-5)
    np.testing.assert_allclose(found.a, layers[2].weight.detach()[0], atol=2e-5)


def test_the_loss_between_kinks_is_that_of_a_fine_grid():
    rng = np.random.default_rng(2)
    f = Network(rng.standard_normal((7, 1)), rng.standard_normal(7), rng.standard_normal(7), 0.2)
    x, y = rng.standard_normal(5), rng.standard_normal(5)
    lam = (np.arange(40_000)[:, None] + 0.5) / 40_000
    naive = np.mean([(f(lam * a + (1 - lam) * b) - (lam * c + (1 - lam) * d)[:, 0]) ** 2
                     for a, c in zip(x, y, strict=True) for b, d in zip(x, y, strict=True)])
    assert geometry.exact_loss(f, x, y) == pytest.approx(naive, rel=1e-7)


# --- wrong theories -----------------------------------------------------------------------------------------------

def test_a_loss_without_its_cross_term_disagrees(monkeypatch):
    true = geometry_loss.loss_parts
    monkeypatch.setattr(geometry_loss, "loss_parts", lambda *args: true(*args)._replace(cross=0.0))
    found = verdicts(measure(), "loss")
    assert "disagrees" in found
    assert "agrees" not in found


def test_distinct_pairs_in_place_of_all_disagree(monkeypatch):
    monkeypatch.setattr(geometry_loss, "mixup_mse", geometry_loss.mixup_mse_distinct)
    found = verdicts(measure(), "loss")
    assert "disagrees" in found
    assert "agrees" not in found


def test_another_alpha_disagrees(monkeypatch):
    true = geometry.segments.mean_square_deviation
    monkeypatch.setattr(geometry.segments, "mean_square_deviation", lambda f, a, b, alpha: true(f, a, b, 1.1 * alpha))
    assert verdicts(measure(), "deviation") == {"disagrees"}


def test_replicas_depend_on_their_own_seed_only():
    size = geometry.Size(8, 6, 30, 0.01, 100)
    few, more = measure((3, 5), size), measure((3, 5, 8), size)
    for a, b in zip(few[2], more[2], strict=True):
        if a.name not in ("penalty_ratio",):
            assert np.allclose(a.values, b.values[:2], rtol=1e-3, atol=1e-5), a.name
            assert a.values[0] != a.values[1]
