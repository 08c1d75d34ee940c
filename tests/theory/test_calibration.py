"""The posterior of mixed Gaussian mixtures against mpmath, the chapter's numbers, and what the formulas refuse."""

from __future__ import annotations

import tracemalloc

import mpmath as mp
import numpy as np
import pytest
import sympy as sp
from scipy.special import expit
from scipy.stats import multivariate_normal, norm

from mixtheory.domain import DomainError
from mixtheory.theory import calibration as cal
from mixtheory.theory import calibration_gaussian as cg
from mixtheory.theory import calibration_mixture as cm
from mixtheory.theory import calibration_shrinkage as cs
from mixtheory.theory import calibration_temperature as ct


def random_mixture(seed, K, d):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((K, d, d))
    Sigma = A @ A.transpose(0, 2, 1) + 0.15 * np.eye(d)
    return 1.3 * rng.standard_normal((K, d)), Sigma, rng.dirichlet(np.ones(K)), 2 * rng.standard_normal((3, d))


def mp_posterior(x, means, covariances, priors, alpha):
    """pi_k sum_j pi_j E N(x; ..), lambda' ~ Beta(alpha + 1, alpha); 1 - lambda' = v^(1/alpha) for small alpha."""
    power = mp.mpf(1) / alpha if alpha < 1 else mp.mpf(1)
    with mp.workdps(20):
        def density(lam, k, j):
            V = lam**2 * mp.matrix(covariances[k].tolist()) + (1 - lam) ** 2 * mp.matrix(covariances[j].tolist())
            r = mp.matrix([xi - lam * a - (1 - lam) * b for xi, a, b in zip(x, means[k], means[j], strict=True)])
            return mp.exp(-(r.T * mp.inverse(V) * r)[0] / 2) / mp.sqrt(mp.det(V))

        mass = []
        for k, p in enumerate(priors):
            def inner(v, k=k):
                lam, weight = 1 - v**power, 1 if alpha < 1 else v ** (alpha - 1)
                return weight * lam**alpha * sum(q * density(lam, k, j) for j, q in enumerate(priors))

            mass.append(p * mp.quad(inner, [0, 0.5, 1]))
        return [float(m / sum(mass)) for m in mass]


@pytest.mark.parametrize(("K", "d", "alpha"), [(2, 1, 0.05), (3, 1, 0.4), (2, 2, 1.0), (3, 2, 0.1), (2, 3, 2.5)])
def test_posterior_against_mpmath(K, d, alpha):
    means, Sigma, priors, x = random_mixture(10 * K + d, K, d)
    found = cm.mixup_posterior(x, means, Sigma, priors, alpha)
    expected = mp_posterior(x[0], means, Sigma, priors, alpha)
    np.testing.assert_allclose(found[0], expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("gap", "variance", "alpha"), [(1, 1.0, 0.05), (6, 0.01, 1.0), (25, 1.0, 20.0), (4, 1e-3, 0.3),
                                                        (2, 0.5, 3e3)])
def test_the_chosen_nodes_are_enough(gap, variance, alpha):
    x, means = np.linspace(-1.5 * gap, 1.5 * gap, 101), np.array([-gap, gap])
    Sigma, priors = np.array([[[1.0]], [[variance]]]), np.array([0.7, 0.3])
    n = cm.nodes_for(means, Sigma, priors, alpha)
    twice = cm.mixup_posterior(x, means, Sigma, priors, alpha, nodes=2 * n)
    np.testing.assert_allclose(cm.mixup_posterior(x, means, Sigma, priors, alpha), twice, rtol=0, atol=1e-10)


def test_the_chosen_nodes_are_enough_for_random_mixtures():
    rng = np.random.default_rng(5)
    for seed in range(40):
        K, d, alpha = rng.integers(2, 5), rng.integers(1, 4), float(np.exp(rng.uniform(np.log(0.02), np.log(60))))
        means, Sigma, priors, x = random_mixture(seed, K, d)
        x = np.concatenate([x, 3 * x, means])
        n = cm.nodes_for(means, Sigma, priors, alpha)
        twice = cm.mixup_posterior(x, means, Sigma, priors, alpha, nodes=2 * n + 17)
        np.testing.assert_allclose(cm.mixup_posterior(x, means, Sigma, priors, alpha), twice, rtol=0, atol=1e-10)


def test_classes_too_far_apart_are_refused_and_not_wrong():
    with pytest.raises(DomainError, match="nodes"):
        cm.mixup_posterior([0.0], [-900.0, 900.0], 1.0, [0.5, 0.5], 1.0)
    assert cm.mixup_posterior([0.0], [-900.0, 900.0], 1.0, [0.5, 0.5], 1.0, nodes=64).shape == (1, 2)


def test_memory_is_that_of_a_block():
    means, Sigma, priors, _ = random_mixture(5, 4, 3)
    x = np.random.default_rng(0).standard_normal((100_000, 3))
    components = len(cm.mixed_components(means, Sigma, priors, 0.7).log_norm)

    def peak(n):
        tracemalloc.start()
        cm.mixup_posterior(x[:n], means, Sigma, priors, 0.7)
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    assert peak(100_000) < 60e6 < 8 * 100_000 * components / 5
    assert peak(100_000) - peak(50_000) < 8 * 50_000 * 4 * 2


@pytest.mark.parametrize("block", [1, 7, 1000])
def test_blocks_do_not_matter(block):
    means, Sigma, priors, x = random_mixture(6, 3, 2)
    x = np.concatenate([x, 3 * x])
    np.testing.assert_allclose(cm.mixup_posterior(x, means, Sigma, priors, 0.7, block=block),
                               cm.mixup_posterior(x, means, Sigma, priors, 0.7), rtol=0, atol=1e-14)


def test_shapes_and_short_forms():
    means, Sigma, priors, x = random_mixture(7, 3, 2)
    grid = x.reshape(1, 3, 2)
    assert cm.mixup_posterior(grid, means, Sigma, priors, 1.0).shape == (1, 3, 3)
    common = np.broadcast_to(0.7 * np.eye(2), (3, 2, 2))
    for short in (0.7, 0.7 * np.eye(2)):
        np.testing.assert_allclose(cm.mixup_posterior(x, means, short, priors, 1.0),
                                   cm.mixup_posterior(x, means, common, priors, 1.0), rtol=0, atol=1e-15)
    assert cm.mixup_posterior(0.3, [-1.0, 1.0], 1.0, [0.5, 0.5], 1.0).shape == (2,)


def test_without_mixing_it_is_bayes():
    means, Sigma, priors, x = random_mixture(8, 3, 2)
    density = [multivariate_normal(m, S).pdf(x) for m, S in zip(means, Sigma, strict=True)]
    naive = priors * np.transpose(density)
    naive /= naive.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(cm.bayes_posterior(x, means, Sigma, priors), naive, rtol=0, atol=1e-13)
    np.testing.assert_allclose(cm.mixup_posterior(x, means, Sigma, priors, 0.0), naive, rtol=0, atol=1e-13)


def test_far_out_and_far_from_the_origin():
    means, Sigma, priors, x = random_mixture(9, 3, 2)
    far = cm.mixup_posterior(1e4 * x, means, Sigma, priors, 0.7)
    assert np.isfinite(far).all()
    np.testing.assert_allclose(far.sum(axis=1), 1, rtol=1e-14)
    np.testing.assert_allclose(cm.mixup_posterior(x + 1e6, means + 1e6, Sigma, priors, 0.7),
                               cm.mixup_posterior(x, means, Sigma, priors, 0.7), rtol=0, atol=1e-8)


def test_a_class_without_prior_has_no_posterior():
    g = cm.mixup_posterior([0.1, 2.0], [-1.0, 1.0, 2.0], 1.0, [0.4, 0.6, 0.0], 0.7)
    np.testing.assert_allclose(g[:, :2], cm.mixup_posterior([0.1, 2.0], [-1.0, 1.0], 1.0, [0.4, 0.6], 0.7), atol=1e-15)
    np.testing.assert_array_equal(g[:, 2], 0)


@pytest.mark.parametrize("x", [0.4, -1.7])
def test_the_chord_identity_point_by_point(x):
    """g - eta against E[lambda eta(X_1) + (1 - lambda) eta(X_2) - eta(x) | x~ = x], by brute force; uniform lambda."""
    m = 1.5
    lam = (np.arange(4000) + 0.5) / 4000
    t = np.linspace(-9, 9, 1201)[:, None]
    numerator = mass = 0.0
    for a in (-m, m):
        for b in (-m, m):
            S, mean = lam**2 + (1 - lam) ** 2, lam * a + (1 - lam) * b
            here = norm.pdf(x, mean, np.sqrt(S))
            first = a + lam / S * (x - mean) + t * (1 - lam) / np.sqrt(S)         # X_1 given x~ = x
            second = b + (1 - lam) / S * (x - mean) - t * lam / np.sqrt(S)
            chord = lam * expit(2 * m * first) + (1 - lam) * expit(2 * m * second)
            weight = norm.pdf(t) / norm.pdf(t).sum()
            numerator += here @ (weight * chord).sum(axis=0)
            mass += here.sum()
    gap = expit(cg.mixup_log_odds(x, m, 1.0)) - expit(2 * m * x)
    assert numerator / mass - expit(2 * m * x) == pytest.approx(gap, abs=2e-7)


# ---- the chapter's numbers ----


def test_confidence_that_lacks():
    found = [-cg.confidence_gap(m, 1.0) for m in (0.5, 1, 1.5, 2, 3, 4)]
    np.testing.assert_allclose(found, [0.010474, 0.042958, 0.068266, 0.073919, 0.055837, 0.038721], atol=6e-7)


def test_temperatures():
    np.testing.assert_allclose([ct.temperature(m, 1.0) for m in (0.5, 1, 1.5, 2)], [0.9229, 0.7419, 0.5386, 0.3538],
                               atol=6e-5)
    np.testing.assert_allclose([ct.after_temperature(m, 1.0) for m in (0.5, 1, 1.5, 2)],
                               [0.0020, 0.0047, 0.0011, 0.0012], atol=6e-5)


def test_slopes():
    np.testing.assert_allclose([ct.restricted_slope(a, 1.5) for a in (0.2, 1.0, 5.0)], [2.06326, 1.57619, 1.40716],
                               atol=6e-6)
    assert cg.midpoint_slope(2.0, 1.0) == pytest.approx(1.310, abs=6e-4)
    step = cg.mixup_log_odds(1e-5, 2.0, 1.0) / 1e-5
    assert cg.midpoint_slope(2.0, 1.0) == pytest.approx(float(step), rel=1e-8)


def test_dimension():
    np.testing.assert_allclose([cg.dimension_gap(d, 1.5, 1.0) for d in (1, 2, 5, 20, 100, 500)],
                               [0.068, 0.067, 0.062, 0.047, 0.023, 0.010], atol=6e-4)
    assert cg.dimension_gap(1, 1.5, 1.0) == pytest.approx(-cg.confidence_gap(1.5, 1.0), rel=1e-12)


@pytest.mark.parametrize("m", [0.25, 1.0, 2.5, 4.0])
@pytest.mark.parametrize("alpha", [0.1, 1.0, 64.0])
def test_never_more_confident_than_the_truth(m, alpha):
    x = np.linspace(0, m + 4, 400)
    assert (cg.mixup_log_odds(x, m, alpha) <= 2 * m * x + 1e-11).all()
    assert (cg.mixup_log_odds(x, m, alpha) >= -1e-11).all()


def test_tails():
    found = 2 * cg.tail_doubt(np.array([4.4, 6.0, 8.0]), 1.0, 8.0)
    np.testing.assert_allclose(found, [0.0161, 0.0216, 0.0247], atol=6e-5)


def test_three_groups():
    assert cg.atoms_posterior(0.5, 1.0) == pytest.approx(0.6540, abs=6e-5)
    assert cg.atoms_posterior(0.5, 0.0) == pytest.approx(0.5, abs=1e-4)


def test_lda():
    shrink = {0: 1.0, 1: 2 / 3, 10: 11 / 21}
    expected = {20: (0.0077, 0.0448, 0.0816), 100: (0.0360, 0.0147, 0.0504), 300: (0.0912, 0.0438, 0.0100)}
    for d, row in expected.items():
        found = [cs.plug_in_ece(200, 1.2, d / 200, s) for s in shrink.values()]
        np.testing.assert_allclose(found, row, atol=6e-5)
    assert cs.overshoot(1.2, 0.1) == pytest.approx(0.1628, abs=6e-5)
    k, a = cs.plug_in(1.2, 0.5)
    best = cs.best_alpha(a / k)
    assert cs.plug_in_ece(200, 1.2, 0.5, (best + 1) / (2 * best + 1)) == pytest.approx(0, abs=1e-14)
    assert cs.overshoot(0.5, 3.0) == np.inf


def test_links():
    found = [cs.link_ece(1.5, 1.5, a) for a in (0.0, 0.2)] + [cs.link_ece_scaled(1.5, 1.5, a) for a in (0.0, 0.2)]
    np.testing.assert_allclose(found, [0.0488, 0.0086, 0.0, 0.0101], atol=6e-5)
    np.testing.assert_allclose([cs.link_ece(1.5, 0.1, a) for a in (0.0, 0.2)], [0.0034, 0.0285], atol=6e-5)


def test_scores():
    assert ct.score_ece(lambda x: 3.0 * x, 1.5) == pytest.approx(0, abs=1e-15)
    x = np.linspace(-11, 11, 200_001)
    p = (norm.pdf(x - 1.5) + norm.pdf(x + 1.5)) / 2 * (x[1] - x[0])
    naive = p @ np.abs(expit(x**3) - expit(3 * x))
    assert ct.score_ece(lambda x: x**3, 1.5) == pytest.approx(naive, abs=1e-8)
    assert ct.score_temperature(lambda x: 4.5 * x, 1.5) == pytest.approx(1.5, rel=1e-12)


def test_best_answers():
    labels, weights = np.array([[1.0, 0.0], [0.25, 0.75]]), np.array([0.2, 0.8])
    np.testing.assert_allclose(cal.optimal_prediction(labels, weights), [0.4, 0.6], rtol=1e-15)
    assert cal.pair_prediction(3.0, 1.0) == 0.75
    assert cal.one_hot_share((0.5, 0.25, 0.25)) == 0.375
    assert cal.quadratic_gap(1.0, 0.3, 2.0) == pytest.approx(0.2)
    affine = cal.chord_gap(0.3 + 0.1 * cal.X, cal.X**2, [-1.0, 2.0, 0.5], [0.2, 0.3, 0.5], 0.7)
    assert affine == pytest.approx(0, abs=1e-15)


def test_a_deficit_is_never_negative():
    rng = np.random.default_rng(1)
    x, m, lam = 4 * rng.random(4000), 3 * rng.random(4000), rng.random(4000)
    assert (cg.deficit(x, m, lam) >= -1e-15).all()


@pytest.mark.parametrize(("call", "named"), [
    (lambda: cm.mixup_posterior([0.0], [-1.0, 1.0], 1.0, [0.5, 0.6], 1.0), "priors"),
    (lambda: cm.mixup_posterior([0.0], [-1.0, 1.0], 1.0, [1.0], 1.0), "priors"),
    (lambda: cm.mixup_posterior([0.0], [-1.0, 1.0], 0.0, [0.5, 0.5], 1.0), "covariances"),
    (lambda: cm.mixup_posterior([0.0], [-1.0, 1.0], np.ones((2, 2, 2)), [0.5, 0.5], 1.0), "covariances"),
    (lambda: cm.mixup_posterior(np.zeros((1, 2)), np.eye(2), np.ones((2, 2)), [0.5, 0.5], 1.0), "covariances"),
    (lambda: cm.mixup_posterior(np.zeros((1, 2)), np.eye(2), np.array([np.eye(2), -np.eye(2)]), [0.5, 0.5], 1.0),
     r"covariances\[1\]"),
    (lambda: cm.mixup_posterior([0.0], [-1.0, 1.0], 1.0, [0.5, 0.5], -0.1), "alpha"),
    (lambda: cm.mixup_posterior([0.0], [-1.0, 1.0], 1.0, [0.5, 0.5], np.nan), "alpha"),
    (lambda: cm.mixup_posterior([np.nan], [-1.0, 1.0], 1.0, [0.5, 0.5], 1.0), "x"),
    (lambda: cm.mixup_posterior(np.zeros((3, 3)), np.eye(2), 1.0, [0.5, 0.5], 1.0), "x"),
    (lambda: cm.mixup_posterior([0.0], [-1.0, np.inf], 1.0, [0.5, 0.5], 1.0), "means"),
    (lambda: cm.mixup_posterior([0.0], 1.0, 1.0, [0.5, 0.5], 1.0), "means"),
    (lambda: cm.mixup_posterior([0.0], [-1.0, 1.0], 1.0, [0.5, 0.5], 1.0, nodes=0), "nodes"),
    (lambda: cm.mixup_posterior([0.0], [-1.0, 1.0], 1.0, [0.5, 0.5], 1.0, block=0), "block"),
    (lambda: cm.bayes_posterior([0.0], [-1.0, 1.0], -1.0, [0.5, 0.5]), "covariances"),
    (lambda: cal.optimal_prediction([[1.0, 0.0]], [0.9]), "weights"),
    (lambda: cal.pair_prediction(0.0, 1.0), "a"),
    (lambda: cal.one_hot_share((0.5, 0.6)), "priors"),
    (lambda: cal.label_share(lambda k, j, lam: lam, [0.5, 0.6], 1.0), "priors"),
    (lambda: cal.label_share(lambda k, j, lam: lam, [0.5, 0.5], -1.0), "alpha"),
    (lambda: cal.chord_gap(cal.X, sp.S.One, [0.0, 1.0], [0.5, 0.6], 1.0), "weights"),
    (lambda: cal.quadratic_gap(1.0, 0.1, -1.0), "variance"),
    (lambda: cg.deficit(1.0, 1.0, 1.2), "lam"),
    (lambda: cg.bayes_confidence(1.0, 0.0), "m"),
    (lambda: cg.confidence_gap(-1.0, 1.0), "m"),
    (lambda: cg.midpoint_slope(1.0, -1.0), "alpha"),
    (lambda: cg.dimension_gap(0, 1.0, 1.0), "d"),
    (lambda: cg.atoms_posterior(0.5, 1.0, 0.0), "noise"),
    (lambda: ct.exact_temperature(-1.0, 1.0), "slope"),
    (lambda: ct.score_temperature(lambda x: -x, 1.0), "log_odds"),
    (lambda: ct.score_ece(lambda x: np.nan * x, 1.0), "log_odds"),
    (lambda: ct.restricted_slope(1.0, 7.0), "m"),
    (lambda: cs.best_alpha(0.5), "kappa"),
    (lambda: cs.plug_in_moments(1.0, 0.0), "ratio"),
    (lambda: cs.plug_in_ece(100, 1.0, 0.1, 0.0), "factor"),
    (lambda: cs.mixed_direction(-1.0, 0.1, 0.2, 0.0), "alpha"),
])
def test_arguments_outside_the_domain_are_named(call, named):
    with pytest.raises(DomainError, match=rf"^{named}[ ,:]"):
        call()
