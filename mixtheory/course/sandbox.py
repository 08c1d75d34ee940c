"""A Jupyter kernel for one submission: cells and tests run in it one by one, each within a time limit.

A cell that raises is a note and no more. A cell that never ends is interrupted; one that ignores this, or that kills
the kernel, is left out when the cells before it are run again in a new kernel. What a kernel prints is never read.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from queue import Empty
from typing import Any

__all__ = ["Limits", "Outcome", "Reply", "run"]

GRACE = 5.0                             # seconds that an interrupted cell has to end
START = 120.0                           # seconds that a kernel has to start and to import what it needs
TICK = 0.25
SETUP = """
from mixtheory.course import inside as _inside
from otter.test_files import ExceptionTestFile as _inside_test
grader = _inside.Grader()
exit = quit = _inside.stay
_inside.limit({memory}, {file})
_inside.fence({folder!r})
del _inside, _inside_test
"""
AGAIN = "import mixtheory.course.inside as _inside"         # whatever the notebook has made of that name, or of others


@dataclass(frozen=True)
class Limits:
    """What a submission may use: seconds a cell or test, seconds in all, bytes of memory and of a file."""

    cell: float = 60.0
    total: float = 600.0
    memory: int = 6 * 2**30
    file: int = 64 * 2**20


@dataclass
class Reply:
    """How a cell ended: ok, error, timeout or dead; `text` says what was raised, `value` is what was asked for."""

    status: str
    text: str = ""
    value: Any = None


@dataclass
class Outcome:
    """What came of a submission: a `Reply` for each cell and each test, and what the fence stopped."""

    cells: dict[int, Reply] = field(default_factory=dict)
    tests: dict[str, Reply] = field(default_factory=dict)
    escapes: list[str] = field(default_factory=list)


def run(cells: Sequence[str], tests: Mapping[str, str], limits: Limits) -> Outcome:
    """Run cells, then each test on the namespace that they leave; what the time does not reach has no reply.

    A process of its own does it, so that nothing is shared with other submissions and nothing is left behind.
    """
    task = json.dumps({"cells": list(cells), "tests": dict(tests), "limits": asdict(limits)})
    done = subprocess.run([sys.executable, "-m", "mixtheory.course.sandbox"], input=task, capture_output=True,
                          text=True, timeout=limits.total + 3 * START, check=False)
    if done.returncode:
        raise RuntimeError(" ".join(done.stderr.split())[-300:])
    said = json.loads(done.stdout)
    return Outcome({int(i): Reply(**reply) for i, reply in said["cells"].items()},
                   {name: Reply(**reply) for name, reply in said["tests"].items()}, said["escapes"])


def _run(cells: Sequence[str], tests: Mapping[str, str], limits: Limits) -> Outcome:
    outcome, fatal = Outcome(), set()
    waiting, end = list(tests), time.monotonic() + limits.total
    while True:                         # once, and once more for each kernel that is lost
        with _kernel(limits) as kernel:
            lost = False
            for i, source in enumerate(cells):
                if i in fatal:
                    continue
                reply = kernel.run(source, min(limits.cell, end - time.monotonic()))
                outcome.cells.setdefault(i, reply)
                if reply.status == "dead":
                    outcome.cells[i], lost = reply, True
                    fatal.add(i)
                    break
            while waiting and not lost and time.monotonic() < end:
                name = waiting.pop(0)
                ask = f"_inside.run_test({tests[name]!r})"
                reply = outcome.tests[name] = kernel.run(AGAIN, min(limits.cell, end - time.monotonic()), ask)
                lost = reply.status == "dead"
            if not lost:
                outcome.escapes += kernel.run(AGAIN, limits.cell, "_inside.escapes()").value or []
        if not lost or not waiting or time.monotonic() >= end:
            return outcome


class _Kernel:
    """A kernel that answers on its shell channel; what it prints is left unread and dropped."""

    def __init__(self, manager: Any, client: Any) -> None:
        self.manager, self.client = manager, client

    def run(self, source: str, seconds: float, ask: str = "") -> Reply:
        """Run source, then evaluate `ask`, an expression whose value is a literal as text."""
        if seconds <= 0:
            return Reply("timeout", "no time was left")
        sent = self.client.execute(source, store_history=False, allow_stdin=False, stop_on_error=False,
                                   user_expressions={"asked": ask} if ask else {})
        reply = self._wait(sent, seconds)
        if reply is None and self.manager.is_alive():
            self.manager.interrupt_kernel()
            late = self._wait(sent, GRACE)
            if late is not None:
                return Reply("timeout", f"stopped after {seconds:.0f} s")
            return Reply("dead", f"ran for {seconds:.0f} s and could not be stopped")
        if reply is None:
            return Reply("dead", "ended the Python process")
        if reply["status"] != "ok":
            text = f"{reply.get('ename', 'error')}: {reply.get('evalue', '')}"
            return Reply("error", " ".join(text.split())[:200])
        return _value(reply["user_expressions"].get("asked")) if ask else Reply("ok")

    def _wait(self, sent: str, seconds: float) -> dict[str, Any] | None:
        """The reply to a message, or None when the time is over or the kernel dead."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            with contextlib.suppress(Empty):
                message = self.client.get_shell_msg(timeout=min(TICK, left))
                if message["parent_header"].get("msg_id") == sent:
                    return message["content"]
                continue
            if not self.manager.is_alive():
                return None
        return None


def _value(result: dict[str, Any] | None) -> Reply:
    if not result or result.get("status") != "ok":
        text = f"{(result or {}).get('ename', 'no answer')}: {(result or {}).get('evalue', '')}"
        status = "timeout" if text.startswith("KeyboardInterrupt") else "error"
        return Reply(status, " ".join(text.split())[:200])
    try:
        return Reply("ok", value=ast.literal_eval(ast.literal_eval(result["data"]["text/plain"])))
    except (KeyError, SyntaxError, TypeError, ValueError):
        return Reply("error", "gave no readable result")


@contextlib.contextmanager
def _kernel(limits: Limits) -> Iterator[_Kernel]:
    """A kernel in a folder and a session of its own; both are gone afterwards."""
    from jupyter_client import KernelManager

    folder = Path(tempfile.mkdtemp(prefix="mx-")).resolve()         # short: a socket's path has 100 bytes
    manager = KernelManager(kernel_name="python3", connection_file=str(folder / "k.json"), transport="ipc",
                            ip=str(folder / "s"), shutdown_wait_time=0.5)
    work = folder / "work"
    work.mkdir()
    try:
        manager.start_kernel(cwd=str(work), env=_environment(work), extra_arguments=[
            "--HistoryManager.enabled=False", "--InteractiveShell.colors=NoColor"])
        client = manager.blocking_client()
        client.start_channels(shell=True, iopub=False, stdin=False, hb=False, control=False)
        try:
            kernel = _Kernel(manager, client)
            setup = SETUP.format(memory=limits.memory, file=limits.file, folder=str(work))
            ready = kernel.run(setup, START)
            if ready.status != "ok":
                raise RuntimeError(f"the kernel could not be set up: {ready.text}")
            yield kernel
        finally:
            client.stop_channels()
    finally:
        _end(manager)
        shutil.rmtree(folder, ignore_errors=True)


def _end(manager: Any) -> None:
    """End the kernel and what it started in its session."""
    process = getattr(getattr(manager, "provisioner", None), "process", None)
    if process is not None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    if manager.has_kernel:
        manager.shutdown_kernel(now=True)


def _environment(work: Path) -> dict[str, str]:
    """A bare environment: no secrets, no home, one thread."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "PYTHONPATH", "MIXTHEORY_DATA", "SYSTEMROOT")
            if name in os.environ}
    own = {name: str(work) for name in ("HOME", "TMPDIR", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "MIXTHEORY_BUILD")}
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    return {**kept, **own, **threads, "MPLBACKEND": "Agg", "PYTHONDONTWRITEBYTECODE": "1"}


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    json.dump(asdict(_run(asked["cells"], asked["tests"], Limits(**asked["limits"]))), sys.stdout)
