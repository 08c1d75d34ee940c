"""Hessians against closed forms, double backward passes and each other."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from mixtheory.domain import DomainError
from mixtheory.training.measurements import curvature
from mixtheory.training.measurements.curvature import Hessian


def rng_of(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed):
    return torch.randn(*shape, generator=rng_of(seed), dtype=torch.float64)


def mlp(dtype=torch.float64):
    torch.manual_seed(2)
    return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 3)).to(dtype).eval()


X, Y = normal(11, 4, seed=0), normal(11, 3, seed=1).softmax(1)


def double_backward(net, x, y):
    """The Hessian of mean cross-entropy, one row at a time by two backward passes."""
    params = list(net.parameters())
    loss = torch.nn.functional.cross_entropy(net(x), y)
    slope = torch.cat([g.flatten() for g in torch.autograd.grad(loss, params, create_graph=True)])
    rows = [torch.cat([g.flatten() for g in torch.autograd.grad(entry, params, retain_graph=True)]) for entry in slope]
    return torch.stack(rows)


# --- known matrices -----------------------------------------------------------------------------------------

SPECTRUM = torch.tensor([7.0, 3.0, 3.0, 0.5, 0.0], dtype=torch.float64)


def quadratic(chunk=6):
    """Least squares whose Hessian x^T x / n has the eigenvalues SPECTRUM."""
    rotation, frame = torch.linalg.qr(normal(5, 5, seed=3))[0], torch.linalg.qr(normal(20, 5, seed=4))[0]
    x = math.sqrt(20) * frame * SPECTRUM.sqrt() @ rotation.T
    return Hessian(nn.Linear(5, 1, bias=False).double(), x, normal(20, 1, seed=5), loss="squared", chunk=chunk)


def test_a_quadratic_loss_has_the_eigenvalues_it_was_given():
    H = quadratic()
    assert torch.allclose(torch.linalg.eigvalsh(H.matrix()), SPECTRUM.flip(0), rtol=1e-12, atol=1e-12)
    top = H.eigenvalues(3, rng=rng_of())
    assert np.allclose(top.values, (7, 3, 3), rtol=1e-9)
    assert max(top.residuals) < 1e-6
    assert np.allclose(H.eigenvalues(2, rng=rng_of(), end="smallest").values, (0, 0.5), atol=1e-9)


def test_logistic_regression():
    """H = X' diag(p (1 - p)) X / n, with one logit and with two."""
    x, label = normal(30, 4, seed=6), (normal(30, seed=7) > 0).double()
    w = normal(4, seed=8)
    p = torch.sigmoid(x @ w)
    expected = x.T @ ((p * (1 - p))[:, None] * x) / 30
    one = nn.Linear(4, 1, bias=False).double()
    two = nn.Linear(4, 2, bias=False).double()
    with torch.no_grad():
        one.weight.copy_(w[None])
        two.weight.copy_(torch.stack([w / 2, -w / 2]))

    def log_loss(output, y):
        return nn.functional.softplus(output[:, 0]) - y * output[:, 0]

    H = Hessian(one, x, label, loss=log_loss, chunk=7).matrix()
    assert torch.allclose(H, expected, rtol=1e-12, atol=1e-14)
    blocks = Hessian(two, x, torch.stack([label, 1 - label], 1)).matrix()
    sign = torch.tensor([[1.0, -1.0], [-1.0, 1.0]], dtype=torch.float64)
    assert torch.allclose(blocks, torch.kron(sign, expected), rtol=1e-12, atol=1e-14)
    assert not torch.allclose(H, x.T @ x / (4 * 30), rtol=0.1)      # p (1 - p) = 1/4 only at zero logits


@pytest.mark.parametrize("chunk", [4, 11, 1024])
def test_the_matrix_of_a_network(chunk):
    """Ragged chunks weigh as many examples as they have; second derivatives of the network are in."""
    net = mlp()
    expected = double_backward(net, X, Y)
    H = Hessian(net, X, Y, chunk=chunk)
    assert torch.allclose(H.matrix(), expected, rtol=1e-10, atol=1e-14)
    v = normal(H.size, seed=9)
    assert torch.allclose(H @ v, expected @ v, rtol=1e-10, atol=1e-14)
    assert torch.allclose(H @ torch.stack([v, 2 * v], 1), torch.stack([expected @ v, 2 * expected @ v], 1), rtol=1e-10)
    means = sum(double_backward(net, x, y) for x, y in zip(X.split(4), Y.split(4), strict=True)) / 3
    assert not torch.allclose(means, expected, rtol=0.05)           # a mean of chunk means
    J = torch.func.vmap(torch.func.jacrev(lambda p, x: torch.func.functional_call(net, p, (x[None],))[0]),
                        (None, 0))(dict(net.named_parameters()), X)
    J = torch.cat([j.flatten(2) for j in J.values()], 2).detach()
    p = net(X).softmax(1).detach()
    inner = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    assert not torch.allclose(torch.einsum("nkp,nkl,nlq->pq", J, inner, J) / 11, expected, rtol=0.05)  # Gauss-Newton


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_lanczos_agrees_with_the_matrix(dtype):
    H = Hessian(mlp(dtype), X.to(dtype), Y.to(dtype), chunk=4)
    exact = torch.linalg.eigvalsh(double_backward(mlp(), X, Y))
    accuracy = 1e-8 if dtype == torch.float64 else 1e-4
    for end, expected in (("largest", exact.flip(0)[:3]), ("smallest", exact[:3]),
                          ("magnitude", exact[exact.abs().argsort(descending=True)][:3])):
        found = H.eigenvalues(3, rng=rng_of(1), end=end)
        assert np.allclose(found.values, expected, rtol=accuracy, atol=accuracy * float(exact[-1]))
        assert max(found.residuals) < 100 * accuracy
    assert torch.equal(H.matrix(), H.matrix().T)
    assert H.eigenvalues(3, rng=rng_of(1)) == H.eigenvalues(3, rng=rng_of(1))


def test_the_ends_of_an_indefinite_spectrum():
    """Losses y f(x)^2 / 2 on orthogonal inputs: the eigenvalues are y / n."""
    x, y = torch.eye(5, dtype=torch.float64), torch.tensor([1.0, -25.0, 10.0, 20.0, -5.0], dtype=torch.float64)
    H = Hessian(nn.Linear(5, 1, bias=False).double(), x, y, loss=lambda output, y: y * output[:, 0]**2 / 2)
    for end, expected in (("largest", (4, 2)), ("smallest", (-5, -1)), ("magnitude", (-5, 4))):
        assert np.allclose(H.eigenvalues(2, rng=rng_of(), end=end).values, expected, rtol=1e-9)


def test_images_in_any_memory_order():
    """Convolution, pooling, in-place ReLU; images stored channels last."""
    torch.manual_seed(4)
    net = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(inplace=True), nn.MaxPool2d(2),
                        nn.Flatten(), nn.Linear(12, 3)).double().eval()
    images = normal(11, 4, 4, 2, seed=12).permute(0, 3, 1, 2)
    expected = double_backward(net, images.contiguous(), Y)
    assert torch.allclose(Hessian(net, images, Y, chunk=4).matrix(), expected, rtol=1e-10, atol=1e-14)


def test_frozen_parameters_leave_a_block():
    net = mlp()
    expected = double_backward(net, X, Y)[-21:, -21:]
    net.requires_grad_(False)[3].requires_grad_(True)
    assert torch.allclose(Hessian(net, X, Y).matrix(), expected, rtol=1e-10, atol=1e-14)


def test_in_place_changes_of_the_module_are_seen():
    net = mlp()
    H, v = Hessian(net, X, Y), normal(63, seed=9)
    with torch.no_grad():
        net[3].weight.mul_(2)
    assert torch.allclose(H @ v, double_backward(net, X, Y) @ v, rtol=1e-10, atol=1e-14)


# --- the trace ----------------------------------------------------------------------------------------------

def test_signs_are_exact_on_a_diagonal_matrix():
    x = torch.diag(torch.tensor([1.0, 2.0, -3.0], dtype=torch.float64))
    found = Hessian(nn.Linear(3, 1, bias=False).double(), x, torch.zeros(3, 1), loss="squared").trace(4, rng=rng_of())
    assert math.isclose(found.value, 14 / 3, rel_tol=1e-12)          # Gaussian probes would have a spread
    assert found.se < 1e-12


def test_the_trace_is_within_its_standard_error():
    """150 estimates: unbiased, standard errors right on average, variance 2 sum_{i != j} H_ij^2 / probes."""
    H = quadratic(chunk=20)
    matrix = H.matrix()
    found = [H.trace(24, rng=rng_of(seed)) for seed in range(150)]
    values, errors = np.array([f.value for f in found]), np.array([f.se for f in found])
    sd = math.sqrt(2 * float(matrix.square().sum() - matrix.diag().square().sum()) / 24)
    assert abs(values.mean() - 13.5) < 5 * sd / math.sqrt(150)
    assert 10 * sd / math.sqrt(150) < 0.15 * 13.5                    # resolves a tenth or so of the trace
    assert abs(np.sqrt((errors**2).mean()) / sd - 1) < 0.1
    pairs = np.array([H.trace(2, rng=rng_of(seed)).se for seed in range(400)])
    assert 0.75 < np.mean(pairs**2) / (12 * sd**2) < 1.3             # 1/probes in place of 1/(probes - 1): 0.5
    assert abs(values.std(ddof=1) / sd - 1) < 5 / math.sqrt(300)
    z = (values - 13.5) / errors
    assert (abs(z) > 2.07).mean() < 0.12                             # 5 % for a t with 23 degrees of freedom


def test_products_agree_with_curvlinops():
    net = mlp()
    H = Hessian(net, X, Y, chunk=4)
    V = normal(H.size, 3, seed=10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")     # it scripts functions, which this torch calls deprecated
        curvlinops = pytest.importorskip("curvlinops")
        expected = curvlinops.HessianLinearOperator(net, nn.CrossEntropyLoss(), list(net.parameters()),
                                                    [(X[:4], Y[:4]), (X[4:], Y[4:])]) @ V
    assert torch.allclose(H @ V, expected, rtol=1e-10, atol=1e-14)


# --- what is refused ----------------------------------------------------------------------------------------

@pytest.mark.parametrize(("change", "why"), [
    ({"module": mlp().train()}, "is BatchNorm"),
    ({"x": X[:10]}, "x, y"),
    ({"x": X[:0], "y": Y[:0]}, "n = 0"),
    ({"y": Y - 1}, "simplex"),
    ({"loss": "squared", "y": Y[:, :1]}, "targets must have the shape"),
    ({"chunk": 0}, "chunk = 0"),
    ({"x": X * math.inf}, "not finite"),
])
def test_bad_data(change, why):
    with pytest.raises(DomainError, match=why):
        Hessian(**{"module": mlp(), "x": X, "y": Y} | change).matrix()


def test_bad_requests(monkeypatch):
    H = Hessian(mlp(), X, Y)
    for request, why in ((lambda: H.eigenvalues(H.size, rng=rng_of()), "k = 63"),
                         (lambda: H.eigenvalues(0, rng=rng_of()), "k = 0"),
                         (lambda: H.eigenvalues(1, rng=rng_of(), end="top"), "end = 'top'"),
                         (lambda: H.eigenvalues(1, rng=np.random.default_rng(0)), "torch.Generator"),
                         (lambda: H.trace(1, rng=rng_of()), "probes = 1"),
                         (lambda: H.trace(2, rng=0), "rng = 0"),
                         (lambda: H @ torch.ones(5), r"v of shape \(5,\)")):
        with pytest.raises(DomainError, match=why):
            request()
    monkeypatch.setattr(curvature, "LARGEST_MATRIX", 62)
    with pytest.raises(DomainError, match="P = 63"):
        H.matrix()
