"""Statistics of mixed batches at a layer: every order of a tiny batch, sampled batches, BatchNorm."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from mixtheory.domain import DomainError
from mixtheory.mixing import Atoms, symmetric
from mixtheory.mixup import mix, mixup
from mixtheory.pairing import enumerate_partners
from mixtheory.theory.covariance_batch import batch_factor
from mixtheory.training.measurements import batches as measured
from mixtheory.training.measurements.batches import (
    activation,
    batch_covariance,
    batch_trace,
    covariance_ratio,
    running_ratio,
    running_statistics,
)

Z = 5.0         # standard errors that an estimate may be off


def rng_of(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed):
    return torch.randn(*shape, generator=rng_of(seed), dtype=torch.float64)


def network():
    """Affine, kinked, affine: layers 0, 1, 2."""
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 4)).double()


def pointwise():
    torch.manual_seed(2)
    return nn.Sequential(nn.Conv2d(2, 3, 1), nn.Tanh()).double()


TINY, IMAGES = normal(4, 3, seed=3), normal(4, 2, 3, 2, seed=4) + torch.arange(3.0)[:, None]


# --- the covariance itself ----------------------------------------------------------------------------------

def test_the_covariance_has_one_over_n():
    a = normal(5, 2, 3, seed=5)
    expected = np.cov(a.reshape(5, 6).T.numpy(), bias=True)
    assert np.allclose(batch_covariance(a), expected, rtol=1e-12, atol=1e-15)
    assert math.isclose(float(batch_trace(a)), np.trace(expected), rel_tol=1e-13)
    assert math.isclose(float(batch_trace(a[:, 0, 0].float())), np.var(a[:, 0, 0].float().double().numpy()))
    assert not math.isclose(float(batch_trace(a)), np.trace(np.cov(a.reshape(5, 6).T.numpy())), rel_tol=0.1)


def expected_ratio(module, x, pairing, alpha, layer, at=""):
    """E tr C~ / tr C at a layer over every order of the batch and the law of one lambda."""
    def traces(weights):
        rows = [[float(batch_trace(activation(module, x, layer=layer, at=at, partner=partner, lam=float(p))))
                 for partner in enumerate_partners(pairing, len(x))] for p in weights]
        return np.mean(rows, axis=1)

    return symmetric(alpha).expect(traces, nodes=3) / float(batch_trace(activation(module, x, layer=layer)))


@pytest.mark.parametrize("pairing", ["permutation", "roll", "flip", "derangement", "independent"])
def test_every_order_of_a_tiny_batch(pairing):
    """Exactly `batch_factor` at the input, behind affine layers and at the layer where mixing is done."""
    net, factor = network(), batch_factor(0.7, 4, pairing, "batch")
    for layer, at in (("", ""), ("0", ""), ("0", "0"), ("1", "1"), ("2", "1"), ("2", "2")):
        assert math.isclose(expected_ratio(net, TINY, pairing, 0.7, layer, at), factor, rel_tol=1e-12)
    for layer, at in (("1", ""), ("2", ""), ("1", "0")):
        assert abs(expected_ratio(net, TINY, pairing, 0.7, layer, at) / factor - 1) > 3e-4
    assert math.isclose(expected_ratio(net, TINY, pairing, 0.7, "0", "1"), 1.0, rel_tol=1e-12)     # not there yet
    if pairing != "independent":                                        # 4^4 partners: one module will do
        assert math.isclose(expected_ratio(pointwise(), IMAGES, pairing, 0.7, "0"), factor, rel_tol=1e-12)
        assert abs(expected_ratio(pointwise(), IMAGES, pairing, 0.7, "1") / factor - 1) > 0.005


def test_every_lambda_of_a_tiny_batch():
    """A lambda of 0 or 1 for each element (alpha = 0), every one of them."""
    net, clean = network(), float(batch_trace(activation(network(), TINY, layer="0")))
    values = [float(batch_trace(activation(net, TINY, layer="0", partner=partner, lam=np.array(lam))))
              for partner in enumerate_partners("permutation", 4) for lam in itertools.product((0.0, 1.0), repeat=4)]
    assert math.isclose(np.mean(values) / clean, batch_factor(0.0, 4, "permutation", "element"), rel_tol=1e-12)
    assert batch_factor(0.0, 4, "permutation", "element") < 0.9 * batch_factor(0.0, 4, "permutation", "batch")


# --- sampled ------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("pairing", "sharing", "other"), [
    ("roll", "element", ("permutation", "batch")), ("permutation", "batch", ("roll", "batch")),
    ("flip", "pair", ("permutation", "batch"))])
def test_sampled_batches(pairing, sharing, other):
    """Sorted batches: a roll or a flip would meet the nearest or the farthest, were they not put in random order."""
    rng, net = rng_of(6), network()
    batches = [torch.sort(normal(4, 3, seed=s), dim=0).values for s in range(300)] * 4
    found = covariance_ratio(net, batches, alpha=1.0, rng=rng, pairing=pairing, sharing=sharing, layer="0", full=True)
    factor = batch_factor(1.0, 4, pairing, sharing)
    assert abs(found.ratio.value - factor) < Z * found.ratio.se
    assert abs(found.ratio.value - batch_factor(1.0, 4, *other)) > Z * found.ratio.se
    assert math.isclose(found.ratio.value, found.mixed / found.clean, rel_tol=1e-12)
    for trace, matrix in zip((found.clean, found.mixed), found.matrices, strict=True):
        assert math.isclose(float(matrix.trace()), trace, rel_tol=1e-12)
    mean = sum(batch_covariance(activation(net, x, layer="0")) for x in batches) / len(batches)
    assert torch.allclose(found.matrices[0], mean, rtol=1e-10)
    scale = (mean.diag()[:, None] * mean.diag()).sqrt()
    assert float(((found.matrices[1] - factor * mean) / scale).abs().max()) < 0.1


def test_the_ratio_is_one_of_means_and_its_error_is_honest():
    rng = np.random.default_rng(7)
    bottom = torch.as_tensor(rng.gamma(2, size=(4000, 80)))
    top = 0.6 * bottom * torch.as_tensor(rng.gamma(4, 1 / 4, size=(4000, 80)))      # correlated with bottom
    found = [measured._ratio_of_means(a, b) for a, b in zip(top, bottom, strict=True)]
    values, errors = np.array([f.value for f in found]), np.array([f.se for f in found])
    assert np.allclose(values, top.mean(1) / bottom.mean(1), rtol=1e-13)
    assert abs(np.sqrt((errors**2).mean()) / values.std() - 1) < 0.06
    assert abs(values.mean() - 0.6) < 0.005
    apart = (top.var(1) / top.mean(1)**2 + bottom.var(1) / bottom.mean(1)**2).sqrt() / math.sqrt(80)
    apart = apart.numpy() * values
    assert np.sqrt((apart**2).mean()) > 1.3 * values.std()                 # as if top and bottom were apart


# --- nothing is left behind ---------------------------------------------------------------------------------

def normed():
    torch.manual_seed(8)
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4, eps=1e-12), nn.ReLU(), nn.Linear(4, 2)).double()
    net.train()(normal(9, 3, seed=0))       # statistics that are not the defaults
    return net


def state_of(net):
    return ({k: v.clone() for k, v in net.state_dict().items()}, [m.training for m in net.modules()],
            [len(m._forward_hooks) for m in net.modules()])


def same_state(a, b):
    return a[0].keys() == b[0].keys() and all(torch.equal(a[0][k], b[0][k]) for k in a[0]) and a[1:] == b[1:]


def test_batchnorm_in_training_mode_undoes_the_shrinking():
    """Normalised by the batch itself, the trace over batches is the number of channels, mixed or not."""
    net = normed()
    before = state_of(net)
    kwargs = {"alpha": 1.0, "rng": rng_of(9)}
    batches = [normal(6, 3, seed=s) for s in range(40)]
    found = covariance_ratio(net, batches, layer="1", **kwargs)
    assert math.isclose(found.ratio.value, 1.0, rel_tol=1e-9)
    assert found.ratio.se < 1e-9
    after = covariance_ratio(net, batches, layer="1", at="1", **kwargs)
    assert abs(after.ratio.value - batch_factor(1.0, 6, "permutation", "batch")) < Z * after.ratio.se
    evaluated = covariance_ratio(net.eval(), batches, layer="1", **kwargs)
    assert abs(evaluated.ratio.value - batch_factor(1.0, 6, "permutation", "batch")) < Z * evaluated.ratio.se
    assert evaluated.ratio.value + Z * evaluated.ratio.se < 0.95
    assert same_state(before, state_of(net.train()))
    with pytest.raises(DomainError):
        activation(net, TINY, layer="1", at="nowhere", partner=np.arange(4), lam=0.5)
    assert same_state(before, state_of(net))


# --- running statistics -------------------------------------------------------------------------------------

def every_mixture(x, pairing):
    """One batch for every order and for lambda = 1/4, 3/4: S = 5/8 each, the moments of alpha = 3/2."""
    return [mix(x, partner, lam) for partner in enumerate_partners(pairing, len(x)) for lam in (0.25, 0.75)]


@pytest.mark.parametrize("pairing", ["permutation", "roll", "derangement"])
def test_running_variance_behind_an_affine_layer(pairing):
    net = normed()
    before = state_of(net)
    found = running_ratio(net, [TINY], every_mixture(TINY, pairing))
    assert same_state(before, state_of(net))
    factor = batch_factor(1.5, 4, pairing, "batch")
    assert np.allclose(found["1"].channels, factor, rtol=1e-10)
    assert math.isclose(found["1"].pooled, factor, rel_tol=1e-10)
    other = batch_factor(1.5, 4, "derangement" if pairing == "permutation" else "permutation", "batch")
    assert abs(factor - other) > 0.1


def test_the_averages_are_plain_and_the_variance_is_unbiased():
    net, inputs = normed(), [normal(n, 3, seed=n) for n in (4, 5, 6)]
    with torch.no_grad():
        outputs = [net[0](x) for x in inputs]
    found = running_statistics(net.eval(), iter(inputs))["1"]
    assert torch.allclose(found.mean, sum(a.mean(0) for a in outputs) / 3, rtol=1e-12)
    assert torch.allclose(found.var, sum(a.var(0) for a in outputs) / 3, rtol=1e-12)
    assert not torch.allclose(found.var, sum(a.var(0, correction=0) for a in outputs) / 3, rtol=0.05)
    assert net[1].momentum == 0.1
    twice = running_statistics(net, [*inputs, inputs[0], inputs[0]])["1"]       # no momentum: each weighs the same
    assert torch.allclose(twice.mean, (3 * found.mean + 2 * outputs[0].mean(0)) / 5, rtol=1e-12)


def test_pooled_is_the_ratio_of_sums():
    net = nn.BatchNorm1d(3).double()
    scales = torch.tensor([1.0, 10.0, 0.1], dtype=torch.float64)
    found = running_ratio(net, [TINY], [TINY * scales])[""]
    var = TINY.var(0)
    assert torch.allclose(found.channels, scales**2, rtol=1e-12)
    assert math.isclose(found.pooled, float((scales**2 * var).sum() / var.sum()), rel_tol=1e-12)
    assert abs(found.pooled - float((scales**2).mean())) > 1


def test_batchnorm_over_positions_keeps_the_mean_image():
    """f (1 - p) + p, p = variance between positions of the batch's mean image over that of the channel; not f."""
    net, factor = nn.BatchNorm2d(2).double(), batch_factor(1.5, 4, "derangement", "batch")
    found = running_ratio(net, [IMAGES], every_mixture(IMAGES, "derangement"))[""]
    p = IMAGES.mean(0).flatten(1).var(1, correction=0) / IMAGES.transpose(0, 1).flatten(1).var(1, correction=0)
    assert torch.allclose(found.channels, factor * (1 - p) + p, rtol=1e-10)
    assert float((found.channels - factor).min()) > 0.1


def test_sampled_running_variance_of_two_layers():
    """The first layer follows theory; the second, behind a ReLU, has a ratio of its own."""
    net = nn.Sequential(*normed()[:3], nn.Linear(4, 3), nn.BatchNorm1d(3)).double()
    rng = rng_of(10)
    clean = [normal(8, 3, seed=s) for s in range(1500)]
    found = running_ratio(net, clean, (mixup(x, alpha=1.0, rng=rng, pairing="roll").x for x in clean))
    factor = batch_factor(1.0, 8, "roll", "batch")
    assert found["1"].pooled == pytest.approx(factor, rel=0.06)
    assert set(found) == {"1", "4"}
    assert found["4"].pooled > 1.2 * factor                          # its input was normalised again


# --- what is refused ----------------------------------------------------------------------------------------

class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.idle, self.pair = nn.BatchNorm1d(3).double(), nn.Identity(), nn.Identity()

    def forward(self, x):
        self.pair((x, x))
        return self.norm(self.norm(x))


@pytest.mark.parametrize(("change", "why"), [
    ({"layer": "3"}, "layer = '3': must be one of 0, 1, 2"),
    ({"layer": "0", "partner": np.arange(4)}, "given together"),
    ({"layer": "0", "lam": 0.5}, "given together"),
    ({"layer": "0", "partner": np.arange(3), "lam": 0.5}, "partner"),
    ({"layer": "0", "partner": np.arange(4), "lam": 1.5}, "lam"),
    ({"x": TINY[:1], "layer": "0"}, "n = 1"),
    ({"module": nn.Sequential(nn.Dropout(0.5)), "layer": "0"}, "Dropout"),
    ({"module": Twice(), "layer": "norm"}, "called 2 times"),
    ({"module": Twice(), "layer": "idle"}, "called 0 times"),
    ({"module": Twice(), "layer": "pair"}, "must be a tensor"),
])
def test_bad_activations(change, why):
    with pytest.raises(DomainError, match=why):
        activation(**{"module": network(), "x": TINY} | change)


def test_bad_batches():
    rng = rng_of()
    for request, why in (
            (lambda: covariance_ratio(network(), [TINY], alpha=1.0, rng=rng), "batches = 1"),
            (lambda: covariance_ratio(network(), [TINY] * 2, alpha=-1.0, rng=rng), "alpha"),
            (lambda: covariance_ratio(network(), [TINY[:3]] * 2, alpha=1.0, rng=rng, pairing="flip"), "must be even"),
            (lambda: covariance_ratio(network(), [TINY] * 2, alpha=1.0, rng=rng, sharing="pair"), "flip"),
            (lambda: covariance_ratio(network(), [0 * TINY] * 2, alpha=Atoms((0.5,), (1.0,)), rng=rng), "the same"),
            (lambda: batch_trace(TINY[:1]), "n = 1"),
            (lambda: batch_trace(TINY.log()), "not finite"),
            (lambda: running_statistics(network(), [TINY]), "no BatchNorm"),
            (lambda: running_statistics(nn.BatchNorm1d(3, track_running_stats=False), [TINY]), "no BatchNorm"),
            (lambda: running_statistics(normed(), []), "batches = 0"),
            (lambda: running_statistics(normed(), [TINY[:1]]), "n = 1"),
            (lambda: running_statistics(Twice(), [TINY]), "called 2 times in 1 batches"),
            (lambda: running_ratio(nn.BatchNorm1d(3).double(), [0 * TINY], [TINY]), "constant on the clean")):
        with pytest.raises(DomainError, match=why):
            request()
