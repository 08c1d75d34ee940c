"""Solutions and tests of a master run in this process: quick, for many seeds, without notebooks and kernels."""

from __future__ import annotations

import contextlib
import inspect
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mixtheory.course.master import Master, read, render


def master(path: Path, seed: int) -> Master:
    return read(path.stem, render(path, seed))


def solved(made: Master, answered: bool = True) -> dict[str, Any]:
    """The namespace that the solutions leave, or the untouched notebook."""
    skipped = {"public", "hidden"} if answered else {"public", "hidden", "solution"}
    space: dict[str, Any] = {"__name__": "__main__"}
    for part in made.parts:
        for cell in getattr(part, "cells", [part]):
            if cell.cell_type == "code" and not set(cell.metadata.get("tags", [])) & skipped:
                with contextlib.redirect_stdout(io.StringIO()):
                    exec(compile(cell.source, made.name, "exec"), space)
    return space


def failures(made: Master, space: dict[str, Any], roles: Sequence[str] = ("public", "hidden")) -> dict[str, list[str]]:
    """For each machine-graded question, what its tests say of a namespace; empty if they pass."""
    said: dict[str, list[str]] = {}
    for question in made.questions:
        if question.manual:
            continue
        said[question.name] = []
        for cell in question.cells:
            if not set(cell.metadata.get("tags", [])) & set(roles):
                continue
            scope: dict[str, Any] = {}
            exec(compile(cell.source, f"{made.name}.{question.name}", "exec"), scope)
            (test,) = [v for v in scope.values() if inspect.isfunction(v)]
            try:
                test(**{name: space.get(name) for name in inspect.signature(test).parameters})
            except Exception as error:
                said[question.name].append(f"{type(error).__name__}: {error}")
    return said
