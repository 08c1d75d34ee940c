"""What exercises need from Sphinx.

* Below the text of each stands what to hand in, how long it takes and the call that checks it, from its declaration.
* A page with an exercise that is not declared, or without one that is, gets a warning: a strict build fails.
* Every chapter with exercises gets a notebook to do them in.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

from mixtheory import __version__
from mixtheory.exercises import exercises
from mixtheory.exercises.notebook import hand_in, notebook

LOGGER = logging.getLogger(__name__)
FOLDER = "exercises"        # beside the pages of the chapters


def complete(app: Sphinx, doctree: nodes.document) -> None:
    """Put what to hand in below each exercise, and note which exercises the page has."""
    from sphinx_exercise.nodes import exercise_enumerable_node, exercise_node

    found = []
    for node in doctree.findall(lambda n: isinstance(n, (exercise_enumerable_node, exercise_node))):
        name = str(node.get("label", "")).removeprefix("ex-")
        found.append(name)
        for section in node.findall(nodes.section):
            section["ids"] = [f"ex-{name}-text" if i == "exercise-content" else i for i in section["ids"]]
        if name not in exercises():
            LOGGER.warning("exercise %s is not declared", name, location=app.env.docname, type="exercise")
            continue
        line = nodes.paragraph("", hand_in(exercises()[name]), classes=["mt-hand-in"])
        if exercises()[name].wants:
            line += [nodes.Text(" Check: "), nodes.literal("", f'check("{name}", answer)')]
        node += line
    app.env.metadata[app.env.docname]["exercises"] = found


def compare(app: Sphinx, env: BuildEnvironment) -> None:
    """Warn for every declared exercise whose text stands nowhere on its chapter's page."""
    for name, exercise in exercises().items():
        page = f"book/{exercise.chapter}"
        if page in env.found_docs and name not in env.metadata.get(page, {}).get("exercises", ()):
            LOGGER.warning("exercise %s has no text on its page", name, location=page, type="exercise")


def write_notebooks(app: Sphinx, exception: Exception | None) -> None:
    """The exercise notebooks, beside the pages."""
    if exception is not None or app.builder.name != "html":
        return
    import nbformat

    for chapter in dict.fromkeys(e.chapter for e in exercises().values()):
        page = f"book/{chapter}"
        if page not in app.env.found_docs:
            continue
        source = Path(app.env.doc2path(page)).read_text(encoding="utf-8")
        target = Path(app.outdir, "book", FOLDER, f"{chapter}.ipynb")
        target.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook(chapter, source, app.config.mixtheory_repository), target)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect everything; `mixtheory.reading` knows the repository."""
    app.setup_extension("mixtheory.reading")
    app.connect("doctree-read", complete)
    app.connect("env-check-consistency", compare)
    app.connect("build-finished", write_notebooks)
    return {"version": __version__, "parallel_read_safe": True, "parallel_write_safe": True}
