"""What a chapter shows: ids and words are there, text is escaped, nothing is called certified that is not."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import sympy as sp
from scipy import stats

from mixtheory import page, paths
from mixtheory.domain import DomainError
from mixtheory.evidence import Claim, Derivation, cases, predicts, scratch_registry
from mixtheory.evidence import account as account_module
from mixtheory.evidence.account import Account, scratch_accounts
from mixtheory.evidence.record import Observation, Record

A = sp.Symbol("a", positive=True)


@pytest.fixture(autouse=True)
def scratch(tmp_path, monkeypatch):
    """A store and registries of our own."""
    monkeypatch.setattr(paths, "BUILD", tmp_path)
    monkeypatch.setattr(paths, "RECORDS", None)
    with scratch_registry(), scratch_accounts():
        make("toy.basis", derive=None, kind="numerical")
        yield


def half(a):
    """Half of it."""
    return a / 2


def derive(middle=A / 2):
    d = Derivation(r"\hat{a}", A - A / 2, {"a": A}).equals(middle, "if $a < b$ & so on")
    return d.appeal(A / 2, "it is <known>", claim="toy.basis")


def make(name="toy.half", **fields):
    fields = {
        "title": "Half & <u>less</u>",
        "statement": r"a < b \& c",
        "assumptions": ("a > 0 & finite",),
        "fails_when": "the law is another (covariance.population), or a <b> is bold",
        "predict": half,
        "derive": derive,
        "exact": lambda a: a * 0.5,
        "cases": cases(a=(0.3, 1.0)),
        "wrong": {"double <script>": predicts(lambda a: 2 * a)},
        "references": ("dlmf: 5 & 6 (read)",),
        **fields,
    }
    return Claim(id=name, **fields)


class Checker(HTMLParser):
    """Collects ids and tags; every tag that opens must close in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.ids, self.text = [], [], [], ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.tags.append(tag)
        self.ids += [v for k, v in attrs if k == "id"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_a_theorem_carries_the_id_the_statement_and_links():
    make()
    text = page.theorem("toy.half")._repr_markdown_()
    assert text.startswith(":::{prf:theorem} Half & <u>less</u>\n:label: toy.half\n")
    assert "$$\na < b \\& c\n$$" in text
    assert "Assume: a > 0 & finite." in text
    assert "{claim}`covariance.population`" in text
    assert text.count(":::") == 2


def test_a_claim_card_has_its_id_once_and_escapes_what_it_shows():
    make()
    text = page.claim("toy.half")._repr_html_()
    seen = Checker(text)
    assert seen.ids == ["toy.half"]
    assert {"script", "b", "known", "u"}.isdisjoint(seen.tags)
    for words in (
        "Half & <u>less</u>",
        r"\[a < b \& c\]",
        "a > 0 & finite",
        "or a <b> is bold",
        "it is <known>",
        "Mutant: double <script>",
        "exact rejects",
        "5 & 6",
    ):
        assert words in seen.text, words
    assert 'href="covariance.html#covariance.population"' in text
    assert 'href="toy.html#toy.basis"' in text
    assert len(re.findall("<details>", text)) == 2


def test_a_derivation_prints_every_step_with_its_reason():
    make()
    text = page.derivation("toy.half").text
    assert [t for t in Checker(text).tags if t == "li"] == ["li"] * 3
    assert text.count(r"\frac{a}{2}") >= 2
    assert re.findall(r'mt-tag">([a-z ]+)<', text) == ["certified", "appeal"]
    assert r"\(a < b\)" in Checker(text).text


def test_a_step_that_sympy_refuses_is_not_called_certified():
    make(derive=lambda: derive(A / 3))
    assert re.findall(r'mt-tag">([a-z ]+)<', page.derivation("toy.half").text) == ["not certified", "appeal"]
    text = Checker(page.claim("toy.half").text).text
    assert "broken" in text
    assert "does not certify step 1" in text


def test_evidence_lists_what_was_run():
    make(simulate=lambda size, *, rng, a: a * rng.random(size), experiment="toy")
    text = Checker(page.evidence("toy.half").text).text
    for words in (
        "argued",
        "1 of 2 steps certified",
        "largest error 0",
        "in 2 cases",
        "standard errors off",
        "derivation rejects, exact rejects, monte carlo rejects",
        "Training, GPUnot run yet",
    ):
        assert words in text, words


def test_a_surviving_mutant_is_shown_as_missed():
    make(wrong={"same": predicts(lambda a: a / 2)})
    text = Checker(page.evidence("toy.half").text).text
    assert "derivation misses, exact misses" in text
    assert "survives the exact route" in text


def test_what_does_not_exist_is_named():
    make("toy.seen", derive=None, kind="numerical")
    for show in (page.theorem, page.claim, page.derivation, page.evidence):
        with pytest.raises(DomainError, match=r"toy\.nowhere.*(no such claim|not registered)"):
            show("toy.nowhere")
    with pytest.raises(DomainError, match="no derivation"):
        page.derivation("toy.seen")


def test_tables_align_numbers_and_escape_words():
    text = page.table(("a & b", "$x^2$"), [("<i>", 0.123456), (True, 7)], caption="one & two").text
    seen = Checker(text)
    assert "i" not in seen.tags
    assert text.count('class="mt-num"') == 2
    for words in ("a & b", r"\(x^2\)", "<i>", "0.1235", "True", "7", "one & two"):
        assert words in seen.text
    assert "<caption>" not in page.table(("a",), []).text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.05, "0.05"),
        (1234.0, "1.23e+03"),
        (3_000_000, "3.0 × 10⁶"),
        (1.2e-15, "1.2 × 10⁻¹⁵"),
        (-0.5, "-0.5"),
    ],
)
def test_numbers_in_a_few_characters(value, text):
    assert page.scientific(value) == text


# ---- the account -------------------------------------------------------------------------------------------


def test_accounts_show_their_computed_verdict(monkeypatch):
    monkeypatch.setattr(account_module, "_REGISTRY", {})
    monkeypatch.setattr(page, "claims", lambda: {"toy.half": one})
    one = make(derive=None, kind="numerical")
    Account(
        id="bold",
        says="It <b>halves</b> $a$.",
        chapter="toy",
        supported_by=("toy.half",),
        corrected="Yes & no.",
    )
    Account(
        id="wrong",
        says="It doubles.",
        chapter="toy",
        refuted_by=(("toy.half", "double <script>"),),
        corrected="It halves.",
    )
    Account(id="later", says="It thirds.", chapter="other", supported_by=("other.claim",), corrected="secret")
    text = page.account("toy").text
    seen = Checker(text)
    assert re.findall(r"verdict((?:holds|false|undecided))", seen.text) == ["holds", "false"]
    assert "It <b>halves</b> \\(a\\)." in seen.text
    assert "Yes & no." in seen.text
    assert "thirds" not in seen.text
    trial = Checker(page.trial().text)
    assert trial.ids == ["account-bold", "account-wrong", "account-later"]
    assert "secret" not in trial.text  # no correction before the verdict
    assert page.trial_summary() == {
        "holds": 1,
        "holds under conditions": 0,
        "false": 1,
        "undecided": 1,
        "decided": 2,
        "total": 3,
    }
    assert 'href="toy.html#toy.half"' in page.ledger("toy").text
    assert "toy.half" not in page.ledger("other").text
    chapter, claim = re.findall(r'stroke: var\(--mt-(\w+)', page.ledger_graph().text)
    assert chapter == claim                 # a chapter has the colour of its weakest claim
    assert 'href="toy.html#toy.half"' in page.ledger_graph().text


# --- runs and benchmarks ------------------------------------------------------------------------------------

def run_with(*observations):
    return Record.create(experiment="headline", dataset="digits", scale="full", device="cpu", config={},
                         seeds=(0, 1, 2), measurements=[], observations=observations, wall_seconds=1.0)


def seen(name, arm, *values, networks="mlp"):
    return Observation(name, {"networks": networks, "arm": arm}, values)


def test_arms_stand_side_by_side_with_their_intervals():
    record = run_with(seen("nll", "ERM", 1.0, 2.0, 3.0), seen("nll", "mixup", 0.5, 0.5, 0.5),
                      seen("nll", "ERM", 9.0, 9.0, 9.0, networks="other"), seen("once", "ERM", 4.0))
    shown = page.comparison(record, {"nll": "log <loss>", "once": "one"}, ["ERM", "mixup"], networks="mlp").text
    half = stats.t.isf(0.005, 2) * 1 / np.sqrt(3)           # of (1, 2, 3): standard deviation 1
    assert f"2.0 ±\N{NO-BREAK SPACE}{half:.1f}" in shown
    assert "<td>0.50</td>" in shown                          # no spread, no interval
    assert "<td>4.0</td><td></td>" in shown                  # not observed in the other arm
    assert "log &lt;loss&gt;" in shown
    assert "9.0" not in shown
    with pytest.raises(DomainError, match="'ece'.*not observed"):
        page.comparison(record, {"ece": "x"}, ["ERM"], networks="mlp")


def test_differences_are_taken_seed_by_seed():
    record = run_with(seen("nll", "ERM", 1.0, 2.0, 3.0), seen("nll", "mixup", 2.5, 3.5, 4.5))
    found = page.difference(record, "nll", "mixup", "ERM", networks="mlp")
    assert found.values == (1.5, 1.5, 1.5)
    assert found.interval == pytest.approx((1.5, 1.5))
    with pytest.raises(DomainError, match="'annealed'"):
        page.difference(record, "nll", "annealed", "ERM", networks="mlp")


@pytest.mark.parametrize(("values", "sign", "verdict"), [
    ((1.0, 1.1, 0.9, 1.0), +1, "as foretold"), ((1.0, 1.1, 0.9, 1.0), -1, "the opposite"),
    ((-1.0, -1.1, -0.9, -1.0), -1, "as foretold"), ((1.0, -1.1, 0.9, -1.0), +1, "undecided")])
def test_a_sign_is_judged_by_the_interval(values, sign, verdict):
    assert page.sign_verdict(Observation("foretold", {}, values), sign) == verdict


def test_signs_said_beforehand_stand_beside_what_was_seen():
    one = Observation("foretold", {"what": "gap", "sign": -1}, (-2.0, -2.2, -1.8), "nats")
    record = run_with(one)
    record.config["foretold"] = [{"name": "gap", "sign": -1, "claim": "covariance.mean", "words": "the gap narrows"}]
    shown = page.foretold([record, record], ["digits", "others"]).text
    assert shown.count("as foretold") == 2
    assert shown.count("−2.0 ±") == 2
    assert 'href="covariance.html#covariance.mean"' in shown
    assert "the gap narrows" in shown


def test_benchmarks_show_ratio_interval_and_verdict_and_the_gpu_that_did_not_run(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RECORDS", tmp_path / "records")
    with pytest.raises(DomainError, match=r"toy\.cpu\.json"):
        page.benchmark("toy")
    (tmp_path / "benchmarks").mkdir()
    row = {"size": "2 x 3", "package": "other", "call": "ours", "reference": "theirs", "median": 0.5, "low": 0.4,
           "high": 0.6, "seconds": 1.0, "bound": 1.0, "required": "at most", "verdict": "met"}
    other = {**row, "call": "mine", "bound": None, "verdict": None}
    body = {"environment": {"device_name": "CPU, slow", "threads": 2}, "ratios": [row, other]}
    (tmp_path / "benchmarks" / "toy.cpu.json").write_text(json.dumps(body))
    shown = page.benchmark("toy").text
    assert shown.count("0.5 [0.4, 0.6]") == 2
    assert shown.count("at most 1: met") == 1
    assert "CPU, slow" in shown
    assert "2 x 3, other" in shown
    assert "GPU: not run yet" in shown
    assert "mine / theirs" not in page.benchmark("toy", calls=["ours"]).text
