"""The student notebooks of a public course, offered for download beside the pages of the book.

They are made as those of any course, from the same masters; only the seed is known to everybody.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from mixtheory import __version__
from mixtheory.course.build import assign
from mixtheory.course.master import masters, read, render

SEED = 0                    # of the public course
FOLDER = "handouts"         # beside the pages of the chapters
PAGE = "book/problem_sets"


def write(app: Sphinx, exception: Exception | None) -> None:
    """Put the notebooks into the site; one whose master has not changed comes from the build folder."""
    if exception is not None or app.builder.name != "html" or PAGE not in app.env.found_docs:
        return
    store = Path(app.doctreedir, FOLDER)
    target = Path(app.outdir, "book", FOLDER)
    shutil.rmtree(target, ignore_errors=True)
    for folder in (store, target):
        folder.mkdir(parents=True, exist_ok=True)
    for path in masters():
        text = render(path, SEED)
        kept = store / f"{path.stem}.{hashlib.sha256(text.encode()).hexdigest()[:16]}.ipynb"
        if not kept.is_file():
            handout(path, text, kept)
        shutil.copy(kept, target / f"{path.stem}.ipynb")


def handout(path: Path, text: str, target: Path) -> None:
    """Write the student notebook of a rendered master; its solutions are not run here, `make course` does that."""
    with tempfile.TemporaryDirectory(prefix="handout-") as folder:
        out = Path(folder)
        for kind in ("student", "autograder"):
            (out / kind).mkdir()
        assign(read(path.stem, text), out)
        shutil.copy(out / "student" / f"{path.stem}.ipynb", target)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect it."""
    app.connect("build-finished", write)
    return {"version": __version__, "parallel_read_safe": True, "parallel_write_safe": True}
