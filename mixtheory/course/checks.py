"""What tests of problem sets call. Nothing here knows an answer."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import sympy as sp

__all__ = ["answered", "close", "expression", "number", "numbers", "value", "word"]


def answered(answer: Any, name: str) -> None:
    """Refuse what a student has not touched: None, or the dots of the start."""
    if answer is None or answer is ...:
        raise AssertionError(f"{name} is not answered yet")


def number(answer: Any, name: str) -> float:
    """The answer as a finite float.

    Raises:
        AssertionError: not a number.
    """
    answered(answer, name)
    try:
        result = float(answer)
    except (TypeError, ValueError):
        raise AssertionError(f"{name} must be one number, not {type(answer).__name__}") from None
    assert np.isfinite(result), f"{name} is not finite"
    return result


def numbers(answer: Any, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The answer as a finite float array of the given shape."""
    answered(answer, name)
    try:
        result = np.asarray(answer, dtype=float)
    except (TypeError, ValueError):
        raise AssertionError(f"{name} must be an array of numbers") from None
    assert result.shape == shape, f"{name} has shape {result.shape}, it should have {shape}"
    assert np.isfinite(result).all(), f"{name} is not finite everywhere"
    return result


def word(answer: Any, name: str, words: Collection[str]) -> str:
    """The answer as a text, one of some words; a class of the student's own that is equal to all of them is refused.

    Raises:
        AssertionError: not one of the words.
    """
    answered(answer, name)
    plain = str(answer) if type(answer) in (str, np.str_) else ""
    assert plain in words, f"{name} must be one of {sorted(words)}"
    return plain


def expression(answer: Any, name: str, symbols: Sequence[str]) -> sp.Expr:
    """The answer as a SymPy expression in (at most) the named symbols."""
    answered(answer, name)
    assert isinstance(answer, sp.Expr), f"{name} must be a SymPy expression, not {type(answer).__name__}"
    free = {str(s) for s in answer.free_symbols}
    assert free <= set(symbols), f"{name} contains {sorted(free - set(symbols))}; it may contain only {list(symbols)}"
    return answer


def value(answer: sp.Expr, **at: float) -> float:
    """The value of an expression with numbers for its symbols, found by name."""
    return float(answer.subs({s: at[str(s)] for s in answer.free_symbols}).evalf())


def close(answer: Any, truth: Any, relative: float = 1e-6) -> bool:
    """Whether all entries agree up to `relative` of the largest true entry."""
    truth = np.asarray(truth, dtype=float)
    scale = max(float(np.max(np.abs(truth))), 1e-300)
    return bool(np.max(np.abs(np.asarray(answer, dtype=float) - truth)) <= relative * scale)
