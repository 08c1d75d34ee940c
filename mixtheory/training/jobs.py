"""The records that a campaign is to make, each in pieces: what there is of them already, and how it is kept.

A piece that is finished is stored in the build folder with a hash of its content and of the code that made it; a
damaged one, or one by other code, is thrown away with a message and run again. When the last piece of a record is
there, the record is written and the pieces go.
"""

from __future__ import annotations

import re
import shutil
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mixtheory import paths
from mixtheory.domain import DomainError
from mixtheory.evidence.record import Record, RecordError, as_json, environment, experiment_source, seal, unseal
from mixtheory.evidence.store import write_atomically
from mixtheory.training import experiments, sweep

__all__ = ["Job", "finish", "keep", "plan"]

PIECE = re.compile(r"[A-Za-z0-9_=,+-][A-Za-z0-9_.=,+-]*")
Say = Callable[[str], Any]


@dataclass
class Job:
    """One record to be made, and how far it has come.

    Attributes:
        minutes: what a piece is expected to take.
        done: finished pieces, name -> source, wall_seconds, environment, found.
        failed: name -> what went wrong; the name of the record stands for its conclusion.
        outcome: "up to date", "not at hand", or once `run` has ended "recorded", "failed" or "over budget".
    """

    experiment: str
    dataset: str
    scale: str
    device: str
    pieces: tuple[str, ...] = ()
    value: float = 1.0
    minutes: float = 1.0
    source: str = ""
    outcome: str = ""
    done: dict[str, dict[str, Any]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    tracebacks: list[str] = field(default_factory=list)
    record: Record | None = None

    @property
    def name(self) -> str:
        """The name of the record."""
        return f"{self.experiment}.{self.dataset}.{self.scale}.{self.device}"

    @property
    def folder(self) -> Path:
        """Where its pieces are kept until the record is written."""
        return paths.BUILD / "campaign" / self.name

    @property
    def wall(self) -> float:
        """Seconds that its finished pieces took."""
        return self.record.wall_seconds if self.record else sum(p["wall_seconds"] for p in self.done.values())

    @property
    def verdicts(self) -> Counter[str]:
        """How many measurements agree, disagree or are inconclusive."""
        return Counter(m.verdict for m in self.record.measurements) if self.record else Counter()

    def task(self, piece: str) -> sweep.Task:
        """A piece, as it is handed to a worker."""
        return sweep.Task(self.experiment, piece, self.dataset, self.scale, self.device)


def plan(names: Sequence[str] = (), *, datasets: Sequence[str] | None = None, scale: str = "quick",
         device: str = "cpu", out: Path, fresh: bool = False, again: bool = False, scheduler: str | None = None,
         say: Say = lambda line: None) -> list[Job]:
    """The jobs of a campaign; those with an outcome are not to be run.

    Args:
        names: experiments; none: all that exist at this scale.
        datasets: only these; None: all on which an experiment has a VALUE.
        scale: of the runs.
        device: of the runs.
        out: the folder in which records are and will be.
        fresh: do not read what is there, neither records nor pieces.
        again: make also records that are up to date, from stored pieces where there are some, and fetch the data.
        scheduler: ask there, not here, whether data sets are at hand.
        say: told about files that are thrown away.

    Raises:
        DomainError: an unknown experiment or data set, or one for which nothing runs on the named data sets.
    """
    if unknown := [d for d in datasets or () if d not in experiments.DATASETS]:
        raise DomainError(f"datasets = {unknown}: the names are {', '.join(experiments.DATASETS)}")
    jobs = [_job(name, dataset, scale, device)
            for name in names or experiments.EXPERIMENTS if names or scale in experiments.scales_of(name)
            for dataset in experiments.datasets_of(name)
            if (_value(name, dataset, scale, device) > 0 if datasets is None else dataset in datasets)]
    if not jobs:
        raise DomainError(f"datasets = {list(datasets or ())}: no experiment of this campaign runs there")
    near = {} if again else sweep.at_hand(dict.fromkeys(job.dataset for job in jobs), scheduler)
    for job in jobs:
        _look(job, out, fresh, again, say)
        if not job.outcome and not near.get(job.dataset, True):
            job.outcome = "not at hand"
    return jobs


def _value(name: str, dataset: str, scale: str, device: str) -> float:
    """What a record is worth: declared for the run, else for the data set, else 1."""
    values = experiments.declared(name, "VALUE")
    return float(values.get((dataset, scale, device), values.get(dataset, 1)))


def _job(name: str, dataset: str, scale: str, device: str) -> Job:
    pieces = experiments.pieces_of(name, dataset, scale)
    if not pieces or len(set(pieces)) < len(pieces) or not all(map(PIECE.fullmatch, pieces)):
        raise DomainError(f"pieces = {pieces}: {name} needs at least one, each with a name of its own, fit for a file")
    minutes = experiments.declared(name, "MINUTES").get((dataset, scale, device), 1.0)
    return Job(name, dataset, scale, device, pieces, _value(name, dataset, scale, device),
               minutes / len(pieces), experiment_source(name))


def _look(job: Job, out: Path, fresh: bool, again: bool, say: Say) -> None:
    """What is there already: a record, or pieces of one."""
    path = Path(out) / f"{job.name}.json"
    if path.exists():
        try:
            found = Record.load(path)
            if found.environment.get("device_name") in (None, _device_name(job.device)):
                job.minutes = found.wall_seconds / 60 / len(job.pieces)
            if found.source == job.source and not fresh and not again:
                job.record, job.outcome = found, "up to date"
                shutil.rmtree(job.folder, ignore_errors=True)
            elif found.source != job.source:
                say(f"{job.name}: the record is by other code; it is made again")
        except RecordError as error:
            say(f"{job.name}: it is made again: {error}")
    if fresh:
        shutil.rmtree(job.folder, ignore_errors=True)
    for piece in () if job.outcome else job.pieces:
        if (job.folder / f"{piece}.json").exists():
            try:
                job.done[piece] = _read(job, piece)
            except RecordError as error:
                say(f"{job.name}, piece {piece}: thrown away: {error}")
                (job.folder / f"{piece}.json").unlink()
    _learn(job)


def _read(job: Job, piece: str) -> dict[str, Any]:
    path = job.folder / f"{piece}.json"
    entry = unseal(path)
    if entry.get("source") != job.source:
        raise RecordError(f"{path}: by other code")
    if (entry.get("record"), entry.get("piece")) != (job.name, piece):
        raise RecordError(f"{path}: a piece of something else, {entry.get('record')}, {entry.get('piece')}")
    return entry


def _learn(job: Job) -> None:
    """Finished pieces say what the others will take."""
    if job.done:
        job.minutes = sum(p["wall_seconds"] for p in job.done.values()) / len(job.done) / 60


def _device_name(device: str) -> str | None:
    try:
        return environment(device)["device_name"]
    except (RuntimeError, AssertionError):          # this machine has no such device: its workers may
        return None


# --- keeping ------------------------------------------------------------------------------------------------

def keep(job: Job, piece: str, finding: dict[str, Any], say: Say) -> None:
    """Store what a worker found of a piece, or note that it failed."""
    if "found" in finding and finding["source"] != job.source:
        finding = {"error": "the worker runs other code than this campaign"}
    if "error" in finding:
        job.failed[piece] = finding["error"]
        job.tracebacks += [finding["traceback"]] if "traceback" in finding else []
        say(f"{job.name}, piece {piece}: failed: {finding['error']}")
        return
    entry = {"record": job.name, "piece": piece, **finding}
    write_atomically(job.folder / f"{piece}.json", seal(entry))
    job.done[piece] = entry
    _learn(job)


def finish(job: Job, out: Path, say: Say) -> None:
    """All pieces are there: write the record, then throw them away."""
    try:
        with experiments.threads(job.scale, job.device):
            config, measurements, observations = experiments.conclude(
                job.experiment, dataset=job.dataset, scale=job.scale,
                found={piece: entry["found"] for piece, entry in job.done.items()})
        record = Record.create(
            experiment=job.experiment, dataset=job.dataset, scale=job.scale, device=job.device,
            config=as_json(config, "config"), seeds=experiments.seeds_of(job.experiment, job.scale),
            measurements=measurements, observations=observations, wall_seconds=job.wall,
            where=_together(list(job.done.values())))
    except Exception as error:              # a bug in one conclusion must not stop the others
        job.failed[job.name] = f"{type(error).__name__}: {error}"
        job.tracebacks.append(traceback.format_exc())
        say(f"{job.name}: failed: {job.failed[job.name]}")
        return
    record.save(out)
    job.record = record
    shutil.rmtree(job.folder, ignore_errors=True)
    for left in Path(out).glob(f".{job.name}.json.*"):      # a write that was killed
        left.unlink(missing_ok=True)
    counts = ", ".join(f"{n} {verdict}" for verdict, n in job.verdicts.items()) or "nothing predicted"
    say(f"{job.name}: {record.wall_seconds:.1f} s, {counts}")


def _together(entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The environments of all pieces in one: what differs is listed, utilisation is averaged over time."""
    places = [entry["environment"] for entry in entries]
    where: dict[str, Any] = {}
    for name in dict.fromkeys(name for place in places for name in place):
        values = list(dict.fromkeys(place[name] for place in places if name in place))
        where[name] = values[0] if len(values) == 1 else ", ".join(map(str, values))
    busy = [(e["environment"]["gpu_utilisation"], e["wall_seconds"]) for e in entries
            if "gpu_utilisation" in e["environment"]]
    if busy:
        where["gpu_utilisation"] = round(sum(u * t for u, t in busy) / sum(t for _, t in busy), 1)
    return where
