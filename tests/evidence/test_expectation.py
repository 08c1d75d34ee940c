"""The expectation calculus against quadrature, brute force and combinatorics that it does not share."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import sympy as sp
from scipy import integrate, stats

from mixtheory.domain import DomainError
from mixtheory.evidence import (
    DistinctMean,
    Mean,
    beta,
    centred,
    distinct_mean,
    expect,
    gaussian,
    scalar,
    without_replacement,
)
from mixtheory.evidence.expectation import set_partitions

x, y, z = sp.symbols("x y z", real=True)
lam, alpha = sp.symbols("lambda alpha", positive=True)
N = sp.Symbol("n", integer=True, positive=True)
DATA = (2, -1, 5, 0, 3)


@pytest.mark.parametrize(
    "powers", [(4, 0, 0), (2, 2, 0), (1, 1, 2), (3, 1, 0), (2, 2, 2), (1, 2, 3), (5, 1, 2), (1, 0, 0)]
)
def test_wick_against_quadrature(powers):
    Sigma = np.array([[2.0, 0.6, -0.3], [0.6, 1.0, 0.2], [-0.3, 0.2, 0.5]])
    nodes, weight = np.polynomial.hermite_e.hermegauss(6)
    weight = weight / weight.sum()
    grid = np.array(list(itertools.product(nodes, repeat=3))) @ np.linalg.cholesky(Sigma).T
    naive = np.array(list(itertools.product(weight, repeat=3))).prod(1) @ np.prod(
        grid ** np.array(powers), axis=1
    )
    exact = expect(x ** powers[0] * y ** powers[1] * z ** powers[2], gaussian((x, y, z), sp.Matrix(Sigma)))
    assert float(exact) == pytest.approx(naive, abs=1e-12)


@pytest.mark.parametrize(("a", "b", "power"), [(0.3, 0.3, 2), (2.0, 5.0, 3), (1.0, 0.4, 1), (0.7, 1.9, 0)])
def test_beta_moments_against_quadrature(a, b, power):
    naive, error = integrate.quad(lambda t: t**power * (1 - t) * stats.beta(a, b).pdf(t), 0, 1)
    assert float(expect(lam**power * (1 - lam), beta(lam, a, b))) == pytest.approx(
        naive, abs=max(1e-9, 2 * error)
    )


def test_beta_is_symmetric_unless_told_otherwise():
    assert sp.simplify(expect(lam**2, beta(lam, alpha)) - expect((1 - lam) ** 2, beta(lam, alpha))) == 0
    assert expect(lam, beta(lam, 1, 3)) == sp.Rational(1, 4)


def test_independent_laws_multiply_and_coefficients_stay():
    c = sp.Symbol("c")
    value = expect(c * x**2 * y + 3 * x * y**2 + 7, scalar(x, 2, 5), scalar(y, -1, 4))
    assert sp.expand(value - (-5 * c + 24 + 7)) == 0


def test_matrices_go_entry_by_entry():
    assert expect(sp.Matrix([[x, x**2], [1, y]]), scalar(x, 2, 5), scalar(y, 3)) == sp.Matrix(
        [[2, 5], [1, 3]]
    )


def test_a_law_has_no_more_moments_than_it_was_given():
    with pytest.raises(DomainError, match="order 2"):
        expect(x**3, centred((x, y), [[1, 0], [0, 1]]))
    with pytest.raises(DomainError, match="only 2 moments"):
        expect(x**3, scalar(x, 0, 1))


def test_laws_must_not_share_symbols():
    with pytest.raises(DomainError, match="share"):
        expect(x, scalar(x, 1), gaussian((x,), [[1]]))


@pytest.mark.parametrize("expression", [1 / x, sp.exp(x), sp.Abs(x), x ** sp.Rational(1, 2)])
def test_only_polynomials_have_a_mean_here(expression):
    with pytest.raises(sp.PolynomialError):
        expect(expression, scalar(x, 1, 2, 3))


def test_centred_gives_its_covariance():
    p, q, r = sp.symbols("p q r")
    assert expect((x + 2 * y) ** 2 + x, centred((x, y), [[p, q], [q, r]])) == p + 4 * q + 4 * r


# ---- means as they stand on the page -------------------------------------------------------------------


def test_mean_waits_for_doit():
    mean = Mean(x**2 + sp.Symbol("b"), scalar(x, 1, sp.Symbol("m")))
    assert mean.free_symbols == {sp.Symbol("b")}  # the averaged symbol is bound
    assert (2 * mean + 1).doit() == 2 * sp.Symbol("m") + 2 * sp.Symbol("b") + 1
    assert sp.latex(mean) == r"\mathbb{E}\left[b + x^{2}\right]"
    assert sp.latex(mean**2) == r"\left(\mathbb{E}\left[b + x^{2}\right]\right)^{2}"


def test_mean_computes_what_is_inside_first():
    t = sp.Symbol("t", positive=True)
    assert Mean(sp.Integral(x * t, (t, 0, 2)), scalar(x, 3)).doit() == 6


def test_means_under_different_laws_differ():
    first, second = Mean(x**2, scalar(x, 0, 1)), Mean(x**2, scalar(x, 0, 4))
    assert first != second
    assert (first - second).doit() == -3
    assert (first * second).doit() == 4


def test_distinct_mean_waits_for_doit():
    mean = DistinctMean(r"\overline{ab}", 2, N, lambda blocks: 1 if len(blocks) == 2 else sp.Symbol("q"))
    assert sp.latex(mean) == r"\overline{ab}"
    assert sp.simplify((3 * mean).doit() - 3 * (1 - sp.Symbol("q")) / (N * (N - 1))) == 0
    assert mean.free_symbols == set()


# ---- distinct members ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "bell"), list(enumerate([1, 1, 2, 5, 15, 52, 203])))
def test_set_partitions_are_all_and_counted_by_bell(size, bell):
    found = [frozenset(map(frozenset, p)) for p in set_partitions(range(size))]
    assert len(found) == len(set(found)) == bell
    assert all(sorted(i for block in p for i in block) == list(range(size)) for p in found)


@pytest.mark.parametrize(
    "powers", [(1,), (2,), (1, 1), (2, 1), (1, 1, 1), (2, 1, 1), (3, 2), (1, 1, 1, 1), (2, 2, 1)]
)
def test_without_replacement_against_brute_force(powers):
    tuples = list(itertools.permutations(DATA, len(powers)))
    naive = sp.Rational(
        sum(np.prod([v**p for v, p in zip(t, powers, strict=True)], dtype=object) for t in tuples),
        len(tuples),
    )
    exact = without_replacement(powers, N, lambda r: sum(v**r for v in DATA)).subs(N, len(DATA))
    assert exact == naive


def test_without_replacement_with_symbolic_n():
    p1, p2 = sp.symbols("p_1 p_2")
    mean = without_replacement((1, 1), N, lambda r: (p1, p2)[r - 1])
    assert sp.simplify(mean - (p1**2 - p2) / (N * (N - 1))) == 0


def test_distinct_mean_of_a_linked_product():
    """Mean of c_a c_b c_b c_d over distinct a, b, d: the blocks are told by position."""
    naive = sp.Rational(sum(a * b * b * d for a, b, d in itertools.permutations(DATA, 3)), 60)
    powers = (1, 2, 1)
    exact = distinct_mean(
        3,
        N,
        lambda blocks: sp.prod([sum(v ** sum(powers[i] for i in block) for v in DATA) for block in blocks]),
    ).subs(N, 5)
    assert exact == naive
