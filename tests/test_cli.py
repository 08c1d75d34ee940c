"""The command line: what it prints, and with which code it ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest
import sympy as sp
import torch

from mixtheory import cli, paths
from mixtheory.domain import DomainError
from mixtheory.evidence import Claim, Derivation, predicts
from mixtheory.evidence import account as account_module
from mixtheory.evidence import claim as claim_module
from mixtheory.evidence import record as record_module
from mixtheory.evidence.account import Account
from mixtheory.evidence.record import Measurement, Observation, Record
from mixtheory.training import data, jobs, sweep
from mixtheory.training import experiments as training

P = sp.Symbol("p", positive=True)


def chance(p):
    """Of heads."""
    return p * 1


def toss(size, *, rng, p):
    return (rng.random(size) < p).astype(float)


def fake(name, **changes):
    fields = {"title": "A coin", "statement": r"\Pr = p", "assumptions": ("the coin has no memory",),
              "fails_when": "it lands on its edge", "predict": chance, "cases": ({"p": 0.3},),
              "derive": lambda: Derivation("p", P * (1 + P) - P**2, {"p": P}).equals(chance(P), "algebra"),
              "exact": lambda p: 1 - (1 - p), "simulate": toss, "resolution": 0.1,
              "wrong": {"doubled": predicts(lambda p: 2 * p)}}
    return Claim(id=name, **{**fields, **changes})


@pytest.fixture(autouse=True)
def registry(monkeypatch, tmp_path):
    """No claims but those made here, no store but this one."""
    monkeypatch.setattr(claim_module, "_REGISTRY", {})
    monkeypatch.setattr(account_module, "_REGISTRY", {})
    monkeypatch.setattr(cli, "_register", lambda: None)
    monkeypatch.setattr(paths, "BUILD", tmp_path / "build")
    monkeypatch.setattr(paths, "RECORDS", None)


@pytest.fixture
def run(capsys):
    """Run a command; its code, standard output and standard error."""
    def command(*words):
        code = cli.main([str(w) for w in words])
        said = capsys.readouterr()
        return code, said.out, said.err
    return command


# --- verify -------------------------------------------------------------------------------------------------

def test_sound_claims_pass(run):
    fake("fake.one")
    fake("fake.two", derive=lambda: Derivation("p", P, {"p": P}).appeal(chance(P), "as is", claim="fake.one"))
    code, out, err = run("verify", "--jobs", 1)
    assert code == 0
    assert "2 of 2 claims stand, seed 0" in out
    assert [line.split()[:2] for line in out.splitlines()[2:4]] == [["fake.one", "ok"], ["fake.two", "ok"]]
    assert err == ""


def test_any_problem_fails_and_is_told(run):
    fake("fake.good")
    fake("fake.bad", exact=lambda p: p + 0.01)
    code, out, _ = run("verify", "--jobs", 1)
    assert code == 1
    assert "fake.bad: exact: error" in out
    assert "1 of 2 claims stand" in out
    assert run("verify", "fake.good", "--jobs", 1)[0] == 0
    code, out, _ = run("verify", "--quiet", "--jobs", 1)
    assert code == 1
    assert all(line.startswith("fake.bad: ") for line in out.splitlines())


def test_a_basis_that_does_not_exist_fails(run):
    start = Derivation("p", P, {"p": P})
    fake("fake.one", derive=lambda: start.appeal(chance(P), "so", claim="fake.nowhere"))
    code, out, _ = run("verify", "--jobs", 1)
    assert code == 1
    assert "fake.nowhere, which is not registered" in out


def test_an_unknown_claim_is_refused(run):
    fake("fake.one")
    code, out, err = run("verify", "fake.one", "fake.typo")
    assert (code, out) == (2, "")
    assert "no such claim: fake.typo" in err
    assert err.count("\n") == 1


def test_what_is_stored_is_read_and_fresh_computes_again(run):
    calls = []

    def counted(size, *, rng, p):
        calls.append(size)
        return toss(size, rng=rng, p=p)

    fake("fake.one", simulate=counted)
    run("verify", "--jobs", 1)
    first = len(calls)
    run("verify", "--jobs", 1)
    assert len(calls) == first > 0
    run("verify", "--jobs", 1, "--fresh")
    assert len(calls) == 2 * first
    run("verify", "--jobs", 1, "--seed", 5)
    assert len(calls) > 2 * first


def test_the_seed_changes_the_draws(run):
    fake("fake.one")
    outputs = [run("verify", "--jobs", 1, "--seed", seed)[1].splitlines()[2] for seed in (0, 0, 1)]
    stored = [json.loads((paths.BUILD / "evidence" / f"fake.one.{s}.json").read_text()) for s in (0, 1)]
    assert outputs[0] == outputs[1]
    means = [e["evidence"]["monte_carlo"]["estimates"][0]["mean"] for e in stored]
    assert means[0] != means[1]


@pytest.mark.parametrize("words", ["verify --seed -1", "verify --seed x", "verify --jobs 0", "unheard", "",
                                   "train fake --scale huge"])
def test_arguments_out_of_range_are_refused(words, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(words.split())
    assert end.value.code == 2
    assert "usage: mixtheory" in capsys.readouterr().err


def test_explain_tells_the_story(run):
    fake("fake.base")
    fake("fake.one", wrong={"doubled": predicts(lambda p: 2 * p), "the same": predicts(lambda p: p + 0)},
         derive=lambda: Derivation(r"\Pr", P + P**2 - P**2, {"p": P}).equals(P, "algebra")
         .appeal(chance(P), "see there", claim="fake.base"))
    Account(id="said", says="Coins are fair.", chapter="fake", refuted_by=("fake.one",), corrected="No.")
    code, out, _ = run("verify", "--explain", "fake.one", "--jobs", 1)
    assert code == 1
    for part in (r"\Pr = p", "assumes: the coin has no memory", "fails when: it lands on its edge",
                 "identity, broken", "1 of 2 steps certified", "[certified] algebra",
                 "[appeal, by fake.base] see there", "exact route: worst error", "Monte Carlo: worst entry",
                 "mutants: 1 of 2 rejected", "doubled: rejected (monte carlo", "the same: SURVIVES (exact",
                 "CPU: not run yet", "GPU: not run yet", "rests on: fake.base", "carries: no other claim",
                 "bears on: Coins are fair.", "PROBLEM mutant 'the same' survives"):
        assert part in out, part
    code, out, _ = run("verify", "--explain", "fake.base", "--jobs", 1)
    assert code == 0
    assert "identity, proved" in out
    assert "carries: fake.one" in out


def test_explain_wants_a_name(run):
    fake("fake.one")
    code, out, err = run("verify", "--explain")
    assert (code, out) == (2, "")
    assert "name the claim" in err


def test_progress_is_for_terminals(run, monkeypatch):
    fake("fake.one")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    clock = iter(range(0, 1000, 2))
    monkeypatch.setattr(cli.time, "perf_counter", lambda: float(next(clock)))
    assert "checking claims: 1 of 1 fake.one" in run("verify", "--jobs", 1)[2]
    assert run("verify", "--jobs", 1, "--quiet")[2] == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    assert run("verify", "--jobs", 1)[2] == ""


def test_an_interruption_ends_with_130(run, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    fake("fake.one")
    monkeypatch.setattr(cli, "evidence_for", interrupted)
    code, _, err = run("verify")
    assert code == 130
    assert err.count("\n") == 1


SLOW = """
import pathlib, time
from mixtheory.evidence import Claim

def crawl(p):
    pathlib.Path("begun").touch()
    time.sleep(600)

for i in range(5):
    Claim(id=f"slow.claim{i}", title="Slow", statement="p", predict=crawl, cases=({"p": 1},), exact=crawl)
"""


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_an_interruption_ends_the_workers_too(tmp_path, jobs):
    (tmp_path / "slow_claims.py").write_text(SLOW)
    script = ("import sys, slow_claims; from mixtheory import cli; cli._register = lambda: None\n"
              f"sys.exit(cli.main(['verify', '--jobs', '{jobs}']))")
    process = subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, start_new_session=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env={**os.environ, "MIXTHEORY_BUILD": str(tmp_path / "build")})
    try:
        while not (tmp_path / "begun").exists() and process.poll() is None:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=30)      # ends only when every worker has closed its output
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert (process.returncode, out) == (130, "")
    assert err == "mixtheory: interrupted; what was finished is kept\n"


def test_a_reader_who_leaves_causes_no_traceback():
    script = "import sys; from mixtheory import cli; sys.exit(cli.main(['data', 'digits']))"
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-c", script], stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert done.returncode == 141
    assert done.stderr == ""


# --- ledger -------------------------------------------------------------------------------------------------

def test_the_ledger_shows_every_claim(run):
    fake("fake.one")
    fake("fake.two", derive=None, kind="numerical")
    Account(id="said", says="Coins are fair.", chapter="fake", refuted_by=("fake.one",), corrected="No.")
    Account(id="open", says="Coins are round.", chapter="fake")
    run("verify", "--jobs", 1)
    code, out, _ = run("ledger")
    assert code == 0
    assert [line.split()[:3] for line in out.splitlines()[2:4]] == [["fake.one", "identity", "proved"],
                                                                   ["fake.two", "numerical", "checked"]]
    assert out.count("not run yet") == 4
    assert "2 claims: 1 proved, 1 checked" in out
    assert "1 of 2 statements decided; 1 false, 1 undecided" in out


def test_the_ledger_as_json_is_json(run):
    fake("fake.one")
    code, out, err = run("ledger", "--json")
    assert (code, err) == (0, "")
    assert [row["id"] for row in json.loads(out)] == ["fake.one"]


def test_a_damaged_record_is_one_clear_line(run):
    fake("fake.one")
    (paths.BUILD / "runs").mkdir(parents=True)
    (paths.BUILD / "runs" / "broken.json").write_text("{")
    for command in ("ledger", "verify"):
        code, out, err = run(command)
        assert (code, out) == (2, "")
        assert "broken.json: not a complete record" in err
        assert err.count("\n") == 1


# --- data ---------------------------------------------------------------------------------------------------

def test_data_lists_all_and_fetches_none(run, monkeypatch):
    monkeypatch.setattr(data, "load", lambda *_, **__: pytest.fail("nothing was asked for"))
    monkeypatch.setattr(data, "at_hand", lambda name: False)
    code, out, _ = run("data")
    assert code == 0
    assert [line.partition(":")[0] for line in out.splitlines()] == list(data.NAMES)


def test_data_fetches_what_is_named(run, monkeypatch):
    fetched = []
    monkeypatch.setattr(data, "at_hand", lambda name: name in fetched)
    monkeypatch.setattr(data, "load", lambda name, **_: fetched.append(name))
    monkeypatch.setattr(data, "describe", lambda name: f"{name}: described")
    assert run("data", "mnist", "digits") == (0, "mnist: described\ndigits: described\n", "")
    assert fetched == ["mnist", "digits"]


def test_data_describes_digits(run):
    code, out, _ = run("data", "digits")
    assert code == 0
    assert out.startswith("digits: ")
    assert "verified" in out


def test_an_unknown_data_set_is_refused(run):
    code, out, err = run("data", "no_such_data")
    assert (code, out) == (2, "")
    assert "no_such_data" in err
    assert err.count("\n") == 1


# --- train --------------------------------------------------------------------------------------------------

@pytest.fixture
def experiments(monkeypatch):
    """Two experiments that measure what they are told; `mean` is what the next run finds, `error` what it raises."""
    fakes = types.SimpleNamespace(mean=0.0, error=None, asked=[])

    def measure(dataset, *, size, device, seeds, progress):
        fakes.asked.append((dataset, size, device))
        progress("half way")
        if fakes.error:
            raise fakes.error
        values = (fakes.mean - 0.1, fakes.mean + 0.1) * 8
        return {}, [Measurement("factor", "fake.one", {"alpha": 1.0}, values, 0.0, 0.2)], \
            [Observation("log loss", {"alpha": 1.0}, (0.5,), "nats")]

    for name in ("covariance", "least_squares"):
        module = types.SimpleNamespace(DATASETS=("digits", "mnist"), SIZES={"quick": "q", "full": "f"}, measure=measure)
        monkeypatch.setitem(sys.modules, f"mixtheory.training.experiments.{name}", module)
    monkeypatch.setattr(training, "EXPERIMENTS", ("covariance", "least_squares"))
    monkeypatch.setattr(data, "at_hand", lambda name: name == "digits")
    for module in (jobs, sweep, record_module):
        monkeypatch.setattr(module, "experiment_source", lambda experiment: "now")
    return fakes


def test_train_keeps_a_record_that_the_ledger_shows(run, experiments):
    code, out, err = run("train", "covariance")
    assert (code, err) == (0, "")
    assert experiments.asked == [("digits", "q", "cpu")]
    assert "agrees" in out
    assert "log loss     alpha 1.0  0.5   one value      nats" in out
    path = paths.BUILD / "runs" / "covariance.digits.quick.cpu.json"
    assert str(path) in out
    assert Record.load(path).measurements[0].mean == pytest.approx(0)
    fake("fake.one")
    assert "agrees (CPU" in run("ledger")[1]


def test_a_run_that_disagrees_fails_and_is_kept(run, experiments):
    experiments.mean = 3.0
    code, out, _ = run("train", "covariance", "--dataset", "mnist")
    assert code == 1
    assert "disagrees" in out
    fake("fake.one")
    code, out, _ = run("verify", "--jobs", 1)
    assert code == 1
    assert "run covariance.mnist.quick.cpu disagrees" in out


def test_one_experiment_is_run_again_however_fresh_its_record(run, experiments):
    assert [run("train", "covariance")[0] for _ in range(2)] == [0, 0]
    assert len(experiments.asked) == 2


def test_a_full_record_goes_to_the_book_or_where_it_is_told(run, experiments, monkeypatch, tmp_path):
    code, _, err = run("train", "covariance", "--scale", "full")
    assert code == 2
    assert "--out" in err
    assert experiments.asked == []          # refused before an hour of work
    monkeypatch.setattr(paths, "RECORDS", tmp_path / "records")
    assert run("train", "covariance", "--scale", "full")[0] == 0
    assert [p.name for p in paths.RECORDS.iterdir()] == ["covariance.digits.full.cpu.json"]
    assert run("train", "covariance", "--out", tmp_path / "here")[0] == 0
    assert len(list((tmp_path / "here").iterdir())) == 1


def test_a_folder_that_cannot_be_written_is_one_line(run, experiments, tmp_path):
    (tmp_path / "file").write_text("")
    for words in (("covariance",), ("--all",)):
        code, _, err = run("train", *words, "--out", tmp_path / "file")
        assert code == 2
        assert err.count("\n") == 1
    assert experiments.asked == []


@pytest.mark.parametrize(("words", "message"), [
    ("", "name one experiment"), ("covariance least_squares", "name one experiment"),
    ("covariance --datasets digits", "name one experiment"), ("--all --dataset digits", "it is --datasets"),
    ("optics", "experiment = 'optics'"), ("covariance --dataset diabetes", "diabetes"),
    ("--all optics", "experiment = 'optics'"), ("--all --datasets mnits", "mnits")])
def test_requests_that_make_no_sense_are_one_line(run, experiments, words, message):
    code, out, err = run("train", *words.split())
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert experiments.asked == []


@pytest.mark.parametrize("words", ["--budget x", "--budget -1", "--budget nan", "--jobs 0",
                                   "--jobs 2 --scheduler tcp://h:1"])
def test_training_options_out_of_range_are_refused(words, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["train", "--all", *words.split()])
    assert end.value.code == 2
    assert "usage: mixtheory train" in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize("words", ["covariance", "--all"])
def test_a_device_that_is_not_there_is_refused_at_once(run, experiments, words):
    code, out, err = run("train", words, "--device", "cuda")
    assert (code, out, experiments.asked) == (2, "", [])
    assert "torch finds no CUDA device" in err


def outcomes(out):
    """The rows of the final table: pieces and outcome by experiment and data set."""
    rows = [line.split() for line in out.splitlines() if line.startswith(("covariance ", "least_squares "))]
    return {(row[0], row[1]): ("".join(row[2:5]), " ".join(row[10:])) for row in rows}


def test_all_runs_what_is_missing_and_says_what_it_did(run, experiments):
    run("train", "least_squares")
    before = len(experiments.asked)
    code, out, err = run("train", "--all")
    assert (code, err) == (0, "")
    assert outcomes(out) == {("covariance", "digits"): ("1/1", "recorded"),
                             ("covariance", "mnist"): ("0/1", "not at hand"),
                             ("least_squares", "digits"): ("1/1", "up to date"),
                             ("least_squares", "mnist"): ("0/1", "not at hand")}
    assert len(experiments.asked) == before + 1
    assert "covariance.digits.quick.cpu: 0.0 s, 1 agrees\n" in out
    code, out, _ = run("train", "--all", "covariance", "--datasets", "digits", "--fresh", "--quiet")
    assert outcomes(out) == {("covariance", "digits"): ("1/1", "recorded")}
    assert "1 agrees\n" not in out
    assert len(experiments.asked) == before + 2


def test_a_budget_that_is_too_small_starts_nothing_and_is_no_failure(run, experiments):
    code, out, _ = run("train", "--all", "--datasets", "digits", "--budget", "0.5")
    assert code == 0
    assert set(outcomes(out).values()) == {("0/1", "over budget")}
    assert experiments.asked == []


def test_a_failure_does_not_stop_the_others_and_fails_in_the_end(run, experiments):
    experiments.error = MemoryError("all gone")
    code, out, err = run("train", "--all", "--datasets", "digits")
    assert code == 1
    assert {row[1] for row in outcomes(out).values()} == {"failed: whole: MemoryError: all gone"}
    assert err.count("Traceback") == 2
    experiments.error = DomainError("the data are elsewhere")
    code, out, err = run("train", "covariance", "--dataset", "mnist")
    assert (code, err) == (1, "")
    assert "failed: whole: the data are elsewhere" in out


def test_a_campaign_whose_run_disagrees_fails_and_names_it(run, experiments):
    experiments.mean = 3.0
    code, out, _ = run("train", "--all", "--datasets", "digits")
    assert code == 1
    assert "disagrees: covariance.digits.quick.cpu: factor, alpha 1.0: predicted 0, [2.9" in out
    assert run("train", "--all", "--datasets", "digits")[0] == 1        # up to date, and still so


def test_progress_of_training_is_for_terminals(run, experiments, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    clock = iter(range(0, 1000, 2))
    monkeypatch.setattr(cli.time, "perf_counter", lambda: float(next(clock)))
    err = run("train", "--all", "--datasets", "digits", "--budget", "60")[2]
    assert "training: 0 of 2 pieces, 0.0 min, 1.0 to go of 60.0 left: half way" in err
    assert "training: 2 of 2 pieces" in err
    assert run("train", "--all", "--datasets", "digits", "--fresh", "--quiet")[2] == ""


# --- the real thing -----------------------------------------------------------------------------------------

def test_the_command_registers_the_theory():
    script = ("from mixtheory import cli; from mixtheory.evidence import claims\n"
              "from mixtheory.evidence.account import accounts\n"
              "cli._register(); assert 'covariance.population' in claims() and 'tamer_data' in accounts()")
    subprocess.run([sys.executable, "-c", script], check=True)


def test_print_is_for_the_command_line_only(checkout: Path):
    import ast

    for path in (checkout / "mixtheory").rglob("*.py"):
        called = {n.func.id for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)
                  and isinstance(n.func, ast.Name)}
        assert "print" not in called or path.name == "cli.py", path
