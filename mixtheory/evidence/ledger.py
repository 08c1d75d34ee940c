"""The ledger: one row per claim with its computed status, the graph of what rests on what, and JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mixtheory import paths
from mixtheory.evidence.account import accounts
from mixtheory.evidence.check import Evidence
from mixtheory.evidence.claim import Claim, claims
from mixtheory.evidence.graph import Node, draw
from mixtheory.evidence.record import Record, read_records
from mixtheory.evidence.store import evidence_for

__all__ = ["COLUMNS", "NOT_RUN", "STATUSES", "Row", "Run", "chapter_link", "graph", "graph_svg", "records",
           "rows", "statuses", "to_json", "with_basis"]

STATUSES = ("broken", "stated", "checked", "argued", "proved")
COLUMNS = ("claim", "kind", "status", "steps certified", "exact error", "z", "resolution", "mutants killed",
           "CPU run", "GPU run")
NOT_RUN = "not run yet"
ROUTES = ("derivation", "exact", "monte carlo")


@dataclass(frozen=True)
class Run:
    """What one record says about one claim; `agrees` is True, False, "inconclusive" or "stale"."""

    device: str
    device_name: str
    scale: str
    dataset: str
    agrees: bool | str
    record: str

    @property
    def verdict(self) -> str:
        """In a word."""
        return {True: "agrees", False: "disagrees"}.get(self.agrees, str(self.agrees))


@dataclass(frozen=True)
class Row:
    """One claim in the ledger.

    Attributes:
        derivation: "none", "argued" or "proved" (every step certified or an appeal to a proved claim, and every
            claim that a step uses proved: a certified step may have put another claim's formula in).
        certified, total: steps of the derivation.
        exact_error: largest error of the exact route in units of the scale; None without such a route.
        monte_carlo: z (worst entry), n (draws), resolution, sees (smallest error it would notice); or None.
        mutants: route -> (killed, tried).
        killed, tried: mutants, each counted once; killed means on every route that it touches.
        accounts: ids of the accounts that the claim bears on.
        problems: everything that contradicts the claim, runs among it.
    """

    id: str
    title: str
    kind: str
    status: str
    derivation: str
    certified: int
    total: int
    exact_error: float | None
    monte_carlo: dict[str, float] | None
    mutants: dict[str, tuple[int, int]]
    killed: int
    tried: int
    runs: tuple[Run, ...]
    rests_on: tuple[str, ...]
    accounts: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def chapter(self) -> str:
        """The chapter in which the claim stands."""
        return self.id.partition(".")[0]

    def observed(self, device: str) -> str:
        """What the runs on "cpu" or "cuda" say, with the device's name; stale ones count only if all are."""
        runs = [r for r in self.runs if r.device == device]
        runs = [r for r in runs if r.agrees != "stale"] or runs
        if not runs:
            return NOT_RUN
        order = ("disagrees", "stale", "inconclusive", "agrees")
        worst = min((r.verdict for r in runs), key=order.index)
        return f"{worst} ({', '.join(dict.fromkeys(r.device_name for r in runs))})"

    def cells(self) -> tuple[str, ...]:
        """The row as text, one string for each of COLUMNS."""
        mc = self.monte_carlo
        return (self.id, self.kind, self.status,
                f"{self.certified} / {self.total}" if self.total else "none",
                "none" if self.exact_error is None else f"{self.exact_error:.1e}",
                f"{mc['z']:.1f}" if mc else "none", f"{mc['resolution']:.3g}" if mc else "none",
                ", ".join(f"{r} {k} / {t}" for r, (k, t) in self.mutants.items()) or "none",
                self.observed("cpu"), self.observed("cuda"))


def records() -> list[Record]:
    """The runs at hand: those made live into the build folder, then the committed ones."""
    return read_records(*(folder for folder in (paths.BUILD / "runs", paths.RECORDS) if folder is not None))


def with_basis(ids: Sequence[str], **options: Any) -> dict[str, Evidence]:
    """The evidence of these claims and of all that they rest on; `options` are those of `evidence_for`."""
    found: dict[str, Evidence] = {}
    wanted = list(ids)
    while wanted:
        found.update(evidence_for(wanted, **options))
        named = [c for e in found.values() for c in _rests_on(e)]
        wanted = [c for c in dict.fromkeys(named) if c in claims() and c not in found]
    return found


def rows(evidence: Mapping[str, Evidence], runs: Sequence[Record] = ()) -> list[Row]:
    """One row for each registered claim of which there is evidence, in the order of registration.

    Args:
        evidence: by claim id; a claim counts as proved only if that on which it rests is in there too.
        runs: training records, for instance `records()`; one that disagrees breaks its claims.
    """
    known = {name: claim for name, claim in claims().items() if name in evidence}
    aged = [(record, _stale(record)) for record in runs]
    seen = {name: tuple(_run(name, r, stale) for r, stale in aged if name in r.claims) for name in known}
    problems = {n: (*evidence[n].problems, *_more_problems(evidence[n], seen[n])) for n in known}
    proved = _proved(evidence, {n for n in known if evidence[n].checked and not problems[n]})
    return [_row(claim, evidence[n], seen[n], problems[n], proved) for n, claim in known.items()]


def statuses(ledger: Sequence[Row]) -> dict[str, str]:
    """Status by claim id, as `account.verdict` takes it."""
    return {row.id: row.status for row in ledger}


def to_json(ledger: Sequence[Row]) -> list[dict[str, Any]]:
    """The ledger as plain data, one object a claim."""
    return [{"id": row.id, "chapter": row.chapter, "kind": row.kind, "status": row.status,
             "derivation": row.derivation, "steps": {"certified": row.certified, "total": row.total},
             "exact_error": row.exact_error,
             "monte_carlo": row.monte_carlo and {k: row.monte_carlo[k] for k in ("z", "n", "resolution")},
             "mutants": {"killed": row.killed, "tried": row.tried},
             "runs": [{"device": r.device, "scale": r.scale, "agrees": r.agrees, "record": r.record}
                      for r in row.runs]} for row in ledger]


# --- status -------------------------------------------------------------------------------------------------

def _row(claim: Claim, evidence: Evidence, runs: tuple[Run, ...], problems: tuple[str, ...],
         proved: set[str]) -> Row:
    steps = evidence.derivation
    derivation = "none" if steps is None else "proved" if _closed(evidence, proved) else "argued"
    if problems:
        status = "broken"
    elif not evidence.checked:
        status = "stated"
    else:
        status = "checked" if steps is None else derivation
    by_route = {route: [m["killed"] for m in evidence.mutants if m["route"] == route] for route in ROUTES}
    by_name: dict[str, list[bool]] = {}
    for mutant in evidence.mutants:
        by_name.setdefault(mutant["name"], []).append(mutant["killed"])
    mc = evidence.monte_carlo
    return Row(
        id=claim.id, title=claim.title, kind=claim.kind, status=status, derivation=derivation,
        certified=steps["certified"] if steps else 0, total=steps["total"] if steps else 0,
        exact_error=evidence.exact["error"] if evidence.exact else None,
        monte_carlo={k: mc[k] for k in ("z", "n", "resolution", "sees") if k in mc} if mc else None,
        mutants={route: (sum(killed), len(killed)) for route, killed in by_route.items() if killed},
        killed=sum(map(all, by_name.values())), tried=len(by_name), runs=runs, rests_on=_rests_on(evidence),
        accounts=tuple(a.id for a in accounts().values() if claim.id in a.deciding), problems=problems)


def _proved(evidence: Mapping[str, Evidence], sound: set[str]) -> set[str]:
    """The least set that is closed under "rests on proved claims": arguments in a circle prove nothing."""
    proved: set[str] = set()
    while True:
        more = {name for name in sound - proved if _closed(evidence[name], proved)}
        if not more:
            return proved
        proved |= more


def _closed(evidence: Evidence, proved: set[str]) -> bool:
    """Whether the derivation holds, given these claims: each step certified or an appeal to one, and no other used."""
    steps = evidence.derivation
    if steps is None or steps["open_appeals"] or any(p.startswith("derivation:") for p in evidence.problems):
        return False
    return proved.issuperset(steps["rests_on"])


def _rests_on(evidence: Evidence) -> tuple[str, ...]:
    return tuple(evidence.derivation["rests_on"]) if evidence.derivation else ()


def _more_problems(evidence: Evidence, runs: Sequence[Run]) -> list[str]:
    unknown = [name for name in _rests_on(evidence) if name not in claims()]
    return [f"derivation: rests on {name}, which is not registered" for name in unknown] + \
           [f"run {run.record} disagrees with the prediction" for run in runs if run.agrees is False]


def _run(claim: str, record: Record, stale: bool) -> Run:
    verdicts = {m.verdict for m in record.measurements if m.claim == claim}
    agrees: bool | str = True if verdicts == {"agrees"} else "inconclusive"
    if "disagrees" in verdicts:
        agrees = False
    return Run(record.device, record.environment.get("device_name", record.device), record.scale,
               record.dataset, "stale" if stale else agrees, record.name)


def _stale(record: Record) -> bool:
    try:
        return record.stale
    except ModuleNotFoundError:         # the experiment is gone
        return True


# --- the graph ----------------------------------------------------------------------------------------------

COLOURS = {"proved": "#1b9e77", "argued": "#3b82c4", "checked": "#c58b00", "stated": "#888888",
           "broken": "#d1495b"}


def graph(ledger: Sequence[Row]) -> tuple[dict[str, Row], list[tuple[str, str]]]:
    """Nodes by id, and edges (basis, claim that rests on it) between them."""
    nodes = {row.id: row for row in ledger}
    return nodes, [(basis, row.id) for row in ledger for basis in row.rests_on if basis in nodes]


def chapter_link(row: Row) -> str:
    """Where a claim stands, seen from a page beside its chapter."""
    return f"{row.chapter}.html#{row.id}"


def graph_svg(ledger: Sequence[Row], *, link: Callable[[Row], str] = chapter_link) -> str:
    """The dependency graph as one HTML element: bases on the left, each node a link to its place in the book.

    The colours of the statuses are the CSS variables --mt-proved, --mt-argued, --mt-checked, --mt-stated and
    --mt-broken where the page defines them.
    """
    nodes, edges = graph(ledger)
    colour = {status: f"var(--mt-{status}, {COLOURS[status]})" for status in reversed(STATUSES)}
    boxes = [Node(row.id, row.id.partition(".")[2], row.chapter, f"{row.id}: {row.title} ({row.status})",
                  link(row), colour[row.status]) for row in nodes.values()]
    used = [(s, c) for s, c in colour.items() if any(row.status == s for row in nodes.values())]
    return draw(boxes, edges, label="Dependency graph of the claims", legend=used)
