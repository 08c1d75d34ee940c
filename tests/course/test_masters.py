"""Every master, in this process: draws, solutions, tests, and what an untouched notebook is told."""

from __future__ import annotations

import numpy as np
import pytest

from mixtheory.course.draws import choose, constants, grid
from mixtheory.course.master import masters, read, render, to_otter
from mixtheory.domain import DomainError
from tests.course.inprocess import failures, master, solved

MASTERS = {path.stem: path for path in masters()}
FIRST, SECOND = 5, 6


@pytest.mark.parametrize("name", MASTERS)
def test_draws_repeat_and_differ(name):
    slug = name.partition("_")[2]
    drawn = [constants(slug, seed) for seed in (FIRST, FIRST, SECOND, 2**70)]
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2] != drawn[3]
    assert set(drawn[0]) == set(drawn[2])
    assert render(MASTERS[name], FIRST) == render(MASTERS[name], FIRST)


@pytest.mark.parametrize("name", MASTERS)
def test_solutions_pass_and_those_of_another_seed_fail_everywhere(name):
    first, second = (master(MASTERS[name], seed) for seed in (FIRST, SECOND))
    mine, other = solved(first), solved(second)
    assert failures(first, mine) == {q.name: [] for q in first.questions if not q.manual}
    assert not [question for question, said in failures(second, mine).items() if not said]
    assert failures(second, other) == {q.name: [] for q in second.questions if not q.manual}


@pytest.mark.parametrize("name", MASTERS)
def test_public_tests_of_an_untouched_notebook_say_what_is_missing(name):
    made = master(MASTERS[name], FIRST)
    space = solved(made, answered=False)
    for question, said in failures(made, space, ("public",)).items():
        assert said, f"{question}: passes without an answer"
        assert all(text.startswith("AssertionError: ") and len(text) > 30 for text in said), (question, said)


def liar(base, value):
    """A number or a text that is equal to everything, and whose difference from anything is nothing."""
    lies = {f"__{name}__": lambda self, *_: True for name in ("eq", "lt", "le", "gt", "ge", "bool")}
    if base is float:
        names = ("sub", "rsub", "add", "radd", "mul", "rmul", "abs")
        lies |= {f"__{name}__": lambda self, *_: type(self)(0.0) for name in names}
        lies["__truediv__"] = lambda self, *_: type(self)(1.0)
    return type("Liar", (base,), {**lies, "__ne__": lambda self, *_: False, "__hash__": base.__hash__})(value)


@pytest.mark.parametrize("answer", [liar(float, 1.0), *(liar(str, word) for word in ("agrees", "holds", "sound"))],
                         ids=["number", "agrees", "holds", "sound"])
@pytest.mark.parametrize("name", MASTERS)
def test_an_answer_that_is_equal_to_everything_earns_nothing(name, answer):
    made = master(MASTERS[name], FIRST)
    space = solved(made, answered=False)
    for part in made.questions:
        for cell in part.cells:
            if "start" in cell.metadata.get("tags", []):
                own: dict = {}
                exec(cell.source, dict(space), own)
                for variable, value in own.items():
                    length = len(value) or 8 if isinstance(value, (list, tuple)) else None
                    space[variable] = ((lambda *_, **__: answer) if callable(value) else
                                       answer if length is None else [answer] * length)
    assert not [question for question, said in failures(made, space, ("hidden",)).items() if not said]


@pytest.mark.parametrize("name", MASTERS)
def test_a_set_is_of_the_promised_shape(name):
    made = master(MASTERS[name], FIRST)
    assert 5 <= len(made.questions) <= 8
    assert 1 <= made.meta["difficulty"] <= 5
    assert 60 <= made.meta["minutes"] <= 600
    assert any(q.manual for q in made.questions)
    assert "<<" not in made.rubric
    assert not any("<<" in cell.source or ">>" in cell.source for cell in to_otter(made).cells)


def test_numbers_of_the_sets_are_in_order():
    assert [int(name.partition("_")[0]) for name in MASTERS] == list(range(1, len(MASTERS) + 1))


# ---- the format ----

GOOD = """---
title: A coin
kind: Toss
minutes: 60
difficulty: 1
---

Text.

+++ {"question": "q1", "points": 2}

### How heavy?

```{code-cell}
:tags: [start]

weight = ...
```

```{code-cell}
:tags: [solution]

weight = 2
```

```{code-cell}
:tags: [public]

def test_kind(weight):
    assert weight is not ..., "no answer yet"
```

```{code-cell}
:tags: [hidden]

def test_value(weight):
    assert weight == 2
```

More text.
"""
MANUAL = '\n+++ {"question": "q2", "points": 1, "manual": true}\n\nWhy?\n\n+++ {"tags": ["solution"]}\n\nBecause.\n'
RUBRIC = '\n+++ {"tags": ["rubric"]}\n\n**q2.** One point.\n'


def test_a_good_master():
    made = read("1_coin", GOOD + MANUAL + RUBRIC)
    assert [(q.name, q.points, q.manual) for q in made.questions] == [("q1", 2, False), ("q2", 1, True)]
    assert made.rubric == "**q2.** One point."
    parts = [getattr(part, "source", "question") for part in made.parts]
    assert parts == ["Text.", "question", "More text.", "question"]
    raw = [cell.source.split("\n")[0] for cell in to_otter(made).cells if cell.cell_type == "raw"]
    assert raw == ["# ASSIGNMENT CONFIG", "# BEGIN QUESTION", "# BEGIN PROMPT", "# END PROMPT", "# BEGIN SOLUTION",
                   "# END SOLUTION", "# BEGIN TESTS", "# END TESTS", "# END QUESTION", "# BEGIN QUESTION",
                   "# BEGIN SOLUTION", "# END SOLUTION", "# END QUESTION"]


@pytest.mark.parametrize(("text", "complaint"), [
    (GOOD.replace("kind: Toss\n", ""), "front matter"),
    (GOOD.replace('"q1"', '"q3"'), "q1, q2, ... in order"),
    (GOOD.replace("[hidden]", "[public]"), "no hidden cell"),
    (GOOD.replace("[solution]", "[start]"), "no solution cell"),
    (GOOD.replace(', "points": 2', ""), "with points"),
    (GOOD.replace('"points"', '"marks": 1, "points"'), "marks"),
    (GOOD.replace('+++ {"question": "q1", "points": 2}', ""), "needs a question before it"),
    (GOOD + MANUAL, "rubric does not name it"),
])
def test_a_master_that_breaks_the_format_is_refused(text, complaint):
    with pytest.raises(DomainError, match=complaint):
        read("1_coin", text)


def test_an_unknown_constant_is_refused(tmp_path):
    path = tmp_path / "1_prove_and_check.md"
    path.write_text(GOOD.replace("### How", "### <<nobody>> How"))
    with pytest.raises(DomainError, match="nobody"):
        render(path, 1)


def test_unknown_sets_and_bad_seeds_are_refused():
    with pytest.raises(DomainError, match="1_prove_and_check"):
        masters(["9_nothing"])
    with pytest.raises(DomainError, match="seed"):
        constants("prove_and_check", -1)


def test_helpers_of_draws():
    rng = np.random.default_rng(1)
    drawn = {grid(rng, 0.1, 0.4, 0.1) for _ in range(200)}
    assert drawn == {0.1, 0.2, 0.3, 0.4}
    assert {choose(rng, "a", 2) for _ in range(50)} == {"a", 2}


def test_draws_must_be_plain(monkeypatch):
    from mixtheory.course.draws import prove_and_check

    for bad in ({"a": np.float64("nan")}, {"a": np.zeros(2)}, {"a": (1, 2)}):
        monkeypatch.setattr(prove_and_check, "draw", lambda rng, bad=bad: bad)
        with pytest.raises(DomainError, match="plain"):
            constants("prove_and_check", 1)
