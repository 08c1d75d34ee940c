"""Every way to be wrong is seen by `verify`, on a claim so small that it can be broken at will: E[a U] = a/2."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from scipy import stats

from mixtheory.evidence import (
    Claim,
    Derivation,
    Mean,
    cases,
    predicts,
    scalar,
    scratch_registry,
    simulates,
    verify,
)
from mixtheory.evidence import check as module
from mixtheory.evidence import estimate as estimates

A, U = sp.symbols("a u", positive=True)
HALF = sp.Rational(1, 2)


@pytest.fixture(autouse=True)
def scratch():
    with scratch_registry():
        yield


def derive(last=A / 2):
    d = Derivation("m", Mean(A * U, scalar(U, HALF)), {"a": A})
    return d.equals(A * Mean(U, scalar(U, HALF)), "a is constant").equals(last, "the mean of U")


def draw(size, *, rng, a):
    return a * rng.random(size)


def make(**fields):
    fields = {
        "id": "toy.mean",
        "title": "Mean",
        "statement": "a/2",
        "predict": lambda a: a / 2,
        "derive": derive,
        "exact": lambda a: a / 2,
        "simulate": draw,
        "cases": cases(a=(0.3, 1.0, 7.0)),
        "wrong": {
            "doubled": predicts(lambda a: a),
            "squared": simulates(lambda size, *, rng, a: a * rng.random(size) ** 2),
        },
        **fields,
    }
    return Claim(**fields)


def problems(seed=0, **fields):
    return " | ".join(verify(make(**fields), seed=seed).problems)


def test_a_true_claim_has_no_problem_and_every_mutant_is_killed_on_every_route():
    found = verify(make())
    assert found.problems == []
    assert found.checked
    assert found.derivation == {"certified": 2, "total": 2, "rests_on": [], "open_appeals": 0}
    assert found.exact["error"] == 0
    assert found.monte_carlo["sees"] <= 0.05
    assert {(m["name"], m["route"]) for m in found.mutants if m["killed"]} == {
        ("doubled", "derivation"),
        ("doubled", "exact"),
        ("doubled", "monte carlo"),
        ("squared", "monte carlo"),
    }


# ---- derivation ----------------------------------------------------------------------------------------


def test_a_broken_step_is_seen():
    text = problems(derive=lambda: derive(A / 3).equals(A / 2, "magic"))
    assert "does not certify step 2 (the mean of U)" in text
    assert "does not certify step 3 (magic)" in text
    assert "conclusion" not in text


def test_a_conclusion_that_is_not_predict_is_seen():
    assert "the conclusion is not predict on symbols" in problems(
        predict=lambda a: a / 2 + 0.01, exact=None, simulate=None
    )


def test_only_numerical_and_empirical_claims_go_without_derivation():
    assert "no derivation" in problems(derive=None)
    assert "no derivation" not in problems(derive=None, kind="numerical")


def test_open_appeals_are_counted_apart_from_those_that_name_a_claim():
    d = derive().appeal(A / 2, "it is known").appeal(A / 2, "there", claim="toy.other")
    report = verify(make(derive=lambda: d)).derivation
    assert report == {"certified": 2, "total": 4, "rests_on": ["toy.other"], "open_appeals": 1}


# ---- exact ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "seen"), [(3e-9, True), (3e-10, False), (-3e-9, True), (np.nan, True), (np.inf, True)]
)
def test_an_exact_disagreement_beyond_the_tolerance_is_seen(error, seen):
    text = problems(exact=lambda a: a / 2 * (1 + (error if a == 1 else 0)))
    assert ("exact: error" in text) is seen


def test_routes_must_have_the_shape_of_the_prediction():
    with pytest.raises(ValueError, match="shape"):
        verify(make(exact=lambda a: np.full(2, a / 2)))
    with pytest.raises(ValueError, match="shape"):
        verify(make(simulate=lambda size, *, rng, a: a * rng.random((size, 2))))


# ---- Monte Carlo ---------------------------------------------------------------------------------------


def test_a_shift_of_exactly_the_resolution_is_rejected_for_every_seed():
    for seed in range(25):
        text = problems(seed, simulate=lambda size, *, rng, a: draw(size, rng=rng, a=a) + 0.05 * a / 2)
        assert "monte carlo: an entry is off" in text


def test_true_claims_are_rejected_at_the_stated_rate_only(monkeypatch):
    """With the false alarm at one in ten instead of one in a million."""
    monkeypatch.setattr(estimates, "FALSE_ALARM", 0.1)
    trials = 300
    alarms = sum(
        "off by" in problems(seed, derive=None, exact=None, kind="numerical", wrong={})
        for seed in range(trials)
    )
    law = stats.binom(trials, 0.1)
    assert law.ppf(1e-6) <= alarms <= law.isf(1e-6)


def test_too_few_draws_are_underpowered_not_a_pass(monkeypatch):
    monkeypatch.setattr(module, "MOST_NUMBERS", 10_000)
    assert "underpowered" in problems(resolution=0.002)
    assert "underpowered" not in problems(resolution=0.2)


def test_heavy_tails_are_seen(monkeypatch):
    monkeypatch.setattr(module, "MOST_NUMBERS", 100_000)
    text = problems(
        simulate=lambda size, *, rng, a: a / 2 * np.exp(2 * rng.standard_normal(size) - 2),
        resolution=50.0,
        wrong={"far": predicts(lambda a: 100 * a)},
    )
    assert "tails too heavy" in text
    assert "underpowered" not in text


def test_values_that_are_not_numbers_are_refused():
    with pytest.raises(ValueError, match="not finite"):
        verify(make(simulate=lambda size, *, rng, a: np.where(rng.random(size) < 1e-3, np.nan, a / 2)))


def test_a_prediction_that_is_not_a_number_is_seen_on_both_routes():
    text = problems(
        predict=lambda a: a / 2 if isinstance(a, sp.Basic) or a != 1 else np.nan, scale=lambda p, a: 1.0
    )
    assert "exact: error inf" in text
    assert "monte carlo: an entry is off" in text


def test_a_declared_model_error_widens_the_interval_and_is_paid_for():
    def biased(size, *, rng, a):
        return draw(size, rng=rng, a=a) * 1.02

    assert "off by" in problems(simulate=biased, resolution=0.02)
    assert problems(simulate=biased, model_error=0.02) == ""
    assert "underpowered" in problems(simulate=biased, model_error=0.02, resolution=0.01)


def test_another_seed_gives_other_draws_and_the_same_seed_the_same():
    means = [verify(make(), seed=seed).monte_carlo["estimates"][0]["mean"] for seed in (0, 0, 1)]
    assert means[0] == means[1] != means[2]


# ---- mutants -------------------------------------------------------------------------------------------


def test_a_claim_needs_a_mutant():
    assert "no mutant" in problems(wrong={})


def test_a_surviving_mutant_is_seen_on_each_route():
    text = problems(wrong={"same": predicts(lambda a: a / 2), "still": simulates(draw)})
    assert "mutant 'same' survives the derivation route" in text
    assert "mutant 'same' survives the exact route" in text
    assert "mutant 'still' survives the monte carlo route" in text


def test_a_mutant_closer_than_the_resolution_needs_an_exact_route():
    close = {"close": predicts(lambda a: a / 2 * 1.01)}
    assert "closer (0.01) than the resolution" in problems(wrong=close, exact=None)
    found = verify(make(wrong=close))
    assert found.problems == []
    assert {m["route"] for m in found.mutants} == {
        "derivation",
        "exact",
    }  # no Monte Carlo row that proves nothing


def test_a_mutant_beyond_the_resolution_must_fall_in_monte_carlo_too(monkeypatch):
    monkeypatch.setattr(module, "MOST_NUMBERS", 10_000)  # draws too few to see what the resolution promises
    text = problems(wrong={"near": predicts(lambda a: a / 2 * 1.006)}, resolution=0.005)
    assert "mutant 'near' survives the monte carlo route" in text


def test_mutants_that_touch_nothing_are_seen():
    nothing = {"derive": None, "kind": "numerical", "exact": None, "simulate": None}
    assert "'doubled' touches no route" in problems(**nothing)
    assert "'squared' touches no route" in problems(**nothing)


def test_a_numerical_mutant_skips_the_derivation():
    rows = verify(make(wrong={"number": predicts(lambda a: float(a), symbolic=False)})).mutants
    assert {m["route"] for m in rows} == {"exact", "monte carlo"}


# ---- bounds --------------------------------------------------------------------------------------------


def bound(factor=1.0, attained=1.0, **fields):
    return make(
        kind="bound",
        side="upper",
        predict=lambda a: a / 2 * factor,
        exact=lambda a: a / 2 * np.array([0.1, 0.5, attained]),
        derive=lambda: derive(A / 2 * sp.nsimplify(factor)),
        **{
            "simulate": None,
            "tight": 1e-9,
            "wrong": {"tightened": predicts(lambda a: a / 2 * factor * 0.99)},
            **fields,
        },
    )


def test_an_attained_bound_holds_and_a_tightened_one_is_killed():
    assert verify(bound()).problems == []


def test_a_violated_bound_is_seen():
    assert "exact: error 0.1 exceeds" in " ".join(verify(bound(attained=1.1)).problems)


def test_a_bound_that_is_not_attained_is_seen_only_where_tightness_is_claimed():
    assert "exact: error 0.2" in " ".join(verify(bound(attained=0.8)).problems)
    assert verify(bound(attained=0.8, tight=None, wrong={"low": predicts(lambda a: a / 4)})).problems == []


def test_a_loosened_bound_is_killed_by_tightness():
    assert verify(bound(wrong={"loose": predicts(lambda a: a)})).problems == []
    assert "survives" in " ".join(verify(bound(tight=None, wrong={"loose": predicts(lambda a: a)})).problems)


def test_bounds_are_one_sided_in_monte_carlo():
    shifts = {"below": 0.8, "above": 1.2}
    text = {
        side: " ".join(
            verify(bound(simulate=lambda size, *, rng, a, f=f: f * draw(size, rng=rng, a=a))).problems
        )
        for side, f in shifts.items()
    }
    assert "an entry is off" not in text["below"]
    assert "an entry is off" in text["above"]


def test_lower_bounds_are_mirrored():
    lower = {
        "side": "lower",
        "exact": lambda a: a / 2 * np.array([1.0, 3.0]),
        "simulate": None,
        "tight": 1e-9,
        "kind": "bound",
        "wrong": {"tightened": predicts(lambda a: a / 2 * 1.01), "loose": predicts(lambda a: a / 4)},
    }
    assert problems(**lower) == ""
    assert "exact: error" in problems(**{**lower, "exact": lambda a: a / 2 * np.array([0.9, 3.0])})


# ---- asymptotic claims ---------------------------------------------------------------------------------


def limit(power=-1.0, off=0.0, **fields):
    def exact(a, n):
        return a / 2 * (1 + n**power)

    fields = {
        "kind": "asymptotic",
        "along": ("n", -1),
        "predict": lambda a, n: a / 2 + 0 * n,
        "derive": lambda: Derivation("m", A / 2, {"a": A, "n": sp.Symbol("n", positive=True)}).equals(
            A / 2, "given"
        ),
        "exact": exact,
        "cases": cases(a=(0.3, 1.0), n=(4.0, 8.0, 16.0)),
        "simulate": lambda size, *, rng, a, n: draw(size, rng=rng, a=a) * (1 + 1 / n + off),
        "wrong": {"wrong limit": predicts(lambda a, n: 0.7 * a + 0 * n)},
        **fields,
    }
    return make(**fields)


def test_the_limit_and_its_order_are_found():
    found = verify(limit())
    assert found.problems == []
    assert found.exact["orders"] == pytest.approx([-1, -1], abs=1e-9)
    assert found.monte_carlo["sees"] <= 0.05  # though the largest n is still 1/16 away from the limit


@pytest.mark.parametrize("power", [-0.5, -0.8, 0.0])
def test_an_order_that_falls_short_is_seen(power):
    assert "exact: error" in " ".join(verify(limit(power)).problems)


def test_a_faster_order_than_claimed_is_no_contradiction():
    assert not any("exact" in p for p in verify(limit(-2.0)).problems)


def test_an_extrapolated_limit_that_is_off_is_seen():
    assert "monte carlo: an entry is off" in " ".join(verify(limit(off=0.05)).problems)


def test_three_values_of_the_parameter_are_needed():
    with pytest.raises(ValueError, match="at least three values of n"):
        verify(limit(cases=cases(a=(0.3,), n=(4.0, 8.0))))


def test_a_gap_that_is_not_a_number_falls_short():
    assert "exact: error inf" in " ".join(verify(limit(exact=lambda a, n: np.nan)).problems)
