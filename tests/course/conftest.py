"""One course is built for all tests, whichever worker comes first."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from filelock import FileLock

from mixtheory.course.build import Autograder, assign, autograder, build
from mixtheory.course.master import masters, read, render

SEED, OTHER = 2027, 4711
NAMES = [path.stem for path in masters()]


@pytest.fixture(scope="session")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The course SEED, built whole."""
    return once(tmp_path_factory, "course", lambda out: build(SEED, out, jobs=os.cpu_count() or 1))


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Autograder]:
    """The autograders of the course OTHER, whose solutions are not executed."""
    def assigned(out: Path) -> None:
        for kind in ("student", "autograder"):
            (out / kind).mkdir(parents=True)
        for path in masters():
            assign(read(path.stem, render(path, OTHER)), out)

    out = once(tmp_path_factory, "other", assigned)
    return {name: autograder(out / "autograder" / f"{name}.zip") for name in NAMES}


def once(factory: pytest.TempPathFactory, name: str, make: Any) -> Path:
    """The folder `name` in what the workers share, made by `make(folder)` once."""
    shared = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent                      # of all workers
    with FileLock(shared / f"{name}.lock"):
        done = shared / f"{name}.done"
        if not done.exists():
            make(shared / name)
            done.write_text(json.dumps(NAMES))
    return shared / name


@pytest.fixture
def solution(course: Path) -> Iterator[Any]:
    """A function from the name of a set to its solved notebook, as a student would hand it in."""
    def handed_in(name: str) -> Any:
        notebook = nbformat.read(course / "instructor" / f"{name}.ipynb", as_version=4)
        student = nbformat.read(course / "student" / f"{name}.ipynb", as_version=4)
        notebook.metadata["otter"] = student.metadata["otter"]
        return notebook

    return handed_in
