"""The chord penalty against loops, grids and double sums written here, and arguments outside their domains."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, special, stats

from mixtheory.domain import DomainError
from mixtheory.theory import (
    geometry,
    geometry_bounds,
    geometry_conflict,
    geometry_gaussian,
    geometry_kinks,
    geometry_loss,
    geometry_smooth,
)
from mixtheory.theory.geometry_loss import Network, Problem

RNG = np.random.default_rng(11)
KINKS, JUMPS = np.array([0.7, 0.12, 0.45, 0.93]), np.array([1.5, -0.4, -2.2, 0.9])
NET = Network(RNG.standard_normal((16, 3)), RNG.standard_normal(16), RNG.standard_normal(16) / 4, 0.3)
POINTS = RNG.standard_normal((9, 3))
LABELS = NET(POINTS) + 0.3 * RNG.standard_normal(9) + 0.2


def integral(h, alpha, points=()):
    """Mean over Beta(alpha, alpha) by adaptive quadrature in the quantile, lambda = F^-1(q)."""
    law = stats.beta(alpha, alpha)
    cuts = sorted(law.cdf(points)) if len(points) else None
    return integrate.quad(lambda q: h(law.ppf(q)), 0, 1, points=cuts, limit=300, epsabs=1e-13)[0]


def naive_deviation(phi, lam):
    return phi(lam) - lam * phi(1.0) - (1 - lam) * phi(0.0)


def piecewise(kinks, jumps):
    return lambda t: 2.0 - 0.7 * t + sum(J * max(0.0, t - k) for k, J in zip(kinks, jumps, strict=True))


# --- one segment --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lam", [0.0, 0.1, 0.45, 0.8, 1.0])
def test_tents_add_up_to_the_deviation(lam):
    expected = naive_deviation(piecewise(KINKS, JUMPS), lam)
    assert geometry.deviation(lam, KINKS, JUMPS) == pytest.approx(expected, abs=1e-14)


def test_the_tent_is_symmetric_and_peaks_at_its_kink():
    lam = np.linspace(0, 1, 101)
    np.testing.assert_allclose(geometry.tent(lam, 0.3), geometry.tent(0.3, lam))
    assert lam[np.argmax(geometry.tent(lam, 0.3))] == pytest.approx(0.3)
    assert geometry.tent(0.5, 0.5) == 0.25


def test_many_profiles_at_once():
    k, J = RNG.random((5, 2, 7)), RNG.standard_normal((5, 2, 7))
    together = geometry_kinks.chord_penalty(k, J, 0.7)
    assert together.shape == (5, 2)
    for i in np.ndindex(5, 2):
        assert together[i] == pytest.approx(float(geometry_kinks.chord_penalty(k[i], J[i], 0.7)), rel=1e-12)
    np.testing.assert_allclose(
        geometry.deviation(np.full((5, 2), 0.4), k, J)[3, 1], geometry.deviation(0.4, k[3, 1], J[3, 1])
    )


@pytest.mark.parametrize("alpha", [0.3, 1.0, 5.0])
def test_penalty_is_a_double_sum(alpha):
    gram = np.array([[geometry_kinks.kink_moment(alpha, a, b) for a in KINKS] for b in KINKS])
    assert geometry_kinks.chord_penalty(KINKS, JUMPS, alpha) == pytest.approx(JUMPS @ gram @ JUMPS, rel=1e-12)
    phi = piecewise(KINKS, JUMPS)
    expected = integral(lambda lam: naive_deviation(phi, lam) ** 2, alpha, KINKS)
    assert geometry_kinks.chord_penalty(KINKS, JUMPS, alpha) == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("alpha", [0.05, 30.0, 1e4])
def test_extreme_weights(alpha):
    value = geometry_kinks.kink_moment(alpha, 0.3, 0.6)
    law = stats.beta(alpha, alpha)
    sample = law.ppf((np.arange(400_000) + 0.5) / 400_000)
    expected = np.mean(geometry.tent(sample, 0.3) * geometry.tent(sample, 0.6))
    assert value == pytest.approx(expected, rel=2e-4)


def test_limits_of_alpha():
    assert geometry_kinks.chord_penalty(KINKS, JUMPS, 0.0) == 0
    assert geometry_kinks.kink_moment(0, 0.3, 0.4) == 0
    middle = geometry.deviation(0.5, KINKS, JUMPS) ** 2
    assert geometry_kinks.chord_penalty(KINKS, JUMPS, np.inf) == pytest.approx(middle)
    assert geometry_kinks.chord_penalty(KINKS, JUMPS, 1e7) == pytest.approx(middle, rel=2e-3)
    assert geometry_kinks.chord_penalty(KINKS, JUMPS, 1e-7) < 1e-6


def test_uniform_weights_are_polynomials():
    for a, b in ((0.2, 0.7), (0.7, 0.2), (0.4, 0.4)):
        assert geometry_kinks.kink_moment(1.0, a, b) == pytest.approx(
            geometry_kinks.kink_moment_uniform(a, b), rel=1e-13
        )
    assert geometry_kinks.kink_moment_uniform(0.3, 0.3) == pytest.approx(geometry_kinks.one_kink(0.3, 1.0))
    assert geometry_kinks.one_kink(0.5, 2.0) == pytest.approx(4 / 48)


def test_kinks_at_the_ends_and_none_cost_nothing():
    assert geometry_kinks.chord_penalty([0.0, 1.0], [3.0, 4.0], 0.6) == pytest.approx(0, abs=1e-15)
    assert geometry_kinks.chord_penalty(np.zeros((2, 0)), np.zeros((2, 0)), 0.6).tolist() == [0, 0]


def test_a_second_kink_helps_but_never_cancels():
    a, b = 0.3, 0.55
    J = np.linspace(-3, 3, 20001)
    k = np.broadcast_to([a, b], (len(J), 2))
    grid = geometry_kinks.chord_penalty(k, np.stack([np.ones_like(J), J], -1), 1.0)
    assert geometry_kinks.cheapest_pair(a, b) == pytest.approx(grid.min(), rel=1e-5)
    assert 0 < geometry_kinks.cheapest_pair(a, b) < geometry_kinks.one_kink(a, 1.0)
    assert geometry_kinks.cheapest_pair(1 - a, 1 - b) == pytest.approx(geometry_kinks.cheapest_pair(a, b))


def test_slope_variation_merges_coincident_kinks():
    k = np.array([[0.5, 0.2, 0.5, 0.2], [0.1, 0.2, 0.3, 1.0]])
    J = np.array([[1.0, 2.0, -1.5, 3.0], [1.0, -1.0, 1.0, 9.0]])
    assert geometry.slope_variation(k, J).tolist() == [5.5, 3.0]
    assert geometry.slope_variation([0.4, 0.4, 0.4], [1.0, 1.0, -3.0]) == 1.0


# --- networks -----------------------------------------------------------------------------------------------------


def test_relu_kinks_are_where_the_network_bends():
    x1, x2 = POINTS[:4], POINTS[4:8]
    k, J = geometry.relu_kinks(NET.W, NET.b, NET.a, x1, x2)
    assert k.shape == J.shape == (4, 16)
    assert (J != 0).any(axis=1).all()
    assert (J == 0).any()
    for p in range(4):
        for lam in (0.13, 0.5, 0.77):
            expected = naive_deviation(lambda t, p=p: float(NET(t * x1[p] + (1 - t) * x2[p])), lam)
            assert geometry.deviation(lam, k[p], J[p]) == pytest.approx(expected, abs=1e-13)


def test_a_unit_that_vanishes_at_an_end_has_no_kink_inside():
    found = geometry.relu_kinks([[1.0]], [-1.0], [1.0], [[1.0], [3.0]], [[0.0], [1.0]])
    assert found.jump.tolist() == [[0.0], [0.0]]


def naive_loss(f, x, y, alpha, pairs):
    """A fine midpoint rule in the quantiles of lambda, one pair after the other."""
    lam = special.betaincinv(alpha, alpha, (np.arange(20_000) + 0.5) / 20_000)[:, None]
    values = [np.mean((f(lam * x[i] + (1 - lam) * x[j]) - (lam[:, 0] * y[i] + (1 - lam[:, 0]) * y[j])) ** 2)
              for i, j in pairs]
    return np.mean(values)


@pytest.mark.parametrize("alpha", [0.4, 1.0])
@pytest.mark.parametrize("f", [NET, lambda x: np.sin(x[:, 0]) + x[:, 1] * x[:, 2]])
def test_loss_over_all_pairs_and_over_distinct_ones(f, alpha):
    n = len(POINTS)
    every = [(i, j) for i in range(n) for j in range(n)]
    problem = Problem(f, POINTS, LABELS)
    total = geometry_loss.mixup_mse(alpha, problem)
    assert total == pytest.approx(naive_loss(f, POINTS, LABELS, alpha, every), rel=1e-4)
    distinct = geometry_loss.mixup_mse_distinct(alpha, problem)
    assert distinct == pytest.approx(
        naive_loss(f, POINTS, LABELS, alpha, [p for p in every if p[0] != p[1]]), rel=1e-4
    )
    assert abs(total - distinct) > 5e-3 * total


@pytest.mark.parametrize("alpha", [0.0, 0.4, 1.0, np.inf])
def test_the_cross_term_has_either_sign_and_vanishes_with_the_residuals(alpha):
    parts = geometry_loss.loss_parts(Problem(NET, POINTS, LABELS), alpha)
    other = geometry_loss.loss_parts(Problem(NET, POINTS, 2 * NET(POINTS) - LABELS), alpha)     # e -> -e
    assert other.cross == pytest.approx(-parts.cross)
    own = Problem(NET, POINTS, NET(POINTS))
    assert geometry_loss.mixup_mse(alpha, own) == pytest.approx(geometry_loss.loss_parts(own, alpha).deviation)
    assert parts.deviation == pytest.approx(other.deviation)
    if alpha == 0:
        assert parts.deviation == parts.cross == 0
        assert geometry_loss.mixup_mse(0.0, own._replace(y=LABELS)) == pytest.approx(parts.square)


def test_the_example_of_the_chapter_has_a_cross_term_that_outweighs_the_penalty():
    parts = geometry_loss.loss_parts(geometry_loss.PROBLEMS[1], 1.0)
    assert 0 < parts.deviation < -2 * parts.cross


def test_chunks_of_pairs_add_up(monkeypatch):
    problem = Problem(NET, POINTS, LABELS)
    whole = geometry_loss.loss_parts(problem, 0.7)
    monkeypatch.setattr(geometry_loss, "MOST", 1)
    np.testing.assert_allclose(geometry_loss.loss_parts(problem, 0.7), whole, rtol=1e-12)


# --- smooth functions and bounds ----------------------------------------------------------------------------------


def test_curvature_gives_the_deviation():
    curve = geometry.Curve(lambda t: np.cos(4 * t), lambda t: -16 * np.cos(4 * t))
    for lam in (0.0, 0.2, 0.9):
        expected = naive_deviation(curve.value, lam)
        assert geometry.curvature_deviation(lam, curve) == pytest.approx(expected, abs=1e-13)


def test_quadratics():
    A, Delta = np.array([[2.0, 0.5], [0.5, -1.0]]), np.array([[1.0, 2.0], [0.3, -0.4]])
    for row, value in zip(Delta, geometry_smooth.quadratic_deviation(0.3, A, Delta), strict=True):
        expected = naive_deviation(lambda t, row=row: (t * row) @ A @ (t * row) / 2, 0.3)
        assert value == pytest.approx(expected)
    x1, x2, lam = RNG.standard_normal((400_000, 1)), RNG.standard_normal((400_000, 1)), RNG.random((400_000, 1))
    D = ((lam * x1 + (1 - lam) * x2) ** 2 - lam * x1**2 - (1 - lam) * x2**2) / 2
    assert geometry_smooth.quadratic_penalty(1.0, [[1.0]], [[1.0]]) == pytest.approx(np.mean(D**2), rel=0.05)
    assert geometry_smooth.quadratic_penalty(1.0, [[1.0]], [[1.0]]) == pytest.approx(0.1)


@pytest.mark.parametrize("alpha", [0.3, 1.0, 6.0])
def test_gaussian_unit_two_ways(alpha):
    """Kinks in polar coordinates: opposite signs have probability 1/2, then J^2 E G^2 with E r^2 = 2."""
    def by_kinks(t):
        c, s = np.cos(t), np.sin(t)
        return (c + s) ** 2 * geometry_kinks.kink_moment(alpha, c / (c + s), c / (c + s))
    expected = integrate.quad(by_kinks, 0, np.pi / 2)[0] * 2 / np.pi
    assert geometry_gaussian.gaussian_relu(alpha) == pytest.approx(expected, rel=1e-9)


def test_gaussian_unit_in_round_numbers():
    assert geometry_gaussian.gaussian_relu(1.0, 2.0) == pytest.approx(geometry_gaussian.gaussian_relu_uniform(2.0))
    assert geometry_gaussian.gaussian_relu_uniform(1.0) == pytest.approx(0.0227700, abs=5e-8)
    assert geometry_gaussian.gaussian_relu(0.0) == pytest.approx(0, abs=1e-16)
    assert geometry_gaussian.gaussian_relu(np.inf) == pytest.approx(1 / 8 - 1 / (4 * np.pi))
    lam = 0.3
    S, u = lam**2 + (1 - lam) ** 2, lam * (1 - lam)
    ends = lam * geometry_gaussian.rectified(lam / np.sqrt(S)) + (1 - lam) * geometry_gaussian.rectified(
        (1 - lam) / np.sqrt(S))
    expected = S + u / np.pi - 2 * np.sqrt(S) * ends
    assert geometry_gaussian.gaussian_relu_given(lam, 1.0) == pytest.approx(expected)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 3.0])
def test_the_worst_kink_is_in_the_middle(alpha):
    k = np.linspace(0.01, 0.99, 99)
    values = geometry_kinks.kink_moment(alpha, k, k)
    assert k[np.argmax(values)] == pytest.approx(0.5)
    assert geometry_bounds.largest_penalty(alpha, 1.0) == pytest.approx(values.max(), rel=1e-9)


def test_bounds_in_round_numbers():
    assert geometry_bounds.largest_penalty(1.0, 2.0) == pytest.approx(4 / 48)
    assert geometry_bounds.largest_penalty(np.inf, 1.0) == pytest.approx(1 / 16)
    assert geometry_bounds.largest_penalty(0.0, 1.0) == pytest.approx(0, abs=1e-15)
    assert geometry_bounds.largest_deviation(2.0) == 0.5
    assert geometry_smooth.curvature_upper(1.0, 2.0) == pytest.approx(1 / 30)
    assert geometry_bounds.affine_distance(0.7, lambda t: 3 - 2 * t) == pytest.approx(0, abs=1e-14)
    assert geometry_bounds.affine_distance(1.0, lambda t: t**2) == pytest.approx(1 / 180)


# --- conflict -----------------------------------------------------------------------------------------------------


def test_a_bend_of_three_points():
    assert geometry_conflict.conflict_floor([0, -1, 1], [0.5, 1.0, 3.0]) == pytest.approx(4 / 81 * 1.5**2)
    assert geometry_conflict.conflict_floor(np.arange(5.0), 3 - 2 * np.arange(5.0)) == pytest.approx(0, abs=1e-14)


def test_the_floor_is_below_every_function():
    x, y = np.array([0.1, 1.0, 2.7, -0.6]), np.array([1.0, -1.0, 0.5, 0.2])
    floor = geometry_conflict.conflict_floor(x, y)
    order = np.argsort(x)
    losses = [geometry_loss.mixup_mse(1.0, Problem(f, x[:, None], y)) for f in (
        lambda z: np.interp(z[:, 0], x[order], y[order]), lambda z: np.polyval(np.polyfit(x, y, 3), z[:, 0]))]
    assert 0 < floor < min(losses)


def test_the_best_function_reaches_the_floor():
    x, y = np.array([0.1, 1.0, 2.7, -0.6]), np.array([1.0, -1.0, 0.5, 0.2])
    lam, total = (np.arange(20_000) + 0.5) / 20_000, 0.0
    for i in range(4):
        for j in range(4):
            if i != j:
                mixed, label = lam * x[i] + (1 - lam) * x[j], lam * y[i] + (1 - lam) * y[j]
                total += np.mean((geometry_conflict.best_on_line(x, y, mixed) - label) ** 2) / 16
    assert total == pytest.approx(geometry_conflict.conflict_floor(x, y), rel=1e-3)


def test_crossing_probabilities():
    from mixtheory.theory._geometry_loss_routes import simulate_crossing
    for d, expected in ((1, 2 / 3), (2, 0.216347), (3, 0.0)):
        assert geometry_conflict.crossing_probability(d) == pytest.approx(expected, abs=1e-6)
        found = simulate_crossing(40_000, rng=np.random.default_rng(d), d=d).mean()
        assert found == pytest.approx(expected, abs=0.012)


# --- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("call", "message"), [
    (lambda: geometry_kinks.chord_penalty([1.2], [1.0], 1.0), "kinks = "),
    (lambda: geometry_kinks.chord_penalty([np.nan], [1.0], 1.0), "kinks = "),
    (lambda: geometry_kinks.chord_penalty([0.2, 0.3], [1.0], 1.0), "one shape"),
    (lambda: geometry_kinks.chord_penalty(0.2, 1.0, 1.0), "one shape"),
    (lambda: geometry_kinks.chord_penalty([0.2], [np.inf], 1.0), "jumps = "),
    (lambda: geometry_kinks.chord_penalty([0.2], [1.0], -1.0), "alpha = -1.0"),
    (lambda: geometry_kinks.chord_penalty([0.2], [1.0], np.nan), "alpha = nan"),
    (lambda: geometry_kinks.kink_moment(1.0, -0.1, 0.2), "a = -0.1"),
    (lambda: geometry_kinks.cheapest_pair(0.0, 0.2), "strictly inside"),
    (lambda: geometry_kinks.one_kink(2.0, 1.0), "k = 2.0"),
    (lambda: geometry.tent(0.5, 1.5), "k = 1.5"),
    (lambda: geometry.curvature_deviation(1.5, geometry.Curve(np.sin, np.sin)), "lam = 1.5"),
    (lambda: geometry.unit_deviation(0.5, np.nan, 1.0, 1.0), "z_end"),
    (lambda: geometry.relu_kinks(np.ones((2, 3)), [1.0], [1.0, 1.0], np.ones(3), np.ones(3)), "W, b, a"),
    (lambda: geometry.relu_kinks(np.ones((1, 3)), [1.0], [1.0], np.ones(2), np.ones(2)), "x1, x2"),
    (lambda: geometry.relu_kinks(np.ones((1, 2)), [np.inf], [1.0], np.ones(2), np.ones(2)), "b = "),
    (lambda: geometry_gaussian.gaussian_relu(-0.1), "alpha = -0.1"),
    (lambda: geometry_gaussian.gaussian_relu_uniform(np.nan), "a = nan"),
    (lambda: geometry_smooth.quadratic_penalty(1.0, [[0.0, 1.0], [0.0, 0.0]], np.eye(2)), "symmetric"),
    (lambda: geometry_smooth.quadratic_penalty(1.0, np.eye(2), -np.eye(2)), "Sigma = "),
    (lambda: geometry_smooth.quadratic_deviation(0.5, np.eye(2), np.ones(3)), "Delta of shape"),
    (lambda: geometry_smooth.curvature_upper(1.0, -2.0), "at least 0"),
    (lambda: geometry_bounds.largest_deviation(-1.0), "at least 0"),
    (lambda: geometry_bounds.affine_distance(np.inf, np.sin), "alpha = inf"),
    (lambda: geometry_bounds.affine_distance(0.0, np.sin), "alpha = 0.0"),
    (lambda: geometry_loss.loss_parts(Problem(NET, POINTS, LABELS[:3]), 1.0), "x, y of shapes"),
    (lambda: geometry_loss.loss_parts(Problem(lambda x: x, POINTS, LABELS), 1.0), "f: returns shape"),
    (lambda: geometry_loss.loss_parts(Problem(NET, POINTS * np.nan, LABELS), 1.0), "x = "),
    (lambda: geometry_loss.shifted_parabola(1.0, 0.1, 2.0, 1.0), "fourth = 1.0"),
    (lambda: geometry_conflict.conflict_floor([0.0, 0.0, 1.0], [1.0, 2.0, 3.0]), "distinct"),
    (lambda: geometry_conflict.conflict_floor([0.0, 1.0], [1.0, np.nan]), "y = "),
    (lambda: geometry_conflict.best_on_line([0.0, 1.0], [1.0, 2.0], [1.5]), "at of shape"),
    (lambda: geometry_conflict.crossing_probability(0), "d = 0"),
])
def test_bad_input_is_named(call, message):
    with pytest.raises(DomainError, match=message):
        call()
