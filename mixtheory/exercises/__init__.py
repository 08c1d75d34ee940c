"""Exercises of the book, chapter by chapter, with checkers that do not hold the answers.

In a notebook: `from mixtheory.exercises import check`, then `check("covariance-two", answer)`. The texts stand in the
chapters. One file a chapter declares its exercises; importing this package registers all of them.
"""

from __future__ import annotations

from mixtheory.exercises.judging import (
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

# Importing a chapter registers its exercises; they stand in the order of the book.
from mixtheory.exercises import how_verified, mixing_moments, covariance, least_squares  # noqa: F401, E402, I001
from mixtheory.exercises import gradients, calibration, membership, geometry, curvature, labels  # noqa: F401, E402, I001
from mixtheory.exercises import real_networks, headline, engine, practice  # noqa: F401, E402, I001
