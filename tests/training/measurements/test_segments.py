"""Along segments: kinks, quadratics and logistic functions with known answers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from mixtheory.domain import DomainError
from mixtheory.mixing import Atoms, Beta, Folded, symmetric
from mixtheory.theory import mixing_moments as mm
from mixtheory.training.measurements.segments import (
    chord_deviation,
    mean_square_deviation,
    segment_entropy,
    slope_variation,
)

GRID = np.linspace(0, 1, 9)


def normal(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


X1, X2 = normal(6, 3, seed=1), normal(6, 3, seed=2)
TWO = (torch.zeros(2, 1, dtype=torch.float64), torch.ones(2, 1, dtype=torch.float64))


# --- one kink: f(x) = a relu(z), z = -2 at x1 = 0 and 3 at x2 = 1 --------------------------------------------

A, Z1, Z0 = -1.7, -2.0, 3.0             # z at lambda = 1 and at lambda = 0
KINK, JUMP = Z0 / (Z0 - Z1), A * abs(Z1 - Z0)


def one_kink(x):
    return A * torch.relu(5 * x[:, 0] - 2)


def green(lam, k):
    return np.minimum(lam, k) - lam * k


def test_one_kink_deviates_by_greens_function():
    """phi'' = J delta_k, so D = -J (min(lambda, k) - lambda k); a < 0 is concave: above the chord."""
    D = chord_deviation(one_kink, *TWO, GRID)
    assert D.shape == (9, 2, 1)
    assert np.allclose(D[:, 0, 0], -JUMP * green(GRID, KINK), rtol=1e-13, atol=1e-14)
    assert float(D.max()) > 1
    assert chord_deviation(one_kink, TWO[0].float(), TWO[1].float(), GRID).dtype == torch.float64
    assert not np.allclose(D[:, 0, 0], -JUMP * green(1 - GRID, KINK), atol=0.1)    # lambda on the other member


def test_one_kink_under_the_uniform_law():
    predicted = JUMP**2 * KINK**2 * (1 - KINK)**2 / 3
    exact = mean_square_deviation(one_kink, *TWO, 1.0, kinks=(KINK,))
    assert math.isclose(exact.value, predicted, rel_tol=1e-12)
    assert exact.se == 0
    unsplit = mean_square_deviation(one_kink, *TWO, symmetric(1.0))
    assert math.isclose(unsplit.value, predicted, rel_tol=3e-3)


@pytest.mark.parametrize("alpha", [0.2, 0.6, 4.2])
def test_one_kink_under_another_law(alpha):
    """J^2 [(1 - k)^2 M_20(0, k) + k^2 M_02(k, 1)]; the formula of alpha = 1 is another number."""
    law = Beta(alpha, alpha)
    predicted = JUMP**2 * ((1 - KINK)**2 * law.partial_moment(2, 0, 0, KINK) + KINK**2 * law.partial_moment(
        0, 2, KINK, 1))
    assert math.isclose(mean_square_deviation(one_kink, *TWO, alpha, kinks=(KINK,)).value, predicted, rel_tol=1e-11)
    assert math.isclose(mean_square_deviation(one_kink, *TWO, law).value, predicted, rel_tol=3e-3)
    assert math.isclose(mean_square_deviation(one_kink, *TWO, law, nodes=128).value, predicted, rel_tol=1e-3)
    assert abs(predicted / (JUMP**2 * KINK**2 * (1 - KINK)**2 / 3) - 1) > 0.1


def test_other_laws():
    half = float(chord_deviation(one_kink, *TWO, [0.5]).square().mean())
    ends = float(chord_deviation(one_kink, *TWO, [0.75, 0.25]).square().mean())
    assert math.isclose(mean_square_deviation(one_kink, *TWO, math.inf).value, half, rel_tol=1e-14)
    assert mean_square_deviation(one_kink, *TWO, 0.0).value == 0
    two = Atoms((0.25, 0.75), (0.5, 0.5))
    assert math.isclose(mean_square_deviation(one_kink, *TWO, two).value, ends, rel_tol=1e-14)
    upper = float(chord_deviation(one_kink, *TWO, [0.75]).square().mean())
    assert math.isclose(mean_square_deviation(one_kink, *TWO, Folded(two)).value, upper, rel_tol=1e-14)


# --- a hidden layer of ReLUs --------------------------------------------------------------------------------

def relu_net(units, seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, units), nn.ReLU(), nn.Linear(units, 1)).double()


def kinks_of(net, first, second):
    """Positions k_j and jumps J_j = a_j |z_j(1) - z_j(0)| of the units that change sign on a segment."""
    with torch.no_grad():
        z1, z0, a = net[0](first), net[0](second), net[2].weight[0]
        crossed = z1 * z0 < 0
        return (z0 / (z0 - z1))[crossed].numpy(), (a * (z1 - z0).abs())[crossed].numpy()


def test_a_hidden_layer_under_the_uniform_law():
    """E D^2 = sum J_j J_l E[G G], with E[G(a) G(b)] = a (1 - b) (2 b - a^2 - b^2)/6 for a <= b."""
    net = relu_net(16, 4)
    expected = []
    for first, second in zip(X1, X2, strict=True):
        k, J = kinks_of(net, first, second)
        a, b = np.minimum.outer(k, k), np.maximum.outer(k, k)
        expected.append(J @ (a * (1 - b) * (2 * b - a**2 - b**2) / 6) @ J)
        both = (first[None].repeat(2, 1), second[None].repeat(2, 1))
        found = mean_square_deviation(net, *both, 1.0, kinks=tuple(k))
        assert math.isclose(found.value, expected[-1], rel_tol=1e-10, abs_tol=1e-18)
        apart = (J**2 * k**2 * (1 - k)**2 / 3).sum()            # kinks as if they did not interact
        assert len(k) < 2 or abs(apart / expected[-1] - 1) > 0.02
    found = mean_square_deviation(net, X1, X2, 1.0, nodes=256, chunk=4)
    assert math.isclose(found.value, np.mean(expected), rel_tol=1e-3)
    assert math.isclose(found.se, np.std(expected, ddof=1) / math.sqrt(6), rel_tol=1e-2)


def test_slope_variation_counts_every_kink_once():
    net, cells = relu_net(4, 7), 512
    found = slope_variation(net, X1, X2, cells=cells)
    assert found.shape == (6, 1)
    crossed = 0
    for value, first, second in zip(found[:, 0], X1, X2, strict=True):
        k, J = kinks_of(net, first, second)
        crossed += len(k)
        assert np.diff(np.concatenate([[0], np.sort(k), [1]])).min() > 2 / cells
        assert math.isclose(float(value), abs(J).sum(), rel_tol=1e-9, abs_tol=1e-10)
        assert len(set(np.sign(J))) < 2 or abs(abs(J.sum()) / abs(J).sum() - 1) > 0.01      # not the net change
    assert crossed >= 8


def test_slope_variation_of_a_smooth_function_and_its_bound():
    """phi = sin(2 pi lambda): the total variation of phi' is 4 (2 pi); nested grids approach it from below."""
    found = [float(slope_variation(lambda x: torch.sin(2 * math.pi * x), *TWO, cells=c)[0, 0]) for c in (16, 64, 1024)]
    assert found[0] < found[1] < found[2] < 8 * math.pi
    assert math.isclose(found[2], 8 * math.pi, rel_tol=1e-4)


def test_gaussian_endpoints():
    """One unit a relu(w'x), w'x standard normal at both ends: E D^2 = a^2 (4 - pi)/(12 pi) at alpha = 1."""
    z = normal(2, 60_000, 1, seed=11)
    found = mean_square_deviation(lambda x: 2 * torch.relu(x), z[0], z[1], 1.0, chunk=10**6)
    predicted = 4 * (4 - math.pi) / (12 * math.pi)
    assert abs(found.value - predicted) < 5 * found.se
    assert 10 * found.se < 0.12 * predicted
    dependent = mean_square_deviation(lambda x: 2 * torch.relu(x), z[0], -z[0], 1.0, chunk=10**6)
    assert abs(dependent.value - predicted) > 10 * dependent.se     # mirrored endpoints: always a kink at 1/2


# --- smooth functions ---------------------------------------------------------------------------------------

def test_quadratics_exactly():
    """D = -(u/2) Delta' A Delta and E D^2 = E[u^2] (Delta' A Delta)^2 / 4, output by output."""
    matrices = torch.stack([M + M.T for M in normal(2, 3, 3, seed=3)])
    b = normal(3, 2, seed=4)

    def f(x):
        return torch.einsum("ni,kij,nj->nk", x, matrices, x) / 2 + x @ b + 1

    delta = X1 - X2
    curve = torch.einsum("ni,kij,nj->nk", delta, matrices, delta)
    u = torch.as_tensor(GRID * (1 - GRID))
    assert torch.allclose(chord_deviation(f, X1, X2, GRID, chunk=4), -u[:, None, None] / 2 * curve, atol=1e-13)
    for alpha in (0.2, 1.0):
        found = mean_square_deviation(f, X1, X2, alpha)
        each = float(mm.product_square(alpha)) / 4 * curve.square().sum(1).numpy()
        assert math.isclose(found.value, each.mean(), rel_tol=1e-11)
        assert math.isclose(found.se, each.std(ddof=1) / math.sqrt(6), rel_tol=1e-11)


def test_an_affine_function_has_no_deviation_but_its_probabilities_do():
    layer = nn.Linear(3, 4).double()
    assert float(chord_deviation(layer, X1, X2, GRID).abs().max()) < 1e-14
    assert mean_square_deviation(layer, X1, X2, 0.5).value < 1e-28
    assert float(slope_variation(layer, X1, X2).max()) < 1e-10
    D = chord_deviation(layer, X1, X2, [0.3], probabilities=True)[0]
    with torch.no_grad():
        p = [layer(x).softmax(1) for x in (0.3 * X1 + 0.7 * X2, X1, X2)]
    assert torch.allclose(D, p[0] - 0.3 * p[1] - 0.7 * p[2], atol=1e-15)
    assert float(D.abs().max()) > 1e-3


def test_entropy_of_a_logistic_function():
    """Logits (z, 0), z = 8 lambda - 3: -p ln p - (1 - p) ln(1 - p), ln 2 at lambda = 3/8."""
    def f(x):
        return torch.cat([8 * x - 3, 0 * x], 1)

    lam = [0.0, 0.375, 0.5, 1.0]
    found = segment_entropy(f, TWO[1], TWO[0], torch.tensor(lam))
    p = 1 / (1 + np.exp(3 - 8 * np.array(lam)))
    expected = -p * np.log(p) - (1 - p) * np.log1p(-p)
    assert np.allclose(found.mean, expected, rtol=1e-12)
    assert math.isclose(float(found.mean[1]), math.log(2), rel_tol=1e-12)   # nats, not bits
    assert found.lam.tolist() == lam
    assert float(found.se.max()) < 1e-15
    assert not np.allclose(segment_entropy(f, *TWO, lam).mean, expected, atol=0.1)   # ends swapped


def test_entropy_is_averaged_over_pairs_and_never_nan():
    def f(x):
        return 1e4 * torch.cat([x, -x], 1)

    ends = torch.tensor([[1.0], [0.0], [0.0], [1.0]]), torch.tensor([[-1.0], [0.0], [0.0], [-1.0]])
    found = segment_entropy(f, *ends, [0.0, 0.5])
    assert np.allclose(found.mean, [math.log(2) / 2, math.log(2)], atol=1e-12)
    assert np.allclose(found.se, [math.log(2) * math.sqrt(1 / 3) / 2, 0], atol=1e-12)


# --- what is refused ----------------------------------------------------------------------------------------

@pytest.mark.parametrize(("change", "why"), [
    ({"x2": X2[:5]}, "must be pairs"),
    ({"x1": X1[:0], "x2": X2[:0]}, "must be pairs"),
    ({"x2": X2.float()}, "same floating-point type"),
    ({"x1": X1.long(), "x2": X2.long()}, "same floating-point type"),
    ({"lam": [0.5, 1.1]}, "lam"),
    ({"lam": 0.5}, "must be a list"),
    ({"lam": [float("nan")]}, "lam"),
    ({"f": lambda x: x.sum()}, "f: returns shape"),
    ({"f": lambda x: x[:1]}, "f: returns shape"),
    ({"f": nn.BatchNorm1d(3).double()}, "is BatchNorm"),
    ({"chunk": 0}, "chunk = 0"),
    ({"f": lambda x: x.log()}, "not finite"),
])
def test_bad_input(change, why):
    with pytest.raises(DomainError, match=why):
        chord_deviation(**{"f": lambda x: x, "x1": X1, "x2": X2, "lam": GRID} | change)


def test_more_bad_input():
    for request, why in ((lambda: mean_square_deviation(one_kink, TWO[0][:1], TWO[1][:1], 1.0), "m = 1"),
                         (lambda: mean_square_deviation(one_kink, *TWO, -1.0), "alpha"),
                         (lambda: slope_variation(one_kink, *TWO, cells=1), "cells = 1"),
                         (lambda: segment_entropy(one_kink, *TWO, GRID), "K = 1"),
                         (lambda: segment_entropy(lambda x: x, X1[:1], X2[:1], GRID), "m = 1")):
        with pytest.raises(DomainError, match=why):
            request()
