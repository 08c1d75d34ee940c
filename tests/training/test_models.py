"""Stacked networks hold the plain ones, and start where torch.nn would."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats
from torch import nn

from mixtheory.domain import DomainError
from mixtheory.training.models import cnn, initial_state, linear, mlp, preact_resnet18
from mixtheory.training.replicas import generators

MODELS = [linear(), mlp(6, 5), mlp(7, norm=True), cnn(3), cnn(2, norm=False), preact_resnet18(2)]
SHAPE = (3, 9, 6)
each = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)


def started(model, seeds):
    return initial_state(model.plain(SHAPE, 4), generators(seeds, torch.device("cpu")))


def pair(model, R=3):
    """A stacked network in float64 and its replicas as plain ones."""
    state, stacked = started(model, range(R)), model.stacked(R, SHAPE, 4).double()
    stacked.load_state_dict(state)
    alone = []
    for r in range(R):
        alone.append(model.plain(SHAPE, 4).double())
        alone[r].load_state_dict({name: value[r] for name, value in state.items()})
    return stacked, alone


@each
def test_outputs_and_running_statistics_are_those_of_each_by_itself(model):
    stacked, alone = pair(model)
    rng = torch.Generator().manual_seed(0)
    scale = torch.tensor([1, 3, 0.2]).view(3, 1, 1, 1, 1)
    for _ in range(3):
        x = torch.randn(3, 8, *SHAPE, generator=rng, dtype=torch.float64) * scale
        assert torch.allclose(stacked(x), torch.stack([net(row) for net, row in zip(alone, x, strict=True)]), rtol=1e-9)
    for name, value in stacked.state_dict().items():
        assert torch.allclose(value, torch.stack([net.state_dict()[name] for net in alone]), rtol=1e-9), name
    buffers = [b for name, b in stacked.named_buffers() if "running_var" in name]
    assert all(not torch.allclose(b[0], b[1], rtol=0.1) for b in buffers[:1])
    stacked.eval()
    x = torch.randn(3, 5, *SHAPE, generator=rng, dtype=torch.float64)
    assert torch.allclose(stacked(x), torch.stack([net.eval()(row) for net, row in zip(alone, x, strict=True)]),
                          rtol=1e-9)


@each
def test_in_bulk_as_one_by_one(model):
    bulk = started(model, [5, 2, 9])
    for r, seed in enumerate([5, 2, 9]):
        for name, value in started(model, [seed]).items():
            assert torch.equal(bulk[name][r], value[0])


@each
def test_the_initial_law_is_that_of_torch(model):
    """Same bounds, and one Kolmogorov-Smirnov test of each kind of parameter, at one in a million."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        own = [dict(model.plain(SHAPE, 4).state_dict()) for _ in range(60)]
    ours = started(model, range(60))
    assert list(own[0]) == sorted(ours, key=list(own[0]).index)
    layers = dict(model.plain(SHAPE, 4).named_modules())
    for name, value in ours.items():
        theirs = torch.stack([state[name] for state in own])
        assert (value.shape, value.dtype) == (theirs.shape, theirs.dtype)
        layer = layers[name.rpartition(".")[0]]
        if not isinstance(layer, (nn.Linear, nn.Conv2d)):
            assert torch.equal(value, theirs)
            continue
        bound = 1 / math.sqrt(layer.weight[0].numel())
        assert float(value.abs().max()) <= bound
        assert stats.kstest(value.flatten() / bound, stats.uniform(-1, 2).cdf).pvalue > 1e-6
        assert stats.ks_2samp(value.flatten(), theirs.flatten()).pvalue > 1e-6
        if value.numel() > 500:
            assert stats.ks_2samp(1.3 * value.flatten(), theirs.flatten()).pvalue < 1e-6    # a gain would be seen


def test_parameters_of_a_replica_are_independent_of_each_other():
    state = started(mlp(40), range(50))
    first, second = state["1.weight"].flatten(1), state["3.weight"].flatten(1)
    n = second.shape[1]
    for a, b in ((first[:, :n], second), (first[:-1], first[1:]), (first[:, :-1], first[:, 1:])):
        z = float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1]) * math.sqrt(a.numel())
        assert abs(z) < 5


def test_one_replica_is_not_enough_or_is():
    assert mlp(3).stacked(1, SHAPE, 4)(torch.zeros(1, 2, *SHAPE)).shape == (1, 2, 4)
    with pytest.raises(DomainError, match="replicas"):
        mlp(3).stacked(0, SHAPE, 4)


def test_names_tell_architectures_apart():
    assert len({model.name for model in [*MODELS, mlp(6), mlp(6, 5, norm=True), cnn(3, norm=False)]}) == 9
