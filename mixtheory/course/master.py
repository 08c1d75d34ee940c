"""Masters: problem sets as MyST notebooks with Jinja placeholders, turned into the notebooks that Otter assigns.

How a master is written stands in book/assignments/README.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mixtheory import paths
from mixtheory.course.draws import constants
from mixtheory.domain import DomainError, check_member

__all__ = ["Master", "Question", "masters", "read", "render", "to_otter"]

ROLES = ("start", "solution", "public", "hidden")       # tags of a question's cells
KEYS = {"title", "kind", "minutes", "difficulty"}       # of a master's front matter
DELIMITERS = {"variable_start_string": "<<", "variable_end_string": ">>", "block_start_string": "<%",
              "block_end_string": "%>", "comment_start_string": "<#", "comment_end_string": "#>"}


@dataclass
class Question:
    """A question with its cells; `manual` ones are graded by a person."""

    name: str
    points: int
    manual: bool
    cells: list[Any]


@dataclass
class Master:
    """A problem set for one seed.

    Attributes:
        name: file name without its ending, such as "1_prove_and_check".
        meta: title, kind, minutes (of work) and difficulty (1 to 5).
        parts: what students see in order: text and code cells, and questions.
        rubric: Markdown for those who grade by hand.
    """

    name: str
    meta: dict[str, Any]
    parts: list[Any]
    rubric: str

    @property
    def questions(self) -> list[Question]:
        """The questions in order."""
        return [part for part in self.parts if isinstance(part, Question)]


def masters(names: Sequence[str] = ()) -> list[Path]:
    """The masters of this checkout in order, or those named.

    Raises:
        DomainError: no checkout, an unknown name.
    """
    if paths.ROOT is None:
        raise DomainError("the problem sets belong to a checkout, and there is none")
    found = {path.stem: path for path in sorted((paths.ROOT / "book" / "assignments").glob("[0-9]*_*.md"))}
    for name in names:
        check_member(name, tuple(found), "set")
    return [path for name, path in found.items() if not names or name in names]


def render(path: Path, seed: int) -> str:
    """The text of a master with the constants of the course `seed` filled in."""
    import jinja2

    drawn = constants(path.stem.partition("_")[2], seed)
    setting = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
                                 keep_trailing_newline=True, autoescape=False, **DELIMITERS)
    setting.filters["tex"] = _tex
    try:
        return setting.from_string(path.read_text(encoding="utf-8")).render(drawn)
    except jinja2.TemplateError as error:
        raise DomainError(f"{path.name}, line {getattr(error, 'lineno', '?')}: {error}") from error


def read(name: str, text: str) -> Master:
    """Take a rendered master apart.

    Raises:
        DomainError: a front matter, question or cell that does not follow the format.
    """
    import jupytext

    notebook = jupytext.reads(text, fmt="md:myst")
    meta = {key: value for key, value in notebook.metadata.items() if key != "jupytext"}
    if set(meta) != KEYS:
        raise DomainError(f"{name}: the front matter has {sorted(meta)}, it needs {sorted(KEYS)}")
    parts, rubric, question = [], [], None
    for cell in notebook.cells:
        roles = set(cell.metadata.get("tags", []))
        if "rubric" in roles:
            rubric.append(cell.source)
        elif "question" in cell.metadata:
            question = _question(name, cell)
            parts.append(question)
        elif roles & set(ROLES):
            if question is None or len(roles) != 1:
                raise DomainError(f"{name}: a cell tagged {sorted(roles)} needs a question before it and one tag")
            question.cells.append(cell)
        else:
            question = None if cell.cell_type == "markdown" else question
            (question.cells if question else parts).append(cell)
    master = Master(name, meta, parts, "\n\n".join(rubric))
    _check(master)
    return master


def _question(name: str, cell: Any) -> Question:
    known = {"question", "points", "manual"}
    if not set(cell.metadata) <= known or "points" not in cell.metadata:
        raise DomainError(f"{name}: a question has {sorted(cell.metadata)}, of {sorted(known)} with points")
    data = cell.metadata
    text = {**cell, "metadata": {}}
    return Question(data["question"], data["points"], bool(data.get("manual", False)), [type(cell)(text)])


def _check(master: Master) -> None:
    names = [q.name for q in master.questions]
    if names != [f"q{i + 1}" for i in range(len(names))]:
        raise DomainError(f"{master.name}: questions are {names}; they must be q1, q2, ... in order")
    for q in master.questions:
        roles = [cell.metadata.get("tags", [""])[0] for cell in q.cells]
        need = {"solution"} if q.manual else {"solution", "public", "hidden"}
        if missing := need - set(roles):
            raise DomainError(f"{master.name}, {q.name}: has no {' and no '.join(sorted(missing))} cell")
        if q.manual and master.rubric.find(q.name) < 0:
            raise DomainError(f"{master.name}, {q.name}: is graded by hand and the rubric does not name it")


def to_otter(master: Master) -> Any:
    """The notebook that `otter assign` takes."""
    import nbformat

    new = nbformat.v4
    config = {"name": master.name, "export_cell": False, "check_all_cell": True, "show_question_points": True,
              "tests": {"ok_format": False}, "generate": {"show_stdout": False}}
    cells = [new.new_raw_cell(_raw("ASSIGNMENT CONFIG", config)), new.new_markdown_cell(_head(master))]
    for part in master.parts:
        cells += list(_blocks(part)) if isinstance(part, Question) else [part]
    for i, cell in enumerate(cells):
        cell["id"] = f"cell-{i}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    language = {"name": "python", "file_extension": ".py", "mimetype": "text/x-python"}
    return new.new_notebook(cells=cells, metadata={"kernelspec": kernel, "language_info": language})


def _head(master: Master) -> str:
    meta, by_hand = master.meta, sum(q.points for q in master.questions if q.manual)
    total = sum(q.points for q in master.questions)
    return (f"# {meta['title']}\n\n*{meta['kind']}.* Time: about {meta['minutes']} minutes. "
            f"Difficulty: {meta['difficulty']} of 5. Points: {total}, of which {by_hand} are graded by hand.")


def _blocks(question: Question) -> Iterator[Any]:
    """A question's cells between the raw cells that Otter reads."""
    from nbformat import v4 as new

    config = {"name": question.name, "points": question.points, "manual": question.manual,
              "all_or_nothing": not question.manual}
    yield new.new_raw_cell(_raw("BEGIN QUESTION", config))
    blocks = {"start": "PROMPT", "solution": "SOLUTION", "public": "TESTS", "hidden": "TESTS"}
    inside = None
    for cell in question.cells:
        role = cell.metadata.get("tags", [""])[0]
        block = blocks.get(role)
        if block != inside:
            yield from [new.new_raw_cell(f"# END {inside}")] if inside else []
            yield from [new.new_raw_cell(f"# BEGIN {block}")] if block else []
            inside = block
        source = cell.source
        if cell.cell_type == "code":
            source = {"solution": f"# BEGIN SOLUTION NO PROMPT\n{source}\n# END SOLUTION",
                      "hidden": f"# HIDDEN\n{source}"}.get(role, source)
        yield new.new_code_cell(source) if cell.cell_type == "code" else new.new_markdown_cell(source)
    yield from [new.new_raw_cell(f"# END {inside}")] if inside else []
    yield new.new_raw_cell("# END QUESTION")


def _raw(head: str, config: dict[str, Any]) -> str:
    return f"# {head}\n{json.dumps(config)}"          # Otter reads YAML, of which JSON is a part


def _tex(value: Any) -> str:
    """A number or formula, given as a number or as text, in TeX."""
    import sympy as sp

    return sp.latex(sp.sympify(value, rational=isinstance(value, str)))
