"""A claim refuses to be malformed; the registry keeps order and forgets what was made for a moment."""

from __future__ import annotations

import numpy as np
import pytest

from mixtheory.domain import DomainError
from mixtheory.evidence import Claim, cases, chapters, claims, predicts, scratch_registry, simulates


@pytest.fixture(autouse=True)
def scratch():
    with scratch_registry():
        yield


def half(a):
    return np.asarray(a) / 2


def make(**fields):
    return Claim(
        **{
            "id": "toy.half",
            "title": "Half",
            "statement": "a/2",
            "predict": half,
            "cases": cases(a=(1.0, 2.0)),
            **fields,
        }
    )


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"id": "nodot"}, "id"),
        ({"id": "a.b.c"}, "id"),
        ({"kind": "theorem"}, "kind"),
        ({"cases": ()}, "cases"),
        ({"kind": "asymptotic"}, "along"),
        ({"along": ("n", -1)}, "along"),
        ({"kind": "bound"}, "side"),
        ({"side": "upper"}, "side"),
        ({"kind": "bound", "side": "left"}, "side"),
    ],
)
def test_a_malformed_claim_is_refused_and_not_registered(fields, named):
    before = claims()
    with pytest.raises(DomainError, match=named):
        make(**fields)
    assert claims() == before


def test_an_id_belongs_to_one_module():
    first = make()
    assert claims()["toy.half"] is first
    again = make(title="Reloaded")  # the same module may define it again
    assert claims()["toy.half"] is again
    with pytest.raises(DomainError, match="already registered"):
        make(predict=np.linalg.det)


def test_registry_keeps_order_and_groups_by_chapter():
    made = [make(id=name) for name in ("toy.b", "other.a", "toy.a")]
    assert list(claims())[-3:] == ["toy.b", "other.a", "toy.a"]
    assert chapters()["toy"] == [made[0], made[2]]
    assert made[1].chapter == "other"
    assert made[0].module == __name__


def test_claims_is_a_copy_and_scratch_forgets():
    before = claims()
    claims().clear()
    assert claims() == before
    with scratch_registry():
        make(id="toy.gone")
        assert "toy.gone" in claims()
    assert claims() == before


def test_cases_are_a_grid_over_tuples_only():
    matrix = np.eye(2)
    grid = cases(a=(1, 2), b=(3.0, 4.0), Sigma=matrix, word="roll")
    assert [(c["a"], c["b"]) for c in grid] == [(1, 3.0), (1, 4.0), (2, 3.0), (2, 4.0)]
    assert all(c["Sigma"] is matrix and c["word"] == "roll" for c in grid)
    assert cases() == ({},)


def test_prediction_takes_only_formula_mutants():
    claim = make()
    assert claim.prediction({"a": 3}) == 1.5
    assert claim.prediction({"a": 3}, predicts(lambda a: a)) == 3
    assert claim.prediction({"a": 3}, simulates(lambda size, *, rng, a: a)) == 1.5
    assert claim.prediction({"a": 3}).dtype == np.float64


def test_unit_defaults_to_the_largest_entry():
    claim = make(predict=lambda a: np.array([a, -4 * a]))
    assert claim.unit({"a": 2.0}) == 8.0
    assert make(scale=lambda prediction, a: prediction * a).unit({"a": 3.0}) == 4.5


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf, np.array([1.0, 0.0])])
def test_a_unit_must_be_positive(scale):
    with pytest.raises(DomainError, match="scale"):
        make(scale=lambda prediction, a: scale).unit({"a": 1.0})


def test_a_zero_prediction_needs_a_declared_unit():
    with pytest.raises(DomainError, match="scale"):
        make(predict=lambda a: 0.0 * a).unit({"a": 1.0})
