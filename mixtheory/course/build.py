"""Build a course: student notebooks, autograders and the instructor pack of every problem set, for one seed.

Otter assigns each master and runs the tests on its solutions: a wrong reference solution fails the build.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mixtheory.course.draws import constants
from mixtheory.course.master import Master, masters, read, render, to_otter
from mixtheory.domain import DomainError

__all__ = ["CARD", "assign", "build", "fingerprint", "handed_out"]

CARD = "course.json"                    # in an autograder: what the grader must know about the set
PATIENCE = 900                          # seconds for Otter to assign a set and test its solutions
CELL_PATIENCE = 300                     # seconds for a cell of a solved notebook
OTTER_CELLS = ("# Initialize Otter", "grader.check(", "grader.check_all(")


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

    def one(master: Master) -> Master:
        assign(master, seed, out)
        progress(master.name)
        return master

    with ThreadPoolExecutor(jobs) as pool:
        done = list(pool.map(one, made))
    (out / "instructor" / "README.md").write_text(_overview(seed, done), encoding="utf-8")
    return done


def assign(master: Master, seed: int, out: Path) -> None:
    """Assign one set into the three folders of `out`."""
    import nbformat

    with tempfile.TemporaryDirectory(prefix="course-") as folder:
        work = Path(folder)
        nbformat.write(to_otter(master), work / f"{master.name}.ipynb")
        _otter_assign(master.name, work)
        student = _clean(work / "dist" / "student" / f"{master.name}.ipynb")
        nbformat.write(student, out / "student" / f"{master.name}.ipynb")
        grader = out / "autograder" / f"{master.name}.zip"
        shutil.copy(next((work / "dist" / "autograder").glob("*.zip")), grader)
        with zipfile.ZipFile(grader, "a") as archive:
            archive.writestr(CARD, json.dumps(_card(master, student), indent=1))
        solved = _solved(_clean(work / "dist" / "autograder" / f"{master.name}.ipynb"))
        nbformat.write(_executed(solved, work), out / "instructor" / f"{master.name}.ipynb")
    notes = f"# {master.meta['title']}: for instructors\n\n{_points([master])}\n## Rubric\n\n{master.rubric}\n"
    drawn = constants(master.name.partition("_")[2], seed)
    notes += f"\n## What was drawn\n\n```json\n{json.dumps(drawn, indent=1)}\n```\n"
    (out / "instructor" / f"{master.name}.md").write_text(notes, encoding="utf-8")


def _otter_assign(name: str, work: Path) -> None:
    command = [sys.executable, "-m", "otter", "assign", f"{name}.ipynb", "dist"]
    try:
        done = subprocess.run(command, cwd=work, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired as error:
        raise DomainError(f"{name}: its solutions take longer than {PATIENCE} s") from error
    if done.returncode:
        said = (done.stdout + done.stderr).strip()
        raise DomainError(f"{name}: otter assign refuses it; a reference solution fails its tests? {said[-3000:]}")


def _clean(path: Path) -> Any:
    """A notebook without outputs, empty cells and ids that change from build to build."""
    import nbformat

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
        lines = [line for line in cell.source.splitlines() if not line.startswith(("# BEGIN SOL", "# END SOL"))]
        cell.source, cell.metadata = "\n".join(lines), type(cell.metadata)()
        kept.append(cell)
    notebook.cells = kept
    return notebook


def _executed(notebook: Any, work: Path) -> Any:
    from nbclient import NotebookClient

    resources = {"metadata": {"path": str(work)}}
    return NotebookClient(notebook, timeout=CELL_PATIENCE, kernel_name="python3", resources=resources).execute()


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


# ---- the instructor pack ----

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
