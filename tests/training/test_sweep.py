"""Pieces in processes and on a cluster: the same record, each piece once, whatever happens to the workers."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
import types

import pytest

from mixtheory.domain import DomainError
from mixtheory.evidence.record import Record
from mixtheory.training import experiments, sweep

needs_joblib = pytest.mark.skipif(importlib.util.find_spec("joblib") is None, reason="joblib is not installed")
needs_dask = pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="dask is not installed")
COMMAND = [sys.executable, "-m", "mixtheory.cli", "train", "--all", "scratch", "--datasets", "digits", "--out"]


@pytest.fixture
def expected(scratch):
    """The result of an undisturbed run in one process."""
    return experiments.run("scratch").result


@pytest.fixture
def place(package, tmp_path):
    """The environment of a campaign of its own."""
    return {**package, "MIXTHEORY_BUILD": str(tmp_path / "build_of_others"), "SCRATCH_LOG": str(tmp_path / "log")}


@pytest.fixture
def processes():
    """Start processes; all that are left are killed."""
    started = []

    def start(*command, env):
        started.append(subprocess.Popen([str(c) for c in command], env=env, start_new_session=True, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=env["PYTHONPATH"]))
        return started[-1]

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def train(out, *options, env):
    """Run a campaign to its end."""
    return subprocess.run([*COMMAND, str(out), *options], env=env, cwd=env["PYTHONPATH"], capture_output=True,
                          text=True)


def soon(condition, seconds=60):
    """Wait until it holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def begun(tmp_path):
    return sorted((tmp_path / "log").read_text().splitlines()) if (tmp_path / "log").exists() else []


ALL = [f"digits arm.{k}" for k in range(6)]


# --- processes ----------------------------------------------------------------------------------------------

@needs_joblib
def test_processes_find_the_same_and_run_each_piece_once(expected, place, tmp_path):
    done = train(tmp_path, "--jobs", "2", env=place)
    assert (done.returncode, done.stderr) == (0, "")
    record = Record.load(tmp_path / "scratch.digits.quick.cpu.json")
    assert record.result == expected
    assert begun(tmp_path) == ALL


@needs_joblib
def test_a_process_that_dies_with_a_piece_does_not_take_the_others_along(place, tmp_path):
    done = train(tmp_path, "--jobs", "2", env={**place, "SCRATCH_DIE": "arm.5"})
    assert done.returncode == 1
    assert "piece arm.5: failed: a worker process died" in done.stdout
    assert "Traceback" not in done.stderr
    kept = tmp_path / "build_of_others" / "campaign" / "scratch.digits.quick.cpu"
    assert len(list(kept.iterdir())) >= 4           # a neighbour of the deadly piece may have died with it
    done = train(tmp_path, env=place)
    assert done.returncode == 0


@needs_joblib
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_an_interruption_leaves_no_process_and_the_pieces(processes, place, tmp_path, jobs):
    campaign = processes(*COMMAND, tmp_path, "--jobs", jobs, env={**place, "SCRATCH_PAUSE": "0.5"})
    kept = tmp_path / "build_of_others" / "campaign" / "scratch.digits.quick.cpu"
    soon(lambda: kept.exists() and list(kept.glob("arm*")))
    os.killpg(campaign.pid, signal.SIGINT)
    _, err = campaign.communicate(timeout=30)       # ends only when every worker has closed its output
    assert campaign.returncode == 130
    assert err == "mixtheory: interrupted; what was finished is kept\n"
    assert list(kept.glob("arm*"))


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "joblib", None)
    task = sweep.Task("scratch", "arm.0", "digits", "quick", "cpu")
    with pytest.raises(DomainError, match=r"needs joblib, .* pip install 'mixtheory\[sweep\]'"):
        next(sweep.results([task], jobs=2))


# --- a cluster ----------------------------------------------------------------------------------------------

@pytest.fixture
def cluster(processes, tmp_path):
    """A scheduler with two worker processes on this machine; its address and the workers."""
    def start(place):
        where = tmp_path / "scheduler.json"
        processes(sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0",
                  "--no-dashboard", "--no-show", "--scheduler-file", where, env=place)
        workers = [processes(sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", where,
                             "--no-dashboard", "--no-nanny", "--nthreads", "1", "--name", str(i),
                             "--local-directory", tmp_path / f"worker{i}", env=place)
                   for i in range(2)]
        soon(where.exists)
        return json.loads(where.read_text())["address"], workers
    return start


@needs_dask
@needs_joblib
def test_a_worker_that_is_killed_changes_nothing(processes, cluster, expected, place, tmp_path):
    slow = {**place, "SCRATCH_PAUSE": "0.4"}
    address, workers = cluster(slow)
    assert address.startswith("tcp://127.0.0.1:")
    campaign = processes(*COMMAND, tmp_path, "--scheduler", address, env=place)
    kept = tmp_path / "build_of_others" / "campaign" / "scratch.digits.quick.cpu"
    soon(lambda: len(list(kept.glob("arm*"))) >= 2 or campaign.poll() is not None)
    workers[0].send_signal(signal.SIGKILL)
    out, err = campaign.communicate(timeout=60)
    assert (campaign.returncode, err) == (0, ""), err
    assert " 6 / 6 " in out
    record = Record.load(tmp_path / "scratch.digits.quick.cpu.json")
    assert record.result == expected
    assert sorted(set(begun(tmp_path))) == ALL
    assert len(begun(tmp_path)) <= 7                # the piece that died with its worker was begun again
    assert workers[0].poll() == -signal.SIGKILL
    assert workers[1].poll() is None


class Cluster:
    """A stand-in for a Dask client."""

    def __init__(self, status="running", futures=(), workers=1):
        self.status, self.workers = status, workers
        self.futures = {i: types.SimpleNamespace(status=s) for i, s in enumerate(futures)}

    def ncores(self):
        return {f"worker {i}": 1 for i in range(self.workers)}


@pytest.mark.parametrize(("cluster", "error", "message"), [
    (Cluster("closed", ["pending"]), OSError, "the scheduler is gone"),
    (Cluster(futures=["pending"], workers=0), OSError, "no worker for 0.05 s"),
    (Cluster(futures=[]), sweep.Broken, "its workers died"),            # as after KilledWorker: joblib lets go
    (Cluster(futures=["error", "finished"]), sweep.Broken, "its workers died")])
def test_joblib_does_not_wait_for_ever(monkeypatch, cluster, error, message):
    monkeypatch.setattr(sweep, "POLL", 0.01)
    monkeypatch.setattr(sweep, "PATIENCE", 0.05)
    silence = threading.Event()

    def stuck():
        yield "first"
        silence.wait(30)

    found = sweep._watched(stuck(), cluster, {"a task"})
    assert next(found) == "first"
    with pytest.raises(error, match=message):
        next(found)
    silence.set()


@pytest.mark.parametrize("status", ["pending", "lost"])
def test_slow_pieces_are_waited_for(monkeypatch, status):
    monkeypatch.setattr(sweep, "POLL", 0.01)

    def slow():
        time.sleep(0.2)
        yield "late"

    assert list(sweep._watched(slow(), Cluster(futures=[status, "finished"]), {"a task"})) == ["late"]


def test_what_joblib_raises_is_raised():
    def broken():
        yield "first"
        raise TimeoutError("no workers")

    with pytest.raises(TimeoutError, match="no workers"):
        list(sweep._watched(broken(), Cluster(), set()))


@needs_dask
@needs_joblib
def test_a_scheduler_that_is_not_there_is_one_line(place, tmp_path):
    done = train(tmp_path, "--scheduler", "tcp://127.0.0.1:1",
                 env={**place, "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "1"})
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("mixtheory: ")
    assert done.stderr.count("\n") == 1


# --- the GPU ------------------------------------------------------------------------------------------------

def sampled(monkeypatch, tmp_path, script, device="cuda"):
    """What is seen in a fifth of a second if nvidia-smi is this script; None: if there is none."""
    if script is not None:
        (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with sweep.utilisation(device, every=0.02) as samples:
        time.sleep(0.2)
    return samples


def test_utilisation_is_sampled_while_it_runs(monkeypatch, tmp_path):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,1")
    samples = sampled(monkeypatch, tmp_path, '[ "$1" = --id=3 ] && echo 87')
    assert set(samples) == {87.0}
    count = len(samples)
    time.sleep(0.1)
    assert len(samples) == count > 1


@pytest.mark.parametrize("script", [None, "echo '[N/A]'", "exit 9", "true"])
def test_no_utilisation_is_no_failure(monkeypatch, tmp_path, script):
    assert sampled(monkeypatch, tmp_path, script) == []


def test_no_utilisation_is_asked_for_on_a_cpu(monkeypatch, tmp_path):
    assert sampled(monkeypatch, tmp_path, "echo 87", device="cpu") == []


def test_the_mean_utilisation_is_kept_with_a_piece(scratch, monkeypatch):
    monkeypatch.setattr(sweep, "utilisation", lambda device: contextlib.nullcontext([80.0, 90.0, 100.0]))
    finding = sweep.attempt(sweep.Task("scratch", "arm.0", "digits", "quick", "cpu"))
    assert finding["environment"]["gpu_utilisation"] == 90.0
