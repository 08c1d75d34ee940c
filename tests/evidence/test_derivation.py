"""SymPy certifies what is true and nothing else; appeals are never certified."""

from __future__ import annotations

import pytest
import sympy as sp

from mixtheory.evidence import Derivation, Mean, Step, beta
from mixtheory.evidence.derivation import equal

x, a, n = (
    sp.Symbol("x", positive=True),
    sp.Symbol("a", positive=True),
    sp.Symbol("n", integer=True, positive=True),
)
k = sp.Symbol("k", integer=True, positive=True)
BETA = beta(x, a)

TRUE = [
    ((x + 1) ** 2, x**2 + 2 * x + 1),
    (1 / (x - a) - 1 / (x + a), 2 * a / (x**2 - a**2)),
    (sp.gamma(x + 2) / sp.gamma(x), x * (x + 1)),
    (sp.sin(x) ** 2 + sp.cos(x) ** 2, 1),
    (sp.Integral(x * sp.exp(-a * x), (x, 0, sp.oo)), 1 / a**2),
    (sp.Sum(k, (k, 1, n)), n * (n + 1) / 2),
    (Mean(x**2 + (1 - x) ** 2, BETA), (a + 1) / (2 * a + 1)),
    (sp.Matrix([[x, a]]) * 2, sp.Matrix([[2 * x, a + a]])),
    (sp.sqrt(3 + 2 * sp.sqrt(2)), 1 + sp.sqrt(2)),
]


@pytest.mark.parametrize(("left", "right"), TRUE)
def test_equalities_are_certified(left, right):
    assert equal(left, right)
    assert equal(right, left)


@pytest.mark.parametrize(("left", "right"), TRUE)
@pytest.mark.parametrize(
    "change", [lambda e: e * sp.Rational(101, 100), lambda e: e * (1 + sp.Rational(1, 10**9))]
)
def test_a_small_relative_error_is_not_certified(left, right, change):
    assert not equal(left, change(right))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (sp.sqrt((x - 3) ** 2), x - 3),  # true only on one side of 3
        (sp.Symbol("f") * 0 + x, a),
        (sp.Matrix([[x]]), sp.Matrix([[x, x]])),
        (sp.Matrix([[x, a]]), sp.Matrix([[x, a + 1]])),
        (sp.oo, sp.oo),
        (sp.nan, sp.nan),  # not numbers: nothing is certified
    ],
)
def test_what_is_false_or_undefined_is_not_certified(left, right):
    assert not equal(left, right)


def test_symbols_that_agree_at_the_test_point_do_not_pass():
    y = sp.Symbol("y", positive=True)  # the quick refutation looks at x = 7/5, y = 13/5
    assert not equal((x - sp.Rational(7, 5)) * (y - sp.Rational(13, 5)), 0)
    assert not equal(x * y, sp.Rational(91, 25))


def test_a_chain_links_each_right_side_to_the_next_left():
    d = Derivation("f", (x + 1) ** 2, {"x": x}).equals(x**2 + 2 * x + 1, "expand")
    d = d.appeal(sp.Symbol("f"), "definition", claim="b.two").equals(sp.Symbol("f"), "again", claim="a.one")
    d = d.equals(sp.Symbol("f"), "once more", claim="b.two")
    assert [s.left for s in d.steps] == [(x + 1) ** 2, x**2 + 2 * x + 1, sp.Symbol("f"), sp.Symbol("f")]
    assert d.conclusion == sp.Symbol("f")
    assert d.rests_on == ("b.two", "a.one")
    assert [s.certified() for s in d.steps] == [True, False, True, True]


def test_a_derivation_without_steps_concludes_its_start_and_steps_never_change_it():
    d = Derivation("f", x, {"x": x})
    d.equals(a, "discarded")
    assert d.conclusion == x
    assert d.steps == ()


def test_an_appeal_is_never_certified_even_if_true():
    assert not Step(x, x, "obvious", appeal=True).certified()
    assert Step(x, x, "obvious").certified()
    assert not Step(x, 2 * x, "a slip").certified()
