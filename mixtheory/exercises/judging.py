"""What an exercise asks for, and how an answer is judged without being shown.

A checker never holds the answer that the solution derives. It computes the same quantity by another route, from the
definition: enumeration, quadrature, an optimiser, a simulation. `mistakes` are plausible wrong answers with the words
that explain them; a reader who falls for one is told which.
"""

from __future__ import annotations

import html
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import numpy as np
import sympy as sp

from mixtheory.domain import DomainError

__all__ = ["LEVELS", "Choice", "Exercise", "Formula", "Function", "Number", "Verdict", "Witness", "check", "confirm",
           "exercises"]

LEVELS = ("warm-up", "core", "challenge", "research")
_REGISTRY: dict[str, Exercise] = {}
Values = list[tuple[str, Any]]      # where ("at alpha = 1") and what


@dataclass(frozen=True)
class Verdict:
    """What a checker says of an answer; true if it is right. In a notebook it shows itself."""

    right: bool
    message: str

    def __bool__(self) -> bool:
        return self.right

    def __str__(self) -> str:
        return f"{'Right.' if self.right else 'Not yet.'} {self.message}".strip()

    def _repr_html_(self) -> str:
        word, colour = ("Right.", "--mt-proved, var(--jp-success-color0, #00664a)") if self.right else (
            "Not yet.", "--mt-broken, var(--jp-error-color0, #a61b1b)")
        return (f'<p class="mt-verdict" role="status"><b style="color: var({colour})">{word}</b> '
                f"{html.escape(self.message)}</p>")


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """One exercise of a chapter; creating it registers it. Its text stands in the chapter under `ex-NAME`.

    Attributes:
        name: chapter, hyphen, word: `covariance-two`.
        level: one of LEVELS.
        minutes: what a prepared student needs, about.
        wants: what is handed in and judged; None where only a person can judge.
    """

    name: str
    level: str
    minutes: int
    wants: Number | Formula | Function | Choice | Witness | None = None

    def __post_init__(self) -> None:
        chapter, hyphen, word = self.name.partition("-")
        if not (hyphen and chapter.isidentifier() and word.isidentifier()):
            raise DomainError(f"name = {self.name!r}: must be a chapter, a hyphen and a word")
        if self.level not in LEVELS:
            raise DomainError(f"level = {self.level!r}: must be one of {', '.join(LEVELS)}")
        if self.minutes < 1:
            raise DomainError(f"minutes = {self.minutes!r}: an exercise takes at least one")
        if self.name in _REGISTRY:
            raise DomainError(f"name = {self.name!r}: an exercise of this name is already registered")
        _REGISTRY[self.name] = self

    @property
    def chapter(self) -> str:
        """The chapter in which it stands."""
        return self.name.partition("-")[0]


# ---- what may be asked for ---------------------------------------------------------------------------------------

@dataclass(frozen=True, kw_only=True)
class Number:
    """A number.

    Attributes:
        truth: computes it from the definition.
        tolerance: relative, or absolute where the truth is zero. The default asks for three digits.
        mistakes: words -> what comes out if one makes this mistake.
        unit: of the number, for the reader; "" if it has none.
    """

    truth: Callable[[], float]
    tolerance: float = 5e-3
    mistakes: Mapping[str, Callable[[], float]] = field(default_factory=dict)
    unit: str = ""

    @property
    def form(self) -> str:
        """What to hand in, in words."""
        return "a number" + (f" in {self.unit}" if self.unit else "")

    @property
    def scaffold(self) -> str:
        """The lines of a notebook in which an answer is written."""
        return "answer = ..."

    def judge(self, answer: Any) -> Verdict:
        """Right, or how it is wrong."""
        try:
            value = _as_float(answer)
        except TypeError:
            return Verdict(False, f"This asks for {self.form}, and got {_kind(answer)}.")
        return _compare([("", value)], [("", self.truth())], self.tolerance,
                        {words: [("", wrong())] for words, wrong in self.mistakes.items()})


@dataclass(frozen=True, kw_only=True)
class Formula:
    """A formula in named symbols: a SymPy expression, a string of one, or a Python function of these arguments.

    Attributes:
        symbols: their names.
        truth: computes the value at one point from the definition; takes the symbols as keywords.
        points: where the formula is tried; several, not round.
        tolerance: relative to each true value, or to a thousandth of the largest over the points if that is larger.
        mistakes: words -> a wrong formula as a function of the symbols.
    """

    symbols: tuple[str, ...]
    truth: Callable[..., float]
    points: Sequence[Mapping[str, float]]
    tolerance: float = 1e-6
    mistakes: Mapping[str, Callable[..., float]] = field(default_factory=dict)

    @property
    def form(self) -> str:
        """What to hand in, in words."""
        return "a formula in " + ", ".join(self.symbols)

    @property
    def scaffold(self) -> str:
        """The lines of a notebook in which an answer is written."""
        names = ", ".join(self.symbols)
        return f'{names} = sympy.symbols("{" ".join(self.symbols)}", positive=True)\nanswer = ...'

    def judge(self, answer: Any) -> Verdict:
        """Right, or how it is wrong."""
        try:
            given = [(_where(p), self._value(answer, p)) for p in self.points]
        except _Refused as refused:
            return Verdict(False, str(refused))
        return _compare(given, [(_where(p), self.truth(**p)) for p in self.points], self.tolerance,
                        {words: [(_where(p), float(wrong(**p))) for p in self.points]
                         for words, wrong in self.mistakes.items()})

    def _value(self, answer: Any, point: Mapping[str, float]) -> float:
        try:
            if callable(answer) and not isinstance(answer, sp.Basic):
                return _as_float(_call(answer, point))
            expression = self._read(answer)
            return _as_float(expression.subs({s: point[s.name] for s in expression.free_symbols}))
        except (TypeError, ValueError) as error:
            raise _Refused(f"Your formula is no real number {_where(point)}.") from error

    def _read(self, answer: Any) -> sp.Basic:
        """The answer as a SymPy expression in the symbols."""
        try:
            expression = sp.sympify(answer, locals={s: sp.Symbol(s) for s in self.symbols})
            names = {s.name for s in expression.free_symbols}
        except Exception as error:      # SymPy runs the text: whatever it raises is told
            got = "a text that SymPy cannot read; is there a * in each product?" if isinstance(answer, str) else (
                f"{_kind(answer)}.")
            raise _Refused(f"This asks for {self.form}, and got {got}") from error
        if strange := sorted(names - set(self.symbols)):
            raise _Refused(f"The formula may use {', '.join(self.symbols)}; yours also has {', '.join(strange)}.")
        return expression


@dataclass(frozen=True, kw_only=True)
class Function:
    """A Python function of named arguments that returns a number or an array.

    Attributes:
        arguments: their names, in order.
        truth: computes the value of one case from the definition; takes the arguments as keywords.
        cases: draws the cases that are tried; gets a fresh `numpy.random.Generator`, so nobody can know them.
        returns: what, in words with the shape.
        tolerance: relative to each true entry, or to a thousandth of the largest over the cases if that is larger.
        mistakes: words -> a wrong function of the same arguments.
    """

    arguments: tuple[str, ...]
    truth: Callable[..., Any]
    cases: Callable[[np.random.Generator], Sequence[Mapping[str, Any]]]
    returns: str = "a number"
    tolerance: float = 1e-6
    mistakes: Mapping[str, Callable[..., Any]] = field(default_factory=dict)

    @property
    def form(self) -> str:
        """What to hand in, in words."""
        return f"a function of {', '.join(self.arguments)} that returns {self.returns}"

    @property
    def scaffold(self) -> str:
        """The lines of a notebook in which an answer is written."""
        return f"def answer({', '.join(self.arguments)}):\n    return ..."

    def judge(self, answer: Any) -> Verdict:
        """Right, or how it is wrong, on cases that are drawn anew each time."""
        if not callable(answer):
            return Verdict(False, f"This asks for {self.form}, and got {_kind(answer)}.")
        given, truth, wrong = [], [], {words: [] for words in self.mistakes}
        for i, case in enumerate(self.cases(np.random.default_rng()), start=1):
            where = f"in case {i}"
            true = np.asarray(self.truth(**case), dtype=float)
            try:
                value = _call(answer, {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in case.items()})
                value = _as_array(value)
            except _Refused as refused:
                return Verdict(False, str(refused))
            except (TypeError, ValueError, OverflowError):
                return Verdict(False, f"It should return {self.returns}; yours returned {_kind(value)}.")
            if value.size == true.size == 1:
                value = value.reshape(true.shape)
            if value.shape != true.shape:
                return Verdict(False, f"It should return {self.returns}, of shape {true.shape}; yours has "
                                      f"{value.shape}.")
            given.append((where, value))
            truth.append((where, true))
            for words, function in self.mistakes.items():
                wrong[words].append((where, np.asarray(function(**case), dtype=float)))
        return _compare(given, truth, self.tolerance, wrong)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One of several letters, or a set of them.

    Attributes:
        options: the letters.
        truth: computes the right letters, as a string such as "b" or "acd", by looking, not by knowing.
        mistakes: a wrong answer -> why it is tempting.
    """

    options: str
    truth: Callable[[], str]
    mistakes: Mapping[str, str] = field(default_factory=dict)

    @property
    def form(self) -> str:
        """What to hand in, in words."""
        return f"the letters that apply, of {', '.join(self.options)}, as one text in quotes"

    @property
    def scaffold(self) -> str:
        """The lines of a notebook in which an answer is written."""
        return "answer = ..."

    def judge(self, answer: Any) -> Verdict:
        """Right, or how it is wrong."""
        if not isinstance(answer, str) or not set(answer.lower()) <= set(self.options + ", "):
            return Verdict(False, f"This asks for {self.form}, and got {answer!r}.")
        given, true = ({c for c in text.lower() if c in self.options} for text in (answer, self.truth()))
        if given == true:
            return Verdict(True, "")
        key = "".join(sorted(given))
        if key in self.mistakes:
            return Verdict(False, self.mistakes[key])
        wrong = len(given - true)
        if given and not wrong:
            return Verdict(False, "What you name applies, and something else does too.")
        return Verdict(False, "Something that you name does not apply." if wrong else "Something applies.")


@dataclass(frozen=True, kw_only=True)
class Witness:
    """Anything that has a property: a data set, a law, a counterexample, a simulation. Many answers are right.

    Attributes:
        verify: None if the answer has the property, else what is wrong with it; may raise, which is told too.
        asks: what to hand in, in words.
        scaffold: the lines of a notebook in which an answer is written.
        mistakes: words -> a wrong witness; `verify` must refuse it. Used by tests.
    """

    verify: Callable[[Any], str | None]
    asks: str
    scaffold: str = "answer = ..."
    mistakes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def form(self) -> str:
        """What to hand in, in words."""
        return self.asks

    def judge(self, answer: Any) -> Verdict:
        """Right, or what is wrong with it."""
        try:
            wrong = self.verify(answer)
        except Exception as error:      # the answer is foreign code or a foreign object: whatever it does is told
            return Verdict(False, f"This asks for {self.asks}; with yours there was {type(error).__name__}: {error}")
        return Verdict(wrong is None, wrong or "")


# ---- what readers call -------------------------------------------------------------------------------------------

def check(name: str, answer: Any = ...) -> Verdict:
    """Is the answer to an exercise right, and if not, in what way is it wrong?

    Args:
        name: of the exercise, as it stands below its text: `covariance-two`.
        answer: number, formula, function, letters or object, as the exercise asks.

    Raises:
        DomainError: there is no exercise of that name, or only a person can judge it.
    """
    found = exercises()
    if name not in found:
        close = get_close_matches(name, found, n=3)
        raise DomainError(f"name = {name!r}: there is no such exercise" + (f"; {' or '.join(close)}?" if close else ""))
    wants = found[name].wants
    if wants is None:
        raise DomainError(f"name = {name!r}: this exercise asks for words, which no program judges")
    if answer is ... or answer is None:
        return Verdict(False, f"There is no answer yet. It asks for {wants.form}.")
    return wants.judge(answer)


def confirm(name: str, answer: Any) -> Verdict:
    """The verdict on a worked solution, which must be right.

    Raises:
        AssertionError: the checker refuses it.
    """
    verdict = check(name, answer)
    if not verdict:
        raise AssertionError(f"the solution of {name} is refused: {verdict}")
    return verdict


def exercises(chapter: str | None = None) -> dict[str, Exercise]:
    """All exercises by name, or those of one chapter, in the order of their declaration."""
    return {name: e for name, e in _REGISTRY.items() if chapter in (None, e.chapter)}


# ---- pieces ------------------------------------------------------------------------------------------------------

class _Refused(Exception):
    """The answer cannot be compared; the message says why."""


def _compare(given: Values, truth: Values, tolerance: float, mistakes: Mapping[str, Values]) -> Verdict:
    """Values with the true ones, place by place, and in what way they differ."""
    for where, value in given:
        if not np.isfinite(value).all():
            return Verdict(False, f"Your answer is not finite{_spaced(where)}.")
    if _equal(given, truth, tolerance):
        return Verdict(True, "")
    for words, wrong in mistakes.items():
        if _equal(given, wrong, tolerance):
            return Verdict(False, f"This is what comes out if {words}.")
    g, t = (np.concatenate([np.ravel(v) for _, v in values]) for values in (given, truth))
    if _equal([("", -g)], [("", t)], tolerance):
        return Verdict(False, "The sign is wrong, all else is right.")
    if (g != 0).all() and _equal([("", 1 / g)], [("", t)], tolerance):
        return Verdict(False, "It is the reciprocal of what is asked for.")
    if len(g) > 2 and (t != 0).all() and np.ptp(g / t) <= tolerance * abs(g / t).max() and (g != 0).all():
        return Verdict(False, "It is right up to a constant factor.")
    if len(g) > 2 and np.ptp(g - t) <= tolerance * abs(t).max():
        return Verdict(False, "It is right up to a constant term.")
    size = max(abs(t).max(), 1e-300) if len(g) > 1 else None
    for (where, value), (_, true) in zip(given, truth, strict=True):
        if not _close(value, true, tolerance, size):
            others = [w for (w, a), (_, b) in zip(given, truth, strict=True) if w and _close(a, b, tolerance, size)]
            right = f" (It is right {others[0]}.)" if others else ""
            if np.ndim(value):
                return Verdict(False, f"Some entries are wrong{_spaced(where)}.{right}")
            shown = f"{float(value):.4g} is " if where else "It is "
            return Verdict(False, f"{shown}too {'large' if value > true else 'small'}{_spaced(where)}.{right}")
    raise AssertionError("unreachable: unequal values differ somewhere")


def _equal(given: Values, truth: Values, tolerance: float) -> bool:
    size = max(np.abs(v).max() for _, v in truth) if len(truth) > 1 or np.ndim(truth[0][1]) else None
    return all(_close(a, b, tolerance, size) for (_, a), (_, b) in zip(given, truth, strict=True))


def _close(value: Any, true: Any, tolerance: float, size: float | None) -> bool:
    scale = np.abs(true) if size is None else np.maximum(np.abs(true), 1e-3 * size)
    return bool((np.abs(np.subtract(value, true)) <= tolerance * np.where(scale == 0, 1.0, scale)).all())


def _as_float(value: Any) -> float:
    """A number, an array of one, or a SymPy expression without symbols; TypeError if it is no real number."""
    if isinstance(value, (str, bytes, bool)) or (isinstance(value, sp.Basic) and not isinstance(value, sp.Expr)):
        raise TypeError(_kind(value))
    try:
        array = _as_array(complex(value.evalf(30)) if isinstance(value, sp.Expr) else value)
        return float(array.reshape(()))
    except (ValueError, OverflowError) as error:
        raise TypeError(_kind(value)) from error


def _as_array(value: Any) -> np.ndarray:
    """Real numbers; TypeError if they are none (imaginary parts of the size of rounding are dropped)."""
    array = np.real_if_close(value, tol=1e4)        # of machine precision
    if value is None or np.iscomplexobj(array):
        raise TypeError(_kind(value))
    return np.asarray(array, dtype=float)


def _call(function: Callable[..., Any], case: Mapping[str, Any]) -> Any:
    """The reader's function on one case, by keyword where the names fit, else by position."""
    try:
        names = set(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        names = set()
    try:
        return function(**case) if set(case) <= names else function(*case.values())
    except Exception as error:          # the reader's code: whatever it raises is told
        raise _Refused(f"Your function raised {type(error).__name__}: {error}") from error


def _where(point: Mapping[str, float]) -> str:
    return "at " + ", ".join(f"{name} = {value:.4g}" for name, value in point.items())


def _spaced(where: str) -> str:
    return f" {where}" if where else ""


def _kind(value: Any) -> str:
    name = type(value).__name__
    return {"str": "a text", "ellipsis": "no answer"}.get(name, f"an object of type {name}")
