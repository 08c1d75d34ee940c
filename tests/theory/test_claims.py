"""Every registered claim: its stored evidence, the independence of its routes, its steps, its references."""

from __future__ import annotations

import fcntl
import inspect
import re
import sys
from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

import mixtheory.theory  # noqa: F401  importing it registers the claims
from mixtheory import paths
from mixtheory.evidence import Mutant, claims, evidence_for, ledger
from mixtheory.evidence.account import accounts
from mixtheory.evidence.check import exact_error
from mixtheory.mixing import elementary
from mixtheory.theory import mixing_moments

CLAIMS = claims()
every_claim = pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
derived = pytest.mark.parametrize("claim", [c for c in CLAIMS.values() if c.derive], ids=lambda c: c.id)
UNPROVED = ("numerical", "empirical")


# ---- evidence ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def evidence():
    """What the store holds; one worker computes what is missing, on all cores, while the others wait."""
    paths.BUILD.mkdir(parents=True, exist_ok=True)
    with (paths.BUILD / ".evidence.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return evidence_for()


@pytest.fixture(scope="module")
def rows(evidence):
    return {row.id: row for row in ledger.rows(evidence, ledger.records())}


@every_claim
def test_the_evidence_has_no_problem(claim, evidence):
    found = evidence[claim.id]
    assert found.problems == []
    assert found.exact or found.monte_carlo
    assert (found.derivation is not None) or claim.kind in UNPROVED
    if found.monte_carlo:
        assert found.monte_carlo["sees"] <= claim.resolution
        assert found.monte_carlo["skew_guard"] <= 0.5
    assert {m["name"] for m in found.mutants} == set(claim.wrong) != set()
    assert all(m["killed"] for m in found.mutants)


@every_claim
def test_no_row_of_the_ledger_is_broken(claim, rows):
    row = rows[claim.id]
    assert row.problems == ()
    assert row.status in (("checked",) if claim.derive is None else ("argued", "proved"))


@every_claim
def test_each_mutant_touches_every_route_that_it_can(claim, evidence):
    """A formula: the derivation and the exact route, where there are such; wrong sampling: Monte Carlo."""
    found = evidence[claim.id]
    for name, mutant in claim.wrong.items():
        tried = {m["route"] for m in found.mutants if m["name"] == name}
        if mutant.route == "simulate":
            assert tried == {"monte carlo"}
        else:
            assert ("exact" in tried) == (claim.exact is not None)
            assert ("derivation" in tried) == (claim.derive is not None and mutant.symbolic)


# ---- routes share no formula with the predictions ----------------------------------------------------------


def _refuse(*_, **__):
    raise AssertionError("a prediction was called")


@pytest.fixture
def without_predictions(monkeypatch):
    """Whoever calls a registered `predict` fails, by whatever name or closure it holds the function."""
    for function in {inspect.unwrap(c.predict) for c in CLAIMS.values()}:
        for name, module in list(sys.modules.items()):
            if name.startswith("mixtheory.theory"):
                for attribute, value in list(vars(module).items()):
                    if inspect.isfunction(value) and inspect.unwrap(value) is function:
                        monkeypatch.setattr(module, attribute, _refuse)
        if not function.__closure__:
            monkeypatch.setattr(function, "__code__", _refuse.__code__)


def test_the_patch_reaches_every_prediction(without_predictions):
    for claim in CLAIMS.values():
        if not inspect.unwrap(claim.predict).__closure__:
            with pytest.raises(AssertionError, match="a prediction was called"):
                claim.predict(**claim.cases[0])
    with pytest.raises(AssertionError, match="a prediction was called"):
        mixing_moments.shrinkage(1.0)


@every_claim
def test_sampling_and_the_exact_route_call_no_prediction(claim, without_predictions):
    rng = np.random.default_rng(0)
    for case in claim.cases if len(claim.cases) < 8 else claim.cases[:: len(claim.cases) // 4]:
        if claim.simulate:
            assert np.isfinite(np.asarray(claim.simulate(3, rng=rng, **case), dtype=float)).all()
        if claim.exact:
            assert np.isfinite(np.asarray(claim.exact(**case), dtype=float)).all()
    for mutant in claim.wrong.values():
        if mutant.route == "simulate":
            assert len(mutant.function(3, rng=rng, **claim.cases[0])) == 3


@every_claim
def test_predictions_are_public_and_documented(claim):
    assert not claim.predict.__name__.startswith(("_", "<")), "predict must be a named public function"
    assert inspect.getdoc(claim.predict)
    assert getattr(sys.modules[claim.module], claim.predict.__name__) is claim.predict


# ---- derivations -------------------------------------------------------------------------------------------


def _perturbed(right):
    """One per cent more; a zero becomes a tiny symbol instead."""
    if isinstance(right, sp.MatrixBase):
        return right.applyfunc(_perturbed)
    right = sp.sympify(right)
    return sp.Symbol("epsilon", positive=True) / 1000 if right.doit() == 0 else right * sp.Rational(101, 100)


@derived
def test_a_perturbed_step_is_no_longer_certified(claim):
    for step in claim.derive().steps:  # that they are certified as they stand is in the evidence
        if not step.appeal:
            assert not replace(step, right=_perturbed(step.right)).certified(), step.reason


@derived
def test_a_derivation_starts_from_a_definition_and_says_why(claim):
    derivation = claim.derive()
    assert derivation.steps
    assert all(step.reason.strip() for step in derivation.steps)
    assert (
        set(claim.cases[0]) <= set(derivation.parameters) <= set(inspect.signature(claim.predict).parameters)
    )
    assert set(derivation.rests_on) <= set(CLAIMS)
    assert claim.id not in derivation.rests_on


# ---- the shrinkage factor carries the book -----------------------------------------------------------------


@elementary
def wrong_shrinkage(alpha):
    return (alpha + 1.01) / (2 * alpha + 1)


def _resting_on(name):
    """Ids of the claims whose derivations use `name`, directly or through others."""
    found, basis = {name}, {c.id: set(c.derive().rests_on) if c.derive else set() for c in CLAIMS.values()}
    while more := {c for c, used in basis.items() if used & found} - found:
        found |= more
    return found


def _as_patched(claim):
    """The claim's formula under the name that it has in its module now."""
    return Mutant("predict", getattr(sys.modules[claim.module], claim.predict.__name__))


def test_a_wrong_shrinkage_factor_is_killed_by_the_exact_route_of_every_claim_with_it(monkeypatch):
    """Which claims hold it is seen from their predictions: those that change when the factor does."""
    before = {c.id: [c.prediction(case) for case in c.cases] for c in CLAIMS.values()}
    values = {
        c.id: [np.asarray(c.exact(**case), dtype=float) for case in c.cases]
        for c in CLAIMS.values()
        if c.exact
    }
    monkeypatch.setattr(mixing_moments, "shrinkage", wrong_shrinkage)
    changed, survivors, unguarded = set(), [], []
    for claim in CLAIMS.values():
        after = [claim.prediction(case, _as_patched(claim)) for case in claim.cases]
        if all(np.array_equal(a, b, equal_nan=True) for a, b in zip(before[claim.id], after, strict=True)):
            continue
        changed.add(claim.id)
        if claim.id not in values:
            unguarded.append(claim.id)
        elif not exact_error(claim, values[claim.id], _as_patched(claim)) > claim.tolerance:
            survivors.append(claim.id)
    assert (survivors, unguarded) == ([], [])
    assert {"mixing_moments.shrinkage", "covariance.population"} < changed
    assert changed - {"mixing_moments.shrinkage"} <= _resting_on("mixing_moments.shrinkage"), (
        "missing in the graph"
    )


# ---- what a claim refers to --------------------------------------------------------------------------------


@every_claim
def test_what_the_reader_sees(claim):
    assert re.fullmatch(r"[a-z_]+\.[a-z0-9_]+", claim.id)
    assert 0 < len(claim.title) <= 60
    assert not claim.title.endswith(".")
    assert claim.statement.strip()
    assert "$" not in claim.statement
    for text in (*claim.assumptions, claim.fails_when, claim.title):
        assert text.count("$") % 2 == 0, text
    for named in re.findall(r"\b[a-z_]{4,}\.[a-z_]{3,}\b", re.sub(r"\$.*?\$", "", claim.fails_when)):
        assert named in CLAIMS or named.startswith("mixtheory."), f"{named} is not registered"


def test_titles_and_statements_are_not_repeated():
    titles = [c.title for c in CLAIMS.values()]
    assert sorted(set(titles)) == sorted(titles)


def test_references_are_in_the_bibliography(checkout):
    keys = set(
        re.findall(
            r"^@\w+\{([^,\s]+),", (checkout / "book" / "references.bib").read_text(encoding="utf-8"), re.M
        )
    )
    assert keys
    for claim in CLAIMS.values():
        for reference in claim.references:
            key, colon, where = reference.partition(": ")
            assert key in keys, f"{claim.id}: {reference}"
            assert colon
            assert re.search(r"\((read|from memory)\)$", where), f"{claim.id}: {reference}"


def test_chapters_have_pages_that_show_their_claims(checkout):
    assert paths.ROOT == checkout
    for chapter in {c.chapter for c in CLAIMS.values()}:
        page = (checkout / "book" / f"{chapter}.md").read_text(encoding="utf-8")
        assert any(c.startswith(f"{chapter}.") and c in page for c in CLAIMS), f"{chapter}.md shows no claim"


def test_accounts_name_claims_and_mutants_that_exist():
    for account in accounts().values():
        written = account.chapter in {c.chapter for c in CLAIMS.values()}
        for name in account.deciding:
            assert name in CLAIMS or not written, f"{account.id}: {name}"
        for name, mutant in account.mutants:
            assert name not in CLAIMS or mutant in CLAIMS[name].wrong, f"{account.id}: {name}, {mutant!r}"
