"""The laws of lambda against mpmath, closed forms and their own samples."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
import sympy as sp
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from mixtheory.domain import DomainError
from mixtheory.mixing import Atoms, Beta, Folded, elementary, symmetric

ERROR = 1e-6
parameters = st.floats(0.01, 60.0)
powers = st.floats(0.0, 5.0)


def integral(h, a, b, low=0, high=1):
    """E[h(lambda); low <= lambda <= high] by mpmath, densities as they stand, 30 digits."""
    with mpmath.workdps(30):
        a, b = mpmath.mpf(a), mpmath.mpf(b)
        edges = [mpmath.mpf(e) for e in (low, (low + high) / 2, high)]
        return float(mpmath.quad(lambda p: h(p) * p ** (a - 1) * (1 - p) ** (b - 1), edges) / mpmath.beta(a,
                                                                                                          b))


# ---- moments ----

@given(parameters, parameters, powers, powers)
def test_moments_agree_with_the_beta_integral(a, b, k, m):
    with mpmath.workdps(30):
        reference = float(mpmath.beta(a + k, b + m) / mpmath.beta(a, b))
    assert Beta(a, b).moment(k, m) == pytest.approx(reference, rel=1e-10)


@given(parameters, parameters, st.integers(0, 6), st.integers(0, 6))
def test_counts_by_rising_factorials_agree_with_gamma_functions(a, b, k, m):
    assert Beta(a, b).moment(k, m) == pytest.approx(Beta(a, b).moment(float(k), float(m)), rel=1e-10)


@given(parameters, parameters)
def test_moments_are_a_probability_law(a, b):
    law = Beta(a, b)
    assert law.moment(0, 0) == 1
    assert law.moment(1, 0) + law.moment(0, 1) == pytest.approx(1, rel=1e-14)
    assert law.moment(2, 0) >= law.moment(1, 0) ** 2
    assert law.moment(2, 1) == pytest.approx(Beta(b, a).moment(1, 2), rel=1e-12)


def test_symbolic_moments_are_exact():
    a, b = sp.symbols("a b", positive=True)
    assert sp.simplify(Beta(a, b).moment(1, 1) - a * b / ((a + b) * (a + b + 1))) == 0
    assert Beta(sp.Rational(1, 2), sp.Rational(1, 2)).moment(2, 0) == sp.Rational(3, 8)
    half = Beta(sp.Integer(1), sp.Integer(1)).moment(sp.Rational(1, 2), 0)
    assert sp.simplify(half - sp.Rational(2, 3)) == 0


@pytest.mark.parametrize(("a", "b", "k", "m"), [(0.5, 0.5, 1, 0), (2.3, 0.7, 0, 0), (4.2, 4.2, 0.5, 2)])
def test_log_moments(a, b, k, m):
    reference = integral(lambda p: p**k * (1 - p) ** m * mpmath.log(p), a, b)
    assert Beta(a, b).log_moment(k, m) == pytest.approx(reference, rel=1e-9)


def test_symbolic_log_moment_is_the_numeric_one():
    a, k = sp.Symbol("a", positive=True), sp.Symbol("k", positive=True)
    value = Beta(a, a).log_moment(k, 1).subs({a: sp.Rational(7, 5), k: sp.Rational(1, 2)})
    assert float(value) == pytest.approx(Beta(1.4, 1.4).log_moment(0.5, 1), rel=1e-12)


@pytest.mark.parametrize(("a", "b", "low", "high"),
                         [(0.5, 2.0, 0.0, 0.3), (3.0, 0.8, 0.2, 0.9), (1.4, 1.4, 0.5, 1)])
def test_partial_moments(a, b, low, high):
    reference = integral(lambda p: p**2 * (1 - p), a, b, low, high)
    assert Beta(a, b).partial_moment(2, 1, low, high) == pytest.approx(reference, rel=1e-9)
    symbol = sp.Symbol("a", positive=True)
    symbolic = Beta(symbol, b).partial_moment(2, 1, low, high).subs(symbol, a).evalf(20)
    assert float(symbolic) == pytest.approx(reference, rel=1e-9)


@given(parameters, parameters, st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_partial_moments_add_up(a, b, x, y, z):
    low, middle, high = sorted((x, y, z))
    part = Beta(a, b).partial_moment
    assert part(1, 2, low, high) == pytest.approx(part(1, 2, low, middle) + part(1, 2, middle, high),
                                                  abs=1e-14)
    assert part(1, 2) == pytest.approx(Beta(a, b).moment(1, 2), rel=1e-12)


# ---- quadrature ----

@given(parameters, parameters, st.integers(0, 12))
def test_one_rule_is_exact_for_polynomials(a, b, degree):
    assert Beta(a, b).expect(lambda p: p**degree, nodes=7) == pytest.approx(Beta(a, b).moment(degree, 0),
                                                                            rel=1e-11)


@pytest.mark.parametrize("alpha", [1e-3, 0.01, 0.3, 1.0, 4.2, 300.0, 1e6])
@pytest.mark.parametrize("nodes", [48, 256])
def test_rounding_does_not_grow_with_the_nodes(alpha, nodes):
    """E e^lambda = e^(1/2) 0F1(; alpha + 1/2; 1/16), a modified Bessel function."""
    with mpmath.workdps(30):
        reference = float(mpmath.exp(0.5) * mpmath.hyp0f1(mpmath.mpf(alpha) + 0.5, mpmath.mpf(1) / 16))
    assert Beta(alpha, alpha).expect(np.exp, nodes=nodes) == pytest.approx(reference, rel=1e-14)


@given(parameters, parameters, st.floats(0.05, 0.95))
def test_declared_kinks_cost_nothing(a, b, kink):
    law = Beta(a, b)
    below = kink * law.partial_moment(0, 0, 0, kink) - law.partial_moment(1, 0, 0, kink)
    above = law.partial_moment(1, 0, kink, 1) - kink * law.partial_moment(0, 0, kink, 1)
    assert law.expect(lambda p: np.abs(p - kink), kinks=(kink,)) == pytest.approx(below + above, abs=1e-12)


@pytest.mark.parametrize(("a", "b"), [(0.5, 1000.0), (0.01, 300.0), (3e3, 2e3), (1e4, 1e4), (1e6, 1e6)])
def test_narrow_peaks_with_a_kink(a, b):
    law = Beta(a, b)
    larger = law.partial_moment(1, 0, 0.5, 1) + law.partial_moment(0, 1, 0, 0.5)
    assert law.expect(lambda p: np.maximum(p, 1 - p), kinks=(0.5,)) == pytest.approx(larger, rel=1e-12)
    assert law.expect(lambda p: p**3, kinks=(0.2, 0.77)) == pytest.approx(law.moment(3, 0), rel=1e-12)


def test_an_undeclared_kink_is_seen():
    assert abs(Beta(1.0, 1.0).expect(lambda p: np.maximum(p, 1 - p), nodes=16) - 0.75) > 1e-4


def test_kinks_at_the_ends_and_repeated_ones_are_harmless():
    assert Beta(0.4, 2.0).expect(np.exp, kinks=(0.0, 0.5, 0.5,
                                                1.0)) == pytest.approx(Beta(0.4, 2.0).expect(np.exp), 1e-13)


def test_values_may_have_further_axes():
    values = Beta(2.0, 3.0).expect(lambda p: np.stack([p, p**2], axis=-1))
    assert values == pytest.approx([0.4, 0.2])
    assert np.ndim(Beta(2.0, 3.0).expect(lambda p: p)) == 0


# ---- limits, atoms, folding ----

@pytest.mark.parametrize(("alpha", "near"), [(0.0, 1e-7), (np.inf, 1e7)])
def test_the_limit_laws_continue_the_family(alpha, near):
    for k, m in ((1, 0), (2, 1), (0.5, 0.5), (4, 0)):
        assert symmetric(alpha).moment(k, m) == pytest.approx(symmetric(near).moment(k, m), abs=1e-6)
    assert symmetric(alpha).expect(np.exp) == pytest.approx(symmetric(near).expect(np.exp), abs=1e-6)


def _power(k, m):
    return lambda p: p**k * (1 - p) ** m


def test_limit_laws_are_explicit():
    assert symmetric(0) == Atoms((0.0, 1.0), (0.5, 0.5))
    assert symmetric(float("inf")) == Atoms((0.5,), (1.0,))
    assert symmetric(0.3) == Beta(0.3, 0.3)


@given(parameters, parameters, st.integers(0, 6), st.integers(0, 6))
def test_folded_moments_are_folded_expectations(a, b, k, m):
    law = Folded(Beta(a, b))
    assert law.moment(k, m) == pytest.approx(law.expect(_power(k, m)), rel=1e-10, abs=1e-13)


@given(parameters, parameters)
def test_folding_changes_no_symmetric_function(a, b):
    def shares(p):
        return p**4 + (1 - p) ** 4
    assert Folded(Beta(a, b)).expect(shares) == pytest.approx(Beta(a, b).expect(shares), rel=1e-11)


def test_folded_laws_of_atoms_and_with_kinks():
    law = Folded(Atoms((0.2, 0.5, 0.9), (0.5, 0.25, 0.25)))
    assert law.moment(1, 0) == pytest.approx(0.5 * 0.8 + 0.25 * 0.5 + 0.25 * 0.9)
    assert law.expect(lambda p: p) == pytest.approx(law.moment(1, 0))
    folded = Folded(Beta(1.0, 1.0))                      # uniform on [1/2, 1]
    assert folded.expect(lambda p: np.abs(p - 0.7), kinks=(0.7,)) == pytest.approx(0.04 + 0.09, rel=1e-13)


# ---- elementary formulas ----

@elementary
def awkward(alpha):
    """(alpha + 1) / (2 alpha + 1), with a removable singularity at 0 on top."""
    return alpha * (alpha + 1) / (alpha * (2 * alpha + 1))


def test_elementary_formulas_take_limits_where_arithmetic_cannot():
    assert awkward(0) == 1
    assert awkward(np.inf) == 0.5
    assert awkward(1e200) == 0.5                         # alpha^2 overflows
    assert awkward(1.0) == pytest.approx(2 / 3)
    assert awkward([0.0, 1.0, np.inf]) == pytest.approx([1, 2 / 3, 0.5])
    assert isinstance(awkward(2), float)
    alpha = sp.Symbol("alpha", positive=True)
    assert sp.simplify(awkward(alpha) - (alpha + 1) / (2 * alpha + 1)) == 0
    for bad in (-0.1, np.nan, [1.0, -2.0]):
        with pytest.raises(DomainError, match="alpha"):
            awkward(bad)


def test_limits_follow_a_formula_that_is_replaced():
    numerator = {"value": 1}

    @elementary
    def formula(alpha):
        return (numerator["value"] * alpha + 1) / (alpha + 1)
    assert formula(np.inf) == 1
    numerator["value"] = 3
    assert formula(np.inf) == 3


# ---- sampling ----

def distance(draws, cdf, jumps=()):
    """sup |F_n - F|; exact for a continuous F, over the jumps for atoms."""
    x = np.sort(np.asarray(draws, dtype=float))
    n = len(x)
    if jumps:
        return max(abs(np.searchsorted(x, j, side="right") / n - cdf(j)) for j in jumps)
    F = cdf(x)
    return max(np.max(np.arange(1, n + 1) / n - F), np.max(F - np.arange(n) / n))


def dkw(n):
    """Massart's bound on sup |F_n - F|, exceeded with probability ERROR at most."""
    return math.sqrt(math.log(2 / ERROR) / (2 * n))


def generators():
    return {"numpy": np.random.default_rng(3), "torch": torch.Generator().manual_seed(5)}


@pytest.mark.parametrize("kind", ["numpy", "torch"])
@pytest.mark.parametrize(("a", "b"), [(1e-4, 1e-4), (0.003, 0.003), (0.01, 0.5), (0.37, 0.37), (1, 1),
                                      (4.2, 0.9),
                                      (2e3, 1e3)])
def test_draws_follow_the_law(kind, a, b):
    draws = np.asarray(Beta(a, b).sample(60_000, rng=generators()[kind]))
    assert ((draws >= 0) & (draws <= 1)).all()
    middle = draws[(draws > 1e-300) & (draws < 1 - 1e-12)]          # what float64 can tell from the ends
    below, above = (draws <= 1e-300).mean(), (draws >= 1 - 1e-12).mean()
    assert abs(below - special.betainc(a, b, 1e-300)) < dkw(len(draws))
    assert abs(above - special.betainc(b, a, 1e-12)) < dkw(len(draws))
    if len(middle) > 1000:
        low, high = special.betainc(a, b, [1e-300, 1 - 1e-12])
        assert distance(middle, lambda t: (special.betainc(a, b, t) - low) / (high - low)) < dkw(len(middle))


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_a_wrong_law_is_rejected(kind):
    draws = Beta(0.37, 1.0).sample(60_000, rng=generators()[kind])
    assert distance(draws, lambda t: special.betainc(0.37, 0.37, t)) > dkw(60_000)


def test_tiny_alpha_does_not_mix_in_torch():
    """torch.distributions.Beta has a quarter of its draws at 1/2 here; the law has almost none near it."""
    draws = Beta(0.001, 0.001).sample(20_000, rng=torch.Generator().manual_seed(2))
    assert float(((draws > 0.1) & (draws < 0.9)).double().mean()) < 0.01


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_draws_of_atoms_and_folded_laws(kind):
    rng = generators()[kind]
    law = Atoms((0.1, 0.5, 0.8), (0.2, 0.5, 0.3))
    draws = np.asarray(law.sample(40_000, rng=rng))
    assert set(np.unique(draws)) == {0.1, 0.5, 0.8}
    assert distance(draws, lambda t: 0.2 * (t >= 0.1) + 0.5 * (t >= 0.5) + 0.3 * (t >= 0.8),
                    (0.1, 0.5, 0.8)) < dkw(40_000)
    folded = np.asarray(Folded(Beta(0.6, 0.6)).sample(40_000, rng=rng))
    assert folded.min() >= 0.5
    assert distance(folded, lambda t: special.betainc(0.6, 0.6, t) - special.betainc(0.6, 0.6,
                                                                                     1 - t)) < dkw(40_000)


def test_kind_shape_and_dtype_follow_the_generator():
    for law in (Beta(0.4, 2.0), symmetric(0), symmetric(np.inf), Folded(Beta(1.0, 1.0))):
        array = law.sample((3, 2), rng=np.random.default_rng(0))
        assert isinstance(array, np.ndarray)
        assert (array.shape, array.dtype) == ((3, 2), np.float64)
        tensor = law.sample((3, 2), rng=torch.Generator().manual_seed(0))
        assert isinstance(tensor, torch.Tensor)
        assert (tuple(tensor.shape), tensor.dtype) == ((3, 2), torch.float64)
        assert law.sample(4, rng=np.random.default_rng(0), dtype=np.float32).dtype == np.float32
        assert law.sample(np.int64(4), rng=torch.Generator(), dtype=torch.float32).dtype == torch.float32


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_same_seed_same_draws_and_no_global_state(kind):
    first, second = (np.asarray(Beta(0.3, 0.7).sample(50, rng=generators()[kind])) for _ in range(2))
    assert (first == second).all()
    before = torch.get_rng_state()
    Beta(0.3, 0.7).sample(50, rng=generators()[kind])
    assert torch.equal(before, torch.get_rng_state())


# ---- bad input ----

@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_beta_parameters_must_be_positive_and_finite(bad):
    with pytest.raises(DomainError, match="a = "):
        Beta(bad, 1.0)
    with pytest.raises(DomainError, match="b = "):
        Beta(1.0, bad)


@pytest.mark.parametrize("bad", [-0.1, np.nan, -np.inf, [0.1, 0.2]])
def test_a_symmetric_law_needs_one_alpha(bad):
    with pytest.raises(DomainError, match="alpha"):
        symmetric(bad)


@pytest.mark.parametrize(("points", "weights"), [((0.5,), (0.9,)), ((0.2, 0.4), (1.0,)), ((1.2,), (1.0,)),
                                                 ((np.nan,), (1.0,)), ((0.1, 0.2), (1.5, -0.5)),
                                                 ((0.5,), (np.nan,))])
def test_atoms_must_be_a_law_on_the_unit_interval(points, weights):
    with pytest.raises(DomainError):
        Atoms(points, weights)


def test_infinite_moments_and_bad_intervals_are_refused():
    for k, m in ((-2.0, 0.0), (0.0, -0.5), (-2, 0)):
        with pytest.raises(DomainError, match="finite only"):
            Beta(2.0, 0.5).moment(k, m)
    for low, high in ((-0.1, 0.5), (0.2, 1.3), (0.6, 0.4), (np.nan, 0.5)):
        with pytest.raises(DomainError):
            Beta(2.0, 0.5).partial_moment(1, 0, low, high)


def test_bad_quadrature_requests_are_refused():
    law = Beta(0.4, 2.0)
    with pytest.raises(DomainError, match="nodes"):
        law.quadrature(nodes=0)
    with pytest.raises(DomainError, match="kinks"):
        law.expect(np.exp, kinks=(1.5,))
    with pytest.raises(DomainError, match="vectorised"):
        law.expect(lambda p: 1.0)
    with pytest.raises(DomainError, match="NaN"):
        law.expect(lambda p: np.full_like(p, np.nan))


@pytest.mark.parametrize("law", [Beta(0.4, 2.0), symmetric(0)])
def test_a_generator_is_needed(law):
    with pytest.raises(DomainError, match="Generator"):
        law.sample(3, rng=np.random)
