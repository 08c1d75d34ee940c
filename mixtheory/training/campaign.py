"""Many runs, piece by piece, within a budget: what is finished is kept, whatever happens next.

A campaign that was stopped, killed or given too little time goes on where it was, with the same result. What comes
first is decided by two declarations of an experiment's module::

    VALUE = {"cifar10": 3.0}                            of a record, by data set; default 1, and 0: only if named
    VALUE = {("cifar10", "full", "cpu"): 0.0}           or of one run, which goes before
    MINUTES = {("cifar10", "full", "cuda"): 12.0}       for a whole run; default 1

An existing record of the same name, made on the same device, replaces MINUTES by the time that it took, and
finished pieces replace both.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mixtheory.training import sweep
from mixtheory.training.jobs import Job, Say, finish, keep

__all__ = ["LIVES", "run"]

LIVES = 2                           # a piece with which a worker died so often is given up


def run(jobs: Sequence[Job], *, out: Path, budget: float = math.inf, workers: int = 1, scheduler: str | None = None,
        say: Say = lambda line: None, progress: Callable[[str], Any] | None = None) -> None:
    """Run what is open, most valuable per minute first, and write each record when its last piece is there.

    Args:
        jobs: as `plan` gives them; their attributes tell what happened.
        out: folder for the records.
        budget: minutes; no piece is started that is expected to take longer than what is left of them.
        workers: processes on this machine.
        scheduler: address of a Dask scheduler, in place of `workers`.
        say: told when a record is written and when something fails.
        progress: called with a line of text whenever something moved.

    Raises:
        OSError: the folder cannot be written, or the scheduler is gone; what was finished is kept.
    """
    Path(out).mkdir(parents=True, exist_ok=True)
    queue = _Queue([job for job in jobs if not job.outcome], budget)
    for job in queue.jobs:
        if len(job.done) == len(job.pieces):
            finish(job, out, say)

    def tell(*news: Any) -> None:
        if progress:
            progress(f"{queue.state()}: {' '.join(map(str, news))}")
    while queue.open():
        try:
            for task, finding in sweep.results(queue.tasks(), jobs=workers, scheduler=scheduler,
                                               ahead=math.isinf(budget), progress=tell):
                job = queue.out.get(task)
                if job is None:                 # it has come back before
                    continue
                keep(job, task.piece, finding, say)
                queue.back(task)
                if len(job.done) == len(job.pieces):
                    finish(job, out, say)
                tell(job.name, task.piece)
        except sweep.Broken as error:
            if not queue.out:
                raise OSError(f"no piece could be handed out: {error}") from error
            for job, piece in queue.lost():
                job.failed[piece] = str(error)
                say(f"{job.name}, piece {piece}: failed: {error}")
    for job in queue.jobs:
        job.outcome = "recorded" if job.record else "failed" if job.failed else "over budget"


class _Queue:
    """What is still to be run, and what is out; `tasks` may be read from another thread than the rest."""

    def __init__(self, jobs: Sequence[Job], budget: float) -> None:
        self.jobs, self.budget = list(jobs), budget
        self.out: dict[sweep.Task, Job] = {}
        self.lives: Counter[sweep.Task] = Counter()
        self.start, self.lock = time.monotonic(), threading.RLock()

    def left(self) -> float:
        """Minutes of the budget."""
        return self.budget - (time.monotonic() - self.start) / 60

    def waiting(self, job: Job) -> list[str]:
        """Pieces that are neither finished nor failed nor out."""
        return [p for p in job.pieces if p not in job.done and p not in job.failed and job.task(p) not in self.out]

    def open(self) -> tuple[Job, str] | None:
        """The piece to run next: of the job with the most value for a minute, whole records first."""
        left, best, chosen = self.left(), None, None
        for job in self.jobs:
            waiting = self.waiting(job)
            if waiting and job.minutes <= left:
                rest = len(waiting) * job.minutes
                rank = not job.failed, rest <= left, job.value / max(rest, 1e-9)
                if best is None or rank > best:
                    best, chosen = rank, (job, waiting[0])
        return chosen

    def tasks(self) -> Iterator[sweep.Task]:
        """One task after another, each chosen when it is asked for."""
        while True:
            with self.lock:
                chosen = self.open()
                if chosen is None:
                    return
                job, piece = chosen
                self.out[job.task(piece)] = job
            yield job.task(piece)

    def back(self, task: sweep.Task) -> None:
        """A task has come back, and what it found is kept: before that, it must not be handed out again."""
        with self.lock:
            del self.out[task]

    def lost(self) -> list[tuple[Job, str]]:
        """The tasks that are out were lost; returns those that are given up, the others are open again."""
        with self.lock:
            self.lives.update(self.out.keys())
            lost, self.out = self.out, {}
            return [(job, task.piece) for task, job in lost.items() if self.lives[task] >= LIVES]

    def state(self) -> str:
        """How far everything is, in a few words."""
        done, total = sum(len(j.done) for j in self.jobs), sum(len(j.pieces) for j in self.jobs)
        rest = sum(len(self.waiting(j)) * j.minutes for j in self.jobs)
        passed = (time.monotonic() - self.start) / 60
        left = f"{rest:.1f} to go" if math.isinf(self.budget) else f"{rest:.1f} to go of {self.left():.1f} left"
        return f"{done} of {total} pieces, {passed:.1f} min, {left}"
