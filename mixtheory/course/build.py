"""Build a course: student notebooks, autograders and the instructor pack of every problem set, for one seed.

Otter assigns each master; the solutions are then executed and tested: a wrong reference solution fails the build.
"""

from __future__ import annotations

import ast
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

from mixtheory.course.draws import constants
from mixtheory.course.master import Master, masters, read, render, to_otter
from mixtheory.domain import DomainError

__all__ = ["CARD", "Autograder", "assign", "autograder", "build", "fingerprint", "handed_out"]

CARD = "course.json"                    # in an autograder: what the grader must know about the set
CELL_PATIENCE = 300                     # seconds for a cell of a solved notebook
EXECUTE = "import mixtheory.course; from nbclient.cli import main; main()"
RUN_TEST = "from mixtheory.course.inside import run_test"
OTTER_CELLS = ("# Initialize Otter", "grader.check(", "grader.check_all(", "---\n\nTo double-check")
OTTER_LINES = ("# BEGIN SOLUTION", "# END SOLUTION", "<!-- BEGIN QUESTION", "<!-- END QUESTION")


def build(seed: int, out: Path, *, names: Sequence[str] = (), jobs: int = 1,
          progress: Callable[[str], Any] = lambda name: None) -> list[Master]:
    """Make `student/`, `autograder/` and `instructor/` in `out`, anew, for all sets or those named.

    Raises:
        DomainError: an unknown set, a master that breaks the format, a reference solution that fails its tests.
    """
    made = [read(path.stem, render(path, seed)) for path in masters(names)]
    for folder in ("student", "autograder", "instructor"):
        shutil.rmtree(out / folder, ignore_errors=True)
        (out / folder).mkdir(parents=True)
    solved = [assign(master, out) for master in made]           # one by one: Otter changes the working directory

    def finish(master: Master, notebook: Any) -> None:
        folder = out / "instructor"
        nbformat.write(_executed(master.name, notebook, autograder(out / "autograder" / f"{master.name}.zip").tests),
                       folder / f"{master.name}.ipynb")
        (folder / f"{master.name}.md").write_text(_notes(master, seed), encoding="utf-8")
        progress(master.name)

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(finish, made, solved))
    (out / "instructor" / "README.md").write_text(_overview(seed, made), encoding="utf-8")
    return made


def assign(master: Master, out: Path) -> Any:
    """Write one set's student notebook and autograder; returns the solved notebook, not yet executed."""
    with tempfile.TemporaryDirectory(prefix="course-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")             # Otter and what it imports use what is deprecated
        from otter.assign import main

        work = Path(folder)
        nbformat.write(to_otter(master), work / f"{master.name}.ipynb")
        main(str(work / f"{master.name}.ipynb"), str(work / "dist"), no_run_tests=True, no_pdfs=True)
        student = _clean(work / "dist" / "student" / f"{master.name}.ipynb")
        nbformat.write(student, out / "student" / f"{master.name}.ipynb")
        grader = out / "autograder" / f"{master.name}.zip"
        shutil.copy(next((work / "dist" / "autograder").glob("*.zip")), grader)
        with zipfile.ZipFile(grader, "a") as archive:
            archive.writestr(CARD, json.dumps(_card(master, student), indent=1))
        return _solved(_clean(work / "dist" / "autograder" / f"{master.name}.ipynb"))


def _clean(path: Path) -> Any:
    """A notebook without outputs, empty cells and ids that change from build to build."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if cell.source.strip()]
    for i, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{i}"
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def _solved(notebook: Any) -> Any:
    """The solutions as one reads them: no prompts, no markers, no tests."""
    notebook.metadata.pop("otter", None)
    kept = []
    for cell in notebook.cells:
        if "otter_answer_cell" in cell.metadata.get("tags", []) or cell.source.startswith(OTTER_CELLS):
            continue
        lines = [line for line in cell.source.splitlines() if not line.startswith(OTTER_LINES)]
        cell.source, cell.metadata = "\n".join(lines).strip("\n"), type(cell.metadata)()
        kept += [cell] if cell.source else []
    notebook.cells = kept
    return notebook


def _executed(name: str, notebook: Any, tests: Mapping[str, str]) -> Any:
    """The notebook with its outputs, after every test has passed on the solutions.

    Raises:
        DomainError: a cell raises, a test fails.
    """
    length = len(notebook.cells)
    for test in tests.values():
        notebook.cells.append(nbformat.v4.new_code_cell(f"{RUN_TEST}\nprint(run_test({test!r}))"))
    with tempfile.TemporaryDirectory(prefix="mx-") as folder:
        path = Path(folder) / f"{name}.ipynb"
        nbformat.write(notebook, path)
        command = [sys.executable, "-c", EXECUTE, str(path), "--inplace", f"--timeout={CELL_PATIENCE}"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise DomainError(f"{name}: a reference solution fails: {done.stderr[-2000:]}")
        notebook = nbformat.read(path, as_version=4)
    for question, cell in zip(tests, notebook.cells[length:], strict=True):
        result = ast.literal_eval("".join(o.text for o in cell.outputs if o.get("name") == "stdout"))
        if result["failed"] or result["score"] != result["possible"] or result["tampered"]:
            raise DomainError(f"{name}, {question}: the reference solution fails its tests: {result['failed']}")
    del notebook.cells[length:]
    return notebook


# ---- what the grader must know ----

def fingerprint(value: Any) -> str:
    """A short hash of JSON-like data."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:20]


def handed_out(notebook: Any) -> list[str]:
    """Fingerprints of a notebook's cells, blank ones left out."""
    return [fingerprint(cell.source.strip()) for cell in notebook.cells if cell.source.strip()]


def _card(master: Master, student: Any) -> dict[str, Any]:
    return {"set": master.name, "title": master.meta["title"],
            "questions": [{"name": q.name, "points": q.points, "manual": q.manual} for q in master.questions],
            "tests": fingerprint(student.metadata.get("otter", {})), "cells": handed_out(student)}


@dataclass(frozen=True)
class Autograder:
    """One set's questions and tests, as they stand in its zip."""

    name: str
    questions: tuple[dict[str, Any], ...]
    tests: dict[str, str]
    card: dict[str, Any]


def autograder(path: Path) -> Autograder:
    """Read an autograder that `build` has made."""
    with zipfile.ZipFile(path) as archive:
        card = json.loads(archive.read(CARD))
        order = [q["name"] for q in card["questions"] if not q["manual"]]
        return Autograder(card["set"], tuple(card["questions"]),
                          {name: archive.read(f"tests/{name}.py").decode() for name in order}, card)


# ---- the instructor pack ----

def _notes(master: Master, seed: int) -> str:
    drawn = json.dumps(constants(master.name.partition("_")[2], seed), indent=1)
    return (f"# {master.meta['title']}: for instructors\n\n{_points([master])}\n## Rubric\n\n{master.rubric}\n\n"
            f"## What was drawn\n\n```json\n{drawn}\n```\n")


def _points(made: Sequence[Master]) -> str:
    rows = ["| set | question | points | graded |", "| --- | --- | --- | --- |"]
    rows += [f"| {m.name} | {q.name} | {q.points} | {'by hand' if q.manual else 'by machine'} |"
             for m in made for q in m.questions]
    return "\n".join(rows) + "\n"


def _overview(seed: int, made: Sequence[Master]) -> str:
    rows = ["| set | title | kind | minutes | difficulty | points | by hand |",
            "| --- | --- | --- | --- | --- | --- | --- |"]
    for m in made:
        total, hand = sum(q.points for q in m.questions), sum(q.points for q in m.questions if q.manual)
        meta = m.meta
        rows.append(f"| {m.name} | {meta['title']} | {meta['kind']} | {meta['minutes']} | {meta['difficulty']} of 5 "
                    f"| {total} | {hand} |")
    return (f"# Course {seed}: for instructors\n\nThe seed is a secret: who knows it can build the solutions.\n\n"
            + "\n".join(rows) + f"\n\n## Points\n\n{_points(made)}")
