"""The comparison compares like with like: every package mixes as `mix` does when lambda and partners are given.

No time is tested: a machine that is busy would fail.
"""

from __future__ import annotations

import importlib
import json

import pytest
import torch

from mixtheory.mixing import symmetric
from mixtheory.mixup import mix
from mixtheory.pairing import lambdas, partners
from mixtheory.training.benchmarks import mixing
from mixtheory.training.benchmarks.mixing import PEERS, Size, cases, installed

CPU = torch.device("cpu")
SMALL = Size((6, 3, 4, 5), 6, bounded=True)
packages = pytest.mark.parametrize("name", PEERS)


@pytest.fixture
def peer(name):
    if installed()[name] is None:
        pytest.skip(f"{name} is not installed (the extra `bench`)")
    return PEERS[name]


def drawn(peer, x):
    rng = torch.Generator().manual_seed(1)
    lam = lambdas(symmetric(1.0), len(x), sharing=peer.sharing, pairing=peer.pairing, rng=rng, dtype=x.dtype)
    return partners(peer.pairing, len(x), rng=rng), lam


@packages
def test_the_same_lambda_and_partners_give_the_same_images(name, peer):
    x = torch.rand(SMALL.shape, generator=torch.Generator().manual_seed(0))
    before = x.clone()
    partner, lam = drawn(peer, x)
    theirs = peer.images(x, partner, lam)().clone()
    assert torch.equal(x, before)
    assert torch.allclose(theirs, mix(x, partner, lam, out=torch.empty_like(x)), rtol=0, atol=1e-6)
    for other in (mix(x, partner, 1 - lam), mix(x, partner.roll(1), lam)):   # weights swapped, other pairs
        assert (theirs - other).abs().max() > 0.01


@packages
def test_a_step_mixes_images_and_labels_alike(name, peer):
    """Image i is the unit vector of its class i: it shows lambda and the partner, which its label must show too."""
    x, labels = torch.eye(6).reshape(6, 1, 2, 3), torch.arange(6)
    images, y = peer.step(x, labels, 6)()
    if name == "kornia":                            # columns: own class, class of the partner, the partner's share
        own, other = torch.eye(6)[y[:, 0].long()], torch.eye(6)[y[:, 1].long()]
        y = (1 - y[:, 2:]) * own + y[:, 2:] * other
    assert torch.allclose(images.reshape(6, 6), y, rtol=0, atol=1e-6)
    assert torch.allclose(y.sum(1), torch.ones(6))
    if peer.pairing != "permutation":
        partner = partners(peer.pairing, 6, rng=torch.Generator())
        assert (y.gather(1, labels[:, None]) + y.gather(1, partner[:, None]) - 1).abs().max() < 1e-6
        assert y.diagonal().std() < 1e-6            # one lambda for the batch


@packages
def test_all_calls_of_a_case_mix_the_same_batch(name, peer):
    found = {call: run() for call, run in cases(SMALL, name, CPU).items()}
    for call in ("mix", "mix, new memory", "peer"):
        fresh = cases(SMALL, name, CPU)             # `step` reuses the buffer of `mix`; timm overwrites its input
        assert torch.allclose(fresh[call](), fresh["floor"](), rtol=0, atol=1e-6), call
    assert found["step"][0].shape == SMALL.shape
    assert found["step"][1].shape == (6, 6)


def test_the_floor_needs_no_package(monkeypatch):
    """The floor and `mix` are the loop that one would write, for each pairing and sharing in use."""
    for name, peer in PEERS.items():
        nothing = mixing.Peer(peer.pairing, peer.sharing, lambda *given: None, lambda *given: None)
        monkeypatch.setitem(PEERS, name, nothing)
        rng = torch.Generator().manual_seed(0)
        x = torch.rand(SMALL.shape, generator=rng)
        torch.randint(6, (6,), generator=rng)
        partner = partners(peer.pairing, 6, rng=rng)
        lam = lambdas(symmetric(1.0), 6, sharing=peer.sharing, rng=rng, pairing=peer.pairing, dtype=x.dtype)
        naive = torch.stack([lam[i] * x[i] + (1 - lam[i]) * x[partner[i]] for i in range(6)])
        calls = cases(SMALL, name, CPU)
        assert torch.allclose(calls["floor"](), naive, rtol=0, atol=1e-6)
        assert torch.allclose(calls["mix"](), naive, rtol=0, atol=1e-6)


def test_without_packages_the_program_says_so(monkeypatch, capsys, tmp_path):
    found = importlib.import_module
    monkeypatch.setattr(mixing, "import_module", lambda name: found(f"no_such_package.{name}"))
    assert mixing.main(["--json", str(tmp_path / "mixing.json")]) == 0
    assert capsys.readouterr().out.count("not installed") == len(PEERS)
    written = json.loads((tmp_path / "mixing.json").read_text())
    assert written["ratios"] == []
    assert {written["environment"][name] for name in PEERS} == {"not installed"}


def test_rows_say_what_was_required_and_found(monkeypatch):
    """Times from a clock that is made up: `mix` takes 1.2 floors, the package takes 2."""
    import numpy as np

    taken = {"floor": 1.0, "mix": 1.2, "mix, new memory": 5.0, "peer": 2.0, "step": 3.0, "peer's step": 6.0}
    monkeypatch.setattr(mixing, "cases", lambda *given: taken)
    monkeypatch.setattr(mixing, "measure", lambda calls, **options: {k: np.full(9, v) for k, v in calls.items()})
    rows = {(r["call"], r["reference"]): r for r in mixing.rows(SMALL, "timm", CPU, 9)}
    assert rows["mix", "floor"]["median"] == pytest.approx(1.2)
    assert (rows["mix", "floor"]["bound"], rows["mix", "floor"]["verdict"]) == (1.3, "met")
    assert rows["mix", "timm"]["median"] == pytest.approx(0.6)
    assert rows["mix", "timm"]["verdict"] == "met"
    assert rows["step", "timm's step"]["median"] == pytest.approx(0.5)
    assert rows["timm", "floor"]["verdict"] is None
    taken["mix"] = 1.4
    rows = {(r["call"], r["reference"]): r for r in mixing.rows(SMALL, "timm", CPU, 9)}
    assert rows["mix", "floor"]["verdict"] == "missed"
