"""The formulas of the chapter as numbers, against sums and integrals written here, and what they refuse."""

from __future__ import annotations

import doctest
import itertools
import math

import numpy as np
import pytest
from scipy import integrate, special, stats

from mixtheory.domain import DomainError
from mixtheory.theory import labels
from mixtheory.theory import labels_decomposition as parts
from mixtheory.theory import labels_smoothing as smooth
from mixtheory.theory import labels_weight as weight

PRIORS = [0.5, 0.3, 0.2]
POINTS = np.array([[1.0, 0.2], [-2.0, 0.5], [0.3, 3.0], [4.0, -1.0]])
TARGETS = np.eye(2)[[0, 1, 1, 1]]


def mean(h, a, b):
    """E h(lambda) by adaptive quadrature, split at 1/2, the singular ends by lambda = v^(1/a)."""
    def half(f, p, q):
        def integrand(v):
            lam = v ** (1 / p)
            return f(lam) * (1 - lam) ** (q - 1) / p
        return integrate.quad(integrand, 0, 0.5**p, epsabs=1e-13, limit=400)[0]
    total = half(h, a, b) + half(lambda lam: h(1 - lam), b, a)
    return total / math.exp(special.betaln(a, b))


def entropy(p):
    return float(special.entr(np.asarray(p)).sum())


def label(K, k, m, lam):
    y = np.zeros(K)
    y[k] += lam
    y[m] += 1 - lam
    return y


LAWS = [(0.3, 0.3), (1.0, 1.0), (2.5, 2.5), (0.4, 1.9)]


@pytest.mark.parametrize(("a", "b"), LAWS)
def test_entropy_and_top_weight_over_all_pairs_of_classes(a, b):
    alpha = a if a == b else (a, b)
    pairs = list(itertools.product(range(3), repeat=2))
    naive = [sum(PRIORS[k] * PRIORS[m] * mean(lambda lam, k=k, m=m, h=h: h(label(3, k, m, lam)), a, b)
                 for k, m in pairs) for h in (entropy, lambda p: p.max())]
    assert labels.mixed_label_entropy(alpha, PRIORS) == pytest.approx(naive[0], rel=1e-8)
    assert labels.loss_floor(alpha, PRIORS) == pytest.approx(naive[0], rel=1e-8)
    assert weight.expected_top_weight(alpha, PRIORS) == pytest.approx(naive[1], rel=1e-8)


def test_without_self_pairs_over_all_pairs_of_examples():
    classes = [0] * 5 + [1] * 3 + [2] * 2
    pairs = list(itertools.permutations(range(10), 2))
    share = np.mean([classes[i] != classes[j] for i, j in pairs])
    assert labels.different_share(PRIORS, 10) == pytest.approx(share, rel=1e-12)
    assert labels.mixed_label_entropy(1.0, PRIORS, 10) == pytest.approx(share / 2, rel=1e-12)
    assert weight.expected_top_weight(1.0, PRIORS, 10) == pytest.approx(1 - share / 4, rel=1e-12)


def test_round_numbers():
    assert labels.pair_entropy(1.0) == pytest.approx(0.5)  # psi(3) - psi(2)
    assert labels.pair_entropy(2.0) == pytest.approx(1 / 3 + 1 / 4)
    assert labels.pair_entropy(0.0) == 0
    assert labels.pair_entropy(np.inf) == pytest.approx(math.log(2), rel=1e-15)
    assert weight.smaller_share(1.0) == pytest.approx(0.25)
    assert weight.smaller_share(np.array([0.0, np.inf])).tolist() == [0.0, 0.5]
    assert labels.mixed_label_entropy(1.0, [0.1] * 10) == pytest.approx(0.45)
    assert weight.expected_top_weight(1.0, [0.1] * 10) == pytest.approx(0.775)
    assert labels.floor_attained(1.0, [5, 5]) == pytest.approx(0.25)
    assert parts.theta_mean(1.0) == pytest.approx(0.75)
    assert parts.theta_variance(1.0) == pytest.approx(1 / 48)  # uniform on [1/2, 1]
    assert parts.partner_square(1.0) == pytest.approx(1 / 12)


@pytest.mark.parametrize("alpha", [0.3, 1.0, 2.5])
def test_the_symmetric_formulas_are_the_asymmetric_ones(alpha):
    assert labels.pair_entropy(alpha) == pytest.approx(labels.pair_entropy_beta(alpha, alpha), rel=1e-13)
    assert labels.mixed_label_entropy((alpha, alpha), PRIORS) == pytest.approx(
        labels.mixed_label_entropy(alpha, PRIORS), rel=1e-13)
    assert weight.expected_top_weight((alpha, alpha), PRIORS) == pytest.approx(
        weight.expected_top_weight(alpha, PRIORS), rel=1e-12)


@pytest.mark.parametrize(("exact", "small", "large"), [
    (labels.pair_entropy, labels.entropy_small, labels.entropy_large),
    (weight.smaller_share, weight.smaller_share_small, weight.smaller_share_large)])
def test_expansions_near_their_ends(exact, small, large):
    assert small(1e-5) == pytest.approx(exact(1e-5), rel=1e-4)
    assert large(1e6) == pytest.approx(exact(1e6), rel=1e-8)
    assert large(1e6) < large(np.inf)


# ---- label smoothing ---


def smoothed(epsilon, K):
    p = np.full(K, epsilon / K)
    p[0] += 1 - epsilon
    return p


@pytest.mark.parametrize("K", [2, 3, 10, 1000])
@pytest.mark.parametrize("alpha", [0.0, 0.2, 1.0, 3.7, np.inf])
def test_smoothing_that_matches(alpha, K):
    by_mean = smooth.smoothing_by_mean(alpha)
    assert smoothed(by_mean, K)[0] == pytest.approx(weight.expected_top_weight(alpha, [1 / K] * K), rel=1e-12)
    found = smooth.smoothing_by_entropy(alpha, K)
    assert 0 <= found <= by_mean
    target = labels.mixed_label_entropy(alpha, [1 / K] * K)
    assert entropy(smoothed(found, K)) == pytest.approx(target, rel=1e-10, abs=1e-14)
    assert smooth.entropy_gap(alpha, K) == pytest.approx(entropy(smoothed(by_mean, K)) - target, abs=1e-12)


def test_the_numbers_of_the_chapter():
    assert smooth.smoothing_entropy(0.25, 10) == pytest.approx(entropy(smoothed(0.25, 10)), rel=1e-14)
    assert smooth.smoothing_entropy(0.25, 10) == pytest.approx(1.0275, abs=5e-5)
    assert smooth.smoothing_by_entropy(1.0, 10) == pytest.approx(0.0878, abs=5e-5)
    assert smooth.smoothing_confidence(0.25, 10) == pytest.approx(0.775)


def test_arrays_of_alpha():
    alphas = np.array([0.2, 1.0])
    assert smooth.smoothing_by_entropy(alphas, 10) == pytest.approx(
        [smooth.smoothing_by_entropy(a, 10) for a in alphas])
    assert labels.mixed_label_entropy(alphas, PRIORS) == pytest.approx(
        [labels.mixed_label_entropy(a, PRIORS) for a in alphas])
    assert smooth.interpolating_confidence(alphas).tolist() == [1.0, 1.0]


def test_the_gap_is_a_divergence_and_grows():
    rng = np.random.default_rng(1)
    lam, K = rng.beta(1.0, 1.0, 200_000), 10
    y = np.zeros((len(lam), K))
    y[:, 0] += np.maximum(lam, 1 - lam)
    np.add.at(y, (np.arange(len(lam)), rng.integers(K, size=len(lam))), np.minimum(lam, 1 - lam))
    value = stats.entropy(y, np.broadcast_to(y.mean(axis=0), y.shape), axis=1)
    assert smooth.entropy_gap(1.0, K) == pytest.approx(value.mean(), abs=5 * value.std() / math.sqrt(len(lam)))
    gaps = [float(smooth.entropy_gap(1.0, K)) for K in (2, 10, 100, 1000, 10_000)]
    assert np.diff(gaps).min() > 0
    assert smooth.entropy_gap_large(1.0, 10_000) == pytest.approx(gaps[-1], abs=1e-4)


# ---- shrinking plus noise ---


def weights(alpha):
    """(lambda, probability), exact for polynomials of degree 7 on each half; alpha in {0, 1, inf}."""
    if alpha in (0, np.inf):
        return [(0.0, 0.5), (1.0, 0.5)] if alpha == 0 else [(0.5, 1.0)]
    t, w = np.polynomial.legendre.leggauss(4)
    return [(start + (s + 1) / 4, p / 4) for start in (0.0, 0.5) for s, p in zip(t, w, strict=True)]


@pytest.mark.parametrize("alpha", [0, 1, np.inf])
def test_shrink_and_perturb_against_a_loop(alpha):
    found = parts.shrink_and_perturb(alpha, POINTS, TARGETS)
    for i in range(4):
        rows = [(p / 4, max(lam, 1 - lam), j) for lam, p in weights(alpha) for j in range(4)]
        p = np.array([r[0] for r in rows])
        x = np.array([t * POINTS[i] + (1 - t) * POINTS[j] for _, t, j in rows])
        y = np.array([t * TARGETS[i] + (1 - t) * TARGETS[j] for _, t, j in rows])
        a, b = x - p @ x, y - p @ y
        np.testing.assert_allclose(found.shrunk_x[i], p @ x, atol=1e-12)
        np.testing.assert_allclose(found.shrunk_y[i], p @ y, atol=1e-12)
        np.testing.assert_allclose(found.covariance(i), (a * p[:, None]).T @ a, atol=1e-12)
        np.testing.assert_allclose(found.cross(i), (a * p[:, None]).T @ b, atol=1e-12)
        np.testing.assert_allclose(found.label_covariance(i), (b * p[:, None]).T @ b, atol=1e-12)
        np.testing.assert_allclose(parts.perturbation_covariance(alpha, found.deviation_x[i], found.C),
                                   found.covariance(i), atol=1e-14)
    assert found.theta**2 + found.theta_variance + found.gamma_square == pytest.approx(parts.consistency(alpha))


def test_numbers_as_targets_and_data_untouched():
    x, y = POINTS.copy(), np.array([1.0, -1.0, 0.5, 2.0])
    found = parts.shrink_and_perturb(0.7, x, y)
    assert found.shrunk_y.shape == (4, 1)
    np.testing.assert_array_equal(x, POINTS)


def test_unshrink_undoes_least_squares_and_leaves_an_offset():
    design = np.column_stack([np.ones(4), POINTS])
    y = np.array([1.0, -1.0, 0.5, 2.0])
    b = np.linalg.lstsq(design, y, rcond=None)[0]
    inputs = parts.shrink_input(1.0, POINTS, POINTS.mean(axis=0))
    for offset in (0.0, 0.8):
        f = b[0] + offset + inputs @ b[1:]
        back = parts.unshrink(1.0, f, y.mean())
        np.testing.assert_allclose(back - (design @ b + offset), parts.unshrink_error(1.0, offset), atol=1e-12)
    assert parts.unshrink_error(1.0, 0.8) == pytest.approx(0.8 / 3)  # 1/0.75 - 1


@pytest.mark.parametrize("module", [labels, weight, smooth, parts])
def test_the_examples_in_the_docstrings(module):
    found = doctest.testmod(module)
    assert found.attempted
    assert not found.failed


# ---- bad input ---


@pytest.mark.parametrize(("call", "named"), [
    (lambda: labels.pair_entropy(-1.0), "alpha"),
    (lambda: labels.pair_entropy(np.nan), "alpha"),
    (lambda: labels.pair_entropy_beta(0.0, 1.0), "a"),
    (lambda: labels.pair_entropy_beta(1.0, np.inf), "b"),
    (lambda: labels.entropy_large(0.0), "alpha"),
    (lambda: labels.mixed_label_entropy(1.0, [0.5, 0.6]), "priors"),
    (lambda: labels.mixed_label_entropy(1.0, [1.5, -0.5]), "priors"),
    (lambda: labels.mixed_label_entropy(-0.1, PRIORS), "alpha"),
    (lambda: labels.mixed_label_entropy((1.0, -1.0), PRIORS), "b"),
    (lambda: labels.mixed_label_entropy(1.0, PRIORS, 1), "n"),
    (lambda: labels.mixed_label_entropy(1.0, PRIORS, 7), "n"),
    (lambda: labels.loss_floor(1.0, [[0.5, 0.5]]), "priors"),
    (lambda: labels.floor_attained(1.0, [1.5, 2]), "counts"),
    (lambda: labels.floor_attained(1.0, [0, 0]), "counts"),
    (lambda: weight.smaller_share(-1.0), "alpha"),
    (lambda: weight.expected_top_weight(1.0, [0.5]), "priors"),
    (lambda: smooth.smoothing_confidence(1.2, 10), "epsilon"),
    (lambda: smooth.smoothing_entropy(0.1, 1), "K"),
    (lambda: smooth.smoothing_by_mean(np.nan), "alpha"),
    (lambda: smooth.smoothing_by_entropy(-1.0, 10), "alpha"),
    (lambda: smooth.smoothing_by_entropy(1.0, 1), "K"),
    (lambda: smooth.entropy_gap(1.0, 2.5), "K"),
    (lambda: smooth.entropy_gap_large(0.0, 10), "alpha"),
    (lambda: smooth.interpolating_confidence(np.inf), "alpha"),
    (lambda: parts.theta_mean(-1.0), "alpha"),
    (lambda: parts.perturbation_cross(1.0, POINTS[0], TARGETS[0], np.eye(3)), "C_xy"),
    (lambda: parts.perturbation_covariance(1.0, POINTS[0], -np.eye(2)), "C"),
    (lambda: parts.unshrink_error(1.0, np.inf), "offset"),
    (lambda: parts.shrink_and_perturb(-1.0, POINTS, TARGETS), "alpha"),
    (lambda: parts.shrink_and_perturb(1.0, POINTS[0], TARGETS), "x, y"),
    (lambda: parts.shrink_and_perturb(1.0, POINTS, TARGETS[:2]), "x, y"),
    (lambda: parts.shrink_and_perturb(1.0, POINTS * np.nan, TARGETS), "x"),
])
def test_arguments_outside_the_domain_are_named(call, named):
    with pytest.raises(DomainError, match=rf"^{named} (=|of)|^{named}:"):
        call()
