"""Exercises of the book, chapter by chapter, with checkers that do not hold the answers.

In a notebook: `from mixtheory.exercises import check`, then `check("covariance-two", answer)`. The texts stand in the
chapters. One file a chapter declares its exercises; importing this package registers all of them.
"""

from __future__ import annotations

from mixtheory.exercises.engine import (
    LEVELS,
    Choice,
    Exercise,
    Formula,
    Function,
    Number,
    Verdict,
    Witness,
    check,
    confirm,
    exercises,
)

__all__ = ["LEVELS", "Choice", "Exercise", "Formula", "Function", "Number", "Verdict", "Witness", "check", "confirm",
           "exercises"]

from mixtheory.exercises import calibration  # noqa: F401, E402, I001
from mixtheory.exercises import covariance  # noqa: F401, E402, I001  importing a chapter registers its exercises
from mixtheory.exercises import geometry  # noqa: F401, E402, I001
from mixtheory.exercises import curvature  # noqa: F401, E402, I001
from mixtheory.exercises import membership  # noqa: F401, E402, I001
from mixtheory.exercises import engine_chapter  # noqa: F401, E402, I001
from mixtheory.exercises import headline  # noqa: F401, E402, I001
from mixtheory.exercises import practice  # noqa: F401, E402, I001
from mixtheory.exercises import real_networks  # noqa: F401, E402, I001
from mixtheory.exercises import mixing_moments  # noqa: F401, E402, I001
from mixtheory.exercises import least_squares  # noqa: F401, E402, I001
from mixtheory.exercises import how_verified  # noqa: F401, E402, I001
from mixtheory.exercises import gradients  # noqa: F401, E402, I001
from mixtheory.exercises import labels  # noqa: F401, E402, I001
