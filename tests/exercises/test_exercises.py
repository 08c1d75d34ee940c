"""Every exercise of the book: its text, its checker, its mistakes, its solution."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mixtheory.exercises import LEVELS, Choice, Formula, Function, Number, check, exercises, judging, notebook

BOOK = Path(__file__).parents[2] / "book"
JUDGED = [name for name, e in exercises().items() if e.wants is not None]
COMPARED = [name for name in JUDGED if isinstance(exercises()[name].wants, (Number, Formula, Function))]
CHAPTERS = sorted({e.chapter for e in exercises().values()})


@cache
def texts(chapter: str) -> dict[str, tuple[str, str]]:
    """Name -> title and text of the exercises on a page, in order."""
    return notebook.texts((BOOK / f"{chapter}.md").read_text(encoding="utf-8"))


@cache
def solved(chapter: str) -> dict[str, Any]:
    """Name -> answer that the chapter's solutions hand in, by running their cells; a refused one raises."""
    import jupytext

    answers: dict[str, Any] = {}

    def confirm(name: str, answer: Any) -> Any:
        answers[name] = answer
        return judging.confirm(name, answer)

    space: dict[str, Any] = {"__name__": "solutions"}
    for cell in jupytext.read(BOOK / "solutions" / f"{chapter}.md").cells:
        if cell.cell_type == "code":
            exec(compile(cell.source, f"solutions/{chapter}.md", "exec"), space)
            space["confirm"] = confirm
    return answers


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_page_has_the_exercises_that_are_declared(chapter: str) -> None:
    assert sorted(texts(chapter)) == sorted(exercises(chapter))
    assert f'page.exercises("{chapter}")' in (BOOK / f"{chapter}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_there_are_six_or_more_of_several_levels(chapter: str) -> None:
    levels = [e.level for e in exercises(chapter).values()]
    assert len(levels) >= 6
    assert {"warm-up", "research"} <= set(levels) <= set(LEVELS)
    assert len(set(levels)) >= 3


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_texts_can_move_to_a_notebook(chapter: str) -> None:
    """A notebook knows no glue, no citation, no code cell of the page."""
    for name, (_, text) in texts(chapter).items():
        assert not re.search(r"\{(glue|cite|eq|numref|term)[:}]|code-cell", text), name


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_exercise_has_a_worked_solution_that_the_checker_accepts(chapter: str) -> None:
    source = (BOOK / "solutions" / f"{chapter}.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)\n\n\{ref\}`ex-(\S+)`$", source, re.MULTILINE)
    assert [(name, title) for title, name in headings] == [(n, title) for n, (title, _) in texts(chapter).items()]
    assert sorted(solved(chapter)) == sorted(n for n in exercises(chapter) if exercises()[n].wants)


@pytest.mark.parametrize("name", JUDGED)
def test_mistakes_are_refused_in_their_words(name: str) -> None:
    wants = exercises()[name].wants
    assert wants.mistakes, "an exercise knows at least one plausible mistake"
    for words, wrong in wants.mistakes.items():
        answer = wrong() if isinstance(wants, Number) else words if isinstance(wants, Choice) else wrong
        verdict = check(name, answer)
        assert not verdict
        if isinstance(wants, (Number, Formula, Function)):
            assert words in verdict.message
        assert verdict.message


@pytest.mark.parametrize("name", COMPARED)
def test_an_answer_that_is_nearly_right_is_refused(name: str) -> None:
    wants, answer = exercises()[name].wants, solved(exercises()[name].chapter)[name]
    near = 1 + 8 * wants.tolerance
    if isinstance(wants, Number):
        truth = wants.truth()
        assert not check(name, truth * near if truth else 8 * wants.tolerance)
    elif callable(answer) and not hasattr(answer, "free_symbols"):
        assert not check(name, lambda *a, **k: answer(*a, **k) * near)
    else:
        assert not check(name, judging.sp.sympify(answer) * judging.sp.Float(near, 30))


@pytest.mark.parametrize("name", JUDGED)
def test_nonsense_is_refused_and_never_raises(name: str) -> None:
    for nonsense in ("hello", object(), float("nan"), [], judging.sp.true, {1: 2}, lambda: 1 / 0,
                     lambda *a, **k: "hello", lambda *a, **k: None, lambda *a, **k: 1j):
        verdict = check(name, nonsense)
        assert not verdict
        assert verdict.message


@pytest.mark.parametrize("name", [name for name in COMPARED if isinstance(exercises()[name].wants, Number)])
def test_no_message_shows_the_answer(name: str) -> None:
    truth = exercises()[name].wants.truth()
    for tried in (truth * 1.07 + 0.011, truth / 2 - 0.3, -truth):
        assert f"{truth:.3g}" not in check(name, tried).message


def other_forms(wants: Number | Formula | Function, answer: Any) -> list[Any]:
    """The same number, formula or function as a reader may write it."""
    sp = judging.sp
    if isinstance(wants, Number):
        return [np.array([answer], dtype=float), sp.Float(float(answer), 20), complex(answer)]
    if callable(answer) and not isinstance(answer, sp.Basic):
        return [lambda *a, **k: np.asarray(answer(*a, **k)).tolist(), lambda *a, **k: answer(*a, **k) + 0j]
    symbols = {name: sp.Symbol(name) for name in wants.symbols}
    plain = answer.subs({s: symbols[s.name] for s in answer.free_symbols})
    return [str(answer), plain, sp.simplify(plain), sp.lambdify(list(symbols.values()), plain)]


@pytest.mark.parametrize("name", COMPARED)
def test_a_right_answer_in_another_form_is_accepted(name: str) -> None:
    for form in other_forms(exercises()[name].wants, solved(exercises()[name].chapter)[name]):
        assert check(name, form), form
