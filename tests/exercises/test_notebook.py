"""The exercise notebook of a chapter, and what it needs of a machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mixtheory.domain import DomainError
from mixtheory.exercises import exercises
from mixtheory.exercises.notebook import hand_in, notebook, texts

ROOT = Path(__file__).parents[2]
SOURCE = (ROOT / "book" / "covariance.md").read_text(encoding="utf-8")


def code(made) -> list[str]:
    return [cell.source for cell in made.cells if cell.cell_type == "code"]


def test_every_exercise_has_its_text_and_a_cell_for_the_answer() -> None:
    made = notebook("covariance", SOURCE)
    words = "\n".join(cell.source for cell in made.cells if cell.cell_type == "markdown")
    assert "{claim}" not in words
    for name, (title, _) in texts(SOURCE).items():
        assert title in words
        assert sum(f'check("{name}", answer)' in cell for cell in code(made)) == bool(exercises()[name].wants)


def test_the_same_text_makes_the_same_file() -> None:
    assert notebook("covariance", SOURCE) == notebook("covariance", SOURCE)


def test_it_can_install_the_package_from_where_the_book_was_published() -> None:
    setup = code(notebook("covariance", SOURCE, "https://example.invalid/a/b"))[0]
    assert '--no-deps "mixtheory @ git+https://example.invalid/a/b@v' in setup
    assert "pip" not in code(notebook("covariance", SOURCE))[0]


def test_a_text_without_declaration_is_refused() -> None:
    with pytest.raises(DomainError, match="covariance-nowhere"):
        notebook("covariance", SOURCE.replace(":label: ex-covariance-two", ":label: ex-covariance-nowhere"))


def test_an_untouched_notebook_runs_with_numpy_scipy_and_sympy_alone() -> None:
    """As on a machine that took the package without its dependencies: everything else is made unimportable."""
    cells = "\n".join(code(notebook("covariance", SOURCE))).replace("\n%pip", "\n#")
    script = f"""
import sys
ABSENT = {{"torch", "matplotlib", "jupyter_book", "sklearn", "pooch", "tqdm", "joblib", "nbformat"}}
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
{cells}
from mixtheory.exercises import exercises
assert len(exercises("covariance")) >= 6
assert check("covariance-two", "(2*p - 1)**2") and not check("covariance-two", "p")
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_line_below_an_exercise_says_what_to_hand_in() -> None:
    lines = [hand_in(e) for e in exercises("covariance").values()]
    assert any("Hand in a formula in alpha, p." in line for line in lines)
    assert any("Answer in words." in line for line in lines)
