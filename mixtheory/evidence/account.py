"""The popular account: what is commonly said about mixup, and which claims decide it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from mixtheory.domain import DomainError
from mixtheory.evidence.check import Evidence

__all__ = ["DECIDING", "VERDICTS", "Account", "Coverage", "accounts", "coverage", "scratch_accounts",
           "verdict"]

VERDICTS = ("undecided", "holds", "holds under conditions", "false")
DECIDING = ("checked", "argued", "proved")
"""Statuses of a claim that may decide an account; a broken or merely stated one decides nothing."""
_REGISTRY: dict[str, Account] = {}


@dataclass(frozen=True, kw_only=True)
class Account:
    """One thing that is commonly said. Creating it registers it; its verdict is computed, see `verdict`.

    Attributes:
        id: a short name such as "tamer_data", stable.
        says: the statement as it is commonly made, in our words.
        chapter: the file whose claims decide it, or will.
        supported_by: ids of claims that bear it out.
        refuted_by: ids of claims that contradict it; a pair (claim, mutant) where the statement amounts to
            a formula: that formula runs as this mutant of the claim and was rejected.
        corrected: what is true instead, or under which conditions it holds; TeX between dollar signs.
    """

    id: str
    says: str
    chapter: str
    supported_by: tuple[str, ...] = ()
    refuted_by: tuple[str | tuple[str, str], ...] = ()
    corrected: str = ""

    def __post_init__(self) -> None:
        if self.id in _REGISTRY:
            raise DomainError(f"id = {self.id!r}: an account of this name is already registered")
        if not self.id.isidentifier() or not self.says.strip():
            raise DomainError(f"id = {self.id!r}, says = {self.says!r}: needs a name and a statement")
        if self.refuted_by and not self.corrected:
            raise DomainError(f"corrected of {self.id}: what claims contradict must be put right")
        _REGISTRY[self.id] = self

    @property
    def mutants(self) -> tuple[tuple[str, str], ...]:
        """The refutations that are mutants: (claim, mutant name)."""
        return tuple(r for r in self.refuted_by if not isinstance(r, str))

    @property
    def deciding(self) -> tuple[str, ...]:
        """Ids of all claims that bear on it."""
        against = (r if isinstance(r, str) else r[0] for r in self.refuted_by)
        return tuple(dict.fromkeys((*self.supported_by, *against)))


class Coverage(NamedTuple):
    """How much of the account is decided."""

    decided: int
    total: int


def accounts() -> dict[str, Account]:
    """All registered accounts by id, in the order of their registration."""
    return dict(_REGISTRY)


def verdict(account: Account, evidence: Mapping[str, Evidence], statuses: Mapping[str, str]) -> str:
    """One of VERDICTS.

    Undecided while a deciding claim is absent, broken or only stated, or while a refuting mutant is not
    rejected on every route that it touches. Otherwise: only supported, it holds; only contradicted, it is
    false; both, it holds under conditions.
    """
    deciding = account.deciding
    if not deciding or not all(c in evidence and statuses.get(c) in DECIDING for c in deciding):
        return "undecided"
    if not all(_killed(evidence[claim], mutant) for claim, mutant in account.mutants):
        return "undecided"
    if not account.refuted_by:
        return "holds"
    return "holds under conditions" if account.supported_by else "false"


def coverage(evidence: Mapping[str, Evidence], statuses: Mapping[str, str]) -> Coverage:
    """How many of all registered accounts are decided."""
    verdicts = [verdict(a, evidence, statuses) for a in _REGISTRY.values()]
    return Coverage(sum(v != "undecided" for v in verdicts), len(verdicts))


@contextlib.contextmanager
def scratch_accounts() -> Iterator[None]:
    """Accounts made inside the block leave the registry again: for tests."""
    before = dict(_REGISTRY)
    try:
        yield
    finally:
        _REGISTRY.clear()
        _REGISTRY.update(before)


def _killed(evidence: Evidence, mutant: str) -> bool:
    rows = [row for row in evidence.mutants if row["name"] == mutant]
    return bool(rows) and all(row["killed"] for row in rows)
