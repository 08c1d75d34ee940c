"""Evidence is kept while its source is the same, and never half a file."""

from __future__ import annotations

import importlib
import json
import os
import sys

import pytest

from mixtheory import paths
from mixtheory.domain import DomainError
from mixtheory.evidence import claims, evidence_for, scratch_registry, source, store

THEORY = """
from mixtheory.evidence import Claim, cases, predicts

def half(a):
    return a / 2

def draw(size, *, rng, a):
    return a * rng.random(size)

for name in ("one", "two"):
    Claim(id=f"toy.{name}", title="Half", statement="a/2", kind="numerical", predict=half, simulate=draw,
          cases=cases(a=(1.0,)), wrong={"whole": predicts(lambda a: a)})
"""


@pytest.fixture
def theory(tmp_path, monkeypatch):
    """A chapter of two claims in a module of its own, a fresh store, and a count of the computations."""

    def write(text=THEORY):
        (tmp_path / "toy_theory.py").write_text(text, encoding="utf-8")
        source._module.cache_clear()
        importlib.invalidate_caches()
        sys.modules.pop("toy_theory", None)
        importlib.import_module("toy_theory")

    computed = []
    verify = store.verify
    monkeypatch.setattr(
        store, "verify", lambda claim, *, seed: computed.append((claim.id, seed)) or verify(claim, seed=seed)
    )
    monkeypatch.setattr(paths, "BUILD", tmp_path / "build")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(tmp_path)
    with scratch_registry():
        write()
        yield write, computed, tmp_path / "build" / "evidence"
    sys.modules.pop("toy_theory", None)
    source._module.cache_clear()


def test_computed_once_then_read(theory):
    _, computed, folder = theory
    first = evidence_for(["toy.one"])["toy.one"]
    again = evidence_for(["toy.one"])["toy.one"]
    assert computed == [("toy.one", 0)]
    assert first.to_dict() == again.to_dict()
    assert [f.name for f in folder.iterdir()] == ["toy.one.0.json"]
    assert (folder / "toy.one.0.json").stat().st_mode & 0o777 == 0o644


def test_fresh_computes_again_and_seeds_are_kept_apart(theory):
    _, computed, folder = theory
    evidence_for(["toy.one"])
    evidence_for(["toy.one"], fresh=True)
    evidence_for(["toy.one"], seed=4)
    evidence_for(["toy.one"], seed=4)
    assert computed == [("toy.one", 0), ("toy.one", 0), ("toy.one", 4)]
    assert sorted(f.name for f in folder.iterdir()) == ["toy.one.0.json", "toy.one.4.json"]


def test_a_change_of_the_code_is_noticed_and_one_of_a_comment_is_not(theory):
    write, computed, _ = theory
    evidence_for(["toy.one"])
    write("# a comment\n" + THEORY)
    evidence_for(["toy.one"])
    assert len(computed) == 1
    write(THEORY.replace("return a / 2", "return a / 3"))
    assert any("off by" in p for p in evidence_for(["toy.one"])["toy.one"].problems)
    assert len(computed) == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "[]",
        lambda text: "{}",
        lambda text: "null",
        lambda text: text.replace('"evidence"', '"evidenced"'),
        lambda text: text.replace('"problems"', '"problem"'),
        lambda text: text.replace('"source": "', '"source": "0'),
        lambda text: text + "\x00",
        lambda text: "\udcff",
    ],
)
def test_a_damaged_entry_is_computed_again_and_replaced(theory, damage):
    _, computed, folder = theory
    evidence_for(["toy.one"])
    path = folder / "toy.one.0.json"
    good = path.read_text(encoding="utf-8")
    path.write_text(damage(good), encoding="utf-8", errors="surrogateescape")
    assert evidence_for(["toy.one"])["toy.one"].problems == []
    assert len(computed) == 2
    assert json.loads(path.read_text(encoding="utf-8")).keys() == json.loads(good).keys()


def test_order_and_progress(theory):
    _, _, _ = theory
    evidence_for(["toy.two"], jobs=1)
    seen = []
    found = evidence_for(["toy.two", "toy.one"], jobs=1, progress=lambda e: seen.append(e.id))
    assert list(found) == ["toy.two", "toy.one"]
    assert sorted(seen) == ["toy.one", "toy.two"]


def test_an_unknown_claim_is_refused_before_anything_is_computed(theory):
    _, computed, folder = theory
    with pytest.raises(DomainError, match="toy.three"):
        evidence_for(["toy.one", "toy.three"])
    assert computed == []
    assert not folder.exists()
    assert "toy.one" in claims()


# ---- writing -------------------------------------------------------------------------------------------


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "deep" / "entry.json"
    store.write_atomically(path, "old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        store.write_atomically(path, "new")
    assert path.read_text(encoding="utf-8") == "old"
    assert list(path.parent.iterdir()) == [path]


def test_the_new_file_appears_whole(tmp_path, monkeypatch):
    """At the moment of the replacement the complete text is already on disk, in the same folder."""
    path, seen, replace = tmp_path / "entry.json", [], os.replace

    def watch(temporary, target):
        with open(temporary, encoding="utf-8") as file:
            seen.append((file.read(), os.path.dirname(temporary) == str(tmp_path), path.exists()))
        replace(temporary, target)

    monkeypatch.setattr(os, "replace", watch)
    store.write_atomically(path, "text")
    assert seen == [("text", True, False)]
    assert path.read_text(encoding="utf-8") == "text"
