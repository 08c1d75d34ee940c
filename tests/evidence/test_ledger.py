"""The ledger's statuses, its JSON and its graph, on small claims that fail in known ways."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET

import pytest
import sympy as sp

from mixtheory import paths
from mixtheory.evidence import (
    Claim,
    Derivation,
    Evidence,
    ledger,
    predicts,
    scratch_registry,
    simulates,
    verify,
)
from mixtheory.evidence import record as record_module
from mixtheory.evidence.account import Account, scratch_accounts
from mixtheory.evidence.graph import layers
from mixtheory.evidence.record import Measurement, Record

P = sp.Symbol("p", positive=True)
START = Derivation("p", P, {"p": P})


def chance(p):
    """Of heads."""
    return p * 1


def toss(size, *, rng, p):
    return (rng.random(size) < p).astype(float)


def fake(name="fake.coin", **changes):
    fields = {"title": "A coin", "statement": "p", "predict": chance, "cases": ({"p": 0.3}, {"p": 0.55}),
              "derive": lambda: Derivation("p", P * (1 + P) - P**2, {"p": P}).equals(chance(P), "algebra"),
              "exact": lambda p: 1 - (1 - p), "simulate": toss, "resolution": 0.1,
              "wrong": {"doubled": predicts(lambda p: 2 * p)}}
    return Claim(id=name, **{**fields, **changes})


def evidence(certified=2, total=2, rests_on=(), open_appeals=0, **changes):
    steps = {"certified": certified, "total": total, "rests_on": list(rests_on), "open_appeals": open_appeals}
    fields = {"derivation": steps, "exact": {"error": 1e-13}, "monte_carlo": None,
              "mutants": [{"name": "doubled", "route": "exact", "killed": True}]}
    return Evidence("", **{**fields, **changes})


def ledger_of(**found):
    """Rows by name for claims fake.NAME with this evidence."""
    for name, one in found.items():
        fake(f"fake.{name}")
        one.id = f"fake.{name}"
    return {row.id.partition(".")[2]: row for row in ledger.rows({e.id: e for e in found.values()})}


@pytest.fixture(autouse=True)
def scratch(monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "BUILD", tmp_path / "build")
    monkeypatch.setattr(paths, "RECORDS", None)
    with scratch_registry(), scratch_accounts():
        yield


# --- evidence that fails, seen in the row -------------------------------------------------------------------

def row_of(claim):
    return ledger.rows({claim.id: verify(claim)})[0]


def test_a_sound_claim_is_proved():
    row = row_of(fake())
    assert (row.status, row.derivation, row.problems) == ("proved", "proved", ())
    assert (row.certified, row.total, row.killed, row.tried) == (1, 1, 1, 1)
    assert row.mutants == {"derivation": (1, 1), "exact": (1, 1), "monte carlo": (1, 1)}
    assert row.monte_carlo["sees"] <= row.monte_carlo["resolution"] == 0.1


@pytest.mark.parametrize(("changes", "problem"), [
    ({"exact": lambda p: p + 1e-6}, "exact: error"),
    ({"simulate": lambda size, *, rng, p: toss(size, rng=rng, p=p + 0.1)}, "monte carlo: an entry is off"),
    ({"wrong": {"the same": predicts(lambda p: p + 0)}}, "mutant 'the same' survives the derivation"),
    ({"wrong": {"the same": predicts(lambda p: p + 0)}}, "mutant 'the same' survives the exact"),
    ({"wrong": {"sampled alike": simulates(toss)}}, "mutant 'sampled alike' survives the monte carlo"),
    ({"wrong": {"near": predicts(lambda p: p * 1.01)}, "exact": None}, "closer"),
    ({"wrong": {}}, "no mutant"),
    ({"derive": None}, "no derivation"),
    ({"derive": lambda: START.equals(P**2, "no").equals(P, "no")}, "does not certify step 1"),
    ({"derive": lambda: START.equals(P * 2 / 2 + P, "no")}, "conclusion is not predict"),
])
def test_each_failure_breaks_the_row(changes, problem):
    row = row_of(fake(**changes))
    assert row.status == "broken"
    assert any(problem in p for p in row.problems), row.problems


def test_an_underpowered_check_breaks_the_row(monkeypatch):
    monkeypatch.setattr("mixtheory.evidence.check.MOST_NUMBERS", 1e4)
    row = row_of(fake(resolution=0.001))
    assert row.status == "broken"
    assert any("underpowered" in p for p in row.problems), row.problems


def test_a_surviving_mutant_is_counted():
    row = row_of(fake(wrong={"the same": predicts(lambda p: p + 0), "doubled": predicts(lambda p: 2 * p)}))
    assert (row.killed, row.tried) == (1, 2)
    assert row.mutants["exact"] == (1, 2)


def test_a_mutant_that_one_route_lets_pass_is_not_killed():
    fates = [("exact", True), ("derivation", False)]
    row = ledger_of(one=evidence(mutants=[{"name": "m", "route": r, "killed": k} for r, k in fates]))["one"]
    assert (row.killed, row.tried, row.mutants) == (0, 1, {"derivation": (0, 1), "exact": (1, 1)})


# --- the lattice --------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("found", "status", "derivation"), [
    (evidence(), "proved", "proved"),
    (evidence(1, 2, open_appeals=1), "argued", "argued"),
    (evidence(derivation=None), "checked", "none"),
    (evidence(exact=None), "stated", "proved"),
    (evidence(exact=None, derivation=None), "stated", "none"),
    (evidence(problems=["exact: error 1 exceeds 0"]), "broken", "proved"),
    (evidence(1, 2, problems=["derivation: SymPy does not certify step 1"]), "broken", "argued"),
    (evidence(derivation=None, problems=["no mutant"]), "broken", "none"),
])
def test_the_status_lattice(found, status, derivation):
    row = ledger_of(one=found)["one"]
    assert (row.status, row.derivation) == (status, derivation)


def test_an_appeal_is_as_good_as_the_claim_it_names():
    rows = ledger_of(top=evidence(1, 2, ["fake.middle"]), middle=evidence(1, 2, ["fake.base"]),
                     base=evidence())
    assert {row.status for row in rows.values()} == {"proved"}
    rows = ledger_of(top=evidence(1, 2, ["fake.middle"]), middle=evidence(1, 2, ["fake.base"]),
                     base=evidence(1, 2, open_appeals=1))
    assert {row.status for row in rows.values()} == {"argued"}


@pytest.mark.parametrize("lack", [{"problems": ["exact"]}, {"exact": None}, {"derivation": None}])
def test_an_appeal_to_less_than_a_proof_is_an_argument(lack):
    assert ledger_of(top=evidence(1, 2, ["fake.base"]), base=evidence(**lack))["top"].status == "argued"


def test_one_open_appeal_among_resting_ones_is_an_argument():
    rows = ledger_of(top=evidence(1, 3, ["fake.base"], open_appeals=1), base=evidence())
    assert rows["top"].status == "argued"


def test_certified_algebra_on_an_unproved_formula_is_an_argument():
    rows = ledger_of(top=evidence(2, 2, ["fake.base"]), base=evidence(derivation=None))
    assert rows["top"].status == "argued"
    assert ledger_of(top=evidence(2, 2, ["fake.base"]), base=evidence())["top"].status == "proved"


def test_arguments_in_a_circle_prove_nothing():
    rows = ledger_of(a=evidence(1, 2, ["fake.b"]), b=evidence(1, 2, ["fake.a"]), c=evidence(1, 2, ["fake.c"]))
    assert {row.status for row in rows.values()} == {"argued"}
    assert ledger.graph_svg(list(rows.values()))


def test_what_rests_on_an_unknown_claim_is_broken():
    row = ledger_of(top=evidence(2, 2, ["fake.nowhere"]))["top"]
    assert row.status == "broken"
    assert "fake.nowhere" in row.problems[0]


def test_the_basis_is_fetched_with_the_claim():
    fake("fake.base")
    fake("fake.top", derive=lambda: START.appeal(chance(P), "basis", claim="fake.base"))
    fake("fake.other")
    found = ledger.with_basis(["fake.top"], jobs=1)
    assert list(found) == ["fake.top", "fake.base"]
    assert ledger.statuses(ledger.rows(found)) == {"fake.base": "proved", "fake.top": "proved"}


def test_a_row_names_the_accounts_it_bears_on():
    Account(id="said", says="It is.", chapter="fake", refuted_by=(("fake.one", "doubled"),), corrected="No.")
    rows = ledger_of(one=evidence(), two=evidence())
    assert (rows["one"].accounts, rows["two"].accounts) == (("said",), ())


# --- runs ---------------------------------------------------------------------------------------------------

def record(monkeypatch, *, source="now", device="cpu", name="fake", **claims_and_means):
    monkeypatch.setattr(record_module, "experiment_source", lambda experiment: "now")
    measurements = tuple(Measurement("m", f"fake.{claim}", {"i": i}, (mean - 0.1, mean + 0.1) * 8, 0.0, 0.2)
                         for claim, means in claims_and_means.items() for i, mean in enumerate(means))
    return Record(name, "digits", "quick", device, tuple(f"fake.{c}" for c in claims_and_means), {},
                  tuple(range(16)), measurements, {"device_name": f"the {device}"}, source, 1.0, "2020-01-01")


@pytest.mark.parametrize(("means", "agrees", "status"), [
    ([0.0, 0.05], True, "proved"), ([0.0, 0.2], "inconclusive", "proved"), ([0.0, 0.2, 1.0], False, "broken"),
])
def test_a_run_agrees_if_all_its_measurements_do(monkeypatch, means, agrees, status):
    fake("fake.one")
    fake("fake.two")
    found = {"fake.one": evidence(), "fake.two": evidence()}
    row, other = ledger.rows(found, [record(monkeypatch, one=means)])
    assert [run.agrees for run in row.runs] == [agrees]
    assert (row.status, other.status, other.runs) == (status, "proved", ())


def test_a_run_speaks_for_each_claim_by_itself_and_for_what_rests_on_it(monkeypatch):
    for name in ("fake.base", "fake.other", "fake.top"):
        fake(name)
    found = {"fake.base": evidence(), "fake.other": evidence(), "fake.top": evidence(1, 2, ["fake.base"])}
    rows = ledger.rows(found, [record(monkeypatch, base=[5.0], other=[0.0])])
    assert [row.status for row in rows] == ["broken", "proved", "argued"]


def test_runs_are_shown_by_device(monkeypatch):
    fake("fake.one")
    runs = [record(monkeypatch, one=[0.0]), record(monkeypatch, one=[0.2]),
            record(monkeypatch, one=[5.0], device="cuda", source="then")]
    row = ledger.rows({"fake.one": evidence()}, runs[:1])[0]
    assert row.observed("cpu") == "agrees (the cpu)"
    assert row.observed("cuda") == "not run yet"
    row = ledger.rows({"fake.one": evidence()}, runs)[0]
    assert row.observed("cpu") == "inconclusive (the cpu)"
    assert row.observed("cuda") == "stale (the cuda)"
    assert row.status == "proved"           # a stale run breaks nothing


def test_a_run_of_an_experiment_that_is_gone_is_stale(monkeypatch):
    fake("fake.one")
    run = record(monkeypatch, one=[0.0], name="no_such_experiment")
    monkeypatch.undo()
    assert ledger.rows({"fake.one": evidence()}, [run])[0].runs[0].agrees == "stale"


def test_records_are_read_from_both_folders(monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "RECORDS", tmp_path / "records")
    record(monkeypatch, one=[0.0]).save(paths.BUILD / "runs")
    record(monkeypatch, one=[0.0], device="cuda").save(paths.RECORDS)
    assert [r.device for r in ledger.records()] == ["cpu", "cuda"]
    monkeypatch.setattr(paths, "RECORDS", None)
    assert [r.device for r in ledger.records()] == ["cpu"]


# --- text, JSON, graph --------------------------------------------------------------------------------------

def test_the_json_has_the_agreed_fields(monkeypatch):
    fake("fake.one")
    found = evidence(monte_carlo={"z": 1.5, "n": 10, "resolution": 0.05, "sees": 0.04, "limit": 5.0})
    data = ledger.to_json(ledger.rows({"fake.one": found}, [record(monkeypatch, one=[0.0])]))
    assert json.loads(json.dumps(data, allow_nan=False)) == [{
        "id": "fake.one", "chapter": "fake", "kind": "identity", "status": "proved", "derivation": "proved",
        "steps": {"certified": 2, "total": 2}, "exact_error": 1e-13,
        "monte_carlo": {"z": 1.5, "n": 10, "resolution": 0.05}, "mutants": {"killed": 1, "tried": 1},
        "runs": [{"device": "cpu", "scale": "quick", "agrees": True, "record": "fake.digits.quick.cpu"}]}]


def test_no_cell_is_blank():
    rows = ledger_of(full=evidence(), bare=evidence(derivation=None, exact=None, mutants=[]))
    for row in rows.values():
        assert len(row.cells()) == len(ledger.COLUMNS)
        assert all(cell.strip() for cell in row.cells())
    assert rows["bare"].cells()[3:] == ("none",) * 5 + ("not run yet",) * 2


def test_layers_are_longest_paths():
    edges = [("a", "b"), ("b", "c"), ("a", "c"), ("d", "c"), ("c", "e")]
    assert layers("edcba", edges) == {"a": 0, "d": 0, "b": 1, "c": 2, "e": 3}
    assert max(layers("ab", [("a", "b"), ("b", "a")]).values()) <= 1


def test_the_drawing_is_whole():
    rows = ledger_of(base=evidence(), left=evidence(2, 2, ["fake.base"]), right=evidence(2, 2, ["fake.base"]),
                     top=evidence(2, 2, ["fake.left", "fake.right"]), alone=evidence(problems=["exact"]))
    nodes, edges = ledger.graph(list(rows.values()))
    assert edges == [("fake.base", "fake.left"), ("fake.base", "fake.right"), ("fake.left", "fake.top"),
                     ("fake.right", "fake.top")]
    root = ET.fromstring(ledger.graph_svg(list(rows.values())))
    space = "{http://www.w3.org/2000/svg}"
    links = root.findall(f".//{space}a")
    assert [a.get("href") for a in links] == [f"fake.html#{name}" for name in nodes]
    assert "".join(root.find("p").itertext()) == "provedbroken"
    assert len(root.findall(f".//{space}path[@class='mt-graph-edge']")) == len(edges)
    boxes = [[float(a.find(f"{space}rect").get(k)) for k in ("x", "y", "width", "height")] for a in links]
    width, height = map(float, root.find(f".//{space}svg").get("viewBox").split()[2:])
    for i, (x, y, w, h) in enumerate(boxes):
        assert 0 <= x <= x + w <= width
        assert 0 <= y <= y + h <= height
        assert all(x + w <= p or p + r <= x or y + h <= q or q + t <= y for p, q, r, t in boxes[:i])
    place = dict(zip(nodes, boxes, strict=True))
    assert all(place[a][0] + place[a][2] < place[b][0] for a, b in edges)


def test_a_long_edge_passes_between_the_boxes():
    rows = ledger_of(base=evidence(), left=evidence(2, 2, ["fake.base"]), right=evidence(2, 2, ["fake.left"]),
                     top=evidence(2, 2, ["fake.base", "fake.right"]))
    drawn = ledger.graph_svg(list(rows.values()))
    found = re.findall(r' y="([^"]+)" width="\d+" height="(\d+)"', drawn)
    boxes = [(float(y), float(y) + float(h)) for y, h in found]
    passing = [float(y) for y in re.findall(r" ([\d.]+)h\d+", drawn)]
    assert (len(boxes), len(passing)) == (4, 2)
    assert not [(y, box) for y in passing for box in boxes[1:3] if box[0] <= y <= box[1]]


def test_what_is_drawn_is_escaped():
    fake("fake.one", title='<script>"&')
    assert "<script>" not in ledger.graph_svg(ledger.rows({"fake.one": evidence()}))
    assert ET.fromstring(ledger.graph_svg([])).tag == "div"
