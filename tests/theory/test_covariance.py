"""The formulas of the chapter as numbers, against loops over small populations, and what they refuse."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from mixtheory.domain import DomainError
from mixtheory.theory import covariance as cov
from mixtheory.theory import covariance_batch as batch

POINTS = np.array([[1.0, 0.2], [-2.0, 0.5], [0.3, 3.0], [4.0, -1.0]])
CLASSES = [
    np.array([[0.0, 1.0], [2.0, 0.5], [1.0, -1.0]]),
    np.array([[5.0, 5.0], [4.0, 8.0], [6.5, 6.0]]),
    np.array([[-3.0, 2.0], [-4.0, 1.0], [-4.5, 4.0]]),
]
near = {"rtol": 0, "atol": 1e-12}


def weights(alpha):
    """(lambda, probability) exact for polynomials of degree 5; alpha in {0, 1, 2, inf}."""
    if alpha in (0, np.inf):
        return [(0.0, 0.5), (1.0, 0.5)] if alpha == 0 else [(0.5, 1.0)]
    t, w = np.polynomial.legendre.leggauss(4)
    w = w * ((1 - t**2) / 4) ** (alpha - 1)
    return list(zip((t + 1) / 2, w / w.sum(), strict=True))


def mixed(pairs, alpha):
    """Every mixed point with its probability."""
    rows = [(p / len(pairs), lam * a + (1 - lam) * b) for lam, p in weights(alpha) for a, b in pairs]
    return np.array([p for p, _ in rows]), np.array([x for _, x in rows])


def moments(pairs, alpha):
    p, x = mixed(pairs, alpha)
    mean = p @ x
    return mean, (x - mean).T @ ((x - mean) * p[:, None])


def spread(points):
    return np.cov(points.T, bias=True)


ALL = list(itertools.product(POINTS, repeat=2))
DISTINCT = list(itertools.permutations(POINTS, 2))
alphas = pytest.mark.parametrize("alpha", [0, 1, 2, np.inf])


@alphas
def test_population(alpha):
    mean, covariance = moments(ALL, alpha)
    mu, Sigma = POINTS.mean(axis=0), spread(POINTS)
    np.testing.assert_allclose(cov.mixed_mean(alpha, mu), mean, **near)
    np.testing.assert_allclose(cov.covariance(alpha, Sigma), covariance, **near)
    np.testing.assert_allclose(cov.cross_covariance(alpha, Sigma[0, 1]), covariance[0, 1], **near)
    np.testing.assert_allclose(
        cov.raw_second_moment(alpha, Sigma, mu), covariance + np.outer(mean, mean), **near
    )


@alphas
def test_distinct_pair(alpha):
    _, covariance = moments(DISTINCT, alpha)
    np.testing.assert_allclose(batch.distinct_factor(alpha, 4) * spread(POINTS), covariance, **near)


@alphas
def test_classes(alpha):
    means = np.array([c.mean(axis=0) for c in CLASSES])
    W, B = np.mean([spread(c) for c in CLASSES], axis=0), spread(means)
    same = [pair for c in CLASSES for pair in itertools.product(c, repeat=2)]
    other = [pair for a, b in itertools.permutations(CLASSES, 2) for pair in itertools.product(a, b)]
    np.testing.assert_allclose(cov.class_same(alpha, W, B), moments(same, alpha)[1], **near)
    np.testing.assert_allclose(cov.class_different(alpha, W, B, 3), moments(other, alpha)[1], **near)


def test_two_classes_collapse_at_the_midpoint():
    np.testing.assert_allclose(cov.class_different(np.inf, np.zeros((2, 2)), np.eye(2), 2), 0, **near)


@alphas
def test_tails(alpha):
    x = POINTS[:, 0] - POINTS[:, 0].mean()
    sigma, kappa = x.std(), np.mean(x**4) / x.std() ** 4
    p, points = mixed(list(itertools.product(x, repeat=2)), alpha)
    np.testing.assert_allclose(cov.fourth_moment(alpha, kappa, sigma), p @ points**4, rtol=1e-12)
    naive = (p @ points**4) / (p @ points**2) ** 2
    np.testing.assert_allclose(cov.kurtosis(alpha, kappa), naive, rtol=1e-12)
    np.testing.assert_allclose(cov.excess_kurtosis(alpha, kappa), naive - 3, **near)


def test_tails_in_round_numbers():
    assert cov.kurtosis_gaussian(1.0) == pytest.approx(3.15)  # 3 (1 + 1/20)
    assert cov.kurtosis_gaussian(0.0) == cov.kurtosis_gaussian(np.inf) == 3
    assert cov.kurtosis(np.inf, 9.0) == pytest.approx(6.0)  # the mean of two: excess halves


@pytest.mark.parametrize("alpha", [0.29, 0.37, 1.0, 4.2, np.inf])
def test_the_threshold_separates(alpha):
    threshold = cov.kurtosis_threshold(alpha)
    assert cov.kurtosis(alpha, threshold) == pytest.approx(threshold, rel=1e-12)
    assert cov.kurtosis(alpha, 0.99 * threshold) > 0.99 * threshold
    assert cov.kurtosis(alpha, 1.01 * threshold) < 1.01 * threshold


@pytest.mark.parametrize("alpha", [0.0, 0.1, 0.28])
def test_below_the_critical_alpha_every_kurtosis_rises(alpha):
    with pytest.raises(DomainError, match="every kurtosis rises"):
        cov.kurtosis_threshold(alpha)
    assert all(cov.kurtosis(alpha, kappa) >= kappa for kappa in (1.0, 3.0, 1e3))


# ---- batches (the tables are enumerated in test_core_formulas) ---


def naive_fluctuation(pairing, c, alpha):
    """Variance of tr C~ / tr C over all orders of the batch c (n, d) and one lambda, by loops."""
    n, ratios, probability = len(c), [], []
    for order in itertools.permutations(range(n)):
        partner = {
            "permutation": order,
            "roll": [(i - 1) % n for i in range(n)],
            "flip": [n - 1 - i for i in range(n)],
        }
        own = c if pairing == "permutation" else c[list(order)]
        for lam, p in weights(alpha):
            new = lam * own + (1 - lam) * own[list(partner[pairing])]
            ratios.append(new.var(axis=0).sum() / c.var(axis=0).sum())
            probability.append(p)
    p = np.array(probability) / np.sum(probability)
    return p @ np.square(ratios) - (p @ ratios) ** 2


@pytest.mark.parametrize("pairing", ["permutation", "roll", "flip"])
@pytest.mark.parametrize("columns", [1, 2])
@alphas
def test_fluctuation(pairing, columns, alpha):
    c = (POINTS - POINTS.mean(axis=0))[:, :columns]
    C = c.T @ c / 4
    k, g = ((c**2).sum(axis=1) ** 2).mean() / np.trace(C) ** 2, (C**2).sum() / np.trace(C) ** 2
    assert batch.fluctuation(alpha, 4, k, g, pairing) == pytest.approx(
        naive_fluctuation(pairing, c, alpha), abs=1e-12
    )


def test_the_fluctuation_stays_for_large_batches():
    limit = batch.fluctuation_limit(1.0, 8, "roll")
    assert limit == pytest.approx(1 / 45)  # 1/(9 * 5)
    assert batch.fluctuation(1.0, 10**6, 3.0, 1.0, "roll") == pytest.approx(limit, rel=1e-5)


def test_gaussian_batch_of_two():
    """The unbiased variance of two is d^2/2 for their difference d; swapped, (2 lambda - 1)^2 d^2/2."""
    fourth = 3.0  # E[(d^2/2)^2] for sigma = 1
    mean_fourth_gap = sum(p * (2 * lam - 1) ** 4 for lam, p in weights(1))
    assert batch.gaussian_batch(1.0, 2, 1.0) == pytest.approx(fourth * (1 + mean_fourth_gap) / 2, rel=1e-12)


def test_pairing_noise_and_mirror_images():
    assert [batch.pairing_noise(n, p) for n, p in ((3, "roll"), (8, "roll"), (2, "flip"), (8, "flip"))] == [
        1,
        1,
        2,
        2,
    ]
    np.testing.assert_array_equal(batch.mirror_sum(POINTS[0], POINTS[1]), [-1.0, 0.7])


# ---- bad input ---

EYE = np.eye(2)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: cov.mixed_mean(-1.0, POINTS[0]), "alpha"),
        (lambda: cov.covariance(-0.1, EYE), "alpha"),
        (lambda: cov.covariance(np.nan, EYE), "alpha"),
        (lambda: cov.covariance(1.0, -EYE), "Sigma"),
        (lambda: cov.covariance(1.0, np.array([[1.0, 0.5], [0.0, 1.0]])), "Sigma"),
        (lambda: cov.cross_covariance(-1.0, 0.3), "alpha"),
        (lambda: cov.raw_second_moment(1.0, POINTS, POINTS[0]), "Sigma"),
        (lambda: cov.class_same(1.0, -EYE, EYE), "Sigma_W"),
        (lambda: cov.class_same(1.0, EYE, -EYE), "Sigma_B"),
        (lambda: cov.class_same_cross(-1.0, 0.3), "alpha"),
        (lambda: cov.class_different(1.0, EYE, EYE, 1), "K"),
        (lambda: cov.class_different(1.0, EYE, -EYE, 3), "Sigma_B"),
        (lambda: cov.fourth_moment(1.0, 0.9, 1.0), "kappa"),
        (lambda: cov.kurtosis(1.0, np.nan), "kappa"),
        (lambda: cov.excess_kurtosis(1.0, 0.0), "kappa"),
        (lambda: cov.kurtosis_gaussian(-1.0), "alpha"),
        (lambda: cov.kurtosis_threshold(np.nan), "alpha"),
        (lambda: batch.distinct_factor(1.0, 1), "n"),
        (lambda: batch.batch_factor(1.0, 1, "roll", "batch"), "n"),
        (lambda: batch.batch_factor(np.nan, 4, "roll", "batch"), "alpha"),
        (lambda: batch.batch_factor(1.0, 5, "flip", "pair"), "n"),
        (lambda: batch.batch_factor(1.0, 4, "rol", "batch"), "pairing"),
        (lambda: batch.batch_factor(1.0, 4, "roll", "b"), "sharing"),
        (lambda: batch.batch_factor(1.0, 4, "roll", "pair"), "sharing"),
        (lambda: batch.batch_mean_noise(1.0, 1, "roll", "batch"), "n"),
        (lambda: batch.cross_mean(1, "roll"), "n"),
        (lambda: batch.cross_second(2, 1.0, 1.0, "roll"), "n"),
        (lambda: batch.cross_second(2, 1.0, 1.0, "flip"), "n"),
        (lambda: batch.cross_second(5, 1.0, 1.0, "flip"), "n"),
        (lambda: batch.cross_second(4, 1.0, 1.0, "derangement"), "pairing"),
        (lambda: batch.fluctuation(-1, 4, 1.0, 1.0, "roll"), "alpha"),
        (lambda: batch.fluctuation_limit(1.0, 1, "roll"), "n"),
        (lambda: batch.pairing_noise(2, "roll"), "n"),
        (lambda: batch.pairing_noise(4, "permutation"), "pairing"),
        (lambda: batch.gaussian_batch(1.0, 1, 1.0), "n"),
    ],
)
def test_arguments_outside_the_domain_are_named(call, named):
    with pytest.raises(DomainError, match=rf"^{named} = "):
        call()
