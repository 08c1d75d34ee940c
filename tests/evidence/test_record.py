"""A record is refused when it is damaged, and its verdicts are computed."""

from __future__ import annotations

import json

import pytest

from mixtheory.evidence import record as module
from mixtheory.evidence.record import LEAST_REPLICAS, Measurement, Observation, Record, RecordError, read_records

T_15 = 2.94671      # 99.5 % point of Student's t with 15 degrees of freedom, from a table


def measurement(**changes):
    fields = {"name": "factor", "claim": "fake.factor", "arm": {"alpha": 1.0, "pairing": "roll"},
              "values": (-1.0, 1.0) * 8, "predicted": 0.0, "margin": 1.0, "unit": ""}
    return Measurement(**{**fields, **changes})


def observation(**changes):
    fields = {"name": "log loss", "arm": {"alpha": 0.4}, "values": (1.0, 2.0, 3.0), "unit": "nats"}
    return Observation(**{**fields, **changes})


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


@pytest.mark.parametrize("bit", [0, 5, 7])
def test_every_flipped_bit_is_noticed(tmp_path, bit):
    path = make(config={"rate": 1e-30, "name": "\u03b1 \U0001d7d9"}, observations=[observation()]).save(tmp_path)
    whole = path.read_bytes()
    for i in range(len(whole)):
        path.write_bytes(whole[:i] + bytes([whole[i] ^ (1 << bit)]) + whole[i + 1:])
        with pytest.raises(RecordError, match="not a complete record|damaged or edited by hand"):
            Record.load(path)


@pytest.mark.parametrize(("written", "instead"), [("1e-30", "1E-30"), ("\\u03b1", "\\u03B1"), ("1e-30", "1.0e-30"),
                                                  (",\n", ", \n"), ("\n", "\r\n")])
def test_another_way_to_write_the_same_is_damage_too(tmp_path, written, instead):
    path = make(config={"rate": 1e-30, "name": "\u03b1"}).save(tmp_path)
    text = path.read_text()
    assert json.loads(text.replace(written, instead)) == json.loads(text)
    path.write_bytes(text.replace(written, instead).encode())
    with pytest.raises(RecordError, match="damaged or edited by hand"):
        Record.load(path)


def test_a_truncated_file_is_refused(tmp_path):
    path = make().save(tmp_path)
    whole = path.read_bytes()
    for kept in range(len(whole) - 1):
        path.write_bytes(whole[:kept])
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
    make(measurements=[], observations=[observation()], seeds=range(3))


def test_a_full_run_may_have_few_replicas_and_its_verdict_is_in_doubt():
    two = measurement(values=(-0.01, 0.01), margin=0.3)
    record = make(scale="full", measurements=[two], seeds=range(2))
    half = 63.657 * 0.02 / 2**0.5 / 2**0.5          # t with one degree of freedom, from a table
    assert two.interval == pytest.approx((-half, half), rel=1e-4)
    assert record.measurements[0].verdict == "inconclusive"
    for changes in ({"measurements": [measurement(values=(0.0,))]}, {"seeds": range(1)}):
        with pytest.raises(RecordError, match="at least 2 replicas at scale full"):
            make(**{"scale": "full", "measurements": [two], "seeds": range(2), **changes})


@pytest.mark.parametrize("changes", [{"values": (float("nan"), *[0.0] * 15)}, {"predicted": float("inf")},
                                     {"margin": 0.0}, {"margin": -1.0}])
def test_numbers_that_mean_nothing_are_refused(changes):
    with pytest.raises(RecordError, match="finite"):
        make(measurements=[measurement(**changes)])


def test_a_record_without_measurements_and_observations_is_refused():
    with pytest.raises(RecordError, match="nothing to record"):
        make(measurements=[])


def test_observations_come_back(tmp_path):
    record = make(measurements=[], observations=[observation(), observation(values=(2.0,), arm={"alpha": "inf"})])
    back = Record.load(record.save(tmp_path))
    assert back.observations == record.observations
    assert (back.measurements, back.claims) == ((), ())
    assert back.observation("log loss", alpha="inf").interval is None
    assert back.observation("log loss", alpha=0.4).mean == pytest.approx(2.0)
    with pytest.raises(RecordError, match="2 observations 'log loss'"):
        back.observation("log loss")


def test_the_interval_of_an_observation_is_the_one_of_the_table():
    half = 9.92484 * 1.0 / 3**0.5                   # t with two degrees of freedom
    assert observation().interval == pytest.approx((2 - half, 2 + half), rel=1e-5)


@pytest.mark.parametrize("values", [(), (float("nan"),), (1.0, float("inf"))])
def test_observations_that_mean_nothing_are_refused(values):
    with pytest.raises(RecordError, match="log loss"):
        make(observations=[observation(values=values)])


@pytest.mark.parametrize(("config", "message"), [
    ({"a": {"b": [1.0, float("nan")]}}, r"config\.a\.b\[1\]: nan"), ({8: 1}, "8 is not a string"),
    ({"a": {1, 2}}, "a set is nothing that JSON knows")])
def test_what_json_would_change_is_refused(config, message):
    with pytest.raises(RecordError, match=message):
        make(config=config)


def test_a_record_from_before_there_were_observations_is_read(tmp_path):
    path = make().save(tmp_path)
    body = json.loads(path.read_text())
    del body["observations"], body["content"]
    path.write_text(module.seal(body))
    assert Record.load(path).observations == ()


def test_the_records_of_the_book_are_whole(checkout):
    records = read_records(checkout / "book" / "records")
    assert records
    assert {type(m.interval[0]) for r in records for m in r.measurements} == {float}


def test_the_result_is_all_but_times_and_environment(tmp_path):
    record = make()
    later = Record(**{**vars(record), "environment": {"device_name": "another"}, "wall_seconds": 9.0, "created": "x"})
    assert later != record
    assert later.result == record.result == Record.load(record.save(tmp_path)).result
    for name, value in (("config", {"batch": 65}), ("seeds", tuple(range(1, 17))), ("source", "b"), ("dataset", "x"),
                        ("measurements", (measurement(values=(-1.0, 1.0) * 7 + (-1.0, 1.0 + 1e-15)),)),
                        ("observations", (observation(),))):
        assert Record(**{**vars(record), name: value}).result != record.result, name


def test_it_is_stale_once_the_source_has_changed(tmp_path, source):
    back = Record.load(make().save(tmp_path))
    assert not back.stale
    source["fake"] = "b" * 64
    assert back.stale


def test_the_environment_says_where(tmp_path):
    where = make().environment
    assert where["device_name"].startswith("CPU")
    assert {"python", "numpy", "scipy", "torch", "platform", "threads"} <= set(where)
    assert make(where={"device_name": "elsewhere"}).environment == {"device_name": "elsewhere"}


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
