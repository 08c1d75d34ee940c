"""The formulas of the chapter as numbers, against loops, finite differences and torch, and what they refuse."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from mixtheory.domain import DomainError
from mixtheory.theory import curvature as cv
from mixtheory.theory import curvature_batchnorm as bn
from mixtheory.theory import curvature_logistic as lg
from mixtheory.theory import curvature_running as run
from mixtheory.theory import gaussian_logistic

POINTS = np.array([[1.0, 0.2], [-2.0, 0.5], [0.3, 3.0], [4.0, -1.0]])
MEAN, COV = POINTS.mean(axis=0), np.cov(POINTS.T, bias=True)
EYE = np.eye(2)
near = {"rtol": 0, "atol": 1e-12}
alphas = pytest.mark.parametrize("alpha", [0, 1, 2, np.inf])


def weights(alpha):
    """(lambda, probability), exact for polynomials of degree 5; alpha in {0, 1, 2, inf}."""
    if alpha in (0, np.inf):
        return [(0.0, 0.5), (1.0, 0.5)] if alpha == 0 else [(0.5, 1.0)]
    t, w = np.polynomial.legendre.leggauss(4)
    w = w * ((1 - t**2) / 4) ** (alpha - 1)
    return list(zip((t + 1) / 2, w / w.sum(), strict=True))


def second_moment(alpha, rows):
    """E z~ z~^T over all ordered pairs of rows, by loops."""
    total = np.zeros((rows.shape[1],) * 2)
    for (lam, p), a, b in itertools.product(weights(alpha), rows, rows):
        z = lam * a + (1 - lam) * b
        total += p * np.outer(z, z) / len(rows) ** 2
    return total


# ---- least squares ---


@alphas
def test_hessian_of_least_squares(alpha):
    np.testing.assert_allclose(cv.least_squares_hessian(alpha, COV, MEAN), second_moment(alpha, POINTS), **near)
    bordered = np.column_stack([np.ones(4), POINTS])
    np.testing.assert_allclose(
        cv.least_squares_hessian(alpha, COV, MEAN, intercept=True), second_moment(alpha, bordered), **near
    )


def test_the_example_of_the_chapter():
    H = cv.least_squares_hessian(1.0, EYE, np.array([3.0, 0.0]))
    assert cv.largest_step(H) == pytest.approx(0.206897, abs=5e-7)  # 6/29
    assert cv.condition_number(H) == pytest.approx(14.5)
    for eta, converges in ((0.99 * cv.largest_step(H), True), (1.01 * cv.largest_step(H), False)):
        w = np.ones(2)
        for _ in range(2000):
            w = w - eta * H @ w
        assert (np.linalg.norm(w) < 1e-6) == converges


@alphas
def test_condition_numbers_are_ratios_of_eigenvalues(alpha):
    def kappa(Sigma, mu, intercept=False):
        return cv.condition_number(cv.least_squares_hessian(alpha, Sigma, mu, intercept))

    mu = np.array([1.2, -1.6])
    assert cv.condition_isotropic(alpha, 0.7, 4.0) == pytest.approx(kappa(0.7 * EYE, mu))
    assert cv.condition_standardised(alpha) == pytest.approx(kappa(EYE, np.zeros(2), True))
    assert cv.condition_across(alpha, 1.0, 0.01, 0.09) == pytest.approx(kappa(np.diag([1, 0.01]), [0, 0.3]))
    gain, ratio = cv.centred_gain(alpha, COV)
    assert ratio == 1
    assert gain == pytest.approx(cv.stable_step(alpha, COV, [0, 0]) / cv.stable_step(0, COV, [0, 0]))


def test_numbers_of_the_condition():
    assert cv.condition_across(0, 1.0, 0.01, 0.09) == pytest.approx(10)
    assert cv.condition_across(1.0, 1.0, 0.01, 0.09) == pytest.approx(6.896552, abs=5e-7)
    assert cv.condition_isotropic(1.0, 1.0, 9.0) == pytest.approx(14.5)
    assert cv.condition_standardised(np.inf) == pytest.approx(2)


def test_the_gain_of_random_problems_lies_between_its_bounds():
    rng = np.random.default_rng(0)
    for _ in range(200):
        A, mu = rng.standard_normal((3, 3)), rng.standard_normal(3) * rng.choice([0.01, 1, 10])
        for alpha in (0.2, 1.0, 5.0):
            gain = cv.stable_step(alpha, A @ A.T, mu) / cv.stable_step(0, A @ A.T, mu)
            assert cv.step_gain_floor(alpha) - 1e-12 <= gain <= cv.step_gain_ceiling(alpha) + 1e-12


# ---- batch normalisation, against torch ---


def torch_moment(x, gamma, shift, eps=1e-12):
    layer = torch.nn.BatchNorm1d(x.shape[1], eps=eps).double()
    with torch.no_grad():
        layer.weight.copy_(torch.as_tensor(gamma))
        layer.bias.copy_(torch.as_tensor(shift))
        z = layer(torch.as_tensor(x)).numpy()
    return z.T @ z / len(z)


def grid(lam, rows=POINTS):
    return np.array([lam * a + (1 - lam) * b for a in rows for b in rows])


GAMMA, SHIFT = np.array([1.5, 0.4]), np.array([0.3, -0.2])


@pytest.mark.parametrize("lam", [1.0, 0.7, 0.5])
def test_batchnorm_of_all_pairs_does_not_see_lambda(lam):
    found = torch_moment(grid(lam), GAMMA, SHIFT)
    np.testing.assert_allclose(found, bn.batchnorm_hessian(1.0, COV, GAMMA, SHIFT), rtol=1e-9)
    assert np.trace(found) == pytest.approx(bn.batchnorm_trace(1.0, 16, "roll", "batch", GAMMA, SHIFT))


def test_epsilon_lets_some_shrinkage_through():
    x = np.concatenate([grid(lam)[np.newaxis] for lam in (0.5,)])[0]  # alpha = inf
    for eps in (1e-3, 0.5, 20.0):
        mixed, plain = (torch_moment(points, np.ones(2), np.zeros(2), eps)[0, 0] for points in (x, grid(1.0)))
        assert bn.epsilon_factor(np.inf, COV[0, 0], eps) == pytest.approx(mixed / plain, rel=1e-9)


@alphas
def test_mixing_behind_the_normalisation(alpha):
    rows = GAMMA * (POINTS - MEAN) / POINTS.std(axis=0) + SHIFT
    np.testing.assert_allclose(bn.mixed_behind_hessian(alpha, COV, GAMMA, SHIFT), second_moment(alpha, rows), **near)


def test_a_head_absorbs_the_scale():
    assert bn.absorbed_slope(1.0, 1.5, "element") == pytest.approx(1.57619, abs=5e-6)
    assert bn.absorbed_slope(1.0, 1.5, "batch") == pytest.approx(1.53407, abs=5e-6)
    assert bn.absorbed_slope(0.0, 1.5, "batch") == pytest.approx(3.0)


# ---- running statistics ---


def test_running_statistics_of_torch():
    rng = np.random.default_rng(1)
    n, batches, alpha = 6, 20000, 1.0
    layer = torch.nn.BatchNorm1d(1, momentum=None).double()
    x = 2.0 * rng.standard_normal((batches, n))
    lam = rng.beta(alpha, alpha, (batches, 1))
    mixed = torch.as_tensor(lam * x + (1 - lam) * np.roll(x, 1, axis=1))
    for batch in mixed:
        layer(batch[:, None])
    values = mixed.var(1).numpy()
    se = values.std() / np.sqrt(batches)
    assert float(layer.running_var) == pytest.approx(values.mean(), rel=1e-9)
    assert abs(values.mean() - run.running_variance(alpha, 4.0, n, "roll", "batch")) < 5 * se
    cv2 = values.var() / values.mean() ** 2
    assert cv2 == pytest.approx(run.variance_cv(alpha, n, "roll"), rel=0.1)


def test_running_numbers():
    assert run.evaluation_spread(1.0, 256, "roll", "batch") == pytest.approx(1.2259, abs=5e-5)
    assert run.evaluation_spread(1.0, 256, "roll", "element") == pytest.approx(1.2265, abs=5e-5)
    assert run.evaluation_limit(0.2, 256, "roll", "batch") == pytest.approx(1.0801, abs=5e-5)
    assert run.evaluation_limit(np.inf, 256, "roll", "batch") == pytest.approx(np.sqrt(2))
    assert run.running_fluctuation(1.0, 256, 0.1, "permutation") == pytest.approx(0.0559, abs=5e-5)
    assert run.running_fluctuation(1.0, 256, 0.1, "roll") == pytest.approx(0.0562, abs=5e-5)
    assert run.variance_cv(0.0, 11, "roll") == pytest.approx(0.2)
    assert run.variance_cv_large(1.0, 10**9, "roll") == pytest.approx(1 / 20, rel=1e-6)  # V_S/s^2 = (1/45)(9/4)


def test_pooling_over_positions_against_batchnorm2d():
    """All orders of four images of two positions, lambda = 1/2 rolled: the mean over orders of torch's variance."""
    x = np.array([[0.3, 2.0], [1.1, 5.0], [-0.7, 3.5], [2.0, 2.2]])
    layer = torch.nn.BatchNorm2d(1, momentum=None).double()
    for order in itertools.permutations(range(4)):
        own = x[list(order)]
        layer(torch.as_tensor((own + np.roll(own, 1, axis=0)) / 2)[:, None, None, :])
    share = x.mean(axis=0).var() / x.var()
    expected = run.pooled_factor(np.inf, 4, "roll", "batch", share) * x.var(ddof=1)
    assert float(layer.running_var) == pytest.approx(expected, rel=1e-9)


# ---- logistic regression ---


def naive_hessian(alpha, m, w):
    """Along the means and across them, by adaptive integration over x for each pair of labels and each lambda."""
    lams, masses = [p for p, _ in weights(alpha)], [p for _, p in weights(alpha)]
    if alpha == 1:  # the integrand is no polynomial in lambda
        t, q = np.polynomial.legendre.leggauss(24)
        lams, masses = (t + 1) / 2, q / 2
    total = np.zeros(2)
    for lam, mass in zip(lams, masses, strict=True):
        S = lam**2 + (1 - lam) ** 2
        for a, b in itertools.product((-1, 1), repeat=2):
            law = stats.norm(m * (lam * a + (1 - lam) * b), np.sqrt(S))
            for k, factor in enumerate((lambda x: x**2, lambda x, S=S: S)):
                value, _ = integrate.quad(
                    lambda x, law=law, factor=factor: law.pdf(x) * factor(x) / (4 * np.cosh(w * x / 2) ** 2), -12, 12,
                    epsabs=1e-11, points=[0.0],
                )
                total[k] += mass * value / 4
    return total


@pytest.mark.parametrize(("alpha", "m", "w"), [(0, 1.5, 3.0), (1, 1.5, 1.5), (np.inf, 0.8, 1.1)])
def test_logistic_hessian(alpha, m, w):
    np.testing.assert_allclose(lg.logistic_hessian(alpha, m, w), naive_hessian(alpha, m, w), rtol=0, atol=1e-8)


@pytest.mark.parametrize("alpha", [0.0, 1.0, np.inf])
def test_the_logistic_risk_has_that_hessian_and_its_minimum_there(alpha):
    rng = np.random.default_rng(3)
    y = rng.integers(2, size=(2, 200_000))
    x = rng.standard_normal((2, 200_000, 2)) + 1.5 * np.stack([2 * y - 1, 0 * y], axis=2)
    lam = 0.5 if alpha == np.inf else rng.integers(2, size=200_000) if alpha == 0 else rng.random(200_000)
    mixed = (lam * x[0].T + (1 - lam) * x[1].T).T
    w = np.array([1.1, -0.6])
    losses = np.logaddexp(0, mixed @ w) - (lam * y[0] + (1 - lam) * y[1]) * (mixed @ w)
    assert abs(losses.mean() - lg.logistic_risk(alpha, 1.5, w)) < 5 * losses.std() / np.sqrt(200_000)
    best, h = np.array([gaussian_logistic.slope(alpha, 1.5), 0.0]), 1e-3
    for step, curvature in zip(np.eye(2) * h, lg.logistic_hessian(alpha, 1.5), strict=True):
        low, here, high = lg.logistic_risk(alpha, 1.5, np.array([best - step, best, best + step]))
        assert high - low == pytest.approx(0, abs=1e-9)
        assert (high + low - 2 * here) / h**2 == pytest.approx(curvature, rel=1e-4)


def test_sharpness_at_the_minimum():
    expected = {1.5: (0.0210, 0.1121), 2.5: (0.00114, 0.1916)}
    for m, (plain, mixed) in expected.items():
        assert lg.logistic_hessian(0.0, m)[0] == pytest.approx(plain, rel=5e-3)
        assert lg.logistic_hessian(1.0, m)[0] == pytest.approx(mixed, rel=1e-3)
    assert max(lg.logistic_hessian(0.0, 0.8)) == pytest.approx(0.1460, abs=5e-5)
    assert max(lg.logistic_hessian(1.0, 0.8)) == pytest.approx(0.1205, abs=5e-5)
    assert lg.sharper_from(1.0, "parallel") == pytest.approx(0.684, abs=5e-4)
    assert lg.sharper_from(1.0, "orthogonal") == pytest.approx(1.059, abs=5e-4)


@alphas
def test_softmax_at_zero_weights_against_autograd(alpha):
    labels = np.eye(3)[[0, 1, 2, 1]]
    x = np.concatenate([grid(lam) for lam, _ in weights(alpha)])
    y = np.concatenate([grid(lam, labels) for lam, _ in weights(alpha)])
    mass = np.repeat([p / 16 for _, p in weights(alpha)], 16)
    x, y, mass = (torch.as_tensor(a) for a in (x, y, mass))

    def loss(W):
        return -(mass * (y * torch.log_softmax(x @ W.reshape(3, 2).T, dim=1)).sum(1)).sum()

    H = torch.autograd.functional.hessian(loss, torch.zeros(6, dtype=torch.float64)).numpy()
    np.testing.assert_allclose(lg.softmax_origin(alpha, COV, MEAN, 3), H, **near)
    np.testing.assert_allclose(lg.logistic_origin(alpha, COV, MEAN), second_moment(alpha, POINTS) / 4, **near)


def test_large_weights():
    assert lg.saturated_ratio(1.0, 10.0, "parallel") == pytest.approx(np.sqrt(2) * np.arcsinh(1))
    assert lg.saturated_ratio(1.0, 10.0, "orthogonal") == pytest.approx((np.sqrt(2) + np.arcsinh(1)) / np.sqrt(8))
    for alpha, value in ((0.0, 1.0), (np.inf, np.sqrt(2))):
        assert lg.saturated_ratio(alpha, 1.0, "parallel") == pytest.approx(value)
        assert lg.saturated_ratio(alpha, 1.0, "orthogonal") == pytest.approx(1 / value)


# ---- bad input ---


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: cv.least_squares_hessian(-1.0, EYE, MEAN), "alpha"),
        (lambda: cv.least_squares_hessian(np.nan, EYE, MEAN), "alpha"),
        (lambda: cv.least_squares_hessian(np.ones(3), EYE, MEAN), "alpha of shape"),
        (lambda: cv.least_squares_hessian(1.0, -EYE, MEAN), "Sigma"),
        (lambda: cv.least_squares_hessian(1.0, EYE, np.ones(3)), "mu"),
        (lambda: cv.least_squares_hessian(1.0, EYE, np.array([np.nan, 0])), "mu"),
        (lambda: cv.largest_step(np.ones(3)), "H of shape"),
        (lambda: cv.largest_step(np.array([[1.0, 0.2], [0.0, 1.0]])), "H"),
        (lambda: cv.largest_step(np.array([[1.0, np.nan], [np.nan, 1.0]])), "H"),
        (lambda: cv.largest_step(np.diag([1.0, -0.1])), "H with eigenvalues"),
        (lambda: cv.largest_step(np.zeros((2, 2))), "H with eigenvalues"),
        (lambda: cv.condition_number(np.diag([1.0, 0.0])), "H"),
        (lambda: cv.stable_step(-1.0, EYE, MEAN), "alpha"),
        (lambda: cv.centred_gain(1.0, np.zeros((2, 2))), "Sigma"),
        (lambda: cv.condition_isotropic(1.0, 0.0, 1.0), "variance"),
        (lambda: cv.condition_isotropic(1.0, 1.0, -1.0), "mean_square"),
        (lambda: cv.condition_standardised(-1.0), "alpha"),
        (lambda: cv.condition_across(1.0, 1.0, 0.5, 0.4), "mean_square"),
        (lambda: cv.condition_across(1.0, 1.0, 0.0, 0.4), "narrow"),
        (lambda: cv.step_gain_ceiling(np.nan), "alpha"),
        (lambda: cv.step_gain_floor(np.nan), "alpha"),
        (lambda: bn.batchnorm_hessian(-1.0, EYE, GAMMA, SHIFT), "alpha"),
        (lambda: bn.batchnorm_hessian(1.0, np.diag([1.0, 0.0]), GAMMA, SHIFT), "diagonal of Sigma"),
        (lambda: bn.batchnorm_hessian(1.0, EYE, np.ones(3), SHIFT), "gamma"),
        (lambda: bn.batchnorm_hessian(1.0, EYE, GAMMA, np.ones(3)), "shift"),
        (lambda: bn.batchnorm_trace(-1.0, 4, "roll", "batch", GAMMA, SHIFT), "alpha"),
        (lambda: bn.epsilon_factor(1.0, 0.0, 1e-5), "variance"),
        (lambda: bn.epsilon_factor(1.0, 1.0, -1e-5), "eps"),
        (lambda: bn.mixed_behind_hessian(-1.0, EYE, GAMMA, SHIFT), "alpha"),
        (lambda: bn.absorbed_slope(1.0, 1.5, "pair"), "sharing"),
        (lambda: bn.absorbed_slope(1.0, -1.5, "batch"), "m"),
        (lambda: run.running_variance(1.0, -1.0, 4, "roll", "batch"), "variance"),
        (lambda: run.running_variance(1.0, 1.0, 5, "flip", "batch"), "n"),
        (lambda: run.pooled_factor(1.0, 4, "roll", "element", 0.5), "sharing"),
        (lambda: run.pooled_factor(1.0, 4, "independent", "batch", 0.5), "pairing"),
        (lambda: run.pooled_factor(1.0, 4, "roll", "batch", 1.5), "share"),
        (lambda: run.evaluation_spread(-1.0, 4, "roll", "batch"), "alpha"),
        (lambda: run.evaluation_limit(1.0, 4, "rol", "batch"), "pairing"),
        (lambda: run.variance_cv(1.0, 2, "roll"), "n"),
        (lambda: run.variance_cv(1.0, 4, "flip"), "pairing"),
        (lambda: run.variance_cv_large(1.0, 4, "flip"), "pairing"),
        (lambda: run.running_fluctuation(1.0, 4, 0.0, "roll"), "momentum"),
        (lambda: lg.logistic_hessian(1.0, 0.0), "m"),
        (lambda: lg.logistic_hessian(1.0, 1.0, np.nan), "w"),
        (lambda: lg.logistic_origin(1.0, EYE, np.ones(3)), "mu"),
        (lambda: lg.logistic_risk(-1.0, 1.5, np.ones(2)), "alpha"),
        (lambda: lg.logistic_risk(1.0, 0.0, np.ones(2)), "m"),
        (lambda: lg.logistic_risk(1.0, 1.5, np.array([np.nan, 0.0])), "w"),
        (lambda: lg.softmax_origin(1.0, EYE, MEAN, 1), "K"),
        (lambda: lg.saturated_ratio(1.0, 1.0, "largest"), "direction"),
        (lambda: lg.saturated_ratio(1.0, -1.0, "parallel"), "w"),
        (lambda: lg.saturated_ratio(np.ones(2), 1.0, "parallel"), "alpha of shape"),
        (lambda: lg.sharper_from(0.0, "parallel"), "alpha"),
        (lambda: lg.sharper_from(1.0, "along"), "direction"),
    ],
)
def test_arguments_outside_the_domain_are_named(call, named):
    with pytest.raises(DomainError, match=rf"^{named}"):
        call()
