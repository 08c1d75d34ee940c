"""A campaign that is killed at random points and started again makes the records of one that was left alone.

Three kills here. Ten, or more: MIXTHEORY_KILLS=10 .venv/bin/python -m pytest -s tests/training/test_kill.py
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time

from mixtheory.evidence.record import read_records

KILLS = int(os.environ.get("MIXTHEORY_KILLS", "3"))
SEED = int(os.environ.get("MIXTHEORY_KILL_SEED", "1"))
COMMAND = [sys.executable, "-m", "mixtheory.cli", "train", "--all", "scratch", "least_squares", "--datasets", "digits"]


def campaign(place, folder):
    """A campaign with records and pieces of its own, in a process group of its own."""
    env = {**place, "MIXTHEORY_BUILD": str(folder), "SCRATCH_PAUSE": "0.2", "SCRATCH_LOG": str(folder) + ".log"}
    return subprocess.Popen(COMMAND, env=env, cwd=env["PYTHONPATH"], start_new_session=True, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def results(folder):
    found = {record.name: record.result for record in read_records(folder / "runs")}
    assert sorted(found) == ["least_squares.digits.quick.cpu", "scratch.digits.quick.cpu"]
    assert not [*(folder / "campaign").iterdir()]
    return found


def say(line):
    sys.stdout.write(line + "\n")


def begun(folder):
    log = folder.with_suffix(".log")
    return len(log.read_text().splitlines()) if log.exists() else 0


def kept(folder):
    return sum(1 for _ in (folder / "campaign").rglob("arm.?.json"))


def stages(folder):
    """Points at which a campaign may be killed, as conditions to wait for: the start, each piece, the next record."""
    before, left = begun(folder), 6 - kept(folder)
    first = folder / "runs" / "scratch.digits.quick.cpu.json"
    if first.exists():
        return {"the start": lambda: True}
    return {"the start": lambda: True, "the first record": first.exists,
            **{f"the start of piece {k} of {left}": lambda k=k: begun(folder) >= before + k
               for k in range(1, left + 1)}}


def test_kills_change_nothing(package, tmp_path):
    start = time.monotonic()
    alone = campaign(package, tmp_path / "alone")
    _, err = alone.communicate(timeout=120)
    took = time.monotonic() - start
    assert alone.returncode == 0, err
    expected = results(tmp_path / "alone")

    draw, killed, finished, folder = random.Random(SEED), 0, 0, tmp_path / "killed"
    say(f"\nseed {SEED}; left alone it takes {took:.1f} s")
    while killed < KILLS or not finished:
        options = stages(folder)
        process = campaign(package, folder)
        if killed < KILLS:
            stage, part = draw.choice(list(options)), draw.random()
            while not options[stage]() and process.poll() is None:
                time.sleep(0.005)
            delay = part * (0.4 if "piece" in stage else took / 2 if "record" in stage else took)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(delay)
        if killed < KILLS and process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            killed += 1
            say(f"killed {delay:.3f} s after {stage}; pieces at hand: {kept(folder)}, "
                f"records: {len(read_records(folder / 'runs'))}")
        else:
            _, err = process.communicate(timeout=120)
            assert process.returncode == 0, err
            assert results(folder) == expected
            finished += 1
            say(f"ran to its end after {killed} kills: the same records")
            shutil.rmtree(folder)
    assert killed == KILLS
