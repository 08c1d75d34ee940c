"""Gradient noise against loops, hand formulas and the linear regression of Gaussian inputs."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from mixtheory.domain import DomainError
from mixtheory.mixup import mixup
from mixtheory.theory import mixing_moments as mm
from mixtheory.training.measurements import gradients
from mixtheory.training.measurements.gradients import batch_noise, example_noise

Z = 5.0         # standard errors that an estimate may be off


def rng_of(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed):
    return torch.randn(*shape, generator=rng_of(seed), dtype=torch.float64)


def linear(w, bias=None):
    """nn.Linear of one output with the given weights."""
    layer = nn.Linear(len(w), 1, bias=bias is not None).double()
    with torch.no_grad():
        layer.weight.copy_(w[None])
        if bias is not None:
            layer.bias.fill_(bias)
    return layer


def conv_net():
    torch.manual_seed(3)
    net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 3)).double()
    net(normal(8, 2, 4, 4, seed=4))     # running statistics that are not the defaults
    return net.eval()


IMAGES, SOFT = normal(7, 2, 4, 4, seed=5), (normal(7, 3, seed=6) + torch.tensor([4, 0, 0])).softmax(1)


def loop(net, x, y):
    """Gradients (n, P) of cross-entropy, one backward pass an example."""
    rows = []
    for one, target in zip(x, y, strict=True):
        loss = torch.nn.functional.cross_entropy(net(one[None]), target[None])
        rows.append(torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(net.parameters()))]))
    return torch.stack(rows)


# --- examples -----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("chunk", [1, 3, 7, None])
def test_examples_agree_with_a_loop(chunk):
    net = conv_net()
    g = loop(net, IMAGES, SOFT)
    found = example_noise(net, IMAGES, SOFT, chunk=chunk, full=True)
    products = [float(g[i] @ g[j]) for i, j in itertools.permutations(range(7), 2)]
    trace, square = float(g.var(0).sum()), np.mean(products)
    assert torch.allclose(found.mean, g.mean(0), rtol=1e-12, atol=1e-14)
    assert np.isclose(found.trace.value, trace, rtol=1e-11)
    assert np.isclose(found.mean_square.value, square, rtol=1e-11)
    assert np.isclose(found.scale.value, trace / square, rtol=1e-11)
    assert np.allclose(found.covariance, np.cov(g.T.numpy()), rtol=1e-10, atol=1e-14)
    assert found.units == 7
    assert not np.isclose(found.trace.value, float(g.var(0, correction=0).sum()), rtol=0.1)
    assert not np.isclose(found.mean_square.value, float(g.mean(0) @ g.mean(0)), rtol=0.1)


def test_the_jackknife_leaves_out_one_group_at_a_time():
    g = loop(conv_net(), IMAGES, SOFT)
    found = example_noise(conv_net(), IMAGES, SOFT, groups=3, chunk=2)

    def estimates(rows):
        n, total = len(rows), rows.sum(0)
        square = float((total @ total - rows.square().sum()) / (n * (n - 1)))
        return np.array([float(rows.var(0).sum()), square, float(rows.var(0).sum()) / square])

    left = np.array([estimates(g[[i for i in range(7) if i % 3 != b]]) for b in range(3)])
    se = np.sqrt(2 / 3 * ((left - left.mean(0))**2).sum(0))
    assert np.allclose([found.trace.se, found.mean_square.se, found.scale.se], se, rtol=1e-9)


def test_a_linear_softmax_by_hand():
    """g = (p - y) x^T, so that |g|^2 = |p - y|^2 |x|^2."""
    x, y, net = normal(9, 4, seed=1), normal(9, 3, seed=2).softmax(1), nn.Linear(4, 3, bias=False).double()
    with torch.no_grad():
        error = (x @ net.weight.T).softmax(1) - y
    G = error.T @ x / 9
    trace = float((error.square().sum(1) * x.square().sum(1)).sum() - 9 * G.square().sum()) / 8
    found = example_noise(net, x, y)
    assert torch.allclose(found.mean, G.flatten(), rtol=1e-12, atol=1e-15)
    assert np.isclose(found.trace.value, trace, rtol=1e-12)


SIGMA = torch.tensor([[2.0, 0.6, 0.0], [0.6, 1.0, -0.3], [0.0, -0.3, 0.5]], dtype=torch.float64)
W_STAR = torch.tensor([1.0, -0.5, 2.0], dtype=torch.float64)


def regression(n, seed, noise=0.7):
    x = normal(n, 3, seed=seed) @ torch.linalg.cholesky(SIGMA).T
    return x, x @ W_STAR[:, None] + noise * normal(n, 1, seed=seed + 1)


def test_gaussian_linear_regression():
    """C_g = (delta' Sigma delta) Sigma + m m' + sigma^2 Sigma with m = Sigma delta, and N = A + 1."""
    delta = torch.tensor([0.8, 0.4, -0.6], dtype=torch.float64)
    x, y = regression(200_000, seed=10)
    found = example_noise(linear(W_STAR + delta), x, y, loss="squared", full=True, groups=200)
    m, omega2 = SIGMA @ delta, delta @ SIGMA @ delta + 0.49
    C = omega2 * SIGMA + torch.outer(m, m)
    A = float(omega2 * SIGMA.trace() / (m @ m))
    for measured, predicted in ((found.trace, float(C.trace())), (found.mean_square, float(m @ m)),
                                (found.scale, A + 1)):
        assert abs(measured.value - predicted) < Z * measured.se
        assert 2 * Z * measured.se < 0.08 * predicted
    scale = (C.diag()[:, None] * C.diag()).sqrt()
    assert float(((found.covariance - C) / scale).abs().max()) < 0.03
    without = float((omega2 * SIGMA).trace())                   # second moment of x forgotten in Wick's rule
    uncentred = float(C.trace() + m @ m)                        # E[g g'] for Cov(g)
    for wrong in (without, uncentred):
        assert abs(found.trace.value - wrong) > 2 * Z * found.trace.se
    assert abs(found.scale.value - A) > 2 * Z * found.scale.se


def test_estimates_are_unbiased_and_their_errors_honest():
    """Many small samples of a known law: g = -x y at w = 0, with one input and one output."""
    n, repeats, mean = 10, 2500, 0.6
    data = mean + normal(repeats, n, seed=21)                   # with x = 1 the gradient is -y
    found = [example_noise(linear(torch.zeros(1, dtype=torch.float64)), torch.ones(n, 1, dtype=torch.float64),
                           row[:, None], loss="squared") for row in data]
    for values, truth in (([f.trace for f in found], 1.0), ([f.mean_square for f in found], mean**2)):
        estimates, errors = np.array([v.value for v in values]), np.array([v.se for v in values])
        spread = estimates.std(ddof=1)
        assert abs(estimates.mean() - truth) < Z * spread / math.sqrt(repeats)
        assert 0.9 < np.sqrt((errors**2).mean()) / spread < 1.25
    plain = np.array([float(f.mean @ f.mean) for f in found])   # too large by tr Cov / n
    assert abs(plain.mean() - mean**2) > 2 * Z * plain.std() / math.sqrt(repeats)


def test_a_mean_lost_in_the_noise_has_an_infinite_scale():
    y = torch.tensor([[1.0], [-1.0], [1.0], [-1.0]])
    found = example_noise(linear(torch.zeros(1)).float(), torch.ones(4, 1), y, loss="squared")
    assert found.mean_square.value < 0
    assert found.scale == (math.inf, math.inf)
    assert math.isclose(found.trace.value, 4 / 3, rel_tol=1e-6)


# --- batches ------------------------------------------------------------------------------------------------

def test_batches_under_batchnorm_in_training_mode():
    net, original = conv_net().train(), conv_net().train()
    batches = [(normal(5, 2, 4, 4, seed=s), normal(5, 3, seed=99 - s).softmax(1)) for s in range(6)]
    rows = []
    for x, y in batches:
        loss = torch.nn.functional.cross_entropy(original(x), y)
        rows.append(torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(original.parameters()))]))
    g = torch.stack(rows)
    with torch.no_grad():
        found = batch_noise(net, iter(batches), full=True)
    assert torch.allclose(found.mean, g.mean(0), rtol=1e-11, atol=1e-14)
    assert np.isclose(found.trace.value, float(g.var(0).sum()), rtol=1e-11)
    assert np.allclose(found.covariance, np.cov(g.T.numpy()), rtol=1e-9, atol=1e-14)
    before = conv_net()
    assert all(torch.equal(b, before.state_dict()[name]) for name, b in net.state_dict().items())
    assert net.training
    evaluated = batch_noise(net.eval(), batches)
    assert not np.isclose(found.trace.value, evaluated.trace.value, rtol=0.05)


def test_mixed_batches_at_the_solution_of_a_regression():
    """roll, one lambda a batch: E S^2 + 2 E u^2 over the batches without mixup; neither E S^2 nor s^2."""
    n, d, count = 16, 8, 6000
    w = torch.linspace(-1, 1, d, dtype=torch.float64)
    x = normal(count, n, d, seed=31)
    y = x @ w[:, None] + normal(count, n, 1, seed=32)
    rng, module = rng_of(33), linear(w)

    def mixed():
        for inputs, targets in zip(x, y, strict=True):
            both = mixup(torch.cat([inputs, targets], 1), alpha=1.0, rng=rng, pairing="roll").x
            yield both[:, :-1], both[:, -1:]

    found = batch_noise(module, mixed(), loss="squared").trace
    share, se = found.value / (d / n), found.se / (d / n)       # Cov = sigma^2 Sigma / n without mixup
    predicted = mm.shrinkage_square(1.0) + 2 * mm.product_square(1.0)
    assert abs(share - predicted) < Z * se
    for wrong in (mm.shrinkage_square(1.0), mm.shrinkage(1.0)**2, 1.0):
        assert abs(share - wrong) > Z * se


# --- what is refused ----------------------------------------------------------------------------------------

def test_batchnorm_in_training_mode_has_no_example_gradient():
    for net in (conv_net().train(), nn.Sequential(nn.BatchNorm1d(3, track_running_stats=False)).eval()):
        with pytest.raises(DomainError, match=r"is BatchNorm.*module.eval\(\)"):
            example_noise(net, IMAGES, SOFT)
    noisy = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(32, 3))
    for measure in (lambda: example_noise(noisy, IMAGES, SOFT), lambda: batch_noise(noisy, [(IMAGES, SOFT)] * 3)):
        with pytest.raises(DomainError, match="1 is Dropout"):
            measure()


@pytest.mark.parametrize(("change", "why"), [
    ({"x": IMAGES[:6]}, "x, y"),
    ({"x": IMAGES[:2], "y": SOFT[:2]}, "n = 2"),
    ({"y": 2 * SOFT}, "simplex"),
    ({"y": torch.zeros(7, dtype=torch.long)}, "soft labels"),
    ({"loss": "hinge"}, "loss = 'hinge'"),
    ({"loss": "squared", "y": SOFT[:, :1]}, "targets must have the shape"),
    ({"loss": lambda output, y: (output - y).square().mean()}, "one number an example"),
    ({"chunk": -1}, "chunk"),
    ({"groups": 2}, "groups"),
])
def test_bad_input(change, why):
    with pytest.raises(DomainError, match=why):
        example_noise(**{"module": conv_net(), "x": IMAGES, "y": SOFT} | change)


def test_bad_batches_and_frozen_modules():
    with pytest.raises(DomainError, match="batches = 2"):
        batch_noise(conv_net(), [(IMAGES, SOFT)] * 2)
    with pytest.raises(DomainError, match="batches = 0"):
        batch_noise(conv_net(), [])
    with pytest.raises(DomainError, match="not finite"):
        example_noise(conv_net(), IMAGES * math.inf, SOFT)
    with pytest.raises(DomainError, match="requires_grad"):
        example_noise(conv_net().requires_grad_(False), IMAGES, SOFT)


def test_frozen_parameters_are_left_out():
    net = conv_net()
    g = loop(net, IMAGES, SOFT)[:, -3:]
    net.requires_grad_(False)[4].bias.requires_grad_(True)
    found = example_noise(net, IMAGES, SOFT)
    assert torch.allclose(found.mean, g.mean(0), rtol=1e-12, atol=1e-15)
    assert set(gradients.functional_loss(net, "squared")[1]) == {"4.bias"}
