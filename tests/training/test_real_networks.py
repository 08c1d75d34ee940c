"""What survives in a real network: a miniature of the experiment, its differences by hand, its identities broken."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

import mixtheory.theory  # noqa: F401  importing it registers the claims
from mixtheory.evidence import claims
from mixtheory.mixup import soft_labels
from mixtheory.training.experiments import real_networks as real
from mixtheory.training.models import initial_state, mlp

SEEDS = range(200, 206)


@pytest.fixture(scope="module")
def run():
    torch.set_num_threads(1)
    size = {"digits": dataclasses.replace(real.SIZES["quick"]["digits"], epochs=1, networks=2, datasets=3)}
    return real.measure("digits", size=size, device="cpu", seeds=SEEDS)


def test_every_sign_is_told_and_rests_on_a_claim(run):
    _, measurements, observations = run
    told = [(o.arm["what"], o.arm["sign"]) for o in observations if o.name == "foretold"]
    assert told == [(f.name, f.sign) for f in real.FORETOLD]
    assert {f.claim for f in real.FORETOLD} | {m.claim for m in measurements} <= set(claims())
    assert len({f.name for f in real.FORETOLD}) == len(real.FORETOLD)


def test_identities_hold_on_a_network_after_one_epoch(run):
    found = {m.name: m for m in run[1] if m.name != "head_gap"}
    assert set(found) == {"affine", "loss_link", "kinks"}
    for m in found.values():
        assert len(m.values) == len(SEEDS)
        assert np.abs(np.array(m.values) - m.predicted).max() < m.margin


def test_changes_are_differences_seed_by_seed(run):
    observations = {(o.name, o.arm.get("arm")): np.array(o.values) for o in run[2]}
    told = {o.arm["what"]: np.array(o.values) for o in run[2] if o.name == "foretold"}
    for name in ("overconfidence", "temperature", "loss_gap", "threshold_auc", "sharpness", "head_auc"):
        assert np.array_equal(told[name], observations[name, "mixup"] - observations[name, "ERM"]), name
    assert np.array_equal(told["clean"],
                          observations["clean_confidence", "mixup"] - observations["clean_confidence", "smoothing"])
    for name in ("trace_start", "noise_start"):
        assert np.allclose(told[name], np.log(observations[f"{name}_mixed", "ERM"] / observations[name, "ERM"]))
    assert np.allclose(told["trace_end"], np.log(observations["gradient_trace_mixed", "mixup"]
                                                 / observations["gradient_trace", "ERM"]))


def test_both_arms_of_a_head_see_the_same_data_sets(run):
    """Their attacks are compared pair by pair: over the same draws the difference varies less than either."""
    aucs = {o.arm["arm"]: np.array(o.values) for o in run[2] if o.name == "head_auc"}
    apart = aucs["mixup"] - aucs["ERM"]
    assert apart.std() < min(a.std() for a in aucs.values())


@pytest.fixture
def network():
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(16, 1, 3, 3, dtype=torch.float64, generator=rng)
    module = mlp(12).plain((1, 3, 3), 4)
    module.load_state_dict({name: value[0] for name, value in initial_state(module, [rng]).items()})
    return module.double(), x, soft_labels(torch.arange(16) % 4, 4, like=x)


def test_the_closed_forms_are_those_of_this_network_and_this_alpha(network, monkeypatch):
    module, x, y = network
    assert real._kinks(module, x[:8], x[8:]) == pytest.approx(1, abs=1e-4)
    assert real._loss_link(module, x, y) == pytest.approx(1, abs=1e-4)
    right = real.geometry_kinks.chord_penalty
    monkeypatch.setattr(real.geometry_kinks, "chord_penalty", lambda k, J, alpha: right(k, J, 1.3 * alpha))
    assert real._kinks(module, x[:8], x[8:]) != pytest.approx(1, abs=1e-2)
    other = real.geometry_loss.mixup_mse
    monkeypatch.setattr(real.geometry_loss, "mixup_mse", lambda alpha, problem: other(1.3 * alpha, problem))
    assert real._loss_link(module, x, y) != pytest.approx(1, abs=1e-3)


def test_two_losses_are_one_for_cross_entropy_only(network, monkeypatch):
    module, x, y = network
    rng = torch.Generator().manual_seed(1)
    assert real._affine(module, x, y, rng) < 1e-14

    def focal(z, target):
        p = z.softmax(-1)
        return -(target * (1 - p) ** (1 + target) * p.log()).sum(-1)
    monkeypatch.setitem(real.LOSSES, "cross-entropy", focal)
    assert real._affine(module, x, y, rng) > 1e-3


def test_the_floor_is_that_of_the_labels(network):
    """A network that answers 1/K whatever it sees has the loss ln K."""
    module, x, y = network
    for p in module[-1].parameters():
        p.data.zero_()
    data = real.Split(x, torch.arange(16) % 4, x, torch.arange(16) % 4, 4, x.new_zeros(1, 1, 1))
    above = real._above_floor(module, data, torch.arange(16), torch.Generator().manual_seed(2))
    assert above == pytest.approx(np.log(4) - 0.75 * 0.5, abs=1e-6)     # uniform lambda: E entropy of a pair is 1/2
