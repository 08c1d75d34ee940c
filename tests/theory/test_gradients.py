"""The formulas of the chapter as numbers, against loops, autograd and simulated batches, and what they refuse."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from mixtheory.domain import DomainError
from mixtheory.theory import gradients, gradients_logistic, gradients_losses, gradients_noise, gradients_scale

near = {"rtol": 1e-12, "atol": 1e-12}
SCHEMES = [
    ("fresh", "element", 1),
    ("fresh", "element", 2),
    ("fresh", "batch", 2),
    ("roll", "batch", 3),
    ("roll", "element", 3),
    ("flip", "batch", 2),
    ("flip", "pair", 2),
    ("flip", "element", 2),
    ("permutation", "batch", 2),
    ("permutation", "batch", 3),
    ("permutation", "element", 2),
    ("permutation", "element", 3),
]
POPULATION = [(-1.0, 0.4), (-1.0, -0.4), (0.5, 0.4), (0.5, -0.4), (0.5, 0.4), (0.5, -0.4)]  # (x, noise), mean 0


def weights(alpha):
    """(lambda, probability), exact for polynomials of degree 5; alpha in {0, 1, 2, inf}."""
    if alpha in (0, np.inf):
        return [(0.0, 0.5), (1.0, 0.5)] if alpha == 0 else [(0.5, 1.0)]
    t, w = np.polynomial.legendre.leggauss(4)
    w = w * ((1 - t**2) / 4) ** (alpha - 1)
    return list(zip((t + 1) / 2, w / w.sum(), strict=True))


def loops(alpha, delta, pairing, sharing, n):
    """Mean and variance of the batch gradient by loops over batches, partners and lambdas; one feature."""
    partners = {
        "fresh": [[n + i for i in range(n)]],
        "roll": [[(i - 1) % n for i in range(n)]],
        "flip": [[n - 1 - i for i in range(n)]],
        "permutation": list(itertools.permutations(range(n))),
    }[pairing]
    mean = square = 0.0
    for batch in itertools.product(POPULATION, repeat=2 * n if pairing == "fresh" else n):
        g_of = [(x, delta * x - e) for x, e in batch]
        for partner in partners:
            for drawn in itertools.product(weights(alpha), repeat=1 if sharing != "element" else n):
                lams = list(drawn) * n if sharing != "element" else drawn
                p = np.prod([p for _, p in drawn]) / len(partners) / len(POPULATION) ** len(batch)
                g = 0.0
                for i in range(n):
                    lam, (x, r), (z, t) = lams[i][0], g_of[i], g_of[partner[i]]
                    g += (lam * x + (1 - lam) * z) * (lam * r + (1 - lam) * t) / n
                mean, square = mean + p * g, square + p * g**2
    return mean, square - mean**2


@pytest.mark.parametrize(("pairing", "sharing", "n"), SCHEMES)
@pytest.mark.parametrize("alpha", [1, np.inf])
def test_mean_and_covariance_of_every_scheme(alpha, pairing, sharing, n):
    delta = 0.8
    x = np.array([x for x, _ in POPULATION])
    Sigma, fourth = np.array([[np.mean(x**2)]]), np.array([[delta**2 * np.mean(x**4)]])
    mean, variance = loops(alpha, delta, pairing, sharing, n)
    np.testing.assert_allclose(
        gradients_noise.gradient_mean(alpha, Sigma, [delta], pairing=pairing, n=n), mean, **near
    )
    formula = gradients_noise.gradient_covariance(
        alpha, Sigma, [delta], 0.16, fourth=fourth, pairing=pairing, sharing=sharing, n=n
    )
    np.testing.assert_allclose(formula, variance, **near)


def test_heteroscedastic_noise_has_its_own_argument():
    """Noise only where |x| = 1, of variance 0.9: E[eps^2 x^2] is not sigma^2 Sigma."""
    rows = [(-1.0, s * np.sqrt(0.9)) for s in (-1, 1)] + [(0.5, 0.0)] * 4
    lam, p = np.array(weights(1)).T
    g = np.array(
        [
            [(a * x + (1 - a) * z) * (a * (0.8 * x - e) + (1 - a) * (0.8 * z - f)) for a in lam]
            for (x, e), (z, f) in itertools.product(rows, repeat=2)
        ]
    )
    variance = (g**2 @ p).mean() - (g @ p).mean() ** 2
    x = np.array([x for x, _ in rows])
    given = {"Sigma": [[np.mean(x**2)]], "delta": [0.8], "noise": 0.3, "fourth": [[0.64 * np.mean(x**4)]]}
    second = np.array([[np.mean([x**2 * e**2 for x, e in rows])]])
    right = gradients_noise.gradient_covariance(1, noise_second=second, **given)
    np.testing.assert_allclose(right, variance, **near)
    assert abs(gradients_noise.gradient_covariance(1, **given).item() / variance - 1) > 0.1


def test_no_mixing_is_erm():
    Sigma, delta = np.array([[2.0, 0.3], [0.3, 0.5]]), np.array([0.4, -1.0])
    m = Sigma @ delta
    plain = (delta @ m + 0.7) * Sigma + np.outer(m, m)  # Gaussian
    np.testing.assert_allclose(gradients_noise.gradient_covariance(0, Sigma, delta, 0.7), plain, **near)
    np.testing.assert_allclose(gradients_scale.gaussian_covariance(0, Sigma, delta, 0.7), plain, **near)
    np.testing.assert_allclose(
        gradients_noise.gradient_covariance(1.3, Sigma, delta, 0.7),
        gradients_scale.gaussian_covariance(1.3, Sigma, delta, 0.7),
        **near,
    )


@pytest.mark.parametrize(
    ("scheme", "factor"),
    [
        ({"pairing": "roll", "sharing": "batch"}, 0.7899),
        ({"pairing": "flip", "sharing": "batch"}, 0.8151),
        ({"pairing": "roll", "sharing": "element"}, 1.1321),
        ({"pairing": "flip", "sharing": "element"}, 1.1423),
        ({"pairing": "roll", "sharing": "element", "folded": True}, 0.8140),
    ],
)
def test_factors_at_the_minimum(scheme, factor):
    assert gradients_noise.noise_factor(0.2, **scheme) == pytest.approx(factor, abs=6e-5)


def test_the_limits_of_the_factors():
    factor = gradients_noise.noise_factor
    assert factor(0.0, "roll", "element") == 1.5  # a resampling with duplicates, not ERM
    assert factor(0.0, "roll", "element", folded=True) == pytest.approx(1)
    assert factor(np.inf, "roll", "batch") == pytest.approx(3 / 8)
    assert factor(np.inf, "flip", "batch") == pytest.approx(1 / 2)
    assert factor(np.inf) == pytest.approx(1 / 4)
    assert factor(1.0, "permutation", "batch", n=10**7) == pytest.approx(factor(1.0, "roll", "batch"), rel=1e-6)


@pytest.mark.parametrize(("pairing", "value"), [("roll", 0.32499), ("flip", 0.34981)])
def test_the_factor_crosses_one_at_the_threshold(pairing, value):
    threshold = gradients_scale.threshold(pairing)
    assert threshold == pytest.approx(value, abs=1e-5)
    below, above = (gradients_noise.noise_factor(threshold * k, pairing, "element") for k in (0.99, 1.01))
    assert below > 1 > above


def test_the_threshold_of_tails_is_where_q4_is_s_squared():
    threshold = gradients_scale.threshold("tails")
    assert threshold == pytest.approx((np.sqrt(17) - 3) / 4)
    assert gradients_scale.tail_ratio(threshold) == pytest.approx(1)
    assert gradients_scale.tail_ratio(0.1222) == pytest.approx(1.00903, abs=1e-5)
    assert gradients_scale.tail_ratio(1.0) == pytest.approx(0.9)


def test_noise_scale_by_simulation_free_moments():
    """tr Cov / |mean|^2 of Gaussian data, from omega^2 and A by hand."""
    Sigma, delta, noise = np.diag([1.0, 0.25]), np.array([0.6, 1.0]), 0.4
    m = Sigma @ delta
    A = (delta @ m + noise) * 1.25 / (m @ m)
    assert gradients_scale.noise_scale(0, Sigma, delta, noise) == pytest.approx(A + 1)
    for alpha in (0.2, 1.0, 4.0):
        assert gradients_scale.noise_scale(alpha, Sigma, delta, noise) == pytest.approx(
            gradients_scale.gaussian_noise_scale(alpha, A)
        )
    shared = gradients_scale.noise_scale(1.0, Sigma, delta, noise, pairing="roll", sharing="batch", n=10**9)
    assert shared == pytest.approx(1 / 45 / (4 / 9), rel=1e-6)  # V_S/s^2: the floor


def test_student_tails_gain_from_mixing():
    """Three-point features of kurtosis 50 in one dimension, no noise: C_g = 49 m^2."""
    heavy = gradients_scale.elliptical_fourth(np.eye(1), [1.0], kappa=50.0)
    scales = [gradients_scale.noise_scale(a, np.eye(1), [1.0], fourth=heavy) for a in (0.0, 1.0)]
    assert scales[0] == pytest.approx(49)
    assert scales[1] < scales[0]
    assert scales[1] - scales[0] == pytest.approx(gradients_scale.noise_scale_tails(1.0, 1.0, 47.0))


def test_fourth_moments_of_independent_components_by_enumeration():
    L, delta = np.array([[1.0, 0.2], [-0.4, 0.9]]), np.array([0.3, 1.1])
    kappa = np.array([2.0, 5.0])
    values = [[(-np.sqrt(k), 0.5 / k), (0.0, 1 - 1 / k), (np.sqrt(k), 0.5 / k)] for k in kappa]
    naive = np.zeros((2, 2))
    for (a, p), (b, q) in itertools.product(*values):
        x = L @ [a, b]
        naive += p * q * np.outer(x, x) * (delta @ x) ** 2
    np.testing.assert_allclose(gradients_scale.independent_fourth(L, delta, kappa), naive, **near)


# ---- losses ---


def torch_losses():
    """The losses as they are written in torch and torchvision, for one output and a target in [0, 1]."""
    F = torch.nn.functional
    bce = F.binary_cross_entropy_with_logits
    return {
        "cross_entropy": bce,
        "squared": F.mse_loss,
        "brier": lambda z, y: (torch.sigmoid(z) - y) ** 2,
        "linear_focal": lambda z, y: (
            -y * (1 - torch.sigmoid(z)) ** 2 * F.logsigmoid(z)
            - (1 - y) * torch.sigmoid(z) ** 2 * F.logsigmoid(-z)
        ),
        "focal": lambda z, y: (
            bce(z, y) * (1 - (torch.sigmoid(z) * y + (1 - torch.sigmoid(z)) * (1 - y))) ** 2
        ),
        "quality_focal": lambda z, y: bce(z, y) * (torch.sigmoid(z) - y).abs() ** 2,
        "hinge": lambda z, y: torch.relu(1 - (2 * y - 1) * z),
        "squared_hinge": lambda z, y: torch.relu(1 - (2 * y - 1) * z) ** 2,
        "absolute": F.l1_loss,
        "huber": lambda z, y: F.huber_loss(z, y, delta=0.5),
    }


@pytest.mark.parametrize("loss", [*gradients_losses.AFFINE, *gradients_losses.BENT])
@pytest.mark.parametrize("y", [0.0, 0.35, 1.0])
@pytest.mark.parametrize("z", [0.3, 1.4, -0.8])
def test_gradients_are_those_of_autograd(loss, z, y):
    output = torch.tensor(z, dtype=torch.float64, requires_grad=True)
    torch_losses()[loss](output, torch.tensor(y, dtype=torch.float64)).backward()
    formula = {**gradients_losses.AFFINE, **gradients_losses.BENT}[loss]
    assert float(formula(z, y)) == pytest.approx(float(output.grad), abs=1e-12)


@pytest.mark.parametrize(
    ("loss", "at_03", "at_14"),
    [
        ("focal", 0.09319, 0.3748),
        ("quality_focal", 0.1183, 0.3414),
        ("squared_hinge", 0.546, 2.268),
        ("hinge", 0.0, 0.35),
        ("absolute", 1.3, 0.0),
        ("huber", 0.07, -0.035),
    ],
)
def test_gaps(loss, at_03, at_14):
    assert gradients_losses.label_gap(loss, 0.3, 0.35) == pytest.approx(at_03, abs=6e-5)
    assert gradients_losses.label_gap(loss, 1.4, 0.35) == pytest.approx(at_14, abs=6e-5)


def test_target_gap_of_softmax_cross_entropy_is_zero():
    labels = np.array([[1.0, 0, 0], [0, 1.0, 0], [0.2, 0.3, 0.5]])

    def gradient(z, y):
        logits = torch.tensor(z, requires_grad=True)
        torch.nn.functional.cross_entropy(logits, torch.tensor(y)).backward()
        return logits.grad.numpy()

    gap = gradients_losses.target_gap(gradient, np.array([0.1, 2.0, -1.0]), labels, [0.5, 0.2, 0.3])
    np.testing.assert_allclose(gap, 0, atol=1e-15)


def test_the_constant_of_two_squares():
    assert gradients_losses.squared_constant(1.0, 3.0) == pytest.approx(1.0)  # 1 - s = 1/3
    assert gradients_losses.squared_two_losses(0.5, [0.0], [1.0], [-1.0]) == pytest.approx(1.0)


# ---- the rest ---


def test_mean_label_by_a_narrow_window():
    """Simulated: the mean target of mixed points that fall near t."""
    rng = np.random.default_rng(0)
    x, y = np.array([0.0, 0.7, 2.0, 2.5]), np.array([1.0, 0.0, 3.0, 0.0])
    i, j = rng.integers(4, size=(2, 4_000_000))
    lam = rng.beta(0.6, 0.6, size=i.size)
    points, targets = lam * x[i] + (1 - lam) * x[j], lam * y[i] + (1 - lam) * y[j]
    for t in (0.3, 1.2, 2.2):
        here = np.abs(points - t) < 0.01
        mean, se = targets[here].mean(), targets[here].std() / np.sqrt(here.sum())
        assert abs(gradients.conditional_mean_label(t, 0.6, x, y) - mean) < 5 * se + 1e-3


def test_gradient_split_adds_up():
    """Three draws: input 0 with targets 0 and 1, input 1 with target 1; one parameter."""
    g = np.array([0.3 - 0.0, 0.3 - 1.0, 2 * (0.6 - 1.0)])
    p = np.array([0.2, 0.2, 0.6])
    given = gradients.Given([0.4, 0.6], [[1.0], [2.0]], [0.3 - 0.5, 0.6 - 1.0], [0.25, 0.0])
    between, within = gradients.gradient_split(given)
    assert (between + within).item() == pytest.approx(p @ g**2 - (p @ g) ** 2)
    assert within.item() == pytest.approx(0.4 * 0.25)
    np.testing.assert_allclose(gradients.total_noise(given), between + within)


def test_mixup_gradient_by_autograd():
    rng = np.random.default_rng(1)
    x, y, w = rng.normal(size=(5, 2)), np.array([0.0, 1, 1, 0, 1]), np.array([0.4, -1.2])
    W = torch.tensor(w, requires_grad=True)
    X, Y = torch.tensor(x), torch.tensor(y)
    total = 0
    for lam, p in weights(1):  # four nodes: the sigmoid is smooth enough for 1e-6
        mixed = lam * X[:, None] + (1 - lam) * X[None]
        target = lam * Y[:, None] + (1 - lam) * Y[None]
        total += p * torch.nn.functional.binary_cross_entropy_with_logits(mixed @ W, target)
    total.backward()
    np.testing.assert_allclose(gradients.mixup_gradient(1.0, x, y, w), W.grad.numpy(), atol=1e-6)


@pytest.mark.parametrize(
    ("m", "along", "across"), [(0.8, 0.585, 0.474), (1.5, 1.53, 0.59), (2.5, 26.7, 2.16)]
)
def test_logistic_noise_at_the_optima(m, along, across):
    ratio = gradients_logistic.logistic_noise_ratio(1.0, m)
    np.testing.assert_allclose(ratio, [along, across], rtol=5e-3)


def test_logistic_noise_at_zero_by_quadrature():
    for m in (0.5, 2.0):
        np.testing.assert_allclose(
            gradients_logistic.logistic_noise(0.7, m, 0.0),
            gradients_logistic.logistic_noise_zero(0.7, m),
            rtol=1e-10,
        )
        assert gradients_logistic.logistic_mean(0.7, m, 0.0) == pytest.approx(
            gradients_logistic.logistic_mean_zero(0.7, m)
        )
    assert gradients_logistic.logistic_threshold(1.0) ** 0.5 == pytest.approx(1.852, abs=1e-3)


# ---- bad input ---

EYE, ONE = np.eye(2), np.ones(2)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: gradients_noise.scheme_weights(-1.0), "alpha"),
        (lambda: gradients_noise.scheme_weights(1.0, 4, "independent"), "pairing"),
        (lambda: gradients_noise.scheme_weights(1.0, 4, "roll", "pair"), "sharing"),
        (lambda: gradients_noise.scheme_weights(1.0, 2, "roll"), "n"),
        (lambda: gradients_noise.scheme_weights(1.0, 3, "flip"), "n"),
        (lambda: gradients_noise.scheme_weights(1.0, 1, "permutation"), "n"),
        (lambda: gradients_noise.noise_factor(1.0, "permutation"), "n"),
        (lambda: gradients_noise.gradient_mean(1.0, EYE, np.ones(3)), "delta"),
        (lambda: gradients_noise.gradient_covariance(1.0, -EYE, ONE), "Sigma"),
        (lambda: gradients_noise.gradient_covariance(1.0, EYE, ONE, -0.1), "noise"),
        (lambda: gradients_noise.gradient_covariance(1.0, EYE, ONE, fourth=np.eye(3)), "fourth"),
        (lambda: gradients_noise.gradient_covariance(1.0, EYE, ONE, noise_second=[[1.0]]), "noise_second"),
        (lambda: gradients_scale.elliptical_fourth(EYE, ONE, 1.4), "kappa"),
        (lambda: gradients_scale.independent_fourth(EYE, ONE, 0.9), "kappa"),
        (lambda: gradients_scale.independent_fourth(ONE, ONE, 3.0), "L"),
        (lambda: gradients_scale.noise_scale(1.0, EYE, np.zeros(2)), "delta"),
        (lambda: gradients_scale.gaussian_noise_scale(1.0, 0.9), "A"),
        (lambda: gradients_scale.threshold("permutation"), "which"),
        (lambda: gradients_scale.floor(1.0, EYE, ONE, "rol"), "pairing"),
        (lambda: gradients_losses.target_gap(np.subtract, 0.0, [0.0, 1.0], [0.5, 0.6]), "weights"),
        (lambda: gradients_losses.target_gap(np.subtract, 0.0, [0.0, 1.0, 2.0], [0.5, 0.5]), "labels"),
        (lambda: gradients_losses.gradient_at_mean_label("focal", 0.0, [0.0], [1.0]), "loss"),
        (lambda: gradients_losses.label_gap("brier", 0.0, 0.5), "loss"),
        (lambda: gradients_losses.label_gap("hinge", 0.0, 1.5), "q"),
        (lambda: gradients_losses.bend_gap(-0.1, 1.0, 1.0), "q"),
        (lambda: gradients_losses.mixed_cross_entropy(1.2, [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]), "lam"),
        (lambda: gradients_losses.mixed_cross_entropy(0.2, [0.0, 1.0], [1.0, 0.5], [0.0, 1.0]), "y"),
        (lambda: gradients.gradient_split(gradients.Given([0.5, 0.6], EYE, ONE, ONE)), "p"),
        (lambda: gradients.gradient_split(gradients.Given([0.5, 0.5], EYE, ONE, -ONE)), "variance"),
        (lambda: gradients.gradient_split(gradients.Given([0.5, 0.5], ONE, ONE, ONE)), "J"),
        (lambda: gradients.total_noise("hill"), "given"),
        (lambda: gradients.conditional_mean_label(0.5, 0.0, [0.0, 1.0], [0.0, 1.0]), "alpha"),
        (lambda: gradients.conditional_mean_label(0.5, 1.0, [0.0, 1.0, 1.0], [0.0, 1.0, 2.0]), "x"),
        (lambda: gradients.conditional_mean_label(1.0, 1.0, [0.0, 1.0, 2.0], [0.0, 1.0, 2.0]), "t"),
        (lambda: gradients.mixup_gradient(1.0, ONE, ONE, ONE), "x"),
        (lambda: gradients.mixup_gradient(1.0, EYE, np.ones(3), ONE), "y"),
        (lambda: gradients_logistic.logistic_mean(1.0, 6.0, 1.0), "m"),
        (lambda: gradients_logistic.logistic_noise(1.0, 1.0, np.nan), "w"),
        (lambda: gradients_logistic.logistic_threshold(0.0), "alpha"),
    ],
)
def test_arguments_outside_the_domain_are_named(call, named):
    with pytest.raises(DomainError, match=rf"^{named} = "):
        call()
