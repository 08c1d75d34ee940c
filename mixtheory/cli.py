"""The command line: `mixtheory verify | ledger | data | train | course`."""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import math
import multiprocessing
import os
import signal
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sympy.printing.str import StrPrinter

from mixtheory import paths
from mixtheory.domain import DomainError
from mixtheory.evidence import claims, ledger
from mixtheory.evidence.account import accounts, coverage, verdict
from mixtheory.evidence.check import Evidence
from mixtheory.evidence.record import Record, RecordError
from mixtheory.evidence.store import evidence_for

if TYPE_CHECKING:
    from mixtheory.training.jobs import Job

__all__ = ["main"]

FAILED, REFUSED, INTERRUPTED, BROKEN_PIPE = 1, 2, 130, 141
WIDTH = 110


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 if all is well, 1 if a check failed, 2 if the request cannot be met."""
    options = parser().parse_args(argv)
    try:
        with _interruptible():
            code = options.command(options)
        sys.stdout.flush()
        return code
    except BrokenPipeError:             # the reader went away, as `head` does: Python must not flush again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except KeyboardInterrupt:
        print("mixtheory: interrupted; what was finished is kept", file=sys.stderr)
        return INTERRUPTED
    except (DomainError, RecordError, ModuleNotFoundError, OSError) as error:
        print(f"mixtheory: {' '.join(str(error).split())}", file=sys.stderr)
        return REFUSED


def parser() -> argparse.ArgumentParser:
    """The arguments of all commands."""
    top = argparse.ArgumentParser(prog="mixtheory", description="Mixup, verified: claims, data and runs.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    verify = commands.add_parser("verify", help="check claims; what is known is read from the store")
    verify.set_defaults(command=_verify)
    verify.add_argument("ids", nargs="*", metavar="ID", help="claims, such as covariance.population")
    verify.add_argument("--fresh", action="store_true", help="compute again what is stored")
    verify.add_argument("--seed", type=_natural, default=0, metavar="N", help="vary the random streams")
    verify.add_argument("--explain", action="store_true", help="tell the story of each named claim")
    verify.add_argument("--jobs", type=_positive, metavar="N", help="worker processes (default: one a core)")
    verify.add_argument("--quiet", action="store_true", help="no progress, no table: only problems")

    book = commands.add_parser("ledger", help="every claim with its status, evidence and runs")
    book.set_defaults(command=_ledger)
    book.add_argument("--json", action="store_true", help="as JSON")

    data = commands.add_parser("data", help="fetch data sets and check their content")
    data.set_defaults(command=_data)
    data.add_argument("names", nargs="*", metavar="NAME", help="fetch these; none: only list")

    train = commands.add_parser("train", help="run training experiments and keep their records", description="""
        Run one experiment on one data set; or, with --all, everything that the code as it is has not recorded yet,
        most valuable per minute first. What is finished is kept: after an interruption, the same command goes on.""")
    train.set_defaults(command=_train)
    train.add_argument("experiments", nargs="*", metavar="EXPERIMENT", help="named like its theory file")
    train.add_argument("--all", action="store_true", help="a campaign: every experiment (or those named) on every "
                       "data set, but for records that are up to date")
    train.add_argument("--dataset", metavar="D", help="without --all: the data set (the experiment's first)")
    train.add_argument("--datasets", type=_names, metavar="A,B", help="with --all: only these data sets")
    train.add_argument("--scale", choices=("quick", "full"), default="quick")
    train.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    train.add_argument("--budget", type=_minutes, metavar="MINUTES", default=math.inf,
                       help="start nothing that is expected to take longer than what is left")
    train.add_argument("--out", type=Path, metavar="DIR", help="folder for the records")
    where = train.add_mutually_exclusive_group()
    where.add_argument("--jobs", type=_positive, metavar="N", default=1, help="processes on this machine (1)")
    where.add_argument("--scheduler", metavar="ADDRESS", help="run on the workers of a Dask scheduler, tcp://...")
    train.add_argument("--fresh", action="store_true", help="start again from nothing")
    train.add_argument("--quiet", action="store_true", help="no progress")

    _course_parser(commands.add_parser("course", help="build the problem sets for a seed, grade submissions"))
    return top


def _course_parser(course: argparse.ArgumentParser) -> None:
    parts = course.add_subparsers(required=True, metavar="PART")
    build = parts.add_parser("build", help="student notebooks, autograders and the instructor pack")
    build.set_defaults(command=_course_build)
    build.add_argument("sets", nargs="*", metavar="SET", help="such as 1_prove_and_check (all)")
    build.add_argument("--seed", type=_natural, required=True, metavar="S", help="decides every constant")
    build.add_argument("--out", type=Path, metavar="DIR", help="folder (_build/course/S)")
    grade = parts.add_parser("grade", help="grade a folder of submissions into a table")
    grade.set_defaults(command=_course_grade)
    grade.add_argument("--autograders", type=Path, required=True, metavar="DIR", help="the zips that build made")
    grade.add_argument("--submissions", type=Path, required=True, metavar="DIR",
                       help="NAME_SET.ipynb or NAME/SET.ipynb, in any depth")
    grade.add_argument("--out", type=Path, default=Path("grades.csv"), metavar="FILE", help="the table (grades.csv)")
    grade.add_argument("--cell-seconds", type=_positive, default=60, metavar="N", help="for a cell or a test (60)")
    grade.add_argument("--total-seconds", type=_positive, default=600, metavar="N", help="for a submission (600)")
    grade.add_argument("--memory", type=_positive, default=6, metavar="GIB", help="for a submission (6)")
    for part in (build, grade):
        part.add_argument("--jobs", type=_positive, default=os.cpu_count() or 1, metavar="N", help="at a time (cores)")
        part.add_argument("--quiet", action="store_true", help="no progress")


# --- verify -------------------------------------------------------------------------------------------------

def _register() -> None:
    import mixtheory.theory.accounts  # noqa: F401  importing the theory registers claims and accounts


def _verify(options: argparse.Namespace) -> int:
    _register()
    ids = list(dict.fromkeys(options.ids)) or list(claims())
    unknown = [name for name in ids if name not in claims()]
    if unknown:
        raise DomainError(f"no such claim: {', '.join(unknown)}; mixtheory ledger lists all {len(claims())}")
    if options.explain and not options.ids:
        raise DomainError("--explain: name the claim to explain, such as mixtheory verify --explain "
                          + next(iter(claims()), "ID"))
    start = time.perf_counter()
    line = _Progress("checking claims", len(ids), options.quiet)
    common = {"seed": options.seed, "jobs": options.jobs}
    with line:
        found = evidence_for(ids, fresh=options.fresh, progress=lambda e: line.step(e.id), **common)
    runs = ledger.records()
    rows = {row.id: row for row in ledger.rows(found, runs)}
    if options.explain:
        basis = {**ledger.with_basis(ids, **common), **found}
        told = {row.id: row for row in ledger.rows(basis, runs)}
        for name in ids:
            _print("\n".join(_story(told[name], basis[name])) + "\n")
    elif not options.quiet:
        _table(("claim", "result", *ledger.COLUMNS[3:8], "seconds"),
               [(n, "PROBLEM" if rows[n].problems else "ok", *rows[n].cells()[3:8], f"{found[n].seconds:.1f}")
                for n in ids])
    problems = [f"{name}: {problem}" for name in ids for problem in rows[name].problems]
    for problem in problems:
        _print(problem)
    if not options.quiet:
        bad = sum(1 for name in ids if rows[name].problems)
        _print(f"\n{len(ids) - bad} of {len(ids)} claims stand, seed {options.seed}, "
               f"{time.perf_counter() - start:.1f} s")
    return FAILED if problems else 0


class _Text(StrPrinter):
    """Formulas for a terminal."""

    def _print_Mean(self, mean: Any) -> str:
        return f"E[{self._print(mean.args[0])}]"


def _story(row: ledger.Row, evidence: Evidence) -> Iterator[str]:
    """One claim's story, line by line."""
    claim = claims()[row.id]
    yield from (f"{claim.id}: {claim.title}", f"  {claim.statement}", "",
                f"  {claim.kind}, {row.status}" + "".join(f"; {claim.side} bound" for _ in [0] if claim.side))
    yield from (_wrap("assumes", text) for text in claim.assumptions)
    yield from (_wrap("fails when", text) for text in [claim.fails_when] if text)
    yield from (_wrap("reference", text) for text in claim.references)
    if claim.derive:
        derivation = claim.derive()
        yield from ("", f"  derivation: {row.certified} of {row.total} steps certified",
                    f"    {derivation.name} = {_formula(derivation.start)}")
        for step in derivation.steps:
            how = "appeal" if step.appeal else "certified" if step.certified() else "NOT CERTIFIED"
            through = f", by {step.claim}" if step.claim else ""
            yield f"      = {_formula(step.right)}"
            yield f"        [{how}{through}] {step.reason}"
    if evidence.exact:
        yield from ("", f"  exact route: worst error {evidence.exact['error']:.1e} of the scale over "
                        f"{evidence.exact['cases']} cases, tolerance {evidence.exact['tolerance']:.0e}")
        if "orders" in evidence.exact:
            orders = ", ".join(f"{order:.2f}" for order in evidence.exact["orders"])
            yield f"    fitted orders {orders}, claimed {evidence.exact['claimed_order']:g}"
    if mc := evidence.monte_carlo:
        yield from ("", f"  Monte Carlo: worst entry {mc['z']:.1f} se off, limit {mc['limit']:.1f}"
                    f"\n    {mc['n']:,} draws in {len(mc['estimates'])} cases; sees errors from "
                    f"{mc['sees']:.2g} of the scale on, asked for {mc['resolution']:.2g}")
    yield from ("", f"  mutants: {row.killed} of {row.tried} rejected on every route they touch")
    for mutant in evidence.mutants:
        size = "".join(f", {key} {mutant[key]:.2g}" for key in ("error", "z") if mutant.get(key) is not None)
        fate = "rejected" if mutant["killed"] else "SURVIVES"
        yield f"    {mutant['name']}: {fate} ({mutant['route']}{size})"
    yield from ("", "  runs")
    yield from (f"    {run.record}: {run.verdict} ({run.device_name})" for run in row.runs)
    for device, name in (("cpu", "CPU"), ("cuda", "GPU")):
        if row.observed(device) == ledger.NOT_RUN:
            yield f"    {name}: {ledger.NOT_RUN}"
    yield from ("", _wrap("rests on", ", ".join(row.rests_on) or "no other claim"),
                _wrap("carries", ", ".join(_carried_by(row.id)) or "no other claim"))
    yield from (_wrap("bears on", accounts()[name].says) for name in row.accounts)
    yield from ["", *(f"  PROBLEM {problem}" for problem in row.problems)]


def _carried_by(name: str) -> list[str]:
    return [other.id for other in claims().values() if other.derive and name in other.derive().rests_on]


def _formula(expression: Any) -> str:
    return " ".join(_Text().doprint(expression).split())


# --- the other commands -------------------------------------------------------------------------------------

def _ledger(options: argparse.Namespace) -> int:
    _register()
    line = _Progress("checking claims", len(claims()), options.json)
    with line:
        evidence = evidence_for(progress=lambda e: line.step(e.id))
    rows = ledger.rows(evidence, ledger.records())
    if options.json:
        _print(json.dumps(ledger.to_json(rows), indent=1, allow_nan=False))
        return 0
    _table(ledger.COLUMNS, [row.cells() for row in rows])
    statuses = ledger.statuses(rows)
    verdicts = [verdict(account, evidence, statuses) for account in accounts().values()]
    decided, total = coverage(evidence, statuses)
    counts = ", ".join(f"{sum(row.status == s for row in rows)} {s}" for s in reversed(ledger.STATUSES)
                       if any(row.status == s for row in rows))
    _print(f"\n{len(rows)} claims: {counts or 'none'}")
    _print(f"popular account: {decided} of {total} statements decided; " + ", ".join(
        f"{verdicts.count(v)} {v}" for v in dict.fromkeys(verdicts)))
    return 0


def _data(options: argparse.Namespace) -> int:
    from mixtheory.training import data

    for name in options.names or data.NAMES:
        if options.names and not data.at_hand(name):
            data.load(name)
        _print(data.describe(name))
    return 0


def _train(options: argparse.Namespace) -> int:
    from mixtheory.training import campaign, experiments, jobs, replicas

    folder = options.out or (paths.RECORDS if options.scale == "full" else paths.BUILD / "runs")
    if folder is None:
        raise DomainError("--out: name a folder; there is no checkout whose book/records could take it")
    if not options.all and (len(options.experiments) != 1 or options.datasets):
        raise DomainError("name one experiment and --dataset, or give --all and, if you like, --datasets")
    if options.all and options.dataset:
        raise DomainError("--dataset: with --all it is --datasets")
    if not options.scheduler:
        replicas.device_of(options.device)
    say: Callable[[str], None] = (lambda line: None) if options.quiet else functools.partial(print, flush=True)
    chosen = options.datasets if options.all else [options.dataset or
                                                   experiments.datasets_of(options.experiments[0])[0]]
    planned = jobs.plan(options.experiments, datasets=chosen, scale=options.scale, device=options.device, out=folder,
                        fresh=options.fresh, again=not options.all, scheduler=options.scheduler, say=say)
    line = _Progress("training", None, options.quiet)
    with line:
        campaign.run(planned, out=folder, budget=options.budget, workers=options.jobs, scheduler=options.scheduler,
                     say=lambda text: (line.clear(), options.all and say(text)), progress=line.show)
    for job in planned:
        for trace in job.tracebacks:
            print(trace, file=sys.stderr)
    if options.all:
        _campaign_table(planned)
    elif planned[0].record:
        _print_record(planned[0].record, folder)
    else:
        _print(_outcome(planned[0]))
    bad = [job for job in planned if job.failed or job.verdicts["disagrees"]
           or (not options.all and not job.record)]
    return FAILED if bad else 0


def _print_record(record: Record, folder: Path) -> None:
    _table(("measurement", "arm", "predicted", "measured", "99 % interval", "verdict"),
           [(m.name, _arm(m.arm), f"{m.predicted:.6g}", f"{m.mean:.6g}", "[{:.6g}, {:.6g}]".format(*m.interval),
             m.verdict) for m in record.measurements])
    if record.observations:
        _print("")
        _table(("observation", "arm", "mean", "99 % interval", "unit"),
               [(o.name, _arm(o.arm), f"{o.mean:.6g}",
                 "[{:.6g}, {:.6g}]".format(*o.interval) if o.interval else "one value", o.unit)
                for o in record.observations])
    _print(f"\n{folder / record.name}.json: {record.environment['device_name']}, {record.wall_seconds:.1f} s")


def _campaign_table(planned: Sequence[Job]) -> None:
    for job in planned:
        for m in job.record.measurements if job.record else ():
            if m.verdict != "agrees":
                low, high = m.interval
                _print(f"{m.verdict}: {job.name}: {m.name}, {_arm(m.arm)}: predicted {m.predicted:.6g}, "
                       f"[{low:.6g}, {high:.6g}], margin {m.margin:.2g}")
    _table(("experiment", "data", "pieces", "wall", "agree", "inconclusive", "disagree", "outcome"),
           [(job.experiment, job.dataset, f"{len(job.pieces) if job.record else len(job.done)} / {len(job.pieces)}",
             f"{job.wall:.1f} s", *(str(job.verdicts[v]) for v in ("agrees", "inconclusive", "disagrees")),
             _outcome(job)) for job in planned])


def _outcome(job: Job) -> str:
    first = next(iter(job.failed.items()), None)
    more = f" and {len(job.failed) - 1} more" if len(job.failed) > 1 else ""
    return textwrap.shorten(f"{job.outcome}: {first[0]}{more}: {first[1]}", WIDTH) if first else job.outcome


def _arm(arm: dict[str, Any]) -> str:
    return ", ".join(f"{k} {v}" for k, v in arm.items())


# --- course -------------------------------------------------------------------------------------------------

def _course_build(options: argparse.Namespace) -> int:
    from mixtheory.course.build import build

    out = options.out or paths.BUILD / "course" / str(options.seed)
    line = _Progress("building sets", len(options.sets) or None, options.quiet)
    with line:
        made = build(options.seed, out, names=options.sets, jobs=options.jobs, progress=line.step)
    _table(("set", "minutes", "difficulty", "points", "by hand"),
           [(m.name, str(m.meta["minutes"]), f"{m.meta['difficulty']} of 5", str(sum(q.points for q in m.questions)),
             str(sum(q.points for q in m.questions if q.manual))) for m in made])
    _print(f"\n{out}: student/ is for students; autograder/ and instructor/ hold the solutions")
    return 0


def _course_grade(options: argparse.Namespace) -> int:
    from mixtheory.course.grade import grade, write_csv
    from mixtheory.course.sandbox import Limits

    limits = Limits(cell=options.cell_seconds, total=options.total_seconds, memory=options.memory * 2**30)
    line = _Progress("grading", None, options.quiet)
    with line:
        rows = grade(options.autograders, options.submissions, limits=limits, jobs=options.jobs, progress=line.step)
    write_csv(rows, options.out)
    _table(("student", "set", "points", "of", "status"),
           [(r.student, r.set, f"{r.total:g}", f"{r.max:g}", r.status) for r in rows])
    _print(f"\n{options.out}: {len(rows)} submissions; questions graded by hand are empty there")
    return 0


# --- small things -------------------------------------------------------------------------------------------

@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C ends the worker processes too, and at once; what they have finished is stored."""
    here = os.getpid()

    def stop(*_: object) -> None:
        if os.getpid() != here:             # a worker: it has nothing to say
            os._exit(INTERRUPTED)
        for child in multiprocessing.active_children():
            child.terminate()
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class _Progress:
    """One line on a terminal, rewritten; nothing elsewhere, and nothing in the first second."""

    def __init__(self, what: str, total: int | None, quiet: bool) -> None:
        self.what, self.total, self.done, self.shown = what, total, 0, 0
        self.on = not quiet and sys.stderr.isatty()
        self.start = time.perf_counter()

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._write("")

    def step(self, *news: Any) -> None:
        """One more is done."""
        self.done += 1
        if self.on and time.perf_counter() - self.start > 1:
            of = f" of {self.total}" if self.total else ""
            self._write(f"{self.what}: {self.done}{of} {' '.join(map(str, news))}"[:WIDTH])

    def show(self, text: str) -> None:
        """Say how far it is."""
        if self.on and time.perf_counter() - self.start > 1:
            self._write(f"{self.what}: {text}"[:WIDTH])

    def clear(self) -> None:
        """Make room for a line of text."""
        self._write("")

    def _write(self, text: str) -> None:
        if self.on and (text or self.shown):
            sys.stderr.write(f"\r{text.ljust(self.shown)}" + ("" if text else "\r"))
            sys.stderr.flush()
            self.shown = len(text)


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[i]) for row in (head, *body)) for i in range(len(head))]
    for row in (head, ["-" * w for w in widths], *body):
        _print("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip())


def _wrap(label: str, text: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent=f"  {label}: ", subsequent_indent="    ")


def _print(text: str) -> None:
    print(text)


def _whole(least: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {least}")
        return int(text)
    return read


_natural, _positive = _whole(0), _whole(1)


def _minutes(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not value >= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of minutes")
    return value


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


if __name__ == "__main__":
    sys.exit(main())
