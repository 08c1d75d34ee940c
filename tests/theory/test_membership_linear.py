"""Linear membership inference against naive references written here, and arguments outside their domains."""

import doctest
import itertools

import numpy as np
import pytest
from scipy import integrate, stats

from mixtheory.domain import DomainError
from mixtheory.theory import least_squares as ls
from mixtheory.theory import membership, membership_auc, membership_interpolation, membership_random
from mixtheory.theory import membership_smoothers as smoothers

X = np.array([[0.3, -1.2], [2.9, 0.4], [-0.7, 1.1], [1.4, 2.2], [0.1, 0.6]])
UNIFORM = np.polynomial.legendre.leggauss(12)           # alpha = 1: lambda is uniform
HADAMARD = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], dtype=float)


def hat(features, x, penalty, distinct=False):
    """The smoother of mixup at alpha = 1 by loops over pairs and lambda."""
    n = len(x)
    P = len(features(x[0]))
    A, B = np.zeros((P, P)), np.zeros((P, n))
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j or not distinct]
    for lam, weight in zip((UNIFORM[0] + 1) / 2, UNIFORM[1] / 2, strict=True):
        for i, j in pairs:
            phi = features(lam * x[i] + (1 - lam) * x[j])
            A += weight * np.outer(phi, phi) / len(pairs)
            B[:, i] += weight * lam * phi / len(pairs)
            B[:, j] += weight * (1 - lam) * phi / len(pairs)
    return np.array([features(v) for v in x]) @ np.linalg.solve(A + penalty, B)


def affine(v):
    return np.append(1.0, v)


def powers(degree):
    return lambda v: np.array([v**k for k in range(degree + 1)])


@pytest.mark.parametrize("module", [membership, membership_auc, membership_interpolation, membership_random, smoothers],
                         ids=lambda m: m.__name__.rpartition(".")[2])
def test_examples_in_docstrings(module):
    assert doctest.testmod(module).failed == 0


# --- least squares and ridge --------------------------------------------------------------------------------

def test_the_gap_of_least_squares_in_the_textbook_form():
    member, outsider = membership.ols_losses(40, 7, 1.3)
    assert member == pytest.approx(1.69 * 32 / 40)
    assert outsider == pytest.approx(1.69 * (1 + 1 / 40) * (1 + 7 / 31))
    for alpha in (0.0, 0.4, np.inf):
        assert membership.ols_gap(40, 7, 1.3, alpha) == pytest.approx(outsider - member)
    assert membership.ols_gap(40, 7, 1.3) == pytest.approx(0.7714, abs=5e-5)
    assert membership.ols_gap(10**6, 3) == pytest.approx(8e-6, rel=1e-4)


@pytest.mark.parametrize("distinct", [False, True])
def test_degrees_of_freedom_are_a_trace(distinct):
    trace = np.trace(hat(affine, X, np.diag([0.0, 0.4, 0.4]), distinct))
    assert membership.ridge_degrees_of_freedom(1.0, 0.4, X, distinct) == pytest.approx(trace, rel=1e-12)
    assert membership.ridge_gap(1.0, 0.4, X, 0.3, distinct) == pytest.approx(2 * 0.09 * trace / 5, rel=1e-12)


def test_degrees_of_freedom_without_a_penalty_count_what_is_there():
    assert membership.ridge_degrees_of_freedom(0.7, 0.0, X) == pytest.approx(3)
    twice = np.column_stack([X, X[:, 0] + 2 * X[:, 1]])
    assert membership.ridge_degrees_of_freedom(0.7, 0.0, twice) == pytest.approx(3)


def test_the_floor_is_reached_from_above():
    floor = membership.ridge_gap_floor(0.4, X, 0.3)
    gaps = [membership.ridge_gap(alpha, 0.4, X, 0.3) for alpha in (0, 1, 10, 1e6)]
    assert np.all(np.diff(gaps) < 0)
    assert gaps[-1] == pytest.approx(floor, rel=1e-5)
    assert min(gaps) > floor


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0, 7.0])
def test_the_matching_alpha_undoes_the_effective_ridge(alpha):
    assert membership.matching_alpha(0.2, ls.effective_ridge(alpha, 0.2)) == pytest.approx(alpha, abs=1e-12)


@pytest.mark.parametrize(("call", "named"), [
    (lambda: membership.ols_gap(9, 7), "n = 9"), (lambda: membership.ols_losses(20, 0), "p = 0"),
    (lambda: membership.ols_gap(20, 3, sigma=0.0), "sigma"), (lambda: membership.ols_gap(20, 3, alpha=-1), "alpha"),
    (lambda: membership.ridge_gap(1.0, -0.1, X), "ridge"), (lambda: membership.spectrum(X[0]), "design"),
    (lambda: membership.spectrum(np.full((3, 1), np.nan)), "design"),
    (lambda: membership.ridge_gap(np.inf, 0.1, X[:2], distinct=True), "alpha"),
    (lambda: membership.matching_alpha(1.0, 2.0), "target"), (lambda: membership.matching_alpha(1.0, 0.9), "target")])
def test_arguments_outside_the_domain_of_the_gap(call, named):
    with pytest.raises(DomainError, match=named):
        call()


# --- scores -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("c", [0.0, 0.6])
def test_auc_as_a_double_integral(c):
    density = stats.multivariate_normal([0, 0], [[1.4, c], [c, 0.9]]).pdf
    inside, _ = integrate.dblquad(lambda y, x: density([x, y]), 0, 12, lambda x: -x, lambda x: x, epsabs=1e-9)
    assert membership_auc.gaussian_auc(0.9, 1.4, c) == pytest.approx(2 * inside, abs=1e-7)


def test_the_best_threshold_is_where_the_densities_cross():
    w = 0.23
    a, b = np.sqrt(1 + w), np.sqrt(1 - w)
    grid = np.linspace(0, 4, 40001)
    advantage = 2 * (stats.norm.cdf(grid / b) - stats.norm.cdf(grid / a))
    assert membership_auc.gaussian_advantage(w) == pytest.approx(advantage.max(), abs=1e-8)
    np.testing.assert_allclose(membership_auc.gaussian_advantage(np.array([0.0, 1e-6])), [0, 2 * 1e-6 * np.exp(-0.5)
                                                                                       / np.sqrt(2 * np.pi)], rtol=1e-4)


def test_the_balanced_auc_of_least_squares_is_the_arcsine_of_the_leverage():
    assert membership_auc.balanced_auc(1.0, 0.0, 32, 9) == pytest.approx(0.5 + np.arcsin(10 / 32) / np.pi)


def test_the_balanced_auc_on_four_points():
    M = hat(affine, HADAMARD[:, :2], np.diag([0.0, 0.7, 0.7]))
    member = ((np.eye(4) - M) ** 2).sum(axis=1)
    outsider = 1 + (M**2).sum(axis=1)
    assert np.ptp(member) < 1e-12
    assert membership_auc.balanced_auc(1.0, 0.7, 4, 2) == pytest.approx(
        2 / np.pi * np.arctan(np.sqrt(outsider[0] / member[0])), rel=1e-12)


@pytest.mark.parametrize("ridge", [0.05, 0.6, 4.0])
def test_without_signal_the_attack_weakens_as_alpha_grows(ridge):
    auc = [membership_auc.balanced_auc(alpha, ridge, 16, 9) for alpha in (0, 0.3, 1, 5, np.inf)]
    assert np.all(np.diff(auc) < 0)


@pytest.mark.parametrize(("call", "named"), [
    (lambda: membership_auc.gaussian_auc(0.0, 1.0), "member"),
    (lambda: membership_auc.gaussian_auc(1.0, 1.0, 1.0), "covariance"),
    (lambda: membership_auc.gaussian_advantage(1.0), "relative_gap"),
    (lambda: membership_auc.balanced_auc(1.0, 0.1, 9, 9), "n = 9"),
    (lambda: membership_auc.balanced_auc(1.0, 0.1, 9, 3, -1.0), "signal")])
def test_arguments_outside_the_domain_of_the_scores(call, named):
    with pytest.raises(DomainError, match=named):
        call()


# --- random designs -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("gamma", [0.3, 1.0, 2.5])
def test_the_resolvent_is_a_mean_over_the_law_of_marchenko_and_pastur(gamma):
    q, low, high = 0.2, (1 - np.sqrt(gamma)) ** 2, (1 + np.sqrt(gamma)) ** 2
    value, _ = integrate.quad(lambda x: np.sqrt((high - x) * (x - low)) / (2 * np.pi * gamma * x * (x + q)), low, high,
                              limit=200)
    assert membership_random.resolvent(q, gamma) == pytest.approx(value + max(0, 1 - 1 / gamma) / q, rel=1e-6)


def test_numbers_of_the_random_design():
    strong = [membership_random.random_ridge_gap(a, 0.05, 0.5, 4.0, 0.01) for a in (0, 0.2, 1, 100)]
    weak = [membership_random.random_ridge_gap(a, 0.3, 0.5, 1.0, 1.0) for a in (0, 0.2, 1, 100)]
    np.testing.assert_allclose(strong, [0.0468, 0.0556, 0.0742, 0.1025], atol=5e-5)
    np.testing.assert_allclose(weak, [0.817, 0.783, 0.729, 0.671], atol=5e-4)


def test_the_turning_ratio_turns_the_gap():
    ratio = membership_random.gap_turning_ratio(1.0, 0.05, 0.5)
    for factor, sign in ((0.9, -1), (1.1, 1)):
        near = [membership_random.random_ridge_gap(a, 0.05, 0.5, factor * ratio, 1.0) for a in (0.99, 1.01)]
        assert np.sign(near[1] - near[0]) == sign
    assert membership_random.gap_turning_ratio(1.0, 30.0, 0.5) == np.inf


@pytest.mark.parametrize(("call", "named"), [
    (lambda: membership_random.random_ridge_losses(1.0, 0.0, 0.5, 1.0, 1.0), "ridge"),
    (lambda: membership_random.random_ridge_losses(1.0, 0.1, 0.0, 1.0, 1.0), "gamma"),
    (lambda: membership_random.random_ridge_losses(1.0, 0.1, 0.5, -1.0, 1.0), "signal"),
    (lambda: membership_random.random_ridge_losses(1.0, 0.1, 0.5, 1.0, np.nan), "noise")])
def test_arguments_outside_the_domain_of_the_limit(call, named):
    with pytest.raises(DomainError, match=named):
        call()


# --- features of mixed inputs -------------------------------------------------------------------------------

GRID = np.array([-0.9, -0.2, 0.1, 0.4, 1.1])


@pytest.mark.parametrize("distinct", [False, True])
def test_a_smoother_by_loops(distinct):
    mine = smoothers.smoother(1.0, lambda t: np.column_stack([np.ones_like(t), t, np.cos(t)]), GRID,
                              penalty=np.array([0.0, 0.1, 0.2]), distinct=distinct)
    naive = hat(lambda v: np.array([1.0, v, np.cos(v)]), GRID, np.diag([0.0, 0.1, 0.2]), distinct)
    np.testing.assert_allclose(mine.fitted, naive, rtol=1e-10, atol=1e-12)


def test_a_smoother_of_inputs_with_several_coordinates():
    mine = smoothers.smoother(1.0, lambda t: np.column_stack([np.ones(len(t)), t, t[:, 0] * t[:, 1]]), X)
    naive = hat(lambda v: np.array([1.0, *v, v[0] * v[1]]), X, np.zeros((4, 4)))
    np.testing.assert_allclose(mine.fitted, naive, rtol=1e-9, atol=1e-11)


def test_polynomials_in_closed_form_are_the_general_smoother():
    fitted = hat(powers(3), GRID, np.zeros((4, 4)))
    assert smoothers.polynomial_degrees_of_freedom(1.0, GRID, 3) == pytest.approx(np.trace(fitted), rel=1e-9)
    f = np.sin(GRID)
    member, outsider = smoothers.polynomial_losses(1.0, GRID, 3, f, 0.4)
    left = np.eye(5) - fitted
    assert member == pytest.approx(((left @ f) ** 2).mean() + 0.16 * (left**2).sum() / 5, rel=1e-9)
    assert outsider - member == pytest.approx(0.32 * np.trace(fitted) / 5, rel=1e-9)


def test_numbers_of_degree_seven():
    df = [smoothers.polynomial_degrees_of_freedom(a, "equispaced 15", 7) for a in (0, 0.2, 1, 128)]
    np.testing.assert_allclose(df, [8, 6.85, 5.30, 3.92], atol=5e-3)
    clustered = [smoothers.polynomial_degrees_of_freedom(a, "seven", 4) for a in (1, 5, 20, 100)]
    naive = [np.trace(hat(powers(4), smoothers.routes.points("seven"), np.zeros((5, 5))))]
    np.testing.assert_allclose(clustered[:1], naive, rtol=1e-6)
    assert clustered[1] < clustered[2] < clustered[3]
    np.testing.assert_allclose(clustered, [2.821, 2.681, 2.801, 2.861], atol=5e-4)


def test_the_comparison_at_equal_error():
    case = {"alpha": 0.2, "degree": 7, "n": 15, "curve": "sine", "sigma": 0.5}
    error, gap, least = smoothers.least_errors(**case, power=0, orthonormal=False)
    assert (round(error, 4), round(gap, 3), round(least, 4)) == (0.0954, 0.228, 0.0888)
    assert smoothers.least_errors(**case, power=0, orthonormal=True)[2] == pytest.approx(0.0972, abs=5e-5)
    weighted = [smoothers.gap_at_equal_error(**case, power=2, orthonormal=o) for o in (False, True)]
    np.testing.assert_allclose(weighted, [0.143, 0.156], atol=5e-4)
    with pytest.raises(DomainError, match="no ridge of this kind"):
        smoothers.gap_at_equal_error(**case, power=0, orthonormal=True)


@pytest.mark.parametrize(("call", "named"), [
    (lambda: smoothers.smoother(1.0, lambda t: t, GRID), "features"),
    (lambda: smoothers.smoother(1.0, lambda t: np.ones((len(t), 2)), GRID), "features"),
    (lambda: smoothers.smoother(1.0, lambda t: np.vander(t, 3), GRID, penalty=np.ones(2)), "penalty"),
    (lambda: smoothers.smoother(1.0, lambda t: np.vander(t, 3), GRID, penalty=-np.ones(3)), "penalty"),
    (lambda: smoothers.smoother(1.0, lambda t: np.vander(t, 3), GRID[:1]), "x of shape"),
    (lambda: smoothers.polynomial_degrees_of_freedom(1.0, GRID, 5), "degree"),
    (lambda: smoothers.polynomial_losses(1.0, GRID, 2, np.ones(3), 1.0), "curve")])
def test_arguments_outside_the_domain_of_smoothers(call, named):
    with pytest.raises(DomainError, match=named):
        call()


# --- interpolation ------------------------------------------------------------------------------------------

def test_a_fine_histogram_of_mixed_labels_is_the_segment_average():
    """Mean label of a fine grid of lambda on every segment, in a bin."""
    x, y, at, alpha = np.array([-1.0, 0.2, 0.9, 1.7]), np.array([1.0, -0.5, 2.0, 0.3]), 0.5, 2.5
    lam = (np.arange(400_000) + 0.5) / 400_000
    density = (lam * (1 - lam)) ** (alpha - 1)
    top = bottom = 0.0
    for i, j in itertools.permutations(range(4), 2):
        near = np.abs(lam * x[i] + (1 - lam) * x[j] - at) < 5e-3
        top += (density * (lam * y[i] + (1 - lam) * y[j]))[near].sum()
        bottom += density[near].sum()
    assert membership_interpolation.segment_average(alpha, x, at, y) == pytest.approx(top / bottom, abs=2e-4)


def test_the_limit_of_the_segment_average_beside_an_input():
    x, y = np.array([-1.0, 0.2, 0.9, 1.7]), np.array([0.0, 1.0, 0.0, 0.0])
    for alpha in (0.5, 1.0, 2.0):
        for side in (-1, 1):
            near = membership_interpolation.segment_average(alpha, x, 0.2 + side * 1e-9, y)
            assert membership_interpolation.self_weight(alpha, x, 1, side) == pytest.approx(near, abs=1e-3)


def test_the_gap_of_interpolation_on_both_sides_of_one():
    assert membership_interpolation.interpolation_gap(0.9, 10, 0.5) == pytest.approx(0.5)
    assert membership_interpolation.interpolation_gap(1.1, 10, 0.5) == pytest.approx(0.1)


def test_the_shortest_interpolator():
    x, y = np.array([[1.0, 2.0, 0.0], [0.5, -1.0, 1.0]]), np.array([0.3, 1.0])
    np.testing.assert_allclose(membership_interpolation.minimum_norm(1.0, (x, y)), np.linalg.pinv(x) @ y, rtol=1e-12)


@pytest.mark.parametrize(("call", "named"), [
    (lambda: membership_interpolation.minimum_norm(1.0, (X, np.ones(5))), "independent"),
    (lambda: membership_interpolation.minimum_norm(1.0, (X, np.ones(4))), "shapes"),
    (lambda: membership_interpolation.segment_average(0.0, "line 5", 0.1), "alpha"),
    (lambda: membership_interpolation.segment_average(1.0, "line 5", 3.0), "at"),
    (lambda: membership_interpolation.self_weight(1.0, [0, 2, 1], 1, 1), "ascend"),
    (lambda: membership_interpolation.self_weight(1.0, [0, 1, 2], 0, -1), "side"),
    (lambda: membership_interpolation.interpolation_gap(1.0, 5), "alpha = 1"),
    (lambda: membership_interpolation.interpolation_gap(2.0, 2), "n = 2"),
    (lambda: membership_interpolation.own_weight_limit(1.0, np.ones((4, 1)), 0), "d >= 2"),
    (lambda: membership_interpolation.own_weight_limit(1.0, np.array([[0, 0], [1, 1], [2, 2.0]]), 1), "segment"),
    (lambda: membership_interpolation.own_weight_limit(1.0, "cloud 5 2", 5), "k = 5")])
def test_arguments_outside_the_domain_of_interpolation(call, named):
    with pytest.raises(DomainError, match=named):
        call()
