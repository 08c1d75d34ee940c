"""The ways of a student and of an instructor through the book, in a real browser and with the real commands."""

from __future__ import annotations

import copy
import csv
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat

from mixtheory.course.build import assign
from mixtheory.course.handouts import SEED
from mixtheory.course.master import Question, masters, read, render
from tests.book.browser import ROOT, settle
from tests.book.lab import cell_with, lab, open_notebook, run_cell
from tests.book.test_browser import listen


def test_a_student_reads_explores_and_checks_answers(address: str, browser: Any, tmp_path: Path) -> None:
    page = browser.new_page(accept_downloads=True)
    heard = listen(page, address)

    page.goto(f"{address}/book/intro.html")                 # from the opening page to a chapter, by a link
    page.locator("nav.bd-links a", has_text="How much mixing shrinks the data").click()
    page.wait_for_url("**/covariance.html")
    settle(page)

    figure = page.locator(".mt-explorable").first           # an explorable, by keyboard alone
    slider = figure.locator("input[type=range]").first
    slider.focus()
    before, shown = slider.get_attribute("aria-valuetext"), figure.locator("output").all_inner_texts()
    page.keyboard.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") != before
    assert figure.locator("output").all_inner_texts() != shown

    with page.expect_download() as started:                 # the chapter's exercises
        page.locator("a.mt-download").click()
    started.value.save_as(tmp_path / "covariance.ipynb")
    assert heard == []
    page.close()

    with lab(tmp_path) as laboratory:
        page = browser.new_page()
        heard = listen(page, laboratory)
        open_notebook(page, laboratory, "covariance.ipynb")
        run_cell(page, page.locator(".jp-CodeCell").first)
        cell = cell_with(page, 'check("covariance-two"')
        assert "There is no answer yet" in run_cell(page, cell)
        wrong = run_cell(page, cell, 'p = sympy.symbols("p")\ncheck("covariance-two", p**2 + (1 - p)**2)')
        assert "Not yet." in wrong
        assert "the two examples are independent draws" in wrong
        assert "Right." in run_cell(page, cell, 'check("covariance-two", (2*p - 1)**2)')
        assert [line for line in heard if "asks another host" in line] == []
        page.close()


SET = "1_prove_and_check"


def code_of(seed: int, graded: int | None = None) -> list[str]:
    """The code of the set in the course of this seed, solved: all of it, or with so many graded questions answered."""
    made = read(SET, render(masters([SET])[0], seed))
    answered = [q.name for q in made.questions if not q.manual][:graded]
    code = []
    for part in made.parts:
        for cell in part.cells if isinstance(part, Question) else [part]:
            tags = set(cell.metadata.get("tags", []))
            if cell.cell_type == "code" and not tags & {"start", "public", "hidden"}:
                if "solution" not in tags or part.name in answered:
                    code.append(cell.source)
    return code


def test_an_instructor_grades_what_students_hand_in(address: str, browser: Any, tmp_path: Path) -> None:
    page = browser.new_page(accept_downloads=True)          # the assignment, as a student gets it
    page.goto(f"{address}/book/problem_sets.html")
    with page.expect_download() as started:
        page.locator(f'a[href$="{SET}.ipynb"]').click()
    started.value.save_as(tmp_path / f"{SET}.ipynb")
    page.close()
    handout = nbformat.read(tmp_path / f"{SET}.ipynb", as_version=4)

    def submit(student: str, added: list[str], first: str = "") -> None:
        notebook, new = copy.deepcopy(handout), nbformat.v4.new_code_cell
        notebook.cells = [*([new(first)] if first else []), *notebook.cells, *map(new, added)]
        target = tmp_path / "submissions" / student / f"{SET}.ipynb"
        target.parent.mkdir(parents=True)
        nbformat.write(notebook, target)

    right = code_of(SEED)
    submit("right", right)
    submit("half", code_of(SEED, graded=2))
    submit("hardcoding", code_of(SEED + 1))                 # what was right in another course
    submit("empty", [])
    submit("crashing", right, first="raise RuntimeError('I do not run')")
    submit("endless", right, first="while True:\n    pass")

    for kind in ("student", "autograder"):                  # the instructor's side of the same course
        (tmp_path / "course" / kind).mkdir(parents=True)
    made = read(SET, render(masters([SET])[0], SEED))
    assign(made, tmp_path / "course")
    table = tmp_path / "grades.csv"
    done = subprocess.run(
        [sys.executable, "-m", "mixtheory.cli", "course", "grade",
         "--autograders", str(tmp_path / "course" / "autograder"), "--submissions", str(tmp_path / "submissions"),
         "--out", str(table), "--cell-seconds", "20", "--quiet"],
        cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    with table.open(encoding="utf-8", newline="") as file:
        rows = {row["student"]: row for row in csv.DictReader(file)}
    points = [question.points for question in made.questions if not question.manual]
    assert {student: row["status"] for student, row in rows.items()} == {
        "right": "ok", "half": "ok", "hardcoding": "ok", "empty": "empty", "crashing": "crashed cells",
        "endless": "timed out"}
    assert {student: float(row["total"]) for student, row in rows.items()} == {
        "right": sum(points), "half": sum(points[:2]), "hardcoding": 0, "empty": 0, "crashing": sum(points),
        "endless": sum(points)}
