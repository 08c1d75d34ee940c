"""A record is refused when it is damaged, and its verdicts are computed."""

from __future__ import annotations

import json

import pytest

from mixtheory.evidence import record as module
from mixtheory.evidence.record import LEAST_REPLICAS, Measurement, Record, RecordError, read_records

T_15 = 2.94671      # 99.5 % point of Student's t with 15 degrees of freedom, from a table


def measurement(**changes):
    fields = {"name": "factor", "claim": "fake.factor", "arm": {"alpha": 1.0, "pairing": "roll"},
              "values": (-1.0, 1.0) * 8, "predicted": 0.0, "margin": 1.0, "unit": ""}
    return Measurement(**{**fields, **changes})


def make(**changes):
    fields = {"experiment": "fake", "dataset": "digits", "scale": "quick", "device": "cpu",
              "config": {"batch": 64, "alphas": (0.2, 1.0)}, "seeds": range(LEAST_REPLICAS),
              "measurements": [measurement()], "wall_seconds": 1.23456}
    return Record.create(**{**fields, **changes})


@pytest.fixture(autouse=True)
def source(monkeypatch):
    """The hash of an experiment's source, which tests may change."""
    current = {"fake": "a" * 64}
    monkeypatch.setattr(module, "experiment_source", current.__getitem__)
    return current


def rehashed(path, **changes):
    body = {**json.loads(path.read_text()), **changes}
    body.pop("content")
    path.write_text(module.seal(body))


# --- the file -----------------------------------------------------------------------------------------------

def test_it_comes_back_as_it_went(tmp_path):
    record = make()
    path = record.save(tmp_path)
    assert path.name == "fake.digits.quick.cpu.json"
    back = Record.load(path)
    assert back.measurements == record.measurements
    assert back.seeds == tuple(range(16))
    assert back.claims == ("fake.factor",)
    assert back.environment == record.environment
    assert json.loads(back.save(tmp_path / "again").read_text()) == json.loads(path.read_text())
    assert [r.name for r in read_records(tmp_path, tmp_path / "again")] == [record.name] * 2
    assert list(tmp_path.glob(".*")) == []


def test_every_flipped_byte_is_noticed(tmp_path):
    path = make().save(tmp_path)
    whole = path.read_bytes()
    for i in range(len(whole)):
        path.write_bytes(whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1:])
        with pytest.raises(RecordError):
            Record.load(path)


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(tmp_path, kept):
    path = make().save(tmp_path)
    path.write_bytes(path.read_bytes()[:int(kept * path.stat().st_size) - 2 if kept else 0])
    with pytest.raises(RecordError, match="not a complete record"):
        Record.load(path)


def test_a_value_edited_by_hand_is_refused(tmp_path):
    path = make().save(tmp_path)
    path.write_text(path.read_text().replace('"predicted": 0.0', '"predicted": 0.1'))
    with pytest.raises(RecordError, match="edited by hand"):
        Record.load(path)


def test_an_unknown_schema_is_refused(tmp_path):
    path = make().save(tmp_path)
    rehashed(path, schema=99)
    with pytest.raises(RecordError, match="schema 99"):
        Record.load(path)


@pytest.mark.parametrize("text", ["3", '"x"', "{}", "null", "not json", "\x00"])
def test_other_files_are_refused(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(RecordError, match="x.json"):
        read_records(tmp_path)


def test_few_replicas_are_refused():
    with pytest.raises(RecordError, match="at least 16"):
        make(measurements=[measurement(values=(0.0,) * 15)])
    with pytest.raises(RecordError, match="at least 16"):
        make(seeds=range(15))


@pytest.mark.parametrize("changes", [{"values": (float("nan"), *[0.0] * 15)}, {"predicted": float("inf")},
                                     {"margin": 0.0}, {"margin": -1.0}])
def test_numbers_that_mean_nothing_are_refused(changes):
    with pytest.raises(RecordError, match="finite"):
        make(measurements=[measurement(**changes)])


def test_a_record_without_measurements_is_refused():
    with pytest.raises(RecordError):
        make(measurements=[])


def test_it_is_stale_once_the_source_has_changed(tmp_path, source):
    back = Record.load(make().save(tmp_path))
    assert not back.stale
    source["fake"] = "b" * 64
    assert back.stale


def test_the_environment_says_where(tmp_path):
    where = make().environment
    assert where["device_name"].startswith("CPU")
    assert {"python", "numpy", "scipy", "torch", "platform"} <= set(where)


# --- the verdicts -------------------------------------------------------------------------------------------

def test_the_interval_is_the_one_of_the_table():
    low, high = measurement().interval
    half = T_15 * (16 / 15) ** 0.5 / 4          # standard error of eight -1 and eight +1
    assert (low, high) == pytest.approx((-half, half), rel=1e-5)


@pytest.mark.parametrize(("predicted", "margin", "verdict"), [
    (0.0, 0.77, "agrees"),                  # half width 0.7608
    (0.0, 0.75, "inconclusive"),
    (0.2, 0.97, "agrees"),
    (0.2, 0.95, "inconclusive"),
    (2.0, 1.25, "inconclusive"),            # the gap between interval and prediction is 1.2392
    (2.0, 1.23, "disagrees"),
    (-2.0, 1.23, "disagrees"),
])
def test_verdicts_with_known_answers(predicted, margin, verdict):
    assert measurement(predicted=predicted, margin=margin).verdict == verdict


def test_equal_values_leave_no_doubt():
    assert measurement(values=(0.5,) * 16, predicted=0.5, margin=1e-9).verdict == "agrees"
    assert measurement(values=(0.5,) * 16, predicted=0.4, margin=0.09).verdict == "disagrees"


def test_select_finds_one_and_only_one():
    arms = [measurement(arm={"alpha": a}) for a in (0.2, 1.0)]
    record = make(measurements=arms)
    assert record.select("factor", alpha=1.0) is arms[1]
    for query in ({}, {"alpha": 3.0}, {"beta": 1}):
        with pytest.raises(RecordError, match="expected one"):
            record.select("factor", **query)
