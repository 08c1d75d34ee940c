"""The experiment on labels, small: what it measures, against loops, and that wrong sampling is seen."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mixtheory.evidence import claims
from mixtheory.mixing import Beta
from mixtheory.training.experiments import labels as experiment
from mixtheory.training.experiments._trained import Training
from mixtheory.training.inputs import Split
from mixtheory.training.replicas import generators

SEEDS = tuple(range(16))
TINY = experiment.Size(6_000, Training(12, 2048))
MOMENTS = {"shrunk", "noise", "noise_label", "theta_variance", "partner_square", "total"}


@pytest.fixture(scope="module")
def tiny():
    torch.set_num_threads(1)
    return experiment.measure("digits", size=TINY, device="cpu", seeds=SEEDS)


@pytest.fixture
def few():
    """Six images of two pixels in three classes."""
    rng = torch.Generator().manual_seed(4)
    x = torch.randn(6, 1, 1, 2, generator=rng)
    y = torch.tensor([0, 1, 2, 1, 0, 1])
    return Split(x, y, x, y, 3, torch.zeros(1, 1, 1))


def verdicts(measurements, names):
    return {m.name: m.verdict for m in measurements if m.name in names}


def test_moments_and_floor_agree(tiny):
    _, found, _ = tiny
    names = {m.name for m in found} - {"own_confidence"}  # so short a training does not fit
    assert set(verdicts(found, names).values()) <= {"agrees", "inconclusive"}
    assert list(verdicts(found, names).values()).count("agrees") >= 9


def test_every_claim_that_names_the_experiment_is_measured(tiny):
    wanted = {c.id for c in claims().values() if c.experiment == "labels"}
    assert {m.claim for m in tiny[1]} == wanted


def test_mixup_is_surer_of_clean_images_than_smoothing_of_the_same_mean(tiny):
    told = {(o.arm["arm"], o.arm["where"]): o for o in tiny[2] if o.name == "clean"}
    (predicted,) = {m.predicted for m in tiny[1] if m.name == "own_confidence" and m.arm["arm"] == "smoothing (mean)"}
    assert told["mixup", "train"].interval[0] > predicted + 0.05
    assert abs(told["smoothing (mean)", "train"].mean - predicted) < 0.05


def test_predictions_for_the_noise_are_those_of_a_loop(few):
    found = {m.name: m.predicted for m in experiment.of_noise(few, 8, SEEDS)}
    x = few.x.flatten(1).double().numpy()
    y = np.eye(3)[few.y.numpy()]
    a, b = x - x.mean(axis=0), y - y.mean(axis=0)
    theta, weight = np.polynomial.legendre.leggauss(6)
    theta, weight = 0.75 + theta / 4, weight / 2  # uniform on [1/2, 1]
    along = []
    for i in range(6):
        p = np.array([w / 6 for w in weight for _ in range(6)])
        u = np.array([(t * a[i] + (1 - t) * a[j]) @ a[i] / (a[i] @ a[i]) for t in theta for j in range(6)])
        v = np.array([(t * b[i] + (1 - t) * b[j]) @ b[i] / (b[i] @ b[i]) for t in theta for j in range(6)])
        along.append((p @ u, p @ u**2 - (p @ u) ** 2, p @ (u * v) - (p @ u) * (p @ v)))
    own, noise, cross = np.array(along).T
    np.testing.assert_allclose(own, found["shrunk"], rtol=1e-12)
    assert noise.mean() == pytest.approx(found["noise"], rel=1e-9)
    assert cross.mean() == pytest.approx(found["noise_label"], rel=1e-9)


def test_losses_are_those_of_a_loop_over_examples(few):
    module = torch.nn.Sequential(torch.nn.Flatten(1), torch.nn.Linear(2, 3))
    rows = torch.eye(3)[few.y]
    i, j, lam = torch.tensor([0, 3, 5]), torch.tensor([1, 1, 2]), torch.tensor([0.2, 0.9, 0.5])
    found = experiment._loss(module, few, rows, i, j, lam)
    for r in range(3):
        x = lam[r] * few.x[i[r]] + (1 - lam[r]) * few.x[j[r]]
        log = torch.log_softmax(module(x[None])[0], 0)
        expected = -lam[r] * log[few.y[i[r]]] - (1 - lam[r]) * log[few.y[j[r]]]
        assert float(found[r]) == pytest.approx(float(expected.detach()), rel=1e-5)


def test_labels_of_distinct_members_are_never_one_hot_with_themselves():
    labels = torch.arange(4)
    y = experiment.draw_labels(labels, 4, 2_000, torch.Generator().manual_seed(0), distinct=True)
    assert float(y.amax(1).max()) < 1
    assert float(experiment.draw_labels(labels, 4, 2_000, torch.Generator().manual_seed(0)).amax(1).max()) == 1


# --- power: a wrong loop disagrees ---


def test_another_law_of_lambda_is_seen(monkeypatch):
    monkeypatch.setattr(experiment, "symmetric", lambda alpha: Beta(2.0, 2.0))
    data, priors = images()
    found = [*experiment.of_labels(data, priors, 6_000, SEEDS), *experiment.of_noise(data, 4_000, SEEDS)]
    assert set(verdicts(found, {m.name for m in found}).values()) == {"disagrees"}


def test_weights_that_are_not_folded_are_seen(monkeypatch):
    monkeypatch.setattr(torch, "maximum", lambda lam, other: lam)
    found = verdicts(experiment.of_noise(images()[0], 4_000, SEEDS), MOMENTS - {"total"})
    assert set(found.values()) == {"disagrees"}


def test_self_pairs_are_seen(monkeypatch):
    true = experiment.draw_labels
    monkeypatch.setattr(experiment, "draw_labels", lambda *args, distinct=False: true(*args))
    found = verdicts(experiment.of_labels(*images(), 6_000, SEEDS), {"entropy", "entropy_distinct"})
    assert found == {"entropy": "agrees", "entropy_distinct": "disagrees"}


def test_a_loss_below_the_floor_would_be_seen(monkeypatch):
    monkeypatch.setattr(experiment.theory, "mixed_label_entropy", lambda *args: 3.0)
    _, found, _ = experiment.measure("digits", size=experiment.Size(200, Training(1, 2048)), device="cpu", seeds=SEEDS)
    assert verdicts(found, {"shortfall"}) == {"shortfall": "disagrees"}


def images():
    from mixtheory.training.inputs import split
    data = split("digits")
    return data, np.bincount(data.y.numpy()) / len(data.y)


def test_replicas_depend_on_their_own_seed_only():
    data, priors = images()
    few, more = (experiment.of_labels(data, priors, 50, seeds) for seeds in ((3, 5), (3, 5, 8)))
    for a, b in zip(few, more, strict=True):
        assert a.values == b.values[:2]
    assert len(generators((3, 5), data.y.device, stream=experiment.LABELS)) == 2
