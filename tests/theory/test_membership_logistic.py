"""The logistic half of the chapter as numbers, against loops, nested integrals and draws, and what it refuses."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from numpy.polynomial.hermite_e import hermegauss
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import expit, ndtr
from scipy.stats import norm

from mixtheory.domain import DomainError
from mixtheory.theory import gaussian_logistic as model
from mixtheory.theory import membership_attack as attack
from mixtheory.theory import membership_gap as general
from mixtheory.theory import membership_logistic as logistic
from mixtheory.theory import membership_whitebox as whitebox


def features(x):
    return np.column_stack([np.ones(len(x)), x])


def gradient(x, y, theta):
    return (expit(features(x) @ theta) - y)[:, None] * features(x)


def hessian(x, y, theta):
    p = expit(features(x) @ theta)
    return (p * (1 - p))[:, None, None] * features(x)[:, :, None] * features(x)[:, None, :]


def two_classes(m, along=12, across=5):
    """Gauss-Hermite nodes of the model in two dimensions."""
    (a, wa), (b, wb) = hermegauss(along), hermegauss(across)
    a, b, s = (v.ravel() for v in np.meshgrid(a, b, [1.0, -1.0], indexing="ij"))
    w = np.outer(np.outer(wa / wa.sum(), wb / wb.sum()).ravel(), [0.5, 0.5]).ravel()
    return (np.column_stack([s * m + a, b]), (s + 1) / 2), w


# --- the general formula ---

@pytest.mark.parametrize("alpha", [0.0, 1.0, np.inf])
def test_general_formula_on_two_gaussian_classes(alpha):
    data, w = two_classes(0.8)
    found = general.mixup_gap(alpha, data, np.zeros(3), gradient, hessian, weights=w, nodes=6)
    assert found == pytest.approx(logistic.gap_logistic(alpha, 0.8, 2), rel=2e-3)
    assert general.projection(alpha, data, np.zeros(3), gradient, hessian, weights=w, nodes=6).theta == pytest.approx(
        [0, model.slope(alpha, 0.8), 0], abs=1e-3)


def test_rescaled_score_has_the_rescaled_gap():
    data, w = two_classes(0.8)
    found = general.mixup_gap(0.0, data, np.zeros(3), gradient, hessian, weights=w,
                              score_gradient=lambda x, y, theta: 0.6 * gradient(x, y, 0.6 * theta))
    assert found == pytest.approx(logistic.rescaled_erm(2, 0.6), rel=1e-3)


@pytest.mark.parametrize("alpha", [0.0, 0.4, np.inf])
def test_least_squares_has_twice_the_parameters_for_every_alpha(alpha):
    x, e = (v.ravel() for v in np.meshgrid(*[hermegauss(3)[0]] * 2, indexing="ij"))
    w = np.outer(*[hermegauss(3)[1] / hermegauss(3)[1].sum()] * 2).ravel()
    found = general.mixup_gap(
        alpha, (x, 0.7 - 2 * x + 1.3 * e), [0.0, 0.0], weights=w,
        gradient=lambda x, y, theta: 2 * (features(x) @ theta - y)[:, None] * features(x),
        hessian=lambda x, y, theta: 2 * features(x)[:, :, None] * features(x)[:, None, :])
    assert found == pytest.approx(2 * 1.3**2 * 2, rel=1e-10)


def test_projection_against_loops_and_a_moved_minimiser():
    points = np.array([-1.0, -0.2, 0.1, 0.4, 3.0])

    def slope(theta, w):            # of the risk of log cosh, lambda = 1/2
        return -sum(a * b * np.tanh((x + z) / 2 - theta) for a, x in zip(w, points, strict=True)
                    for b, z in zip(w, points, strict=True))

    plain = np.full(5, 0.2)
    theta = brentq(slope, -3, 3, args=(plain,), xtol=1e-15)
    found = general.projection(np.inf, (points, points), [0.0], lambda x, y, t: -np.tanh(x - t)[:, None],
                               lambda x, y, t: 1 / np.cosh(x - t)[:, None, None] ** 2)
    assert found.theta[0] == pytest.approx(theta, abs=1e-12)
    naive = [-2 * np.mean([np.tanh((x + z) / 2 - theta) for z in points]) for x in points]
    np.testing.assert_allclose(found.psi[:, 0], naive, atol=1e-12)
    for k in range(5):
        ends = [brentq(slope, -3, 3, args=((1 - e) * plain + e * np.eye(5)[k],), xtol=1e-15) for e in (1e-5, -1e-5)]
        assert found.influence[k, 0] == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-6)
    assert found.exposure.mean() == pytest.approx(1.0)
    assert found.exposure == pytest.approx(found.influence[:, 0] ** 2 / (found.influence[:, 0] ** 2).mean())


def test_worked_example():
    assert doctest.testmod(general).failed == 0


@pytest.mark.parametrize(("change", "message"), [
    ({"alpha": -0.1}, "alpha"), ({"weights": [0.5, 0.5, 0.5]}, "sum to one"),
    ({"weights": [0.5, 0.5]}, "same first axis"),
    ({"data": (np.zeros((3, 1)), np.zeros(2))}, "same first axis"), ({"theta": [np.nan, 0.0]}, "finite"),
    ({"theta": [0.0, 0.0, 0.0]}, "must have shapes"), ({"nodes": 0}, "nodes"),
    ({"data": (np.array([[-1.0], [1.0], [2.0]]), np.array([0.0, 1.0, 1.0])), "alpha": 0.0}, "Hessian|no minimum"),
    ({"score_gradient": lambda x, y, theta: np.zeros((3, 1))}, "score_gradient")])
def test_general_formula_refuses(change, message):
    good = {"alpha": 1.0, "data": (np.array([[-1.0], [0.5], [2.0]]), np.array([0.0, 1.0, 0.0])), "theta": [0.0, 0.0],
            "hessian": lambda x, y, t: hessian(x, y, t[:2]), "gradient": lambda x, y, t: gradient(x, y, t[:2])}
    with pytest.raises(DomainError, match=message):
        general.mixup_gap(**{**good, **change})


def test_trace_formula_refuses_a_saddle():
    with pytest.raises(DomainError, match="H"):
        general.trace_formula(np.diag([1.0, -1.0]), np.eye(2))


# --- two Gaussian classes ---

def test_psi_against_nested_integrals():
    m, x = 0.9, 0.3
    t = model.slope(1.0, m)

    def mean(h):                    # over lambda uniform, partner's class and coordinate
        def inner(lam, s):
            def at(v):
                z = lam * x + (1 - lam) * (s * m + v)
                return h(lam, z, expit(t * z) - (lam + (1 - lam) * (s > 0))) * norm.pdf(v)
            return quad(at, -8, 8, epsabs=1e-9)[0]
        return sum(quad(inner, 0, 1, args=(s,), epsabs=1e-8)[0] for s in (1, -1))     # 2 times 1/2

    found = [v[0] for v in logistic.psi(1.0, m, x)]
    naive = [mean(lambda lam, z, e: e), mean(lambda lam, z, e: e * z), mean(lambda lam, z, e: lam * e)]
    np.testing.assert_allclose(found, naive, atol=1e-7)


def test_rank_formula_against_its_definition():
    """n (AUC - 1/2) by differentiating the rank of a margin numerically, psi from the package."""
    alpha, m, d = 1.0, 1.1, 2
    v, h = logistic.traces(alpha, m), 1e-5

    def rank(theta, x):
        norms = np.hypot(theta[1], theta[2])
        u = theta[0] + theta[1] * x[0] + theta[2] * x[1]
        return np.mean([ndtr((u - s * theta[0] - m * theta[1]) / norms) for s in (1, -1)])

    (a, wa), (b, wb) = hermegauss(40), hermegauss(3)
    total = 0.0
    for z, w in zip(a, wa / wa.sum(), strict=True):
        p0, p1, pa = (c[0] for c in logistic.psi(alpha, m, m + z))
        for x2, w2 in zip(b, wb / wb.sum(), strict=True):
            best, x = np.array([0, v.t, 0]), (m + z, x2)
            slopes = [(rank(best + h * e, x) - rank(best - h * e, x)) / (2 * h) for e in np.eye(3)]
            total -= w * w2 * np.dot([p0 / v.H_0, p1 / v.H_1, x2 * pa / v.H_p], slopes)
    assert attack.auc_logistic(alpha, m, d) == pytest.approx(total, rel=1e-6)


def test_limits_without_mixup():
    for m, d in ((0.7, 1), (1.6, 10)):
        assert logistic.gap_logistic(0.0, m, d) == pytest.approx(logistic.gap_erm(d), rel=1e-12)
        assert attack.auc_logistic(0.0, m, d) == pytest.approx(attack.auc_erm(d, m), rel=1e-12)
    assert logistic.rescaled_erm(10, 1.0) == logistic.gap_erm(10) == 11


def test_opposite_directions_at_the_books_example():
    """Values that were simulated independently, to their last digit."""
    alphas = (0.0, 0.3, 1.0, 4.0)
    assert [round(logistic.gap_logistic(a, 1.6, 10), 2) for a in alphas] == [11.0, 5.31, 4.19, 3.71]
    assert [round(attack.auc_logistic(a, 1.6, 10), 3) for a in alphas] == [0.838, 1.214, 1.427, 1.58]


def test_where_the_directions_end():
    assert attack.auc_logistic(0.1, 0.3, 1) / attack.auc_erm(1, 0.3) == pytest.approx(0.9984, abs=5e-5)
    assert attack.auc_logistic(4.0, 2.6, 1) > attack.auc_logistic(np.inf, 2.6, 1) > 10 * attack.auc_erm(1, 2.6)


@pytest.mark.parametrize("alpha", [0.0, 1.0, np.inf])
def test_exposure_against_draws(alpha):
    m, d, n, rng = 1.2, 5, 300, np.random.default_rng(5)
    x = rng.normal(m, 1, 400_000)
    grid = np.linspace(x.min(), x.max(), 3001)
    p0, p1, a = (np.interp(x, grid, v) for v in logistic.psi(alpha, m, grid))
    psi = np.column_stack([p0, p1, rng.standard_normal((len(x), d - 1)) * a[:, None]])
    value = (psi**2 / (psi**2).mean(0)).sum(1)          # V is diagonal
    for share in (0.5, 0.99):
        q, mean = whitebox.exposure_tail(alpha, m, d, share)
        assert (value <= q).mean() == pytest.approx(share, abs=6 * np.sqrt(share * (1 - share) / len(value)))
        assert value[value > q].mean() == pytest.approx(mean, rel=0.03)
    _, w, own, other = whitebox.exposure(alpha, m)
    assert w @ (own + (d - 1) * other) == pytest.approx(d + 1, rel=1e-12)
    naive = np.sqrt(n) * (ndtr(np.sqrt(value / (2 * n))).mean() - 0.5)
    assert whitebox.whitebox_auc(alpha, m, d, n) == pytest.approx(naive, rel=6e-3)


@pytest.mark.parametrize("call", [
    lambda: logistic.gap_logistic(-1.0, 1.0, 3), lambda: logistic.gap_logistic(1.0, 0.0, 3),
    lambda: logistic.gap_logistic(1.0, 6.0, 3), lambda: logistic.gap_logistic(1.0, 1.0, 0),
    lambda: logistic.gap_erm(0.5), lambda: logistic.rescaled_erm(3, -1.0), lambda: attack.auc_logistic(np.nan, 1.0, 3),
    lambda: attack.auc_erm(3, -1.0), lambda: attack.auc_erm(3, 5.5), lambda: attack.direction(1.0, 0),
    lambda: whitebox.exposure_tail(1.0, 1.0, 1, 0.5), lambda: whitebox.exposure_tail(1.0, 1.0, 3, 1.0),
    lambda: whitebox.whitebox_auc(1.0, 1.0, 3, 0), lambda: logistic.psi(-0.2, 1.0, [0.0])])
def test_refuses(call):
    with pytest.raises(DomainError):
        call()
