"""A claim: one statement with one `predict`, and everything that can contradict it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mixtheory.domain import DomainError

__all__ = ["Claim", "Mutant", "cases", "chapters", "claims", "predicts", "scratch_registry",
           "simulates"]

KINDS = ("identity", "bound", "asymptotic", "numerical", "empirical")
_REGISTRY: dict[str, Claim] = {}


@dataclass(frozen=True)
class Mutant:
    """A plausible wrong version: it replaces `predict` (a wrong formula) or `simulate` (wrong sampling)."""

    route: str
    function: Callable[..., Any]
    symbolic: bool = True


def predicts(function: Callable[..., Any], *, symbolic: bool = True) -> Mutant:
    """A wrong formula; with `symbolic=False` it cannot be called on symbols and skips the derivation's route."""
    return Mutant("predict", function, symbolic)


def simulates(function: Callable[..., Any]) -> Mutant:
    """Wrong sampling: it replaces `simulate` and must be rejected by Monte Carlo."""
    return Mutant("simulate", function)


def cases(**parameters: Any) -> tuple[dict[str, Any], ...]:
    """Parameter sets: tuples vary (as a full grid), anything else is common to all."""
    grid: list[dict[str, Any]] = [{}]
    for name, values in parameters.items():
        options = values if isinstance(values, tuple) else (values,)
        grid = [{**g, name: v} for g in grid for v in options]
    return tuple(grid)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One statement of the book. Creating it registers it.

    Attributes:
        id: `file.name`, stable.
        title: the statement in plain words, a line at most.
        statement: the statement in TeX, without dollar signs.
        assumptions: what it rests on; `fails_when`: where it stops being true.
        kind: identity, bound, asymptotic, numerical or empirical.
        predict: the formula; takes the parameters of `cases` and returns a number or an array.
        derive: returns a `Derivation` whose conclusion is `predict` on symbols; takes no argument.
        exact: second route without sampling, same parameters and shape as `predict`.
        simulate: `simulate(size, *, rng, **case)` returns `size` independent unbiased values, shape (size, ...).
        scale: unit in which errors are measured, `scale(prediction, **case)`; default: largest entry of the
            prediction, one unit a case.
        resolution: smallest error, in units of the scale, that Monte Carlo must be able to see.
        model_error: declared error of the formula itself, in units of the scale (0 for identities).
        tolerance: largest error of the exact route, in units of the scale.
        wrong: named mutants.
        along: for asymptotic claims the parameter p and the order k: the error vanishes like p^k.
        side: for bounds "upper" or "lower"; `tight`: relative distance within which the bound must be attained
            by the exact route (None: not claimed).
        references: BibTeX keys with where in them, e.g. "zhang2018mixup: section 2 (read)".
        experiment: name of the training experiment.
    """

    id: str
    title: str
    statement: str
    predict: Callable[..., Any]
    cases: tuple[dict[str, Any], ...]
    kind: str = "identity"
    assumptions: tuple[str, ...] = ()
    fails_when: str = ""
    derive: Callable[[], Any] | None = None
    exact: Callable[..., Any] | None = None
    simulate: Callable[..., Any] | None = None
    scale: Callable[..., Any] | None = None
    resolution: float = 0.05
    model_error: float = 0.0
    tolerance: float = 1e-9
    wrong: Mapping[str, Mutant] = field(default_factory=dict)
    along: tuple[str, float] | None = None
    side: str | None = None
    tight: float | None = None
    references: tuple[str, ...] = ()
    experiment: str | None = None

    def __post_init__(self) -> None:
        if self.id.count(".") != 1:
            raise DomainError(f"id = {self.id!r}: must be file.name")
        if self.id in _REGISTRY and _REGISTRY[self.id].module != self.module:
            raise DomainError(f"id = {self.id!r}: is already registered")
        if self.kind not in KINDS:
            raise DomainError(f"kind = {self.kind!r}: must be one of {', '.join(KINDS)}")
        if not self.cases:
            raise DomainError(f"cases of {self.id}: at least one parameter set is needed")
        if (self.kind == "asymptotic") != (self.along is not None):
            raise DomainError(f"along = {self.along!r} of {self.id}: asymptotic claims, and only they, name one")
        if (self.kind == "bound") != (self.side in ("upper", "lower")):
            raise DomainError(f"side = {self.side!r} of {self.id}: bounds, and only they, are 'upper' or 'lower'")
        _REGISTRY[self.id] = self

    @property
    def chapter(self) -> str:
        """The file, which is also the chapter."""
        return self.id.partition(".")[0]

    @property
    def module(self) -> str:
        """The module that proves it."""
        return self.predict.__module__

    def prediction(self, case: Mapping[str, Any], mutant: Mutant | None = None) -> np.ndarray:
        """The formula (or a wrong one) on one parameter set, as float64."""
        formula = mutant.function if mutant is not None and mutant.route == "predict" else self.predict
        return np.asarray(formula(**case), dtype=float)

    def unit(self, case: Mapping[str, Any]) -> np.ndarray:
        """The declared unit of error, > 0 and broadcastable to the prediction."""
        value = self.prediction(case)
        unit = np.max(np.abs(value)) if self.scale is None else np.asarray(self.scale(value, **case), dtype=float)
        if not np.all(np.isfinite(unit) & (unit > 0)):
            raise DomainError(f"scale of {self.id} at {dict(case)} is {unit}: must be finite and greater than 0")
        return np.asarray(unit)


def claims() -> dict[str, Claim]:
    """All registered claims by id, in the order of their registration."""
    return dict(_REGISTRY)


def chapters() -> dict[str, list[Claim]]:
    """The claims of each chapter."""
    grouped: dict[str, list[Claim]] = {}
    for claim in _REGISTRY.values():
        grouped.setdefault(claim.chapter, []).append(claim)
    return grouped


@contextlib.contextmanager
def scratch_registry() -> Iterator[None]:
    """Claims made inside the block leave the registry again: for examples, exercises and tests."""
    before = dict(_REGISTRY)
    try:
        yield
    finally:
        _REGISTRY.clear()
        _REGISTRY.update(before)
