"""The public formulas of the chapter on the law of lambda, against naive references."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
import sympy as sp
import torch

from mixtheory.domain import DomainError
from mixtheory.evidence import claims
from mixtheory.theory import mixing_moments as mm
from mixtheory.theory import mixing_moments_beta as mb
from mixtheory.theory import mixing_moments_bounds as bounds
from mixtheory.theory import mixing_moments_laws as laws
from mixtheory.theory import mixing_moments_numerics as numerics

ALPHAS = (0.05, 0.37, 1.0, 4.2, 30.0)


def naive(h, a, b):
    """E h(lambda) as an integral over the real line, lambda = 1 / (1 + e^-t): no singularity at an end."""
    with mpmath.workdps(25):
        a, b = mpmath.mpf(a), mpmath.mpf(b)

        def weight(t):
            return mpmath.exp(-a * mpmath.log1p(mpmath.exp(-t)) - b * mpmath.log1p(mpmath.exp(t)))
        edges = [-mpmath.inf, -20, -5, -2, -1, -0.4, -0.1, 0, 0.1, 0.4, 1, 2, 5, 20, mpmath.inf]
        top = mpmath.quad(lambda t: h(1 / (1 + mpmath.exp(-t))) * weight(t), edges)
        return float(top / mpmath.quad(weight, edges))


def S(p):
    return p**2 + (1 - p) ** 2


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize(("formula", "h"), [
    (mm.shrinkage, S), (mm.mean_product, lambda p: p * (1 - p)), (mm.variance, lambda p: (p - 0.5) ** 2),
    (mm.product_square, lambda p: (p * (1 - p)) ** 2), (mm.shrinkage_square, lambda p: S(p) ** 2),
    (mm.fourth, lambda p: p**4 + (1 - p) ** 4), (mm.mean_square_gap, lambda p: (2 * p - 1) ** 2),
    (mm.mean_gap, lambda p: abs(2 * p - 1)), (mm.mean_maximum, lambda p: max(p, 1 - p))])
def test_symmetric_moments(formula, h, alpha):
    assert formula(alpha) == pytest.approx(naive(h, alpha, alpha), rel=1e-10)


def test_values_everyone_knows():
    """Uniform lambda: s = 2/3, E u = 1/6, Var = 1/12, E max = 3/4; alpha = 1/2 is the arcsine law."""
    assert mm.shrinkage(1) == pytest.approx(2 / 3)
    assert mm.mean_product(1) == pytest.approx(1 / 6)
    assert mm.variance(1) == pytest.approx(1 / 12)
    assert mm.mean_maximum(1) == pytest.approx(3 / 4)
    assert mm.mean_gap(0.5) == pytest.approx(2 / math.pi)
    assert mm.shrinkage_variance(1) == pytest.approx(1 / 45)
    assert mm.noise_ratio(1) == pytest.approx(1.05)


@pytest.mark.parametrize(("formula", "at_zero", "at_infinity"), [
    (mm.shrinkage, 1, 1 / 2), (mm.mean_product, 0, 1 / 4), (mm.variance, 1 / 4, 0),
    (mm.product_square, 0, 1 / 16),
    (mm.shrinkage_square, 1, 1 / 4), (mm.shrinkage_variance, 0, 0), (mm.fourth, 1, 1 / 8),
    (mm.mean_gap, 1, 0),
    (mm.mean_square_gap, 1, 0), (mm.mean_maximum, 1, 1 / 2), (mm.noise_ratio, 1, 1),
    (laws.tilted_shrinkage, 1, 1 / 2)])
def test_limits_arrays_symbols_and_bad_alpha(formula, at_zero, at_infinity):
    assert formula(0.0) == pytest.approx(at_zero, abs=1e-15)
    assert formula(np.inf) == pytest.approx(at_infinity, abs=1e-15)
    values = formula(np.array([[0.0, 0.37], [4.2, np.inf]]))
    assert values == pytest.approx(np.array([[at_zero, formula(0.37)], [formula(4.2), at_infinity]]),
                                   abs=1e-15)
    alpha = sp.Symbol("alpha", positive=True)
    assert float(formula(alpha).subs(alpha, sp.Rational(37, 100))) == pytest.approx(formula(0.37), rel=1e-13)
    for bad in (-1e-9, np.nan, np.array([1.0, -1.0])):
        with pytest.raises(DomainError, match="alpha"):
            formula(bad)


def test_structure_between_the_moments():
    alpha = np.geomspace(1e-3, 1e3, 50)
    s, square = mm.shrinkage(alpha), mm.shrinkage_square(alpha)
    assert mm.shrinkage_variance(alpha) == pytest.approx(square - s**2, abs=1e-15)
    assert mm.fourth(alpha) == pytest.approx(square - 2 * mm.product_square(alpha), rel=1e-13)
    assert square == pytest.approx(1 - 4 * mm.mean_product(alpha) + 4 * mm.product_square(alpha), rel=1e-12)
    assert (np.diff(s) < 0).all()
    assert (mm.mean_gap(alpha) ** 2 < mm.mean_square_gap(alpha)).all()


@pytest.mark.parametrize(("a", "b"), [(0.3, 1.7), (2.0, 5.0), (1.3, 1.3)])
def test_any_beta_law(a, b):
    assert mm.moment(a, b, 0.7, 1.4) == pytest.approx(naive(lambda p: p**0.7 * (1 - p) ** 1.4, a, b),
                                                      rel=1e-10)
    assert mb.asymmetric_shrinkage(a, b) == pytest.approx(naive(S, a, b), rel=1e-10)
    assert mb.asymmetric_maximum(a, b) == pytest.approx(naive(lambda p: max(p, 1 - p), a, b), rel=1e-10)
    assert mb.log_moment(a, b, 1, 0) == pytest.approx(naive(lambda p: p * mpmath.log(p), a, b), rel=1e-10)
    assert mb.partial_moment(a, b, 1, 0, 0.5, 1) == pytest.approx(
        naive(lambda p: p if p >= 0.5 else mpmath.mpf(0), a, b), rel=1e-10)
    for formula in (mb.asymmetric_shrinkage, mb.asymmetric_maximum):
        with pytest.raises(DomainError, match="a = "):
            formula(-a, b)


def test_asymmetric_formulas_contain_the_symmetric_ones():
    for alpha in ALPHAS:
        assert mb.asymmetric_shrinkage(alpha, alpha) == pytest.approx(mm.shrinkage(alpha), rel=1e-13)
        assert mb.asymmetric_maximum(alpha, alpha) == pytest.approx(mm.mean_maximum(alpha), rel=1e-12)


@pytest.mark.parametrize("k", [0.5, 1, 1.7, 3])
def test_arcsine_moments(k):
    assert mm.arcsine(0.37, k) == pytest.approx(naive(lambda p: abs(2 * p - 1) ** (2 * k), 0.37, 0.37),
                                                rel=1e-10)


def test_the_bounds_are_what_a_search_finds():
    alpha = np.geomspace(1e-4, 1e4, 200_001)
    rho = mm.noise_ratio(alpha)
    assert float(bounds.noise_ratio_upper()) == pytest.approx(rho.max(), abs=1e-9)
    assert rho.max() <= float(bounds.noise_ratio_upper()) + 1e-15
    assert alpha[rho.argmax()] == pytest.approx((math.sqrt(57) - 3) / 8, rel=1e-3)
    assert rho.min() >= float(bounds.noise_ratio_lower())
    assert (float(bounds.range_lower()), float(bounds.range_upper())) == (0.5, 1.0)


@pytest.mark.parametrize("alpha", [0.1, 1.0, 4.2])
def test_the_tilt(alpha):
    h = sp.exp(3 * mm.LAM)
    assert laws.tilted_law(alpha, h) == pytest.approx(naive(lambda p: p * mpmath.exp(3 * p), alpha, alpha),
                                                      rel=1e-10)
    assert laws.tilted(alpha).moment(1, 0) == pytest.approx(mm.shrinkage(alpha), rel=1e-13)


def test_untied_labels_by_brute_force():
    """All ordered pairs, the mixed label written out, lambda uniform by the midpoint rule."""
    toy, total, count = laws.TOY, 0.0, 4000
    for lam in (np.arange(count) + 0.5) / count:
        for i in range(4):
            for j in range(4):
                if i != j:
                    z = (lam * toy.x[i] + (1 - lam) * toy.x[j]) @ toy.W
                    target = lam * toy.y[i] + (1 - lam) * toy.y[j]
                    total += float(target @ (np.log(np.exp(z).sum()) - z))
    assert laws.untied_labels(1.0, toy) == pytest.approx(total / (12 * count), rel=1e-6)
    assert laws.symmetrised(1.0, 1.0, toy) == pytest.approx(laws.untied_labels(1.0, toy), rel=1e-12)
    assert laws.untied_labels(0.0, toy) == pytest.approx(toy.own(np.array([1.0]))[0], rel=1e-12)


def test_expansions_at_both_ends():
    h = 1 / (1 + mm.LAM)
    for expansion, alphas in ((laws.small_alpha, (0.01, 0.005)), (laws.large_alpha, (300.0, 600.0))):
        errors = [abs(expansion(a, h) - naive(lambda p: 1 / (1 + p), a, a)) for a in alphas]
        assert 3.6 < errors[0] / errors[1] < 4.4         # halving the small parameter: second order
    assert laws.small_alpha_variance(0.003) == pytest.approx(mm.shrinkage_variance(0.003), rel=0.03)
    with pytest.raises(DomainError, match="alpha"):
        laws.small_alpha(-1.0, h)


def test_numerical_claims_refuse_bad_input():
    for bad in (0.0, -1.0, np.nan, np.inf):
        for formula in (numerics.torch_half, numerics.float32_clamp):
            with pytest.raises(DomainError):
                formula(bad)
    with pytest.raises(DomainError, match="odd rule"):
        numerics.kink_cost(1.0, 15)
    with pytest.raises(DomainError, match="kinks"):
        numerics.quadrature_kink(1.0, 1.5, 8)


def test_the_simulated_kernel_is_torchs_own_beta():
    """Same seed, same draws; torch.distributions.Beta takes no generator: its state is set aside."""
    with torch.random.fork_rng():
        torch.manual_seed(11)
        concentration = torch.tensor(0.01)
        theirs = torch.distributions.Beta(concentration, concentration).sample((1000,))
    kernel = torch._sample_dirichlet(torch.full((1000, 2), 0.01),
                                     generator=torch.Generator().manual_seed(11))[:, 0]
    assert torch.equal(theirs, kernel)
    at_clamp = float((theirs == numerics.TINY).double().mean())
    assert abs(at_clamp - numerics.float32_clamp(0.01)) < math.sqrt(math.log(2e6) / 2000)


def test_every_statement_of_the_chapter_is_registered():
    names = {c.id.partition(".")[2] for c in claims().values() if c.chapter == "mixing_moments"}
    expected = {"moments", "shrinkage", "mean_product", "variance", "product_square", "shrinkage_square",
                "shrinkage_variance", "fourth", "mean_gap", "mean_square_gap", "mean_maximum", "arcsine",
                "tilted_law",
                "asymmetric_shrinkage", "asymmetric_maximum", "untied_labels", "tilted_shrinkage",
                "symmetrised",
                "small_alpha", "small_alpha_variance", "large_alpha", "range_lower", "range_upper",
                "noise_ratio",
                "noise_ratio_lower", "noise_ratio_upper", "log_moment", "partial_moment", "quadrature_smooth",
                "quadrature_kink", "kink_cost", "float32_clamp", "torch_half"}
    assert names == expected
