"""The comparison compares like with like: all trainers give the same weights. No time is tested."""

from __future__ import annotations

import json

import pytest
import torch

from mixtheory.training.arms import ERM, Arm
from mixtheory.training.benchmarks import replicas
from mixtheory.training.benchmarks.replicas import Size, cases, usual, vmapped
from mixtheory.training.engine import train
from mixtheory.training.inputs import Split, split
from mixtheory.training.models import cnn, linear, mlp

SMALL = {"batch": 8, "precision": "float64", "arms": (ERM, Arm(1.0), Arm(0.4, "roll", "element"))}


@pytest.fixture(scope="module")
def data():
    whole = split("digits")
    return Split(whole.x[:20], whole.y[:20], whole.x_test[:3], whole.y_test[:3], whole.classes, whole.black)


@pytest.mark.parametrize("model", [linear(), mlp(5), mlp(6, norm=True), cnn(2)], ids=lambda model: model.name)
def test_all_trainers_give_the_same_weights(model, data):
    size = Size(model, 6, **SMALL)
    asked = {"seeds": size.seeds, "recipe": size.recipe}
    trained, stacked = train(model, data, arms=size.arms, **asked), vmapped(model, data, arms=size.arms, **asked)
    for a, arm in enumerate(size.arms):
        for seed in size.seeds:
            r = trained.replica(a, seed)
            own = usual(model, data, arm=arm, seed=seed, recipe=size.recipe).state_dict()
            for name, value in trained.module(r).state_dict().items():
                assert torch.allclose(value, own[name], rtol=1e-8, atol=1e-11), name
                assert torch.allclose(value, stacked[name][r], rtol=1e-8, atol=1e-11), name
    other = usual(model, data, arm=Arm(0.9), seed=0, recipe=size.recipe)
    assert not torch.allclose(trained.module(trained.replica(1, 0))(data.x.double()), other(data.x.double()), rtol=1e-3)


def test_every_case_runs_and_tells_how_many_replicas_it_serves(data):
    found = cases(Size(mlp(4), 12, **SMALL), data)
    counts = {name: count for name, (_, count) in found.items()}
    assert counts == {"engine": 12, "plain": 8, "usual": 8, "vmap": 12, "draws": 12, "initial": 12, "constructors": 12}
    for name, (call, count) in found.items():
        result = call()
        if name in ("plain", "usual", "constructors"):
            assert len(result) == count
    assert len(found["engine"][0]().history["loss"][0]) == 12


def test_the_program(monkeypatch, data, tmp_path, capsys):
    monkeypatch.setattr(replicas, "split", lambda *_, **__: data)
    monkeypatch.setattr(replicas, "EPOCHS", 1)
    monkeypatch.setattr(replicas, "SIZES", (Size(linear(), 2, batch=16, bounded=True), Size(mlp(3), 1, batch=8)))
    file = tmp_path / "out.json"
    assert replicas.main(["--rounds", "8", "--only", "linear", "--json", str(file)]) in (0, 1)
    found = json.loads(file.read_text())
    assert {(row["call"], row["reference"]) for row in found["ratios"]} == {
        ("engine", "plain"), ("engine", "usual"), ("engine", "vmap"), ("draws", "engine"), ("initial", "constructors")}
    assert [row["bound"] is not None for row in found["ratios"]] == [True, False, False, False, False]
    assert found["environment"]["threads"] == torch.get_num_threads()
    assert "linear, R 2, batch 16" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        replicas.main(["--rounds", "2"])


def test_the_sizes_hold_whole_arms():
    for size in replicas.SIZES:
        assert len(size.arms) * len(size.seeds) == size.replicas
    assert {size.precision for size in replicas.SIZES if size.bounded} == {"float32", "float64"}
