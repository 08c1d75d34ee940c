"""The formulas of the chapter against naive references written here, and arguments outside their domains."""

import numpy as np
import pytest
from scipy import integrate

from mixtheory.domain import DomainError
from mixtheory.mixing import Atoms, Beta
from mixtheory.theory import least_squares as ls
from mixtheory.theory import least_squares_descent as descent
from mixtheory.theory import least_squares_noise as noise

X, Y = ls.dataset("skewed")
N = len(X)
S = 2 / 3                       # E[lambda^2 + (1 - lambda)^2] for uniform lambda


def mixed_points(nodes=8, distinct=False):
    """Every mixed point for uniform lambda with its weight, by loops."""
    t, weights = np.polynomial.legendre.leggauss(nodes)
    rows = []
    for lam, weight in zip((t + 1) / 2, weights / 2, strict=True):
        for i in range(N):
            for j in range(N):
                if i != j or not distinct:
                    rows.append([weight, *(lam * X[i] + (1 - lam) * X[j]), lam * Y[i] + (1 - lam) * Y[j]])
    rows = np.array(rows)
    return rows[:, 0], rows[:, 1:-1], rows[:, -1]


def fit(weights, x, y, intercept=True):
    columns = np.column_stack([np.ones(len(x)), x]) if intercept else x
    root = np.sqrt(weights)
    return np.linalg.lstsq(root[:, None] * columns, root * y, rcond=None)[0]


@pytest.mark.parametrize("distinct", [False, True])
def test_the_mixup_minimiser_is_ols(distinct):
    ols = fit(np.ones(N), X, Y)
    np.testing.assert_allclose(fit(*mixed_points(distinct=distinct)), ols, rtol=1e-12)
    np.testing.assert_allclose(ls.minimiser(1.0, "skewed", distinct), ols, rtol=1e-12)


def test_vector_targets_are_fitted_one_by_one():
    x, y = ls.dataset("iris")
    theta = ls.minimiser(0.4, "iris")
    assert theta.shape == (5, 3)
    for k in range(3):
        np.testing.assert_allclose(theta[:, k], ls.minimiser(0.4, (x, y[:, k])), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("distinct", [False, True])
def test_without_an_intercept(distinct):
    slopes = ls.no_intercept(1.0, (X, Y), distinct)
    np.testing.assert_allclose(slopes, fit(*mixed_points(distinct=distinct), intercept=False), rtol=1e-12)
    assert np.abs(slopes - fit(np.ones(N), X, Y, intercept=False)).max() > 1e-3


def test_one_feature_without_an_intercept_lies_between_two_slopes():
    x, y = ls.dataset("line")
    (w,) = ls.weighted_mean(1.0, "line")
    ends = np.cov(x[:, 0], y)[0, 1] / np.var(x, ddof=1), y.mean() / x.mean()
    assert min(ends) < w < max(ends)
    np.testing.assert_allclose(w, ls.no_intercept(1.0, "line")[0], rtol=1e-13)


def test_risk_of_any_affine_model():
    w, b = np.array([0.4, -0.9]), 0.3
    r = Y - X @ w - b
    for n, distinct in ((None, False), (N, True)):
        weights, x, y = mixed_points(distinct=distinct)
        mean = np.average((y - x @ w - b) ** 2, weights=weights) / 2
        np.testing.assert_allclose(ls.risk(1.0, np.mean(r**2), r.mean(), n), mean, rtol=1e-12)


@pytest.mark.parametrize("distinct", [False, True])
def test_ridge_on_mixed_data(distinct):
    weights, x, y = mixed_points(distinct=distinct)
    weights = weights / weights.sum()
    x_c, y_c = x - weights @ x, y - weights @ y
    w = np.linalg.solve((weights * x_c.T) @ x_c + 0.3 * np.eye(2), (weights * x_c.T) @ y_c)
    np.testing.assert_allclose(ls.ridge_minimiser(1.0, 0.3, "skewed", distinct)[1:], w, rtol=1e-12)


def test_effective_ridge_in_numbers():
    assert ls.effective_ridge(0, 0.5) == 0.5
    assert ls.effective_ridge(1.0, 0.5) == pytest.approx(0.75)
    assert ls.effective_ridge(np.inf, 0.5) == ls.ridge_ceiling(0.5) == 1.0
    assert ls.effective_ridge(1.0, 0.5, n=4) == pytest.approx(0.5 * 3 / (4 * S - 1))
    values = ls.effective_ridge(np.array([0.0, 0.1, 1.0, 50.0]), 1.0)
    assert (np.diff(values) > 0).all()
    assert (values < ls.ridge_ceiling(1.0)).all()


def test_gradient_descent_step_by_step():
    x, y = X - X.mean(axis=0), Y - Y.mean()
    w, rate = np.zeros(2), 0.2 * S
    for step in range(30):
        np.testing.assert_allclose(descent.gradient_descent(1.0, 0.2, step, "skewed"), w, atol=1e-13)
        w = w - rate * x.T @ (x @ w - y) / N


def test_gradient_flow_is_descent_in_small_steps():
    fine = descent.gradient_descent(1.0, 1e-5, 100_000, "skewed")
    np.testing.assert_allclose(descent.gradient_flow(1.0, 1.0, "skewed"), fine, atol=1e-4)
    np.testing.assert_allclose(descent.gradient_flow(1.0, 1e4, "skewed"), fit(np.ones(N), X, Y)[1:],
                               rtol=1e-9)


def test_batch_factors():
    assert descent.batch_factor(1.0, 8, "roll") == descent.batch_factor(1.0, 8, None) == pytest.approx(S)
    assert descent.batch_factor(1.0, 8, "permutation") == pytest.approx(1 / 8 + 7 / 8 * S)
    assert descent.batch_factor(1.0, 8, "flip", n=20) == pytest.approx((20 * S - 1) / 19)
    assert descent.batch_factor(1.0, 20, "permutation", n=20) == pytest.approx(S)   # the whole data set


def test_sgd_with_weight_decay_averages_to_ridge():
    x, y = ls.dataset("tiny")
    rng, w, b, total = np.random.default_rng(5), np.zeros((4000, 2)), np.zeros(4000), 0
    for step in range(1500):
        i, j, lam = rng.integers(4, size=4000), rng.integers(4, size=4000), rng.random(4000)
        z = lam[:, None] * x[i] + (1 - lam[:, None]) * x[j]
        miss = (z * w).sum(axis=1) + b - lam * y[i] - (1 - lam) * y[j]
        w, b = w - 0.05 * (miss[:, None] * z + 0.5 * w), b - 0.05 * miss
        total = total + (step >= 500) * w
    chains = total / 1000
    error = chains.std(axis=0) / np.sqrt(len(chains))
    predicted = descent.weight_decay(1.0, 0.5, "tiny")[1:]
    assert (np.abs(chains.mean(axis=0) - predicted) < 5.5 * error).all()
    assert (np.abs(ls.ridge_minimiser(0, 0.5, "tiny")[1:] - predicted) > 11 * error).any()


def test_sampled_pairs_by_loops():
    theta = fit(np.ones(N), X, Y)
    weights, x, y = mixed_points()
    weights = weights / weights.sum()
    z = np.column_stack([np.ones(len(x)), x])
    bread = np.linalg.inv((weights * z.T) @ z)
    meat = (weights * (y - z @ theta) ** 2 * z.T) @ z
    expected = (bread @ meat @ bread)[1:, 1:] / 50
    np.testing.assert_allclose(noise.sampled_pairs(1.0, (X, Y), 50), expected, rtol=1e-11)


def test_homoscedastic_data_need_only_rho():
    one, two = (f(0.4, "even", 30) for f in (noise.sampled_pairs, noise.sampled_pairs_homoscedastic))
    np.testing.assert_allclose(one, two, rtol=1e-12)
    with pytest.raises(DomainError, match="sigma"):
        noise.sampled_pairs_homoscedastic(0.4, "uneven", 30)


@pytest.mark.parametrize("alpha", [0.3, 1.0, 2.5, 40.0])
def test_one_permutation_by_adaptive_quadrature(alpha):
    def weight(p):
        return (p * (1 - p)) ** (alpha - 1)

    def value(p):
        return weight(p) * (p * (1 - p) / (p**2 + (1 - p) ** 2)) ** 2
    top, bottom = (2 * integrate.quad(f, 0, 0.5, epsabs=0, limit=200)[0] for f in (value, weight))
    assert noise.one_permutation(alpha) == pytest.approx(2 * top / bottom, rel=1e-7)
    assert noise.one_permutation(alpha, "flip") == pytest.approx(4 * top / bottom, rel=1e-7)


def test_one_permutation_at_its_ends():
    ends = noise.one_permutation(np.array([0, 1, np.inf]))
    np.testing.assert_allclose(ends, [0, 1 - np.pi / 4, 0.5], rtol=1e-13)
    assert float(noise.one_permutation_uniform()) == pytest.approx(1 - np.pi / 4)


HALF = Atoms((0.5,), (1.0,))
TWO = (np.array([[0.0], [1.0]]), np.array([1.0, 3.0]))
FLAT = (np.column_stack([X, np.ones(N)]), Y)


@pytest.mark.parametrize("call", [
    lambda: ls.effective_ridge(-0.1, 1.0),
    lambda: ls.effective_ridge(float("nan"), 1.0),
    lambda: ls.effective_ridge(1.0, -1.0),
    lambda: ls.effective_ridge(1.0, float("inf")),
    lambda: ls.effective_ridge(1.0, 1.0, n=1),
    lambda: ls.effective_ridge(np.inf, 1.0, n=2),
    lambda: ls.ridge_ceiling(-1.0),
    lambda: ls.risk(1.0, 1.0, 1.5),
    lambda: ls.minimiser(HALF, TWO, distinct=True),
    lambda: ls.minimiser(1.0, FLAT),
    lambda: ls.minimiser(1.0, (X, Y[:-1])),
    lambda: ls.minimiser(1.0, (X, np.where(Y > 1, np.nan, Y))),
    lambda: ls.minimiser(-1.0, "line"),
    lambda: ls.weighted_mean(1.0, "skewed"),
    lambda: ls.weighted_mean(1.0, (TWO[0] - 0.5, TWO[1])),
    lambda: ls.dataset("boston"),
    lambda: descent.gradient_descent(1.0, 0.0, 3, "skewed"),
    lambda: descent.gradient_descent(1.0, 0.1, 3, FLAT),
    lambda: descent.batch_factor(1.0, 8, "random"),
    lambda: descent.batch_factor(1.0, 7, "flip"),
    lambda: descent.batch_factor(1.0, 1, "roll"),
    lambda: descent.batch_factor(1.0, 8, "roll", n=7),
    lambda: descent.weight_decay(1.0, -0.5, "tiny"),
    lambda: noise.sampled_pairs(1.0, "skewed", 0),
    lambda: noise.sampled_pairs(1.0, ls.moments("skewed"), 9),
    lambda: noise.one_permutation(1.0, "independent"),
    lambda: noise.one_permutation(-1.0),
])
def test_arguments_outside_the_domain_are_refused(call):
    with pytest.raises(DomainError):
        call()


def test_two_points_are_enough_where_they_differ():
    np.testing.assert_allclose(ls.minimiser(Beta(2.0, 1.0), TWO, distinct=True), [1, 2], rtol=1e-12)
    np.testing.assert_allclose(ls.minimiser(HALF, TWO), [1, 2], rtol=1e-12)
