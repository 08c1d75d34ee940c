"""The exercise notebook of a chapter: its exercise texts, each followed by a cell for the answer and its check."""

from __future__ import annotations

import re
from typing import Any

from mixtheory import __version__
from mixtheory.domain import DomainError
from mixtheory.exercises.judging import Exercise, exercises

__all__ = ["hand_in", "notebook", "texts"]

FENCE = re.compile(r"^(`{3,}|:{3,})\{exercise\} *(?P<title>[^\n]*)\n:label: ex-(?P<name>\S+)\n(?P<body>.*?)^\1$",
                   re.MULTILINE | re.DOTALL)
HEAD = """# Exercises: {title}

Write an answer over the dots and run its cell. The checker computes what you were asked for by another way and tells
you whether you are right, or in what way you are wrong. It never shows the answer. Answers in words are for a person to
read: discuss them."""
# What a fresh machine lacks is installed without its dependencies: the checkers need NumPy, SciPy and SymPy alone.
SETUP = """try:
    import mixtheory
except ImportError:
    %pip install --quiet --no-deps "mixtheory @ git+{repository}@v{version}"

import numpy as np
import sympy

from mixtheory.exercises import check"""
SETUP_HERE = """import numpy as np
import sympy

from mixtheory.exercises import check"""


def texts(source: str) -> dict[str, tuple[str, str]]:
    """Name -> (title, text) of the exercises in the source of a page, in order."""
    return {m["name"]: (m["title"].strip(), m["body"].strip()) for m in FENCE.finditer(source)}


def hand_in(exercise: Exercise) -> str:
    """One line for the reader: level, time, and what to hand in."""
    wants = exercise.wants
    asked = f"Hand in {wants.form}." if wants else "Answer in words."
    return f"{exercise.level.capitalize()}, about {exercise.minutes} minutes. {asked}"


def notebook(chapter: str, source: str, repository: str = "") -> Any:
    """The notebook (nbformat 4) for the source text of a chapter's page; every answer in it is still missing.

    Args:
        chapter: whose exercises.
        source: of the page, MyST.
        repository: address of the repository, for machines on which the package is not installed; "" for none.

    Raises:
        DomainError: a text without a declared exercise.
    """
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

    declared = exercises(chapter)
    title = re.search(r"^# (.+)$", source, re.MULTILINE)
    setup = SETUP.format(repository=repository, version=__version__) if repository else SETUP_HERE
    cells = [new_markdown_cell(HEAD.format(title=title[1] if title else chapter)), new_code_cell(setup)]
    for number, (name, (heading, text)) in enumerate(texts(source).items(), start=1):
        if name not in declared:
            raise DomainError(f"name = {name!r}: an exercise in the text of {chapter} that is not declared")
        exercise = declared[name]
        words = re.sub(r"\{claim\}(`[^`]+`)", r"\1", text)
        cells.append(new_markdown_cell(f"## {number}. {heading or name}\n\n{words}\n\n*{hand_in(exercise)}*"))
        cells.append(new_code_cell(f'{exercise.wants.scaffold}\ncheck("{name}", answer)') if exercise.wants
                     else new_markdown_cell("*Your answer:*"))
    for i, cell in enumerate(cells):
        cell["id"] = f"{chapter.replace('_', '-')}-{i}"       # the same file for the same text
    return new_notebook(cells=cells, metadata={
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python"}, "mixtheory": __version__})
