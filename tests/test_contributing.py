"""The template for a new claim in CONTRIBUTING.md is a claim that stands."""

import re
from pathlib import Path

import mixtheory.theory  # noqa: F401  the template rests on claims of the book
from mixtheory.evidence import claims, scratch_registry, verify

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_the_template_is_a_claim_that_stands():
    (code,) = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    before = set(claims())
    with scratch_registry():
        exec(compile(code, "CONTRIBUTING.md", "exec"), {"__name__": "template"})
        (name,) = set(claims()) - before
        evidence = verify(claims()[name])
    assert evidence.problems == []
    assert evidence.exact
    assert evidence.monte_carlo
    assert evidence.derivation["certified"] == 1
    assert {m["route"] for m in evidence.mutants} == {"derivation", "exact", "monte carlo"}
    assert name not in claims()
