"""Verdicts on the popular account are computed from claims; its entries name what exists."""

from __future__ import annotations

import re

import pytest

import mixtheory.theory
import mixtheory.theory.accounts  # noqa: F401
from mixtheory.domain import DomainError
from mixtheory.evidence import Evidence, claims
from mixtheory.evidence.account import Account, accounts, coverage, scratch_accounts, verdict

CHAPTERS = {"mixing_moments", "covariance", "least_squares", "gradients", "curvature", "calibration",
            "labels", "geometry", "manifold", "boxes", "graphs", "attention", "cutmix", "membership",
            "robustness", "active_learning", "bias_variance", "real_networks"}


@pytest.fixture(autouse=True)
def scratch():
    with scratch_accounts():
        yield


def account(**fields):
    default = {"id": "said", "says": "It is said.", "chapter": "fake", "corrected": "It is so."}
    return Account(**{**default, **fields})


def found(*mutants, claim="fake.one"):
    return {claim: Evidence(claim, mutants=[{"name": n, "route": r, "killed": k} for n, r, k in mutants])}


PROVED = {"fake.one": "proved", "fake.two": "checked"}
BOTH = {**found(), **found(claim="fake.two")}


# --- the verdict --------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("fields", "expected"), [
    ({}, "undecided"),
    ({"supported_by": ("fake.one",)}, "holds"),
    ({"supported_by": ("fake.one", "fake.two")}, "holds"),
    ({"refuted_by": ("fake.one",)}, "false"),
    ({"supported_by": ("fake.one",), "refuted_by": ("fake.two",)}, "holds under conditions"),
    ({"supported_by": ("fake.one", "fake.absent")}, "undecided"),
    ({"refuted_by": ("fake.absent",)}, "undecided"),
])
def test_the_four_verdicts(fields, expected):
    assert verdict(account(**fields), BOTH, PROVED) == expected


@pytest.mark.parametrize(("status", "expected"), [
    ("broken", "undecided"), ("stated", "undecided"), ("checked", "holds"), ("argued", "holds"),
    ("proved", "holds"),
])
def test_only_a_checked_claim_decides(status, expected):
    one = account(supported_by=("fake.one", "fake.two"))
    assert verdict(one, BOTH, {"fake.one": status, "fake.two": "proved"}) == expected


@pytest.mark.parametrize(("mutants", "expected"), [
    ([("wrong", "exact", True), ("wrong", "monte carlo", True), ("other", "exact", False)], "false"),
    ([("wrong", "exact", True), ("wrong", "monte carlo", False)], "undecided"),
    ([("other", "exact", True)], "undecided"),
    ([], "undecided"),
])
def test_a_mutant_refutes_only_if_every_route_rejects_it(mutants, expected):
    one = account(refuted_by=(("fake.one", "wrong"),))
    assert verdict(one, found(*mutants), PROVED) == expected


def test_a_claim_without_evidence_decides_nothing():
    assert verdict(account(supported_by=("fake.one",)), {}, PROVED) == "undecided"


def test_deciding_claims_are_named_once():
    one = account(supported_by=("a.b",), refuted_by=(("c.d", "m"), "a.b", "c.d"))
    assert one.deciding == ("a.b", "c.d")
    assert one.mutants == (("c.d", "m"),)


@pytest.mark.parametrize("fields", [{"refuted_by": ("fake.one",), "corrected": ""}, {"says": " "},
                                    {"id": "two words"}, {"id": "tamer_data"}])
def test_a_careless_entry_is_refused(fields):
    with pytest.raises(DomainError):
        account(**fields)


def test_coverage_counts_the_decided():
    before = coverage(BOTH, PROVED)
    account(id="one", supported_by=("fake.one",))
    account(id="two", supported_by=("fake.absent",))
    assert coverage(BOTH, PROVED) == (before.decided + 1, before.total + 2)


def test_scratch_accounts_leave_again():
    size = len(accounts())
    with scratch_accounts():
        account(id="passing")
        assert "passing" in accounts()
    assert len(accounts()) == size


# --- the entries --------------------------------------------------------------------------------------------

def test_there_is_an_entry_for_every_chapter():
    assert {a.chapter for a in accounts().values()} == CHAPTERS
    assert 45 <= len(accounts()) <= 75


@pytest.mark.parametrize("one", accounts().values(), ids=accounts())
def test_an_entry_names_claims_and_mutants_that_exist(one):
    for name in one.deciding:
        assert name.partition(".")[0] in CHAPTERS
    for name, mutant in one.mutants:
        if name in claims():
            assert mutant in claims()[name].wrong, f"{name} has no mutant {mutant!r}"


@pytest.mark.parametrize("one", accounts().values(), ids=accounts())
def test_an_entry_reads_well(one):
    assert one.says[0].isupper()
    assert one.says.endswith(".")
    assert len(one.says) <= 110
    assert one.corrected == "" or one.corrected.endswith(".")
    assert one.corrected.count("$") % 2 == 0
    outside = re.sub(r"\$[^$]*\$", "", one.corrected + one.says)
    assert "\\" not in outside
    assert "  " not in one.corrected


def test_no_statement_is_made_twice():
    said = [a.says for a in accounts().values()]
    assert len(set(said)) == len(said)
