"""From masters to a graded folder: what students get, what graders accept, and what they survive."""

from __future__ import annotations

import ast
import copy
import csv
import dataclasses
import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest

from mixtheory.course.build import _executed, assign, autograder
from mixtheory.course.grade import Row, grade, owner, write_csv
from mixtheory.course.master import masters, read, render
from mixtheory.course.sandbox import Limits, run
from mixtheory.domain import DomainError
from tests.course.conftest import NAMES, SEED, once
from tests.course.test_masters import GOOD, MANUAL, RUBRIC

pytestmark = pytest.mark.skipif(importlib.util.find_spec("otter") is None, reason="needs the extra `course`")
FAST = "1_prove_and_check"
CORES = os.cpu_count() or 1


# ---- what is built ----

def test_the_three_folders(course: Path):
    notebooks = {f"{name}.ipynb" for name in NAMES}
    assert {p.name for p in (course / "student").iterdir()} == notebooks
    assert {p.name for p in (course / "autograder").iterdir()} == {f"{name}.zip" for name in NAMES}
    assert {p.name for p in (course / "instructor").iterdir()} == notebooks | {f"{n}.md" for n in NAMES} | {"README.md"}


@pytest.mark.parametrize("name", NAMES)
def test_student_notebooks_hold_no_solution_and_no_hidden_test(course: Path, name):
    path = course / "student" / f"{name}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    texts = [*(cell.source for cell in notebook.cells), *notebook.metadata["otter"]["tests"].values()]
    shown = "\n".join(texts)
    for marker in ("SOLUTION", "BEGIN TESTS", "BEGIN PROMPT", "HIDDEN", "hidden=True", "hidden_", "rubric", str(SEED)):
        assert marker not in shown + path.read_text(), marker
    secret, public = _lines(read(name, render(masters([name])[0], SEED)))
    assert len(secret) > 40
    assert not [line for line in secret if line in shown]
    assert sum(line in shown for line in public) > 20           # the search sees what is there
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)


def _lines(made) -> tuple[set[str], set[str]]:
    """Distinctive lines of what students must not see and of what they see, also as Otter rewrites code."""
    secret, public = set(), set()
    for part in made.parts:
        for cell in getattr(part, "cells", [part]):
            hidden = set(cell.metadata.get("tags", [])) & {"solution", "hidden"}
            source = cell.source + ("\n" + ast.unparse(ast.parse(cell.source)) if cell.cell_type == "code" else "")
            lines = {line.strip() for line in source.splitlines() if len(line.strip()) > 12}
            (secret if hidden else public).update(lines)
    secret |= {line.strip() for line in made.rubric.splitlines() if len(line.strip()) > 25}
    secret = {line for line in secret if not line.startswith(("import ", "from "))}
    told = "\n".join(public)                            # a question may spell out a call that its solution makes
    return {line for line in secret if line not in told}, public


@pytest.mark.parametrize("name", NAMES)
def test_the_instructor_pack(course: Path, name):
    notebook = nbformat.read(course / "instructor" / f"{name}.ipynb", as_version=4)
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")
    assert not [cell for cell in notebook.cells if "grader" in cell.source or "SOLUTION" in cell.source]
    notes = (course / "instructor" / f"{name}.md").read_text()
    for question in autograder(course / "autograder" / f"{name}.zip").questions:
        assert f"| {name} | {question['name']} | {question['points']} |" in notes
        assert not question["manual"] or f"**{question['name']}" in notes
    assert f"| {name} |" in (course / "instructor" / "README.md").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_solutions_score_everything_here_and_nothing_in_another_course(course: Path, other, solution, name):
    own = autograder(course / "autograder" / f"{name}.zip")
    cells = [cell.source for cell in solution(name).cells if cell.cell_type == "code"]
    tests = {**own.tests, **{f"other {q}": source for q, source in other[name].tests.items()}}
    outcome = run(cells, tests, Limits(cell=120, total=600))
    assert {reply.status for reply in outcome.cells.values()} == {"ok"}
    points = {q["name"]: q["points"] for q in own.questions if not q["manual"]}
    assert {q: outcome.tests[q].value["score"] for q in points} == points
    assert {q: outcome.tests[f"other {q}"].value["score"] for q in points} == dict.fromkeys(points, 0)
    assert outcome.escapes == []


def test_otter_itself_gives_full_marks(course: Path, solution, tmp_path):
    nbformat.write(solution(FAST), tmp_path / "ada.ipynb")
    zipped = course / "autograder" / f"{FAST}.zip"
    command = [sys.executable, "-m", "otter", "run", "ada.ipynb", "-a", str(zipped), "-o", str(tmp_path)]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=300)
    given = {test["name"]: test for test in json.loads((tmp_path / "results.json").read_text())["tests"]}
    graded = [q for q in autograder(zipped).questions if not q["manual"]]
    assert {q["name"]: given[q["name"]]["score"] for q in graded} == {q["name"]: q["points"] for q in graded}


def test_a_wrong_reference_solution_fails_the_build(tmp_path):
    for folder in ("student", "autograder"):
        (tmp_path / folder).mkdir()
    solved = assign(read("1_coin", GOOD.replace("weight = 2", "weight = 3")), tmp_path)
    with pytest.raises(DomainError, match="q1: the reference solution fails"):
        _executed("1_coin", solved, autograder(tmp_path / "autograder" / "1_coin.zip").tests)
    solved.cells[-1].source = "raise KeyError('nothing there')"
    with pytest.raises(DomainError, match="nothing there"):
        _executed("1_coin", solved, {})


# ---- what is graded ----

COIN = GOOD + """
+++ {"question": "q2", "points": 3}

### Write a function

```{code-cell}
:tags: [start]

def double(x):
    ...
```

```{code-cell}
:tags: [solution]

def double(x):
    return x + x
```

```{code-cell}
:tags: [public]

def test_kind(double):
    assert double(0) == 0, "twice nothing is nothing"
```

```{code-cell}
:tags: [hidden]

def test_value(double):
    assert double(21) == 42
```
""" + MANUAL.replace("q2", "q3") + RUBRIC.replace("q2", "q3")
NAME = "1_coin"
SHADOW = """
class Forged:
    def run_test(*_):
        return "{'score': 2, 'possible': 2, 'failed': [], 'tampered': False, 'cases': 1}"
_inside = Forged
def __import__(*_, **__):
    return Forged
"""
FORGE = """
def full(text, printer, cycle):
    printer.text(repr(text.replace("'score': 0.0", "'score': 2.0")))
get_ipython().display_formatter.formatters["text/plain"].for_type(str, full)
"""
BUSY = "while True:\n    pass"
PATCH = "from otter.test_files import TestFile as T\nT.passed_all = True\nT.score = property(lambda t: t.possible)"


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """One folder with every kind of submission, graded once; by student."""
    out = once(tmp_path_factory, "coin", every_kind)
    return {row["student"]: Row(**row) for row in json.loads((out / "rows.json").read_text())}


def every_kind(out: Path) -> None:
    folder = out / "submissions"
    for kind in ("student", "autograder", "submissions"):
        (out / kind).mkdir(parents=True)
    solved = assign(read(NAME, COIN), out)
    student = nbformat.read(out / "student" / f"{NAME}.ipynb", as_version=4)
    solved.metadata["otter"] = student.metadata["otter"]

    def submit(name, *, first="", last="", replace=("", ""), base=solved):
        notebook = copy.deepcopy(base)
        for cell in notebook.cells:
            cell.source = cell.source.replace(*replace)
        new = nbformat.v4.new_code_cell
        notebook.cells = [*([new(first)] if first else []), *notebook.cells, *([new(last)] if last else [])]
        nbformat.write(notebook, folder / f"{name}_{NAME}.ipynb")

    submit("right")
    submit("half", replace=("x + x", "x * x"))
    submit("hardcoding", base=student, last="weight = 7\ndef double(x):\n    return 0")
    submit("untouched", base=student)
    submit("raising", first="1 / 0")
    submit("killing", first="import os\nos._exit(1)")
    submit("leaving", first="quit()")
    submit("looping", first=BUSY)
    submit("stubborn", first="while True:\n    try:\n        while True: pass\n    except BaseException: pass")
    submit("trap", replace=("return x + x", "import os; os._exit(3)"))
    submit("slow", replace=("return x + x", "while True: pass"))
    submit("hungry", first="hoard = bytearray(2**45)")
    submit("flooding", first="while True:\n    print('x' * 10000)")
    submit("reading", first=f"open({str(out / 'autograder' / f'{NAME}.zip')!r}, 'rb')")
    submit("calling", first="import socket\nsocket.create_connection(('127.0.0.1', 9))")
    submit("patching", first=PATCH, replace=("x + x", "x * x"))
    submit("breaking", first="import numpy as np\nnp.isclose = lambda *a: True")
    submit("changing", first="from mixtheory.mixing import Beta\nBeta.expect = lambda *a, **k: 1.0")
    submit("shadowing", base=student, last=SHADOW)
    submit("forging", base=student, last=FORGE)
    submit("looking", first="from mixtheory.course.checks import close")
    unusual = copy.deepcopy(student)
    for cell in unusual.cells:                      # imports in the first cell, answers below the cells that check
        if cell.source.startswith("# Initialize Otter"):
            cell.source = "%matplotlib inline\n" + cell.source + "\nimport numpy as np"
        if cell.source.startswith('grader.check("q1")'):
            cell.source += "\nweight = np.float64(2)"
        if cell.source.startswith('grader.check("q2")'):
            cell.source = "double = lambda x: np.add(x, x)\n" + cell.source
    submit("unusual", base=unusual, last="class Net:\n    def eval(self):\n        return self\nNet().eval()")
    essay = copy.deepcopy(student)
    essay.cells.insert(2, nbformat.v4.new_markdown_cell("The derivation, and no code."))
    submit("essayist", base=essay)
    tampered = copy.deepcopy(solved)
    tampered.metadata["otter"]["tests"]["q1"] = "raise RuntimeError('never run')"
    submit("tampering", base=tampered)
    (folder / f"pdf_{NAME}.ipynb").write_bytes(b"%PDF-1.7\x00\xff")
    (folder / f"nothing_{NAME}.ipynb").write_text("")
    (folder / f"list_{NAME}.ipynb").write_text("[1, 2]")
    (folder / "essay.docx").write_bytes(b"PK")
    (folder / ".DS_Store").write_bytes(b"")
    found = grade(out / "autograder", folder, limits=Limits(cell=6, total=120), jobs=CORES)
    (out / "rows.json").write_text(json.dumps([dataclasses.asdict(row) for row in found]))


FULL = {"q1": 2, "q2": 3, "q3": None}


@pytest.mark.parametrize(("student", "status", "lost", "note"), [
    ("right", "ok", "", None),
    ("half", "ok", "q2", "q2: AssertionError"),
    ("hardcoding", "ok", "q1 q2", "q1: AssertionError"),
    ("untouched", "empty", "q1 q2", "nothing was added"),
    ("raising", "crashed cells", "", "ZeroDivisionError: division by zero"),
    ("killing", "crashed cells", "", "ended the Python process"),
    ("leaving", "crashed cells", "", "must not end its own kernel"),
    ("looping", "timed out", "", "stopped after 6 s"),
    ("stubborn", "timed out", "", "after 6 s"),
    ("trap", "crashed cells", "q2", "q2: its test ended the Python process"),
    ("slow", "timed out", "q2", "q2: its test"),
    ("hungry", "crashed cells", "", "MemoryError"),
    ("flooding", "timed out", "", "after 6 s"),
    ("reading", "suspicious", "", "tried open"),
    ("calling", "suspicious", "", "tried socket."),
    ("patching", "suspicious", "q1 q2", "a test that must fail did not"),
    ("breaking", "suspicious", "q1 q2", "a test that must fail did not"),
    ("changing", "suspicious", "", "tried to change mixtheory.mixing.Beta.expect"),
    ("shadowing", "ok", "q1 q2", "q1: AssertionError"),
    ("forging", "suspicious", "q1 q2", "uses display_formatter"),
    ("looking", "suspicious", "", "uses mixtheory.course"),
    ("unusual", "ok", "", None),
    ("essayist", "ok", "q1 q2", "q1: AssertionError"),
    ("tampering", "suspicious", "", "not those handed out"),
    ("pdf", "unreadable", "q1 q2", "not a notebook"),
    ("nothing", "unreadable", "q1 q2", "not a notebook"),
    ("list", "unreadable", "q1 q2", "not a notebook"),
])
def test_the_grader_survives_and_is_fair(rows, student, status, lost, note):
    row = rows[student]
    assert row.status == status, row.notes
    assert row.points == {q: 0 if q in lost.split() else points for q, points in FULL.items()}, row.notes
    assert row.max == 5
    assert row.notes == [] if note is None else any(note in text for text in row.notes), row.notes


def test_every_file_has_a_row(rows):
    assert len(rows) == 28
    assert (rows["essay"].status, rows["essay"].set, rows["essay"].total) == ("unreadable", "", 0)


def test_the_table(rows, tmp_path):
    odd = dataclasses.replace(rows["half"], student="=cmd()", notes=["a\nb", "c,d"])
    write_csv([*rows.values(), odd], tmp_path / "grades.csv")
    with (tmp_path / "grades.csv").open(newline="") as file:
        table = {line["student"]: line for line in csv.DictReader(file)}
    assert len(table) == len(rows) + 1
    assert list(table["right"]) == ["student", "set", *FULL, "total", "max", "status", "message"]
    assert [table["right"][q] for q in FULL] == ["2", "3", ""]
    assert (table["right"]["total"], table["right"]["max"]) == ("5", "5")
    assert (table["'=cmd()"]["total"], table["'=cmd()"]["message"]) == ("2", "a b; c,d")


def test_the_time_of_a_submission_is_bounded():
    loops = ["while True:\n    pass"] * 4 + ["x = 1"]
    outcome = run(loops, {"q1": ""}, Limits(cell=2, total=5))
    assert [reply.status for reply in outcome.cells.values()] == ["timeout"] * 5
    assert outcome.tests == {}


@pytest.mark.parametrize(("file", "expected"), [
    ("ada_1_prove_and_check.ipynb", ("ada", FAST)),
    ("lovelaceada_4711_99_1_prove_and_check-2.ipynb", ("lovelaceada_4711_99", FAST)),
    ("ada-1_prove_and_check (1).ipynb", ("ada", FAST)),
    ("Ada Lovelace/1_prove_and_check.ipynb", ("Ada Lovelace", FAST)),
    ("Ada_77_assignsubmission_file/1_prove_and_check-Copy1.ipynb", ("Ada_77_assignsubmission_file", FAST)),
    ("adas11_prove_and_check.ipynb", ("adas11_prove_and_check", "")),
    ("notes.ipynb", ("notes", "")),
])
def test_whose_submission_it_is(file, expected):
    assert owner(Path(file), [FAST, "2_simulate"]) == expected


def test_an_autograder_says_what_it_is(course: Path):
    for name in NAMES:
        with zipfile.ZipFile(course / "autograder" / f"{name}.zip") as archive:
            card = json.loads(archive.read("course.json"))
            assert {"otter_config.json", "run_autograder"} <= set(archive.namelist())       # as Otter expects it
        assert card["set"] == name


def test_folders_that_are_not_there_are_refused(tmp_path):
    with pytest.raises(DomainError, match="holds no autograder"):
        grade(tmp_path, tmp_path)
