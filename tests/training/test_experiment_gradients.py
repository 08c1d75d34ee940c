"""The experiment on gradient noise, small: verdicts, gradients against formulas, and that wrong sampling is seen."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mixtheory.evidence import claims
from mixtheory.training.experiments import gradients as experiment
from mixtheory.training.replicas import generators

SEEDS = tuple(range(16))
TINY = experiment.Size(1024, 64, 8192, 200, 4)


@pytest.fixture(scope="module")
def tiny():
    torch.set_num_threads(1)
    return experiment.measure("synthetic", size=TINY, device="cpu", seeds=SEEDS)


def by_name(found, name):
    return [m for m in found[1] if m.name == name]


def test_nothing_disagrees_and_the_noise_is_seen(tiny):
    assert {m.verdict for m in tiny[1]} <= {"agrees", "inconclusive"}
    for m in by_name(tiny, "noise"):
        assert abs(m.mean - m.predicted) < 0.03
    up, down = ({m.arm["sharing"]: m.mean for m in by_name(tiny, "noise") if m.arm["pairing"] == "roll" and
                 m.arm["folded"] is folded} for folded in (False, True))
    assert up["element"] > 1.05 > 0.9 > up["batch"]
    assert down["element"] < 0.9


def test_every_claim_that_names_the_experiment_is_measured(tiny):
    wanted = {c.id for c in claims().values() if c.experiment == "gradients"}
    assert {m.claim for m in tiny[1]} == wanted


def test_two_ways_to_write_the_loss_part_only_for_focal(tiny):
    same = by_name(tiny, "two_losses")
    assert {m.arm["loss"] for m in same} == {"cross_entropy", "squared"}
    assert {m.verdict for m in same} == {"agrees"}
    (told,) = tiny[2]
    assert told.arm["loss"] == "focal"
    assert min(told.values) > 1e-3


def test_batch_gradients_are_those_of_a_loop():
    rng = torch.Generator().manual_seed(3)
    x, y, w = (torch.randn(*shape, generator=rng, dtype=torch.float64) for shape in ((3, 4, 2), (3, 4), (3, 2)))
    found = experiment.batch_gradients(x, y, w)
    for b in range(3):
        naive = sum(x[b, i] * (x[b, i] @ w[b] - y[b, i]) for i in range(4)) / 4
        torch.testing.assert_close(found[b], naive)


def test_a_lambda_for_each_feature_would_be_seen(monkeypatch):
    """The same batches with partners that change from feature to feature: not what the theorem is about."""
    def torn(x, pairing):
        if x.ndim == 2:
            return x.roll(1, 1)
        return torch.stack([x[..., k].roll(1 + k % 7, 1) for k in range(x.shape[-1])], -1)

    monkeypatch.setattr(experiment, "_partner", torn)
    rngs = generators(SEEDS[:4], torch.device("cpu"))
    found = [experiment.noise(2048, rng)["noise", "roll", "batch", False] for rng in rngs]
    right = 0.7899
    assert abs(np.mean(found) - right) > 5 * np.std(found, ddof=1) / 2 + experiment.NOISE_MARGIN


def test_replicas_of_two_losses_do_not_know_of_each_other():
    alone = experiment.two_losses(generators((5,), torch.device("cpu")), steps=5)
    both = experiment.two_losses(generators((4, 5), torch.device("cpu")), steps=5)
    assert alone[0]["two_losses", "focal"] == pytest.approx(both[1]["two_losses", "focal"], rel=1e-12)
