"""The reference itself, against a loop as anyone would write it."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mixtheory.training.arms import ERM, INITIAL, Arm, block_of, draw
from mixtheory.training.inputs import Split
from mixtheory.training.models import initial_state, mlp
from mixtheory.training.plain import train_plain
from mixtheory.training.recipes import Recipe
from mixtheory.training.replicas import generators


def naive(data, arm, seed, recipe, *, alike=True):
    """nn.Sequential, F.cross_entropy of both labels weighted by lambda, torch.optim.SGD by its defaults."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3))
    start = initial_state(net, generators([seed], torch.device("cpu"), stream=INITIAL))
    net.load_state_dict({name: value[0] for name, value in start.items()})
    net.double()
    optimizer = torch.optim.SGD(net.parameters(), lr=recipe.rate, momentum=recipe.momentum, weight_decay=recipe.decay)
    x, y = data.x.double(), data.y
    assert block_of(len(x)) > recipe.epochs
    draws = draw([arm], [seed], first=0, epochs=recipe.epochs, total=recipe.epochs,
                 members=torch.arange(len(x))[None], batch=recipe.batch, augment=False, dtype=torch.float64)
    for i, j, lam in zip(draws.example[:, 0], draws.partner[:, 0], draws.lam[:, 0], strict=True):
        other = i[j]
        w = lam.view(-1, 1, 1, 1)
        z = net(w * x[i] + (1 - w) * x[other])
        own, others = (F.cross_entropy(z, y[k], reduction="none", label_smoothing=arm.smoothing) for k in (i, other))
        loss = (lam * own + (1 - lam if alike else lam) * others).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net


@pytest.mark.parametrize("arm", [ERM, Arm(1.0), Arm(0.4, "roll", "element", smoothing=0.2)], ids=str)
def test_as_anyone_would_write_it(arm):
    rng = torch.Generator().manual_seed(0)
    x, y = torch.randn(45, 1, 2, 3, generator=rng), torch.randint(3, (45,), generator=rng)
    data = Split(x, y, x, y, 3, torch.zeros(1, 1, 1))
    recipe = Recipe(epochs=4, batch=8, rate=0.1, decay=1e-2, precision="float64")
    found = train_plain(mlp(5, norm=True), data, arm=arm, seed=6, recipe=recipe)
    assert not found.training
    for name, value in naive(data, arm, 6, recipe).state_dict().items():
        assert torch.allclose(found.state_dict()[name], value, rtol=1e-10, atol=1e-12), name
    wrong = naive(data, arm, 6, recipe, alike=False).state_dict()          # lambda on both labels
    assert not torch.allclose(found.state_dict()["1.weight"], wrong["1.weight"], rtol=1e-3)
