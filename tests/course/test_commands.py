"""`mixtheory course`: what it prints and with which code it ends."""

from __future__ import annotations

import nbformat
import pytest

from mixtheory import cli
from tests.course.test_course import FAST, pytestmark  # noqa: F401  without Otter these are skipped too


@pytest.fixture
def run(capsys):
    def command(*words):
        code = cli.main(["course", *map(str, words)])
        said = capsys.readouterr()
        return code, said.out, said.err
    return command


def test_grade_writes_a_table(run, course, tmp_path):
    (tmp_path / "in").mkdir()
    student = nbformat.read(course / "student" / f"{FAST}.ipynb", as_version=4)
    nbformat.write(student, tmp_path / "in" / f"ada_{FAST}.ipynb")
    code, out, err = run("grade", "--autograders", course / "autograder", "--submissions", tmp_path / "in",
                         "--out", tmp_path / "grades.csv", "--jobs", 1)
    assert (code, err) == (0, "")
    assert out.splitlines()[2].split() == ["ada", FAST, "0", "17", "empty"]
    assert (tmp_path / "grades.csv").read_text().splitlines()[1].startswith(f"ada,{FAST},0,0,0,0,0,0,,0,17,empty")


def test_bad_requests_are_refused(run, tmp_path):
    code, out, err = run("build", "9_nothing", "--seed", 1, "--out", tmp_path)
    assert (code, out) == (2, "")
    assert "set = '9_nothing'" in err
    assert run("grade", "--autograders", tmp_path, "--submissions", tmp_path)[0] == 2


@pytest.mark.parametrize("words", [["build"], ["build", "--seed", "-1"], ["grade"], []])
def test_nonsense_is_refused_by_the_parser(run, words):
    with pytest.raises(SystemExit):
        run(*words)
