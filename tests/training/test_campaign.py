"""Campaigns: what runs, in which order, what is kept, what is thrown away, what fails."""

from __future__ import annotations

import json
import random
import sys
import types

import numpy as np
import pytest

from mixtheory import page, paths
from mixtheory.domain import DomainError
from mixtheory.evidence import Evidence, ledger
from mixtheory.evidence import record as record_module
from mixtheory.evidence.record import Measurement, Observation, Record, RecordError
from mixtheory.training import campaign, experiments, jobs, sweep
from mixtheory.training.jobs import Job


@pytest.fixture
def out(tmp_path):
    return tmp_path / "records"


@pytest.fixture
def begun(monkeypatch, tmp_path):
    """The pieces that were begun, in order."""
    monkeypatch.setenv("SCRATCH_LOG", str(tmp_path / "log"))

    def lines():
        return (tmp_path / "log").read_text().splitlines() if (tmp_path / "log").exists() else []
    return lines


@pytest.fixture
def plain(scratch, monkeypatch):
    """Another experiment, with `measure`; `returns` is what it returns."""
    one = Measurement("mean", "mixing_moments.shrinkage", {}, (0.0, 0.1) * 8, 0.0, 0.5)
    module = types.SimpleNamespace(DATASETS=("digits",), SIZES={"quick": 1}, returns=({}, [one]))
    module.measure = lambda dataset, *, size, device, seeds, progress: module.returns
    true = jobs.experiment_source
    for place in (jobs, sweep, record_module):
        monkeypatch.setattr(place, "experiment_source", lambda name: "plain" if name == "plain" else true(name))
    monkeypatch.setitem(sys.modules, "mixtheory.training.experiments.plain", module)
    monkeypatch.setattr(experiments, "EXPERIMENTS", (*experiments.EXPERIMENTS, "plain"))
    return module


def go(out, *names, lines=None, fresh=False, again=False, datasets=("digits",), scale="quick", **how):
    """Plan and run; the jobs."""
    say = (lambda line: None) if lines is None else lines.append
    planned = jobs.plan(names or ("scratch",), datasets=datasets, scale=scale, out=out, fresh=fresh, again=again,
                        say=say)
    campaign.run(planned, out=out, say=say, **how)
    return planned


def part(scratch, out, pieces, **how):
    """A campaign that got no further than these pieces."""
    planned = jobs.plan(("scratch",), datasets=("digits",), out=out, **how)
    for piece in pieces:
        jobs.keep(planned[0], piece, sweep.attempt(planned[0].task(piece)), print)
    return planned[0]


# --- pieces -------------------------------------------------------------------------------------------------

def test_a_campaign_finds_what_a_plain_run_finds(scratch, out, begun):
    (job,) = go(out)
    assert job.outcome == "recorded"
    assert len(begun()) == 6
    record = Record.load(out / "scratch.digits.quick.cpu.json")
    assert record.result == experiments.run("scratch").result
    assert record.select("mean", k=2).values == tuple(
        float(np.random.default_rng([2, seed]).normal(size=99).mean()) for seed in range(16))
    assert record.observation("first").values == record.select("mean", k=0).values[:1]
    assert record.environment["threads"] == 1
    assert record.wall_seconds == pytest.approx(sum(p["wall_seconds"] for p in job.done.values()), abs=1e-3)
    assert not job.folder.exists()


@pytest.mark.parametrize("observations", [[], [[Observation("loss", {"k": (1, 2)}, (1 / 3,), "nats")]]])
def test_a_module_with_measure_is_one_piece(plain, out, observations):
    measured = Measurement("mean", "mixing_moments.shrinkage", {"shape": (1, 2)}, (0.1, 1 / 3) * 8, 0.2, 0.5)
    plain.returns = {"sizes": (1, 2)}, [measured], *observations
    (job,) = go(out, "plain")
    assert job.pieces == ("whole",)
    assert job.record.result == experiments.run("plain").result
    assert job.record.config == {"sizes": [1, 2]}
    assert job.record.select("mean").values == measured.values
    assert [o.values for o in job.record.observations] == [o.values for more in observations for o in more]


def test_pieces_are_kept_and_not_run_again(scratch, out, begun):
    part(scratch, out, ["arm.4", "arm.1"])
    assert begun() == ["digits arm.4", "digits arm.1"]
    (job,) = go(out)
    assert sorted(begun()) == [f"digits arm.{k}" for k in range(6)]
    assert job.record.result == experiments.run("scratch").result


def test_a_campaign_that_was_killed_before_its_last_step_concludes(scratch, out, begun):
    part(scratch, out, [f"arm.{k}" for k in range(6)])
    (job,) = go(out, budget=0.0)
    assert job.outcome == "recorded"
    assert len(begun()) == 6


def test_every_damage_to_a_piece_is_noticed(scratch, out):
    job = part(scratch, out, ["arm.0"])
    path = job.folder / "arm.0.json"
    whole = path.read_bytes()
    spread = random.Random(5)
    for i in range(len(whole)):
        byte = whole[i] ^ (1 << spread.randrange(8))
        path.write_bytes(whole[:i] + bytes([byte]) + whole[i + 1:])
        with pytest.raises(RecordError):
            jobs._read(job, "arm.0")
    path.write_bytes(whole)
    assert jobs._read(job, "arm.0")["found"] == job.done["arm.0"]["found"]


@pytest.mark.parametrize(("damage", "message"), [
    (lambda text: text[:len(text) // 2], "not a complete record"), (lambda text: "", "not a complete record"),
    (lambda text: text.replace('"k": 0', '"k": 1'), "damaged or edited by hand")])
def test_a_damaged_piece_is_thrown_away_and_run_again(scratch, out, begun, damage, message):
    path = part(scratch, out, ["arm.0", "arm.1"]).folder / "arm.0.json"
    path.write_text(damage(path.read_text()))
    lines = []
    (job,) = go(out, lines=lines)
    assert "piece arm.0: thrown away" in lines[0]
    assert message in lines[0]
    assert begun().count("digits arm.0") == 2
    assert begun().count("digits arm.1") == 1
    assert job.record.result == experiments.run("scratch").result


def test_a_piece_by_other_code_or_of_something_else_is_thrown_away(scratch, out, begun, monkeypatch):
    with monkeypatch.context() as then:
        then.setattr(jobs, "experiment_source", lambda name: "old")
        then.setattr(sweep, "experiment_source", lambda name: "old")
        old = part(scratch, out, ["arm.0"])
    (old.folder / "keep").write_text((old.folder / "arm.0.json").read_text())
    new = part(scratch, out, ["arm.2"])
    (new.folder / "keep").rename(new.folder / "arm.0.json")
    (new.folder / "arm.3.json").write_text((new.folder / "arm.2.json").read_text())
    lines = []
    planned = jobs.plan(("scratch",), datasets=("digits",), out=out, say=lines.append)
    assert list(planned[0].done) == ["arm.2"]
    assert ["by other code" in lines[0], "something else" in lines[1]] == [True, True]
    assert sorted(p.name for p in new.folder.iterdir()) == ["arm.2.json"]


def test_what_json_would_change_is_refused(scratch, out, monkeypatch):
    for wrong, message in (({"x": float("nan")}, "scratch.arm.0.x: nan"), ({3: 1.0}, "key 3 is not a string"),
                           ({"x": [np.float32(1)]}, r"x[0]: a float32"), ({"x": np.zeros(2)}, "ndarray")):
        monkeypatch.setattr(scratch, "measure_piece", lambda *a, wrong=wrong, **k: wrong)
        (job,) = go(out)
        assert job.outcome == "failed"
        assert message in job.failed["arm.0"]


def test_floats_survive_exactly(scratch, monkeypatch):
    values = [0.1, 1 / 3, 5e-324, 1.7976931348623157e308, -0.0, 2**53 + 1]
    monkeypatch.setattr(scratch, "measure_piece", lambda *a, **k: {"values": values, "pair": (1, 2)})
    finding = sweep.attempt(sweep.Task("scratch", "arm.0", "digits", "quick", "cpu"))
    back = json.loads(json.dumps(finding))["found"]
    assert back == finding["found"] == {"values": values, "pair": [1, 2]}
    assert str(back["values"][4]) == "-0.0"


@pytest.mark.parametrize("names", [(), ("a", "a"), ("a/b",), ("..",), ("",), (".a",)])
def test_names_of_pieces_must_be_fit_for_files(scratch, out, monkeypatch, names):
    monkeypatch.setattr(scratch, "pieces", lambda dataset, size: names)
    with pytest.raises(DomainError, match="pieces = "):
        jobs.plan(("scratch",), datasets=("digits",), out=out)


# --- records ------------------------------------------------------------------------------------------------

def test_what_is_up_to_date_is_left_alone_unless_told(scratch, out, begun):
    go(out)
    before = (out / "scratch.digits.quick.cpu.json").read_bytes()
    (job,) = go(out)
    assert (job.outcome, job.verdicts["agrees"], len(begun())) == ("up to date", 6, 6)
    assert (out / "scratch.digits.quick.cpu.json").read_bytes() == before
    go(out, again=True)
    assert len(begun()) == 12
    part(scratch, out, ["arm.0"], fresh=True)
    go(out, fresh=True)
    assert len(begun()) == 12 + 1 + 6


@pytest.mark.parametrize(("damage", "message"), [
    (lambda text: text[:-40], "not a complete record"),
    (lambda text: text.replace('"margin": 0.5', '"margin": 0.6'), "damaged or edited by hand")])
def test_a_damaged_record_is_made_again(scratch, out, damage, message):
    path = out / "scratch.digits.quick.cpu.json"
    result = go(out)[0].record.result
    path.write_text(damage(path.read_text()))
    lines = []
    (job,) = go(out, lines=lines)
    assert job.outcome == "recorded"
    assert "made again" in lines[0]
    assert message in lines[0]
    assert Record.load(path).result == result


def test_a_stale_record_is_made_again_and_marked_where_it_is_shown(scratch, out, begun, monkeypatch):
    monkeypatch.setattr(jobs, "experiment_source", lambda name: "old")
    monkeypatch.setattr(sweep, "experiment_source", lambda name: "old")
    monkeypatch.setattr("mixtheory.evidence.record.experiment_source", lambda name: "old")
    go(out)
    monkeypatch.setattr("mixtheory.evidence.record.experiment_source", lambda name: "new")
    record = Record.load(out / "scratch.digits.quick.cpu.json")
    assert record.stale
    monkeypatch.setattr(paths, "RECORDS", out)
    assert "stale: the code has changed since" in page.runs("scratch").text
    row = ledger.rows({"mixing_moments.shrinkage": Evidence("mixing_moments.shrinkage")}, [record])[0]
    assert row.observed("cpu").startswith("stale")
    monkeypatch.setattr(jobs, "experiment_source", lambda name: "new")
    monkeypatch.setattr(sweep, "experiment_source", lambda name: "new")
    lines = []
    (job,) = go(out, lines=lines)
    assert "by other code" in lines[0]
    assert job.outcome == "recorded"
    assert len(begun()) == 12
    assert not Record.load(out / "scratch.digits.quick.cpu.json").stale


def test_full_records_may_have_few_seeds(scratch, out):
    (job,) = go(out, scale="full")
    assert job.record.seeds == (3, 5)
    assert {len(m.values) for m in job.record.measurements} == {2}


def test_what_a_killed_write_left_is_cleared_away(scratch, out):
    out.mkdir()
    (out / ".scratch.digits.quick.cpu.json.x7k2").write_text("{")
    (out / ".scratch.mnist.quick.cpu.json.x7k2").write_text("{")
    go(out)
    assert [p.name for p in out.glob(".*")] == [".scratch.mnist.quick.cpu.json.x7k2"]


# --- failures -----------------------------------------------------------------------------------------------

def test_a_failing_piece_stops_neither_its_record_nor_the_others(scratch, plain, out, begun, monkeypatch):
    monkeypatch.setenv("SCRATCH_FAIL", "arm.2")
    lines = []
    planned = go(out, "scratch", "plain", lines=lines)
    assert [job.outcome for job in planned] == ["failed", "recorded"]
    assert planned[0].failed == {"arm.2": "MemoryError: no more memory"}
    assert "raise MemoryError" in planned[0].tracebacks[0]
    assert any("piece arm.2: failed: MemoryError" in line for line in lines)
    assert len(begun()) == 6
    monkeypatch.delenv("SCRATCH_FAIL")
    (job,) = go(out)
    assert job.outcome == "recorded"
    assert begun()[6:] == ["digits arm.2"]


def test_a_failing_conclusion_keeps_the_pieces(scratch, out, begun, monkeypatch):
    true = scratch.conclude
    monkeypatch.setattr(scratch, "conclude", lambda *a, **k: 1 / 0)
    (job,) = go(out)
    assert (job.outcome, list(job.failed)) == ("failed", [job.name])
    monkeypatch.setattr(scratch, "conclude", true)
    assert go(out)[0].outcome == "recorded"
    assert len(begun()) == 6


def test_a_worker_with_other_code_is_refused(scratch, out, monkeypatch):
    monkeypatch.setattr(sweep, "experiment_source", lambda name: "another")
    (job,) = go(out)
    assert job.outcome == "failed"
    assert "other code" in job.failed["arm.0"]


def test_data_that_are_not_at_hand_are_skipped_and_no_failure(scratch, out, begun, monkeypatch):
    monkeypatch.setattr(sweep.data, "at_hand", lambda name: name == "digits")
    planned = go(out, datasets=None)
    assert {job.dataset: job.outcome for job in planned} == {"digits": "recorded", "mnist": "not at hand"}
    assert len(begun()) == 6


def test_an_interruption_passes_and_loses_nothing(scratch, out, begun, monkeypatch):
    true = scratch.measure_piece

    def interrupted(piece, *args, **how):
        if piece == "arm.3":
            raise KeyboardInterrupt
        return true(piece, *args, **how)

    monkeypatch.setattr(scratch, "measure_piece", interrupted)
    with pytest.raises(KeyboardInterrupt):
        go(out)
    monkeypatch.setattr(scratch, "measure_piece", true)
    assert go(out)[0].outcome == "recorded"
    assert sorted(begun()) == [f"digits arm.{k}" for k in range(6)]


def test_nothing_is_counted_twice(scratch, out, monkeypatch):
    true = sweep.results

    def twice(tasks, **how):
        for task, finding in true(tasks, **how):
            yield task, finding
            yield task, {**finding, "found": {"k": 9, "values": [9.0] * 16}}

    monkeypatch.setattr(sweep, "results", twice)
    (job,) = go(out)
    assert job.record.result == experiments.run("scratch").result


def test_a_piece_with_which_workers_die_is_given_up_and_the_others_go_on(scratch, out, monkeypatch):
    def deadly(tasks, **how):
        for task in tasks:
            if task.piece == "arm.1":
                raise sweep.Broken("its worker died")
            yield task, sweep.attempt(task)

    monkeypatch.setattr(sweep, "results", deadly)
    (job,) = go(out)
    assert job.failed == {"arm.1": "its worker died"}
    assert len(job.done) == 5
    monkeypatch.setattr(sweep, "results", lambda tasks, **how: (_ for _ in ()).throw(sweep.Broken("no worker")))
    with pytest.raises(OSError, match="no worker"):
        go(out)


# --- order and budget ---------------------------------------------------------------------------------------

def job(name, pieces, value, minutes, **changes):
    return Job(name, "digits", "quick", "cpu", tuple(f"p{i}" for i in range(pieces)), value, minutes, **changes)


def order(planned, budget=float("inf")):
    return [f"{t.experiment}.{t.piece}" for t in campaign._Queue(planned, budget).tasks()]


def test_the_most_valuable_for_a_minute_comes_first():
    a, b, c = job("a", 1, 1.0, 2.0), job("b", 1, 3.0, 3.0), job("c", 2, 3.0, 1.0)
    assert order([a, b, c]) == ["c.p0", "c.p1", "b.p0", "a.p0"]     # 1.5, 1 and 0.5 a minute
    c.done = {"p0": {}}
    a.done, a.pieces, a.value = {"p1": {}}, ("p0", "p1"), 8.0
    assert order([a, b, c]) == ["a.p0", "c.p1", "b.p0"]             # 4, 3, 1: only what is left to do costs


def test_nothing_is_started_that_the_budget_does_not_hold():
    long, short, bits = job("long", 1, 100.0, 5.0), job("short", 1, 1.0, 3.0), job("bits", 3, 50.0, 2.0)
    assert order([long, short, bits], 10) == ["long.p0", "bits.p0", "bits.p1", "bits.p2", "short.p0"]
    assert order([long, short, bits], 4) == ["short.p0", "bits.p0", "bits.p1", "bits.p2"]   # a whole record first
    assert order([long, short, bits], 1.9) == []


def test_a_record_that_cannot_be_made_today_comes_last():
    broken, sound = job("broken", 2, 9.0, 1.0, failed={"p0": "no"}), job("sound", 1, 1.0, 1.0)
    assert order([broken, sound]) == ["sound.p0", "broken.p1"]


def test_time_that_has_passed_counts(scratch, out, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(campaign.time, "monotonic", lambda: clock[0])
    true = scratch.measure_piece

    def slow(*args, **how):
        clock[0] += 6.0                     # seconds; declared are 0.6 minutes for 6 pieces
        return true(*args, **how)

    monkeypatch.setattr(scratch, "measure_piece", slow)
    monkeypatch.setattr(jobs, "_learn", lambda job: None)
    (found,) = go(out, budget=0.35)
    assert (found.outcome, len(found.done)) == ("over budget", 3)
    (found,) = go(out, budget=0.31)
    assert found.outcome == "recorded"


def test_costs_are_declared_then_recorded_then_seen(scratch, out):
    def minutes(**how):
        return jobs.plan(("scratch",), datasets=("digits",), out=out, **how)[0].minutes

    assert minutes() == pytest.approx(0.1)
    record = experiments.run("scratch")
    for name, expected in ((record.environment["device_name"], 2.0), ("another machine", 0.1)):
        Record(**{**vars(record), "wall_seconds": 720.0, "source": "old",
                  "environment": {**record.environment, "device_name": name}}).save(out)
        assert minutes() == pytest.approx(expected)
    done = part(scratch, out, ["arm.0"])
    assert minutes() == pytest.approx(done.done["arm.0"]["wall_seconds"] / 60)
    assert minutes() < 0.01


def test_all_is_what_has_a_value_at_this_scale(scratch, out, monkeypatch):
    monkeypatch.setattr(sweep, "at_hand", lambda names, scheduler: dict.fromkeys(names, True))
    monkeypatch.setattr(experiments, "EXPERIMENTS", ("mixing_moments", "scratch"))
    monkeypatch.setattr(experiments._module("mixing_moments"), "VALUE", {}, raising=False)

    def planned(**how):
        return [f"{j.experiment}.{j.dataset}" for j in jobs.plan(out=out, **how)]

    images = ("digits", "mnist", "fashion_mnist", "cifar10")
    assert planned() == [*(f"mixing_moments.{d}" for d in images), "scratch.digits", "scratch.mnist"]
    monkeypatch.setattr(scratch, "VALUE", {"mnist": 0})
    assert "scratch.mnist" not in planned()
    assert "scratch.mnist" in planned(datasets=["mnist"])
    monkeypatch.setattr(scratch, "VALUE", {"mnist": 2.0, ("mnist", "quick", "cpu"): 0})
    assert "scratch.mnist" not in planned()
    monkeypatch.setattr(scratch, "VALUE", {"mnist": 0, ("mnist", "quick", "cpu"): 2.0})
    assert "scratch.mnist" in planned()
    monkeypatch.setattr(scratch, "SIZES", {"full": 3})
    assert not [name for name in planned() if name.startswith("scratch")]
    with pytest.raises(DomainError, match="scale = 'quick'"):
        planned(names=("scratch",))
    for wrong, message in (({"datasets": ["mnits"]}, "mnits"), ({"names": ("optics",)}, "optics"),
                           ({"names": ("mixing_moments",), "datasets": ["diabetes"]}, "no experiment")):
        with pytest.raises(DomainError, match=message):
            planned(**wrong)


# --- the environment ----------------------------------------------------------------------------------------

def test_environments_are_put_together():
    entries = [{"environment": {"device_name": "A", "threads": 1, "gpu_utilisation": 50.0}, "wall_seconds": 3.0},
               {"environment": {"device_name": "B", "threads": 1, "gpu_utilisation": 90.0}, "wall_seconds": 1.0},
               {"environment": {"device_name": "A", "threads": 1}, "wall_seconds": 5.0}]
    assert jobs._together(entries) == {"device_name": "A, B", "threads": 1, "gpu_utilisation": 60.0}
    assert jobs._together(entries[2:]) == {"device_name": "A", "threads": 1}
