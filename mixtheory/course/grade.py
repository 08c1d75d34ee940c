"""Grade a folder of submissions into a table: one row a submission, whatever it is."""

from __future__ import annotations

import ast
import csv
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat

from mixtheory.course.build import Autograder, autograder, fingerprint, handed_out
from mixtheory.course.sandbox import Limits, Outcome, run
from mixtheory.domain import DomainError

__all__ = ["Row", "autograders", "grade", "grade_one", "owner", "write_csv"]

LARGEST = 20 * 2**20                    # bytes of a submission
STATUSES = ("unreadable", "empty", "suspicious", "timed out", "crashed cells", "ok")        # the first that applies
SUSPECTS = frozenset({"otter", "ctypes", "gc", "inspect", "builtins", "importlib", "subprocess", "socket", "signal",
                      "mixtheory.course"})          # modules that no answer needs
NAMES = frozenset({"_getframe", "f_back", "f_globals", "f_locals", "walk_stack", "__globals__", "__subclasses__",
                   "__builtins__", "__import__", "addaudithook", "settrace", "setprofile", "display_formatter",
                   "ast_transformers", "system", "getoutput", "sys.modules", "mixtheory.course"})
FUNCTIONS = frozenset({"exec", "eval"})         # as names; a network has a method eval
OTTER = re.compile(r"^(import otter|grader = otter\.Notebook\(.*\))[ \t]*$", re.MULTILINE)     # the sandbox has its own


@dataclass
class Row:
    """What the table says of a submission; `points` by question, None for those graded by hand."""

    student: str
    set: str
    points: dict[str, float | None] = field(default_factory=dict)
    max: float = 0.0
    status: str = "ok"
    notes: list[str] = field(default_factory=list)

    @property
    def total(self) -> float:
        """Points given by the machine."""
        return sum(p for p in self.points.values() if p is not None)


def autograders(folder: Path) -> dict[str, Autograder]:
    """The autograders in a folder, by the name of their set.

    Raises:
        DomainError: there is none.
    """
    found = {grader.name: grader for grader in map(autograder, sorted(folder.glob("*.zip")))}
    if not found:
        raise DomainError(f"autograders = {folder}: holds no autograder; mixtheory course build makes them")
    return found


def owner(path: Path, sets: Sequence[str]) -> tuple[str, str]:
    """(student, set) of a file: its name ends with the set's name; the student is what stands before it.

    `ada_1_prove_and_check.ipynb`, `ada_4711_1_prove_and_check-2.ipynb` and `ada/1_prove_and_check.ipynb` are all
    understood; the set is "" where no set's name is found.
    """
    stem = re.sub(r"[-\s_]*(\(\d+\)|copy\s*\d*|-\d+)$", "", path.stem, flags=re.IGNORECASE)
    for name in sets:
        if stem.endswith(name) and (before := stem[: -len(name)])[-1:] in ("", "_", "-", ".", " "):
            return before.strip("_-. ") or path.parent.name, name
    return path.stem, ""


def grade(autograder_folder: Path, submissions: Path, *, limits: Limits | None = None, jobs: int = 1,
          progress: Callable[[str], Any] = lambda name: None) -> list[Row]:
    """Grade every file in a folder and its subfolders; hidden files are passed over."""
    graders = autograders(autograder_folder)
    if not submissions.is_dir():
        raise DomainError(f"submissions = {submissions}: must be a folder")
    files = [p for p in sorted(submissions.rglob("*")) if p.is_file()
             and not any(part.startswith(".") for part in p.relative_to(submissions).parts)]

    def one(path: Path) -> Row:
        student, name = owner(path, list(graders))
        if not name:
            row = Row(student, "", status="unreadable", notes=[f"{path.name} ends with no set's name"])
        else:
            try:
                row = grade_one(path, graders[name], student, limits or Limits())
            except Exception as error:          # whatever a submission does, the others are graded
                row = _blank(student, graders[name], "unreadable", f"the grader failed: {error}")
        progress(path.name)
        return row

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(one, files))


def grade_one(path: Path, grader: Autograder, student: str, limits: Limits) -> Row:
    """Grade one file."""
    try:
        notebook = _notebook(path)
    except ValueError as error:
        return _blank(student, grader, "unreadable", str(error))
    known = set(grader.card["cells"])
    if not [c for c in handed_out(notebook) if c not in known]:
        return _blank(student, grader, "empty", "nothing was added to the notebook that was handed out")
    cells = [(i, OTTER.sub("", c.source)) for i, c in enumerate(notebook.cells)
             if c.cell_type == "code" and c.source.strip()]
    outcome = run([source for _, source in cells], grader.tests, limits)
    row = _blank(student, grader, "ok")
    found = _suspicions(notebook, [source for _, source in cells], grader, outcome)
    for (i, _), reply in zip(cells, (outcome.cells.get(k) for k in range(len(cells))), strict=True):
        if reply is None or reply.status == "timeout":
            found.append(("timed out", f"cell {i + 1}: {reply.text if reply else 'not reached'}"))
        elif reply.status == "dead" and "could not be stopped" in reply.text:
            found.append(("timed out", f"cell {i + 1}: {reply.text}"))
        elif reply.status != "ok":
            found.append(("crashed cells", f"cell {i + 1}: {reply.text}"))
    for q in grader.questions:
        if not q["manual"]:
            row.points[q["name"]], notes = _points(q["name"], q["points"], outcome)
            found += notes
    kinds = {kind for kind, _ in found}
    row.status = next((s for s in STATUSES if s in kinds), "ok")
    row.notes = [note for _, note in found]
    return row


def _points(name: str, most: float, outcome: Outcome) -> tuple[float, list[tuple[str, str]]]:
    reply = outcome.tests.get(name)
    if reply is None:
        return 0.0, [("timed out", f"{name}: not reached")]
    if reply.status != "ok":
        kind = "timed out" if reply.status == "timeout" or "stopped" in reply.text else "crashed cells"
        return 0.0, [(kind, f"{name}: its test {reply.text}")]
    try:
        score, failed = float(reply.value["score"]), [str(text) for text in reply.value["failed"]]
        sound = reply.value["tampered"] is False and 0 <= score <= most
    except (KeyError, TypeError, ValueError):
        sound = False
    if not sound:
        return 0.0, [("suspicious", f"{name}: a test that must fail did not, or not so; tests were tampered with")]
    return score, [("note", f"{name}: {text[:160]}") for text in failed[:1]]


def _notebook(path: Path) -> Any:
    """Read a submission.

    Raises:
        ValueError: saying in one line what is wrong with it.
    """
    if path.stat().st_size > LARGEST:
        raise ValueError(f"larger than {LARGEST // 2**20} MiB")
    try:
        notebook = nbformat.reads(path.read_text(encoding="utf-8-sig"), as_version=4)
        for cell in notebook.cells:
            if not isinstance(cell.source, str) or cell.cell_type not in ("code", "markdown", "raw"):
                raise ValueError("a cell is broken")
        return notebook
    except Exception as error:                  # nbformat raises whatever the broken text leads it to
        raise ValueError(f"not a notebook: {type(error).__name__}: {' '.join(str(error).split())[:100]}") from error


def _blank(student: str, grader: Autograder, status: str, note: str = "") -> Row:
    points = {q["name"]: None if q["manual"] else 0.0 for q in grader.questions}
    most = float(sum(q["points"] for q in grader.questions if not q["manual"]))
    return Row(student, grader.name, points, most, status, [note] if note else [])


# ---- what a person should look at ----

def _suspicions(notebook: Any, sources: Sequence[str], grader: Autograder, outcome: Outcome) -> list[tuple[str, str]]:
    notes = []
    if fingerprint(notebook.metadata.get("otter", {})) != grader.card["tests"]:
        notes.append("the tests in the notebook are not those handed out: changed, or of another course")
    used = sorted(set().union(*map(_suspects, sources))) if sources else []
    if used:
        notes.append(f"uses {', '.join(used)}")
    notes += [f"tried {escape}" for escape in dict.fromkeys(outcome.escapes)]
    return [("suspicious", note) for note in notes[:5]]


def _suspects(source: str) -> set[str]:
    """Names in a cell that no answer needs."""
    from IPython.core.inputtransformer2 import TransformerManager

    try:
        tree = ast.parse(TransformerManager().transform_cell(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= set().union(*(_packages(a.name) for a in node.names)) & SUSPECTS
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= set().union(*(_packages(f"{node.module}.{a.name}") for a in node.names)) & SUSPECTS
        elif isinstance(node, ast.Name) and node.id in NAMES | FUNCTIONS:
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found |= {node.attr, ast.unparse(node)} & NAMES
    return found


def _packages(module: str) -> set[str]:
    """A dotted name and everything that it is in."""
    parts = module.split(".")
    return {".".join(parts[:k]) for k in range(1, len(parts) + 1)}


# ---- the table ----

def write_csv(rows: Sequence[Row], path: Path) -> None:
    """One row a submission: student, set, points of each question (empty: by hand), total, max, status, message."""
    names = sorted({q for row in rows for q in row.points}, key=lambda q: int(q[1:]))
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["student", "set", *names, "total", "max", "status", "message"])
        for row in rows:
            points = [_short(row.points.get(q)) for q in names]
            table.writerow([_plain(row.student), row.set, *points, _short(row.total), _short(row.max), row.status,
                            _plain("; ".join(row.notes))])


def _short(points: float | None) -> str:
    return "" if points is None else f"{points:g}"


def _plain(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    text = " ".join(text.split())
    return "'" + text if text[:1] in ("=", "+", "-", "@") else text
