"""How the pieces of experiments are run: one after the other here, in processes, or on a cluster.

Processes and machines are joblib's: its loky backend for `jobs`, its Dask backend for `scheduler` (the address of a
`dask scheduler`, with workers that have this package at the same version and are started with `--nthreads 1`).
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import queue
import signal
import subprocess
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from mixtheory.domain import DomainError
from mixtheory.evidence.record import environment, experiment_source
from mixtheory.training import data
from mixtheory.training.experiments import measure_piece, threads

__all__ = ["Broken", "Task", "at_hand", "attempt", "results", "utilisation"]

Finding = dict[str, Any]
POLL, PATIENCE = 1.0, 120.0         # seconds between looks at the cluster, and without any worker


class Broken(RuntimeError):
    """Workers died with the tasks that are out; the others can be asked for again."""


class Task(NamedTuple):
    """One piece of one run."""

    experiment: str
    piece: str
    dataset: str
    scale: str
    device: str


def attempt(task: Task, progress: Callable[..., Any] | None = None) -> Finding:
    """Run one piece in this process.

    Returns:
        source, wall_seconds, environment and found; or error, if the piece failed, and unless the reason is that it
        cannot be run here, traceback.
    """
    start = time.perf_counter()
    try:
        source = experiment_source(task.experiment)
        with threads(task.scale, task.device):
            with utilisation(task.device) as samples:
                found = measure_piece(*task[:2], dataset=task.dataset, scale=task.scale, device=task.device,
                                      progress=progress)
            where = environment(task.device)
        if samples:
            where["gpu_utilisation"] = round(sum(samples) / len(samples), 1)
        return {"source": source, "wall_seconds": time.perf_counter() - start, "environment": where, "found": found}
    except DomainError as error:
        return {"error": str(error)}
    except Exception as error:              # one piece that fails must not stop the others
        words = " ".join(f"{type(error).__name__}: {error}".split())
        return {"error": words, "traceback": traceback.format_exc()}
    finally:
        _free(task.device)


def results(tasks: Iterable[Task], *, jobs: int = 1, scheduler: str | None = None, ahead: bool = False,
            progress: Callable[..., Any] | None = None) -> Iterator[tuple[Task, Finding]]:
    """Tasks with what `attempt` gives, as they finish.

    Args:
        tasks: taken one by one, as workers become free (from another thread, one at a time).
        jobs: processes on this machine.
        scheduler: address of a Dask scheduler, in place of `jobs`.
        ahead: hand all tasks to the cluster at once, so that workers that come later find some.
        progress: for a run in this process, called with a line of text when a part is done.

    Raises:
        Broken: every task that is out was lost with its worker, more often than joblib or Dask tries again.
        OSError: the scheduler does not answer, or it has no workers.
    """
    if scheduler is None and jobs == 1:
        for task in tasks:
            yield task, attempt(task, progress)
    elif scheduler is None:
        yield from _processes(tasks, jobs)
    else:
        yield from _cluster(tasks, scheduler, ahead)


def at_hand(datasets: Iterable[str], scheduler: str | None = None) -> dict[str, bool]:
    """Whether each data set can be read without a download, here or where the workers are."""
    names = list(datasets)
    if scheduler is None:
        return {name: _at_hand(name) for name in names}
    joblib, distributed = _needed("joblib"), _needed("distributed")
    with distributed.Client(scheduler, set_as_default=False) as client, \
            joblib.parallel_config(backend="dask", client=client):
        return dict(zip(names, joblib.Parallel()(joblib.delayed(_at_hand)(name) for name in names), strict=True))


@contextlib.contextmanager
def utilisation(device: str, every: float = 1.0) -> Iterator[list[float]]:
    """Samples of the GPU's utilisation in percent, one in `every` seconds; none without nvidia-smi or a GPU."""
    samples: list[float] = []
    if device != "cuda":
        yield samples
        return
    over = threading.Event()

    def watch() -> None:
        first = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
        command = ["nvidia-smi", f"--id={first}", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
        while not over.wait(every):
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
                samples.append(float(done.stdout.split()[0]))
            except (OSError, subprocess.SubprocessError, ValueError, IndexError):
                return
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield samples
    finally:
        over.set()
        watcher.join(every)


# --- joblib -------------------------------------------------------------------------------------------------

def _processes(tasks: Iterable[Task], jobs: int) -> Iterator[tuple[Task, Finding]]:
    joblib = _needed("joblib")
    from joblib.externals.loky.process_executor import BrokenProcessPool

    parallel = joblib.Parallel(n_jobs=jobs, backend="loky", batch_size=1, pre_dispatch="n_jobs",
                               return_as="generator_unordered")
    try:
        yield from parallel(joblib.delayed(_in_process)(task) for task in tasks)
    except BrokenProcessPool as error:
        raise Broken("a worker process died, killed or out of memory") from error


def _cluster(tasks: Iterable[Task], scheduler: str, ahead: bool) -> Iterator[tuple[Task, Finding]]:
    joblib, distributed = _needed("joblib"), _needed("distributed")
    out: set[Task] = set()

    def given() -> Iterator[Any]:
        for task in tasks:
            out.add(task)
            yield joblib.delayed(_attempt)(task)

    with distributed.Client(scheduler, set_as_default=False) as client:
        with joblib.parallel_config(backend="dask", client=client):
            found = joblib.Parallel(batch_size=1, pre_dispatch="all" if ahead else "n_jobs",
                                    return_as="generator_unordered")(given())
        for task, finding in _watched(found, client, out):
            out.discard(task)
            yield task, finding


def _watched(found: Iterator[Any], client: Any, out: set[Task]) -> Iterator[Any]:
    """The same results, but Broken where joblib would wait for ever: for tasks that Dask has given up."""
    ready: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()

    def read() -> None:
        try:
            for result in found:
                ready.put(("result", result))
            ready.put(("end", None))
        except BaseException as error:
            ready.put(("error", error))
    threading.Thread(target=read, daemon=True).start()
    seen, idle = time.monotonic(), 0
    while True:
        try:
            kind, value = ready.get(timeout=POLL)
            idle = 0
        except queue.Empty:
            if client.status not in ("running", "connecting"):
                raise OSError(f"the scheduler is gone: the connection is {client.status}") from None
            alive = any(future.status in ("pending", "lost") for future in list(client.futures.values()))
            idle = idle + 1 if out and not alive else 0
            if idle == 3:                   # Dask works at none of them, and joblib has no result
                raise Broken("its workers died, again and again") from None
            if client.status == "connecting" or client.ncores():
                seen = time.monotonic()
            elif time.monotonic() - seen > PATIENCE:
                raise OSError(f"the scheduler has had no worker for {PATIENCE:g} s") from None
            continue
        if kind == "error":
            raise value
        if kind == "end":
            return
        yield value


def _attempt(task: Task) -> tuple[Task, Finding]:
    return task, attempt(task)


def _in_process(task: Task) -> tuple[Task, Finding]:
    signal.signal(signal.SIGINT, signal.SIG_IGN)        # the process that asked ends this one
    return _attempt(task)


def _at_hand(dataset: str) -> bool:
    if dataset == "synthetic":
        return True
    return importlib.util.find_spec("sklearn") is not None if dataset == "diabetes" else data.at_hand(dataset)


def _needed(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise DomainError(f"this needs {module}, which is not installed: pip install 'mixtheory[sweep]'") from error


def _free(device: str) -> None:
    """Give back what a piece that failed may have left in the GPU's memory."""
    if device == "cuda":
        import torch
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
